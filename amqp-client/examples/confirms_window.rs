//! Many messages in flight: published on ahead of their confirms, at most so many at a time.
//!
//! ```text
//! cargo run --release -p amqp091-client --example confirms_window
//! ```

mod server;

use std::error::Error;
use std::time::Instant;

use amqp091_client::{Connection, PublishError};

const MESSAGES: u64 = 10_000;

/// Messages on their way at a time: what is lost track of at most if the connection breaks.
const WINDOW: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;
    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;

    // Publishing within the window waits for room; what became of all is told in the end.
    let began = Instant::now();
    let window = channel.confirm_window(WINDOW);
    for number in 0..MESSAGES {
        let publish = channel.publish("", &queue, number.to_string()).mandatory(true);
        publish.within(&window).await?;
    }
    let outcome = window.flush().await;
    println!("{} of {} confirmed in {:?}", outcome.confirmed, outcome.sent, began.elapsed());
    outcome.check()?;

    // Of messages that fail, each has its number and the reason.
    for routing_key in [queue.to_str()?, "nowhere", queue.to_str()?] {
        channel.publish("", routing_key, "m").mandatory(true).within(&window).await?;
    }
    let outcome = window.flush().await;
    for (number, error) in &outcome.failed {
        println!("message {number}: {error}");
    }

    let there = channel.queue_declare(&queue).passive(true).await?.message_count;
    connection.close().await?;
    let is_right = u64::from(there) == MESSAGES + 2
        && matches!(outcome.failed[..], [(number, PublishError::Returned(_))] if number == MESSAGES + 1);
    if is_right { Ok(()) } else { Err(format!("{there} are there, and {outcome:?}").into()) }
}
