//! The two traits of everything that has a form on the wire, and their implementations for the elementary types.

use crate::error::{DecodeError, EncodeError};
use crate::long_str::LongStr;
use crate::quick_writer::QuickWriter;
use crate::reader::Reader;
use crate::scalar::Timestamp;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;
use crate::write_table;
use crate::writer::Writer;

/// Has a form on the wire.
///
/// ```
/// use amqp091_types::{Encode, ShortStr, Writer};
/// use bytes::BytesMut;
///
/// let key = ShortStr::new("key")?;
/// let mut octets = BytesMut::with_capacity(key.encoded_len());
/// key.encode(&mut Writer::new(&mut octets))?;
/// assert_eq!(octets, &b"\x03key"[..]);
/// assert_eq!(octets.len(), key.encoded_len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Encode {
    /// How many octets [`encode`](Self::encode) writes, exactly. (Of a value that can't be encoded it says nothing.)
    fn encoded_len(&self) -> usize;

    /// Appends the octets to `out`.
    ///
    /// # Errors
    ///
    /// If the value has no form on the wire. Then `out` may hold a part of it; the caller cuts that off.
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Whether there is a table in it, so that it is likely to be long. A guess, for whoever makes room.
    #[inline]
    fn has_tables(&self) -> bool {
        true
    }

    /// Writes the octets into a slice: the quick way, for what is usual.
    ///
    /// `None` says that it can't be done so, for lack of room or since there is no quick way for this type or this
    /// value, and not whether [`encode`](Self::encode) can do it. The slice may hold a part then. It has room for
    /// any value if it is [`QuickWriter::SLACK`] octets longer than [`encoded_len`](Self::encoded_len).
    #[inline]
    fn encode_quickly(&self, out: &mut QuickWriter<'_>) -> Option<()> {
        let _ = out;
        None
    }
}

/// Can be read from its form on the wire.
///
/// ```
/// use amqp091_types::{Decode, Reader, ShortStr};
///
/// let mut input = Reader::new(b"\x03key\x00");
/// assert_eq!(ShortStr::decode(&mut input)?, "key");
/// assert_eq!(ShortStr::decode(&mut input)?, "");
/// input.finish()?;
/// # Ok::<(), amqp091_types::DecodeError>(())
/// ```
pub trait Decode: Sized {
    /// Reads one value and leaves what follows it.
    ///
    /// # Errors
    ///
    /// If the octets are too few or not of this type. Then where `input` stands is unspecified.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that takes all of `octets`.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and if octets are left over.
    #[inline]
    fn decode_all(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(octets);
        let value = Self::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }

    /// Reads one value that takes all of `octets`: the quick way, for what is usual.
    ///
    /// `None` says that it can't be done so, and not whether [`decode_all`](Self::decode_all) can do it, which tries this first.
    #[inline]
    fn decode_quickly(octets: &[u8]) -> Option<Self> {
        let _ = octets;
        None
    }
}

// The name of an elementary type stands where a method's argument would, for it is read as no particular argument.
macro_rules! impl_integer {
    ($($integer:ident: $name:literal),*) => {$(
        impl Encode for $integer {
            #[inline]
            fn encoded_len(&self) -> usize {
                size_of::<Self>()
            }

            #[inline]
            fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
                out.$integer(*self);
                Ok(())
            }
        }

        impl Decode for $integer {
            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                input.$integer($name)
            }
        }
    )*};
}
impl_integer!(u8: "octet", u16: "short", u32: "long", u64: "longlong");

impl Encode for Timestamp {
    #[inline]
    fn encoded_len(&self) -> usize {
        8
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.timestamp(*self);
        Ok(())
    }
}

impl Decode for Timestamp {
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.timestamp("timestamp")
    }
}

impl Encode for ShortStr {
    #[inline]
    fn encoded_len(&self) -> usize {
        1 + self.len()
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.short_str(self);
        Ok(())
    }
}

impl Decode for ShortStr {
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.short_str("shortstr")
    }
}

impl Encode for LongStr {
    #[inline]
    fn encoded_len(&self) -> usize {
        4 + self.len()
    }

    #[inline]
    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.long_str(self, "longstr")
    }
}

impl Decode for LongStr {
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.long_str("longstr")
    }
}

/// With the length in front, as a table stands among a method's arguments.
impl Encode for FieldTable {
    fn encoded_len(&self) -> usize {
        4 + self.entries_len()
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.table(self, "table")
    }
}

impl Decode for FieldTable {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.table("table")
    }
}

/// As it stands in a table behind its key: its tag, and what the tag says.
///
/// ```
/// use amqp091_types::{Decode, Encode, Value, Writer};
/// use bytes::BytesMut;
///
/// let mut octets = BytesMut::new();
/// Value::from(1).encode(&mut Writer::new(&mut octets))?;
/// assert_eq!(octets, &b"I\x00\x00\x00\x01"[..]);
/// assert_eq!(Value::decode_all(&octets)?, Value::I32(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Encode for Value {
    fn encoded_len(&self) -> usize {
        write_table::value_len(self)
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        write_table::value(out, self, "value")
    }
}

impl Decode for Value {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.value("value")
    }
}
