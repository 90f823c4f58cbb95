//! The life of channels: numbers, both sides' closes, who is told, and what is never mixed up.

use super::*;
use crate::error::{CloseReason, Initiator, ServerClose};

fn close_channel(script: &mut Script, channel: ChannelKey) -> CallId {
    let now = script.now();
    let success = ReplyCode::REPLY_SUCCESS;
    let call = script.core.close_channel(channel, CloseReason::ByUser, success, now);
    script.wake();
    call.expect("an open channel")
}

/// The number that the next channel gets.
fn next_number(script: &mut Script) -> u16 {
    let now = script.now();
    script.core.open_channel(now).expect("a free number").1
}

fn is_channel_close(sent: &Sent) -> bool {
    matches!(sent, Sent::Method(_, ToServer::ChannelClose(_)))
}

#[test]
fn a_channel_is_open_when_the_server_agrees() {
    let mut script = Script::open();
    let now = script.now();
    let (channel, number, call) = script.core.open_channel(now).unwrap();
    assert_eq!(number, 1);
    assert!(script.poll_call(call).is_pending());
    script.method(1, channel::OpenOk {});
    assert!(matches!(script.answer(call), Ok(ToClient::ChannelOpenOk(_))));
    assert!(script.core.check_channel(channel).is_ok());
}

#[test]
fn a_number_is_used_again_only_after_our_close_is_answered() {
    let mut script = Script::open();
    let first = script.channel();
    let call = close_channel(&mut script, first);
    assert_eq!(next_number(&mut script), 2);
    script.method(1, channel::CloseOk {});
    assert!(matches!(script.answer(call), Ok(ToClient::ChannelCloseOk(_))));
    assert_eq!(next_number(&mut script), 1);
    assert_eq!(next_number(&mut script), 3);
}

#[test]
fn a_number_that_the_server_closed_is_free_behind_our_answer() {
    let mut script = Script::open();
    script.channel();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(next_number(&mut script), 1);
    assert_eq!(script.sent(), [sent(1, channel::CloseOk {}), sent(1, channel::Open {})]);
}

/// What RabbitMQ may still send behind its `channel.close`: that goes out by another way.
fn late_frames(script: &mut Script) {
    script.deliver(1, "tag", 7, b"late");
    script.deliver(1, "tag", 8, b"");
    script.method(1, basic::Ack { delivery_tag: 1, multiple: false });
}

#[test]
fn what_comes_behind_the_servers_close_disturbs_nobody() {
    let mut script = Script::open();
    let old = script.channel();
    let consumer = script.consume(old, 1, "tag", false);
    let other = script.channel();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    late_frames(&mut script);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
    assert!(script.core.check_channel(other).is_ok());

    // Nor the next channel of that number, which has a consumer of the same tag.
    let now = script.now();
    let (new, number, call) = script.core.open_channel(now).unwrap();
    assert_eq!(number, 1);
    late_frames(&mut script);
    script.method(1, channel::OpenOk {});
    assert!(matches!(script.answer(call), Ok(ToClient::ChannelOpenOk(_))));
    let consumer = script.consume(new, 1, "tag", false);
    script.deliver(1, "tag", 1, b"new");
    assert_eq!(script.delivered(consumer), [1]);
    assert!(script.core.check_channel(other).is_ok());
}

#[test]
fn what_comes_of_the_closed_channel_behind_the_opening_of_the_next_disturbs_nobody() {
    let mut script = Script::open();
    let old = script.channel();
    script.consume(old, 1, "tag", false);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let new = script.channel();
    script.deliver(1, "tag", 7, b"late");
    let now = script.now();
    let (consumer, call) = script.core.consume(new, &consume("tag", false), now).unwrap();
    script.deliver(1, "tag", 8, b"late");
    script.method(1, basic::ConsumeOk { consumer_tag: short("tag") });
    assert!(matches!(script.answer(call), Ok(ToClient::BasicConsumeOk(_))));
    script.deliver(1, "tag", 1, b"new");
    assert_eq!(script.delivered(consumer), [1]);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn what_comes_behind_closes_that_cross_disturbs_nobody() {
    let mut script = Script::open();
    let old = script.channel();
    script.consume(old, 1, "tag", false);
    close_channel(&mut script, old);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.deliver(1, "tag", 7, b"late");
    script.method(1, channel::CloseOk {});
    late_frames(&mut script);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_number_that_was_never_used_is_a_mistake_of_the_servers() {
    let mut script = Script::open();
    script.channel();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.deliver(2, "tag", 1, b"m");
    assert!(script.core.check_open().is_err());
}

#[test]
fn a_closed_channels_handle_never_reaches_the_next_channel_of_its_number() {
    let mut script = Script::open();
    let old = script.channel();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let new = script.channel();
    assert_ne!(old, new);
    let now = script.now();
    let error = script.core.send(old, &basic::Ack { delivery_tag: 1, multiple: false });
    assert_eq!(error.unwrap_err().reply_code(), Some(ReplyCode::NOT_FOUND));
    script.core.release_channel(old, now);
    assert_eq!(script.sent(), []);
    assert!(script.core.check_channel(new).is_ok());
    assert_eq!(next_number(&mut script), 2);
}

#[test]
fn the_servers_close_is_the_cause_of_every_wait_on_the_channel_and_of_no_other() {
    let mut script = Script::open();
    let (failing, other) = (script.channel(), script.channel());
    let now = script.now();
    let consumers = [script.consume(failing, 1, "c", false), script.consume(other, 2, "c", false)];
    let qos = [script.qos(failing), script.qos(failing), script.qos(other)];
    let got = script.core.get(failing, &basic::Get::default(), now).unwrap();
    let places = [script.publish(failing, "q", b"x"), script.publish(other, "q", b"x")];
    script.method(1, channel::Flow { active: false });
    let (alarm, waker) = Alarm::new();
    let (publish, mut waiter) = (message("q", b"x"), None);
    let cx = &Context::from_waker(&waker);
    assert!(script.core.poll_publish(failing, &publish, &mut waiter, cx).is_pending());
    script.sent();

    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(script.sent(), [sent(1, channel::CloseOk {})]);
    let wanted = |error: Error| {
        let Error::ChannelClosed { channel: 1, reason } = &error else { panic!("{error:?}") };
        let Some(ServerClose { code, text, method, .. }) = reason.server_close() else {
            panic!("{reason:?}")
        };
        assert_eq!((*code, text), (ReplyCode::NOT_FOUND, &short("so")));
        assert_eq!(*method, Some(basic::Publish::ID));
        assert_eq!(error.initiator(), Initiator::Server);
    };
    for call in [qos[0], qos[1], got] {
        wanted(script.answer(call).unwrap_err());
    }
    match script.outcome(failing, places[0]) {
        Some(Outcome::Unknown(error)) => wanted(error),
        other => panic!("{other:?}"),
    }
    match script.deliveries(consumers[0]) {
        Poll::Ready(Err(End::Closed(error))) => wanted(error),
        other => panic!("{other:?}"),
    }
    assert!(alarm.rang());
    match script.core.poll_publish(failing, &publish, &mut waiter, cx) {
        Poll::Ready(Err(error)) => wanted(error),
        other => panic!("{other:?}"),
    }
    wanted(script.core.check_channel(failing).unwrap_err());
    wanted(script.core.call(failing, &basic::Qos::default(), now).unwrap_err());
    wanted(script.core.cancel(failing, consumers[0], &short("c"), now).unwrap_err());

    assert!(script.poll_call(qos[2]).is_pending());
    script.method(2, basic::QosOk {});
    assert!(script.answer(qos[2]).is_ok());
    script.ack(2, 1, false);
    assert_eq!(script.outcomes(other, &places[1..]), "C");
    script.deliver(2, "c", 1, b"x");
    assert_eq!(script.delivered(consumers[1]), [1]);
}

#[test]
fn the_server_may_refuse_to_open_a_channel() {
    let mut script = Script::open();
    let now = script.now();
    let (channel, _, call) = script.core.open_channel(now).unwrap();
    script.method(1, channel_close(ReplyCode::RESOURCE_ERROR));
    assert_eq!(script.answer(call).unwrap_err().reply_code(), Some(ReplyCode::RESOURCE_ERROR));
    script.core.release_channel(channel, now);
    assert_eq!(next_number(&mut script), 1);
}

#[test]
fn our_close_ends_calls_and_consumers_at_once_but_still_takes_confirms() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    let qos = script.qos(channel);
    let places = [script.publish(channel, "q", b"x"), script.publish(channel, "q", b"y")];
    script.deliver(1, "c", 1, b"before");
    let closing = close_channel(&mut script, channel);
    assert!(is_channel_close(script.sent().last().unwrap()));
    let is_ours = |error: &Error| error.initiator() == Initiator::User;
    assert!(is_ours(&script.answer(qos).unwrap_err()));
    assert_eq!(script.delivered(consumer), [1]);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(e))) if is_ours(&e)));
    // Everything that was on its way from the server is taken or dropped, whatever it is.
    script.method(1, basic::QosOk {});
    script.deliver(1, "c", 2, b"late");
    script.deliver(1, "c", 3, &[1; 200_000]);
    script.content(1, basic::GetOk::default(), b"late");
    script.method(1, basic::GetEmpty {});
    script.method(1, basic::Cancel { consumer_tag: short("c"), no_wait: true });
    script.method(1, basic::Cancel { consumer_tag: short("c"), no_wait: false });
    script.method(1, channel::Flow { active: false });
    script.ack(1, 1, false);
    assert_eq!(script.sent(), []);
    assert!(script.poll_call(closing).is_pending());
    assert_eq!(script.outcomes(channel, &places), "C-");
    script.method(1, channel::CloseOk {});
    assert!(script.answer(closing).is_ok());
    assert_eq!(script.outcomes(channel, &places[1..]), "U");
    assert!(is_ours(&script.core.check_channel(channel).unwrap_err()));
    assert_eq!(script.sent(), []);
}

#[test]
fn when_both_closes_cross_each_is_answered_and_only_then_the_number_is_free() {
    let mut script = Script::open();
    let channel = script.channel();
    let place = script.publish(channel, "nowhere", b"x");
    script.sent();
    let closing = close_channel(&mut script, channel);
    assert_eq!(script.sent().len(), 1);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(script.sent(), [sent(1, channel::CloseOk {})]);
    assert!(script.poll_call(closing).is_pending());
    assert_eq!(next_number(&mut script), 2);
    script.method(1, channel::CloseOk {});
    assert_eq!(next_number(&mut script), 1);
    // What has failed is told in the server's words.
    assert_eq!(script.answer(closing).unwrap_err().reply_code(), Some(ReplyCode::NOT_FOUND));
    match script.outcome(channel, place) {
        Some(Outcome::Unknown(error)) => {
            assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_servers_close_lets_a_body_under_way_end_first() {
    let mut script = Script::open();
    let (first, second) = (script.channel(), script.channel());
    script.writable = false;
    let place = script.publish(first, "q", &[1; 600_000]);
    script.take_once();
    assert!(script.core.has_output(), "the body is still under way");
    // Behind it, on the same channel: more than goes out, for the server would ignore it.
    script.qos(first);
    let later = script.publish(first, "q", &[2; 100_000]);
    let other = script.publish(second, "q", &[3; 100_000]);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.writable = true;
    let sent_frames = script.sent();
    let body = |channel, octet| {
        let pieces = sent_frames.iter().filter_map(|sent| match sent {
            Sent::Body(number, Octets(octets)) if *number == channel && octets[0] == octet => {
                Some(octets.len())
            }
            _ => None,
        });
        pieces.sum::<usize>()
    };
    assert_eq!((body(1, 1), body(1, 2), body(2, 3)), (600_000, 0, 100_000));
    let on_first: Vec<&Sent> = sent_frames
        .iter()
        .filter(|sent| matches!(sent, Sent::Method(1, _) | Sent::Body(1, _)))
        .collect();
    assert_eq!(on_first.last(), Some(&&sent(1, channel::CloseOk {})));
    let publishes = |sent: &&&Sent| matches!(sent, Sent::Method(1, ToServer::BasicPublish(_)));
    assert_eq!(on_first.iter().filter(publishes).count(), 1);
    assert!(!on_first.iter().any(|sent| matches!(sent, Sent::Method(1, ToServer::BasicQos(_)))));
    assert_eq!(script.outcomes(first, &[place, later]), "UU");
    assert_eq!(script.outcomes(second, &[other]), "-");
}

#[test]
fn a_channel_opened_on_a_number_whose_last_body_is_under_way_waits_its_turn() {
    let mut script = Script::open();
    let first = script.channel();
    script.writable = false;
    script.publish(first, "q", &[1; 600_000]);
    script.take_once();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let now = script.now();
    let (second, number, _) = script.core.open_channel(now).unwrap();
    assert_eq!(number, 1);
    script.publish(second, "q", &[2; 100_000]);
    script.writable = true;
    let kinds: Vec<String> = script
        .sent()
        .iter()
        .map(|sent| match sent {
            Sent::Method(1, method) => method.name().to_owned(),
            Sent::Header { channel: 1, .. } => "header".to_owned(),
            Sent::Body(1, Octets(octets)) => octets[0].to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    kinds.dedup();
    let expected = [
        "confirm.select",
        "basic.publish",
        "header",
        "1",
        "channel.close-ok",
        "channel.open",
        "confirm.select",
        "basic.publish",
        "header",
        "2",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn our_close_goes_out_behind_a_body_under_way() {
    let mut script = Script::open();
    let channel = script.channel();
    script.writable = false;
    script.publish(channel, "q", &[1; 600_000]);
    close_channel(&mut script, channel);
    script.writable = true;
    let sent = script.sent();
    assert!(is_channel_close(sent.last().unwrap()));
    assert!(matches!(sent[sent.len() - 2], Sent::Body(1, _)));
}

#[test]
fn a_close_of_ours_still_behind_a_body_is_given_up_when_the_server_closes() {
    let mut script = Script::open();
    let channel = script.channel();
    script.writable = false;
    script.publish(channel, "q", &[1; 600_000]);
    script.take_once();
    let call = close_channel(&mut script, channel);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.writable = true;
    let sent_frames = script.sent();
    assert_eq!(sent_frames.last(), Some(&sent(1, channel::CloseOk {})));
    assert!(!sent_frames.iter().any(is_channel_close));
    // The server has nothing to answer: nobody waits for it.
    assert_eq!(script.answer(call).unwrap_err().reply_code(), Some(ReplyCode::NOT_FOUND));
    assert_eq!(next_number(&mut script), 1);
}

#[test]
fn room_that_a_crossing_close_makes_wakes_who_waits_for_it() {
    let mut script = Script::open();
    let (first, second) = (script.channel(), script.channel());
    script.writable = false;
    script.publish(first, "q", &[1; 20_000]);
    script.publish(first, "q", &[1; 2_000_000]);
    let (alarm, waker) = Alarm::new();
    let cx = &Context::from_waker(&waker);
    let mut waiter = None;
    let publish = message("q", b"x");
    assert!(script.core.poll_publish(second, &publish, &mut waiter, cx).is_pending());
    close_channel(&mut script, first);
    // Closing wakes everybody, for some wait on this channel; who doesn't waits again.
    alarm.rang();
    assert!(script.core.poll_publish(second, &publish, &mut waiter, cx).is_pending());
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.writable = true;
    script.take();
    assert!(alarm.rang(), "there is room now");
    assert!(script.core.poll_publish(second, &publish, &mut waiter, cx).is_ready());
}

#[test]
fn no_more_channels_than_negotiated() {
    let mut script = Script::open_with(ConnectOptions::default(), (3, 0, 0));
    let channels = [script.channel(), script.channel(), script.channel()];
    let now = script.now();
    let error = script.core.open_channel(now).unwrap_err();
    assert!(matches!(error, Error::TooManyChannels { limit: 3 }));
    assert_eq!(script.sent(), []);
    close_channel(&mut script, channels[1]);
    assert!(script.core.open_channel(now).is_err());
    script.method(2, channel::CloseOk {});
    assert_eq!(next_number(&mut script), 2);
}

#[test]
fn all_65535_channels_can_be_open() {
    let options = ConnectOptions::default().channel_max(0);
    let mut script = Script::open_with(options, (0, 0, 0));
    let now = script.now();
    for expected in 1..=65535 {
        let (_, number, _) = script.core.open_channel(now).unwrap();
        assert_eq!(number, expected);
    }
    let error = script.core.open_channel(now).unwrap_err();
    assert!(matches!(error, Error::TooManyChannels { limit: 65535 }));
}

#[test]
fn a_dropped_channel_is_closed_and_its_place_given_back() {
    let mut script = Script::open();
    for _ in 0..3 {
        let channel = script.channel();
        let now = script.now();
        script.core.release_channel(channel, now);
        assert!(is_channel_close(&script.sent()[0]));
        script.method(1, channel::CloseOk {});
        assert_eq!(script.core.channels.keys(), []);
        assert_eq!(script.core.next_deadline(script.now()), None, "nobody waits for the answer");
    }
}

#[test]
fn a_channel_dropped_after_the_server_closed_it_leaves_nothing() {
    let mut script = Script::open();
    let channel = script.channel();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.sent();
    let now = script.now();
    script.core.release_channel(channel, now);
    assert_eq!(script.core.channels.keys(), []);
    assert_eq!(script.sent(), []);
}

#[test]
fn a_channel_dropped_while_it_closes_is_not_closed_twice() {
    for server_closes_too in [false, true] {
        let mut script = Script::open();
        let channel = script.channel();
        close_channel(&mut script, channel);
        let now = script.now();
        script.core.release_channel(channel, now);
        assert_eq!(script.sent().len(), 1);
        if server_closes_too {
            script.method(1, channel_close(ReplyCode::NOT_FOUND));
            assert_eq!(script.sent(), [sent(1, channel::CloseOk {})]);
        }
        assert_eq!(next_number(&mut script), 2);
        script.method(1, channel::CloseOk {});
        assert_eq!(script.core.channels.keys().len(), 1);
        assert_eq!(next_number(&mut script), 1);
    }
}

#[test]
fn a_channel_dropped_before_it_opened_is_closed_and_its_late_opening_ignored() {
    let mut script = Script::open();
    let now = script.now();
    let (channel, _, call) = script.core.open_channel(now).unwrap();
    script.core.abandon_call(channel, call, true);
    script.core.release_channel(channel, now);
    assert_eq!(script.sent().len(), 2);
    script.method(1, channel::OpenOk {});
    assert_eq!(next_number(&mut script), 2);
    script.method(1, channel::CloseOk {});
    assert_eq!(next_number(&mut script), 1);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn the_end_of_a_close_that_is_never_answered_is_its_deadline() {
    let mut script = Script::open();
    let channel = script.channel();
    let place = script.publish(channel, "q", b"x");
    let call = close_channel(&mut script, channel);
    script.advance(30 * SECOND);
    assert!(matches!(script.answer(call), Err(Error::Timeout { method: "channel.close", .. })));
    assert_eq!(script.outcomes(channel, &[place]), "U");
    assert!(script.core.check_open().is_ok());
    // The answer comes after all: only now may the number be used again.
    assert_eq!(next_number(&mut script), 2);
    script.method(1, channel::CloseOk {});
    assert_eq!(next_number(&mut script), 1);
}
