//! Returned messages: each goes to the publish that it was.

use super::*;
use crate::publish::Returned;

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

fn returned(outcome: Option<Outcome>) -> Box<Returned> {
    match outcome {
        Some(Outcome::Returned(returned)) => returned,
        other => panic!("{other:?} instead of a returned message"),
    }
}

#[test]
fn a_returned_message_is_the_outcome_once_its_confirm_comes() {
    let (mut script, channel) = script();
    let place = script.mandatory(channel, "nowhere", b"body");
    script.give_back(1, "nowhere", b"body");
    assert!(script.outcome(channel, place).is_none(), "the confirm is still to come");
    script.ack(1, 1, false);
    let returned = returned(script.outcome(channel, place));
    assert_eq!(returned.reply_code, ReplyCode::NO_ROUTE);
    assert_eq!((&returned.routing_key, &returned.body[..]), (&short("nowhere"), &b"body"[..]));
}

#[test]
fn mixed_with_others_each_return_meets_its_own_publish() {
    let (mut script, channel) = script();
    let places = [
        script.mandatory(channel, "a", b"1"),
        script.mandatory(channel, "a", b"2"),
        script.mandatory(channel, "b", b"1"),
        script.publish(channel, "a", b"1"),
        script.mandatory(channel, "a", b""),
        script.mandatory(channel, "a", b"1"),
    ];
    script.give_back(1, "b", b"1");
    script.give_back(1, "a", b"");
    script.give_back(1, "a", b"2");
    script.ack(1, 6, true);
    assert_eq!(script.outcomes(channel, &places), "CRRCRC");
}

#[test]
fn messages_to_different_exchanges_are_told_apart() {
    let (mut script, channel) = script();
    let places = ["x", "y"].map(|exchange| {
        let mut message = message("k", b"body");
        message.method.exchange = short(exchange);
        message.method.mandatory = true;
        script.try_publish(channel, &message).unwrap().unwrap()
    });
    let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
    let (exchange, routing_key) = (short("y"), short("k"));
    script.content(1, basic::Return { reply_code, reply_text, exchange, routing_key }, b"body");
    script.ack(1, 0, true);
    assert_eq!(script.outcomes(channel, &places), "CR");
}

#[test]
fn messages_that_are_alike_take_their_returns_in_order() {
    let (mut script, channel) = script();
    let places: Vec<_> = (0..3).map(|_| script.mandatory(channel, "a", b"x")).collect();
    script.give_back(1, "a", b"x");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &places), "R--");
    script.give_back(1, "a", b"x");
    script.give_back(1, "a", b"x");
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &places), "-RR");
}

#[test]
fn large_bodies_are_told_apart_by_length_and_beginning() {
    let (mut script, channel) = script();
    let (long, longer) = (vec![1; 100_000], vec![1; 100_001]);
    let mut other = long.clone();
    other[4095] = 2;
    let places = [&long, &longer, &other].map(|body| script.mandatory(channel, "a", body));
    script.sent();
    script.give_back(1, "a", &other);
    script.give_back(1, "a", &longer);
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &places), "CRR");
}

#[test]
fn the_return_of_a_dropped_confirm_goes_to_nobody_else() {
    let (mut script, channel) = script();
    let first = script.mandatory(channel, "a", b"x");
    let second = script.mandatory(channel, "a", b"x");
    script.core.forget_confirm(channel, first);
    script.give_back(1, "a", b"x");
    script.ack(1, 2, true);
    assert_eq!(script.outcomes(channel, &[second]), "C");
}

#[test]
fn a_return_that_fits_no_publish_is_dropped() {
    let (mut script, channel) = script();
    let place = script.mandatory(channel, "a", b"x");
    script.give_back(1, "a", b"y");
    script.give_back(1, "b", b"x");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "C");
    // Without any confirms neither.
    let other = script.channel();
    script.unwatched(other, "a", b"x");
    script.give_back(2, "a", b"x");
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_returned_message_keeps_its_properties() {
    let (mut script, channel) = script();
    let place = script.mandatory(channel, "a", b"x");
    let mut frames = method_frame(
        1,
        &basic::Return {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: short("NO_ROUTE"),
            exchange: ShortStr::empty(),
            routing_key: short("a"),
        },
    );
    frames.extend(header_frame(1, 1, &[0x80, 0, 4, b't', b'e', b'x', b't']));
    frames.extend(body_frame(1, b"x"));
    script.feed(&frames);
    script.ack(1, 1, false);
    let properties = returned(script.outcome(channel, place)).properties().unwrap();
    assert_eq!(properties.content_type, Some(short("text")));
}

#[test]
fn a_nacked_message_is_nacked_even_if_it_came_back() {
    let (mut script, channel) = script();
    let place = script.mandatory(channel, "a", b"x");
    script.give_back(1, "a", b"x");
    script.nack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "N");
}

#[test]
fn a_message_that_came_back_is_returned_even_if_its_confirm_never_comes() {
    let (mut script, channel) = script();
    let places = ["a", "b"].map(|key| script.mandatory(channel, key, b"x"));
    script.give_back(1, "b", b"x");
    script.method(1, channel_close(ReplyCode::PRECONDITION_FAILED));
    assert_eq!(script.outcomes(channel, &places), "UR");
}

#[test]
fn a_message_too_large_to_be_taken_back_is_not_called_confirmed() {
    let options = ConnectOptions::default().max_body(10);
    let mut script = Script::open_with(options, (0, 0, 0));
    let channel = script.channel();
    let place = script.mandatory(channel, "a", &[1; 11]);
    script.give_back(1, "a", &[1; 11]);
    script.ack(1, 1, false);
    script.method(1, channel::CloseOk {});
    assert_eq!(script.outcomes(channel, &[place]), "U");
}

/// The first was routed, and its confirm is still to come; the return comes behind one of a later tag.
#[test]
fn an_earlier_message_alike_is_not_taken_for_the_one_returned_now() {
    let (mut script, channel) = script();
    let places = [("a", "x"), ("b", "x"), ("a", "x")]
        .map(|(key, body)| script.mandatory(channel, key, body.as_bytes()));
    script.give_back(1, "b", b"x");
    script.give_back(1, "a", b"x");
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &places), "CRR");
}

#[test]
fn thousands_of_returns_before_any_confirm_take_no_longer_each() {
    let (mut script, channel) = script();
    let places: Vec<_> = (0..5_000).map(|_| script.mandatory(channel, "a", b"x")).collect();
    for _ in &places {
        script.give_back(1, "a", b"x");
    }
    script.ack(1, 5_000, true);
    assert_eq!(script.outcomes(channel, &places), "R".repeat(5_000));
}

#[test]
fn an_immediate_message_that_came_back_is_returned_too() {
    let mut script = Script::open();
    let channel = script.channel();
    let mut message = message("q", b"now");
    message.method.immediate = true;
    let place = script.try_publish(channel, &message).expect("no wait").expect("a place");
    script.give_back(1, "q", b"now");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "R");
}

/// Fetches what nobody waits for: the bodies.
fn unclaimed(script: &mut Script, channel: ChannelKey) -> Vec<Bytes> {
    let cx = &Context::from_waker(Waker::noop());
    std::iter::from_fn(|| match script.core.poll_return(channel, &mut None, cx) {
        Poll::Ready(Some(returned)) => Some(returned.body),
        Poll::Ready(None) | Poll::Pending => None,
    })
    .collect()
}

#[test]
fn a_return_that_nobody_waits_for_is_kept_for_who_asks() {
    let (mut script, channel) = script();
    // Nobody has asked yet.
    script.give_back(1, "a", b"0");
    script.core.keep_returns(channel);
    // Before confirm mode, as in a transaction.
    script.give_back(1, "a", b"1");
    assert_eq!(unclaimed(&mut script, channel), ["1"]);
    // Without a confirm; of a dropped one; and one that was overdue.
    let mut unwatched = message("a", b"2");
    (unwatched.watched, unwatched.method.mandatory) = (false, true);
    let first = script.mandatory(channel, "a", b"first");
    script.try_publish(channel, &unwatched);
    let dropped = script.mandatory(channel, "a", b"3");
    script.core.forget_confirm(channel, dropped);
    let overdue = script.mandatory(channel, "a", b"4");
    script.give_back(1, "a", b"2");
    script.give_back(1, "a", b"3");
    script.give_back(1, "a", b"first");
    assert_eq!(unclaimed(&mut script, channel), [""; 0], "whose they are is told by the confirm");
    script.ack(1, 3, true);
    assert_eq!(unclaimed(&mut script, channel), ["2", "3"]);
    assert_eq!(script.outcomes(channel, &[first]), "R");
    script.advance(31 * SECOND);
    script.give_back(1, "a", b"4");
    assert_eq!(script.outcomes(channel, &[overdue]), "U");
    assert_eq!(unclaimed(&mut script, channel), ["4"]);
}

#[test]
fn the_return_of_an_unwatched_message_is_not_taken_for_that_of_a_watched_one() {
    let (mut script, channel) = script();
    script.core.keep_returns(channel);
    let before = script.publish(channel, "a", b"x");
    let mut unwatched = message("a", b"x");
    (unwatched.watched, unwatched.method.mandatory) = (false, true);
    script.try_publish(channel, &unwatched);
    let watched = script.mandatory(channel, "a", b"x");
    script.give_back(1, "a", b"x");
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &[before, watched]), "CC");
    assert_eq!(unclaimed(&mut script, channel), ["x"]);
}

#[test]
fn so_many_returns_are_kept_and_the_rest_is_counted() {
    let (mut script, channel) = script();
    script.core.keep_returns(channel);
    (0..1005).for_each(|_| script.give_back(1, "a", b"x"));
    assert_eq!(script.core.missed_returns(channel), 5);
    assert_eq!(unclaimed(&mut script, channel).len(), 1000);
    // By octets too; one is always kept.
    let large = vec![1; 10 * 1024 * 1024];
    (0..3).for_each(|_| script.give_back(1, "a", &large));
    assert_eq!(unclaimed(&mut script, channel).len(), 1);
    assert_eq!(script.core.missed_returns(channel), 7);
    // Without a handle, nothing is kept.
    script.core.keep_returns(channel);
    assert!(script.core.drop_returns(channel, None).is_none());
    script.give_back(1, "a", b"x");
    assert!(script.core.drop_returns(channel, None).is_some());
    script.give_back(1, "a", b"x");
    assert_eq!(unclaimed(&mut script, channel), [""; 0]);
}

#[test]
fn who_waits_for_a_return_is_woken_by_it_and_by_the_channels_end() {
    let (mut script, channel) = script();
    script.core.keep_returns(channel);
    let (alarm, waker) = Alarm::new();
    let cx = &Context::from_waker(&waker);
    let mut waiter = None;
    assert!(script.core.poll_return(channel, &mut waiter, cx).is_pending());
    script.give_back(1, "a", b"x");
    assert!(alarm.rang());
    assert!(matches!(script.core.poll_return(channel, &mut waiter, cx), Poll::Ready(Some(_))));
    assert!(script.core.poll_return(channel, &mut waiter, cx).is_pending());
    script.give_back(1, "a", b"last");
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert!(alarm.rang());
    assert!(matches!(script.core.poll_return(channel, &mut waiter, cx), Poll::Ready(Some(_))));
    assert!(matches!(script.core.poll_return(channel, &mut waiter, cx), Poll::Ready(None)));
}
