//! What a broker costs the program that it is in: no thread, little memory, few allocations. One test in a
//! process of its own: it counts the process's threads and memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[allow(dead_code, reason = "others use the rest")]
mod raw;

use std::alloc::System;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, confirm};
use amqp091::types::ShortStr;
use amqp091_broker::{Broker, MemoryStream};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::greeting;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Threads of this process, where the system tells.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Octets that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Octets that are resident now, where the system tells.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|statm| statm.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * PAGE
}

#[test]
fn a_broker_costs_no_threads_little_memory_and_few_allocations() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        a_thousand_brokers_have_no_thread_and_a_few_kilobytes_each().await;
        a_message_takes_few_allocations().await;
        a_fanout_s_message_is_there_once().await;
        what_was_held_is_given_back().await;
    });
}

async fn a_thousand_brokers_have_no_thread_and_a_few_kilobytes_each() {
    const BROKERS: usize = 1000;
    let (threads_before, allocated_before, resident_before) = (threads(), allocated(), resident());
    let mut brokers = Vec::new();
    for number in 0..BROKERS {
        // As many sockets as a process may have everywhere.
        let builder = Broker::builder();
        let builder = if number < 200 { builder } else { builder.without_sockets() };
        brokers.push(builder.start().await.unwrap());
        tokio::task::yield_now().await;
    }
    assert_eq!(threads(), threads_before, "threads");
    let (allocated, resident) = (allocated() - allocated_before, resident() - resident_before);
    assert!(allocated < BROKERS * 16 * 1024, "{allocated} octets allocated for {BROKERS} brokers");
    assert!(resident < 64 * 1024 * 1024, "{resident} octets resident for {BROKERS} brokers");
}

/// A client with a queue `q`, which answers with as much as it was asked for.
async fn client(broker: &Broker) -> MemoryStream {
    let mut stream = broker.connect();
    stream.write_all(&greeting(0)).await.unwrap();
    stream
}

async fn said(broker: &Broker, stream: &mut MemoryStream, out: &[u8]) {
    stream.write_all(out).await.unwrap();
    read_all(broker, stream).await;
}

/// Reads until the broker has nothing more to say.
async fn read_all(broker: &Broker, stream: &mut MemoryStream) {
    let mut buffer = [0; 16 * 1024];
    tokio::select! {
        () = broker.settled() => {}
        () = async { while stream.read(&mut buffer).await.unwrap() > 0 {} } => {}
    }
}

fn put_publish(out: &mut BytesMut, exchange: &'static str, body: &[u8]) {
    let publish = basic::Publish {
        exchange: ShortStr::from_static(exchange),
        routing_key: ShortStr::from_static("q"),
        ..basic::Publish::default()
    };
    encode::method(out, 1, &publish).unwrap();
    encode::raw_header(out, 1, basic::CLASS_ID, body.len() as u64, &[0, 0]);
    encode::body(out, 1, body, 131_072);
}

fn put_queue(out: &mut BytesMut, name: String, bind_to: &'static str) {
    let queue = ShortStr::new(name).unwrap();
    let declare = amqp091::protocol::queue::Declare { queue: queue.clone(), ..Default::default() };
    encode::method(out, 1, &declare).unwrap();
    let bind = amqp091::protocol::queue::Bind {
        queue,
        exchange: ShortStr::from_static(bind_to),
        routing_key: ShortStr::from_static("q"),
        ..Default::default()
    };
    encode::method(out, 1, &bind).unwrap();
}

async fn a_message_takes_few_allocations() {
    const MESSAGES: u64 = 100;
    const ROUNDS: u64 = 20;
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let mut stream = client(&broker).await;
    let mut out = BytesMut::new();
    put_queue(&mut out, "q".to_owned(), "amq.topic");
    encode::method(&mut out, 1, &confirm::Select { no_wait: false }).unwrap();
    let consume = basic::Consume { queue: ShortStr::from_static("q"), ..basic::Consume::default() };
    encode::method(&mut out, 1, &consume).unwrap();
    said(&broker, &mut stream, &out).await;
    let mut least = u64::MAX;
    for round in 0..ROUNDS {
        let mut messages = BytesMut::new();
        let mut acks = BytesMut::new();
        for number in 1..=MESSAGES {
            put_publish(&mut messages, "amq.topic", &[b'x'; 16]);
            let ack = basic::Ack { delivery_tag: round * MESSAGES + number, multiple: false };
            encode::method(&mut acks, 1, &ack).unwrap();
        }
        let before = ALLOCATOR.stats();
        said(&broker, &mut stream, &messages).await;
        said(&broker, &mut stream, &acks).await;
        let stats = ALLOCATOR.stats();
        let count =
            stats.allocations + stats.reallocations - before.allocations - before.reallocations;
        least = least.min(count as u64);
    }
    assert_eq!(broker.counts().acked, MESSAGES * ROUNDS);
    // The message itself, shared by whoever has it; all else is by the batch.
    assert!(least < MESSAGES * 3 / 2, "{least} allocations for {MESSAGES} messages");
}

async fn a_fanout_s_message_is_there_once() {
    const QUEUES: usize = 100;
    const SIZE: usize = 1024 * 1024;
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let mut stream = client(&broker).await;
    let mut out = BytesMut::new();
    for queue in 0..QUEUES {
        put_queue(&mut out, format!("q{queue}"), "amq.fanout");
    }
    said(&broker, &mut stream, &out).await;
    let mut message = BytesMut::new();
    put_publish(&mut message, "amq.fanout", &vec![b'x'; SIZE]);
    let before = allocated();
    said(&broker, &mut stream, &message).await;
    let octets = allocated() - before;
    assert_eq!(broker.counts().routed, 1);
    assert!(broker.queues().iter().all(|queue| queue.ready == 1));
    assert!(octets < 2 * SIZE, "{octets} octets for a message of {SIZE} in {QUEUES} queues");
}

async fn what_was_held_is_given_back() {
    const MESSAGES: usize = 100_000;
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let mut stream = client(&broker).await;
    let mut out = BytesMut::new();
    put_queue(&mut out, "q".to_owned(), "amq.direct");
    said(&broker, &mut stream, &out).await;
    let before = allocated();
    let mut messages = BytesMut::new();
    for _ in 0..MESSAGES / 100 {
        put_publish(&mut messages, "", &[b'x'; 16]);
    }
    for _ in 0..100 {
        said(&broker, &mut stream, &messages).await;
    }
    let held = allocated() - before;
    assert_eq!(broker.queue("q").unwrap().ready, MESSAGES);
    // An estimate of it is what blocks publishers: it should not be too small.
    assert!(held < MESSAGES * 512, "{held} octets for {MESSAGES} messages");
    let mut purge = BytesMut::new();
    let queue = ShortStr::from_static("q");
    encode::method(&mut purge, 1, &amqp091::protocol::queue::Purge { queue, no_wait: false })
        .unwrap();
    drop(messages);
    said(&broker, &mut stream, &purge).await;
    let left = allocated().saturating_sub(before);
    assert!(left < held / 20, "{left} octets of {held} are still held");
}
