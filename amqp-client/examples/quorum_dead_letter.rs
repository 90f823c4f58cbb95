//! A message that no worker can digest comes back so often, and then goes to the dead letters.
//!
//! ```text
//! cargo run -p amqp091-client --example quorum_dead_letter
//! ```

mod server;

use std::error::Error;
use std::time::Duration;

use amqp091_client::{Channel, Connection, ExchangeType, QueueType};

/// How often a message may come back to its queue.
const LIMIT: u32 = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;
    let channel = connection.channel().await?;
    let result = poison(&channel).await;
    connection.close().await?;
    result
}

async fn poison(channel: &Channel) -> Result<(), Box<dyn Error>> {
    // Dead letters go to an exchange, and from there to a queue of theirs. It goes with the connection,
    // and the exchange with it.
    let id = std::process::id();
    let exchange = format!("example-dead-{id}");
    channel.exchange_declare(&exchange, ExchangeType::Fanout).auto_delete(true).await?;
    let dead_letters = channel.queue_declare("").exclusive(true).await?.queue;
    channel.queue_bind(&dead_letters, &exchange).await?;

    // Kept on several nodes of a cluster, and always durable: it goes by itself if this program doesn't
    // come to delete it.
    let queue = format!("example-orders-{id}");
    channel
        .queue_declare(&queue)
        .queue_type(QueueType::Quorum)
        .delivery_limit(LIMIT)
        .dead_letter_exchange(&exchange)
        .expires(Duration::from_secs(600))
        .await?;
    for order in ["good order", "poison"] {
        channel.publish("", &queue, order).mandatory(true).await?.confirmed().await?;
    }

    // The worker puts back what it can't do, as if it had crashed over it.
    let mut orders = channel.consume(&queue).prefetch(1).await?;
    let mut graveyard = channel.consume(&dead_letters).no_ack(true).await?;
    let (mut done, mut tries) = (0, 0);
    let dead = loop {
        tokio::select! {
            Some(order) = orders.next() => {
                let order = order?;
                if order.body == "poison" {
                    tries += 1;
                    println!("try {tries} fails");
                    order.nack(true)?;
                } else {
                    done += 1;
                    order.ack()?;
                }
            }
            Some(dead) = graveyard.next() => break dead?,
            else => return Err("the consumers have ended".into()),
        }
    };
    orders.cancel().await?;
    let left = channel.queue_delete(&queue).await?.message_count;

    // The server tells how it came here.
    let headers = dead.properties()?.headers.unwrap_or_default();
    let reason = headers.get("x-first-death-reason").and_then(|reason| reason.as_str());
    println!("{:?} is dead: {reason:?}", dead.text()?);
    let is_right = dead.body == "poison"
        && reason == Some("delivery_limit")
        && (done, tries, left) == (1, LIMIT + 1, 0);
    if is_right { Ok(()) } else { Err(format!("{done} done, {tries} tries, {left} left").into()) }
}
