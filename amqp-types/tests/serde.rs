//! The forms of tables, values, strings and numbers in formats of serde's: JSON for people, postcard for machines.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::fmt::Debug;

use amqp091_types::limits::TABLE_DEPTH_MAX;
use amqp091_types::{
    Decimal, Encode, FieldTable, LongStr, ShortStr, Timestamp, Value, Writer, table,
};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_core::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde_core::de::{DeserializeOwned, IntoDeserializer};
use serde_core::{Deserialize, Serialize};

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

#[track_caller]
fn is_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    assert_eq!(written(&value), text);
    assert_eq!(read::<T>(text), value, "{text}");
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(text: &str, why: &str) {
    let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(error.contains(why), "{text}: {error}");
}

// --- What people write ---------------------------------------------------------------------------

#[test]
fn plain_values_are_plain() {
    is_written(Value::Bool(true), "true");
    is_written(Value::I32(5), "5");
    is_written(Value::I32(i32::MIN), "-2147483648");
    is_written(Value::I64(2_147_483_648), "2147483648");
    is_written(Value::I64(i64::MIN), "-9223372036854775808");
    is_written(Value::I64(i64::MAX), "9223372036854775807");
    is_written(Value::F64(1.5), "1.5");
    is_written(Value::F64(5.0), "5.0");
    is_written(Value::F64(-0.0), "-0.0");
    is_written(Value::F64(0.1), "0.1");
    is_written(Value::from("text"), r#""text""#);
    is_written(Value::from("Grüße \"\0\n"), r#""Grüße \"\u0000\n""#);
    is_written(Value::Void, "null");
    is_written(Value::from([Value::Void, 1.into(), "two".into()]), r#"[null,1,"two"]"#);
    is_written(Value::Array(Vec::new()), "[]");
    is_written(Value::Table(FieldTable::new()), "{}");
    is_written(Value::Table(table! { "b": 1, "a": { "": [] } }), r#"{"b":1,"a":{"":[]}}"#);
}

#[test]
fn other_values_have_a_tag() {
    is_written(Value::I8(-5), r#"{"$i8":-5}"#);
    is_written(Value::U8(255), r#"{"$u8":255}"#);
    is_written(Value::I16(5), r#"{"$i16":5}"#);
    is_written(Value::U16(5), r#"{"$u16":5}"#);
    is_written(Value::U32(u32::MAX), r#"{"$u32":4294967295}"#);
    is_written(Value::I64(5), r#"{"$i64":5}"#);
    is_written(Value::F32(1.5), r#"{"$f32":1.5}"#);
    is_written(Value::F32(0.1), r#"{"$f32":0.1}"#);
    is_written(Value::Timestamp(Timestamp(1_700_000_000)), r#"{"$timestamp":1700000000}"#);
    is_written(Value::Timestamp(Timestamp(u64::MAX)), r#"{"$timestamp":18446744073709551615}"#);
    is_written(Value::Decimal(Decimal { scale: 2, value: -1234 }), r#"{"$decimal":"-12.34"}"#);
    is_written(Value::Bytes(Bytes::from_static(b"\x00\xff")), r#"{"$bytes":"AP8="}"#);
    is_written(Value::LongStr(LongStr::from(b"\xff")), r#"{"$str":"/w=="}"#);
}

#[test]
fn floats_that_json_has_no_number_for() {
    is_written(Value::F64(0.1 + 0.2), r#"{"$f64":"0.30000000000000004"}"#);
    is_written(Value::F64(1e300), r#"{"$f64":"1e300"}"#);
    is_written(Value::F64(f64::MAX), r#"{"$f64":"1.7976931348623157e308"}"#);
    is_written(Value::F64(f64::INFINITY), r#"{"$f64":"inf"}"#);
    is_written(Value::F64(f64::NEG_INFINITY), r#"{"$f64":"-inf"}"#);
    is_written(Value::F64(f64::from_bits(0x7ff8_0000_0000_0000)), r#"{"$f64":"NaN"}"#);
    is_written(
        Value::F64(f64::from_bits(0xfff8_0000_0000_0001)),
        r#"{"$f64":"0xfff8000000000001"}"#,
    );
    is_written(Value::F32(f32::from_bits(0x7fc0_0000)), r#"{"$f32":"NaN"}"#);
    is_written(Value::F32(f32::from_bits(0x7fc0_0001)), r#"{"$f32":"0x7fc00001"}"#);
    is_written(Value::F32(f32::NEG_INFINITY), r#"{"$f32":"-inf"}"#);
}

#[test]
fn tables_that_no_object_holds() {
    let twice = FieldTable::from([("k", 1), ("k", 2)].map(|(k, v)| (ShortStr::from_static(k), v)));
    is_written(twice, r#"{"$table":[["k",1],["k",2]]}"#);
    is_written(
        FieldTable::from([(ShortStr::new(b"\xff").unwrap(), true)]),
        r#"{"$table":[[{"$str":"/w=="},true]]}"#,
    );
    is_written(table! { "$i8": 5 }, r#"{"$table":[["$i8",5]]}"#);
    is_written(table! { "a": 1, "$b": 2 }, r#"{"$table":[["a",1],["$b",2]]}"#);
    is_written(Value::Table(table! { "$": { "x": 1 } }), r#"{"$table":[["$",{"x":1}]]}"#);
}

#[test]
fn what_is_read_but_not_written() {
    assert_eq!(read::<Value>(r#"{"$i32":5}"#), Value::I32(5));
    assert_eq!(read::<Value>(r#"{"$f64":5}"#), Value::F64(5.0));
    assert_eq!(read::<Value>(r#"{"$f64":"1.5"}"#), Value::F64(1.5));
    assert_eq!(read::<Value>(r#"{"$f32":-5}"#), Value::F32(-5.0));
    assert_eq!(read::<Value>(r#"{"$table":[]}"#), Value::Table(FieldTable::new()));
    assert_eq!(read::<Value>(r#"{"$str":"YQ=="}"#), Value::from("a"));
    assert_eq!(read::<Value>("1e3"), Value::F64(1000.0));
    assert_eq!(read::<Value>(r#"{"$f64":"0x1"}"#), Value::F64(f64::from_bits(1)));
    // What no integer holds is a floating-point number before it is seen here.
    assert_eq!(read::<Value>("-9223372036854775809"), Value::F64(-9_223_372_036_854_775_808.0));
    assert_eq!(read::<Value>("18446744073709551616"), Value::F64(18_446_744_073_709_551_616.0));
}

#[test]
fn mistakes_are_named() {
    refused::<Value>(r#"{"$i8":300}"#, "expected i8");
    refused::<Value>(r#"{"$u8":-1}"#, "expected u8");
    refused::<Value>(r#"{"$int":1}"#, "`$int` is none of the tags $i8 $u8");
    refused::<Value>(r#"{"$i8":1,"a":2}"#, "`$i8` is not the only key");
    refused::<Value>(r#"{"a":2,"$i8":1}"#, "`$i8` is not the only key");
    refused::<Value>(r#"{"a":2,"$b":1}"#, "`$b` is none of the tags");
    refused::<Value>(r#"{"k":1,"k":2}"#, "the key `k` is there twice");
    refused::<Value>("9223372036854775808", "at most 2^63-1");
    refused::<Value>(r#"{"$bytes":"AP8"}"#, "base64");
    refused::<Value>(r#"{"$bytes":[0,255]}"#, "base64");
    refused::<Value>(r#"{"$decimal":"1,5"}"#, "a decimal number");
    refused::<Value>(r#"{"$decimal":1.5}"#, "a decimal number");
    refused::<Value>(r#"{"$timestamp":-1}"#, "expected u64");
    refused::<Value>(r#"{"$f32":1e39}"#, "a number");
    refused::<Value>(r#"{"$f64":"1e999"}"#, "a number");
    refused::<Value>(r#"{"$f64":"infinity"}"#, "a number");
    for digits in ["+7ff8", "-0", "", "7ff8000000000000f", "7g", " 7"] {
        refused::<Value>(&format!(r#"{{"$f64":"0x{digits}"}}"#), "the bits as 0x and digits");
        refused::<Value>(&format!(r#"{{"$f32":"0x{digits}"}}"#), "the bits as 0x and digits");
    }
    refused::<Value>(r#"{"$table":{"a":1}}"#, "an array of entries");
    refused::<Value>(r#"{"$table":[["a"]]}"#, "a key and a value");
    refused::<Value>(r#"{"$table":[["a",1,2]]}"#, "a key and a value");
    refused::<FieldTable>(r#"{"$i8":1}"#, "a table: an object");
    refused::<FieldTable>("[]", "a table: an object");
    refused::<FieldTable>("null", "a table: an object");
    let long = "k".repeat(256);
    refused::<Value>(&format!(r#"{{"{long}":1}}"#), "at most 255 octets");
    refused::<ShortStr>(&format!(r#""{long}""#), "256 octets are too many");
    refused::<ShortStr>(r#"{"$bytes":"AA=="}"#, "a string");
    refused::<ShortStr>("5", "a string");
}

#[test]
fn types_outside_of_tables() {
    is_written(Timestamp(1_700_000_000), "1700000000");
    is_written(Decimal { scale: 2, value: 1234 }, r#""12.34""#);
    is_written(ShortStr::from_static("amq.topic"), r#""amq.topic""#);
    is_written(ShortStr::new(b"\xff\xfe").unwrap(), r#"{"$str":"//4="}"#);
    is_written(LongStr::from("a\0b"), r#""a\u0000b""#);
    is_written(LongStr::from(b"\xff\xfe"), r#"{"$str":"//4="}"#);
    is_written(table! { "x-max-length": 10_000 }, r#"{"x-max-length":10000}"#);
}

/// A reader that leaves numbers as text, which is how serde_json's `arbitrary_precision` looks to us.
#[test]
fn numbers_that_a_reader_left_as_text() {
    let entries = [("$serde_json::private::Number", "1.5")];
    let number = Value::deserialize(MapDeserializer::<_, Error>::new(entries.into_iter()));
    assert_eq!(number, Ok(Value::F64(1.5)));
}

#[test]
fn octets_and_options_of_other_formats() {
    use serde_core::de::value::{BorrowedBytesDeserializer, UnitDeserializer};
    let octets = Value::deserialize(BorrowedBytesDeserializer::<Error>::new(b"\xff"));
    assert_eq!(octets, Ok(Value::Bytes(Bytes::from_static(b"\xff"))));
    assert_eq!(Value::deserialize(UnitDeserializer::<Error>::new()), Ok(Value::Void));
    let f32: serde_core::de::value::F32Deserializer<Error> = 1.5_f32.into_deserializer();
    assert_eq!(Value::deserialize(f32), Ok(Value::F64(1.5)));
}

// --- Limits --------------------------------------------------------------------------------------

fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..levels).fold(Value::Void, |inner, _| wrap(inner))
}

fn in_object(inner: Value) -> Value {
    table! { "k": inner }.into()
}

fn in_pairs(inner: Value) -> Value {
    table! { "$": inner }.into()
}

fn in_array(inner: Value) -> Value {
    [inner].into()
}

#[test]
fn nesting_is_bounded_both_ways() {
    for wrap in [in_object, in_pairs, in_array] {
        // One level is the table that a value is in.
        let deepest = nested(TABLE_DEPTH_MAX - 1, wrap);
        let text = written(&deepest);
        assert_eq!(read::<Value>(&text), deepest);
        postcard::to_allocvec(&deepest).unwrap();
        let in_table = table! { "k": deepest.clone() };
        assert_eq!(read::<FieldTable>(&written(&in_table)), in_table);
        postcard::to_allocvec(&in_table).unwrap();

        let deeper = wrap(deepest);
        let error = serde_json::to_string(&deeper).unwrap_err().to_string();
        assert!(error.contains("deeper than 32 levels"), "{error}");
        assert!(postcard::to_allocvec(&deeper).is_err());
        let text = match written(&wrap(1.into())).split_once('1') {
            Some((front, back)) => format!("{front}{text}{back}"),
            None => panic!("the text has the number"),
        };
        refused::<Value>(&text, "deeper than 32 levels");
    }
}

/// Without the bound, as serde's own deserializers have none, this would overflow the stack.
#[test]
fn nesting_is_bounded_whatever_the_format_allows() {
    #[derive(Clone)]
    struct Endless;

    impl<'de> serde_core::Deserializer<'de> for Endless {
        type Error = Error;

        fn deserialize_any<V: serde_core::de::Visitor<'de>>(
            self,
            visitor: V,
        ) -> Result<V::Value, Error> {
            visitor.visit_seq(SeqDeserializer::new(std::iter::repeat(Self)))
        }

        serde_core::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    impl IntoDeserializer<'_, Error> for Endless {
        type Deserializer = Self;

        fn into_deserializer(self) -> Self {
            self
        }
    }

    let error = Value::deserialize(Endless).unwrap_err().to_string();
    assert!(error.contains("deeper than 32 levels"), "{error}");
}

/// A length that is merely claimed takes no memory: this would take all there is.
#[test]
fn announced_sizes_are_not_believed() {
    struct Claims(u8);

    impl Iterator for Claims {
        type Item = u8;

        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX / 64, Some(usize::MAX / 64))
        }
    }

    let values = Value::deserialize(SeqDeserializer::<_, Error>::new(Claims(2)));
    assert_eq!(values, Ok(Value::from([1, 0])));
}

// --- For machines --------------------------------------------------------------------------------

fn octets(item: &impl Encode) -> Vec<u8> {
    let mut octets = BytesMut::new();
    item.encode(&mut Writer::new(&mut octets)).unwrap();
    octets.to_vec()
}

#[test]
fn machines_get_the_octets_of_the_wire() {
    // postcard writes a byte string as its length and the octets.
    let table = table! { "k": true };
    let on_wire = octets(&table);
    assert_eq!(on_wire, b"\x00\x00\x00\x04\x01kt\x01");
    assert_eq!(postcard::to_allocvec(&table).unwrap(), [&[8], &on_wire[..]].concat());
    assert_eq!(postcard::to_allocvec(&Value::I16(-2)).unwrap(), b"\x03s\xff\xfe");
    assert_eq!(postcard::to_allocvec(&ShortStr::from_static("ab")).unwrap(), b"\x02ab");
    assert_eq!(postcard::to_allocvec(&LongStr::from(b"\xff")).unwrap(), b"\x01\xff");
    assert_eq!(postcard::to_allocvec(&Timestamp(5)).unwrap(), b"\x05");

    let decimal = Decimal { scale: 2, value: -1234 };
    let octets = postcard::to_allocvec(&decimal).unwrap();
    assert_eq!(postcard::from_bytes::<Decimal>(&octets), Ok(decimal));
}

#[test]
fn machines_are_told_what_is_wrong_with_octets() {
    for octets in [&b"\x00"[..], b"\x01?", b"\x02t", b"\x03t\x01\x00", b"\x05V\x01kt\x01"] {
        assert!(postcard::from_bytes::<Value>(octets).is_err(), "{octets:?}");
    }
    assert_eq!(postcard::from_bytes::<Value>(b"\x02t\x01"), Ok(Value::Bool(true)));
    assert!(postcard::from_bytes::<FieldTable>(b"\x05\x00\x00\x00\x00\x00").is_err());
    assert!(postcard::to_allocvec(&Value::F64(f64::NAN)).is_err());
}

// --- Anything --------------------------------------------------------------------------------------

fn key() -> impl Strategy<Value = ShortStr> {
    prop_oneof![
        4 => "[ab$]{0,2}".prop_map(|text| ShortStr::new(text).unwrap()),
        1 => Just(ShortStr::from_static("$table")),
        1 => vec(any::<u8>(), 0..=255).prop_map(|octets| ShortStr::new(octets).unwrap()),
        1 => "\\PC{0,20}".prop_map(|text| ShortStr::new(text).unwrap()),
    ]
}

/// Numbers that people write, their neighbours, and those that are computed.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        (any::<i32>(), -30..30_i32, -1..=1_i8).prop_map(|(digits, power, step)| {
            let number: f64 = format!("{digits}e{power}").parse().unwrap();
            match step {
                -1 => number.next_down(),
                0 => number,
                _ => number.next_up(),
            }
        }),
        -1000.0..1000.0,
        -1e18..1e18,
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
        prop_oneof![any::<i64>(), any::<i32>().prop_map(i64::from)].prop_map(Value::I64),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        float().prop_map(Value::F64),
        any::<(u8, i32)>().prop_map(|(scale, value)| Value::Decimal(Decimal { scale, value })),
        vec(any::<u8>(), 0..=60).prop_map(|octets| Value::LongStr(LongStr::from(octets))),
        "\\PC{0,20}".prop_map(Value::from),
        any::<u64>().prop_map(|seconds| Value::Timestamp(Timestamp(seconds))),
        Just(Value::Void),
        vec(any::<u8>(), 0..=60).prop_map(|octets| Value::Bytes(Bytes::from(octets))),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_value_survives_json(value in value()) {
        let text = written(&value);
        prop_assert_eq!(&read::<Value>(&text), &value, "{}", text);
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(&read::<Value>(&text), &value, "{}", text);
    }

    #[test]
    fn every_table_survives_json(entries in vec((key(), value()), 0..6)) {
        let table = FieldTable::from(entries);
        prop_assert_eq!(&read::<FieldTable>(&written(&table)), &table);
    }

    /// Through a tree of values, which keeps neither the order of keys nor bits that a number loses.
    #[test]
    fn every_scalar_survives_a_tree(value in scalar()) {
        let tree = serde_json::to_value(&value).unwrap();
        prop_assert_eq!(serde_json::from_value::<Value>(tree).unwrap(), value);
    }

    #[test]
    fn what_can_be_sent_survives_postcard(value in value()) {
        let in_table = table! { "k": value.clone() };
        let mut out = BytesMut::new();
        if in_table.encode(&mut Writer::new(&mut out)).is_ok() {
            let octets = postcard::to_allocvec(&value).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Value>(&octets), Ok(value));
            let octets = postcard::to_allocvec(&in_table).unwrap();
            prop_assert_eq!(postcard::from_bytes::<FieldTable>(&octets), Ok(in_table));
        } else {
            prop_assert!(postcard::to_allocvec(&value).is_err());
        }
    }

    /// With a reader that gets a tenth of such numbers wrong, if they are written as numbers.
    #[test]
    fn floats_survive_a_careless_reader(floats in vec(float(), 100)) {
        let values: Vec<_> = floats.iter().map(|float| Value::F64(*float)).collect();
        prop_assert_eq!(read::<Vec<Value>>(&written(&values)), values);
        let narrow: Vec<_> = floats.iter().map(|float| Value::F32(*float as f32)).collect();
        prop_assert_eq!(read::<Vec<Value>>(&written(&narrow)), narrow);
    }

    #[test]
    fn strings_survive(octets in vec(any::<u8>(), 0..=255)) {
        let short = ShortStr::new(&octets).unwrap();
        prop_assert_eq!(&read::<ShortStr>(&written(&short)), &short);
        let long = LongStr::from(octets);
        prop_assert_eq!(&read::<LongStr>(&written(&long)), &long);
    }

    #[test]
    fn any_text_does_no_harm(text in r#"([\[\]{}:,"$a1.e-]|\$table|\$f64|null|true){0,40}"#) {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(read::<Value>(&written(&value)), value);
        }
    }
}
