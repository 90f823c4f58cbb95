//! Tables: read with their length and without, they are the same; what was read can be written and read again.

use amqp091_types::limits::TABLE_DEPTH_MAX;
use amqp091_types::{Decode, DecodeError, DecodeReason, Encode, FieldTable, Reader, Value};

use crate::identity;

pub(crate) fn check(input: &[u8]) {
    let mut reader = Reader::new(input);
    let read = reader.table("headers");
    match &read {
        Ok(table) => {
            let consumed = reader.offset();
            assert_eq!(consumed + reader.remaining(), input.len());
            // No type has two forms of different lengths.
            assert_eq!(table.encoded_len(), consumed);
            let entries = &input[4..consumed];
            assert_eq!(FieldTable::decode_entries(&mut Reader::new(entries)).as_ref(), Ok(table));
            // One octet less, and the table is cut off.
            assert!(FieldTable::decode_all(&input[..consumed - 1]).is_err());
            check_table(table);
        }
        Err(error) => {
            assert_eq!(error.field(), "headers");
            check_error(error, input);
        }
    }
    let mut reader = Reader::new(input);
    if reader.skip_table("headers").is_ok() {
        // Passing over a table takes the same octets as reading it.
        assert!(read.is_err() || read.is_ok_and(|table| table.encoded_len() == reader.offset()));
    } else {
        assert!(read.is_err());
    }

    match FieldTable::decode_entries(&mut Reader::new(input)) {
        Ok(table) => {
            assert_eq!(table.entries_len(), input.len());
            check_table(&table);
        }
        Err(error) => check_error(&error, input),
    }
}

/// A decoding error points into the input and reads as a sentence.
pub(crate) fn check_error(error: &DecodeError, input: &[u8]) {
    assert!(error.offset() <= input.len(), "{error} in {} octets", input.len());
    assert!(!error.field().is_empty());
    let text = error.to_string();
    let start = format!("{}: at octet {}: ", error.field(), error.offset());
    assert!(text.starts_with(&start) && text.len() > start.len(), "{text}");
    match error.reason() {
        DecodeReason::UnexpectedEnd { needed, available } => {
            assert!(needed > available, "{error}");
            assert_eq!(error.offset() + available, input.len(), "{error}");
        }
        DecodeReason::TableLengthMismatch { needed, available } => {
            assert!(needed > available, "{error}");
            assert!(error.offset() + available <= input.len(), "{error}");
        }
        DecodeReason::TrailingOctets { count } => {
            assert_eq!(error.offset() + count, input.len(), "{error}");
        }
        DecodeReason::UnknownValueTag { tag } => {
            assert_eq!(input.get(error.offset()), Some(&tag), "{error}");
        }
        _ => {}
    }
}

fn check_table(table: &FieldTable) {
    let finite = identity::table_is_finite(table);
    identity::check(table, finite, FieldTable::decode_all);
    assert!(depth(table) <= TABLE_DEPTH_MAX);
    assert_eq!(table, &table.clone());
    assert!(format!("{table:?}").starts_with('{'));
    for (key, value) in table {
        assert!(table.get_all(key.as_bytes()).any(|found| found == value));
    }
}

fn depth(table: &FieldTable) -> usize {
    1 + table.iter().map(|(_, value)| value_depth(value)).max().unwrap_or(0)
}

fn value_depth(value: &Value) -> usize {
    match value {
        Value::Table(table) => depth(table),
        Value::Array(values) => 1 + values.iter().map(value_depth).max().unwrap_or(0),
        _ => 0,
    }
}
