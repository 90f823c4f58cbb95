//! The form for machines: octets as they are on the wire, in formats that aren't for people.

use std::fmt;

use bytes::BytesMut;
use serde_core::de::{self, Deserializer, SeqAccess, Visitor};
use serde_core::ser::{self, Serializer};

use crate::codec::Encode;
use crate::error::MethodError;
use crate::method::MethodId;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;
use crate::writer::Writer;

pub(super) fn write<S: Serializer>(item: &dyn Encode, serializer: S) -> Result<S::Ok, S::Error> {
    let mut octets = BytesMut::with_capacity(item.encoded_len());
    item.encode(&mut Writer::new(&mut octets)).map_err(ser::Error::custom)?;
    serializer.serialize_bytes(&octets)
}

/// The payload of a method frame.
pub(super) fn write_method<S: Serializer>(
    id: MethodId,
    arguments: &dyn Encode,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut octets = BytesMut::with_capacity(id.encoded_len() + arguments.encoded_len());
    let mut out = Writer::new(&mut octets);
    id.encode(&mut out).map_err(ser::Error::custom)?;
    arguments.encode(&mut out).map_err(ser::Error::custom)?;
    serializer.serialize_bytes(&octets)
}

/// Octets, and behind them those of an item.
pub(super) fn write_behind<S: Serializer>(
    before: &[u8],
    item: &dyn Encode,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut octets = BytesMut::with_capacity(before.len() + item.encoded_len());
    octets.extend_from_slice(before);
    item.encode(&mut Writer::new(&mut octets)).map_err(ser::Error::custom)?;
    serializer.serialize_bytes(&octets)
}

/// A value is written in tables alone, so its octets are those of an entry behind the key, which is empty.
pub(super) fn write_value<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    let entry = FieldTable::new().with(ShortStr::empty(), value.clone());
    let mut octets = BytesMut::with_capacity(entry.entries_len());
    entry.encode_entries(&mut Writer::new(&mut octets)).map_err(ser::Error::custom)?;
    serializer.serialize_bytes(octets.get(1..).unwrap_or_default())
}

pub(super) fn read_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let mut octets = read(deserializer)?;
    octets.insert(0, 0);
    let entry = FieldTable::decode_entries(&mut crate::Reader::new(&octets));
    let mut entries = entry.map_err(de::Error::custom)?.into_iter();
    match (entries.next(), entries.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => Err(de::Error::custom("octets are left behind the value")),
    }
}

/// An error with its cause, which serde's errors have no other place for.
pub(super) fn with_cause<E: de::Error>(error: MethodError) -> E {
    match error {
        MethodError::Arguments { source, .. } | MethodError::Number { source } => {
            E::custom(format_args!("{error}: {source}"))
        }
        MethodError::Unknown { .. } | MethodError::NotExpected { .. } => E::custom(error),
    }
}

pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_byte_buf(Octets)
}

struct Octets;

impl<'de> Visitor<'de> for Octets {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("octets")
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Vec<u8>, E> {
        Ok(octets.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(octets)
    }

    /// For formats without a type for octets.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut octets = Vec::new();
        while let Some(octet) = seq.next_element()? {
            octets.push(octet);
        }
        Ok(octets)
    }
}
