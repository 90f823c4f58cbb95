//! The vendor's method through the frame layer of the crate `amqp091`, which knows nothing of it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameKind, FrameLimits};
use amqp091_sample_vendor::protocol::{
    self, AnyMethod, ErrorKind, ReplyCode, ToClient, ToServer, constants, queue,
};
use amqp091_types::{Method, MethodError, MethodId, Reflect, Reply, Request, SentBy, ShortStr};
use bytes::{Bytes, BytesMut};

fn pause() -> queue::Pause {
    queue::Pause {
        queue: ShortStr::new("work").unwrap(),
        tenant: ShortStr::new("acme").unwrap(),
        drain: true,
        milliseconds: 500,
        ..queue::Pause::default()
    }
}

/// The payload of the one frame that is there.
fn payload(wire: &mut BytesMut, channel: u16) -> Bytes {
    let frame = FrameDecoder::new(FrameLimits::default()).decode(wire).unwrap().expect("a frame");
    assert!(wire.is_empty(), "one frame and no more");
    assert_eq!((frame.kind, frame.channel), (FrameKind::Method, channel));
    frame.payload
}

#[test]
fn a_request_and_its_reply_go_through_frames() {
    let mut wire = BytesMut::new();
    encode::method(&mut wire, 7, &pause()).unwrap();
    // Class 50, method 200; both bits in one octet.
    let arguments = b"\x00\x32\x00\xC8\x04work\x04acme\x01\x00\x00\x01\xF4";
    assert_eq!(wire[7..wire.len() - 1], arguments[..]);
    let request = ToServer::from_payload(&payload(&mut wire, 7));
    assert_eq!(request, Ok(ToServer::QueuePause(pause())));

    let reply = queue::PauseOk { message_count: 3 };
    encode::method(&mut wire, 7, &reply).unwrap();
    let octets = payload(&mut wire, 7);
    assert_eq!(ToClient::from_payload(&octets), Ok(ToClient::QueuePauseOk(reply)));
    let not_expected = Err(MethodError::NotExpected { id: queue::PauseOk::ID });
    assert_eq!(ToServer::from_payload(&octets), not_expected);
}

#[test]
fn it_is_unknown_to_the_protocol_without_the_overlay() {
    let mut wire = BytesMut::new();
    encode::method(&mut wire, 7, &pause()).unwrap();
    let id = MethodId::new(50, 200);
    assert_eq!(
        amqp091::protocol::ToServer::from_payload(&payload(&mut wire, 7)),
        Err(MethodError::Unknown { id })
    );
}

#[test]
fn the_types_know_all_about_it() {
    assert_eq!(queue::Pause::ID, MethodId::new(queue::CLASS_ID, 200));
    assert_eq!(queue::Pause::NAME, "queue.pause");
    assert_eq!(queue::Pause::SENT_BY, SentBy::Client);
    assert_eq!(queue::PauseOk::SENT_BY, SentBy::Server);
    assert_eq!(<queue::Pause as Request>::Reply::METHODS, [queue::PauseOk::ID]);
    assert_eq!(queue::Pause::default().milliseconds, 1000);

    assert_eq!(ReplyCode::ACME_FROZEN, ReplyCode(590));
    assert_eq!(ReplyCode::ACME_FROZEN.kind(), Some(ErrorKind::Soft));
    assert_eq!(ReplyCode::ACME_FROZEN.to_string(), "590 ACME_FROZEN");
}

#[test]
fn its_domain_is_checked_by_those_who_ask() {
    assert_eq!(pause().validate(), Ok(()));
    let mut wrong = pause();
    wrong.tenant = ShortStr::new("Acme!").unwrap();
    let error = wrong.validate().unwrap_err().to_string();
    assert!(error.starts_with("queue.pause.tenant: "), "{error}");
}

#[test]
fn the_standard_is_all_there() {
    // Octets that are made with one and read with the other are the same protocol.
    let declare = queue::Declare { durable: true, ..queue::Declare::default() };
    let mut wire = BytesMut::new();
    encode::method(&mut wire, 1, &declare).unwrap();
    let octets = payload(&mut wire, 1);
    assert_eq!(AnyMethod::from_payload(&octets), Ok(AnyMethod::QueueDeclare(declare)));
    let standard = amqp091::protocol::AnyMethod::from_payload(&octets).unwrap();
    assert_eq!(standard.name(), "queue.declare");

    for class in amqp091::protocol::CLASSES {
        for method in class.methods {
            assert_eq!(protocol::method_name(method.id), Some(method.name));
        }
    }
    assert_eq!(constants::FRAME_END, amqp091::protocol::constants::FRAME_END);
}
