//! A server that does nothing but keep up: it drops what is published, confirms it in batches, and
//! delivers as many messages as a queue's name says, such as `1000x16`: a thousand of 16 octets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ChildStdout;
use std::thread;

use amqp091_client::amqp091::encode;
use amqp091_client::amqp091::frame::{FrameKind, FrameLimits, Parsed, parse};
use amqp091_client::amqp091::protocol::{ToServer, basic, channel, confirm, connection};
use amqp091_client::amqp091::types::{LongStr, Method};
use bytes::{Buf, BytesMut};

const FRAME_MAX: u32 = 131_072;

/// Listens on a free port, whose URL it prints, until it is killed.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("amqp://{}/", listener.local_addr().unwrap());
    for socket in listener.incoming() {
        thread::spawn(|| Session::new(socket.unwrap()).run());
    }
}

/// The URL that [`serve`] printed.
pub(crate) fn read_url(stdout: ChildStdout) -> String {
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

struct Session {
    socket: TcpStream,
    out: BytesMut,
    confirms: bool,
    published: u64,
    acked: u64,
    delivered: u64,
}

impl Session {
    fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        let out = BytesMut::new();
        Self { socket, out, confirms: false, published: 0, acked: 0, delivered: 0 }
    }

    fn run(mut self) {
        let mut header = [0; 8];
        self.socket.read_exact(&mut header).unwrap();
        self.send(
            0,
            &connection::Start {
                version_major: 0,
                version_minor: 9,
                mechanisms: LongStr::from("PLAIN"),
                locales: LongStr::from("en_US"),
                ..connection::Start::default()
            },
        );
        let mut input = BytesMut::new();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            self.socket.write_all(&self.out).unwrap();
            self.out.clear();
            match self.socket.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(count) => input.extend_from_slice(&chunk[..count]),
            }
            let mut at = 0;
            while let Ok(Parsed::Frame { frame, consumed }) =
                parse(&input[at..], FrameLimits::from_frame_max(FRAME_MAX))
            {
                at += consumed;
                if frame.kind == FrameKind::Method {
                    self.handle(frame.channel, frame.payload);
                }
            }
            input.advance(at);
            if self.confirms && self.published > self.acked {
                self.acked = self.published;
                self.send(1, &basic::Ack { delivery_tag: self.acked, multiple: true });
            }
        }
    }

    fn handle(&mut self, channel: u16, payload: &[u8]) {
        // The two frequent ones need no answer of their own.
        match payload {
            [0, 60, 0, 40, ..] => return self.published += 1,
            [0, 60, 0, 80, ..] => return,
            _ => {}
        }
        match ToServer::from_payload(payload).unwrap() {
            ToServer::ConnectionStartOk(_) => {
                let tune =
                    connection::Tune { channel_max: 2047, frame_max: FRAME_MAX, heartbeat: 0 };
                self.send(0, &tune);
            }
            ToServer::ConnectionOpen(_) => self.send(0, &connection::OpenOk {}),
            ToServer::ConnectionClose(_) => self.send(0, &connection::CloseOk {}),
            ToServer::ChannelOpen(_) => self.send(channel, &channel::OpenOk {}),
            ToServer::ChannelClose(_) => self.send(channel, &channel::CloseOk {}),
            ToServer::ConfirmSelect(confirm::Select { .. }) => self.confirms = true,
            ToServer::BasicQos(_) => self.send(channel, &basic::QosOk {}),
            ToServer::BasicCancel(basic::Cancel { consumer_tag, .. }) => {
                self.send(channel, &basic::CancelOk { consumer_tag });
            }
            ToServer::BasicConsume(consume) => self.deliver(channel, consume),
            _ => {}
        }
    }

    /// Delivers from a thread of its own: this one must go on reading acknowledgements.
    fn deliver(&mut self, channel: u16, consume: basic::Consume) {
        let consumer_tag = consume.consumer_tag;
        self.send(channel, &basic::ConsumeOk { consumer_tag: consumer_tag.clone() });
        self.socket.write_all(&self.out).unwrap();
        self.out.clear();
        let queue = consume.queue.to_str().unwrap();
        let (count, size) = queue.split_once('x').unwrap();
        let (count, size): (u64, usize) = (count.parse().unwrap(), size.parse().unwrap());
        let first = self.delivered;
        self.delivered += count;
        let mut socket = self.socket.try_clone().unwrap();
        thread::spawn(move || {
            let body = vec![b'x'; size];
            let mut out = BytesMut::new();
            for number in 1..=count {
                let deliver = basic::Deliver {
                    consumer_tag: consumer_tag.clone(),
                    delivery_tag: first + number,
                    redelivered: false,
                    exchange: Default::default(),
                    routing_key: consume.queue.clone(),
                };
                encode::method(&mut out, channel, &deliver).unwrap();
                encode::raw_header(&mut out, channel, basic::CLASS_ID, size as u64, &[0, 0]);
                encode::body(&mut out, channel, &body, FRAME_MAX);
                if out.len() > 256 * 1024 || number == count {
                    socket.write_all(&out).unwrap();
                    out.clear();
                }
            }
        });
    }

    fn send<M: Method>(&mut self, channel: u16, method: &M) {
        encode::method(&mut self.out, channel, method).unwrap();
    }
}
