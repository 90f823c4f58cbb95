//! Where a test runs.

use std::env;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqp091::protocol::basic;
use amqp091::types::ShortStr;
use amqp091_broker::{Broker, Profile};
use amqp091_client::{
    Channel, CloseReason, Connection, Consumer, Delivery, Error, FieldTable, Outcome, Value,
};

/// Far beyond what anything here takes: it only ends tests that hang.
const DEADLINE: Duration = Duration::from_secs(20);

/// A broker, and which one it behaves like.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) profile: Profile,
}

/// Runs a body on brokers in this process, each its own.
pub(crate) fn embedded(body: impl AsyncFn(&Place)) {
    block_on(async {
        for profile in [Profile::V3_10, Profile::V4] {
            let broker = Broker::builder().profile(profile).start().await.unwrap();
            run(&Place { url: broker.url(), profile }, &body).await;
        }
    });
}

/// Runs a body on the RabbitMQ that other tests use meanwhile.
pub(crate) fn rabbitmq(body: impl AsyncFn(&Place)) {
    let url = env::var("AMQP091_TEST_URL").expect("AMQP091_TEST_URL is RabbitMQ's");
    block_on(run(&Place { url, profile: Profile::V3_10 }, &body));
}

fn block_on(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

async fn run(place: &Place, body: &impl AsyncFn(&Place)) {
    // The output of a failed test tells which one it was.
    println!("at {} as {:?}", place.url, place.profile);
    tokio::time::timeout(DEADLINE, pin!(body(place))).await.expect("this takes too long");
}

impl Place {
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.url).await.unwrap()
    }

    pub(crate) async fn open(&self) -> (Connection, Channel) {
        let connection = self.connect().await;
        let channel = connection.channel().await.unwrap();
        (connection, channel)
    }

    pub(crate) fn is_4(&self) -> bool {
        self.profile == Profile::V4
    }
}

/// A name that nothing else on the broker has, in this run or another.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("amqp091-test-{what}-{now}-{number}")
}

pub(crate) fn key(key: &str) -> ShortStr {
    ShortStr::new(key).unwrap()
}

pub(crate) fn table<const N: usize>(entries: [(&str, Value); N]) -> FieldTable {
    entries.into_iter().fold(FieldTable::new(), |table, (name, value)| table.with(key(name), value))
}

/// An exclusive queue with these arguments.
pub(crate) async fn queue<const N: usize>(
    channel: &Channel,
    arguments: [(&str, Value); N],
) -> String {
    let name = unique("queue");
    channel.queue_declare(&name).exclusive(true).arguments(table(arguments)).await.unwrap();
    name
}

/// Publishes to a queue and waits until it is there.
pub(crate) async fn put(channel: &Channel, queue: &str, body: &'static str) {
    channel.publish("", queue, body).await.unwrap().confirmed().await.unwrap();
}

/// Publishes with these properties; the outcome.
pub(crate) async fn send(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    properties: &basic::Properties,
    body: &'static str,
) -> Outcome {
    let publish = channel.publish(exchange, routing_key, body).properties(properties);
    publish.mandatory(true).await.unwrap().await
}

pub(crate) fn headers<const N: usize>(entries: [(&str, Value); N]) -> basic::Properties {
    basic::Properties { headers: Some(table(entries)), ..basic::Properties::default() }
}

/// Gets a message, which may still be on its way.
pub(crate) async fn get(channel: &Channel, queue: &str) -> Delivery {
    loop {
        if let Some(got) = channel.get(queue).await.unwrap() {
            return got.delivery;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Gets and acks a message, which may still be on its way; its body.
pub(crate) async fn take(channel: &Channel, queue: &str) -> String {
    let delivery = get(channel, queue).await;
    let body = delivery.text().unwrap().into_owned();
    delivery.ack().unwrap();
    body
}

pub(crate) async fn ready(channel: &Channel, queue: &str) -> u32 {
    channel.queue_declare(queue).passive(true).await.unwrap().message_count
}

/// Waits until a queue has as many messages ready.
pub(crate) async fn until_ready(channel: &Channel, queue: &str, count: u32) {
    while ready(channel, queue).await != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.unwrap().unwrap()
}

/// The code and text of what the server closed.
pub(crate) fn refusal(error: &Error) -> (u16, String) {
    let Some(CloseReason::ByServer(close)) = error.close_reason() else {
        panic!("expected something that the server closed: {error}")
    };
    (close.code.0, String::from_utf8_lossy(close.text.as_ref()).into_owned())
}
