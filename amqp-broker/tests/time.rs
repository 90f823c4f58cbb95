//! Time that is put forward, and states that are waited for without sleeping.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, channel, connection};
use amqp091::types::{LongStr, ShortStr};
use amqp091_broker::{Broker, MemoryStream};
use amqp091_client::{Channel, ConnectOptions, Connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

const MINUTE: Duration = Duration::from_secs(60);

async fn over_memory(broker: &Broker) -> (Connection, Channel) {
    let options = ConnectOptions::default().heartbeat(Duration::ZERO);
    let connection = Connection::connect_over(broker.connect(), &options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

fn ready(broker: &Broker) -> usize {
    broker.queue("q").unwrap().ready
}

/// What a client says from the protocol header to the open channel.
fn greeting(heartbeat: u16) -> BytesMut {
    let mut out = BytesMut::from(&b"AMQP\0\0\x09\x01"[..]);
    let start = connection::StartOk {
        mechanism: ShortStr::from_static("PLAIN"),
        response: LongStr::from("\0guest\0guest"),
        ..connection::StartOk::default()
    };
    encode::method(&mut out, 0, &start).unwrap();
    let tune = connection::TuneOk { channel_max: 10, frame_max: 131_072, heartbeat };
    encode::method(&mut out, 0, &tune).unwrap();
    let open = connection::Open { virtual_host: ShortStr::from_static("/") };
    encode::method(&mut out, 0, &open).unwrap();
    encode::method(&mut out, 1, &channel::Open {}).unwrap();
    out
}

fn put_publish(out: &mut BytesMut) {
    let routing_key = ShortStr::from_static("q");
    let publish = basic::Publish { routing_key, ..basic::Publish::default() };
    encode::method(out, 1, &publish).unwrap();
    encode::raw_header(out, 1, basic::CLASS_ID, 4, &[0, 0]);
    encode::body(out, 1, b"body", 131_072);
}

/// A client that the runtime knows nothing of.
fn kernels_client(broker: &Broker) -> std::net::TcpStream {
    let mut client = std::net::TcpStream::connect(broker.addresses()[0]).unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(&greeting(0)).unwrap();
    client
}

#[tokio::test]
async fn settled_when_all_is_read_that_the_kernel_has() {
    let broker = Broker::start().await.unwrap();
    let own = Connection::open(&broker.url()).await.unwrap();
    let channel = own.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    // Clients whose octets the runtime hears of only when it looks.
    let mut clients = Vec::new();
    for count in 1..=20 {
        clients.push(kernels_client(&broker));
        broker.settled().await;
        assert_eq!(broker.connections().len(), count + 1);
        assert!(broker.connections().iter().all(|connection| connection.channels == 1));
    }
    let mut out = BytesMut::new();
    for round in 1..=50 {
        out.clear();
        put_publish(&mut out);
        for client in &mut clients {
            client.write_all(&out).unwrap();
        }
        broker.settled().await;
        assert_eq!(ready(&broker), round * clients.len());
    }
    drop(clients);
    broker.settled().await;
    assert_eq!(broker.connections().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_beside_other_threads() {
    let broker = Broker::start().await.unwrap();
    let own = Connection::open(&broker.url()).await.unwrap();
    let channel = own.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    let mut client = kernels_client(&broker);
    let mut out = BytesMut::new();
    put_publish(&mut out);
    for round in 1..=200 {
        client.write_all(&out).unwrap();
        broker.settled().await;
        assert_eq!(ready(&broker), round);
    }
}

#[tokio::test]
async fn settled_when_the_client_has_read_what_is_for_it() {
    let broker = Broker::start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").await.unwrap();
    let mut consumer = channel.consume("q").no_ack(true).await.unwrap();
    for _ in 0..200 {
        channel.publish_unconfirmed("", "q", vec![1; 1000]).await.unwrap();
    }
    broker.settled().await;
    assert_eq!((ready(&broker), broker.counts().delivered), (0, 200));
    for _ in 0..200 {
        assert_eq!(consumer.next().await.unwrap().unwrap().body.len(), 1000);
    }
}

#[tokio::test]
async fn not_settled_while_the_client_has_something_to_read() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut client = broker.connect();
    client.write_all(&greeting(0)).await.unwrap();
    let mut settled = pin!(broker.settled());
    for _ in 0..100 {
        assert!(poll_fn(|cx| Poll::Ready(settled.as_mut().poll(cx).is_pending())).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(broker.connections()[0].channels, 1);
    read_some(&mut client).await;
    settled.await;
}

#[tokio::test]
async fn settled_though_a_rule_holds_something() {
    let broker = Broker::start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    let acks = broker.on("basic.ack").to_client().hold();
    let late = broker.on("basic.publish").nth(3).delay(MINUTE);
    let mut confirms = Vec::new();
    for _ in 0..5 {
        confirms.push(channel.publish("", "q", "m").await.unwrap());
    }
    broker.settled().await;
    assert_eq!((ready(&broker), late.hits()), (2, 1));
    broker.advance(MINUTE);
    broker.settled().await;
    assert_eq!(ready(&broker), 5);
    acks.release();
    for confirm in confirms {
        assert!(confirm.await.is_confirmed());
    }
    broker.at_once().go_silent().release();
    let _silent = broker.at_once().go_silent();
    channel.publish_unconfirmed("", "q", "m").await.unwrap();
    broker.settled().await;
    assert_eq!(ready(&broker), 5);
}

#[tokio::test(start_paused = true)]
async fn time_that_is_manual() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").message_ttl(MINUTE).await.unwrap();
    channel.queue_declare("unused").expires(MINUTE).await.unwrap();
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    tokio::time::sleep(MINUTE * 60).await;
    assert_eq!(ready(&broker), 1);
    assert!(broker.queue("unused").is_some());
    broker.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(ready(&broker), 1);
    broker.advance(Duration::from_millis(1));
    assert_eq!(ready(&broker), 0);
    assert!(broker.queue("unused").is_none());
}

#[tokio::test(start_paused = true)]
async fn time_that_is_the_runtimes() {
    let broker = Broker::start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").message_ttl(MINUTE).await.unwrap();
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    tokio::time::sleep(MINUTE - Duration::from_millis(10)).await;
    assert_eq!(ready(&broker), 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(ready(&broker), 0);
    // Ahead of the runtime's time.
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    broker.advance(MINUTE);
    assert_eq!(ready(&broker), 0);
}

#[tokio::test]
async fn what_comes_due_on_the_way_comes_in_order() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    // From one to the next, each when it is due.
    for (queue, next, seconds) in [("q", "second", 30), ("second", "third", 5), ("third", "q", 9)] {
        let declare = channel.queue_declare(queue).message_ttl(Duration::from_secs(seconds));
        declare.dead_letter_exchange("").dead_letter_routing_key(next).await.unwrap();
    }
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    broker.advance(Duration::from_secs(36));
    let places = ["q", "second", "third"].map(|queue| broker.queue(queue).unwrap().ready);
    assert_eq!(places, [0, 0, 1]);
    let third = broker.messages("third").unwrap();
    assert_eq!(third[0].expires_in, Some(Duration::from_secs(8)));
    // Where it began it doesn't come back to: nobody rejected it on the way.
    broker.advance(Duration::from_secs(8));
    assert_eq!(broker.queues().iter().map(|queue| queue.ready).sum::<usize>(), 0);
}

async fn read_some(client: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut octets = vec![0; 4096];
    let count = client.read(&mut octets).await.unwrap();
    octets.truncate(count);
    octets
}

/// A client in memory, open, with all read that the broker said.
async fn raw_client(broker: &Broker, heartbeat: u16) -> MemoryStream {
    let mut client = broker.connect();
    client.write_all(&greeting(heartbeat)).await.unwrap();
    while broker.connections().first().is_none_or(|connection| connection.channels == 0) {
        read_some(&mut client).await;
    }
    client
}

#[tokio::test]
async fn heartbeats_both_ways() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut client = raw_client(&broker, 10).await;
    // Open and channel.open-ok may still be there.
    let beat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
    let mut seen = Vec::new();
    broker.advance(Duration::from_secs(5));
    while !seen.ends_with(&beat) {
        seen.extend(read_some(&mut client).await);
    }
    // It says something every fifteen seconds, and stays.
    for _ in 0..10 {
        client.write_all(&beat).await.unwrap();
        read_until_quiet(&broker, &mut client).await;
        broker.advance(Duration::from_secs(15));
        assert_eq!(broker.connections().len(), 1);
    }
    read_until_quiet(&broker, &mut client).await;
    broker.advance(Duration::from_secs(20));
    read_until_quiet(&broker, &mut client).await;
    assert_eq!(broker.connections().len(), 0);
}

/// Until the broker has nothing more to say, or is gone.
async fn read_until_quiet(broker: &Broker, client: &mut MemoryStream) {
    let mut settled = pin!(broker.settled());
    loop {
        let mut octets = [0; 4096];
        tokio::select! {
            biased;
            () = &mut settled => return,
            count = client.read(&mut octets) => {
                if count.unwrap() == 0 {
                    return settled.await;
                }
            }
        }
    }
}
