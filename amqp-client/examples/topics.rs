//! Events by topic: each queue gets those whose routing key fits one of its patterns.
//!
//! ```text
//! cargo run -p amqp091-client --example topics
//! ```

mod server;

use std::error::Error;

use amqp091_client::{Channel, Connection, ExchangeType, ShortStr};

const EVENTS: [&str; 5] = ["kern.error", "kern.info", "cron.error", "cron.disk.error", "mail.info"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;
    let channel = connection.channel().await?;

    // It goes with the last of the queues that are bound to it, and those go with the connection.
    let exchange = format!("example-events-{}", std::process::id());
    channel.exchange_declare(&exchange, ExchangeType::Topic).auto_delete(true).await?;

    // A star stands for one word, a hash for any number of them.
    let errors = subscribe(&channel, &exchange, &["*.error"]).await?;
    let kernel_and_deep = subscribe(&channel, &exchange, &["kern.#", "*.*.error"]).await?;
    let everything = subscribe(&channel, &exchange, &["#"]).await?;

    for event in EVENTS {
        // Mandatory: one that fits no pattern would come back.
        channel.publish(&exchange, event, event).mandatory(true).await?.confirmed().await?;
    }

    // Confirmed messages are in their queues, so what isn't there now won't come.
    let errors = take_all(&channel, &errors).await?;
    let kernel_and_deep = take_all(&channel, &kernel_and_deep).await?;
    let everything = take_all(&channel, &everything).await?;
    connection.close().await?;

    println!("*.error: {errors:?}");
    println!("kern.# and *.*.error: {kernel_and_deep:?}");
    println!("#: {everything:?}");
    let is_right = errors == ["kern.error", "cron.error"]
        && kernel_and_deep == ["kern.error", "kern.info", "cron.disk.error"]
        && everything == EVENTS;
    if is_right { Ok(()) } else { Err("that isn't what the patterns say".into()) }
}

/// A queue that gets what fits one of these patterns.
async fn subscribe(
    channel: &Channel,
    exchange: &str,
    patterns: &[&str],
) -> Result<ShortStr, amqp091_client::Error> {
    let queue = channel.queue_declare("").exclusive(true).await?.queue;
    for pattern in patterns {
        channel.queue_bind(&queue, exchange).routing_key(pattern).await?;
    }
    Ok(queue)
}

/// The routing keys of all messages that a queue has.
async fn take_all(channel: &Channel, queue: &ShortStr) -> Result<Vec<String>, Box<dyn Error>> {
    let mut keys = Vec::new();
    while let Some(got) = channel.get(queue).await? {
        keys.push(got.delivery.routing_key.to_str()?.to_owned());
        got.delivery.ack()?;
    }
    Ok(keys)
}
