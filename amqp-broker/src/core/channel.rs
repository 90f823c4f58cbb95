//! Channels: what was delivered on each and isn't settled, and what its publisher was promised.

use std::collections::{HashMap, VecDeque};

use amqp091::content::Assembler;
use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::connection::ConnectionKey;
use super::consumer::ConsumerKey;
use super::exchange::{ExchangeKey, QueueKey};
use super::memory::Share;
use super::message::{Entry, Message};
use super::slab::Key;

pub(crate) type ChannelKey = Key<Channel>;

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) connection: ConnectionKey,
    pub(crate) number: u16,
    /// Whether `channel.close` is sent and not yet answered: until then all that comes is dropped.
    pub(crate) closing: bool,
    /// The publish whose content is coming.
    pub(crate) publish: Option<basic::Publish>,
    /// Whether the content's header has come already.
    pub(crate) has_header: bool,
    pub(crate) assembler: Assembler,
    pub(crate) consumers: HashMap<ShortStr, ConsumerKey>,
    pub(crate) unacked: Unacked,
    /// What new consumers get: most messages ahead of their acknowledgement, 0 for any number.
    pub(crate) prefetch: u16,
    /// The same for all consumers together.
    pub(crate) global_prefetch: u16,
    /// What counts against that.
    pub(crate) volume: usize,
    pub(crate) mode: Mode,
    /// What an empty queue name stands for.
    pub(crate) last_queue: Option<ShortStr>,
    pub(crate) replies: Option<Replies>,
    /// The exchange that was last published to, by its name: most often the next one too.
    pub(crate) last_exchange: Option<(ShortStr, ExchangeKey)>,
    /// What it counts with in what the broker holds, the content that is coming included.
    pub(crate) share: Share,
    /// Octets of the content that is coming.
    pub(crate) coming: usize,
}

/// What the channel is for.
#[derive(Debug)]
pub(crate) enum Mode {
    Normal,
    Confirm(Confirms),
    Tx(Vec<Pending>),
}

/// Publishes since `confirm.select`, and which of them the publisher has yet to hear of.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    pub(crate) published: u64,
    /// Tag and whether it was taken, in order.
    pub(crate) due: Vec<(u64, bool)>,
}

/// A part of a transaction.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A message, the queues that it is for, and whether there has to be one.
    Publish(Box<Message>, Vec<QueueKey>, bool),
    Settle(Vec<(u64, Held)>, Settlement),
    /// A message that a rule refuses.
    Refused,
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settlement {
    Ack,
    Drop,
    Requeue,
    /// As `Requeue`, but nobody asked for it: its channel ended.
    GiveBack,
}

/// The consumer of replies that come straight to this channel.
#[derive(Clone, Debug)]
pub(crate) struct Replies {
    pub(crate) tag: ShortStr,
    /// The address of this channel, given to those who are to reply.
    pub(crate) address: ShortStr,
}

/// A delivery that isn't settled.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) queue: QueueKey,
    pub(crate) entry: Entry,
    /// None for one that was got.
    pub(crate) consumer: Option<ConsumerKey>,
}

/// What a transaction that is given up had settled.
pub(crate) fn taken_by(pending: Vec<Pending>) -> Vec<(u64, Held)> {
    let settled = pending.into_iter().filter_map(|step| match step {
        Pending::Settle(held, _) => Some(held),
        Pending::Publish(..) | Pending::Refused => None,
    });
    settled.flatten().collect()
}

impl Channel {
    pub(crate) fn new(connection: ConnectionKey, number: u16, max_body: u64, share: Share) -> Self {
        Self {
            connection,
            number,
            closing: false,
            publish: None,
            has_header: false,
            assembler: Assembler::new(max_body),
            consumers: HashMap::new(),
            unacked: Unacked::default(),
            prefetch: 0,
            global_prefetch: 0,
            volume: 0,
            mode: Mode::Normal,
            last_queue: None,
            replies: None,
            last_exchange: None,
            share,
            coming: 0,
        }
    }

    /// More of the content that is coming has come.
    pub(crate) fn note_coming(&mut self, octets: usize) {
        self.share.add(octets);
        self.coming += octets;
    }

    /// The content that was coming has come, or never will.
    pub(crate) fn forget_coming(&mut self) {
        self.share.remove(std::mem::take(&mut self.coming));
    }

    /// Whether the prefetch of all consumers together allows one more message.
    pub(crate) fn has_credit(&self) -> bool {
        self.global_prefetch == 0 || self.volume < usize::from(self.global_prefetch)
    }

    /// Sets the prefetch of all consumers together. RabbitMQ counts then what is held at all, and later what
    /// consumers alone hold.
    pub(crate) fn limit(&mut self, prefetch: u16) {
        if self.global_prefetch == 0 {
            self.volume = self.unacked.len();
        }
        self.global_prefetch = prefetch;
    }
}

/// Deliveries that aren't settled, by delivery tag.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    /// The highest tag that was given.
    last: u64,
    /// In the order of their tags; what was settled out of order leaves an empty place for a while.
    places: VecDeque<(u64, Option<Held>)>,
    len: usize,
}

/// So many empty places are never too many.
const EMPTY_PLACES: usize = 32;

impl Unacked {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes a delivery, and gives it its tag.
    pub(crate) fn push(&mut self, held: Held) -> u64 {
        self.last += 1;
        self.places.push_back((self.last, Some(held)));
        self.len += 1;
        self.last
    }

    /// The tag of a delivery that needs no settling.
    pub(crate) fn skip(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The place of a tag.
    fn index(&self, tag: u64) -> Option<usize> {
        let (first, _) = self.places.front()?;
        // Most often no tag is missing.
        let guess = usize::try_from(tag.checked_sub(*first)?).ok()?;
        match self.places.get(guess) {
            Some((found, _)) if *found == tag => Some(guess),
            _ => self.places.binary_search_by_key(&tag, |(tag, _)| *tag).ok(),
        }
    }

    /// Whether the delivery of this tag isn't settled.
    pub(crate) fn holds(&self, tag: u64) -> bool {
        self.index(tag)
            .and_then(|index| self.places.get(index))
            .is_some_and(|(_, held)| held.is_some())
    }

    /// Takes the delivery of this tag.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Held> {
        let index = self.index(tag)?;
        let held = self.places.get_mut(index)?.1.take()?;
        self.len -= 1;
        while let Some((_, None)) = self.places.front() {
            self.places.pop_front();
        }
        // A delivery that is never settled doesn't keep the places of all behind it.
        if self.places.len() > 2 * self.len + EMPTY_PLACES {
            self.places.retain(|(_, held)| held.is_some());
        }
        Some(held)
    }

    /// Takes all deliveries up to this tag, with their tags.
    pub(crate) fn take_through(&mut self, tag: u64) -> Vec<(u64, Held)> {
        let mut taken = Vec::new();
        while self.places.front().is_some_and(|(found, _)| *found <= tag)
            && let Some((found, place)) = self.places.pop_front()
        {
            if let Some(held) = place {
                self.len -= 1;
                taken.push((found, held));
            }
        }
        taken
    }

    /// Takes all deliveries.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, Held)> {
        self.take_through(u64::MAX)
    }

    /// Puts back what was taken: a transaction was rolled back.
    pub(crate) fn restore(&mut self, taken: Vec<(u64, Held)>) {
        if taken.is_empty() {
            return;
        }
        self.places.retain(|(_, held)| held.is_some());
        self.len += taken.len();
        self.places.extend(taken.into_iter().map(|(tag, held)| (tag, Some(held))));
        self.places.make_contiguous().sort_unstable_by_key(|(tag, _)| *tag);
    }

    /// The highest tag that was given.
    pub(crate) fn last_tag(&self) -> u64 {
        self.last
    }
}
