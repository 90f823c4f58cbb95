//! One message to a queue and back.
//!
//! ```text
//! cargo run -p amqp091-client --example hello
//! ```

mod server;

use std::error::Error;

use amqp091_client::Connection;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;
    let channel = connection.channel().await?;

    // The server makes up a name for a queue that has none. An exclusive one goes with its connection.
    let queue = channel.queue_declare("").exclusive(true).await?.queue;

    // The default exchange, "", leads to the queue that the routing key names. The first await hands the
    // message to the connection, the second waits until the server has taken responsibility for it.
    channel.publish("", &queue, "hello").mandatory(true).await?.confirmed().await?;

    let mut deliveries = channel.consume(&queue).await?;
    let delivery = deliveries.next().await.ok_or("the consumer has ended")??;
    let text = delivery.text()?.into_owned();
    delivery.ack()?;
    connection.close().await?;

    println!("received {text:?}");
    if text == "hello" { Ok(()) } else { Err("that isn't what was sent".into()) }
}
