//! Properties of arbitrary tables and arbitrary octets.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_types::{
    Decimal, Decode, Encode, FieldTable, LongStr, Reader, ShortStr, Timestamp, Value, Writer,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

fn key() -> impl Strategy<Value = ShortStr> {
    // Mostly from few keys, so that some are equal.
    prop_oneof![
        3 => "[ab]{0,2}".prop_map(|text| ShortStr::new(text).unwrap()),
        1 => octets(255).prop_map(|octets| ShortStr::new(octets).unwrap()),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<u32>()
            .prop_map(f32::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Value::F32),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(Value::F64),
        any::<(u8, i32)>().prop_map(|(scale, value)| Value::Decimal(Decimal { scale, value })),
        octets(60).prop_map(|octets| Value::LongStr(LongStr::from(octets))),
        any::<u64>().prop_map(|seconds| Value::Timestamp(Timestamp(seconds))),
        Just(Value::Void),
        octets(60).prop_map(|octets| Value::Bytes(Bytes::from(octets))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((key(), inner), 0..6).prop_map(|entries| Value::Table(entries.into())),
        ]
    })
}

fn table() -> impl Strategy<Value = FieldTable> {
    vec((key(), value()), 0..8).prop_map(FieldTable::from)
}

/// Octets that look more like a table than random ones: the alphabet is tags, small lengths and a few others.
fn table_like() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"tbBsUuIilLfdDSATFVx?".to_vec());
    vec(prop_oneof![4 => 0_u8..4, 3 => tag, 1 => any::<u8>()], 0..200)
}

proptest! {
    #[test]
    fn what_is_written_is_read(table in table()) {
        let mut octets = BytesMut::with_capacity(table.encoded_len());
        let room = octets.capacity();
        table.encode(&mut Writer::new(&mut octets)).unwrap();
        prop_assert_eq!(octets.len(), table.encoded_len());
        prop_assert_eq!(octets.capacity(), room);
        let mut input = Reader::new(&octets);
        prop_assert_eq!(&FieldTable::decode(&mut input).unwrap(), &table);
        prop_assert!(input.finish().is_ok());

        let mut skipped = Reader::new(&octets);
        skipped.skip_table("table").unwrap();
        prop_assert!(skipped.finish().is_ok());

        prop_assert!(FieldTable::decode_entries(&mut Reader::new(&octets[4..])).unwrap() == table);
    }

    #[test]
    fn what_is_written_and_cut_off_is_not_read(table in table(), at in any::<prop::sample::Index>()) {
        let mut octets = BytesMut::new();
        table.encode(&mut Writer::new(&mut octets)).unwrap();
        let len = at.index(octets.len());
        prop_assert!(FieldTable::decode(&mut Reader::new(&octets[..len])).is_err());
    }

    #[test]
    fn random_octets_do_no_harm(octets in prop_oneof![octets(200), table_like()]) {
        for decode in [FieldTable::decode, FieldTable::decode_entries] {
            let mut input = Reader::new(&octets);
            match decode(&mut input) {
                Ok(table) => {
                    // Never more octets than were read, for U becomes s and any true becomes 1.
                    prop_assert!(table.entries_len() <= input.offset());
                    let mut again = BytesMut::new();
                    if table.encode(&mut Writer::new(&mut again)).is_ok() {
                        prop_assert_eq!(FieldTable::decode(&mut Reader::new(&again)).unwrap(), table);
                    }
                }
                Err(error) => prop_assert!(error.offset() <= octets.len()),
            }
        }
        let _ = ShortStr::decode(&mut Reader::new(&octets));
        let _ = LongStr::decode(&mut Reader::new(&octets));
    }

    #[test]
    fn strings_survive(octets in octets(300)) {
        let long = LongStr::from(octets.as_slice());
        prop_assert_eq!(long.as_bytes(), &octets[..]);
        prop_assert_eq!(LongStr::from(Bytes::from(octets.clone())), long);
        match ShortStr::new(&octets) {
            Ok(short) => prop_assert_eq!(short.into_bytes(), octets),
            Err(error) => prop_assert_eq!((error.len, octets.len() > 255), (octets.len(), true)),
        }
    }
}
