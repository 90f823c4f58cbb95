//! The channels of a connection: which numbers are in use, and what each channel waits for.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use amqp091::content::Assembler;
use amqp091::protocol::basic;
use amqp091::types::{MethodId, ShortStr};

use super::acks::Acks;
use super::body::OpenBody;
use super::calls::CallId;
use super::confirms::Confirms;
use super::consumers::ConsumerKey;
use super::counting::Counts;
use super::modes::Hold;
use super::reopen::{Modes, Reopening};
use super::returns::Unclaimed;
use super::setup::Setup;
use super::topology::Change;
use super::unsettled::Unsettled;
use crate::error::{CloseReason, Error};

/// Where a channel's state lies. Its handle keeps it there after the channel is closed, so that the
/// reason can be told to every later call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ChannelKey(usize);

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) number: u16,
    /// Which instance this is: a channel that is opened again is another one to the server.
    pub(crate) epoch: u32,
    pub(crate) state: State,
    /// Replies that are due, in the order of their requests; they may come in another.
    pub(crate) due: VecDeque<Due>,
    pub(crate) assembler: Assembler,
    /// The method whose content is being put together.
    pub(crate) carrier: Option<Carrier>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) counts: Counts,
    pub(crate) unsettled: Unsettled,
    /// What it was told to be.
    pub(crate) setup: Setup,
    /// Present in confirm mode.
    pub(crate) confirms: Option<Box<Confirms>>,
    /// Those of earlier instances, all settled, for as long as an outcome is still to be fetched.
    pub(crate) former: Vec<Confirms>,
    /// Whether the connection's list of confirming channels holds this one.
    pub(crate) confirming: bool,
    /// Returned messages that nobody waits for.
    pub(crate) unclaimed: Unclaimed,
    /// Whether the server lets us publish: `channel.flow`.
    pub(crate) flow: bool,
    /// The highest delivery tag that was settled together with all before it.
    pub(crate) settled_through: u64,
    /// The highest delivery tag that has come.
    pub(crate) last_tag: u64,
    /// Acknowledgements that wait, where they may.
    pub(crate) acks: Option<Box<Acks>>,
    /// How many `basic.recover` the server has yet to answer.
    pub(crate) recovering: u32,
    /// In transaction mode: `settled_through` as it was at the last commit.
    pub(crate) tx: Option<u64>,
    /// What waits for `tx.commit-ok`, while that is due.
    pub(crate) hold: Option<Box<Hold>>,
    /// On its way to being open again, or to wait for that.
    pub(crate) reopening: Option<Box<Reopening>>,
    /// The modes that an attempt to open it again has not restored.
    pub(crate) unrestored: Option<Box<Modes>>,
    /// A content whose body is still to come in part.
    pub(crate) open_body: Option<Box<OpenBody>>,
    /// Whether this only stands for a number in the middle of such a content, which was given up.
    pub(crate) stuck: bool,
    /// Whether the server has closed another channel of this number, of which something may still come.
    pub(crate) reused: bool,
    /// Whether the handle is dropped: the state goes with the channel.
    pub(crate) released: bool,
}

/// How far a channel is.
#[derive(Debug)]
pub(crate) enum State {
    /// `channel.open` is sent.
    Opening,
    /// Usable.
    Open,
    /// `channel.open` is sent for another instance: until that has its modes, it is closed to the
    /// program as it was.
    Reopening(Arc<CloseReason>),
    /// We sent `channel.close`; the number is free when its answer comes.
    Closing(Arc<CloseReason>),
    /// Closed: the number may be another channel's.
    Closed(Arc<CloseReason>),
}

/// A reply that is due.
#[derive(Debug)]
pub(crate) struct Due {
    /// Any of these methods is the reply.
    pub(crate) replies: &'static [MethodId],
    pub(crate) call: CallId,
    pub(crate) then: Then,
}

/// What a reply means to the channel itself, whoever waits for it.
#[derive(Debug)]
pub(crate) enum Then {
    Nothing,
    /// This changes on the server: first what the reply is to, then what was sent behind that without
    /// a reply.
    Change(Vec<Change>),
    /// The channel is open.
    Open,
    /// This consumer has started.
    Consume {
        tag: ShortStr,
    },
    /// No more deliveries come for this consumer.
    Cancel {
        tag: ShortStr,
    },
    /// A message comes.
    Get {
        no_ack: bool,
    },
    /// All that was delivered before has gone back to its queue.
    Recover,
}

/// A method that carries the content being put together.
#[derive(Debug)]
pub(crate) enum Carrier {
    Deliver { to: Destination, no_ack: bool, method: basic::Deliver },
    Get { call: CallId, no_ack: bool, method: basic::GetOk },
    Return(basic::Return),
}

/// Where a delivery goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Destination {
    Consumer(ConsumerKey),
    /// The consumer's handle was dropped: back to the queue, unless it needs no acknowledgement.
    Requeue {
        no_ack: bool,
    },
}

impl Channel {
    fn new(number: u16, max_body: u64) -> Self {
        Self {
            number,
            epoch: 0,
            state: State::Opening,
            due: VecDeque::new(),
            assembler: Assembler::new(max_body),
            carrier: None,
            subscriptions: Subscriptions::default(),
            counts: Counts::default(),
            unsettled: Unsettled::default(),
            setup: Setup::default(),
            confirms: None,
            former: Vec::new(),
            confirming: false,
            unclaimed: Unclaimed::default(),
            flow: true,
            settled_through: 0,
            last_tag: 0,
            acks: None,
            recovering: 0,
            tx: None,
            hold: None,
            reopening: None,
            unrestored: None,
            open_body: None,
            stuck: false,
            reused: false,
            released: false,
        }
    }

    /// Fails unless the channel is open.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        match &self.state {
            State::Opening | State::Open => Ok(()),
            State::Reopening(reason) | State::Closing(reason) | State::Closed(reason) => {
                Err(self.closed(reason))
            }
        }
    }

    /// Whether the server has yet to say that the consumer `tag` has started.
    pub(crate) fn is_starting(&self, tag: &ShortStr) -> bool {
        self.due
            .iter()
            .any(|due| matches!(&due.then, Then::Consume { tag: starting } if starting == tag))
    }

    /// Whether the answer to a cancel of `tag` is still due. It would end a new consumer of that tag.
    pub(crate) fn is_cancelling(&self, tag: &ShortStr) -> bool {
        self.due
            .iter()
            .any(|due| matches!(&due.then, Then::Cancel { tag: cancelled } if cancelled == tag))
    }

    /// Looks into the confirms of one instance of the channel, as long as there are any.
    #[inline]
    pub(crate) fn with_confirms<T>(
        &mut self,
        epoch: u32,
        look: impl FnOnce(&mut Confirms) -> T,
    ) -> Option<T> {
        if epoch == self.epoch {
            return self.confirms.as_deref_mut().map(look);
        }
        let place = self.former.iter().position(|confirms| confirms.epoch() == epoch)?;
        let result = look(&mut self.former[place]);
        if !self.former[place].is_watched() {
            self.former.swap_remove(place);
        }
        Some(result)
    }

    pub(crate) fn closed(&self, reason: &Arc<CloseReason>) -> Error {
        Error::ChannelClosed { channel: self.number, reason: Arc::clone(reason) }
    }
}

/// The consumers of one channel by consumer tag.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_tag: HashMap<ShortStr, Subscription>,
    /// The one that the last delivery was for: most often the next one's too.
    last: Option<(ShortStr, Subscription)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) to: Destination,
    pub(crate) no_ack: bool,
}

impl Subscriptions {
    /// Consumer tags in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_tag.len()
    }

    pub(crate) fn contains(&self, tag: &ShortStr) -> bool {
        self.by_tag.contains_key(tag)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    pub(crate) fn insert(&mut self, tag: ShortStr, subscription: Subscription) {
        self.last = None;
        self.by_tag.insert(tag, subscription);
    }

    pub(crate) fn remove(&mut self, tag: &ShortStr) -> Option<Subscription> {
        self.last = None;
        self.by_tag.remove(tag)
    }

    /// From now on deliveries go back to the queue.
    pub(crate) fn requeue(&mut self, tag: &ShortStr) {
        self.last = None;
        if let Some(subscription) = self.by_tag.get_mut(tag) {
            subscription.to = Destination::Requeue { no_ack: subscription.no_ack };
        }
    }

    /// Where deliveries for `tag` go.
    #[inline]
    pub(crate) fn destination(&mut self, tag: &ShortStr) -> Option<Destination> {
        self.find(tag).map(|subscription| subscription.to)
    }

    /// What deliveries for `tag` are.
    #[inline]
    pub(crate) fn find(&mut self, tag: &ShortStr) -> Option<Subscription> {
        if let Some((last, subscription)) = &self.last
            && last == tag
        {
            return Some(*subscription);
        }
        let subscription = *self.by_tag.get(tag)?;
        self.last = Some((tag.clone(), subscription));
        Some(subscription)
    }

    /// Takes all consumers that still have a handle.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = ConsumerKey> {
        self.last = None;
        self.by_tag.drain().filter_map(|(_, subscription)| match subscription.to {
            Destination::Consumer(key) => Some(key),
            Destination::Requeue { .. } => None,
        })
    }
}

/// The channels of a connection.
#[derive(Debug)]
pub(crate) struct Channels {
    entries: Vec<Option<Box<Channel>>>,
    free_entries: Vec<usize>,
    /// By channel number; 0 is the connection's own and never here.
    numbers: Vec<Option<ChannelKey>>,
    free_numbers: Vec<u16>,
    /// Numbers of channels that the server has closed and not opened again: what still comes there is of
    /// the old channel. RabbitMQ's deliveries may come behind its `channel.close`.
    late: BTreeSet<u16>,
    limit: u16,
    max_body: u64,
}

impl Channels {
    pub(crate) fn new(max_body: u64) -> Self {
        Self {
            entries: Vec::new(),
            free_entries: Vec::new(),
            numbers: vec![None],
            free_numbers: Vec::new(),
            late: BTreeSet::new(),
            limit: 0,
            max_body,
        }
    }

    /// Sets the negotiated channel-max: the highest number.
    pub(crate) fn set_limit(&mut self, limit: u16) {
        self.limit = limit;
    }

    /// Takes a free number.
    pub(crate) fn open(&mut self) -> Result<(ChannelKey, u16), Error> {
        let number = self.free_or_new()?;
        let key = self.add(Channel::new(number, self.max_body));
        self.numbers[usize::from(number)] = Some(key);
        Ok((key, number))
    }

    fn add(&mut self, channel: Channel) -> ChannelKey {
        let channel = Some(Box::new(channel));
        ChannelKey(match self.free_entries.pop() {
            Some(index) => {
                self.entries[index] = channel;
                index
            }
            None => {
                self.entries.push(channel);
                self.entries.len() - 1
            }
        })
    }

    fn free_or_new(&mut self) -> Result<u16, Error> {
        match self.free_numbers.pop() {
            Some(number) => Ok(number),
            None => match u16::try_from(self.numbers.len()) {
                Ok(number) if number <= self.limit => {
                    self.numbers.push(None);
                    Ok(number)
                }
                _ => Err(Error::TooManyChannels { limit: self.limit }),
            },
        }
    }

    /// Takes a number for a channel that has none any more: its old one, if that is still free.
    pub(crate) fn take_number(&mut self, key: ChannelKey, old: u16) -> Result<u16, Error> {
        let place = self.free_numbers.iter().rposition(|&number| number == old);
        let number = match place {
            Some(place) => self.free_numbers.swap_remove(place),
            None => self.free_or_new()?,
        };
        self.numbers[usize::from(number)] = Some(key);
        Ok(number)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: ChannelKey) -> Option<&mut Channel> {
        self.entries.get_mut(key.0)?.as_deref_mut()
    }

    /// The confirms of a channel in confirm mode.
    #[inline]
    pub(crate) fn confirms_mut(&mut self, key: ChannelKey) -> Option<&mut Confirms> {
        self.get_mut(key)?.confirms.as_deref_mut()
    }

    /// The channel with this number, unless the number is free.
    #[inline]
    pub(crate) fn key_of(&self, number: u16) -> Option<ChannelKey> {
        *self.numbers.get(usize::from(number))?
    }

    /// Gives the channel's number back: both sides are done with it.
    pub(crate) fn free_number(&mut self, number: u16) {
        if let Some(place) = self.numbers.get_mut(usize::from(number))
            && place.take().is_some()
        {
            self.free_numbers.push(number);
        }
    }

    /// As [`free_number`](Self::free_number), of a channel that the server has closed.
    pub(crate) fn free_number_of_closed(&mut self, number: u16) {
        self.free_number(number);
        self.late.insert(number);
    }

    /// Whether what comes on this number is of a channel that the server has closed.
    #[inline]
    pub(crate) fn is_late(&self, number: u16) -> bool {
        !self.late.is_empty() && self.late.contains(&number)
    }

    /// The server has opened the channel of this number. RabbitMQ may still have something of the one
    /// before on its way, if not much.
    pub(crate) fn opened(&mut self, number: u16) {
        self.late.remove(&number);
        if let Some(channel) = self.key_of(number).and_then(|key| self.get_mut(key)) {
            channel.reused = true;
        }
    }

    /// Leaves a channel's number to one that nobody holds and that skips whatever the server still says:
    /// nothing can be sent by that number any more.
    pub(crate) fn leave_ghost(&mut self, key: ChannelKey, reason: Arc<CloseReason>) {
        let max_body = self.max_body;
        let Some(channel) = self.get_mut(key) else { return };
        let number = channel.number;
        let mut ghost = Channel::new(number, max_body);
        // A message may be half here.
        ghost.assembler = std::mem::replace(&mut channel.assembler, Assembler::new(max_body));
        ghost.state = State::Closing(reason);
        (ghost.stuck, ghost.released) = (true, true);
        let ghost = self.add(ghost);
        if let Some(place) = self.numbers.get_mut(usize::from(number)) {
            *place = Some(ghost);
        }
    }

    /// Forgets a channel whose handle is gone and whose number is free.
    pub(crate) fn remove(&mut self, key: ChannelKey) {
        if let Some(entry) = self.entries.get_mut(key.0)
            && entry.take().is_some()
        {
            self.free_entries.push(key.0);
        }
    }

    /// How many numbers are in use.
    pub(crate) fn in_use(&self) -> u64 {
        // Number 0 is the connection's own.
        (self.numbers.len() - 1 - self.free_numbers.len()) as u64
    }

    /// All channels, for what happens to each of them.
    pub(crate) fn keys(&self) -> Vec<ChannelKey> {
        let indexes = 0..self.entries.len();
        indexes.filter(|&index| self.entries[index].is_some()).map(ChannelKey).collect()
    }
}
