//! A client that says what it is told to, sensible or not.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::time::Duration;

use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameKind, FrameLimits};
use amqp091::protocol::{ToClient, basic, channel, connection};
use amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Far beyond what anything here takes: it only ends tests that hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Raw<S> {
    pub(crate) stream: S,
    received: BytesMut,
    decoder: FrameDecoder,
}

/// What a login says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) mechanism: &'static str,
    pub(crate) response: &'a str,
    pub(crate) vhost: &'a str,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: u16,
}

impl Default for Login<'_> {
    fn default() -> Self {
        Self {
            mechanism: "PLAIN",
            response: "\0guest\0guest",
            vhost: "/",
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
        }
    }
}

pub(crate) const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

pub(crate) fn name(name: &str) -> ShortStr {
    ShortStr::new(name).unwrap()
}

pub(crate) fn start_ok(mechanism: &'static str, response: &str) -> connection::StartOk {
    let capabilities = ["authentication_failure_close", "connection.blocked"]
        .into_iter()
        .fold(FieldTable::new(), |table, name| table.with(ShortStr::from_static(name), true));
    connection::StartOk {
        client_properties: FieldTable::new()
            .with(ShortStr::from_static("capabilities"), Value::Table(capabilities)),
        mechanism: ShortStr::from_static(mechanism),
        response: LongStr::from(response),
        locale: ShortStr::from_static("en_US"),
    }
}

/// A publish of this body, in frames of up to 4096 octets.
pub(crate) fn publish(out: &mut BytesMut, channel: u16, routing_key: &str, body: &[u8]) {
    let method = basic::Publish {
        exchange: ShortStr::default(),
        routing_key: name(routing_key),
        mandatory: false,
        immediate: false,
    };
    encode::method(out, channel, &method).unwrap();
    encode::raw_header(out, channel, basic::CLASS_ID, body.len() as u64, &[0, 0]);
    if !body.is_empty() {
        encode::body(out, channel, body, 4096);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn new(stream: S) -> Self {
        let decoder = FrameDecoder::new(FrameLimits::from_frame_max(0));
        Self { stream, received: BytesMut::new(), decoder }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn send<M: Method>(&mut self, channel: u16, method: &M) {
        let mut out = BytesMut::new();
        encode::method(&mut out, channel, method).unwrap();
        self.write(&out).await;
    }

    /// The next method with its channel; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(u16, ToClient)> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.received).unwrap() {
                if frame.kind == FrameKind::Method {
                    return Some((frame.channel, ToClient::from_payload(&frame.payload).unwrap()));
                }
                continue;
            }
            let read = tokio::time::timeout(DEADLINE, self.stream.read_buf(&mut self.received));
            match read.await.expect("nothing comes") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Says the login, and opens the virtual host; what came in the place of `open-ok`, if it did.
    pub(crate) async fn log_in(&mut self, login: Login<'_>) -> Result<(), Option<ToClient>> {
        self.write(HEADER).await;
        self.send(0, &start_ok(login.mechanism, login.response)).await;
        loop {
            match self.next().await {
                Some((0, ToClient::ConnectionStart(_))) => {}
                Some((0, ToClient::ConnectionTune(_))) => break,
                other => return Err(other.map(|(_, method)| method)),
            }
        }
        let Login { channel_max, frame_max, heartbeat, .. } = login;
        self.send(0, &connection::TuneOk { channel_max, frame_max, heartbeat }).await;
        self.send(0, &connection::Open { virtual_host: name(login.vhost) }).await;
        match self.next().await {
            Some((0, ToClient::ConnectionOpenOk(_))) => Ok(()),
            other => Err(other.map(|(_, method)| method)),
        }
    }

    pub(crate) async fn open_channel(&mut self, channel: u16) {
        self.send(channel, &channel::Open {}).await;
        let opened = self.next().await;
        assert!(matches!(opened, Some((at, ToClient::ChannelOpenOk(_))) if at == channel));
    }

    /// What the server says when it closes the connection, after whatever else it says.
    pub(crate) async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            if let (_, ToClient::ConnectionClose(close)) = self.next().await? {
                let text = String::from_utf8_lossy(close.reply_text.as_ref()).into_owned();
                return Some((close.reply_code.0, text));
            }
        }
    }

    /// Waits for the end of the stream.
    pub(crate) async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}
