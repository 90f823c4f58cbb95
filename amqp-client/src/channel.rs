//! A channel: where queues are declared, messages published and consumed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amqp091::protocol::{ReplyCode, basic, channel, confirm, exchange, queue, tx};
use bytes::Bytes;
use futures_core::Stream;
use tokio::io::AsyncRead;

use crate::call::{Call, NoWait, PendingCall};
use crate::connection::Connection;
use crate::consume::{Consume, Get};
use crate::core::PublishWait;
use crate::counters::Counters;
use crate::error::{CloseReason, Error};
use crate::exchange::{ExchangeBind, ExchangeDeclare, ExchangeDelete, ExchangeUnbind};
use crate::mode::{ChannelMode, ConfirmSelect};
use crate::publish::{
    Body, ConfirmWindow, FromReader, FromStream, OutgoingMessage, Publish, PublishAll, PublishFrom,
    PublishUnconfirmed, PublisherBuilder, Returns, argument,
};
use crate::queue::{Qos, QueueBind, QueueDeclare, QueueDelete, QueuePurge, QueueUnbind};
use crate::reopen::Reopen;
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

    /// What it is a handle of.
    pub(crate) fn handle(&self) -> &Arc<ChannelHandle> {
        &self.handle
    }

    /// The channel's number on its connection. It stays, unless the channel is opened again when another
    /// one has taken it.
    pub fn number(&self) -> u16 {
        self.handle.number()
    }

    /// Its connection.
    pub fn connection(&self) -> Connection {
        Connection::new(Arc::clone(&self.handle.connection))
    }

    /// Fails with the reason if the channel or connection is closed.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelClosed`] or [`Error::ConnectionClosed`].
    pub fn check_open(&self) -> Result<(), Error> {
        self.handle.with(|core| core.check_channel(self.handle.key))
    }

    /// What this channel has done so far, in numbers.
    pub fn counters(&self) -> Counters {
        self.handle.with(|core| core.channel_counters(self.handle.key))
    }

    /// Publishes `body` to `exchange` with `routing_key`; the default exchange is `""`, whose routing
    /// key is the name of a queue. What became of the message is told by the [`Confirm`] that this
    /// returns.
    ///
    /// The first such publish puts the channel in confirm mode; it costs no round trip. On a channel in
    /// transaction mode it fails with [`Error::ChannelMode`]: use
    /// [`publish_unconfirmed`](Self::publish_unconfirmed) there.
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let confirm = channel.publish("", "work", "task").persistent(true).mandatory(true).await?;
    /// confirm.confirmed().await?;
    /// # Ok(()) }
    /// ```
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

    /// Prepares to publish many messages that differ in their bodies only: exchange, routing key, flags
    /// and properties are encoded once.
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let publisher = channel.publisher("events", "order.created").persistent(true).build()?;
    /// publisher.publish("one").await?.confirmed().await?;
    /// publisher.publish("two").routing_key("order.paid").await?.confirmed().await?;
    /// # Ok(()) }
    /// ```
    pub fn publisher(
        &self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
    ) -> PublisherBuilder<'_> {
        PublisherBuilder::new(&self.handle, exchange.as_ref(), routing_key.as_ref())
    }

    /// Publishes all these messages and waits for all outcomes: many are queued at once, and nothing is
    /// kept of those that are confirmed.
    ///
    /// ```no_run
    /// use amqp091_client::OutgoingMessage;
    ///
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let messages = (0..1000).map(|n| {
    ///     OutgoingMessage::new("events", format!("order.{n}"), "created").persistent(true)
    /// });
    /// let outcome = channel.publish_all(messages).await;
    /// for (number, error) in &outcome.failed {
    ///     eprintln!("message {number}: {error}");
    /// }
    /// outcome.check()?;
    /// # Ok(()) }
    /// ```
    pub fn publish_all<'a, I>(&'a self, messages: I) -> PublishAll<'a, I::IntoIter>
    where
        I: IntoIterator,
        I::Item: Into<OutgoingMessage<'a>>,
    {
        PublishAll::of_messages(&self.handle, messages.into_iter())
    }

    /// Publishes a body of `body_size` octets that a reader gives, without ever holding it whole: it is
    /// read as the socket takes it. Octets behind are left in the reader.
    ///
    /// Use a channel of its own for this, and read at [`PublishFrom`] why.
    ///
    /// ```no_run
    /// # async fn example(connection: amqp091_client::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// let channel = connection.channel().await?;
    /// # let file: &[u8] = b"";
    /// # /*
    /// let file = tokio::fs::File::open("film.mkv").await?;
    /// let body_size = file.metadata().await?.len();
    /// # */
    /// # let body_size = 0;
    /// channel.publish_reader("", "films", body_size, file).await?.confirmed().await?;
    /// # Ok(()) }
    /// ```
    pub fn publish_reader<R>(
        &self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body_size: u64,
        reader: R,
    ) -> PublishFrom<'_, FromReader<R>>
    where
        R: AsyncRead + Unpin,
    {
        let (exchange, routing_key) = (exchange.as_ref(), routing_key.as_ref());
        let source = FromReader::new(reader);
        PublishFrom::new(&self.handle, exchange, routing_key, body_size, source)
    }

    /// As [`publish_reader`](Self::publish_reader), of a stream, whose pieces are sent as they are; there
    /// must be `body_size` octets of them.
    pub fn publish_stream<S, E>(
        &self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body_size: u64,
        stream: S,
    ) -> PublishFrom<'_, FromStream<S>>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (exchange, routing_key) = (exchange.as_ref(), routing_key.as_ref());
        let source = FromStream::new(stream);
        PublishFrom::new(&self.handle, exchange, routing_key, body_size, source)
    }

    /// A window by which at most `limit` messages (at least one) are unconfirmed at a time.
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let window = channel.confirm_window(1000);
    /// for n in 0..1_000_000 {
    ///     let publish = channel.publish("", "work", format!("message {n}"));
    ///     publish.persistent(true).within(&window).await?;
    /// }
    /// window.flush().await.check()?;
    /// # Ok(()) }
    /// ```
    pub fn confirm_window(&self, limit: usize) -> ConfirmWindow {
        ConfirmWindow::new(&self.handle, limit)
    }

    /// Returned messages that nobody waits for, from now on: see [`Returns`].
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let mut returns = channel.returns();
    /// channel.publish_unconfirmed("", "nobody", "x").mandatory(true).await?;
    /// while let Some(returned) = returns.next().await {
    ///     println!("{returned}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn returns(&self) -> Returns {
        Returns::new(&self.handle)
    }

    /// Consumes the messages of a queue.
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let mut consumer = channel.consume("work").prefetch(10).await?;
    /// while let Some(delivery) = consumer.next().await {
    ///     let delivery = delivery?;
    ///     println!("{:?}", delivery.body);
    ///     delivery.ack()?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn consume(&self, queue: impl AsRef<[u8]>) -> Consume<'_> {
        Consume::new(&self.handle, queue.as_ref())
    }

    /// Fetches one message of a queue, if it has any.
    ///
    /// ```no_run
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// while let Some(got) = channel.get("work").await? {
    ///     println!("{:?}, {} more", got.delivery.body, got.message_count);
    ///     got.delivery.ack()?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn get(&self, queue: impl AsRef<[u8]>) -> Get<'_> {
        Get::new(&self.handle, queue.as_ref())
    }

    /// Sends the acknowledgements that wait: see
    /// [`Consume::coalesce_acks`](crate::Consume::coalesce_acks).
    ///
    /// # Errors
    ///
    /// [`Error::ChannelClosed`] or [`Error::ConnectionClosed`]: then the messages are delivered again.
    pub fn flush_acks(&self) -> Result<(), Error> {
        self.handle.with(|core| core.flush_acks_now(self.handle.key))
    }

    /// Sets how many messages may be delivered to each new consumer ahead of their acknowledgement;
    /// 0 is any number.
    pub fn qos(&self, prefetch_count: u16) -> Qos<'_> {
        Qos::new(&self.handle, Ok(basic::Qos { prefetch_count, ..basic::Qos::default() }))
    }

    /// Asks the server to stop or resume deliveries (`channel.flow`). RabbitMQ knows no stop: it closes
    /// the connection over one with 540 NOT_IMPLEMENTED; limit deliveries by
    /// [`qos`](Self::qos) there.
    pub fn flow(&self, active: bool) -> Call<channel::Flow> {
        Call::new(&self.handle, Ok(channel::Flow { active }))
    }

    /// Has the server put all deliveries of this channel that aren't settled back in their queues
    /// (`basic.recover`), from where they are delivered again, to whichever consumer. Those that were
    /// handed out before, or wait in a [`Consumer`](crate::Consumer), will be seen twice; settling one
    /// of them now does nothing.
    ///
    /// Not for a channel that holds messages of a stream: RabbitMQ 3.10 fails over them with 541
    /// INTERNAL_ERROR, and closes the connection.
    ///
    /// Without `requeue` the same consumers were to get them again, which the specification leaves
    /// unclear: RabbitMQ closes the connection over it with 540 NOT_IMPLEMENTED.
    pub fn recover(&self, requeue: bool) -> Call<basic::Recover> {
        Call::new(&self.handle, Ok(basic::Recover { requeue }))
    }

    /// As [`recover`](Self::recover), without a reply (`basic.recover-async`): deprecated by the
    /// specification. Without it, nobody can tell which of the deliveries that come next were on their
    /// way already, and settling one of those closes the channel with 406 PRECONDITION_FAILED.
    pub fn recover_async(&self, requeue: bool) -> NoWait<basic::RecoverAsync> {
        NoWait::new(&self.handle, Ok(basic::RecoverAsync { requeue }))
    }

    /// What the server does with messages that are published here.
    pub fn mode(&self) -> ChannelMode {
        self.handle.with(|core| core.mode(self.handle.key))
    }

    /// Puts the channel in confirm mode (`confirm.select`), as the first [`publish`](Self::publish)
    /// does by itself: there is seldom a need for this.
    ///
    /// On a channel in transaction mode this and `publish` fail with [`Error::ChannelMode`].
    pub fn confirm_select(&self) -> ConfirmSelect<'_> {
        ConfirmSelect::new(&self.handle, Ok(confirm::Select { no_wait: false }))
    }

    /// Puts the channel in transaction mode (`tx.select`), for good: messages published with
    /// [`publish_unconfirmed`](Self::publish_unconfirmed), and how deliveries are settled, take effect
    /// with [`tx_commit`](Self::tx_commit), after which the next transaction begins by itself.
    ///
    /// RabbitMQ's transactions are slow and atomic only where a single queue is involved: confirms do
    /// for publishing what most want them for. On a channel in confirm mode this fails with
    /// [`Error::ChannelMode`].
    pub fn tx_select(&self) -> Call<tx::Select> {
        Call::new(&self.handle, Ok(tx::Select {}))
    }

    /// Commits the transaction (`tx.commit`). Until the server has answered, all else that is sent on
    /// this channel waits, as RabbitMQ closes the connection over a method in the middle of a commit;
    /// publishing waits visibly. Fails with [`Error::ChannelMode`] without a
    /// [`tx_select`](Self::tx_select).
    pub fn tx_commit(&self) -> Call<tx::Commit> {
        Call::new(&self.handle, Ok(tx::Commit {}))
    }

    /// Abandons the transaction (`tx.rollback`): what was published in it is dropped, and what was
    /// settled in it is not; [`recover`](Self::recover) sends that back to its queues. Fails with
    /// [`Error::ChannelMode`] without a [`tx_select`](Self::tx_select).
    pub fn tx_rollback(&self) -> Call<tx::Rollback> {
        Call::new(&self.handle, Ok(tx::Rollback {}))
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

    /// Declares an exchange of type `kind`: an [`ExchangeType`](crate::ExchangeType) or its name, such
    /// as that of one that a plugin adds.
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

    /// Opens the channel again after it was closed, by the server for an error such as 404 NOT_FOUND or
    /// by this program: this handle and its clones work again, with everything that
    /// [the builder](Reopen) was asked to restore. To the server it is another channel: what was
    /// published before has had its outcome, and the server delivers what wasn't settled again, so that
    /// settling a delivery from before is [`Error::StaleDelivery`].
    ///
    /// ```no_run
    /// use amqp091_client::Error;
    ///
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), Error> {
    /// let mut orders = channel.consume("orders").prefetch(10).await?;
    /// loop {
    ///     match orders.next().await {
    ///         Some(Ok(order)) => match order.ack() {
    ///             // What had come before the channel closed comes again.
    ///             Ok(()) | Err(Error::ChannelClosed { .. } | Error::StaleDelivery { .. }) => {}
    ///             Err(error) => return Err(error),
    ///         },
    ///         // The stream goes on, if the queue is still there.
    ///         Some(Err(_)) => {
    ///             channel.reopen().modes(true).consumers(true).await?;
    ///         }
    ///         None => break,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// Any number of tasks may ask for it: one attempt is made for all, with all that any of them wants
    /// restored, and all have its outcome. It is made even if their futures are dropped. On an open
    /// channel it does nothing.
    ///
    /// A consumer that the server refuses, as when its queue is gone, is reported in
    /// [`Reopened::failed`](crate::Reopened::failed). The refusal closes the channel once more, for all who
    /// use it; it is opened yet again without that consumer.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionClosed`] when the connection is closed; [`Error::ChannelClosed`] when the server
    /// closes the channel again for another reason, or this program does; [`Error::TooManyChannels`] when
    /// no number is left; [`Error::Timeout`].
    pub fn reopen(&self) -> Reopen<'_> {
        Reopen::new(&self.handle)
    }

    /// Closes the channel and returns when the server has agreed. Confirms that come until then still
    /// count; wait for those that matter before. If this program has closed it before, that is all; if it
    /// is about to, this waits too.
    ///
    /// # Errors
    ///
    /// When the channel or connection has closed for another reason, or does so first;
    /// [`Error::Timeout`].
    pub async fn close(&self) -> Result<(), Error> {
        let (key, reply_code) = (self.handle.key, ReplyCode::REPLY_SUCCESS);
        let call = self.handle.with(|core| {
            let is_first = !core.is_closed_by_user(key);
            is_first.then(|| core.close_channel(key, CloseReason::ByUser, reply_code, now()))
        });
        match call {
            Some(call) => PendingCall::new(&self.handle, call?, true).await.map(|_| ()),
            None => ChannelEnd { channel: &self.handle, wait: PublishWait::default() }.await,
        }
    }
}

/// Waits for the end of a channel that is being closed.
struct ChannelEnd<'a> {
    channel: &'a ChannelHandle,
    wait: PublishWait,
}

impl Future for ChannelEnd<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { channel, wait } = &mut *self;
        channel.with(|core| core.poll_channel_closed(channel.key, now(), wait, cx))
    }
}

impl Drop for ChannelEnd<'_> {
    fn drop(&mut self) {
        if self.wait.is_waiting() {
            self.channel.with(|core| core.forget_publish(&mut self.wait));
        }
    }
}
