//! Confirms: which publish has which outcome.

use super::*;
use crate::error::{CloseReason, Violation};
use crate::publish::Outcome;

/// A connection with one channel, number 1.
fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

/// As [`script`], with `count` messages published.
fn published(count: usize) -> (Script, ChannelKey, Vec<ConfirmKey>) {
    let (mut script, channel) = script();
    let places = (0..count).map(|_| script.publish(channel, "q", b"x")).collect();
    script.sent();
    (script, channel, places)
}

#[test]
fn the_first_watched_publish_selects_confirms_and_tags_count_from_one() {
    let (mut script, channel) = script();
    script.unwatched(channel, "q", b"not counted");
    let first = script.publish(channel, "q", b"first");
    script.unwatched(channel, "q", b"counted");
    let third = script.publish(channel, "q", b"third");
    assert_eq!((first.delivery_tag, third.delivery_tag), (1, 3));
    let methods: Vec<ToServer> = script
        .sent()
        .into_iter()
        .filter_map(|sent| match sent {
            Sent::Method(1, method) => Some(method),
            _ => None,
        })
        .collect();
    let select = amqp091::protocol::confirm::Select { no_wait: true };
    let publish = || ToServer::from(publish_to("q"));
    assert_eq!(methods, [publish(), select.into(), publish(), publish(), publish()]);
    script.ack(1, 2, false);
    assert_eq!(script.outcomes(channel, &[first, third]), "--");
    script.ack(1, 3, false);
    assert_eq!(script.outcomes(channel, &[first, third]), "-C");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[first]), "C");
}

#[test]
fn single_confirms_in_any_order_meet_their_own_publish() {
    let (mut script, channel, places) = published(6);
    script.ack(1, 4, false);
    assert_eq!(script.outcomes(channel, &places), "---C--");
    script.nack(1, 2, false);
    script.ack(1, 6, false);
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &places), "CN---C");
    script.nack(1, 3, false);
    script.ack(1, 5, false);
    assert_eq!(script.outcomes(channel, &places), "--N-C-");
}

#[test]
fn a_multiple_confirm_settles_all_up_to_its_tag_that_are_not_settled_yet() {
    let (mut script, channel, places) = published(6);
    script.nack(1, 2, false);
    script.ack(1, 4, true);
    assert_eq!(script.outcomes(channel, &places), "CNCC--");
    script.nack(1, 6, true);
    assert_eq!(script.outcomes(channel, &places), "----NN");
}

#[test]
fn tag_zero_multiple_settles_all_outstanding() {
    let (mut script, channel, places) = published(3);
    script.ack(1, 0, true);
    assert_eq!(script.outcomes(channel, &places), "CCC");
    let later = script.publish(channel, "q", b"x");
    script.nack(1, 0, true);
    assert_eq!(script.outcomes(channel, &[later]), "N");
    // Nothing outstanding: nothing to say, nothing to complain of.
    script.ack(1, 0, true);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_second_confirm_of_the_same_tag_changes_nothing() {
    let (mut script, channel, places) = published(3);
    script.ack(1, 2, false);
    script.nack(1, 2, false);
    script.nack(1, 2, true);
    script.ack(1, 1, true);
    assert_eq!(script.outcomes(channel, &places), "NC-");
    script.ack(1, 3, false);
    script.nack(1, 3, true);
    assert_eq!(script.outcomes(channel, &places), "--C");
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_confirm_of_a_tag_never_published_ends_the_connection() {
    for (tag, multiple) in [(3, false), (3, true), (u64::MAX, false), (u64::MAX, true)] {
        let (mut script, channel, places) = published(2);
        script.ack(1, tag, multiple);
        assert_eq!(script.gave_up_with(), ReplyCode::NOT_ALLOWED);
        for place in places {
            let Some(Outcome::Unknown(error)) = script.outcome(channel, place) else {
                panic!("no outcome can be known")
            };
            let reason = error.close_reason();
            assert!(
                matches!(reason, Some(CloseReason::Violation(Violation::UnknownConfirm { delivery_tag, .. })) if *delivery_tag == tag)
            );
        }
    }
}

#[test]
fn a_confirm_on_a_channel_without_confirms_ends_the_connection() {
    let (mut script, channel) = script();
    script.unwatched(channel, "q", b"x");
    script.ack(1, 1, false);
    assert_eq!(script.gave_up_with(), ReplyCode::NOT_ALLOWED);
}

#[test]
fn channels_number_their_messages_apart() {
    let (mut script, first) = script();
    let second = script.channel();
    let a = script.publish(first, "q", b"a");
    let b = script.publish(second, "q", b"b");
    assert_eq!((a.delivery_tag, b.delivery_tag), (1, 1));
    script.nack(2, 1, false);
    assert_eq!(script.outcomes(first, &[a]), "-");
    assert_eq!(script.outcomes(second, &[b]), "N");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(first, &[a]), "C");
}

#[test]
fn a_dropped_confirm_leaves_its_tag_and_the_others_alone() {
    let (mut script, channel, places) = published(4);
    script.core.forget_confirm(channel, places[0]);
    script.core.forget_confirm(channel, places[2]);
    // The places are free and are given to others; what is still to come for the old ones isn't theirs.
    let later = [script.publish(channel, "q", b"x"), script.publish(channel, "q", b"x")];
    script.nack(1, 1, false);
    script.nack(1, 3, false);
    assert_eq!(script.outcomes(channel, &later), "--");
    script.ack(1, 6, true);
    assert_eq!(script.outcomes(channel, &later), "CC");
    assert_eq!(script.outcomes(channel, &[places[1], places[3]]), "CC");
}

#[test]
fn a_confirm_that_is_dropped_with_its_outcome_there_frees_its_place_for_another() {
    let (mut script, channel, places) = published(2);
    script.nack(1, 2, false);
    script.core.forget_confirm(channel, places[1]);
    let later = script.publish(channel, "q", b"x");
    assert_eq!(script.outcomes(channel, &[places[0], later]), "--");
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &[places[0], later]), "CC");
}

#[test]
fn places_are_used_again_however_their_confirms_end() {
    let (mut script, channel) = script();
    for tag in 1..=4 {
        let place = script.publish(channel, "q", b"x");
        assert!(format!("{place:?}").contains("slot: 0"), "{place:?}");
        match tag {
            1 => script.core.forget_confirm(channel, place),
            2 => {
                script.ack(1, 2, true);
                script.core.forget_confirm(channel, place);
            }
            _ => {
                script.ack(1, tag, true);
                assert_eq!(script.outcomes(channel, &[place]), "C");
            }
        }
    }
}

#[test]
fn the_waiting_task_is_woken_by_its_own_confirm_only() {
    let (mut script, channel, places) = published(2);
    let (alarm, waker) = Alarm::new();
    let cx = Context::from_waker(&waker);
    assert!(script.core.poll_confirm(channel, places[1], &cx).is_pending());
    script.ack(1, 1, false);
    assert!(!alarm.rang());
    script.ack(1, 2, false);
    assert!(alarm.rang());
    assert!(matches!(
        script.core.poll_confirm(channel, places[1], &cx),
        Poll::Ready(Outcome::Confirmed)
    ));
}

#[test]
fn an_overdue_confirm_is_unknown_and_its_late_answer_is_nobodys() {
    let (mut script, channel, places) = published(2);
    script.advance(20 * SECOND);
    let later = script.publish(channel, "q", b"x");
    script.advance(10 * SECOND);
    for place in places {
        let outcome = script.outcome(channel, place);
        assert!(matches!(
            outcome,
            Some(Outcome::Unknown(Error::Timeout { method: "basic.publish", after }))
                if after == 30 * SECOND
        ));
    }
    assert_eq!(script.outcomes(channel, &[later]), "-");
    script.nack(1, 1, false);
    script.nack(1, 2, true);
    assert_eq!(script.outcomes(channel, &[later]), "-");
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &[later]), "C");
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn a_confirm_is_overdue_not_a_moment_before_its_time() {
    let (mut script, channel, places) = published(1);
    script.advance(30 * SECOND - Duration::from_nanos(1));
    assert_eq!(script.outcomes(channel, &places), "-");
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.outcomes(channel, &places), "U");
}

#[test]
fn time_in_which_the_server_blocks_us_does_not_count_for_confirms() {
    let (mut script, channel, places) = published(1);
    script.advance(10 * SECOND);
    script.method(0, connection::Blocked { reason: short("low on memory") });
    script.advance(1000 * SECOND);
    // Said twice, the block has still begun the first time.
    script.method(0, connection::Blocked { reason: short("low on disk") });
    script.advance(1000 * SECOND);
    // Nothing is due, but the shell may look for other reasons.
    let now = script.now();
    script.core.handle_timeout(now);
    assert_eq!(script.outcomes(channel, &places), "-");
    script.method(0, connection::Unblocked {});
    script.advance(20 * SECOND - Duration::from_nanos(1));
    assert_eq!(script.outcomes(channel, &places), "-");
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.outcomes(channel, &places), "U");
}

#[test]
fn a_confirm_comes_through_while_the_server_blocks_us() {
    let (mut script, channel, places) = published(1);
    script.method(0, connection::Blocked { reason: short("low on memory") });
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &places), "C");
}

#[test]
fn a_channel_opened_in_a_dropped_ones_place_has_its_block_counted_once() {
    let (mut script, first) = script();
    let _ = script.publish(first, "q", b"x");
    let now = script.now();
    script.core.release_channel(first, now);
    script.sent();
    script.method(1, channel::CloseOk {});
    let second = script.channel();
    assert_eq!(second, first, "the place is taken again");
    let place = script.publish(second, "q", b"x");
    script.advance(SECOND);
    script.method(0, connection::Blocked { reason: short("low on memory") });
    script.advance(100 * SECOND);
    script.method(0, connection::Unblocked {});
    script.advance(29 * SECOND);
    assert_eq!(script.outcomes(second, &[place]), "U");
}

#[test]
fn a_message_that_does_not_encode_takes_no_tag_and_leaves_nothing_behind() {
    let mut script = Script::open_with(ConnectOptions::default(), (0, 4096, 0));
    let channel = script.channel();
    let properties =
        [f64::NAN.into(), amqp091::types::Value::from("long ".repeat(1000))].map(|value| {
            basic::Properties::default().with_headers([(short("k"), value)].into_iter().collect())
        });
    for body in [&b"small"[..], &[7; 100_000]] {
        for persistent in [false, true] {
            let errors = [&properties[0], &properties[1]].map(|properties| {
                let properties = Some(properties);
                let message = Message { properties, persistent, ..message("q", body) };
                script.core.publish(channel, &message).unwrap_err()
            });
            assert!(matches!(
                errors,
                [Error::Encode(_), Error::FrameTooLarge { octets: 5000.., frame_max: 4096, .. }]
            ));
            assert_eq!(script.sent(), []);
        }
    }
    let place = script.publish(channel, "q", b"x");
    assert_eq!(place.delivery_tag, 1);
    assert_eq!(script.sent().len(), 4, "confirm.select, publish, header, body");
}
