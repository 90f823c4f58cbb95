//! What clients leave behind: nothing. And what they take while they are there: not what they claim.
//!
//! The figures are the whole process's, so this is one test, alone in its file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "hostile/raw.rs"]
mod raw;

use std::alloc::System;
use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{basic, channel, confirm, queue, tx};
use amqp091::types::{FieldTable, ShortStr};
use amqp091_broker::{Broker, MemoryStream};
use bytes::BytesMut;
use raw::{Login, Raw, name};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What maps and lists may keep for next time, octets.
const KEPT: usize = 128 * 1024;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

async fn client(broker: &Broker) -> Raw<MemoryStream> {
    let mut client = Raw::new(broker.connect());
    client.log_in(Login::default()).await.unwrap();
    client.open_channel(1).await;
    client
}

/// Sends and drops what comes back, until all is done.
async fn say(broker: &Broker, client: Raw<MemoryStream>, octets: &[u8]) -> Raw<MemoryStream> {
    let (mut read, mut write) = tokio::io::split(client.stream);
    let reading = async {
        let mut buffer = vec![0; 16 * 1024];
        while read.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    let writing = async {
        write.write_all(octets).await.unwrap();
        broker.settled().await;
    };
    tokio::select! { () = reading => panic!("it was thrown out"), () = writing => {} }
    Raw::new(read.unsplit(write))
}

fn declare(out: &mut BytesMut, queue: &str, exclusive: bool) {
    let declare = queue::Declare {
        queue: name(queue),
        passive: false,
        durable: false,
        exclusive,
        auto_delete: false,
        no_wait: true,
        arguments: FieldTable::new(),
    };
    encode::method(out, 1, &declare).unwrap();
}

fn consume(out: &mut BytesMut, channel: u16, queue: &str, tag: &str) {
    let consume = basic::Consume {
        queue: name(queue),
        consumer_tag: name(tag),
        no_local: false,
        no_ack: false,
        exclusive: false,
        no_wait: true,
        arguments: FieldTable::new(),
    };
    encode::method(out, channel, &consume).unwrap();
}

/// Many of everything, all of it one client's.
async fn plenty(broker: &Broker) -> Raw<MemoryStream> {
    let mut out = BytesMut::new();
    for number in 2..2000 {
        encode::method(&mut out, number, &channel::Open {}).unwrap();
    }
    for number in 0..3000 {
        let queue = format!("queue-{number}");
        declare(&mut out, &queue, true);
        for exchange in ["amq.topic", "amq.direct", "amq.fanout"] {
            let bind = queue::Bind {
                queue: name(&queue),
                exchange: name(exchange),
                routing_key: name(&format!("many.words.{number}.#.*")),
                no_wait: true,
                arguments: FieldTable::new(),
            };
            encode::method(&mut out, 1, &bind).unwrap();
        }
    }
    for number in 0..3000 {
        consume(&mut out, 1 + number % 1999, "queue-0", &format!("tag-{number}"));
    }
    // Unacknowledged, each of them.
    for _ in 0..10_000 {
        raw::publish(&mut out, 1, "queue-0", b"small");
    }
    say(broker, client(broker).await, &out).await
}

/// Bodies that never come, of sizes that nobody has.
async fn giant_bodies(broker: &Broker) -> Raw<MemoryStream> {
    let mut out = BytesMut::new();
    for number in 1..2000 {
        if number > 1 {
            encode::method(&mut out, number, &channel::Open {}).unwrap();
        }
        let publish = basic::Publish {
            exchange: ShortStr::default(),
            routing_key: ShortStr::default(),
            mandatory: false,
            immediate: false,
        };
        encode::method(&mut out, number, &publish).unwrap();
        encode::raw_header(&mut out, number, basic::CLASS_ID, 128 * 1024 * 1024, &[0, 0]);
        encode::body_frame(&mut out, number, b"the beginning");
    }
    let before = in_use();
    let client = say(broker, client(broker).await, &out).await;
    let taken = in_use() - before;
    assert!(taken < 8 * 1024 * 1024, "{taken} octets for what has not come");
    client
}

/// A transaction without an end.
async fn transaction(broker: &Broker) -> Raw<MemoryStream> {
    let mut out = BytesMut::new();
    encode::method(&mut out, 1, &tx::Select {}).unwrap();
    for _ in 0..20_000 {
        raw::publish(&mut out, 1, "nowhere", b"message");
        let ack = basic::Ack { delivery_tag: 0, multiple: true };
        encode::method(&mut out, 1, &ack).unwrap();
    }
    say(broker, client(broker).await, &out).await
}

/// One delivery that is never settled, and many behind it that are.
async fn one_unsettled(broker: &Broker) -> Raw<MemoryStream> {
    let mut out = BytesMut::new();
    declare(&mut out, "queue", true);
    encode::method(&mut out, 1, &confirm::Select { no_wait: true }).unwrap();
    consume(&mut out, 1, "queue", "tag");
    raw::publish(&mut out, 1, "queue", b"first");
    let client = say(broker, client(broker).await, &out).await;
    let before = in_use();
    out.clear();
    for delivery_tag in 2..50_000 {
        raw::publish(&mut out, 1, "queue", b"next");
        encode::method(&mut out, 1, &basic::Ack { delivery_tag, multiple: false }).unwrap();
    }
    let sent = out.capacity();
    let client = say(broker, client, &out).await;
    let taken = in_use().saturating_sub(before + sent);
    assert!(taken < 1024 * 1024, "{taken} octets for one message");
    client
}

/// A queue's worth of messages to a consumer that doesn't read, and confirms to a publisher that doesn't.
async fn deaf(broker: &Broker) -> Raw<MemoryStream> {
    let mut out = BytesMut::new();
    declare(&mut out, "queue", true);
    encode::method(&mut out, 1, &confirm::Select { no_wait: true }).unwrap();
    consume(&mut out, 1, "queue", "tag");
    for _ in 0..20_000 {
        raw::publish(&mut out, 1, "queue", &[7; 1000]);
    }
    let mut client = client(broker).await;
    client.write(&out).await;
    // This ends when nobody has anything to do.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let left = broker.queue("queue").unwrap().ready;
    assert!(left > 15_000, "{left} are left");
    client
}

/// Who comes, and goes without a word.
async fn visitors(broker: &Broker) -> Raw<MemoryStream> {
    let mut all = Vec::new();
    for number in 0..2000 {
        let mut visitor = Raw::new(broker.connect());
        visitor.write(&raw::HEADER[..number % 8]).await;
        all.push(visitor);
    }
    drop(all);
    client(broker).await
}

#[test]
fn memory_returns_to_where_it_was() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true);
    runtime.build().unwrap().block_on(async {
        let broker = Broker::builder().without_sockets().start().await.unwrap();
        // What is made once is not theirs.
        drop(client(&broker).await);
        broker.settled().await;
        for round in 0..2 {
            macro_rules! leaves_nothing {
                ($($attack:ident)*) => {$(
                    let before = in_use();
                    let client = $attack(&broker).await;
                    let meanwhile = in_use();
                    drop(client);
                    broker.settled().await;
                    let after = in_use();
                    println!("{} {round}: {before} {meanwhile} {after}", stringify!($attack));
                    assert!(
                        after <= before + KEPT,
                        "{} octets are left of {}", after - before, stringify!($attack)
                    );
                    assert_eq!((broker.connections().len(), broker.queues().len()), (0, 0));
                )*};
            }
            leaves_nothing!(visitors plenty giant_bodies transaction one_unsettled deaf);
        }
    });
}
