//! What a channel was told to be: its prefetch, its consumers, the queue that it declared last. Kept as
//! data, so that another instance of the channel can be told the same.

use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::ConsumerKey;
use super::topology::QueueName;

/// A channel's own settings; whether it confirms, or is transactional, stands in the channel itself.
#[derive(Debug, Default)]
pub(crate) struct Setup {
    pub(crate) prefetch: Prefetch,
    /// Whether the server was asked to stop deliveries: `channel.flow`.
    pub(crate) stopped: bool,
    /// Consumers whose handle exists, in the order of their start.
    pub(crate) consumers: Vec<Record>,
    /// How acknowledgements of the instance that is gone waited.
    pub(crate) coalesce: Option<Box<(usize, Duration)>>,
    /// What an empty queue name stands for.
    pub(crate) last_queue: Option<QueueName>,
}

/// `basic.qos` as it was sent last; where it was refused, the channel is closed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Prefetch {
    /// For each consumer that is started from then on.
    pub(crate) consumer: Option<(u32, u16)>,
    /// For all of the channel together.
    pub(crate) channel: Option<(u32, u16)>,
}

/// One consumer.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) key: ConsumerKey,
    /// As it was sent.
    pub(crate) consume: Box<basic::Consume>,
    /// Its queue.
    pub(crate) queue: Option<QueueName>,
    /// What [`Prefetch::consumer`] was when it was started.
    pub(crate) prefetch: Option<(u32, u16)>,
    pub(crate) life: Life,
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// The server is to agree yet.
    Starting,
    Running,
    /// Its channel was closed.
    Stopped,
}

impl Setup {
    /// Takes note of a `basic.qos` that is sent.
    pub(crate) fn qos(&mut self, qos: &basic::Qos) {
        let value = Some((qos.prefetch_size, qos.prefetch_count));
        if qos.global {
            self.prefetch.channel = value;
        } else {
            self.prefetch.consumer = value;
        }
    }

    /// Takes note of a consumer that is being started.
    pub(crate) fn add(&mut self, key: ConsumerKey, consume: &basic::Consume) {
        let queue = if consume.queue.is_empty() {
            self.last_queue.clone()
        } else {
            Some(QueueName::Given(consume.queue.clone()))
        };
        let prefetch = self.prefetch.consumer;
        let consume = Box::new(consume.clone());
        self.consumers.push(Record { key, consume, queue, prefetch, life: Life::Starting });
    }

    /// The consumer of this tag has started: returns its queue.
    pub(crate) fn started(&mut self, tag: &ShortStr) -> Option<&ShortStr> {
        let record =
            self.consumers.iter_mut().find(|record| record.consume.consumer_tag == *tag)?;
        let before = std::mem::replace(&mut record.life, Life::Running);
        if before == Life::Running { None } else { record.queue() }
    }

    /// Forgets a consumer.
    pub(crate) fn remove(&mut self, is_it: impl Fn(&Record) -> bool) -> Option<Record> {
        let place = self.consumers.iter().position(is_it)?;
        Some(self.consumers.remove(place))
    }
}

impl Record {
    /// The queue's name, if it is known.
    pub(crate) fn queue(&self) -> Option<&ShortStr> {
        self.queue.as_ref().and_then(QueueName::get)
    }
}
