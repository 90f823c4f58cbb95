//! The value of a table's entry: one of seventeen types, each with its tag on the wire.

use std::fmt;
use std::num::TryFromIntError;
use std::time::SystemTime;

use bytes::Bytes;

use crate::long_str::LongStr;
use crate::octets::Escaped;
use crate::scalar::{Decimal, Timestamp};
use crate::short_str::ShortStr;
use crate::table::FieldTable;

/// A value in a [`FieldTable`] or an array.
///
/// The tags are those that brokers and clients really use, which differ from the standard's in two letters. Each
/// variant names its own; two more are understood, `U` as [`I16`](Self::I16) and `L` as [`I64`](Self::I64), and never
/// written, since RabbitMQ ends a connection that sends them. There is no unsigned 64-bit type that
/// all peers agree on, so a `u64` is [tried](#impl-TryFrom<u64>-for-Value) as an `i64`.
///
/// Floating-point values compare by their bits: NaN equals itself, and 0 differs from −0. Values that are not finite can
/// be received, but not sent.
///
/// ```
/// use amqp091_types::Value;
///
/// assert_eq!(Value::from(5_i32), Value::I32(5));
/// assert_eq!(Value::from(5_u16).as_i64(), Some(5));
/// assert_eq!(Value::from("text").as_str(), Some("text"));
/// assert_eq!(Value::try_from(5_u64)?, Value::I64(5));
/// assert!(Value::try_from(u64::MAX).is_err());
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
///
/// Whoever nests values deeper than [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX) can't encode them. Decoded
/// values are never that deep, so cloning, comparing, printing and dropping them takes little stack.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value {
    /// `t`: one octet, true unless it is 0.
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`
    Decimal(Decimal),
    /// `S`: octets, usually text.
    LongStr(LongStr),
    /// `A`: values of any types.
    Array(Vec<Self>),
    /// `T`: whole seconds.
    Timestamp(Timestamp),
    /// `F`
    Table(FieldTable),
    /// `V`: nothing.
    Void,
    /// `x`: octets that are not text.
    Bytes(Bytes),
}

impl Value {
    /// The octet in front of the value on the wire.
    ///
    /// ```
    /// use amqp091_types::Value;
    ///
    /// assert_eq!(Value::I16(0).tag(), b's');
    /// ```
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Bool(_) => b't',
            Self::I8(_) => b'b',
            Self::U8(_) => b'B',
            Self::I16(_) => b's',
            Self::U16(_) => b'u',
            Self::I32(_) => b'I',
            Self::U32(_) => b'i',
            Self::I64(_) => b'l',
            Self::F32(_) => b'f',
            Self::F64(_) => b'd',
            Self::Decimal(_) => b'D',
            Self::LongStr(_) => b'S',
            Self::Array(_) => b'A',
            Self::Timestamp(_) => b'T',
            Self::Table(_) => b'F',
            Self::Void => b'V',
            Self::Bytes(_) => b'x',
        }
    }

    /// The type's name, for messages: that of the variant.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "Bool",
            Self::I8(_) => "I8",
            Self::U8(_) => "U8",
            Self::I16(_) => "I16",
            Self::U16(_) => "U16",
            Self::I32(_) => "I32",
            Self::U32(_) => "U32",
            Self::I64(_) => "I64",
            Self::F32(_) => "F32",
            Self::F64(_) => "F64",
            Self::Decimal(_) => "Decimal",
            Self::LongStr(_) => "LongStr",
            Self::Array(_) => "Array",
            Self::Timestamp(_) => "Timestamp",
            Self::Table(_) => "Table",
            Self::Void => "Void",
            Self::Bytes(_) => "Bytes",
        }
    }

    /// The boolean, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is an integer of any width.
    ///
    /// Peers choose the width as they like, so whoever reads a number should not ask for one.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::U8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is a floating-point number of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The decimal, if it is one.
    pub const fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is a long string of valid UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::LongStr(value) => value.to_str().ok(),
            _ => None,
        }
    }

    /// The octets, if it is a long string or a byte array.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::LongStr(value) => Some(value.as_bytes()),
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// The values, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The timestamp, if it is one.
    pub const fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Timestamp(value) => Some(*value),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub const fn as_table(&self) -> Option<&FieldTable> {
        match self {
            Self::Table(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is the value without a value.
    pub const fn is_void(&self) -> bool {
        matches!(self, Self::Void)
    }
}

/// Floating-point values are equal if their bits are.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::I8(one), Self::I8(two)) => one == two,
            (Self::U8(one), Self::U8(two)) => one == two,
            (Self::I16(one), Self::I16(two)) => one == two,
            (Self::U16(one), Self::U16(two)) => one == two,
            (Self::I32(one), Self::I32(two)) => one == two,
            (Self::U32(one), Self::U32(two)) => one == two,
            (Self::I64(one), Self::I64(two)) => one == two,
            (Self::F32(one), Self::F32(two)) => one.to_bits() == two.to_bits(),
            (Self::F64(one), Self::F64(two)) => one.to_bits() == two.to_bits(),
            (Self::Decimal(one), Self::Decimal(two)) => one == two,
            (Self::LongStr(one), Self::LongStr(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => one == two,
            (Self::Timestamp(one), Self::Timestamp(two)) => one == two,
            (Self::Table(one), Self::Table(two)) => one == two,
            (Self::Void, Self::Void) => true,
            (Self::Bytes(one), Self::Bytes(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    /// As derived, but with long byte arrays cut short as long strings are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple(self.type_name());
        match self {
            Self::Bool(value) => tuple.field(value),
            Self::I8(value) => tuple.field(value),
            Self::U8(value) => tuple.field(value),
            Self::I16(value) => tuple.field(value),
            Self::U16(value) => tuple.field(value),
            Self::I32(value) => tuple.field(value),
            Self::U32(value) => tuple.field(value),
            Self::I64(value) => tuple.field(value),
            Self::F32(value) => tuple.field(value),
            Self::F64(value) => tuple.field(value),
            Self::Decimal(value) => tuple.field(value),
            Self::LongStr(value) => tuple.field(value),
            Self::Array(value) => tuple.field(value),
            Self::Timestamp(value) => tuple.field(value),
            Self::Table(value) => tuple.field(value),
            Self::Void => &mut tuple,
            Self::Bytes(value) => tuple.field(&Escaped(value)),
        };
        tuple.finish()
    }
}

macro_rules! impl_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
impl_from! {
    bool => Bool,
    i8 => I8,
    u8 => U8,
    i16 => I16,
    u16 => U16,
    i32 => I32,
    u32 => U32,
    i64 => I64,
    f32 => F32,
    f64 => F64,
    Decimal => Decimal,
    LongStr => LongStr,
    ShortStr => LongStr,
    &str => LongStr,
    String => LongStr,
    Vec<Self> => Array,
    Timestamp => Timestamp,
    SystemTime => Timestamp,
    FieldTable => Table,
    Bytes => Bytes,
}

/// As an [`I64`](Self::I64), if it fits.
impl TryFrom<u64> for Value {
    type Error = TryFromIntError;

    fn try_from(value: u64) -> Result<Self, TryFromIntError> {
        i64::try_from(value).map(Self::I64)
    }
}
