//! How a table is written, and how many octets that takes.
//!
//! Both are recursions over what a user built, so both stop at [`TABLE_DEPTH_MAX`].

use crate::error::EncodeError;
use crate::layout::Sink;
use crate::limits::{TABLE_DEPTH_MAX, TABLE_VALUES_MAX};
use crate::table::FieldTable;
use crate::value::Value;

/// What has values in it.
#[derive(Clone, Copy, Debug)]
pub enum Nested<'a> {
    /// A table.
    Table(&'a FieldTable),
    /// An array.
    Array(&'a [Value]),
}

/// A table or an array of that level, with its length in front.
#[inline(always)]
pub(crate) fn nested<S: Sink>(
    out: &mut S,
    value: Nested<'_>,
    field: &'static str,
    level: usize,
    left: &mut usize,
) -> Result<(), S::Error> {
    if level > TABLE_DEPTH_MAX {
        return Err(S::refuse(EncodeError::TooDeep { field, limit: TABLE_DEPTH_MAX }));
    }
    out.measured(field, |out| match value {
        Nested::Table(table) => entries_at(out, table, field, level, left),
        Nested::Array(values) => {
            few_enough::<S>(values.len(), field, left)?;
            for value in values {
                value_at(out, value, field, level, left)?;
            }
            Ok(())
        }
    })
}

/// The entries of an outermost table that has no length in front.
pub(crate) fn entries<S: Sink>(
    out: &mut S,
    table: &FieldTable,
    field: &'static str,
) -> Result<(), S::Error> {
    entries_at(out, table, field, 1, &mut { TABLE_VALUES_MAX })
}

/// A value that is in no table.
pub(crate) fn value<S: Sink>(
    out: &mut S,
    value: &Value,
    field: &'static str,
) -> Result<(), S::Error> {
    value_at(out, value, field, 0, &mut { TABLE_VALUES_MAX })
}

/// How many octets [`value`] writes.
pub(crate) fn value_len(value: &Value) -> usize {
    value_len_at(value, 0)
}

/// How many octets [`entries`] writes.
pub(crate) fn entries_len(table: &FieldTable) -> usize {
    entries_len_at(table, 1)
}

#[inline(always)]
fn entries_at<S: Sink>(
    out: &mut S,
    table: &FieldTable,
    field: &'static str,
    level: usize,
    left: &mut usize,
) -> Result<(), S::Error> {
    few_enough::<S>(table.len(), field, left)?;
    for (key, value) in table {
        out.short_str(key)?;
        value_at(out, value, field, level, left)?;
    }
    Ok(())
}

/// A value that is in a table or an array of that level.
#[inline(always)]
fn value_at<S: Sink>(
    out: &mut S,
    value: &Value,
    field: &'static str,
    level: usize,
    left: &mut usize,
) -> Result<(), S::Error> {
    match value {
        Value::Array(values) => {
            out.u8(value.tag())?;
            out.nested(Nested::Array(values), field, level + 1, left)
        }
        Value::Table(table) => {
            out.u8(value.tag())?;
            out.nested(Nested::Table(table), field, level + 1, left)
        }
        _ => flat(out, value, field),
    }
}

/// Apart from the others, because it takes stack for each kind of value, where those above nest.
#[cfg_attr(not(debug_assertions), inline(always))]
fn flat<S: Sink>(out: &mut S, value: &Value, field: &'static str) -> Result<(), S::Error> {
    let tag = value.tag();
    match value {
        Value::Bool(value) => out.array([tag, u8::from(*value)])?,
        Value::I8(value) => out.array([tag, value.cast_unsigned()])?,
        Value::U8(value) => out.array([tag, *value])?,
        Value::I16(value) => out.array(tagged_2(tag, value.to_be_bytes()))?,
        Value::U16(value) => out.array(tagged_2(tag, value.to_be_bytes()))?,
        Value::I32(value) => out.array(tagged_4(tag, value.to_be_bytes()))?,
        Value::U32(value) => out.array(tagged_4(tag, value.to_be_bytes()))?,
        Value::I64(value) => out.array(tagged_8(tag, value.to_be_bytes()))?,
        Value::F32(value) if !value.is_finite() => {
            return Err(S::refuse(EncodeError::NotFinite { field }));
        }
        Value::F32(value) => out.array(tagged_4(tag, value.to_be_bytes()))?,
        Value::F64(value) if !value.is_finite() => {
            return Err(S::refuse(EncodeError::NotFinite { field }));
        }
        Value::F64(value) => out.array(tagged_8(tag, value.to_be_bytes()))?,
        Value::Decimal(value) => {
            out.array([tag, value.scale])?;
            out.array(value.value.to_be_bytes())?;
        }
        Value::LongStr(value) => {
            out.u8(tag)?;
            out.long_str(value, field)?;
        }
        Value::Timestamp(value) => out.array(tagged_8(tag, value.0.to_be_bytes()))?,
        Value::Void => out.u8(tag)?,
        Value::Bytes(value) => {
            out.u8(tag)?;
            out.long_octets(value, field)?;
        }
        // They are written above.
        Value::Array(_) | Value::Table(_) => {}
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

/// Takes that many values from those that are left.
#[inline(always)]
fn few_enough<S: Sink>(
    values: usize,
    field: &'static str,
    left: &mut usize,
) -> Result<(), S::Error> {
    match left.checked_sub(values) {
        Some(others) => {
            *left = others;
            Ok(())
        }
        None => Err(S::refuse(EncodeError::TooManyValues { field, limit: TABLE_VALUES_MAX })),
    }
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
