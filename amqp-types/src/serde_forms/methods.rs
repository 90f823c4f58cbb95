//! Methods and content properties, by their names and fields: one implementation for all that is generated.
//!
//! What is generic over the method does nothing but hand it on as a `dyn Reflect`, as there are many methods.

use std::fmt;

use serde_core::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde_core::ser::{Serialize, SerializeMap, Serializer};

use super::octets;
use crate::codec::{Decode, Encode};
use crate::error::MethodError;
use crate::field::{FieldRef, FieldValue};
use crate::method::MethodId;
use crate::reflect::Reflect;
use crate::schema::{ClassInfo, FieldInfo, MethodInfo, WireType};

/// An enum of methods, by its inherent functions.
pub trait MethodEnum: Reflect + Encode + Sized {
    /// Its own name, for errors.
    const NAME: &'static str;
    /// All classes of the protocol.
    const CLASSES: &'static [&'static ClassInfo];

    /// Which method it is.
    fn id(&self) -> MethodId;
    /// The method with its default arguments; `None` if it isn't one of these.
    fn new(id: MethodId) -> Option<Self>;
    /// Reads the payload of a method frame.
    ///
    /// # Errors
    ///
    /// If it isn't one of these methods, or is malformed.
    fn from_payload(payload: &[u8]) -> Result<Self, MethodError>;
}

/// The fields of a method's struct, or of content properties.
pub fn serialize_fields<T: Reflect + Encode, S: Serializer>(
    owner: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        Fields(owner).serialize(serializer)
    } else {
        octets::write(owner, serializer)
    }
}

/// A method's struct.
pub fn deserialize_method<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Reflect + Decode + Default,
    D: Deserializer<'de>,
{
    deserialize_fields(deserializer, Null::Refused)
}

/// Content properties, where `null` is one that isn't there.
pub fn deserialize_properties<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Reflect + Decode + Default,
    D: Deserializer<'de>,
{
    deserialize_fields(deserializer, Null::Absent)
}

fn deserialize_fields<'de, T, D>(deserializer: D, null: Null) -> Result<T, D::Error>
where
    T: Reflect + Decode + Default,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        let mut owner = T::default();
        Fill { owner: &mut owner, null }.deserialize(deserializer)?;
        Ok(owner)
    } else {
        T::decode_all(&octets::read(deserializer)?).map_err(D::Error::custom)
    }
}

/// A method, with its name.
pub fn serialize_any_method<T: MethodEnum, S: Serializer>(
    method: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(method.name(), &Fields(method))?;
        map.end()
    } else {
        octets::write_method(method.id(), method, serializer)
    }
}

/// A method, whichever it is.
pub fn deserialize_any_method<'de, T: MethodEnum, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_map(AnyMethodVisitor(T::new))
    } else {
        T::from_payload(&octets::read(deserializer)?).map_err(octets::with_cause)
    }
}

/// All fields but the reserved ones, and the properties that aren't there. Named as in Rust: people have tools that take a
/// hyphen for a minus.
pub(super) struct Fields<'a>(pub(super) &'a dyn Reflect);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields().count()))?;
        for (info, value) in self.0.fields() {
            map.serialize_entry(info.rust_name, &Field(value))?;
        }
        map.end()
    }
}

struct Field<'a>(FieldRef<'a>);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            FieldRef::Bit(value) => serializer.serialize_bool(value),
            FieldRef::Octet(value) => serializer.serialize_u8(value),
            FieldRef::Short(value) => serializer.serialize_u16(value),
            FieldRef::Long(value) => serializer.serialize_u32(value),
            FieldRef::LongLong(value) => serializer.serialize_u64(value),
            FieldRef::ShortStr(value) => value.serialize(serializer),
            FieldRef::LongStr(value) => value.serialize(serializer),
            FieldRef::Timestamp(value) => value.serialize(serializer),
            FieldRef::Table(value) => value.serialize(serializer),
        }
    }
}

/// What `null` says of a field.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Null {
    /// Nothing.
    Refused,
    /// That it isn't there.
    Absent,
}

/// Sets the fields that are given.
pub(super) struct Fill<'a> {
    pub(super) owner: &'a mut dyn Reflect,
    pub(super) null: Null,
}

impl<'de> DeserializeSeed<'de> for Fill<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the fields of {}", self.owner.name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { owner, null } = self;
        let schema = owner.schema();
        let mut given = vec![false; schema.len()];
        while let Some(index) = map.next_key_seed(FieldName { owner: owner.name(), schema })? {
            let (Some(given), Some(info)) = (given.get_mut(index), schema.get(index)) else {
                continue; // Not from `FieldName`.
            };
            if std::mem::replace(given, true) {
                let (owner, name) = (owner.name(), info.rust_name);
                return Err(A::Error::custom(format_args!("{owner}.{name} is there twice")));
            }
            let value = map.next_value_seed(Holds { wire_type: info.wire_type, null });
            // Errors of formats quote what they didn't expect.
            let value = if info.secret { value.map_err(|_| hidden(owner, info))? } else { value? };
            if let Some(value) = value {
                owner.set_field_at(index, value).map_err(A::Error::custom)?;
            }
        }
        Ok(())
    }
}

/// That a field can't hold what is there, which may be a credential.
fn hidden<E: de::Error>(owner: &dyn Reflect, info: &FieldInfo) -> E {
    let (owner, name, wire_type) = (owner.name(), info.name, info.wire_type);
    E::custom(format_args!("{owner}.{name}: not a {wire_type} (what is there isn't shown)"))
}

/// The name of a field, as its place in the schema.
struct FieldName {
    owner: &'static str,
    schema: &'static [FieldInfo],
}

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a field of {}", self.owner)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        let kept = || self.schema.iter().enumerate().filter(|(_, info)| !info.reserved);
        let place = kept().find(|(_, info)| info.is_named(name));
        place.map(|(index, _)| index).ok_or_else(|| {
            let known: Vec<_> = kept().map(|(_, info)| info.rust_name).collect();
            E::custom(format_args!("{} has no field `{name}`, {}", self.owner, Known(&known)))
        })
    }
}

/// Whether a name of the specification is given, with its hyphens or with underscores for them.
pub(super) fn is_spelled(name: &str, given: &str) -> bool {
    let as_in_rust = |octet: u8| if octet == b'-' { b'_' } else { octet };
    name.bytes().map(as_in_rust).eq(given.bytes().map(as_in_rust))
}

/// What may stand in another's place.
pub(super) struct Known<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for Known<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("as it has none"),
            [only] => write!(f, "only `{only}`"),
            [first, others @ ..] => {
                write!(f, "only `{first}`")?;
                others.iter().try_for_each(|other| write!(f, ", `{other}`"))
            }
        }
    }
}

/// What a field of that type is to hold; `None` if that is nothing.
#[derive(Clone, Copy)]
struct Holds {
    wire_type: WireType,
    null: Null,
}

impl<'de> DeserializeSeed<'de> for Holds {
    type Value = Option<FieldValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.null == Null::Absent {
            return deserializer.deserialize_option(self);
        }
        Ok(Some(match self.wire_type {
            WireType::Bit => FieldValue::Bit(Deserialize::deserialize(deserializer)?),
            WireType::Octet => FieldValue::Octet(Deserialize::deserialize(deserializer)?),
            WireType::Short => FieldValue::Short(Deserialize::deserialize(deserializer)?),
            WireType::Long => FieldValue::Long(Deserialize::deserialize(deserializer)?),
            WireType::LongLong => FieldValue::LongLong(Deserialize::deserialize(deserializer)?),
            WireType::ShortStr => FieldValue::ShortStr(Deserialize::deserialize(deserializer)?),
            WireType::LongStr => FieldValue::LongStr(Deserialize::deserialize(deserializer)?),
            WireType::Timestamp => FieldValue::Timestamp(Deserialize::deserialize(deserializer)?),
            WireType::Table => FieldValue::Table(Deserialize::deserialize(deserializer)?),
        }))
    }
}

impl<'de> Visitor<'de> for Holds {
    type Value = Option<FieldValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}, or null", self.wire_type)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Self { null: Null::Refused, ..self }.deserialize(deserializer)
    }
}

/// An object whose only key says which method its value has the arguments of.
struct AnyMethodVisitor<T>(fn(MethodId) -> Option<T>);

impl<'de, T: MethodEnum> Visitor<'de> for AnyMethodVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a method: an object like {\"basic.publish\": {\"routing_key\": \"work\"}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let Some(info) = map.next_key_seed(MethodName { classes: T::CLASSES })? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let Some(mut method) = (self.0)(info.id) else {
            let message = format_args!("{} is no method of {}", info.name, T::NAME);
            return Err(A::Error::custom(message));
        };
        map.next_value_seed(Fill { owner: &mut method, null: Null::Refused })?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("more than one method in an object"));
        }
        Ok(method)
    }
}

/// The name of a method: the specification's, or with underscores for its hyphens.
struct MethodName {
    classes: &'static [&'static ClassInfo],
}

impl<'de> DeserializeSeed<'de> for MethodName {
    type Value = &'static MethodInfo;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MethodName {
    type Value = &'static MethodInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a method, like basic.publish")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let mut methods = self.classes.iter().flat_map(|class| class.methods);
        if let Some(info) = methods.find(|info| is_spelled(info.name, name)) {
            return Ok(info);
        }
        let class = name
            .split_once('.')
            .and_then(|(class, _)| self.classes.iter().find(|known| is_spelled(known.name, class)));
        Err(match class {
            Some(class) => {
                let known: Vec<_> = class.methods.iter().map(|info| info.name).collect();
                E::custom(format_args!("{} has no method `{name}`, {}", class.name, Known(&known)))
            }
            None => {
                let known: Vec<_> = self.classes.iter().map(|class| class.name).collect();
                E::custom(format_args!(
                    "no class has a method `{name}`; the classes: {}",
                    Known(&known)
                ))
            }
        })
    }
}
