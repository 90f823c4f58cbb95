//! What must hold whatever clients send: for the fuzz target `broker`, and for tests over what it found.
//!
//! An input is a broker's settings and what becomes of it: octets, methods in any order, clients that don't
//! read, time that goes by. While that goes on, what clients get has to be well-formed and bounded; when all
//! of them are gone, nothing of theirs may be left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it is there to panic where something doesn't hold"
)]

mod steps;
#[cfg(test)]
mod tests;

use std::io::IoSlice;
use std::time::Duration;

use amqp091::content::Assembler;
use amqp091::encode;
use amqp091::frame::{self, FrameKind, FrameLimits, Parsed};
use amqp091::protocol::{ToClient, basic, channel, connection};
use amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};
use bytes::{Buf, BytesMut};

use self::steps::Input;
use super::cluster::NodeState;
use super::connection::ConnectionKey;
use super::exchange::Destination;
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
        if core.is_behind(client.key) {
            core.catch_up(client.key, &mut client.input, *now);
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
        let mut made = Vec::new();
        for (vhost, found) in core.vhosts.iter() {
            let exchanges = found.exchanges.iter();
            let exchanges = exchanges.filter(|(name, _)| !name.as_ref().starts_with(b"amq."));
            made.extend(exchanges.map(|(_, key)| (vhost, *key)));
        }
        for (vhost, exchange) in made {
            core.delete_exchange(vhost, exchange);
        }
        // Those that are always there may be bound to each other.
        let exchanges: Vec<_> = core.exchanges.iter().map(|(key, _)| key).collect();
        for key in exchanges {
            let exchange = core.exchanges.get_mut(key).unwrap();
            let bindings: Vec<_> =
                exchange.bindings().map(|(to, key, _)| (to, key.clone())).collect();
            for (destination, key) in bindings {
                let is_to_queue = matches!(destination, Destination::Queue(_));
                assert!(!is_to_queue, "{:?} is bound to what is gone", exchange.name);
                exchange.unbind_all(destination, &key);
            }
        }
        assert_eq!(core.meter.octets(), 0, "what is held when nothing is");
        assert_eq!(core.timers.next(), None);
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
