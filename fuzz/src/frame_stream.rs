//! What a peer sends, as a client and as a server take it: the same however it is cut, within bounds, and the frames can be
//! made again.

use std::collections::HashMap;

use amqp091::any_frame::{AnyFrame, Unmarshaled};
use amqp091::content::{Assembler, Content, ContentError, ContentHeader};
use amqp091::encode;
use amqp091::frame::{
    Frame, FrameDecoder, FrameError, FrameKind, FrameLimits, OVERHEAD, Parsed, parse,
};
use amqp091::protocol::{AnyMethod, ToClient, ToServer, basic};
use amqp091::protocol_header::ProtocolHeader;
use amqp091_types::{EncodeError, MethodError};
use bytes::BytesMut;

/// The largest body that is accepted.
const BODY_MAX: u64 = 16 * 1024;

/// Room that a decoder may make for a frame of which only the head has come.
const ROOM: usize = 128 * 1024;

/// What is received.
#[derive(Debug, PartialEq)]
enum Event {
    Method(AnyMethod),
    Message(Content),
    Unreadable(Content),
    Heartbeat,
}

/// What ends a connection, or a channel.
#[derive(Clone, Debug, PartialEq)]
enum End {
    Frame(FrameError),
    Method(MethodError),
    Content(ContentError),
}

/// A side of a connection, which tells what it may receive.
#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    Server,
}

impl Side {
    fn read(self, payload: &[u8]) -> Result<AnyMethod, MethodError> {
        match self {
            Self::Client => ToClient::from_payload(payload).map(AnyMethod::from),
            Self::Server => ToServer::from_payload(payload).map(AnyMethod::from),
        }
    }
}

/// One side of a connection: octets in, events out.
#[derive(Debug)]
struct Receiver {
    side: Side,
    /// Whether every frame is looked at from all sides.
    thorough: bool,
    decoder: FrameDecoder,
    buffer: BytesMut,
    contents: HashMap<u16, Assembler>,
    events: Vec<Event>,
    end: Option<End>,
}

impl Receiver {
    fn new(side: Side, thorough: bool) -> Self {
        Self {
            side,
            thorough,
            decoder: FrameDecoder::new(limits()),
            buffer: BytesMut::new(),
            contents: HashMap::new(),
            events: Vec::new(),
            end: None,
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        while self.end.is_none() {
            match self.frame() {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => self.end = Some(end),
            }
        }
    }

    /// Takes one frame; false when there is none.
    fn frame(&mut self) -> Result<bool, End> {
        let before = self.thorough.then(|| self.buffer.clone());
        let decoded = self.decoder.decode(&mut self.buffer);
        if let Some(before) = before {
            check_decoded(&before, &decoded, &self.buffer);
        }
        match decoded.map_err(End::Frame)? {
            Some(frame) => {
                self.take(frame)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn take(&mut self, frame: Frame) -> Result<(), End> {
        let assembler =
            self.contents.entry(frame.channel).or_insert_with(|| Assembler::new(BODY_MAX));
        let content = match frame.kind {
            FrameKind::Method => {
                let method = self.side.read(&frame.payload).map_err(End::Method)?;
                let begun = if method.has_content() {
                    assembler.begin(method.id().class_id)
                } else {
                    assembler.interrupted()
                };
                begun.map_err(End::Content)?;
                self.events.push(Event::Method(method));
                None
            }
            FrameKind::Header => assembler.header(frame.payload).map_err(End::Content)?,
            FrameKind::Body => assembler.body(frame.payload).map_err(End::Content)?,
            FrameKind::Heartbeat => {
                self.events.push(Event::Heartbeat);
                None
            }
        };
        if let Some(content) = content {
            assert!(assembler.is_idle());
            assert!(content.body.len() as u64 <= BODY_MAX);
            self.events.push(match content.properties.decode::<basic::Properties>() {
                Ok(_) => Event::Message(content),
                Err(_) => Event::Unreadable(content),
            });
        }
        Ok(())
    }
}

pub(crate) fn check(input: &[u8]) {
    for side in [Side::Client, Side::Server] {
        let frames = match side {
            Side::Client => input,
            Side::Server => behind_the_header(input),
        };
        let whole = received(side, true, [frames]);
        // In pieces of all sizes up to one that the input chooses, and octet by octet if that isn't too long.
        let largest = input.last().map_or(1, |octet| usize::from(*octet).max(1));
        let pieces = Pieces { rest: frames, next: 1, largest };
        assert_eq!(received(side, false, pieces), whole);
        if frames.len() <= 64 {
            assert_eq!(received(side, false, frames.chunks(1)), whole);
        }
    }
}

/// What a client of 0-9-1 sends first, if it is there.
fn behind_the_header(input: &[u8]) -> &[u8] {
    match ProtocolHeader::parse(input) {
        Ok(Some(header)) => {
            assert_eq!(header.to_bytes(), input[..ProtocolHeader::LEN]);
            &input[ProtocolHeader::LEN..]
        }
        Ok(None) => {
            assert!(input.len() < ProtocolHeader::LEN);
            input
        }
        Err(error) => {
            assert!(input.starts_with(error.found()) && !error.found().is_empty());
            input
        }
    }
}

/// Events, what ended them, and how many octets are left.
fn received<'a>(
    side: Side,
    thorough: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<End>) {
    let mut receiver = Receiver::new(side, thorough);
    for piece in pieces {
        receiver.receive(piece);
    }
    (receiver.events, receiver.end)
}

/// Pieces of one octet, two, three and so on up to the largest, then again from one.
struct Pieces<'a> {
    rest: &'a [u8],
    next: usize,
    largest: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at(self.next.min(self.rest.len()));
        self.rest = rest;
        self.next = self.next % self.largest + 1;
        Some(piece)
    }
}

/// What was decoded of the octets before is what can be parsed of them, and leaves the octets behind it.
fn check_decoded(before: &[u8], decoded: &Result<Option<Frame>, FrameError>, left: &BytesMut) {
    match (parse(before, limits()), decoded) {
        (Ok(Parsed::Frame { frame, consumed }), Ok(Some(decoded))) => {
            assert_eq!((frame.kind, frame.channel), (decoded.kind, decoded.channel));
            assert_eq!(frame.payload, decoded.payload);
            assert_eq!(consumed, decoded.payload.len() + OVERHEAD);
            assert_eq!(left, &before[consumed..]);
            made_again(decoded, &before[..consumed]);
            check_any(decoded, before);
        }
        (Ok(Parsed::Incomplete { needed }), Ok(None)) => {
            assert!(needed > before.len());
            assert_eq!(left, before);
            // Buffers double, and here that may happen twice: still nothing is made on the word of a head.
            assert!(left.capacity() <= 4 * (before.len() + ROOM));
        }
        (Err(parsed), Err(decoded)) => {
            assert_eq!(parsed, *decoded);
            assert_eq!(left, before, "the buffer is left as it was");
        }
        (parsed, decoded) => panic!("{parsed:?} is not {decoded:?}"),
    }
}

/// A frame without freedom in its payload is made again octet for octet. (That of a method is, in `methods.rs`, as far
/// as its meaning goes.)
fn made_again(frame: &Frame, octets: &[u8]) {
    let mut again = BytesMut::new();
    match frame.kind {
        FrameKind::Method => return,
        FrameKind::Header => {
            let Ok(header) = ContentHeader::parse(&frame.payload) else { return };
            let ContentHeader { class_id, body_size, properties } = header;
            encode::raw_header(&mut again, frame.channel, class_id, body_size, properties);
        }
        FrameKind::Body => encode::body_frame(&mut again, frame.channel, &frame.payload),
        FrameKind::Heartbeat => encode::heartbeat(&mut again),
    }
    assert_eq!(again, octets);
}

/// The frame as one value says the same as its parts, and is the same when it is written and read again.
fn check_any(frame: &Frame, octets: &[u8]) {
    let any = match AnyFrame::try_from(frame.clone()) {
        Ok(any) => any,
        Err(error) => {
            assert_eq!(AnyFrame::unmarshal(octets, limits()), Err(error));
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let consumed = frame.payload.len() + OVERHEAD;
    let unmarshaled = Unmarshaled { consumed, channel: frame.channel, frame: any };
    assert_eq!(AnyFrame::unmarshal(octets, limits()).as_ref(), Ok(&Some(unmarshaled.clone())));

    let mut again = BytesMut::new();
    let any = unmarshaled.frame;
    match any.marshal(frame.channel, &mut again) {
        Ok(()) => {
            let consumed = again.len();
            let expected = Unmarshaled { consumed, channel: frame.channel, frame: any };
            assert_eq!(AnyFrame::unmarshal(&again, limits()), Ok(Some(expected)));
        }
        Err(error) => {
            assert!(matches!(error, EncodeError::NotFinite { .. }), "{error}");
            assert!(again.is_empty());
        }
    }
}

/// Small, so that what is over a limit is found among small inputs.
fn limits() -> FrameLimits {
    FrameLimits::from_frame_max(4096)
}
