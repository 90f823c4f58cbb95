//! Exchanges, queues and bindings: made, checked, deleted.

use amqp091::protocol::{ReplyCode, exchange, queue};
use amqp091::types::{ShortStr, Value};

use super::Core;
use super::arguments::{
    QueueArguments, QueueKind, check_same_arguments, check_same_queue, exchange_in, inequivalent,
    queue_in,
};
use super::channel::ChannelKey;
use super::connection::ConnectionKey;
use super::exchange::{Destination, Exchange, ExchangeKey, Kind, QueueKey};
use super::memory::{EXCHANGE_COST, PRIORITY_COST, QUEUE_COST, weight};
use super::message::{REPLY_TO_NAME, erlang_type};
use super::permit::not_the_default;
use super::queue::Queue;
use super::refusal::{Done, Refusal, shown};
use super::vhost::VhostKey;
use crate::permissions::Access;
use crate::profile::Profile;

/// Names that begin so are the broker's own.
const RESERVED: &[u8] = b"amq.";

fn check_name(what: &str, name: &ShortStr) -> Done {
    if name.as_ref().starts_with(RESERVED) {
        let name = shown(name.as_ref());
        return Err(Refusal::access(format!(
            "{what} name '{name}' contains reserved prefix 'amq.*'"
        )));
    }
    Ok(())
}

/// RabbitMQ drops line ends from names.
fn in_one_line(name: &ShortStr) -> ShortStr {
    let octets = name.as_ref();
    if !octets.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
        return name.clone();
    }
    let kept: Vec<u8> =
        octets.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
    ShortStr::new(kept).unwrap_or_default()
}

fn same_flag(name: &str, what: &str, received: bool, current: bool) -> Done {
    if received == current {
        return Ok(());
    }
    Err(inequivalent(name, what, &received.to_string(), &current.to_string(), true))
}

impl Core {
    fn exchange_named(&self, vhost: VhostKey, name: &ShortStr) -> Option<ExchangeKey> {
        self.vhosts.get(vhost)?.exchanges.get(name).copied()
    }

    fn existing_exchange(&self, vhost: VhostKey, name: &ShortStr) -> Done<ExchangeKey> {
        self.exchange_named(vhost, name).ok_or_else(|| {
            Refusal::not_found(format!("no {}", exchange_in(name, self.vhost_name(vhost))))
        })
    }

    pub(super) fn declare_exchange(
        &mut self,
        key: ConnectionKey,
        number: u16,
        method: &exchange::Declare,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = in_one_line(&method.exchange);
        if method.passive {
            not_the_default(&name)?;
            self.existing_exchange(vhost, &name)?;
        } else {
            let kind = self.kind_named(&method.r#type)?;
            not_the_default(&name)?;
            self.permit_exchange(key, Access::Configure, &name)?;
            let what = exchange_in(&name, self.vhost_name(vhost));
            match self.exchange_named(vhost, &name).and_then(|key| self.exchanges.get(key)) {
                Some(found) => {
                    if found.kind != kind {
                        let (received, current) = (kind.name(), found.kind.name());
                        return Err(inequivalent("type", &what, received, current, true));
                    }
                    same_flag("durable", &what, method.durable, found.durable)?;
                    same_flag("auto_delete", &what, method.auto_delete, found.auto_delete)?;
                    same_flag("internal", &what, method.internal, found.internal)?;
                    check_same_arguments(
                        &what,
                        &["alternate-exchange"],
                        &method.arguments,
                        &found.arguments,
                        self.settings.profile,
                    )?;
                }
                None => {
                    check_name("exchange", &name)?;
                    let alternate = match method.arguments.get("alternate-exchange") {
                        None => None,
                        Some(Value::LongStr(name)) => ShortStr::new(name).ok(),
                        Some(value) => {
                            return Err(Refusal::precondition(format!(
                                "invalid type '{}' for arg 'alternate-exchange' in {what}",
                                erlang_type(value)
                            )));
                        }
                    };
                    if let Some(alternate) = &alternate {
                        self.permit_exchange(key, Access::Read, &name)?;
                        self.permit_exchange(key, Access::Write, alternate)?;
                    }
                    let share = self.meter.take(EXCHANGE_COST + weight(&method.arguments));
                    let mut exchange = Exchange::new(name.clone(), kind, share);
                    exchange.durable = method.durable;
                    exchange.auto_delete = method.auto_delete;
                    exchange.internal = method.internal;
                    exchange.arguments = method.arguments.clone();
                    exchange.alternate = alternate;
                    let made = self.exchanges.insert(exchange);
                    if let Some(vhost) = self.vhosts.get_mut(vhost) {
                        vhost.exchanges.insert(name, made);
                    }
                }
            }
        }
        if !method.no_wait {
            self.send(key, number, &exchange::DeclareOk {});
        }
        Ok(())
    }

    fn kind_named(&self, name: &ShortStr) -> Done<Kind> {
        Kind::named(name.as_ref()).ok_or_else(|| {
            // RabbitMQ knows the empty word, as something else.
            let unknown = if name.is_empty() { "invalid" } else { "unknown" };
            let text = format!("{unknown} exchange type '{}'", shown(name.as_ref()));
            match self.settings.profile {
                Profile::V3_10 => Refusal::Connection(ReplyCode::COMMAND_INVALID, text),
                Profile::V4 => Refusal::precondition(text),
            }
        })
    }

    pub(super) fn remove_exchange(
        &mut self,
        key: ConnectionKey,
        number: u16,
        method: &exchange::Delete,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = in_one_line(&method.exchange);
        not_the_default(&name)?;
        if name.as_ref().starts_with(RESERVED) {
            let what = exchange_in(&name, self.vhost_name(vhost));
            return Err(Refusal::access(format!("deletion of system {what} not allowed")));
        }
        self.permit_exchange(key, Access::Configure, &name)?;
        if let Some(found) = self.exchange_named(vhost, &name) {
            let is_used = self.exchanges.get(found).is_some_and(|exchange| !exchange.is_unused());
            if method.if_unused && is_used {
                let what = exchange_in(&name, self.vhost_name(vhost));
                return Err(Refusal::precondition(format!("{what} in use")));
            }
            self.delete_exchange(vhost, found);
        }
        if !method.no_wait {
            self.send(key, number, &exchange::DeleteOk {});
        }
        Ok(())
    }

    /// Deletes an exchange with its bindings, and those that go with their last binding.
    pub(super) fn delete_exchange(&mut self, vhost: VhostKey, key: ExchangeKey) {
        let mut going = vec![key];
        while let Some(key) = going.pop() {
            let Some(exchange) = self.exchanges.remove(key) else { continue };
            if let Some(vhost) = self.vhosts.get_mut(vhost) {
                vhost.exchanges.remove(&exchange.name);
            }
            for (destination, routing_key, _) in exchange.bindings() {
                self.forget_source(destination, key, routing_key);
            }
            going.extend(self.unbind_from_all(Destination::Exchange(key), exchange.sources));
        }
    }

    /// Takes all bindings to a destination away, and returns the exchanges that go with that.
    pub(super) fn unbind_from_all(
        &mut self,
        destination: Destination,
        sources: impl IntoIterator<Item = (ExchangeKey, ShortStr)>,
    ) -> Vec<ExchangeKey> {
        let mut going = Vec::new();
        for (source, routing_key) in sources {
            let Some(exchange) = self.exchanges.get_mut(source) else { continue };
            exchange.unbind_all(destination, &routing_key);
            if exchange.auto_delete && exchange.is_unused() {
                going.push(source);
            }
        }
        going
    }

    fn forget_source(&mut self, destination: Destination, source: ExchangeKey, key: &ShortStr) {
        let binding = (source, key.clone());
        match destination {
            Destination::Queue(queue) => {
                if let Some(queue) = self.queues.get_mut(queue) {
                    queue.sources.remove(&binding);
                }
            }
            Destination::Exchange(exchange) => {
                if let Some(exchange) = self.exchanges.get_mut(exchange) {
                    exchange.sources.remove(&binding);
                }
            }
        }
    }

    pub(super) fn bind_exchange(
        &mut self,
        key: ConnectionKey,
        number: u16,
        method: &exchange::Bind,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        self.permit_exchange_bindings(key, &method.destination, &method.source)?;
        let source = self.existing_exchange(vhost, &method.source)?;
        let destination = self.existing_exchange(vhost, &method.destination)?;
        let exchange = self.exchanges.get_mut(source);
        let Some(exchange) = exchange else { return Ok(()) };
        exchange.bind(
            Destination::Exchange(destination),
            &method.routing_key,
            &method.arguments,
        )?;
        if let Some(destination) = self.exchanges.get_mut(destination) {
            destination.sources.insert((source, method.routing_key.clone()));
        }
        if !method.no_wait {
            self.send(key, number, &exchange::BindOk {});
        }
        Ok(())
    }

    pub(super) fn unbind_exchange(
        &mut self,
        key: ConnectionKey,
        number: u16,
        method: &exchange::Unbind,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        self.permit_exchange_bindings(key, &method.destination, &method.source)?;
        if let Some(source) = self.exchange_named(vhost, &method.source)
            && let Some(destination) = self.exchange_named(vhost, &method.destination)
        {
            let destination = Destination::Exchange(destination);
            self.unbind(vhost, source, destination, &method.routing_key, &method.arguments);
        }
        if !method.no_wait {
            self.send(key, number, &exchange::UnbindOk {});
        }
        Ok(())
    }

    fn unbind(
        &mut self,
        vhost: VhostKey,
        source: ExchangeKey,
        destination: Destination,
        routing_key: &ShortStr,
        arguments: &amqp091::types::FieldTable,
    ) {
        let Some(exchange) = self.exchanges.get_mut(source) else { return };
        if !exchange.unbind(destination, routing_key, arguments) {
            return;
        }
        let is_gone = !exchange.is_bound(destination, routing_key);
        let goes_too = exchange.auto_delete && exchange.is_unused();
        if is_gone {
            self.forget_source(destination, source, routing_key);
        }
        if goes_too {
            self.delete_exchange(vhost, source);
        }
    }

    /// The queue that a name stands for on this channel: the empty one for the last that was declared.
    pub(super) fn queue_name(&self, channel_key: ChannelKey, name: &ShortStr) -> Done<ShortStr> {
        if !name.is_empty() {
            return Ok(name.clone());
        }
        let last = self.channels.get(channel_key).and_then(|channel| channel.last_queue.clone());
        last.ok_or_else(|| Refusal::not_found("no previously declared queue"))
    }

    /// The queue of this name, if this connection may use it.
    pub(super) fn usable_queue(
        &self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        name: &ShortStr,
    ) -> Done<QueueKey> {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = self.queue_name(channel_key, name)?;
        let found = self.existing_queue(vhost, &name)?;
        self.check_owner(key, found)?;
        Ok(found)
    }

    /// The same, if the client may read from it.
    pub(super) fn readable_queue(
        &self,
        key: ConnectionKey,
        channel_key: ChannelKey,
        name: &ShortStr,
    ) -> Done<QueueKey> {
        let name = self.queue_name(channel_key, name)?;
        self.permit_queue(key, Access::Read, &name)?;
        self.usable_queue(key, channel_key, &name)
    }

    fn existing_queue(&self, vhost: VhostKey, name: &ShortStr) -> Done<QueueKey> {
        let found = self.vhosts.get(vhost).and_then(|vhost| vhost.queues.get(name));
        found.copied().ok_or_else(|| {
            Refusal::not_found(format!("no {}", queue_in(name, self.vhost_name(vhost))))
        })
    }

    pub(super) fn check_owner(&self, key: ConnectionKey, queue: QueueKey) -> Done {
        match self.queues.get(queue) {
            Some(found) if found.owner.is_some_and(|owner| owner != key) => {
                Err(locked(&queue_in(&found.name, self.vhost_name(found.vhost))))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn declare_queue(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &queue::Declare,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let mut name = in_one_line(&method.queue);
        if name == REPLY_TO_NAME || self.replies.contains_key(&name) {
            if let Some(channel) = self.channels.get_mut(channel_key) {
                channel.last_queue = Some(name.clone());
            }
            if !method.no_wait {
                let ok = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
                self.send(key, number, &ok);
            }
            return Ok(());
        }
        // Addresses of replies can't be declared, only asked for.
        if method.passive || name.as_ref().starts_with(REPLY_TO_NAME) {
            let found = self.existing_queue(vhost, &name)?;
            self.check_owner(key, found)?;
        } else if name.is_empty() {
            if method.arguments.get("x-queue-type").and_then(|kind| kind.as_str()) == Some("quorum")
            {
                return Err(Refusal::precondition(
                    "Cannot declare a server-named queue for type rabbit_quorum_queue",
                ));
            }
            name = self.made_up("amq.gen-");
            self.permit_queue(key, Access::Configure, &name)?;
            self.make_queue(key, vhost, &name, method)?;
        } else {
            check_name("queue", &name)?;
            self.permit_queue(key, Access::Configure, &name)?;
            let found = self.vhosts.get(vhost).and_then(|vhost| vhost.queues.get(&name)).copied();
            match found {
                Some(found) => self.check_same(key, found, method)?,
                None => self.make_queue(key, vhost, &name, method)?,
            }
        }
        let found = self.vhosts.get(vhost).and_then(|vhost| vhost.queues.get(&name)).copied();
        let Some(found) = found else { return Ok(()) };
        self.note_use(found);
        let Some(queue) = self.queues.get(found) else { return Ok(()) };
        let declared = queue::DeclareOk {
            queue: name.clone(),
            message_count: u32::try_from(queue.len()).unwrap_or(u32::MAX),
            consumer_count: queue.consumer_count(),
        };
        if let Some(channel) = self.channels.get_mut(channel_key) {
            channel.last_queue = Some(name);
        }
        if !method.no_wait {
            self.send(key, number, &declared);
        }
        Ok(())
    }

    fn check_same(&self, key: ConnectionKey, found: QueueKey, method: &queue::Declare) -> Done {
        self.check_owner(key, found)?;
        let Some(queue) = self.queues.get(found) else { return Ok(()) };
        let what = queue_in(&queue.name, self.vhost_name(queue.vhost));
        if method.exclusive != queue.owner.is_some() {
            return Err(locked(&what));
        }
        same_flag("durable", &what, is_durable(method), queue.durable)?;
        same_flag("auto_delete", &what, method.auto_delete, queue.auto_delete)?;
        let kind = queue.arguments.kind;
        check_same_queue(&what, &method.arguments, &queue.table, kind, self.settings.profile)
    }

    fn make_queue(
        &mut self,
        key: ConnectionKey,
        vhost: VhostKey,
        name: &ShortStr,
        method: &queue::Declare,
    ) -> Done {
        let what = queue_in(name, self.vhost_name(vhost));
        let arguments = QueueArguments::read(
            &method.arguments,
            &what,
            method.exclusive,
            self.settings.profile,
        )?;
        if arguments.kind == QueueKind::Quorum {
            let wrong = |property: &str| {
                Err(Refusal::precondition(format!("invalid property '{property}' for {what}")))
            };
            if method.auto_delete {
                return wrong("auto-delete");
            }
            if method.exclusive {
                return wrong("exclusive-owner");
            }
            if !method.durable {
                return wrong("non-durable");
            }
        }
        if let Some(exchange) = &arguments.dead_letter_exchange {
            self.permit_queue(key, Access::Read, name)?;
            self.permit_exchange(key, Access::Write, exchange)?;
        }
        let (there, most) = (
            self.vhosts.get(vhost).map_or(0, |found| found.queues.len()),
            self.settings.max_queues,
        );
        if there >= most {
            let (name, vhost) = (shown(name.as_ref()), self.vhost_name(vhost));
            return Err(Refusal::precondition(format!(
                "cannot declare queue '{name}': queue limit in vhost '{vhost}' ({most}) is reached"
            )));
        }
        let priorities = usize::from(arguments.max_priority.unwrap_or(0));
        let cost = QUEUE_COST + priorities * PRIORITY_COST + 2 * weight(&method.arguments);
        let share = self.meter.take(cost);
        let table = method.arguments.clone();
        let mut queue = Queue::new(name.clone(), vhost, table, arguments, self.now, share);
        queue.node = self.connections.get(key).map_or(0, |connection| connection.node);
        queue.durable = is_durable(method);
        queue.auto_delete = method.auto_delete;
        queue.owner = method.exclusive.then_some(key);
        let made = self.queues.insert(queue);
        if let Some(vhost) = self.vhosts.get_mut(vhost) {
            vhost.queues.insert(name.clone(), made);
        }
        if method.exclusive
            && let Some(connection) = self.connections.get_mut(key)
        {
            connection.queues.push(made);
        }
        Ok(())
    }

    pub(super) fn bind_queue(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &queue::Bind,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = self.queue_name(channel_key, &method.queue)?;
        self.permit_queue_bindings(key, &name, &method.exchange)?;
        let source = self.existing_exchange(vhost, &method.exchange)?;
        let queue_key = self.existing_queue(vhost, &name)?;
        let routing_key = shortcut(&method.queue, &name, &method.routing_key);
        let Some(exchange) = self.exchanges.get(source) else { return Ok(()) };
        exchange.check_binding(&method.arguments)?;
        self.check_owner(key, queue_key)?;
        let Some(exchange) = self.exchanges.get_mut(source) else { return Ok(()) };
        exchange.bind(Destination::Queue(queue_key), &routing_key, &method.arguments)?;
        if let Some(queue) = self.queues.get_mut(queue_key) {
            queue.sources.insert((source, routing_key));
        }
        if !method.no_wait {
            self.send(key, number, &queue::BindOk {});
        }
        Ok(())
    }

    pub(super) fn unbind_queue(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &queue::Unbind,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = self.queue_name(channel_key, &method.queue)?;
        self.permit_queue_bindings(key, &name, &method.exchange)?;
        let routing_key = shortcut(&method.queue, &name, &method.routing_key);
        let found = self.vhosts.get(vhost).and_then(|vhost| vhost.queues.get(&name)).copied();
        if let (Some(source), Some(found)) = (self.exchange_named(vhost, &method.exchange), found) {
            let destination = Destination::Queue(found);
            // What isn't bound can be unbound by anybody.
            if self.exchanges.get(source).is_some_and(|exchange| {
                exchange.has_binding(destination, &routing_key, &method.arguments)
            }) {
                self.check_owner(key, found)?;
            }
            self.unbind(vhost, source, destination, &routing_key, &method.arguments);
        }
        self.send(key, number, &queue::UnbindOk {});
        Ok(())
    }
}

/// What is one connection's alone doesn't outlive it, whatever is declared.
const fn is_durable(method: &queue::Declare) -> bool {
    method.durable && !method.exclusive
}

fn locked(what: &str) -> Refusal {
    Refusal::Channel(
        ReplyCode::RESOURCE_LOCKED,
        format!(
            "cannot obtain exclusive access to locked {what}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration."
        ),
    )
}

/// With no queue and no routing key given, the key is the queue's name.
fn shortcut(given: &ShortStr, name: &ShortStr, routing_key: &ShortStr) -> ShortStr {
    if given.is_empty() && routing_key.is_empty() { name.clone() } else { routing_key.clone() }
}
