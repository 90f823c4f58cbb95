//! Many messages in flight: published on ahead of their confirms, at most so many at a time.
//!
//! ```text
//! AMQP_URL=amqp://localhost cargo run --release -p amqp091-client --example confirms_window
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use amqp091_client::{Confirm, Connection};

const MESSAGES: u32 = 10_000;

/// Messages on their way at a time: what is lost track of at most if the connection breaks.
const WINDOW: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::open(&url).await?;
    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;

    let began = Instant::now();
    let mut window: VecDeque<Confirm> = VecDeque::with_capacity(WINDOW);
    for number in 0..MESSAGES {
        if window.len() == WINDOW
            && let Some(oldest) = window.pop_front()
        {
            oldest.confirmed().await?;
        }
        window.push_back(channel.publish("", &queue, number.to_string()).mandatory(true).await?);
    }
    for confirm in window {
        confirm.confirmed().await?;
    }
    let took = began.elapsed();

    let there = channel.queue_declare(&queue).passive(true).await?.message_count;
    connection.close().await?;
    println!("{there} messages published and confirmed in {} ms", took.as_millis());
    if there == MESSAGES { Ok(()) } else { Err(format!("{MESSAGES} were published").into()) }
}
