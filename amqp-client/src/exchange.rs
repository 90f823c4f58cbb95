//! Exchanges: declare, delete, bind, unbind.

use amqp091::protocol::exchange;

use crate::arguments::HeadersMatch;
use crate::request::{arguments, no_wait, request_builder};

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
    ExchangeBind for exchange::Bind {}
    text {
        /// The routing key that the source matches by. Default: empty.
        routing_key;
    }
}

request_builder! {
    /// `exchange.unbind` (RabbitMQ): undoes an `exchange.bind` with the same arguments.
    ExchangeUnbind for exchange::Unbind {}
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

arguments! {
    ExchangeDeclare: "Arguments as they go out, such as those of a plugin's exchange types.";
    ExchangeBind: "Arguments, which headers exchanges match by.";
    ExchangeUnbind: "The binding's arguments.";
}

impl ExchangeDeclare<'_> {
    /// The exchange that gets what this one can route to no queue (`alternate-exchange`, RabbitMQ).
    /// What is taken there counts as routed: it isn't returned to its publisher.
    pub fn alternate_exchange(self, exchange: impl AsRef<[u8]>) -> Self {
        self.set_name("alternate-exchange", exchange.as_ref())
    }
}

impl ExchangeBind<'_> {
    /// Which headers a headers exchange compares (`x-match`); the headers themselves are the other
    /// [`argument`](Self::argument)s.
    pub fn headers_match(self, headers: HeadersMatch) -> Self {
        self.set_argument("x-match", headers.name())
    }
}

impl ExchangeUnbind<'_> {
    /// The binding's [`headers_match`](ExchangeBind::headers_match).
    pub fn headers_match(self, headers: HeadersMatch) -> Self {
        self.set_argument("x-match", headers.name())
    }
}
