//! Octets that a peer sends to do harm, or that were damaged: each is an error that says where, and nothing worse.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_types::limits::TABLE_DEPTH_MAX;
use amqp091_types::{
    Decimal, Decode, DecodeError, DecodeReason, Encode, EncodeError, FieldTable, Reader, ShortStr,
    Timestamp, Value, Writer,
};
use bytes::{Bytes, BytesMut};

/// Levels that no stack has room for. (Under Miri, which is a thousand times slower, fewer.)
const VERY_DEEP: u32 = if cfg!(miri) { 3_000 } else { 100_000 };

fn read(octets: &[u8]) -> Result<FieldTable, DecodeError> {
    Reader::new(octets).table("headers")
}

#[track_caller]
fn refused(octets: &[u8], offset: usize, reason: DecodeReason) {
    let expected = DecodeError::new("headers", offset, reason);
    assert_eq!(read(octets), Err(expected));
}

fn write(table: &FieldTable) -> Result<BytesMut, EncodeError> {
    let mut octets = BytesMut::new();
    Writer::new(&mut octets).table(table, "headers")?;
    Ok(octets)
}

/// Tables, `depth` of them within the outermost one, each but the last with one entry of an empty key.
fn nested_tables(depth: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    for below in (0..=depth).rev() {
        octets.extend_from_slice(&(6 * below).to_be_bytes());
        if below > 0 {
            octets.extend_from_slice(b"\x00F");
        }
    }
    octets
}

/// Arrays, `depth` of them, in a table with one entry of an empty key.
fn nested_arrays(depth: u32) -> Vec<u8> {
    let mut octets = (5 * depth + 1).to_be_bytes().to_vec();
    octets.push(0);
    for below in (0..depth).rev() {
        octets.push(b'A');
        octets.extend_from_slice(&(5 * below).to_be_bytes());
    }
    octets
}

/// Tables in arrays in tables, `depth` containers within the outermost table.
fn nested_by_turns(depth: u32) -> Vec<u8> {
    let mut octets = Vec::new();
    // Of the containers within an array, that is within every second one, there is no key.
    let mut below = (0..depth).map(|level| 6 - level % 2).sum::<u32>();
    octets.extend_from_slice(&below.to_be_bytes());
    for level in 0..depth {
        octets.extend_from_slice(if level % 2 == 0 { b"\x00A" } else { b"F" });
        below -= 6 - level % 2;
        octets.extend_from_slice(&below.to_be_bytes());
    }
    octets
}

/// One value of every type.
fn everything() -> FieldTable {
    let values = [
        Value::Bool(true),
        Value::I8(-1),
        Value::U8(1),
        Value::I16(-1),
        Value::U16(1),
        Value::I32(-1),
        Value::U32(1),
        Value::I64(-1),
        Value::F32(1.5),
        Value::F64(1.5),
        Value::Decimal(Decimal { scale: 2, value: -1 }),
        Value::from("text"),
        Value::Array(vec![Value::Void, Value::from("in an array")]),
        Value::Timestamp(Timestamp(1_700_000_000)),
        Value::Table(FieldTable::new().with(ShortStr::from_static("in"), "a table")),
        Value::Void,
        Value::Bytes(Bytes::from_static(b"\x00\xff")),
    ];
    values.into_iter().map(|value| (ShortStr::new(value.type_name()).unwrap(), value)).collect()
}

#[test]
fn tables_nest_to_the_limit_and_no_deeper() {
    let limit = TABLE_DEPTH_MAX;
    // The outermost table is level 1.
    let deepest = u32::try_from(limit).unwrap() - 1;
    for allowed in [nested_tables(deepest), nested_arrays(deepest), nested_by_turns(deepest)] {
        let table = read(&allowed).unwrap();
        assert_eq!(write(&table).unwrap(), allowed);
        assert_eq!(table.encoded_len(), allowed.len());
    }
    // At the place of the first length that is one level too deep.
    refused(&nested_tables(deepest + 1), limit * 6, DecodeReason::TooDeep { limit });
    refused(
        &nested_arrays(deepest + 1),
        5 + deepest as usize * 5 + 1,
        DecodeReason::TooDeep { limit },
    );
}

#[test]
fn a_deeply_nested_table_costs_no_stack() {
    for depth in [2_000, VERY_DEEP] {
        for octets in [nested_tables(depth), nested_arrays(depth), nested_by_turns(depth)] {
            // Less than a thread has, to see that it does not take what there is.
            let thread = std::thread::Builder::new().stack_size(256 * 1024);
            let error = thread.spawn(move || read(&octets).unwrap_err()).unwrap().join().unwrap();
            let limit = TABLE_DEPTH_MAX;
            assert_eq!(error.reason(), DecodeReason::TooDeep { limit });
        }
    }
}

#[test]
fn what_a_user_nests_too_deep_is_not_written() {
    let limit = TABLE_DEPTH_MAX;
    let too_deep = Err(EncodeError::TooDeep { field: "headers", limit });
    let deeper = |table| FieldTable::new().with(ShortStr::empty(), Value::Table(table));

    let mut table = FieldTable::new();
    for _ in 1..limit {
        table = deeper(table);
    }
    assert!(write(&table).is_ok());
    table = deeper(table);
    assert_eq!(write(&table), too_deep);

    let mut array = Value::Array(vec![]);
    for _ in 2..limit {
        array = Value::Array(vec![array]);
    }
    let in_array = FieldTable::new().with(ShortStr::empty(), array.clone());
    assert!(write(&in_array).is_ok());
    let in_array = FieldTable::new().with(ShortStr::empty(), vec![array]);
    assert_eq!(write(&in_array), too_deep);

    for _ in 0..VERY_DEEP {
        table = deeper(table);
    }
    assert_eq!(write(&table), too_deep);
    assert!(table.encoded_len() > 0);
    // Dropped at once, a value of that depth is more than the stack can bear, which only its builder can bring about.
    while let Some(Value::Table(inner)) = table.remove("") {
        table = inner;
    }
}

#[test]
fn a_claim_of_4_gib_is_not_believed() {
    let end = |available| DecodeReason::UnexpectedEnd { needed: u32::MAX as usize, available };
    let overrun =
        |available| DecodeReason::TableLengthMismatch { needed: u32::MAX as usize, available };
    refused(b"\xff\xff\xff\xff", 4, end(0));
    refused(b"\xff\xff\xff\xff\x01k", 4, end(2));
    for tag in [b'S', b'x', b'A', b'F'] {
        let octets = [0, 0, 0, 8, 1, b'k', tag, 0xff, 0xff, 0xff, 0xff, 0, 0];
        refused(&octets, 11, overrun(1));
    }
    let error = Reader::new(b"\xff\xff\xff\xff\x01").long_str("response").unwrap_err();
    assert_eq!(error, DecodeError::new("response", 4, end(1)));
    let error = Reader::new(b"\xff\xff\xff\xff\x01").skip_table("reserved-1").unwrap_err();
    assert_eq!(error, DecodeError::new("reserved-1", 4, end(1)));
}

#[test]
fn every_octet_that_is_no_tag_is_refused_where_it_stands() {
    let tags = b"tbBsUuIilLfdDSATFVx";
    for tag in 0..=u8::MAX {
        let octets = [0, 0, 0, 3, 1, b'k', tag, 0xff];
        if tags.contains(&tag) {
            let reason = read(&octets).map_err(|error| error.reason());
            assert!(!matches!(reason, Err(DecodeReason::UnknownValueTag { .. })), "{tag}");
        } else {
            refused(&octets, 6, DecodeReason::UnknownValueTag { tag });
        }
    }
}

#[test]
fn offsets_count_from_where_the_reader_began_at_any_depth() {
    // A number, then in a table an array, in that a table, in that four octets of which three are there.
    let mut octets =
        b"\x00\x07\x00\x00\x00\x17\x01aA\x00\x00\x00\x0dF\x00\x00\x00\x06\x01bI".to_vec();
    let number = octets.len();
    octets.extend_from_slice(b"\x00\x00\x00VV\x01cV");

    let mut input = Reader::new(&octets);
    input.u16("ticket").unwrap();
    let error = input.table("headers").unwrap_err();
    let reason = DecodeReason::TableLengthMismatch { needed: 4, available: 3 };
    assert_eq!(error, DecodeError::new("headers", number, reason));
}

#[test]
fn an_entry_may_not_run_over_the_end_of_its_table() {
    let overrun = |needed, available| DecodeReason::TableLengthMismatch { needed, available };
    // A key, a tag, a number, a string: the octets exist, but behind the table.
    refused(b"\x00\x00\x00\x02\x02kkV", 5, overrun(2, 1));
    refused(b"\x00\x00\x00\x02\x01kV", 6, overrun(1, 0));
    refused(b"\x00\x00\x00\x03\x01kt\x01", 7, overrun(1, 0));
    refused(b"\x00\x00\x00\x08\x01kS\x00\x00\x00\x02ab", 11, overrun(2, 1));
    refused(b"\x00\x00\x00\x05\x01kS\x00\x00\x00\x00", 7, overrun(4, 2));
}

#[test]
fn octets_behind_a_table_are_left_and_found() {
    let mut octets = write(&everything()).unwrap().to_vec();
    let len = octets.len();
    octets.extend_from_slice(b"more");
    let mut input = Reader::new(&octets);
    assert_eq!(FieldTable::decode(&mut input), Ok(everything()));
    assert_eq!((input.offset(), input.remaining()), (len, 4));
    let error = input.finish().unwrap_err();
    assert_eq!(error, DecodeError::new("end", len, DecodeReason::TrailingOctets { count: 4 }));
}

#[test]
fn a_table_cut_off_anywhere_is_an_error() {
    let octets = write(&everything()).unwrap();
    for len in 0..octets.len() {
        let error = read(&octets[..len]).unwrap_err();
        assert!(matches!(error.reason(), DecodeReason::UnexpectedEnd { .. }), "{len}: {error}");
    }
    // And so it is with the length put right, unless an entry ends there.
    let mut whole_entries = 0;
    for len in 4..octets.len() {
        let mut cut = octets[..len].to_vec();
        cut[..4].copy_from_slice(&u32::try_from(len - 4).unwrap().to_be_bytes());
        match read(&cut) {
            Ok(table) => {
                assert!(everything().into_iter().take(table.len()).eq(table));
                whole_entries += 1;
            }
            Err(error) => {
                let reason = error.reason();
                assert!(
                    matches!(reason, DecodeReason::TableLengthMismatch { .. }),
                    "{len}: {error}"
                );
                assert!(error.offset() <= len);
            }
        }
    }
    assert_eq!(whole_entries, everything().len());
}

#[test]
fn no_damaged_octet_does_harm() {
    let octets = write(&everything()).unwrap();
    for at in 0..octets.len() {
        for octet in (0..=u8::MAX).step_by(if cfg!(miri) { 51 } else { 1 }) {
            let mut damaged = octets.to_vec();
            damaged[at] = octet;
            let mut input = Reader::new(&damaged);
            match FieldTable::decode(&mut input) {
                // What could be read can be written and read again, unless the damage made a number infinite.
                Ok(table) => match write(&table) {
                    Ok(again) => assert_eq!(read(&again), Ok(table)),
                    Err(error) => assert_eq!(error, EncodeError::NotFinite { field: "headers" }),
                },
                Err(error) => {
                    assert!(error.offset() <= damaged.len());
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}

#[test]
fn entries_without_a_length_take_all_there_is() {
    let decode = |octets| FieldTable::decode_entries(&mut Reader::new(octets));
    assert_eq!(decode(b""), Ok(FieldTable::new()));
    assert_eq!(decode(b"\x01kV").unwrap().len(), 1);
    // Here no table's end is in the way, only that of the input.
    let reason = DecodeReason::UnexpectedEnd { needed: 4, available: 1 };
    assert_eq!(decode(b"\x01kI\x00"), Err(DecodeError::new("table", 3, reason)));
}
