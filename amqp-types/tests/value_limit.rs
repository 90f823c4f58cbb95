//! The limit on the number of values in one table, and what a table costs in memory.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use amqp091_types::limits::TABLE_VALUES_MAX;
use amqp091_types::{
    DecodeReason, Encode, EncodeError, FieldTable, Reader, ShortStr, Value, Writer,
};
use bytes::BytesMut;

/// A table of so many entries without key and value: two octets each.
fn of_voids(entries: usize) -> Vec<u8> {
    let mut octets = u32::try_from(2 * entries).unwrap().to_be_bytes().to_vec();
    octets.extend([0, b'V'].repeat(entries));
    octets
}

/// A table with one entry: an array of so many values, an octet each.
fn of_an_array(values: usize) -> Vec<u8> {
    let len = u32::try_from(values).unwrap();
    let mut octets = (len + 6).to_be_bytes().to_vec();
    octets.extend([0, b'A']);
    octets.extend(len.to_be_bytes());
    octets.extend(vec![b'V'; values]);
    octets
}

fn decode(octets: &[u8]) -> Result<FieldTable, DecodeReason> {
    Reader::new(octets).table("t").map_err(|error| error.reason())
}

fn encode(table: &FieldTable) -> Result<BytesMut, EncodeError> {
    let mut octets = BytesMut::new();
    table.encode(&mut Writer::new(&mut octets))?;
    Ok(octets)
}

#[test]
fn as_many_values_as_the_limit_allows_are_read_and_written() {
    for octets in [of_voids(TABLE_VALUES_MAX), of_an_array(TABLE_VALUES_MAX - 1)] {
        let table = decode(&octets).unwrap();
        assert_eq!(encode(&table).unwrap(), octets);
    }
}

#[test]
fn one_value_more_is_refused() {
    let refused = DecodeReason::TooManyValues { limit: TABLE_VALUES_MAX };
    // The values of an array are counted with the entry that holds it.
    for octets in [of_voids(TABLE_VALUES_MAX + 1), of_an_array(TABLE_VALUES_MAX)] {
        assert_eq!(decode(&octets), Err(refused));
    }
    assert_eq!(refused.to_string(), "the table has more than 65536 values");

    let entry = (ShortStr::empty(), Value::Void);
    let entries = FieldTable::from(vec![entry; TABLE_VALUES_MAX + 1]);
    let array = FieldTable::new().with(ShortStr::empty(), vec![Value::Void; TABLE_VALUES_MAX]);
    let refused = EncodeError::TooManyValues { field: "table", limit: TABLE_VALUES_MAX };
    for table in [entries, array] {
        assert_eq!(encode(&table), Err(refused));
    }
}

#[test]
fn an_entry_takes_80_octets_and_a_value_40() {
    // What the limit's documentation says of memory.
    assert!(size_of::<(ShortStr, Value)>() <= 80);
    assert!(size_of::<Value>() <= 40);
    assert_eq!(TABLE_VALUES_MAX * 80, 5 * 1024 * 1024);
}
