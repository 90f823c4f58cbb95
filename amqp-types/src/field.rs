//! What a field holds, where its type is known only at run time: borrowed, owned, and to be changed.

use std::fmt;

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
use crate::writer::Writer;

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
    /// There are fewer fields.
    #[error("{owner} has no field number {index}, counted from 0")]
    NoSuchPlace {
        /// The method, or the properties.
        owner: &'static str,
        /// The place in the schema that was asked for.
        index: usize,
    },
    /// There is no field of that name.
    #[error("{owner} has no field {field:?}")]
    Unknown {
        /// The method, or the properties.
        owner: &'static str,
        /// The name.
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
    pub(crate) fn refused(
        owner: &'static str,
        schema: &'static [FieldInfo],
        index: usize,
        value: &FieldValue,
    ) -> Self {
        match schema.get(index) {
            None => Self::NoSuchPlace { owner, index },
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
