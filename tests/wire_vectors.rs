//! Octets as they go over the wire, and what they mean, both ways: those that brokers and clients were seen to send, and others
//! put together in the same way.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod hex;
#[path = "wire_vectors/methods.rs"]
mod methods;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::{Assembler, ContentError, ContentHeader, RawProperties};
use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameError, FrameKind, FrameLimits, Parsed, parse};
use amqp091::protocol::{AnyMethod, ReplyCode, ToClient, basic, connection, exchange, queue};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{Decimal, DecodeReason, FieldTable, LongStr, Timestamp, Value, limits};

use hex::octets;
use methods::{long, same, short};

/// The properties as the class basic has them.
#[track_caller]
fn properties(octets: Vec<u8>) -> basic::Properties {
    RawProperties::new(Bytes::from(octets)).decode().unwrap()
}

/// What is written for properties in a content header.
fn header(body_size: u64, properties: &basic::Properties) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::header(&mut out, 1, body_size, properties).unwrap();
    out.to_vec()
}

/// The whole of `input` as frames.
fn frames(input: &[u8], limits: FrameLimits) -> Vec<(FrameKind, u16, Bytes)> {
    let mut buffer = BytesMut::from(input);
    let mut decoder = FrameDecoder::new(limits);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
        frames.push((frame.kind, frame.channel, frame.payload));
    }
    assert!(buffer.is_empty(), "{} octets are left", buffer.len());
    frames
}

#[test]
fn a_client_begins_with_eight_octets() {
    let begin = octets("\"AMQP\" 00 00 09 01");
    assert_eq!(ProtocolHeader::AMQP_0_9_1.to_bytes()[..], begin);
    assert_eq!(ProtocolHeader::parse(&begin), Ok(Some(ProtocolHeader::AMQP_0_9_1)));
    // What RabbitMQ from 4.0 on answers to a version that it doesn't know.
    let refusal = ProtocolHeader { id: 3, major: 1, minor: 0, revision: 0 };
    assert_eq!(ProtocolHeader::parse(&octets("\"AMQP\" 03 01 00 00")), Ok(Some(refusal)));
}

#[test]
fn a_heartbeat_is_eight_octets() {
    let heartbeat = octets("08 0000 00000000 CE");
    let mut out = BytesMut::new();
    encode::heartbeat(&mut out);
    assert_eq!(out[..], heartbeat[..]);
    let read = frames(&heartbeat, FrameLimits::default());
    assert_eq!(read, [(FrameKind::Heartbeat, 0, Bytes::new())]);
}

#[test]
fn a_message_without_a_body_is_a_method_and_a_header() {
    let publish = basic::Publish { routing_key: short("q"), ..basic::Publish::default() };
    let wire = octets(
        "01 0001 0000000a 003c0028 0000 00 0171 00 CE 02 0001 0000000E 003C 0000 0000000000000000 0000 CE",
    );

    let mut out = BytesMut::new();
    encode::method(&mut out, 1, &publish).unwrap();
    encode::header(&mut out, 1, 0, &basic::Properties::default()).unwrap();
    encode::body(&mut out, 1, b"", 131_072);
    assert_eq!(out[..], wire[..]);

    let read = frames(&wire, FrameLimits::default());
    let [(FrameKind::Method, 1, method), (FrameKind::Header, 1, header)] = &read[..] else {
        panic!("a method and a header: {read:?}")
    };
    assert_eq!(AnyMethod::from_payload(method), Ok(AnyMethod::BasicPublish(publish)));
    let mut assembler = Assembler::new(1000);
    assembler.begin(basic::CLASS_ID).unwrap();
    let content = assembler.header(header.clone()).unwrap().expect("whole with its header");
    assert_eq!(content.body, Bytes::new());
    assert_eq!(content.properties.decode(), Ok(basic::Properties::default()));
}

#[test]
fn the_number_of_exchange_unbind_ok_is_51() {
    same("0028 0033", exchange::UnbindOk);
    let error = ToClient::from_payload(&octets("0028 0029")).unwrap_err();
    assert_eq!(error.to_string(), "method 40.41 is not known");
}

#[test]
fn a_server_cancels_a_consumer() {
    let cancel = basic::Cancel { consumer_tag: short("t"), no_wait: true };
    same("003C 001E 01 \"t\" 01", cancel.clone());
    let read = ToClient::from_payload(&octets("003C 001E 01 \"t\" 01"));
    assert_eq!(read, Ok(ToClient::BasicCancel(cancel)));
}

#[test]
fn flags_that_announce_more_flags_may_stand_alone() {
    assert_eq!(properties(octets("0003")), basic::Properties::default());
    // With properties besides: still no second word.
    let tagged = properties(octets("8003 02 \"ab\""));
    assert_eq!(tagged, basic::Properties::default().with_content_type(short("ab")));
    // They are not written.
    assert_eq!(header(0, &tagged)[19..22], octets("8000 02"));
}

#[test]
fn a_decimal_header_is_signed() {
    let wire = octets("2000 00000008 0168 44 02 FFFFFFFF");
    let value = Value::Decimal(Decimal { scale: 2, value: -1 });
    let headers = FieldTable::new().with(short("h"), value);
    let read = properties(wire.clone());
    assert_eq!(read, basic::Properties::default().with_headers(headers));
    assert_eq!(header(0, &read)[19..19 + wire.len()], wire);
}

#[test]
fn a_key_that_is_there_twice_stays_there_twice() {
    let wire = octets("2000 00000010 016b 49 00000001 016b 49 00000002 00 56");
    let read = properties(wire.clone());
    let headers = read.headers.clone().expect("headers");
    let entries: Vec<_> = headers.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let expected =
        [(short("k"), Value::I32(1)), (short("k"), Value::I32(2)), (short(""), Value::Void)];
    assert_eq!(entries, expected);
    assert_eq!(header(0, &read)[19..19 + wire.len()], wire);
}

#[test]
fn a_table_of_two_thousand_levels_is_refused_with_its_message() {
    let mut table = vec![0; 4];
    for _ in 1..2000 {
        let mut outer = u32::try_from(table.len() + 3).unwrap().to_be_bytes().to_vec();
        outer.extend_from_slice(b"\x01nF");
        outer.append(&mut table);
        table = outer;
    }
    let mut wire = octets("2000");
    wire.append(&mut table);
    let error = RawProperties::new(Bytes::from(wire)).decode::<basic::Properties>().unwrap_err();
    assert_eq!(error.cause().reason(), DecodeReason::TooDeep { limit: limits::TABLE_DEPTH_MAX });
    assert_eq!(error.cause().field(), "basic.properties.headers");
}

#[test]
fn a_content_type_need_not_be_text() {
    let wire = octets("8000 02 FFFE");
    let read = properties(wire.clone());
    let content_type = read.content_type.clone().expect("a content type");
    assert_eq!(content_type.as_bytes(), [0xFF, 0xFE]);
    assert!(content_type.to_str().is_err());
    assert_eq!(header(0, &read)[19..19 + wire.len()], wire);
}

#[test]
fn an_unroutable_message_comes_back_before_its_ack() {
    let wire = octets(
        "01 0001 00000013 003c0032 0138 08 \"NO_ROUTE\" 00 02 \"no\" CE
         02 0001 0000000f 003c 0000 0000000000000002 1000 02 CE
         03 0001 00000002 \"hi\" CE
         01 0001 0000000d 003c0050 0000000000000001 00 CE",
    );
    let read = frames(&wire, FrameLimits::default());
    let kinds: Vec<_> = read.iter().map(|(kind, ..)| *kind).collect();
    use FrameKind::{Body, Header, Method};
    assert_eq!(kinds, [Method, Header, Body, Method]);

    let returned = basic::Return {
        reply_code: ReplyCode::NO_ROUTE,
        reply_text: short("NO_ROUTE"),
        exchange: short(""),
        routing_key: short("no"),
    };
    assert_eq!(ToClient::from_payload(&read[0].2), Ok(ToClient::BasicReturn(returned)));
    let mut assembler = Assembler::new(1000);
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(read[1].2.clone()), Ok(None));
    assert_eq!(assembler.interrupted(), Err(ContentError::Interrupted));
    let content = assembler.body(read[2].2.clone()).unwrap().expect("a whole content");
    assert_eq!(content.body, "hi");
    let persistent = basic::Properties::default().with_delivery_mode(2);
    assert_eq!(content.properties.decode(), Ok(persistent));
    assert_eq!(assembler.interrupted(), Ok(()));
    let ack = basic::Ack { delivery_tag: 1, multiple: false };
    assert_eq!(ToClient::from_payload(&read[3].2), Ok(ToClient::BasicAck(ack)));
}

#[test]
fn one_ack_covers_many() {
    let ack = basic::Ack { delivery_tag: 200, multiple: true };
    let read = ToClient::from_payload(&octets("003c 0050 00000000000000c8 01"));
    assert_eq!(read, Ok(ToClient::BasicAck(ack)));
}

#[test]
fn a_header_may_be_longer_than_frame_max_and_a_body_may_not() {
    let limits = FrameLimits::from_frame_max(4096);
    // A header frame of 9,025 octets.
    let long = octets(
        "02 0001 00002339 003c 0000 0000000000000000 2000 00002327 01 61 53 00002320 78*8992 CE",
    );
    assert_eq!(long.len(), 9025);
    let read = frames(&long, limits);
    let header = ContentHeader::parse(&read[0].2).unwrap();
    let read = properties(header.properties.to_vec());
    let value = read.headers.as_ref().and_then(|headers| headers.get("a")).expect("the header");
    assert_eq!(value.as_bytes().map(<[u8]>::len), Some(8992));

    let body = octets("03 0001 00002339");
    assert_eq!(
        parse(&body, limits),
        Err(FrameError::TooLarge { kind: FrameKind::Body, channel: 1, size: 9017, limit: 4096 })
    );
    // RabbitMQ itself takes eight octets more than the specification lets it, and so do we.
    let body = octets("03 0001 00001000");
    assert_eq!(parse(&body, limits), Ok(Parsed::Incomplete { needed: 4096 + 8 }));
}

// What kombu 5.7.0 sends with py-amqp 5.4.2. Its client properties, and the method around the arguments of a queue, are made up.

#[test]
fn kombu_opens_a_connection() {
    same(
        "000a 000b 00000011 07 \"product\" 53 00000004 \"test\" 05504c41494e 0000000c 00 6775657374 00 6775657374 05656e5f5553",
        connection::StartOk {
            client_properties: FieldTable::new().with(short("product"), long("test")),
            mechanism: short("PLAIN"),
            response: long("\0guest\0guest"),
            locale: short("en_US"),
        },
    );
    let tune = connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 10 };
    same("000a 001f 07ff 00020000 000a", tune);
    same("000a 0028 012f 00 00", connection::Open { virtual_host: short("/") });
    same("0014 000a 00", amqp091::protocol::channel::Open);
}

#[test]
fn kombu_declares_and_consumes() {
    let mut declare = exchange::Declare {
        exchange: short("nrp.ex"),
        r#type: short("topic"),
        durable: true,
        ..exchange::Declare::default()
    };
    same("0028 000a 0000 066e72702e6578 05746f706963 02 00000000", declare.clone());
    declare.passive = true;
    same("0028 000a 0000 066e72702e6578 05746f706963 03 00000000", declare);
    same(
        "0032 0014 0000 056e72702e71 066e72702e6578 03612e23 00 00000000",
        queue::Bind {
            queue: short("nrp.q"),
            exchange: short("nrp.ex"),
            routing_key: short("a.#"),
            ..queue::Bind::default()
        },
    );
    let qos = basic::Qos { prefetch_size: 0, prefetch_count: 7, global: false };
    same("003c 000a 00000000 0007 00", qos);
    same(
        "003c 0014 0000 056e72702e71 054e6f6e6531 00 00000000",
        basic::Consume {
            queue: short("nrp.q"),
            consumer_tag: short("None1"),
            ..basic::Consume::default()
        },
    );
    same("003c 0050 0000000000000001 00", basic::Ack { delivery_tag: 1, multiple: false });
    let cancel = basic::Cancel { consumer_tag: short("None1"), no_wait: false };
    same("003c 001e 054e6f6e6531 00", cancel);
}

#[test]
fn kombu_limits_a_queue() {
    same(
        "0032 000a 0000 05 \"nrp.q\" 02 0000005e
         0c 782d71756575652d6d6f6465 53 00000004 6c617a79
         09 782d65787069726573 49 0000ea60
         0d 782d6d6573736167652d74746c 49 000005dc
         0c 782d6d61782d6c656e677468 49 0000000a
         0e 782d6d61782d7072696f72697479 49 00000005",
        queue::Declare {
            queue: short("nrp.q"),
            durable: true,
            arguments: FieldTable::new()
                .with(short("x-queue-mode"), long("lazy"))
                .with(short("x-expires"), 60_000)
                .with(short("x-message-ttl"), 1500)
                .with(short("x-max-length"), 10)
                .with(short("x-max-priority"), 5),
            ..queue::Declare::default()
        },
    );
}

#[test]
fn kombu_publishes_a_message() {
    let properties = basic::Properties::default()
        .with_content_type(short("application/json"))
        .with_content_encoding(short("utf-8"))
        .with_headers(FieldTable::new())
        .with_delivery_mode(2)
        .with_priority(0);
    let wire = octets(
        "02 0001 0000002b 003c0000 0000000000000012 f800 10 \"application/json\" 05 \"utf-8\" 00000000 02 00 CE",
    );
    assert_eq!(header(18, &properties), wire);
    let read = frames(&wire, FrameLimits::default());
    let header = ContentHeader::parse(&read[0].2).unwrap();
    assert_eq!((header.class_id, header.body_size), (60, 18));
    assert_eq!(self::properties(header.properties.to_vec()), properties);
}

#[test]
fn kombu_publishes_with_nearly_all_properties() {
    let wire = |big: &str| {
        octets(&format!(
            "ffe8 10 \"application/json\" 05 \"utf-8\"
             00000082 0169 49 00000001 036e6567 49 ffffffff 03626967 {big} 0000010000000000
             0166 64 3ff8000000000000 0173 53 00000001 78 0162 53 00000001 79 016e 56 0174 74 01
             016c 41 0000000b 49 00000001 53 00000001 61 0164 46 00000007 016b 49 00000001
             0b636f6d7072657373696f6e 53 00000012 \"application/x-gzip\"
             01 03 03636964 027271 0431353030 036d6964 000000006553f100 027479 03617070"
        ))
    };
    let properties = basic::Properties {
        content_type: Some(short("application/json")),
        content_encoding: Some(short("utf-8")),
        headers: Some(
            FieldTable::new()
                .with(short("i"), 1)
                .with(short("neg"), -1)
                .with(short("big"), Value::I64(1 << 40))
                .with(short("f"), 1.5)
                .with(short("s"), long("x"))
                .with(short("b"), LongStr::from(b"y"))
                .with(short("n"), Value::Void)
                .with(short("t"), true)
                .with(short("l"), Value::Array(vec![Value::I32(1), Value::from("a")]))
                .with(short("d"), FieldTable::new().with(short("k"), 1))
                .with(short("compression"), long("application/x-gzip")),
        ),
        delivery_mode: Some(1),
        priority: Some(3),
        correlation_id: Some(short("cid")),
        reply_to: Some(short("rq")),
        expiration: Some(short("1500")),
        message_id: Some(short("mid")),
        timestamp: Some(Timestamp(1_700_000_000)),
        r#type: Some(short("ty")),
        user_id: None,
        app_id: Some(short("app")),
        cluster_id: None,
    };
    // py-amqp writes 64 bits under the letter L. Some peers don't know that, so we write l.
    assert_eq!(self::properties(wire("4c")), properties);
    assert_eq!(self::properties(wire("6c")), properties);
    let written = header(18, &properties);
    assert_eq!(written[19..written.len() - 1], wire("6c"));
}

#[test]
fn a_recorded_session_is_read_to_the_last_octet() {
    let session = octets(include_str!("recorded/rabbitmq.hex"));
    // Each frame is named in a comment of the file.
    let named = include_str!("recorded/rabbitmq.hex").lines().skip(2).filter_map(|line| {
        let (name, channel) = line.strip_prefix("# ")?.split_once(", channel ")?;
        Some((name.to_owned(), channel.parse().unwrap()))
    });
    let mut written = BytesMut::new();
    let read: Vec<(String, u16)> = frames(&session, FrameLimits::from_frame_max(4096))
        .into_iter()
        .map(|(kind, channel, payload)| {
            let name = match kind {
                FrameKind::Method => {
                    let method = AnyMethod::from(ToClient::from_payload(&payload).unwrap());
                    encode::method_arguments(&mut written, channel, method.id(), &method).unwrap();
                    method.name()
                }
                FrameKind::Header => {
                    let ContentHeader { class_id, body_size, properties } =
                        ContentHeader::parse(&payload).unwrap();
                    encode::raw_header(&mut written, channel, class_id, body_size, properties);
                    "header"
                }
                FrameKind::Body => {
                    encode::body_frame(&mut written, channel, &payload);
                    "body"
                }
                FrameKind::Heartbeat => {
                    encode::heartbeat(&mut written);
                    "heartbeat"
                }
            };
            (name.to_owned(), channel)
        })
        .collect();
    assert_eq!(read, named.collect::<Vec<_>>());
    assert!(written[..] == session[..], "written again, the session is the same");
}
