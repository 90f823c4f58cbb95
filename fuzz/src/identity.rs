//! Decode, encode, decode: the second value is the first, and the octets between them are as many as foretold.

use std::fmt::Debug;

use amqp091_types::{Encode, EncodeError, FieldTable, Value, Writer};
use bytes::BytesMut;

/// Encodes what came from the first decoding and holds the second to it. Returns the octets, unless the value is one that
/// may be received but not sent: then `finite` has to be false.
pub(crate) fn check<T, E>(
    value: &T,
    finite: bool,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Option<BytesMut>
where
    T: Encode + PartialEq + Debug,
    E: PartialEq + Debug,
{
    let mut octets = BytesMut::from(&b"before"[..]);
    match value.encode(&mut Writer::new(&mut octets)) {
        Ok(()) => {
            assert!(finite, "a number that is not finite was written: {value:?}");
            assert_eq!(octets.split_to(6), "before");
            assert_eq!(octets.len(), value.encoded_len(), "encoded_len is exact for {value:?}");
            assert_eq!(decode(&octets).as_ref(), Ok(value));
            Some(octets)
        }
        Err(error) => {
            assert!(matches!(error, EncodeError::NotFinite { .. }), "{error} for {value:?}");
            assert!(!finite, "{error} for {value:?}");
            None
        }
    }
}

/// Whether all floating-point numbers in the table are such that they may be sent.
pub(crate) fn table_is_finite(table: &FieldTable) -> bool {
    table.iter().all(|(_, value)| value_is_finite(value))
}

fn value_is_finite(value: &Value) -> bool {
    match value {
        Value::F32(number) => number.is_finite(),
        Value::F64(number) => number.is_finite(),
        Value::Array(values) => values.iter().all(value_is_finite),
        Value::Table(table) => table_is_finite(table),
        _ => true,
    }
}
