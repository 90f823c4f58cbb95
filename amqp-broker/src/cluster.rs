//! The double of a small cluster, as a program holds it.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::broker::Broker;
use crate::core::cluster::NodeState;

/// One node of a broker that was started with several ([`BrokerBuilder::nodes`](crate::BrokerBuilder::nodes)):
/// a double of a small cluster, for what a client sees of one that fails.
///
/// All nodes have the same exchanges, queues and messages. A quorum queue has a leader, at first the node
/// that it was declared through, and is there for all as long as most nodes are up:
///
/// - when its leader goes, publishes to it are refused (`basic.nack`) and nothing is delivered from it for
///   half a second of the broker's time ([`Broker::advance`](crate::Broker::advance)), until there is
///   another leader;
/// - while most nodes are away, publishes to it are neither confirmed nor refused; they are carried out, and
///   confirmed, when enough nodes are back.
///
/// A publish that is on its way to a node when that is paused is confirmed when the node goes on; a real node
/// may forget it, which [`Fault::discard`](crate::Fault::discard) does.
///
/// A classic queue lives on the node that it was declared through. When that goes, its consumers are
/// cancelled, publishes to it are refused, and nothing is delivered from it; only what is durable is there
/// when it is back.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use amqp091_broker::Broker;
/// use amqp091_client::{Connection, Outcome, QueueType};
///
/// let broker = Broker::builder().nodes(3).start().await?;
/// let first = Connection::open(&broker.node(1).url()).await?;
/// first.channel().await?.queue_declare("orders").durable(true).queue_type(QueueType::Quorum).await?;
/// let second = Connection::open(&broker.node(2).url()).await?;
/// let channel = second.channel().await?;
/// broker.node(1).kill();
/// assert!(matches!(channel.publish("", "orders", "1").await?.await, Outcome::Nacked));
/// broker.advance(std::time::Duration::from_millis(500));
/// assert!(channel.publish("", "orders", "2").await?.await.is_confirmed());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct Node<'a> {
    broker: &'a Broker,
    index: u16,
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&(self.index + 1)).finish()
    }
}

impl<'a> Node<'a> {
    pub(crate) const fn new(broker: &'a Broker, index: u16) -> Self {
        Self { broker, index }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.broker.addresses().get(usize::from(self.index)).copied()
    }

    /// A URL to connect to this node by, as [`Broker::url`](crate::Broker::url) is one to the first.
    pub fn url(&self) -> String {
        self.broker.url_of(self.address())
    }

    /// Kills it: its connections are reset, and its port is closed (`ECONNREFUSED`).
    pub fn kill(&self) {
        // It is closed: nothing to open.
        let _ = self.set(NodeState::Down);
    }

    /// Starts it again after [`kill`](Self::kill), with the same port.
    ///
    /// # Errors
    ///
    /// When the operating system doesn't let it listen any more.
    pub fn start(&self) -> io::Result<()> {
        self.set(NodeState::Up)
    }

    /// Freezes it: it neither reads nor writes, and its sockets stay open. To the others it is away. Like a
    /// process that is stopped it doesn't notice that a client has gone, until [`resume`](Self::resume).
    pub fn pause(&self) {
        // It stays open.
        let _ = self.set(NodeState::Paused);
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// None where it was paused; otherwise as [`start`](Self::start).
    pub fn resume(&self) -> io::Result<()> {
        self.set(NodeState::Up)
    }

    fn set(&self, state: NodeState) -> io::Result<()> {
        self.broker.set_nodes(&[self.index], state)
    }
}
