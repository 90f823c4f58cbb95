//! Channels: what was delivered on each and isn't settled, and what its publisher was promised.

use std::collections::{HashMap, VecDeque};

use amqp091::content::{Assembler, Content};
use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::connection::ConnectionKey;
use super::consumer::ConsumerKey;
use super::exchange::QueueKey;
use super::message::Entry;
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
    pub(crate) mode: Mode,
    /// What an empty queue name stands for.
    pub(crate) last_queue: Option<ShortStr>,
    pub(crate) replies: Option<Replies>,
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
    Publish(basic::Publish, Content),
    Settle(Vec<(u64, Held)>, Settlement),
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Settlement {
    Ack,
    Drop,
    Requeue,
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

impl Channel {
    pub(crate) fn new(connection: ConnectionKey, number: u16, max_body: u64) -> Self {
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
            mode: Mode::Normal,
            last_queue: None,
            replies: None,
        }
    }

    /// Whether the prefetch of all consumers together allows one more message.
    pub(crate) fn has_credit(&self) -> bool {
        self.global_prefetch == 0 || self.unacked.len() < usize::from(self.global_prefetch)
    }
}

/// Deliveries that aren't settled, by delivery tag.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    /// The tag before the first place.
    before: u64,
    places: VecDeque<Option<Held>>,
    len: usize,
}

impl Unacked {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes a delivery, and gives it its tag.
    pub(crate) fn push(&mut self, held: Held) -> u64 {
        self.places.push_back(Some(held));
        self.len += 1;
        self.before + self.places.len() as u64
    }

    /// The tag of a delivery that needs no settling.
    pub(crate) fn skip(&mut self) -> u64 {
        if self.places.is_empty() {
            self.before += 1;
            return self.before;
        }
        self.places.push_back(None);
        self.before + self.places.len() as u64
    }

    /// Takes the delivery of this tag.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Held> {
        let index = usize::try_from(tag.checked_sub(self.before)?.checked_sub(1)?).ok()?;
        let held = self.places.get_mut(index)?.take()?;
        self.len -= 1;
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.before += 1;
        }
        Some(held)
    }

    /// Takes all deliveries up to this tag, with their tags.
    pub(crate) fn take_through(&mut self, tag: u64) -> Vec<(u64, Held)> {
        let mut taken = Vec::new();
        while self.before < tag
            && let Some(place) = self.places.pop_front()
        {
            self.before += 1;
            if let Some(held) = place {
                self.len -= 1;
                taken.push((self.before, held));
            }
        }
        taken
    }

    /// Takes all deliveries.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, Held)> {
        self.take_through(u64::MAX)
    }

    /// Puts back what was taken: a transaction was rolled back.
    pub(crate) fn restore(&mut self, mut taken: Vec<(u64, Held)>) {
        taken.sort_by_key(|(tag, _)| *tag);
        for (tag, held) in taken.into_iter().rev() {
            while self.before >= tag {
                self.places.push_front(None);
                self.before -= 1;
            }
            let index = (tag - self.before - 1) as usize;
            while self.places.len() <= index {
                self.places.push_back(None);
            }
            if self.places[index].replace(held).is_none() {
                self.len += 1;
            }
        }
    }

    /// The highest tag that was given.
    pub(crate) fn last_tag(&self) -> u64 {
        self.before + self.places.len() as u64
    }
}
