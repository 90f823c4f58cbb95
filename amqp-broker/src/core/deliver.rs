//! Delivering: which consumer gets a queue's next message, and when there is none.

use amqp091::content::RawProperties;
use amqp091::protocol::basic;
use amqp091::types::{FieldTable, ShortStr, Value};

use super::arguments::queue_in;
use super::channel::{ChannelKey, Held, Replies};
use super::connection::ConnectionKey;
use super::consumer::{Consumer, ConsumerKey};
use super::dead_letter::{Reason, sort};
use super::exchange::QueueKey;
use super::memory::CONSUMER_COST;
use super::message::{Entry, REPLY_TO_NAME, encoded, erlang_type};
use super::queue::Queue;
use super::refusal::{Done, Refusal, shown};
use super::{Core, OUTPUT_LIMIT};
use crate::profile::Profile;

impl Core {
    /// Delivers what a queue has to whoever can take it.
    pub(super) fn serve(&mut self, key: QueueKey) {
        if self.serve_all(key) {
            // Another message comes first now.
            self.arm_head(key);
        }
    }

    /// Whether it delivered any.
    fn serve_all(&mut self, key: QueueKey) -> bool {
        let mut any = false;
        loop {
            let Some(queue) = self.queues.get(key) else { return any };
            if !queue.may_serve || queue.is_empty() {
                return any;
            }
            if self.cluster.is_some() && !self.is_in_service(key) {
                return any;
            }
            let now = self.now;
            if queue.head_timer.is_some_and(|expires| expires < now) {
                self.expire(key);
                continue;
            }
            let Some(consumer) = self.next_consumer(key) else {
                if let Some(queue) = self.queues.get_mut(key) {
                    queue.may_serve = false;
                }
                return any;
            };
            let Some(entry) = self.queues.get_mut(key).and_then(|queue| queue.pop()) else {
                return any;
            };
            any = true;
            self.deliver(consumer, key, entry);
            self.expire_due(key);
        }
    }

    /// The consumer whose turn it is, which goes to the end of its line.
    fn next_consumer(&mut self, key: QueueKey) -> Option<ConsumerKey> {
        let queue = self.queues.get(key)?;
        if queue.arguments.single_active_consumer {
            let active = self.active_consumer(key)?;
            return self.can_take(active, key).then_some(active);
        }
        let mut index = 0;
        loop {
            let candidate = *self.queues.get(key)?.consumers.get(index)?;
            if self.consumers.get(candidate)?.blocked {
                index += 1;
            } else if self.can_take(candidate, key) {
                self.line_up_again(key, index);
                return Some(candidate);
            } else if self.has_room(candidate) {
                index += 1;
            } else if let Some(consumer) = self.consumers.get_mut(candidate) {
                consumer.blocked = true;
                self.line_up_again(key, index);
            }
        }
    }

    /// The consumer that gets everything. To a quorum queue of RabbitMQ 4 that is the one of the highest
    /// priority, once the one before has settled what it holds.
    fn active_consumer(&mut self, key: QueueKey) -> Option<ConsumerKey> {
        let queue = self.queues.get_mut(key)?;
        let active = queue.active?;
        if self.settings.profile == Profile::V3_10 || !queue.is_quorum() {
            return Some(active);
        }
        let first = *queue.consumers.first()?;
        let (now, next) = (self.consumers.get(active)?, self.consumers.get(first)?);
        if next.priority <= now.priority {
            return Some(active);
        }
        if now.unacked > 0 {
            return None;
        }
        queue.active = Some(first);
        Some(first)
    }

    /// Moves a queue's consumer behind those of its own priority.
    fn line_up_again(&mut self, key: QueueKey, index: usize) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        let line = &mut queue.consumers[index..];
        let consumers = &self.consumers;
        let priority = |key: &ConsumerKey| consumers.get(*key).map(|consumer| consumer.priority);
        let Some(own) = line.first().map(priority) else { return };
        let end = line.iter().take_while(|key| priority(key) == own).count();
        line[..end].rotate_left(1);
    }

    /// Lets a channel's consumers that have room again back into a queue's line.
    pub(super) fn unblock(&mut self, key: QueueKey, channel: ChannelKey) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        queue.may_serve = true;
        let waiting: Vec<_> = queue
            .consumers
            .iter()
            .copied()
            .filter(|consumer| {
                self.consumers
                    .get(*consumer)
                    .is_some_and(|consumer| consumer.blocked && consumer.channel == channel)
            })
            .collect();
        for consumer in waiting {
            if !self.has_room(consumer) {
                continue;
            }
            if let Some(consumer) = self.consumers.get_mut(consumer) {
                consumer.blocked = false;
            }
            let line = self.queues.get(key).map(|queue| queue.consumers.as_slice());
            let index = line.and_then(|line| line.iter().position(|other| *other == consumer));
            if let Some(index) = index {
                self.line_up_again(key, index);
            }
        }
    }

    /// Whether a consumer's prefetch, and that of its channel, lets it have one more.
    fn has_room(&self, key: ConsumerKey) -> bool {
        self.consumers.get(key).is_some_and(|consumer| {
            // Quorum queues know nothing of what a channel's consumers share.
            let is_apart = self.queues.get(consumer.queue).is_some_and(Queue::is_quorum);
            consumer.has_credit()
                && self
                    .channels
                    .get(consumer.channel)
                    .is_some_and(|channel| (is_apart || channel.has_credit()) && !channel.closing)
        })
    }

    /// Whether a consumer can take a message. If only its client's slowness is in the way, the queue
    /// looks again when that has read.
    fn can_take(&mut self, key: ConsumerKey, queue: QueueKey) -> bool {
        let has_credit = self.has_room(key);
        let Some(consumer) = self.consumers.get(key) else { return false };
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
            .and_then(|_| with_count(&entry, self.settings.profile));
        let properties = counted.as_ref().unwrap_or(&message.properties);
        connection.out.content((number, frame_max), &method, properties, &message.body);
        self.counts.delivered += 1;
        if !no_ack {
            channel.unacked.push(Held { queue, entry, consumer: Some(consumer_key) });
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.unacked += 1;
                channel.volume += usize::from(!queue.is_quorum());
                // Those leave the line with their last room, not when it would be their turn.
                if queue.is_quorum()
                    && let Some(consumer) = self.consumers.get_mut(consumer_key)
                {
                    consumer.blocked = !consumer.has_credit();
                }
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
        let now = self.now;
        if queue.head_timer.is_some_and(|expires| expires <= now) {
            self.expire(queue_key);
        }
        let Some(queue) = self.queues.get_mut(queue_key) else { return Ok(()) };
        let Some(entry) = queue.pop() else {
            self.send(key, number, &basic::GetEmpty {});
            return Ok(());
        };
        // A quorum queue counts before it looks again, unless it is done with the message.
        let counted_early = (queue.is_quorum() && !method.no_ack).then_some(queue.len());
        self.expire_due(queue_key);
        let Some(queue) = self.queues.get_mut(queue_key) else { return Ok(()) };
        let message_count = counted_early.unwrap_or(queue.len());
        let message_count = u32::try_from(message_count).unwrap_or(u32::MAX);
        // RabbitMQ 3.10 says a count of zero here, and nowhere else.
        let is_counted =
            queue.is_quorum() && (entry.returns > 0 || self.settings.profile == Profile::V3_10);
        let counted = if is_counted { with_count(&entry, self.settings.profile) } else { None };
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
        let properties = counted.as_ref().unwrap_or(&message.properties);
        connection.out.content((number, frame_max), &got, properties, &message.body);
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
            channel.limit(method.prefetch_count);
        } else {
            channel.prefetch = method.prefetch_count;
            // RabbitMQ lifts the one when the other is set.
            channel.limit(0);
        }
        let consumers = channel.consumers.values();
        let mut queues: Vec<_> =
            consumers.filter_map(|key| Some(self.consumers.get(*key)?.queue)).collect();
        self.send(key, number, &basic::QosOk {});
        queues.sort_unstable();
        queues.dedup();
        for queue in queues {
            self.unblock(queue, channel_key);
            self.serve(queue);
            self.arm_head(queue);
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
        let name = self.queue_name(channel_key, &method.queue)?;
        if name == REPLY_TO_NAME {
            return self.consume_replies(key, number, channel_key, method);
        }
        self.check_tag(channel_key, &method.consumer_tag)?;
        let queue_key = self.readable_queue(key, channel_key, &name)?;
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
        let is_single = queue.arguments.single_active_consumer;
        let is_taken = queue.exclusive_consumer
            || (method.exclusive && (is_single || !queue.consumers.is_empty()));
        if is_taken && !queue.is_quorum() {
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
            blocked: false,
        });
        if let Some(channel) = self.channels.get_mut(channel_key) {
            channel.consumers.insert(tag.clone(), consumer);
        }
        let (consumers, profile) = (&self.consumers, self.settings.profile);
        if let Some(queue) = self.queues.get_mut(queue_key) {
            // A quorum queue of 3.10 takes the next one as they came.
            let is_by_turn = profile == Profile::V3_10
                && queue.is_quorum()
                && queue.arguments.single_active_consumer;
            let before = |other: &ConsumerKey| {
                let other = consumers.get(*other);
                is_by_turn || other.is_some_and(|other| other.priority >= priority)
            };
            let index = queue.consumers.partition_point(before);
            queue.consumers.insert(index, consumer);
            queue.exclusive_consumer = method.exclusive && !queue.is_quorum();
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
        if channel.consumers.contains_key(tag) {
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
            self.end_one_consumer(consumer);
        }
    }

    /// As [`end_consumer`](Self::end_consumer), and serves whoever is next.
    pub(super) fn end_one_consumer(&mut self, key: ConsumerKey) {
        if let Some(queue) = self.end_consumer(key) {
            self.serve(queue);
        }
    }

    /// A consumer is gone from its channel: takes it from its queue as well. What it holds stays with
    /// the channel.
    pub(super) fn end_consumer(&mut self, key: ConsumerKey) -> Option<QueueKey> {
        let consumer = self.consumers.remove(key)?;
        let queue_key = consumer.queue;
        self.note_use(queue_key);
        let queue = self.queues.get_mut(queue_key)?;
        // A connection's consumers end in the order in which they came: the first of many is found at once.
        if let Some(index) = queue.consumers.iter().position(|other| *other == key) {
            queue.consumers.remove(index);
        }
        if queue.is_quorum() && consumer.unacked > 0 {
            queue.leaving.insert(key, (consumer.tag, consumer.unacked));
        }
        queue.exclusive_consumer = false;
        if queue.active == Some(key) {
            queue.active = queue.consumers.first().copied();
        }
        if queue.auto_delete && queue.consumers.is_empty() && queue.had_consumer {
            self.delete_queue(queue_key);
            return None;
        }
        queue.may_serve = true;
        Some(queue_key)
    }

    /// As [`expire`](Self::expire), where there is something to do.
    pub(super) fn expire_due(&mut self, key: QueueKey) {
        let next = self.queues.get(key).and_then(|queue| queue.next_expiry());
        if next.is_some_and(|expires| expires <= self.now) {
            self.expire(key);
        }
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
fn with_count(entry: &Entry, profile: Profile) -> Option<RawProperties> {
    let mut properties: basic::Properties = entry.message.properties.decode().ok()?;
    let headers = properties.headers.get_or_insert_with(FieldTable::new);
    headers.insert(ShortStr::from_static("x-delivery-count"), Value::I64(entry.returns.into()));
    if profile == Profile::V3_10 {
        sort(headers);
    }
    encoded(&properties)
}
