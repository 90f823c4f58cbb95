//! Contents: bodies of every size both ways, and frames that break the rules.

use amqp091::protocol::queue;
use amqp091::types::Value;

use super::*;
use crate::core::output::LARGE_BODY;
use crate::error::CloseReason;

const FRAME_MAX: u32 = 4096;
/// Octets of body that fit in a frame.
const ROOM: usize = FRAME_MAX as usize - 8;

/// A channel on a connection with a frame-max of 4096, and a consumer "c".
fn script_with(options: ConnectOptions) -> (Script, ChannelKey, ConsumerKey) {
    let mut script = Script::open_with(options, (0, FRAME_MAX, 0));
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    (script, channel, consumer)
}

fn script() -> (Script, ChannelKey, ConsumerKey) {
    script_with(ConnectOptions::default())
}

/// A body whose every octet tells its place.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

/// The one delivery that has come.
fn delivered_body(script: &mut Script, consumer: ConsumerKey) -> Bytes {
    let Poll::Ready(Ok(batch)) = script.deliveries(consumer) else { panic!("it has come") };
    let [incoming] = &batch[..] else { panic!("one has come") };
    incoming.content.body.clone()
}

fn sizes() -> Vec<usize> {
    let copied = [4096, 4097];
    let large = [LARGE_BODY - 1, LARGE_BODY, LARGE_BODY + 1];
    let frames = [0, 1, ROOM - 1, ROOM, ROOM + 1, 2 * ROOM, 2 * ROOM + 1, 100 * ROOM];
    frames.into_iter().chain(copied).chain(large).chain([1_000_000]).collect()
}

#[test]
fn bodies_of_every_size_are_sent_in_frames_of_frame_max() {
    for size in sizes() {
        let (mut script, channel, _) = script();
        let body = body(size);
        script.unwatched(channel, "q", &body);
        let sent_frames = script.sent();
        let [publish, header, frames @ ..] = &sent_frames[..] else { panic!("{sent_frames:?}") };
        assert_eq!(publish, &sent(1, publish_to("q")));
        let properties = Octets(vec![0, 0]);
        assert_eq!(header, &Sent::Header { channel: 1, body_size: size as u64, properties });
        let expected: Vec<Sent> =
            body.chunks(ROOM).map(|piece| Sent::Body(1, Octets(piece.into()))).collect();
        assert_eq!(frames, expected, "{size} octets");
    }
}

#[test]
fn a_body_is_sent_whole_where_no_frame_max_is_negotiated() {
    let options = ConnectOptions::default().frame_max(0);
    let mut script = Script::open_with(options, (0, 0, 0));
    let channel = script.channel();
    for size in [1, 16_000, 700_000] {
        script.unwatched(channel, "q", &body(size));
        assert_eq!(script.sent().pop(), Some(Sent::Body(1, Octets(body(size)))));
    }
}

#[test]
fn lent_and_given_bodies_and_properties_go_out_alike() {
    let properties = basic::Properties::default()
        .with_content_type(short("text"))
        .with_headers([(short("k"), Value::I32(7))].into_iter().collect())
        .with_priority(9);
    let mut header = BytesMut::new();
    encode::header(&mut header, 1, 0, &properties).unwrap();
    let encoded = Octets(header[19..header.len() - 1].to_vec());
    for size in sizes() {
        let (mut script, channel, _) = script();
        let octets = body(size);
        let lent = Body::Borrowed(&octets);
        let given = Body::Owned(Bytes::copy_from_slice(&octets));
        let mut results = [lent, given].map(|body| {
            let properties = Some(&properties);
            let message = Message { properties, body, watched: false, ..message("q", b"") };
            script.try_publish(channel, &message);
            script.sent()
        });
        let [first, second] = &mut results;
        assert_eq!(first, second, "{size} octets");
        let body_size = size as u64;
        let expected = Sent::Header { channel: 1, body_size, properties: encoded.clone() };
        assert_eq!(first[1], expected);
    }
}

#[test]
fn a_message_is_persistent_whatever_its_properties_say() {
    let properties = basic::Properties::default().with_content_type(short("text"));
    let transient = properties.clone().with_delivery_mode(1);
    let with_type = [&[0x90, 0, 4][..], b"text", &[2]].concat();
    for (given, expected) in [
        (None, vec![0x10, 0, 2]),
        (Some(&properties), with_type.clone()),
        (Some(&transient), with_type),
    ] {
        let (mut script, channel, _) = script();
        let (method, body) = (publish_to("q"), Body::Borrowed(b""));
        let message = Message { method, properties: given, body, persistent: true, watched: false };
        script.try_publish(channel, &message);
        let header = Sent::Header { channel: 1, body_size: 0, properties: Octets(expected) };
        assert_eq!(script.sent()[1], header);
    }
}

/// RabbitMQ closes the connection over a frame that is too large, and these can't be split.
#[test]
fn what_takes_more_than_a_frame_is_refused_and_nothing_is_sent() {
    let (mut script, channel, _) = script();
    let largest = FRAME_MAX as usize - 8;
    // Around the string: ids; reserved, name, bits, table length; key, tag, string length.
    let around = 4 + (2 + 2 + 1 + 4) + (2 + 1 + 4);
    for (fits, len) in [(true, largest - around), (false, largest - around + 1)] {
        let arguments = [(short("k"), Value::LongStr(vec![b'x'; len].into()))];
        let declare = queue::Declare {
            queue: short("q"),
            arguments: arguments.into_iter().collect(),
            ..Default::default()
        };
        let now = script.now();
        match script.core.call(channel, &declare, now) {
            Ok(_) => assert!(fits),
            Err(Error::FrameTooLarge { what, octets, frame_max }) => {
                assert!(!fits);
                assert_eq!((what, octets, frame_max), ("queue.declare", largest + 9, FRAME_MAX));
            }
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(script.sent().len(), usize::from(fits));
    }
    let headers = [(short("k"), Value::LongStr(vec![b'x'; largest].into()))];
    let properties = basic::Properties::default().with_headers(headers.into_iter().collect());
    let mut message = message("q", b"x");
    message.properties = Some(&properties);
    let error = script.core.publish(channel, &message).unwrap_err();
    assert!(matches!(error, Error::FrameTooLarge { what: "the message's properties", .. }));
    assert_eq!(script.sent(), [], "not even the method, nor confirm.select");
    message.properties = None;
    script.core.publish(channel, &message).unwrap();
    assert_eq!(script.sent().len(), 4, "confirm.select, method, header, body");
}

#[test]
fn bodies_of_every_size_are_put_together_from_any_frames() {
    for size in sizes() {
        for frame_max in [9, 100, FRAME_MAX] {
            if size / (frame_max as usize - 8) > 20_000 {
                continue;
            }
            let (mut script, _, consumer) = script();
            script.feed(&content_frames(1, &delivery("c", 1), &body(size), frame_max));
            let came = delivered_body(&mut script, consumer);
            assert!(came == body(size), "{size} octets in frames of {frame_max}");
            assert!(script.input.is_empty());
        }
    }
}

#[test]
fn a_large_message_cut_anywhere_is_the_same() {
    let (mut script, _, consumer) = script();
    let body = body(3 * ROOM);
    let frames = content_frames(1, &delivery("c", 1), &body, FRAME_MAX);
    for cut in 0..=frames.len() {
        script.feed(&frames[..cut]);
        script.feed(&frames[cut..]);
        assert!(delivered_body(&mut script, consumer) == body, "cut at {cut}");
    }
    for step in [1, 2, 3, 7, 19, 20, 21, 4095, 4096, 4097] {
        script.step = step;
        script.feed(&frames);
        assert!(delivered_body(&mut script, consumer) == body, "in steps of {step}");
    }
}

#[test]
fn contents_of_several_channels_interleave() {
    let mut script = Script::open();
    let mut consumers = Vec::new();
    let mut streams = Vec::new();
    for number in 1..=3u16 {
        let channel = script.channel();
        consumers.push(script.consume(channel, number, "c", false));
        let size = 1000 * usize::from(number);
        let mut frames = vec![method_frame(number, &delivery("c", 1))];
        frames.push(header_frame(number, size as u64, &[0, 0]));
        frames.extend(body(size).chunks(100).map(|piece| body_frame(number, piece)));
        streams.push(VecDeque::from(frames));
    }
    while streams.iter().any(|stream| !stream.is_empty()) {
        for stream in &mut streams {
            stream.pop_front().iter().for_each(|frame| script.feed(frame));
            script.feed(&[8, 0, 0, 0, 0, 0, 0, 0xCE]);
        }
    }
    for (size, consumer) in [1000, 2000, 3000].into_iter().zip(consumers) {
        assert!(delivered_body(&mut script, consumer) == body(size));
    }
}

#[test]
fn an_empty_body_frame_inside_a_content_is_tolerated() {
    let (mut script, _, consumer) = script();
    let mut octets = method_frame(1, &delivery("c", 1));
    octets.extend(header_frame(1, 4, &[0, 0]));
    for piece in [&b""[..], b"bo", b"", b"", b"dy"] {
        octets.extend(body_frame(1, piece));
    }
    script.feed(&octets);
    assert_eq!(delivered_body(&mut script, consumer), "body");
}

#[test]
fn a_header_larger_than_frame_max_is_taken() {
    let (mut script, _, consumer) = script();
    let mut properties = vec![0x20, 0];
    let mut table = BytesMut::new();
    let headers: FieldTable =
        (0..500).map(|key| (short(&format!("key {key}")), Value::from("some text"))).collect();
    amqp091::types::Encode::encode(&headers, &mut amqp091::types::Writer::new(&mut table)).unwrap();
    properties.extend_from_slice(&table);
    assert!(properties.len() > 2 * ROOM);
    let mut octets = method_frame(1, &delivery("c", 1));
    octets.extend(header_frame(1, 0, &properties));
    script.feed(&octets);
    let Poll::Ready(Ok(batch)) = script.deliveries(consumer) else { panic!("it has come") };
    let decoded: basic::Properties = batch[0].content.properties.decode().unwrap();
    assert_eq!(decoded.headers, Some(headers));
}

#[test]
fn frames_that_break_a_content_end_the_connection() {
    let header_of = |class_id, weight: u16, size: u64| {
        let mut payload = [class_id, weight].map(u16::to_be_bytes).concat();
        payload.extend(size.to_be_bytes());
        payload.extend([0, 0]);
        let mut octets = vec![2, 0, 1, 0, 0, 0, payload.len() as u8];
        octets.extend(payload);
        octets.push(0xCE);
        octets
    };
    let begin = method_frame(1, &delivery("c", 1));
    let header = header_frame(1, 4, &[0, 0]);
    let [one, three] = [1, 3].map(|size| header_frame(1, size, &[0, 0]));
    let half = body_frame(1, b"bo");
    let unexpected = ReplyCode::UNEXPECTED_FRAME;
    let cases: [(&str, Vec<&[u8]>, ReplyCode); 13] = [
        ("header alone", vec![&header], unexpected),
        ("body alone", vec![&half], unexpected),
        ("body before header", vec![&begin, &half], unexpected),
        ("two headers", vec![&begin, &header, &header], unexpected),
        ("method before header", vec![&begin, &begin], unexpected),
        ("method before body", vec![&begin, &header, &begin], unexpected),
        ("method in the body", vec![&begin, &header, &half, &begin], unexpected),
        ("overrun", vec![&begin, &three, &half, &half], unexpected),
        ("overrun at once", vec![&begin, &one, &half], unexpected),
        ("wrong class", vec![&begin], unexpected),
        ("weight", vec![&begin], unexpected),
        ("header cut short", vec![&begin], ReplyCode::SYNTAX_ERROR),
        ("body of an empty content", vec![&begin], unexpected),
    ];
    let extra = [
        ("wrong class", header_of(50, 0, 4)),
        ("weight", header_of(60, 1, 4)),
        ("header cut short", vec![2, 0, 1, 0, 0, 0, 11, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xCE]),
        ("body of an empty content", [header_of(60, 0, 0), body_frame(1, b"")].concat()),
    ];
    for (name, frames, code) in cases {
        let (mut script, channel, consumer) = script();
        let place = script.publish(channel, "q", b"x");
        frames.iter().for_each(|frame| script.feed(frame));
        extra.iter().filter(|(case, _)| *case == name).for_each(|(_, more)| script.feed(more));
        assert_eq!(script.gave_up_with(), code, "{name}");
        assert_eq!(script.outcomes(channel, &[place]), "U");
        if name == "body of an empty content" {
            assert_eq!(script.delivered(consumer), [1]);
        }
        assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))), "{name}");
    }
}

#[test]
fn a_method_of_the_channel_inside_a_content_ends_the_connection_even_if_it_is_its_close() {
    for method in [
        method_frame(1, &channel_close(ReplyCode::NOT_FOUND)),
        method_frame(1, &basic::QosOk {}),
        method_frame(1, &basic::Ack { delivery_tag: 1, multiple: false }),
    ] {
        let (mut script, channel, _) = script();
        script.qos(channel);
        script.publish(channel, "q", b"x");
        script.feed(&method_frame(1, &delivery("c", 1)));
        script.feed(&header_frame(1, 4, &[0, 0]));
        script.feed(&method);
        assert_eq!(script.gave_up_with(), ReplyCode::UNEXPECTED_FRAME);
    }
}

#[test]
fn a_content_that_comes_while_its_channel_closes_is_dropped() {
    for cut in [0, 1, 2, 3] {
        let (mut script, channel, consumer) = script();
        let mut frames = vec![method_frame(1, &delivery("c", 1))];
        frames.push(header_frame(1, 4, &[0, 0]));
        frames.extend([&b"bo"[..], b"dy"].map(|piece| body_frame(1, piece)));
        frames[..cut].iter().for_each(|frame| script.feed(frame));
        let (now, code) = (script.now(), ReplyCode::REPLY_SUCCESS);
        let call = script.core.close_channel(channel, CloseReason::ByUser, code, now).unwrap();
        script.sent();
        frames[cut..].iter().for_each(|frame| script.feed(frame));
        // Another one, from its beginning.
        script.deliver(1, "c", 2, &body(2 * ROOM));
        assert_eq!(script.sent(), []);
        script.method(1, channel::CloseOk {});
        assert!(script.answer(call).is_ok());
        assert!(script.core.check_open().is_ok());
        // What was half there may have come to its end; then it is handed out.
        if cut == 0 {
            assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
        }
    }
}

#[test]
fn a_message_too_large_closes_its_channel_and_nothing_else() {
    let (mut script, channel, consumer) = script_with(ConnectOptions::default().max_body(10_000));
    let other_channel = script.channel();
    let other = script.consume(other_channel, 2, "c", false);
    script.deliver(1, "c", 1, &body(10_000));
    assert!(delivered_body(&mut script, consumer) == body(10_000));
    let call = script.qos(channel);
    script.sent();
    script.deliver(1, "c", 2, &body(10_001));
    let sent_frames = script.sent();
    let [Sent::Method(1, ToServer::ChannelClose(close))] = &sent_frames[..] else {
        panic!("{sent_frames:?}")
    };
    assert_eq!(close.reply_code, ReplyCode::CONTENT_TOO_LARGE);
    let is_wanted = |error: &Error| {
        let reason = error.close_reason();
        matches!(reason, Some(CloseReason::BodyTooLarge { body_size: 10_001, limit: 10_000 }))
    };
    assert!(is_wanted(&script.answer(call).unwrap_err()));
    let end = script.deliveries(consumer);
    assert!(matches!(end, Poll::Ready(Err(End::Closed(error))) if is_wanted(&error)));
    // More of the same until the server has agreed.
    script.deliver(1, "c", 3, &body(20_000));
    script.deliver(1, "c", 4, b"small");
    script.deliver(2, "c", 1, b"small");
    script.method(1, channel::CloseOk {});
    assert!(is_wanted(&script.core.check_channel(channel).unwrap_err()));
    script.deliver(2, "c", 2, b"small");
    assert_eq!(script.delivered(other), [1, 2]);
    let fresh = script.channel();
    assert!(script.core.check_channel(fresh).is_ok());
}

#[test]
fn a_message_too_large_while_the_connection_closes_disturbs_nothing() {
    let (mut script, channel, consumer) = script_with(ConnectOptions::default().max_body(10));
    script.writable = false;
    let place = script.publish(channel, "q", &body(300_000));
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    script.deliver(1, "c", 1, &body(2 * ROOM));
    script.deliver(1, "c", 2, &body(10));
    script.writable = true;
    assert!(matches!(script.sent().last(), Some(Sent::Method(0, ToServer::ConnectionClose(close)))
        if close.reply_code == ReplyCode::REPLY_SUCCESS));
    script.ack(1, 1, false);
    script.method(0, connection::CloseOk {});
    assert_eq!(script.outcomes(channel, &[place]), "C");
    assert!(matches!(
        script.core.check_open().unwrap_err().close_reason(),
        Some(CloseReason::ByUser)
    ));
    let _ = script.deliveries(consumer);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
}

#[test]
fn an_announced_size_beyond_all_measure_costs_nothing() {
    for size in [1 << 40, u64::MAX] {
        let (mut script, channel, _) = script_with(ConnectOptions::default().max_body(u64::MAX));
        script.feed(&method_frame(1, &delivery("c", 1)));
        script.feed(&header_frame(1, size, &[0, 0]));
        script.feed(&body_frame(1, b"x"));
        script.feed(&body_frame(1, b"y"));
        assert!(script.core.check_channel(channel).is_ok());
    }
}

#[test]
fn a_message_too_large_that_was_got_ends_its_call_with_the_cause() {
    let (mut script, channel, _) = script_with(ConnectOptions::default().max_body(10));
    let now = script.now();
    let call = script.core.get(channel, &basic::Get::default(), now).unwrap();
    script.content(1, basic::GetOk::default(), &body(11));
    let error = script.answer(call).unwrap_err();
    assert!(matches!(error.close_reason(), Some(CloseReason::BodyTooLarge { .. })));
}

#[test]
fn small_bodies_are_copied_out_of_the_read_buffer_and_large_ones_are_not() {
    let (mut script, _, consumer) = script_with(ConnectOptions::default().max_body(1 << 20));
    for (size, copied) in [(1, true), (1000, true), (4088, true), (4096, true)] {
        assert_eq!(lies_in_read_buffer(&mut script, consumer, size), !copied, "{size} octets");
    }
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    let limit = 16 * 1024;
    for (size, copied) in [(2049, true), (limit, true), (limit + 1, false), (100_000, false)] {
        assert_eq!(lies_in_read_buffer(&mut script, consumer, size), !copied, "{size} octets");
    }
}

/// Whether a body that came in one frame lies where it was read.
fn lies_in_read_buffer(script: &mut Script, consumer: ConsumerKey, size: usize) -> bool {
    let mut input = BytesMut::new();
    input.extend_from_slice(&content_frames(1, &delivery("c", 1), &body(size), 131_072));
    let buffer = input.as_ptr_range();
    let now = script.now();
    script.core.handle_input(&mut input, now);
    let came = delivered_body(script, consumer);
    assert!(came == body(size));
    buffer.contains(&came.as_ptr())
}

#[test]
fn bodies_given_up_are_let_go_by_the_shell_not_by_the_core() {
    for by_channel in [true, false] {
        let (mut script, channel, _) = script();
        script.writable = false;
        let bodies = [1, 2].map(|octet| Bytes::from(vec![octet; 2 * LARGE_BODY]));
        for body in &bodies {
            let message = Message { body: body.clone().into(), ..message("q", b"") };
            script.try_publish(channel, &message);
        }
        match by_channel {
            true => script.method(1, channel_close(ReplyCode::NOT_FOUND)),
            false => script.method(0, connection_close(ReplyCode::CONNECTION_FORCED)),
        }
        assert!(!bodies[1].is_unique());
        drop(script.core.take_discarded());
        assert!(bodies[1].is_unique());
        // The first is sent to its end if only the channel is gone.
        assert_eq!(bodies[0].is_unique(), !by_channel);
    }
}

#[test]
fn a_body_of_64_mib_goes_both_ways() {
    let size = 64 << 20;
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    let octets = Bytes::from(vec![7; size]);
    let body = Body::Owned(octets.clone());
    let message = Message { body, watched: false, ..message("q", b"") };
    script.try_publish(channel, &message);
    let mut frames = method_frame(1, &delivery("c", 1));
    frames.extend(header_frame(1, size as u64, &[0, 0]));
    script.feed(&frames);
    // What comes out goes in again, a piece at a time.
    while script.core.has_output() {
        script.take_once();
        for (_, sent) in std::mem::take(&mut script.log) {
            if let Sent::Body(1, Octets(piece)) = sent {
                script.feed(&body_frame(1, &piece));
            }
        }
    }
    assert!(delivered_body(&mut script, consumer) == octets);
}

#[test]
fn a_given_large_body_is_not_copied_on_its_way_out() {
    let (mut script, channel, _) = script();
    let body = Bytes::from(body(LARGE_BODY));
    let message = Message { body: body.clone().into(), ..message("q", b"") };
    script.try_publish(channel, &message);
    drop(message);
    assert!(!body.is_unique(), "the output holds it");
    script.sent();
    assert!(body.is_unique(), "and gives it back");
}
