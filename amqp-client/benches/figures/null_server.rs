//! A server that does nothing but keep up: it drops what is published, confirms it in batches, and
//! delivers as many messages as a queue's name says, such as `1000x16`: a thousand of 16 octets.
//!
//! It must cost less than any client: of what is published it reads the heads of the frames, and what
//! it delivers is made once and sent again and again with other delivery tags. With a prefetch it
//! sends no further than acknowledgements let it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ChildStdout;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use amqp091_client::amqp091::encode;
use amqp091_client::amqp091::protocol::{
    ToServer, basic, channel, confirm, connection, constants, exchange, queue,
};
use amqp091_client::amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};
use bytes::BytesMut;

/// What RabbitMQ proposes.
const FRAME_MAX: u32 = 131_072;
const CHANNEL_MAX: u16 = 2047;
/// Seconds.
const HEARTBEAT: u16 = 60;

/// At most this many messages are confirmed by one `basic.ack`.
const CONFIRMED_TOGETHER: u64 = 100;
/// Octets of deliveries that are sent at once, more or less.
const BLOCK: usize = 128 * 1024;
const READ: usize = 256 * 1024;

/// How long the first delivery comes behind the consumer's start: there are clients that lose what
/// comes before their program knows of the consumer.
const PAUSE: Duration = Duration::from_millis(10);

/// Octets of a frame before its payload, and of all but its payload.
const HEAD: usize = 7;
const OVERHEAD: usize = 8;

/// Listens on a free port, whose URL it prints, until it is killed.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("amqp://guest:guest@{}/%2f", listener.local_addr().unwrap());
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

/// One connection.
struct Session {
    socket: TcpStream,
    /// Answers, sent when all that was read is handled.
    out: BytesMut,
    channels: Vec<Channel>,
    /// The channel that published last, while some of its messages have no confirm yet.
    unconfirmed: Option<u16>,
    /// The channel that acknowledged last, while its sender doesn't know of it.
    settling: Option<u16>,
}

#[derive(Default)]
struct Channel {
    /// In confirm mode.
    confirms: bool,
    published: u64,
    confirmed: u64,
    prefetch: u64,
    /// The delivery tag of the last message that is or will be delivered.
    delivered: u64,
    /// How many deliveries the client has settled.
    settled: u64,
    credit: Option<Arc<Credit>>,
}

/// What a consumer's sender knows of the acknowledgements.
#[derive(Default)]
struct Credit {
    settled: Mutex<u64>,
    changed: Condvar,
}

impl Credit {
    fn settled(&self) -> MutexGuard<'_, u64> {
        self.settled.lock().unwrap()
    }

    fn set(&self, settled: u64) {
        *self.settled() = settled;
        self.changed.notify_one();
    }
}

impl Session {
    fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(u64::from(HEARTBEAT) / 3))).unwrap();
        let out = BytesMut::new();
        Self { socket, out, channels: Vec::new(), unconfirmed: None, settling: None }
    }

    fn run(mut self) {
        let _ = self.serve();
        // Whoever waits for acknowledgements finds the socket closed.
        for credit in self.channels.iter().filter_map(|channel| channel.credit.as_ref()) {
            credit.set(u64::MAX);
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        self.socket.read_exact(&mut [0; 8])?;
        self.start();
        let mut input = vec![0; READ];
        // Octets in `input`, and octets of a frame that come and are of no interest.
        let (mut filled, mut skip) = (0, 0);
        loop {
            self.socket.write_all(&self.out)?;
            self.out.clear();
            match self.socket.read(&mut input[filled..]) {
                Ok(0) => return Ok(()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    encode::heartbeat(&mut self.out);
                    continue;
                }
                Err(error) => return Err(error),
            }
            let mut at = 0;
            loop {
                let skipped = skip.min(filled - at);
                at += skipped;
                skip -= skipped;
                let [kind, c0, c1, s0, s1, s2, s3, ..] = input[at..filled] else { break };
                let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
                if kind == constants::FRAME_METHOD {
                    let end = at + size + OVERHEAD;
                    if end > filled {
                        break;
                    }
                    self.handle(u16::from_be_bytes([c0, c1]), &input[at + HEAD..end - 1]);
                    at = end;
                } else {
                    skip = size + OVERHEAD;
                }
            }
            input.copy_within(at..filled, 0);
            filled -= at;
            self.confirm();
            self.settle();
        }
    }

    fn start(&mut self) {
        let key = |key: &str| ShortStr::new(key).unwrap();
        let capabilities = ["publisher_confirms", "basic.nack", "consumer_cancel_notify"]
            .into_iter()
            .fold(FieldTable::default(), |table, name| table.with(key(name), true));
        let server_properties = FieldTable::default()
            .with(key("product"), Value::LongStr(LongStr::from("null server")))
            .with(key("capabilities"), Value::Table(capabilities));
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties,
            mechanisms: LongStr::from("PLAIN AMQPLAIN"),
            locales: LongStr::from("en_US"),
        };
        self.send(0, &start);
    }

    fn channel(&mut self, number: u16) -> &mut Channel {
        let number = usize::from(number);
        if self.channels.len() <= number {
            self.channels.resize_with(number + 1, Channel::default);
        }
        &mut self.channels[number]
    }

    fn handle(&mut self, number: u16, payload: &[u8]) {
        // The two frequent ones need no answer of their own.
        match *payload {
            [0, 60, 0, 40, ..] => return self.published(number),
            [0, 60, 0, 80, t0, t1, t2, t3, t4, t5, t6, t7, multiple] => {
                let tag = u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
                return self.acknowledged(number, tag, multiple & 1 == 1);
            }
            _ => {}
        }
        // Answers come behind the confirms of what was published before.
        self.confirm();
        match ToServer::from_payload(payload).unwrap() {
            ToServer::ConnectionStartOk(_) => {
                let (channel_max, frame_max, heartbeat) = (CHANNEL_MAX, FRAME_MAX, HEARTBEAT);
                self.send(0, &connection::Tune { channel_max, frame_max, heartbeat });
            }
            ToServer::ConnectionOpen(_) => self.send(0, &connection::OpenOk {}),
            ToServer::ConnectionClose(_) => self.send(0, &connection::CloseOk {}),
            ToServer::ChannelOpen(_) => self.send(number, &channel::OpenOk {}),
            ToServer::ChannelClose(_) => {
                *self.channel(number) = Channel::default();
                self.send(number, &channel::CloseOk {});
            }
            ToServer::ConfirmSelect(confirm::Select { no_wait }) => {
                self.channel(number).confirms = true;
                if !no_wait {
                    self.send(number, &confirm::SelectOk {});
                }
            }
            ToServer::ExchangeDeclare(_) => self.send(number, &exchange::DeclareOk {}),
            ToServer::QueueDeclare(queue::Declare { queue, .. }) => {
                self.send(number, &queue::DeclareOk { queue, ..queue::DeclareOk::default() });
            }
            ToServer::QueueDelete(_) => self.send(number, &queue::DeleteOk { message_count: 0 }),
            ToServer::BasicQos(basic::Qos { prefetch_count, .. }) => {
                self.channel(number).prefetch = prefetch_count.into();
                self.send(number, &basic::QosOk {});
            }
            ToServer::BasicCancel(basic::Cancel { consumer_tag, .. }) => {
                self.send(number, &basic::CancelOk { consumer_tag });
            }
            ToServer::BasicConsume(consume) => self.consume(number, consume),
            _ => {}
        }
    }

    fn published(&mut self, number: u16) {
        if self.unconfirmed.is_some_and(|other| other != number) {
            self.confirm();
        }
        let channel = self.channel(number);
        channel.published += 1;
        if channel.confirms {
            let due = channel.published - channel.confirmed;
            self.unconfirmed = Some(number);
            if due >= CONFIRMED_TOGETHER {
                self.confirm();
            }
        }
    }

    fn confirm(&mut self) {
        if let Some(number) = self.unconfirmed.take() {
            let channel = self.channel(number);
            channel.confirmed = channel.published;
            let delivery_tag = channel.confirmed;
            self.send(number, &basic::Ack { delivery_tag, multiple: true });
        }
    }

    fn acknowledged(&mut self, number: u16, tag: u64, multiple: bool) {
        if self.settling.is_some_and(|other| other != number) {
            self.settle();
        }
        let channel = self.channel(number);
        // A client does either one or the other.
        channel.settled = if multiple { tag } else { channel.settled + 1 };
        self.settling = Some(number);
    }

    fn settle(&mut self) {
        if let Some(number) = self.settling.take() {
            let channel = self.channel(number);
            if let Some(credit) = &channel.credit {
                credit.set(channel.settled);
            }
        }
    }

    /// Delivers from a thread of its own: this one must go on reading acknowledgements.
    fn consume(&mut self, number: u16, mut consume: basic::Consume) {
        if consume.consumer_tag.is_empty() {
            consume.consumer_tag = ShortStr::new("consumer").unwrap();
        }
        let consumer_tag = consume.consumer_tag.clone();
        self.send(number, &basic::ConsumeOk { consumer_tag });
        self.socket.write_all(&self.out).unwrap();
        self.out.clear();

        let queue = consume.queue.to_str().unwrap();
        let (count, size) = queue.split_once('x').unwrap();
        let (count, size): (u64, usize) = (count.parse().unwrap(), size.parse().unwrap());
        let channel = self.channel(number);
        let credit = Arc::<Credit>::default();
        credit.set(channel.settled);
        channel.credit = Some(Arc::clone(&credit));
        let mut sender = Sender {
            block: Block::new(number, &consume, size),
            sent: channel.delivered,
            until: channel.delivered + count,
            window: if consume.no_ack || channel.prefetch == 0 {
                u64::MAX
            } else {
                channel.prefetch
            },
            credit,
        };
        channel.delivered += count;
        if consume.no_ack {
            // They are settled by being sent.
            channel.settled += count;
        }
        let socket = self.socket.try_clone().unwrap();
        thread::spawn(move || sender.run(socket));
    }

    fn send<M: Method>(&mut self, channel: u16, method: &M) {
        encode::method(&mut self.out, channel, method).unwrap();
    }
}

/// What delivers to one consumer.
struct Sender {
    block: Block,
    sent: u64,
    until: u64,
    window: u64,
    credit: Arc<Credit>,
}

impl Sender {
    fn run(&mut self, mut socket: TcpStream) {
        thread::sleep(PAUSE);
        while self.sent < self.until {
            let count = self.block.messages.min(self.until - self.sent).min(self.room());
            let octets = self.block.with_tags_from(self.sent + 1, count);
            if socket.write_all(octets).is_err() {
                return;
            }
            self.sent += count;
        }
    }

    /// How many messages may be sent; waits until it is one at least.
    fn room(&self) -> u64 {
        let mut settled = self.credit.settled();
        loop {
            let room = self.window.saturating_sub(self.sent.saturating_sub(*settled));
            if room > 0 {
                return room;
            }
            settled = self.credit.changed.wait(settled).unwrap();
        }
    }
}

/// Deliveries that differ in nothing but their delivery tags.
struct Block {
    octets: BytesMut,
    messages: u64,
    /// Octets of one message, and of what stands before its delivery tag.
    message: usize,
    before_tag: usize,
}

impl Block {
    fn new(channel: u16, consume: &basic::Consume, size: usize) -> Self {
        let deliver = basic::Deliver {
            consumer_tag: consume.consumer_tag.clone(),
            delivery_tag: 0,
            redelivered: false,
            exchange: ShortStr::default(),
            routing_key: consume.queue.clone(),
        };
        let mut message = BytesMut::new();
        encode::method(&mut message, channel, &deliver).unwrap();
        encode::raw_header(&mut message, channel, basic::CLASS_ID, size as u64, &[0, 0]);
        encode::body(&mut message, channel, &vec![b'x'; size], FRAME_MAX);
        let messages = (BLOCK / message.len()).max(1);
        Self {
            octets: BytesMut::from(message.repeat(messages).as_slice()),
            messages: messages as u64,
            message: message.len(),
            // Class and method id, then the consumer tag behind its length.
            before_tag: HEAD + 4 + 1 + consume.consumer_tag.len(),
        }
    }

    fn with_tags_from(&mut self, first: u64, count: u64) -> &[u8] {
        let octets = &mut self.octets[..self.message * count as usize];
        for (message, tag) in octets.chunks_exact_mut(self.message).zip(first..) {
            message[self.before_tag..][..8].copy_from_slice(&tag.to_be_bytes());
        }
        octets
    }
}
