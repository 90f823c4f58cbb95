//! The broker as a command: `amqp091-broker --port 5672`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "tls")]
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[cfg(feature = "tls")]
use amqp091_broker::Tls;
use amqp091_broker::{Broker, BrokerBuilder, Profile};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

const ABOUT: &str = "An AMQP 0-9-1 broker in memory, which behaves like RabbitMQ: for trying things out and for tests.";

const MORE: &str = "\
It prints its URL, one for each address, on standard output, and connections as they come and go on
standard error. SIGINT and SIGTERM stop it: clients get connection.close with 320, and the exit status is 0.
It is 1 when an address can't be listened on, and 2 for arguments that make no sense.

Not for production: messages live in this process's memory and are gone with it, durable or not; there is
one node, no management pages, no policies, no plugins, no streams. For all of that, point the same
programs at a RabbitMQ by changing their URL.";

/// An argument that takes a value.
fn option(long: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(long).long(long).value_name(value).help(help)
}

fn command() -> Command {
    let command = Command::new("amqp091-broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(MORE)
        .arg(
            option("port", "PORT", "TCP port to listen on; 0 for one that is free")
                .short('p')
                .value_parser(value_parser!(u16))
                .default_value("5672"),
        )
        .arg(
            option("bind", "ADDRESS", "IP address to listen on; may be given more than once")
                .value_parser(value_parser!(IpAddr))
                .action(ArgAction::Append)
                .default_value("127.0.0.1"),
        )
        .arg(
            option(
                "user",
                "NAME:PASSWORD",
                "one more user, beside guest:guest; may be given more than once",
            )
            .value_parser(user)
            .action(ArgAction::Append),
        )
        .arg(
            option("vhost", "NAME", "one more virtual host, beside /; may be given more than once")
                .action(ArgAction::Append),
        )
        .arg(
            option("profile", "VERSION", "which RabbitMQ to behave like, where they differ")
                .value_parser(["3.10", "4"])
                .default_value("4"),
        )
        .arg(option(
            "product",
            "NAME",
            "product to tell clients, some of which decide by it [default: RabbitMQ]",
        ))
        .arg(option("product-version", "VERSION", "its version [default: the profile's]"))
        .arg(
            option("frame-max", "OCTETS", "largest frame to offer [default: 131072]")
                .value_parser(value_parser!(u32).range(4096..)),
        )
        .arg(
            option("channel-max", "COUNT", "channels of a connection to offer [default: 2047]")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            option("heartbeat", "SECONDS", "heartbeat to offer; 0 for none [default: 60]")
                .value_parser(value_parser!(u16)),
        )
        .arg(
            option("max-body", "OCTETS", "largest message body to take [default: 134217728]")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            option(
                "memory-limit",
                "OCTETS",
                "what may be held before publishers are blocked [default: 1073741824]",
            )
            .value_parser(value_parser!(u64)),
        )
        .arg(
            option(
                "max-connections",
                "COUNT",
                "connections that a virtual host may have [default: any number]",
            )
            .value_parser(value_parser!(u32)),
        )
        .arg(
            option(
                "max-queues",
                "COUNT",
                "queues that a virtual host may have [default: any number]",
            )
            .value_parser(value_parser!(u32)),
        )
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("don't log connections"),
        );
    #[cfg(feature = "tls")]
    let command = command
        .arg(
            option(
                "tls-certificate",
                "FILE",
                "listen for TLS as well, with this certificate (PEM)",
            )
            .value_parser(value_parser!(PathBuf))
            .requires("tls-key"),
        )
        .arg(
            option("tls-key", "FILE", "its key (PEM)")
                .value_parser(value_parser!(PathBuf))
                .requires("tls-certificate"),
        )
        .arg(
            option("tls-port", "PORT", "TCP port for TLS [default: 5671]")
                .value_parser(value_parser!(u16))
                .requires("tls-certificate"),
        )
        .arg(
            option("tls-client-ca", "FILE", "let clients log in by certificates of this CA (PEM)")
                .value_parser(value_parser!(PathBuf))
                .requires("tls-certificate"),
        );
    command
}

/// TLS, if it was asked for.
#[cfg(feature = "tls")]
fn with_tls(mut builder: BrokerBuilder, arguments: &ArgMatches) -> io::Result<BrokerBuilder> {
    let file = |name: &str| arguments.get_one::<PathBuf>(name);
    let (Some(certificate), Some(key)) = (file("tls-certificate"), file("tls-key")) else {
        return Ok(builder);
    };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            io::Error::new(error.kind(), format!("can't read {}: {error}", path.display()))
        })
    };
    let mut tls = Tls::pem(read(certificate)?, read(key)?);
    if let Some(authority) = file("tls-client-ca") {
        tls = tls.client_ca_pem(read(authority)?);
    }
    let port = arguments.get_one("tls-port").copied().unwrap_or(5671);
    for address in arguments.get_many::<IpAddr>("bind").unwrap_or_default() {
        builder = builder.listen_tls(SocketAddr::new(*address, port), tls.clone());
    }
    Ok(builder)
}

#[cfg(not(feature = "tls"))]
fn with_tls(builder: BrokerBuilder, _: &ArgMatches) -> io::Result<BrokerBuilder> {
    Ok(builder)
}

fn user(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() => Ok((name.to_owned(), password.to_owned())),
        _ => Err("it is NAME:PASSWORD"),
    }
}

/// What was asked for.
fn builder(arguments: &ArgMatches) -> BrokerBuilder {
    let text = |name: &str| arguments.get_one::<String>(name);
    let port = arguments.get_one::<u16>("port").copied().unwrap_or(5672);
    let profile = match text("profile").map(String::as_str) {
        Some("3.10") => Profile::V3_10,
        _ => Profile::V4,
    };
    let mut builder = Broker::builder().profile(profile);
    for address in arguments.get_many::<IpAddr>("bind").unwrap_or_default() {
        builder = builder.listen(SocketAddr::new(*address, port));
    }
    for (name, password) in arguments.get_many::<(String, String)>("user").unwrap_or_default() {
        builder = builder.user(name, password);
    }
    for vhost in arguments.get_many::<String>("vhost").unwrap_or_default() {
        builder = builder.virtual_host(vhost);
    }
    match (text("product"), text("product-version")) {
        (None, None) => {}
        (product, version) => {
            let product = product.map_or("RabbitMQ", String::as_str);
            let version = version.map_or_else(|| profile.version(), String::as_str);
            builder = builder.product(product, version);
        }
    }
    if let Some(&octets) = arguments.get_one("frame-max") {
        builder = builder.frame_max(octets);
    }
    if let Some(&channels) = arguments.get_one("channel-max") {
        builder = builder.channel_max(channels);
    }
    if let Some(&seconds) = arguments.get_one::<u16>("heartbeat") {
        builder = builder.heartbeat(Duration::from_secs(seconds.into()));
    }
    if let Some(&octets) = arguments.get_one("max-body") {
        builder = builder.max_body(octets);
    }
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if let Some(&octets) = arguments.get_one::<u64>("memory-limit") {
        builder = builder.memory_limit(size(octets));
    }
    if let Some(&count) = arguments.get_one::<u32>("max-connections") {
        builder = builder.max_connections(size(count.into()));
    }
    if let Some(&count) = arguments.get_one::<u32>("max-queues") {
        builder = builder.max_queues(size(count.into()));
    }
    if !arguments.get_flag("quiet") {
        builder = builder.on_event(|event| log(format_args!("{event}")));
    }
    builder
}

/// Says something on standard error, if anybody listens.
fn log(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn main() -> ExitCode {
    let arguments = command().get_matches();
    // One with another password isn't told on.
    let mut users = arguments.get_many::<(String, String)>("user").unwrap_or_default();
    let login = if users.any(|(name, _)| name == "guest") { "" } else { "guest:guest@" };
    let builder = builder(&arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served =
        with_tls(builder, &arguments).and_then(|builder| runtime?.block_on(serve(builder, login)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("amqp091-broker: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the broker until it is told to stop.
async fn serve(builder: BrokerBuilder, login: &str) -> io::Result<()> {
    // Whoever reads the URL may tell it at once.
    let mut stop = Stop::new()?;
    let broker = builder.start().await?;
    let mut out = io::stdout();
    for address in broker.addresses() {
        writeln!(out, "amqp://{login}{}/%2f", reachable(*address))?;
    }
    // By the name that its certificate should have.
    #[cfg(feature = "tls")]
    for address in broker.tls_addresses() {
        writeln!(out, "amqps://{login}localhost:{}/%2f", address.port())?;
    }
    out.flush()?;
    stop.told().await?;
    broker.shutdown().await;
    Ok(())
}

/// Where an address is reached from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What tells it to stop.
#[cfg(unix)]
struct Stop([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Stop {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn told(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            let is_told = self.0.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if is_told { std::task::Poll::Ready(Ok(())) } else { std::task::Poll::Pending }
        })
        .await
    }
}

/// What tells it to stop.
#[cfg(not(unix))]
struct Stop;

#[cfg(not(unix))]
impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn told(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
