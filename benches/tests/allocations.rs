//! How often encoding and decoding allocate, counted.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::hint::black_box;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::frame::{self, FrameLimits, Parsed};
use amqp091::protocol::{ToClient, ToServer, basic};
use amqp091::types::{Decode, FieldTable, ShortStr, Timestamp, Value};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// One test, because all threads of a process are counted together.
#[test]
fn allocations_are_as_few_as_promised() {
    a_delivery_is_decoded_without();
    a_message_is_encoded_without();
    a_header_table_takes_one();
    the_room_of_a_table_is_exact();
}

/// Allocations and reallocations, and the octets they asked for.
fn counted<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = ALLOCATOR.stats();
    let result = black_box(work());
    let made = ALLOCATOR.stats() - before;
    (made.allocations + made.reallocations, made.bytes_allocated, result)
}

const fn short(text: &'static str) -> ShortStr {
    ShortStr::from_static(text)
}

fn a_delivery_is_decoded_without() {
    // The longest strings that need no allocation.
    let longest = ShortStr::new([b'x'; 39]).unwrap();
    let deliver = basic::Deliver {
        consumer_tag: longest.clone(),
        delivery_tag: 1,
        redelivered: false,
        exchange: longest.clone(),
        routing_key: longest,
    };
    let mut wire = BytesMut::new();
    encode::method(&mut wire, 1, &deliver).unwrap();
    let Parsed::Frame { frame, .. } = frame::parse(&wire, FrameLimits::default()).unwrap() else {
        panic!("a whole frame is there")
    };
    let (allocations, _, decoded) = counted(|| ToClient::from_payload(frame.payload).unwrap());
    assert_eq!(decoded, ToClient::BasicDeliver(deliver.clone()));
    assert_eq!(allocations, 0);
    let (allocations, _, decoded) =
        counted(|| basic::Deliver::decode_all(&frame.payload[4..]).unwrap());
    assert_eq!((allocations, decoded), (0, deliver));
}

fn message() -> (basic::Publish, basic::Properties) {
    let publish = basic::Publish {
        exchange: short("orders"),
        routing_key: short("orders.created.eu-west-1"),
        ..basic::Publish::default()
    };
    let headers = FieldTable::new()
        .with(short("attempt"), 3)
        .with(short("region"), "eu-west-1")
        .with(short("source"), "checkout-service")
        .with(short("traced"), true);
    let properties = basic::Properties::default()
        .with_content_type(short("application/json"))
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_correlation_id(short("6f1e0c3a-93d5-4c8e-8a57-2f6d1b7e9c40"))
        .with_message_id(short("0b9d6a54-1c7f-4e2b-b8f3-5a90e4d7c612"))
        .with_timestamp(Timestamp(1_760_000_000));
    (publish, properties)
}

fn a_message_is_encoded_without() {
    let (publish, properties) = message();
    let body = [b'x'; 100];
    let mut out = BytesMut::new();
    let write = |out: &mut BytesMut| {
        encode::method(out, 1, &publish).unwrap();
        encode::header(out, 1, body.len() as u64, &properties).unwrap();
        encode::body(out, 1, &body, 131_072);
    };
    write(&mut out);
    let first = out.clone();
    out.clear();
    let (allocations, ..) = counted(|| write(&mut out));
    assert_eq!(out, first);
    assert_eq!(allocations, 0, "into a buffer that has been used");
    // Into a buffer with room for these octets and no more.
    let mut exact = BytesMut::with_capacity(first.len());
    let (allocations, ..) = counted(|| write(&mut exact));
    assert_eq!((exact, allocations), (first, 0));
}

fn a_header_table_takes_one() {
    let (publish, properties) = message();
    let mut wire = BytesMut::new();
    encode::method(&mut wire, 1, &publish).unwrap();
    let method = wire.split();
    let (allocations, ..) = counted(|| ToServer::from_payload(&method[7..method.len() - 1]));
    assert_eq!(allocations, 0);

    let decode = |properties: &basic::Properties| {
        let mut wire = BytesMut::new();
        encode::header(&mut wire, 1, 0, properties).unwrap();
        let (allocations, octets, decoded) =
            counted(|| basic::Properties::decode_all(&wire[7 + 12..wire.len() - 1]).unwrap());
        assert_eq!(&decoded, properties);
        (allocations, octets)
    };
    // The list of its four entries.
    assert_eq!(decode(&properties), (1, 4 * size_of::<(ShortStr, Value)>()));
    // One more for a value of 40 octets, none for one of 39.
    let with = |len: usize| {
        let mut properties = properties.clone();
        let headers = properties.headers.get_or_insert_default();
        headers.push(short("trace"), "x".repeat(len));
        properties
    };
    assert_eq!(decode(&with(39)).0, 1);
    assert_eq!(decode(&with(40)).0, 2);
    // One for a table or an array in it, none for an empty one.
    let mut nested = properties.clone();
    let headers = nested.headers.get_or_insert_default();
    headers.push(short("table"), FieldTable::new().with(short("k"), 1));
    headers.push(short("array"), vec![Value::Void; 100]);
    headers.push(short("empty"), FieldTable::new());
    assert_eq!(decode(&nested).0, 3);
    // Without headers, nothing.
    let mut bare = properties;
    bare.headers = None;
    assert_eq!(decode(&bare).0, 0);
}

/// However many entries there are, what they take is allocated at once.
fn the_room_of_a_table_is_exact() {
    for entries in [1, 2, 5, 100, 5_000] {
        let headers: FieldTable = (0..entries).map(|n| (short("k"), Value::I32(n))).collect();
        let mut wire = BytesMut::new();
        let properties = basic::Properties::default().with_headers(headers);
        encode::header(&mut wire, 1, 0, &properties).unwrap();
        let (allocations, octets, _) =
            counted(|| basic::Properties::decode_all(&wire[7 + 12..wire.len() - 1]).unwrap());
        let entry = size_of::<(ShortStr, Value)>();
        assert_eq!((allocations, octets), (1, entries as usize * entry), "{entries}");
    }
}
