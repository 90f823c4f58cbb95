//! What a connection is opened with.

use std::net::IpAddr;
use std::sync::Arc;
use std::{fmt, time::Duration};

use amqp091::frame::FrameLimits;
use amqp091::protocol::constants;
use amqp091::types::{FieldTable, ShortStr, Value};

use crate::credentials::{CredentialsProvider, Provider};
use crate::dial::Endpoint;
use crate::error::Error;
use crate::hosts::{Host, HostOrder, Hosts};
use crate::sasl::{Login, Mechanism};
use crate::socket::{Keepalive, SocketOptions};
use crate::tls::TlsOptions;
use crate::uri::Uri;

/// Longer timeouts are taken as this one, so that no deadline is beyond what a clock can tell.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// IANA's `amqps`.
const TLS_PORT: u16 = 5671;

/// Everything a connection is opened with; the default is the local broker as guest.
///
/// ```
/// use std::time::Duration;
/// use amqp091_client::ConnectOptions;
///
/// let options = ConnectOptions::from_uri("amqp://user:secret@broker:5672/orders")?
///     .connection_name("billing")
///     .heartbeat(Duration::from_secs(10));
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), amqp091_client::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub(crate) hosts: Hosts,
    pub(crate) port: Option<u16>,
    pub(crate) socket: SocketOptions,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) virtual_host: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) provider: Option<Provider>,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) connection_name: Option<String>,
    pub(crate) client_properties: FieldTable,
    pub(crate) heartbeat: Duration,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) rpc_timeout: Duration,
    pub(crate) confirm_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) blocked_timeout: Option<Duration>,
    pub(crate) max_body: u64,
    pub(crate) max_control_frame: Option<u32>,
    pub(crate) output_limit: usize,
    pub(crate) delivery_limit: usize,
    pub(crate) record_topology: bool,
}

/// A string that Debug doesn't show.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            hosts: Hosts::new(vec![Host::from("localhost")]),
            port: None,
            socket: SocketOptions::default(),
            tls: None,
            virtual_host: "/".to_owned(),
            user: "guest".to_owned(),
            password: Secret("guest".to_owned()),
            provider: None,
            mechanisms: vec![Mechanism::Plain, Mechanism::AmqPlain],
            connection_name: None,
            client_properties: FieldTable::new(),
            heartbeat: Duration::from_secs(60),
            channel_max: 2047,
            frame_max: 131_072,
            connect_timeout: Duration::from_secs(30),
            attempt_timeout: None,
            rpc_timeout: Duration::from_secs(30),
            confirm_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(10),
            write_timeout: Some(Duration::from_secs(60)),
            blocked_timeout: None,
            max_body: 128 * 1024 * 1024,
            max_control_frame: None,
            output_limit: 1024 * 1024,
            delivery_limit: 16 * 1024 * 1024,
            record_topology: true,
        }
    }
}

impl ConnectOptions {
    /// The options that a URI gives: `amqp://user:password@host:port/vhost?heartbeat=10`, every part
    /// but the scheme optional, percent-encoded where need be (the virtual host `/` is `%2f`).
    /// `amqps://` is the same over TLS, on port 5671 if there is none in it. [Several
    /// hosts](Self::hosts), each with a port of its own or without, are separated by commas:
    /// `amqp://user:password@rabbit-1,rabbit-2:5673/vhost`.
    ///
    /// Query parameters, RabbitMQ's and one more:
    ///
    /// | parameter | meaning |
    /// |---|---|
    /// | `heartbeat` | [`heartbeat`](Self::heartbeat), seconds |
    /// | `connection_timeout` | [`connect_timeout`](Self::connect_timeout), milliseconds |
    /// | `channel_max`, `frame_max` | [`channel_max`](Self::channel_max), [`frame_max`](Self::frame_max) |
    /// | `auth_mechanism` | `plain`, `amqplain`, `external` or `anonymous`, in any case; several are [tried in turn](Self::mechanisms) |
    /// | `connection_name` | [`connection_name`](Self::connection_name) |
    /// | `cacertfile` | [`TlsOptions::ca_file`] |
    /// | `certfile`, `keyfile` | [`TlsOptions::client_certificate_files`]; without `keyfile`, the one file holds both |
    /// | `verify` | `verify_peer` (the default), or `verify_none`: [`TlsOptions::danger_accept_invalid_certificates`] |
    /// | `server_name_indication` | [`TlsOptions::server_name`]; `disable` is [`TlsOptions::without_sni`] |
    ///
    /// The last four are for `amqps://` alone. Unknown ones, and any but `auth_mechanism` given twice,
    /// are errors: a misspelt `verify` is not to go unseen.
    ///
    /// # Errors
    ///
    /// [`Error::Uri`] says what is wrong with it, without repeating the password.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let uri = Uri::parse(uri)?;
        let defaults = Self::default();
        Ok(Self {
            hosts: if uri.hosts.is_empty() { defaults.hosts } else { Hosts::new(uri.hosts) },
            port: uri.port,
            tls: uri.tls,
            connection_name: uri.connection_name,
            mechanisms: match uri.mechanisms {
                mechanisms if mechanisms.is_empty() => defaults.mechanisms,
                mechanisms => mechanisms,
            },
            virtual_host: uri.virtual_host.unwrap_or(defaults.virtual_host),
            user: uri.user.filter(|user| !user.is_empty()).unwrap_or(defaults.user),
            password: uri
                .password
                .filter(|text| !text.is_empty())
                .map_or(defaults.password, Secret),
            heartbeat: uri.heartbeat.unwrap_or(defaults.heartbeat),
            connect_timeout: uri.connection_timeout.unwrap_or(defaults.connect_timeout),
            channel_max: uri.channel_max.unwrap_or(defaults.channel_max),
            frame_max: uri.frame_max.unwrap_or(defaults.frame_max),
            ..Self::default()
        })
    }

    /// The server's host name or address: `broker`, `10.0.0.1`, `::1`; with a port of its own
    /// `broker:5673`, `[::1]:5673`. A name may stand for several addresses, IPv4 and IPv6: they are
    /// tried in turn, in the order in which the system gives them. Default: `localhost`.
    #[must_use]
    pub fn host(self, host: impl Into<Host>) -> Self {
        self.hosts([host])
    }

    /// Several servers, such as the nodes of a cluster: the connection goes to the first that takes it.
    ///
    /// Each has a fair share of the [`connect_timeout`](Self::connect_timeout). One that can't be
    /// reached, isn't what it should be, is silent or refuses for reasons of its own leads on to the
    /// next; a refused login or virtual host (403, 530) ends the attempt, as the nodes of a cluster have
    /// the same users and virtual hosts. TLS checks each server's certificate against its own name.
    ///
    /// ```
    /// use amqp091_client::{ConnectOptions, HostOrder};
    ///
    /// let options = ConnectOptions::default()
    ///     .hosts(["rabbit-1", "rabbit-2", "rabbit-3:5673"])
    ///     .host_order(HostOrder::Shuffled);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn hosts<H: Into<Host>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts.list = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// One more server beside those that [`hosts`](Self::hosts), [`host`](Self::host) or the URI gave.
    #[must_use]
    pub fn add_host(mut self, host: impl Into<Host>) -> Self {
        self.hosts.list.push(host.into());
        self
    }

    /// The order in which several hosts are tried. Default: in turn.
    #[must_use]
    pub fn host_order(mut self, order: HostOrder) -> Self {
        self.hosts.order = order;
        self
    }

    /// The port of every host that has none of its own. Default: 5672, and 5671 with TLS.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Speaks TLS with the server, or doesn't (`None`). Default: not, but for `amqps://`.
    ///
    /// Without one of this crate's TLS features, connecting with it is an error.
    #[must_use]
    pub fn tls(mut self, tls: impl Into<Option<TlsOptions>>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Whether the socket sends at once what is written (TCP_NODELAY), rather than wait for more: what
    /// can be sent together is gathered before it is written. Default: yes.
    #[must_use]
    pub const fn tcp_nodelay(mut self, at_once: bool) -> Self {
        self.socket.nodelay = at_once;
        self
    }

    /// Lets TCP look whether the other machine is there while nothing is sent, or not (`None`). It also
    /// keeps the connection in the tables of firewalls in between. A peer that is gone is found by
    /// [`heartbeat`](Self::heartbeat) too; without heartbeats only by this. Default: after 60 s, and
    /// again every 10 s, 9 times.
    #[must_use]
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.socket.keepalive = keepalive.into();
        self
    }

    /// The time in which the other machine has to acknowledge what was sent (TCP_USER_TIMEOUT, Linux),
    /// 1 ms to 24 days; later the connection is lost with [`Io`](crate::CloseReason::Io). It finds a dead
    /// network sooner than heartbeats do, but it can't tell one from a server that is there and reads
    /// nothing: **a connection that publishes while the server has blocked it is lost after this time.**
    /// Default: `None`, which leaves it to the operating system (some 15 minutes on Linux) and to
    /// [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub fn tcp_user_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.socket.user_timeout = timeout.into();
        self
    }

    /// The address of this machine to connect from. Servers of the other IP version can't be reached
    /// then. Default: the operating system's choice.
    #[must_use]
    pub fn local_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.socket.local_address = address.into();
        self
    }

    /// The virtual host, without percent-encoding. Default: `/`.
    #[must_use]
    pub fn virtual_host(mut self, name: impl Into<String>) -> Self {
        self.virtual_host = name.into();
        self
    }

    /// User and password. Default: `guest`, `guest`, which RabbitMQ accepts from the same machine
    /// only.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = user.into();
        self.password = Secret(password.into());
        self
    }

    /// Asks for user and password, or a token in the password's place, whenever a connection is opened;
    /// those of [`credentials`](Self::credentials) aren't used then. Before they expire, the connection
    /// asks again by itself and sends the new password to the server (`connection.update-secret`,
    /// RabbitMQ); should that fail it is tried again until they have expired, and each failure is a
    /// [`CredentialsNotRefreshed`](crate::ConnectionEvent::CredentialsNotRefreshed) event.
    #[must_use]
    pub fn credentials_provider(mut self, provider: impl CredentialsProvider + 'static) -> Self {
        self.provider = Some(Provider(Arc::new(provider)));
        self
    }

    /// The SASL mechanisms to use, best first: the first that the server offers is taken. Default:
    /// PLAIN, AMQPLAIN.
    #[must_use]
    pub fn mechanisms(mut self, mechanisms: impl Into<Vec<Mechanism>>) -> Self {
        self.mechanisms = mechanisms.into();
        self
    }

    /// A name for this connection, which RabbitMQ shows in its management pages and logs.
    #[must_use]
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = Some(name.into());
        self
    }

    /// A client property of one's own, beside product, version, platform and capabilities, or in the
    /// place of one of them.
    #[must_use]
    pub fn client_property(mut self, name: ShortStr, value: impl Into<Value>) -> Self {
        self.client_properties.insert(name, value);
        self
    }

    /// The heartbeat interval to ask for, in whole seconds up to 65535; zero turns heartbeats off.
    /// The lower of this and the server's is used; where either is zero, none. A peer that is silent
    /// for two intervals is taken for dead: there is no further timeout for reading. Default: 60 s.
    #[must_use]
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// The most channels to ask for; 0 takes what the server offers. Default: 2047.
    #[must_use]
    pub const fn channel_max(mut self, channels: u16) -> Self {
        self.channel_max = channels;
        self
    }

    /// The largest frame to ask for, in octets, at least 4096 (RabbitMQ 4.1 wants 8192); 0 takes what
    /// the server offers. Default: 131,072.
    #[must_use]
    pub const fn frame_max(mut self, octets: u32) -> Self {
        self.frame_max = octets;
        self
    }

    /// How long connecting may take, from the first look for the host's addresses to the open virtual
    /// host, whatever number of hosts and addresses are tried. Default: 30 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(LONGEST);
        self
    }

    /// How long one address may take of that, from its first packet to the open virtual host. Default:
    /// `None`, a fair share of what is left of the time, which is all of it for the last address.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.attempt_timeout = timeout.into();
        self
    }

    /// How long the server may take to answer a method. The time runs on while the server has blocked
    /// the connection, when RabbitMQ answers nothing to one that has published: consume and declare on
    /// another if that matters. Default: 30 s.
    #[must_use]
    pub fn rpc_timeout(mut self, timeout: Duration) -> Self {
        self.rpc_timeout = timeout.min(LONGEST);
        self
    }

    /// How long the server may take to confirm a message, from when it was published, so with the time
    /// that writing it takes; not counting time during which the server has blocked the connection. Later, the message's outcome is [`Unknown`](crate::Outcome::Unknown).
    /// Default: 30 s.
    #[must_use]
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.confirm_timeout = timeout.min(LONGEST);
        self
    }

    /// How long the closing handshake may take before the socket is simply closed. Default: 10 s.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout.min(LONGEST);
        self
    }

    /// How long the socket may take nothing of what is to be written before the connection is lost with
    /// [`WriteTimeout`](crate::CloseReason::WriteTimeout): the server, or the network to it, is stuck
    /// although it may still send. Not counted is the time in which the server has blocked the
    /// connection. Default: 60 s; `None` waits for ever.
    #[must_use]
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.write_timeout = timeout.into().map(|timeout| timeout.min(LONGEST));
        self
    }

    /// How long the server may block publishing (`connection.blocked`) before the connection is lost
    /// with [`BlockedTimeout`](crate::CloseReason::BlockedTimeout). What was published and not yet
    /// confirmed may then be published or not; doing so again on another connection adds to the load of
    /// a server that is short of memory or disk. Default: `None`, for as long as it likes.
    #[must_use]
    pub fn blocked_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.blocked_timeout = timeout.into().map(|timeout| timeout.min(LONGEST));
        self
    }

    /// The largest message body to accept, in octets; a larger one closes its channel with 311
    /// CONTENT_TOO_LARGE. Default: 134,217,728, RabbitMQ's own limit before 4.0.
    #[must_use]
    pub const fn max_body(mut self, octets: u64) -> Self {
        self.max_body = octets;
        self
    }

    /// The largest method or content header to accept, octets: those can't be split, so they may exceed
    /// frame-max. A larger one ends the connection with 501 FRAME_ERROR. Less than the negotiated
    /// frame-max is taken as that, and less than 8192 as 8192. Default: 1 MiB, or frame-max if that is
    /// more; before frame-max is negotiated 8192.
    #[must_use]
    pub const fn max_control_frame(mut self, octets: u32) -> Self {
        self.max_control_frame = Some(octets);
        self
    }

    /// Octets that may wait to be written before publishing waits too. Default: 1 MiB.
    #[must_use]
    pub const fn output_limit(mut self, octets: usize) -> Self {
        self.output_limit = octets;
        self
    }

    /// Octets of deliveries that may wait for slow consumers before the socket isn't read any more,
    /// unless somebody waits for a reply. Default: 16 MiB.
    #[must_use]
    pub const fn delivery_limit(mut self, octets: usize) -> Self {
        self.delivery_limit = octets;
        self
    }

    /// Whether the connection remembers the exchanges, queues and bindings that it declares, until it
    /// deletes them. Switch it off for a program that declares millions of queues and leaves it to the
    /// server to delete them, as by [`expires`](crate::QueueDeclare::expires). Default: true.
    #[must_use]
    pub const fn record_topology(mut self, record: bool) -> Self {
        self.record_topology = record;
        self
    }

    pub(crate) fn port_in_use(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Some(_) => TLS_PORT,
            None => constants::PORT,
        })
    }

    pub(crate) fn login(&self) -> Login<'_> {
        // That of the attempt: see `Connection::begin`.
        let host = self.hosts.list.first().map_or("", Host::name);
        Login { user: &self.user, password: self.password.expose(), host }
    }

    /// The limits to read frames by, where `limits` follow from `frame_max`.
    pub(crate) fn frame_limits(&self, limits: FrameLimits, frame_max: u32) -> FrameLimits {
        match self.max_control_frame {
            Some(octets) => limits.with_control(octets.max(frame_max).max(8192)),
            None => limits,
        }
    }

    /// The host that a transport of the program's own is taken to lead to.
    pub(crate) fn first_endpoint(&self) -> Endpoint {
        let none = Host::from("");
        Endpoint::new(self.hosts.list.first().unwrap_or(&none), self)
    }

    /// Finds what no connection could be opened with, before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong =
            |option, problem: &str| Err(Error::Option { option, problem: problem.to_owned() });
        if self.frame_max != 0 && self.frame_max < 4096 {
            return wrong("frame_max", "must be 0 or at least 4096 octets");
        }
        if self.heartbeat.subsec_nanos() != 0 || self.heartbeat.as_secs() > u16::MAX.into() {
            return wrong("heartbeat", "must be whole seconds, at most 65535");
        }
        if self.hosts.list.is_empty() || self.hosts.list.iter().any(|host| host.name().is_empty()) {
            return wrong("hosts", "must be at least one, each with a name or address");
        }
        if let Err((option, problem)) = self.socket.check() {
            return wrong(option, problem);
        }
        if self.tls.is_some() && !cfg!(feature = "tls") {
            return wrong(
                "tls",
                "this build has no TLS: enable the feature tls-ring of amqp091-client",
            );
        }
        if self.mechanisms.is_empty() {
            return wrong("mechanisms", "must name at least one");
        }
        let is_name = |name: &str| (1..=ShortStr::MAX_LEN).contains(&name.len());
        if self.mechanisms.iter().map(Mechanism::name).any(|name| !is_name(name)) {
            return wrong("mechanisms", "must have names of 1 to 255 octets");
        }
        if self.user.contains('\0') || self.password.expose().contains('\0') {
            return wrong("credentials", "must not contain NUL");
        }
        if self.virtual_host.len() > ShortStr::MAX_LEN {
            return wrong("virtual_host", "must be at most 255 octets");
        }
        Ok(())
    }
}
