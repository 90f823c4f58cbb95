//! Faults on demand: which frames a rule is for, and what is done about them where the broker's state is
//! concerned. What is done to the octets on their way out is in `lane`.
//!
//! Without rules all of this costs one branch for each read, for each write and for each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amqp091::content::Content;
use amqp091::frame::FrameRef;
use amqp091::protocol::{AnyMethod, ReplyCode, basic, connection};
use amqp091::types::{FieldRef, MethodId, Reflect, ShortStr};

use super::channel::{ChannelKey, Mode};
use super::connection::{ConnectionKey, Phase};
use super::consumer::ConsumerKey;
use super::lane::Lane;
use super::refusal::Refusal;
use super::{Core, mixed};

/// Names a rule as long as it is there.
pub(crate) type RuleId = u64;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trigger {
    /// Methods of this name.
    Method(&'static str),
    AnyMethod,
    /// Any frame that the broker sends.
    Frame,
    /// A client connects.
    Connect,
    /// Every connection that is there, at once.
    Now,
}

/// Who sends the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    FromClient,
    ToClient,
}

/// Where a connection's output ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cut {
    /// Before the frame; one from the client is not carried out.
    Before,
    /// Behind the frame; one from the client is carried out, and not answered.
    After,
    /// After so many octets more.
    Octets(usize),
    /// In the middle of the frame; of the next one, if it is the client's.
    Middle,
}

/// What is done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Drop { cut: Cut, reset: bool },
    Delay(Duration),
    Hold,
    Coalesce(u32),
    Discard,
    Nack,
    Return,
    CancelConsumer,
    CloseChannel(ReplyCode, String),
    CloseConnection(ReplyCode, String),
    Tune { channel_max: u16, frame_max: u32, heartbeat: u16 },
    Block(ShortStr),
    Unblock,
    StopReading,
    StopWriting,
    Silence,
    Corrupt { octet: usize },
    Restart,
}

/// What a rule is for.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) trigger: Trigger,
    pub(crate) direction: Option<Direction>,
    pub(crate) connection: Option<u64>,
    pub(crate) connection_name: Option<String>,
    pub(crate) channel: Option<u16>,
    /// Fields that have to be as given.
    pub(crate) fields: Vec<(&'static str, ShortStr)>,
    /// The first match that counts.
    pub(crate) nth: u64,
    pub(crate) times: Option<u64>,
    /// Out of 2^64, and where the sequence of chances stands.
    pub(crate) chance: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Rule {
    id: RuleId,
    filter: Filter,
    action: Action,
    matches: u64,
    hits: Arc<AtomicU64>,
}

/// All rules, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    made: RuleId,
}

/// What a rule is asked about.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) trigger: Trigger,
    pub(crate) direction: Direction,
    pub(crate) key: ConnectionKey,
    pub(crate) channel: u16,
    pub(crate) method: Option<&'a AnyMethod>,
    /// Whether the frame is a publish without its content, which can be kept waiting and no more.
    pub(crate) is_bare_publish: bool,
}

impl Seen<'_> {
    fn is_on(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Method(name) => {
                self.trigger == Trigger::AnyMethod
                    && self.method.is_some_and(|method| method.name() == name)
            }
            other => self.trigger == other,
        }
    }

    /// Whether an action makes sense here: others leave the frame alone, and don't count.
    fn allows(&self, action: &Action) -> bool {
        let outgoing = self.direction == Direction::ToClient;
        let is = |name: &str| self.method.is_some_and(|method| method.name() == name);
        let is_frame = !matches!(self.trigger, Trigger::Now | Trigger::Connect);
        if self.is_bare_publish {
            return matches!(action, Action::Delay(_) | Action::Hold);
        }
        match action {
            Action::Delay(_) | Action::Hold => is_frame && (outgoing || !is("basic.publish")),
            Action::Discard => is_frame,
            Action::Coalesce(_) => outgoing && is("basic.ack"),
            Action::Nack | Action::Return => !outgoing && is("basic.publish"),
            Action::Tune { .. } => outgoing && is("connection.tune"),
            Action::Corrupt { .. } => is_frame && outgoing,
            Action::CloseChannel(..) | Action::CancelConsumer => {
                self.trigger == Trigger::Now || self.channel != 0
            }
            _ => true,
        }
    }
}

impl Faults {
    /// Whether there are any.
    #[inline]
    pub(crate) fn are_set(&self) -> bool {
        !self.rules.is_empty()
    }

    fn remove(&mut self, id: RuleId) {
        self.rules.retain(|rule| rule.id != id);
    }
}

/// How a frame from the client goes on after the rules have seen it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Onward {
    /// As if there were no rules.
    Pass,
    /// It is dealt with.
    Done,
    /// It waits, and all behind it.
    Wait,
}

impl Core {
    /// Makes a rule.
    pub(crate) fn add_rule(&mut self, filter: Filter, action: Action) -> (RuleId, Arc<AtomicU64>) {
        self.faults.made += 1;
        let id = self.faults.made;
        let hits = Arc::new(AtomicU64::new(0));
        let is_now = filter.trigger == Trigger::Now;
        let rule = Rule { id, filter, action, matches: 0, hits: Arc::clone(&hits) };
        self.faults.rules.push(rule);
        if is_now {
            let mut keys: Vec<_> =
                self.connections.iter().map(|(key, found)| (found.number, key)).collect();
            keys.sort_unstable();
            for (_, key) in keys {
                self.strike(id, key);
            }
        }
        (id, hits)
    }

    /// Ends a rule, and lets go of what it holds.
    pub(crate) fn remove_rule(&mut self, id: RuleId) {
        self.faults.remove(id);
        self.release(id);
    }

    /// The first rule that is for what is seen, and what it does.
    pub(super) fn pick(&mut self, seen: &Seen<'_>) -> Option<(RuleId, Action)> {
        self.pick_among(None, seen)
    }

    fn pick_among(&mut self, only: Option<RuleId>, seen: &Seen<'_>) -> Option<(RuleId, Action)> {
        let mut rules = std::mem::take(&mut self.faults.rules);
        let mut picked = None;
        for rule in &mut rules {
            if only.is_some_and(|id| id != rule.id)
                || !seen.is_on(rule.filter.trigger)
                || !seen.allows(&rule.action)
                || !self.is_for(&rule.filter, seen)
            {
                continue;
            }
            rule.matches += 1;
            let hits = rule.hits.load(Ordering::Relaxed);
            if rule.matches < rule.filter.nth || rule.filter.times.is_some_and(|most| hits >= most)
            {
                continue;
            }
            if let Some((chance, state)) = &mut rule.filter.chance {
                *state = mixed(*state);
                if *state >= *chance && *chance != u64::MAX {
                    continue;
                }
            }
            rule.hits.store(hits + 1, Ordering::Relaxed);
            picked = Some((rule.id, rule.action.clone()));
            break;
        }
        self.faults.rules = rules;
        picked
    }

    fn is_for(&self, filter: &Filter, seen: &Seen<'_>) -> bool {
        let Some(connection) = self.connections.get(seen.key) else { return false };
        let is_now = seen.trigger == Trigger::Now;
        if filter.direction.is_some_and(|direction| direction != seen.direction)
            || filter.connection.is_some_and(|number| number != connection.number)
            || filter.connection_name.as_ref().is_some_and(|name| *name != connection.name)
        {
            return false;
        }
        let is_on = |channel: u16| {
            if is_now {
                connection.channels.contains_key(&channel)
            } else {
                channel == seen.channel
            }
        };
        if !filter.channel.is_none_or(is_on) {
            return false;
        }
        is_now || filter.fields.iter().all(|(name, value)| self.has_field(seen, name, value))
    }

    fn has_field(&self, seen: &Seen<'_>, name: &str, value: &ShortStr) -> bool {
        let Some(method) = seen.method else { return false };
        let text = |name: &str| match method.field(name) {
            Some(FieldRef::ShortStr(text)) => Some(text),
            _ => None,
        };
        if let Some(found) = text(name) {
            return found == value;
        }
        if name != "queue" {
            return false;
        }
        // The queue that it is about, where that isn't said.
        match method {
            AnyMethod::BasicPublish(publish) => {
                publish.exchange.is_empty() && publish.routing_key == *value
            }
            AnyMethod::BasicDeliver(deliver) => self
                .consumer_of(seen.key, seen.channel, &deliver.consumer_tag)
                .and_then(|consumer| self.consumers.get(consumer))
                .and_then(|consumer| self.queues.get(consumer.queue))
                .is_some_and(|queue| queue.name == *value),
            _ => false,
        }
    }

    fn consumer_of(&self, key: ConnectionKey, number: u16, tag: &ShortStr) -> Option<ConsumerKey> {
        let channel = self.connections.get(key)?.channels.get(&number)?;
        self.channels.get(*channel)?.consumers.get(tag).copied()
    }

    /// A rule that waits for nothing, on one connection.
    fn strike(&mut self, id: RuleId, key: ConnectionKey) {
        let Some(rule) = self.faults.rules.iter().find(|rule| rule.id == id) else { return };
        let seen = Seen {
            trigger: Trigger::Now,
            direction: Direction::ToClient,
            key,
            channel: 0,
            method: None,
            is_bare_publish: false,
        };
        let (wanted, fields) = (rule.filter.channel, rule.filter.fields.clone());
        if !matches!(rule.action, Action::CancelConsumer | Action::CloseChannel(..)) {
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
    fn consumers_on(
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

    /// A client has connected: the rules for that.
    pub(super) fn meddle_with_connect(&mut self, key: ConnectionKey) {
        let seen = Seen {
            trigger: Trigger::Connect,
            direction: Direction::FromClient,
            key,
            channel: 0,
            method: None,
            is_bare_publish: false,
        };
        if let Some((id, action)) = self.pick(&seen) {
            self.act_on_connection(key, 0, id, &action);
        }
    }

    /// A method frame from a client, before anything is done about it.
    pub(super) fn meddle_with_input(&mut self, key: ConnectionKey, frame: FrameRef<'_>) -> Onward {
        if let Some(lane) = self.connections.get_mut(key).and_then(|found| found.lane.as_mut())
            && std::mem::take(&mut lane.passes)
        {
            return Onward::Pass;
        }
        let Ok(method) = AnyMethod::from_payload(frame.payload) else { return Onward::Pass };
        let seen = Seen {
            trigger: Trigger::AnyMethod,
            direction: Direction::FromClient,
            key,
            channel: frame.channel,
            method: Some(&method),
            is_bare_publish: matches!(method, AnyMethod::BasicPublish(_)),
        };
        let Some((id, action)) = self.pick(&seen) else { return Onward::Pass };
        match action {
            Action::Drop { cut: Cut::After, reset } => {
                let mark = self.mark(key);
                self.handle_frame(key, frame);
                self.cut_behind(key, mark, reset);
            }
            Action::Delay(span) => {
                let at = self.now + span;
                self.pause_input(key, id, Some(at));
                return Onward::Wait;
            }
            Action::Hold => {
                self.pause_input(key, id, None);
                return Onward::Wait;
            }
            Action::Discard | Action::CloseChannel(..) | Action::CloseConnection(..) => {
                self.act(key, frame.channel, &method, id, &action);
            }
            Action::Drop { cut: Cut::Before, .. } | Action::Restart => {
                self.act(key, frame.channel, &method, id, &action);
            }
            Action::Drop { .. } | Action::StopWriting | Action::Silence => {
                // From here on, its answer included.
                self.act(key, frame.channel, &method, id, &action);
                self.handle_frame(key, frame);
            }
            _ => {
                self.handle_frame(key, frame);
                self.act(key, frame.channel, &method, id, &action);
            }
        }
        Onward::Done
    }

    /// A publish with its content.
    pub(super) fn meddle_with_publish(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        publish: basic::Publish,
        content: Content,
    ) -> Option<(basic::Publish, Content)> {
        let method = AnyMethod::BasicPublish(publish);
        let seen = Seen {
            trigger: Trigger::AnyMethod,
            direction: Direction::FromClient,
            key,
            channel: number,
            method: Some(&method),
            is_bare_publish: false,
        };
        let picked = self.pick(&seen);
        let AnyMethod::BasicPublish(publish) = method else { return None };
        let Some((id, action)) = picked else { return Some((publish, content)) };
        match action {
            Action::Nack => self.promise(key, channel_key, false),
            Action::Return => {
                self.return_unrouted(key, channel_key, publish, content);
                self.promise(key, channel_key, true);
            }
            Action::Drop { cut: Cut::After, reset } => {
                let mark = self.mark(key);
                self.take_publish(key, number, channel_key, publish, content);
                self.cut_behind(key, mark, reset);
            }
            Action::Discard => {
                // The publisher has counted it, and hears nothing of it.
                if let Some(channel) = self.channels.get_mut(channel_key)
                    && let Mode::Confirm(confirms) = &mut channel.mode
                {
                    confirms.published += 1;
                    let tag = confirms.published;
                    if let Some(lane) = self.lane(key) {
                        lane.note_untold(number, tag);
                    }
                }
            }
            Action::CloseChannel(..)
            | Action::CloseConnection(..)
            | Action::Drop { cut: Cut::Before, .. }
            | Action::Restart => {
                self.act(key, number, &AnyMethod::BasicPublish(publish), id, &action);
            }
            Action::Drop { .. } | Action::StopWriting | Action::Silence => {
                let method = AnyMethod::BasicPublish(publish.clone());
                self.act(key, number, &method, id, &action);
                self.take_publish(key, number, channel_key, publish, content);
            }
            _ => {
                let method = AnyMethod::BasicPublish(publish.clone());
                self.take_publish(key, number, channel_key, publish, content);
                self.act(key, number, &method, id, &action);
            }
        }
        None
    }

    /// How much there is to write now, with what was promised before.
    fn mark(&mut self, key: ConnectionKey) -> usize {
        self.send_confirms(key);
        let Some(connection) = self.connections.get_mut(key) else { return 0 };
        connection.out.flatten();
        connection.out.len()
    }

    /// Ends a connection's output at a mark.
    fn cut_behind(&mut self, key: ConnectionKey, mark: usize, reset: bool) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.out.flatten();
            connection.out.truncate(mark);
        }
        self.cut_off(key, reset);
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
    fn act_on_connection(&mut self, key: ConnectionKey, number: u16, id: RuleId, action: &Action) {
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
            lane.stopped_reading = reading.or(lane.stopped_reading);
            lane.stopped_writing = writing.or(lane.stopped_writing);
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
        self.end_consumer(key);
        if wants_to_know {
            self.send(connection, number, &basic::Cancel { consumer_tag, no_wait: true });
        }
        self.settle_dead();
    }

    /// What the rules do to a connection, made when they first do.
    pub(super) fn lane(&mut self, key: ConnectionKey) -> Option<&mut Lane> {
        let connection = self.connections.get_mut(key)?;
        Some(connection.lane.get_or_insert_default())
    }

    /// The limits that a client was offered, where a rule has offered others than the broker's own.
    pub(super) fn offered(&self, key: ConnectionKey) -> Option<connection::Tune> {
        self.connections.get(key)?.lane.as_ref()?.tune.clone()
    }
}
