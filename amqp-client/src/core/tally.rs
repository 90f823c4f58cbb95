//! Groups of published messages: how many are outstanding, how many were confirmed, and which failed.
//!
//! Nothing is kept of a message that is confirmed. A tally lets only so many be outstanding; who wants to
//! publish more waits in a queue, and each place that becomes free wakes one of them.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use super::waiters::{WaiterKey, Waiters};
use crate::error::Error;
use crate::publish::{BatchOutcome, Outcome};

/// Where a tally lies. Its handle keeps it there, and so do its outstanding messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TallyKey(pub(super) u32);

/// A place in the queue for room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ticket(u64);

/// One message as the server knows it: the channel's instance, and the delivery tag of the confirm.
pub(crate) type Tag = (u32, u64);

/// Messages published one behind the other, with no others between them.
#[derive(Debug)]
struct Run {
    first: Tag,
    /// The number of the first in its tally.
    number: u64,
}

#[derive(Debug)]
struct Waiting {
    /// None: it was woken.
    waker: Option<Waker>,
    /// Whether there is room for it.
    granted: bool,
}

#[derive(Debug)]
struct Tally {
    limit: usize,
    /// So many failures are kept; with that many, nothing more is published.
    failures: usize,
    outstanding: usize,
    outcome: BatchOutcome,
    /// The number of the next message.
    next: u64,
    runs: VecDeque<Run>,
    queue: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    /// How many of the queue were told that there is room: those in front.
    granted: usize,
    /// No ticket from this on was.
    next_granted: u64,
    /// Whether all of the queue were told that failures take the room.
    told_stopped: bool,
    settled: Waiters,
    released: bool,
}

impl Tally {
    /// Tells those in front of the queue of room that there is.
    fn grant(&mut self, wakes: &mut Vec<Waker>) {
        let is_stopped = self.outcome.failed.len() >= self.failures;
        // Once is enough: they leave one by one, and each comes by here.
        let told = std::mem::replace(&mut self.told_stopped, is_stopped);
        if self.queue.is_empty() {
            return;
        }
        for (&ticket, waiting) in self.queue.range_mut(self.next_granted..) {
            if self.outstanding + self.granted < self.limit {
                waiting.granted = true;
                self.granted += 1;
                self.next_granted = ticket + 1;
            } else if told || !is_stopped {
                break;
            }
            // Whoever waits for room that failures take is told so.
            wakes.extend(waiting.waker.take());
        }
    }
}

/// The tallies of a connection.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    entries: Vec<Option<Box<Tally>>>,
    free: Vec<u32>,
}

impl Tallies {
    /// A tally of which `limit` messages may be outstanding, one at least, and that takes no more when
    /// `failures` have failed.
    pub(crate) fn open(&mut self, limit: usize, failures: usize) -> TallyKey {
        let tally = Some(Box::new(Tally {
            limit: limit.max(1),
            failures: failures.max(1),
            outstanding: 0,
            outcome: BatchOutcome::default(),
            next: 0,
            runs: VecDeque::new(),
            queue: BTreeMap::new(),
            next_ticket: 0,
            granted: 0,
            next_granted: 0,
            told_stopped: false,
            settled: Waiters::default(),
            released: false,
        }));
        match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = tally;
                TallyKey(index)
            }
            None => {
                self.entries.push(tally);
                // So many would need hundreds of gigabytes.
                TallyKey(u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX))
            }
        }
    }

    #[inline]
    fn get_mut(&mut self, key: TallyKey) -> Option<&mut Tally> {
        self.entries.get_mut(key.0 as usize)?.as_deref_mut()
    }

    /// Its handle is dropped: what is outstanding goes on, counted by nobody.
    pub(crate) fn release(&mut self, key: TallyKey) {
        if let Some(tally) = self.get_mut(key) {
            tally.released = true;
            self.remove_if_done(key);
        }
    }

    fn remove_if_done(&mut self, key: TallyKey) {
        if let Some(entry) = self.entries.get_mut(key.0 as usize)
            && entry.as_ref().is_some_and(|tally| tally.released && tally.outstanding == 0)
        {
            *entry = None;
            self.free.push(key.0);
        }
    }

    /// Whether another message may go out now; else the queue has a place for who asks.
    ///
    /// # Errors
    ///
    /// [`Error::WindowFailed`] when so many messages have failed that no more of them are kept.
    pub(crate) fn poll_room(
        &mut self,
        key: TallyKey,
        ticket: &mut Option<Ticket>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let Some(tally) = self.get_mut(key) else { return Poll::Ready(Ok(())) };
        let failed = tally.outcome.failed.len();
        if failed >= tally.failures {
            return Poll::Ready(Err(Error::WindowFailed { failed }));
        }
        // Places of those who were told there is room are theirs.
        let has_room =
            tally.queue.len() == tally.granted && tally.outstanding + tally.granted < tally.limit;
        match ticket.and_then(|Ticket(ticket)| tally.queue.get_mut(&ticket)) {
            Some(Waiting { granted: true, .. }) => Poll::Ready(Ok(())),
            Some(Waiting { waker, .. }) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None if has_room => Poll::Ready(Ok(())),
            None => {
                let number = tally.next_ticket;
                tally.next_ticket += 1;
                let waker = Some(cx.waker().clone());
                tally.queue.insert(number, Waiting { waker, granted: false });
                *ticket = Some(Ticket(number));
                Poll::Pending
            }
        }
    }

    /// Wakes all who wait for room: a channel is closed, and not for all of them there will be some.
    pub(crate) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        for tally in self.entries.iter_mut().flatten() {
            wakes.extend(tally.queue.values_mut().filter_map(|waiting| waiting.waker.take()));
        }
    }

    /// Whoever had this place in the queue has published, or gives up.
    pub(crate) fn leave_queue(&mut self, key: TallyKey, ticket: Ticket, wakes: &mut Vec<Waker>) {
        let Some(tally) = self.get_mut(key) else { return };
        if let Some(Waiting { granted: true, .. }) = tally.queue.remove(&ticket.0) {
            tally.granted -= 1;
        }
        tally.grant(wakes);
    }

    /// Counts a message that was published; all below `settled_below` are settled. Returns its number.
    pub(crate) fn published(&mut self, key: TallyKey, tag: Tag, settled_below: Tag) -> u64 {
        let Some(tally) = self.get_mut(key) else { return 0 };
        let number = tally.next;
        tally.next += 1;
        tally.outcome.sent += 1;
        tally.outstanding += 1;
        let goes_on = tally.runs.back().is_some_and(|Run { first, number: begin }| {
            (first.0, first.1 + (number - begin)) == tag
        });
        if !goes_on {
            // A run is over with when all before the next one's beginning are settled.
            while tally.runs.get(1).is_some_and(|second| second.first <= settled_below) {
                tally.runs.pop_front();
            }
            tally.runs.push_back(Run { first: tag, number });
        }
        number
    }

    /// Counts a message's outcome.
    pub(crate) fn settled(
        &mut self,
        key: TallyKey,
        tag: Tag,
        outcome: Outcome,
        wakes: &mut Vec<Waker>,
    ) {
        let Some(tally) = self.get_mut(key) else { return };
        tally.outstanding = tally.outstanding.saturating_sub(1);
        match outcome.into_error() {
            None => tally.outcome.confirmed += 1,
            Some(_) if tally.released => {}
            Some(error) => {
                let behind = tally.runs.partition_point(|run| run.first <= tag);
                let run = behind.checked_sub(1).and_then(|place| tally.runs.get(place));
                let number = run.map_or(0, |run| run.number + (tag.1 - run.first.1));
                tally.outcome.failed.push((number, error));
            }
        }
        tally.grant(wakes);
        if tally.outstanding == 0 {
            tally.settled.wake_all(wakes);
            if tally.released {
                self.remove_if_done(key);
            }
        }
    }

    /// Waits until nothing is outstanding.
    pub(crate) fn poll_settled(
        &mut self,
        key: TallyKey,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<()> {
        match self.get_mut(key) {
            Some(tally) if tally.outstanding > 0 => {
                tally.settled.wait(waiter, cx.waker());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Gives up waiting until nothing is outstanding.
    pub(crate) fn forget_settled(&mut self, key: TallyKey, waiter: WaiterKey) {
        if let Some(tally) = self.get_mut(key) {
            tally.settled.forget(waiter);
        }
    }

    /// Takes what is known to have become of the messages since the last time. Numbers go on.
    pub(crate) fn take_outcome(&mut self, key: TallyKey, wakes: &mut Vec<Waker>) -> BatchOutcome {
        let Some(tally) = self.get_mut(key) else { return BatchOutcome::default() };
        let outcome = std::mem::take(&mut tally.outcome);
        tally.grant(wakes);
        outcome
    }

    /// How many tallies there are.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.entries.iter().flatten().count()
    }

    /// How many runs of messages are known.
    #[cfg(test)]
    pub(crate) fn runs(&mut self, key: TallyKey) -> usize {
        self.get_mut(key).map_or(0, |tally| tally.runs.len())
    }

    /// How many messages are outstanding.
    pub(crate) fn outstanding(&mut self, key: TallyKey) -> usize {
        self.get_mut(key).map_or(0, |tally| tally.outstanding)
    }
}
