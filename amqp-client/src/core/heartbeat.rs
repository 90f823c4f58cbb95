//! When to send a sign of life, and when to give the server up.

use std::time::{Duration, Instant};

/// The heartbeat clock of one connection. Any octets count as a sign of life, either way.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// The negotiated interval; zero: no heartbeats.
    interval: Duration,
    last_read: Instant,
    last_write: Instant,
}

impl Heartbeat {
    /// No heartbeats yet: they begin with tuning.
    pub(crate) fn off(now: Instant) -> Self {
        Self { interval: Duration::ZERO, last_read: now, last_write: now }
    }

    pub(crate) fn start(&mut self, interval: Duration, now: Instant) {
        *self = Self { interval, last_read: now, last_write: now };
    }

    /// Something was read, or reading begins again after a pause of ours.
    pub(crate) fn note_read(&mut self, now: Instant) {
        self.last_read = now;
    }

    /// Something was handed to the socket.
    pub(crate) fn note_write(&mut self, now: Instant) {
        self.last_write = now;
    }

    /// How long nothing came, once that is too long: twice the interval.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.last_read);
        (!self.interval.is_zero() && silence >= self.interval * 2).then_some(silence)
    }

    /// Whether it is time to send: nothing was written for half the interval.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        !self.interval.is_zero()
            && now.saturating_duration_since(self.last_write) >= self.interval / 2
    }

    /// The next time to look; silence counts only while we read.
    pub(crate) fn next_deadline(&self, reading: bool) -> Option<Instant> {
        if self.interval.is_zero() {
            return None;
        }
        let send = self.last_write + self.interval / 2;
        Some(if reading { send.min(self.last_read + self.interval * 2) } else { send })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_off_and_one_second_beats_twice_a_second() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::off(start);
        let day = Duration::from_secs(86_400);
        assert_eq!(heartbeat.next_deadline(true), None);
        assert!(!heartbeat.is_due(start + day) && heartbeat.silence(start + day).is_none());

        heartbeat.start(Duration::from_secs(1), start);
        let half = start + Duration::from_millis(500);
        assert_eq!(heartbeat.next_deadline(true), Some(half));
        assert!(!heartbeat.is_due(half - Duration::from_nanos(1)));
        assert!(heartbeat.is_due(half));
        heartbeat.note_write(half);
        assert!(!heartbeat.is_due(half));
        let two = start + Duration::from_secs(2);
        assert_eq!(heartbeat.silence(two - Duration::from_nanos(1)), None);
        assert_eq!(heartbeat.silence(two), Some(Duration::from_secs(2)));
    }
}
