//! The octets that are read and written: methods, headers and bodies as applications send them.

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, queue};
use amqp091::types::{FieldTable, ShortStr, Timestamp, Value};

/// How many frames are in [`stream`].
pub const STREAM_FRAMES: usize = 10_000;
/// The same where its items are at hand, as those of a program are that makes a message and sends it: 10,000 of them
/// take more memory than the caches have.
pub const HOT_FRAMES: usize = 500;

const FRAME_MAX: u32 = 131_072;

const fn short(text: &'static str) -> ShortStr {
    ShortStr::from_static(text)
}

/// `basic.publish`, its header with five properties and four headers, and a body of so many octets.
pub fn publish(body: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    write_publish(&mut out, 1, body);
    out.to_vec()
}

/// `basic.publish` to a queue, 16 octets without properties: the least that is sent in earnest.
pub fn bare() -> Vec<u8> {
    let mut out = BytesMut::new();
    let publish = basic::Publish { routing_key: short("work"), ..basic::Publish::default() };
    encode::method(&mut out, 1, &publish).unwrap();
    encode::header(&mut out, 1, 16, &basic::Properties::default()).unwrap();
    encode::body(&mut out, 1, &[b'x'; 16], FRAME_MAX);
    out.to_vec()
}

fn write_publish(out: &mut BytesMut, channel: u16, body: usize) {
    let publish = basic::Publish {
        exchange: short("orders"),
        routing_key: short("orders.created.eu-west-1"),
        mandatory: true,
        immediate: false,
    };
    encode::method(out, channel, &publish).unwrap();
    encode::header(out, channel, body as u64, &five_properties()).unwrap();
    encode::body(out, channel, &vec![b'x'; body], FRAME_MAX);
}

// Keys stand in their alphabetical order, because a peer keeps them so.
fn five_properties() -> basic::Properties {
    let headers = FieldTable::new()
        .with(short("attempt"), 3)
        .with(short("region"), "eu-west-1")
        .with(short("source"), "checkout-service")
        .with(short("traced"), true);
    basic::Properties::default()
        .with_content_type(short("application/json"))
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_correlation_id(short("6f1e0c3a-93d5-4c8e-8a57-2f6d1b7e9c40"))
        .with_message_id(short("0b9d6a54-1c7f-4e2b-b8f3-5a90e4d7c612"))
        .with_timestamp(Timestamp(1_760_000_000))
}

/// `basic.deliver` as RabbitMQ sends it to a consumer that let it choose the tag.
pub fn deliver() -> Vec<u8> {
    let mut out = BytesMut::new();
    write_deliver(&mut out, 1, 4711);
    out.to_vec()
}

fn write_deliver(out: &mut BytesMut, channel: u16, delivery_tag: u64) {
    let deliver = basic::Deliver {
        consumer_tag: short("amq.ctag-Xb3h9qKzTtWc0Qj4l2sV5w"),
        delivery_tag,
        redelivered: delivery_tag.is_multiple_of(16),
        exchange: short("orders"),
        routing_key: short("orders.created.eu-west-1"),
    };
    encode::method(out, channel, &deliver).unwrap();
}

/// A content header with eight properties, one of them a table with a long string: a trace context.
pub fn header() -> Vec<u8> {
    let headers = FieldTable::new()
        .with(short("retries"), 2_i64)
        .with(short("traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let properties = basic::Properties::default()
        .with_content_type(short("application/json"))
        .with_content_encoding(short("gzip"))
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(5)
        .with_correlation_id(short("6f1e0c3a-93d5-4c8e-8a57-2f6d1b7e9c40"))
        .with_timestamp(Timestamp(1_760_000_000))
        .with_app_id(short("checkout"));
    let mut out = BytesMut::new();
    encode::header(&mut out, 1, 2048, &properties).unwrap();
    out.to_vec()
}

/// `queue.declare` with four arguments.
pub fn declare() -> Vec<u8> {
    let mut out = BytesMut::new();
    write_declare(&mut out, 1);
    out.to_vec()
}

fn write_declare(out: &mut BytesMut, channel: u16) {
    let arguments = FieldTable::new()
        .with(short("x-dead-letter-exchange"), "orders.dead")
        .with(short("x-max-length"), 100_000)
        .with(short("x-message-ttl"), 60_000)
        .with(short("x-queue-type"), "quorum");
    let declare = queue::Declare {
        queue: short("orders.created"),
        durable: true,
        arguments,
        ..queue::Declare::default()
    };
    encode::method(out, channel, &declare).unwrap();
}

/// That many frames in both directions on a few channels: mostly deliveries, acks and publishes, with properties
/// or without; now and then a declaration, its answer, a consumer or a heartbeat.
pub fn stream(count: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut dice = Dice(20_250_101);
    let mut frames = 0;
    let mut tag = 0;
    while frames < count {
        let channel = 1 + dice.below(8) as u16;
        // What doesn't fit any more gives way to a heartbeat.
        let kind = if frames + 3 > count { 99 } else { dice.below(100) };
        frames += match kind {
            0..40 => {
                tag += 1;
                write_deliver(&mut out, channel, tag);
                write_content(&mut out, channel, &mut dice)
            }
            40..65 => {
                let ack = basic::Ack { delivery_tag: tag, multiple: dice.below(4) == 0 };
                encode::method(&mut out, channel, &ack).unwrap();
                1
            }
            65..80 => {
                write_publish(&mut out, channel, 1 + dice.below(512));
                3
            }
            80..84 => {
                write_declare(&mut out, channel);
                let answer = queue::DeclareOk {
                    queue: short("orders.created"),
                    message_count: 12,
                    consumer_count: 1,
                };
                encode::method(&mut out, channel, &answer).unwrap();
                2
            }
            84..87 => {
                let bind = queue::Bind {
                    queue: short("orders.created"),
                    exchange: short("orders"),
                    routing_key: short("orders.created.*"),
                    ..queue::Bind::default()
                };
                encode::method(&mut out, channel, &bind).unwrap();
                encode::method(&mut out, channel, &queue::BindOk {}).unwrap();
                2
            }
            87..90 => {
                let consume =
                    basic::Consume { queue: short("orders.created"), ..basic::Consume::default() };
                encode::method(&mut out, channel, &consume).unwrap();
                1
            }
            90..95 => {
                let nack = basic::Nack { delivery_tag: tag, multiple: false, requeue: true };
                encode::method(&mut out, channel, &nack).unwrap();
                1
            }
            _ => {
                encode::heartbeat(&mut out);
                1
            }
        };
    }
    debug_assert_eq!(frames, count);
    out.to_vec()
}

/// A header and a body, behind a method that carries them.
fn write_content(out: &mut BytesMut, channel: u16, dice: &mut Dice) -> usize {
    let properties = match dice.below(4) {
        0 => basic::Properties::default(),
        1 => basic::Properties::default()
            .with_content_type(short("text/plain"))
            .with_delivery_mode(2),
        2 => five_properties(),
        _ => basic::Properties::default()
            .with_delivery_mode(2)
            .with_headers(FieldTable::new().with(short("x-delay"), Value::I64(5_000))),
    };
    let body = vec![b'x'; 1 + dice.below(1024)];
    encode::header(out, channel, body.len() as u64, &properties).unwrap();
    encode::body(out, channel, &body, FRAME_MAX);
    2
}

/// Always the same throws (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
