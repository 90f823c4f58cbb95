//! Tasks shared out to workers: each is done by one of them, and given to another if that one fails.
//!
//! ```text
//! cargo run -p amqp091-client --example work_queue
//! ```

mod server;

use std::error::Error;
use std::time::Duration;

use amqp091_client::{Connection, ConsumerHandle};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const WORKERS: usize = 3;
const TASKS: usize = 30;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let connection = Connection::open(&server.url).await?;
    let channel = connection.channel().await?;

    // Durable, so that it survives a restart of the server, and so do messages that are persistent. It
    // goes by itself if this program doesn't come to delete it.
    let queue = format!("example-work-{}", std::process::id());
    let declare = channel.queue_declare(&queue).durable(true);
    declare.expires(Duration::from_secs(600)).await?;

    let (done, mut results) = unbounded_channel();
    let mut workers: Vec<ConsumerHandle> = Vec::new();
    for number in 0..WORKERS {
        workers.push(start_worker(&connection, &queue, number, done.clone()).await?);
    }

    for task in 0..TASKS {
        let publish = channel.publish("", &queue, task.to_string()).persistent(true);
        publish.mandatory(true).await?.confirmed().await?;
    }

    let mut times_done = [0; TASKS];
    for _ in 0..TASKS {
        let (worker, task) = results.recv().await.ok_or("the workers have ended")?;
        println!("worker {worker} has done task {task}");
        times_done[task] += 1;
    }

    for worker in workers {
        worker.cancel().await?;
    }
    let left = channel.queue_delete(&queue).await?.message_count;
    connection.close().await?;
    if left == 0 && times_done.iter().all(|&times| times == 1) {
        Ok(())
    } else {
        Err(format!("{left} tasks are left, done were {times_done:?}").into())
    }
}

/// A worker: a task of this program here, a process of its own in earnest.
async fn start_worker(
    connection: &Connection,
    queue: &str,
    number: usize,
    done: UnboundedSender<(usize, usize)>,
) -> Result<ConsumerHandle, amqp091_client::Error> {
    let channel = connection.channel().await?;
    // One task at a time: what this worker doesn't hold yet, another can have.
    let mut tasks = channel.consume(queue).prefetch(1).await?;
    let handle = tasks.handle();
    tokio::spawn(async move {
        while let Some(Ok(delivery)) = tasks.next().await {
            let Some(task) = delivery.text().ok().and_then(|text| text.parse().ok()) else {
                // No task at all: trying again wouldn't help.
                let _ = delivery.reject(false);
                continue;
            };
            tokio::time::sleep(Duration::from_millis(10)).await; // work
            // Only now: had this worker died before, another would have been given the task.
            if delivery.ack().is_ok() {
                let _ = done.send((number, task));
            }
        }
    });
    Ok(handle)
}
