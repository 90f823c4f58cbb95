//! Contents put together from their frames, by the rules or against them, and properties that stay the message's own business.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod hex;

use std::error::Error as _;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::{Assembler, Content, ContentError, ContentHeader, RawProperties};
use amqp091::protocol::{AnyMethod, ReplyCode, basic};
use amqp091::types::{
    BlastRadius, DecodeReason, FieldTable, MethodError, PropertiesError, ShortStr, Timestamp,
    Value, Writer, limits,
};
use amqp091::types::{ContentProperties, Encode};

use hex::octets;

fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

/// A header frame's payload: of class basic, without properties.
fn header(body_size: u64) -> Bytes {
    let mut payload = octets("003c 0000");
    payload.extend_from_slice(&body_size.to_be_bytes());
    payload.extend_from_slice(&[0, 0]);
    Bytes::from(payload)
}

/// An assembler that has taken basic.publish and the header of a body of `body_size` octets.
fn under_way(body_size: u64) -> Assembler {
    let mut assembler = Assembler::new(u64::MAX);
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(header(body_size)), Ok(None));
    assembler
}

fn encoded(properties: &basic::Properties) -> Bytes {
    let mut out = BytesMut::new();
    properties.encode(&mut Writer::new(&mut out)).unwrap();
    out.freeze()
}

#[test]
fn an_empty_body_is_whole_with_its_header() {
    let mut assembler = Assembler::new(0);
    assert!(assembler.is_idle());
    assembler.begin(basic::CLASS_ID).unwrap();
    assert!(!assembler.is_idle());
    let content = assembler.header(header(0)).unwrap().expect("whole");
    assert_eq!(content, Content::default());
    assert!(assembler.is_idle());
    // RabbitMQ refuses a body frame here, even an empty one.
    assert_eq!(assembler.body(Bytes::new()), Err(ContentError::UnexpectedBody));
}

#[test]
fn a_body_of_one_frame_is_that_frame_uncopied() {
    let mut assembler = under_way(5);
    let frame = Bytes::from_static(b"hello");
    let content = assembler.body(frame.clone()).unwrap().expect("whole");
    assert_eq!(content.body, "hello");
    assert_eq!(content.body.as_ptr(), frame.as_ptr());
    assert!(assembler.is_idle());
}

#[test]
fn properties_are_a_slice_of_the_header_frame() {
    let mut payload = octets("003c 0000 0000000000000000");
    payload.extend_from_slice(&octets("8000 03 \"a/b\""));
    let payload = Bytes::from(payload);
    let mut assembler = Assembler::new(0);
    assembler.begin(basic::CLASS_ID).unwrap();
    let content = assembler.header(payload.clone()).unwrap().expect("whole");
    assert_eq!(content.properties.as_bytes(), &payload[12..]);
    assert_eq!(content.properties.as_bytes().as_ptr(), payload[12..].as_ptr());
}

#[test]
fn a_body_of_many_frames_is_all_of_them_in_order() {
    let body: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    for len in [1, 2, 7, 4088, 99_999, 100_000] {
        let mut assembler = under_way(100_000);
        let mut content = None;
        for piece in body.chunks(len) {
            assert_eq!(content, None, "whole before its end");
            assert!(!assembler.is_idle());
            content = assembler.body(Bytes::copy_from_slice(piece)).unwrap();
        }
        let content = content.expect("whole");
        assert!(content.body == body, "in frames of {len}");
        assert!(assembler.is_idle());
    }
}

#[test]
fn frames_without_octets_are_passed_over_wherever_they_stand() {
    let mut assembler = under_way(4);
    assert_eq!(assembler.body(Bytes::new()), Ok(None));
    assert_eq!(assembler.body(Bytes::from_static(b"ab")), Ok(None));
    assert_eq!(assembler.body(Bytes::new()), Ok(None));
    assert_eq!(assembler.body(Bytes::from_static(b"c")), Ok(None));
    assert_eq!(assembler.body(Bytes::new()), Ok(None));
    let content = assembler.body(Bytes::from_static(b"d")).unwrap().expect("whole");
    assert_eq!(content.body, "abcd");

    // They don't make a body of one frame any less uncopied.
    let mut assembler = under_way(2);
    let frame = Bytes::from_static(b"ab");
    assert_eq!(assembler.body(Bytes::new()), Ok(None));
    let content = assembler.body(frame.clone()).unwrap().expect("whole");
    assert_eq!(content.body.as_ptr(), frame.as_ptr());
}

#[test]
fn a_body_longer_than_announced_is_refused() {
    let mut assembler = under_way(3);
    let error = assembler.body(Bytes::from_static(b"abcd")).unwrap_err();
    assert_eq!(error, ContentError::Overrun { body_size: 3, received: 4 });
    assert_eq!(error.to_string(), "content body of 4 octets, 3 were announced");
    assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);

    let mut assembler = under_way(3);
    assert_eq!(assembler.body(Bytes::from_static(b"ab")), Ok(None));
    let error = assembler.body(Bytes::from_static(b"cd")).unwrap_err();
    assert_eq!(error, ContentError::Overrun { body_size: 3, received: 4 });
}

#[test]
fn nothing_comes_between_the_frames_of_a_content() {
    let mut expecting_header = Assembler::new(10);
    expecting_header.begin(basic::CLASS_ID).unwrap();
    let expecting_body = under_way(3);
    for mut assembler in [expecting_header, expecting_body] {
        assert_eq!(assembler.interrupted(), Err(ContentError::Interrupted));
        let error = assembler.begin(basic::CLASS_ID).unwrap_err();
        assert_eq!(error, ContentError::Interrupted);
        assert_eq!(error.to_string(), "method before the content under way was whole");
        assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);
        assert!(!assembler.is_idle());
        // The channel was closed: what was under way is no more.
        assembler.reset();
        assert!(assembler.is_idle());
        assert_eq!(assembler.interrupted(), Ok(()));
        assert_eq!(assembler.begin(basic::CLASS_ID), Ok(()));
    }
}

#[test]
fn frames_that_are_not_due_are_refused() {
    let mut idle = Assembler::new(10);
    let error = idle.header(header(1)).unwrap_err();
    assert_eq!(error, ContentError::UnexpectedHeader);
    assert_eq!(error.to_string(), "content header without a method that carries content");
    assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);
    let error = idle.body(Bytes::from_static(b"a")).unwrap_err();
    assert_eq!(error, ContentError::UnexpectedBody);
    assert_eq!(error.to_string(), "content body where none is due");
    assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);

    let mut expecting_header = Assembler::new(10);
    expecting_header.begin(basic::CLASS_ID).unwrap();
    assert_eq!(expecting_header.body(Bytes::from_static(b"a")), Err(ContentError::UnexpectedBody));

    let mut expecting_body = under_way(2);
    assert_eq!(expecting_body.header(header(2)), Err(ContentError::UnexpectedHeader));
}

#[test]
fn a_header_belongs_to_its_method() {
    let mut assembler = Assembler::new(10);
    assembler.begin(basic::CLASS_ID).unwrap();
    let other = Bytes::from(octets("0032 0000 0000000000000001 0000"));
    let error = assembler.header(other).unwrap_err();
    assert_eq!(error, ContentError::OtherClass { expected: 60, found: 50 });
    assert_eq!(error.to_string(), "content header of class 50, expected class 60");
    assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);
}

#[test]
fn a_weight_is_refused() {
    let payload = octets("003c 0001 0000000000000001 0000");
    let error = ContentHeader::parse(&payload).unwrap_err();
    assert_eq!(error, ContentError::Weight { weight: 1 });
    assert_eq!(error.to_string(), "content header with weight 1, expected 0");
    assert_eq!(error.reply_code(), ReplyCode::UNEXPECTED_FRAME);
    let mut assembler = Assembler::new(10);
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(Bytes::from(payload)), Err(error));
}

#[test]
fn a_header_cut_short_is_refused() {
    let payload = header(7);
    for len in 0..ContentHeader::LEN {
        let error = ContentHeader::parse(&payload[..len]).unwrap_err();
        assert_eq!(error, ContentError::HeaderCutShort { len });
        let mut assembler = Assembler::new(10);
        assembler.begin(basic::CLASS_ID).unwrap();
        assert_eq!(assembler.header(payload.slice(..len)), Err(error));
    }
    let error = ContentError::HeaderCutShort { len: 3 };
    assert_eq!(error.to_string(), "content header of 3 octets, at least 12 are needed");
    assert_eq!(error.reply_code(), ReplyCode::SYNTAX_ERROR);
    let whole = ContentHeader { class_id: 60, body_size: 7, properties: &[0, 0] };
    assert_eq!(ContentHeader::parse(&payload), Ok(whole));
}

#[test]
fn the_largest_announced_body_takes_no_memory() {
    // A room of this size can't be made, and to try would end the process.
    for body_size in [u64::MAX, u64::MAX / 2, 1 << 47] {
        let mut assembler = under_way(body_size);
        for _ in 0..3 {
            assert_eq!(assembler.body(Bytes::from_static(b"some octets")), Ok(None));
        }
        assert!(!assembler.is_idle());
    }
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_header() {
    let mut assembler = Assembler::new(1000);
    assembler.begin(basic::CLASS_ID).unwrap();
    let error = assembler.header(header(1001)).unwrap_err();
    assert_eq!(error, ContentError::TooLarge { body_size: 1001, limit: 1000 });
    assert_eq!(error.to_string(), "content body of 1001 octets, the limit is 1000");
    assert_eq!(error.reply_code(), ReplyCode::CONTENT_TOO_LARGE);
    // It is the channel alone that ends, and here it may begin anew.
    assert!(assembler.is_idle());
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(header(1000)), Ok(None));
}

#[test]
fn a_parsed_header_may_be_handed_over_in_parts() {
    let mut assembler = Assembler::new(10);
    assembler.begin(basic::CLASS_ID).unwrap();
    let raw = RawProperties::new(Bytes::from_static(&[0x10, 0, 2]));
    assert_eq!(assembler.header_with(basic::CLASS_ID, 1, raw.clone()), Ok(None));
    let content = assembler.body(Bytes::from_static(b"x")).unwrap().expect("whole");
    assert_eq!(content, Content { properties: raw, body: Bytes::from_static(b"x") });
}

#[test]
fn all_fourteen_properties_survive_the_wire() {
    let headers = FieldTable::new()
        .with(short("a"), Value::I64(1))
        .with(short("a"), Value::Array(vec![Value::Void, Value::F64(0.5)]));
    let all = basic::Properties {
        content_type: Some(short("text/plain")),
        content_encoding: Some(short("utf-8")),
        headers: Some(headers),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: Some(short("c")),
        reply_to: Some(short("r")),
        expiration: Some(short("60000")),
        message_id: Some(short("m")),
        timestamp: Some(Timestamp(1_700_000_000)),
        r#type: Some(short("t")),
        user_id: Some(short("guest")),
        app_id: Some(short("a")),
        cluster_id: Some(short("")),
    };
    let wire = encoded(&all);
    assert_eq!(wire[..2], [0xFF, 0xFC]);
    assert_eq!(wire.len(), all.encoded_len());
    assert_eq!(RawProperties::new(wire.clone()).decode(), Ok(all.clone()));

    // Each by itself: its flag, and nothing else.
    let alone = |flag: u32| {
        let keep = |of: u32| of == flag;
        basic::Properties {
            content_type: all.content_type.clone().filter(|_| keep(15)),
            content_encoding: all.content_encoding.clone().filter(|_| keep(14)),
            headers: all.headers.clone().filter(|_| keep(13)),
            delivery_mode: all.delivery_mode.filter(|_| keep(12)),
            priority: all.priority.filter(|_| keep(11)),
            correlation_id: all.correlation_id.clone().filter(|_| keep(10)),
            reply_to: all.reply_to.clone().filter(|_| keep(9)),
            expiration: all.expiration.clone().filter(|_| keep(8)),
            message_id: all.message_id.clone().filter(|_| keep(7)),
            timestamp: all.timestamp.filter(|_| keep(6)),
            r#type: all.r#type.clone().filter(|_| keep(5)),
            user_id: all.user_id.clone().filter(|_| keep(4)),
            app_id: all.app_id.clone().filter(|_| keep(3)),
            cluster_id: all.cluster_id.clone().filter(|_| keep(2)),
        }
    };
    let mut together = Vec::new();
    for flag in (2..16).rev() {
        let one = alone(flag);
        let wire = encoded(&one);
        assert_eq!(wire[..2], (1_u16 << flag).to_be_bytes());
        assert_eq!(RawProperties::new(wire.clone()).decode(), Ok(one));
        together.extend_from_slice(&wire[2..]);
    }
    assert_eq!(wire[2..], together, "in the order of their flags");
}

#[test]
fn no_properties_are_two_octets() {
    assert_eq!(RawProperties::default().as_bytes(), [0, 0]);
    assert_eq!(RawProperties::default().decode(), Ok(basic::Properties::default()));
    assert_eq!(basic::Properties::CLASS_ID, 60);
}

#[test]
fn the_flag_that_announces_more_flags_is_passed_over() {
    let decode = |text| RawProperties::new(Bytes::from(octets(text))).decode::<basic::Properties>();
    assert_eq!(decode("0003"), Ok(basic::Properties::default()));
    assert_eq!(decode("0001"), Ok(basic::Properties::default()));
    assert_eq!(decode("1001 02"), Ok(basic::Properties::default().with_delivery_mode(2)));
    // Should a second word follow all the same, it is octets too many: of this message.
    let error = decode("0001 0000").unwrap_err();
    assert_eq!(error.cause().reason(), DecodeReason::TrailingOctets { count: 2 });
}

/// Properties that can't be read, by what is wrong with them.
const UNREADABLE: [(&str, &str); 7] = [
    ("", "basic.properties.flags: at octet 0: needs 2 octets, 0 are left"),
    ("80", "basic.properties.flags: at octet 0: needs 2 octets, 1 is left"),
    ("8000", "basic.properties.content-type: at octet 2: needs 1 octet, 0 are left"),
    ("8000 03 \"ab\"", "basic.properties.content-type: at octet 3: needs 3 octets, 2 are left"),
    ("0040 00000000", "basic.properties.timestamp: at octet 2: needs 8 octets, 4 are left"),
    (
        "2000 00000003 0168 3f",
        "basic.properties.headers: at octet 8: no type of value has the tag '?' (0x3f)",
    ),
    ("0000 ff", "end: at octet 2: 1 octet too many behind the last field"),
];

#[test]
fn unreadable_properties_fail_their_message_and_no_other() {
    let mut assembler = Assembler::new(100);
    for (properties, text) in UNREADABLE {
        let mut payload = octets("003c 0000 0000000000000002");
        payload.extend_from_slice(&octets(properties));
        assembler.begin(basic::CLASS_ID).unwrap();
        assert_eq!(assembler.header(Bytes::from(payload)), Ok(None));
        let content = assembler.body(Bytes::from_static(b"ok")).unwrap().expect("whole");
        assert_eq!(content.body, "ok");
        let error: PropertiesError = content.properties.decode::<basic::Properties>().unwrap_err();
        assert_eq!(error.blast_radius(), BlastRadius::Message);
        assert_eq!(error.to_string(), "the message's properties can't be read");
        assert_eq!(error.source().expect("a cause").to_string(), text);
    }
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(header(0)), Ok(Some(Content::default())));
}

#[test]
fn an_unreadable_method_fails_the_connection() {
    let cases = [
        // The same bad table in a method's arguments.
        ("0032 000a 0000 00 00 00000003 0168 3f", true),
        ("0032 000b 01 71 00000000 000000", true),
        ("0032 000b 01 71 00000000 00000000 00", true),
        ("0032 0063", false),
        ("0000 0000", false),
    ];
    for (payload, known) in cases {
        let error: MethodError = AnyMethod::from_payload(&octets(payload)).unwrap_err();
        assert_eq!(error.blast_radius(), BlastRadius::Connection);
        assert_eq!(matches!(error, MethodError::Arguments { .. }), known, "{error}");
        assert_eq!(matches!(error, MethodError::Unknown { .. }), !known, "{error}");
    }
    let error = AnyMethod::from_payload(&octets(cases[0].0)).unwrap_err();
    assert_eq!(error.to_string(), "method 50.10 has bad arguments");
    assert_eq!(
        error.source().expect("a cause").to_string(),
        "queue.declare.arguments: at octet 14: no type of value has the tag '?' (0x3f)"
    );
}

/// A table in a table, `levels` deep, as octets.
fn nested(levels: usize) -> Vec<u8> {
    // From the inside out, written backwards so that each level is an appendage.
    let mut backwards = vec![0; 4];
    for level in 1..levels {
        backwards.extend_from_slice(b"Fn\x01");
        backwards.extend(u32::try_from(7 * level).unwrap().to_le_bytes());
    }
    backwards.reverse();
    backwards
}

#[test]
fn a_header_table_two_thousand_levels_deep_fails_its_message_only() {
    for (levels, readable) in [
        (1, true),
        (2, true),
        (limits::TABLE_DEPTH_MAX, true),
        (limits::TABLE_DEPTH_MAX + 1, false),
        (2000, false),
        // As many as fit in a mebibyte.
        (149_000, false),
    ] {
        let mut payload = octets("003c 0000 0000000000000000 2000");
        payload.append(&mut nested(levels));
        let mut assembler = Assembler::new(0);
        assembler.begin(basic::CLASS_ID).unwrap();
        let content = assembler.header(Bytes::from(payload)).unwrap().expect("whole");
        let decoded = content.properties.decode::<basic::Properties>();
        if readable {
            assert_eq!(encoded(&decoded.unwrap()), content.properties.as_bytes());
        } else {
            let too_deep = DecodeReason::TooDeep { limit: limits::TABLE_DEPTH_MAX };
            assert_eq!(decoded.unwrap_err().cause().reason(), too_deep);
        }
        assert!(assembler.is_idle());
    }
}
