//! What can go wrong on the way from and to octets, and how much is lost when it does.
//!
//! A [`DecodeError`] says which field, where and why. What it means for the connection depends on what
//! was being read, so the types around it say that: a [`MethodError`] ends the connection, a [`PropertiesError`]
//! concerns one message.

use std::fmt;

use thiserror::Error;

use crate::method::MethodId;

/// How much a decode error takes down.
///
/// Exhaustive on purpose: whoever handles an error decides between these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlastRadius {
    /// This message alone: the octets are those of another client, framed correctly by the peer.
    Message,
    /// The connection: the peer itself broke the protocol, and what follows can't be trusted.
    Connection,
}

/// A string of more than 255 octets where the protocol has room for 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{len} octets are too many for a short string, which has at most 255")]
pub struct TooLong {
    /// How many octets it has.
    pub len: usize,
}

/// Octets that are not what they should be: which field, where, and why.
///
/// ```
/// use amqp091_types::{DecodeReason, Reader};
///
/// let mut input = Reader::new(b"\x00\x01\x05abc");
/// input.u16("basic.publish.ticket")?;
/// let error = input.short_str("basic.publish.exchange").unwrap_err();
///
/// assert_eq!(error.field(), "basic.publish.exchange");
/// assert_eq!(error.reason(), DecodeReason::UnexpectedEnd { needed: 5, available: 3 });
/// assert_eq!(error.to_string(), "basic.publish.exchange: at octet 3: needs 5 octets, 3 are left");
/// # Ok::<(), amqp091_types::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: at octet {offset}: {reason}")]
pub struct DecodeError {
    field: &'static str,
    offset: usize,
    reason: DecodeReason,
}

impl DecodeError {
    /// An error while reading `field`, at `offset` octets from where the reader began.
    #[cold]
    pub const fn new(field: &'static str, offset: usize, reason: DecodeReason) -> Self {
        Self { field, offset, reason }
    }

    /// The field that was being read, such as `basic.publish.exchange`.
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// Where it went wrong, in octets from where the [`Reader`](crate::Reader) began.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What went wrong.
    pub const fn reason(&self) -> DecodeReason {
        self.reason
    }
}

/// Why octets could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The input ends within the field.
    UnexpectedEnd {
        /// Octets that the next part of the field takes.
        needed: usize,
        /// Octets that are there.
        available: usize,
    },
    /// The last field is read and octets are left.
    TrailingOctets {
        /// How many.
        count: usize,
    },
    /// A value in a table or an array begins with a tag that stands for no type.
    UnknownValueTag {
        /// The tag, usually a letter.
        tag: u8,
    },
    /// Tables or arrays are nested deeper than this crate reads.
    TooDeep {
        /// The deepest level that is read, [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX).
        limit: usize,
    },
    /// A table has more values in it than this crate reads.
    TooManyValues {
        /// The most that are read, [`TABLE_VALUES_MAX`](crate::limits::TABLE_VALUES_MAX).
        limit: usize,
    },
    /// An entry of a table or an array runs over the end that the table's or array's length gives it.
    TableLengthMismatch {
        /// Octets that the next part of the entry takes.
        needed: usize,
        /// Octets left in the table or array.
        available: usize,
    },
    /// A content of a class that has no content properties.
    NoProperties {
        /// The class.
        class_id: u16,
    },
}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnexpectedEnd { needed, available } => {
                write!(f, "needs {}, {}", Octets(needed), Left(available))
            }
            Self::TrailingOctets { count } => {
                write!(f, "{} too many behind the last field", Octets(count))
            }
            Self::UnknownValueTag { tag } => {
                write!(f, "no type of value has the tag {:?} (0x{tag:02x})", char::from(tag))
            }
            Self::TooDeep { limit } => {
                write!(f, "tables are nested deeper than {limit} levels")
            }
            Self::TooManyValues { limit } => {
                write!(f, "the table has more than {limit} values")
            }
            Self::TableLengthMismatch { needed, available } => {
                write!(f, "needs {}, {} in the table", Octets(needed), Left(available))
            }
            Self::NoProperties { class_id } => {
                write!(f, "class {class_id} has no content properties")
            }
        }
    }
}

/// A number of octets, with its noun.
struct Octets(usize);

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 octet"),
            n => write!(f, "{n} octets"),
        }
    }
}

/// What is left, with its verb.
struct Left(usize);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 is left"),
            n => write!(f, "{n} are left"),
        }
    }
}

/// A method that can't be accepted. The peer broke the protocol: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MethodError {
    /// No method has this number.
    #[error("method {id} is not known")]
    Unknown {
        /// The number.
        id: MethodId,
    },
    /// A method that exists, but not one that this side may receive, or not as the reply that is due.
    #[error("method {id} is not expected here")]
    NotExpected {
        /// The method's number.
        id: MethodId,
    },
    /// The payload ends before the method's number does.
    #[error("a method without its number")]
    Number {
        /// What is missing.
        source: DecodeError,
    },
    /// The method's arguments can't be read.
    #[error("method {id} has bad arguments")]
    Arguments {
        /// The method's number.
        id: MethodId,
        /// Which argument, and why.
        source: DecodeError,
    },
}

impl MethodError {
    /// The method in question, if its number was there.
    pub const fn id(&self) -> Option<MethodId> {
        match *self {
            Self::Unknown { id } | Self::NotExpected { id } | Self::Arguments { id, .. } => {
                Some(id)
            }
            Self::Number { .. } => None,
        }
    }

    /// Always [`BlastRadius::Connection`].
    pub const fn blast_radius(&self) -> BlastRadius {
        BlastRadius::Connection
    }
}

/// Properties of a message that can't be read. They are the publisher's octets, so the other messages on the
/// connection are as good as ever.
///
/// ```
/// use amqp091_types::{BlastRadius, FieldTable, Decode, PropertiesError, Reader};
///
/// // A header `h` of a type that does not exist.
/// let error = FieldTable::decode(&mut Reader::new(b"\x00\x00\x00\x03\x01h?")).unwrap_err();
/// let error = PropertiesError::from(error);
/// assert_eq!(error.blast_radius(), BlastRadius::Message);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the message's properties can't be read")]
pub struct PropertiesError(#[source] DecodeError);

impl PropertiesError {
    /// Which property, and why.
    pub const fn cause(&self) -> DecodeError {
        self.0
    }

    /// Always [`BlastRadius::Message`].
    pub const fn blast_radius(&self) -> BlastRadius {
        BlastRadius::Message
    }
}

impl From<DecodeError> for PropertiesError {
    fn from(cause: DecodeError) -> Self {
        Self(cause)
    }
}

/// A value that can't be written. Nothing of it may reach the wire: whoever encodes into a shared buffer
/// cuts it back to the length it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// More than 255 octets for a short string.
    #[error("{len} octets are too many for a short string, which has at most 255")]
    ShortStrTooLong {
        /// How many octets it has.
        len: usize,
    },
    /// More octets for a long string or a byte array than 32 bits can count.
    #[error("{field}: {len} octets are too many for a long string")]
    LongStrTooLong {
        /// The field being written.
        field: &'static str,
        /// How many octets it has.
        len: usize,
    },
    /// A floating-point value in a table is not a number or infinite: RabbitMQ ends the connection over those.
    #[error("{field}: a floating-point value is not finite")]
    NotFinite {
        /// The field being written.
        field: &'static str,
    },
    /// Tables or arrays are nested deeper than this crate reads.
    #[error("{field}: tables are nested deeper than {limit} levels")]
    TooDeep {
        /// The field being written.
        field: &'static str,
        /// The deepest level that is written, [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX).
        limit: usize,
    },
    /// A table has more values in it than this crate reads.
    #[error("{field}: the table has more than {limit} values")]
    TooManyValues {
        /// The field being written.
        field: &'static str,
        /// The most that are written, [`TABLE_VALUES_MAX`](crate::limits::TABLE_VALUES_MAX).
        limit: usize,
    },
    /// A table or an array takes more octets than 32 bits can count.
    #[error("{field}: a table of {len} octets is too long")]
    TableTooLong {
        /// The field being written.
        field: &'static str,
        /// How many octets its entries take.
        len: usize,
    },
    /// A content header or body for channel 0, which is the connection's own.
    #[error("content can't be sent on channel 0")]
    ContentOnChannelZero,
    /// A method or a content header takes more octets than one frame can hold.
    #[error("{len} octets are too many for one frame")]
    FrameTooLong {
        /// How many octets it takes.
        len: usize,
    },
}

impl From<TooLong> for EncodeError {
    fn from(error: TooLong) -> Self {
        Self::ShortStrTooLong { len: error.len }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn reasons_read_well() {
        let cases = [
            (DecodeReason::UnexpectedEnd { needed: 1, available: 0 }, "needs 1 octet, 0 are left"),
            (DecodeReason::UnexpectedEnd { needed: 4, available: 1 }, "needs 4 octets, 1 is left"),
            (DecodeReason::TrailingOctets { count: 1 }, "1 octet too many behind the last field"),
            (
                DecodeReason::UnknownValueTag { tag: b'?' },
                "no type of value has the tag '?' (0x3f)",
            ),
            (DecodeReason::UnknownValueTag { tag: 0 }, "no type of value has the tag '\\0' (0x00)"),
            (DecodeReason::TooDeep { limit: 32 }, "tables are nested deeper than 32 levels"),
            (
                DecodeReason::TableLengthMismatch { needed: 8, available: 2 },
                "needs 8 octets, 2 are left in the table",
            ),
        ];
        for (reason, text) in cases {
            assert_eq!(reason.to_string(), text);
        }
    }

    #[test]
    fn the_radius_is_in_the_type_and_the_cause_is_the_source() {
        let cause = DecodeError::new("a.b", 7, DecodeReason::TrailingOctets { count: 2 });
        let method = MethodError::Arguments { id: MethodId::new(60, 40), source: cause };
        assert_eq!(method.blast_radius(), BlastRadius::Connection);
        assert_eq!(method.to_string(), "method 60.40 has bad arguments");
        assert_eq!(method.source().unwrap().to_string(), cause.to_string());

        let properties = PropertiesError::from(cause);
        assert_eq!(properties.blast_radius(), BlastRadius::Message);
        assert_eq!(properties.source().unwrap().to_string(), cause.to_string());
        assert_eq!(properties.cause(), cause);
    }

    #[test]
    fn errors_are_small() {
        assert!(size_of::<DecodeError>() <= 48);
        assert!(size_of::<MethodError>() <= 56);
        assert!(size_of::<EncodeError>() <= 32);
    }
}
