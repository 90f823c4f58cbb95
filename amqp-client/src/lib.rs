//! An AMQP 0-9-1 client for RabbitMQ.
//!
//! ```no_run
//! use amqp091_client::Connection;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::open("amqp://guest:guest@localhost:5672/%2f").await?;
//! let channel = connection.channel().await?;
//! channel.queue_declare("work").durable(true).await?;
//! channel.publish("", "work", "hello").persistent(true).await?.confirmed().await?;
//!
//! let mut deliveries = channel.consume("work").prefetch(100).await?;
//! while let Some(delivery) = deliveries.next().await {
//!     let delivery = delivery?;
//!     println!("{:?}", delivery.body);
//!     delivery.ack()?;
//! }
//! # Ok(()) }
//! ```
//!
//! # What can be relied on
//!
//! - **Nothing is lost in silence.** Every published message has an [`Outcome`]: confirmed, returned
//!   with the message itself, refused, or unknown with the reason. A consumer's stream ends with the
//!   reason.
//! - **No call waits for ever.** Connecting, replies, confirms and closing have deadlines (see
//!   [`ConnectOptions`]); a closed channel or connection ends every wait on it with its cause. Publishing
//!   waits for as long as the server blocks it, unless `publish_timeout` says otherwise:
//!   [`Connection::blocked`] tells. Those that wait for something to come have no limit of their own: a
//!   consumer's next delivery, a returned message, an event of the connection or its end.
//! - **Every future may be dropped** at any time, as `select!` and timeouts do: what wasn't sent isn't,
//!   what was is answered to nobody, and no reply goes to the wrong call.
//! - **Backpressure.** Publishing waits while the socket takes no more or the server has blocked it; a
//!   slow consumer makes the server wait, by its prefetch or by the socket.
//!
//! # Without async
//!
//! [`blocking`] has the same client for programs of plain threads.
//!
//! # Publishing much
//!
//! | what | how |
//! |---|---|
//! | many messages of one kind | [`Channel::publisher`] encodes once what they have in common |
//! | many messages, and which of them failed | [`Channel::publish_all`], [`Publisher::publish_all`] |
//! | a stream of messages, so many unconfirmed at a time | [`Channel::confirm_window`] and `within` |
//! | a message that may take only so long | `publish_timeout`, `confirm_timeout` |
//! | a large body | [`Bytes`](amqp091::bytes::Bytes), or several of them: written from where they lie |
//! | a body larger than memory | [`Channel::publish_reader`], [`Channel::publish_stream`] |
//! | returned messages of transactions, or that nobody waits for | [`Channel::returns`] |
//!
//! # Consuming
//!
//! | what | how |
//! |---|---|
//! | messages handled at once, and settled by what their handlers say | [`Consumer::for_each_concurrent`] |
//! | several queues as one stream | [`MergedConsumers`] |
//! | fewer acknowledgements on the wire | [`Consume::coalesce_acks`], with a [`prefetch`](Consume::prefetch) |
//! | settling elsewhere than where a message is handled | [`Delivery::into_message`] |
//! | requests and replies | [`RpcClient`], [`Consumer::serve`] |
//! | going on after the server has closed a channel | [`Channel::reopen`], with its consumers |
//! | what happens to a connection | [`Connection::events`] |
//!
//! A lost connection isn't made again by itself. When a stream ends with [`Error::ConnectionClosed`], or
//! [`ConnectionEvent::Closed`] comes, the program connects, opens its channels, declares and consumes
//! again, after a pause that grows with each attempt that fails; messages that weren't settled come again.
//!
//! # TLS
//!
//! `amqps://`, or [`ConnectOptions::tls`] with a CA, a client certificate or a name of your own, speaks
//! TLS by rustls and checks the server's certificate.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tls-ring` (default) | TLS with the cryptography of ring, which builds fast; needs a C compiler |
//! | `tls-aws-lc` | TLS with that of aws-lc-rs, which has post-quantum key exchange |
//! | `tls` | TLS with the `CryptoProvider` that the program has installed as its process's default, which also goes before the other two |
//! | none of them | no TLS: options that want it are an error |
//!
//! # Watching
//!
//! What happens to connections, channels and consumers is told as events of the `tracing` crate: the
//! module [`tracing_events`] lists them. [`Connection::counters`] and [`Channel::counters`] tell it in numbers.
//!
//! # Builders
//!
//! Methods with many arguments return a builder: set what is to be set, then `.await` it. A builder
//! becomes a future by `IntoFuture`, which `.await` calls by itself; functions that want a future, such
//! as `join_all`, get it by `.into_future()`. A message's builder borrows its channel: to publish from a
//! task of its own, move a clone of the [`Channel`] into it and await there. Names and keys are short
//! strings: `&str` where a method takes them, [`ShortStr`] (`ShortStr::from_static("x-max-length")`) in
//! [`Properties`] and [`FieldTable`]s.
//!
//! RabbitMQ's arguments have setters of their own, with their units and limits; `argument` and
//! `arguments` take any other. Where the protocol has `no_wait`, so has the builder.
//!
//! ```no_run
//! use std::time::Duration;
//! use amqp091_client::{ExchangeType, Overflow, QueueType, StreamOffset};
//!
//! # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
//! channel.exchange_declare("events", ExchangeType::Topic).durable(true).await?;
//! channel
//!     .queue_declare("orders")
//!     .queue_type(QueueType::Quorum)
//!     .delivery_limit(5)
//!     .max_length(100_000)
//!     .overflow(Overflow::RejectPublish)
//!     .dead_letter_exchange("dead")
//!     .await?;
//! channel.queue_bind("orders", "events").routing_key("order.*").no_wait().await?;
//!
//! let log = channel.queue_declare("log").queue_type(QueueType::Stream);
//! log.max_age(Duration::from_secs(7 * 86_400)).await?;
//! let history = channel.consume("log").prefetch(100).stream_offset(StreamOffset::First).await?;
//! # Ok(()) }
//! ```
//!
//! # Who keeps what alive
//!
//! | dropped | what happens |
//! |---|---|
//! | [`Connection`], the last handle of any kind | closes the connection without waiting |
//! | [`Channel`], the last of its handles | closes the channel without waiting |
//! | [`Consumer`], [`MergedConsumers`] | cancels it; messages not handed out go back to the queue |
//! | [`ForEachConcurrent`] | cancels its consumer; messages being handled go back to the queue too |
//! | [`Delivery`] unsettled | nothing is sent: the server keeps it for this channel |
//! | [`ConnectionEvents`] | nothing: it is no handle of the connection |
//! | [`RpcClient`], the last of its clones | closes its channel without waiting |
//! | [`RpcCall`] while it waits | its reply is dropped when it comes |
//! | [`Confirm`], [`ConfirmWindow`], a batch on its way | nothing: what was published is |
//! | [`PublishingFrom`], half-way through a body | closes the channel; the message isn't published |
//! | a builder before its await | nothing was sent |
//!
//! A channel's number and a consumer's tag are free again when the server has answered.
//!
//! A channel's handles are its clones, publishers, windows, streams of returns, consumers and their
//! handles, deliveries and confirms; each also keeps the connection. Dropping never blocks, spawns or
//! panics, in a runtime or outside.

mod arguments;
pub mod blocking;
mod call;
mod channel;
mod connection;
mod consume;
mod core;
mod counters;
mod credentials;
mod deadline;
mod delivery;
mod dial;
mod driver;
mod error;
mod events;
mod exception;
mod exchange;
#[cfg(test)]
mod faults;
mod hosts;
mod message;
mod mode;
mod options;
mod publish;
mod queue;
mod reopen;
mod request;
mod rpc;
mod sasl;
mod shared;
mod socket;
mod source;
mod text;
mod tls;
mod trace;
pub mod tracing_events;
mod transport;
mod turn;
mod uri;

/// The protocol crate: methods, properties, wire types.
pub use amqp091;
pub use amqp091::protocol::ReplyCode;
pub use amqp091::protocol::basic::Properties;
pub use amqp091::types::{FieldTable, ShortStr, Value};
/// The TLS library, in the version that [`TlsOptions::rustls_config`] takes.
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use crate::arguments::{
    DeadLetterStrategy, ExchangeType, HeadersMatch, LeaderLocator, Overflow, QueueType,
    StreamOffset,
};
pub use crate::call::{Call, NoWait};
pub use crate::channel::Channel;
pub use crate::connection::Connection;
pub use crate::consume::{
    Cancel, Consume, Consumer, ConsumerEnd, ConsumerEnded, ConsumerHandle, Failure, FailureCause,
    ForEachConcurrent, ForEachEnd, Get, Got, MergedConsumers, OnFailure,
};
pub use crate::counters::Counters;
pub use crate::credentials::{
    Credentials, CredentialsError, CredentialsFuture, CredentialsProvider,
};
pub use crate::delivery::{Acker, Delivery};
pub use crate::dial::Peer;
pub use crate::error::{
    CloseReason, ConnectError, Error, FailedAttempt, Initiator, ServerClose, Stage, Violation,
};
pub use crate::events::{ConnectionEvent, ConnectionEvents};
pub use crate::exception::Exception;
pub use crate::exchange::{ExchangeBind, ExchangeDeclare, ExchangeDelete, ExchangeUnbind};
pub use crate::hosts::{Host, HostOrder, HostRound, OrderHosts};
pub use crate::message::Message;
pub use crate::mode::{ChannelMode, ConfirmSelect};
pub use crate::options::ConnectOptions;
pub use crate::publish::{
    BatchOutcome, Body, BodySource, Confirm, ConfirmWindow, Flush, FromReader, FromStream, Outcome,
    OutgoingMessage, PreparedPublish, PreparedPublishUnconfirmed, Publish, PublishAll,
    PublishError, PublishFrom, PublishUnconfirmed, Publisher, PublisherBuilder, Publishing,
    PublishingAll, PublishingFrom, PublishingUnconfirmed, Returned, Returns, WindowPublish,
};
pub use crate::queue::{Qos, QueueBind, QueueDeclare, QueueDelete, QueuePurge, QueueUnbind};
pub use crate::reopen::{NotRestored, Reopen, Reopened};
pub use crate::rpc::{RpcCall, RpcClient, RpcError, RpcResponse, ServeError, Serving};
pub use crate::sasl::{Login, Mechanism, Sasl, SaslError, SaslExchange};
pub use crate::socket::Keepalive;
pub use crate::text::TextError;
pub use crate::tls::{TlsError, TlsOptions};
pub use crate::uri::UriError;
