//! What happens to the connection, for those who want to follow it.
//!
//! Each reader has a place in one log. The log is bounded: a reader that is too slow is told how much
//! it has missed. Without readers nothing is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Core, Phase, WaiterKey};
use crate::core::waiters::Waiters;
use crate::error::CloseReason;
use crate::events::ConnectionEvent;

/// How many events are kept for slow readers.
const KEPT: usize = 64;

/// The latest events.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<ConnectionEvent>,
    /// The number of the first of them.
    first: u64,
    readers: usize,
    waiters: Waiters,
}

/// One reader's place.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    /// How things stood when it began.
    state: VecDeque<ConnectionEvent>,
    /// The number of the event that it reads next.
    next: u64,
    waiter: Option<WaiterKey>,
    ended: bool,
}

impl EventLog {
    pub(super) fn add(&mut self, event: ConnectionEvent, wakes: &mut Vec<Waker>) {
        if self.readers == 0 {
            return;
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
        self.waiters.wake_all(wakes);
    }

    /// Events that are kept, and those who read them.
    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        self.events.len() + self.readers + self.waiters.live()
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

impl Core {
    /// Tells those who follow the connection.
    pub(super) fn tell(&mut self, event: ConnectionEvent) {
        self.events.add(event, &mut self.wakes);
    }

    /// Follows the connection from now on.
    pub(crate) fn follow(&mut self) -> EventReader {
        self.events.readers += 1;
        let mut state = VecDeque::from([ConnectionEvent::Connected]);
        if let Some(reason) = self.blocked() {
            state.push_back(ConnectionEvent::Blocked { reason: reason.clone() });
        }
        if matches!(self.phase, Phase::Closed) {
            state.push_back(self.closed_event());
        }
        EventReader { state, next: self.events.end(), waiter: None, ended: false }
    }

    pub(super) fn closed_event(&self) -> ConnectionEvent {
        let reason = self.reason.clone().unwrap_or_else(|| Arc::new(CloseReason::Eof));
        ConnectionEvent::Closed { reason }
    }

    /// The reader's next event; `None` behind [`ConnectionEvent::Closed`].
    pub(crate) fn poll_event(
        &mut self,
        reader: &mut EventReader,
        cx: &Context<'_>,
    ) -> Poll<Option<ConnectionEvent>> {
        if reader.ended {
            return Poll::Ready(None);
        }
        let log = &mut self.events;
        let event = if let Some(event) = reader.state.pop_front() {
            event
        } else if reader.next < log.first {
            let count = log.first - reader.next;
            reader.next = log.first;
            ConnectionEvent::Missed { count }
        } else {
            let place = usize::try_from(reader.next - log.first).unwrap_or(usize::MAX);
            let Some(event) = log.events.get(place) else {
                log.waiters.wait(&mut reader.waiter, cx.waker());
                return Poll::Pending;
            };
            reader.next += 1;
            event.clone()
        };
        reader.ended = matches!(event, ConnectionEvent::Closed { .. });
        Poll::Ready(Some(event))
    }

    /// Gives up a reader.
    pub(crate) fn unfollow(&mut self, reader: &mut EventReader) {
        let log = &mut self.events;
        if let Some(waiter) = reader.waiter.take() {
            log.waiters.forget(waiter);
        }
        log.readers = log.readers.saturating_sub(1);
        if log.readers == 0 {
            log.first = log.end();
            log.events = VecDeque::new();
        }
    }
}
