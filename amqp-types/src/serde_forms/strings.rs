//! Short and long strings: text where they are text, a tagged object of base64 where they are not.

use std::fmt;

use bytes::Bytes;
use serde_core::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde_core::ser::{Serialize, SerializeMap, Serializer};

use super::tags::Tag;
use super::{base64, octets};
use crate::long_str::LongStr;
use crate::short_str::ShortStr;

/// Octets that are text or not, as the formats for people have them.
pub(super) fn write_string<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return serializer.serialize_bytes(octets);
    }
    match std::str::from_utf8(octets) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => write_base64(Tag::Str, octets, serializer),
    }
}

pub(super) fn write_base64<S: Serializer>(
    tag: Tag,
    octets: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag.name(), &base64::encode(octets))?;
    map.end()
}

/// A text of base64.
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64Visitor)
    }
}

struct Base64Visitor;

impl Visitor<'_> for Base64Visitor {
    type Value = Base64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 with padding")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
        let octets = base64::decode(text);
        octets.map(Base64).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// The octets of a string, in any format.
fn read_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(StringVisitor)
    } else {
        octets::read(deserializer).map(Bytes::from)
    }
}

struct StringVisitor;

impl<'de> Visitor<'de> for StringVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or {\"$str\": base64}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Bytes, E> {
        Ok(Bytes::from(text))
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(octets))
    }

    fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes::from(octets))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bytes, A::Error> {
        if map.next_key::<String>()?.is_none_or(|key| key != Tag::Str.name()) {
            return Err(de::Error::invalid_type(Unexpected::Map, &self));
        }
        let Base64(octets) = map.next_value()?;
        ends_after(Tag::Str, &mut map)?;
        Ok(Bytes::from(octets))
    }
}

/// That a tag's object has no other key.
pub(super) fn ends_after<'de, A: MapAccess<'de>>(tag: Tag, map: &mut A) -> Result<(), A::Error> {
    if map.next_key::<IgnoredAny>()?.is_some() {
        let tag = tag.name();
        return Err(de::Error::custom(format_args!("`{tag}` is not the only key of its object")));
    }
    Ok(())
}

impl Serialize for ShortStr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_string(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for ShortStr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(read_string(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for LongStr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_string(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for LongStr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_string(deserializer).map(Self::from)
    }
}
