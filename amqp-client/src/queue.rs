//! Queues: declare, bind, unbind, purge, delete; and the prefetch of a channel's consumers.

use amqp091::protocol::{basic, queue};
use amqp091::types::FieldTable;

use crate::request::{no_wait, request_builder};

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
        /// Arguments such as `x-queue-type`, `x-message-ttl`, `x-dead-letter-exchange`.
        arguments: FieldTable;
    }
}

request_builder! {
    /// `queue.bind`: lets messages flow from an exchange to a queue.
    QueueBind for queue::Bind {
        /// Arguments, which headers exchanges match by.
        arguments: FieldTable;
    }
    text {
        /// The routing key that the exchange matches by. Default: empty.
        routing_key;
    }
}

request_builder! {
    /// `queue.unbind`: undoes a `queue.bind` with the same arguments. For RabbitMQ, a binding that
    /// doesn't exist is undone already.
    QueueUnbind for queue::Unbind {
        /// The binding's arguments.
        arguments: FieldTable;
    }
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
    }
}

no_wait! {
    QueueDeclare: queue::Declare;
    QueueBind: queue::Bind;
    QueuePurge: queue::Purge;
    QueueDelete: queue::Delete;
}
