//! What a message costs this client: CPU time of the process, allocations, and messages per second,
//! against a server that does nothing but keep up.
//!
//! ```text
//! cargo bench -p amqp091-client --bench figures
//! ```
//!
//! The server runs in a process of its own, so that its work isn't counted. These machines are noisy:
//! each figure is the median of several runs.

#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement fails by panicking")]

mod blocking;
mod cost;
mod null_server;

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use amqp091_client::{Channel, Connection, Consumer};
use tokio::runtime::{Builder, Runtime};

use cost::{Cost, measure, report};

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

const RUNS: usize = 5;
const SMALL: usize = 16;
const LARGE: usize = 64 * 1024;

fn main() {
    if std::env::args().any(|argument| argument == "--null-server") {
        return null_server::serve();
    }
    let server = Server::start();
    println!("{:<42} {:>11} {:>11} {:>10}", "work", "CPU/message", "allocations", "messages/s");
    for (name, runtime) in [("current-thread", current_thread()), ("multi-thread", multi_thread())]
    {
        println!("-- tokio {name}");
        let bench = Bench { runtime, url: server.url.clone() };
        bench.report("publish 16 B, unconfirmed", 500_000, publish_unconfirmed);
        bench.report("publish 16 B, window of 1000 confirms", 500_000, publish_window);
        bench.report("publisher 16 B, unconfirmed", 500_000, publisher_unconfirmed);
        bench.report("publisher 16 B, window of 1000 confirms", 500_000, publisher_window);
        bench.report("publisher 16 B, confirm window of 1000", 500_000, confirm_window);
        bench.report("publisher 16 B, one batch", 500_000, publisher_all);
        bench.report("consume 16 B, no ack", 500_000, consume_no_ack);
        bench.report("consume 16 B, ack each", 500_000, consume_ack_each);
        bench.report("consume 16 B, ack each, coalesced by 100", 500_000, consume_coalesced);
        bench.report("consume 16 B, one multiple ack per 100", 500_000, consume_ack_100);
        bench.report("publish 64 KiB, unconfirmed", 20_000, publish_large);
        bench.report("consume 64 KiB, no ack", 20_000, consume_large);
    }
    println!("-- blocking");
    blocking::run(&server.url);
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The null server, in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("--null-server")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let url = null_server::read_url(process.stdout.take().unwrap());
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Bench {
    runtime: Runtime,
    url: String,
}

impl Bench {
    fn report<F: Future<Output = ()> + Send>(
        &self,
        work: &str,
        messages: usize,
        run: impl Fn(Channel, usize) -> F,
    ) {
        let runs: Vec<Cost> = (0..RUNS)
            .map(|_| {
                self.runtime.block_on(async {
                    let connection = Connection::open(&self.url).await.unwrap();
                    let channel = connection.channel().await.unwrap();
                    // Buffers and queues reach their size before the measurement.
                    run(channel.clone(), messages / 10).await;
                    let cost = measure(messages, run(channel, messages)).await;
                    connection.close().await.unwrap();
                    cost
                })
            })
            .collect();
        report(work, runs);
    }
}

async fn publish_unconfirmed(channel: Channel, messages: usize) {
    for _ in 0..messages {
        channel.publish_unconfirmed("", "queue", &[b'x'; SMALL]).await.unwrap();
    }
    // The reply comes behind all messages.
    channel.qos(0).await.unwrap();
}

async fn publish_window(channel: Channel, messages: usize) {
    let mut window = VecDeque::with_capacity(1000);
    for _ in 0..messages {
        if window.len() == 1000 {
            let confirm: amqp091_client::Confirm = window.pop_front().unwrap();
            confirm.confirmed().await.unwrap();
        }
        window.push_back(channel.publish("", "queue", &[b'x'; SMALL]).await.unwrap());
    }
    for confirm in window {
        confirm.confirmed().await.unwrap();
    }
}

async fn publisher_unconfirmed(channel: Channel, messages: usize) {
    let publisher = channel.publisher("", "queue").build().unwrap();
    for _ in 0..messages {
        publisher.publish_unconfirmed(&[b'x'; SMALL]).await.unwrap();
    }
    channel.qos(0).await.unwrap();
}

async fn publisher_window(channel: Channel, messages: usize) {
    let publisher = channel.publisher("", "queue").build().unwrap();
    let mut window = VecDeque::with_capacity(1000);
    for _ in 0..messages {
        if window.len() == 1000 {
            let confirm: amqp091_client::Confirm = window.pop_front().unwrap();
            confirm.confirmed().await.unwrap();
        }
        window.push_back(publisher.publish(&[b'x'; SMALL]).await.unwrap());
    }
    for confirm in window {
        confirm.confirmed().await.unwrap();
    }
}

async fn confirm_window(channel: Channel, messages: usize) {
    let publisher = channel.publisher("", "queue").build().unwrap();
    let window = channel.confirm_window(1000);
    for _ in 0..messages {
        publisher.publish(&[b'x'; SMALL]).within(&window).await.unwrap();
    }
    window.flush().await.check().unwrap();
}

async fn publisher_all(channel: Channel, messages: usize) {
    let publisher = channel.publisher("", "queue").build().unwrap();
    publisher.publish_all((0..messages).map(|_| &[b'x'; SMALL])).await.check().unwrap();
}

async fn consume(channel: Channel, messages: usize, size: usize, ack_every: usize) {
    // The null server reads from the name what to deliver.
    let queue = format!("{messages}x{size}");
    let consume = channel.consume(queue).no_ack(ack_every == 0);
    take(consume.await.unwrap(), messages, ack_every).await;
}

async fn take(mut consumer: Consumer, messages: usize, ack_every: usize) {
    for number in 1..=messages {
        let delivery = consumer.next().await.unwrap().unwrap();
        match ack_every {
            0 => {}
            1 => delivery.ack().unwrap(),
            _ if number % ack_every == 0 => delivery.ack_multiple().unwrap(),
            _ => {}
        }
    }
    consumer.cancel().await.unwrap();
}

async fn consume_no_ack(channel: Channel, messages: usize) {
    consume(channel, messages, SMALL, 0).await;
}

async fn consume_ack_each(channel: Channel, messages: usize) {
    consume(channel, messages, SMALL, 1).await;
}

async fn consume_coalesced(channel: Channel, messages: usize) {
    let consume = channel.consume(format!("{messages}x{SMALL}"));
    let consumer = consume.coalesce_acks(100, Duration::from_millis(10)).await.unwrap();
    take(consumer, messages, 1).await;
}

async fn consume_ack_100(channel: Channel, messages: usize) {
    consume(channel, messages, SMALL, 100).await;
}

async fn publish_large(channel: Channel, messages: usize) {
    let body = bytes::Bytes::from(vec![b'x'; LARGE]);
    for _ in 0..messages {
        channel.publish_unconfirmed("", "queue", body.clone()).await.unwrap();
    }
    channel.qos(0).await.unwrap();
}

async fn consume_large(channel: Channel, messages: usize) {
    consume(channel, messages, LARGE, 0).await;
}
