//! Encoding and decoding have two ways each, a quick one for what is usual and one for everything. Whatever the quick way
//! does, the other must do as well, with the same result.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, connection, exchange, queue};
use amqp091::types::{
    Decimal, Decode, Encode, FieldTable, LongStr, QuickWriter, Reader, ShortStr, Timestamp, Value,
    Writer,
};
use proptest::prelude::*;
use std::fmt::Debug;

/// The other way, all of the octets.
fn at_length<T: Decode>(octets: &[u8]) -> Option<T> {
    let mut input = Reader::new(octets);
    let value = T::decode(&mut input).ok()?;
    input.finish().ok()?;
    Some(value)
}

fn written<T: Encode>(value: &T) -> Vec<u8> {
    let mut octets = BytesMut::new();
    value.encode(&mut Writer::new(&mut octets)).unwrap();
    octets.to_vec()
}

/// What the quick way reads is what the other way reads, and nothing is lost by trying it first.
fn read_alike<T: Decode + PartialEq + Debug>(octets: &[u8]) {
    let other = at_length::<T>(octets);
    if let Some(quick) = T::decode_quickly(octets) {
        assert_eq!(Some(&quick), other.as_ref(), "{octets:02x?}");
    }
    assert_eq!(T::decode_all(octets).ok(), other, "{octets:02x?}");
}

fn all_read_alike(octets: &[u8]) {
    read_alike::<basic::Properties>(octets);
    read_alike::<basic::Deliver>(octets);
    read_alike::<basic::Publish>(octets);
    read_alike::<queue::Declare>(octets);
    read_alike::<exchange::Bind>(octets);
    read_alike::<connection::StartOk>(octets);
}

/// The same octets both ways, into a slice of any length that there is room for, and into a buffer of any capacity.
fn write_alike<T: Encode>(value: &T) {
    let other = written(value);
    assert_eq!(other.len(), value.encoded_len());
    for room in [other.len() + QuickWriter::SLACK, other.len() + 1000] {
        let mut octets = vec![0xAA; room];
        let mut out = QuickWriter::new(&mut octets);
        value.encode_quickly(&mut out).unwrap();
        let len = room - out.remaining();
        assert_eq!(octets[..len], other);
    }
    for room in 0..other.len() {
        let mut octets = vec![0; room];
        assert_eq!(value.encode_quickly(&mut QuickWriter::new(&mut octets)), None, "{room}");
    }
}

fn short() -> impl Strategy<Value = ShortStr> {
    // Around the 39 octets that a value holds, and around the words in which they are copied.
    let len = prop_oneof![8 => 0..=17_usize, 8 => 30..=42_usize, 1 => 200..=255_usize];
    len.prop_flat_map(|len| prop::collection::vec(any::<u8>(), len))
        .prop_map(|octets| ShortStr::new(octets).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(n as f32)),
        any::<i32>().prop_map(|n| Value::from(f64::from(n))),
        (any::<u8>(), any::<i32>())
            .prop_map(|(scale, value)| Value::from(Decimal { scale, value })),
        short().prop_map(Value::from),
        any::<u64>().prop_map(|seconds| Value::from(Timestamp(seconds))),
        Just(Value::Void),
        prop::collection::vec(any::<u8>(), 0..50).prop_map(|octets| Value::Bytes(octets.into())),
    ];
    leaf.prop_recursive(3, 20, 4, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((short(), value), 0..4)
                .prop_map(|entries| Value::Table(entries.into())),
        ]
    })
}

fn table() -> impl Strategy<Value = FieldTable> {
    prop::collection::vec((short(), value()), 0..6).prop_map(FieldTable::from)
}

fn properties() -> impl Strategy<Value = basic::Properties> {
    let strings = prop::collection::vec(prop::option::of(short()), 8);
    let scalars = (any::<Option<u8>>(), any::<Option<u8>>(), any::<Option<u64>>());
    (strings, prop::option::of(table()), scalars).prop_map(|(strings, headers, scalars)| {
        let mut strings = strings.into_iter();
        let mut next = || strings.next().flatten();
        basic::Properties {
            content_type: next(),
            content_encoding: next(),
            headers,
            delivery_mode: scalars.0,
            priority: scalars.1,
            correlation_id: next(),
            reply_to: next(),
            expiration: next(),
            message_id: next(),
            timestamp: scalars.2.map(Timestamp),
            app_id: next(),
            ..basic::Properties::default()
        }
    })
}

/// One octet of it changed, or some cut off.
fn damaged(octets: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (Just(octets), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
        |(mut octets, at, new, cut)| {
            if !octets.is_empty() {
                let at = at.index(octets.len());
                if cut { octets.truncate(at) } else { octets[at] = new }
            }
            octets
        },
    )
}

proptest! {
    #[test]
    fn any_octets_are_read_alike(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        all_read_alike(&octets);
    }

    #[test]
    fn properties_are_read_and_written_alike(properties in properties()) {
        write_alike(&properties);
        prop_assert_eq!(&basic::Properties::decode_all(&written(&properties)).unwrap(), &properties);
        all_read_alike(&written(&properties));
    }

    #[test]
    fn damaged_properties_are_read_alike(
        octets in properties().prop_flat_map(|properties| damaged(written(&properties)))
    ) {
        all_read_alike(&octets);
    }

    #[test]
    fn methods_are_read_and_written_alike(
        strings in prop::collection::vec(short(), 3), table in table(), octets in prop::collection::vec(any::<u8>(), 0..60)
    ) {
        let [a, b, c] = strings.try_into().unwrap();
        let deliver = basic::Deliver {
            consumer_tag: a.clone(), exchange: b.clone(), routing_key: c.clone(), ..basic::Deliver::default()
        };
        let declare = queue::Declare { queue: a, arguments: table.clone(), ..queue::Declare::default() };
        let start_ok = connection::StartOk {
            client_properties: table, mechanism: b, response: LongStr::from(octets), locale: c
        };
        write_alike(&deliver);
        write_alike(&declare);
        write_alike(&start_ok);
        for octets in [written(&deliver), written(&declare), written(&start_ok)] {
            all_read_alike(&octets);
        }
        prop_assert_eq!(basic::Deliver::decode_all(&written(&deliver)).unwrap(), deliver);
    }

    /// A frame is the same into a buffer of any room, which keeps what is in it and doesn't grow without need.
    #[test]
    fn frames_into_any_buffer(properties in properties(), spare in 0..700_usize) {
        let mut expected = b"before".to_vec();
        let payload = written(&properties);
        expected.extend([2, 0, 1]);
        expected.extend((12 + payload.len() as u32).to_be_bytes());
        expected.extend([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        expected.extend(payload);
        expected.push(0xCE);
        let mut out = BytesMut::with_capacity(6 + spare);
        out.extend_from_slice(b"before");
        let (capacity, place) = (out.capacity(), out.as_ptr());
        encode::header(&mut out, 1, 5, &properties).unwrap();
        prop_assert_eq!(&out[..], &expected[..]);
        if expected.len() <= capacity {
            prop_assert_eq!((out.capacity(), out.as_ptr()), (capacity, place));
        }
    }
}

#[test]
fn the_usual_is_read_quickly() {
    // Else nothing above would have been compared.
    let fits = ShortStr::new([b'x'; 39]).unwrap();
    let properties = basic::Properties::default()
        .with_content_type(fits.clone())
        .with_headers(FieldTable::new().with(ShortStr::from_static("k"), "x".repeat(100)));
    let octets = written(&properties);
    assert_eq!(basic::Properties::decode_quickly(&octets), Some(properties));
    let publish =
        basic::Publish { exchange: fits.clone(), routing_key: fits, ..Default::default() };
    assert_eq!(basic::Publish::decode_quickly(&written(&publish)), Some(publish));

    let longer = ShortStr::new([b'x'; 40]).unwrap();
    let unusual = basic::Publish { routing_key: longer, ..Default::default() };
    assert_eq!(basic::Publish::decode_quickly(&written(&unusual)), None);
    assert_eq!(basic::Publish::decode_all(&written(&unusual)), Ok(unusual));
}

#[test]
fn what_can_not_be_written_leaves_the_buffer_as_it_was() {
    let headers = FieldTable::new().with(ShortStr::from_static("nan"), f64::NAN);
    let properties = basic::Properties::default().with_headers(headers);
    for capacity in [0, 40, 1000] {
        let mut out = BytesMut::with_capacity(capacity);
        out.extend_from_slice(b"before");
        assert!(encode::header(&mut out, 1, 5, &properties).is_err());
        assert_eq!(out, &b"before"[..]);
    }
}
