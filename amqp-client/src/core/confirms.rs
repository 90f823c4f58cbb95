//! Publisher confirms of one channel: which published message had which outcome.
//!
//! Tags are given out in order, so the outstanding ones are a ring indexed by tag: a single confirm
//! costs O(1), a `multiple` one as much as it covers. Where somebody waits for the outcome, the ring
//! points to a slot that keeps it until it is fetched; so one that is never fetched holds up nothing.
//!
//! A returned message comes as `basic.return` before the confirm of its publish, without a tag. It is
//! matched to the outstanding mandatory publish with the same exchange, routing key and body (its length
//! and beginning); only publishes that are alike in all of these are told apart by their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use amqp091::types::ShortStr;

use super::counting::Outcomes;
use super::returns::Unclaimed;
use super::tally::{Tallies, TallyKey};
use crate::error::Error;
use crate::publish::{Body, Outcome, Returned};

/// In the ring: nobody waits for the outcome.
const NO_SLOT: u32 = u32::MAX;
/// In the ring: the outcome is known, but an earlier one isn't yet.
const RESOLVED: u32 = u32::MAX - 1;
/// In the ring, this bit set: a tally counts the outcome; the rest is its key.
const TALLY: u32 = 1 << 31;

/// Into how many parts a confirm's timeout is divided: what was published within one of them is
/// overdue together.
const LOOKS: u32 = 64;

/// Where a [`Confirm`](crate::Confirm) finds its outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ConfirmKey {
    pub(crate) delivery_tag: u64,
    slot: u32,
    /// Which instance of the channel it was published by: tags begin again with each.
    pub(crate) epoch: u32,
}

#[derive(Debug)]
enum Slot {
    Free,
    Waiting(Option<Waker>),
    Done(Outcome),
}

/// An outstanding mandatory publish.
#[derive(Debug)]
struct Mandatory {
    exchange: ShortStr,
    routing_key: ShortStr,
    body: Fingerprint,
    returned: Option<Box<Returned>>,
}

/// Length and hash of a body's beginning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fingerprint(usize, u64);

impl Fingerprint {
    /// How much of a body tells messages apart that are otherwise alike.
    pub(crate) const OCTETS: usize = 4096;

    pub(crate) fn of(body: &[u8]) -> Self {
        Self::of_beginning(body, body.len())
    }

    /// Of a body of `len` octets that begins so.
    pub(crate) fn of_beginning(beginning: &[u8], len: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        beginning[..beginning.len().min(Self::OCTETS)].hash(&mut hasher);
        Self(len, hasher.finish())
    }

    /// Of a body in pieces, or not.
    pub(crate) fn of_body(body: &Body<'_>) -> Self {
        Self::of_beginning(&body.beginning(Self::OCTETS), body.len())
    }
}

/// Who learns of outcomes.
#[derive(Debug)]
pub(crate) struct Audience<'a> {
    pub(crate) wakes: &'a mut Vec<Waker>,
    pub(crate) tallies: &'a mut Tallies,
    /// Takes returned messages that nobody waits for.
    pub(crate) unclaimed: &'a mut Unclaimed,
}

/// A message's own deadline.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Instant,
    after: Duration,
}

/// How the server settled a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Ack,
    Nack,
}

/// The server confirmed a tag that was never given out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UnknownTag;

/// The confirms of one channel.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    /// The channel's instance.
    epoch: u32,
    /// How many messages had which outcome.
    outcomes: Outcomes,
    /// The tag of the ring's front; the next one to give out is this plus the ring's length.
    base: u64,
    ring: VecDeque<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    mandatory: BTreeMap<u64, Mandatory>,
    /// The highest tag whose message was returned.
    returned_through: u64,
    /// For deadlines: tags below the number were published by that time.
    published: VecDeque<(u64, Instant)>,
    /// Of messages that have a deadline of their own.
    deadlines: BTreeMap<u64, Deadline>,
    /// The same by time.
    by_time: BTreeSet<(Instant, u64)>,
}

impl Confirms {
    /// Confirms of an instance of a channel that enters confirm mode: the first tag is 1.
    pub(crate) fn new(epoch: u32) -> Self {
        Self { epoch, base: 1, ..Self::default() }
    }

    /// The channel's instance.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// How many messages had which outcome.
    pub(crate) fn outcomes(&self) -> Outcomes {
        self.outcomes
    }

    /// How many messages are still to have one.
    pub(crate) fn outstanding(&self) -> u64 {
        self.next_tag() - 1 - self.outcomes.settled()
    }

    /// Whether an outcome is still to be fetched, or to come for somebody who waits.
    pub(crate) fn is_watched(&self) -> bool {
        self.free.len() < self.slots.len()
    }

    pub(crate) fn next_tag(&self) -> u64 {
        self.base + self.ring.len() as u64
    }

    /// All tags below are settled.
    pub(crate) fn settled_below(&self) -> u64 {
        self.base
    }

    /// Gives out the next tag to a message that a tally counts.
    pub(crate) fn push_counted(&mut self, TallyKey(tally): TallyKey) {
        self.ring.push_back(TALLY | tally);
    }

    /// Notes a deadline of its own for the message with the tag just given out.
    pub(crate) fn deadline(&mut self, delivery_tag: u64, at: Instant, after: Duration) {
        self.deadlines.insert(delivery_tag, Deadline { at, after });
        self.by_time.insert((at, delivery_tag));
    }

    /// Messages whose outcome is waited for or not fetched.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.slots.iter().filter(|slot| !matches!(slot, Slot::Free)).count()
    }

    /// Messages that are not confirmed.
    #[cfg(test)]
    pub(crate) fn unconfirmed(&self) -> usize {
        self.ring.iter().filter(|&&slot| slot != RESOLVED).count()
    }

    /// Gives out the next tag to a message whose outcome nobody waits for.
    pub(crate) fn push_unwatched(&mut self) {
        self.ring.push_back(NO_SLOT);
    }

    /// Gives out the next tag.
    pub(crate) fn push(&mut self) -> ConfirmKey {
        let delivery_tag = self.next_tag();
        let waiting = Slot::Waiting(None);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = waiting;
                slot
            }
            None => {
                self.slots.push(waiting);
                // As many slots as this would need over 50 GB of memory.
                let slot = u32::try_from(self.slots.len() - 1).ok();
                slot.filter(|slot| slot & TALLY == 0).unwrap_or(NO_SLOT)
            }
        };
        self.ring.push_back(slot);
        ConfirmKey { delivery_tag, slot, epoch: self.epoch }
    }

    /// Notes that the message with the tag just given out is mandatory.
    pub(crate) fn mandatory(
        &mut self,
        delivery_tag: u64,
        exchange: ShortStr,
        routing_key: ShortStr,
        body: Fingerprint,
    ) {
        let publish = Mandatory { exchange, routing_key, body, returned: None };
        self.mandatory.insert(delivery_tag, publish);
    }

    /// Takes a returned message to the publish that it belongs to: the first outstanding one with the
    /// same exchange, routing key and body, counted from behind the last that was returned, since
    /// brokers return in the order of publishing. Gives it back if there is none.
    pub(crate) fn returned(&mut self, returned: Box<Returned>) -> Result<(), Box<Returned>> {
        let body = Fingerprint::of(&returned.body);
        let is_alike = |publish: &Mandatory| {
            publish.returned.is_none()
                && publish.body == body
                && publish.routing_key == returned.routing_key
                && publish.exchange == returned.exchange
        };
        let find = |mut publishes: btree_map::Range<'_, u64, Mandatory>| {
            publishes.find(|(_, publish)| is_alike(publish)).map(|(&tag, _)| tag)
        };
        let tag = find(self.mandatory.range(self.returned_through + 1..))
            .or_else(|| find(self.mandatory.range(..=self.returned_through)));
        match tag.and_then(|tag| Some((tag, self.mandatory.get_mut(&tag)?))) {
            Some((tag, publish)) => {
                publish.returned = Some(returned);
                self.returned_through = self.returned_through.max(tag);
                Ok(())
            }
            None => Err(returned),
        }
    }

    /// Takes `basic.ack` or `basic.nack` from the server. A tag that is settled already is ignored.
    pub(crate) fn settle(
        &mut self,
        delivery_tag: u64,
        multiple: bool,
        verdict: Verdict,
        to: &mut Audience<'_>,
    ) -> Result<(), UnknownTag> {
        if delivery_tag >= self.next_tag() {
            return Err(UnknownTag);
        }
        if multiple {
            // Tag 0 stands for all that are outstanding.
            let end = if delivery_tag == 0 { self.next_tag() } else { delivery_tag + 1 };
            self.settle_below(end, verdict, to);
        } else if let Some(index) = delivery_tag.checked_sub(self.base) {
            // Below the ring's length, by the check above.
            self.resolve(index as usize, verdict, to);
            self.pop_resolved();
        }
        Ok(())
    }

    fn settle_below(&mut self, end: u64, verdict: Verdict, to: &mut Audience<'_>) {
        while self.base < end && !self.ring.is_empty() {
            self.resolve(0, verdict, to);
            self.ring.pop_front();
            self.base += 1;
        }
        self.pop_resolved();
    }

    fn pop_resolved(&mut self) {
        while self.ring.front() == Some(&RESOLVED) {
            self.ring.pop_front();
            self.base += 1;
        }
    }

    #[inline]
    fn resolve(&mut self, index: usize, verdict: Verdict, to: &mut Audience<'_>) {
        let Some(place) = self.ring.get_mut(index) else { return };
        let place = std::mem::replace(place, RESOLVED);
        if place == RESOLVED {
            return;
        }
        let delivery_tag = self.base + index as u64;
        let outcome = match (verdict, self.forget_message(delivery_tag)) {
            (Verdict::Nack, None) => Outcome::Nacked,
            (Verdict::Nack, Some(returned)) if place == NO_SLOT => Outcome::Returned(returned),
            (Verdict::Nack, Some(_)) => Outcome::Nacked,
            (Verdict::Ack, Some(returned)) => Outcome::Returned(returned),
            (Verdict::Ack, None) => Outcome::Confirmed,
        };
        self.tell(place, delivery_tag, outcome, to);
    }

    /// Forgets what is noted of a message that is settled; if it came back, here it is.
    #[inline]
    fn forget_message(&mut self, delivery_tag: u64) -> Option<Box<Returned>> {
        if !self.deadlines.is_empty()
            && let Some(Deadline { at, .. }) = self.deadlines.remove(&delivery_tag)
        {
            self.by_time.remove(&(at, delivery_tag));
        }
        if self.mandatory.is_empty() {
            return None;
        }
        self.mandatory.remove(&delivery_tag)?.returned
    }

    /// Tells an outcome to whoever `place` stands for.
    #[inline]
    fn tell(&mut self, place: u32, delivery_tag: u64, outcome: Outcome, to: &mut Audience<'_>) {
        match &outcome {
            Outcome::Confirmed => self.outcomes.confirmed += 1,
            Outcome::Returned(_) => self.outcomes.returned += 1,
            Outcome::Nacked => self.outcomes.nacked += 1,
            Outcome::Unknown(_) => self.outcomes.unknown += 1,
        }
        match place {
            NO_SLOT | RESOLVED => {
                if let Outcome::Returned(returned) = outcome {
                    to.unclaimed.push(returned, to.wakes);
                }
            }
            place if place & TALLY != 0 => {
                let (tally, tag) = (TallyKey(place & !TALLY), (self.epoch, delivery_tag));
                to.tallies.settled(tally, tag, outcome, to.wakes);
            }
            slot => {
                if let Some(slot) = self.slots.get_mut(slot as usize)
                    && let Slot::Waiting(waker) = slot
                {
                    to.wakes.extend(waker.take());
                    *slot = Slot::Done(outcome);
                }
            }
        }
    }

    /// Looks for an outcome. Once it is there, its slot is free.
    pub(crate) fn poll(&mut self, key: ConfirmKey, cx: &Context<'_>) -> Poll<Outcome> {
        let Some(slot) = self.slots.get_mut(key.slot as usize) else { return Poll::Pending };
        match slot {
            Slot::Waiting(Some(waker)) => waker.clone_from(cx.waker()),
            Slot::Waiting(waker) => *waker = Some(cx.waker().clone()),
            Slot::Free => {}
            Slot::Done(_) => {
                self.free.push(key.slot);
                if let Slot::Done(outcome) = std::mem::replace(slot, Slot::Free) {
                    return Poll::Ready(outcome);
                }
            }
        }
        Poll::Pending
    }

    /// Gives up waiting for an outcome: its future was dropped.
    pub(crate) fn forget(&mut self, key: ConfirmKey) {
        let Some(slot) = self.slots.get_mut(key.slot as usize) else { return };
        let outstanding = matches!(slot, Slot::Waiting(_));
        *slot = Slot::Free;
        self.free.push(key.slot);
        if outstanding
            && let Some(index) = key.delivery_tag.checked_sub(self.base)
            && let Some(place) = self.ring.get_mut(index as usize)
        {
            *place = NO_SLOT;
        }
    }

    /// When the earliest outstanding message is overdue; `None` when none is outstanding. Messages
    /// published since the last look are taken to be published `now`.
    pub(crate) fn next_deadline(&mut self, now: Instant, timeout: Duration) -> Option<Instant> {
        while self.published.front().is_some_and(|&(end, _)| end <= self.base) {
            self.published.pop_front();
        }
        let end = self.next_tag();
        match self.published.back_mut() {
            // So few looks are told apart that a confirm which never comes piles up no more of them.
            Some((known, published)) if now < *published + timeout / LOOKS => *known = end,
            Some((known, _)) if *known == end => {}
            _ if end == self.base => {}
            _ => self.published.push_back((end, now)),
        }
        let due = self.published.front().map(|&(_, published)| published + timeout);
        let own = self.by_time.first().map(|&(at, _)| at);
        due.into_iter().chain(own).min()
    }

    /// Lets every deadline start `pause` later: the server had blocked the connection that long.
    pub(crate) fn postpone(&mut self, pause: Duration) {
        for (_, published) in &mut self.published {
            *published += pause;
        }
        if !self.deadlines.is_empty() {
            self.by_time.clear();
            for (&delivery_tag, deadline) in &mut self.deadlines {
                deadline.at += pause;
                self.by_time.insert((deadline.at, delivery_tag));
            }
        }
    }

    /// Gives up on the messages whose deadline has passed. A confirm that comes later is ignored.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        timeout: Duration,
        to: &mut Audience<'_>,
    ) {
        while let Some(&(at, delivery_tag)) = self.by_time.first()
            && at <= now
        {
            self.by_time.pop_first();
            let Some(Deadline { after, .. }) = self.deadlines.remove(&delivery_tag) else {
                continue;
            };
            self.unknown(delivery_tag, &overdue(after), to);
        }
        while let Some(&(end, published)) = self.published.front()
            && published + timeout <= now
        {
            self.published.pop_front();
            let error = overdue(timeout);
            for delivery_tag in self.base..end.min(self.next_tag()) {
                if !self.deadlines.contains_key(&delivery_tag) {
                    self.unknown(delivery_tag, &error, to);
                }
            }
        }
        self.pop_resolved();
    }

    /// Ends every wait: the channel is gone and no confirm will come.
    pub(crate) fn fail_all(&mut self, error: &Error, to: &mut Audience<'_>) {
        for delivery_tag in self.base..self.next_tag() {
            self.unknown(delivery_tag, error, to);
        }
        self.pop_resolved();
        self.published.clear();
    }

    /// Nobody knows what became of this message, unless it came back.
    fn unknown(&mut self, delivery_tag: u64, error: &Error, to: &mut Audience<'_>) {
        let Some(index) = delivery_tag.checked_sub(self.base) else { return };
        let Some(place) = self.ring.get_mut(index as usize) else { return };
        let place = std::mem::replace(place, RESOLVED);
        if place == RESOLVED {
            return;
        }
        let outcome = match self.forget_message(delivery_tag) {
            Some(returned) => Outcome::Returned(returned),
            None => Outcome::Unknown(error.clone()),
        };
        self.tell(place, delivery_tag, outcome, to);
    }
}

fn overdue(after: Duration) -> Error {
    Error::Timeout { method: "basic.publish", after }
}
