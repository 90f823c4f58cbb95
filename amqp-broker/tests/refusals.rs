//! What RabbitMQ does with clients and messages that make no sense, where it is not what one would do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::time::Duration;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, connection};
use amqp091::types::{LongStr, ShortStr};
use amqp091_broker::Broker;
use amqp091_client::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod raw;

use raw::{greeting, put_publish};

#[tokio::test]
async fn a_wrong_password_is_answered_after_a_while_where_that_is_wanted() {
    let delay = Duration::from_secs(3);
    for (delay, stays) in [(Duration::ZERO, 0), (delay, 1)] {
        let broker = Broker::builder().manual_time().refusal_delay(delay).start().await.unwrap();
        let mut client = broker.connect();
        let mut out = BytesMut::from(&b"AMQP\0\0\x09\x01"[..]);
        let start = connection::StartOk {
            mechanism: ShortStr::from_static("PLAIN"),
            response: LongStr::from("\0guest\0wrong"),
            ..connection::StartOk::default()
        };
        encode::method(&mut out, 0, &start).unwrap();
        client.write_all(&out).await.unwrap();
        // connection.start, and no more.
        let count = client.read(&mut [0; 4096]).await.unwrap();
        assert!(count > 100);
        broker.settled().await;
        assert_eq!(broker.connections().len(), stays);
        broker.advance(delay);
        assert_eq!(client.read(&mut [0; 4096]).await.unwrap(), 0);
        broker.settled().await;
        assert!(broker.connections().is_empty());
    }
}

/// Properties with headers that are nested so deep, a content type before them and a priority behind.
fn nested(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for _ in 0..depth {
        let mut outer = vec![1, b't', b'F'];
        outer.extend((table.len() as u32).to_be_bytes());
        outer.extend(table);
        table = outer;
    }
    let mut octets = vec![0b1010_1000, 0, 1, b'x'];
    octets.extend((table.len() as u32).to_be_bytes());
    octets.extend(table);
    octets.push(7);
    octets
}

#[tokio::test]
async fn headers_that_nobody_should_read_are_passed_on_and_come_to_the_dead_letters() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let options = ConnectOptions::default().heartbeat(Duration::ZERO);
    let own = Connection::connect_over(broker.connect(), &options).await.unwrap();
    let channel = own.channel().await.unwrap();
    for (queue, next) in [("q", "dead"), ("dead", "q")] {
        let declare = channel.queue_declare(queue).message_ttl(Duration::from_secs(60));
        declare.dead_letter_exchange("").dead_letter_routing_key(next).await.unwrap();
    }
    let mut client = broker.connect();
    let mut out = greeting(0);
    for depth in [20, 40, 1000] {
        let routing_key = ShortStr::from_static("q");
        let publish = basic::Publish { routing_key, ..basic::Publish::default() };
        encode::method(&mut out, 1, &publish).unwrap();
        encode::raw_header(&mut out, 1, basic::CLASS_ID, 4, &nested(depth));
        encode::body(&mut out, 1, b"deep", 131_072);
    }
    put_publish(&mut out);
    client.write_all(&out).await.unwrap();
    while broker.queue("q").unwrap().ready < 4 {
        assert_eq!(broker.connections().len(), 2, "the connection was closed");
        tokio::task::yield_now().await;
    }
    let mut consumer = channel.consume("q").await.unwrap();
    for is_readable in [true, false, false, true] {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.properties().is_ok(), is_readable);
        delivery.reject(false).unwrap();
    }
    consumer.cancel().await.unwrap();
    drop(client);
    broker.settled().await;
    let dead: Vec<_> =
        broker.messages("dead").unwrap().iter().map(|m| m.properties().is_ok()).collect();
    assert_eq!(dead, [true, false, false, true]);
    // Round and round they don't go.
    for _ in 0..10 {
        broker.advance(Duration::from_secs(60));
    }
    assert_eq!(broker.queues().iter().map(|queue| queue.ready).sum::<usize>(), 0);
}
