//! The broker as a program holds it: started, asked for its URL, stopped.

use std::fmt::{self, Write};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use amqp091::types::{Method, ShortStr};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;

use crate::builder::BrokerBuilder;
use crate::cluster::Node;
use crate::core::cluster::NodeState;
use crate::core::faults::Trigger;
use crate::door::Door;
use crate::driver::Driver;
use crate::fault::Fault;
use crate::inspect::{
    BindingInfo, ConnectionInfo, ConsumerInfo, Counts, ExchangeInfo, QueueInfo, StoredMessage,
};
use crate::shared::Shared;
use crate::tasks::{Clients, Kind, keep_time, listen, serve_in_memory};
use crate::transport::MemoryStream;
use crate::unsettled::Unsettled;

/// Octets that fit into a connection in memory, each way.
const DUPLEX: usize = 64 * 1024;

/// How long clients have to answer when the broker stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long tests wait until all is settled.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);

/// A running broker. It stops when this is dropped.
pub struct Broker {
    shared: Arc<Shared>,
    /// That of `guest`, as URLs have it.
    password: String,
    /// How many there are.
    nodes: u16,
    doors: Vec<Arc<Door>>,
    /// Those for TLS.
    tls_doors: Vec<Arc<Door>>,
    addresses: Vec<SocketAddr>,
    /// Takes in those who come in memory.
    in_memory: UnboundedSender<Driver<MemoryStream>>,
    tasks: JoinSet<()>,
}

impl Broker {
    /// A broker with the defaults on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When the operating system has no port to give.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A broker about to be started.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    pub(crate) async fn run(mut builder: BrokerBuilder) -> io::Result<Self> {
        builder.check()?;
        let password = builder.settings.users.get("guest").map(|password| escaped(password));
        let shared = Shared::new(builder.settings, builder.manual_time);
        shared.with(|core, _| core.set_node_count(builder.nodes));
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_time(Arc::clone(&shared)));
        let (in_memory, coming) = mpsc::unbounded_channel();
        tasks.spawn(serve_in_memory(coming));
        let mut broker = Self {
            shared,
            password: password.unwrap_or_default(),
            nodes: builder.nodes,
            doors: Vec::new(),
            tls_doors: Vec::new(),
            addresses: Vec::new(),
            in_memory,
            tasks,
        };
        let mut addresses = builder.addresses;
        while addresses.len() < usize::from(builder.nodes) && builder.nodes > 1 {
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        }
        for address in addresses {
            let door = Door::open(address).await?;
            broker.addresses.push(door.address());
            let index = broker.shared.with(|core, _| core.add_listener());
            let node = u16::try_from(broker.doors.len()).unwrap_or(u16::MAX);
            let clients = Clients { shared: Arc::clone(&broker.shared), node, kind: Kind::Plain };
            broker.tasks.spawn(listen(clients, Arc::clone(&door), index));
            broker.doors.push(door);
        }
        #[cfg(feature = "tls")]
        for (address, tls) in builder.tls {
            let acceptor = tls.acceptor()?;
            let door = Door::open(address).await?;
            let index = broker.shared.with(|core, _| core.add_listener());
            let kind = Kind::Tls(acceptor);
            let clients = Clients { shared: Arc::clone(&broker.shared), node: 0, kind };
            broker.tasks.spawn(listen(clients, Arc::clone(&door), index));
            broker.tls_doors.push(door);
        }
        Ok(broker)
    }

    /// The addresses that it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A URL to connect by, as user `guest` with its password, to the virtual host `/`. For other users and virtual
    /// hosts, the client's options say so.
    ///
    /// One [without sockets](BrokerBuilder::without_sockets) has a URL too, for whoever needs the login; its host is
    /// nobody's.
    pub fn url(&self) -> String {
        self.url_of(self.addresses.first().copied())
    }

    pub(crate) fn url_of(&self, address: Option<SocketAddr>) -> String {
        let password = &self.password;
        match address {
            Some(address) => format!("amqp://guest:{password}@{address}/%2f"),
            // No name that could be somebody's: a client that tries it shall not reach a real broker.
            None => format!("amqp://guest:{password}@without-sockets.invalid/%2f"),
        }
    }

    /// The addresses that it listens on for TLS.
    #[cfg(feature = "tls")]
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.tls_doors.iter().map(|door| door.address()).collect()
    }

    /// A URL to connect by with TLS, as [`url`](Self::url) is one without; none where it doesn't listen for
    /// that. The host is `localhost`, which its certificate should have for a name.
    #[cfg(feature = "tls")]
    pub fn tls_url(&self) -> Option<String> {
        let port = self.tls_doors.first()?.address().port();
        Some(format!("amqps://guest:{}@localhost:{port}/%2f", self.password))
    }

    /// A connection in memory, without a socket: the client's end, for
    /// `Connection::connect_over` of the client. A broker that listens nowhere
    /// ([`BrokerBuilder::without_sockets`]) has these alone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use amqp091_client::{ConnectOptions, Connection};
    ///
    /// let broker = amqp091_broker::Broker::builder().without_sockets().start().await?;
    /// let options = ConnectOptions::default();
    /// let connection = Connection::connect_over(broker.connect(), &options).await?;
    /// assert_eq!(broker.connections()[0].peer, "memory");
    /// # Ok(()) }
    /// ```
    pub fn connect(&self) -> MemoryStream {
        let (client, server) = MemoryStream::pair(DUPLEX);
        let key = self.shared.with(|core, now| core.connect("memory".to_owned(), 0, now));
        // It is taken in as long as the broker is there.
        let _ = self.in_memory.send(Driver::new(Arc::clone(&self.shared), key, server));
        client
    }

    /// Puts the broker's clock forward: what comes due on the way has happened when this returns, each at
    /// its time and in order. What that says to clients is on its way then: see
    /// [`settled`](Self::settled).
    ///
    /// Heartbeats are part of it. A client that keeps another time hasn't sent any meanwhile, so one with
    /// a heartbeat is taken for dead after two intervals, as after a silence of that length: switch
    /// heartbeats off, on either side, where that is not the subject
    /// ([`BrokerBuilder::manual_time`] offers none).
    ///
    /// The clock goes as far as five hundred years, and stays there.
    pub fn advance(&self, span: Duration) {
        self.shared.advance(span);
    }

    /// Returns when no frame is in flight and no consumer can be served: when everything that clients have
    /// sent was read and carried out, everything that followed from it was written, and nothing happened
    /// meanwhile. Then what the broker holds is the outcome, and assertions need no waiting.
    ///
    /// This is found out, not waited for: each connection looks at what its socket has in the operating
    /// system. What frames there are only because a rule keeps them ([`Rule`](crate::Rule)), or that
    /// clients who are blocked have sent, isn't in flight.
    ///
    /// What can't be known: what a client has yet to send; what it has read and has not acted on, such as
    /// a delivery that it is about to acknowledge; over a socket, whether it has read what was written to
    /// it. A connection in memory ([`connect`](Self::connect)) is waited for until its client has. Clients'
    /// tasks that are ready when this is called have a turn first, on a current-thread runtime all of them:
    /// enough there for what was published or acknowledged just before.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = amqp091_broker::Broker::start().await?;
    /// let connection = amqp091_client::Connection::open(&broker.url()).await?;
    /// let channel = connection.channel().await?;
    /// channel.queue_declare("work").await?;
    /// for number in 0..100 {
    ///     channel.publish_unconfirmed("", "work", number.to_string()).await?;
    /// }
    /// broker.settled().await;
    /// assert_eq!(broker.queue("work").map(|queue| queue.ready), Some(100));
    /// # Ok(()) }
    /// ```
    ///
    /// Cancelling it does nothing.
    ///
    /// # Panics
    ///
    /// After a minute of the runtime's time, when a client doesn't read what is written to it, or never
    /// stops sending: the message says which. [`settled_within`](Self::settled_within) returns that.
    pub async fn settled(&self) {
        #[expect(clippy::panic, reason = "a test that would wait for ever fails instead")]
        if let Err(unsettled) = self.settled_within(SETTLED_LIMIT).await {
            panic!("{unsettled}");
        }
    }

    /// The same, with a limit by the runtime's time.
    ///
    /// # Errors
    ///
    /// Whom it was waiting for.
    pub async fn settled_within(&self, limit: Duration) -> Result<(), Unsettled> {
        self.shared.settled_within(limit).await
    }

    /// Blocks publishers as a memory or disk alarm does: those who publish from now on get
    /// `connection.blocked` with this reason, and aren't read until [`unblock`](Self::unblock).
    ///
    /// A reason of more than 255 octets is cut.
    pub fn block(&self, reason: &str) {
        let octets = reason.as_bytes();
        let reason = ShortStr::new(&octets[..octets.len().min(ShortStr::MAX_LEN)]);
        self.shared.with(|core, _| core.set_alarm(Some(reason.unwrap_or_default())));
    }

    /// Lets publishers go on.
    pub fn unblock(&self) {
        self.shared.with(|core, _| core.set_alarm(None));
    }

    /// A fault to come with methods of this name (`queue.declare`), from whichever side.
    ///
    /// # Panics
    ///
    /// If there is no method of this name, when it is said what is to happen.
    /// [`on_method`](Self::on_method) has the compiler look.
    pub fn on(&self, method: &str) -> Fault<'_> {
        Fault::on(&self.shared, method)
    }

    /// The same by the method's type, so that the compiler knows whether there is one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use amqp091::protocol::basic;
    ///
    /// let broker = amqp091_broker::Broker::start().await?;
    /// let rule = broker.on_method::<basic::Publish>().nack().optional();
    /// # Ok(()) }
    /// ```
    pub fn on_method<M: Method>(&self) -> Fault<'_> {
        Fault::new(&self.shared, Trigger::Method(M::NAME))
    }

    /// A fault to come with any method.
    pub fn on_any_method(&self) -> Fault<'_> {
        Fault::new(&self.shared, Trigger::AnyMethod)
    }

    /// A fault to come with any frame that the broker sends, the pieces of a content and heartbeats
    /// counted one by one.
    pub fn on_frame(&self) -> Fault<'_> {
        Fault::new(&self.shared, Trigger::Frame)
    }

    /// A fault to come when a client connects, before anything is said. The port is open, so that a client
    /// that is dropped sees its connection end at once: see [`refuse_connections`](Self::refuse_connections)
    /// for a port where nobody listens.
    pub fn on_connect(&self) -> Fault<'_> {
        Fault::new(&self.shared, Trigger::Connect)
    }

    /// Closes the ports: whoever connects from now on is refused by the operating system (`ECONNREFUSED`),
    /// as where no broker runs. The connections that are there stay, and no other process gets the ports.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = amqp091_broker::Broker::start().await?;
    /// broker.refuse_connections();
    /// let error = tokio::net::TcpStream::connect(broker.addresses()[0]).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    /// broker.accept_connections()?;
    /// assert!(amqp091_client::Connection::open(&broker.url()).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn refuse_connections(&self) {
        self.all_doors().for_each(|door| door.close());
    }

    /// Opens the same ports again; nothing where they are open.
    ///
    /// # Errors
    ///
    /// When the operating system doesn't let it listen any more.
    pub fn accept_connections(&self) -> io::Result<()> {
        self.all_doors().try_for_each(|door| door.reopen())
    }

    fn all_doors(&self) -> impl Iterator<Item = &Arc<Door>> {
        self.doors.iter().chain(&self.tls_doors)
    }

    /// A fault that comes at once, on each connection that is there.
    pub fn at_once(&self) -> Fault<'_> {
        Fault::new(&self.shared, Trigger::Now)
    }

    /// One of the nodes, counted from 1, where it was started with several
    /// ([`BrokerBuilder::nodes`]).
    ///
    /// # Panics
    ///
    /// If there is no such node, or there are no nodes: to kill it would show nothing.
    #[track_caller]
    pub fn node(&self, number: u16) -> Node<'_> {
        Node::new(self, self.node_index(number))
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a test that says what can't be has to hear of it")]
    fn node_index(&self, number: u16) -> u16 {
        match (number.checked_sub(1), self.nodes) {
            (_, 1) => panic!("there are no nodes: the broker wasn't started with several"),
            (Some(index), count) if index < count => index,
            (_, count) => panic!("there is no node {number}: they are counted from 1 to {count}"),
        }
    }

    /// Cuts these nodes, counted from 1, off from the others. Those on the side that has no majority stop
    /// serving, as with `pause_minority`: their connections are reset, and their ports closed.
    ///
    /// # Panics
    ///
    /// As [`node`](Self::node).
    #[track_caller]
    pub fn partition(&self, nodes: &[u16]) {
        let cut: Vec<u16> = nodes.iter().map(|&number| self.node_index(number)).collect();
        let (these, others): (Vec<u16>, Vec<u16>) =
            (0..self.nodes).partition(|index| cut.contains(index));
        let half = usize::from(self.nodes) / 2;
        for side in [these, others] {
            if side.len() <= half {
                // It is closed: nothing to open.
                let _ = self.set_nodes(&side, NodeState::Down);
            }
        }
    }

    /// Joins all nodes again: those that were cut off, paused or killed as well.
    ///
    /// # Errors
    ///
    /// When the operating system doesn't let one listen any more.
    pub fn heal(&self) -> io::Result<()> {
        self.set_nodes(&(0..self.nodes).collect::<Vec<_>>(), NodeState::Up)
    }

    /// Nodes that are down have their ports closed.
    pub(crate) fn set_nodes(&self, nodes: &[u16], state: NodeState) -> io::Result<()> {
        // The ports for TLS are the first node's.
        let tls_doors = if nodes.contains(&0) { self.tls_doors.as_slice() } else { &[] };
        let doors = || {
            let plain = nodes.iter().filter_map(|&node| self.doors.get(usize::from(node)));
            plain.chain(tls_doors)
        };
        if state == NodeState::Down {
            doors().for_each(|door| door.close());
        }
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.set_nodes(nodes, state);
        });
        if state == NodeState::Up {
            doors().try_for_each(|door| door.reopen())?;
        }
        Ok(())
    }

    /// Restarts: all connections are closed without a word; durable exchanges and queues stay, with the
    /// bindings between them and, of their messages, the persistent ones (all, in quorum queues). The port
    /// stays open throughout.
    pub fn restart(&self) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.restart();
        });
    }

    /// Adds a virtual host, unless it is there.
    pub fn add_virtual_host(&self, name: impl Into<String>) {
        self.shared.with(|core, _| core.add_vhost(name.into()));
    }

    /// Deletes a virtual host, with all its exchanges, queues and messages, and closes the connections to it
    /// (320, CONNECTION_FORCED).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use amqp091_broker::Broker;
    /// use amqp091_client::{ConnectOptions, Connection, Exception};
    ///
    /// let broker = Broker::start().await?;
    /// broker.add_virtual_host("tenant");
    /// let options = ConnectOptions::from_uri(&broker.url())?.virtual_host("tenant");
    /// let connection = Connection::connect(&options).await?;
    /// connection.channel().await?.queue_declare("work").await?;
    /// broker.delete_virtual_host("tenant");
    /// let end = connection.closed().await.err().and_then(|error| error.exception());
    /// assert_eq!(end, Some(Exception::ConnectionForced));
    /// assert_eq!(broker.queues().len(), 0);
    /// assert!(Connection::connect(&options).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn delete_virtual_host(&self, name: &str) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.delete_vhost(name);
        });
    }

    /// All queues, by virtual host and name.
    pub fn queues(&self) -> Vec<QueueInfo> {
        self.shared.with(|core, _| core.queue_infos())
    }

    /// The queue of this name in the virtual host `/`.
    pub fn queue(&self, name: impl AsRef<[u8]>) -> Option<QueueInfo> {
        self.queue_in("/", name)
    }

    /// The same in another virtual host.
    pub fn queue_in(&self, virtual_host: &str, name: impl AsRef<[u8]>) -> Option<QueueInfo> {
        let name = ShortStr::new(name).ok()?;
        self.shared.with(|core, _| core.queue_info(virtual_host, &name))
    }

    /// The ready messages of a queue in the virtual host `/`, in the order in which they would be
    /// delivered; `None` if there is no such queue.
    pub fn messages(&self, queue: impl AsRef<[u8]>) -> Option<Vec<StoredMessage>> {
        self.messages_in("/", queue)
    }

    /// The same in another virtual host.
    pub fn messages_in(
        &self,
        virtual_host: &str,
        queue: impl AsRef<[u8]>,
    ) -> Option<Vec<StoredMessage>> {
        let queue = ShortStr::new(queue).ok()?;
        self.shared.with(|core, _| core.stored(virtual_host, &queue))
    }

    /// All exchanges, by virtual host and name, the predeclared ones included.
    pub fn exchanges(&self) -> Vec<ExchangeInfo> {
        self.shared.with(|core, _| core.exchange_infos())
    }

    /// All bindings, but those of the default exchange.
    pub fn bindings(&self) -> Vec<BindingInfo> {
        self.shared.with(|core, _| core.binding_infos())
    }

    /// All connections, in the order in which they came.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.shared.with(|core, _| core.connection_infos())
    }

    /// All consumers.
    pub fn consumers(&self) -> Vec<ConsumerInfo> {
        self.shared.with(|core, _| core.consumer_infos())
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.shared.with(|core, _| core.counts())
    }

    /// Stops the broker as a RabbitMQ node is stopped: nobody is let in any more, and each client gets
    /// `connection.close` with 320 (`CONNECTION_FORCED`). Returns when all of them have answered or hung up,
    /// after a second otherwise; then all sockets are closed and nothing of the broker is left.
    ///
    /// A broker that is dropped stops at once and without a word: its ports are free when it is dropped, the
    /// clients' sockets are closed as soon as the runtime has a turn. So does one whose shutdown is
    /// cancelled.
    pub async fn shutdown(mut self) {
        self.all_doors().for_each(|door| door.release());
        self.shared.with(|core, now| core.shut_down(now));
        // Who doesn't answer doesn't hold it up.
        let _ = tokio::time::timeout(FAREWELL, self.shared.deserted()).await;
        self.tasks.shutdown().await;
    }
}

impl fmt::Debug for Broker {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Drop for Broker {
    /// The tasks end with their set.
    fn drop(&mut self) {
        self.all_doors().for_each(|door| door.release());
    }
}

/// A password as a URL has it.
fn escaped(password: &str) -> String {
    password.bytes().fold(String::new(), |mut escaped, octet| {
        if octet.is_ascii_alphanumeric() {
            escaped.push(char::from(octet));
        } else {
            let _ = write!(escaped, "%{octet:02X}");
        }
        escaped
    })
}
