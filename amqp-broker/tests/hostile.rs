//! Clients that mean ill, or are broken: the broker stays up, others are served meanwhile, and what was theirs
//! goes with them.
//!
//! Time is tokio's paused one: a sleep ends when nobody has anything to do, so it is what tells that a client
//! is stuck.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/handshakes.rs"]
mod handshakes;
#[path = "hostile/nonsense.rs"]
mod nonsense;
#[path = "hostile/raw.rs"]
mod raw;
#[path = "hostile/readers.rs"]
mod readers;

use std::time::Duration;

use amqp091_broker::Broker;
use amqp091_client::{Channel, ConnectOptions, Connection};

/// Waits until nobody has anything to do.
async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A client that means well.
struct Bystander {
    _connection: Connection,
    channel: Channel,
}

impl Bystander {
    async fn new(broker: &Broker) -> Self {
        let options = ConnectOptions::default().heartbeat(Duration::ZERO);
        let connection = Connection::connect_over(broker.connect(), &options).await.unwrap();
        let channel = connection.channel().await.unwrap();
        channel.queue_declare("bystander").await.unwrap();
        Self { _connection: connection, channel }
    }

    /// A message there and back.
    async fn is_served(&self) {
        let publish = self.channel.publish("", "bystander", "hello").await.unwrap();
        publish.confirmed().await.unwrap();
        let got = self.channel.get("bystander").await.unwrap().unwrap();
        got.delivery.ack().unwrap();
    }
}
