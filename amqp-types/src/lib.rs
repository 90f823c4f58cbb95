#![doc = include_str!("../README.md")]

mod codec;
mod convert;
mod display;
mod error;
mod field;
mod layout;
pub mod limits;
mod long_str;
mod method;
mod octets;
mod quick_reader;
mod quick_writer;
mod read_table;
mod reader;
mod reflect;
mod scalar;
pub mod schema;
#[cfg(feature = "serde")]
pub mod serde_forms;
mod serde_macros;
mod short_str;
mod table;
mod table_macro;
mod validate;
mod value;
mod write_table;
mod writer;

pub use codec::{Decode, Encode};
pub use convert::FromValueError;
pub use display::Printable;
pub use error::{
    BlastRadius, DecodeError, DecodeReason, EncodeError, MethodError, PropertiesError, TooLong,
};
pub use field::{FieldError, FieldMut, FieldRef, FieldValue};
pub use layout::{Layout, Sink, Source};
pub use long_str::LongStr;
pub use method::{ContentProperties, Method, MethodId, Reply, Request, SentBy};
pub use octets::Short;
pub use quick_reader::{QuickReader, Unusual};
pub use quick_writer::QuickWriter;
pub use read_table::TableOctets;
pub use reader::Reader;
pub use reflect::{Describe, Fields, Reflect};
pub use scalar::{Decimal, Timestamp};
pub use short_str::ShortStr;
pub use table::{FieldTable, IntoIter, Iter};
pub use validate::{Profile, ValidationError};
pub use value::Value;
pub use writer::Writer;
