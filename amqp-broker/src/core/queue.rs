//! Queues: messages in their order, and the consumers that wait for them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use amqp091::types::{FieldTable, ShortStr};

use super::arguments::{Overflow, QueueArguments, QueueKind};
use super::connection::ConnectionKey;
use super::consumer::ConsumerKey;
use super::exchange::ExchangeKey;
use super::memory::Share;
use super::message::{Entry, Message};
use super::vhost::VhostKey;

/// Before the first message's place there is room for all that may come back.
const FIRST_PLACE: u64 = 1 << 62;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: ShortStr,
    pub(crate) vhost: VhostKey,
    /// The node that it is on, or that leads it.
    pub(crate) node: u16,
    /// Until when at least it has no leader.
    pub(crate) election: Option<Duration>,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    /// The connection whose queue it is alone.
    pub(crate) owner: Option<ConnectionKey>,
    pub(crate) table: FieldTable,
    pub(crate) arguments: QueueArguments,
    /// By priority, the lowest first; only one unless the queue has priorities.
    ready: Vec<VecDeque<Entry>>,
    ready_len: usize,
    ready_octets: usize,
    next_position: u64,
    next_in_front: u64,
    /// Messages that consumers hold.
    pub(crate) unacked: usize,
    /// Those of them that were got rather than consumed.
    pub(crate) got: usize,
    /// In the order in which they have their turn; those of a higher priority first.
    pub(crate) consumers: Vec<ConsumerKey>,
    /// Consumers that are gone, but for what they hold, and how much that is; a quorum queue's.
    pub(crate) leaving: HashMap<ConsumerKey, (ShortStr, u32)>,
    /// The one that gets everything, where there is only one at a time.
    pub(crate) active: Option<ConsumerKey>,
    pub(crate) exclusive_consumer: bool,
    pub(crate) had_consumer: bool,
    /// Whether a consumer may be ready to take a message; found out when there is one.
    pub(crate) may_serve: bool,
    /// When it was last used, as far as that keeps it from expiring.
    pub(crate) last_used: Duration,
    /// When the timer for its first message's expiry is due, where one is set.
    pub(crate) head_timer: Option<Duration>,
    /// Bindings that lead here.
    pub(crate) sources: HashSet<(ExchangeKey, ShortStr)>,
    /// The last message that was routed here: none is to come twice.
    pub(crate) routed: u64,
    /// Messages that ever came.
    pub(crate) published: u64,
    /// What it counts with in what the broker holds, without its messages.
    #[expect(dead_code, reason = "held for what its end does")]
    share: Share,
}

impl Queue {
    pub(crate) fn new(
        name: ShortStr,
        vhost: VhostKey,
        table: FieldTable,
        arguments: QueueArguments,
        now: Duration,
        share: Share,
    ) -> Self {
        let priorities = usize::from(arguments.max_priority.unwrap_or(0)) + 1;
        Self {
            name,
            vhost,
            node: 0,
            election: None,
            durable: false,
            auto_delete: false,
            owner: None,
            table,
            arguments,
            ready: (0..priorities).map(|_| VecDeque::new()).collect(),
            ready_len: 0,
            ready_octets: 0,
            next_position: FIRST_PLACE,
            next_in_front: 0,
            unacked: 0,
            got: 0,
            consumers: Vec::new(),
            leaving: HashMap::new(),
            active: None,
            exclusive_consumer: false,
            had_consumer: false,
            may_serve: false,
            last_used: now,
            head_timer: None,
            sources: HashSet::new(),
            routed: 0,
            published: 0,
            share,
        }
    }

    /// Messages that are ready.
    pub(crate) fn len(&self) -> usize {
        self.ready_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready_len == 0
    }

    pub(crate) fn is_quorum(&self) -> bool {
        self.arguments.kind == QueueKind::Quorum
    }

    /// Consumers as a declaration counts them: a quorum queue takes each message that was got for
    /// one.
    pub(crate) fn consumer_count(&self) -> u32 {
        // Nor does it count those that wait until they are the only one.
        let waiting = if self.is_quorum() && self.arguments.single_active_consumer {
            self.consumers.len().saturating_sub(1)
        } else {
            0
        };
        let got = if self.is_quorum() { self.got } else { 0 };
        let count = self.consumers.len() - waiting + got + self.leaving.len();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The tag of a consumer that is gone.
    pub(crate) fn tag_of(&self, key: ConsumerKey) -> Option<&ShortStr> {
        self.leaving.get(&key).map(|(tag, _)| tag)
    }

    /// A consumer that is gone holds one message less.
    pub(crate) fn left_by(&mut self, key: ConsumerKey) {
        if let Some((_, held)) = self.leaving.get_mut(&key) {
            *held -= 1;
            if *held == 0 {
                self.leaving.remove(&key);
            }
        }
    }

    /// Whether one more message of so many octets has no room.
    pub(crate) fn is_full_for(&self, size: usize) -> bool {
        let QueueArguments { max_length, max_length_bytes, .. } = self.arguments;
        max_length.is_some_and(|most| self.ready_len as u64 + 1 > most)
            || max_length_bytes.is_some_and(|most| (self.ready_octets + size) as u64 > most)
    }

    /// Whether the first message has to go to make room.
    pub(crate) fn is_over_limit(&self) -> bool {
        let QueueArguments { max_length, max_length_bytes, overflow, .. } = self.arguments;
        overflow == Overflow::DropHead
            && !self.is_empty()
            && (max_length.is_some_and(|most| self.ready_len as u64 > most)
                || max_length_bytes.is_some_and(|most| self.ready_octets as u64 > most))
    }

    fn priority(&self, message: &Message) -> usize {
        usize::from(message.priority).min(self.ready.len() - 1)
    }

    /// Where the next new message has its place.
    pub(crate) fn place(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position
    }

    /// A place before all new messages, behind those that have had one before.
    pub(crate) fn place_in_front(&mut self) -> u64 {
        self.next_in_front += 1;
        self.next_in_front
    }

    /// Appends a new message.
    pub(crate) fn push(&mut self, entry: Entry) {
        let priority = self.priority(&entry.message);
        self.ready_len += 1;
        self.ready_octets += entry.message.size();
        self.ready[priority].push_back(entry);
    }

    /// Octets of the ready messages' bodies.
    pub(crate) fn octets(&self) -> usize {
        self.ready_octets
    }

    /// Puts a message back to its old place.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        let priority = self.priority(&entry.message);
        self.ready_len += 1;
        self.ready_octets += entry.message.size();
        let ready = &mut self.ready[priority];
        let index = ready.partition_point(|other| other.position < entry.position);
        ready.insert(index, entry);
    }

    /// Takes the next message.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.ready.iter_mut().rev().find_map(pop_from)?;
        self.ready_octets -= entry.message.size();
        self.ready_len -= 1;
        Some(entry)
    }

    /// Takes the first message if it has expired: nothing behind it is looked at.
    pub(crate) fn pop_expired(&mut self, now: Duration) -> Option<Entry> {
        let ready = self.ready.iter_mut().rev().find(|ready| !ready.is_empty())?;
        if !ready.front().is_some_and(|entry| is_due(entry, now)) {
            return None;
        }
        let entry = pop_from(ready)?;
        self.ready_octets -= entry.message.size();
        self.ready_len -= 1;
        Some(entry)
    }

    /// When the first message expires.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.ready.iter().rev().find_map(VecDeque::front)?.expires
    }

    /// Drops all that is ready, and says how much that was.
    pub(crate) fn purge(&mut self) -> Vec<Entry> {
        self.ready_len = 0;
        self.ready_octets = 0;
        self.ready.iter_mut().rev().flat_map(std::mem::take).collect()
    }

    /// Drops what doesn't outlive a restart; a quorum queue keeps everything.
    pub(crate) fn drop_transient(&mut self) {
        if self.is_quorum() {
            return;
        }
        for entry in self.purge() {
            if entry.message.persistent {
                self.put_back(entry);
            }
        }
    }

    /// All messages that are ready, in the order in which they would be delivered.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Entry> {
        self.ready.iter().rev().flatten()
    }
}

/// Takes the first message; what had grown for many is given back when they are gone.
fn pop_from(ready: &mut VecDeque<Entry>) -> Option<Entry> {
    const KEEP: usize = 4096;
    let entry = ready.pop_front()?;
    if ready.is_empty() && ready.capacity() > KEEP {
        *ready = VecDeque::new();
    }
    Some(entry)
}

fn is_due(entry: &Entry, now: Duration) -> bool {
    entry.expires.is_some_and(|expires| expires <= now)
}
