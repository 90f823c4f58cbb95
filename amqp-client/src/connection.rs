//! A connection: from a URI to channels.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::connection;
use amqp091::types::{FieldTable, LongStr, ShortStr, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::call::{ConnectionCall, PendingCall};
use crate::channel::Channel;
use crate::core::{Core, WaiterKey};
use crate::counters::Counters;
use crate::credentials::{Asker, Issued};
use crate::dial::{Attempts, Endpoint, Peer, Target};
use crate::driver::Driver;
use crate::error::{CloseReason, ConnectError, Error};
use crate::events::ConnectionEvents;
use crate::options::ConnectOptions;
use crate::publish::argument;
use crate::shared::{ChannelHandle, ConnectionHandle, Shared, now};
use crate::transport::Transport;

/// A connection to a server. Clones are the same connection, for as many tasks as you like.
///
/// It is driven by one task of the runtime that it was opened in, and closes without waiting when its
/// last handle of any kind (clone, channel, consumer, delivery, confirm) is dropped; call
/// [`close`](Self::close) to see it end well.
#[derive(Clone, Debug)]
pub struct Connection {
    handle: Arc<ConnectionHandle>,
}

impl Connection {
    /// Connects to the server that a URI names: `amqp://user:password@host:port/vhost`, or `amqps://`
    /// for TLS. [`ConnectOptions::from_uri`] says all that it may hold.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), amqp091_client::Error> {
    /// let connection = amqp091_client::Connection::open("amqp://localhost").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Uri`] for the URI, [`Error::Connect`] for what stood in the way of connecting.
    pub async fn open(uri: &str) -> Result<Self, Error> {
        Self::connect(&ConnectOptions::from_uri(uri)?).await
    }

    /// Connects with these options. Must be called in a tokio runtime with I/O and time enabled.
    ///
    /// Safe to drop: the attempt ends.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for an unusable option, [`Error::Connect`] for what stood in the way of
    /// connecting, at the latest after [`ConnectOptions::connect_timeout`]. Where several addresses
    /// were tried, [`ConnectError::AllFailed`] has the cause of each.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        crate::trace::connecting(Self::dial(options)).await
    }

    async fn dial(options: &ConnectOptions) -> Result<Self, Error> {
        options.check()?;
        let deadline = Instant::now() + options.connect_timeout;
        let hosts = options.hosts.plan().next_round();
        if hosts.is_empty() {
            return Err(ConnectError::NoHost.into());
        }
        let mut issued = Issued::ask(options, deadline).await?;
        let mut attempts = Attempts::new(options, hosts, deadline);
        while let Some(target) = attempts.next().await {
            if issued.as_ref().is_some_and(Issued::has_expired) {
                issued = Issued::ask(options, deadline).await?;
            }
            match Self::attempt(&target, options, issued.as_ref()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => attempts.failed(&target, error)?,
            }
        }
        Err(attempts.into_error().into())
    }

    async fn attempt(
        target: &Target,
        options: &ConnectOptions,
        issued: Option<&Issued>,
    ) -> Result<Self, ConnectError> {
        let (socket, peer) = target.connect(options).await?;
        let way = Way { endpoint: target.endpoint.clone(), peer: Some(peer) };
        Self::begin(socket, options, issued, way, target.deadline).await
    }

    /// Connects over a transport of your own: a tunnel, a Unix socket, a pipe in memory. The options'
    /// hosts and port aren't used, but that TLS, if the options have it, is spoken inside the transport
    /// and checks the server's certificate against the first host. For TLS of your own, give options without.
    ///
    /// ```
    /// # use amqp091_client::{ConnectOptions, Connection};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(unix)] {
    /// let socket = tokio::net::UnixStream::connect("/run/broker.sock").await?;
    /// let connection = Connection::connect_over(socket, &ConnectOptions::default()).await?;
    /// # }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_over<S>(transport: S, options: &ConnectOptions) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        options.check()?;
        let deadline = Instant::now() + options.connect_timeout;
        let issued = Issued::ask(options, deadline).await?;
        let way = Way { endpoint: options.first_endpoint(), peer: None };
        let connecting = Self::begin(transport, options, issued.as_ref(), way, deadline);
        Ok(crate::trace::connecting(connecting).await?)
    }

    async fn begin<S>(
        inner: S,
        options: &ConnectOptions,
        issued: Option<&Issued>,
        way: Way,
        deadline: Instant,
    ) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Way { endpoint, peer } = way;
        let transport = Transport::over(inner, options, &endpoint, deadline).await?;
        let mut own = options.clone();
        // Mechanisms are told the host of this attempt.
        own.hosts.list = vec![endpoint.host()];
        if let Some(issued) = issued {
            issued.apply(&mut own);
        }
        let mut core = Core::new(own, now(), deadline.into_std());
        core.credentials_expire(issued.and_then(Issued::valid_for), now());
        let shared = Shared::new(core, peer);
        let connection =
            Self { handle: Arc::new(ConnectionHandle { shared: Arc::clone(&shared) }) };
        let asker = Asker::new(options);
        tokio::spawn(Driver::new(Arc::clone(&shared), transport).asking(asker));
        let opened = poll_fn(|cx| shared.with(|core| core.poll_open(cx))).await;
        #[cfg(feature = "tls")]
        let opened = match options.tls {
            Some(_) => opened.map_err(|error| crate::transport::explain(error, &endpoint)),
            None => opened,
        };
        opened?;
        Ok(connection)
    }

    /// Opens a channel.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyChannels`], [`Error::ConnectionClosed`], or [`Error::Timeout`].
    pub async fn channel(&self) -> Result<Channel, Error> {
        let (key, _, call) = self.handle.shared.with(|core| core.open_channel(now()))?;
        // From here on, dropping this future closes the channel.
        let handle = Arc::new(ChannelHandle { key, connection: Arc::clone(&self.handle) });
        PendingCall::new(&handle, call, true).await?;
        Ok(Channel::new(handle))
    }

    pub(crate) fn new(handle: Arc<ConnectionHandle>) -> Self {
        Self { handle }
    }

    /// The host and address that it is connected to; `None` over a transport of the program's own.
    pub fn peer(&self) -> Option<Peer> {
        self.handle.shared.peer()
    }

    /// How many channels can be open at once: the negotiated channel-max, or 65535 where neither side
    /// sets one.
    pub fn channel_max(&self) -> u16 {
        self.handle.shared.with(|core| core.tuned().channel_max)
    }

    /// The negotiated frame-max, octets: bodies are split to fit, methods and headers have to; 0 if
    /// neither side sets one.
    pub fn frame_max(&self) -> u32 {
        self.handle.shared.with(|core| core.tuned().frame_max)
    }

    /// The negotiated heartbeat interval; zero if there are none.
    pub fn heartbeat(&self) -> Duration {
        self.handle.shared.with(|core| core.tuned().heartbeat)
    }

    /// What the server said of itself: `product`, `version`, `cluster_name`, `capabilities` and more,
    /// as it likes.
    pub fn server_properties(&self) -> Arc<FieldTable> {
        self.handle.shared.with(|core| Arc::clone(core.server_properties()))
    }

    /// Whether the server announced a capability, such as `publisher_confirms`, `basic.nack` or
    /// `consumer_priorities`.
    pub fn has_server_capability(&self, name: &str) -> bool {
        match self.server_properties().get("capabilities") {
            Some(Value::Table(capabilities)) => {
                matches!(capabilities.get(name), Some(Value::Bool(true)))
            }
            _ => false,
        }
    }

    /// Fails with the reason if the connection is closed.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionClosed`].
    pub fn check_open(&self) -> Result<(), Error> {
        self.handle.shared.with(|core| core.check_open())
    }

    /// What this connection has done so far, in numbers.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let broker = amqp091_broker::Broker::start().await?;
    /// # let connection = amqp091_client::Connection::open(&broker.url()).await?;
    /// let channel = connection.channel().await?;
    /// channel.publish("amq.topic", "news", "hello").await?.confirmed().await?;
    /// let counters = connection.counters();
    /// assert_eq!((counters.published, counters.unconfirmed), (1, 0));
    /// # Ok(()) }
    /// ```
    pub fn counters(&self) -> Counters {
        self.handle.shared.with(|core| core.counters(now()))
    }

    /// Why the server has blocked publishing (`connection.blocked`), while it has: it is short of
    /// memory or disk. Publishing waits meanwhile; all else goes on.
    pub fn blocked(&self) -> Option<ShortStr> {
        self.handle.shared.with(|core| core.blocked().cloned())
    }

    /// What happens to the connection from now on, as a stream that begins with
    /// [`Connected`](crate::ConnectionEvent::Connected), and with
    /// [`Blocked`](crate::ConnectionEvent::Blocked) if it is, and ends behind
    /// [`Closed`](crate::ConnectionEvent::Closed). There may be several; each gets every event, unless
    /// it is read so slowly that more than 64 wait.
    ///
    /// ```no_run
    /// use amqp091_client::ConnectionEvent;
    ///
    /// # fn example(connection: &amqp091_client::Connection) {
    /// let mut events = connection.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         match event {
    ///             ConnectionEvent::Blocked { reason } => eprintln!("blocked: {reason:?}"),
    ///             ConnectionEvent::Closed { reason } => eprintln!("closed: {reason}"),
    ///             _ => {}
    ///         }
    ///     }
    /// });
    /// # }
    /// ```
    pub fn events(&self) -> ConnectionEvents {
        ConnectionEvents::new(&self.handle.shared)
    }

    /// Replaces the credentials of this connection (`connection.update-secret`, RabbitMQ), for tokens
    /// that expire: send the new one before the old one runs out. The reason is for the server's log.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionClosed`] with the server's words when it doesn't accept them: it closes the
    /// connection. [`Error::FrameTooLarge`] for a secret that doesn't fit a frame.
    pub async fn update_secret(
        &self,
        secret: impl Into<LongStr>,
        reason: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let reason = argument("reason", reason.as_ref())?;
        let request = connection::UpdateSecret { new_secret: secret.into(), reason };
        let call = self.handle.shared.with(|core| core.update_secret(&request, now()))?;
        ConnectionCall::new(&self.handle, call).await.map(|_| ())
    }

    /// Closes the connection: what is pending is written, and the server's answer awaited, at most for
    /// [`ConnectOptions::close_timeout`]. Confirms that come until then still count; wait for those
    /// that matter before.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when the server doesn't answer; [`Error::ConnectionClosed`] when the
    /// connection has ended for another reason.
    pub async fn close(&self) -> Result<(), Error> {
        self.handle.shared.with(|core| core.close(CloseReason::ByUser, now()));
        self.closed().await
    }

    /// Waits for the connection's end.
    ///
    /// # Errors
    ///
    /// Why it ended, unless this program has closed it.
    pub async fn closed(&self) -> Result<(), Error> {
        closed(&self.handle.shared).await
    }

    /// Waits for the connection's end without keeping it.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared();
        async move {
            let _ = closed(&shared).await;
        }
    }

    /// The connection without a hold on it.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.handle.shared)
    }
}

async fn closed(shared: &Shared) -> Result<(), Error> {
    let mut wait = CloseWait { shared, waiter: None };
    poll_fn(|cx| wait.shared.with(|core| core.poll_closed(&mut wait.waiter, cx))).await
}

/// Where a connection that is begun leads to.
struct Way {
    endpoint: Endpoint,
    peer: Option<Peer>,
}

/// A place among those who wait for the connection's end.
struct CloseWait<'a> {
    shared: &'a Shared,
    waiter: Option<WaiterKey>,
}

impl Drop for CloseWait<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.shared.with(|core| core.forget_close(waiter));
        }
    }
}
