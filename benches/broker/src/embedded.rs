//! What a broker costs that is started within a test: time until it is there, time until the first message
//! has gone through it, memory and threads of many.

use std::time::{Duration, Instant};

use amqp091_broker::Broker;
use amqp091_client::Connection;

use crate::server;

/// Brokers whose times are measured.
const STARTS: usize = 1000;
const FIRSTS: usize = 300;
/// Brokers in one process.
pub(crate) const MANY: usize = 1000;

/// Returns the figures that `report` expects of this name.
pub(crate) fn run(what: &str) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match what {
            "start" => start().await,
            "first" => first().await,
            "many" => many().await,
            other => panic!("there is nothing of the name {other}"),
        }
    })
}

/// Median and 99th percentile, microseconds.
fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
    format!("{:.1} {:.1}", at(0.5), at(0.99))
}

/// `Broker::start()`, until the port is bound and its URL known.
async fn start() -> String {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let at = Instant::now();
        let broker = Broker::start().await.expect("a port");
        let url = broker.url();
        times.push(at.elapsed());
        drop((url, broker));
        tokio::task::yield_now().await;
    }
    quantiles(times)
}

/// The steps of a program's first message through a fresh broker, one after the other, each until its
/// answer has come.
pub(crate) const STEPS: [&str; 6] = [
    "`Connection::open`: TCP, handshake, login",
    "`connection.channel()`",
    "`queue_declare`, the first round trip of an open channel",
    "`publish` and its confirm (the first one selects confirms as well)",
    "`get` and its message",
    "all of it, from no connection to the message",
];

async fn first() -> String {
    let mut times: [Vec<Duration>; STEPS.len()] = Default::default();
    for _ in 0..FIRSTS {
        let broker = Broker::start().await.expect("a port");
        // It has begun to listen.
        tokio::task::yield_now().await;
        let url = broker.url();
        let mut marks = vec![Instant::now()];
        let connection = Connection::open(&url).await.expect("it answers");
        marks.push(Instant::now());
        let channel = connection.channel().await.expect("a channel");
        marks.push(Instant::now());
        channel.queue_declare("q").await.expect("a queue");
        marks.push(Instant::now());
        let confirm = channel.publish("", "q", "hello").await.expect("published");
        confirm.confirmed().await.expect("confirmed");
        marks.push(Instant::now());
        channel.get("q").no_ack(true).await.expect("an answer").expect("a message");
        marks.push(Instant::now());
        let all = marks[marks.len() - 1] - marks[0];
        let steps = marks.windows(2).map(|marks| marks[1] - marks[0]).chain([all]);
        times.iter_mut().zip(steps).for_each(|(times, step)| times.push(step));
        connection.close().await.expect("closed");
    }
    times.into_iter().map(quantiles).collect::<Vec<_>>().join(" ")
}

/// Resident octets before and with the brokers, then threads before and with them.
async fn many() -> String {
    let pid = std::process::id();
    // What the first one brings along is there already.
    let mut brokers = vec![Broker::start().await.expect("a port")];
    let (before, threads) = (server::resident(pid), server::threads(pid));
    while brokers.len() < MANY {
        brokers.push(Broker::start().await.expect("a port"));
        tokio::task::yield_now().await;
    }
    format!("{before} {} {threads} {}", server::resident(pid), server::threads(pid))
}
