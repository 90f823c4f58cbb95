//! How much the broker holds, and what it does when that is too much: publishers are told to wait and
//! aren't read, until there is room again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amqp091::protocol::connection;
use amqp091::types::ShortStr;

use super::Core;
use super::connection::ConnectionKey;

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
