//! A request and its reply, by RabbitMQ's direct reply-to: replies need no queue.
//!
//! ```text
//! AMQP_URL=amqp://localhost cargo run -p amqp091-client --example rpc
//! ```

use std::collections::HashMap;
use std::error::Error;

use amqp091_client::{Channel, Connection, Properties, ShortStr};

/// What replies are consumed from, and sent to by its name in `reply_to`.
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::open(&url).await?;
    let requests = start_server(&connection).await?;

    // Replies come by the channel that the request went by, to a consumer that was there before.
    let channel = connection.channel().await?;
    let mut replies = channel.consume(DIRECT_REPLY_TO).no_ack(true).await?;
    let mut asked = HashMap::new();
    for number in 0..10_u64 {
        let id = ShortStr::new(number.to_string())?;
        let properties = Properties {
            reply_to: Some(ShortStr::from_static(DIRECT_REPLY_TO)),
            correlation_id: Some(id.clone()),
            ..Properties::default()
        };
        let publish = channel.publish("", &requests, number.to_string()).properties(&properties);
        publish.mandatory(true).await?.confirmed().await?;
        asked.insert(id, number);
    }

    while !asked.is_empty() {
        let reply = replies.next().await.ok_or("the consumer has ended")??;
        let id = reply.properties()?.correlation_id.ok_or("whose reply is this?")?;
        let number = asked.remove(&id).ok_or("nobody has asked for this reply")?;
        let answer: u64 = reply.text()?.parse()?;
        println!("fibonacci({number}) = {answer}");
        if answer != fibonacci(number) {
            return Err(format!("fibonacci({number}) isn't {answer}").into());
        }
    }
    connection.close().await?;
    Ok(())
}

/// A server: a task of this program here, a process of its own in earnest. Returns the queue that it
/// takes requests from.
async fn start_server(connection: &Connection) -> Result<ShortStr, amqp091_client::Error> {
    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;
    let mut requests = channel.consume(&queue).prefetch(10).await?;
    tokio::spawn(async move {
        while let Some(Ok(request)) = requests.next().await {
            if let Err(error) = answer(&channel, request).await {
                eprintln!("a request without an answer: {error}");
            }
        }
    });
    Ok(queue)
}

async fn answer(
    channel: &Channel,
    request: amqp091_client::Delivery,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let asked = request.properties()?;
    let reply_to = asked.reply_to.ok_or("nowhere to reply to")?;
    let answer = fibonacci(request.text()?.parse()?).to_string();
    let properties = Properties { correlation_id: asked.correlation_id, ..Properties::default() };
    channel.publish("", &reply_to, answer).properties(&properties).await?.confirmed().await?;
    Ok(request.ack()?)
}

fn fibonacci(number: u64) -> u64 {
    (0..number).fold((0, 1), |(a, b), _| (b, a + b)).0
}
