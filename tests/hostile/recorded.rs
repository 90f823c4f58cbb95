//! What was recorded, taken apart: frames, exchanges, method payloads, properties, tables.

use amqp091::bytes::BytesMut;
use amqp091::content::ContentHeader;
use amqp091::frame::{FrameKind, FrameLimits, FrameRef, Parsed, parse};
use amqp091::protocol::{AnyMethod, basic, method_name};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{Decode, FieldTable, MethodId, Reader, Writer};

use crate::hex::octets;
use crate::methods;

/// A part of a recording, under the name of the method that it is of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) name: &'static str,
    pub(crate) octets: Vec<u8>,
}

/// What RabbitMQ sent to a client.
pub(crate) fn to_client() -> Vec<u8> {
    octets(include_str!("../recorded/rabbitmq.hex"))
}

/// What a client sent to RabbitMQ, the protocol header first.
pub(crate) fn to_server() -> Vec<u8> {
    octets(include_str!("../recorded/pika.hex"))
}

/// Methods, each with the content frames that belong to it; heartbeats.
pub(crate) fn exchanges() -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for frame in frames() {
        let content = matches!(frame.kind, FrameKind::Header | FrameKind::Body);
        match pieces.last_mut() {
            Some(piece) if content => piece.octets.extend_from_slice(&frame.octets),
            _ => pieces.push(Piece { name: frame.name(), octets: frame.octets }),
        }
    }
    pieces
}

/// The payloads of method frames.
pub(crate) fn methods() -> Vec<Piece> {
    let methods = frames().into_iter().filter(|frame| frame.kind == FrameKind::Method);
    methods.map(|frame| Piece { name: frame.name(), octets: frame.payload().to_vec() }).collect()
}

/// The properties of messages.
pub(crate) fn properties() -> Vec<Piece> {
    let headers = frames().into_iter().filter(|frame| frame.kind == FrameKind::Header);
    let properties = headers.map(|frame| {
        ContentHeader::parse(frame.payload()).expect("a content header").properties.to_vec()
    });
    properties.map(|octets| Piece { name: "basic.properties", octets }).collect()
}

/// The tables in methods and properties, each with its length in front.
pub(crate) fn tables() -> Vec<Piece> {
    let mut tables = Vec::new();
    for Piece { name, octets } in methods() {
        let method = AnyMethod::from_payload(&octets).unwrap();
        tables.extend(methods::tables(&method).map(|table| table_of(name, table)));
    }
    for Piece { name, octets } in properties() {
        match basic::Properties::decode_all(&octets) {
            Ok(properties) => tables.extend(properties.headers.map(|table| table_of(name, &table))),
            // Headers alone, nested too deeply.
            Err(_) => tables.push(Piece { name, octets: octets[2..].to_vec() }),
        }
    }
    tables.retain(|table| table.octets.len() > 4);
    tables
}

fn table_of(name: &'static str, table: &FieldTable) -> Piece {
    let mut octets = BytesMut::new();
    Writer::new(&mut octets).table(table, name).unwrap();
    Piece { name, octets: octets.to_vec() }
}

/// A frame of a recording.
struct Recorded {
    kind: FrameKind,
    octets: Vec<u8>,
}

impl Recorded {
    fn payload(&self) -> &[u8] {
        &self.octets[7..self.octets.len() - 1]
    }

    fn name(&self) -> &'static str {
        if self.kind == FrameKind::Heartbeat {
            return "heartbeat";
        }
        let mut input = Reader::new(self.payload());
        let id = MethodId::new(input.u16("class-id").unwrap(), input.u16("method-id").unwrap());
        method_name(id).expect("a known method")
    }
}

fn frames() -> Vec<Recorded> {
    let (client, server) = (to_client(), to_server());
    let mut frames = Vec::new();
    for mut rest in [&client[..], &server[ProtocolHeader::LEN..]] {
        while !rest.is_empty() {
            let Ok(Parsed::Frame { frame: FrameRef { kind, .. }, consumed }) =
                parse(rest, FrameLimits::default())
            else {
                panic!("recordings are whole frames")
            };
            frames.push(Recorded { kind, octets: rest[..consumed].to_vec() });
            rest = &rest[consumed..];
        }
    }
    frames
}
