//! Virtual hosts: namespaces of exchanges and queues.

use std::collections::HashMap;
use std::hash::Hash;

use amqp091::protocol::ReplyCode;
use amqp091::types::{MethodId, ShortStr};

use super::Core;
use super::connection::Connection;
use super::exchange::{Exchange, ExchangeKey, Kind, QueueKey};
use super::memory::Meter;
use super::refusal::Refusal;
use super::slab::{Key, Slab};

pub(crate) type VhostKey = Key<Vhost>;

#[derive(Debug)]
pub(crate) struct Vhost {
    pub(crate) name: String,
    pub(crate) exchanges: HashMap<ShortStr, ExchangeKey>,
    pub(crate) queues: HashMap<ShortStr, QueueKey>,
}

/// The exchanges that every virtual host has, beside the default one, which needs no bindings.
const PREDECLARED: [(&str, Kind, bool); 6] = [
    ("amq.direct", Kind::Direct, false),
    ("amq.fanout", Kind::Fanout, false),
    ("amq.headers", Kind::Headers, false),
    ("amq.match", Kind::Headers, false),
    ("amq.rabbitmq.trace", Kind::Topic, true),
    ("amq.topic", Kind::Topic, false),
];

/// Gives back most places of a map that has many more than it needs.
pub(crate) fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > 64 && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

impl Vhost {
    pub(crate) fn new(name: String, exchanges: &mut Slab<Exchange>, meter: &Meter) -> Self {
        let predeclared = PREDECLARED.into_iter().map(|(name, kind, internal)| {
            let name = ShortStr::from_static(name);
            let mut exchange = Exchange::new(name.clone(), kind, meter.take(0));
            exchange.internal = internal;
            (name, exchanges.insert(exchange))
        });
        Self { name, exchanges: predeclared.collect(), queues: HashMap::new() }
    }
}

impl Core {
    /// A new virtual host, unless it is there.
    pub(crate) fn add_vhost(&mut self, name: String) {
        if !self.vhost_names.contains_key(&name) {
            let vhost = Vhost::new(name.clone(), &mut self.exchanges, &self.meter);
            let key = self.vhosts.insert(vhost);
            self.vhost_names.insert(name, key);
        }
    }

    /// Closes the connections to a virtual host, and deletes all that it has.
    pub(crate) fn delete_vhost(&mut self, name: &str) {
        let Some(key) = self.vhost_names.remove(name) else { return };
        let connected = self.connections.iter().filter(|(_, found)| found.vhost == Some(key));
        let connected: Vec<_> = connected.map(|(key, _)| key).collect();
        for connection in connected {
            if self.connections.get(connection).is_some_and(Connection::is_running) {
                let text = format!("vhost '{name}' is deleted");
                let refusal = Refusal::Connection(ReplyCode::CONNECTION_FORCED, text);
                self.refuse_connection(connection, refusal, MethodId::new(0, 0));
            }
        }
        let queues = self.queues.iter().filter(|(_, queue)| queue.vhost == key);
        let queues: Vec<_> = queues.map(|(key, _)| key).collect();
        for queue in queues {
            self.delete_queue(queue);
        }
        if let Some(vhost) = self.vhosts.remove(key) {
            for exchange in vhost.exchanges.into_values() {
                self.exchanges.remove(exchange);
            }
        }
        self.settle_dead();
    }
}
