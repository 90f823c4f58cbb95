//! The client without async: publishing, consuming by a loop, and by callbacks.
//!
//! ```text
//! cargo run -p amqp091-client --example blocking
//! ```

mod server;

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use amqp091_client::blocking::{Connection, Next, Wait};

const MESSAGES: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    // A broker in this process has its tasks in a runtime of tokio's; clients that block have no need of one.
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(server::start())?;
    let connection = Connection::open(&server.url)?;
    let channel = connection.channel()?;
    let queue = channel.queue_declare("").exclusive(true).wait()?.queue;

    // Another thread publishes: handles are shared, each call blocks its own thread only.
    let publisher = std::thread::spawn({
        let (channel, queue) = (channel.clone(), queue.clone());
        move || -> Result<(), amqp091_client::Error> {
            for number in 0..MESSAGES {
                let publish = channel.publish("", &queue, number.to_string()).mandatory(true);
                publish.wait()?.confirmed()?;
            }
            Ok(())
        }
    });
    let mut deliveries = channel.consume(&queue).prefetch(10).wait()?;
    for (number, delivery) in deliveries.by_ref().take(MESSAGES).enumerate() {
        let delivery = delivery?;
        if delivery.text()? != number.to_string() {
            return Err(format!("message {number} has come as {:?}", delivery.text()).into());
        }
        delivery.ack()?;
    }
    publisher.join().map_err(|_| "the publisher panicked")??;
    println!("{MESSAGES} messages there and back");

    // Nothing is left, and whoever waits for it can say how long.
    if !matches!(deliveries.next_timeout(Duration::from_millis(50))?, Next::NotYet) {
        return Err("there should be no more messages".into());
    }
    deliveries.cancel().wait()?;

    // The same with callbacks: they are called on this thread, while it drains events.
    let (tell, told) = mpsc::channel();
    connection.on_delivery(channel.consume(&queue).wait()?, {
        let tell = tell.clone();
        move |delivery| {
            let _ = tell.send(format!("delivered {:?}", delivery.body));
            delivery.ack()
        }
    });
    for routing_key in [queue.to_str()?, "nowhere"] {
        let confirm = channel.publish("", routing_key, "event").mandatory(true).wait()?;
        let tell = tell.clone();
        connection.on_outcome(confirm, move |outcome| {
            let kind = if outcome.is_confirmed() { "confirmed" } else { "returned" };
            let _ = tell.send(kind.to_owned());
            Ok(())
        });
    }
    for _ in 0..3 {
        if !connection.drain_events(Some(Duration::from_secs(10)))? {
            return Err("an event is missing".into());
        }
    }
    connection.close()?;
    let mut events: Vec<String> = told.try_iter().collect();
    events.sort();
    println!("{events:?}");
    let expected = ["confirmed", "delivered b\"event\"", "returned"];
    if events == expected { Ok(()) } else { Err("those aren't the events".into()) }
}
