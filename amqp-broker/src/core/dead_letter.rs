//! Where messages go when they die: dropped, or on to a dead letter exchange with the story of their
//! deaths.

use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::{FieldTable, LongStr, ShortStr, Timestamp, Value};

use super::exchange::QueueKey;
use super::message::{Entry, Message, encoded};
use super::publish::Entrance;
use super::timers::Timer;
use super::{Core, EFFORT};
use crate::profile::Profile;

/// Why a message died.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    Rejected,
    Expired,
    MaxLength,
    DeliveryLimit,
}

impl Reason {
    const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

/// A message that died.
#[derive(Debug)]
pub(crate) struct Dead {
    queue: QueueKey,
    message: Arc<Message>,
    reason: Reason,
}

impl Core {
    /// A message has died in a queue. It goes on with [`settle_dead`](Self::settle_dead), not at once:
    /// one death may lead to the next, and that to another.
    pub(super) fn bury(&mut self, queue: QueueKey, entry: Entry, reason: Reason) {
        self.counts.dead += 1;
        let has_exchange = self
            .queues
            .get(queue)
            .is_some_and(|queue| queue.arguments.dead_letter_exchange.is_some());
        if has_exchange {
            self.dead.push_back(Dead { queue, message: entry.message, reason });
        }
    }

    /// Sends on those that died, and those that die of that. Where deaths lead to ever more of them, the
    /// rest has its turn later, and where they take all memory, they lead nowhere.
    pub(super) fn settle_dead(&mut self) {
        let before = self.effort;
        while let Some(dead) = self.dead.pop_front() {
            if !self.is_exhausted() {
                self.send_on(&dead);
            }
            self.effort += 8;
            if self.effort - before > EFFORT && !self.dead.is_empty() {
                self.timers.set(self.now, Timer::Dead);
                return;
            }
        }
    }

    fn send_on(&mut self, Dead { queue, message, reason }: &Dead) {
        let Some(queue) = self.queues.get(*queue) else { return };
        let Some(exchange) = queue.arguments.dead_letter_exchange.clone() else { return };
        let vhost = queue.vhost;
        let entrance = if exchange.is_empty() {
            Entrance::Default
        } else {
            match self.vhosts.get(vhost).and_then(|vhost| vhost.exchanges.get(&exchange)) {
                Some(&key) => Entrance::Exchange(key),
                // No such exchange: nobody minds.
                None => return,
            }
        };
        let new_key = queue.arguments.dead_letter_routing_key.clone();
        let died_in = queue.name.clone();
        let (raw, headers) = match message.properties.decode::<basic::Properties>() {
            Ok(mut properties) => {
                let mut headers = properties.headers.take().unwrap_or_default();
                let death = Death {
                    queue: &died_in,
                    reason: *reason,
                    message,
                    time: self.epoch + self.now,
                    expiration: properties.expiration.take(),
                    profile: self.settings.profile,
                };
                death.note(&mut headers);
                if new_key.is_some() {
                    headers.remove("CC");
                }
                properties.headers = Some(headers.clone());
                let Some(raw) = encoded(&properties) else { return };
                (raw, headers)
            }
            // Headers that are too deep to be read go on as they are, without a word of this death: so
            // nothing but a rejection takes them further than once.
            Err(_) if message.has_died && *reason != Reason::Rejected => return,
            Err(_) => (message.properties.clone(), FieldTable::new()),
        };
        let copies = if new_key.is_some() { Vec::new() } else { message.copies.clone() };
        let share = self.weigh(message.body.len(), &raw);
        let message = Message {
            exchange,
            routing_key: new_key.unwrap_or_else(|| message.routing_key.clone()),
            copies,
            properties: raw,
            body: message.body.clone(),
            persistent: message.persistent,
            priority: message.priority,
            expiration: None,
            has_died: true,
            share,
        };
        self.route(vhost, entrance, &message, Some(&headers));
        let message = self.shared_by_routed(message);
        let routed = std::mem::take(&mut self.routed);
        let deaths = match headers.get("x-death") {
            Some(Value::Array(deaths)) => deaths.as_slice(),
            _ => &[],
        };
        for &queue in &routed {
            // Round and round, with nobody who wants it so.
            let comes_back = *reason != Reason::Rejected
                && self.queues.get(queue).is_some_and(|queue| is_circle(&queue.name, deaths));
            if !comes_back {
                self.enqueue(queue, &message);
            }
        }
        self.routed = routed;
        if self.cluster.is_some() {
            self.withhold(None, &message, true);
        }
    }
}

/// Whether a message with these deaths, the last one first, died in this queue before, and nowhere since
/// by being rejected.
fn is_circle(queue: &ShortStr, deaths: &[Value]) -> bool {
    let is = |death: &Value, key: &str, wanted: &[u8]| {
        death.as_table().and_then(|death| death.get(key)).and_then(Value::as_bytes) == Some(wanted)
    };
    let before = deaths.iter().position(|death| is(death, "queue", queue.as_ref()));
    before.is_some_and(|last| !deaths[..=last].iter().any(|death| is(death, "reason", b"rejected")))
}

/// One death.
struct Death<'a> {
    queue: &'a ShortStr,
    reason: Reason,
    message: &'a Message,
    time: Duration,
    expiration: Option<ShortStr>,
    profile: Profile,
}

fn text(text: impl AsRef<[u8]>) -> Value {
    Value::LongStr(LongStr::from(text.as_ref()))
}

impl Death<'_> {
    /// Adds this death to a message's headers.
    fn note(mut self, headers: &mut FieldTable) {
        // RabbitMQ 3.10 goes by the headers even where a publisher wrote them, 4 does not.
        let is_known = self.message.has_died || self.profile == Profile::V3_10;
        let has_history = headers.contains_key("x-death");
        let mut deaths = match headers.get("x-death") {
            Some(Value::Array(deaths)) if is_known => deaths.clone(),
            _ => Vec::new(),
        };
        let is_first = deaths.is_empty();
        if self.profile == Profile::V3_10 {
            // It turns those that were there before round each time.
            deaths.reverse();
        }
        let same = deaths.iter().position(|death| {
            let is = |key: &str, wanted: &[u8]| {
                death.as_table().and_then(|death| death.get(key)).and_then(Value::as_bytes)
                    == Some(wanted)
            };
            is("queue", self.queue.as_ref()) && is("reason", self.reason.name().as_bytes())
        });
        match same {
            Some(index) => {
                let mut death = deaths.remove(index);
                if let Value::Table(death) = &mut death {
                    let count = death.get("count").and_then(Value::as_i64).unwrap_or(0);
                    death.insert(ShortStr::from_static("count"), count.saturating_add(1));
                    if self.profile == Profile::V3_10 {
                        sort(death);
                    }
                }
                deaths.insert(0, death);
            }
            None => {
                let mut death = self.table(headers);
                if self.profile == Profile::V3_10 && !is_first {
                    sort(&mut death);
                }
                deaths.insert(0, Value::Table(death));
            }
        }
        headers.insert(ShortStr::from_static("x-death"), Value::Array(deaths));
        let mut which = Vec::new();
        let is_untold = match self.profile {
            Profile::V3_10 => !has_history,
            Profile::V4 => !is_known || !headers.contains_key("x-first-death-reason"),
        };
        if is_untold {
            which.push(["x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"]);
        }
        if self.profile != Profile::V3_10 {
            which.push(["x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"]);
        }
        for [exchange, queue, reason] in which {
            headers.insert(ShortStr::from_static(exchange), text(&self.message.exchange));
            headers.insert(ShortStr::from_static(queue), text(self.queue));
            headers.insert(ShortStr::from_static(reason), text(self.reason.name()));
        }
        sort(headers);
    }

    fn table(&mut self, headers: &FieldTable) -> FieldTable {
        // Not those of BCC.
        let copies = headers.get("CC").and_then(Value::as_array).unwrap_or_default();
        let copies = copies.iter().filter_map(|key| match key {
            Value::LongStr(key) => Some(text(key)),
            _ => None,
        });
        let keys = std::iter::once(text(&self.message.routing_key)).chain(copies).collect();
        let expiration = self.expiration.take().map(text);
        let mut table = FieldTable::new();
        let original = ShortStr::from_static("original-expiration");
        if let (Some(expiration), true) = (&expiration, self.profile != Profile::V3_10) {
            table.insert(original.clone(), expiration.clone());
        }
        table.insert(ShortStr::from_static("count"), Value::I64(1));
        table.insert(ShortStr::from_static("reason"), text(self.reason.name()));
        table.insert(ShortStr::from_static("queue"), text(self.queue));
        table.insert(
            ShortStr::from_static("time"),
            Value::Timestamp(Timestamp(self.time.as_secs())),
        );
        table.insert(ShortStr::from_static("exchange"), text(&self.message.exchange));
        table.insert(ShortStr::from_static("routing-keys"), Value::Array(keys));
        if let (Some(expiration), true) = (expiration, self.profile == Profile::V3_10) {
            table.insert(original, expiration);
        }
        table
    }
}

/// RabbitMQ sorts the headers that it adds to, and 3.10 the deaths that it touches again.
pub(super) fn sort(table: &mut FieldTable) {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    entries.sort_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
    // Of equal keys, the last one's value.
    entries.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            std::mem::swap(later, earlier);
        }
        is_same
    });
    *table = entries.into();
}
