//! The way of amqp_serde, which has strings, tables and a serializer, but neither methods nor frames: amqprs keeps
//! those to itself. They are declared here in the same manner, and only for the messages measured one by one.

use std::fmt;
use std::hint::black_box;

use amqp_serde::types::{FieldTable, ShortStr};
use amqp_serde::{from_bytes, to_buffer};
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const FRAME_END: u8 = 0xCE;

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation to measure")]
enum Item {
    Publish(u16, Publish),
    Deliver(u16, Deliver),
    Declare(u16, Declare),
    Header(u16, Header),
    Body(u16, Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ids {
    class: u16,
    method: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Publish {
    ticket: u16,
    exchange: ShortStr,
    routing_key: ShortStr,
    bits: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deliver {
    consumer_tag: ShortStr,
    delivery_tag: u64,
    redelivered: bool,
    exchange: ShortStr,
    routing_key: ShortStr,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Declare {
    ticket: u16,
    queue: ShortStr,
    bits: u8,
    arguments: FieldTable,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    class: u16,
    weight: u16,
    body_size: u64,
    properties: Properties,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Properties {
    flags: u16,
    content_type: Option<ShortStr>,
    content_encoding: Option<ShortStr>,
    headers: Option<FieldTable>,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    correlation_id: Option<ShortStr>,
    reply_to: Option<ShortStr>,
    expiration: Option<ShortStr>,
    message_id: Option<ShortStr>,
    timestamp: Option<u64>,
    kind: Option<ShortStr>,
    user_id: Option<ShortStr>,
    app_id: Option<ShortStr>,
}

/// All properties in the order of their flags.
macro_rules! properties {
    ($for_each:ident) => {
        $for_each!(
            content_type: 15, content_encoding: 14, headers: 13, delivery_mode: 12, priority: 11, correlation_id: 10,
            reply_to: 9, expiration: 8, message_id: 7, timestamp: 6, kind: 5, user_id: 4, app_id: 3
        )
    };
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_tuple(14)?;
        out.serialize_element(&self.flags)?;
        macro_rules! write {
            ($($name:ident: $bit:literal),*) => {$(
                if let Some(value) = &self.$name {
                    out.serialize_element(value)?;
                }
            )*};
        }
        properties!(write);
        out.end()
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Properties, A::Error> {
                let end = || A::Error::custom("end");
                let flags: u16 = input.next_element()?.ok_or_else(end)?;
                let mut properties = Properties { flags, ..Properties::default() };
                macro_rules! read {
                    ($($name:ident: $bit:literal),*) => {$(
                        if flags & 1 << $bit != 0 {
                            properties.$name = Some(input.next_element()?.ok_or_else(end)?);
                        }
                    )*};
                }
                properties!(read);
                Ok(properties)
            }
        }
        deserializer.deserialize_tuple(14, Read)
    }
}

pub(crate) fn encode(wire: &[u8]) -> impl FnMut() + use<> {
    let items = items(wire);
    let mut out = Vec::with_capacity(wire.len() + 64 * 1024);
    write(&items, &mut out);
    // Its tables are hash maps, which have no order of their own.
    assert_eq!(out.len(), wire.len());
    assert_eq!(self::items(&out), items, "what is written is what was read");
    move || {
        out.clear();
        write(black_box(&items), &mut out);
        black_box(&out);
    }
}

pub(crate) fn decode(wire: &[u8]) -> impl FnMut() + use<> {
    let wire = wire.to_vec();
    move || {
        let mut rest = black_box(&wire[..]);
        while !rest.is_empty() {
            black_box(&read(&mut rest));
        }
    }
}

fn items(mut wire: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    while !wire.is_empty() {
        items.push(read(&mut wire));
    }
    items
}

fn read(input: &mut &[u8]) -> Item {
    let [kind, c, h, size @ ..] = *input.first_chunk::<7>().unwrap();
    let channel = u16::from_be_bytes([c, h]);
    let (payload, rest) = input[7..].split_at(u32::from_be_bytes(size) as usize);
    assert_eq!(rest[0], FRAME_END);
    *input = &rest[1..];
    match kind {
        1 => {
            let (ids, arguments) = payload.split_at(4);
            let Ids { class, method } = from_bytes(ids).unwrap();
            match (class, method) {
                (60, 40) => Item::Publish(channel, from_bytes(arguments).unwrap()),
                (60, 60) => Item::Deliver(channel, from_bytes(arguments).unwrap()),
                (50, 10) => Item::Declare(channel, from_bytes(arguments).unwrap()),
                _ => panic!("a method that isn't measured"),
            }
        }
        2 => Item::Header(channel, from_bytes(payload).unwrap()),
        3 => Item::Body(channel, payload.to_vec()),
        _ => panic!("a frame that isn't measured"),
    }
}

fn write(items: &[Item], out: &mut Vec<u8>) {
    for item in items {
        match item {
            Item::Publish(channel, publish) => {
                frame(out, 1, *channel, |out| method(out, 60, 40, publish));
            }
            Item::Deliver(channel, deliver) => {
                frame(out, 1, *channel, |out| method(out, 60, 60, deliver));
            }
            Item::Declare(channel, declare) => {
                frame(out, 1, *channel, |out| method(out, 50, 10, declare));
            }
            Item::Header(channel, header) => {
                frame(out, 2, *channel, |out| {
                    to_buffer(header, out).unwrap();
                });
            }
            Item::Body(channel, body) => {
                frame(out, 3, *channel, |out| out.extend_from_slice(body));
            }
        }
    }
}

fn method(out: &mut Vec<u8>, class: u16, method: u16, arguments: &impl Serialize) {
    to_buffer(&Ids { class, method }, out).unwrap();
    to_buffer(arguments, out).unwrap();
}

fn frame(out: &mut Vec<u8>, kind: u8, channel: u16, payload: impl FnOnce(&mut Vec<u8>)) {
    let [c, h] = channel.to_be_bytes();
    out.extend_from_slice(&[kind, c, h, 0, 0, 0, 0]);
    let begin = out.len();
    payload(out);
    let size = (out.len() - begin) as u32;
    out[begin - 4..begin].copy_from_slice(&size.to_be_bytes());
    out.push(FRAME_END);
}
