//! What must hold whatever clients send: for the fuzz target `broker`, and for tests over what it found.
//!
//! An input is a broker's settings and what becomes of it: octets, methods in any order, clients that don't
//! read, time that goes by. While that goes on, what clients get has to be well-formed and bounded; when all
//! of them are gone, nothing of theirs may be left.

use std::io::IoSlice;
use std::time::Duration;

use amqp091::content::Assembler;
use amqp091::encode;
use amqp091::frame::{self, FrameKind, FrameLimits, Parsed};
use amqp091::protocol::{ToClient, basic, channel, confirm, connection, exchange, queue, tx};
use amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};
use bytes::{Buf, BytesMut};

use super::cluster::NodeState;
use super::connection::ConnectionKey;
use super::{Core, OUTPUT_LIMIT, Output};
use crate::profile::Profile;
use crate::settings::Settings;

/// Octets that one read takes at most.
const READ: usize = 4096;

/// The input is a client's octets and nothing else.
const RAW: u8 = 1;
/// RabbitMQ 3.10 is imitated.
const OLD: u8 = 2;
/// Every limit is low.
const LOW: u8 = 4;
/// There are three nodes.
const CLUSTER: u8 = 8;

/// The rest of an input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::from(self.next()?) % from.len();
        from.get(index).copied()
    }

    fn name(&mut self, names: &[&'static str]) -> Option<ShortStr> {
        self.pick(names).map(ShortStr::from_static)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.next()? & 1 == 1)
    }
}

const EXCHANGES: [&str; 10] = [
    "",
    "e0",
    "e1",
    "e2",
    "e3",
    "amq.direct",
    "amq.topic",
    "amq.fanout",
    "amq.headers",
    "amq.match",
];
const QUEUES: [&str; 8] = ["q0", "q1", "q2", "q3", "q4", "", "amq.rabbitmq.reply-to", "nowhere"];
const KEYS: [&str; 10] = ["q0", "q1", "q2", "q3", "", "a.b", "a.*", "#", "#.b.#", "nowhere"];
const TAGS: [&str; 4] = ["", "c0", "c1", "c2"];
const KINDS: [&str; 5] = ["direct", "fanout", "topic", "headers", "nope"];

/// One client, as its task would serve it.
struct Client {
    key: ConnectionKey,
    /// What it has sent and nobody has read.
    sent: BytesMut,
    input: BytesMut,
    output: Output,
    /// What it was sent and has not looked at.
    got: BytesMut,
    has_greeting: bool,
    contents: Vec<(u16, Assembler)>,
    reads: bool,
}

struct World {
    core: Core,
    now: Duration,
    clients: Vec<Client>,
}

/// Runs an input.
///
/// # Panics
///
/// When something doesn't hold.
pub(crate) fn check(octets: &[u8]) {
    let mut input = Input(octets);
    let flags = input.next().unwrap_or(0);
    let mut settings = Settings::default();
    if flags & OLD != 0 {
        settings.profile = Profile::V3_10;
    }
    if flags & LOW != 0 {
        (settings.channel_max, settings.memory_limit) = (3, 16 * 1024);
        (settings.frame_max, settings.max_body) = (8192, 4096);
    }
    let mut core = Core::new(settings, Duration::from_secs(1_000_000_000));
    if flags & CLUSTER != 0 {
        core.set_node_count(3);
    }
    let mut world = World { core, now: Duration::ZERO, clients: Vec::new() };
    if flags & RAW != 0 {
        world.connect();
        world.clients[0].sent.extend_from_slice(input.0);
        world.run();
    } else {
        world.connect();
        world.log_in(0);
        world.connect();
        world.log_in(1);
        while world.step(&mut input).is_some() {
            world.run();
        }
    }
    world.end();
}

impl World {
    fn connect(&mut self) {
        let key = self.core.connect("fuzz".to_owned(), 0, self.now);
        self.clients.push(Client {
            key,
            sent: BytesMut::new(),
            input: BytesMut::new(),
            output: Output::default(),
            got: BytesMut::new(),
            has_greeting: false,
            contents: Vec::new(),
            reads: true,
        });
    }

    fn log_in(&mut self, client: usize) {
        let capabilities = ["consumer_cancel_notify", "connection.blocked"]
            .into_iter()
            .fold(FieldTable::new(), |table, name| table.with(ShortStr::from_static(name), true));
        let properties = FieldTable::new()
            .with(ShortStr::from_static("capabilities"), Value::Table(capabilities));
        self.clients[client].sent.extend_from_slice(b"AMQP\x00\x00\x09\x01");
        let start_ok = connection::StartOk {
            client_properties: properties,
            mechanism: ShortStr::from_static("PLAIN"),
            response: LongStr::from("\0guest\0guest"),
            locale: ShortStr::from_static("en_US"),
        };
        self.send(client, 0, &start_ok);
        let tune_ok = connection::TuneOk { channel_max: 3, frame_max: 4096, heartbeat: 10 };
        self.send(client, 0, &tune_ok);
        self.send(client, 0, &connection::Open { virtual_host: ShortStr::from_static("/") });
        self.send(client, 1, &channel::Open {});
        self.run();
    }

    fn send<M: Method>(&mut self, client: usize, channel: u16, method: &M) {
        let _ = encode::method(&mut self.clients[client].sent, channel, method);
    }

    /// One step of the input; `None` behind its end.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let what = input.next()?;
        let client = usize::from(what >> 7);
        let channel = input.pick(&[1, 1, 1, 2, 3, 0, 9])?;
        match what & 0x7f {
            0 => {
                let count = usize::from(input.next()?).min(input.0.len());
                let (octets, rest) = input.0.split_at(count);
                self.clients[client].sent.extend_from_slice(octets);
                input.0 = rest;
            }
            1 => encode::heartbeat(&mut self.clients[client].sent),
            2 => self.send(client, channel, &channel::Open {}),
            3 => self.send(
                client,
                channel,
                &channel::Close {
                    reply_code: 200.into(),
                    reply_text: ShortStr::default(),
                    class_id: 0,
                    method_id: 0,
                },
            ),
            4 => self.send(client, channel, &channel::CloseOk {}),
            5 => self.send(client, channel, &channel::Flow { active: input.flag()? }),
            6 => {
                let flags = input.next()?;
                let declare = exchange::Declare {
                    exchange: input.name(&EXCHANGES)?,
                    r#type: input.name(&KINDS)?,
                    passive: flags & 0x11 == 0x11,
                    durable: flags & 2 != 0,
                    auto_delete: flags & 4 != 0,
                    internal: flags & 0x18 == 0x18,
                    no_wait: flags & 0x20 != 0,
                    arguments: match input.next()? % 3 {
                        0 => FieldTable::new().with(
                            ShortStr::from_static("alternate-exchange"),
                            LongStr::from(input.pick(&EXCHANGES)?),
                        ),
                        _ => FieldTable::new(),
                    },
                };
                self.send(client, channel, &declare);
            }
            7 => {
                let delete = exchange::Delete {
                    exchange: input.name(&EXCHANGES)?,
                    if_unused: input.flag()?,
                    no_wait: false,
                };
                self.send(client, channel, &delete);
            }
            8 => {
                let bind = exchange::Bind {
                    destination: input.name(&EXCHANGES)?,
                    source: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &bind);
            }
            9 => {
                let unbind = exchange::Unbind {
                    destination: input.name(&EXCHANGES)?,
                    source: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &unbind);
            }
            10..=14 => {
                let flags = input.next()?;
                let declare = queue::Declare {
                    queue: input.name(&QUEUES)?,
                    passive: flags & 0x11 == 0x11,
                    durable: flags & 2 != 0,
                    exclusive: flags & 0x0c == 0x0c,
                    auto_delete: flags & 0x30 == 0x30,
                    no_wait: flags & 0x40 != 0,
                    arguments: queue_arguments(input)?,
                };
                self.send(client, channel, &declare);
            }
            15..=18 => {
                let bind = queue::Bind {
                    queue: input.name(&QUEUES)?,
                    exchange: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &bind);
            }
            19 => {
                let unbind = queue::Unbind {
                    queue: input.name(&QUEUES)?,
                    exchange: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &unbind);
            }
            20 => {
                let purge = queue::Purge { queue: input.name(&QUEUES)?, no_wait: input.flag()? };
                self.send(client, channel, &purge);
            }
            21 => {
                let delete = queue::Delete {
                    queue: input.name(&QUEUES)?,
                    if_unused: input.next()? % 4 == 1,
                    if_empty: input.next()? % 4 == 1,
                    no_wait: false,
                };
                self.send(client, channel, &delete);
            }
            22 => {
                let qos = basic::Qos {
                    prefetch_size: 0,
                    prefetch_count: input.pick(&[0, 1, 2, 10])?,
                    global: input.flag()?,
                };
                self.send(client, channel, &qos);
            }
            23..=25 => {
                let flags = input.next()?;
                let consume = basic::Consume {
                    queue: input.name(&QUEUES)?,
                    consumer_tag: input.name(&TAGS)?,
                    no_local: false,
                    no_ack: flags & 1 != 0,
                    exclusive: flags & 6 == 6,
                    no_wait: flags & 8 != 0,
                    arguments: match flags >> 4 {
                        1 => FieldTable::new().with(ShortStr::from_static("x-priority"), 1),
                        2 => FieldTable::new().with(ShortStr::from_static("x-priority"), -1),
                        _ => FieldTable::new(),
                    },
                };
                self.send(client, channel, &consume);
            }
            26 => {
                let cancel =
                    basic::Cancel { consumer_tag: input.name(&TAGS)?, no_wait: input.flag()? };
                self.send(client, channel, &cancel);
            }
            27..=35 => self.publish(client, channel, input)?,
            36..=37 => {
                let get = basic::Get { queue: input.name(&QUEUES)?, no_ack: input.flag()? };
                self.send(client, channel, &get);
            }
            38..=39 => {
                let ack = basic::Ack { delivery_tag: tag(input)?, multiple: input.flag()? };
                self.send(client, channel, &ack);
            }
            40 => {
                let flags = input.next()?;
                let nack = basic::Nack {
                    delivery_tag: tag(input)?,
                    multiple: flags & 1 != 0,
                    requeue: flags & 2 != 0,
                };
                self.send(client, channel, &nack);
            }
            41 => {
                let reject = basic::Reject { delivery_tag: tag(input)?, requeue: input.flag()? };
                self.send(client, channel, &reject);
            }
            42 => self.send(client, channel, &basic::Recover { requeue: true }),
            43 => self.send(client, channel, &confirm::Select { no_wait: input.flag()? }),
            44 => self.send(client, channel, &tx::Select {}),
            45 => self.send(client, channel, &tx::Commit {}),
            46 => self.send(client, channel, &tx::Rollback {}),
            47 => self.send(
                client,
                0,
                &connection::Close {
                    reply_code: 200.into(),
                    reply_text: ShortStr::default(),
                    class_id: 0,
                    method_id: 0,
                },
            ),
            48 => self.send(client, 0, &connection::CloseOk {}),
            49 => self.clients[client].reads ^= true,
            50..=51 => {
                self.now += Duration::from_millis(input.pick(&[1, 2, 100, 5_000, 30_000])?);
                self.core.handle_timeout(self.now);
            }
            52 => {
                let reason = input.flag()?.then(|| ShortStr::from_static("low on disk"));
                self.core.set_alarm(reason);
            }
            53 => {
                let state = input.pick(&[NodeState::Up, NodeState::Down, NodeState::Up])?;
                self.core.set_nodes(&[u16::from(input.next()? % 3)], state);
            }
            54 => self.core.restart(),
            55 => {
                let key = self.clients[client].key;
                self.core.drop_connection(key);
            }
            // Again, without its content or the other way round.
            56 => {
                let publish = basic::Publish { exchange: input.name(&EXCHANGES)?, ..publish() };
                self.send(client, channel, &publish);
            }
            57 => {
                let sent = &mut self.clients[client].sent;
                encode::body_frame(sent, channel, &[7; 300][..usize::from(input.next()?)]);
            }
            58 => {
                let size = input.pick(&[0, 1, 4096, 5000, u64::MAX, 1 << 40])?;
                let sent = &mut self.clients[client].sent;
                encode::raw_header(sent, channel, basic::CLASS_ID, size, &[0, 0]);
            }
            // A client that took the place of one that is gone.
            59..=63 => self.log_in(client),
            _ => {}
        }
        Some(())
    }

    fn publish(&mut self, client: usize, channel: u16, input: &mut Input<'_>) -> Option<()> {
        let flags = input.next()?;
        let method = basic::Publish {
            exchange: input.name(&EXCHANGES)?,
            routing_key: input.name(&KEYS)?,
            mandatory: flags & 1 != 0,
            immediate: false,
        };
        let mut headers = None;
        if flags & 2 != 0 {
            let copy = LongStr::from(input.pick(&KEYS)?);
            let name = input.name(&["CC", "BCC", "a"])?;
            let copies = Value::Array(vec![Value::LongStr(copy)]);
            headers = Some(FieldTable::new().with(name, copies));
        }
        let properties = basic::Properties {
            delivery_mode: Some(1 + (flags >> 2 & 1)),
            priority: (flags & 8 != 0).then_some(flags),
            expiration: match flags >> 4 & 3 {
                1 => Some(ShortStr::from_static("0")),
                2 => Some(ShortStr::from_static("2")),
                _ => None,
            },
            reply_to: (flags & 0xc0 == 0xc0)
                .then(|| ShortStr::from_static("amq.rabbitmq.reply-to")),
            headers,
            ..basic::Properties::default()
        };
        let len = input.pick(&[0, 1, 100, 5000, 20_000])?;
        let sent = &mut self.clients[client].sent;
        let _ = encode::method(sent, channel, &method);
        let _ = encode::header(sent, channel, len as u64, &properties);
        if len > 0 {
            encode::body(sent, channel, &vec![7; len], 4096);
        }
        Some(())
    }

    /// Serves all clients until there is nothing more to do.
    fn run(&mut self) {
        for index in 0..self.clients.len() {
            while self.serve(index) {}
            let closed =
                self.core.is_closed(self.clients[index].key, self.clients[index].output.is_empty());
            if closed {
                self.core.forget(self.clients[index].key);
                self.connect();
                self.clients.swap_remove(index);
            }
        }
        let mut wakes = Vec::new();
        self.core.take_wakes(&mut wakes);
        self.core.take_events();
    }

    /// Does what a client's task does in one round; `false` when that was nothing.
    fn serve(&mut self, index: usize) -> bool {
        let Self { core, now, clients } = self;
        let client = &mut clients[index];
        core.calm(client.key);
        let mut has_written = false;
        if client.output.is_empty() {
            core.take_output(client.key, &mut client.output);
        }
        while client.reads && !client.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); Output::SLICES];
            let filled = client.output.slices(&mut slices);
            let before = client.got.len();
            slices[..filled].iter().for_each(|slice| client.got.extend_from_slice(slice));
            let written = client.got.len() - before;
            assert!(written > 0);
            client.output.advance(written);
            has_written = true;
            if client.output.is_empty() {
                core.take_output(client.key, &mut client.output);
            }
        }
        client.look();
        assert!(client.output.len() < OUTPUT_LIMIT * 3, "{}", client.output.len());
        if core.is_closed(client.key, client.output.is_empty()) {
            return false;
        }
        if !core.wants_read(client.key) {
            return has_written;
        }
        if !client.input.is_empty() && core.is_resumed(client.key) {
            core.handle_input(client.key, &mut client.input, *now);
            return true;
        }
        if client.sent.is_empty() {
            return has_written;
        }
        let read = client.sent.split_to(client.sent.len().min(READ));
        client.input.extend_from_slice(&read);
        core.handle_input(client.key, &mut client.input, *now);
        true
    }

    /// Ends everything, and looks what is left.
    fn end(mut self) {
        for client in std::mem::take(&mut self.clients) {
            self.core.forget(client.key);
        }
        let core = &mut self.core;
        core.heal_for_test();
        core.handle_timeout(self.now + Duration::from_secs(3600));
        core.check_consistency();
        assert_eq!(core.connections.iter().count(), 0);
        assert_eq!(core.channels.iter().count(), 0);
        assert_eq!(core.consumers.iter().count(), 0);
        assert_eq!(core.replies.len(), 0);
        assert!(core.dead.is_empty());
        for (_, queue) in core.queues.iter() {
            assert_eq!((queue.unacked, queue.got), (0, 0), "{:?}", queue.name);
            assert!(queue.consumers.is_empty() && queue.owner.is_none());
        }
        let queues: Vec<_> = core.queues.iter().map(|(key, _)| key).collect();
        for queue in queues {
            core.delete_queue(queue);
        }
        core.settle_dead();
        assert_eq!(core.meter.octets(), 0, "what is held when nothing is");
        assert_eq!(core.timers.next(), None);
        for (_, exchange) in core.exchanges.iter() {
            let to_queues = exchange
                .bindings()
                .any(|(to, ..)| matches!(to, super::exchange::Destination::Queue(_)));
            assert!(!to_queues, "{:?}", exchange.name);
        }
    }
}

impl Core {
    /// Has all nodes back, if there are several.
    fn heal_for_test(&mut self) {
        self.set_nodes(&[0, 1, 2], NodeState::Up);
    }

    /// What belongs together is there together.
    fn check_consistency(&self) {
        for (_, vhost) in self.vhosts.iter() {
            for (name, key) in &vhost.queues {
                assert_eq!(self.queues.get(*key).map(|queue| &queue.name), Some(name));
            }
            for (name, key) in &vhost.exchanges {
                assert_eq!(self.exchanges.get(*key).map(|exchange| &exchange.name), Some(name));
            }
        }
        let named: usize = self.vhosts.iter().map(|(_, vhost)| vhost.queues.len()).sum();
        assert_eq!(self.queues.iter().count(), named);
    }
}

impl Client {
    /// Looks at what it was sent: whole frames, of methods that a client takes, and content behind those
    /// that have one.
    fn look(&mut self) {
        if self.got.starts_with(b"AMQP") {
            // What a header of another protocol is answered by, and the end.
            assert!(!self.has_greeting && self.got.len() == 8);
            self.got.clear();
        }
        let limits = FrameLimits::from_frame_max(0);
        loop {
            let consumed = match frame::parse(&self.got, limits) {
                Ok(Parsed::Frame { frame, consumed }) => {
                    self.has_greeting = true;
                    let payload = bytes::Bytes::copy_from_slice(frame.payload);
                    let known = self.contents.iter().position(|(at, _)| *at == frame.channel);
                    let index = known.unwrap_or_else(|| {
                        self.contents.push((frame.channel, Assembler::new(u64::MAX)));
                        self.contents.len() - 1
                    });
                    let content = &mut self.contents[index].1;
                    match frame.kind {
                        FrameKind::Method => {
                            let method = ToClient::from_payload(frame.payload)
                                .expect("a method that a client takes");
                            if method.has_content() {
                                content.begin(basic::CLASS_ID).expect("content is whole");
                            } else {
                                content.interrupted().expect("content is whole");
                            }
                        }
                        FrameKind::Header => {
                            content.header(payload).expect("a header where one is due");
                        }
                        FrameKind::Body => {
                            content.body(payload).expect("a body where one is due");
                        }
                        FrameKind::Heartbeat => {}
                    }
                    consumed
                }
                Ok(Parsed::Incomplete { .. }) => break,
                Err(error) => panic!("{error}: {:?}", self.got),
            };
            self.got.advance(consumed);
        }
    }
}

fn publish() -> basic::Publish {
    basic::Publish {
        exchange: ShortStr::default(),
        routing_key: ShortStr::default(),
        mandatory: false,
        immediate: false,
    }
}

fn tag(input: &mut Input<'_>) -> Option<u64> {
    Some(match input.next()? {
        255 => u64::MAX,
        other => u64::from(other % 16),
    })
}

/// What a binding asks of headers.
fn matching(input: &mut Input<'_>) -> Option<FieldTable> {
    let table = FieldTable::new();
    Some(match input.next()? % 8 {
        0 => table.with(ShortStr::from_static("x-match"), LongStr::from("any")),
        1 => table.with(ShortStr::from_static("a"), Value::Void),
        2 => table.with(ShortStr::from_static("x-match"), 5),
        _ => table,
    })
}

fn queue_arguments(input: &mut Input<'_>) -> Option<FieldTable> {
    let mut table = FieldTable::new();
    let mut which = u16::from_be_bytes([input.next()?, input.next()?]);
    let numbers = [0, 1, 2, 3, 50, 1000, -1, i64::MAX];
    while which != 0 {
        let place = which.trailing_zeros();
        which &= which - 1;
        let (name, value) = match place {
            0 => ("x-message-ttl", Value::I64(input.pick(&numbers)?)),
            1 => ("x-expires", Value::I64(input.pick(&numbers)?)),
            2 => ("x-max-length", Value::I64(input.pick(&numbers)?)),
            3 => ("x-max-length-bytes", Value::I64(input.pick(&numbers)?)),
            4 => {
                let name = input.pick(&["drop-head", "reject-publish", "reject-publish-dlx"])?;
                ("x-overflow", Value::LongStr(LongStr::from(name)))
            }
            5 | 6 => {
                let name = input.pick(&EXCHANGES)?;
                ("x-dead-letter-exchange", Value::LongStr(LongStr::from(name)))
            }
            7 => {
                let name = input.pick(&KEYS)?;
                ("x-dead-letter-routing-key", Value::LongStr(LongStr::from(name)))
            }
            8 => ("x-max-priority", Value::I64(input.pick(&numbers)?)),
            9 => ("x-single-active-consumer", Value::Bool(true)),
            10 => ("x-delivery-limit", Value::I64(input.pick(&numbers)?)),
            11 => ("x-queue-type", Value::LongStr(LongStr::from("quorum"))),
            12 => ("x-queue-type", Value::LongStr(LongStr::from("stream"))),
            _ => continue,
        };
        table.insert(ShortStr::from_static(name), value);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use super::*;
    use crate::core::mixed;

    const ACCEPT: &str = "ACCEPT_CORPUS=1 cargo test -p amqp091-broker hostile";

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/broker")
    }

    /// What a recording holds: two digits an octet, `*n` for n equal ones.
    fn recording(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recorded").join(name);
        let text = fs::read_to_string(path).unwrap();
        let mut octets = Vec::new();
        for word in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(str::split_whitespace)
        {
            let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
            for _ in 0..times.parse().unwrap() {
                for pair in digits.as_bytes().chunks(2) {
                    let pair = std::str::from_utf8(pair).unwrap();
                    octets.push(u8::from_str_radix(pair, 16).unwrap());
                }
            }
        }
        octets
    }

    /// What the fuzzer begins with: recorded clients, and dialogues in the language of steps.
    fn seeds() -> BTreeMap<String, Vec<u8>> {
        let mut seeds = BTreeMap::new();
        let pika = recording("pika.hex");
        for flags in [RAW, RAW | OLD | LOW] {
            seeds.insert(format!("pika-{flags}"), [&[flags][..], &pika].concat());
        }
        // Channel 1 of client 0 unless it says otherwise.
        let dialogues: [(&str, &[&[u8]]); 6] = [
            (
                "confirms-and-consumer",
                &[
                    &[43, 0, 0],
                    &[10, 0, 0, 0, 0, 0],
                    &[27, 0, 1, 0, 0, 2],
                    &[23, 0, 0, 0, 1],
                    &[38, 0, 1, 0],
                    &[26, 0, 1, 0],
                ],
            ),
            (
                "dead-letters",
                &[
                    // q0 dead-letters to q1 by the default exchange after a millisecond.
                    &[10, 0, 0, 0, 0, 0b1010_0001, 1, 0, 1],
                    &[10, 0, 0, 1, 0, 0b0000_0100, 1],
                    &[27, 0, 0, 0, 0, 1],
                    &[50, 0, 1],
                    &[36, 0, 1, 0],
                    &[40, 0, 2, 1],
                ],
            ),
            (
                "transactions",
                &[
                    &[10, 0, 0, 0, 0, 0],
                    &[44, 0],
                    &[27, 0, 0, 0, 0, 3],
                    &[45, 0],
                    &[36, 0, 0, 0],
                    &[38, 0, 1, 0],
                    &[46, 0],
                ],
            ),
            (
                "quorum-and-nodes",
                &[
                    &[10, 0, 2, 0, 0b0000_1100, 0, 3],
                    &[43, 0, 0],
                    &[27, 0, 4, 0, 0, 1],
                    &[53, 0, 1, 0],
                    &[50, 0, 3],
                    &[53, 0, 0, 0],
                    &[27, 0, 4, 0, 0, 1],
                    &[54, 0],
                ],
            ),
            (
                "exchanges",
                &[
                    &[6, 0, 0, 1, 2, 1],
                    &[6, 0, 0, 2, 1, 0, 1],
                    &[8, 0, 2, 1, 6, 1, 3],
                    &[10, 0, 0, 0, 0, 0],
                    &[15, 0, 0, 2, 7, 0, 3],
                    &[27, 0, 3, 1, 5, 1],
                    &[7, 0, 1, 0],
                ],
            ),
            (
                "a-client-that-does-not-read",
                &[
                    &[10, 0, 0, 0, 0, 0],
                    &[49, 0],
                    &[27, 0, 0, 0, 0, 4],
                    &[151, 0, 0, 0, 1],
                    &[177, 0],
                    &[155, 0, 0, 0, 0, 4],
                    &[49, 0],
                ],
            ),
        ];
        for (name, steps) in dialogues {
            for flags in [0, OLD, LOW, CLUSTER] {
                seeds.insert(format!("{name}-{flags}"), [&[flags][..], &steps.concat()].concat());
            }
        }
        seeds
    }

    #[test]
    fn the_corpus_breaks_nothing() {
        let seeds = seeds();
        let accept = env::var_os("ACCEPT_CORPUS").is_some_and(|value| value == "1");
        if accept {
            fs::create_dir_all(folder()).unwrap();
            for (name, input) in &seeds {
                fs::write(folder().join(name), input).unwrap();
            }
        }
        let mut present = BTreeMap::new();
        for file in fs::read_dir(folder()).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let input = fs::read(file.path()).unwrap();
            // The output of a failed test tells which one it was.
            println!("{name}");
            check(&input);
            if !name.starts_with("found-") {
                present.insert(name, input);
            }
        }
        assert!(present == seeds, "the corpus isn't what it is made of: {ACCEPT}");
    }

    #[test]
    fn random_dialogues_break_nothing() {
        for seed in 0..3000_u64 {
            let mut state = mixed(seed);
            let len = 8 + state % 400;
            let octets: Vec<u8> = (0..len)
                .map(|place| {
                    state = mixed(state ^ place);
                    let octet = (state >> 24) as u8;
                    // Mostly steps that mean something.
                    if place > 0 && octet & 0x40 != 0 { octet & 0x8f } else { octet }
                })
                .collect();
            println!("seed {seed}");
            check(&octets);
        }
    }
}
