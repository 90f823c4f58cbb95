//! The codec for tokio_util's `Framed`: frames over a pipe, however it cuts them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091::any_frame::{AnyFrame, Header};
use amqp091::bytes::{Bytes, BytesMut};
use amqp091::codec::{CodecError, FrameCodec};
use amqp091::frame::{Frame, FrameError, FrameKind, FrameLimits};
use amqp091::protocol::{basic, queue};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{EncodeError, ShortStr, Value, table};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_util::codec::{Encoder, Framed};

/// Two ends of a pipe that holds so few octets that no frame passes in one piece.
fn pipe(octets: usize) -> (Framed<DuplexStream, FrameCodec>, DuplexStream) {
    let (one, two) = tokio::io::duplex(octets);
    (framed(one), two)
}

fn framed(socket: DuplexStream) -> Framed<DuplexStream, FrameCodec> {
    Framed::new(socket, FrameCodec::new(FrameLimits::default()))
}

fn publish() -> basic::Publish {
    basic::Publish {
        routing_key: ShortStr::from_static("work"),
        mandatory: true,
        ..basic::Publish::default()
    }
}

#[tokio::test]
async fn a_message_passes_a_narrow_pipe() {
    let (mut sender, receiver) = pipe(5);
    let mut receiver = framed(receiver);
    let properties = basic::Properties::default().with_headers(table! { "a": [1, "two", null] });
    let body = Bytes::from(vec![0xce; 1000]);
    let frames = [
        AnyFrame::from(publish()),
        AnyFrame::Header(Header::new(1000, &properties).unwrap()),
        AnyFrame::Body(body),
    ];
    let expected = frames.clone();
    let sending = tokio::spawn(async move {
        sender.send((7, &publish())).await.unwrap();
        for frame in frames.into_iter().skip(1) {
            sender.send((7, frame)).await.unwrap();
        }
        sender.send((0, AnyFrame::Heartbeat)).await.unwrap();
    });
    for frame in expected {
        let received = receiver.next().await.unwrap().unwrap();
        assert_eq!(received.channel, 7);
        assert_eq!(AnyFrame::try_from(received), Ok(frame));
    }
    let heartbeat = Frame { kind: FrameKind::Heartbeat, channel: 0, payload: Bytes::new() };
    assert_eq!(receiver.next().await.unwrap().unwrap(), heartbeat);
    assert!(receiver.next().await.is_none(), "the sender is gone");
    sending.await.unwrap();
}

#[tokio::test]
async fn frames_pass_a_proxy_unchanged() {
    let mut octets = BytesMut::new();
    AnyFrame::from(publish()).marshal(3, &mut octets).unwrap();
    AnyFrame::Header(Header::default()).marshal(3, &mut octets).unwrap();
    AnyFrame::Body(Bytes::from_static(b"body")).marshal(3, &mut octets).unwrap();
    AnyFrame::Heartbeat.marshal(0, &mut octets).unwrap();

    let (mut source, proxy_in) = tokio::io::duplex(11);
    let (proxy_out, mut destination) = tokio::io::duplex(13);
    let sent = octets.clone();
    let sending = tokio::spawn(async move { source.write_all(&sent).await.unwrap() });
    let proxy = tokio::spawn(async move { framed(proxy_in).forward(framed(proxy_out)).await });
    let mut received = Vec::new();
    destination.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, octets);
    sending.await.unwrap();
    proxy.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_protocol_header_goes_out_in_front() {
    let (mut client, mut server) = pipe(64);
    client.send((0, AnyFrame::ProtocolHeader(ProtocolHeader::AMQP_0_9_1))).await.unwrap();
    let mut header = [0; 8];
    server.read_exact(&mut header).await.unwrap();
    assert_eq!(&header, b"AMQP\0\0\x09\x01");
}

#[tokio::test]
async fn garbage_is_an_error_and_the_end() {
    let (mut receiver, mut sender) = pipe(64);
    sender.write_all(b"GET /").await.unwrap();
    let error = receiver.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CodecError::Frame(FrameError::UnknownType { octet: b'G' })), "{error}");
    assert!(receiver.next().await.is_none());
}

#[tokio::test]
async fn limits_hold_and_can_be_changed() {
    let (mut receiver, sender) = pipe(4096);
    let mut sender = framed(sender);
    let small = FrameLimits::from_frame_max(16);
    for body in [vec![0; 17], vec![0; 17]] {
        sender.send((1, AnyFrame::Body(body.into()))).await.unwrap();
    }
    assert_eq!(receiver.next().await.unwrap().unwrap().payload.len(), 17);
    receiver.codec_mut().set_limits(small);
    let error = receiver.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, CodecError::Frame(FrameError::TooLarge { size: 17, limit: 16, .. })),
        "{error}"
    );
}

#[tokio::test]
async fn an_end_within_a_frame_is_an_error() {
    let (mut receiver, mut sender) = pipe(64);
    sender.write_all(&[8, 0, 0, 0]).await.unwrap();
    drop(sender);
    let error = receiver.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CodecError::Io(_)), "{error}");
}

#[test]
fn what_has_no_encoding_leaves_nothing_behind() {
    let declare = queue::Declare {
        arguments: table! { "x": Value::F64(f64::NAN) },
        ..queue::Declare::default()
    };
    let mut out = BytesMut::from(&b"before"[..]);
    let error = FrameCodec::default().encode((1, &declare), &mut out).unwrap_err();
    assert!(matches!(error, CodecError::Encode(EncodeError::NotFinite { .. })), "{error}");
    assert_eq!(out, &b"before"[..]);
}
