//! A server that takes nothing: for how long that is borne, unwritten octets and blocked publishing.

use std::time::{Duration, Instant};

use super::{Core, Phase};
use crate::error::CloseReason;

/// The clock of what the socket doesn't take.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    /// Since when the socket takes nothing, or since when that counts.
    since: Option<Instant>,
}

impl Stall {
    /// Time that has passed doesn't count.
    pub(super) fn restart(&mut self, now: Instant) {
        if self.since.is_some() {
            self.since = Some(now);
        }
    }
}

impl Core {
    /// Notes that all is written, or that the socket takes nothing, at least since now if it
    /// `has_taken` something before.
    pub(crate) fn note_write(
        &mut self,
        all_written: bool,
        has_taken: bool,
        now: impl FnOnce() -> Instant,
    ) {
        if all_written {
            self.stall.since = None;
        } else if has_taken || self.stall.since.is_none() {
            self.stall.since = Some(now());
        }
    }

    /// When the server has taken too little for too long.
    pub(super) fn stall_deadline(&self) -> Option<Instant> {
        self.write_deadline().into_iter().chain(self.blocked_deadline()).min()
    }

    /// Not counted is the time in which the server reads nothing because it has blocked us, and that in
    /// which we don't read and so wouldn't learn of it.
    fn write_deadline(&self) -> Option<Instant> {
        let is_excused = self.blocked.is_some() || !self.reading;
        let connecting = matches!(self.phase, Phase::Handshake { .. });
        let timeout = self.options.write_timeout.filter(|_| !is_excused && !connecting)?;
        Some(self.stall.since? + timeout)
    }

    fn blocked_deadline(&self) -> Option<Instant> {
        let (since, _) = self.blocked.as_ref()?;
        let timeout = self.options.blocked_timeout.filter(|_| matches!(self.phase, Phase::Open))?;
        Some(*since + timeout)
    }

    /// Gives the connection up if it is time to. Without a farewell: it wouldn't be read.
    pub(super) fn give_up_stalled(&mut self, now: Instant) -> bool {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let after = |timeout: Option<Duration>| timeout.unwrap_or_default();
        let reason = if is_over(self.write_deadline()) {
            CloseReason::WriteTimeout { after: after(self.options.write_timeout) }
        } else if is_over(self.blocked_deadline())
            && let Some((_, reason)) = self.blocked.clone()
        {
            CloseReason::BlockedTimeout { after: after(self.options.blocked_timeout), reason }
        } else {
            return false;
        };
        self.lose(reason);
        true
    }
}
