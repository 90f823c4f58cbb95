//! The broker as a command: `amqp091-broker --port 5672`.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use amqp091_broker::{Broker, BrokerBuilder, Profile};
use clap::{Arg, ArgAction, Command, value_parser};

const ABOUT: &str = "An AMQP 0-9-1 broker in memory, which behaves like RabbitMQ: for trying things out and for tests.";

const NOT_FOR: &str = "\
Not for production: messages live in this process's memory and are gone with it, durable or not; there is
one node, no management pages, no policies, no plugins, no streams. For all of that, point the same
programs at a RabbitMQ by changing their URL.";

fn command() -> Command {
    Command::new("amqp091-broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(NOT_FOR)
        .arg(
            Arg::new("port")
                .long("port")
                .short('p')
                .value_name("PORT")
                .value_parser(value_parser!(u16))
                .default_value("5672")
                .help("TCP port to listen on; 0 for one that is free"),
        )
        .arg(
            Arg::new("bind")
                .long("bind")
                .value_name("ADDRESS")
                .value_parser(value_parser!(IpAddr))
                .action(ArgAction::Append)
                .default_value("127.0.0.1")
                .help("address to listen on; may be given more than once"),
        )
        .arg(
            Arg::new("profile")
                .long("profile")
                .value_name("VERSION")
                .value_parser(["3.10", "4"])
                .default_value("4")
                .help("which RabbitMQ to behave like, where they differ"),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME:PASSWORD")
                .action(ArgAction::Append)
                .help("one more user, beside guest:guest"),
        )
        .arg(
            Arg::new("vhost")
                .long("vhost")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("one more virtual host, beside /"),
        )
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("don't log connections"),
        )
}

fn main() -> ExitCode {
    let arguments = command().get_matches();
    let port = *arguments.get_one::<u16>("port").unwrap_or(&5672);
    let profile = match arguments.get_one::<String>("profile").map(String::as_str) {
        Some("3.10") => Profile::V3_10,
        _ => Profile::V4,
    };
    let mut builder = Broker::builder().profile(profile);
    for address in arguments.get_many::<IpAddr>("bind").unwrap_or_default() {
        builder = builder.listen(SocketAddr::new(*address, port));
    }
    for user in arguments.get_many::<String>("user").unwrap_or_default() {
        let Some((name, password)) = user.split_once(':') else {
            eprintln!("amqp091-broker: --user wants NAME:PASSWORD");
            return ExitCode::from(2);
        };
        builder = builder.user(name, password);
    }
    for vhost in arguments.get_many::<String>("vhost").unwrap_or_default() {
        builder = builder.virtual_host(vhost);
    }
    if !arguments.get_flag("quiet") {
        builder = builder.on_event(|event| eprintln!("{event}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(builder)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("amqp091-broker: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the broker until it is told to stop.
async fn serve(builder: BrokerBuilder) -> io::Result<()> {
    let broker = builder.start().await?;
    let mut out = io::stdout();
    for address in broker.addresses() {
        writeln!(out, "amqp://guest:guest@{address}/%2f")?;
    }
    out.flush()?;
    told_to_stop().await?;
    broker.shutdown().await;
    Ok(())
}

#[cfg(unix)]
async fn told_to_stop() -> io::Result<()> {
    use std::future::poll_fn;
    use std::task::Poll;
    use tokio::signal::unix::{SignalKind, signal};

    let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    poll_fn(|cx| {
        let is_told = signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
        if is_told { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Ok(())
}

#[cfg(not(unix))]
async fn told_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
