//! How a table is written, and how many octets that takes.
//!
//! Both are recursions over what a user built, so both stop at [`TABLE_DEPTH_MAX`].

use crate::error::EncodeError;
use crate::limits::TABLE_DEPTH_MAX;
use crate::table::FieldTable;
use crate::value::Value;
use crate::writer::Writer;

/// The outermost table, with its length in front.
pub(crate) fn table(
    out: &mut Writer<'_>,
    table: &FieldTable,
    field: &'static str,
) -> Result<(), EncodeError> {
    table_at(out, table, field, 1)
}

/// The entries of an outermost table that has no length in front.
pub(crate) fn entries(
    out: &mut Writer<'_>,
    table: &FieldTable,
    field: &'static str,
) -> Result<(), EncodeError> {
    entries_at(out, table, field, 1)
}

/// How many octets [`entries`] writes.
pub(crate) fn entries_len(table: &FieldTable) -> usize {
    entries_len_at(table, 1)
}

fn table_at(
    out: &mut Writer<'_>,
    table: &FieldTable,
    field: &'static str,
    level: usize,
) -> Result<(), EncodeError> {
    deep_enough(field, level)?;
    out.measured(field, |out| entries_at(out, table, field, level))
}

fn entries_at(
    out: &mut Writer<'_>,
    table: &FieldTable,
    field: &'static str,
    level: usize,
) -> Result<(), EncodeError> {
    for (key, value) in table {
        out.short_str(key);
        value_at(out, value, field, level)?;
    }
    Ok(())
}

fn array_at(
    out: &mut Writer<'_>,
    values: &[Value],
    field: &'static str,
    level: usize,
) -> Result<(), EncodeError> {
    deep_enough(field, level)?;
    out.measured(field, |out| {
        for value in values {
            value_at(out, value, field, level)?;
        }
        Ok(())
    })
}

/// A value that is in a table or an array of that level.
fn value_at(
    out: &mut Writer<'_>,
    value: &Value,
    field: &'static str,
    level: usize,
) -> Result<(), EncodeError> {
    let tag = value.tag();
    match value {
        Value::Bool(value) => out.array([tag, u8::from(*value)]),
        Value::I8(value) => out.array([tag, value.cast_unsigned()]),
        Value::U8(value) => out.array([tag, *value]),
        Value::I16(value) => out.array(tagged_2(tag, value.to_be_bytes())),
        Value::U16(value) => out.array(tagged_2(tag, value.to_be_bytes())),
        Value::I32(value) => out.array(tagged_4(tag, value.to_be_bytes())),
        Value::U32(value) => out.array(tagged_4(tag, value.to_be_bytes())),
        Value::I64(value) => out.array(tagged_8(tag, value.to_be_bytes())),
        Value::F32(value) if !value.is_finite() => return Err(EncodeError::NotFinite { field }),
        Value::F32(value) => out.array(tagged_4(tag, value.to_be_bytes())),
        Value::F64(value) if !value.is_finite() => return Err(EncodeError::NotFinite { field }),
        Value::F64(value) => out.array(tagged_8(tag, value.to_be_bytes())),
        Value::Decimal(value) => {
            out.array([tag, value.scale]);
            out.array(value.value.to_be_bytes());
        }
        Value::LongStr(value) => {
            out.u8(tag);
            out.long_str(value, field)?;
        }
        Value::Array(values) => {
            out.u8(tag);
            array_at(out, values, field, level + 1)?;
        }
        Value::Timestamp(value) => out.array(tagged_8(tag, value.0.to_be_bytes())),
        Value::Table(value) => {
            out.u8(tag);
            table_at(out, value, field, level + 1)?;
        }
        Value::Void => out.u8(tag),
        Value::Bytes(value) => {
            out.u8(tag);
            out.long_octets(value, field)?;
        }
    }
    Ok(())
}

// A value is written in one go with its tag, since every append costs the buffer's bookkeeping.

const fn tagged_2(tag: u8, [a, b]: [u8; 2]) -> [u8; 3] {
    [tag, a, b]
}

const fn tagged_4(tag: u8, [a, b, c, d]: [u8; 4]) -> [u8; 5] {
    [tag, a, b, c, d]
}

const fn tagged_8(tag: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) -> [u8; 9] {
    [tag, a, b, c, d, e, f, g, h]
}

fn deep_enough(field: &'static str, level: usize) -> Result<(), EncodeError> {
    if level > TABLE_DEPTH_MAX {
        return Err(EncodeError::TooDeep { field, limit: TABLE_DEPTH_MAX });
    }
    Ok(())
}

fn entries_len_at(table: &FieldTable, level: usize) -> usize {
    table
        .iter()
        .map(|(key, value)| 1 + key.len() + value_len_at(value, level))
        .fold(0, usize::saturating_add)
}

fn value_len_at(value: &Value, level: usize) -> usize {
    let payload = match value {
        Value::Void => 0,
        Value::Bool(_) | Value::I8(_) | Value::U8(_) => 1,
        Value::I16(_) | Value::U16(_) => 2,
        Value::I32(_) | Value::U32(_) | Value::F32(_) => 4,
        Value::Decimal(_) => 5,
        Value::I64(_) | Value::F64(_) | Value::Timestamp(_) => 8,
        Value::LongStr(value) => 4 + value.len(),
        Value::Bytes(value) => 4 + value.len(),
        // Will not be written, so it has no length; what matters is to go no deeper.
        Value::Array(_) | Value::Table(_) if level >= TABLE_DEPTH_MAX => 0,
        Value::Array(values) => {
            values.iter().map(|value| value_len_at(value, level + 1)).fold(4, usize::saturating_add)
        }
        Value::Table(table) => 4 + entries_len_at(table, level + 1),
    };
    1 + payload
}
