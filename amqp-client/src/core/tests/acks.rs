//! Acknowledgements that wait: what the server is told in the end is what the program said, and nothing
//! else, whatever stands for what.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const DELAY: Duration = Duration::from_millis(100);

fn script(max: usize) -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    script.core.coalesce_acks(channel, max, DELAY);
    (script, channel)
}

fn ack(script: &mut Script, channel: ChannelKey, delivery_tag: u64) {
    let ack = basic::Ack { delivery_tag, multiple: false };
    script.core.settle(channel, (0, delivery_tag), false, &ack).unwrap();
}

fn acked(delivery_tag: u64, multiple: bool) -> Sent {
    sent(1, basic::Ack { delivery_tag, multiple })
}

/// A channel on which the consumer `c` was sent so many messages.
fn delivered(max: usize, messages: u64) -> (Script, ChannelKey, ConsumerKey) {
    let (mut script, channel) = script(max);
    let consumer = script.consume(channel, 1, "c", false);
    (1..=messages).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    (script, channel, consumer)
}

#[test]
fn one_ack_stands_for_as_many_as_were_asked_for() {
    let (mut script, channel, _) = delivered(3, 7);
    for (delivery_tag, expected) in
        [(1, None), (2, None), (3, Some(3)), (5, None), (4, None), (6, Some(6)), (7, None)]
    {
        ack(&mut script, channel, delivery_tag);
        let expected: Vec<_> = expected.into_iter().map(|tag| acked(tag, true)).collect();
        assert_eq!(script.sent(), expected, "after {delivery_tag}");
    }
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(7, false)]);
}

#[test]
fn what_waits_is_sent_in_time() {
    let (mut script, channel, _) = delivered(100, 9);
    ack(&mut script, channel, 1);
    assert!(std::mem::take(&mut script.core.attention), "the shell must look at the clock");
    script.advance(DELAY / 2);
    ack(&mut script, channel, 2);
    script.advance(DELAY / 2 - Duration::from_nanos(1));
    assert_eq!(script.sent(), []);
    script.advance(Duration::from_nanos(1));
    assert_eq!(script.sent(), [acked(2, true)]);
    assert_eq!(script.core.next_deadline(script.now()), None);
    // And so again.
    ack(&mut script, channel, 3);
    script.advance(DELAY);
    assert_eq!(script.sent(), [acked(3, false)]);
}

#[test]
fn a_message_that_is_not_settled_holds_up_no_other() {
    let (mut script, channel, _) = delivered(100, 5);
    for delivery_tag in [1, 3, 2, 5] {
        ack(&mut script, channel, delivery_tag);
    }
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(3, true), acked(5, false)]);
    ack(&mut script, channel, 4);
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(4, false)]);
}

#[test]
fn one_message_held_for_ever_costs_no_memory_for_each_other() {
    let (mut script, channel, _) = delivered(10, 1);
    for delivery_tag in 2..10_000 {
        script.deliver(1, "c", delivery_tag, b"x");
        ack(&mut script, channel, delivery_tag);
    }
    let debug = format!("{:?}", script.core.channels.get_mut(channel).unwrap().acks);
    assert!(debug.len() < 20_000, "{} octets of state", debug.len());
}

#[test]
fn all_is_sent_before_what_ends_it() {
    let ends: [fn(&mut Script, ChannelKey, ConsumerKey); 5] = [
        |script, channel, consumer| {
            let now = script.now();
            script.core.release_consumer(channel, consumer, (&short("c"), false), [], now);
        },
        |script, channel, _| {
            let (reason, code) = (crate::error::CloseReason::ByUser, ReplyCode::REPLY_SUCCESS);
            let now = script.now();
            script.core.close_channel(channel, reason, code, now).unwrap();
        },
        |script, channel, _| {
            let now = script.now();
            script.core.release_channel(channel, now);
        },
        |script, _, _| {
            let now = script.now();
            script.core.close(crate::error::CloseReason::ByUser, now);
        },
        |script, channel, _| {
            let now = script.now();
            script.core.call(channel, &basic::Recover { requeue: true }, now).unwrap();
        },
    ];
    for end in ends {
        let (mut script, channel, consumer) = delivered(100, 3);
        assert_eq!(script.delivered(consumer), [1, 2, 3]);
        ack(&mut script, channel, 1);
        ack(&mut script, channel, 2);
        end(&mut script, channel, consumer);
        let sent = script.sent();
        assert_eq!(sent.first(), Some(&acked(2, true)), "{sent:?}");
        assert_eq!(sent.len(), 2, "{sent:?}");
    }
}

#[test]
fn what_came_before_it_was_asked_for_is_not_settled_along() {
    let mut script = Script::open();
    let channel = script.channel();
    script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    script.core.coalesce_acks(channel, 100, DELAY);
    (2..=4).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    ack(&mut script, channel, 2);
    ack(&mut script, channel, 3);
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(2, false), acked(3, false)]);
    // Known to be settled, it is in nobody's way any more.
    let all = basic::Ack { delivery_tag: 4, multiple: true };
    script.core.settle(channel, (0, 4), true, &all).unwrap();
    (5..=6).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    ack(&mut script, channel, 5);
    ack(&mut script, channel, 6);
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(4, true), acked(6, true)]);
}

#[test]
fn what_is_refused_together_with_all_before_it_is_not_acknowledged_first() {
    let mut script = Script::open();
    let channel = script.channel();
    script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    script.core.coalesce_acks(channel, 100, DELAY);
    (2..=4).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    ack(&mut script, channel, 2);
    ack(&mut script, channel, 3);
    // The first is refused along, and came before acknowledgements were kept.
    let nack = basic::Nack { delivery_tag: 4, multiple: true, requeue: true };
    script.core.settle(channel, (0, 4), true, &nack).unwrap();
    assert_eq!(script.sent(), [acked(2, false), acked(3, false), sent(1, nack)]);
}

#[test]
fn what_was_settled_before_it_was_asked_for_is_in_nobodys_way() {
    let mut script = Script::open();
    let channel = script.channel();
    script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    ack(&mut script, channel, 1);
    script.sent();
    script.core.coalesce_acks(channel, 100, DELAY);
    (2..=3).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    ack(&mut script, channel, 2);
    ack(&mut script, channel, 3);
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(3, true)]);
}

#[test]
fn a_closed_channel_forgets_what_waits() {
    let (mut script, channel, _) = delivered(100, 2);
    ack(&mut script, channel, 1);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    script.sent();
    assert_eq!(script.core.next_deadline(script.now()), None);
    script.advance(DELAY);
    assert_eq!(script.sent(), []);
}

/// A transaction's acknowledgements belong to it.
#[test]
fn in_transactions_nothing_waits() {
    let (mut script, channel, _) = delivered(100, 3);
    ack(&mut script, channel, 1);
    let now = script.now();
    script.core.call(channel, &amqp091::protocol::tx::Select {}, now).unwrap();
    ack(&mut script, channel, 2);
    let select = sent(1, amqp091::protocol::tx::Select {});
    assert_eq!(script.sent(), [acked(1, false), select, acked(2, false)]);
}

#[test]
fn tags_out_of_order_settle_nothing_that_they_should_not() {
    let (mut script, channel) = script(100);
    script.consume(channel, 1, "c", false);
    for delivery_tag in [5, 3, u64::MAX, 0, 7] {
        script.deliver(1, "c", delivery_tag, b"x");
    }
    for delivery_tag in [5, u64::MAX] {
        ack(&mut script, channel, delivery_tag);
    }
    script.core.flush_acks(channel);
    assert_eq!(script.sent(), [acked(5, false), acked(u64::MAX, false)]);
}

/// What happens next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Deliver { no_ack: bool },
    Get { no_ack: bool },
    Ack(usize),
    AckMultiple(usize),
    Refuse { choice: usize, nack: bool },
    NackMultiple(usize),
    Idle,
    Advance(u64),
    Recover,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let n = any::<usize>;
    let no_ack = || prop_oneof![3 => Just(false), 1 => Just(true)];
    prop_oneof![
        12 => no_ack().prop_map(|no_ack| Step::Deliver { no_ack }),
        2 => no_ack().prop_map(|no_ack| Step::Get { no_ack }),
        12 => n().prop_map(Step::Ack),
        1 => n().prop_map(Step::AckMultiple),
        2 => (n(), any::<bool>()).prop_map(|(choice, nack)| Step::Refuse { choice, nack }),
        1 => n().prop_map(Step::NackMultiple),
        1 => Just(Step::Idle),
        2 => (0..150u64).prop_map(Step::Advance),
        1 => Just(Step::Recover),
        1 => Just(Step::Release),
    ]
}

struct Model {
    script: Script,
    channel: ChannelKey,
    consumers: [Option<ConsumerKey>; 2],
    max: usize,
    last_tag: u64,
    /// What the program holds.
    held: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    refused: BTreeSet<u64>,
    /// What the server waits for, and what it was told.
    outstanding: BTreeSet<u64>,
    server_acked: BTreeSet<u64>,
    server_refused: BTreeSet<u64>,
}

impl Model {
    fn new(max: usize) -> Self {
        let (mut script, channel) = script(max);
        let consumers = [
            Some(script.consume(channel, 1, "acks", false)),
            Some(script.consume(channel, 1, "none", true)),
        ];
        Self {
            script,
            channel,
            consumers,
            max,
            last_tag: 0,
            held: BTreeSet::new(),
            acked: BTreeSet::new(),
            refused: BTreeSet::new(),
            outstanding: BTreeSet::new(),
            server_acked: BTreeSet::new(),
            server_refused: BTreeSet::new(),
        }
    }

    fn come(&mut self, no_ack: bool) {
        if !no_ack {
            self.held.insert(self.last_tag);
            self.outstanding.insert(self.last_tag);
        }
    }

    fn choose(&self, choice: usize) -> Option<u64> {
        self.held.iter().nth(choice.checked_rem(self.held.len())?).copied()
    }

    fn settle<M: Method>(&mut self, tag: u64, multiple: bool, method: &M) {
        self.script.core.settle(self.channel, (0, tag), multiple, method).unwrap();
    }

    /// Takes what the program settles out of its hands.
    fn take_held(&mut self, tag: u64, multiple: bool) -> BTreeSet<u64> {
        let first = if multiple { 0 } else { tag };
        let taken: BTreeSet<u64> = self.held.range(first..=tag).copied().collect();
        self.held.retain(|tag| !taken.contains(tag));
        taken
    }

    /// What the server makes of a method.
    fn told(&mut self, tag: u64, multiple: bool) -> BTreeSet<u64> {
        assert!(self.outstanding.contains(&tag), "406: unknown delivery tag {tag}");
        let first = if multiple { 0 } else { tag };
        let told: BTreeSet<u64> = self.outstanding.range(first..=tag).copied().collect();
        self.outstanding.retain(|tag| !told.contains(tag));
        told
    }

    fn take(&mut self, step: &Step) {
        let mut all_told = false;
        match *step {
            Step::Deliver { no_ack } => {
                let tag = if no_ack { "none" } else { "acks" };
                if self.consumers[usize::from(no_ack)].is_none() {
                    return;
                }
                self.last_tag += 1;
                self.script.deliver(1, tag, self.last_tag, b"x");
                self.come(no_ack);
            }
            Step::Get { no_ack } => {
                let now = self.script.now();
                let get = basic::Get { queue: short("q"), no_ack };
                let call = self.script.core.get(self.channel, &get, now).unwrap();
                self.last_tag += 1;
                let ok = basic::GetOk { delivery_tag: self.last_tag, ..basic::GetOk::default() };
                self.script.content(1, ok, b"x");
                assert!(self.script.poll_call(call).is_ready());
                self.come(no_ack);
            }
            Step::Ack(choice) => {
                let Some(tag) = self.choose(choice) else { return };
                self.settle(tag, false, &basic::Ack { delivery_tag: tag, multiple: false });
                let taken = self.take_held(tag, false);
                self.acked.extend(taken);
            }
            Step::AckMultiple(choice) => {
                let Some(tag) = self.choose(choice) else { return };
                self.settle(tag, true, &basic::Ack { delivery_tag: tag, multiple: true });
                let taken = self.take_held(tag, true);
                self.acked.extend(taken);
            }
            Step::Refuse { choice, nack } => {
                let Some(delivery_tag) = self.choose(choice) else { return };
                if nack {
                    let nack = basic::Nack { delivery_tag, multiple: false, requeue: true };
                    self.settle(delivery_tag, false, &nack);
                } else {
                    let reject = basic::Reject { delivery_tag, requeue: false };
                    self.settle(delivery_tag, false, &reject);
                }
                let taken = self.take_held(delivery_tag, false);
                self.refused.extend(taken);
            }
            Step::NackMultiple(choice) => {
                let Some(delivery_tag) = self.choose(choice) else { return };
                let nack = basic::Nack { delivery_tag, multiple: true, requeue: true };
                self.settle(delivery_tag, true, &nack);
                let taken = self.take_held(delivery_tag, true);
                self.refused.extend(taken);
            }
            Step::Idle => {
                self.script.core.flush_acks(self.channel);
                all_told = true;
            }
            Step::Advance(milliseconds) => {
                let by = Duration::from_millis(milliseconds);
                self.script.advance(by);
                all_told = by >= DELAY;
            }
            Step::Recover => {
                let now = self.script.now();
                let recover = basic::Recover { requeue: true };
                let call = self.script.core.call(self.channel, &recover, now).unwrap();
                self.look(true);
                self.outstanding.clear();
                // Nothing that is settled now has an effect.
                let tags: Vec<u64> = std::mem::take(&mut self.held).into_iter().collect();
                for tag in &tags {
                    self.settle(*tag, false, &basic::Ack { delivery_tag: *tag, multiple: false });
                }
                self.script.method(1, basic::RecoverOk {});
                assert!(self.script.poll_call(call).is_ready());
                for tag in tags {
                    self.settle(tag, false, &basic::Reject { delivery_tag: tag, requeue: true });
                }
            }
            Step::Release => {
                let Some(key) = self.consumers[1].take() else { return };
                let now = self.script.now();
                let subscription = (&short("none"), true);
                self.script.core.release_consumer(self.channel, key, subscription, [], now);
                self.script.method(1, basic::CancelOk { consumer_tag: short("none") });
                all_told = true;
            }
        }
        self.look(all_told);
    }

    fn look(&mut self, all_told: bool) {
        for sent in self.script.sent() {
            let Sent::Method(1, method) = sent else { panic!("{sent:?}") };
            match method {
                ToServer::BasicAck(basic::Ack { delivery_tag, multiple }) => {
                    let told = self.told(delivery_tag, multiple);
                    self.server_acked.extend(told);
                }
                ToServer::BasicNack(basic::Nack { delivery_tag, multiple, .. }) => {
                    let told = self.told(delivery_tag, multiple);
                    self.server_refused.extend(told);
                }
                ToServer::BasicReject(basic::Reject { delivery_tag, .. }) => {
                    let told = self.told(delivery_tag, false);
                    self.server_refused.extend(told);
                }
                _ => {}
            }
        }
        assert!(self.server_acked.is_subset(&self.acked), "more is acknowledged than was");
        assert_eq!(self.server_refused, self.refused);
        let waiting = self.acked.len() - self.server_acked.len();
        assert!(waiting < self.max, "{waiting} wait");
        if all_told {
            assert_eq!(waiting, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_server_hears_what_the_program_said(
        steps in prop::collection::vec(step(), 0..200),
        max in 1..12usize,
    ) {
        let mut model = Model::new(max);
        steps.iter().for_each(|step| model.take(step));
        model.take(&Step::Idle);
    }
}

#[test]
fn a_delay_may_be_as_long_as_one_likes() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.core.coalesce_acks(channel, 2, Duration::MAX);
    script.deliver(1, "c", 1, b"x");
    script.deliver(1, "c", 2, b"x");
    assert_eq!(script.delivered(consumer), [1, 2]);
    for tag in [1, 2] {
        let ack = basic::Ack { delivery_tag: tag, multiple: false };
        script.core.settle(channel, (0, tag), false, &ack).unwrap();
        script.advance(SECOND);
    }
    assert_eq!(script.sent(), [sent(1, basic::Ack { delivery_tag: 2, multiple: true })]);
}
