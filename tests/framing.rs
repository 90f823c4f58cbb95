//! Frames off the wire: however the octets are cut, the same frames; and what is wrong is told as early and as exactly as can be.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "framing/corruption.rs"]
mod corruption;
mod hex;
#[path = "framing/splits.rs"]
mod splits;

use amqp091::bytes::{Buf, BytesMut};
use amqp091::content::{ContentError, ContentHeader};
use amqp091::frame::{
    Frame, FrameDecoder, FrameError, FrameKind, FrameLimits, FrameRef, Parsed, parse,
};
use amqp091::protocol::{AnyMethod, ReplyCode};
use amqp091::types::MethodError;

use hex::octets;

/// One frame of each kind, and of those without a payload.
const EACH: [&str; 7] = [
    "01 0000 00000004 000a0033 ce",
    "01 ffff 0000000d 003c0050 000000000000000100 ce",
    "01 0001 00000000 ce",
    "02 0102 0000000e 003c0000 0000000000000003 0000 ce",
    "03 0001 00000003 ce0801 ce",
    "03 0001 00000000 ce",
    "08 0000 00000000 ce",
];

/// What stands in the first seven octets of a frame is enough for this error, and less is not.
#[track_caller]
fn refused_by_its_head(head: &str, limits: FrameLimits, error: FrameError) {
    let head = octets(head);
    assert_eq!(parse(&head, limits), Err(error));
    for len in 0..head.len() {
        assert_eq!(parse(&head[..len], limits), Ok(Parsed::Incomplete { needed: 7 }), "{len}");
    }
    let mut buffer = BytesMut::from(&head[..]);
    assert_eq!(FrameDecoder::new(limits).decode(&mut buffer), Err(error));
    assert_eq!(buffer[..], head[..], "the buffer is left as it was");
}

#[test]
fn a_frame_cut_short_needs_as_much_as_its_head_says() {
    let limits = FrameLimits::default();
    for frame in EACH.map(octets) {
        for len in 0..frame.len() {
            let needed = if len < 7 { 7 } else { frame.len() };
            let cut = &frame[..len];
            assert_eq!(parse(cut, limits), Ok(Parsed::Incomplete { needed }), "{cut:02x?}");

            let mut buffer = BytesMut::from(cut);
            let mut decoder = FrameDecoder::new(limits);
            assert_eq!(decoder.decode(&mut buffer), Ok(None));
            assert_eq!(buffer, cut, "nothing is taken");
            assert!(buffer.capacity() >= needed, "there is room for what is needed");
            buffer.extend_from_slice(&frame[len..]);
            let whole = decoder.decode(&mut buffer).unwrap().expect("the whole frame is there");
            assert_eq!(whole.payload, frame[7..frame.len() - 1]);
            assert!(buffer.is_empty());
        }
        let Ok(Parsed::Frame { frame: read, consumed }) = parse(&frame, limits) else {
            panic!("whole: {frame:02x?}")
        };
        assert_eq!(consumed, frame.len());
        assert_eq!(read.kind.octet(), frame[0]);
        assert_eq!(read.channel.to_be_bytes(), frame[1..3]);
    }
}

#[test]
fn what_follows_a_frame_is_left() {
    let input = octets("08 0000 00000000 ce 08 0000 00");
    let frame = FrameRef { kind: FrameKind::Heartbeat, channel: 0, payload: &[] };
    let parsed = parse(&input, FrameLimits::default());
    assert_eq!(parsed, Ok(Parsed::Frame { frame, consumed: 8 }));

    let mut buffer = BytesMut::from(&input[..]);
    let mut decoder = FrameDecoder::default();
    assert!(decoder.decode(&mut buffer).unwrap().is_some());
    assert_eq!(buffer, input[8..]);
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert_eq!(buffer, input[8..]);
}

#[test]
fn an_unknown_type_is_told_from_its_octet_alone() {
    let limits = FrameLimits::default();
    for octet in 0..=u8::MAX {
        let first = [octet];
        let read = parse(&first, limits);
        if [1, 2, 3, 8].contains(&octet) {
            assert_eq!(read, Ok(Parsed::Incomplete { needed: 7 }));
        } else {
            assert_eq!(read, Err(FrameError::UnknownType { octet }));
            assert_eq!(parse(&[octet, 0, 0, 0, 0, 0, 0, 0xCE], limits), read);
        }
    }
    assert_eq!(parse(b"", limits), Ok(Parsed::Incomplete { needed: 7 }));
}

#[test]
fn errors_say_what_was_found_and_what_was_expected() {
    let limits = FrameLimits::from_frame_max(4096);
    let cases = [
        (
            // The type that the specification's PDF has for heartbeats.
            "04 0000 00000000 ce",
            "unknown frame type 4: expected 1 (method), 2 (header), 3 (body) or 8 (heartbeat)",
            ReplyCode::FRAME_ERROR,
        ),
        (
            "03 0007 00001001",
            "Body frame on channel 7 announces 4097 octets, the limit is 4096",
            ReplyCode::FRAME_ERROR,
        ),
        (
            "01 0007 00000000 cd",
            "Method frame on channel 7 ends with 0xcd, expected 0xce",
            ReplyCode::FRAME_ERROR,
        ),
        (
            "02 0007 00000001 ce00",
            "Header frame on channel 7 ends with 0x00, expected 0xce",
            ReplyCode::FRAME_ERROR,
        ),
        (
            "08 0001 00000000 ce",
            "heartbeat on channel 1, expected channel 0",
            ReplyCode::UNEXPECTED_FRAME,
        ),
        (
            "08 0000 00000001 00 ce",
            "Heartbeat frame on channel 0 announces 1 octets, the limit is 0",
            ReplyCode::FRAME_ERROR,
        ),
        ("02 0000 0000000e", "content frame on channel 0", ReplyCode::UNEXPECTED_FRAME),
        ("03 0000 00000001", "content frame on channel 0", ReplyCode::UNEXPECTED_FRAME),
    ];
    for (input, text, code) in cases {
        let input = octets(input);
        let error = parse(&input, limits).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.reply_code(), code, "{text}");
        let mut buffer = BytesMut::from(&input[..]);
        assert_eq!(FrameDecoder::new(limits).decode(&mut buffer), Err(error));
        assert_eq!(buffer[..], input[..], "the buffer is left as it was");
    }
}

#[test]
fn a_head_is_enough_to_judge_a_frame() {
    use FrameKind::{Body, Header, Heartbeat, Method};
    let too_large =
        |kind, channel, size, limit| FrameError::TooLarge { kind, channel, size, limit };
    let limits = FrameLimits::from_frame_max(4096);
    let control = FrameLimits::CONTROL_MIN;
    let max = u32::MAX;
    refused_by_its_head("01 0001 ffffffff", limits, too_large(Method, 1, max, control));
    refused_by_its_head("02 0001 ffffffff", limits, too_large(Header, 1, max, control));
    refused_by_its_head("03 0001 ffffffff", limits, too_large(Body, 1, max, 4096));
    refused_by_its_head("08 0000 ffffffff", limits, too_large(Heartbeat, 0, max, 0));
    refused_by_its_head("01 0000 00100001", limits, too_large(Method, 0, control + 1, control));
    refused_by_its_head("03 0001 00001001", limits, too_large(Body, 1, 4097, 4096));
    refused_by_its_head(
        "08 0100 00000000",
        limits,
        FrameError::HeartbeatChannel { channel: 0x100 },
    );
    refused_by_its_head("02 0000 0000000e", limits, FrameError::ContentOnChannelZero);
    refused_by_its_head("03 0000 00000000", limits, FrameError::ContentOnChannelZero);

    // Just within the limits.
    for (head, size) in [
        ("01 0000 00100000", 0x10_0000),
        ("02 0001 00100000", 0x10_0000),
        ("03 0001 00001000", 4096),
    ] {
        assert_eq!(parse(&octets(head), limits), Ok(Parsed::Incomplete { needed: size + 8 }));
    }
}

#[test]
fn limits_follow_from_frame_max() {
    let largest = |limits, head: [u8; 3]| {
        let [kind, channel @ ..] = head;
        let accepted = |size: u32| {
            let [a, b, c, d] = size.to_be_bytes();
            parse(&[kind, channel[0], channel[1], a, b, c, d], limits).is_ok()
        };
        // The least size that is refused, by halving.
        let (mut good, mut bad) = (0, u64::from(u32::MAX) + 1);
        while bad - good > 1 {
            let middle = (good + bad) / 2;
            if accepted(u32::try_from(middle).unwrap()) { good = middle } else { bad = middle }
        }
        good
    };
    let of = |limits| {
        [[1, 0, 0], [1, 0, 1], [2, 0, 1], [3, 0, 1], [8, 0, 0]].map(|head| largest(limits, head))
    };
    const MIB: u64 = 1024 * 1024;
    assert_eq!(of(FrameLimits::HANDSHAKE), [8192, 8192, 8192, 8192, 0]);
    assert_eq!(of(FrameLimits::from_frame_max(4096)), [MIB, MIB, MIB, 4096, 0]);
    assert_eq!(of(FrameLimits::default()), [MIB, MIB, MIB, 131_072, 0]);
    // Above a mebibyte, methods and headers may be as large as bodies.
    assert_eq!(of(FrameLimits::from_frame_max(1 << 24)), [1 << 24, 1 << 24, 1 << 24, 1 << 24, 0]);
    // No limit doesn't mean 4 GiB.
    assert_eq!(of(FrameLimits::from_frame_max(0)), [MIB, MIB, MIB, MIB, 0]);
    let own = FrameLimits::from_frame_max(4096).with_control(100);
    assert_eq!(of(own), [100, 100, 100, 4096, 0]);
    let all = FrameLimits::from_frame_max(u32::MAX);
    let max = u64::from(u32::MAX);
    assert_eq!(of(all), [max, max, max, max, 0]);
}

#[test]
fn a_frame_of_the_usual_frame_max_has_its_room_at_once() {
    let head = octets("03 0001 0001fff8");
    let mut buffer = BytesMut::from(&head[..]);
    assert_eq!(FrameDecoder::default().decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() >= 131_072, "{} octets of room", buffer.capacity());
}

#[test]
fn no_room_is_made_on_the_word_of_a_head() {
    // Both sides may have agreed on such frames: still, one head is seven octets.
    let limits = FrameLimits::from_frame_max(u32::MAX);
    let mut buffer = BytesMut::from(&octets("03 0001 fffffff0 00")[..]);
    let mut decoder = FrameDecoder::new(limits);
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() <= 1024 * 1024, "{} octets of room", buffer.capacity());

    // As octets do come, there is room for more and more of them at a time.
    let mut grown = 0;
    while buffer.len() < 10 * 1024 * 1024 {
        let room = buffer.capacity() - buffer.len();
        assert!(room > 0);
        grown += 1;
        buffer.resize(buffer.len() + room, 0);
        assert_eq!(decoder.decode(&mut buffer), Ok(None));
    }
    assert!(grown < 20, "room was made {grown} times for 10 MiB");
}

#[test]
fn limits_change_when_they_are_negotiated() {
    let mut decoder = FrameDecoder::new(FrameLimits::HANDSHAKE);
    let head = octets("03 0001 00002001");
    let mut buffer = BytesMut::from(&head[..]);
    assert!(decoder.decode(&mut buffer).is_err());
    decoder.set_limits(FrameLimits::from_frame_max(131_072));
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    decoder.set_limits(FrameLimits::from_frame_max(4096));
    assert!(decoder.decode(&mut buffer).is_err());
}

#[test]
fn payloads_that_are_too_short_for_what_they_are() {
    for (payload, text) in [
        ("", "class-id: at octet 0: needs 2 octets, 0 are left"),
        ("00", "class-id: at octet 0: needs 2 octets, 1 is left"),
        ("003c", "method-id: at octet 2: needs 2 octets, 0 are left"),
        ("003c00", "method-id: at octet 2: needs 2 octets, 1 is left"),
    ] {
        let error = AnyMethod::from_payload(&octets(payload)).unwrap_err();
        let MethodError::Number { source } = error else { panic!("{error:?}") };
        assert_eq!(source.to_string(), text);
    }
    for len in 0..12 {
        let error = ContentHeader::parse(&vec![0; len]).unwrap_err();
        assert_eq!(error, ContentError::HeaderCutShort { len });
    }
    // The properties have their own say about what is missing of them.
    assert!(ContentHeader::parse(&[0; 12]).is_ok());
}

#[test]
fn a_parsed_payload_lies_where_it_was_received() {
    let input = octets("03 0001 00000003 616263 ce");
    let Ok(Parsed::Frame { frame, .. }) = parse(&input, FrameLimits::default()) else {
        panic!("a whole frame")
    };
    assert_eq!(frame.payload.as_ptr(), input[7..].as_ptr());
}

#[test]
fn a_decoded_payload_lies_where_it_was_received() {
    let mut buffer = BytesMut::from(
        &octets("03 0001 00000003 616263 ce 03 0001 00000100 78*256 ce 08 0000 00000000 ce")[..],
    );
    let begin = buffer.as_ptr();
    let mut decoder = FrameDecoder::default();
    let mut next = || decoder.decode(&mut buffer).unwrap().expect("a whole frame");
    let first: Frame = next();
    let second = next();
    assert_eq!(first.payload.as_ptr(), begin.wrapping_add(7));
    assert_eq!(second.payload.as_ptr(), begin.wrapping_add(11 + 7));
    assert_eq!((first.payload.remaining(), second.payload.remaining()), (3, 256));
    next();
    // What comes later doesn't change what has been handed out.
    buffer.extend_from_slice(&[0; 4096]);
    assert_eq!(first.payload, "abc");
    assert_eq!(second.payload, [b'x'; 256][..]);
}
