//! The forms that this crate's types, and the methods and properties generated with it, have in JSON and in other formats
//! of [serde](https://serde.rs), with the feature `serde`.
//!
//! **Credentials are written as they are.** Serializing a method gives all its data, that of `connection.start-ok`
//! and `connection.secure-ok` with the password, where `Debug` and [`Reflect::describe`](crate::Reflect::describe)
//! leave it out. [`FieldInfo::secret`](crate::schema::FieldInfo::secret) says which fields those are.
//!
//! # For people: JSON, YAML and the like
//!
//! A table is what a person would write, its entries in their order:
//!
//! ```
//! use amqp091_types::{FieldTable, Timestamp, table};
//!
//! let text = r#"{
//!     "x-queue-type": "quorum",
//!     "x-max-length": 10000,
//!     "ratio": 1.5,
//!     "list": [true, null, {"nested": "yes"}],
//!     "since": {"$timestamp": 1700000000}
//! }"#;
//! let table: FieldTable = serde_json::from_str(text)?;
//! assert_eq!(
//!     table,
//!     table! {
//!         "x-queue-type": "quorum",
//!         "x-max-length": 10_000,
//!         "ratio": 1.5,
//!         "list": [true, null, { "nested": "yes" }],
//!         "since": Timestamp(1_700_000_000),
//!     }
//! );
//! assert_eq!(serde_json::from_str::<FieldTable>(&serde_json::to_string(&table)?)?, table);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! | in JSON | in a table |
//! |---|---|
//! | `true` | [`Bool`](crate::Value::Bool) |
//! | `5`, if it fits 32 bits | [`I32`](crate::Value::I32), as RabbitMQ's own clients write it |
//! | `5000000000` | [`I64`](crate::Value::I64) |
//! | `1.5`, `5.0` | [`F64`](crate::Value::F64) |
//! | `"text"` | [`LongStr`](crate::Value::LongStr) |
//! | `[…]`, `{…}`, `null` | [`Array`](crate::Value::Array), [`Table`](crate::Value::Table), [`Void`](crate::Value::Void) |
//!
//! The others are an object of one tag:
//!
//! | in JSON | in a table |
//! |---|---|
//! | `{"$i8": 5}`; also `$u8`, `$i16`, `$u16`, `$i32`, `$u32`, `$i64`, `$f32`, `$f64` | a number of that type |
//! | `{"$timestamp": 1700000000}` | [`Timestamp`](crate::Value::Timestamp), in seconds |
//! | `{"$decimal": "12.34"}` | [`Decimal`](crate::Value::Decimal): as many digits behind the point as its scale |
//! | `{"$bytes": "AP8="}` | [`Bytes`](crate::Value::Bytes), in base64 (RFC 4648, with `=`) |
//! | `{"$str": "/w=="}` | a string that isn't UTF-8, in base64 |
//! | `{"$table": [["key", 1], ["key", 2]]}` | a table that an object isn't good enough for |
//!
//! Writing a value and reading it gives the same value, of the same type. Therefore
//!
//! - an `I64` that fits 32 bits is written as `{"$i64": 5}`;
//! - a floating-point number is written as text where not every reader gets its last bit right,
//!   `{"$f64": "0.30000000000000004"}`, and where JSON has no number for it: `{"$f64": "NaN"}`, `"inf"`, `"-inf"`, or the
//!   bits of another NaN, `"0x7ff8000000000001"`;
//! - a table is written as `$table` if it has a key twice, a key that isn't UTF-8 (there it may be `{"$str": …}`), or
//!   a key that begins with `$`.
//!
//! Whatever is written can be read, but tables nested deeper than [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX),
//! which have no form on the wire either, are an error both ways. So are, on reading, an object with a key twice, a
//! key that begins with `$` and is no tag, a key of more than 255 octets, and an integer from 2⁶³ up to 2⁶⁴. From there up,
//! and below −2⁶³, most readers make a floating-point number of an integer before it gets here, so it becomes an
//! [`F64`](crate::Value::F64). As on the wire, memory is taken for what is there, in proportion to the text.
//!
//! Outside tables the type is known, so a [`Timestamp`](crate::Timestamp) is a number, a [`Decimal`](crate::Decimal)
//! a string, [`ShortStr`](crate::ShortStr) and [`LongStr`](crate::LongStr) are strings, or `{"$str": …}` if they are not
//! UTF-8.
//!
//! # Methods and properties
//!
//! A method is an object of its fields. They are named as in Rust, `routing_key`; the specification's
//! `routing-key` is read as well. All are written, so that nobody has to know the defaults; when reading, a missing one has
//! its default, and an unknown one is an error. Reserved fields don't exist.
//!
//! ```text
//! {"exchange": "logs", "routing_key": "a.b", "mandatory": true, "immediate": false}
//! ```
//!
//! The enums of methods say which one it is: `{"basic.publish": {"routing_key": "work"}}`, with the specification's name.
//! Content properties are an object of those that are there; `null` is read as one that isn't. Their enum says whose they
//! are: `{"basic": {"delivery_mode": 2}}`, with the name of the class. A reply code is its number.
//!
//! What a field that holds credentials is given instead of a string is not quoted in the error, nor is what is wrong with
//! it: `connection.secure-ok.response: not a longstr (what is there isn't shown)`.
//!
//! # For machines: formats that say they aren't human-readable
//!
//! There, values, tables, methods and properties are their octets on the wire: of a [`Value`](crate::Value) its tag and
//! what follows, of a [`FieldTable`](crate::FieldTable) its length and entries, of a method the arguments, of an enum of
//! methods the payload of its frame, of the enum of content properties the class id, the flags and the values. What can't be sent can't be written in such a format, NaN for example. Strings are their
//! octets, timestamps a 64-bit number, decimals their two numbers, and reply codes their number.

mod any_properties;
mod base64;
mod floats;
mod methods;
mod octets;
mod read_value;
mod scalars;
mod strings;
mod table_rules;
mod tags;
mod write_value;

/// What the macros in generated code expand to: no API.
#[doc(hidden)]
pub mod __private {
    pub use serde_core;

    pub use super::any_properties::{
        PropertiesEnum, deserialize_any_properties, serialize_any_properties,
    };
    pub use super::methods::{
        MethodEnum, deserialize_any_method, deserialize_method, deserialize_properties,
        serialize_any_method, serialize_fields,
    };
}
