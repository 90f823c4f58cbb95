//! Tables as a person reads them: for logs and analysers.

use std::fmt;

use crate::octets::{DEBUG_MAX, Escaped};
use crate::scalar::Timestamp;
use crate::table::FieldTable;
use crate::value::Value;

/// Entries in their order: `{"x-queue-type": "quorum", "x-max-length": 100}`.
impl fmt::Display for FieldTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            quoted(key.as_bytes(), f)?;
            write!(f, ": {value}")?;
        }
        f.write_str("}")
    }
}

/// Numbers as they are, text in quotes, other octets as a byte string; long ones are cut short.
///
/// ```
/// use amqp091_types::{Timestamp, Value};
///
/// let values = [Value::from(5), Value::from("text"), Value::Void, Value::Timestamp(Timestamp(7))];
/// assert_eq!(Value::Array(values.into()).to_string(), r#"[5, "text", void, timestamp 7]"#);
/// ```
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::I8(value) => value.fmt(f),
            Self::U8(value) => value.fmt(f),
            Self::I16(value) => value.fmt(f),
            Self::U16(value) => value.fmt(f),
            Self::I32(value) => value.fmt(f),
            Self::U32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            // With a point, so that it is told from an integer.
            Self::F32(value) => write!(f, "{value:?}"),
            Self::F64(value) => write!(f, "{value:?}"),
            Self::Decimal(value) => write!(f, "{}e-{}", value.value, value.scale),
            Self::LongStr(value) => quoted(value.as_bytes(), f),
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Timestamp(Timestamp(seconds)) => write!(f, "timestamp {seconds}"),
            Self::Table(table) => table.fmt(f),
            Self::Void => f.write_str("void"),
            Self::Bytes(octets) => write!(f, "{:?}", Escaped(octets)),
        }
    }
}

/// A text with the escapes of Rust; other octets as a byte string. The long ones are cut short.
pub(crate) fn quoted(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match std::str::from_utf8(octets) {
        Ok(text) if octets.len() <= DEBUG_MAX => write!(f, "{text:?}"),
        _ => write!(f, "{:?}", Escaped(octets)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Decimal, LongStr, ShortStr};

    #[test]
    fn every_type_has_a_form() {
        let table = FieldTable::new().with(ShortStr::from_static("k"), "a\"b");
        for (value, expected) in [
            (Value::Bool(true), "true"),
            (Value::I8(-1), "-1"),
            (Value::U8(1), "1"),
            (Value::I16(-2), "-2"),
            (Value::U16(2), "2"),
            (Value::I32(-3), "-3"),
            (Value::U32(3), "3"),
            (Value::I64(-4), "-4"),
            (Value::F32(1.0), "1.0"),
            (Value::F64(f64::NAN), "NaN"),
            (Value::Decimal(Decimal { scale: 2, value: -5 }), "-5e-2"),
            (Value::LongStr(LongStr::from(&b"\xff"[..])), r#"b"\xff""#),
            (
                Value::Array(vec![Value::Table(table.clone()), Value::Void]),
                r#"[{"k": "a\"b"}, void]"#,
            ),
            (Value::Timestamp(Timestamp(9)), "timestamp 9"),
            (Value::Bytes(Bytes::from_static(b"x")), r#"b"x""#),
            (Value::Table(FieldTable::new()), "{}"),
        ] {
            assert_eq!(value.to_string(), expected);
        }
        let two = table.with(ShortStr::from_static("n"), 5);
        assert_eq!(two.to_string(), r#"{"k": "a\"b", "n": 5}"#);
    }

    #[test]
    fn what_is_long_is_cut() {
        let text = Value::from("a".repeat(300)).to_string();
        assert!(text.ends_with("and 44 more octets"), "{text}");
    }
}
