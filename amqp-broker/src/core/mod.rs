//! The broker as a state machine without I/O.
//!
//! It takes the octets that clients send ([`Core::handle_input`]) and the time; it gives octets for any
//! of them ([`Core::take_output`]), and the next time to look ([`Core::next_deadline`]). It has no socket,
//! no task and no clock of its own: time is the span since the broker was started, as the shell around it
//! tells it.
//!
//! After each command the shell takes [`Core::take_wakes`] and wakes them, outside its lock.

mod act;
mod arguments;
mod bad_input;
mod channel;
mod close;
pub(crate) mod cluster;
mod connection;
mod consumer;
mod contents;
mod dead_letter;
mod declare;
mod deliver;
mod exchange;
pub(crate) mod faults;
mod handshake;
#[cfg(any(test, fuzzing))]
pub(crate) mod hostile;
mod inbound;
mod inspect;
mod lane;
mod meddle;
mod memory;
mod message;
mod methods;
mod output;
mod permit;
mod publish;
mod queue;
mod refusal;
mod remove;
mod restart;
pub(crate) mod sense;
mod settle;
mod settled;
mod slab;
mod targets;
mod timers;
mod topic;
mod vhost;

use std::collections::{HashMap, VecDeque};
use std::task::Waker;
use std::time::Duration;

use amqp091::encode;
use amqp091::types::{Method, ShortStr};
use bytes::BytesMut;

pub(crate) use self::connection::ConnectionKey;
pub(crate) use self::handshake::FRAME_MIN;
pub(crate) use self::output::Output;
pub(crate) use self::settled::{Answer, Question};

use self::channel::{Channel, ChannelKey};
use self::cluster::Cluster;
use self::connection::{Connection, Phase};
use self::consumer::Consumer;
use self::dead_letter::Dead;
use self::exchange::{Exchange, ExchangeKey, QueueKey};
use self::faults::Faults;
use self::memory::Meter;
use self::queue::Queue;
use self::settled::Settling;
use self::slab::Slab;
use self::timers::{Timer, Timers};
use self::vhost::{Vhost, VhostKey};
use crate::event::BrokerEvent;
use crate::inspect::{ConnectionInfo, Counts};
use crate::settings::{Listener, Settings};

/// Octets that may wait to be written to a client before its consumers get no more, and before it isn't
/// read any more: whoever doesn't read is not worth memory.
const OUTPUT_LIMIT: usize = 512 * 1024;

/// Steps that one client's octets may take in a row: whoever else waits comes next. A millisecond or two.
const EFFORT: u64 = 4096;

/// How long a client has to log in, and to answer `connection.close`.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes of a task's wish to sleep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parked {
    Yes,
    /// There is something to do.
    No,
    /// It may sleep, but has a report to make first.
    Asked,
}

/// One broker.
pub(crate) struct Core {
    settings: Settings,
    /// The time, since the broker was started.
    pub(crate) now: Duration,
    /// How far the time is being put forward at present.
    pub(crate) horizon: Duration,
    /// The wall clock's time when the broker was started, since 1970.
    epoch: Duration,
    vhosts: Slab<Vhost>,
    vhost_names: HashMap<String, VhostKey>,
    exchanges: Slab<Exchange>,
    queues: Slab<Queue>,
    connections: Slab<Connection>,
    channels: Slab<Channel>,
    consumers: Slab<Consumer>,
    /// Channels that replies come straight to, by their address.
    replies: HashMap<ShortStr, ChannelKey>,
    timers: Timers,
    /// What is to go wrong.
    faults: Faults,
    settling: Settling,
    /// The nodes, if there are several.
    cluster: Option<Box<Cluster>>,
    /// Messages that died and have yet to go where the dead go.
    dead: VecDeque<Dead>,
    /// Where the message at hand goes.
    routed: Vec<QueueKey>,
    /// Exchanges that it has yet to pass.
    passing: VecDeque<ExchangeKey>,
    /// Queues that may have somebody to serve; empty but while deliveries are settled.
    hungry: Vec<QueueKey>,
    /// Tells one routing from another.
    routing: u64,
    /// What has been done, in steps that take about as long as each other: queues that got a message, frames,
    /// deaths.
    effort: u64,
    counts: Counts,
    /// What is to be told, where somebody wants to know.
    events: Vec<BrokerEvent>,
    /// Octets of all messages.
    meter: Meter,
    short_of_memory: bool,
    /// Why publishers are blocked, whatever is held.
    alarm: Option<ShortStr>,
    names_made: u64,
    /// Whether it was told to stop: nobody is let in.
    is_stopping: bool,
    /// Connections whose tasks are to be woken.
    stirred: Vec<ConnectionKey>,
    /// Small pieces of messages are copied here, so that they don't hold on to a read buffer.
    arena: BytesMut,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(settings: Settings, epoch: Duration) -> Self {
        let mut core = Self {
            settings,
            now: Duration::ZERO,
            horizon: Duration::ZERO,
            epoch,
            vhosts: Slab::default(),
            vhost_names: HashMap::new(),
            exchanges: Slab::default(),
            queues: Slab::default(),
            connections: Slab::default(),
            channels: Slab::default(),
            consumers: Slab::default(),
            replies: HashMap::new(),
            timers: Timers::default(),
            faults: Faults::default(),
            settling: Settling::default(),
            cluster: None,
            dead: VecDeque::new(),
            routed: Vec::new(),
            passing: VecDeque::new(),
            hungry: Vec::new(),
            routing: 0,
            effort: 0,
            counts: Counts::default(),
            events: Vec::new(),
            meter: Meter::default(),
            short_of_memory: false,
            alarm: None,
            names_made: 0,
            is_stopping: false,
            stirred: Vec::new(),
            arena: BytesMut::new(),
        };
        for name in core.settings.virtual_hosts.clone() {
            core.add_vhost(name);
        }
        core
    }

    /// A client has connected, to this node if there are several.
    pub(crate) fn connect(&mut self, peer: String, node: u16, now: Duration) -> ConnectionKey {
        self.now = self.now.max(now);
        self.note_activity();
        self.counts.connections += 1;
        let connection = Connection::new(self.counts.connections, peer, self.now);
        let key = self.connections.insert(connection);
        if self.is_stopping {
            self.drop_connection(key);
            return key;
        }
        self.set_timer(key, Some((self.now + PATIENCE, Timer::Deadline(key))));
        if self.cluster.is_some() {
            self.welcome(key, node);
        }
        if self.faults.are_set() {
            self.meddle_with_connect(key);
        }
        key
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Whether the client is to be read.
    pub(crate) fn wants_read(&self, key: ConnectionKey) -> bool {
        self.connections.get(key).is_some_and(|connection| {
            !connection.blocked
                && connection.out.len() < OUTPUT_LIMIT * 2
                && !connection.is_kept_waiting()
        })
    }

    /// Moves what is to be written to `output`, which must be empty.
    pub(crate) fn take_output(&mut self, key: ConnectionKey, output: &mut Output) {
        if self.short_of_memory {
            // What was taken before is written, and held no more.
            self.watch_memory();
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if self.faults.are_set() || connection.lane.is_some() {
            return self.take_through_rules(key, output);
        }
        if connection.out.is_empty() {
            return;
        }
        connection.last_write = self.now;
        std::mem::swap(&mut connection.out, output);
        self.serve_stalled(key);
    }

    /// Serves the queues that waited for this client to read.
    fn serve_stalled(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        // The one that came first last time comes last now.
        let mut stalled = std::mem::take(&mut connection.stalled);
        if !stalled.is_empty() {
            stalled.rotate_left(1);
        }
        for queue in stalled {
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.may_serve = true;
            }
            self.serve(queue);
        }
        self.settle_dead();
    }

    /// Whether the socket can be closed, if what was taken is written.
    pub(crate) fn is_closed(&self, key: ConnectionKey, all_written: bool) -> bool {
        match self.connections.get(key) {
            Some(connection) => match connection.phase {
                Phase::Closed => true,
                Phase::Flushing => {
                    all_written && !connection.has_output() && !connection.is_delayed()
                }
                _ => false,
            },
            None => true,
        }
    }

    /// Notes who is to be woken when there is something to do for this client.
    pub(crate) fn park(&mut self, key: ConnectionKey, waker: &Waker, writing: bool) -> Parked {
        let Some(connection) = self.connections.get_mut(key) else { return Parked::No };
        if connection.stirred || (!writing && connection.has_output()) {
            return Parked::No;
        }
        match &mut connection.driver {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        connection.unread = writing;
        let reported = connection.reported;
        if !writing && self.owes_report(reported) { Parked::Asked } else { Parked::Yes }
    }

    /// Forgets that there was something to do: its task is looking now.
    pub(crate) fn calm(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.stirred = false;
        }
    }

    /// There is something to do for this client.
    fn stir(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.stirred
        {
            connection.stirred = true;
            self.stirred.push(key);
            self.settling.activity += 1;
        }
    }

    /// The tasks to wake after a command.
    pub(crate) fn take_wakes(&mut self, wakes: &mut Vec<Waker>) {
        for key in self.stirred.drain(..) {
            if let Some(connection) = self.connections.get_mut(key) {
                wakes.extend(connection.driver.take());
            }
        }
    }

    /// What is to be told, and to whom.
    pub(crate) fn take_events(&mut self) -> Option<(Listener, Vec<BrokerEvent>)> {
        if self.events.is_empty() {
            return None;
        }
        let listener = self.settings.on_event.clone()?;
        Some((listener, std::mem::take(&mut self.events)))
    }

    fn tell(&mut self, key: ConnectionKey, event: impl FnOnce(ConnectionInfo) -> BrokerEvent) {
        if self.settings.on_event.is_some()
            && let Some(info) = self.connection_info(key)
        {
            self.events.push(event(info));
        }
    }

    /// Whether anybody has to be woken.
    pub(crate) fn has_wakes(&self) -> bool {
        !self.stirred.is_empty()
    }

    /// Sends a method on a connection's channel, 0 being the connection itself.
    fn send<M: Method>(&mut self, key: ConnectionKey, channel: u16, method: &M) {
        if let Some(connection) = self.connections.get_mut(key) {
            // What this broker says has an encoding: all its texts are short strings already.
            let _ = encode::method(connection.out.frames(), channel, method);
        }
        self.stir(key);
    }

    /// A connection's virtual host; every connection that runs has one.
    fn vhost_of(&self, key: ConnectionKey) -> Option<VhostKey> {
        self.connections.get(key)?.vhost
    }

    fn vhost_name(&self, key: VhostKey) -> &str {
        self.vhosts.get(key).map_or("", |vhost| &vhost.name)
    }

    /// A name that nobody has: 22 characters, as RabbitMQ's are.
    fn made_up(&mut self, prefix: &str) -> ShortStr {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.names_made += 1;
        let mut name = prefix.as_bytes().to_vec();
        // A number that never comes again, spread so that names don't look alike.
        let seed = self.settings.seed ^ self.epoch.as_nanos() as u64;
        let mut rest =
            (u128::from(mixed(seed ^ self.names_made)) << 64) | u128::from(self.names_made);
        for _ in 0..22 {
            name.push(ALPHABET[(rest % 64) as usize]);
            rest /= 64;
        }
        ShortStr::new(name).unwrap_or_default()
    }
}

/// One number for another, as if by chance (splitmix64).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
