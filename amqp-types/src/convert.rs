//! Between Rust's own types and values and tables: what has a counterpart converts, the rest fails with a reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::num::TryFromIntError;

use bytes::Bytes;
use thiserror::Error;

use crate::error::TooLong;
use crate::long_str::LongStr;
use crate::scalar::{Decimal, Timestamp};
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

/// Why a [`Value`] isn't what was asked for.
///
/// ```
/// use amqp091_types::{FromValueError, Value};
///
/// let error = i64::try_from(&Value::from("5")).unwrap_err();
/// assert_eq!(error, FromValueError::WrongType { expected: "an integer", found: "LongStr" });
/// assert_eq!(error.to_string(), "the value is a LongStr, not an integer");
///
/// let error = u8::try_from(&Value::from(-5)).unwrap_err();
/// assert_eq!(error.to_string(), "the number -5 doesn't fit u8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FromValueError {
    /// A value of another type.
    #[error("the value is a {found}, not {expected}")]
    WrongType {
        /// What was asked for.
        expected: &'static str,
        /// What it is, as [`Value::type_name`] says it.
        found: &'static str,
    },
    /// An integer that the Rust type has no room for.
    #[error("the number {found} doesn't fit {expected}")]
    OutOfRange {
        /// The Rust type.
        expected: &'static str,
        /// The number.
        found: i64,
    },
    /// A string that isn't UTF-8, where text was asked for.
    #[error("the string is not UTF-8")]
    NotText,
}

impl FromValueError {
    const fn wrong_type(expected: &'static str, found: &Value) -> Self {
        Self::WrongType { expected, found: found.type_name() }
    }
}

impl Value {
    /// The integer in the smallest type that holds it, as Python's pamqp chooses: 8, 16, 32 or 64 bits, signed before
    /// unsigned.
    ///
    /// A number literal that becomes a [`Value`] otherwise keeps the type that it has in Rust, which is what most clients
    /// expect: some don't know the smaller types.
    ///
    /// ```
    /// use amqp091_types::Value;
    ///
    /// assert_eq!(Value::smallest_integer(-5), Value::I8(-5));
    /// assert_eq!(Value::smallest_integer(40_000), Value::U16(40_000));
    /// assert_eq!(Value::smallest_integer(1 << 40), Value::I64(1 << 40));
    /// ```
    pub fn smallest_integer(integer: i64) -> Self {
        None.or_else(|| i8::try_from(integer).ok().map(Self::I8))
            .or_else(|| i16::try_from(integer).ok().map(Self::I16))
            .or_else(|| u16::try_from(integer).ok().map(Self::U16))
            .or_else(|| i32::try_from(integer).ok().map(Self::I32))
            .or_else(|| u32::try_from(integer).ok().map(Self::U32))
            .unwrap_or(Self::I64(integer))
    }
}

// --- Into values ---------------------------------------------------------------------------------

/// [`Void`](Value::Void).
impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Void
    }
}

/// [`Void`](Value::Void) if there is none.
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Void, Into::into)
    }
}

/// An array, of octets too; [`Bytes`] is what becomes a byte array.
impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

/// An array.
///
/// ```
/// use amqp091_types::Value;
///
/// let values: Value = ["a", "b"].iter().copied().collect();
/// assert_eq!(values, Value::from(["a", "b"]));
/// ```
impl<T: Into<Self>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<&ShortStr> for Value {
    fn from(text: &ShortStr) -> Self {
        text.clone().into()
    }
}

impl From<&LongStr> for Value {
    fn from(text: &LongStr) -> Self {
        text.clone().into()
    }
}

/// As an [`I64`](Value::I64), if it fits.
impl TryFrom<usize> for Value {
    type Error = TryFromIntError;

    fn try_from(value: usize) -> Result<Self, TryFromIntError> {
        i64::try_from(value).map(Self::I64)
    }
}

// --- Out of values -------------------------------------------------------------------------------

/// Both from a value and from a reference to one, for what is copied.
macro_rules! impl_copied {
    ($(#[$docs:meta] $name:ty: $expected:literal, $get:expr;)*) => {$(
        #[$docs]
        impl TryFrom<&Value> for $name {
            type Error = FromValueError;

            fn try_from(value: &Value) -> Result<Self, FromValueError> {
                let get: fn(&Value) -> Option<$name> = $get;
                get(value).ok_or_else(|| FromValueError::wrong_type($expected, value))
            }
        }

        #[$docs]
        impl TryFrom<Value> for $name {
            type Error = FromValueError;

            fn try_from(value: Value) -> Result<Self, FromValueError> {
                Self::try_from(&value)
            }
        }
    )*};
}
impl_copied! {
    /// From a boolean.
    bool: "a boolean", Value::as_bool;
    /// From an integer of any width, as peers choose it as they like.
    i64: "an integer", Value::as_i64;
    /// From a floating-point number of either width.
    f64: "a floating-point number", Value::as_f64;
    /// From a timestamp.
    Timestamp: "a timestamp", Value::as_timestamp;
    /// From a decimal.
    Decimal: "a decimal", Value::as_decimal;
}

macro_rules! impl_integer {
    ($($name:ident)*) => {$(
        /// From an integer of any width, if it fits.
        impl TryFrom<&Value> for $name {
            type Error = FromValueError;

            fn try_from(value: &Value) -> Result<Self, FromValueError> {
                let found = i64::try_from(value)?;
                let expected = stringify!($name);
                Self::try_from(found).map_err(|_| FromValueError::OutOfRange { expected, found })
            }
        }

        /// From an integer of any width, if it fits.
        impl TryFrom<Value> for $name {
            type Error = FromValueError;

            fn try_from(value: Value) -> Result<Self, FromValueError> {
                Self::try_from(&value)
            }
        }
    )*};
}
impl_integer!(i8 u8 i16 u16 i32 u32 u64 usize);

/// From a long string that is UTF-8.
impl<'a> TryFrom<&'a Value> for &'a str {
    type Error = FromValueError;

    fn try_from(value: &'a Value) -> Result<Self, FromValueError> {
        match value {
            Value::LongStr(text) => text.to_str().map_err(|_| FromValueError::NotText),
            other => Err(FromValueError::wrong_type("a string", other)),
        }
    }
}

/// From a long string that is UTF-8.
impl TryFrom<&Value> for String {
    type Error = FromValueError;

    fn try_from(value: &Value) -> Result<Self, FromValueError> {
        <&str>::try_from(value).map(Self::from)
    }
}

/// From a long string that is UTF-8.
impl TryFrom<Value> for String {
    type Error = FromValueError;

    fn try_from(value: Value) -> Result<Self, FromValueError> {
        Self::try_from(&value)
    }
}

/// From a long string or a byte array.
impl<'a> TryFrom<&'a Value> for &'a [u8] {
    type Error = FromValueError;

    fn try_from(value: &'a Value) -> Result<Self, FromValueError> {
        let octets = value.as_bytes();
        octets.ok_or_else(|| FromValueError::wrong_type("a string or a byte array", value))
    }
}

/// From a long string or a byte array.
impl TryFrom<Value> for Bytes {
    type Error = FromValueError;

    fn try_from(value: Value) -> Result<Self, FromValueError> {
        match value {
            Value::LongStr(octets) => Ok(octets.into_bytes()),
            Value::Bytes(octets) => Ok(octets),
            other => Err(FromValueError::wrong_type("a string or a byte array", &other)),
        }
    }
}

macro_rules! impl_owned {
    ($(#[$docs:meta] $name:ty: $variant:ident, $expected:literal;)*) => {$(
        #[$docs]
        impl TryFrom<Value> for $name {
            type Error = FromValueError;

            fn try_from(value: Value) -> Result<Self, FromValueError> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(FromValueError::wrong_type($expected, &other)),
                }
            }
        }
    )*};
}
impl_owned! {
    /// From a long string.
    LongStr: LongStr, "a string";
    /// From an array.
    Vec<Value>: Array, "an array";
    /// From a table.
    FieldTable: Table, "a table";
}

/// From an array.
impl<'a> TryFrom<&'a Value> for &'a [Value] {
    type Error = FromValueError;

    fn try_from(value: &'a Value) -> Result<Self, FromValueError> {
        value.as_array().ok_or_else(|| FromValueError::wrong_type("an array", value))
    }
}

/// From a table.
impl<'a> TryFrom<&'a Value> for &'a FieldTable {
    type Error = FromValueError;

    fn try_from(value: &'a Value) -> Result<Self, FromValueError> {
        value.as_table().ok_or_else(|| FromValueError::wrong_type("a table", value))
    }
}

// --- Into tables ---------------------------------------------------------------------------------

/// Every pair becomes an entry, equal keys included.
impl<V: Into<Value>, const N: usize> From<[(ShortStr, V); N]> for FieldTable {
    fn from(entries: [(ShortStr, V); N]) -> Self {
        entries.into_iter().map(|(key, value)| (key, value.into())).collect()
    }
}

/// Every pair becomes an entry, equal keys included. Literal keys need no error handling in a
/// [`table!`](crate::table).
///
/// ```
/// use amqp091_types::{FieldTable, Value};
///
/// let table = FieldTable::try_from([("x-queue-type", "quorum"), ("x-overflow", "reject-publish")])?;
/// assert_eq!(table.get("x-overflow").and_then(Value::as_str), Some("reject-publish"));
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
impl<V: Into<Value>, const N: usize> TryFrom<[(&str, V); N]> for FieldTable {
    type Error = TooLong;

    fn try_from(entries: [(&str, V); N]) -> Result<Self, TooLong> {
        entries.into_iter().map(|(key, value)| entry(key, value)).collect()
    }
}

/// The entries in the order of the keys.
///
/// ```
/// use std::collections::BTreeMap;
/// use amqp091_types::{FieldTable, table};
///
/// let map = BTreeMap::from([("b".to_owned(), 2), ("a".to_owned(), 1)]);
/// assert_eq!(FieldTable::try_from(map)?, table! { "a": 1, "b": 2 });
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
impl<K: AsRef<str>, V: Into<Value>> TryFrom<BTreeMap<K, V>> for FieldTable {
    type Error = TooLong;

    fn try_from(map: BTreeMap<K, V>) -> Result<Self, TooLong> {
        map.into_iter().map(|(key, value)| entry(key.as_ref(), value)).collect()
    }
}

/// The entries in the order of the keys, so that equal maps become equal tables.
impl<K: AsRef<str>, V: Into<Value>, S> TryFrom<HashMap<K, V, S>> for FieldTable {
    type Error = TooLong;

    fn try_from(map: HashMap<K, V, S>) -> Result<Self, TooLong> {
        let entries = map.into_iter().map(|(key, value)| entry(key.as_ref(), value));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_unstable_by(|(one, _), (two, _)| one.cmp(two));
        Ok(entries.into())
    }
}

fn entry(key: &str, value: impl Into<Value>) -> Result<(ShortStr, Value), TooLong> {
    Ok((ShortStr::new(key)?, value.into()))
}
