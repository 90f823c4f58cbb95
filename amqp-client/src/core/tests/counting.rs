//! Counters: each counts what it says, once.

use super::*;
use crate::core::Wanted;
use crate::counters::Counters;

fn counters(script: &mut Script) -> Counters {
    let now = script.now();
    script.core.counters(now)
}

fn settle(script: &mut Script, channel: ChannelKey, tag: u64, multiple: bool, ack: bool) {
    let epoch = script.core.channels.get_mut(channel).unwrap().epoch;
    let settled = match ack {
        true => {
            let ack = basic::Ack { delivery_tag: tag, multiple };
            script.core.settle(channel, (epoch, tag), multiple, &ack)
        }
        false => {
            let nack = basic::Nack { delivery_tag: tag, multiple, requeue: true };
            script.core.settle(channel, (epoch, tag), multiple, &nack)
        }
    };
    settled.unwrap();
}

#[test]
fn each_message_is_counted_once_on_its_way() {
    let mut script = Script::open();
    let (one, other) = (script.channel(), script.channel());
    for _ in 0..6 {
        let _ = script.publish(one, "q", b"x");
    }
    script.unwatched(one, "q", b"x");
    let _ = script.mandatory(one, "nowhere", b"x");
    script.unwatched(other, "q", b"x");
    script.ack(1, 2, true);
    script.ack(1, 2, true);
    script.nack(1, 3, false);
    script.give_back(1, "nowhere", b"x");
    script.ack(1, 8, false);
    script.ack(1, 7, false);
    let Counters { published, confirmed, nacked, returned, unconfirmed, unknown, .. } =
        script.core.channel_counters(one);
    assert_eq!((published, confirmed, nacked, returned), (8, 3, 1, 1));
    assert_eq!((unconfirmed, unknown), (3, 0));
    assert_eq!(script.core.channel_counters(other).published, 1);
    assert_eq!(script.core.channel_counters(other).unconfirmed, 0);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let all = counters(&mut script);
    assert_eq!((all.published, all.unconfirmed, all.unknown, all.channels), (9, 0, 3, 1));

    // Another instance goes on counting, and a channel that is gone still counts.
    let now = script.now();
    let call = script.core.reopen(one, Wanted::default(), now).unwrap();
    script.method(1, channel::OpenOk {});
    assert!(script.poll_call(call).is_ready());
    let place = script.publish(one, "q", b"x");
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(one, &[place]), "C");
    let expected = Counters { published: 10, confirmed: 4, ..counters(&mut script) };
    assert_eq!(counters(&mut script), expected);
    assert_eq!(script.core.channel_counters(one).unknown, 3);
    script.core.release_channel(one, now);
    script.method(1, channel::CloseOk {});
    let all = counters(&mut script);
    assert_eq!((all.published, all.confirmed, all.nacked, all.unknown), (10, 4, 1, 3));
    assert_eq!((all.returned, all.channels), (1, 1));
}

#[test]
fn each_delivery_is_counted_once_however_it_is_settled() {
    let mut script = Script::open();
    let channel = script.channel();
    script.consume(channel, 1, "a", false);
    script.consume(channel, 1, "no", true);
    for tag in 1..=20 {
        // Every fourth needs no acknowledgement.
        script.deliver(1, if tag % 4 == 0 { "no" } else { "a" }, tag, b"x");
    }
    let look = |script: &mut Script| {
        let counters = script.core.channel_counters(channel);
        (counters.delivered, counters.acked, counters.rejected, counters.unsettled)
    };
    assert_eq!(look(&mut script), (20, 0, 0, 15));
    settle(&mut script, channel, 6, false, true);
    settle(&mut script, channel, 2, false, false);
    assert_eq!(look(&mut script), (20, 1, 1, 13));
    settle(&mut script, channel, 10, true, true);
    assert_eq!(look(&mut script), (20, 7, 1, 7));
    // What is settled already is not counted again.
    settle(&mut script, channel, 9, false, true);
    settle(&mut script, channel, 15, true, false);
    assert_eq!(look(&mut script), (20, 7, 5, 3));
    let now = script.now();
    script.core.call(channel, &basic::Recover { requeue: true }, now).unwrap();
    script.method(1, basic::RecoverOk {});
    assert_eq!(look(&mut script), (20, 7, 5, 0));
    script.deliver(1, "a", 21, b"x");
    assert_eq!(look(&mut script), (21, 7, 5, 1));
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(look(&mut script), (21, 7, 5, 0));
}

#[test]
fn octets_frames_calls_and_blocks_are_counted() {
    for step in [1, 5, usize::MAX] {
        let mut script = Script::open();
        script.step = step;
        let channel = script.channel();
        let before = counters(&mut script);
        let call = script.qos(channel);
        script.publish(channel, "q", &[1; 300_000]);
        let sent: Vec<_> = script.sent();
        let after = counters(&mut script);
        assert_eq!(after.calls - before.calls, 1);
        assert_eq!(after.frames_out - before.frames_out, sent.len() as u64);
        let octets: usize = sent
            .iter()
            .map(|sent| match sent {
                Sent::Body(_, Octets(octets)) => octets.len() + 8,
                _ => 0,
            })
            .sum();
        let out = after.octets_out - before.octets_out;
        assert!(out > octets as u64 && out < octets as u64 + 200, "{out}");
        // Half a frame counts when it comes.
        let ok = method_frame(1, &basic::QosOk {});
        script.feed(&ok[..5]);
        script.feed(&ok[5..]);
        assert!(script.answer(call).is_ok());
        let end = counters(&mut script);
        assert_eq!(end.octets_in - after.octets_in, ok.len() as u64, "step {step}");
        assert_eq!(end.frames_in - after.frames_in, 1);
    }
    let mut script = Script::open();
    script.method(0, connection::Blocked { reason: short("memory") });
    script.advance(3 * SECOND);
    assert_eq!(counters(&mut script).blocked, 3 * SECOND);
    script.method(0, connection::Unblocked {});
    script.advance(SECOND);
    script.method(0, connection::Blocked { reason: short("disk") });
    script.advance(2 * SECOND);
    assert_eq!(counters(&mut script).blocked, 5 * SECOND);
}

#[test]
fn an_idle_channel_stays_small() {
    // Of the kilobyte that one may cost, with its handle and its place in the tables.
    let size = size_of::<crate::core::Channel>();
    assert!(size <= 896, "{size} octets");
}
