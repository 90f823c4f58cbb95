//! What is due when, by the broker's clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::connection::{ConnectionKey, Phase};
use super::exchange::QueueKey;
use super::{Core, PATIENCE};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// A login takes too long, or a client doesn't answer `connection.close`.
    Deadline(ConnectionKey),
    /// Signs of life are to be sent and looked for.
    Heartbeat(ConnectionKey),
    /// The first message of a queue expires.
    Head(QueueKey),
    /// A queue that nobody uses expires.
    Expires(QueueKey),
    /// What a rule delayed on a connection is due.
    Lane(ConnectionKey),
    /// A queue is to have a new leader.
    Election(QueueKey),
    /// More messages have died than there was time for.
    Dead,
}

#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Duration, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Duration, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, at: Duration, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    fn pop_due(&mut self, now: Duration) -> Option<(Duration, Timer)> {
        let first = *self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first();
        Some(first)
    }
}

impl Core {
    /// Does what is due by now.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let mut are_dead_due = false;
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Deadline(key) => {
                    let Some(connection) = self.connections.get(key) else { continue };
                    if connection.is_stopped() || connection.is_delayed() {
                        // It is not the client who takes long.
                        let at = self.horizon.max(self.now + PATIENCE);
                        self.set_timer(key, Some((at, Timer::Deadline(key))));
                    } else if connection.phase != Phase::Running {
                        self.drop_connection(key);
                    }
                }
                Timer::Heartbeat(key) => self.heartbeat(key),
                Timer::Head(key) => {
                    let Some(queue) = self.queues.get_mut(key) else { continue };
                    if queue.head_timer == Some(at) {
                        queue.head_timer = None;
                        self.expire(key);
                        self.settle_dead();
                    }
                }
                Timer::Expires(key) => self.expire_queue(key),
                Timer::Lane(key) => self.handle_lane(key),
                Timer::Election(key) => self.elect(key, at),
                Timer::Dead => are_dead_due = true,
            }
        }
        if are_dead_due {
            self.settle_dead();
        }
        self.watch_memory();
    }

    /// Sets a connection's one timer, in the place of the one that it had.
    pub(super) fn set_timer(&mut self, key: ConnectionKey, timer: Option<(Duration, Timer)>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some((at, timer)) = std::mem::replace(&mut connection.timer, timer) {
            self.timers.cancel(at, timer);
        }
        if let Some((at, timer)) = timer {
            self.timers.set(at, timer);
        }
    }

    /// Starts the signs of life of a connection.
    pub(super) fn start_heartbeat(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get(key) else { return };
        let interval = connection.heartbeat;
        let mut at = self.now + interval / 2;
        // One that can't be heard is looked at once, however far the time is put forward.
        if connection.blocked || connection.is_stopped() {
            at = at.max(self.horizon);
        }
        let timer = (at, Timer::Heartbeat(key));
        self.set_timer(key, (!interval.is_zero()).then_some(timer));
    }

    fn heartbeat(&mut self, key: ConnectionKey) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.phase != Phase::Running {
            return;
        }
        // A client that isn't read can't be heard.
        if now.saturating_sub(connection.last_read) > connection.heartbeat * 2
            && !connection.blocked
            && !connection.is_stopped()
        {
            self.drop_connection(key);
            return;
        }
        if now.saturating_sub(connection.last_write) >= connection.heartbeat / 2
            && connection.out.is_empty()
        {
            amqp091::encode::heartbeat(connection.out.frames());
            self.stir(key);
        }
        self.start_heartbeat(key);
    }

    /// Sees to it that a queue's first message expires in time.
    pub(super) fn arm_head(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        let next = queue.next_expiry();
        if queue.head_timer == next {
            return;
        }
        if let Some(at) = std::mem::replace(&mut queue.head_timer, next) {
            self.timers.cancel(at, Timer::Head(key));
        }
        if let Some(at) = next {
            self.timers.set(at, Timer::Head(key));
        }
    }

    /// Notes that a queue is in use, and when it would expire if that was all.
    pub(super) fn note_use(&mut self, key: QueueKey) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(key) else { return };
        if let Some(expires) = queue.arguments.expires {
            self.timers.cancel(queue.last_used + expires, Timer::Expires(key));
            queue.last_used = now;
            self.timers.set(now + expires, Timer::Expires(key));
        }
    }

    fn expire_queue(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.get(key) else { return };
        let Some(expires) = queue.arguments.expires else { return };
        if queue.consumers.is_empty() && queue.last_used + expires <= self.now {
            self.delete_queue(key);
        }
    }
}
