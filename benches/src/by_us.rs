//! This project's way.

use std::hint::black_box;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::ContentHeader;
use amqp091::encode;
use amqp091::frame::{self, FrameKind, FrameLimits, FrameRef, Parsed};
use amqp091::protocol::{AnyMethod, basic};
use amqp091::types::Decode;

/// A frame with all that is in it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation to measure")]
enum Item {
    Method(u16, AnyMethod),
    Header(u16, u64, basic::Properties),
    Body(u16, Bytes),
    Heartbeat,
}

pub(crate) fn encode(wire: &[u8]) -> impl FnMut() + use<> {
    let items = items(wire);
    // A connection's output buffer has room for many messages.
    let mut out = BytesMut::with_capacity(wire.len() + 64 * 1024);
    write(&items, &mut out);
    assert_eq!(out, wire, "what is written is what was read");
    move || {
        out.clear();
        write(black_box(&items), &mut out);
        black_box(&out);
    }
}

pub(crate) fn decode(wire: &[u8]) -> impl FnMut() + use<> {
    let wire = wire.to_vec();
    move || {
        for_each_frame(black_box(&wire), |FrameRef { kind, channel, payload }| {
            black_box(channel);
            match kind {
                FrameKind::Method => {
                    black_box(&method(payload));
                }
                FrameKind::Header => {
                    let header = ContentHeader::parse(payload).unwrap();
                    black_box(header.body_size);
                    black_box(&properties(header));
                }
                FrameKind::Body => {
                    black_box(&Bytes::copy_from_slice(payload));
                }
                FrameKind::Heartbeat => {}
            }
        });
    }
}

fn items(wire: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    for_each_frame(wire, |FrameRef { kind, channel, payload }| {
        items.push(match kind {
            FrameKind::Method => Item::Method(channel, method(payload)),
            FrameKind::Header => {
                let header = ContentHeader::parse(payload).unwrap();
                Item::Header(channel, header.body_size, properties(header))
            }
            FrameKind::Body => Item::Body(channel, Bytes::copy_from_slice(payload)),
            FrameKind::Heartbeat => Item::Heartbeat,
        });
    });
    items
}

#[inline(always)]
fn for_each_frame<'a>(mut wire: &'a [u8], mut handle: impl FnMut(FrameRef<'a>)) {
    while !wire.is_empty() {
        let Parsed::Frame { frame, consumed } = frame::parse(wire, FrameLimits::default()).unwrap()
        else {
            panic!("half a frame")
        };
        handle(frame);
        wire = &wire[consumed..];
    }
}

#[inline(always)]
fn method(payload: &[u8]) -> AnyMethod {
    AnyMethod::from_payload(payload).unwrap()
}

#[inline(always)]
fn properties(header: ContentHeader<'_>) -> basic::Properties {
    basic::Properties::decode_all(header.properties).unwrap()
}

fn write(items: &[Item], out: &mut BytesMut) {
    for item in items {
        match item {
            Item::Method(channel, method) => {
                encode::method_arguments(out, *channel, method.id(), method).unwrap();
            }
            Item::Header(channel, body_size, properties) => {
                encode::header(out, *channel, *body_size, properties).unwrap();
            }
            Item::Body(channel, payload) => encode::body_frame(out, *channel, payload),
            Item::Heartbeat => encode::heartbeat(out),
        }
    }
}
