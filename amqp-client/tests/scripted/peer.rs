//! The server's side of a connection, played by a test frame by frame.

use std::future::Future;
use std::time::Duration;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::ContentHeader;
use amqp091::encode;
use amqp091::frame::{Frame, FrameDecoder, FrameKind, FrameLimits};
use amqp091::protocol::{AnyMethod, ReplyCode, ToServer, basic, channel, connection};
use amqp091::types::{FieldTable, LongStr, Method, ShortStr};
use amqp091_client::{Channel, ConnectOptions, Connection, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

/// Far beyond what anything here takes: it only ends tests that hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What RabbitMQ proposes, without heartbeats: with a paused clock they would come at once.
pub(crate) const TUNE: connection::Tune =
    connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 0 };

/// Ends a test that hangs.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("this takes too long")
}

pub(crate) fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

/// One frame from the client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Received {
    Method(ToServer),
    Header { body_size: u64 },
    Body(Bytes),
    Heartbeat,
}

/// The server's side. What it sends is gathered until [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    pub(crate) out: BytesMut,
    input: BytesMut,
    decoder: FrameDecoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        let decoder = FrameDecoder::new(FrameLimits::from_frame_max(0));
        Self { stream, out: BytesMut::new(), input: BytesMut::new(), decoder }
    }

    /// The next frame with its channel; `None` when the client has closed the socket.
    pub(crate) async fn read(&mut self) -> Option<(u16, Received)> {
        loop {
            if let Some(frame) = self.decode() {
                return Some(frame);
            }
            if self.read_octets().await == 0 {
                assert!(self.input.is_empty(), "the client stopped in the middle of a frame");
                return None;
            }
        }
    }

    /// A frame that has come already.
    pub(crate) fn decode(&mut self) -> Option<(u16, Received)> {
        let Frame { kind, channel, payload } = self.decoder.decode(&mut self.input).unwrap()?;
        let received = match kind {
            FrameKind::Method => Received::Method(ToServer::from_payload(&payload).unwrap()),
            FrameKind::Header => {
                let body_size = ContentHeader::parse(&payload).unwrap().body_size;
                Received::Header { body_size }
            }
            FrameKind::Body => Received::Body(payload),
            FrameKind::Heartbeat => Received::Heartbeat,
        };
        Some((channel, received))
    }

    /// Waits for octets; 0 at the end.
    pub(crate) async fn read_octets(&mut self) -> usize {
        self.input.reserve(64 * 1024);
        // A socket that the client closed while something was still on its way to it is reset.
        self.stream.read_buf(&mut self.input).await.unwrap_or(0)
    }

    /// The next frame, which must be this method.
    pub(crate) async fn expect<M: Method + TryFrom<AnyMethod, Error = AnyMethod>>(
        &mut self,
    ) -> (u16, M) {
        match self.read().await {
            Some((channel, Received::Method(method))) => match M::try_from(method.into()) {
                Ok(method) => (channel, method),
                Err(other) => panic!("expected {}, the client sent {other:?}", M::NAME),
            },
            other => panic!("expected {}, the client sent {other:?}", M::NAME),
        }
    }

    /// The next frames, which must be a `basic.publish` with its content.
    pub(crate) async fn expect_publish(&mut self) -> (u16, basic::Publish, Vec<u8>) {
        let (channel, publish) = self.expect::<basic::Publish>().await;
        let Some((header_channel, Received::Header { body_size })) = self.read().await else {
            panic!("expected a content header")
        };
        assert_eq!(header_channel, channel);
        let mut body = Vec::new();
        while (body.len() as u64) < body_size {
            match self.read().await {
                Some((body_channel, Received::Body(piece))) if body_channel == channel => {
                    body.extend_from_slice(&piece);
                }
                other => panic!("expected a body on channel {channel}, the client sent {other:?}"),
            }
        }
        (channel, publish, body)
    }

    pub(crate) fn method<M: Method>(&mut self, channel: u16, method: &M) {
        encode::method(&mut self.out, channel, method).unwrap();
    }

    /// A content header and as much of the body as is given.
    pub(crate) fn content(&mut self, channel: u16, body_size: usize, body: &[u8]) {
        let none = basic::Properties::default();
        encode::header(&mut self.out, channel, body_size as u64, &none).unwrap();
        self.body(channel, body);
    }

    pub(crate) fn body(&mut self, channel: u16, body: &[u8]) {
        encode::body(&mut self.out, channel, body, TUNE.frame_max);
    }

    pub(crate) fn deliver(&mut self, channel: u16, consumer_tag: &ShortStr, tag: u64, body: &[u8]) {
        let consumer_tag = consumer_tag.clone();
        let deliver =
            basic::Deliver { consumer_tag, delivery_tag: tag, ..basic::Deliver::default() };
        self.method(channel, &deliver);
        self.content(channel, body.len(), body);
    }

    /// Writes what was gathered; a client that is gone is no error.
    pub(crate) async fn flush(&mut self) {
        let _ = self.stream.write_all(&self.out).await;
        self.out.clear();
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn send<M: Method>(&mut self, channel: u16, method: &M) {
        self.method(channel, method);
        self.flush().await;
    }

    /// Reads the protocol header.
    pub(crate) async fn expect_protocol_header(&mut self) {
        while self.input.len() < 8 {
            assert_ne!(self.read_octets().await, 0, "the client closed the socket");
        }
        assert_eq!(self.input.split_to(8)[..], *b"AMQP\0\0\x09\x01");
    }

    pub(crate) async fn start(&mut self) -> connection::StartOk {
        self.expect_protocol_header().await;
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: FieldTable::new(),
            mechanisms: LongStr::from("PLAIN AMQPLAIN"),
            locales: LongStr::from("en_US"),
        };
        self.send(0, &start).await;
        self.expect().await.1
    }

    pub(crate) async fn tune(&mut self, tune: &connection::Tune) -> connection::TuneOk {
        self.send(0, tune).await;
        let tune_ok = self.expect().await.1;
        self.expect::<connection::Open>().await;
        tune_ok
    }

    pub(crate) async fn handshake(&mut self, tune: &connection::Tune) -> connection::TuneOk {
        self.start().await;
        let tune_ok = self.tune(tune).await;
        self.send(0, &connection::OpenOk {}).await;
        tune_ok
    }

    /// Answers `channel.open`.
    pub(crate) async fn open_channel(&mut self) -> u16 {
        let (number, channel::Open {}) = self.expect().await;
        self.send(number, &channel::OpenOk {}).await;
        number
    }

    /// Answers `basic.consume`; returns the consumer tag.
    pub(crate) async fn consume(&mut self) -> (u16, ShortStr) {
        let (number, consume) = self.expect::<basic::Consume>().await;
        let consumer_tag = consume.consumer_tag;
        self.send(number, &basic::ConsumeOk { consumer_tag: consumer_tag.clone() }).await;
        (number, consumer_tag)
    }

    /// Closes a channel as a server does.
    pub(crate) async fn close_channel(&mut self, number: u16) {
        let close = channel::Close {
            reply_code: ReplyCode::NOT_FOUND,
            reply_text: short("NOT_FOUND - no exchange 'x'"),
            class_id: 60,
            method_id: 40,
        };
        self.send(number, &close).await;
    }

    /// Reads on until the client closes the socket, answering its `connection.close`.
    pub(crate) async fn until_closed(&mut self) -> Vec<(u16, Received)> {
        let mut frames = Vec::new();
        while let Some((channel, received)) = self.read().await {
            if let Received::Method(ToServer::ConnectionClose(_)) = received {
                self.send(0, &connection::CloseOk {}).await;
            }
            frames.push((channel, received));
        }
        frames
    }
}

/// An open connection to a peer in memory, by a pipe that holds `capacity` octets each way.
pub(crate) async fn connected_by(
    options: &ConnectOptions,
    tune: &connection::Tune,
    capacity: usize,
) -> (Connection, Peer<DuplexStream>) {
    let (client, server) = tokio::io::duplex(capacity);
    let mut peer = Peer::new(server);
    let (connection, _) =
        tokio::join!(Connection::connect_over(client, options), peer.handshake(tune));
    (connection.unwrap(), peer)
}

pub(crate) async fn connected(options: &ConnectOptions) -> (Connection, Peer<DuplexStream>) {
    connected_by(options, &TUNE, 256 * 1024).await
}

/// A connection with one channel.
pub(crate) async fn with_channel(
    options: &ConnectOptions,
) -> (Connection, Channel, Peer<DuplexStream>) {
    let (connection, mut peer) = connected(options).await;
    let channel = open_channel(&connection, &mut peer).await;
    (connection, channel, peer)
}

pub(crate) async fn open_channel(
    connection: &Connection,
    peer: &mut Peer<DuplexStream>,
) -> Channel {
    let (channel, number) = tokio::join!(connection.channel(), peer.open_channel());
    let channel: Channel = channel.unwrap();
    assert_eq!(channel.number(), number);
    channel
}

/// The reply code that a server gave for closing a channel.
pub(crate) fn channel_code(error: &Error) -> u16 {
    match error {
        Error::ChannelClosed { reason, .. } => reason.server_close().expect("by the server").code.0,
        other => panic!("expected a closed channel: {other}"),
    }
}
