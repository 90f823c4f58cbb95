//! Acknowledgements that wait, to be sent as few: off unless asked for.
//!
//! One `basic.ack` with `multiple` settles every delivery of its channel up to its tag. It may stand for
//! many only while none of those is still the program's: so this keeps, for one channel, which
//! deliveries aren't settled yet, whichever consumer or `basic.get` brought them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use amqp091::protocol::basic;
use amqp091::types::Method;

use super::{ChannelKey, Core};
use crate::error::Error;
use crate::options::LONGEST;

/// Settled places in the list that are kept before it is tidied up.
const UNTIDY: usize = 64;

/// The acknowledgements of one channel.
#[derive(Debug)]
pub(crate) struct Acks {
    /// So many are sent at the latest.
    max: usize,
    /// After so long they are sent at the latest.
    delay: Duration,
    /// The highest tag that had come before this began: what came up to it may still be unsettled.
    floor: u64,
    /// Deliveries that the program has yet to settle, by rising tag. The front isn't settled.
    open: VecDeque<Place>,
    /// How many places in the list are settled.
    settled: usize,
    /// Tags that are acknowledged here and not yet to the server.
    acked: Vec<u64>,
    /// When they are to be sent; nothing until the shell looks at the clock.
    deadline: Option<Instant>,
    /// Whether the connection's list of channels that have some holds this one.
    listed: bool,
}

#[derive(Debug)]
struct Place {
    tag: u64,
    is_open: bool,
}

impl Acks {
    /// Begins behind the delivery `floor`.
    fn new(floor: u64) -> Self {
        Self {
            max: 1,
            delay: Duration::ZERO,
            floor,
            open: VecDeque::new(),
            settled: 0,
            acked: Vec::new(),
            deadline: None,
            listed: false,
        }
    }

    /// How many may wait, and for how long.
    pub(super) fn settings(&self) -> (usize, Duration) {
        (self.max, self.delay)
    }

    /// How many acknowledgements wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.acked.len()
    }

    /// A delivery has come that is to be settled.
    pub(super) fn delivered(&mut self, tag: u64) {
        if self.open.back().is_some_and(|last| last.tag >= tag) {
            // A server that doesn't count: nothing stands for anything else any more.
            self.floor = u64::MAX;
            return;
        }
        self.open.push_back(Place { tag, is_open: true });
    }

    /// All that has come is the server's again.
    pub(super) fn recovered(&mut self) {
        self.open.clear();
        self.settled = 0;
        self.acked.clear();
    }

    /// Keeps an acknowledgement; not one of a delivery that isn't known here.
    fn ack(&mut self, tag: u64) -> bool {
        let is_open = self.settle(tag);
        if is_open {
            self.acked.push(tag);
        }
        is_open
    }

    /// The program has settled a delivery. Returns whether it hadn't before.
    fn settle(&mut self, tag: u64) -> bool {
        let Some(front) = self.open.front() else { return false };
        let guess = usize::try_from(tag.wrapping_sub(front.tag)).unwrap_or(usize::MAX);
        let place = match self.open.get(guess) {
            Some(place) if place.tag == tag => Some(guess),
            _ => self.open.binary_search_by_key(&tag, |place| place.tag).ok(),
        };
        let Some(place) = place.and_then(|index| self.open.get_mut(index)) else { return false };
        if !std::mem::take(&mut place.is_open) {
            return false;
        }
        self.settled += 1;
        self.tidy();
        true
    }

    /// The program has settled all up to `tag` at once.
    fn settle_through(&mut self, tag: u64) {
        while let Some(front) = self.open.front()
            && front.tag <= tag
        {
            self.settled -= usize::from(!front.is_open);
            self.open.pop_front();
        }
        self.acked.retain(|&acked| acked > tag);
        self.tidy();
    }

    /// Settled places don't pile up behind one that isn't.
    fn tidy(&mut self) {
        while let Some(front) = self.open.front()
            && !front.is_open
        {
            self.open.pop_front();
            self.settled -= 1;
        }
        if self.settled > UNTIDY && self.settled > self.open.len() / 2 {
            self.open.retain(|place| place.is_open);
            self.settled = 0;
        }
    }

    /// What is to be sent: one method that stands for all before the first open delivery, and one for
    /// each of the others. `settled_through` is what was settled with all before it by other means.
    fn flush(&mut self, settled_through: u64, mut send: impl FnMut(basic::Ack)) {
        self.deadline = None;
        let end = match self.open.front() {
            _ if self.floor > settled_through => 0,
            Some(first) => first.tag,
            None => u64::MAX,
        };
        let (mut last, mut count) = (0, 0);
        for &tag in self.acked.iter().filter(|&&tag| tag < end) {
            last = tag.max(last);
            count += 1;
        }
        if count > 0 {
            send(basic::Ack { delivery_tag: last, multiple: count > 1 });
        }
        for delivery_tag in self.acked.drain(..).filter(|&tag| tag >= end) {
            send(basic::Ack { delivery_tag, multiple: false });
        }
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.acked.is_empty() {
            self.deadline = None;
            return None;
        }
        Some(*self.deadline.get_or_insert(now + self.delay))
    }
}

impl Core {
    /// From now on acknowledgements of the channel wait until there are `max` of them, or for `delay`
    /// at most. In a transaction they don't.
    pub(crate) fn coalesce_acks(&mut self, key: ChannelKey, max: usize, delay: Duration) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        if channel.tx.is_some() || channel.check_open().is_err() {
            return;
        }
        let floor = if channel.unsettled.count() == 0 { 0 } else { channel.last_tag };
        let acks = channel.acks.get_or_insert_with(|| Box::new(Acks::new(floor)));
        (acks.max, acks.delay) = (max, delay.min(LONGEST));
    }

    /// Sends the acknowledgements that wait on a channel.
    pub(crate) fn flush_acks(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let Some(acks) = &mut channel.acks else { return };
        if acks.acked.is_empty() {
            return;
        }
        let mut methods = Vec::new();
        acks.flush(channel.settled_through, |ack| methods.push(ack));
        for ack in methods {
            // A channel that is closed has given all of it back.
            let _ = self.send(key, &ack);
        }
    }

    /// As [`flush_acks`](Self::flush_acks), on every channel.
    pub(super) fn flush_all_acks(&mut self) {
        for key in std::mem::take(&mut self.acking) {
            self.flush_acks(key);
            if let Some(acks) = self.channels.get_mut(key).and_then(|channel| channel.acks.as_mut())
            {
                acks.listed = false;
            }
        }
    }

    /// Keeps an acknowledgement for later, and takes note of what settles in any other way. Returns
    /// whether there is nothing to send now.
    pub(super) fn keep_ack<M: Method>(
        &mut self,
        key: ChannelKey,
        tag: u64,
        multiple: bool,
    ) -> bool {
        let is_ack = M::ID == basic::Ack::ID;
        if multiple && !is_ack {
            // It would refuse what is acknowledged here.
            self.flush_acks(key);
        }
        let Some(acks) = self.channels.get_mut(key).and_then(|channel| channel.acks.as_mut())
        else {
            return false;
        };
        if multiple {
            acks.settle_through(tag);
            return false;
        }
        if !is_ack {
            acks.settle(tag);
            return false;
        }
        if !acks.ack(tag) {
            return false;
        }
        if acks.acked.len() >= acks.max {
            self.flush_acks(key);
        } else if acks.acked.len() == 1 {
            if !std::mem::replace(&mut acks.listed, true) {
                self.acking.push(key);
            }
            // Its deadline begins when the shell looks.
            self.attention = true;
        }
        true
    }

    /// When the first of the acknowledgements that wait are to be sent.
    pub(super) fn acks_deadline(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        self.acking.retain(|&key| {
            let acks = self.channels.get_mut(key).and_then(|channel| channel.acks.as_mut());
            let Some(acks) = acks else { return false };
            let due = acks.next_deadline(now);
            next = next.into_iter().chain(due).min();
            acks.listed = due.is_some();
            acks.listed
        });
        next
    }

    /// Sends the acknowledgements that have waited long enough.
    pub(super) fn send_due_acks(&mut self, now: Instant) {
        for at in 0..self.acking.len() {
            let key = self.acking[at];
            let acks = self.channels.get_mut(key).and_then(|channel| channel.acks.as_ref());
            if acks.is_some_and(|acks| acks.deadline.is_some_and(|deadline| deadline <= now)) {
                self.flush_acks(key);
            }
        }
    }

    /// Fails if the channel is closed; else sends the acknowledgements that wait on it.
    pub(crate) fn flush_acks_now(&mut self, key: ChannelKey) -> Result<(), Error> {
        self.check_channel(key)?;
        self.flush_acks(key);
        Ok(())
    }
}
