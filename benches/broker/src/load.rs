//! The load: publishers that wait for their confirms, consumers that acknowledge each message.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amqp091_client::{Channel, Connection, Consumer};
use tokio::sync::Notify;

use crate::plan::{BINDINGS, Exchange, PREFETCH, QUEUES, Work};
use crate::server::{self, Server};

/// What a run has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Messages delivered and acknowledged.
    pub(crate) messages: f64,
    pub(crate) seconds: f64,
    /// CPU seconds of the server.
    pub(crate) server: f64,
    /// CPU seconds of the program that puts the load on.
    pub(crate) client: f64,
}

/// Runs the load against a server, in a process of its own.
pub(crate) fn measure(work: &Work, server: &Server, seconds: f64) -> Sample {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["load", work.name, &server.url, &server.pid.to_string(), &seconds.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program starts again");
    assert!(output.status.success(), "{} on {} failed", work.name, server.name);
    let line = String::from_utf8(output.stdout).expect("text");
    let numbers: Vec<f64> =
        line.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [messages, seconds, server, client] = numbers[..] else { panic!("four numbers: {line}") };
    Sample { messages, seconds, server, client }
}

/// Puts the load on, after a warm-up of a fifth of the time; returns the four numbers of a [`Sample`].
pub(crate) fn run(work: &'static Work, url: &str, pid: u32, time: Duration) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let Sample { messages, seconds, server, client } = runtime.block_on(async {
        let links = set_up(work, url).await;
        drive(work, &links, time / 5).await;
        let (server, client, at) = (server::cpu(pid), own_cpu(), Instant::now());
        let messages = drive(work, &links, time).await;
        let sample = Sample {
            messages: messages as f64,
            seconds: at.elapsed().as_secs_f64(),
            server: server::cpu(pid) - server,
            client: own_cpu() - client,
        };
        take_down(work, links).await;
        sample
    });
    format!("{messages} {seconds} {server} {client}")
}

fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A connection that publishes and consumes.
struct Link {
    connection: Connection,
    publisher: Channel,
    consumer: Channel,
    /// What its queues are filled with, by whichever connection.
    flow: Arc<Flow>,
}

/// Messages on their way to some queues.
#[derive(Default)]
struct Flow {
    published: AtomicU64,
    consumed: AtomicU64,
    window: u64,
    has_room: Notify,
}

impl Flow {
    fn on_its_way(&self) -> u64 {
        self.published.load(Ordering::Relaxed) - self.consumed.load(Ordering::Relaxed)
    }

    /// Waits until there is room for another message; then for many of them.
    async fn room(&self, copies: u64) {
        while self.on_its_way() > (self.window - 1) * copies {
            self.has_room.notified().await;
        }
        self.published.fetch_add(copies, Ordering::Relaxed);
    }

    fn taken(&self, copies: u64) {
        self.consumed.fetch_add(1, Ordering::Relaxed);
        let left = self.on_its_way();
        if left == self.window * copies / 2 || left == 0 {
            self.has_room.notify_one();
        }
    }

    async fn emptied(&self) {
        while self.on_its_way() > 0 {
            self.has_room.notified().await;
        }
    }
}

const EXCHANGE: &str = "broker-figures";

fn queue_name(link: usize, queue: usize) -> String {
    format!("broker-figures-{link}-{queue}")
}

async fn set_up(work: &'static Work, url: &str) -> Vec<Link> {
    let mut links = Vec::new();
    for number in 0..work.connections {
        let connection = Connection::open(url).await.expect("the server answers");
        let publisher = connection.channel().await.expect("a channel");
        let consumer = connection.channel().await.expect("a channel");
        if number == 0 {
            let kind = match work.exchange {
                Exchange::Direct => "direct",
                Exchange::Topic => "topic",
                Exchange::Fanout => "fanout",
            };
            publisher.exchange_delete(EXCHANGE).await.expect("no exchange");
            publisher.exchange_declare(EXCHANGE, kind).durable(false).await.expect("an exchange");
        }
        publisher.confirm_select().await.expect("confirms");
        let flow = Arc::new(Flow { window: work.window, ..Flow::default() });
        for queue in 0..work.queues() {
            let name = queue_name(number, queue);
            consumer.queue_delete(&name).await.expect("no queue");
            consumer.queue_declare(&name).durable(false).await.expect("a queue");
            bind(work, &consumer, &name, queue).await;
            let consuming = consumer.consume(&name).prefetch(PREFETCH).await.expect("a consumer");
            tokio::spawn(consume(consuming, Arc::clone(&flow), work.copies()));
        }
        links.push(Link { connection, publisher, consumer, flow });
    }
    links
}

async fn bind(work: &Work, channel: &Channel, name: &str, queue: usize) {
    let bind = |key: String| channel.queue_bind(name, EXCHANGE).routing_key(key);
    match work.exchange {
        Exchange::Topic => {
            for binding in 0..BINDINGS {
                let last = if binding % 2 == 0 { "*" } else { "#" };
                bind(format!("site{queue}.device{binding}.{last}")).await.expect("a binding");
            }
        }
        _ => {
            bind(name.to_owned()).await.expect("a binding");
        }
    }
}

async fn consume(mut consumer: Consumer, flow: Arc<Flow>, copies: u64) {
    while let Some(Ok(delivery)) = consumer.next().await {
        if delivery.ack().is_err() {
            return;
        }
        flow.taken(copies);
    }
}

/// Publishes for so long, and waits until all is acknowledged; returns how many messages were delivered.
async fn drive(work: &'static Work, links: &[Link], time: Duration) -> u64 {
    let is_over = Arc::new(AtomicBool::new(false));
    let before: u64 = links.iter().map(|link| link.flow.consumed.load(Ordering::Relaxed)).sum();
    let mut publishers = Vec::new();
    for (number, link) in links.iter().enumerate() {
        // A message goes to another connection than the one that it comes from, if there is another.
        let to = (number + 1) % links.len();
        let flow = Arc::clone(&links[to].flow);
        let (channel, is_over) = (link.publisher.clone(), Arc::clone(&is_over));
        publishers.push(tokio::spawn(publish(work, channel, to, flow, is_over)));
    }
    tokio::time::sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.await.expect("a publisher goes on to the end");
    }
    for link in links {
        link.flow.emptied().await;
        // The answer comes when all acknowledgements have been read.
        link.consumer.qos(PREFETCH).await.expect("an answer");
    }
    links.iter().map(|link| link.flow.consumed.load(Ordering::Relaxed)).sum::<u64>() - before
}

async fn publish(
    work: &'static Work,
    channel: Channel,
    to: usize,
    flow: Arc<Flow>,
    is_over: Arc<AtomicBool>,
) {
    let keys: Vec<String> = match work.exchange {
        Exchange::Topic => (0..QUEUES * BINDINGS)
            .map(|number| format!("site{}.device{}.heat", number % QUEUES, number / QUEUES))
            .collect(),
        _ => vec![queue_name(to, 0)],
    };
    let body = vec![b'x'; work.size];
    let confirms = channel.confirm_window(work.window as usize);
    for key in keys.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        flow.room(work.copies()).await;
        channel.publish(EXCHANGE, key, &body[..]).within(&confirms).await.expect("published");
    }
    confirms.flush().await.check().expect("confirmed");
}

async fn take_down(work: &Work, links: Vec<Link>) {
    for (number, link) in links.into_iter().enumerate() {
        for queue in 0..work.queues() {
            link.publisher.queue_delete(queue_name(number, queue)).await.expect("deleted");
        }
        if number + 1 == work.connections {
            link.publisher.exchange_delete(EXCHANGE).await.expect("deleted");
        }
        link.connection.close().await.expect("closed");
    }
}
