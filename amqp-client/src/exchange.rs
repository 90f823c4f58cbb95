//! Exchanges: declare, delete, bind, unbind.

use amqp091::protocol::exchange;
use amqp091::types::FieldTable;

use crate::request::{no_wait, request_builder};

request_builder! {
    /// `exchange.declare`: creates an exchange, or checks that one is as described.
    ExchangeDeclare for exchange::Declare {
        /// Only checks that the exchange exists: 404 NOT_FOUND closes the channel if it doesn't.
        passive: bool;
        /// Survives a restart of the server.
        durable: bool;
        /// Goes with its last binding.
        auto_delete: bool;
        /// Takes messages from other exchanges only.
        internal: bool;
        /// Arguments such as `alternate-exchange`.
        arguments: FieldTable;
    }
}

request_builder! {
    /// `exchange.delete`: deletes an exchange with its bindings. For RabbitMQ, one that doesn't exist
    /// is deleted already.
    ExchangeDelete for exchange::Delete {
        /// Fails with 406 PRECONDITION_FAILED, closing the channel, if anything is bound to it.
        if_unused: bool;
    }
}

request_builder! {
    /// `exchange.bind` (RabbitMQ): lets messages flow from exchange `source` to exchange
    /// `destination`.
    ExchangeBind for exchange::Bind {
        /// Arguments, which headers exchanges match by.
        arguments: FieldTable;
    }
    text {
        /// The routing key that the source matches by. Default: empty.
        routing_key;
    }
}

request_builder! {
    /// `exchange.unbind` (RabbitMQ): undoes an `exchange.bind` with the same arguments.
    ExchangeUnbind for exchange::Unbind {
        /// The binding's arguments.
        arguments: FieldTable;
    }
    text {
        /// The binding's routing key. Default: empty.
        routing_key;
    }
}

no_wait! {
    ExchangeDeclare: exchange::Declare;
    ExchangeDelete: exchange::Delete;
    ExchangeBind: exchange::Bind;
    ExchangeUnbind: exchange::Unbind;
}
