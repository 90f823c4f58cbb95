//! Stopping and starting again: what is durable stays.

use super::Core;
use super::queue::Queue;

impl Core {
    /// Stops, and starts again with durable exchanges and queues, their bindings, and persistent messages.
    /// All connections are gone.
    pub(crate) fn restart(&mut self) {
        let connections: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in connections {
            self.cut_off(key, false);
            if let Some(connection) = self.connections.get_mut(key) {
                connection.out.clear();
            }
        }
        self.alarm = None;
        let transient: Vec<_> =
            self.queues.iter().filter(|(_, queue)| !queue.durable).map(|(key, _)| key).collect();
        for queue in transient {
            self.delete_queue(queue);
        }
        let mut transient = Vec::new();
        for (vhost, found) in self.vhosts.iter() {
            let is_transient =
                |key: &_| self.exchanges.get(*key).is_some_and(|exchange| !exchange.durable);
            let going = found.exchanges.values().copied().filter(is_transient);
            transient.extend(going.map(|exchange| (vhost, exchange)));
        }
        for (vhost, exchange) in transient {
            self.delete_exchange(vhost, exchange);
        }
        let queues: Vec<_> = self.queues.iter().map(|(key, _)| key).collect();
        for key in queues {
            self.queues.get_mut(key).map(Queue::drop_transient);
            self.note_use(key);
            self.arm_head(key);
        }
        self.settle_dead();
        self.watch_memory();
    }
}
