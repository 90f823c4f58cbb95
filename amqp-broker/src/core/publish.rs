//! Publishing: from a channel through exchanges into queues, and what the publisher hears of it.

use std::sync::Arc;
use std::time::Duration;

use amqp091::content::Content;
use amqp091::encode;
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{FieldTable, ShortStr};

use super::Core;
use super::arguments::{Overflow, exchange_in};
use super::channel::{Channel, ChannelKey, Mode, Pending};
use super::connection::ConnectionKey;
use super::dead_letter::Reason;
use super::exchange::{Destination, ExchangeKey, QueueKey};
use super::message::{Entry, Facts, Message, REPLY_TO_NAME};
use super::refusal::{Done, Refusal, shown};
use super::vhost::VhostKey;
use crate::permissions::Access;

/// So many single confirms in a row are sent as one `multiple`.
const CONFIRMS_IN_ONE: usize = 4;

/// Where a message goes in.
pub(crate) enum Entrance {
    /// The default exchange: to the queue of that name.
    Default,
    Exchange(ExchangeKey),
}

impl Core {
    /// Looks at a message that is about to be published: whether it may be, and what matters of it.
    pub(super) fn check_publish(
        &self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        method: &basic::Publish,
        content: &Content,
    ) -> Done<(VhostKey, Entrance, Facts)> {
        let Some(connection) = self.connections.get(key) else { return Err(Refusal::Silent) };
        let Some(vhost) = connection.vhost else { return Err(Refusal::Silent) };
        if method.immediate {
            return Err(Refusal::not_implemented("immediate=true"));
        }
        if connection.permissions.is_some() {
            self.permit_exchange(key, Access::Write, &method.exchange)?;
        }
        let channel = self.channels.get(channel_key);
        let entrance = match channel.and_then(|channel| channel.last_exchange.as_ref()) {
            Some((name, last))
                if *name == method.exchange && self.exchanges.get(*last).is_some() =>
            {
                Entrance::Exchange(*last)
            }
            _ => self.entrance(vhost, &method.exchange)?,
        };
        if let Entrance::Exchange(exchange) = entrance
            && self.exchanges.get(exchange).is_some_and(|exchange| exchange.internal)
        {
            let exchange = exchange_in(&method.exchange, self.vhost_name(vhost));
            return Err(Refusal::access(format!("cannot publish to internal {exchange}")));
        }
        let replies = channel.and_then(|channel| channel.replies.as_ref());
        let profile = self.settings.profile;
        let facts = Facts::of(&content.properties, &connection.user, profile, || match replies {
            Some(replies) => Ok(replies.address.clone()),
            None => Err(Refusal::precondition("fast reply consumer does not exist")),
        })?;
        Ok((vhost, entrance, facts))
    }

    fn entrance(&self, vhost: VhostKey, exchange: &ShortStr) -> Done<Entrance> {
        if exchange.is_empty() {
            return Ok(Entrance::Default);
        }
        let found = self.vhosts.get(vhost).and_then(|vhost| vhost.exchanges.get(exchange));
        found.map(|&key| Entrance::Exchange(key)).ok_or_else(|| {
            let exchange = exchange_in(exchange, self.vhost_name(vhost));
            Refusal::not_found(format!("no {exchange}"))
        })
    }

    /// Publishes a message.
    pub(super) fn publish(
        &mut self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        method: basic::Publish,
        content: Content,
    ) -> Done {
        self.block_publisher(key);
        let (vhost, entrance, facts) = self.check_publish(key, channel_key, &method, &content)?;
        let basic::Publish { exchange, routing_key, mandatory, .. } = method;
        if let Entrance::Exchange(found) = entrance
            && let Some(channel) = self.channels.get_mut(channel_key)
            && channel.last_exchange.as_ref().is_none_or(|(_, last)| *last != found)
        {
            channel.last_exchange = Some((exchange.clone(), found));
        }
        let Facts { copies, headers, persistent, priority, expiration, changed } = facts;
        let properties = changed.unwrap_or(content.properties);
        let share = self.weigh(content.body.len(), &properties);
        let mut message = Message {
            exchange,
            routing_key,
            copies,
            properties,
            persistent,
            priority,
            expiration,
            has_died: false,
            share,
            body: content.body,
        };
        let is_default = matches!(entrance, Entrance::Default);
        self.route(vhost, entrance, &message, headers.as_ref());
        if is_default {
            self.reply_to_all(&message);
        }
        if let Some(Channel { mode: Mode::Tx(pending), .. }) = self.channels.get_mut(channel_key) {
            let queues = self.routed.clone();
            message.share.add(queues.len() * size_of::<QueueKey>());
            pending.push(Pending::Publish(Box::new(message), queues, mandatory));
            return Ok(());
        }
        self.deposit(key, channel_key, message, mandatory);
        Ok(())
    }

    /// Puts a message into the queues that it is for, `routed`, and tells its publisher; `false` if one of them
    /// refuses it.
    pub(super) fn deposit(
        &mut self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        message: Message,
        mandatory: bool,
    ) -> bool {
        self.counts.published += 1;
        let mut taken = true;
        if !self.routed.is_empty() {
            self.counts.routed += 1;
            let message = self.shared_by_routed(message);
            let routed = std::mem::take(&mut self.routed);
            for &queue in &routed {
                taken &= self.enqueue(queue, &message);
            }
            self.routed = routed;
            if self.cluster.is_some() && self.withhold(Some((key, channel_key)), &message, taken) {
                return true;
            }
        } else if mandatory {
            self.give_back(key, channel_key, &message);
        }
        self.promise(key, channel_key, taken);
        taken
    }

    /// Finds the queues that a message goes to: each of them once, in `routed`.
    pub(super) fn route(
        &mut self,
        vhost: VhostKey,
        entrance: Entrance,
        message: &Message,
        headers: Option<&FieldTable>,
    ) {
        self.routed.clear();
        self.routing += 1;
        let Self { vhosts, exchanges, queues, routed, passing, routing, effort, .. } = self;
        let Some(vhost) = vhosts.get(vhost) else { return };
        let mut reach = |queue: QueueKey| {
            if let Some(found) = queues.get_mut(queue)
                && found.routed != *routing
            {
                found.routed = *routing;
                routed.push(queue);
            }
        };
        let Entrance::Exchange(first) = entrance else {
            let keys = std::iter::once(&message.routing_key).chain(&message.copies);
            keys.filter_map(|key| vhost.queues.get(key)).copied().for_each(reach);
            *effort += routed.len() as u64;
            return;
        };
        passing.push_back(first);
        while let Some(key) = passing.pop_front() {
            let Some(exchange) = exchanges.get_mut(key) else { continue };
            if std::mem::replace(&mut exchange.routed, *routing) == *routing {
                continue;
            }
            *effort += 1;
            exchange.published += 1;
            let mut found_any = false;
            for routing_key in std::iter::once(&message.routing_key).chain(&message.copies) {
                exchange.route(routing_key, headers, |destination| {
                    found_any = true;
                    match destination {
                        Destination::Queue(queue) => reach(queue),
                        Destination::Exchange(exchange) => passing.push_back(exchange),
                    }
                });
            }
            if !found_any && let Some(alternate) = &exchange.alternate {
                passing.extend(vhost.exchanges.get(alternate).copied());
            }
        }
        *effort += routed.len() as u64;
    }

    /// Puts a message into a queue; `false` if the queue refuses it.
    pub(super) fn enqueue(&mut self, key: QueueKey, message: &Arc<Message>) -> bool {
        if self.cluster.is_some()
            && let Some(taken) = self.may_enqueue(key)
        {
            return taken;
        }
        let now = self.now;
        let Some(queue) = self.queues.get_mut(key) else { return true };
        queue.published += 1;
        if queue.arguments.overflow != Overflow::DropHead && queue.is_full_for(message.size()) {
            if queue.arguments.overflow == Overflow::RejectPublishDlx {
                let entry = Entry::new(Arc::clone(message), 0);
                self.bury(key, entry, Reason::MaxLength);
            }
            return false;
        }
        let time_to_live = match (queue.arguments.message_ttl, message.expiration) {
            (Some(queue), Some(message)) => Some(queue.min(message)),
            (queue, message) => queue.or(message),
        };
        let position = queue.place();
        let expires = time_to_live.map(|time: Duration| now.saturating_add(time));
        queue.push(Entry { expires, ..Entry::new(Arc::clone(message), position) });
        self.serve(key);
        let has_dropped = self.trim(key);
        let is_alone = || self.queues.get(key).is_some_and(|queue| queue.len() == 1);
        // RabbitMQ doesn't look where a message overtakes others by its priority.
        if has_dropped || (expires.is_some() && is_alone()) {
            self.expire_due(key);
            self.arm_head(key);
        }
        true
    }

    /// Takes from the head of a queue what is too much for its limits, and says whether there was any; what
    /// refuses new messages instead keeps what came back.
    pub(super) fn trim(&mut self, key: QueueKey) -> bool {
        let mut any = false;
        while let Some(queue) = self.queues.get_mut(key)
            && queue.arguments.overflow == Overflow::DropHead
            && queue.is_over_limit()
            && let Some(entry) = queue.pop()
        {
            self.bury(key, entry, Reason::MaxLength);
            any = true;
        }
        any
    }

    /// Returns a message to its publisher as if it had reached no queue.
    pub(super) fn return_unrouted(
        &mut self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        method: basic::Publish,
        content: Content,
    ) {
        let share = self.weigh(content.body.len(), &content.properties);
        let message = Message {
            exchange: method.exchange,
            routing_key: method.routing_key,
            copies: Vec::new(),
            properties: content.properties,
            persistent: false,
            priority: 0,
            expiration: None,
            has_died: false,
            share,
            body: content.body,
        };
        self.counts.published += 1;
        self.give_back(key, channel_key, &message);
    }

    /// Returns a message that reached no queue to its publisher.
    fn give_back(&mut self, key: ConnectionKey, channel_key: ChannelKey, message: &Message) {
        let Some(channel) = self.channels.get(channel_key) else { return };
        let number = channel.number;
        let method = basic::Return {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: ShortStr::from_static("NO_ROUTE"),
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
        };
        let Some(connection) = self.connections.get_mut(key) else { return };
        let at = (number, connection.frame_max);
        connection.out.content(at, &method, &message.properties, &message.body);
        self.counts.returned += 1;
        self.stir(key);
    }

    /// Notes what is to be confirmed, if the channel wants to know.
    pub(super) fn promise(&mut self, key: ConnectionKey, channel_key: ChannelKey, taken: bool) {
        if let Some(Channel { mode: Mode::Confirm(confirms), .. }) =
            self.channels.get_mut(channel_key)
        {
            confirms.published += 1;
            confirms.due.push((confirms.published, taken));
            if confirms.due.len() == 1
                && let Some(connection) = self.connections.get_mut(key)
            {
                connection.confirming.push(channel_key);
            }
        }
    }

    /// Sends the confirms of what came with one read.
    pub(super) fn send_confirms(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.confirming.is_empty() {
            return;
        }
        let confirming = std::mem::take(&mut connection.confirming);
        // Rules count and hold back single ones, which none for several may overtake.
        let one_by_one = self.faults.are_set() || self.cluster.is_some();
        for &channel_key in &confirming {
            let Some(channel) = self.channels.get_mut(channel_key) else { continue };
            let (number, closing) = (channel.number, channel.closing);
            let Mode::Confirm(confirms) = &mut channel.mode else { continue };
            if closing {
                confirms.due.clear();
                continue;
            }
            self.counts.confirmed += confirms.due.len() as u64;
            let frames = connection.out.frames();
            let mut due = confirms.due.as_slice();
            while let Some(&(_, is_taken)) = due.first() {
                let end = due.iter().position(|(_, taken)| *taken != is_taken);
                let (run, rest) = due.split_at(end.unwrap_or(due.len()));
                due = rest;
                // Nothing before is left to confirm, so a run can go as one.
                let multiple = run.len() > CONFIRMS_IN_ONE && !one_by_one;
                let skip = if multiple { run.len() - 1 } else { 0 };
                for &(delivery_tag, _) in run.iter().skip(skip) {
                    let _ = if is_taken {
                        encode::method(frames, number, &basic::Ack { delivery_tag, multiple })
                    } else {
                        let nack = basic::Nack { delivery_tag, multiple, requeue: false };
                        encode::method(frames, number, &nack)
                    };
                }
            }
            confirms.due.clear();
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.confirming = confirming;
            connection.confirming.clear();
        }
        self.stir(key);
    }

    /// Hands a reply straight to the channels that asked for it. Like RabbitMQ that is done with the publish
    /// itself, not with its transaction, and counts for nothing where the message is mandatory.
    fn reply_to_all(&mut self, message: &Message) {
        let keys = std::iter::once(&message.routing_key).chain(&message.copies);
        let is_reply = |key: &&ShortStr| key.as_ref().starts_with(REPLY_TO_NAME);
        let mut keys: Vec<_> = keys.filter(is_reply).collect();
        keys.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        keys.dedup();
        let mut reached = false;
        for key in keys {
            reached |= self.reply(key, message);
        }
        self.counts.routed += u64::from(reached && self.routed.is_empty());
    }

    /// Hands a reply to the channel of this address; `false` if it is gone.
    fn reply(&mut self, address: &ShortStr, message: &Message) -> bool {
        let Some(&channel_key) = self.replies.get(address) else { return false };
        let Some(channel) = self.channels.get_mut(channel_key) else { return false };
        let Some(replies) = &channel.replies else { return false };
        let method = basic::Deliver {
            consumer_tag: replies.tag.clone(),
            delivery_tag: channel.unacked.skip(),
            redelivered: false,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
        };
        let (key, number) = (channel.connection, channel.number);
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let at = (number, connection.frame_max);
        connection.out.content(at, &method, &message.properties, &message.body);
        // Who waits for replies and doesn't read them fills no queue, and has no prefetch.
        connection.out.count_with(&self.meter);
        self.stir(key);
        true
    }
}

/// The refusal of a message that names another user as its author.
pub(super) fn other_user(claimed: &ShortStr, user: &str) -> Refusal {
    Refusal::precondition(format!(
        "user_id property set to '{}' but authenticated user was '{user}'",
        shown(claimed.as_ref())
    ))
}
