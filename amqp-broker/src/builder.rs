//! What a broker is started with, as its user sets it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
#[cfg(doc)]
use crate::cluster::Node;
use crate::core::FRAME_MIN;
use crate::event::BrokerEvent;
use crate::permissions::Permissions;
use crate::profile::Profile;
use crate::settings::Settings;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// A broker about to be started.
#[must_use = "a broker starts with `start`"]
pub struct BrokerBuilder {
    pub(crate) settings: Settings,
    pub(crate) addresses: Vec<SocketAddr>,
    is_default_address: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Vec<(SocketAddr, Tls)>,
    pub(crate) manual_time: bool,
    is_default_heartbeat: bool,
    pub(crate) nodes: u16,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            is_default_address: true,
            #[cfg(feature = "tls")]
            tls: Vec::new(),
            manual_time: false,
            is_default_heartbeat: true,
            nodes: 1,
        }
    }
}

impl fmt::Debug for BrokerBuilder {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerBuilder")
            .field("profile", &self.settings.profile)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl BrokerBuilder {
    /// Which RabbitMQ to behave like. Default: 4.x.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        profile.version().clone_into(&mut self.settings.version);
        self
    }

    /// Listens here as well; the first call replaces the default, a free port of the loopback interface.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        if std::mem::take(&mut self.is_default_address) {
            self.addresses.clear();
        }
        self.addresses.push(address);
        self
    }

    /// Listens nowhere: clients come in memory alone, by [`Broker::connect`].
    pub fn without_sockets(mut self) -> Self {
        self.is_default_address = false;
        self.addresses.clear();
        self
    }

    /// Listens for TLS as well (`amqps://`), on a free port of the loopback interface:
    /// [`Broker::tls_url`].
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: Tls) -> Self {
        self.listen_tls(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls)
    }

    /// Listens for TLS here as well.
    #[cfg(feature = "tls")]
    pub fn listen_tls(mut self, address: SocketAddr, tls: Tls) -> Self {
        self.tls.push((address, tls));
        self
    }

    /// Product and version as told to clients, some of which decide by them. Default: `RabbitMQ` and
    /// the version of the profile.
    pub fn product(mut self, product: impl Into<String>, version: impl Into<String>) -> Self {
        self.settings.product = product.into();
        self.settings.version = version.into();
        self
    }

    /// One more user, beside `guest` with the password `guest`, or another password for one that there is. It
    /// may do everything everywhere, until [`permit`](Self::permit) says what.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.users.insert(name.into(), password.into());
        self
    }

    /// What a user may do in a virtual host. From the first time that this is said of a user on, it may do
    /// nothing but what was said, as a RabbitMQ's user: elsewhere it isn't let in (530), here it is refused what
    /// the permissions don't allow (403).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use amqp091_broker::{Broker, Permissions};
    /// use amqp091_client::Connection;
    ///
    /// let mine = |name: &str| name.starts_with("mine.");
    /// let broker = Broker::builder()
    ///     .user("carl", "secret")
    ///     .permit("carl", "/", Permissions::none().configure(mine).read(mine).write(mine))
    ///     .start()
    ///     .await?;
    /// let url = broker.url().replace("guest:guest", "carl:secret");
    /// let channel = Connection::open(&url).await?.channel().await?;
    /// channel.queue_declare("mine.work").await?;
    /// let refused = channel.queue_declare("yours").await.unwrap_err().to_string();
    /// assert!(refused.contains("configure access to queue 'yours' in vhost '/' refused for user 'carl'"));
    /// # Ok(()) }
    /// ```
    pub fn permit(
        mut self,
        user: impl Into<String>,
        virtual_host: impl Into<String>,
        permissions: Permissions,
    ) -> Self {
        let of_user = self.settings.permissions.entry(user.into()).or_default();
        of_user.insert(virtual_host.into(), permissions);
        self
    }

    /// One more virtual host, beside `/`.
    pub fn virtual_host(mut self, name: impl Into<String>) -> Self {
        self.settings.virtual_hosts.push(name.into());
        self
    }

    /// The frame-max to offer, octets; a larger frame closes the connection with 501 (`FRAME_ERROR`).
    /// At least 4096, or 0 for no limit. Default: 131,072.
    pub const fn frame_max(mut self, octets: u32) -> Self {
        self.settings.frame_max = octets;
        self
    }

    /// The channel-max to offer; a client that opens more channels is closed with 530 (`NOT_ALLOWED`).
    /// Default: 2047.
    pub const fn channel_max(mut self, channels: u16) -> Self {
        self.settings.channel_max = channels;
        self
    }

    /// The heartbeat interval to offer, whole seconds; none if that is zero. Default: 60 s, and none with
    /// [`manual_time`](Self::manual_time).
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval;
        self.is_default_heartbeat = false;
        self
    }

    /// How many connections each virtual host may have: one more is closed with 530 (`NOT_ALLOWED`).
    /// Default: any number.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// How many queues each virtual host may have: the declaration of one more is refused with 406
    /// (`PRECONDITION_FAILED`). Default: any number.
    pub const fn max_queues(mut self, queues: usize) -> Self {
        self.settings.max_queues = queues;
        self
    }

    /// The largest message body to take, octets: of a larger one the channel is closed with 406
    /// (`PRECONDITION_FAILED`) when its header has come. Default: 134,217,728.
    pub const fn max_body(mut self, octets: u64) -> Self {
        self.settings.max_body = octets;
        self
    }

    /// Octets that may be held before publishers are blocked (`connection.blocked`), as by RabbitMQ when it
    /// is short of memory: messages, queues, bindings, consumers and channels count, each by about what it
    /// takes. Beyond twice as much, clients aren't read any more who declare, bind or consume, and dead
    /// letters are dropped. Default: 1 GiB.
    pub const fn memory_limit(mut self, octets: usize) -> Self {
        self.settings.memory_limit = octets;
        self
    }

    /// How long a client that is refused without a word has its socket kept open: one with a wrong password
    /// that doesn't understand `authentication_failure_close`, one that chose a mechanism that there isn't, or
    /// a limit above the offer. RabbitMQ takes three seconds, so that guessing is slow; by the broker's clock.
    /// Default: none, for tests.
    pub const fn refusal_delay(mut self, delay: Duration) -> Self {
        self.settings.refusal_delay = delay;
        self
    }

    /// Has every event told to `listener`, on whichever thread it happens: it should be quick.
    pub fn on_event(mut self, listener: impl Fn(&BrokerEvent) + Send + Sync + 'static) -> Self {
        self.settings.on_event = Some(Arc::new(listener));
        self
    }

    /// Has time go by for the broker only by [`Broker::advance`]: nothing expires, no heartbeat is due and
    /// no delay ends otherwise. Default: the runtime's time, which can be paused
    /// (`tokio::time::pause`), and put forward for the broker alone by [`Broker::advance`].
    ///
    /// No heartbeats are offered then, unless [`heartbeat`](Self::heartbeat) says which: a client's would
    /// come by another clock.
    pub const fn manual_time(mut self) -> Self {
        self.manual_time = true;
        self
    }

    /// So many nodes that share what the broker holds, each with a port of its own, the addresses to listen on
    /// in their order: see [`Node`]. Default: one.
    pub const fn nodes(mut self, count: u16) -> Self {
        self.nodes = if count == 0 { 1 } else { count };
        self
    }

    /// What can't be is refused, and what hangs together is put right.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if self.manual_time && self.is_default_heartbeat {
            self.settings.heartbeat = Duration::ZERO;
        }
        let (addresses, nodes) = (self.addresses.len(), self.nodes);
        if nodes > 1 && addresses > usize::from(nodes) {
            return refused(format!("{addresses} addresses are too many for {nodes} nodes"));
        }
        if nodes > 1 && addresses == 0 && !self.is_default_address {
            return refused(format!("{nodes} nodes can't be told apart without sockets"));
        }
        let frame_max = self.settings.frame_max;
        if (1..FRAME_MIN).contains(&frame_max) {
            return refused(format!("a frame-max of {frame_max} is below {FRAME_MIN}, the least"));
        }
        Ok(())
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When an address can't be bound; when a certificate can't be used, the frame-max is below 4096, there are
    /// more addresses than nodes, or several nodes without sockets ([`InvalidInput`](io::ErrorKind::InvalidInput)).
    pub async fn start(self) -> io::Result<Broker> {
        Broker::run(self).await
    }
}
