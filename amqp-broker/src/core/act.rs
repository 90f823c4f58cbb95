//! What rules do to the broker's state: to a connection, a channel, a consumer.

use amqp091::protocol::{AnyMethod, ReplyCode, basic};
use amqp091::types::{FieldRef, MethodId, Reflect, ShortStr};

use super::Core;
use super::connection::{ConnectionKey, Phase};
use super::consumer::ConsumerKey;
use super::faults::{Action, Cut, Direction, RuleId, Seen, Trigger};
use super::refusal::Refusal;

impl Core {
    /// A rule that waits for nothing, on one connection.
    pub(super) fn strike(&mut self, id: RuleId, key: ConnectionKey) {
        let Some((filter, action)) = self.faults.get(id) else { return };
        let seen = Seen {
            trigger: Trigger::Now,
            direction: Direction::ToClient,
            key,
            channel: 0,
            method: None,
            is_bare_publish: false,
        };
        let (wanted, fields) = (filter.channel, filter.fields.clone());
        if !matches!(action, Action::CancelConsumer | Action::CloseChannel(..)) {
            if let Some((id, action)) = self.pick_among(Some(id), &seen) {
                self.act_on_connection(key, 0, id, &action);
            }
            return;
        }
        let Some(connection) = self.connections.get(key) else { return };
        let mut numbers: Vec<_> = connection.channels.keys().copied().collect();
        numbers.sort_unstable();
        numbers.retain(|number| wanted.is_none_or(|wanted| wanted == *number));
        for number in numbers {
            let consumers = self.consumers_on(key, number, &fields);
            if !fields.is_empty() && consumers.is_empty() {
                continue;
            }
            match self.pick_among(Some(id), &seen) {
                Some((_, Action::CancelConsumer)) => {
                    for consumer in consumers {
                        self.cancel_consumer(consumer);
                    }
                }
                Some((id, action)) => self.act_on_connection(key, number, id, &action),
                None => {}
            }
        }
    }

    /// The consumers of a channel that have these fields: a queue, a consumer tag.
    pub(super) fn consumers_on(
        &self,
        key: ConnectionKey,
        number: u16,
        fields: &[(&'static str, ShortStr)],
    ) -> Vec<ConsumerKey> {
        let channel =
            self.connections.get(key).and_then(|connection| connection.channels.get(&number));
        let Some(channel) = channel.and_then(|channel| self.channels.get(*channel)) else {
            return Vec::new();
        };
        let is_meant = |consumer: &ConsumerKey| {
            let Some(consumer) = self.consumers.get(*consumer) else { return false };
            fields.iter().all(|(name, value)| match *name {
                "queue" => {
                    self.queues.get(consumer.queue).is_some_and(|queue| queue.name == *value)
                }
                "consumer-tag" => consumer.tag == *value,
                _ => false,
            })
        };
        let mut consumers: Vec<_> = channel.consumers.values().copied().collect();
        consumers.retain(is_meant);
        consumers.sort_unstable();
        consumers
    }

    /// Does what a rule says about a method.
    pub(super) fn act(
        &mut self,
        key: ConnectionKey,
        number: u16,
        method: &AnyMethod,
        id: RuleId,
        action: &Action,
    ) {
        match action {
            Action::CancelConsumer => {
                let tag = match method.field("consumer-tag") {
                    Some(FieldRef::ShortStr(tag)) if !tag.is_empty() => Some(tag.clone()),
                    _ => None,
                };
                let fields: Vec<_> = tag.map(|tag| ("consumer-tag", tag)).into_iter().collect();
                for consumer in self.consumers_on(key, number, &fields) {
                    self.cancel_consumer(consumer);
                }
            }
            Action::CloseChannel(code, text) => {
                let refusal = Refusal::Channel(*code, text.clone());
                self.close_running_channel(key, number, refusal, method.id());
            }
            Action::CloseConnection(code, text) => {
                self.close_running(key, *code, text, method.id());
            }
            _ => self.act_on_connection(key, number, id, action),
        }
    }

    /// Does what a rule says, where that concerns no method.
    pub(super) fn act_on_connection(
        &mut self,
        key: ConnectionKey,
        number: u16,
        id: RuleId,
        action: &Action,
    ) {
        let nothing = MethodId::new(0, 0);
        match action {
            Action::Drop { cut: Cut::Before | Cut::After, reset } => self.cut_off(key, *reset),
            Action::Drop { cut: Cut::Octets(octets), reset } => {
                self.cut_after(key, *octets, *reset);
            }
            Action::Drop { cut: Cut::Middle, reset } => {
                if let Some(lane) = self.lane(key) {
                    lane.middle = Some(*reset);
                }
            }
            Action::CloseChannel(code, text) => {
                let refusal = Refusal::Channel(*code, text.clone());
                self.close_running_channel(key, number, refusal, nothing);
            }
            Action::CloseConnection(code, text) => self.close_running(key, *code, text, nothing),
            Action::Block(reason) => self.set_alarm(Some(reason.clone())),
            Action::Unblock => self.set_alarm(None),
            Action::StopReading => self.stop(key, Some(id), None),
            Action::StopWriting => self.stop(key, None, Some(id)),
            Action::Silence => self.stop(key, Some(id), Some(id)),
            Action::Restart => self.restart(),
            _ => {}
        }
    }

    fn stop(&mut self, key: ConnectionKey, reading: Option<RuleId>, writing: Option<RuleId>) {
        if let Some(lane) = self.lane(key) {
            for (stopped, by) in
                [(&mut lane.stopped_reading, reading), (&mut lane.stopped_writing, writing)]
            {
                // A rule may say so again and again.
                stopped.extend(by.filter(|rule| !stopped.contains(rule)));
            }
        }
        self.stir(key);
    }

    fn close_running_channel(
        &mut self,
        key: ConnectionKey,
        number: u16,
        refusal: Refusal,
        method: MethodId,
    ) {
        let channel =
            self.connections.get(key).and_then(|connection| connection.channels.get(&number));
        let is_open = channel
            .and_then(|channel| self.channels.get(*channel))
            .is_some_and(|channel| !channel.closing);
        if is_open {
            self.refuse(key, number, refusal, method);
            self.settle_dead();
        }
    }

    fn close_running(&mut self, key: ConnectionKey, code: ReplyCode, text: &str, id: MethodId) {
        let phase = self.connections.get(key).map(|connection| connection.phase);
        if !matches!(phase, None | Some(Phase::Closing | Phase::Flushing | Phase::Closed)) {
            self.refuse_connection(key, Refusal::Connection(code, text.to_owned()), id);
            self.settle_dead();
        }
    }

    /// Takes a consumer from its client, as when its queue fails over.
    pub(super) fn cancel_consumer(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.consumers.get(key) else { return };
        let (connection, channel) = (consumer.connection, consumer.channel);
        let consumer_tag = consumer.tag.clone();
        let wants_to_know = self
            .connections
            .get(connection)
            .is_some_and(|connection| connection.capabilities.consumer_cancel_notify);
        let Some(channel) = self.channels.get_mut(channel) else { return };
        channel.consumers.remove(&consumer_tag);
        let number = channel.number;
        self.end_one_consumer(key);
        if wants_to_know {
            self.send(connection, number, &basic::Cancel { consumer_tag, no_wait: true });
        }
        self.settle_dead();
    }
}
