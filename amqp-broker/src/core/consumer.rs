//! Consumers: who gets a queue's messages, and how many ahead of their acknowledgement.

use amqp091::types::ShortStr;

use super::channel::ChannelKey;
use super::connection::ConnectionKey;
use super::exchange::QueueKey;
use super::memory::Share;
use super::slab::Key;

pub(crate) type ConsumerKey = Key<Consumer>;

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) tag: ShortStr,
    pub(crate) queue: QueueKey,
    pub(crate) channel: ChannelKey,
    pub(crate) connection: ConnectionKey,
    pub(crate) no_ack: bool,
    pub(crate) priority: i64,
    /// Most messages ahead of their acknowledgement; 0 is any number.
    pub(crate) prefetch: u16,
    /// Messages that it holds.
    pub(crate) unacked: u32,
    /// What it counts with in what the broker holds.
    #[expect(dead_code, reason = "held for what its end does")]
    pub(crate) share: Share,
    /// Whether it was its turn when it had no room: it is out of the line, and goes to its end when it
    /// has room again.
    pub(crate) blocked: bool,
}

impl Consumer {
    /// Whether its own prefetch lets it have one more.
    pub(crate) fn has_credit(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.unacked < u32::from(self.prefetch)
    }
}
