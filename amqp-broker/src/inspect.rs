//! What a broker holds, for a test's assertions: plain data, as of the moment when it was asked.

use std::time::Duration;

use amqp091::content::RawProperties;
use amqp091::protocol::basic;
use amqp091::types::{FieldTable, PropertiesError, ShortStr};
use bytes::Bytes;

/// A queue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: ShortStr,
    /// Its virtual host.
    pub virtual_host: String,
    /// Messages that are ready to be delivered.
    pub ready: usize,
    /// Messages that were delivered and aren't settled.
    pub unacked: usize,
    /// Octets of the ready messages' bodies.
    pub ready_octets: usize,
    /// How many consumers it has.
    pub consumers: usize,
    /// Messages that were ever routed to it.
    pub published: u64,
    /// Whether it is durable.
    pub durable: bool,
    /// Whether it belongs to one connection alone.
    pub exclusive: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// The arguments that it was declared with.
    pub arguments: FieldTable,
}

/// A message in a queue, ready to be delivered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredMessage {
    /// The exchange that it was published to.
    pub exchange: ShortStr,
    /// The routing key that it was published with.
    pub routing_key: ShortStr,
    /// Whether it was delivered before.
    pub redelivered: bool,
    /// When it expires, from now.
    pub expires_in: Option<Duration>,
    /// Its body.
    pub body: Bytes,
    pub(crate) properties: RawProperties,
}

impl StoredMessage {
    /// Its properties.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`] when they don't decode.
    pub fn properties(&self) -> Result<basic::Properties, PropertiesError> {
        self.properties.decode()
    }
}

/// An exchange.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExchangeInfo {
    /// Its name.
    pub name: ShortStr,
    /// Its virtual host.
    pub virtual_host: String,
    /// Its type: `direct`, `fanout`, `topic` or `headers`.
    pub kind: &'static str,
    /// Whether it is durable.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
    /// Whether only other exchanges may publish to it.
    pub internal: bool,
    /// The arguments that it was declared with.
    pub arguments: FieldTable,
    /// Messages that ever came to it.
    pub published: u64,
}

/// A binding from an exchange to a queue or another exchange.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BindingInfo {
    /// The exchange that it leads from.
    pub source: ShortStr,
    /// The queue or exchange that it leads to.
    pub destination: ShortStr,
    /// Whether that is a queue.
    pub to_queue: bool,
    /// Its virtual host.
    pub virtual_host: String,
    /// The routing key.
    pub routing_key: ShortStr,
    /// The arguments.
    pub arguments: FieldTable,
}

/// A client's connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Counted from 1 in the order in which they came.
    pub number: u64,
    /// Where it comes from.
    pub peer: String,
    /// The name that the client gave it.
    pub name: String,
    /// What the client has told of itself: its product, its capabilities.
    pub client_properties: FieldTable,
    /// The user that it is logged in as; empty before.
    pub user: String,
    /// The name in the certificate that it has shown, if it is connected by TLS and has.
    pub certificate: Option<String>,
    /// Its virtual host; empty before it is open.
    pub virtual_host: String,
    /// How many channels it has open.
    pub channels: usize,
    /// Whether it was told not to publish.
    pub blocked: bool,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its tag.
    pub tag: ShortStr,
    /// Its queue.
    pub queue: ShortStr,
    /// The number of its connection.
    pub connection: u64,
    /// The number of its channel.
    pub channel: u16,
    /// Whether its messages count as acknowledged when they are sent.
    pub no_ack: bool,
    /// Messages that it may hold; 0 for any number.
    pub prefetch: u16,
    /// Messages that it holds.
    pub unacked: u32,
}

/// What a broker has done since it was started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages that were published.
    pub published: u64,
    /// Messages that reached at least one queue, or a channel that waited for the reply.
    pub routed: u64,
    /// Messages that were returned to their publishers.
    pub returned: u64,
    /// Messages that were confirmed or refused to publishers that asked for it.
    pub confirmed: u64,
    /// Deliveries, those by `basic.get` included.
    pub delivered: u64,
    /// Deliveries that were acknowledged.
    pub acked: u64,
    /// Messages that died: expired, refused, dropped for room.
    pub dead: u64,
    /// Connections that were made.
    pub connections: u64,
}
