//! An embedded AMQP 0-9-1 broker that behaves like RabbitMQ: for quick starts and for tests, in process,
//! in memory.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = amqp091_broker::Broker::start().await?;
//! let connection = amqp091_client::Connection::open(&broker.url()).await?;
//! let channel = connection.channel().await?;
//! channel.queue_declare("work").await?;
//! channel.publish("", "work", "hello").await?.confirmed().await?;
//! # Ok(()) }
//! ```
//!
//! These five lines are the body of a `#[tokio::test]`: each test has a broker of its own, which is gone with it. It is not for
//! production: messages are in memory. There, the same program has the URL of a RabbitMQ.
//!
//! | | |
//! |---|---|
//! | RabbitMQ 3.10 or 4, and what differs from it | [`Profile`] |
//! | users, virtual hosts, limits, addresses; TLS and logins by certificate (feature `tls-ring`) | [`BrokerBuilder`] |
//! | no sockets at all | [`Broker::connect`], [`BrokerBuilder::without_sockets`] |
//! | what is in it | [`Broker::queue`], [`Broker::messages`], [`Broker::connections`], [`Broker::counts`]… |
//! | what goes wrong | [`Broker::on`], [`Fault`], [`Rule`] |
//! | time | [`Broker::advance`], [`BrokerBuilder::manual_time`], [`Broker::settled`] |
//! | a restart; several nodes | [`Broker::restart`]; [`BrokerBuilder::nodes`], [`Node`] |
//!
//! Tests need neither a server nor a sleep: what is to go wrong is a rule ([`Broker::on`]), time goes by when
//! the test says so ([`Broker::advance`]), and [`Broker::settled`] returns when nothing is in flight.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let broker = amqp091_broker::Broker::start().await?;
//! let connection = amqp091_client::Connection::open(&broker.url()).await?;
//! let channel = connection.channel().await?;
//! channel.queue_declare("work").message_ttl(Duration::from_secs(30)).await?;
//!
//! let late = broker.on("basic.ack").to_client().delay(Duration::from_secs(10));
//! let confirm = channel.publish("", "work", "hello").await?;
//! broker.settled().await;
//! assert_eq!((broker.queue("work").map(|queue| queue.ready), late.hits()), (Some(1), 1));
//!
//! broker.advance(Duration::from_secs(30));
//! assert!(confirm.await.is_confirmed());
//! assert_eq!(broker.queue("work").map(|queue| queue.ready), Some(0));
//! # Ok(()) }
//! ```
//!
//! A test without async keeps a runtime for the broker's tasks, of several threads: they run on while the test's own
//! thread waits. The client's blocking face needs none.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use amqp091_client::blocking::{Connection, Wait};
//!
//! let runtime = tokio::runtime::Runtime::new()?;
//! let broker = runtime.block_on(amqp091_broker::Broker::start())?;
//! let connection = Connection::open(&broker.url())?;
//! let channel = connection.channel()?;
//! channel.queue_declare("work").wait()?;
//! channel.publish("", "work", "hello").wait()?.confirmed()?;
//! runtime.block_on(broker.settled());
//! assert_eq!(broker.queue("work").map(|queue| queue.ready), Some(1));
//! # Ok(()) }
//! ```

mod broker;
mod builder;
mod cluster;
mod core;
mod door;
mod driver;
mod event;
mod fault;
mod inspect;
mod permissions;
mod profile;
mod rule;
mod settings;
mod shared;
mod tasks;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod unsettled;

pub use crate::broker::Broker;
pub use crate::builder::BrokerBuilder;
pub use crate::cluster::Node;
pub use crate::event::BrokerEvent;
pub use crate::fault::Fault;
pub use crate::inspect::{
    BindingInfo, ConnectionInfo, ConsumerInfo, Counts, ExchangeInfo, QueueInfo, StoredMessage,
};
pub use crate::permissions::Permissions;
pub use crate::profile::Profile;
pub use crate::rule::Rule;
#[cfg(feature = "tls")]
pub use crate::tls::{CertificateLogin, Tls};
pub use crate::transport::MemoryStream;
pub use crate::unsettled::Unsettled;
/// The version of rustls that [`Tls::rustls_config`] takes a configuration of.
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What must hold whatever clients send, for the fuzz target `broker`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn check_hostile(input: &[u8]) {
    core::hostile::check(input);
}
