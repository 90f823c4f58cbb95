//! Requests and replies: calls in flight, each matched to its reply, and a server that answers them.
//!
//! ```text
//! cargo run -p amqp091-client --example rpc
//! ```

mod server;

use std::error::Error;

use amqp091_client::{Connection, OnFailure, RpcClient, RpcError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;

    // The server: a task of this program here, a process of its own in earnest. What its handler returns
    // goes back to whoever has asked; a request that it fails over is refused.
    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;
    let requests = channel.consume(&queue).prefetch(10).await?;
    let handle = requests.handle();
    let server = tokio::spawn(requests.serve(10, OnFailure::DeadLetter, |request| async move {
        let number = request.text()?.parse()?;
        Ok::<String, Box<dyn Error + Send + Sync>>(fibonacci(number).to_string())
    }));

    // Replies need no queue: they come by RabbitMQ's direct reply-to. One client does for any number of
    // calls at a time.
    let client = RpcClient::new(&connection).await?;
    let calls: Vec<_> = (0..10_u64)
        .map(|number| {
            let (client, queue) = (client.clone(), queue.clone());
            tokio::spawn(async move { client.call("", &queue, number.to_string()).await })
        })
        .collect();
    for (number, call) in (0..).zip(calls) {
        let answer: u64 = call.await??.text()?.parse()?;
        println!("fibonacci({number}) = {answer}");
        if answer != fibonacci(number) {
            return Err(format!("fibonacci({number}) isn't {answer}").into());
        }
    }

    // A request that no server takes comes back at once.
    match client.call("", "nobody", "1").await {
        Err(RpcError::NoServer(_)) => println!("nobody serves \"nobody\""),
        other => return Err(format!("nobody should have answered: {other:?}").into()),
    }

    handle.cancel().await?;
    let served = server.await?;
    connection.close().await?;
    if served.acked == 10 { Ok(()) } else { Err(format!("served: {served:?}").into()) }
}

fn fibonacci(number: u64) -> u64 {
    (0..number).fold((0, 1), |(a, b), _| (b, a + b)).0
}
