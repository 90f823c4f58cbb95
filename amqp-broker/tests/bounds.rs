//! One client's haste or slowness is nobody else's, and costs the broker no memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[allow(dead_code, reason = "others use the rest")]
mod raw;

use std::io::Write;
use std::net::TcpStream;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::basic;
use amqp091::types::ShortStr;
use amqp091_broker::Broker;
use amqp091_client::{Channel, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::greeting;

/// Octets that may wait for a client before its consumers get no more: in the broker, and once more on
/// their way to the socket.
const WAITING: usize = 2 * 512 * 1024;

/// A message for the queue or, if there is an exchange, through that.
fn publish(exchange: &str, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let publish = basic::Publish {
        exchange: ShortStr::new(exchange).unwrap(),
        routing_key: ShortStr::from_static("q"),
        ..basic::Publish::default()
    };
    encode::method(&mut out, 1, &publish).unwrap();
    encode::raw_header(&mut out, 1, basic::CLASS_ID, body.len() as u64, &[0, 0]);
    encode::body(&mut out, 1, body, 131_072);
    out
}

fn consume() -> BytesMut {
    let mut out = BytesMut::new();
    let consume = basic::Consume {
        queue: ShortStr::from_static("q"),
        no_ack: true,
        ..basic::Consume::default()
    };
    encode::method(&mut out, 1, &consume).unwrap();
    out
}

async fn client_of(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

/// Goes on asking until nothing has changed between several answers: then the broker has done what it can
/// for the others. On a runtime of one thread, each answer is behind a turn of everybody who has something to
/// do.
async fn quiet(broker: &Broker, channel: &Channel) {
    let mut same = 0;
    let mut last = broker.counts();
    while same < 20 {
        channel.qos(0).await.unwrap();
        let counts = broker.counts();
        same = if counts == last { same + 1 } else { 0 };
        last = counts;
    }
}

/// A client that sends as fast as the broker reads, from another thread, until it is cut off.
fn flood(broker: &Broker, message: &[u8]) -> std::thread::JoinHandle<()> {
    let mut socket = TcpStream::connect(broker.addresses()[0]).unwrap();
    let batch = message.repeat(1 + 256 * 1024 / message.len());
    std::thread::spawn(move || {
        socket.write_all(&greeting(0)).unwrap();
        while socket.write_all(&batch).is_ok() {}
    })
}

/// Lets a client have some answers, while a busy one gets so many messages through for each at most.
async fn meanwhile(broker: &Broker, channel: &Channel, most: u64) {
    while broker.counts().published == 0 {
        channel.qos(0).await.unwrap();
    }
    let before = broker.counts().published;
    for answers in 1..=20 {
        channel.qos(0).await.unwrap();
        let messages = broker.counts().published - before;
        // One of them may have begun before.
        assert!(messages <= (answers + 1) * most, "{messages} messages within {answers} answers");
    }
}

#[tokio::test]
async fn a_client_that_never_stops_sending_holds_up_nobody() {
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    channel.queue_declare("q").max_length(10).await.unwrap();
    let message = publish("", b"0123456789abcdef");
    let busy = flood(&broker, &message);
    // A question, and its answer: two turns of the busy client, each of 256 KiB at most, and a margin.
    meanwhile(&broker, &channel, 4 * 256 * 1024 / message.len() as u64).await;
    connection.close().await.unwrap();
    broker.shutdown().await;
    busy.join().unwrap();
}

#[tokio::test]
async fn a_few_octets_that_make_for_a_lot_of_work_hold_up_nobody() {
    const QUEUES: usize = 200;
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    for queue in 0..QUEUES {
        let name = format!("q{queue}");
        channel.queue_declare(&name).max_length(10).await.unwrap();
        channel.queue_bind(&name, "amq.fanout").await.unwrap();
    }
    let busy = flood(&broker, &publish("amq.fanout", b"m"));
    // A turn is over after 4096 messages put into queues, of which there were 2000 in each read of 128 KiB,
    // for each of the queues.
    meanwhile(&broker, &channel, 4 * 4096 / QUEUES as u64).await;
    connection.close().await.unwrap();
    broker.shutdown().await;
    busy.join().unwrap();
}

/// Fills the queue `q`, which is declared here.
async fn fill(channel: &Channel, count: usize, body: &[u8]) {
    channel.queue_declare("q").await.unwrap();
    let confirms = channel.confirm_window(1000);
    for _ in 0..count {
        channel.publish("", "q", body).within(&confirms).await.unwrap();
    }
    confirms.flush().await.check().unwrap();
}

#[tokio::test]
async fn for_a_consumer_that_does_not_read_little_is_taken_from_the_queue() {
    const COUNT: usize = 30_000;
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    let body = [b'x'; 128];
    fill(&channel, COUNT, &body).await;
    // In memory it is known exactly how much is on its way: 64 KiB.
    let mut slow = broker.connect();
    slow.write_all(&greeting(0)).await.unwrap();
    slow.write_all(&consume()).await.unwrap();
    quiet(&broker, &channel).await;
    let taken = COUNT - broker.queue("q").unwrap().ready;
    let octets = taken * body.len();
    assert!(taken > 0);
    assert!(octets <= WAITING + 64 * 1024, "{octets} octets wait for a client that doesn't read");
    // It gets the rest as it reads, and nothing is lost.
    let mut received = 0;
    let mut buffer = vec![0; 64 * 1024];
    while broker.counts().delivered < COUNT as u64 || received < COUNT * body.len() {
        received += slow.read(&mut buffer).await.unwrap();
    }
    assert_eq!(broker.queue("q").unwrap().ready, 0);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_does_not_read_meets_the_socket_s_backpressure() {
    const COUNT: usize = 40;
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    // 40 MiB: more than a socket's buffers take.
    let body = vec![b'x'; 1024 * 1024];
    fill(&channel, COUNT, &body).await;
    let mut slow = tokio::net::TcpStream::connect(broker.addresses()[0]).await.unwrap();
    slow.write_all(&greeting(0)).await.unwrap();
    slow.write_all(&consume()).await.unwrap();
    while broker.queue("q").unwrap().ready == COUNT {
        channel.qos(0).await.unwrap();
    }
    quiet(&broker, &channel).await;
    assert!(broker.queue("q").unwrap().ready > 0, "all of 40 MiB was taken from the queue");
    // Others are served, and the queue serves others.
    assert!(channel.get("q").no_ack(true).await.unwrap().is_some());
    // What waited for it is gone with it.
    drop(slow);
    while broker.connections().len() > 1 {
        channel.qos(0).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_publisher_that_is_faster_than_its_consumers_is_held_at_the_memory_limit() {
    const LIMIT: usize = 1024 * 1024;
    let broker = Broker::builder().memory_limit(LIMIT).start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    channel.queue_declare("q").await.unwrap();
    let message = publish("", &[b'x'; 1024]);
    let busy = flood(&broker, &message);
    let is_blocked = || broker.connections().iter().any(|connection| connection.blocked);
    while !is_blocked() {
        channel.qos(0).await.unwrap();
    }
    quiet(&broker, &channel).await;
    // The limit, and what was read at once.
    let held = broker.queue("q").unwrap().ready_octets;
    assert!((LIMIT / 2..=LIMIT + 128 * 1024).contains(&held), "{held} octets are held");
    // There is room again: it goes on.
    let published = broker.counts().published;
    channel.queue_purge("q").await.unwrap();
    while broker.counts().published == published {
        channel.qos(0).await.unwrap();
    }
    connection.close().await.unwrap();
    broker.shutdown().await;
    busy.join().unwrap();
}

#[tokio::test]
async fn who_asks_for_much_and_does_not_read_it_is_not_served_on() {
    const SIZE: usize = 8 * 1024;
    const COUNT: usize = 1000;
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    fill(&channel, COUNT, &[b'x'; SIZE]).await;
    let get = basic::Get { queue: ShortStr::from_static("q"), no_ack: true };
    let mut out = greeting(0);
    for _ in 0..COUNT {
        encode::method(&mut out, 1, &get).unwrap();
    }
    // 20 KiB ask for 8 MiB.
    let mut slow = broker.connect();
    slow.write_all(&out).await.unwrap();
    quiet(&broker, &channel).await;
    let octets = (COUNT - broker.queue("q").unwrap().ready) * SIZE;
    assert!(octets > 0);
    assert!(octets <= 2 * WAITING + 64 * 1024 + 2 * SIZE, "{octets} octets wait");
    let mut received = 0;
    let mut buffer = vec![0; 64 * 1024];
    while received < COUNT * SIZE {
        received += slow.read(&mut buffer).await.unwrap();
    }
    assert_eq!(broker.counts().delivered, COUNT as u64);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn replies_that_nobody_reads_are_held_up_at_the_memory_limit() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let broker = Broker::builder().memory_limit(LIMIT).start().await.unwrap();
    let (connection, channel) = client_of(&broker).await;
    channel.queue_declare("q").await.unwrap();
    // It asks, and doesn't read what it is answered.
    let name = "amq.rabbitmq.reply-to";
    let mut out = greeting(0);
    let consume = basic::Consume {
        queue: ShortStr::from_static(name),
        no_ack: true,
        ..basic::Consume::default()
    };
    encode::method(&mut out, 1, &consume).unwrap();
    let question =
        basic::Publish { routing_key: ShortStr::from_static("q"), ..basic::Publish::default() };
    encode::method(&mut out, 1, &question).unwrap();
    let properties = basic::Properties {
        reply_to: Some(ShortStr::from_static(name)),
        ..basic::Properties::default()
    };
    encode::header(&mut out, 1, 0, &properties).unwrap();
    let mut asking = broker.connect();
    asking.write_all(&out).await.unwrap();
    quiet(&broker, &channel).await;
    let question = channel.get("q").no_ack(true).await.unwrap().unwrap().delivery;
    let routing_key = question.properties().unwrap().reply_to.unwrap();
    let mut answer = BytesMut::new();
    let publish = basic::Publish { routing_key, ..basic::Publish::default() };
    encode::method(&mut answer, 1, &publish).unwrap();
    encode::raw_header(&mut answer, 1, basic::CLASS_ID, 1024, &[0, 0]);
    encode::body(&mut answer, 1, &[b'x'; 1024], 131_072);

    let busy = flood(&broker, &answer);
    let is_blocked = || broker.connections().iter().any(|connection| connection.blocked);
    while !is_blocked() {
        assert!(broker.counts().routed * 1024 < 4 * LIMIT as u64, "nothing holds it up");
        channel.qos(0).await.unwrap();
    }
    // There is room again, as it reads: it goes on.
    let published = broker.counts().published;
    let mut buffer = vec![0; 64 * 1024];
    while broker.counts().published == published {
        assert!(asking.read(&mut buffer).await.unwrap() > 0);
    }
    // What waited for it is held no more when it is gone.
    while !is_blocked() {
        channel.qos(0).await.unwrap();
    }
    drop(asking);
    while is_blocked() {
        channel.qos(0).await.unwrap();
    }
    connection.close().await.unwrap();
    broker.shutdown().await;
    busy.join().unwrap();
}
