//! How consumers get their deliveries and stop getting them.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Instant;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::channels::{Carrier, Destination, Subscription};
use super::consumers::LiveEpoch;
use super::{CallId, ChannelKey, ConsumerKey, Core, End, Incoming, Then};
use crate::error::Error;

impl Core {
    /// Sends `basic.consume` with a consumer tag that this channel doesn't have yet; the call tells
    /// when the server has agreed. Deliveries may come right behind that, so the consumer exists now.
    pub(crate) fn consume(
        &mut self,
        key: ChannelKey,
        consume: &basic::Consume,
        now: Instant,
    ) -> Result<(ConsumerKey, CallId), Error> {
        self.check_tag(key, &consume.consumer_tag)?;
        let then = Then::Consume { tag: consume.consumer_tag.clone() };
        let call = self.request(key, consume, then, now)?;
        Ok((self.subscribe(key, consume), call))
    }

    /// A consumer tag that no other consumer of this connection has.
    pub(crate) fn new_consumer_tag(&mut self) -> ShortStr {
        self.next_tag += 1;
        ShortStr::new(format!("ctag-{}", self.next_tag)).unwrap_or_default()
    }

    /// Sends `basic.cancel`; after the reply the consumer ends, once what came is fetched. `None` when
    /// it has ended already: its tag may be another consumer's by now.
    pub(crate) fn cancel(
        &mut self,
        key: ChannelKey,
        consumer: ConsumerKey,
        tag: &ShortStr,
        now: Instant,
    ) -> Result<Option<CallId>, Error> {
        self.check_channel(key)?;
        if !self.is_subscribed(key, consumer, tag) {
            return Ok(None);
        }
        self.request_cancel(key, tag, now).map(Some)
    }

    pub(super) fn request_cancel(
        &mut self,
        key: ChannelKey,
        tag: &ShortStr,
        now: Instant,
    ) -> Result<CallId, Error> {
        let cancel = basic::Cancel { consumer_tag: tag.clone(), no_wait: false };
        self.request(key, &cancel, Then::Cancel { tag: tag.clone() }, now)
    }

    /// As [`consume`](Self::consume), with `no_wait` set: the server doesn't say when it has agreed.
    pub(crate) fn consume_no_wait(
        &mut self,
        key: ChannelKey,
        consume: &basic::Consume,
    ) -> Result<ConsumerKey, Error> {
        self.check_tag(key, &consume.consumer_tag)?;
        self.send(key, consume)?;
        let consumer = self.subscribe(key, consume);
        self.consumer_started(key, &consume.consumer_tag);
        Ok(consumer)
    }

    /// Fails if the tag can't be told from another consumer's.
    pub(super) fn check_tag(&mut self, key: ChannelKey, tag: &ShortStr) -> Result<(), Error> {
        match self.channels.get_mut(key) {
            Some(channel) if channel.subscriptions.contains(tag) || channel.is_cancelling(tag) => {
                Err(Error::ConsumerTagInUse { tag: tag.clone() })
            }
            _ => Ok(()),
        }
    }

    /// A consumer that deliveries for its tag go to.
    pub(super) fn subscribe(&mut self, key: ChannelKey, consume: &basic::Consume) -> ConsumerKey {
        let epoch = self.channels.get_mut(key).map_or(0, |channel| channel.epoch);
        let consumer = self.consumers.add(epoch);
        if let Some(channel) = self.channels.get_mut(key) {
            let to = Destination::Consumer(consumer);
            let subscription = Subscription { to, no_ack: consume.no_ack };
            channel.subscriptions.insert(consume.consumer_tag.clone(), subscription);
            channel.setup.add(consumer, consume);
        }
        consumer
    }

    /// Sends `basic.cancel` with `no_wait` set: the consumer ends now, once what came is fetched. What
    /// still comes for it goes back to its queue; as the server doesn't say when that is over, the tag
    /// stays in use.
    pub(crate) fn cancel_no_wait(
        &mut self,
        key: ChannelKey,
        consumer: ConsumerKey,
        subscription: (&ShortStr, bool),
    ) -> Result<(), Error> {
        let (tag, _) = subscription;
        self.check_channel(key)?;
        if !self.is_subscribed(key, consumer, tag) {
            return Ok(());
        }
        self.send(key, &basic::Cancel { consumer_tag: tag.clone(), no_wait: true })?;
        self.detach(key, consumer, subscription);
        self.forget_consumer(key, |record| record.key == consumer);
        self.consumers.end(consumer, End::Cancelled, &mut self.wakes);
        Ok(())
    }

    /// Whether a consumer has ended and its end was fetched.
    pub(crate) fn is_consumer_over(&mut self, consumer: ConsumerKey) -> bool {
        self.consumers.is_over(consumer)
    }

    /// Why a consumer gets no more deliveries, once that is so; what came can still be fetched.
    pub(crate) fn consumer_end(&mut self, consumer: ConsumerKey) -> Option<End> {
        self.consumers.ended(consumer)
    }

    /// The instance of its channel that a consumer lives on, now and later.
    pub(crate) fn consumer_epoch(&mut self, consumer: ConsumerKey) -> LiveEpoch {
        self.consumers.epoch(consumer)
    }

    /// Fetches what was delivered to a consumer.
    pub(crate) fn poll_deliveries(
        &mut self,
        key: ConsumerKey,
        batch: &mut VecDeque<Incoming>,
        cx: &Context<'_>,
    ) -> Poll<Option<End>> {
        let result = self.consumers.poll(key, batch, cx);
        if !self.reading && self.has_room_for_deliveries() {
            self.attention = true;
        }
        result
    }

    /// Gives up a consumer whose handle was dropped: it is cancelled, and what was delivered but not
    /// fetched (`unfetched` and what is still here) goes back to its queue unless it needs no
    /// acknowledgement.
    pub(crate) fn release_consumer(
        &mut self,
        key: ChannelKey,
        consumer: ConsumerKey,
        subscription: (&ShortStr, bool),
        unfetched: impl IntoIterator<Item = Incoming>,
        now: Instant,
    ) {
        let (tag, no_ack) = subscription;
        self.flush_acks(key);
        let queued = self.consumers.remove(consumer);
        let is_active = self.is_subscribed(key, consumer, tag);
        self.detach(key, consumer, subscription);
        self.forget_consumer(key, |record| record.key == consumer);
        let Some(channel) = self.channels.get_mut(key) else { return };
        // A cancel that overtakes the start of its consumer crashes RabbitMQ's channel, so one that is
        // still starting is cancelled when it has started.
        let is_starting = channel.is_starting(tag);
        let is_cancelling = channel.is_cancelling(tag);
        // There may be room for deliveries again.
        self.attention |= !self.reading;
        if is_active && !is_starting && !is_cancelling {
            self.cancel_unawaited(key, tag, now);
        }
        if !no_ack {
            for incoming in unfetched.into_iter().chain(queued) {
                if incoming.may_go_back() {
                    self.requeue(key, incoming.epoch, incoming.delivery_tag);
                }
            }
        }
    }

    /// Cancels a consumer that nobody holds any more.
    pub(super) fn cancel_unawaited(&mut self, key: ChannelKey, tag: &ShortStr, now: Instant) {
        if let Ok(call) = self.request_cancel(key, tag, now) {
            self.calls.abandon(call);
        }
    }

    /// Whether deliveries for `tag` are this consumer's.
    pub(super) fn is_subscribed(
        &mut self,
        key: ChannelKey,
        consumer: ConsumerKey,
        tag: &ShortStr,
    ) -> bool {
        let ours = Some(Destination::Consumer(consumer));
        self.channels
            .get_mut(key)
            .is_some_and(|channel| channel.subscriptions.destination(tag) == ours)
    }

    /// From now on, what comes for this consumer goes back to its queue, unless it needs no
    /// acknowledgement.
    pub(super) fn detach(
        &mut self,
        key: ChannelKey,
        consumer: ConsumerKey,
        (tag, no_ack): (&ShortStr, bool),
    ) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let ours = Some(Destination::Consumer(consumer));
        if channel.subscriptions.destination(tag) == ours {
            channel.subscriptions.requeue(tag);
        }
        if let Some(Carrier::Deliver { to, .. }) = &mut channel.carrier
            && Some(*to) == ours
        {
            // The rest of it comes when another consumer may stand in this one's place.
            *to = Destination::Requeue { no_ack };
        }
    }
}
