//! A closed channel that is opened again: what the new instance has, what the old one leaves, and every
//! way in which it can go wrong on the way.

use amqp091::protocol::{confirm, tx};

use super::*;
use crate::core::Wanted;
use crate::error::{CloseReason, Initiator};
use crate::reopen::Reopened;

const NOTHING: Wanted = Wanted { modes: false, consumers: false };
const ALL: Wanted = Wanted { modes: true, consumers: true };

impl Script {
    fn reopen(&mut self, channel: ChannelKey, wanted: Wanted) -> CallId {
        let now = self.now();
        let call = self.core.reopen(channel, wanted, now).expect("the connection is open");
        self.wake();
        call
    }

    fn reopened(&mut self, call: CallId) -> Result<Reopened, Error> {
        match self.poll_call(call) {
            Poll::Ready(Ok(Answer::Reopened(reopened))) => Ok(*reopened),
            Poll::Ready(Err(error)) => Err(error),
            other => panic!("{other:?} instead of the outcome"),
        }
    }

    /// Lets the server close the channel over what it was asked for by `basic.publish`.
    fn close_by_server(&mut self, number: u16) {
        self.method(number, channel_close(ReplyCode::NOT_FOUND));
        assert_eq!(self.sent().pop(), Some(sent(number, channel::CloseOk {})));
    }

    /// Lets the server refuse a consumer.
    fn refuse_consumer(&mut self, number: u16) {
        let close = channel::Close {
            class_id: basic::Consume::ID.class_id,
            method_id: basic::Consume::ID.method_id,
            ..channel_close(ReplyCode::NOT_FOUND)
        };
        self.method(number, close);
    }

    fn settle(&mut self, channel: ChannelKey, tag: (u32, u64)) -> Result<Vec<Sent>, Error> {
        let ack = basic::Ack { delivery_tag: tag.1, multiple: false };
        self.core.settle(channel, tag, false, &ack)?;
        Ok(self.sent())
    }

    /// The delivery tags, with their epochs, of what was delivered since the last look.
    fn tags(&mut self, consumer: ConsumerKey) -> Vec<(u32, u64)> {
        match self.deliveries(consumer) {
            Poll::Ready(Ok(batch)) => {
                batch.iter().map(|incoming| (incoming.epoch, incoming.delivery_tag)).collect()
            }
            Poll::Pending => Vec::new(),
            Poll::Ready(Err(end)) => panic!("the consumer ended: {end:?}"),
        }
    }

    fn is_ended(&mut self, consumer: ConsumerKey) -> bool {
        matches!(self.deliveries(consumer), Poll::Ready(Err(End::Closed(_))))
    }
}

fn consume_ok(tag: &str) -> basic::ConsumeOk {
    basic::ConsumeOk { consumer_tag: short(tag) }
}

fn qos(count: u16, global: bool) -> basic::Qos {
    basic::Qos { prefetch_size: 0, prefetch_count: count, global }
}

fn code(error: &Error) -> Option<ReplyCode> {
    assert!(matches!(error, Error::ChannelClosed { .. }), "{error:?}");
    error.reply_code()
}

#[test]
fn a_closed_channel_works_again_with_its_old_number_and_nothing_of_the_old_instance() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"old");
    let [old] = script.tags(consumer)[..] else { panic!("one delivery") };
    let place = script.publish(channel, "q", b"x");
    script.close_by_server(1);

    let call = script.reopen(channel, NOTHING);
    assert_eq!(script.sent(), [sent(1, channel::Open {})]);
    // Until the server agrees, it is closed as it was.
    assert_eq!(code(&script.core.check_channel(channel).unwrap_err()), Some(ReplyCode::NOT_FOUND));
    assert!(script.core.publish(channel, &message("q", b"x")).is_err());
    assert!(script.poll_call(call).is_pending());
    script.method(1, channel::OpenOk {});
    let Reopened { restored, failed } = script.reopened(call).unwrap();
    assert!(restored.is_empty() && failed.is_empty());
    assert!(script.core.check_channel(channel).is_ok());
    assert_eq!(script.sent(), []);

    // Confirms begin again, in normal mode, and the old outcome is still there.
    assert_eq!(script.core.mode(channel), crate::mode::ChannelMode::Normal);
    let new = script.publish(channel, "q", b"y");
    assert_eq!((new.delivery_tag, new.epoch), (1, 1));
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place, new]), "UC");
    // Its delivery was another channel's; the same tag of the new one is not touched.
    script.sent();
    let error = script.settle(channel, old).unwrap_err();
    assert!(matches!(error, Error::StaleDelivery { channel: 1, delivery_tag: 1 }), "{error:?}");
    assert_eq!(script.sent(), []);
    // The consumer stays ended, and its tag is free.
    assert!(script.is_ended(consumer) && script.core.is_consumer_over(consumer));
    let again = script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"new");
    assert_eq!(script.tags(again), [(1, 1)]);
    let ack = basic::Ack { delivery_tag: 1, multiple: false };
    assert_eq!(script.settle(channel, (1, 1)).unwrap(), [sent(1, ack)]);
    // Dropping the old consumer's handle touches nothing of the new one.
    let now = script.now();
    script.core.release_consumer(channel, consumer, (&short("c"), false), [incoming(1)], now);
    assert_eq!(script.sent(), []);
}

#[test]
fn outcomes_of_many_instances_wait_to_be_fetched_and_leave_nothing() {
    let mut script = Script::open();
    let channel = script.channel();
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(script.publish(channel, "q", b"x"));
        places.push(script.publish(channel, "q", b"y"));
        script.ack(1, 1, false);
        script.close_by_server(1);
        let call = script.reopen(channel, NOTHING);
        script.method(1, channel::OpenOk {});
        script.reopened(call).unwrap();
    }
    let forgotten = places.pop().unwrap();
    assert_eq!(script.outcomes(channel, &places), "CUCUCUCUC");
    assert_eq!(script.core.channels.get_mut(channel).unwrap().former.len(), 1);
    script.core.forget_confirm(channel, forgotten);
    assert!(script.core.channels.get_mut(channel).unwrap().former.is_empty());
}

#[test]
fn the_modes_come_back_before_anybody_may_use_the_channel() {
    for tx in [false, true] {
        let mut script = Script::open();
        let channel = script.channel();
        let now = script.now();
        for (count, global) in [(5, false), (50, true), (6, false)] {
            script.core.call(channel, &qos(count, global), now).unwrap();
        }
        if tx {
            script.core.call(channel, &tx::Select {}, now).unwrap();
        } else {
            script.core.call(channel, &confirm::Select { no_wait: false }, now).unwrap();
        }
        script.core.call(channel, &channel::Flow { active: false }, now).unwrap();
        script.sent();
        script.close_by_server(1);
        let call = script.reopen(channel, Wanted { modes: true, consumers: false });
        script.sent();
        script.method(1, channel::OpenOk {});
        let select = match tx {
            true => sent(1, tx::Select {}),
            false => sent(1, confirm::Select { no_wait: false }),
        };
        let flow = sent(1, channel::Flow { active: false });
        assert_eq!(script.sent(), [sent(1, qos(6, false)), sent(1, qos(50, true)), select, flow]);
        script.method(1, basic::QosOk {});
        script.method(1, basic::QosOk {});
        if tx {
            script.method(1, tx::SelectOk {});
        } else {
            script.method(1, confirm::SelectOk {});
        }
        assert!(script.core.check_channel(channel).is_err());
        assert!(script.poll_call(call).is_pending());
        script.method(1, channel::FlowOk { active: false });
        assert!(script.reopened(call).is_ok());
        assert!(script.core.check_channel(channel).is_ok());
        let mode = script.core.mode(channel);
        assert_eq!(mode == crate::mode::ChannelMode::Transaction, tx);
        assert_eq!(mode == crate::mode::ChannelMode::Confirm, !tx);
    }
}

#[test]
fn consumers_go_on_with_their_tags_and_prefetch() {
    let mut script = Script::open();
    let channel = script.channel();
    let now = script.now();
    script.core.call(channel, &qos(5, false), now).unwrap();
    let a = script.consume(channel, 1, "a", false);
    let b = script.consume(channel, 1, "b", true);
    script.core.coalesce_acks(channel, 2, SECOND);
    script.core.call(channel, &qos(7, false), now).unwrap();
    let c = script.consume(channel, 1, "c", false);
    let dropped = script.consume(channel, 1, "dropped", false);
    // Of what waits to be fetched, one comes again and one doesn't.
    script.deliver(1, "a", 1, b"again");
    script.deliver(1, "b", 2, b"once");
    script.close_by_server(1);
    script.core.release_consumer(channel, dropped, (&short("dropped"), false), [], now);
    assert!(script.is_ended(c));

    let call = script.reopen(channel, ALL);
    script.sent();
    script.method(1, channel::OpenOk {});
    assert_eq!(script.sent(), [sent(1, qos(7, false))]);
    script.method(1, basic::QosOk {});
    assert!(script.core.check_channel(channel).is_ok());
    assert_eq!(script.sent(), [sent(1, qos(5, false))]);
    script.method(1, basic::QosOk {});
    assert_eq!(script.sent(), [sent(1, consume("a", false))]);
    // Deliveries come right behind.
    let mut frames = method_frame(1, &consume_ok("a"));
    frames.extend(content_frames(1, &delivery("a", 1), b"new", 131_072));
    script.feed(&frames);
    assert_eq!(script.sent(), [sent(1, consume("b", true))]);
    script.method(1, consume_ok("b"));
    assert_eq!(script.sent(), [sent(1, qos(7, false))]);
    script.method(1, basic::QosOk {});
    assert_eq!(script.sent(), [sent(1, consume("c", false))]);
    assert!(script.poll_call(call).is_pending());
    script.method(1, consume_ok("c"));
    let Reopened { restored, failed } = script.reopened(call).unwrap();
    assert_eq!(restored, ["a", "b", "c"].map(short));
    assert!(failed.is_empty());
    assert_eq!(script.sent(), []);

    // An end that nobody has seen is still told, once.
    assert!(script.is_ended(a));
    assert_eq!(script.tags(a), [(1, 1)], "what had come before comes again");
    assert_eq!(script.tags(b), [(0, 2)], "nobody sends this again");
    assert!(script.is_ended(b));
    assert!(!script.core.is_consumer_over(a) && !script.core.is_consumer_over(c));
    for (tag, consumer) in [("a", a), ("b", b), ("c", c)] {
        script.deliver(1, tag, 9, b"more");
        assert_eq!(script.tags(consumer), [(1, 9)]);
    }
    assert_eq!(script.core.consumers.octets(), 0);
    // Acknowledgements wait as they did.
    assert_eq!(script.settle(channel, (1, 1)).unwrap(), []);
    assert_eq!(script.settle(channel, (1, 9)).unwrap().len(), 2);
    // And it all works once more.
    script.close_by_server(1);
    assert!(script.is_ended(a) && script.core.is_consumer_over(a));
}

#[test]
fn what_the_server_refuses_is_reported_and_the_rest_goes_on() {
    let mut script = Script::open();
    let channel = script.channel();
    let [a, b, c] = ["a", "b", "c"].map(|tag| script.consume(channel, 1, tag, false));
    script.close_by_server(1);
    let call = script.reopen(channel, ALL);
    script.method(1, channel::OpenOk {});
    script.method(1, consume_ok("a"));
    assert_eq!(script.sent().pop(), Some(sent(1, consume("b", false))));
    script.deliver(1, "a", 1, b"of an instance in between");
    script.refuse_consumer(1);
    assert_eq!(script.sent(), [sent(1, channel::CloseOk {}), sent(1, channel::Open {})]);
    script.method(1, channel::OpenOk {});
    assert_eq!(script.sent(), [sent(1, consume("a", false))]);
    script.method(1, consume_ok("a"));
    assert_eq!(script.sent(), [sent(1, consume("c", false))]);
    // The last one is refused, too.
    script.refuse_consumer(1);
    script.method(1, channel::OpenOk {});
    script.method(1, consume_ok("a"));
    let Reopened { restored, failed } = script.reopened(call).unwrap();
    assert_eq!(restored, [short("a")]);
    let failed: Vec<_> = failed
        .iter()
        .map(|failed| (failed.consumer_tag.clone(), failed.queue.clone(), code(&failed.error)))
        .collect();
    let not_found = Some(ReplyCode::NOT_FOUND);
    assert_eq!(failed, [(short("b"), short("q"), not_found), (short("c"), short("q"), not_found)]);
    assert!(script.core.check_channel(channel).is_ok());
    script.deliver(1, "a", 1, b"new");
    // First the end of the life before this one.
    assert!(script.is_ended(a));
    assert_eq!(script.tags(a), [(3, 1)]);
    for ended in [b, c] {
        assert!(script.is_ended(ended) && script.core.is_consumer_over(ended));
    }
    // Their tags are free.
    script.consume(channel, 1, "b", false);
}

#[test]
fn a_close_for_another_reason_on_the_way_is_the_outcome() {
    // How far it has come: open, modes, consumers.
    for stage in 0..3 {
        let mut script = Script::open();
        let channel = script.channel();
        let now = script.now();
        script.core.call(channel, &qos(5, true), now).unwrap();
        script.method(1, basic::QosOk {});
        let consumer = script.consume(channel, 1, "c", false);
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        if stage >= 1 {
            script.method(1, channel::OpenOk {});
        }
        if stage >= 2 {
            script.method(1, basic::QosOk {});
            assert_eq!(script.sent().pop(), Some(sent(1, consume("c", false))));
        }
        script.method(1, channel_close(ReplyCode::PRECONDITION_FAILED));
        let error = script.reopened(call).unwrap_err();
        assert_eq!(code(&error), Some(ReplyCode::PRECONDITION_FAILED), "stage {stage}");
        let error = script.core.check_channel(channel).unwrap_err();
        assert_eq!(code(&error), Some(ReplyCode::PRECONDITION_FAILED));
        assert!(script.is_ended(consumer));
        script.sent();
        // Nothing is lost of what could be restored: another attempt does.
        let call = script.reopen(channel, ALL);
        script.method(1, channel::OpenOk {});
        assert_eq!(script.sent(), [sent(1, channel::Open {}), sent(1, qos(5, true))]);
        script.method(1, basic::QosOk {});
        script.method(1, consume_ok("c"));
        assert_eq!(script.reopened(call).unwrap().restored, [short("c")], "stage {stage}");
    }
}

#[test]
fn tasks_that_want_the_same_wait_together_and_an_open_channel_is_left_alone() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.close_by_server(1);
    let calls = [
        script.reopen(channel, NOTHING),
        script.reopen(channel, Wanted { consumers: true, ..NOTHING }),
        script.reopen(channel, NOTHING),
    ];
    // One gives up.
    script.core.abandon_call(channel, calls[0], true);
    script.method(1, channel::OpenOk {});
    script.method(1, consume_ok("c"));
    assert_eq!(script.sent(), [sent(1, channel::Open {}), sent(1, consume("c", false))]);
    for call in &calls[1..] {
        assert_eq!(script.reopened(*call).unwrap().restored, [short("c")]);
    }
    let call = script.reopen(channel, ALL);
    assert!(script.reopened(call).unwrap().restored.is_empty());
    assert_eq!(script.sent(), []);
    script.deliver(1, "c", 1, b"x");
    assert!(script.is_ended(consumer));
    assert_eq!(script.tags(consumer), [(1, 1)]);
}

#[test]
fn an_end_that_was_not_fetched_is_told_before_what_comes_after_it() {
    for no_ack in [false, true] {
        let mut script = Script::open();
        let channel = script.channel();
        let consumer = script.consume(channel, 1, "c", no_ack);
        let epoch = script.core.consumer_epoch(consumer);
        assert!(epoch.is(0));
        script.deliver(1, "c", 1, b"old");
        script.deliver(1, "c", 2, b"older than the end");
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        script.method(1, channel::OpenOk {});
        assert!(epoch.is(0));
        script.method(1, consume_ok("c"));
        assert_eq!(script.reopened(call).unwrap().restored, [short("c")]);
        assert!(epoch.is(1));
        script.deliver(1, "c", 1, b"new");
        if no_ack {
            assert_eq!(script.tags(consumer), [(0, 1), (0, 2)]);
        }
        assert!(script.is_ended(consumer));
        assert!(!script.core.is_consumer_over(consumer));
        assert_eq!(script.tags(consumer), [(1, 1)]);
        assert_eq!(script.tags(consumer), []);
        assert_eq!(script.core.consumers.octets(), 0);
    }
}

#[test]
fn it_is_gone_through_with_when_nobody_waits_any_more() {
    for drop_at in 0..4 {
        let mut script = Script::open();
        let channel = script.channel();
        let [a, b] = ["a", "b"].map(|tag| script.consume(channel, 1, tag, false));
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        let steps: [&dyn Fn(&mut Script); 3] = [
            &|script| script.method(1, channel::OpenOk {}),
            &|script| script.method(1, consume_ok("a")),
            &|script| script.method(1, consume_ok("b")),
        ];
        for (step, take) in steps.iter().enumerate() {
            if step == drop_at {
                script.core.abandon_call(channel, call, true);
            }
            take(&mut script);
        }
        if drop_at == 3 {
            script.core.abandon_call(channel, call, true);
        }
        assert!(script.core.check_channel(channel).is_ok());
        for (tag, consumer) in [("a", a), ("b", b)] {
            assert!(script.is_ended(consumer));
            script.deliver(1, tag, 1, b"x");
            assert_eq!(script.tags(consumer), [(1, 1)]);
        }
        let now = script.now();
        assert_eq!(script.core.next_deadline(now), None, "nothing is waited for");
    }
}

#[test]
fn a_server_that_never_answers_ends_the_wait_and_may_still_answer() {
    let mut script = Script::open();
    let channel = script.channel();
    script.close_by_server(1);
    let call = script.reopen(channel, NOTHING);
    script.advance(60 * SECOND);
    let error = script.reopened(call).unwrap_err();
    assert!(matches!(error, Error::Timeout { method: "channel.open", .. }), "{error:?}");
    assert!(script.core.check_channel(channel).is_err());
    let call = script.reopen(channel, NOTHING);
    assert_eq!(script.sent(), [sent(1, channel::Open {})], "once is enough");
    script.method(1, channel::OpenOk {});
    assert!(script.reopened(call).is_ok());
}

#[test]
fn a_taken_number_is_replaced_by_another_and_none_left_is_an_error() {
    let mut script = Script::open_with(ConnectOptions::default(), (2, 131_072, 0));
    let first = script.channel();
    script.close_by_server(1);
    let second = script.channel();
    let call = script.reopen(first, NOTHING);
    assert_eq!(script.sent(), [sent(2, channel::Open {})]);
    script.method(2, channel::OpenOk {});
    assert!(script.reopened(call).is_ok());
    assert_eq!(script.core.channel_number(first), 2);
    let now = script.now();
    script.core.send(first, &basic::Ack::default()).unwrap();
    assert_eq!(script.sent(), [sent(2, basic::Ack::default())]);
    // Both numbers are taken when a third wants one.
    script.close_by_server(2);
    let third = script.channel();
    let call = script.reopen(first, NOTHING);
    let error = script.reopened(call).unwrap_err();
    assert!(matches!(error, Error::TooManyChannels { limit: 2 }), "{error:?}");
    assert_eq!(code(&script.core.check_channel(first).unwrap_err()), Some(ReplyCode::NOT_FOUND));
    script.core.release_channel(second, now);
    script.method(1, channel::CloseOk {});
    let call = script.reopen(first, NOTHING);
    script.method(1, channel::OpenOk {});
    assert!(script.reopened(call).is_ok());
    assert_eq!([first, third].map(|channel| script.core.channel_number(channel)), [1, 2]);
}

#[test]
fn while_our_close_is_still_to_be_answered_it_waits() {
    let close = |script: &mut Script, channel| {
        let (now, success) = (script.now(), ReplyCode::REPLY_SUCCESS);
        script.core.close_channel(channel, CloseReason::ByUser, success, now).unwrap()
    };
    // The server answers, or closes at the same time.
    for crossing in [false, true] {
        let mut script = Script::open();
        let channel = script.channel();
        let consumer = script.consume(channel, 1, "c", false);
        let closing = close(&mut script, channel);
        let call = script.reopen(channel, ALL);
        if crossing {
            script.method(1, channel_close(ReplyCode::NOT_FOUND));
        }
        assert!(!script.sent().contains(&sent(1, channel::Open {})));
        script.method(1, channel::CloseOk {});
        assert_eq!(script.answer(closing).is_ok(), !crossing);
        assert_eq!(script.sent(), [sent(1, channel::Open {})]);
        script.method(1, channel::OpenOk {});
        script.method(1, consume_ok("c"));
        assert_eq!(script.reopened(call).unwrap().restored, [short("c")]);
        assert!(script.core.check_channel(channel).is_ok());
        assert!(!script.core.is_consumer_over(consumer));
    }
}

#[test]
fn our_close_on_the_way_ends_it() {
    for stage in 0..2 {
        let mut script = Script::open();
        let channel = script.channel();
        script.consume(channel, 1, "c", false);
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        if stage == 1 {
            script.method(1, channel::OpenOk {});
        }
        let (now, success) = (script.now(), ReplyCode::REPLY_SUCCESS);
        let closing = script.core.close_channel(channel, CloseReason::ByUser, success, now);
        let error = script.reopened(call).unwrap_err();
        assert_eq!(error.initiator(), Initiator::User, "{error:?}");
        assert!(matches!(script.sent().pop(), Some(Sent::Method(1, ToServer::ChannelClose(_)))));
        // What was on its way is nobody's.
        if stage == 0 {
            script.method(1, channel::OpenOk {});
        } else {
            script.method(1, consume_ok("c"));
            script.deliver(1, "c", 1, b"x");
        }
        script.method(1, channel::CloseOk {});
        assert!(script.answer(closing.unwrap()).is_ok());
        assert!(script.core.check_open().is_ok());
        assert!(script.core.check_channel(channel).is_err());
    }
}

#[test]
fn a_channel_that_is_dropped_on_the_way_is_closed_and_leaves_nothing() {
    for stage in 0..3 {
        let mut script = Script::open();
        let channel = script.channel();
        let consumer = script.consume(channel, 1, "c", false);
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        if stage >= 1 {
            script.method(1, channel::OpenOk {});
        }
        if stage == 2 {
            script.method(1, consume_ok("c"));
        }
        let now = script.now();
        script.core.abandon_call(channel, call, true);
        script.core.release_consumer(channel, consumer, (&short("c"), false), [], now);
        script.core.release_channel(channel, now);
        assert!(matches!(script.sent().pop(), Some(Sent::Method(1, ToServer::ChannelClose(_)))));
        script.method(1, channel::CloseOk {});
        assert!(script.core.channels.get_mut(channel).is_none());
        assert!(script.core.check_open().is_ok());
        let next = script.channel();
        assert_eq!(script.core.channel_number(next), 1);
    }
}

#[test]
fn a_consumer_whose_handle_is_dropped_on_the_way_is_cancelled() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.close_by_server(1);
    let call = script.reopen(channel, ALL);
    script.method(1, channel::OpenOk {});
    let now = script.now();
    script.core.release_consumer(channel, consumer, (&short("c"), false), [], now);
    script.sent();
    let mut frames = method_frame(1, &consume_ok("c"));
    frames.extend(content_frames(1, &delivery("c", 1), b"x", 131_072));
    script.feed(&frames);
    let cancel = basic::Cancel { consumer_tag: short("c"), no_wait: false };
    let reject = basic::Reject { delivery_tag: 1, requeue: true };
    assert_eq!(script.sent(), [sent(1, cancel), sent(1, reject)]);
    assert!(script.reopened(call).is_ok());
    script.method(1, basic::CancelOk { consumer_tag: short("c") });
    assert!(script.core.check_channel(channel).is_ok());
}

#[test]
fn the_connections_end_is_its_end() {
    for stage in 0..3 {
        let mut script = Script::open();
        let channel = script.channel();
        script.consume(channel, 1, "c", false);
        if stage == 0 {
            let (now, success) = (script.now(), ReplyCode::REPLY_SUCCESS);
            script.core.close_channel(channel, CloseReason::ByUser, success, now).unwrap();
        } else {
            script.close_by_server(1);
        }
        let call = script.reopen(channel, ALL);
        if stage == 2 {
            script.method(1, channel::OpenOk {});
        }
        script.core.lose(CloseReason::Eof);
        let error = script.reopened(call).unwrap_err();
        assert!(
            matches!(&error, Error::ConnectionClosed(reason) if matches!(**reason, CloseReason::Eof))
        );
        let now = script.now();
        let error = script.core.reopen(channel, ALL, now).unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error:?}");
    }
}

#[test]
fn late_frames_of_the_old_instance_reach_nothing_of_the_new_one() {
    // RabbitMQ's deliveries may come behind its channel.close: they go out by another way.
    let late: [&dyn Fn(&mut Script); 3] = [
        &|script| script.deliver(1, "c", 2, b"late"),
        &|script| script.ack(1, 1, false),
        &|script| script.method(1, basic::QosOk {}),
    ];
    for send in late {
        let mut script = Script::open();
        let channel = script.channel();
        let consumer = script.consume(channel, 1, "c", false);
        let place = script.publish(channel, "q", b"x");
        script.close_by_server(1);
        let call = script.reopen(channel, ALL);
        send(&mut script);
        assert_eq!(script.outcomes(channel, &[place]), "U");
        script.method(1, channel::OpenOk {});
        script.method(1, confirm::SelectOk {});
        script.method(1, consume_ok("c"));
        assert!(script.reopened(call).is_ok());
        assert!(script.is_ended(consumer));
        script.deliver(1, "c", 1, b"new");
        assert_eq!(script.delivered(consumer), [1]);
    }
}

#[test]
fn the_rest_of_a_body_goes_out_before_the_new_instance() {
    let mut script = Script::open();
    let channel = script.channel();
    script.writable = false;
    script.publish(channel, "q", &[1; 300_000]);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let call = script.reopen(channel, NOTHING);
    script.writable = true;
    let sent_now = script.sent();
    let octets: usize = sent_now
        .iter()
        .map(|sent| if let Sent::Body(_, Octets(octets)) = sent { octets.len() } else { 0 })
        .sum();
    assert_eq!(octets, 300_000);
    let end = &sent_now[sent_now.len() - 2..];
    assert_eq!(end, [sent(1, channel::CloseOk {}), sent(1, channel::Open {})]);
    script.method(1, channel::OpenOk {});
    assert!(script.reopened(call).is_ok());
}

#[test]
fn a_message_got_before_is_not_given_back_on_the_new_instance() {
    let mut script = Script::open();
    let channel = script.channel();
    let now = script.now();
    let got = script.core.get(channel, &basic::Get::default(), now).unwrap();
    script.content(1, basic::GetOk { delivery_tag: 1, ..Default::default() }, b"x");
    script.close_by_server(1);
    let call = script.reopen(channel, NOTHING);
    script.method(1, channel::OpenOk {});
    assert!(script.reopened(call).is_ok());
    script.sent();
    script.core.abandon_call(channel, got, false);
    assert_eq!(script.sent(), []);
}

#[test]
fn nothing_goes_on_behind_the_close_of_the_connection() {
    for asked in [true, false] {
        let mut script = Script::open();
        let channel = script.channel();
        script.core.call(channel, &qos(5, false), script.now()).unwrap();
        let (now, code) = (script.now(), ReplyCode::REPLY_SUCCESS);
        script.core.close_channel(channel, CloseReason::ByUser, code, now).unwrap();
        let call = script.reopen(channel, ALL);
        if !asked {
            script.method(1, channel::CloseOk {});
        }
        script.core.close(CloseReason::ByUser, now);
        script.sent();
        match asked {
            true => script.method(1, channel::CloseOk {}),
            false => script.method(1, channel::OpenOk {}),
        }
        assert_eq!(script.sent(), [], "asked {asked}");
        assert!(script.poll_call(call).is_pending());
        script.method(0, connection::CloseOk {});
        let error = script.reopened(call).unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error}");
    }
}
