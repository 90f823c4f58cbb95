//! Frames into a buffer: methods, content headers, bodies, heartbeats.
//!
//! Each function appends whole frames. Where one returns an error the buffer is left as it was, so
//! that a pending output shared by many callers never holds half a frame.

use amqp091_types::{
    ContentProperties, Encode, EncodeError, Method, MethodId, QuickWriter, Sink, Writer,
};
use bytes::BytesMut;

use crate::frame::{FrameKind, FrameLimits, HEAD, OVERHEAD};
use crate::protocol::constants;

/// Octets of zeros that a frame is written over without being measured first: to fill so much room is quicker than a look at
/// all its strings. For a method, or properties without a header table.
const SHORT: usize = 128;

/// The same for properties with a header table, and for what turns out longer than [`SHORT`]. So much room for everything would take a
/// small message half as long again.
const LONG: usize = 320;

/// Appends `method` as one frame.
///
/// # Errors
///
/// [`EncodeError`] when an argument has no encoding; nothing is appended.
///
/// # Example
///
/// ```
/// use amqp091::bytes::BytesMut;
/// use amqp091::protocol::basic;
///
/// let mut out = BytesMut::new();
/// amqp091::encode::method(&mut out, 1, &basic::Ack { delivery_tag: 7, multiple: false })?;
/// assert_eq!(out[..], [1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0xCE]);
/// # Ok::<(), amqp091::types::EncodeError>(())
/// ```
#[inline]
pub fn method<M: Method>(out: &mut BytesMut, channel: u16, method: &M) -> Result<(), EncodeError> {
    method_arguments(out, channel, M::ID, method)
}

/// Appends the method `id` with these arguments as one frame: what [`method`] does for a method
/// whose type is only known at run time, such as a [`crate::protocol::AnyMethod`].
///
/// # Errors
///
/// [`EncodeError`] when an argument has no encoding; nothing is appended.
#[inline]
pub fn method_arguments<A: Encode>(
    out: &mut BytesMut,
    channel: u16,
    id: MethodId,
    arguments: &A,
) -> Result<(), EncodeError> {
    let [class_high, class_low] = id.class_id.to_be_bytes();
    let [method_high, method_low] = id.method_id.to_be_bytes();
    let ids = [class_high, class_low, method_high, method_low];
    frame(out, FrameKind::Method, channel, &ids, arguments, false)
}

/// Appends the content header of a body of `body_size` octets as one frame.
///
/// # Errors
///
/// [`EncodeError`] when a property has no encoding; nothing is appended.
#[inline]
pub fn header<P: ContentProperties>(
    out: &mut BytesMut,
    channel: u16,
    body_size: u64,
    properties: &P,
) -> Result<(), EncodeError> {
    let start = header_start(P::CLASS_ID, body_size);
    frame(out, FrameKind::Header, channel, &start, properties, properties.has_tables())
}

/// Appends a content header whose properties are encoded already, as they came from a peer or were
/// prepared once: what a proxy and a prepared publisher send.
pub fn raw_header(
    out: &mut BytesMut,
    channel: u16,
    class_id: u16,
    body_size: u64,
    properties: &[u8],
) {
    let start = header_start(class_id, body_size);
    let size = start.len() + properties.len();
    out.reserve(size + OVERHEAD);
    out.extend_from_slice(&head(FrameKind::Header, channel, saturating_u32(size)));
    out.extend_from_slice(&start);
    out.extend_from_slice(properties);
    out.extend_from_slice(&[constants::FRAME_END]);
}

/// Appends a frame of any kind with this payload, as it came from a peer: what a proxy sends.
///
/// # Errors
///
/// [`EncodeError::FrameTooLong`] for more than 4 GiB; nothing is appended.
pub fn raw_frame(
    out: &mut BytesMut,
    kind: FrameKind,
    channel: u16,
    payload: &[u8],
) -> Result<(), EncodeError> {
    let len = payload.len();
    let size = u32::try_from(len).map_err(|_| EncodeError::FrameTooLong { len })?;
    out.reserve(len + OVERHEAD);
    out.extend_from_slice(&head(kind, channel, size));
    out.extend_from_slice(payload);
    out.extend_from_slice(&[constants::FRAME_END]);
    Ok(())
}

/// Appends `payload` as one body frame: at most 4 GiB, and as much as the peer accepts. An empty body
/// has no frame at all: don't send one. [`body`] sees to both.
#[inline]
pub fn body_frame(out: &mut BytesMut, channel: u16, payload: &[u8]) {
    out.reserve(payload.len() + OVERHEAD);
    out.extend_from_slice(&body_head(channel, payload.len()));
    out.extend_from_slice(payload);
    out.extend_from_slice(&[constants::FRAME_END]);
}

/// Appends `body` in as many frames as `frame_max` asks for (octets, 0: no limit): none for an empty
/// body.
#[inline]
pub fn body(out: &mut BytesMut, channel: u16, body: &[u8], frame_max: u32) {
    for payload in body.chunks(max_body_payload(frame_max)) {
        body_frame(out, channel, payload);
    }
}

/// The seven octets before a body payload of `len` octets. For a writer that hands the kernel the
/// payload where it lies; [`constants::FRAME_END`] goes behind it.
#[inline]
pub fn body_head(channel: u16, len: usize) -> [u8; HEAD] {
    head(FrameKind::Body, channel, saturating_u32(len))
}

/// The most octets of a body that go into one frame under `frame_max` (octets, 0: no limit).
///
/// Where there is no limit, a frame is at most 1 MiB, which [`FrameLimits::from_frame_max`] accepts then.
/// Never 0: a frame-max without room for a payload, which nobody may ask for, is taken as one with room
/// for an octet.
#[inline]
pub fn max_body_payload(frame_max: u32) -> usize {
    let frame = if frame_max == 0 { FrameLimits::CONTROL_MIN } else { frame_max };
    (frame as usize).saturating_sub(OVERHEAD).max(1)
}

/// Appends a heartbeat.
pub fn heartbeat(out: &mut BytesMut) {
    out.extend_from_slice(&head(FrameKind::Heartbeat, 0, 0));
    out.extend_from_slice(&[constants::FRAME_END]);
}

/// `class-id:u16 weight:u16 body-size:u64`; the weight is always 0.
#[inline]
fn header_start(class_id: u16, body_size: u64) -> [u8; 12] {
    let mut start = [0; 12];
    start[..2].copy_from_slice(&class_id.to_be_bytes());
    start[4..].copy_from_slice(&body_size.to_be_bytes());
    start
}

/// A frame of `start` and `rest`, which may be long or not.
#[inline]
fn frame<const N: usize, E: Encode>(
    out: &mut BytesMut,
    kind: FrameKind,
    channel: u16,
    start: &[u8; N],
    rest: &E,
    long: bool,
) -> Result<(), EncodeError> {
    if (!long && frame_over::<SHORT, N, E>(out, kind, channel, start, rest))
        || frame_over::<LONG, N, E>(out, kind, channel, start, rest)
    {
        return Ok(());
    }
    frame_measured(out, kind, channel, start, rest)
}

/// Whether there was room for so many zeros, and the frame was shorter.
#[inline]
fn frame_over<const ROOM: usize, const N: usize, E: Encode>(
    out: &mut BytesMut,
    kind: FrameKind,
    channel: u16,
    start: &[u8; N],
    rest: &E,
) -> bool {
    // Not where the buffer would have to grow for it: it may have been reserved exactly.
    if out.capacity() - out.len() < ROOM {
        return false;
    }
    let begin = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let written = frame_quickly(&mut out[begin..], kind, channel, start, rest);
    out.truncate(begin + written.unwrap_or(0));
    written.is_some()
}

/// The same with a look at how long the frame is: a buffer that must grow grows once.
#[cold]
#[inline(never)]
fn frame_measured<const N: usize, E: Encode>(
    out: &mut BytesMut,
    kind: FrameKind,
    channel: u16,
    start: &[u8; N],
    rest: &E,
) -> Result<(), EncodeError> {
    let begin = out.len();
    let len = rest.encoded_len().saturating_add(OVERHEAD + N);
    let room = len.saturating_add(QuickWriter::SLACK);
    let spare = out.capacity() - begin;
    if u32::try_from(room).is_ok() && (spare < len || spare >= room) {
        out.resize(begin + room, 0);
        if let Some(len) = frame_quickly(&mut out[begin..], kind, channel, start, rest) {
            out.truncate(begin + len);
            return Ok(());
        }
        out.truncate(begin);
    }
    frame_at_length(out, kind, channel, start, rest)
}

#[inline(always)]
fn frame_quickly<const N: usize, E: Encode>(
    room: &mut [u8],
    kind: FrameKind,
    channel: u16,
    start: &[u8; N],
    rest: &E,
) -> Option<usize> {
    let (head, room) = room.split_first_chunk_mut::<HEAD>()?;
    let before = room.len();
    let (place, room) = room.split_first_chunk_mut::<N>()?;
    *place = *start;
    let mut writer = QuickWriter::new(room);
    rest.encode_quickly(&mut writer)?;
    let size = before - writer.remaining();
    Sink::u8(&mut writer, constants::FRAME_END).ok()?;
    *head = self::head(kind, channel, u32::try_from(size).ok()?);
    Some(HEAD + size + 1)
}

/// The same for anything. The size is filled in behind the payload.
#[cold]
#[inline(never)]
fn frame_at_length<E: Encode>(
    out: &mut BytesMut,
    kind: FrameKind,
    channel: u16,
    start: &[u8],
    rest: &E,
) -> Result<(), EncodeError> {
    let begin = out.len();
    out.extend_from_slice(&head(kind, channel, 0));
    out.extend_from_slice(start);
    if let Err(error) = rest.encode(&mut Writer::new(out)) {
        out.truncate(begin);
        return Err(error);
    }
    let size = out.len() - begin - HEAD;
    let Ok(size) = u32::try_from(size) else {
        out.truncate(begin);
        return Err(EncodeError::FrameTooLong { len: size });
    };
    out[begin + 3..begin + HEAD].copy_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[constants::FRAME_END]);
    Ok(())
}

#[inline]
fn head(kind: FrameKind, channel: u16, size: u32) -> [u8; HEAD] {
    let [channel_high, channel_low] = channel.to_be_bytes();
    let [a, b, c, d] = size.to_be_bytes();
    [kind.octet(), channel_high, channel_low, a, b, c, d]
}

/// Lengths here are bounded by frame-max or by octets that came in a frame, both below 4 GiB.
#[inline]
fn saturating_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
