//! The field table as a list and as a map.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_types::{Decode, Encode, FieldTable, Reader, ShortStr, TooLong, Value, Writer};
use bytes::BytesMut;

fn key(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

fn pairs(table: &FieldTable) -> Vec<(&str, i64)> {
    table.iter().map(|(key, value)| (key.to_str().unwrap(), value.as_i64().unwrap())).collect()
}

fn round_trip(table: &FieldTable) -> FieldTable {
    let mut octets = BytesMut::new();
    table.encode(&mut Writer::new(&mut octets)).unwrap();
    assert_eq!(octets.len(), table.encoded_len());
    let mut input = Reader::new(&octets);
    let read = FieldTable::decode(&mut input).unwrap();
    input.finish().unwrap();
    read
}

#[test]
fn equal_keys_and_the_order_survive_a_round_trip() {
    let mut table = FieldTable::new();
    for (text, number) in [("b", 1), ("a", 2), ("b", 3), ("", 4), ("", 5)] {
        table.push(key(text), number);
    }
    let read = round_trip(&table);
    assert_eq!(read, table);
    assert_eq!(pairs(&read), [("b", 1), ("a", 2), ("b", 3), ("", 4), ("", 5)]);
}

#[test]
fn keys_of_no_octets_of_255_and_of_any_octets() {
    let longest = vec![0xff; 255];
    let mut table = FieldTable::new();
    table.push(ShortStr::empty(), 0);
    table.push(ShortStr::new(&longest).unwrap(), 1);
    table.push(ShortStr::new(b"\x00\xff$").unwrap(), 2);
    let read = round_trip(&table);
    assert_eq!(read, table);
    assert_eq!(read.get(""), Some(&Value::I32(0)));
    assert_eq!(read.get(&longest), Some(&Value::I32(1)));
    assert_eq!(read.get(b"\x00\xff$"), Some(&Value::I32(2)));
}

#[test]
fn a_key_of_256_octets_is_refused_and_changes_nothing() {
    let mut table = FieldTable::new();
    assert_eq!(table.try_insert("k".repeat(256), 1), Err(TooLong { len: 256 }));
    assert!(table.is_empty());
    assert_eq!(table.try_insert("k".repeat(255), 1), Ok(None));
    assert_eq!(table.len(), 1);
    // Such a key is in no table.
    assert_eq!(table.get("k".repeat(256)), None);
}

#[test]
fn look_ups_take_the_first_of_equal_keys() {
    let mut table: FieldTable = [("a", 1), ("b", 2), ("a", 3)]
        .map(|(text, number)| (key(text), Value::I32(number)))
        .into_iter()
        .collect();
    assert_eq!(table.get("a"), Some(&Value::I32(1)));
    assert!(table.get_all("a").eq(&[Value::I32(1), Value::I32(3)]));
    assert!(table.contains_key("b") && !table.contains_key("c"));

    assert_eq!(table.insert(key("a"), 10), Some(Value::I32(1)));
    assert_eq!(table.insert(key("c"), 4), None);
    assert_eq!(pairs(&table), [("a", 10), ("b", 2), ("a", 3), ("c", 4)]);

    *table.get_mut("b").unwrap() = Value::I32(20);
    assert_eq!(table.remove("a"), Some(Value::I32(10)));
    assert_eq!(pairs(&table), [("b", 20), ("a", 3), ("c", 4)]);
    assert_eq!(table.remove("a"), Some(Value::I32(3)));
    assert_eq!(table.remove("a"), None);

    table.clear();
    assert!(table.is_empty());
}

#[test]
fn equality_regards_the_order() {
    let one = FieldTable::new().with(key("a"), 1).with(key("b"), 2);
    let two = FieldTable::new().with(key("b"), 2).with(key("a"), 1);
    assert_ne!(one, two);
}

#[test]
fn collected_extended_and_iterated_from_both_ends() {
    let mut table = FieldTable::with_capacity(2).with(key("a"), 1);
    table.extend([(key("a"), Value::I32(2)), (key("b"), Value::I32(3))]);
    assert_eq!(pairs(&table), [("a", 1), ("a", 2), ("b", 3)]);
    assert_eq!(table.iter().len(), 3);
    assert_eq!(table.iter().next_back(), Some((&key("b"), &Value::I32(3))));
    let mut owned = table.clone().into_iter();
    assert_eq!(owned.next_back(), Some((key("b"), Value::I32(3))));
    assert_eq!(owned.len(), 2);
    assert_eq!(FieldTable::from(owned.collect::<Vec<_>>()), {
        table.remove("b");
        table
    });
}

#[test]
fn entries_without_a_length_are_the_table_less_four_octets() {
    let table = FieldTable::new().with(key("LOGIN"), "guest").with(key("PASSWORD"), "guest");
    let mut with_length = BytesMut::new();
    table.encode(&mut Writer::new(&mut with_length)).unwrap();
    let mut entries = BytesMut::new();
    table.encode_entries(&mut Writer::new(&mut entries)).unwrap();
    assert_eq!(entries, with_length[4..]);
    assert_eq!(entries.len(), table.entries_len());
    assert_eq!(FieldTable::decode_entries(&mut Reader::new(&entries)), Ok(table));
}

#[test]
fn debug_is_that_of_a_map() {
    let table = FieldTable::new().with(key("a"), 1).with(key("b"), "c");
    assert_eq!(format!("{table:?}"), r#"{b"a": I32(1), b"b": LongStr(b"c")}"#);
}
