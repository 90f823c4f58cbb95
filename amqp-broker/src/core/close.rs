//! How consumers, channels and connections end, whoever ends them.

use std::time::Duration;

use amqp091::protocol::{ReplyCode, basic, channel, connection};
use amqp091::types::MethodId;

use super::channel::{ChannelKey, Mode, Settlement, taken_by};
use super::connection::{ConnectionKey, Phase};
use super::consumer::ConsumerKey;
use super::exchange::QueueKey;
use super::refusal::{Refusal, reply_text};
use super::timers::Timer;
use super::{Core, PATIENCE};
use crate::event::BrokerEvent;

impl Core {
    /// A method isn't carried out: closes what has to be closed over it.
    pub(super) fn refuse(
        &mut self,
        key: ConnectionKey,
        number: u16,
        refusal: Refusal,
        method: MethodId,
    ) {
        let Refusal::Channel(reply_code, text) = refusal else {
            return self.refuse_connection(key, refusal, method);
        };
        let channel = self
            .connections
            .get(key)
            .and_then(|connection| connection.channels.get(&number).copied());
        let Some(channel_key) = channel else { return };
        self.send_confirms(key);
        self.end_channel(channel_key);
        if let Some(channel) = self.channels.get_mut(channel_key) {
            channel.closing = true;
        }
        let close = channel::Close {
            reply_code,
            reply_text: reply_text(reply_code, &text),
            class_id: method.class_id,
            method_id: method.method_id,
        };
        self.send(key, number, &close);
    }

    /// Closes a connection for cause.
    pub(super) fn refuse_connection(
        &mut self,
        key: ConnectionKey,
        refusal: Refusal,
        method: MethodId,
    ) {
        let (Refusal::Connection(reply_code, text) | Refusal::Channel(reply_code, text)) = refusal
        else {
            self.end_connection(key);
            let delay = self.settings.refusal_delay;
            if delay.is_zero() {
                return self.flush_and_close(key);
            }
            // Until then nothing that it says is looked at.
            let at = self.now.saturating_add(delay);
            return self.set_timer(key, Some((at, Timer::Deadline(key))));
        };
        self.send_confirms(key);
        self.end_connection(key);
        // What broke inside the broker is no method's fault.
        let is_internal = reply_code == ReplyCode::INTERNAL_ERROR;
        let method = if is_internal { MethodId::new(0, 0) } else { method };
        let close = connection::Close {
            reply_code,
            reply_text: reply_text(reply_code, &text),
            class_id: method.class_id,
            method_id: method.method_id,
        };
        self.send(key, 0, &close);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Closing;
            // Its answer is to be heard.
            connection.blocked = false;
        }
        self.set_deadline(key);
    }

    pub(super) fn set_deadline(&mut self, key: ConnectionKey) {
        let at = self.now + PATIENCE;
        self.set_timer(key, Some((at, Timer::Deadline(key))));
    }

    /// The socket is closed when all is written.
    pub(super) fn flush_and_close(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Flushing;
            self.set_deadline(key);
        }
        self.stir(key);
    }

    /// The broker stops: closes all connections, and lets no more in.
    pub(crate) fn shut_down(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.is_stopping = true;
        let connections: Vec<_> =
            self.connections.iter().map(|(key, found)| (key, found.phase)).collect();
        for (key, phase) in connections {
            if phase == Phase::Running {
                let text = "broker forced connection closure with reason 'shutdown'".to_owned();
                let refusal = Refusal::Connection(ReplyCode::CONNECTION_FORCED, text);
                self.refuse_connection(key, refusal, MethodId::new(0, 0));
            } else if phase != Phase::Closing {
                self.flush_and_close(key);
            }
        }
    }

    /// Whether it is stopping, and all are gone.
    pub(crate) fn is_deserted(&self) -> bool {
        self.is_stopping && self.connections.is_empty()
    }

    /// The socket is gone, or is to go at once.
    pub(crate) fn drop_connection(&mut self, key: ConnectionKey) {
        self.end_connection(key);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Closed;
            connection.out.clear();
        }
        self.stir(key);
        self.settle_dead();
    }

    /// Nobody moves this connection's octets any more.
    pub(crate) fn forget(&mut self, key: ConnectionKey) {
        self.drop_connection(key);
        self.tell(key, BrokerEvent::Closed);
        self.note_activity();
        self.set_timer(key, None);
        self.connections.remove(key);
        self.watch_memory();
    }

    /// Ends all that a connection has.
    pub(super) fn end_connection(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.phase = Phase::Closing;
        let mut channels: Vec<_> = connection.channels.drain().collect();
        channels.sort_unstable();
        connection.last_channel = None;
        connection.stalled.clear();
        let queues = std::mem::take(&mut connection.queues);
        // What its consumers hold must not come back to them.
        let mut served = Vec::new();
        for (_, channel) in &channels {
            served.extend(self.end_consumers(*channel));
        }
        for (_, channel) in channels {
            self.end_channel(channel);
            self.channels.remove(channel);
        }
        served.into_iter().for_each(|queue| self.serve(queue));
        for queue in queues {
            self.delete_queue(queue);
        }
    }

    /// Ends a channel's consumers, and returns the queues that are to serve others when what they held has
    /// come back.
    fn end_consumers(&mut self, key: ChannelKey) -> Vec<QueueKey> {
        let Some(channel) = self.channels.get_mut(key) else { return Vec::new() };
        let mut consumers: Vec<_> = channel.consumers.drain().map(|(_, key)| key).collect();
        consumers.sort_unstable();
        if let Some(replies) = channel.replies.take() {
            self.replies.remove(&replies.address);
        }
        consumers.into_iter().filter_map(|consumer| self.end_consumer(consumer)).collect()
    }

    /// Ends all that a channel has; what it holds goes back to its queues.
    pub(super) fn end_channel(&mut self, key: ChannelKey) {
        if let Some(channel) = self.channels.get_mut(key) {
            // What one of its consumers leaves isn't for the others.
            channel.closing = true;
        }
        let served = self.end_consumers(key);
        let Some(channel) = self.channels.get_mut(key) else { return };
        channel.publish = None;
        channel.has_header = false;
        channel.assembler.reset();
        channel.forget_coming();
        // What a transaction had settled isn't.
        if let Mode::Tx(pending) = std::mem::replace(&mut channel.mode, Mode::Normal) {
            channel.unacked.restore(taken_by(pending));
        }
        self.requeue_all(key, Settlement::GiveBack);
        served.into_iter().for_each(|queue| self.serve(queue));
    }

    /// Gives a channel's number back.
    pub(super) fn forget_channel(&mut self, key: ConnectionKey, number: u16) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.last_channel = None;
        if let Some(lane) = &mut connection.lane {
            lane.forget_channel(number);
        }
        if let Some(channel) = connection.channels.remove(&number) {
            self.channels.remove(channel);
        }
    }

    /// A consumer's queue is gone.
    pub(super) fn lose_queue(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.consumers.remove(key) else { return };
        let Some(channel) = self.channels.get_mut(consumer.channel) else { return };
        channel.consumers.remove(&consumer.tag);
        let number = channel.number;
        let wants_to_know = self
            .connections
            .get(consumer.connection)
            .is_some_and(|connection| connection.capabilities.consumer_cancel_notify);
        if wants_to_know {
            let cancel = basic::Cancel { consumer_tag: consumer.tag, no_wait: true };
            self.send(consumer.connection, number, &cancel);
        }
    }
}
