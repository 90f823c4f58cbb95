//! Delivering: which consumer gets a queue's next message, and when there is none.

use amqp091::content::RawProperties;
use amqp091::encode;
use amqp091::protocol::basic;
use amqp091::types::{FieldTable, ShortStr, Value};

use super::arguments::queue_in;
use super::channel::{ChannelKey, Held, Replies};
use super::connection::ConnectionKey;
use super::consumer::{Consumer, ConsumerKey};
use super::dead_letter::Reason;
use super::exchange::QueueKey;
use super::memory::CONSUMER_COST;
use super::message::{Entry, REPLY_TO_NAME, encoded, erlang_type};
use super::refusal::{Done, Refusal, shown};
use super::{Core, OUTPUT_LIMIT};
use crate::profile::Profile;

impl Core {
    /// Delivers what a queue has to whoever can take it.
    pub(super) fn serve(&mut self, key: QueueKey) {
        loop {
            let Some(queue) = self.queues.get(key) else { return };
            if !queue.may_serve || queue.is_empty() {
                return;
            }
            if self.cluster.is_some() && !self.is_in_service(key) {
                return;
            }
            let now = self.now;
            if queue.next_expiry().is_some_and(|expires| expires < now) {
                self.expire(key);
                continue;
            }
            let Some(consumer) = self.next_consumer(key) else {
                if let Some(queue) = self.queues.get_mut(key) {
                    queue.may_serve = false;
                }
                return;
            };
            let Some(entry) = self.queues.get_mut(key).and_then(|queue| queue.pop()) else {
                return;
            };
            self.deliver(consumer, key, entry);
        }
    }

    /// The consumer whose turn it is, which goes to the end of its line.
    fn next_consumer(&mut self, key: QueueKey) -> Option<ConsumerKey> {
        let queue = self.queues.get(key)?;
        if queue.arguments.single_active_consumer {
            let active = queue.active?;
            return self.can_take(active, key).then_some(active);
        }
        let mut index = 0;
        let found = loop {
            let candidate = *self.queues.get(key)?.consumers.get(index)?;
            if self.can_take(candidate, key) {
                break candidate;
            }
            index += 1;
        };
        let priority = self.consumers.get(found)?.priority;
        let queue = self.queues.get_mut(key)?;
        // Behind those of its own priority.
        let line = &queue.consumers[index..];
        let consumers = &self.consumers;
        let same = |key: &ConsumerKey| {
            consumers.get(*key).is_some_and(|consumer| consumer.priority == priority)
        };
        let end = index + line.iter().take_while(|key| same(key)).count();
        queue.consumers[index..end].rotate_left(1);
        Some(found)
    }

    /// Whether a consumer can take a message. If only its client's slowness is in the way, the queue
    /// looks again when that has read.
    fn can_take(&mut self, key: ConsumerKey, queue: QueueKey) -> bool {
        let Some(consumer) = self.consumers.get(key) else { return false };
        let has_credit = consumer.has_credit()
            && self.channels.get(consumer.channel).is_some_and(|channel| channel.has_credit());
        let Some(connection) = self.connections.get_mut(consumer.connection) else { return false };
        if !has_credit || !connection.is_running() {
            return false;
        }
        if connection.out.len() >= OUTPUT_LIMIT {
            if !connection.stalled.contains(&queue) {
                connection.stalled.push(queue);
            }
            return false;
        }
        true
    }

    fn deliver(&mut self, consumer_key: ConsumerKey, queue: QueueKey, entry: Entry) {
        let Some(consumer) = self.consumers.get_mut(consumer_key) else { return };
        let Consumer { channel, connection: key, no_ack, .. } = *consumer;
        let consumer_tag = consumer.tag.clone();
        if !no_ack {
            consumer.unacked += 1;
        }
        let Some(channel) = self.channels.get_mut(channel) else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let delivery_tag =
            if no_ack { channel.unacked.skip() } else { channel.unacked.last_tag() + 1 };
        let message = &entry.message;
        let method = basic::Deliver {
            consumer_tag,
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
        };
        let (number, frame_max) = (channel.number, connection.frame_max);
        let counted = self
            .queues
            .get(queue)
            .filter(|queue| queue.is_quorum() && entry.returns > 0)
            .and_then(|_| with_count(&entry));
        let frames = connection.out.frames();
        let _ = encode::method(frames, number, &method);
        let size = message.body.len() as u64;
        let properties = counted.as_ref().unwrap_or(&message.properties).as_bytes();
        encode::raw_header(frames, number, basic::CLASS_ID, size, properties);
        connection.out.body(number, &message.body, frame_max);
        self.counts.delivered += 1;
        if !no_ack {
            channel.unacked.push(Held { queue, entry, consumer: Some(consumer_key) });
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.unacked += 1;
            }
        }
        self.stir(key);
    }

    /// `basic.get`
    pub(super) fn fetch(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &basic::Get,
    ) -> Done {
        let queue_key = self.readable_queue(key, channel_key, &method.queue)?;
        self.note_use(queue_key);
        let now = self.now;
        let Some(queue) = self.queues.get(queue_key) else { return Ok(()) };
        if queue.is_quorum() && queue.arguments.single_active_consumer {
            let queue = queue_in(&queue.name, self.vhost_name(queue.vhost));
            return Err(Refusal::Channel(
                amqp091::protocol::ReplyCode::RESOURCE_LOCKED,
                format!(
                    "cannot obtain access to locked {queue}. basic.get operations are not supported by quorum queues with single active consumer"
                ),
            ));
        }
        if queue.next_expiry().is_some_and(|expires| expires <= now) {
            self.expire(queue_key);
        }
        let Some(queue) = self.queues.get_mut(queue_key) else { return Ok(()) };
        let Some(entry) = queue.pop() else {
            self.send(key, number, &basic::GetEmpty {});
            return Ok(());
        };
        let message_count = u32::try_from(queue.len()).unwrap_or(u32::MAX);
        // RabbitMQ 3.10 says a count of zero here, and nowhere else.
        let is_counted =
            queue.is_quorum() && (entry.returns > 0 || self.settings.profile == Profile::V3_10);
        let counted = if is_counted { with_count(&entry) } else { None };
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
        let delivery_tag =
            if method.no_ack { channel.unacked.skip() } else { channel.unacked.last_tag() + 1 };
        let message = &entry.message;
        let got = basic::GetOk {
            delivery_tag,
            redelivered: entry.redelivered,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            message_count,
        };
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        let frame_max = connection.frame_max;
        let frames = connection.out.frames();
        let _ = encode::method(frames, number, &got);
        let size = message.body.len() as u64;
        let properties = counted.as_ref().unwrap_or(&message.properties).as_bytes();
        encode::raw_header(frames, number, basic::CLASS_ID, size, properties);
        connection.out.body(number, &message.body, frame_max);
        self.counts.delivered += 1;
        if !method.no_ack {
            channel.unacked.push(Held { queue: queue_key, entry, consumer: None });
            queue.unacked += 1;
            queue.got += 1;
        }
        self.arm_head(queue_key);
        self.stir(key);
        Ok(())
    }

    /// `basic.qos`
    pub(super) fn set_prefetch(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &basic::Qos,
    ) -> Done {
        if method.prefetch_size != 0 {
            let size = method.prefetch_size;
            return Err(Refusal::not_implemented(format!("prefetch_size!=0 ({size})")));
        }
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
        if method.global {
            channel.global_prefetch = method.prefetch_count;
        } else {
            channel.prefetch = method.prefetch_count;
        }
        let queues: Vec<_> = channel.consumers.values().copied().collect();
        self.send(key, number, &basic::QosOk {});
        for consumer in queues {
            self.serve_consumer(consumer);
        }
        Ok(())
    }

    /// A consumer may be able to take more.
    pub(super) fn serve_consumer(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.consumers.get(key) else { return };
        let queue = consumer.queue;
        if let Some(found) = self.queues.get_mut(queue) {
            found.may_serve = true;
            if found.is_empty() {
                return;
            }
        }
        self.serve(queue);
        self.arm_head(queue);
    }

    /// `basic.consume`
    pub(super) fn consume(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &basic::Consume,
    ) -> Done {
        if method.queue == REPLY_TO_NAME {
            return self.consume_replies(key, number, channel_key, method);
        }
        let queue_key = self.readable_queue(key, channel_key, &method.queue)?;
        self.check_tag(channel_key, &method.consumer_tag)?;
        let Some(queue) = self.queues.get(queue_key) else { return Ok(()) };
        let what = queue_in(&queue.name, self.vhost_name(queue.vhost));
        let priority = match method.arguments.get("x-priority") {
            None => 0,
            Some(value) => match value.as_i64() {
                Some(priority) => priority,
                None => {
                    return Err(Refusal::precondition(format!(
                        "invalid arg 'x-priority' for {what}: \"expected integer, got {}\"",
                        erlang_type(value)
                    )));
                }
            },
        };
        let Some(channel) = self.channels.get(channel_key) else { return Ok(()) };
        if queue.is_quorum() && channel.global_prefetch != 0 {
            return Err(Refusal::not_implemented(format!("{what} does not support global qos")));
        }
        if queue.exclusive_consumer || (method.exclusive && !queue.consumers.is_empty()) {
            return Err(Refusal::access(format!("{what} in exclusive use")));
        }
        let prefetch = channel.prefetch;
        let tag = self.tag_or_made_up(&method.consumer_tag);
        let consumer = self.consumers.insert(Consumer {
            tag: tag.clone(),
            queue: queue_key,
            channel: channel_key,
            connection: key,
            no_ack: method.no_ack,
            priority,
            prefetch,
            unacked: 0,
            share: self.meter.take(CONSUMER_COST),
        });
        if let Some(channel) = self.channels.get_mut(channel_key) {
            channel.consumers.insert(tag.clone(), consumer);
        }
        let consumers = &self.consumers;
        if let Some(queue) = self.queues.get_mut(queue_key) {
            let before = |other: &ConsumerKey| {
                consumers.get(*other).is_some_and(|other| other.priority >= priority)
            };
            let index = queue.consumers.iter().take_while(|other| before(other)).count();
            queue.consumers.insert(index, consumer);
            queue.exclusive_consumer = method.exclusive;
            queue.had_consumer = true;
            if queue.arguments.single_active_consumer && queue.active.is_none() {
                queue.active = Some(consumer);
            }
        }
        if !method.no_wait {
            self.send(key, number, &basic::ConsumeOk { consumer_tag: tag });
        }
        self.serve_consumer(consumer);
        Ok(())
    }

    fn check_tag(&self, channel_key: ChannelKey, tag: &ShortStr) -> Done {
        let Some(channel) = self.channels.get(channel_key) else { return Ok(()) };
        let is_replies = channel.replies.as_ref().is_some_and(|replies| replies.tag == *tag);
        if channel.consumers.contains_key(tag) || is_replies {
            return Err(Refusal::Connection(
                amqp091::protocol::ReplyCode::NOT_ALLOWED,
                format!("attempt to reuse consumer tag '{}'", shown(tag.as_ref())),
            ));
        }
        Ok(())
    }

    fn tag_or_made_up(&mut self, tag: &ShortStr) -> ShortStr {
        if tag.is_empty() { self.made_up("amq.ctag-") } else { tag.clone() }
    }

    /// Replies are to come straight to this channel.
    fn consume_replies(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &basic::Consume,
    ) -> Done {
        self.check_tag(channel_key, &method.consumer_tag)?;
        if !method.no_ack {
            return Err(Refusal::precondition("reply consumer cannot acknowledge"));
        }
        let tag = self.tag_or_made_up(&method.consumer_tag);
        let address = self.made_up("amq.rabbitmq.reply-to.");
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
        if channel.replies.is_some() {
            return Err(Refusal::precondition("reply consumer already set"));
        }
        channel.replies = Some(Replies { tag: tag.clone(), address: address.clone() });
        self.replies.insert(address, channel_key);
        if !method.no_wait {
            self.send(key, number, &basic::ConsumeOk { consumer_tag: tag });
        }
        Ok(())
    }

    /// Ends a consumer of a channel, if there is one of that tag.
    pub(super) fn cancel(&mut self, channel_key: ChannelKey, tag: &ShortStr) {
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        if let Some(replies) = channel.replies.take_if(|replies| replies.tag == *tag) {
            self.replies.remove(&replies.address);
            return;
        }
        if let Some(consumer) = channel.consumers.remove(tag) {
            self.end_consumer(consumer);
        }
    }

    /// A consumer is gone from its channel: takes it from its queue as well. What it holds stays with
    /// the channel.
    pub(super) fn end_consumer(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.consumers.remove(key) else { return };
        let queue_key = consumer.queue;
        self.note_use(queue_key);
        let Some(queue) = self.queues.get_mut(queue_key) else { return };
        queue.consumers.retain(|other| *other != key);
        queue.exclusive_consumer = false;
        if queue.active == Some(key) {
            queue.active = queue.consumers.first().copied();
        }
        if queue.auto_delete && queue.consumers.is_empty() && queue.had_consumer {
            self.delete_queue(queue_key);
            return;
        }
        queue.may_serve = true;
        self.serve(queue_key);
    }

    /// Takes from a queue what has expired.
    pub(super) fn expire(&mut self, key: QueueKey) {
        let now = self.now;
        while let Some(queue) = self.queues.get_mut(key)
            && let Some(entry) = queue.pop_expired(now)
        {
            self.bury(key, entry, Reason::Expired);
        }
        self.arm_head(key);
    }
}

/// The properties of a quorum queue's message with how often that came back.
fn with_count(entry: &Entry) -> Option<RawProperties> {
    let mut properties: basic::Properties = entry.message.properties.decode().ok()?;
    let headers = properties.headers.get_or_insert_with(FieldTable::new);
    headers.insert(ShortStr::from_static("x-delivery-count"), Value::I64(entry.returns.into()));
    encoded(&properties)
}
