//! Waits that may take only so long.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// A wait with a deadline.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct TimerKey(Instant, u64);

/// The waits with deadlines.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    next: u64,
    by_time: BTreeMap<TimerKey, Waker>,
}

impl Timers {
    /// Begins a wait.
    pub(crate) fn start(&mut self, deadline: Instant, waker: &Waker) -> TimerKey {
        let key = TimerKey(deadline, self.next);
        self.next += 1;
        self.by_time.insert(key, waker.clone());
        key
    }

    /// Waits on; `false` when the deadline has passed.
    pub(crate) fn wait(&mut self, key: TimerKey, waker: &Waker) -> bool {
        match self.by_time.get_mut(&key) {
            Some(known) => {
                known.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Ends a wait.
    pub(crate) fn stop(&mut self, key: TimerKey) {
        self.by_time.remove(&key);
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.by_time.len()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|(&TimerKey(deadline, _), _)| deadline)
    }

    /// Wakes those whose deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wakes: &mut Vec<Waker>) {
        while let Some(entry) = self.by_time.first_entry()
            && entry.key().0 <= now
        {
            wakes.push(entry.remove());
        }
    }
}
