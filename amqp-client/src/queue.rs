//! Queues: declare, bind, unbind, purge, delete; and the prefetch of a channel's consumers.

use std::time::Duration;

use amqp091::protocol::{basic, queue};

use crate::arguments::{
    DeadLetterStrategy, HeadersMatch, LeaderLocator, Overflow, QueueType, count, milliseconds,
    seconds,
};
use crate::request::{arguments, no_wait, request_builder};

request_builder! {
    /// `queue.declare`: creates a queue, or checks that one is as described. The reply has its name,
    /// and how many messages and consumers it has.
    QueueDeclare for queue::Declare {
        /// Only checks that the queue exists: 404 NOT_FOUND closes the channel if it doesn't.
        passive: bool;
        /// Survives a restart of the server.
        durable: bool;
        /// Belongs to this connection alone and goes with it.
        exclusive: bool;
        /// Goes with its last consumer.
        auto_delete: bool;
    }
}

request_builder! {
    /// `queue.bind`: lets messages flow from an exchange to a queue.
    QueueBind for queue::Bind {}
    text {
        /// The routing key that the exchange matches by. Default: empty.
        routing_key;
    }
}

request_builder! {
    /// `queue.unbind`: undoes a `queue.bind` with the same arguments. For RabbitMQ, a binding that
    /// doesn't exist is undone already.
    QueueUnbind for queue::Unbind {}
    text {
        /// The binding's routing key. Default: empty.
        routing_key;
    }
}

request_builder! {
    /// `queue.purge`: drops the messages of a queue that no consumer holds; the reply counts them.
    QueuePurge for queue::Purge {}
}

request_builder! {
    /// `queue.delete`: deletes a queue; the reply counts the messages that went with it. For
    /// RabbitMQ, a queue that doesn't exist is deleted already.
    QueueDelete for queue::Delete {
        /// Fails with 406 PRECONDITION_FAILED, closing the channel, if it has consumers.
        if_unused: bool;
        /// Fails with 406 PRECONDITION_FAILED, closing the channel, if it has messages.
        if_empty: bool;
    }
}

request_builder! {
    /// `basic.qos`: how many messages may be delivered and not yet acknowledged.
    Qos for basic::Qos {
        /// For RabbitMQ: shared by all consumers of the channel instead of for each new consumer on
        /// its own. Deprecated there, and refused by quorum queues.
        global: bool;
        /// How many octets may be delivered and not yet acknowledged. RabbitMQ doesn't count them: any
        /// number but 0 makes it close the connection with 540 NOT_IMPLEMENTED.
        prefetch_size: u32;
    }
}

no_wait! {
    QueueDeclare: queue::Declare;
    QueueBind: queue::Bind;
    QueuePurge: queue::Purge;
    QueueDelete: queue::Delete;
}

arguments! {
    QueueDeclare: "Arguments as they go out, for those that have no setter here.";
    QueueBind: "Arguments, which headers exchanges match by.";
    QueueUnbind: "The binding's arguments.";
}

/// RabbitMQ's arguments. Which of them a queue may have depends on its type and on the server's
/// version; what it doesn't know or may not have is refused with 406 PRECONDITION_FAILED, closing the
/// channel, and so is a queue that exists with other arguments.
impl QueueDeclare<'_> {
    /// What kind of queue it is (`x-queue-type`). Quorum queues and streams are always durable, so for
    /// them this sets [`durable`](Self::durable) too. Default: the virtual host's, classic if it has
    /// none.
    pub fn queue_type(mut self, kind: QueueType) -> Self {
        if let (Ok(request), QueueType::Quorum | QueueType::Stream) = (&mut self.request, kind) {
            request.durable = true;
        }
        self.set_argument("x-queue-type", kind.name())
    }

    /// How long a message may wait before it is dropped or dead-lettered (`x-message-ttl`), in whole
    /// milliseconds. RabbitMQ 3.10 refuses more than ten years. Not for streams.
    pub fn message_ttl(self, time: Duration) -> Self {
        self.set_argument("x-message-ttl", milliseconds(time))
    }

    /// How long the queue may be unused (no consumer, no get, no declare) before it is deleted
    /// (`x-expires`), in whole milliseconds, at least one. RabbitMQ 3.10 refuses more than ten years. Not
    /// for streams.
    pub fn expires(self, time: Duration) -> Self {
        self.set_argument("x-expires", milliseconds(time))
    }

    /// The most messages that wait in it (`x-max-length`); those that consumers hold don't count. Not
    /// for streams.
    pub fn max_length(self, messages: u64) -> Self {
        self.set_argument("x-max-length", count(messages))
    }

    /// The most octets of bodies that wait in it, or that a stream keeps (`x-max-length-bytes`).
    pub fn max_length_bytes(self, octets: u64) -> Self {
        self.set_argument("x-max-length-bytes", count(octets))
    }

    /// What it does when it is full (`x-overflow`). Not for streams.
    pub fn overflow(self, overflow: Overflow) -> Self {
        self.set_argument("x-overflow", overflow.name())
    }

    /// The exchange that gets what is refused without requeue, expires or is too much
    /// (`x-dead-letter-exchange`); `""` is the default exchange. Not for streams.
    pub fn dead_letter_exchange(self, exchange: impl AsRef<[u8]>) -> Self {
        self.set_name("x-dead-letter-exchange", exchange.as_ref())
    }

    /// The routing key that dead letters get in the place of their own (`x-dead-letter-routing-key`);
    /// wants a [`dead_letter_exchange`](Self::dead_letter_exchange).
    pub fn dead_letter_routing_key(self, routing_key: impl AsRef<[u8]>) -> Self {
        self.set_name("x-dead-letter-routing-key", routing_key.as_ref())
    }

    /// How safely it dead-letters (`x-dead-letter-strategy`). Quorum queues of RabbitMQ 3.10 and later.
    pub fn dead_letter_strategy(self, strategy: DeadLetterStrategy) -> Self {
        self.set_argument("x-dead-letter-strategy", strategy.name())
    }

    /// The highest priority that its messages can have (`x-max-priority`); each costs memory, so few
    /// are better. Classic queues only.
    pub fn max_priority(self, priority: u8) -> Self {
        self.set_argument("x-max-priority", priority)
    }

    /// Has one consumer at a time, and the others wait to take over (`x-single-active-consumer`). Not
    /// for streams.
    pub fn single_active_consumer(self, single: bool) -> Self {
        self.set_flag("x-single-active-consumer", single)
    }

    /// How often a message may come back before it is dropped or dead-lettered (`x-delivery-limit`).
    /// Quorum queues only; default there: none before RabbitMQ 4.0, 20 since.
    pub fn delivery_limit(self, times: u32) -> Self {
        self.set_argument("x-delivery-limit", count(times.into()))
    }

    /// How long a consumer may hold a message (`x-consumer-timeout`), in whole milliseconds. RabbitMQ
    /// 3.12 and later; since 4.3 for quorum queues only. Default: the server's own time.
    pub fn consumer_timeout(self, time: Duration) -> Self {
        self.set_argument("x-consumer-timeout", milliseconds(time))
    }

    /// On which node its leader begins (`x-queue-leader-locator`). Quorum queues and streams.
    pub fn leader_locator(self, locator: LeaderLocator) -> Self {
        self.set_argument("x-queue-leader-locator", locator.name())
    }

    /// On how many nodes a quorum queue begins (`x-quorum-initial-group-size`). Default: 3, or as many
    /// as there are.
    pub fn quorum_initial_group_size(self, nodes: u32) -> Self {
        self.set_argument("x-quorum-initial-group-size", count(nodes.into()))
    }

    /// On how many nodes a stream begins (`x-initial-cluster-size`). Default: as many as there are.
    pub fn stream_initial_cluster_size(self, nodes: u32) -> Self {
        self.set_argument("x-initial-cluster-size", count(nodes.into()))
    }

    /// How long a stream keeps its messages at least (`x-max-age`), in whole seconds. Older ones go a
    /// segment at a time.
    pub fn max_age(self, time: Duration) -> Self {
        self.set_argument("x-max-age", seconds(time))
    }

    /// The size of a stream's segments, octets (`x-stream-max-segment-size-bytes`). Default:
    /// 500,000,000.
    pub fn stream_max_segment_size_bytes(self, octets: u64) -> Self {
        self.set_argument("x-stream-max-segment-size-bytes", count(octets))
    }

    /// The size of the filter of a stream's chunks, octets, 16 to 255
    /// (`x-stream-filter-size-bytes`). RabbitMQ 3.13 and later; default there: 16.
    pub fn stream_filter_size_bytes(self, octets: u8) -> Self {
        self.set_argument("x-stream-filter-size-bytes", octets)
    }
}

impl QueueBind<'_> {
    /// Which headers a headers exchange compares (`x-match`); the headers themselves are the other
    /// [`argument`](Self::argument)s.
    pub fn headers_match(self, headers: HeadersMatch) -> Self {
        self.set_argument("x-match", headers.name())
    }
}

impl QueueUnbind<'_> {
    /// The binding's [`headers_match`](QueueBind::headers_match).
    pub fn headers_match(self, headers: HeadersMatch) -> Self {
        self.set_argument("x-match", headers.name())
    }
}
