//! Tables and values from what people write.
//!
//! The recursion is bounded by the level of nesting, and the sizes that a format announces are not believed.

use std::fmt;

use bytes::Bytes;
use serde_core::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use super::floats::Exact;
use super::octets;
use super::strings::{Base64, ends_after};
use super::table_rules::{TooDeep, duplicate};
use super::tags::{MARK, NoTag, Tag};
use crate::codec::Decode;
use crate::limits::TABLE_ENTRIES_AT_FIRST;
use crate::long_str::LongStr;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            InList { level: 1 }.deserialize(deserializer)
        } else {
            octets::read_value(deserializer)
        }
    }
}

impl<'de> Deserialize<'de> for FieldTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_map(TableVisitor)
        } else {
            Self::decode_all(&octets::read(deserializer)?).map_err(de::Error::custom)
        }
    }
}

/// The outermost table.
struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = FieldTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table: an object, or {\"$table\": [[key, value], ...]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldTable, A::Error> {
        match object(map, 1)? {
            Value::Table(table) => Ok(table),
            other => Err(A::Error::invalid_type(Unexpected::Other(other.type_name()), &self)),
        }
    }
}

/// A value in a table or an array of that level.
#[derive(Clone, Copy)]
struct InList {
    level: usize,
}

impl InList {
    /// The level of a list that is this value.
    fn deeper<E: de::Error>(self) -> Result<usize, E> {
        let level = self.level + 1;
        TooDeep::at(level).map_err(E::custom)?;
        Ok(level)
    }
}

impl<'de> DeserializeSeed<'de> for InList {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InList {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a table")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(i32::try_from(value).map_or(Value::I64(value), Value::I32))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(value), &"at most 2^63-1")),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::F64(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::LongStr(text.into()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::LongStr(text.into()))
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(octets)))
    }

    fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(octets.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Void)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Void)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let level = self.deeper()?;
        let mut values = Vec::with_capacity(at_first(seq.size_hint()));
        while let Some(value) = seq.next_element_seed(Self { level })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        object(map, self.level + 1)
    }
}

/// A table of that level, or what the tag says.
fn object<'de, A: MapAccess<'de>>(mut map: A, level: usize) -> Result<Value, A::Error> {
    match map.next_key()? {
        Some(Key::Tag(tag)) => {
            let value = tagged(tag, &mut map, level)?;
            ends_after(tag, &mut map)?;
            Ok(value)
        }
        first => entries(first, map, level).map(Value::Table),
    }
}

fn tagged<'de, A: MapAccess<'de>>(tag: Tag, map: &mut A, level: usize) -> Result<Value, A::Error> {
    Ok(match tag {
        Tag::I8 => Value::I8(map.next_value()?),
        Tag::U8 => Value::U8(map.next_value()?),
        Tag::I16 => Value::I16(map.next_value()?),
        Tag::U16 => Value::U16(map.next_value()?),
        Tag::I32 => Value::I32(map.next_value()?),
        Tag::U32 => Value::U32(map.next_value()?),
        Tag::I64 => Value::I64(map.next_value()?),
        Tag::F32 => Value::F32(map.next_value::<Exact<f32>>()?.0),
        // A number that another reader left as text can only be one that isn't an integer of 64 bits.
        Tag::F64 | Tag::Number => Value::F64(map.next_value::<Exact<f64>>()?.0),
        Tag::Decimal => Value::Decimal(map.next_value()?),
        Tag::Timestamp => Value::Timestamp(map.next_value()?),
        Tag::Str => Value::LongStr(LongStr::from(map.next_value::<Base64>()?.0)),
        Tag::Bytes => Value::Bytes(Bytes::from(map.next_value::<Base64>()?.0)),
        Tag::Table => Value::Table(map.next_value_seed(Pairs { level })?),
    })
}

/// The entries of an object, whose first key is read already.
fn entries<'de, A: MapAccess<'de>>(
    first: Option<Key>,
    mut map: A,
    level: usize,
) -> Result<FieldTable, A::Error> {
    TooDeep::at(level).map_err(A::Error::custom)?;
    let mut entries = Vec::with_capacity(at_first(map.size_hint()));
    let mut next = first;
    while let Some(key) = next {
        match key {
            Key::Plain(key) => entries.push((key, map.next_value_seed(InList { level })?)),
            Key::Tag(tag) => {
                let tag = tag.name();
                let message = format_args!("`{tag}` is not the only key of its object");
                return Err(A::Error::custom(message));
            }
        }
        next = map.next_key()?;
    }
    if let Some(key) = duplicate(entries.iter().map(|(key, _)| key)) {
        return Err(A::Error::custom(format_args!(
            "the key `{key}` is there twice; a table that means it is written {{\"$table\": [[key, value], ...]}}"
        )));
    }
    Ok(FieldTable::from(entries))
}

/// An object's key.
enum Key {
    Plain(ShortStr),
    Tag(Tag),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: a string of at most 255 octets")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Key, E> {
        if text.starts_with(MARK) {
            let tag = Tag::named(text);
            return tag.map(Key::Tag).ok_or_else(|| E::custom(NoTag(text)));
        }
        let key = ShortStr::new(text);
        key.map(Key::Plain).map_err(|_| E::invalid_length(text.len(), &self))
    }
}

/// The entries of a table of that level, each an array of key and value.
struct Pairs {
    level: usize,
}

impl<'de> DeserializeSeed<'de> for Pairs {
    type Value = FieldTable;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FieldTable, D::Error> {
        TooDeep::at(self.level).map_err(D::Error::custom)?;
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = FieldTable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries, each an array of a key and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FieldTable, A::Error> {
        let mut entries = Vec::with_capacity(at_first(seq.size_hint()));
        while let Some(entry) = seq.next_element_seed(Pair { level: self.level })? {
            entries.push(entry);
        }
        Ok(FieldTable::from(entries))
    }
}

struct Pair {
    level: usize,
}

impl<'de> DeserializeSeed<'de> for Pair {
    type Value = (ShortStr, Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Pair {
    type Value = (ShortStr, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of a key and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let key = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let value = seq.next_element_seed(InList { level: self.level })?;
        let value = value.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::invalid_length(3, &self));
        }
        Ok((key, value))
    }
}

/// For how many items there is room before the first is read, whatever the format announces.
fn at_first(announced: Option<usize>) -> usize {
    announced.unwrap_or(0).min(TABLE_ENTRIES_AT_FIRST)
}
