//! Random octets, most of them shaped so that they come past the first length.

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::basic;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::recorded;
use crate::{field_table, frame_stream, methods, properties};

/// Octets of which some look like lengths, tags and flags.
fn likely(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let octet =
        prop_oneof![any::<u8>(), Just(0), 1..8_u8, select(&b"tbBsUuIilLfdDSATFVx\xCE\xFF"[..])];
    vec(octet, 0..len)
}

/// The octets of a value with its tag, right as far as its lengths go, mostly.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop_oneof![
        (select(&b"tbB"[..]), vec(any::<u8>(), 1)),
        (select(&b"sUu"[..]), vec(any::<u8>(), 2)),
        (select(&b"Iif"[..]), vec(any::<u8>(), 4)),
        (Just(b'D'), vec(any::<u8>(), 5)),
        (select(&b"lLdT"[..]), vec(any::<u8>(), 8)),
        (Just(b'V'), Just(vec![])),
    ];
    let scalar = prop_oneof![
        4 => fixed.prop_map(|(tag, octets)| [vec![tag], octets].concat()),
        2 => (select(&b"Sx"[..]), vec(any::<u8>(), 0..50)).prop_map(|(tag, octets)| counted(tag, &octets)),
        1 => likely(6),
    ];
    scalar.prop_recursive(8, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|values| counted(b'A', &values.concat())),
            entries(inner).prop_map(|entries| counted(b'F', &entries)),
        ]
    })
}

fn entries(value: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![vec(any::<u8>(), 0..4), vec(any::<u8>(), 255)];
    let entry =
        (key, value).prop_map(|(key, value)| [&[key.len() as u8], &key[..], &value].concat());
    vec(entry, 0..6).prop_map(|entries| entries.concat())
}

/// The octets of a table with its length in front.
fn table() -> impl Strategy<Value = Vec<u8>> {
    entries(value()).prop_map(|entries| counted(b'F', &entries)[1..].to_vec())
}

fn counted(tag: u8, octets: &[u8]) -> Vec<u8> {
    let len = u32::try_from(octets.len()).unwrap();
    [&[tag], &len.to_be_bytes()[..], octets].concat()
}

/// A recording with some of its octets changed, left out or put in.
fn mutated(pieces: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..3_u8, any::<u8>());
    (select(pieces), vec(change, 1..6)).prop_map(|(mut octets, changes)| {
        for (at, how, octet) in changes {
            let at = at.index(octets.len() + 1);
            match how {
                0 => octets.insert(at, octet),
                1 if at < octets.len() => octets[at] = octet,
                2 if at < octets.len() => drop(octets.remove(at)),
                _ => octets.push(octet),
            }
        }
        octets
    })
}

fn of(pieces: Vec<recorded::Piece>) -> Vec<Vec<u8>> {
    pieces.into_iter().map(|piece| piece.octets).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn tables_of_any_octets(input in prop_oneof![table(), likely(100), mutated(of(recorded::tables()))]) {
        field_table::check(&input);
    }

    #[test]
    fn methods_of_any_octets(input in prop_oneof![likely(100), mutated(of(recorded::methods()))]) {
        methods::check(&input);
    }

    #[test]
    fn every_method_with_a_table_of_any_octets(place in any::<u8>(), front in likely(6), table in table()) {
        methods::check(&[&[place], &front[..], &table].concat());
    }

    #[test]
    fn properties_of_any_octets(flags in any::<u16>(), input in prop_oneof![likely(200), table()]) {
        properties::check(&input);
        properties::check(&[&flags.to_be_bytes()[..], &input].concat());
        properties::check(&[&[0x20, 0x00], &input[..]].concat());
    }

    #[test]
    fn frames_of_any_octets(input in prop_oneof![likely(300), mutated(of(recorded::exchanges()))]) {
        frame_stream::check(&input);
    }

    #[test]
    fn messages_of_any_octets(properties in table(), size in any::<u64>(), bodies in vec(vec(any::<u8>(), 0..20), 0..4)) {
        // As often as not of the right size.
        let sum = bodies.iter().map(Vec::len).sum::<usize>() as u64;
        let size = if size % 2 == 0 { sum } else { size };
        let mut input = BytesMut::new();
        encode::method(&mut input, 1, &basic::Deliver::default()).unwrap();
        encode::raw_header(&mut input, 1, basic::CLASS_ID, size, &[&[0x20, 0x00], &properties[..]].concat());
        for body in bodies {
            encode::body_frame(&mut input, 1, &body);
        }
        frame_stream::check(&input);
    }
}
