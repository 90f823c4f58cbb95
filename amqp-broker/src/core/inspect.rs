//! Tells what the broker holds.

use amqp091::types::ShortStr;

use super::Core;
use super::connection::ConnectionKey;
use super::exchange::Destination;
use super::queue::Queue;
use crate::inspect::{
    BindingInfo, ConnectionInfo, ConsumerInfo, Counts, ExchangeInfo, QueueInfo, StoredMessage,
};

impl Core {
    pub(crate) fn queue_infos(&self) -> Vec<QueueInfo> {
        let mut infos: Vec<_> = self.queues.iter().map(|(_, queue)| self.info_of(queue)).collect();
        infos.sort_by(|one, other| {
            (&one.virtual_host, one.name.as_ref()).cmp(&(&other.virtual_host, other.name.as_ref()))
        });
        infos
    }

    /// One queue, by its name.
    pub(crate) fn queue_info(&self, vhost: &str, queue: &ShortStr) -> Option<QueueInfo> {
        self.queue_of(vhost, queue).map(|queue| self.info_of(queue))
    }

    fn queue_of(&self, vhost: &str, queue: &ShortStr) -> Option<&Queue> {
        let vhost = self.vhosts.get(*self.vhost_names.get(vhost)?)?;
        self.queues.get(*vhost.queues.get(queue)?)
    }

    fn info_of(&self, queue: &Queue) -> QueueInfo {
        QueueInfo {
            name: queue.name.clone(),
            virtual_host: self.vhost_name(queue.vhost).to_owned(),
            ready: queue.len(),
            unacked: queue.unacked,
            ready_octets: queue.octets(),
            consumers: queue.consumers.len(),
            published: queue.published,
            durable: queue.durable,
            exclusive: queue.owner.is_some(),
            auto_delete: queue.auto_delete,
            arguments: queue.table.clone(),
        }
    }

    pub(crate) fn exchange_infos(&self) -> Vec<ExchangeInfo> {
        let mut infos = Vec::new();
        for (_, vhost) in self.vhosts.iter() {
            for exchange in vhost.exchanges.values().filter_map(|key| self.exchanges.get(*key)) {
                infos.push(ExchangeInfo {
                    name: exchange.name.clone(),
                    virtual_host: vhost.name.clone(),
                    kind: exchange.kind.name(),
                    durable: exchange.durable,
                    auto_delete: exchange.auto_delete,
                    internal: exchange.internal,
                    arguments: exchange.arguments.clone(),
                    published: exchange.published,
                });
            }
        }
        infos.sort_by(|one, other| {
            (&one.virtual_host, one.name.as_ref()).cmp(&(&other.virtual_host, other.name.as_ref()))
        });
        infos
    }

    pub(crate) fn binding_infos(&self) -> Vec<BindingInfo> {
        let mut infos = Vec::new();
        for (_, vhost) in self.vhosts.iter() {
            for exchange in vhost.exchanges.values().filter_map(|key| self.exchanges.get(*key)) {
                for (destination, routing_key, arguments) in exchange.bindings() {
                    let (name, to_queue) = match destination {
                        Destination::Queue(key) => {
                            (self.queues.get(key).map(|queue| &queue.name), true)
                        }
                        Destination::Exchange(key) => {
                            (self.exchanges.get(key).map(|exchange| &exchange.name), false)
                        }
                    };
                    infos.push(BindingInfo {
                        source: exchange.name.clone(),
                        destination: name.cloned().unwrap_or_default(),
                        to_queue,
                        virtual_host: vhost.name.clone(),
                        routing_key: routing_key.clone(),
                        arguments: arguments.clone(),
                    });
                }
            }
        }
        infos.sort_by(|one, other| {
            let place = |info: &BindingInfo| {
                [&info.source, &info.destination, &info.routing_key]
                    .map(|name| name.as_ref().to_vec())
            };
            (&one.virtual_host, place(one)).cmp(&(&other.virtual_host, place(other)))
        });
        infos
    }

    pub(crate) fn connection_infos(&self) -> Vec<ConnectionInfo> {
        let infos = self.connections.iter().filter_map(|(key, _)| self.connection_info(key));
        let mut infos: Vec<_> = infos.collect();
        infos.sort_by_key(|info| info.number);
        infos
    }

    pub(super) fn connection_info(&self, key: ConnectionKey) -> Option<ConnectionInfo> {
        let connection = self.connections.get(key)?;
        Some(ConnectionInfo {
            number: connection.number,
            peer: connection.peer.clone(),
            name: connection.name.clone(),
            client_properties: connection.client_properties.clone(),
            user: connection.user.clone(),
            certificate: connection.certificate.clone(),
            virtual_host: connection
                .vhost
                .map(|vhost| self.vhost_name(vhost).to_owned())
                .unwrap_or_default(),
            channels: connection.channels.len(),
            blocked: connection.blocked,
        })
    }

    pub(crate) fn consumer_infos(&self) -> Vec<ConsumerInfo> {
        let infos = self.consumers.iter().filter_map(|(_, consumer)| {
            Some(ConsumerInfo {
                tag: consumer.tag.clone(),
                queue: self.queues.get(consumer.queue)?.name.clone(),
                connection: self.connections.get(consumer.connection)?.number,
                channel: self.channels.get(consumer.channel)?.number,
                no_ack: consumer.no_ack,
                prefetch: consumer.prefetch,
                unacked: consumer.unacked,
            })
        });
        let mut infos: Vec<_> = infos.collect();
        infos.sort_by(|one, other| {
            let place =
                |info: &ConsumerInfo| (info.connection, info.channel, info.tag.as_ref().to_vec());
            place(one).cmp(&place(other))
        });
        infos
    }

    /// The ready messages of a queue, in the order in which they would be delivered.
    pub(crate) fn stored(&self, vhost: &str, queue: &ShortStr) -> Option<Vec<StoredMessage>> {
        let queue = self.queue_of(vhost, queue)?;
        let messages = queue.ready().map(|entry| StoredMessage {
            exchange: entry.message.exchange.clone(),
            routing_key: entry.message.routing_key.clone(),
            redelivered: entry.redelivered,
            expires_in: entry.expires.map(|expires| expires.saturating_sub(self.now)),
            body: entry.message.body.clone(),
            properties: entry.message.properties.clone(),
        });
        Some(messages.collect())
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }
}
