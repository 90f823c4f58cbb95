//! A channel: where queues are declared, messages published and consumed.

use std::sync::Arc;

use amqp091::protocol::{ReplyCode, basic, exchange, queue};

use crate::call::PendingCall;
use crate::consume::{Consume, Get};
use crate::error::{CloseReason, Error};
use crate::exchange::{ExchangeBind, ExchangeDeclare, ExchangeDelete, ExchangeUnbind};
use crate::publish::{Body, Publish, PublishUnconfirmed, argument};
use crate::queue::{Qos, QueueBind, QueueDeclare, QueueDelete, QueuePurge, QueueUnbind};
use crate::shared::{ChannelHandle, now};

/// One channel of a connection. Clones are the same channel, for as many tasks as you like.
///
/// Errors such as 404 NOT_FOUND close the channel they happen on: its calls fail with
/// [`Error::ChannelClosed`], the connection and its other channels go on. The channel closes without
/// waiting when its last clone, consumer, delivery and confirm is dropped.
#[derive(Clone, Debug)]
pub struct Channel {
    handle: Arc<ChannelHandle>,
}

impl Channel {
    pub(crate) fn new(handle: Arc<ChannelHandle>) -> Self {
        Self { handle }
    }

    /// The channel's number on its connection.
    pub fn number(&self) -> u16 {
        self.handle.number
    }

    /// Fails with the reason if the channel or connection is closed.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelClosed`] or [`Error::ConnectionClosed`].
    pub fn check_open(&self) -> Result<(), Error> {
        self.handle.with(|core| core.check_channel(self.handle.key))
    }

    /// Publishes `body` to `exchange` with `routing_key`; the default exchange is `""`, whose routing
    /// key is the name of a queue. What became of the message is told by the [`Confirm`] that this
    /// returns.
    ///
    /// The first such publish puts the channel in confirm mode; it costs no round trip.
    ///
    /// [`Confirm`]: crate::Confirm
    pub fn publish<'a>(
        &'a self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body: impl Into<Body<'a>>,
    ) -> Publish<'a> {
        let (exchange, routing_key) = (exchange.as_ref(), routing_key.as_ref());
        Publish::new(&self.handle, exchange, routing_key, body.into(), true)
    }

    /// Publishes `body` without a way to learn what becomes of it: for messages that may be lost.
    pub fn publish_unconfirmed<'a>(
        &'a self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body: impl Into<Body<'a>>,
    ) -> PublishUnconfirmed<'a> {
        let (exchange, routing_key) = (exchange.as_ref(), routing_key.as_ref());
        let publish = Publish::new(&self.handle, exchange, routing_key, body.into(), false);
        PublishUnconfirmed(publish)
    }

    /// Consumes the messages of a queue.
    pub fn consume(&self, queue: impl AsRef<[u8]>) -> Consume<'_> {
        Consume::new(&self.handle, queue.as_ref())
    }

    /// Fetches one message of a queue, if it has any.
    pub fn get(&self, queue: impl AsRef<[u8]>) -> Get<'_> {
        Get::new(&self.handle, queue.as_ref())
    }

    /// Sets how many messages may be delivered to each new consumer ahead of their acknowledgement;
    /// 0 is any number.
    pub fn qos(&self, prefetch_count: u16) -> Qos<'_> {
        Qos::new(&self.handle, Ok(basic::Qos { prefetch_count, ..basic::Qos::default() }))
    }

    /// Declares a queue. With an empty name the server makes one up: the reply has it.
    pub fn queue_declare(&self, queue: impl AsRef<[u8]>) -> QueueDeclare<'_> {
        let queue = argument("queue", queue.as_ref());
        let request = queue.map(|queue| queue::Declare { queue, ..queue::Declare::default() });
        QueueDeclare::new(&self.handle, request)
    }

    /// Binds a queue to an exchange.
    pub fn queue_bind(&self, queue: impl AsRef<[u8]>, exchange: impl AsRef<[u8]>) -> QueueBind<'_> {
        let request = argument("queue", queue.as_ref()).and_then(|queue| {
            let exchange = argument("exchange", exchange.as_ref())?;
            Ok(queue::Bind { queue, exchange, ..queue::Bind::default() })
        });
        QueueBind::new(&self.handle, request)
    }

    /// Undoes a binding of a queue to an exchange.
    pub fn queue_unbind(
        &self,
        queue: impl AsRef<[u8]>,
        exchange: impl AsRef<[u8]>,
    ) -> QueueUnbind<'_> {
        let request = argument("queue", queue.as_ref()).and_then(|queue| {
            let exchange = argument("exchange", exchange.as_ref())?;
            Ok(queue::Unbind { queue, exchange, ..queue::Unbind::default() })
        });
        QueueUnbind::new(&self.handle, request)
    }

    /// Drops the messages of a queue.
    pub fn queue_purge(&self, queue: impl AsRef<[u8]>) -> QueuePurge<'_> {
        let queue = argument("queue", queue.as_ref());
        let request = queue.map(|queue| queue::Purge { queue, ..queue::Purge::default() });
        QueuePurge::new(&self.handle, request)
    }

    /// Deletes a queue.
    pub fn queue_delete(&self, queue: impl AsRef<[u8]>) -> QueueDelete<'_> {
        let queue = argument("queue", queue.as_ref());
        let request = queue.map(|queue| queue::Delete { queue, ..queue::Delete::default() });
        QueueDelete::new(&self.handle, request)
    }

    /// Declares an exchange of type `kind`: `direct`, `fanout`, `topic`, `headers`, or one that a
    /// plugin adds.
    pub fn exchange_declare(
        &self,
        exchange: impl AsRef<[u8]>,
        kind: impl AsRef<[u8]>,
    ) -> ExchangeDeclare<'_> {
        let request = argument("exchange", exchange.as_ref()).and_then(|exchange| {
            let r#type = argument("type", kind.as_ref())?;
            Ok(exchange::Declare { exchange, r#type, ..exchange::Declare::default() })
        });
        ExchangeDeclare::new(&self.handle, request)
    }

    /// Deletes an exchange.
    pub fn exchange_delete(&self, exchange: impl AsRef<[u8]>) -> ExchangeDelete<'_> {
        let exchange = argument("exchange", exchange.as_ref());
        let request =
            exchange.map(|exchange| exchange::Delete { exchange, ..exchange::Delete::default() });
        ExchangeDelete::new(&self.handle, request)
    }

    /// Binds the exchange `destination` to the exchange `source`.
    pub fn exchange_bind(
        &self,
        destination: impl AsRef<[u8]>,
        source: impl AsRef<[u8]>,
    ) -> ExchangeBind<'_> {
        let request = argument("destination", destination.as_ref()).and_then(|destination| {
            let source = argument("source", source.as_ref())?;
            Ok(exchange::Bind { destination, source, ..exchange::Bind::default() })
        });
        ExchangeBind::new(&self.handle, request)
    }

    /// Undoes a binding of the exchange `destination` to the exchange `source`.
    pub fn exchange_unbind(
        &self,
        destination: impl AsRef<[u8]>,
        source: impl AsRef<[u8]>,
    ) -> ExchangeUnbind<'_> {
        let request = argument("destination", destination.as_ref()).and_then(|destination| {
            let source = argument("source", source.as_ref())?;
            Ok(exchange::Unbind { destination, source, ..exchange::Unbind::default() })
        });
        ExchangeUnbind::new(&self.handle, request)
    }

    /// Closes the channel and returns when the server has agreed. Confirms that come until then still
    /// count; wait for those that matter before.
    ///
    /// # Errors
    ///
    /// When the channel or connection is closed already, or closes for another reason first.
    pub async fn close(&self) -> Result<(), Error> {
        let reply_code = ReplyCode::REPLY_SUCCESS;
        let call = self.handle.with(|core| {
            core.close_channel(self.handle.key, CloseReason::ByUser, reply_code, now())
        })?;
        PendingCall::new(&self.handle, call, true).await.map(|_| ())
    }
}
