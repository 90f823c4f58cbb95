//! Where a fault comes among frames that are read, or written, all at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod raw;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::frame::{self, FrameLimits, Parsed};
use amqp091::protocol::{AnyMethod, basic, confirm, queue};
use amqp091::types::ShortStr;
use amqp091_broker::{Broker, MemoryStream};
use raw::{greeting, put_publish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A broker, a client that publishes with confirms, and five messages that it has yet to send.
async fn opened() -> (Broker, MemoryStream, BytesMut) {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut client = broker.connect();
    let mut out = greeting(0);
    let queue = ShortStr::from_static("q");
    let declare = queue::Declare { queue, durable: true, ..queue::Declare::default() };
    encode::method(&mut out, 1, &declare).unwrap();
    encode::method(&mut out, 1, &confirm::Select::default()).unwrap();
    client.write_all(&out).await.unwrap();
    while seen(&mut client).await.last().is_none_or(|name| name != "confirm.select-ok") {}
    out.clear();
    for _ in 0..5 {
        put_publish(&mut out);
    }
    (broker, client, out)
}

/// The methods that are there to be read, or the end.
async fn seen(client: &mut MemoryStream) -> Vec<String> {
    let mut octets = vec![0; 64 * 1024];
    let count = client.read(&mut octets).await.unwrap_or_default();
    let mut rest = &octets[..count];
    let mut names = Vec::new();
    while let Ok(Parsed::Frame { frame, consumed }) =
        frame::parse(rest, FrameLimits::from_frame_max(0))
    {
        names.push(AnyMethod::from_payload(frame.payload).unwrap().name().to_owned());
        rest = &rest[consumed..];
    }
    assert!(rest.is_empty(), "half a frame");
    names
}

async fn all_seen(client: &mut MemoryStream) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let more = seen(client).await;
        if more.is_empty() {
            return names;
        }
        names.extend(more);
    }
}

fn ready(broker: &Broker) -> usize {
    broker.queue("q").unwrap().ready
}

#[tokio::test]
async fn a_restart_with_an_answer_leaves_the_rest_of_the_batch_unsaid() {
    let (broker, mut client, publishes) = opened().await;
    let rule = broker.on("basic.ack").nth(2).restart();
    client.write_all(&publishes).await.unwrap();
    assert_eq!(all_seen(&mut client).await, ["basic.ack"; 2]);
    assert_eq!(rule.hits(), 1);
    assert!(broker.connections().is_empty());
}

#[tokio::test]
async fn a_restart_with_a_publish_leaves_the_rest_of_the_batch_undone() {
    let (broker, mut client, publishes) = opened().await;
    let _kept = broker.on("basic.publish").nth(3).restart();
    client.write_all(&publishes).await.unwrap();
    let seen = all_seen(&mut client).await;
    assert!(seen.len() <= 2 && seen.iter().all(|name| name == "basic.ack"), "{seen:?}");
    // They weren't persistent.
    assert_eq!(ready(&broker), 0);
    assert_eq!(broker.counts().published, 2);
}

#[tokio::test]
async fn a_close_comes_right_behind_the_frame_that_it_is_for() {
    let (broker, mut client, publishes) = opened().await;
    let _rule = broker.on("basic.ack").nth(2).close_connection(320, "now");
    client.write_all(&publishes).await.unwrap();
    let mut names = Vec::new();
    while names.len() < 3 {
        names.extend(seen(&mut client).await);
    }
    assert_eq!(names, ["basic.ack", "basic.ack", "connection.close"]);
    let (broker, mut client, publishes) = opened().await;
    let _rule = broker.on_frame().nth(1).close_channel(406, "now");
    client.write_all(&publishes).await.unwrap();
    let mut names = Vec::new();
    while names.len() < 2 {
        names.extend(seen(&mut client).await);
    }
    assert_eq!(names, ["basic.ack", "channel.close"]);
}

#[tokio::test]
async fn reading_stops_in_the_midst_of_what_was_read() {
    for _ in 0..2 {
        let (broker, mut client, publishes) = opened().await;
        let deaf = broker.on("basic.publish").nth(2).stop_reading();
        // And in the midst of a frame.
        let (some, rest) = publishes.split_at(publishes.len() - 7);
        client.write_all(some).await.unwrap();
        deaf.fired(1).await;
        client.write_all(rest).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ready(&broker), 2);
        deaf.release();
        // What was read is looked at at once, the rest when it is.
        assert_eq!(ready(&broker), 4);
        while ready(&broker) < 5 {
            tokio::task::yield_now().await;
        }
        assert_eq!(deaf.hits(), 1);
    }
}

#[tokio::test]
async fn a_frame_that_is_held_is_carried_out_when_it_is_let_go() {
    let (broker, mut client, publishes) = opened().await;
    let held = broker.on("basic.publish").nth(2).times(2).hold();
    client.write_all(&publishes).await.unwrap();
    held.fired(1).await;
    assert_eq!((ready(&broker), held.hits()), (1, 1));
    held.release();
    assert_eq!((ready(&broker), held.hits()), (2, 2));
    held.release();
    assert_eq!((ready(&broker), held.hits()), (5, 2));
}

#[tokio::test]
async fn what_was_held_for_a_channel_goes_with_it() {
    let (broker, mut client, publishes) = opened().await;
    let held = broker.on("basic.ack").to_client().hold();
    let _closed = broker.on("basic.publish").nth(5).close_channel(406, "now");
    client.write_all(&publishes).await.unwrap();
    assert_eq!(seen(&mut client).await, ["channel.close"]);
    assert_eq!(held.hits(), 4);
    held.release();
    broker.settled().await;
    let _end = broker.at_once().drop_before();
    assert!(all_seen(&mut client).await.is_empty());
}

#[tokio::test]
async fn a_long_queue_does_not_keep_others_from_a_client_that_is_slow_to_read() {
    let broker = Broker::start().await.unwrap();
    let mut client = broker.connect();
    let mut out = greeting(0);
    for name in ["a", "b"] {
        let routing_key = ShortStr::new(name).unwrap();
        let declare = queue::Declare { queue: routing_key.clone(), ..queue::Declare::default() };
        encode::method(&mut out, 1, &declare).unwrap();
        let publish = basic::Publish { routing_key, ..basic::Publish::default() };
        for _ in 0..200 {
            encode::method(&mut out, 1, &publish).unwrap();
            encode::raw_header(&mut out, 1, basic::CLASS_ID, 16_000, &[0, 0]);
            encode::body(&mut out, 1, &name.repeat(16_000).into_bytes(), 131_072);
        }
    }
    for name in ["a", "b"] {
        let (queue, no_ack) = (ShortStr::new(name).unwrap(), true);
        let consume = basic::Consume { queue, no_ack, ..basic::Consume::default() };
        encode::method(&mut out, 1, &consume).unwrap();
    }
    client.write_all(&out).await.unwrap();
    // Of each there are more than three million octets.
    let mut octets = vec![0; 2_000_000];
    client.read_exact(&mut octets).await.unwrap();
    for name in ["a", "b"] {
        let body = name.repeat(1000).into_bytes();
        assert!(octets.windows(body.len()).any(|window| window == body), "none of {name}");
    }
}
