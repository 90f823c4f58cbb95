//! How much the broker holds, and what it does when that is too much: publishers are told to wait and
//! aren't read, until there is room again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amqp091::content::RawProperties;
use amqp091::protocol::connection;
use amqp091::types::{FieldTable, ShortStr, Value};

use super::Core;
use super::connection::ConnectionKey;
use super::message::{Entry, Message};

/// Octets that things count with beside what they say, about what they take.
const MESSAGE_COST: usize = 256;
pub(super) const QUEUE_COST: usize = 1024;
pub(super) const PRIORITY_COST: usize = 32;
pub(super) const EXCHANGE_COST: usize = 512;
pub(super) const BINDING_COST: usize = 384;
pub(super) const WORD_COST: usize = 192;
pub(super) const CONSUMER_COST: usize = 512;
pub(super) const CHANNEL_COST: usize = 512;

/// Octets that a table takes, about.
pub(super) fn weight(table: &FieldTable) -> usize {
    const ENTRY: usize = size_of::<(ShortStr, Value)>();
    table.iter().map(|(key, value)| ENTRY + key.len() + content(value)).sum()
}

/// Octets that a value takes beside its place.
fn content(value: &Value) -> usize {
    match value {
        Value::LongStr(text) => text.len(),
        Value::Bytes(octets) => octets.len(),
        Value::Array(values) => {
            values.iter().map(|value| size_of::<Value>() + content(value)).sum()
        }
        Value::Table(table) => weight(table),
        _ => 0,
    }
}

/// Octets that are held, by whoever holds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicUsize>);

/// A share of what is held; dropped, it is held no more.
pub(crate) struct Share {
    meter: Meter,
    octets: usize,
}

impl Meter {
    pub(crate) fn take(&self, octets: usize) -> Share {
        self.0.fetch_add(octets, Ordering::Relaxed);
        Share { meter: self.clone(), octets }
    }

    pub(crate) fn octets(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Share {
    pub(crate) fn add(&mut self, octets: usize) {
        self.octets += octets;
        self.meter.0.fetch_add(octets, Ordering::Relaxed);
    }

    pub(crate) fn remove(&mut self, octets: usize) {
        let octets = octets.min(self.octets);
        self.octets -= octets;
        self.meter.0.fetch_sub(octets, Ordering::Relaxed);
    }

    pub(crate) fn set(&mut self, octets: usize) {
        match octets.checked_sub(self.octets) {
            Some(more) => self.add(more),
            None => self.remove(self.octets - octets),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} octets)", self.octets)
    }
}

impl Core {
    /// Raises or lifts the alarm, as what is held asks for.
    pub(super) fn watch_memory(&mut self) {
        let is_over = self.meter.octets() > self.settings.memory_limit;
        if is_over != self.short_of_memory {
            self.short_of_memory = is_over;
            self.lift_blocks();
        }
    }

    /// A message's share in what is held.
    pub(super) fn weigh(&self, body: usize, properties: &RawProperties) -> Share {
        self.meter.take(body + properties.as_bytes().len() + MESSAGE_COST)
    }

    /// A message for all queues that it was routed to: each place in one counts as well.
    pub(super) fn shared_by_routed(&self, mut message: Message) -> Arc<Message> {
        message.share.add(self.routed.len() * size_of::<Entry>());
        Arc::new(message)
    }

    /// Whether so much is held that nothing may be added by anybody, publisher or not.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted_but(0)
    }

    /// The same without these octets of it.
    pub(super) fn is_exhausted_but(&self, octets: usize) -> bool {
        self.meter.octets().saturating_sub(octets) / 2 > self.settings.memory_limit
    }

    /// A client wants something that takes memory: if there is none, it isn't read any more.
    pub(super) fn block_taker(&mut self, key: ConnectionKey) {
        if self.is_exhausted() {
            self.watch_memory();
            self.block_publisher(key);
        }
    }

    /// Blocks publishers, or no longer, whatever is held.
    pub(crate) fn set_alarm(&mut self, reason: Option<ShortStr>) {
        self.alarm = reason;
        self.lift_blocks();
    }

    /// Why publishers are to wait, if they are.
    fn reason_to_block(&self) -> Option<ShortStr> {
        match &self.alarm {
            Some(reason) => Some(reason.clone()),
            None if self.short_of_memory => Some(ShortStr::from_static("low on memory")),
            None => None,
        }
    }

    /// A connection publishes: it is blocked if there is a reason.
    pub(super) fn block_publisher(&mut self, key: ConnectionKey) {
        if self.alarm.is_none() && !self.short_of_memory {
            return;
        }
        let Some(reason) = self.reason_to_block() else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        if std::mem::replace(&mut connection.blocked, true) {
            return;
        }
        if connection.capabilities.connection_blocked {
            self.send(key, 0, &connection::Blocked { reason });
        }
    }

    fn lift_blocks(&mut self) {
        if self.reason_to_block().is_some() {
            return;
        }
        let blocked: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.blocked)
            .map(|(key, connection)| (key, connection.capabilities.connection_blocked))
            .collect();
        for (key, wants_to_know) in blocked {
            let now = self.now;
            if let Some(connection) = self.connections.get_mut(key) {
                connection.blocked = false;
                // It couldn't be heard meanwhile.
                connection.last_read = now;
            }
            if wants_to_know {
                self.send(key, 0, &connection::Unblocked {});
            }
            self.stir(key);
        }
    }
}
