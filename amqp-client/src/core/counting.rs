//! The core's counters: plain numbers beside what they count, added up when somebody asks.

use std::time::{Duration, Instant};

use super::{Channel, ChannelKey, Core};
use crate::counters::Counters;

/// What a channel counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) published: u64,
    /// Of confirms whose instance of the channel is gone.
    pub(crate) outcomes: Outcomes,
    pub(crate) returned: u64,
    pub(crate) delivered: u64,
    pub(crate) acked: u64,
    pub(crate) rejected: u64,
    pub(crate) calls: u64,
    pub(crate) frames_out: u64,
}

/// What became of published messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) confirmed: u64,
    pub(crate) returned: u64,
    pub(crate) nacked: u64,
    pub(crate) unknown: u64,
}

impl Outcomes {
    /// How many are known.
    pub(crate) fn settled(&self) -> u64 {
        self.confirmed + self.returned + self.nacked + self.unknown
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.confirmed += other.confirmed;
        self.returned += other.returned;
        self.nacked += other.nacked;
        self.unknown += other.unknown;
    }
}

/// What a connection counts itself.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) octets_in: u64,
    pub(crate) octets_out: u64,
    pub(crate) frames_in: u64,
    /// Heartbeats.
    pub(crate) frames_out: u64,
    /// Octets of a frame's beginning that were left in the input.
    pub(crate) left_over: usize,
    /// What the server's blocks took, as far as they are over.
    pub(crate) blocked: Duration,
    /// What channels have counted that are gone.
    pub(crate) gone: Counters,
}

impl Channel {
    pub(crate) fn counters(&self) -> Counters {
        let mut outcomes = self.counts.outcomes;
        let mut unconfirmed = 0;
        if let Some(confirms) = &self.confirms {
            outcomes.add(confirms.outcomes());
            unconfirmed = confirms.outstanding();
        }
        Counters {
            published: self.counts.published,
            confirmed: outcomes.confirmed,
            nacked: outcomes.nacked,
            returned: self.counts.returned,
            unknown: outcomes.unknown,
            unconfirmed,
            delivered: self.counts.delivered,
            acked: self.counts.acked,
            rejected: self.counts.rejected,
            unsettled: self.unsettled.count(),
            calls: self.counts.calls,
            frames_out: self.counts.frames_out,
            ..Counters::default()
        }
    }

    /// Takes note of a delivery.
    #[inline]
    pub(crate) fn note_delivery(&mut self, tag: u64, no_ack: bool) {
        self.last_tag = tag;
        self.counts.delivered += 1;
        if !no_ack {
            self.unsettled.delivered(tag);
            if let Some(acks) = &mut self.acks {
                acks.delivered(tag);
            }
        }
    }

    /// Counts deliveries that are settled.
    #[inline]
    pub(crate) fn count_settled(&mut self, tag: u64, multiple: bool, is_ack: bool) {
        let count = match multiple {
            true => self.unsettled.settled_through(tag),
            false => u64::from(self.unsettled.settled(tag)),
        };
        if is_ack {
            self.counts.acked += count;
        } else {
            self.counts.rejected += count;
        }
    }
}

impl Core {
    /// What the connection has done.
    pub(crate) fn counters(&mut self, now: Instant) -> Counters {
        let mut counters = self.traffic.gone;
        for key in self.channels.keys() {
            if let Some(channel) = self.channels.get_mut(key) {
                counters.add(&channel.counters());
            }
        }
        let blocked = self.blocked.as_ref().map(|(since, _)| now.saturating_duration_since(*since));
        counters.frames_out += self.traffic.frames_out;
        counters.frames_in = self.traffic.frames_in;
        counters.octets_out = self.traffic.octets_out;
        counters.octets_in = self.traffic.octets_in;
        counters.channels = self.channels.in_use();
        counters.blocked = self.traffic.blocked + blocked.unwrap_or_default();
        counters
    }

    /// What a channel has done.
    pub(crate) fn channel_counters(&mut self, key: ChannelKey) -> Counters {
        self.channels.get_mut(key).map_or_else(Counters::default, |channel| channel.counters())
    }

    /// Forgets a channel, but not what it has counted.
    pub(super) fn remove_channel(&mut self, key: ChannelKey) {
        if let Some(channel) = self.channels.get_mut(key) {
            let counters = channel.counters();
            self.traffic.gone.add(&counters);
        }
        self.channels.remove(key);
    }
}
