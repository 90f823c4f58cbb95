//! Connections: how far each is, what was agreed on with it, and what waits to be written to it.

use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use amqp091::frame::FrameLimits;
use amqp091::types::FieldTable;

use super::channel::ChannelKey;
use super::exchange::QueueKey;
use super::lane::Lane;
use super::output::Output;
use super::slab::Key;
use super::timers::Timer;
use super::vhost::VhostKey;
use crate::permissions::Permissions;

pub(crate) type ConnectionKey = Key<Connection>;

#[derive(Debug)]
pub(crate) struct Connection {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) peer: String,
    /// The node that it is connected to, where there are several.
    pub(crate) node: u16,
    pub(crate) phase: Phase,
    pub(crate) out: Output,
    pub(crate) channels: HashMap<u16, ChannelKey>,
    /// The channel that the last frame was for: most often the next one's too.
    pub(crate) last_channel: Option<(u16, ChannelKey)>,
    pub(crate) user: String,
    pub(crate) name: String,
    /// The name in its certificate.
    pub(crate) certificate: Option<String>,
    /// Whether it was asked for one.
    pub(crate) was_asked_for_certificate: bool,
    /// What the client has told of itself.
    pub(crate) client_properties: FieldTable,
    pub(crate) vhost: Option<VhostKey>,
    /// What it may do there; none for everything.
    pub(crate) permissions: Option<Permissions>,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: Duration,
    pub(crate) limits: FrameLimits,
    pub(crate) capabilities: Capabilities,
    pub(crate) last_read: Duration,
    pub(crate) last_write: Duration,
    /// Whether it was told not to publish.
    pub(crate) blocked: bool,
    /// Whether there was no time, or no room for answers, for all that was read.
    pub(crate) behind: bool,
    /// Channels that the client closed with what was read last.
    pub(crate) just_closed: Vec<u16>,
    /// Queues that are this connection's alone.
    pub(crate) queues: Vec<QueueKey>,
    /// Queues that had something for a consumer here when too much waited to be written already.
    pub(crate) stalled: Vec<QueueKey>,
    /// Channels whose publishers are to hear of their messages.
    pub(crate) confirming: Vec<ChannelKey>,
    /// Its deadline or next heartbeat.
    pub(crate) timer: Option<(Duration, Timer)>,
    /// What rules do to it.
    pub(crate) lane: Option<Box<Lane>>,
    /// The task that moves its octets, while it sleeps.
    pub(crate) driver: Option<Waker>,
    /// Whether it is on the list of those to be woken.
    pub(crate) stirred: bool,
    /// The last question whether all is settled that its task has answered.
    pub(crate) reported: u64,
    /// Whether its client has yet to read what is for it, when its task last looked.
    pub(crate) unread: bool,
}

/// What the client said it understands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Capabilities {
    pub(crate) consumer_cancel_notify: bool,
    pub(crate) connection_blocked: bool,
    pub(crate) authentication_failure_close: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The protocol header is due.
    Header,
    /// `connection.start` is sent.
    Login,
    /// `connection.tune` is sent.
    Tune,
    /// `connection.open` is due.
    Open,
    Running,
    /// `connection.close` is sent.
    Closing,
    /// What waits is written, then the socket is closed.
    Flushing,
    Closed,
}

impl Connection {
    pub(crate) fn new(number: u64, peer: String, now: Duration) -> Self {
        Self {
            number,
            peer,
            node: 0,
            phase: Phase::Header,
            out: Output::default(),
            channels: HashMap::new(),
            last_channel: None,
            user: String::new(),
            name: String::new(),
            certificate: None,
            was_asked_for_certificate: false,
            client_properties: FieldTable::new(),
            vhost: None,
            permissions: None,
            channel_max: 0,
            frame_max: 4096,
            heartbeat: Duration::ZERO,
            limits: FrameLimits::HANDSHAKE,
            capabilities: Capabilities::default(),
            last_read: now,
            last_write: now,
            blocked: false,
            behind: false,
            just_closed: Vec::new(),
            queues: Vec::new(),
            stalled: Vec::new(),
            confirming: Vec::new(),
            timer: None,
            lane: None,
            driver: None,
            stirred: false,
            reported: 0,
            unread: false,
        }
    }

    /// Whether its client may get anything more.
    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }
}
