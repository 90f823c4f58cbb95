//! Frames into a buffer: each octet of them, where a body is split, and nothing of what can't be written.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod hex;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameKind, FrameLimits, Parsed, parse};
use amqp091::protocol::{basic, constants, queue};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::schema::{ClassInfo, FieldInfo};
use amqp091::types::{
    ContentProperties, Decode, DecodeError, Encode, EncodeError, FieldMut, FieldRef, FieldTable,
    MethodId, Reader, Reflect, ShortStr, Value, Writer, limits,
};
use proptest::prelude::*;

use hex::octets;

fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

/// The payloads of body frames on channel 5, which is all that `wire` is.
fn payloads(wire: BytesMut, limits: FrameLimits) -> Vec<Bytes> {
    let mut wire = wire;
    let mut decoder = FrameDecoder::new(limits);
    let mut payloads = Vec::new();
    while let Some(frame) = decoder.decode(&mut wire).unwrap() {
        assert_eq!((frame.kind, frame.channel), (FrameKind::Body, 5));
        payloads.push(frame.payload);
    }
    assert!(wire.is_empty());
    payloads
}

/// How long the payloads are that a body of `len` octets is split into. All that comes between two peers that agreed on
/// `frame_max` is accepted by the one and is what the other had.
#[track_caller]
fn split(len: usize, frame_max: u32) -> Vec<usize> {
    let body: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
    let mut out = BytesMut::new();
    encode::body(&mut out, 5, &body, frame_max);
    let payloads = payloads(out, FrameLimits::from_frame_max(frame_max));
    assert!(payloads.concat() == body, "the body of {len} octets is the same");
    if frame_max != 0 {
        assert!(payloads.iter().all(|payload| payload.len() + 8 <= frame_max as usize));
    }
    payloads.iter().map(Bytes::len).collect()
}

#[test]
fn a_body_is_split_where_frame_max_says() {
    assert_eq!(split(0, 4096), []);
    assert_eq!(split(1, 4096), [1]);
    assert_eq!(split(4087, 4096), [4087]);
    assert_eq!(split(4088, 4096), [4088]);
    assert_eq!(split(4089, 4096), [4088, 1]);
    assert_eq!(split(8175, 4096), [4088, 4087]);
    assert_eq!(split(8176, 4096), [4088, 4088]);
    assert_eq!(split(8177, 4096), [4088, 4088, 1]);
    assert_eq!(split(131_064, 131_072), [131_064]);
    assert_eq!(split(131_065, 131_072), [131_064, 1]);
    assert_eq!(split(0, u32::MAX), []);
    assert_eq!(split(1_000_000, u32::MAX), [1_000_000]);
}

#[test]
fn a_body_without_a_limit_is_split_into_frames_that_this_crate_takes() {
    const MIB: usize = 1024 * 1024;
    assert_eq!(split(0, 0), []);
    assert_eq!(split(1_000_000, 0), [1_000_000]);
    assert_eq!(split(MIB - 8, 0), [MIB - 8]);
    assert_eq!(split(MIB - 7, 0), [MIB - 8, 1]);
    assert_eq!(split(64 * MIB, 0).iter().sum::<usize>(), 64 * MIB);
}

#[test]
fn a_frame_max_without_room_for_a_body_is_not_one_without_a_limit() {
    for frame_max in 1..=9 {
        assert_eq!(encode::max_body_payload(frame_max), 1, "{frame_max}");
    }
    assert_eq!(encode::max_body_payload(10), 2);
    assert_eq!(encode::max_body_payload(4096), 4088);
    assert_eq!(encode::max_body_payload(u32::MAX), u32::MAX as usize - 8);
}

#[test]
fn a_body_frame_in_parts_is_that_frame() {
    let payload = [b'x'; 300];
    let mut whole = BytesMut::new();
    encode::body_frame(&mut whole, 0x1234, &payload);
    let parts = [&encode::body_head(0x1234, payload.len())[..], &payload, &[constants::FRAME_END]];
    assert_eq!(whole[..], parts.concat());
    assert_eq!(whole[..], octets("03 1234 0000012c 78*300 ce"));
}

#[test]
fn a_content_header_is_written_as_it_is_described() {
    let properties = basic::Properties::default()
        .with_content_type(short("text/plain"))
        .with_delivery_mode(2)
        .with_headers(FieldTable::new().with(short("n"), Value::U16(3)));
    let mut out = BytesMut::new();
    encode::header(&mut out, 9, 0x0102_0304_0506_0708, &properties).unwrap();
    let wire = octets(
        "02 0009 00000023 003c 0000 0102030405060708 b000 0a \"text/plain\" 00000005 016e 75 0003 02 ce",
    );
    assert_eq!(out[..], wire);
}

#[test]
fn a_raw_header_is_the_header() {
    let properties = basic::Properties::default()
        .with_correlation_id(short("c"))
        .with_headers(FieldTable::new().with(short("k"), Value::Void));
    for body_size in [0, 1, u64::MAX] {
        let mut encoded = BytesMut::new();
        properties.encode(&mut Writer::new(&mut encoded)).unwrap();
        let (mut typed, mut raw) = (BytesMut::from("before"), BytesMut::from("before"));
        encode::header(&mut typed, 7, body_size, &properties).unwrap();
        encode::raw_header(&mut raw, 7, basic::CLASS_ID, body_size, &encoded);
        assert_eq!(typed, raw);
        assert!(typed.starts_with(b"before"));
    }
}

#[test]
fn a_heartbeat_is_always_the_same() {
    let mut out = BytesMut::from("x");
    encode::heartbeat(&mut out);
    encode::heartbeat(&mut out);
    assert_eq!(out[..], octets("78 08 0000 00000000 ce 08 0000 00000000 ce"));
}

#[test]
fn the_protocol_header_there_and_back() {
    assert_eq!(ProtocolHeader::AMQP_0_9_1.to_bytes(), *b"AMQP\x00\x00\x09\x01");
    assert_eq!(ProtocolHeader::AMQP_0_9_1.to_string(), "AMQP 0-0-9-1");
    let header = ProtocolHeader { id: 3, major: 1, minor: 2, revision: 4 };
    let octets = header.to_bytes();
    for len in 0..8 {
        assert_eq!(ProtocolHeader::parse(&octets[..len]), Ok(None), "{len} octets");
    }
    assert_eq!(ProtocolHeader::parse(&octets), Ok(Some(header)));
    // Frames follow right behind it.
    assert_eq!(ProtocolHeader::parse(&[&octets[..], b"\x01\x00"].concat()), Ok(Some(header)));
}

#[test]
fn a_peer_that_speaks_something_else_is_quoted() {
    for (input, found) in [
        (&b"HTTP/1.1 400 Bad Request"[..], &b"HTTP/1.1"[..]),
        // A TLS alert.
        (b"\x15\x03\x01\x00\x02\x02\x50", b"\x15\x03\x01\x00\x02\x02\x50"),
        (b"A\n", b"A\n"),
        (b"AMQX", b"AMQX"),
        (b"\x01", b"\x01"),
    ] {
        let error = ProtocolHeader::parse(input).unwrap_err();
        assert_eq!(error.found(), found);
    }
    let error = ProtocolHeader::parse(b"\x15\x03\x01\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"no AMQP protocol header: the peer began with "\x15\x03\x01\"""#
    );
}

/// A method that can't be written: its third field is a short string of 256 octets.
struct TooLong;

impl Encode for TooLong {
    fn encoded_len(&self) -> usize {
        0
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        out.u32(1);
        out.short_octets(&[b'x'; 255])?;
        out.short_octets(&[b'x'; 256])
    }
}

impl Decode for TooLong {
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Default for TooLong {
    fn default() -> Self {
        Self
    }
}

impl ContentProperties for TooLong {
    const CLASS: &'static ClassInfo = &ClassInfo::new(1, "too-long");
}

/// Has no fields.
impl Reflect for TooLong {
    fn name(&self) -> &'static str {
        "too-long.properties"
    }

    fn schema(&self) -> &'static [FieldInfo] {
        Self::CLASS.properties
    }

    fn field_at(&self, _: usize) -> Option<FieldRef<'_>> {
        None
    }

    fn field_mut_at(&mut self, _: usize) -> Option<FieldMut<'_>> {
        None
    }

    fn as_reflect(&self) -> &dyn Reflect {
        self
    }
}

/// The error, after which `out` holds what it held, and takes the next frame as if nothing had been.
#[track_caller]
fn refused(write: impl Fn(&mut BytesMut) -> Result<(), EncodeError>) -> EncodeError {
    let mut empty = BytesMut::new();
    let error = write(&mut empty).unwrap_err();
    assert!(empty.is_empty(), "nothing is in a buffer that was empty");

    let mut out = BytesMut::new();
    encode::method(&mut out, 1, &basic::Ack { delivery_tag: 1, multiple: false }).unwrap();
    let before = out.clone();
    assert_eq!(write(&mut out), Err(error));
    assert_eq!(out, before, "what was there is there, and nothing else");
    encode::heartbeat(&mut out);
    assert_eq!(out[before.len()..], octets("08 0000 00000000 ce"));
    error
}

#[test]
fn numbers_that_are_none_are_refused() {
    for value in [
        Value::F64(f64::NAN),
        Value::F64(f64::INFINITY),
        Value::F64(f64::NEG_INFINITY),
        Value::F32(f32::NAN),
        Value::F32(f32::INFINITY),
        Value::Array(vec![Value::I32(1), Value::F32(f32::NAN)]),
        Value::Table(FieldTable::new().with(short("deeper"), Value::F64(f64::NAN))),
    ] {
        let table =
            FieldTable::new().with(short("good"), Value::from("x")).with(short("bad"), value);
        let declare = queue::Declare { arguments: table.clone(), ..queue::Declare::default() };
        assert_eq!(
            refused(|out| encode::method(out, 1, &declare)),
            EncodeError::NotFinite { field: "queue.declare.arguments" }
        );
        let properties =
            basic::Properties::default().with_content_type(short("t")).with_headers(table);
        assert_eq!(
            refused(|out| encode::header(out, 1, 10, &properties)),
            EncodeError::NotFinite { field: "basic.properties.headers" }
        );
    }
}

#[test]
fn strings_that_are_too_long_are_refused() {
    let error = EncodeError::ShortStrTooLong { len: 256 };
    let id = MethodId::new(1, 1);
    assert_eq!(refused(|out| encode::method_arguments(out, 1, id, &TooLong)), error);
    assert_eq!(refused(|out| encode::header(out, 1, 0, &TooLong)), error);
}

#[test]
fn tables_that_are_too_deep_are_refused() {
    let nested = |levels: usize| {
        (1..levels).fold(FieldTable::new(), |table, _| FieldTable::new().with(short("n"), table))
    };
    let method = |levels| queue::Declare { arguments: nested(levels), ..Default::default() };
    let field = "queue.declare.arguments";
    let limit = limits::TABLE_DEPTH_MAX;
    for levels in [limit + 1, 1000] {
        let error = refused(|out| encode::method(out, 1, &method(levels)));
        assert_eq!(error, EncodeError::TooDeep { field, limit });
    }
    // What is written can be read.
    let mut out = BytesMut::new();
    encode::method(&mut out, 1, &method(limit)).unwrap();
    let Ok(Parsed::Frame { frame, .. }) = parse(&out, FrameLimits::default()) else {
        panic!("a whole frame")
    };
    let read = amqp091::protocol::ToServer::from_payload(frame.payload);
    assert_eq!(read, Ok(method(limit).into()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_in_frames_of_any_size(len in 0..40_000_usize, frame_max in 9..5000_u32) {
        let pieces = split(len, frame_max);
        let most = frame_max as usize - 8;
        prop_assert_eq!(pieces.len(), len.div_ceil(most));
        if let Some((last, others)) = pieces.split_last() {
            prop_assert!(*last > 0 && others.iter().all(|len| *len == most));
        }
    }
}
