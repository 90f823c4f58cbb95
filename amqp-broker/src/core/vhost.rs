//! Virtual hosts: namespaces of exchanges and queues.

use std::collections::HashMap;

use amqp091::types::ShortStr;

use super::exchange::{Exchange, ExchangeKey, Kind, QueueKey};
use super::memory::Meter;
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
