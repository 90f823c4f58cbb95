//! Frames that nobody in their right mind sends.

use amqp091::encode;
use amqp091::frame::FrameKind;
use amqp091::protocol::{basic, queue};
use amqp091::types::{FieldTable, ShortStr};
use amqp091_broker::{Broker, Profile};
use bytes::BytesMut;

use crate::Bystander;
use crate::raw::{Login, Raw, name};

/// A table in a table in a table…
fn nested(depth: usize) -> Vec<u8> {
    let mut table = vec![0, 0, 0, 0];
    for _ in 0..depth {
        let mut outer = Vec::from(u32::try_from(table.len() + 3).unwrap().to_be_bytes());
        outer.extend_from_slice(b"\x01tF");
        outer.append(&mut table);
        table = outer;
    }
    table
}

/// A table of so many entries, each as small as can be.
fn small_entries(count: usize) -> Vec<u8> {
    let mut table = Vec::from(u32::try_from(count * 2).unwrap().to_be_bytes());
    table.extend(b"\x00V".repeat(count));
    table
}

/// A declaration with this for its arguments.
fn declare(table: &[u8]) -> Vec<u8> {
    let declare = queue::Declare {
        queue: name("q"),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        no_wait: false,
        arguments: FieldTable::new(),
    };
    let mut frame = BytesMut::new();
    encode::method(&mut frame, 1, &declare).unwrap();
    // Without the frame around it and the empty table at its end.
    let mut payload = frame[7..frame.len() - 5].to_vec();
    payload.extend_from_slice(table);
    let mut out = BytesMut::new();
    encode::raw_frame(&mut out, FrameKind::Method, 1, &payload).unwrap();
    out.to_vec()
}

/// A message with this for its headers.
fn publish(exchange: &'static str, table: &[u8]) -> Vec<u8> {
    let method = basic::Publish {
        exchange: ShortStr::from_static(exchange),
        routing_key: name("bystander"),
        mandatory: false,
        immediate: false,
    };
    let mut out = BytesMut::new();
    encode::method(&mut out, 1, &method).unwrap();
    let properties = [&[0x20, 0][..], table].concat();
    encode::raw_header(&mut out, 1, basic::CLASS_ID, 1, &properties);
    encode::body(&mut out, 1, b"m", 4096);
    out.to_vec()
}

fn body_of(size: u64) -> Vec<u8> {
    let mut out = publish("", &[0, 0, 0, 0]);
    out.truncate(out.len() - 9);
    let at = out.len() - 1 - 4 - 2 - 8;
    out[at..at + 8].copy_from_slice(&size.to_be_bytes());
    out
}

#[tokio::test]
async fn the_broker_survives_it() {
    let heads = (0..=255_u8).map(|kind| vec![kind, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    let mut cases: Vec<Vec<u8>> = heads.collect();
    cases.extend([10, 31, 32, 33, 20_000].map(|depth| declare(&nested(depth))));
    cases.extend([1000, 60_000].map(|count| declare(&small_entries(count))));
    for exchange in ["", "amq.headers"] {
        cases.extend([10, 33, 20_000].map(|depth| publish(exchange, &nested(depth))));
        cases.extend([1000, 60_000].map(|count| publish(exchange, &small_entries(count))));
    }
    cases.extend([u64::MAX, u64::MAX / 2, 1 << 40, 1 << 31, 1 << 27].map(body_of));
    // Lengths that lead out of the frame.
    cases.push(declare(&[0xff, 0xff, 0xff, 0xff]));
    cases.push(declare(&[0, 0, 0, 3, 200, b't', b'F']));
    cases.push(publish("", &[0x7f, 0xff, 0xff, 0xff]));
    // Every method without its arguments, on every kind of channel.
    for class in [10, 20, 40, 50, 60, 85, 90, 0, 0xffff_u16] {
        for method in 0..130_u16 {
            for channel in [0, 1, 7] {
                let payload = [class.to_be_bytes(), method.to_be_bytes()].concat();
                let mut out = BytesMut::new();
                encode::raw_frame(&mut out, FrameKind::Method, channel, &payload).unwrap();
                cases.push(out.to_vec());
            }
        }
    }
    for profile in [Profile::V3_10, Profile::V4] {
        let builder = Broker::builder().without_sockets().profile(profile);
        let broker = builder.start().await.unwrap();
        let bystander = Bystander::new(&broker).await;
        for case in &cases {
            let mut client = Raw::new(broker.connect());
            client.log_in(Login::default()).await.unwrap();
            client.open_channel(1).await;
            client.write(case).await;
            drop(client);
        }
        broker.settled().await;
        assert_eq!(broker.connections().len(), 1);
        bystander.channel.queue_purge("bystander").await.unwrap();
        bystander.is_served().await;
    }
}

#[tokio::test]
async fn a_message_with_many_headers_is_matched_in_no_time() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    let mut client = Raw::new(broker.connect());
    client.log_in(Login::default()).await.unwrap();
    client.open_channel(1).await;
    // As many as fit into a frame, all of which the binding wants.
    let mut table = Vec::new();
    for number in 0..20_000_u16 {
        table.extend_from_slice(b"\x03h");
        table.extend_from_slice(&number.to_be_bytes());
        table.push(b'V');
    }
    let table = [&u32::try_from(table.len()).unwrap().to_be_bytes()[..], &table].concat();
    let bind = queue::Bind {
        queue: name("bystander"),
        exchange: name("amq.headers"),
        routing_key: ShortStr::default(),
        no_wait: true,
        arguments: FieldTable::new(),
    };
    let mut frame = BytesMut::new();
    encode::method(&mut frame, 1, &bind).unwrap();
    let payload = [&frame[7..frame.len() - 5], &table].concat();
    let mut out = BytesMut::new();
    encode::raw_frame(&mut out, FrameKind::Method, 1, &payload).unwrap();
    client.write(&out).await;
    // One after the other would be ten thousand millions of comparisons.
    for _ in 0..50 {
        client.write(&publish("amq.headers", &table)).await;
    }
    broker.settled().await;
    let purged = bystander.channel.queue_purge("bystander").await.unwrap();
    assert_eq!(purged.message_count, 50);
}
