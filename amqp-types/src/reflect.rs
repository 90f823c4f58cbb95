//! The fields of a method whose type isn't known at compile time: what a wire analyser, a proxy or a generic test needs.

use std::fmt;
use std::slice;

use thiserror::Error;

use crate::codec::Encode;
use crate::display::quoted;
use crate::error::{DecodeError, EncodeError};
use crate::long_str::LongStr;
use crate::reader::Reader;
use crate::scalar::Timestamp;
use crate::schema::{FieldInfo, WireType};
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::validate::{Profile, ValidationError, violations};
use crate::writer::Writer;

/// Gives the fields of a method, or of content properties, by name and number.
///
/// Implemented by all that is generated: the methods, the properties, and the enums of methods.
///
/// ```
/// use amqp091_types::schema::{FieldInfo, WireType};
/// use amqp091_types::{FieldError, FieldMut, FieldRef, FieldValue, Reflect};
///
/// // As the generator writes it.
/// struct Ack { delivery_tag: u64, multiple: bool }
/// impl Reflect for Ack {
///     fn name(&self) -> &'static str { "basic.ack" }
///     fn schema(&self) -> &'static [FieldInfo] {
///         const { &[
///             FieldInfo::new("delivery-tag", WireType::LongLong),
///             FieldInfo::new("multiple", WireType::Bit),
///         ] }
///     }
///     fn field_at(&self, index: usize) -> Option<FieldRef<'_>> {
///         match index {
///             0 => Some(FieldRef::LongLong(self.delivery_tag)),
///             1 => Some(FieldRef::Bit(self.multiple)),
///             _ => None,
///         }
///     }
///     fn field_mut_at(&mut self, index: usize) -> Option<FieldMut<'_>> {
///         match index {
///             0 => Some(FieldMut::LongLong(&mut self.delivery_tag)),
///             1 => Some(FieldMut::Bit(&mut self.multiple)),
///             _ => None,
///         }
///     }
///     fn as_reflect(&self) -> &dyn Reflect { self }
/// }
///
/// let mut ack = Ack { delivery_tag: 7, multiple: false };
/// ack.set_field("multiple", FieldValue::Bit(true))?;
/// assert_eq!(ack.field("delivery-tag"), Some(FieldRef::LongLong(7)));
/// assert_eq!(ack.field("delivery_tag"), Some(FieldRef::LongLong(7)));
/// assert_eq!(ack.describe().to_string(), "basic.ack(delivery-tag: 7, multiple: true)");
///
/// let error = ack.set_field("delivery-tag", FieldValue::Octet(7)).unwrap_err();
/// assert_eq!(error.to_string(), "basic.ack.delivery-tag is a longlong, not an octet");
/// # Ok::<(), FieldError>(())
/// ```
pub trait Reflect {
    /// Whose fields they are: `basic.publish`, or `basic.properties`.
    fn name(&self) -> &'static str;

    /// What the specification says about the fields, in the order of the wire.
    fn schema(&self) -> &'static [FieldInfo];

    /// What the field with that place in [`schema`](Self::schema) holds.
    ///
    /// `None` for a reserved field, a property that isn't there, and a place that there isn't.
    fn field_at(&self, index: usize) -> Option<FieldRef<'_>>;

    /// The field with that place in [`schema`](Self::schema), to be changed.
    ///
    /// `None` for a reserved field, and a place that there isn't.
    fn field_mut_at(&mut self, index: usize) -> Option<FieldMut<'_>>;

    /// Itself; of an enum of methods, the method.
    fn as_reflect(&self) -> &dyn Reflect;

    /// Changes the field with that place in [`schema`](Self::schema). A property that wasn't there is then.
    ///
    /// # Errors
    ///
    /// If there is no such field, if it is reserved, or if it is of another type. Then nothing is changed.
    fn set_field_at(&mut self, index: usize, value: FieldValue) -> Result<(), FieldError> {
        let (owner, schema) = (self.name(), self.schema());
        let refused = |value: &FieldValue| FieldError::refused(owner, schema, index, value);
        match self.field_mut_at(index) {
            Some(field) => field.set(value).map_err(|value| refused(&value)),
            None => Err(refused(&value)),
        }
    }

    /// All fields with what they hold, in the order of the wire; without the reserved ones, and without
    /// properties that aren't there.
    fn fields(&self) -> Fields<'_> {
        Fields { owner: self.as_reflect(), schema: self.schema().iter(), index: 0 }
    }

    /// What the field of that name holds, spelled as in the specification (`routing-key`) or as in Rust (`routing_key`).
    fn field(&self, name: &str) -> Option<FieldRef<'_>> {
        self.field_at(place(self.schema(), name)?)
    }

    /// Changes the field of that name, spelled as in the specification or as in Rust.
    ///
    /// # Errors
    ///
    /// As [`set_field_at`](Self::set_field_at).
    fn set_field(&mut self, name: &str, value: FieldValue) -> Result<(), FieldError> {
        let unknown = || FieldError::Unknown { owner: self.name(), field: name.into() };
        let index = place(self.schema(), name).ok_or_else(unknown)?;
        self.set_field_at(index, value)
    }

    /// The name and all fields on one line, those that hold credentials left out.
    fn describe(&self) -> Describe<'_> {
        Describe(self.as_reflect())
    }

    /// Whether all fields are as the specification asserts: name lengths and characters, values that must be there.
    ///
    /// This is advice for those who want to be strict before sending. RabbitMQ enforces none of it, and takes any
    /// name of up to 255 octets, so the codec doesn't either. [`Profile::Pamqp`] is more lenient.
    ///
    /// # Errors
    ///
    /// The first violation: which field, which rule, which value. [`violations`](Self::violations) gives all.
    fn validate(&self) -> Result<(), ValidationError> {
        self.violations(Profile::Specification).into_iter().next().map_or(Ok(()), Err)
    }

    /// All fields that aren't as that profile wants them; empty if they are.
    fn violations(&self, profile: Profile) -> Vec<ValidationError> {
        violations(self.as_reflect(), profile, None)
    }

    /// [`violations`](Self::violations) of the specification, also against the method that this one answers:
    /// connection.tune-ok must not ask for more channels than connection.tune offered.
    fn validate_reply_to(&self, request: &dyn Reflect) -> Vec<ValidationError> {
        violations(self.as_reflect(), Profile::Specification, Some(request))
    }
}

/// Where the field of that name stands.
fn place(schema: &[FieldInfo], name: &str) -> Option<usize> {
    schema.iter().position(|info| info.is_named(name))
}

/// What a field holds, borrowed where it isn't a number.
///
/// Exhaustive on purpose, as [`WireType`] is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldRef<'a> {
    /// A bit.
    Bit(bool),
    /// An octet.
    Octet(u8),
    /// A short integer; also a reply code.
    Short(u16),
    /// A long integer.
    Long(u32),
    /// A long long integer.
    LongLong(u64),
    /// A short string.
    ShortStr(&'a ShortStr),
    /// A long string.
    LongStr(&'a LongStr),
    /// A timestamp.
    Timestamp(Timestamp),
    /// A table.
    Table(&'a FieldTable),
}

impl FieldRef<'_> {
    /// The type on the wire.
    pub const fn wire_type(&self) -> WireType {
        match self {
            Self::Bit(_) => WireType::Bit,
            Self::Octet(_) => WireType::Octet,
            Self::Short(_) => WireType::Short,
            Self::Long(_) => WireType::Long,
            Self::LongLong(_) => WireType::LongLong,
            Self::ShortStr(_) => WireType::ShortStr,
            Self::LongStr(_) => WireType::LongStr,
            Self::Timestamp(_) => WireType::Timestamp,
            Self::Table(_) => WireType::Table,
        }
    }

    /// The number, if it is one; a timestamp is, a bit isn't.
    pub const fn as_u64(&self) -> Option<u64> {
        Some(match *self {
            Self::Octet(value) => value as u64,
            Self::Short(value) => value as u64,
            Self::Long(value) => value as u64,
            Self::LongLong(value) | Self::Timestamp(Timestamp(value)) => value,
            Self::Bit(_) | Self::ShortStr(_) | Self::LongStr(_) | Self::Table(_) => return None,
        })
    }

    /// The octets, if it is a string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::ShortStr(value) => Some(value.as_bytes()),
            Self::LongStr(value) => Some(value.as_bytes()),
            _ => None,
        }
    }
}

/// As the field stands on the wire by itself. (Consecutive bits of a method share octets; this one has an octet of its own.)
impl Encode for FieldRef<'_> {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Bit(_) | Self::Octet(_) => 1,
            Self::Short(_) => 2,
            Self::Long(_) => 4,
            Self::LongLong(_) | Self::Timestamp(_) => 8,
            Self::ShortStr(value) => value.encoded_len(),
            Self::LongStr(value) => value.encoded_len(),
            Self::Table(value) => value.encoded_len(),
        }
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Bit(value) => out.u8(u8::from(*value)),
            Self::Octet(value) => out.u8(*value),
            Self::Short(value) => out.u16(*value),
            Self::Long(value) => out.u32(*value),
            Self::LongLong(value) => out.u64(*value),
            Self::Timestamp(value) => out.timestamp(*value),
            Self::ShortStr(value) => out.short_str(value),
            Self::LongStr(value) => out.long_str(value, "longstr")?,
            Self::Table(value) => out.table(value, "table")?,
        }
        Ok(())
    }
}

/// Numbers and bits as they are, strings in quotes, the long ones cut short.
impl fmt::Display for FieldRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bit(value) => value.fmt(f),
            Self::Octet(value) => value.fmt(f),
            Self::Short(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::LongLong(value) | Self::Timestamp(Timestamp(value)) => value.fmt(f),
            Self::ShortStr(value) => quoted(value.as_bytes(), f),
            Self::LongStr(value) => quoted(value.as_bytes(), f),
            Self::Table(value) => value.fmt(f),
        }
    }
}

/// What a field is to hold.
///
/// Exhaustive on purpose, as [`WireType`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// A bit.
    Bit(bool),
    /// An octet.
    Octet(u8),
    /// A short integer; also a reply code.
    Short(u16),
    /// A long integer.
    Long(u32),
    /// A long long integer.
    LongLong(u64),
    /// A short string.
    ShortStr(ShortStr),
    /// A long string.
    LongStr(LongStr),
    /// A timestamp.
    Timestamp(Timestamp),
    /// A table.
    Table(FieldTable),
}

impl FieldValue {
    /// Reads a field of that type that stands by itself: a bit in an octet of its own. `field` is its name for the
    /// error.
    ///
    /// ```
    /// use amqp091_types::schema::WireType;
    /// use amqp091_types::{FieldValue, Reader};
    ///
    /// let mut input = Reader::new(b"\x00\x3c\x03key");
    /// assert_eq!(FieldValue::decode(WireType::Short, &mut input, "a")?, FieldValue::Short(60));
    /// let key = FieldValue::decode(WireType::ShortStr, &mut input, "b")?;
    /// assert_eq!(key.as_field_ref().as_bytes(), Some(&b"key"[..]));
    /// # Ok::<(), amqp091_types::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the octets are too few or not of this type.
    pub fn decode(
        wire_type: WireType,
        input: &mut Reader<'_>,
        field: &'static str,
    ) -> Result<Self, DecodeError> {
        Ok(match wire_type {
            WireType::Bit => {
                let [bit] = input.bits(field)?;
                Self::Bit(bit)
            }
            WireType::Octet => Self::Octet(input.u8(field)?),
            WireType::Short => Self::Short(input.u16(field)?),
            WireType::Long => Self::Long(input.u32(field)?),
            WireType::LongLong => Self::LongLong(input.u64(field)?),
            WireType::ShortStr => Self::ShortStr(input.short_str(field)?),
            WireType::LongStr => Self::LongStr(input.long_str(field)?),
            WireType::Timestamp => Self::Timestamp(input.timestamp(field)?),
            WireType::Table => Self::Table(input.table(field)?),
        })
    }

    /// The same, borrowed.
    pub const fn as_field_ref(&self) -> FieldRef<'_> {
        match self {
            Self::Bit(value) => FieldRef::Bit(*value),
            Self::Octet(value) => FieldRef::Octet(*value),
            Self::Short(value) => FieldRef::Short(*value),
            Self::Long(value) => FieldRef::Long(*value),
            Self::LongLong(value) => FieldRef::LongLong(*value),
            Self::ShortStr(value) => FieldRef::ShortStr(value),
            Self::LongStr(value) => FieldRef::LongStr(value),
            Self::Timestamp(value) => FieldRef::Timestamp(*value),
            Self::Table(value) => FieldRef::Table(value),
        }
    }
}

impl From<FieldRef<'_>> for FieldValue {
    fn from(value: FieldRef<'_>) -> Self {
        match value {
            FieldRef::Bit(value) => Self::Bit(value),
            FieldRef::Octet(value) => Self::Octet(value),
            FieldRef::Short(value) => Self::Short(value),
            FieldRef::Long(value) => Self::Long(value),
            FieldRef::LongLong(value) => Self::LongLong(value),
            FieldRef::ShortStr(value) => Self::ShortStr(value.clone()),
            FieldRef::LongStr(value) => Self::LongStr(value.clone()),
            FieldRef::Timestamp(value) => Self::Timestamp(value),
            FieldRef::Table(value) => Self::Table(value.clone()),
        }
    }
}

/// A field to be changed; of content properties, one that may be absent.
///
/// Exhaustive on purpose, as [`WireType`] is.
#[derive(Debug)]
pub enum FieldMut<'a> {
    /// A bit.
    Bit(&'a mut bool),
    /// An octet.
    Octet(&'a mut u8),
    /// A short integer; also a reply code.
    Short(&'a mut u16),
    /// A long integer.
    Long(&'a mut u32),
    /// A long long integer.
    LongLong(&'a mut u64),
    /// A short string.
    ShortStr(&'a mut ShortStr),
    /// A long string.
    LongStr(&'a mut LongStr),
    /// A timestamp.
    Timestamp(&'a mut Timestamp),
    /// A table.
    Table(&'a mut FieldTable),
    /// An octet, or none.
    OptionalOctet(&'a mut Option<u8>),
    /// A short integer, or none.
    OptionalShort(&'a mut Option<u16>),
    /// A long integer, or none.
    OptionalLong(&'a mut Option<u32>),
    /// A long long integer, or none.
    OptionalLongLong(&'a mut Option<u64>),
    /// A short string, or none.
    OptionalShortStr(&'a mut Option<ShortStr>),
    /// A long string, or none.
    OptionalLongStr(&'a mut Option<LongStr>),
    /// A timestamp, or none.
    OptionalTimestamp(&'a mut Option<Timestamp>),
    /// A table, or none.
    OptionalTable(&'a mut Option<FieldTable>),
}

impl FieldMut<'_> {
    /// Changes the field.
    ///
    /// # Errors
    ///
    /// Gives the value back if the field is of another type.
    pub fn set(self, value: FieldValue) -> Result<(), FieldValue> {
        match (self, value) {
            (Self::Bit(field), FieldValue::Bit(value)) => *field = value,
            (Self::Octet(field), FieldValue::Octet(value)) => *field = value,
            (Self::Short(field), FieldValue::Short(value)) => *field = value,
            (Self::Long(field), FieldValue::Long(value)) => *field = value,
            (Self::LongLong(field), FieldValue::LongLong(value)) => *field = value,
            (Self::ShortStr(field), FieldValue::ShortStr(value)) => *field = value,
            (Self::LongStr(field), FieldValue::LongStr(value)) => *field = value,
            (Self::Timestamp(field), FieldValue::Timestamp(value)) => *field = value,
            (Self::Table(field), FieldValue::Table(value)) => *field = value,
            (Self::OptionalOctet(field), FieldValue::Octet(value)) => *field = Some(value),
            (Self::OptionalShort(field), FieldValue::Short(value)) => *field = Some(value),
            (Self::OptionalLong(field), FieldValue::Long(value)) => *field = Some(value),
            (Self::OptionalLongLong(field), FieldValue::LongLong(value)) => *field = Some(value),
            (Self::OptionalShortStr(field), FieldValue::ShortStr(value)) => *field = Some(value),
            (Self::OptionalLongStr(field), FieldValue::LongStr(value)) => *field = Some(value),
            (Self::OptionalTimestamp(field), FieldValue::Timestamp(value)) => *field = Some(value),
            (Self::OptionalTable(field), FieldValue::Table(value)) => *field = Some(value),
            (_, value) => return Err(value),
        }
        Ok(())
    }

    /// Makes it 0, false or empty; a property isn't there any more.
    pub fn clear(self) {
        match self {
            Self::Bit(field) => *field = false,
            Self::Octet(field) => *field = 0,
            Self::Short(field) => *field = 0,
            Self::Long(field) => *field = 0,
            Self::LongLong(field) => *field = 0,
            Self::ShortStr(field) => *field = ShortStr::empty(),
            Self::LongStr(field) => *field = LongStr::empty(),
            Self::Timestamp(field) => *field = Timestamp(0),
            Self::Table(field) => field.clear(),
            Self::OptionalOctet(field) => *field = None,
            Self::OptionalShort(field) => *field = None,
            Self::OptionalLong(field) => *field = None,
            Self::OptionalLongLong(field) => *field = None,
            Self::OptionalShortStr(field) => *field = None,
            Self::OptionalLongStr(field) => *field = None,
            Self::OptionalTimestamp(field) => *field = None,
            Self::OptionalTable(field) => *field = None,
        }
    }
}

/// Why a field wasn't changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FieldError {
    /// There is no such field.
    #[error("{owner} has no field {field}")]
    Unknown {
        /// The method, or the properties.
        owner: &'static str,
        /// The name, or the number.
        field: Box<str>,
    },
    /// The field is on the wire, but holds nothing.
    #[error("{owner}.{field} is reserved: it is always sent as zero or empty")]
    Reserved {
        /// The method, or the properties.
        owner: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The field is of another type.
    #[error("{owner}.{field} is {} {expected}, not {} {found}", article(*expected), article(*found))]
    WrongType {
        /// The method, or the properties.
        owner: &'static str,
        /// The field.
        field: &'static str,
        /// The type of the field.
        expected: WireType,
        /// The type of the value.
        found: WireType,
    },
}

impl FieldError {
    /// Why `value` can't be put into the field with that place in the schema.
    #[cold]
    fn refused(
        owner: &'static str,
        schema: &'static [FieldInfo],
        index: usize,
        value: &FieldValue,
    ) -> Self {
        match schema.get(index) {
            None => Self::Unknown { owner, field: index.to_string().into() },
            Some(info) if info.reserved => Self::Reserved { owner, field: info.name },
            Some(info) => Self::WrongType {
                owner,
                field: info.name,
                expected: info.wire_type,
                found: value.as_field_ref().wire_type(),
            },
        }
    }
}

fn article(wire_type: WireType) -> &'static str {
    if wire_type == WireType::Octet { "an" } else { "a" }
}

/// The fields of a method, from [`Reflect::fields`].
#[derive(Clone)]
pub struct Fields<'a> {
    owner: &'a dyn Reflect,
    schema: slice::Iter<'static, FieldInfo>,
    index: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'static FieldInfo, FieldRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        for info in self.schema.by_ref() {
            let value = self.owner.field_at(self.index);
            self.index += 1;
            if let Some(value) = value {
                return Some((info, value));
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.schema.size_hint().1)
    }
}

impl std::iter::FusedIterator for Fields<'_> {}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fields").field(&self.owner.name()).finish()
    }
}

/// A method on one line, from [`Reflect::describe`]: `basic.ack(delivery-tag: 7, multiple: true)`.
#[derive(Clone, Copy)]
pub struct Describe<'a>(&'a dyn Reflect);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.0.name())?;
        for (index, (info, value)) in self.0.fields().enumerate() {
            let joint = if index == 0 { "" } else { ", " };
            if info.secret {
                write!(f, "{joint}{}: ..", info.name)?;
            } else {
                write!(f, "{joint}{}: {value}", info.name)?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
