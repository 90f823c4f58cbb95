//! When something is recorded: what the program's methods change on the server and on their channel.

use amqp091::protocol::ToClient;
use amqp091::types::{Method, ShortStr};

use super::channels::Then;
use super::setup::{Life, Record};
use super::topology::Change;
use super::{ChannelKey, Core};
use crate::trace::Event;

impl Core {
    /// A request was sent: what it changes is recorded when its reply comes.
    pub(super) fn note_request<M: Method>(&mut self, key: ChannelKey, method: &M) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        if let Some(change) = Change::of(method, &mut channel.setup.last_queue)
            && let Some(due) = channel.due.back_mut()
        {
            due.then = Then::Change(vec![change]);
        }
    }

    /// A method without a reply was sent: what it changes is recorded behind what the channel has sent
    /// before.
    pub(super) fn note_unanswered<M: Method>(&mut self, key: ChannelKey, method: &M) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let Some(change) = Change::of(method, &mut channel.setup.last_queue) else { return };
        for due in channel.due.iter_mut().rev() {
            if let Then::Change(changes) = &mut due.then {
                return changes.push(change);
            }
        }
        self.record(vec![change], None);
    }

    /// The server has agreed to the first of these changes with this reply.
    pub(super) fn record(&mut self, changes: Vec<Change>, reply: Option<&ToClient>) {
        let mut reply = reply;
        for change in changes {
            if let Some(deleted) = self.topology.apply(change, reply.take()) {
                for key in self.channels.keys() {
                    if let Some(channel) = self.channels.get_mut(key) {
                        let lives = |record: &Record| record.queue() != Some(&deleted);
                        channel.setup.consumers.retain(lives);
                    }
                }
            }
        }
    }

    /// A consumer has started.
    pub(super) fn consumer_started(&mut self, key: ChannelKey, tag: &ShortStr) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let number = channel.number;
        self.trace.note(|| Event::ConsumerStarted { channel: number, tag: tag.clone() });
        if let Some(queue) = channel.setup.started(tag) {
            self.topology.consumed(queue);
        }
    }

    /// A consumer is gone for good.
    pub(super) fn forget_consumer(&mut self, key: ChannelKey, is_it: impl Fn(&Record) -> bool) {
        if let Some(channel) = self.channels.get_mut(key)
            && let Some(record) = channel.setup.remove(is_it)
            && record.life == Life::Running
            && let Some(queue) = record.queue()
        {
            self.topology.unconsumed(queue);
        }
    }

    /// The channel is closed, and with it its consumers are gone from the server. Those that had
    /// started are remembered for another instance of the channel.
    pub(super) fn consumers_stopped(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        channel.setup.consumers.retain_mut(|record| {
            let before = std::mem::replace(&mut record.life, Life::Stopped);
            if before == Life::Running
                && let Some(queue) = record.queue()
            {
                self.topology.unconsumed(queue);
            }
            before != Life::Starting
        });
    }
}
