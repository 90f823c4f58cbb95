//! Settling: what becomes of deliveries that are acknowledged, refused, or given up with their channel.

use super::Core;
use super::channel::{Channel, ChannelKey, Held, Mode, Pending, Settlement};
use super::dead_letter::Reason;
use super::queue::Queue;
use super::refusal::{Done, Refusal};
use crate::profile::Profile;

impl Core {
    /// `basic.ack`
    pub(super) fn ack(&mut self, channel_key: ChannelKey, tag: u64, multiple: bool) -> Done {
        self.settle_by_tag(channel_key, tag, multiple, Settlement::Ack)
    }

    /// `basic.nack`, `basic.reject`
    pub(super) fn refuse_delivery(
        &mut self,
        channel_key: ChannelKey,
        tag: u64,
        multiple: bool,
        requeue: bool,
    ) -> Done {
        let settlement = if requeue { Settlement::Requeue } else { Settlement::Drop };
        self.settle_by_tag(channel_key, tag, multiple, settlement)
    }

    fn settle_by_tag(
        &mut self,
        channel_key: ChannelKey,
        tag: u64,
        multiple: bool,
        settlement: Settlement,
    ) -> Done {
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
        if !multiple
            && !matches!(channel.mode, Mode::Tx(_))
            && let Some(held) = channel.unacked.take(tag)
        {
            // By far the most frequent.
            self.settle(channel_key, [(tag, held)], settlement);
            return Ok(());
        }
        let taken = match (tag, multiple) {
            (0, true) => channel.unacked.take_all(),
            // For all before it speaks only one that is held itself.
            (_, true) if channel.unacked.holds(tag) => channel.unacked.take_through(tag),
            (_, true) => Vec::new(),
            (_, false) => channel.unacked.take(tag).map(|held| (tag, held)).into_iter().collect(),
        };
        if taken.is_empty() && !(tag == 0 && multiple) {
            return Err(Refusal::precondition(format!("unknown delivery tag {tag}")));
        }
        if let Channel { mode: Mode::Tx(pending), .. } = channel {
            if !taken.is_empty() {
                pending.push(Pending::Settle(taken, settlement));
            }
            return Ok(());
        }
        self.settle(channel_key, taken, settlement);
        Ok(())
    }

    /// Settles deliveries that were taken from a channel.
    pub(super) fn settle(
        &mut self,
        channel_key: ChannelKey,
        taken: impl IntoIterator<Item = (u64, Held)>,
        settlement: Settlement,
    ) {
        let mut hungry = std::mem::take(&mut self.hungry);
        let mut consumed = 0;
        for (_, Held { queue: key, entry, consumer }) in taken {
            consumed += usize::from(consumer.is_some());
            let known = consumer.and_then(|key| self.consumers.get_mut(key));
            let is_gone = known.is_none();
            if let Some(consumer) = known {
                consumer.unacked = consumer.unacked.saturating_sub(1);
            }
            let Some(queue) = self.queues.get_mut(key) else { continue };
            if let Some(consumer) = consumer.filter(|_| is_gone) {
                queue.left_by(consumer);
            }
            queue.unacked = queue.unacked.saturating_sub(1);
            if consumer.is_none() {
                queue.got = queue.got.saturating_sub(1);
            }
            if hungry.last() != Some(&key) {
                hungry.push(key);
            }
            match settlement {
                Settlement::Ack => self.counts.acked += 1,
                Settlement::Drop => self.bury(key, entry, Reason::Rejected),
                Settlement::Requeue | Settlement::GiveBack => {
                    let mut entry = entry;
                    entry.redelivered = true;
                    if queue.is_quorum() {
                        entry.returns += 1;
                        if queue.arguments.delivery_limit.is_some_and(|limit| entry.returns > limit)
                        {
                            self.bury(key, entry, Reason::DeliveryLimit);
                            continue;
                        }
                        // RabbitMQ 3.10 writes what it needn't count as if it was new.
                        let is_new = self.settings.profile == Profile::V3_10
                            && settlement == Settlement::Requeue
                            && queue.arguments.delivery_limit.is_none();
                        entry.position =
                            if is_new { queue.place() } else { queue.place_in_front() };
                    }
                    queue.put_back(entry);
                }
            }
        }
        if let Some(channel) = self.channels.get_mut(channel_key) {
            channel.volume = channel.volume.saturating_sub(consumed);
        }
        // Room in a prefetch that all of a channel's consumers share is room for each of their queues.
        if let Some(channel) = self.channels.get(channel_key)
            && channel.global_prefetch != 0
        {
            for consumer in channel.consumers.values() {
                hungry.extend(self.consumers.get(*consumer).map(|consumer| consumer.queue));
            }
        }
        hungry.sort_unstable();
        hungry.dedup();
        for queue in hungry.drain(..) {
            self.unblock(queue, channel_key);
            let came_back = matches!(settlement, Settlement::Requeue | Settlement::GiveBack);
            let is_quorum = self.queues.get(queue).is_some_and(Queue::is_quorum);
            if came_back {
                if !is_quorum {
                    self.trim(queue);
                }
                self.expire_due(queue);
            }
            self.serve(queue);
            if came_back {
                // A quorum queue has room for what goes on at once.
                self.trim(queue);
                self.expire_due(queue);
                self.arm_head(queue);
            }
        }
        self.hungry = hungry;
    }

    /// Everything that a channel holds goes back to where it came from.
    pub(super) fn requeue_all(&mut self, channel_key: ChannelKey, how: Settlement) {
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let mut taken = channel.unacked.take_all();
        let quorum = |held: &Held| self.queues.get(held.queue).filter(|queue| queue.is_quorum());
        if how == Settlement::GiveBack && taken.iter().any(|(_, held)| quorum(held).is_some()) {
            // A quorum queue gets it back consumer by consumer, by their tags, after what was got.
            taken.sort_by_cached_key(|(_, held)| {
                Some(quorum(held)?.tag_of(held.consumer?)?.as_ref().to_vec())
            });
        }
        self.settle(channel_key, taken, how);
    }
}
