//! Consumers of a connection: what was delivered and not yet fetched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use amqp091::content::{Content, RawProperties};
use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use crate::error::Error;

/// A message as it came from the server.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery_tag: u64,
    /// Which instance of the channel it came by: delivery tags begin again with each.
    pub(crate) epoch: u32,
    pub(crate) redelivered: bool,
    pub(crate) exchange: ShortStr,
    pub(crate) routing_key: ShortStr,
    pub(crate) content: Content,
}

impl Incoming {
    /// Octets that it is counted with, its own bookkeeping included: small ones add up too.
    fn size(&self) -> usize {
        size_of::<Self>() + self.content.body.len() + self.content.properties.as_bytes().len()
    }

    /// Whether it may go back to its queue. RabbitMQ's streams keep their messages anyway, and close
    /// the connection over any that is refused; they tell themselves by a header. Should another queue
    /// hold a message with that header, it gets it back when the channel closes.
    pub(crate) fn may_go_back(&self) -> bool {
        !is_of_stream(&self.content.properties)
    }
}

/// Whether a message says that it came from a stream.
pub(crate) fn is_of_stream(properties: &RawProperties) -> bool {
    let properties = properties.decode::<basic::Properties>();
    let headers = properties.ok().and_then(|properties| properties.headers);
    headers.is_some_and(|headers| headers.contains_key("x-stream-offset"))
}

/// Where a consumer's state lies; its handle gives it back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ConsumerKey {
    index: usize,
    /// Tells a consumer from an earlier one in the same place.
    generation: u64,
}

/// Why a consumer gets no more deliveries.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// `basic.cancel-ok` has come: the program asked for it.
    Cancelled,
    /// The server, the channel or the connection ended it.
    Closed(Error),
}

#[derive(Debug, Default)]
struct Consumer {
    queue: VecDeque<Incoming>,
    octets: usize,
    waker: Option<Waker>,
    end: Option<End>,
    /// Whether the end was fetched.
    told: bool,
    /// The end of an earlier life, which is still to be fetched, and how many deliveries go before it.
    past: Option<(usize, End)>,
    epoch: LiveEpoch,
}

/// The instance of the channel that a consumer lives on: deliveries of an earlier one that were to be
/// acknowledged are void. Its handle shares it, to see that without the connection's lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveEpoch(Arc<AtomicU32>);

impl LiveEpoch {
    #[inline]
    pub(crate) fn is(&self, epoch: u32) -> bool {
        self.0.load(Ordering::Acquire) == epoch
    }
}

/// The consumers of a connection.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    entries: Vec<Option<(u64, Consumer)>>,
    generation: u64,
    free: Vec<usize>,
    /// Octets in all queues.
    octets: usize,
}

impl Consumers {
    /// A consumer on this instance of its channel.
    pub(crate) fn add(&mut self, epoch: u32) -> ConsumerKey {
        self.generation += 1;
        let generation = self.generation;
        let epoch = LiveEpoch(Arc::new(AtomicU32::new(epoch)));
        let consumer = Some((generation, Consumer { epoch, ..Consumer::default() }));
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index] = consumer;
                index
            }
            None => {
                self.entries.push(consumer);
                self.entries.len() - 1
            }
        };
        ConsumerKey { index, generation }
    }

    /// Consumers that have a handle.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.entries.iter().flatten().count()
    }

    /// Octets that wait to be fetched.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    #[inline]
    pub(crate) fn push(&mut self, key: ConsumerKey, incoming: Incoming, wakes: &mut Vec<Waker>) {
        if let Some(consumer) = self.get_mut(key) {
            let size = incoming.size();
            consumer.octets += size;
            consumer.queue.push_back(incoming);
            wakes.extend(consumer.waker.take());
            self.octets += size;
        }
    }

    /// Ends a consumer; what is queued can still be fetched. The first end stays.
    pub(crate) fn end(&mut self, key: ConsumerKey, end: End, wakes: &mut Vec<Waker>) {
        if let Some(consumer) = self.get_mut(key) {
            wakes.extend(consumer.waker.take());
            consumer.end.get_or_insert(end);
        }
    }

    /// Why a consumer gets no more deliveries, once that is so.
    pub(crate) fn ended(&mut self, key: ConsumerKey) -> Option<End> {
        self.get_mut(key)?.end.clone()
    }

    /// The instance of its channel that a consumer lives on, now and later.
    pub(crate) fn epoch(&mut self, key: ConsumerKey) -> LiveEpoch {
        self.get_mut(key).map(|consumer| consumer.epoch.clone()).unwrap_or_default()
    }

    /// Moves everything queued to `batch`, which must be empty, or says how the consumer ended.
    pub(crate) fn poll(
        &mut self,
        key: ConsumerKey,
        batch: &mut VecDeque<Incoming>,
        cx: &Context<'_>,
    ) -> Poll<Option<End>> {
        let Some(consumer) = self.get_mut(key) else {
            return Poll::Ready(Some(End::Cancelled));
        };
        match &mut consumer.past {
            Some((0, _)) => {
                return Poll::Ready(consumer.past.take().map(|(_, past)| past));
            }
            Some((before, _)) => {
                let rest = consumer.queue.split_off((*before).min(consumer.queue.len()));
                *before = 0;
                batch.extend(std::mem::replace(&mut consumer.queue, rest));
                let octets = batch.iter().map(Incoming::size).sum();
                consumer.octets = consumer.octets.saturating_sub(octets);
                self.octets = self.octets.saturating_sub(octets);
                return Poll::Ready(None);
            }
            None => {}
        }
        if !consumer.queue.is_empty() {
            std::mem::swap(&mut consumer.queue, batch);
            let octets = std::mem::take(&mut consumer.octets);
            self.octets -= octets;
            return Poll::Ready(None);
        }
        if let Some(end) = &consumer.end {
            consumer.told = true;
            return Poll::Ready(Some(end.clone()));
        }
        match &mut consumer.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether a consumer has ended and its end was fetched.
    pub(crate) fn is_over(&mut self, key: ConsumerKey) -> bool {
        self.get_mut(key).is_none_or(|consumer| consumer.told && consumer.end.is_some())
    }

    /// An ended consumer has started again, on this instance of its channel. Its end is still to be
    /// fetched if it wasn't, before what comes now. What had been queued comes again, unless it needs no
    /// acknowledgement (`no_ack`).
    pub(crate) fn revive(&mut self, key: ConsumerKey, epoch: u32, no_ack: bool) {
        let Some(consumer) = self.get_mut(key) else { return };
        consumer.epoch.0.store(epoch, Ordering::Release);
        let end = consumer.end.take();
        let is_told = std::mem::take(&mut consumer.told);
        let before = consumer.octets;
        if !no_ack {
            consumer.queue.retain(|incoming| incoming.epoch == epoch);
            consumer.octets = consumer.queue.iter().map(Incoming::size).sum();
        }
        // Of two ends that nobody has fetched, the first is told.
        if let Some(end) = end
            && !is_told
            && consumer.past.is_none()
        {
            let old = consumer.queue.iter().take_while(|incoming| incoming.epoch != epoch);
            consumer.past = Some((old.count(), end));
        }
        self.octets -= before - consumer.octets;
    }

    /// Gives up a consumer and hands back what was queued for it.
    pub(crate) fn remove(&mut self, key: ConsumerKey) -> VecDeque<Incoming> {
        if self.get_mut(key).is_none() {
            return VecDeque::new();
        }
        let Some((_, consumer)) = self.entries[key.index].take() else { return VecDeque::new() };
        self.free.push(key.index);
        self.octets -= consumer.octets;
        consumer.queue
    }

    fn get_mut(&mut self, key: ConsumerKey) -> Option<&mut Consumer> {
        match self.entries.get_mut(key.index) {
            Some(Some((generation, consumer))) if *generation == key.generation => Some(consumer),
            _ => None,
        }
    }
}
