//! Tables and values as people write them.
//!
//! The recursion is over what a user built, so it stops at a level, as that of the wire does.

use serde_core::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::floats::{self, Exact};
use super::octets;
use super::strings::{write_base64, write_string};
use super::table_rules::{TooDeep, duplicate};
use super::tags::{MARK, Tag};
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            // A value is always in a table, if only in thought.
            At { level: 1, item: self }.serialize(serializer)
        } else {
            octets::write_value(self, serializer)
        }
    }
}

impl Serialize for FieldTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            At { level: 1, item: self }.serialize(serializer)
        } else {
            octets::write(self, serializer)
        }
    }
}

/// A list at its level of nesting, or what is in a list of that level.
struct At<'a, T: ?Sized> {
    level: usize,
    item: &'a T,
}

impl Serialize for At<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.item {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::I8(value) => tagged(Tag::I8, value, serializer),
            Value::U8(value) => tagged(Tag::U8, value, serializer),
            Value::I16(value) => tagged(Tag::I16, value, serializer),
            Value::U16(value) => tagged(Tag::U16, value, serializer),
            Value::I32(value) => serializer.serialize_i32(*value),
            Value::U32(value) => tagged(Tag::U32, value, serializer),
            // It would be read as an I32.
            Value::I64(value) if i32::try_from(*value).is_ok() => {
                tagged(Tag::I64, value, serializer)
            }
            Value::I64(value) => serializer.serialize_i64(*value),
            Value::F32(value) => tagged(Tag::F32, &Exact(*value), serializer),
            Value::F64(value) if floats::is_plain(*value) => serializer.serialize_f64(*value),
            Value::F64(value) => tagged(Tag::F64, &Exact(*value), serializer),
            Value::Decimal(value) => tagged(Tag::Decimal, value, serializer),
            Value::LongStr(value) => write_string(value.as_bytes(), serializer),
            Value::Array(values) => {
                At { level: self.level + 1, item: values.as_slice() }.serialize(serializer)
            }
            Value::Timestamp(value) => tagged(Tag::Timestamp, value, serializer),
            Value::Table(table) => At { level: self.level + 1, item: table }.serialize(serializer),
            Value::Void => serializer.serialize_unit(),
            Value::Bytes(value) => write_base64(Tag::Bytes, value, serializer),
        }
    }
}

fn tagged<T: Serialize, S: Serializer>(
    tag: Tag,
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag.name(), value)?;
    map.end()
}

impl Serialize for At<'_, [Value]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TooDeep::at(self.level).map_err(S::Error::custom)?;
        let mut seq = serializer.serialize_seq(Some(self.item.len()))?;
        for item in self.item {
            seq.serialize_element(&At { level: self.level, item })?;
        }
        seq.end()
    }
}

impl Serialize for At<'_, FieldTable> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TooDeep::at(self.level).map_err(S::Error::custom)?;
        if !is_object(self.item) {
            return tagged(Tag::Table, &Pairs { level: self.level, table: self.item }, serializer);
        }
        let mut map = serializer.serialize_map(Some(self.item.len()))?;
        for (key, item) in self.item {
            map.serialize_entry(key, &At { level: self.level, item })?;
        }
        map.end()
    }
}

/// Whether an object holds all of the table, and is read as one.
fn is_object(table: &FieldTable) -> bool {
    let is_plain = |key: &ShortStr| key.to_str().is_ok_and(|text| !text.starts_with(MARK));
    table.iter().all(|(key, _)| is_plain(key))
        && duplicate(table.iter().map(|(key, _)| key)).is_none()
}

struct Pairs<'a> {
    level: usize,
    table: &'a FieldTable,
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.table.len()))?;
        for (key, item) in self.table {
            seq.serialize_element(&(key, At { level: self.level, item }))?;
        }
        seq.end()
    }
}
