//! Faults on demand: the rules, and which frames each is for. What is done about them is in `meddle` for
//! what comes from clients, in `lane` for the octets on their way out, and in `act` for the broker's state.
//!
//! Without rules all of this costs one branch for each read, for each write and for each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amqp091::protocol::{AnyMethod, ReplyCode, connection};
use amqp091::types::{FieldRef, Reflect, ShortStr};

use super::connection::ConnectionKey;
use super::consumer::ConsumerKey;
use super::lane::Lane;
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
    tally: Arc<Tally>,
}

/// What has come of a rule so far, for its handle.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What it might have been for: all methods of its name, say, whatever they name.
    seen: AtomicU64,
    matches: AtomicU64,
    hits: AtomicU64,
}

impl Tally {
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn matches(&self) -> u64 {
        self.matches.load(Ordering::Relaxed)
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// One more, under the broker's lock; returns how many there are.
    fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// All rules, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    made: RuleId,
    /// Whether one has fired since the shell has looked.
    has_fired: bool,
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

    /// A rule's filter and action.
    pub(super) fn get(&self, id: RuleId) -> Option<(&Filter, &Action)> {
        let rule = self.rules.iter().find(|rule| rule.id == id)?;
        Some((&rule.filter, &rule.action))
    }

    fn remove(&mut self, id: RuleId) {
        self.rules.retain(|rule| rule.id != id);
    }
}

impl Core {
    /// Whether a rule has fired since this was asked last.
    #[inline]
    pub(crate) fn has_fired(&mut self) -> bool {
        std::mem::take(&mut self.faults.has_fired)
    }

    /// Makes a rule.
    pub(crate) fn add_rule(&mut self, filter: Filter, action: Action) -> (RuleId, Arc<Tally>) {
        self.faults.made += 1;
        let id = self.faults.made;
        let tally = Arc::new(Tally::default());
        let is_now = filter.trigger == Trigger::Now;
        let rule = Rule { id, filter, action, tally: Arc::clone(&tally) };
        self.faults.rules.push(rule);
        if is_now {
            let mut keys: Vec<_> =
                self.connections.iter().map(|(key, found)| (found.number, key)).collect();
            keys.sort_unstable();
            for (_, key) in keys {
                self.strike(id, key);
            }
        }
        (id, tally)
    }

    /// Ends a rule, and lets go of what it holds.
    pub(crate) fn remove_rule(&mut self, id: RuleId) {
        self.faults.remove(id);
        self.release(id);
    }

    /// The first rule whose turn it is with what is seen, and what it does.
    pub(super) fn pick(&mut self, seen: &Seen<'_>) -> Option<(RuleId, Action)> {
        self.pick_among(None, seen)
    }

    pub(super) fn pick_among(
        &mut self,
        only: Option<RuleId>,
        seen: &Seen<'_>,
    ) -> Option<(RuleId, Action)> {
        let mut rules = std::mem::take(&mut self.faults.rules);
        let mut picked = None;
        // All count what they are for, whichever acts.
        for rule in &mut rules {
            if only.is_some_and(|id| id != rule.id)
                || !seen.is_on(rule.filter.trigger)
                || !seen.allows(&rule.action)
            {
                continue;
            }
            Tally::count(&rule.tally.seen);
            if !self.is_for(&rule.filter, seen) {
                continue;
            }
            let number = Tally::count(&rule.tally.matches);
            if number < rule.filter.nth
                || rule.filter.times.is_some_and(|most| rule.tally.hits() >= most)
            {
                continue;
            }
            if let Some((chance, state)) = &mut rule.filter.chance {
                *state = mixed(*state);
                if *state >= *chance && *chance != u64::MAX {
                    continue;
                }
            }
            if picked.is_none() {
                Tally::count(&rule.tally.hits);
                picked = Some((rule.id, rule.action.clone()));
                self.faults.has_fired = true;
            }
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
