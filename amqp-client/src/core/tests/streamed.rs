//! Bodies that come piece by piece: what waits meanwhile, and what becomes of those that never end.

use super::*;
use crate::error::CloseReason;

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open_with(ConnectOptions::default(), (0, 4096, 0));
    let channel = script.channel();
    (script, channel)
}

/// A body that is being fed.
struct Feeder {
    channel: ChannelKey,
    wait: PublishWait,
    alarm: Arc<Alarm>,
    waker: Waker,
    epoch: u32,
}

impl Feeder {
    /// Begins a body of `body_size` octets with its first three.
    fn begin(script: &mut Script, channel: ChannelKey, body_size: u64) -> Self {
        let mut feeder = Self::new(channel);
        assert!(matches!(feeder.poll_begin(script, body_size), Poll::Ready(Ok(_))));
        feeder
    }

    fn new(channel: ChannelKey) -> Self {
        let (alarm, waker) = Alarm::new();
        Self { channel, wait: PublishWait::default(), alarm, waker, epoch: 0 }
    }

    fn poll_begin(&mut self, script: &mut Script, body_size: u64) -> Poll<Result<u32, Error>> {
        let cx = &Context::from_waker(&self.waker);
        let mut message = message("q", b"abc");
        message.method.mandatory = true;
        let (channel, terms) = (self.channel, (Terms::default(), None));
        let wait = &mut self.wait;
        let begun = script.core.poll_begin_body(channel, &message, body_size, terms, wait, cx);
        if let Poll::Ready(Ok(epoch)) = begun {
            self.epoch = epoch;
        }
        begun
    }

    fn feed(
        &mut self,
        script: &mut Script,
        octets: &[u8],
    ) -> Poll<Result<Option<Published>, Error>> {
        let cx = &Context::from_waker(&self.waker);
        let mut piece = Bytes::copy_from_slice(octets);
        let now = script.now();
        let fed =
            script.core.poll_feed(self.channel, self.epoch, &mut piece, now, &mut self.wait, cx);
        script.wake();
        fed
    }

    /// Feeds the last piece.
    fn finish(&mut self, script: &mut Script, octets: &[u8]) -> ConfirmKey {
        match self.feed(script, octets) {
            Poll::Ready(Ok(Some(Published::Confirm(place)))) => place,
            other => panic!("{other:?}"),
        }
    }
}

/// The channel and size of each body frame, and 0 for any other.
fn order(sent: &[Sent]) -> Vec<(u16, usize)> {
    sent.iter()
        .map(|sent| match sent {
            Sent::Body(channel, Octets(octets)) => (*channel, octets.len()),
            Sent::Method(channel, _) | Sent::Header { channel, .. } => (*channel, 0),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn the_pieces_go_out_as_they_come_and_all_else_of_the_channel_waits() {
    let (mut script, channel) = script();
    let other = script.channel();
    let mut feeder = Feeder::begin(&mut script, channel, 10_003);
    assert_eq!(order(&script.sent()), [(1, 0), (1, 0), (1, 0), (1, 3)]);
    // Publishing waits; methods queue up; other channels don't.
    let cx = &Context::from_waker(Waker::noop());
    let mut waiter = None;
    let (alarm, waker) = Alarm::new();
    let waiting = &Context::from_waker(&waker);
    let behind = message("q", b"behind");
    assert!(script.core.poll_publish(channel, &behind, &mut waiter, waiting).is_pending());
    let mut send = None;
    let reject = basic::Reject { delivery_tag: 1, requeue: true };
    assert!(script.core.poll_send(channel, &reject, &mut send, cx).is_pending());
    let call = script.qos(channel);
    let publish = script.publish(other, "q", b"x");
    assert_eq!(publish.delivery_tag, 1);
    assert_eq!(order(&script.sent()), [(2, 0), (2, 0), (2, 0), (2, 1)]);
    assert!(matches!(feeder.feed(&mut script, &[1; 5000]), Poll::Ready(Ok(None))));
    assert_eq!(order(&script.sent()), [(1, 4088), (1, 912)]);
    assert!(!script.core.has_output(), "there is nothing to write, whatever waits");
    let place = feeder.finish(&mut script, &[2; 5000]);
    assert_eq!(place.delivery_tag, 1);
    assert!(alarm.rang());
    assert_eq!(order(&script.sent()), [(1, 4088), (1, 912), (1, 0)]);
    script.method(1, basic::QosOk {});
    assert!(script.answer(call).is_ok());
    match script.core.poll_publish(channel, &behind, &mut waiter, waiting) {
        Poll::Ready(Ok(Some(place))) => assert_eq!(place.delivery_tag, 2),
        other => panic!("{other:?}"),
    }
    script.ack(1, 2, true);
    assert_eq!(script.outcomes(channel, &[place]), "C");
}

#[test]
fn it_comes_back_as_any_other_message() {
    let (mut script, channel) = script();
    let (first, body) = ([b'x'; 5000], [b'x'; 10_000]);
    let mut message = message("q", &first);
    message.method.mandatory = true;
    let mut feeder = Feeder::new(channel);
    let cx = &Context::from_waker(Waker::noop());
    let terms = (Terms::default(), None);
    let wait = &mut feeder.wait;
    assert!(script.core.poll_begin_body(channel, &message, 10_000, terms, wait, cx).is_ready());
    let place = feeder.finish(&mut script, &body[5000..]);
    let shorter = script.mandatory(channel, "q", &body[1..]);
    script.sent();
    script.give_back(1, "q", &body);
    script.ack(1, 2, true);
    assert_eq!(script.outcomes(channel, &[place, shorter]), "RC");
}

#[test]
fn its_time_for_the_confirm_begins_with_its_end() {
    let (mut script, channel) = script();
    let mut feeder = Feeder::begin(&mut script, channel, 6);
    script.advance(1000 * SECOND);
    let place = feeder.finish(&mut script, b"def");
    script.advance(29 * SECOND);
    assert_eq!(script.outcomes(channel, &[place]), "-");
    script.advance(SECOND);
    assert_eq!(script.outcomes(channel, &[place]), "U");
}

#[test]
fn the_source_waits_while_the_socket_takes_no_more() {
    let (mut script, channel) = script();
    script.writable = false;
    let mut feeder = Feeder::begin(&mut script, channel, 10_000_000);
    let mut pieces = 0;
    while feeder.feed(&mut script, &[1; 60_000]).is_ready() {
        pieces += 1;
        assert!(pieces < 10, "there is no limit");
    }
    assert!(!feeder.alarm.rang());
    script.take_once();
    assert!(feeder.alarm.rang());
    assert!(feeder.feed(&mut script, &[1; 60_000]).is_ready());
}

#[test]
fn one_that_never_ends_costs_its_channel_and_no_other() {
    for answered in [false, true] {
        let (mut script, channel) = script();
        let other = script.channel();
        let before = script.publish(channel, "q", b"x");
        let mut feeder = Feeder::begin(&mut script, channel, 10_003);
        let call = script.qos(channel);
        assert!(feeder.feed(&mut script, &[1; 5000]).is_ready());
        script.sent();
        assert!(feeder.feed(&mut script, &[1; 4000]).is_ready());
        script.core.forget_publish(&mut feeder.wait);
        script.core.abandon_body(channel, feeder.epoch);
        script.wake();
        let error = script.answer(call).unwrap_err();
        assert!(matches!(error.close_reason(), Some(CloseReason::BodyUnfinished)), "{error}");
        assert_eq!(script.outcomes(channel, &[before]), "U");
        assert!(script.core.check_channel(channel).is_err());
        // Not another frame of it, whatever the server says.
        script.ack(1, 1, false);
        script.give_back(1, "q", b"x");
        script.method(1, basic::QosOk {});
        script.method(1, channel::Flow { active: false });
        if answered {
            script.method(1, channel_close(ReplyCode::NOT_FOUND));
        }
        assert_eq!(script.sent(), []);
        // The number isn't given out again.
        let now = script.now();
        script.core.release_channel(channel, now);
        assert_eq!(script.sent(), []);
        let third = script.channel();
        assert_eq!(script.core.check_channel(third).map_err(drop), Ok(()));
        let place = script.publish(other, "q", b"x");
        script.ack(2, 1, false);
        assert_eq!(script.outcomes(other, &[place]), "C");
        script.core.close(CloseReason::ByUser, now);
        assert!(matches!(
            script.sent().last(),
            Some(Sent::Method(0, ToServer::ConnectionClose(_)))
        ));
    }
}

#[test]
fn a_channel_that_the_server_closes_in_the_middle_is_given_up() {
    let (mut script, channel) = script();
    let mut feeder = Feeder::begin(&mut script, channel, 10_003);
    script.sent();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(script.sent(), [], "an answer would be in the middle of the content");
    match feeder.feed(&mut script, b"more") {
        Poll::Ready(Err(error)) => assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND)),
        other => panic!("{other:?}"),
    }
    script.core.abandon_body(channel, feeder.epoch);
    assert_eq!(script.sent(), []);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_close_of_ours_waits_for_the_rest() {
    let (mut script, channel) = script();
    let mut feeder = Feeder::begin(&mut script, channel, 6);
    let (now, code) = (script.now(), ReplyCode::REPLY_SUCCESS);
    let close = script.core.close_channel(channel, CloseReason::ByUser, code, now).unwrap();
    script.sent();
    let place = feeder.finish(&mut script, b"def");
    assert_eq!(order(&script.sent()), [(1, 3), (1, 0)]);
    script.ack(1, 1, false);
    script.method(1, channel::CloseOk {});
    assert!(script.answer(close).is_ok());
    assert_eq!(script.outcomes(channel, &[place]), "C");
}

#[test]
fn the_end_of_the_connection_ends_it() {
    for case in 0..3 {
        let (mut script, channel) = script();
        script.writable = false;
        let mut feeder = Feeder::begin(&mut script, channel, 10_000_000);
        while feeder.feed(&mut script, &[1; 60_000]).is_ready() {}
        let now = script.now();
        match case {
            0 => script.core.lose(CloseReason::Eof),
            1 => script.method(0, connection_close(ReplyCode::CONNECTION_FORCED)),
            _ => script.core.close(CloseReason::ByUser, now),
        }
        script.wake();
        assert!(feeder.alarm.rang(), "case {case}");
        assert!(matches!(feeder.feed(&mut script, b"x"), Poll::Ready(Err(_))), "case {case}");
        script.core.abandon_body(channel, feeder.epoch);
        script.writable = true;
        script.sent();
    }
}

#[test]
fn a_channel_that_consumes_does_not_begin() {
    let (mut script, channel) = script();
    script.consume(channel, 1, "c", false);
    let mut feeder = Feeder::new(channel);
    let begun = feeder.poll_begin(&mut script, 10);
    assert!(matches!(begun, Poll::Ready(Err(Error::ChannelConsumes { channel: 1 }))));
    assert_eq!(script.sent(), []);
}

#[test]
fn it_begins_when_there_is_room() {
    let (mut script, channel) = script();
    script.method(0, connection::Blocked::default());
    let mut feeder = Feeder::new(channel);
    assert!(feeder.poll_begin(&mut script, 6).is_pending());
    assert_eq!(script.sent(), []);
    script.method(0, connection::Unblocked {});
    assert!(feeder.alarm.rang());
    assert!(feeder.poll_begin(&mut script, 6).is_ready());
    // A second one waits for the first.
    let mut second = Feeder::new(channel);
    assert!(second.poll_begin(&mut script, 6).is_pending());
    assert_eq!(feeder.finish(&mut script, b"def").delivery_tag, 1);
    assert!(second.alarm.rang());
    assert!(second.poll_begin(&mut script, 6).is_ready());
    assert_eq!(second.finish(&mut script, b"def").delivery_tag, 2);
}

#[test]
fn a_channel_that_was_given_up_is_opened_again_by_another_number() {
    let (mut script, channel) = script();
    let mut feeder = Feeder::begin(&mut script, channel, 10_003);
    assert!(feeder.feed(&mut script, b"more").is_ready());
    script.sent();
    script.core.abandon_body(channel, feeder.epoch);
    let now = script.now();
    let wanted = crate::core::reopen::Wanted::default();
    let call = script.core.reopen(channel, wanted, now).unwrap();
    assert_eq!(script.sent(), [sent(2, channel::Open {})]);
    script.method(2, channel::OpenOk {});
    assert!(matches!(script.poll_call(call), Poll::Ready(Ok(_))));
    let place = script.publish(channel, "q", b"x");
    // What is still said by the old number is nobody's.
    script.give_back(1, "q", b"x");
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.method(1, channel::CloseOk {});
    script.ack(2, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "C");
    assert!(feeder.feed(&mut script, b"more").is_ready(), "it ended with its instance");
    assert!(script.sent().iter().all(|sent| matches!(
        sent,
        Sent::Method(2, _) | Sent::Header { channel: 2, .. } | Sent::Body(2, _)
    )));
}

#[test]
fn a_body_of_an_earlier_instance_touches_no_other() {
    let (mut script, channel) = script();
    let mut former = Feeder::begin(&mut script, channel, 10_003);
    script.sent();
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let now = script.now();
    let wanted = crate::core::reopen::Wanted::default();
    let call = script.core.reopen(channel, wanted, now).unwrap();
    script.method(2, channel::OpenOk {});
    assert!(matches!(script.poll_call(call), Poll::Ready(Ok(_))));
    let mut feeder = Feeder::begin(&mut script, channel, 6);
    script.sent();
    // Its source was slow: it learns only now what happened.
    match former.feed(&mut script, b"old") {
        Poll::Ready(Err(Error::ChannelClosed { reason, .. })) => {
            assert!(matches!(*reason, CloseReason::BodyUnfinished), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    script.core.abandon_body(channel, former.epoch);
    assert!(script.core.check_channel(channel).is_ok());
    assert_eq!(feeder.finish(&mut script, b"def").delivery_tag, 1);
    assert_eq!(script.sent(), [Sent::Body(2, Octets(b"def".to_vec()))]);
}

#[test]
fn who_waits_to_go_on_has_the_socket_read() {
    let (mut script, channel) = script();
    script.writable = false;
    let mut feeder = Feeder::begin(&mut script, channel, 10_000_000);
    script.core.reading = false;
    script.core.attention = false;
    while feeder.feed(&mut script, &[1; 60_000]).is_ready() {}
    assert!(script.core.attention, "a server may write before it reads on");
}

#[test]
fn consumers_of_a_channel_that_was_given_up_start_again() {
    let (mut script, channel) = script();
    let mut feeder = Feeder::begin(&mut script, channel, 10_003);
    let consume = consume("c", false);
    let consumer = script.core.consume_no_wait(channel, &consume).unwrap();
    script.core.forget_publish(&mut feeder.wait);
    script.core.abandon_body(channel, feeder.epoch);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
    script.sent();
    let (now, wanted) = (script.now(), crate::core::Wanted { modes: false, consumers: true });
    let call = script.core.reopen(channel, wanted, now).unwrap();
    script.method(2, channel::OpenOk {});
    assert_eq!(script.sent(), [sent(2, channel::Open {}), sent(2, consume)]);
    script.method(2, basic::ConsumeOk { consumer_tag: short("c") });
    match script.poll_call(call) {
        Poll::Ready(Ok(Answer::Reopened(reopened))) => assert_eq!(reopened.restored, ["c"]),
        other => panic!("{other:?}"),
    }
    script.deliver(2, "c", 1, b"x");
    assert_eq!(script.delivered(consumer), [1]);
}
