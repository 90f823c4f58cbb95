//! Queues emptied and deleted.

use amqp091::protocol::queue;

use super::Core;
use super::arguments::queue_in;
use super::channel::ChannelKey;
use super::connection::ConnectionKey;
use super::exchange::{Destination, QueueKey};
use super::refusal::{Done, Refusal};
use super::timers::Timer;
use crate::permissions::Access;

impl Core {
    pub(super) fn purge(&mut self, key: QueueKey) -> u32 {
        let Some(queue) = self.queues.get_mut(key) else { return 0 };
        let dropped = queue.purge();
        self.arm_head(key);
        u32::try_from(dropped.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn remove_queue(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: &queue::Delete,
    ) -> Done {
        let Some(vhost) = self.vhost_of(key) else { return Err(Refusal::Silent) };
        let name = self.queue_name(channel_key, &method.queue)?;
        self.permit_queue(key, Access::Configure, &name)?;
        let found = self.vhosts.get(vhost).and_then(|vhost| vhost.queues.get(&name)).copied();
        let mut message_count = 0;
        if let Some(found) = found {
            self.check_owner(key, found)?;
            if let Some(queue) = self.queues.get(found) {
                let what = queue_in(&name, self.vhost_name(vhost));
                let flags = [(method.if_unused, "if-unused"), (method.if_empty, "if-empty")];
                if queue.is_quorum()
                    && let Some((_, flag)) = flags.iter().find(|(is_set, _)| *is_set)
                {
                    return Err(Refusal::not_implemented(format!(
                        "cannot delete {what}. queue.delete operations with {flag} flag set are not supported by quorum queues"
                    )));
                }
                if method.if_empty && !queue.is_empty() {
                    return Err(Refusal::precondition(format!("{what} not empty")));
                }
                if method.if_unused && !queue.consumers.is_empty() {
                    return Err(Refusal::precondition(format!("{what} in use")));
                }
                message_count = u32::try_from(queue.len()).unwrap_or(u32::MAX);
            }
            // The reply comes first, then the news to its consumers.
            if !method.no_wait {
                self.send(key, number, &queue::DeleteOk { message_count });
            }
            self.delete_queue(found);
        } else if !method.no_wait {
            self.send(key, number, &queue::DeleteOk { message_count });
        }
        Ok(())
    }

    /// Deletes a queue with its messages and bindings; its consumers hear of it.
    pub(super) fn delete_queue(&mut self, key: QueueKey) {
        let Some(queue) = self.queues.remove(key) else { return };
        if let Some(at) = queue.head_timer {
            self.timers.cancel(at, Timer::Head(key));
        }
        if let Some(expires) = queue.arguments.expires {
            self.timers.cancel(queue.last_used + expires, Timer::Expires(key));
        }
        if let Some(vhost) = self.vhosts.get_mut(queue.vhost) {
            vhost.queues.remove(&queue.name);
            super::vhost::give_back(&mut vhost.queues);
        }
        if let Some(owner) = queue.owner.and_then(|owner| self.connections.get_mut(owner)) {
            owner.queues.retain(|other| *other != key);
        }
        for exchange in self.unbind_from_all(Destination::Queue(key), queue.sources) {
            self.delete_exchange(queue.vhost, exchange);
        }
        for consumer in queue.consumers {
            self.lose_queue(consumer);
        }
    }
}
