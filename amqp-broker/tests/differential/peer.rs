//! A client without any opinion: it sends what it is told to, and tells what comes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::Content;
use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameKind, FrameLimits};
use amqp091::protocol::{ToClient, ToServer, basic, channel, connection};
use amqp091::types::{Decode, Encode, FieldTable, LongStr, Method, Reader, ShortStr, Value};

pub(crate) struct Peer {
    stream: Option<TcpStream>,
    input: BytesMut,
    decoder: FrameDecoder,
    /// A method whose content is coming.
    partial: Option<Partial>,
}

/// Channel, method, properties and size, and as much of the body as has come.
type Partial = (u16, ToClient, Option<(Bytes, u64)>, Vec<u8>);

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Method(u16, ToClient),
    Content(u16, ToClient, Content),
    /// The server has closed the socket.
    Eof,
}

pub(crate) fn short(text: impl AsRef<[u8]>) -> ShortStr {
    ShortStr::new(text).unwrap()
}

impl Peer {
    pub(crate) fn connect(address: &str, is_capable: bool) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut peer = Self {
            stream: Some(stream),
            input: BytesMut::new(),
            decoder: FrameDecoder::new(FrameLimits::default()),
            partial: None,
        };
        peer.write(b"AMQP\x00\x00\x09\x01");
        peer.wait_method();
        let mut capabilities = FieldTable::new();
        for name in ["consumer_cancel_notify", "authentication_failure_close", "basic.nack"] {
            capabilities.insert(short(name), Value::Bool(is_capable));
        }
        let client_properties =
            FieldTable::new().with(short("capabilities"), Value::Table(capabilities));
        peer.send(
            0,
            &connection::StartOk {
                client_properties,
                mechanism: short("PLAIN"),
                response: LongStr::from(&b"\0guest\0guest"[..]),
                locale: short("en_US"),
            },
        );
        let Some(ToClient::ConnectionTune(tune)) = peer.wait_method() else {
            panic!("expected connection.tune")
        };
        let connection::Tune { channel_max, frame_max, .. } = tune;
        peer.send(0, &connection::TuneOk { channel_max, frame_max, heartbeat: 0 });
        peer.send(0, &connection::Open { virtual_host: short("/") });
        peer.wait_method();
        peer
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(crate) fn open_channel(&mut self, number: u16) {
        self.send(number, &channel::Open {});
        // Whatever else comes: this is called when nothing is under way.
        while let Some(method) = self.wait_method() {
            if matches!(method, ToClient::ChannelOpenOk(_)) {
                return;
            }
        }
    }

    pub(crate) fn drop_now(&mut self) {
        self.stream = None;
    }

    fn write(&mut self, octets: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        let mut left = octets;
        while !left.is_empty() {
            match stream.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(_) => return,
            }
        }
    }

    pub(crate) fn send<M: Method + Encode>(&mut self, number: u16, method: &M) {
        let mut out = BytesMut::new();
        encode::method(&mut out, number, method).unwrap();
        self.write(&out);
    }

    pub(crate) fn send_any(&mut self, number: u16, method: &ToServer) {
        let mut out = BytesMut::new();
        encode::method_arguments(&mut out, number, method.id(), method).unwrap();
        self.write(&out);
    }

    pub(crate) fn publish(
        &mut self,
        number: u16,
        method: &basic::Publish,
        properties: &basic::Properties,
        body: &[u8],
    ) {
        let mut out = BytesMut::new();
        encode::method(&mut out, number, method).unwrap();
        encode::header(&mut out, number, body.len() as u64, properties).unwrap();
        encode::body(&mut out, number, body, 131_072);
        self.write(&out);
    }

    pub(crate) fn wait_method(&mut self) -> Option<ToClient> {
        let began = Instant::now();
        loop {
            match self.poll() {
                Some(Came::Method(_, method)) => return Some(method),
                Some(Came::Content(..)) => {}
                Some(Came::Eof) => return None,
                None => {
                    assert!(began.elapsed() < Duration::from_secs(20), "the server says nothing");
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        }
    }

    /// The next that has come, if anything has.
    pub(crate) fn poll(&mut self) -> Option<Came> {
        loop {
            if let Some(frame) = self.decoder.decode(&mut self.input).unwrap() {
                if let Some(came) = self.take(frame.kind, frame.channel, &frame.payload) {
                    return Some(came);
                }
                continue;
            }
            let stream = self.stream.as_mut()?;
            let mut octets = [0; 65_536];
            match stream.read(&mut octets) {
                Ok(0) => {
                    self.stream = None;
                    return Some(Came::Eof);
                }
                Ok(read) => self.input.extend_from_slice(&octets[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => {
                    self.stream = None;
                    return Some(Came::Eof);
                }
            }
        }
    }

    fn take(&mut self, kind: FrameKind, number: u16, payload: &[u8]) -> Option<Came> {
        match kind {
            FrameKind::Method => {
                let method = ToClient::from_payload(payload).unwrap();
                let has_content = matches!(
                    method,
                    ToClient::BasicDeliver(_) | ToClient::BasicGetOk(_) | ToClient::BasicReturn(_)
                );
                assert!(self.partial.is_none(), "{method:?} in the midst of a content");
                if has_content {
                    self.partial = Some((number, method, None, Vec::new()));
                    return None;
                }
                return Some(Came::Method(number, method));
            }
            FrameKind::Header => {
                let size = u64::from_be_bytes(payload[4..12].try_into().unwrap());
                let (of, _, header, _) = self.partial.as_mut().unwrap();
                assert_eq!(*of, number);
                *header = Some((Bytes::copy_from_slice(&payload[12..]), size));
            }
            FrameKind::Body => {
                let (of, _, _, body) = self.partial.as_mut().unwrap();
                assert_eq!(*of, number);
                body.extend_from_slice(payload);
            }
            FrameKind::Heartbeat => return None,
        }
        let is_whole = self.partial.as_ref().is_some_and(|(_, _, header, body)| {
            header.as_ref().is_some_and(|(_, size)| *size == body.len() as u64)
        });
        if !is_whole {
            return None;
        }
        let (number, method, header, body) = self.partial.take()?;
        let (properties, _) = header?;
        let content = Content {
            properties: amqp091::content::RawProperties::new(properties),
            body: body.into(),
        };
        Some(Came::Content(number, method, content))
    }
}

pub(crate) fn properties_of(content: &Content) -> basic::Properties {
    let mut reader = Reader::new(content.properties.as_bytes());
    basic::Properties::decode(&mut reader).unwrap()
}
