//! Windows: how many messages may be unconfirmed, who waits for room, and what became of them all.

use std::collections::HashMap;

use super::*;
use crate::core::{Counted, TallyKey};
use crate::error::CloseReason;
use crate::publish::{BatchOutcome, PublishError};

fn script(limit: usize) -> (Script, ChannelKey, TallyKey) {
    let mut script = Script::open();
    let channel = script.channel();
    let tally = script.core.open_tally(limit, limit);
    (script, channel, tally)
}

/// A publish within a window.
struct Publisher {
    channel: ChannelKey,
    tally: TallyKey,
    wait: PublishWait,
    terms: Terms,
    alarm: Arc<Alarm>,
    waker: Waker,
}

impl Publisher {
    fn new(channel: ChannelKey, tally: TallyKey) -> Self {
        let (alarm, waker) = Alarm::new();
        let (wait, terms) = (PublishWait::default(), Terms::default());
        Self { channel, tally, wait, terms, alarm, waker }
    }

    fn poll(&mut self, script: &mut Script, mandatory: bool) -> Poll<Result<u64, Error>> {
        let cx = &Context::from_waker(&self.waker);
        let mut message = message("q", b"x");
        message.method.mandatory = mandatory;
        let message = &Counted { message: &message, tally: self.tally };
        let (terms, wait) = ((self.terms, Some(script.now())), &mut self.wait);
        let published = script.core.poll_publish_by(self.channel, message, terms, wait, cx);
        script.wake();
        published.map_ok(|published| match published {
            Published::Counted(number) => number,
            other => panic!("{other:?} isn't counted"),
        })
    }
}

/// Publishes within the window at once.
fn publish(script: &mut Script, channel: ChannelKey, tally: TallyKey) -> u64 {
    match Publisher::new(channel, tally).poll(script, false) {
        Poll::Ready(Ok(number)) => number,
        other => panic!("{other:?}"),
    }
}

/// Begins to wait for room.
fn waiting(script: &mut Script, channel: ChannelKey, tally: TallyKey) -> Publisher {
    let mut publisher = Publisher::new(channel, tally);
    assert!(publisher.poll(script, false).is_pending(), "it must wait");
    publisher
}

fn settled(script: &mut Script, tally: TallyKey) -> Option<BatchOutcome> {
    let cx = &Context::from_waker(Waker::noop());
    match script.core.poll_settled(tally, &mut None, cx) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

/// Sent, confirmed, and number and kind of what failed.
fn figures(outcome: &BatchOutcome) -> (u64, u64, Vec<(u64, char)>) {
    let kind = |error: &PublishError| match error {
        PublishError::Returned(_) => 'R',
        PublishError::Nacked => 'N',
        PublishError::Unknown(_) => 'U',
    };
    let failed = outcome.failed.iter().map(|(number, error)| (*number, kind(error))).collect();
    (outcome.sent, outcome.confirmed, failed)
}

#[test]
fn no_more_than_the_limit_are_outstanding_and_each_confirm_lets_one_more_out() {
    let (mut script, channel, tally) = script(3);
    assert_eq!([0; 3].map(|_| publish(&mut script, channel, tally)), [0, 1, 2]);
    let mut queue: Vec<_> = (0..3).map(|_| waiting(&mut script, channel, tally)).collect();
    assert_eq!(script.core.outstanding(tally), 3);
    for (of, expected) in (0..3).zip(3..) {
        script.ack(1, of + 1, false);
        let rang: Vec<bool> = queue.iter().map(|publisher| publisher.alarm.rang()).collect();
        // One place, one woken: the first that asked.
        assert_eq!(rang.iter().filter(|&&rang| rang).count(), 1);
        assert!(rang[0]);
        let mut first = queue.remove(0);
        assert!(matches!(first.poll(&mut script, false), Poll::Ready(Ok(n)) if n == expected));
    }
    assert!(settled(&mut script, tally).is_none());
    script.ack(1, 6, true);
    assert_eq!(figures(&settled(&mut script, tally).unwrap()), (6, 6, vec![]));
    assert_eq!(figures(&settled(&mut script, tally).unwrap()), (0, 0, vec![]));
    assert_eq!(publish(&mut script, channel, tally), 6, "numbers go on");
}

#[test]
fn who_comes_later_waits_behind_those_who_wait() {
    let (mut script, channel, tally) = script(1);
    publish(&mut script, channel, tally);
    let mut first = waiting(&mut script, channel, tally);
    script.ack(1, 1, false);
    assert!(first.alarm.rang());
    let mut second = waiting(&mut script, channel, tally);
    assert!(matches!(first.poll(&mut script, false), Poll::Ready(Ok(1))));
    assert!(!second.alarm.rang());
    script.ack(1, 2, false);
    assert!(second.alarm.rang());
    assert!(matches!(second.poll(&mut script, false), Poll::Ready(Ok(2))));
}

#[test]
fn a_place_whose_owner_gives_up_goes_to_the_next() {
    for granted in [false, true] {
        let (mut script, channel, tally) = script(1);
        publish(&mut script, channel, tally);
        let mut first = waiting(&mut script, channel, tally);
        let mut second = waiting(&mut script, channel, tally);
        if granted {
            script.ack(1, 1, false);
            assert!(first.alarm.rang());
        }
        script.core.forget_publish(&mut first.wait);
        script.wake();
        if !granted {
            script.ack(1, 1, false);
        }
        assert!(second.alarm.rang());
        assert!(!first.alarm.rang() || granted);
        assert!(matches!(second.poll(&mut script, false), Poll::Ready(Ok(1))));
    }
}

#[test]
fn a_multiple_confirm_wakes_as_many_as_it_makes_room_for() {
    let (mut script, channel, tally) = script(4);
    assert_eq!([0; 4].map(|_| publish(&mut script, channel, tally)), [0, 1, 2, 3]);
    let queue: Vec<_> = (0..10).map(|_| waiting(&mut script, channel, tally)).collect();
    script.ack(1, 3, true);
    let rang: Vec<bool> = queue.iter().map(|publisher| publisher.alarm.rang()).collect();
    assert_eq!(rang, [[true; 3].as_slice(), &[false; 7]].concat());
}

#[test]
fn what_failed_is_known_by_its_number_whoever_else_publishes() {
    let (mut script, channel, tally) = script(100);
    let mut numbers = HashMap::new();
    for tag in 1..=20 {
        // Others publish on the channel too.
        if tag % 3 == 0 {
            script.publish(channel, "q", b"x");
        } else {
            numbers.insert(tag, publish(&mut script, channel, tally));
        }
    }
    for tag in [3, 5, 10, 17, 18] {
        script.nack(1, tag, false);
    }
    script.ack(1, 20, true);
    let expected = [5, 10, 17].map(|tag| (numbers[&tag], 'N')).to_vec();
    let sent = numbers.len() as u64;
    assert_eq!(figures(&settled(&mut script, tally).unwrap()), (sent, sent - 3, expected));
}

#[test]
fn runs_that_are_over_with_are_forgotten() {
    let (mut script, channel, tally) = script(100);
    for tag in 0..1000 {
        publish(&mut script, channel, tally);
        script.publish(channel, "q", b"x");
        script.ack(1, tag * 2 + 2, tag % 7 == 0);
    }
    script.nack(1, 1999, false);
    assert!(script.core.tallies.runs(tally) < 200);
    script.ack(1, 0, true);
    let outcome = settled(&mut script, tally).unwrap();
    assert_eq!(outcome.failed.len(), 1);
    assert_eq!(outcome.failed[0].0, 999);
}

#[test]
fn a_returned_message_is_a_failure_with_the_message() {
    let (mut script, channel, tally) = script(10);
    publish(&mut script, channel, tally);
    assert!(Publisher::new(channel, tally).poll(&mut script, true).is_ready());
    script.give_back(1, "q", b"x");
    script.ack(1, 2, true);
    assert_eq!(figures(&settled(&mut script, tally).unwrap()), (2, 1, vec![(1, 'R')]));
}

#[test]
fn a_window_full_of_failures_takes_no_more_until_they_are_taken() {
    let (mut script, channel, tally) = script(2);
    publish(&mut script, channel, tally);
    publish(&mut script, channel, tally);
    let mut queued = waiting(&mut script, channel, tally);
    script.nack(1, 2, true);
    assert!(queued.alarm.rang());
    for publisher in [&mut queued, &mut Publisher::new(channel, tally)] {
        match publisher.poll(&mut script, false) {
            Poll::Ready(Err(Error::WindowFailed { failed: 2 })) => {}
            other => panic!("{other:?}"),
        }
        script.core.forget_publish(&mut publisher.wait);
    }
    assert_eq!(figures(&script.core.take_outcome(tally)), (2, 0, vec![(0, 'N'), (1, 'N')]));
    assert_eq!(publish(&mut script, channel, tally), 2);
}

#[test]
fn a_full_window_waits_only_so_long() {
    let (mut script, channel, tally) = script(1);
    publish(&mut script, channel, tally);
    let mut publisher = Publisher::new(channel, tally);
    publisher.terms.publish = Some(SECOND);
    assert!(publisher.poll(&mut script, false).is_pending());
    script.advance(SECOND);
    assert!(publisher.alarm.rang());
    let error = publisher.poll(&mut script, false);
    assert!(matches!(error, Poll::Ready(Err(Error::PublishTimeout { .. }))), "{error:?}");
    script.core.forget_publish(&mut publisher.wait);
    script.ack(1, 1, false);
    assert_eq!(publish(&mut script, channel, tally), 1);
}

#[test]
fn the_end_of_its_channel_or_connection_ends_every_wait_of_a_window() {
    for case in 0..4 {
        let (mut script, channel, tally) = script(2);
        publish(&mut script, channel, tally);
        publish(&mut script, channel, tally);
        script.ack(1, 1, false);
        publish(&mut script, channel, tally);
        let mut queued = waiting(&mut script, channel, tally);
        let (alarm, waker) = Alarm::new();
        let cx = &Context::from_waker(&waker);
        assert!(script.core.poll_settled(tally, &mut None, cx).is_pending());
        let now = script.now();
        match case {
            0 => script.method(1, channel_close(ReplyCode::NOT_FOUND)),
            1 => script.method(0, connection_close(ReplyCode::CONNECTION_FORCED)),
            2 => script.core.lose(CloseReason::Eof),
            _ => {
                script.core.close(CloseReason::ByUser, now);
                script.method(0, connection::CloseOk {});
            }
        }
        script.wake();
        assert!(queued.alarm.rang() && alarm.rang(), "case {case}");
        assert!(matches!(queued.poll(&mut script, false), Poll::Ready(Err(_))), "case {case}");
        let outcome = settled(&mut script, tally).expect("nothing is outstanding");
        assert_eq!(figures(&outcome), (3, 1, vec![(1, 'U'), (2, 'U')]), "case {case}");
    }
}

#[test]
fn a_blocked_connection_lets_a_window_wait_too() {
    let (mut script, channel, tally) = script(2);
    script.method(0, connection::Blocked::default());
    let mut publisher = waiting(&mut script, channel, tally);
    script.method(0, connection::Unblocked {});
    assert!(publisher.alarm.rang());
    assert!(matches!(publisher.poll(&mut script, false), Poll::Ready(Ok(0))));
}

#[test]
fn a_window_that_is_gone_leaves_no_trace_once_its_messages_are_settled() {
    let (mut script, channel, first) = script(5);
    publish(&mut script, channel, first);
    script.core.release_tally(first);
    // Its place isn't taken while a confirm for it may come.
    let second = script.core.open_tally(5, 5);
    assert_ne!(first, second);
    publish(&mut script, channel, second);
    script.nack(1, 2, true);
    assert_eq!(figures(&settled(&mut script, second).unwrap()), (1, 0, vec![(0, 'N')]));
    assert_eq!(script.core.open_tally(5, 5), first);
}

#[test]
fn who_gives_up_its_place_in_time_leaves_it_to_the_next_though_its_future_is_kept() {
    let (mut script, channel, tally) = script(1);
    publish(&mut script, channel, tally);
    let mut first = Publisher::new(channel, tally);
    first.terms.publish = Some(SECOND);
    assert!(first.poll(&mut script, false).is_pending());
    let mut second = waiting(&mut script, channel, tally);
    // The place is the first one's, which can't use it.
    script.method(0, connection::Blocked::default());
    script.ack(1, 1, false);
    assert!(first.alarm.rang() && first.poll(&mut script, false).is_pending());
    script.advance(SECOND);
    assert!(first.alarm.rang());
    assert!(matches!(
        first.poll(&mut script, false),
        Poll::Ready(Err(Error::PublishTimeout { .. }))
    ));
    script.method(0, connection::Unblocked {});
    assert!(second.alarm.rang());
    assert!(matches!(second.poll(&mut script, false), Poll::Ready(Ok(1))));
}

#[test]
fn those_who_wait_are_told_of_each_stop() {
    let (mut script, channel, tally) = script(1);
    for round in 0..3 {
        publish(&mut script, channel, tally);
        let mut queue: Vec<_> = (0..3).map(|_| waiting(&mut script, channel, tally)).collect();
        script.nack(1, round + 1, false);
        for publisher in &mut queue {
            assert!(publisher.alarm.rang());
            let failed = publisher.poll(&mut script, false);
            assert!(matches!(failed, Poll::Ready(Err(Error::WindowFailed { failed: 1 }))));
        }
        assert_eq!(script.core.take_outcome(tally).failed.len(), 1);
    }
}
