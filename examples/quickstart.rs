//! Publishes 10,000 messages with confirms, consumes and acknowledges them all, and fails if one is missing.
//!
//! It needs nothing: without `AMQP_URL`, the broker is one in this process. The same with a RabbitMQ:
//!
//! ```text
//! cargo run --release --example quickstart
//! AMQP_URL=$(scripts/rabbitmq start) cargo run --release --example quickstart
//! ```

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use amqp091_broker::Broker;
use amqp091_client::{Confirm, Connection};

const MESSAGES: usize = 10_000;

/// Publishes whose confirm may be outstanding at a time.
const WINDOW: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Here to the end of the program: a broker stops when it is dropped.
    let broker;
    let url = if let Ok(url) = env::var("AMQP_URL") {
        url
    } else {
        broker = Broker::start().await?;
        println!("AMQP_URL is not set: with a broker in this process, {}", broker.url());
        broker.url()
    };
    let connection = Connection::open(&url).await?;
    let channel = connection.channel().await?;
    // An empty name lets the server choose one; exclusive, the queue goes with this connection.
    let queue = channel.queue_declare("").exclusive(true).await?.queue;

    let started = Instant::now();
    let mut window: VecDeque<Confirm> = VecDeque::with_capacity(WINDOW);
    for number in 0..MESSAGES {
        if window.len() == WINDOW
            && let Some(confirm) = window.pop_front()
        {
            confirm.confirmed().await?;
        }
        let body = format!("message {number}");
        window.push_back(channel.publish("", &queue, body).mandatory(true).await?);
    }
    for confirm in window {
        confirm.confirmed().await?;
    }
    report("published and confirmed", MESSAGES, started.elapsed());

    let started = Instant::now();
    let mut seen = vec![false; MESSAGES];
    let mut deliveries = channel.consume(&queue).prefetch(500).await?;
    for _ in 0..MESSAGES {
        let delivery = tokio::time::timeout(Duration::from_secs(10), deliveries.next())
            .await
            .map_err(|_| "no message for ten seconds: some are missing")?
            .ok_or("the consumer ended: some messages are missing")??;
        let text = std::str::from_utf8(&delivery.body)?;
        let number: usize = text.strip_prefix("message ").ok_or("not our message")?.parse()?;
        seen[number] = true;
        delivery.ack()?;
    }
    report("consumed and acknowledged", MESSAGES, started.elapsed());
    deliveries.cancel().await?;

    let missing = seen.iter().filter(|&&seen| !seen).count();
    let left = channel.queue_declare(&queue).passive(true).await?.message_count;
    connection.close().await?;
    if missing > 0 || left > 0 {
        return Err(format!("{missing} messages missing, {left} left in the queue").into());
    }
    println!("all {MESSAGES} messages arrived");
    Ok(())
}

fn report(what: &str, messages: usize, took: Duration) {
    let rate = messages as f64 / took.as_secs_f64();
    println!("{what} {messages} messages in {:.0} ms: {rate:.0}/s", took.as_secs_f64() * 1e3);
}
