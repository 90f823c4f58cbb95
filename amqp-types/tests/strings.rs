//! Short and long strings: lengths, text, comparisons, conversions.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeSet, HashMap};

use amqp091_types::{Decode, Encode, EncodeError, LongStr, Reader, ShortStr, TooLong, Writer};
use bytes::{Bytes, BytesMut};

#[test]
fn a_short_string_has_up_to_255_octets_whatever_it_is_made_of() {
    let most = "x".repeat(255);
    assert_eq!(ShortStr::new(&most).unwrap().len(), 255);
    assert_eq!(ShortStr::try_from(most.as_str()).unwrap(), most);
    assert_eq!(ShortStr::try_from(most.clone()).unwrap(), most);
    assert_eq!(ShortStr::try_from(most.as_bytes()).unwrap(), most);
    assert_eq!(ShortStr::try_from(most.clone().into_bytes()).unwrap(), most);
    assert_eq!(ShortStr::try_from(Bytes::from(most.clone())).unwrap(), most);
    assert_eq!(most.parse::<ShortStr>().unwrap(), most);

    let more = "x".repeat(256);
    let refused = Err(TooLong { len: 256 });
    assert_eq!(ShortStr::new(&more), refused);
    assert_eq!(ShortStr::try_from(more.as_str()), refused);
    assert_eq!(ShortStr::try_from(more.clone()), refused);
    assert_eq!(ShortStr::try_from(more.as_bytes()), refused);
    assert_eq!(ShortStr::try_from(more.clone().into_bytes()), refused);
    assert_eq!(ShortStr::try_from(Bytes::from(more.clone())), refused);
    assert_eq!(more.parse::<ShortStr>(), refused);

    let mut octets = BytesMut::new();
    let error = Writer::new(&mut octets).short_octets(more.as_bytes()).unwrap_err();
    assert_eq!(error, EncodeError::ShortStrTooLong { len: 256 });
    assert_eq!(EncodeError::from(TooLong { len: 256 }), error);
    assert!(octets.is_empty());
}

#[test]
#[should_panic(expected = "at most 255 octets")]
fn a_static_short_string_too_long_is_a_bug() {
    static TEXT: [u8; 256] = [b'x'; 256];
    let _ = ShortStr::from_static(std::str::from_utf8(&TEXT).unwrap());
}

#[test]
fn every_length_survives_a_round_trip_in_any_room() {
    for len in 0..=255_usize {
        let given: Vec<u8> = (0..len).map(|n| n as u8 ^ 0xa5).collect();
        let short = ShortStr::new(&given).unwrap();
        let long = LongStr::from(given.as_slice());
        // Exactly the room that is needed, and plenty.
        for room in [short.encoded_len() + long.encoded_len(), 1_000] {
            let mut octets = BytesMut::with_capacity(room);
            let room = octets.capacity();
            let mut out = Writer::new(&mut octets);
            short.encode(&mut out).unwrap();
            long.encode(&mut out).unwrap();
            assert_eq!(octets.capacity(), room, "an exact reservation must do");
            assert_eq!(octets.len(), short.encoded_len() + long.encoded_len());
            assert_eq!(usize::from(octets[0]), len);
            assert_eq!(octets[1..=len], given);

            let mut input = Reader::new(&octets);
            assert_eq!(ShortStr::decode(&mut input).unwrap(), short);
            assert_eq!(LongStr::decode(&mut input).unwrap(), long);
            input.finish().unwrap();
        }
    }
}

#[test]
fn octets_need_not_be_text() {
    let octets = b"caf\xe9\0";
    let short = ShortStr::new(octets).unwrap();
    assert!(short.to_str().is_err());
    assert_eq!(short.to_str_lossy(), "caf\u{fffd}\0");
    assert_eq!(short.to_string(), "caf\u{fffd}\0");
    assert_eq!(format!("{short:?}"), r#"b"caf\xe9\x00""#);
    assert_eq!(short.as_bytes(), octets);
    assert_eq!(short.into_bytes(), &octets[..]);

    let long = LongStr::from(octets);
    assert!(long.to_str().is_err());
    assert_eq!(long.to_str_lossy(), "caf\u{fffd}\0");
    assert_eq!(format!("{long:?}"), r#"b"caf\xe9\x00""#);
    assert_eq!(format!("[{:>4}]", LongStr::from("ab")), "[  ab]");
}

#[test]
fn comparing_and_hashing_is_that_of_the_octets() {
    let sorted: BTreeSet<ShortStr> =
        ["b", "", "aa", "a", &"a".repeat(100)].map(|text| ShortStr::new(text).unwrap()).into();
    let lengths: Vec<_> = sorted.iter().map(ShortStr::len).collect();
    assert_eq!(lengths, [0, 1, 2, 100, 1]);

    let mut queues = HashMap::new();
    queues.insert(ShortStr::new("short").unwrap(), 1);
    queues.insert(ShortStr::new("long".repeat(20)).unwrap(), 2);
    assert_eq!(queues.get(b"short".as_slice()), Some(&1));
    assert_eq!(queues.get("long".repeat(20).as_bytes()), Some(&2));

    let short = ShortStr::new("text").unwrap();
    assert_eq!(short, "text");
    assert_eq!(short, *"text");
    assert_eq!("text", short);
    assert_eq!(short, b"text"[..]);
    assert_eq!(short, &b"text"[..]);
    assert_eq!(short, String::from("text"));
    assert_ne!(short, "texts");
    assert_eq!(LongStr::from(short), "text");
}

#[test]
fn long_octets_are_shared_and_short_ones_let_go_of_their_buffer() {
    let buffer = Bytes::from(vec![7; 1_000]);
    let long = LongStr::from(buffer.slice(..40));
    assert_eq!(long.as_bytes().as_ptr(), buffer.as_ptr());
    assert_eq!(long.clone().into_bytes().as_ptr(), buffer.as_ptr());
    assert_eq!(Bytes::from(long).as_ptr(), buffer.as_ptr());

    drop(LongStr::from(buffer.slice(..39)));
    let short = ShortStr::try_from(buffer.slice(..39)).unwrap();
    assert_ne!(short.as_bytes().as_ptr(), buffer.as_ptr());
    assert!(buffer.is_unique());
}

#[test]
fn the_default_is_empty() {
    assert!(ShortStr::default().is_empty() && ShortStr::empty().is_empty());
    assert!(LongStr::default().is_empty() && LongStr::empty().is_empty());
    assert!(ShortStr::from_static("").is_empty());
    assert_eq!(ShortStr::default().encoded_len(), 1);
    assert_eq!(LongStr::default().encoded_len(), 4);
}
