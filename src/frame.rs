//! One frame of the wire: `type:u8 channel:u16 size:u32 payload end:u8` (spec section 2.3.5).
//!
//! [`parse`] reads a frame in place, without a copy, and is what a fast reader uses; [`FrameDecoder`]
//! takes frames off the front of a buffer that grows as octets arrive. Both accept input cut at any
//! octet and judge a frame by its first seven octets, before memory is spent on it.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use nom::{IResult, Needed, Parser};
use thiserror::Error;

use crate::protocol::{ReplyCode, constants};

/// Octets around a frame's payload: seven before it (type, channel, size) and the end octet.
pub const OVERHEAD: usize = 8;

/// Octets before a frame's payload: type, channel, size.
pub const HEAD: usize = 7;

/// The most octets of room that a decoder makes for a frame of which only the head has come: a whole
/// frame of RabbitMQ's default frame-max.
const ROOM_AT_FIRST: usize = 128 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FrameKind {
    /// Class id, method id, arguments.
    Method,
    /// The properties and body size of a content, behind a method that carries one.
    Header,
    /// A piece of a content's body.
    Body,
    /// A sign of life on channel 0.
    Heartbeat,
}

impl FrameKind {
    /// The frame type octet.
    pub const fn octet(self) -> u8 {
        match self {
            Self::Method => constants::FRAME_METHOD,
            Self::Header => constants::FRAME_HEADER,
            Self::Body => constants::FRAME_BODY,
            Self::Heartbeat => constants::FRAME_HEARTBEAT,
        }
    }

    const fn from_octet(octet: u8) -> Option<Self> {
        Some(match octet {
            constants::FRAME_METHOD => Self::Method,
            constants::FRAME_HEADER => Self::Header,
            constants::FRAME_BODY => Self::Body,
            constants::FRAME_HEARTBEAT => Self::Heartbeat,
            _ => return None,
        })
    }
}

/// The largest payloads that are accepted, in octets.
///
/// The negotiated frame-max bounds body frames only: methods and content headers can't be split, and
/// RabbitMQ sends them larger than frame-max where they are. So they have a limit of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameLimits {
    body: u32,
    control: u32,
}

impl FrameLimits {
    /// The limit on method and header frames unless frame-max is larger: room for a header table of
    /// thousands of entries, and a bound on what one frame can make us buffer.
    pub const CONTROL_MIN: u32 = 1024 * 1024;

    /// Before tuning, every frame. The specification promises 4096 octets; 8192 leaves room for
    /// long client properties and tokens, as RabbitMQ 4.1 does.
    pub const HANDSHAKE: Self = Self { body: 8192, control: 8192 };

    /// The limits that follow from a negotiated frame-max, in octets; 0 stands for "no limit", which
    /// is taken as 1 MiB, so that no peer can ask for 4 GiB of buffer.
    ///
    /// As RabbitMQ does, this accepts a body payload of frame-max octets although the specification
    /// ends eight earlier.
    pub fn from_frame_max(frame_max: u32) -> Self {
        let body = if frame_max == 0 { Self::CONTROL_MIN } else { frame_max };
        Self { body, control: body.max(Self::CONTROL_MIN) }
    }

    /// Sets the limit on the payload of method and header frames, in octets.
    #[must_use]
    pub const fn with_control(mut self, octets: u32) -> Self {
        self.control = octets;
        self
    }

    const fn of(self, kind: FrameKind) -> u32 {
        match kind {
            FrameKind::Method | FrameKind::Header => self.control,
            FrameKind::Body => self.body,
            FrameKind::Heartbeat => 0,
        }
    }
}

impl Default for FrameLimits {
    /// The limits that follow from RabbitMQ's default frame-max, 131,072 octets.
    fn default() -> Self {
        Self::from_frame_max(131_072)
    }
}

/// A frame whose payload lies in the buffer that it was read from.
///
/// `Debug` shows how long the payload is, not what is in it: credentials, or somebody's message.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct FrameRef<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel; 0 is the connection itself.
    pub channel: u16,
    /// The octets between the head and the end octet.
    pub payload: &'a [u8],
}

impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("FrameRef", self.kind, self.channel, self.payload.len(), f)
    }
}

/// Without the payload.
fn debug(
    name: &str,
    kind: FrameKind,
    channel: u16,
    payload: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.debug_struct(name)
        .field("kind", &kind)
        .field("channel", &channel)
        .field("payload", &format_args!("{payload} octets"))
        .finish()
}

/// What [`parse`] found at the front of its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed<'a> {
    /// A whole frame.
    Frame {
        /// The frame.
        frame: FrameRef<'a>,
        /// How many octets it took, head and end octet included.
        consumed: usize,
    },
    /// Not yet a whole frame.
    Incomplete {
        /// How many octets from the front of the input are needed, at least.
        needed: usize,
    },
}

/// Reads the frame at the front of `input`, in place.
///
/// ```
/// use amqp091::frame::{FrameKind, FrameLimits, Parsed, parse};
///
/// let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
/// let Parsed::Frame { frame, consumed } = parse(&heartbeat, FrameLimits::default())? else {
///     unreachable!("all eight octets are there")
/// };
/// assert_eq!((frame.kind, consumed), (FrameKind::Heartbeat, 8));
/// assert_eq!(parse(&heartbeat[..5], FrameLimits::default())?, Parsed::Incomplete { needed: 7 });
/// # Ok::<(), amqp091::frame::FrameError>(())
/// ```
///
/// # Errors
///
/// [`FrameError`] as soon as the head shows it: an unknown type, a payload over its limit, a
/// heartbeat off channel 0 or with a payload, content on channel 0; and a wrong end octet. Each ends
/// the connection.
#[inline]
pub fn parse(input: &[u8], limits: FrameLimits) -> Result<Parsed<'_>, FrameError> {
    let Ok((rest, (octet, channel, size))) = head(input) else {
        // Garbage is told from its first octet: a peer that speaks another protocol may send no more.
        if let Some(&octet) = input.first()
            && FrameKind::from_octet(octet).is_none()
        {
            return Err(FrameError::UnknownType { octet });
        }
        return Ok(Parsed::Incomplete { needed: HEAD });
    };
    let kind = FrameKind::from_octet(octet).ok_or(FrameError::UnknownType { octet })?;
    match kind {
        FrameKind::Heartbeat if channel != 0 => {
            return Err(FrameError::HeartbeatChannel { channel });
        }
        FrameKind::Header | FrameKind::Body if channel == 0 => {
            return Err(FrameError::ContentOnChannelZero);
        }
        _ => {}
    }
    let limit = limits.of(kind);
    if size > limit {
        return Err(FrameError::TooLarge { kind, channel, size, limit });
    }
    let size = size as usize;
    let Some((payload, &[end, ..])) = rest.split_at_checked(size) else {
        return Ok(Parsed::Incomplete { needed: size + OVERHEAD });
    };
    if end != constants::FRAME_END {
        return Err(FrameError::End { kind, channel, found: end });
    }
    Ok(Parsed::Frame { frame: FrameRef { kind, channel, payload }, consumed: size + OVERHEAD })
}

/// `type:u8 channel:u16 size:u32`.
///
/// In one piece: nom's own `be_u8`, `be_u16` and `be_u32` one after the other took 75 instructions more for each frame, and a
/// frame with `basic.deliver` takes some 300 in all.
#[inline(always)]
fn head(input: &[u8]) -> IResult<&[u8], (u8, u16, u32), ()> {
    chunk
        .map(|[octet, c1, c0, s3, s2, s1, s0]: [u8; HEAD]| {
            (octet, u16::from_be_bytes([c1, c0]), u32::from_be_bytes([s3, s2, s1, s0]))
        })
        .parse(input)
}

#[inline(always)]
fn chunk<const N: usize>(input: &[u8]) -> IResult<&[u8], [u8; N], ()> {
    match input.split_first_chunk() {
        Some((octets, rest)) => Ok((rest, *octets)),
        None => Err(nom::Err::Incomplete(Needed::new(N - input.len()))),
    }
}

/// A frame that owns its payload: a slice of the buffer that it was read from, not a copy.
///
/// `Debug` shows how long the payload is, not what is in it: credentials, or somebody's message.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel; 0 is the connection itself.
    pub channel: u16,
    /// The octets between the head and the end octet.
    pub payload: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Frame", self.kind, self.channel, self.payload.len(), f)
    }
}

/// Takes frames off the front of a buffer that grows as octets arrive, however they are cut.
#[derive(Clone, Debug, Default)]
pub struct FrameDecoder {
    limits: FrameLimits,
}

impl FrameDecoder {
    /// A decoder with these limits.
    pub const fn new(limits: FrameLimits) -> Self {
        Self { limits }
    }

    /// Changes the limits, once they are negotiated.
    pub const fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Takes the next whole frame off the front of `buffer`; `None` when more octets are needed, for
    /// which room is then reserved: for all of the frame, but never much more than has come of it, so
    /// that a large size in a head costs nothing by itself.
    ///
    /// # Errors
    ///
    /// Those of [`parse`]. The buffer is left as it was; the connection is lost.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        match parse(buffer, self.limits)? {
            Parsed::Frame { frame: FrameRef { kind, channel, payload }, .. } => {
                let size = payload.len();
                buffer.advance(HEAD);
                let payload = buffer.split_to(size).freeze();
                buffer.advance(OVERHEAD - HEAD);
                Ok(Some(Frame { kind, channel, payload }))
            }
            Parsed::Incomplete { needed } => {
                // A head is seven octets, and limits may be as high as 4 GiB: beyond `ROOM_AT_FIRST`,
                // room is made as octets do come, twice as many each time.
                let missing = needed.saturating_sub(buffer.len());
                buffer.reserve(missing.min(buffer.len().max(ROOM_AT_FIRST)));
                Ok(None)
            }
        }
    }
}

/// A frame that breaks the framing rules. Where the next one begins is no longer known: the
/// connection ends.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The type is none of method, header, body, heartbeat.
    #[error(
        "unknown frame type {octet}: expected 1 (method), 2 (header), 3 (body) or 8 (heartbeat)"
    )]
    UnknownType {
        /// The type octet.
        octet: u8,
    },
    /// The payload is over the limit for its kind.
    #[error("{kind:?} frame on channel {channel} announces {size} octets, the limit is {limit}")]
    TooLarge {
        /// What the frame carries.
        kind: FrameKind,
        /// Its channel.
        channel: u16,
        /// Announced octets.
        size: u32,
        /// Accepted octets.
        limit: u32,
    },
    /// The payload isn't followed by the end octet.
    #[error("{kind:?} frame on channel {channel} ends with {found:#04x}, expected 0xce")]
    End {
        /// What the frame carries.
        kind: FrameKind,
        /// Its channel.
        channel: u16,
        /// The octet found.
        found: u8,
    },
    /// A heartbeat off channel 0.
    #[error("heartbeat on channel {channel}, expected channel 0")]
    HeartbeatChannel {
        /// Its channel.
        channel: u16,
    },
    /// A content header or body on the connection's own channel.
    #[error("content frame on channel 0")]
    ContentOnChannelZero,
}

impl FrameError {
    /// The reply code with which a peer that finds this error closes the connection.
    pub const fn reply_code(self) -> ReplyCode {
        match self {
            Self::HeartbeatChannel { .. } | Self::ContentOnChannelZero => {
                ReplyCode::UNEXPECTED_FRAME
            }
            _ => ReplyCode::FRAME_ERROR,
        }
    }
}
