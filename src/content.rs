//! Content: the header with its properties, and a message put together from its frames.
//!
//! On a channel, a method that carries content is followed by one header frame and by body frames
//! until the announced size is reached; nothing else of that channel may come between (spec section
//! 4.2.6). [`Assembler`] holds one channel to that, whichever side it is on.

use std::fmt;

use amqp091_types::{ContentProperties, PropertiesError};
use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::protocol::ReplyCode;

/// Octets of a content header before the properties.
const HEADER_LEN: usize = 12;

/// A content header: `class-id:u16 weight:u16 body-size:u64`, then the properties.
///
/// `Debug` shows how long the properties are, not what is in them.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ContentHeader<'a> {
    /// The class of the method that the content belongs to.
    pub class_id: u16,
    /// Octets of the body that follows.
    pub body_size: u64,
    /// The property flags and values, still encoded.
    pub properties: &'a [u8],
}

impl fmt::Debug for ContentHeader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentHeader")
            .field("class_id", &self.class_id)
            .field("body_size", &self.body_size)
            .field("properties", &format_args!("{} octets", self.properties.len()))
            .finish()
    }
}

impl<'a> ContentHeader<'a> {
    /// Octets before the properties.
    pub const LEN: usize = HEADER_LEN;

    /// Reads a header frame's payload. The properties stay encoded: they are another publisher's
    /// octets, and a mistake in them is that message's alone.
    ///
    /// # Errors
    ///
    /// [`ContentError`] when the fixed part is cut short or the weight isn't 0.
    #[inline]
    pub fn parse(payload: &'a [u8]) -> Result<Self, ContentError> {
        let Some((start, properties)) = payload.split_first_chunk::<HEADER_LEN>() else {
            return Err(ContentError::HeaderCutShort { len: payload.len() });
        };
        let [c0, c1, w0, w1, size @ ..] = *start;
        let weight = u16::from_be_bytes([w0, w1]);
        if weight != 0 {
            return Err(ContentError::Weight { weight });
        }
        Ok(Self {
            class_id: u16::from_be_bytes([c0, c1]),
            body_size: u64::from_be_bytes(size),
            properties,
        })
    }
}

/// A message's properties as they came: decoded when asked for, so that a bad header table in one
/// message fails that message, not the connection.
///
/// `Debug` shows how many octets they are, not what is in them.
#[derive(Clone, Eq, PartialEq)]
pub struct RawProperties(Bytes);

impl fmt::Debug for RawProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawProperties({} octets)", self.0.len())
    }
}

impl RawProperties {
    /// Keeps these octets: a content header's payload behind its first [`ContentHeader::LEN`].
    pub const fn new(octets: Bytes) -> Self {
        Self(octets)
    }

    /// The octets: the flags, then the values.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Decodes the properties of class `P`.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`], which concerns this message only.
    pub fn decode<P: ContentProperties>(&self) -> Result<P, PropertiesError> {
        P::decode_all(&self.0).map_err(PropertiesError::from)
    }
}

impl Default for RawProperties {
    /// No properties at all.
    fn default() -> Self {
        Self(Bytes::from_static(&[0, 0]))
    }
}

/// A whole content. Properties and body may be slices of a larger buffer, which they keep alive.
///
/// `Debug` shows how long both are, not what is in them.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Content {
    /// The properties, still encoded.
    pub properties: RawProperties,
    /// The body. One that came in a single frame is that frame's octets, uncopied.
    pub body: Bytes,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("properties", &self.properties)
            .field("body", &format_args!("{} octets", self.body.len()))
            .finish()
    }
}

/// Puts one channel's contents together: [`begin`](Self::begin) behind the method,
/// [`header`](Self::header) and [`body`](Self::body) for the frames.
///
/// Memory grows with the octets that have come, never with the size that a peer announces.
///
/// ```
/// use amqp091::bytes::Bytes;
/// use amqp091::content::Assembler;
/// use amqp091::protocol::basic;
///
/// let mut assembler = Assembler::new(1024);
/// assembler.begin(basic::CLASS_ID)?;
/// let header = Bytes::from_static(&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0]);
/// assert_eq!(assembler.header(header)?, None);
/// assert_eq!(assembler.body(Bytes::from_static(b"hel"))?, None);
/// let content = assembler.body(Bytes::from_static(b"lo"))?;
/// assert_eq!(content.map(|content| content.body), Some(Bytes::from_static(b"hello")));
/// # Ok::<(), amqp091::content::ContentError>(())
/// ```
#[derive(Debug)]
pub struct Assembler {
    max_body: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Header { class_id: u16 },
    Body { properties: RawProperties, body_size: u64, body: Partial },
}

/// A body on its way.
#[derive(Debug)]
enum Partial {
    /// Nothing yet, or the first frame as it lies in its buffer.
    Slice(Bytes),
    /// More than one frame, copied together.
    Joined(BytesMut),
}

impl Partial {
    fn len(&self) -> usize {
        match self {
            Self::Slice(slice) => slice.len(),
            Self::Joined(joined) => joined.len(),
        }
    }

    fn push(&mut self, piece: Bytes, body_size: u64) {
        match self {
            Self::Slice(first) if first.is_empty() => *first = piece,
            Self::Slice(first) => {
                let mut joined = BytesMut::new();
                joined.reserve(Self::room(first.len() + piece.len(), body_size));
                joined.extend_from_slice(first);
                joined.extend_from_slice(&piece);
                *self = Self::Joined(joined);
            }
            Self::Joined(joined) => {
                let len = joined.len() + piece.len();
                if len > joined.capacity() {
                    joined.reserve(Self::room(len, body_size) - joined.len());
                }
                joined.extend_from_slice(&piece);
            }
        }
    }

    /// Room for twice what is there, but not beyond the announced end.
    fn room(len: usize, body_size: u64) -> usize {
        let whole = usize::try_from(body_size).unwrap_or(usize::MAX);
        len.saturating_mul(2).min(whole).max(len)
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Slice(slice) => slice,
            Self::Joined(joined) => joined.freeze(),
        }
    }
}

impl Assembler {
    /// An assembler that refuses bodies of more than `max_body` octets.
    pub const fn new(max_body: u64) -> Self {
        Self { max_body, state: State::Idle }
    }

    /// Whether no content is under way.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Expects a content of class `class_id`: a method that carries one has come.
    ///
    /// # Errors
    ///
    /// [`ContentError::Interrupted`] when a content is under way.
    #[inline]
    pub fn begin(&mut self, class_id: u16) -> Result<(), ContentError> {
        self.interrupted()?;
        self.state = State::Header { class_id };
        Ok(())
    }

    /// Takes a header frame's payload. The content is whole already when its body is empty.
    ///
    /// # Errors
    ///
    /// [`ContentError`] when no header is expected here, it doesn't fit its method, or the body would
    /// be over the limit.
    #[inline]
    pub fn header(&mut self, payload: Bytes) -> Result<Option<Content>, ContentError> {
        let header = ContentHeader::parse(&payload)?;
        let properties = RawProperties::new(payload.slice(ContentHeader::LEN..));
        self.header_with(header.class_id, header.body_size, properties)
    }

    /// As [`header`](Self::header), for one that is parsed already and whose properties its caller
    /// wants to keep elsewhere.
    ///
    /// # Errors
    ///
    /// As [`header`](Self::header).
    #[inline]
    pub fn header_with(
        &mut self,
        class_id: u16,
        body_size: u64,
        properties: RawProperties,
    ) -> Result<Option<Content>, ContentError> {
        let State::Header { class_id: expected } = self.state else {
            return Err(ContentError::UnexpectedHeader);
        };
        if class_id != expected {
            return Err(ContentError::OtherClass { expected, found: class_id });
        }
        if body_size > self.max_body {
            self.state = State::Idle;
            return Err(ContentError::TooLarge { body_size, limit: self.max_body });
        }
        if body_size == 0 {
            self.state = State::Idle;
            return Ok(Some(Content { properties, body: Bytes::new() }));
        }
        self.state = State::Body { properties, body_size, body: Partial::Slice(Bytes::new()) };
        Ok(None)
    }

    /// Takes a body frame's payload; an empty one is tolerated, though nobody should send it.
    ///
    /// # Errors
    ///
    /// [`ContentError`] when no body is expected here or it is longer than announced.
    #[inline]
    pub fn body(&mut self, payload: Bytes) -> Result<Option<Content>, ContentError> {
        let State::Body { body_size, body, .. } = &mut self.state else {
            return Err(ContentError::UnexpectedBody);
        };
        // Neither can overflow: what has come lies in memory.
        let received = (body.len() + payload.len()) as u64;
        if received > *body_size {
            return Err(ContentError::Overrun { body_size: *body_size, received });
        }
        if !payload.is_empty() {
            body.push(payload, *body_size);
        }
        if received < *body_size {
            return Ok(None);
        }
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Body { properties, body, .. } => {
                Ok(Some(Content { properties, body: body.finish() }))
            }
            _ => Ok(None),
        }
    }

    /// Checks that no content is under way, as before any method on the channel.
    ///
    /// # Errors
    ///
    /// [`ContentError::Interrupted`].
    #[inline]
    pub const fn interrupted(&self) -> Result<(), ContentError> {
        if self.is_idle() { Ok(()) } else { Err(ContentError::Interrupted) }
    }

    /// Forgets a content under way: its channel was closed.
    pub fn reset(&mut self) {
        self.state = State::Idle;
    }
}

/// Content frames that break the rules. All but [`TooLarge`](Self::TooLarge) leave no way to go on:
/// the connection ends.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ContentError {
    /// The header's fixed part isn't whole.
    #[error("content header of {len} octets, at least 12 are needed")]
    HeaderCutShort {
        /// Octets of the payload.
        len: usize,
    },
    /// The header's weight, unused since AMQP 0-9, isn't 0.
    #[error("content header with weight {weight}, expected 0")]
    Weight {
        /// What it is.
        weight: u16,
    },
    /// The header names another class than the method before it.
    #[error("content header of class {found}, expected class {expected}")]
    OtherClass {
        /// The method's class.
        expected: u16,
        /// The header's class.
        found: u16,
    },
    /// A header frame without a method that carries content.
    #[error("content header without a method that carries content")]
    UnexpectedHeader,
    /// A body frame where none is due.
    #[error("content body where none is due")]
    UnexpectedBody,
    /// Another frame of the channel before the content was whole.
    #[error("method before the content under way was whole")]
    Interrupted,
    /// More body than announced.
    #[error("content body of {received} octets, {body_size} were announced")]
    Overrun {
        /// Announced octets.
        body_size: u64,
        /// Octets that came.
        received: u64,
    },
    /// The announced body is over this side's limit. Framing is intact: only the channel needs to go.
    /// The body's frames still come; whoever closes the channel drops them until its close is answered.
    #[error("content body of {body_size} octets, the limit is {limit}")]
    TooLarge {
        /// Announced octets.
        body_size: u64,
        /// Accepted octets.
        limit: u64,
    },
}

impl ContentError {
    /// The reply code with which a peer that finds this error closes the connection, or the channel
    /// for [`TooLarge`](Self::TooLarge).
    pub const fn reply_code(self) -> ReplyCode {
        match self {
            Self::HeaderCutShort { .. } => ReplyCode::SYNTAX_ERROR,
            Self::TooLarge { .. } => ReplyCode::CONTENT_TOO_LARGE,
            _ => ReplyCode::UNEXPECTED_FRAME,
        }
    }
}
