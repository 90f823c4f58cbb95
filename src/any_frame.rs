//! Any frame as one value: octets to a typed frame and back, in one call each.
//!
//! This is the convenient way: for tools, tests and proxies that treat all frames alike. A client or a broker that
//! knows what it waits for reads faster with [`crate::frame`] and [`crate::content`], of which this is made.
//!
//! ```
//! use amqp091::any_frame::AnyFrame;
//! use amqp091::bytes::BytesMut;
//! use amqp091::frame::FrameLimits;
//! use amqp091::protocol::basic;
//!
//! let ack = AnyFrame::from(basic::Ack { delivery_tag: 7, multiple: false });
//! let mut wire = BytesMut::new();
//! ack.marshal(1, &mut wire)?;
//! AnyFrame::Heartbeat.marshal(0, &mut wire)?;
//!
//! let first = AnyFrame::unmarshal(&wire, FrameLimits::default())?.ok_or("a whole frame is there")?;
//! assert_eq!((first.consumed, first.channel, first.frame), (21, 1, ack));
//! let second = AnyFrame::unmarshal(&wire[21..], FrameLimits::default())?;
//! assert_eq!(second.map(|second| second.frame), Some(AnyFrame::Heartbeat));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use amqp091_types::{
    BlastRadius, ContentProperties, EncodeError, MethodError, PropertiesError, Writer,
};
use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::content::{ContentError, ContentHeader, RawProperties};
use crate::encode;
use crate::frame::{Frame, FrameError, FrameKind, FrameLimits, FrameRef, Parsed, parse};
use crate::protocol::{AnyMethod, AnyProperties, ReplyCode};
use crate::protocol_header::{NotAmqp, ProtocolHeader};

/// Whatever one peer sends to the other.
///
/// `Debug` shows how long a body is, not what is in it, and no credentials.
#[derive(Clone, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "an allocation for every method would cost more than moving it"
)]
pub enum AnyFrame {
    /// The eight octets that open a connection, or refuse one; no frame in the strict sense, without a channel.
    ProtocolHeader(ProtocolHeader),
    /// A method with its arguments.
    Method(AnyMethod),
    /// What is told of a message before its body.
    Header(Header),
    /// A piece of a message's body.
    Body(Bytes),
    /// A sign of life, on channel 0.
    Heartbeat,
}

impl fmt::Debug for AnyFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProtocolHeader(header) => f.debug_tuple("ProtocolHeader").field(header).finish(),
            Self::Method(method) => f.debug_tuple("Method").field(method).finish(),
            Self::Header(header) => f.debug_tuple("Header").field(header).finish(),
            Self::Body(body) => write!(f, "Body({} octets)", body.len()),
            Self::Heartbeat => f.write_str("Heartbeat"),
        }
    }
}

/// A content header whose properties are kept as they came, until they are asked for: they are another publisher's octets,
/// and a mistake in them is that message's alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The class of the method that the content belongs to: 60, basic.
    pub class_id: u16,
    /// Octets of the body that follows.
    pub body_size: u64,
    /// The flags and values, still encoded.
    pub properties: RawProperties,
}

impl Header {
    /// The header of a body of that many octets.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a property has no encoding.
    pub fn new<P: ContentProperties>(body_size: u64, properties: &P) -> Result<Self, EncodeError> {
        let mut octets = BytesMut::with_capacity(properties.encoded_len());
        properties.encode(&mut Writer::new(&mut octets))?;
        let properties = RawProperties::new(octets.freeze());
        Ok(Self { class_id: P::CLASS_ID, body_size, properties })
    }

    /// The properties.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`] when they are malformed, or the class has none. It concerns this message only.
    pub fn decode(&self) -> Result<AnyProperties, PropertiesError> {
        AnyProperties::decode(self.class_id, self.properties.as_bytes())
    }
}

impl<M: Into<AnyMethod>> From<M> for AnyFrame {
    fn from(method: M) -> Self {
        Self::Method(method.into())
    }
}

/// What [`AnyFrame::unmarshal`] found at the front of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmarshaled {
    /// How many octets it took: the next frame begins behind them.
    pub consumed: usize,
    /// Its channel; 0 is the connection itself.
    pub channel: u16,
    /// The frame.
    pub frame: AnyFrame,
}

impl AnyFrame {
    /// Reads the frame, or protocol header, at the front of `octets`; `None` if they end before it does. A body is copied; [`TryFrom<Frame>`](#impl-TryFrom<Frame>-for-AnyFrame)
    /// doesn't.
    ///
    /// # Errors
    ///
    /// [`UnmarshalError`]: octets that are no frame, over the limits, or no method of the protocol. It ends the
    /// connection. Properties are not looked at: [`Header::decode`] does that.
    pub fn unmarshal(
        octets: &[u8],
        limits: FrameLimits,
    ) -> Result<Option<Unmarshaled>, UnmarshalError> {
        // No type of frame has that number.
        if octets.first() == Some(&b'A') {
            let header = ProtocolHeader::parse(octets)?;
            return Ok(header.map(|header| Unmarshaled {
                consumed: ProtocolHeader::LEN,
                channel: 0,
                frame: Self::ProtocolHeader(header),
            }));
        }
        let Parsed::Frame { frame, consumed } = parse(octets, limits)? else {
            return Ok(None);
        };
        let FrameRef { kind, channel, payload } = frame;
        let frame = match kind {
            FrameKind::Method => Self::Method(AnyMethod::from_payload(payload)?),
            FrameKind::Header | FrameKind::Body | FrameKind::Heartbeat => {
                Self::typed(kind, Bytes::copy_from_slice(payload))?
            }
        };
        Ok(Some(Unmarshaled { consumed, channel, frame }))
    }

    /// Appends the octets of the frame on that channel to `out`: of a protocol header and a heartbeat, on none and on 0.
    /// A body goes into one frame, whatever frame-max is; [`encode::body`] splits.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when an argument has no encoding, when a header or body takes more than a frame can hold, or when
    /// it is to go on channel 0; nothing is appended.
    pub fn marshal(&self, channel: u16, out: &mut BytesMut) -> Result<(), EncodeError> {
        let content = match self {
            Self::Header(header) => Some(ContentHeader::LEN + header.properties.as_bytes().len()),
            Self::Body(body) => Some(body.len()),
            Self::ProtocolHeader(_) | Self::Method(_) | Self::Heartbeat => None,
        };
        if let Some(len) = content {
            if channel == 0 {
                return Err(EncodeError::ContentOnChannelZero);
            }
            if u32::try_from(len).is_err() {
                return Err(EncodeError::FrameTooLong { len });
            }
        }
        match self {
            Self::ProtocolHeader(header) => out.extend_from_slice(&header.to_bytes()),
            Self::Method(method) => encode::method_arguments(out, channel, method.id(), method)?,
            Self::Header(Header { class_id, body_size, properties }) => {
                encode::raw_header(out, channel, *class_id, *body_size, properties.as_bytes());
            }
            Self::Body(body) => encode::body_frame(out, channel, body),
            Self::Heartbeat => encode::heartbeat(out),
        }
        Ok(())
    }

    fn typed(kind: FrameKind, payload: Bytes) -> Result<Self, UnmarshalError> {
        Ok(match kind {
            FrameKind::Method => Self::Method(AnyMethod::from_payload(&payload)?),
            FrameKind::Header => {
                let ContentHeader { class_id, body_size, .. } = ContentHeader::parse(&payload)?;
                let properties = RawProperties::new(payload.slice(ContentHeader::LEN..));
                Self::Header(Header { class_id, body_size, properties })
            }
            FrameKind::Body => Self::Body(payload),
            FrameKind::Heartbeat => Self::Heartbeat,
        })
    }
}

impl TryFrom<Frame> for AnyFrame {
    type Error = UnmarshalError;

    /// The frame that a [`FrameDecoder`](crate::frame::FrameDecoder) gave, typed. A body stays where it is.
    fn try_from(frame: Frame) -> Result<Self, UnmarshalError> {
        Self::typed(frame.kind, frame.payload)
    }
}

/// Octets that are no frame of the protocol. What follows them can't be trusted: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnmarshalError {
    /// Something else than a protocol header, which it began as.
    #[error(transparent)]
    ProtocolHeader(#[from] NotAmqp),
    /// The framing is broken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A method that isn't known or has bad arguments.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// A content header that is cut short.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl UnmarshalError {
    /// The reply code with which a peer that finds this error closes the connection.
    pub const fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Frame(error) => error.reply_code(),
            Self::Method(MethodError::Unknown { .. } | MethodError::NotExpected { .. }) => {
                ReplyCode::COMMAND_INVALID
            }
            Self::Content(error) => error.reply_code(),
            Self::ProtocolHeader(_) | Self::Method(_) => ReplyCode::FRAME_ERROR,
        }
    }

    /// Always [`BlastRadius::Connection`].
    pub const fn blast_radius(&self) -> BlastRadius {
        BlastRadius::Connection
    }
}
