//! Content properties of any class, by its name: `{"basic": {"delivery_mode": 2}}`.

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_core::ser::{SerializeMap, Serializer};

use super::methods::{Fields, Fill, Known, Null, is_spelled};
use super::octets;
use crate::codec::Encode;
use crate::error::PropertiesError;
use crate::reflect::Reflect;
use crate::schema::ClassInfo;

/// An enum of content properties, by its inherent functions.
pub trait PropertiesEnum: Reflect + Encode + Sized {
    /// All classes of the protocol.
    const CLASSES: &'static [&'static ClassInfo];

    /// Whose properties they are.
    fn class(&self) -> &'static ClassInfo;
    /// Those of that class, none of which is there; `None` if it has no properties.
    fn new(class_id: u16) -> Option<Self>;
    /// Reads flags and values.
    ///
    /// # Errors
    ///
    /// If the class has no properties, or they are malformed.
    fn decode(class_id: u16, octets: &[u8]) -> Result<Self, PropertiesError>;
}

/// Properties, with the name of their class.
pub fn serialize_any_properties<T: PropertiesEnum, S: Serializer>(
    properties: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let class = properties.class();
    if serializer.is_human_readable() {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(class.name, &Fields(properties))?;
        map.end()
    } else {
        octets::write_behind(&class.id.to_be_bytes(), properties, serializer)
    }
}

/// Properties of whichever class.
pub fn deserialize_any_properties<'de, T: PropertiesEnum, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_map(AnyPropertiesVisitor(T::new, T::CLASSES));
    }
    let octets = octets::read(deserializer)?;
    let (class_id, properties) =
        octets.split_first_chunk().ok_or_else(|| D::Error::custom("no class id"))?;
    let properties = T::decode(u16::from_be_bytes(*class_id), properties);
    properties.map_err(|error| D::Error::custom(error.cause()))
}

/// An object whose only key says which class its value has the properties of.
struct AnyPropertiesVisitor<T>(fn(u16) -> Option<T>, &'static [&'static ClassInfo]);

impl<'de, T: PropertiesEnum> Visitor<'de> for AnyPropertiesVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content properties: an object like {\"basic\": {\"delivery_mode\": 2}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let Some(class) = map.next_key_seed(ClassName { classes: self.1 })? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let Some(mut properties) = (self.0)(class.id) else {
            return Err(A::Error::custom(format_args!("{} has no properties", class.name)));
        };
        map.next_value_seed(Fill { owner: &mut properties, null: Null::Absent })?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("properties of more than one class in an object"));
        }
        Ok(properties)
    }
}

/// The name of a class that has properties.
struct ClassName {
    classes: &'static [&'static ClassInfo],
}

impl<'de> DeserializeSeed<'de> for ClassName {
    type Value = &'static ClassInfo;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ClassName {
    type Value = &'static ClassInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a class that has content properties, like basic")
    }

    fn visit_str<E: serde_core::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let with_properties = || self.classes.iter().filter(|class| !class.properties.is_empty());
        with_properties().find(|class| is_spelled(class.name, name)).copied().ok_or_else(|| {
            let known: Vec<_> = with_properties().map(|class| class.name).collect();
            let known = Known(&known);
            E::custom(format_args!("`{name}` has no content properties, {known} has"))
        })
    }
}
