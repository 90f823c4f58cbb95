//! Opening a closed channel again, in place: the same handle, another instance.
//!
//! The core goes through with it, whoever waits: a future that is dropped changes nothing, and tasks that
//! want the same wait together. In order: the number (the old one if it is free), `channel.open`, the
//! modes, and then, with the channel open for everyone, one consumer after the other. A consumer that the
//! server refuses closes the channel once more; it is left out of the next attempt, so there is an end.

use std::sync::Arc;
use std::time::Instant;

use amqp091::protocol::{basic, channel, confirm, tx};
use amqp091::types::{Method, MethodId, Request, ShortStr};

use super::calls::{Answer, CallId};
use super::channels::{Channel, Destination, State, Subscription, Then};
use super::setup::{Life, Prefetch, Record};
use super::{ChannelKey, ConsumerKey, Core};
use crate::error::{CloseReason, Error};
use crate::reopen::{NotRestored, Reopened};
use crate::trace::Event;

/// What is wanted of another instance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) modes: bool,
    pub(crate) consumers: bool,
}

/// What an instance was told to be, beside its consumers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modes {
    prefetch: Prefetch,
    confirm: bool,
    tx: bool,
    stopped: bool,
}

/// A channel on its way to being open again.
#[derive(Debug)]
pub(crate) struct Reopening {
    wanted: Wanted,
    /// Those who wait for the outcome.
    waiting: Vec<CallId>,
    /// The modes of the instance that is gone.
    former: Modes,
    modes_sent: bool,
    /// The request whose reply is awaited.
    step: Option<CallId>,
    /// The consumer that `step` starts, its tag, and whether it needs no acknowledgement.
    consumer: Option<(ConsumerKey, ShortStr, bool)>,
    restored: Vec<ShortStr>,
    failed: Vec<NotRestored>,
}

impl Channel {
    fn modes(&self) -> Modes {
        Modes {
            prefetch: self.setup.prefetch,
            confirm: self.confirms.is_some(),
            tx: self.tx.is_some(),
            stopped: self.setup.stopped,
        }
    }

    /// Makes this another instance. What the last one told its handles stays to be fetched.
    fn renew(&mut self, number: u16, reason: Arc<CloseReason>) {
        self.number = number;
        self.epoch = self.epoch.wrapping_add(1);
        self.state = State::Reopening(reason);
        if let Some(confirms) = self.confirms.take() {
            self.counts.outcomes.add(confirms.outcomes());
            if confirms.is_watched() {
                self.former.push(*confirms);
            }
        }
        self.flow = true;
        self.settled_through = 0;
        self.last_tag = 0;
        self.recovering = 0;
        self.tx = None;
        self.setup.prefetch = Prefetch::default();
        self.setup.stopped = false;
        self.setup.last_queue = None;
    }
}

impl Core {
    /// The channel's number.
    pub(crate) fn channel_number(&mut self, key: ChannelKey) -> u16 {
        self.channels.get_mut(key).map_or(0, |channel| channel.number)
    }

    /// Opens a closed channel again; the call tells the outcome. One that is open is left as it is.
    pub(crate) fn reopen(
        &mut self,
        key: ChannelKey,
        wanted: Wanted,
        now: Instant,
    ) -> Result<CallId, Error> {
        self.check_open()?;
        let call = self.calls.begin("channel.open", now);
        let Some(channel) = self.channels.get_mut(key) else { return Ok(call) };
        if let Some(reopening) = &mut channel.reopening {
            reopening.waiting.push(call);
            reopening.wanted.modes |= wanted.modes;
            reopening.wanted.consumers |= wanted.consumers;
            return Ok(call);
        }
        if matches!(channel.state, State::Opening | State::Open) {
            let nothing = Ok(Answer::Reopened(Box::default()));
            self.calls.finish(call, nothing, &mut self.wakes);
            return Ok(call);
        }
        let is_closed = matches!(channel.state, State::Closed(_));
        let reopening = Box::new(Reopening {
            wanted,
            waiting: vec![call],
            former: channel.unrestored.take().map_or_else(|| channel.modes(), |former| *former),
            modes_sent: false,
            step: None,
            consumer: None,
            restored: Vec::new(),
            failed: Vec::new(),
        });
        if is_closed {
            self.open_again(key, reopening, now);
        } else {
            // Our close is still to be answered.
            channel.reopening = Some(reopening);
        }
        Ok(call)
    }

    /// Begins an attempt: the channel is closed and its number free.
    pub(super) fn open_again(
        &mut self,
        key: ChannelKey,
        mut reopening: Box<Reopening>,
        now: Instant,
    ) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let State::Closed(reason) = &channel.state else { return };
        let (reason, number) = (Arc::clone(reason), channel.number);
        if self.reason.is_some() {
            // Behind `connection.close` nothing is sent; those who wait learn of its end.
            if let Some(channel) = self.channels.get_mut(key) {
                channel.reopening = Some(reopening);
            }
            return;
        }
        let number = match self.channels.take_number(key, number) {
            Ok(number) => number,
            Err(error) => return self.reopening_failed(key, &reopening, error),
        };
        reopening.modes_sent = false;
        reopening.consumer = None;
        reopening.restored.clear();
        if let Some(channel) = self.channels.get_mut(key) {
            channel.renew(number, reason);
            channel.reopening = Some(reopening);
        }
        // It has no arguments that could fail to encode.
        let _ = self.take_step(key, &channel::Open {}, Then::Open, now);
    }

    /// Sends a request of ours; the next step waits for its reply.
    fn take_step<R: Request>(
        &mut self,
        key: ChannelKey,
        request: &R,
        then: Then,
        now: Instant,
    ) -> Result<(), Error> {
        let call = self.request_unchecked(key, request, then, now)?;
        self.calls.abandon(call);
        if let Some(channel) = self.channels.get_mut(key)
            && let Some(reopening) = &mut channel.reopening
        {
            reopening.step = Some(call);
        }
        Ok(())
    }

    /// A reply has come: goes on if it is the one that was waited for.
    pub(super) fn step_answered(&mut self, key: ChannelKey, call: CallId, now: Instant) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let Some(reopening) = &mut channel.reopening else { return };
        if reopening.step != Some(call) || self.reason.is_some() {
            return;
        }
        reopening.step = None;
        if let Some((consumer, tag, no_ack)) = reopening.consumer.take() {
            reopening.restored.push(tag);
            self.consumers.revive(consumer, channel.epoch, no_ack);
            // There may be room for deliveries again.
            self.attention |= !self.reading;
        }
        self.go_on(key, now);
    }

    fn go_on(&mut self, key: ChannelKey, now: Instant) {
        loop {
            let Some(channel) = self.channels.get_mut(key) else { return };
            let Some(reopening) = &mut channel.reopening else { return };
            if reopening.wanted.modes && !reopening.modes_sent {
                reopening.modes_sent = true;
                let former = reopening.former;
                self.restore_modes(key, former, now);
            } else {
                if matches!(channel.state, State::Reopening(_)) {
                    channel.state = State::Open;
                    if reopening.wanted.consumers
                        && let Some(coalesce) = channel.setup.coalesce.take()
                    {
                        let (max, delay) = *coalesce;
                        self.coalesce_acks(key, max, delay);
                    }
                }
                if !self.restore_consumer(key, now) {
                    return self.reopened(key);
                }
            }
            let waits = |channel: &Channel| {
                channel.reopening.as_ref().is_some_and(|reopening| reopening.step.is_some())
            };
            if self.channels.get_mut(key).is_none_or(|channel| waits(channel)) {
                return;
            }
        }
    }

    /// Asks for what the former instance had; the server answers in order.
    fn restore_modes(&mut self, key: ChannelKey, former: Modes, now: Instant) {
        let Modes { prefetch, confirm, tx, stopped } = former;
        // Numbers always encode. A mode that is impossible by now is one that the program has changed.
        for (prefetch, global) in [(prefetch.consumer, false), (prefetch.channel, true)] {
            if let Some((prefetch_size, prefetch_count)) = prefetch {
                let qos = basic::Qos { prefetch_size, prefetch_count, global };
                let _ = self.take_step(key, &qos, Then::Nothing, now);
            }
        }
        if confirm {
            let _ = self.take_step(key, &confirm::Select { no_wait: false }, Then::Nothing, now);
        }
        if tx {
            let _ = self.take_step(key, &tx::Select {}, Then::Nothing, now);
        }
        if stopped {
            let _ = self.take_step(key, &channel::Flow { active: false }, Then::Nothing, now);
        }
    }

    /// Starts the next consumer, or sets the prefetch that is to come next; false if there is nothing
    /// left to do.
    fn restore_consumer(&mut self, key: ChannelKey, now: Instant) -> bool {
        let Some(channel) = self.channels.get_mut(key) else { return false };
        let Some(reopening) = &mut channel.reopening else { return false };
        let is_next = |record: &Record| record.life == Life::Stopped;
        let next = channel.setup.consumers.iter().position(is_next);
        let next = next.filter(|_| reopening.wanted.consumers);
        let prefetch = match next {
            Some(place) => channel.setup.consumers[place].prefetch,
            None if reopening.wanted.modes => reopening.former.prefetch.consumer,
            None => None,
        };
        if channel.setup.prefetch.consumer.unwrap_or_default() != prefetch.unwrap_or_default() {
            let (prefetch_size, prefetch_count) = prefetch.unwrap_or_default();
            let qos = basic::Qos { prefetch_size, prefetch_count, global: false };
            return self.take_step(key, &qos, Then::Nothing, now).is_ok();
        }
        let Some(place) = next else { return false };
        let record = &channel.setup.consumers[place];
        let consumer = record.key;
        let mut consume = (*record.consume).clone();
        consume.no_wait = false;
        if let Some(queue) = record.queue() {
            consume.queue = queue.clone();
        }
        let tag = consume.consumer_tag.clone();
        if let Err(error) = self.check_tag(key, &tag) {
            self.consumer_failed(key, consumer, error);
            return true;
        }
        let Some(channel) = self.channels.get_mut(key) else { return false };
        let to = Destination::Consumer(consumer);
        channel.subscriptions.insert(tag.clone(), Subscription { to, no_ack: consume.no_ack });
        if let Some(reopening) = &mut channel.reopening {
            reopening.consumer = Some((consumer, tag.clone(), consume.no_ack));
        }
        if let Err(error) = self.take_step(key, &consume, Then::Consume { tag: tag.clone() }, now) {
            if let Some(channel) = self.channels.get_mut(key) {
                channel.subscriptions.remove(&tag);
            }
            self.consumer_failed(key, consumer, error);
        }
        true
    }

    /// A consumer can't be restored: it stays ended.
    fn consumer_failed(&mut self, key: ChannelKey, consumer: ConsumerKey, error: Error) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        if let Some(record) = channel.setup.remove(|record| record.key == consumer)
            && let Some(reopening) = &mut channel.reopening
        {
            let queue = record.queue().cloned().unwrap_or_default();
            let consumer_tag = record.consume.consumer_tag;
            reopening.failed.push(NotRestored { consumer_tag, queue, error });
        }
    }

    /// The server has closed the channel. Takes the reopening out if that goes on: if it waited for the
    /// end of the channel, or if a consumer was refused.
    pub(super) fn reopening_goes_on(
        &mut self,
        key: ChannelKey,
        method: Option<MethodId>,
        error: &Error,
    ) -> Option<Box<Reopening>> {
        let channel = self.channels.get_mut(key)?;
        if matches!(channel.state, State::Closing(_)) {
            return channel.reopening.take();
        }
        let reopening = channel.reopening.as_mut()?;
        let (consumer, ..) = reopening.consumer.take()?;
        if method != Some(basic::Consume::ID) {
            return None;
        }
        reopening.step = None;
        self.consumer_failed(key, consumer, error.clone());
        self.channels.get_mut(key)?.reopening.take()
    }

    /// All is done.
    fn reopened(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let Some(reopening) = channel.reopening.take() else { return };
        // What wasn't wanted is forgotten.
        channel.setup.consumers.retain(|record| record.life != Life::Stopped);
        channel.setup.coalesce = None;
        channel.unrestored = None;
        let Reopening { restored, failed, .. } = &*reopening;
        let (channel, restored_count, failed_count) =
            (channel.number, restored.len(), failed.len());
        self.trace.note(|| Event::ChannelReopened {
            channel,
            restored: restored_count,
            failed: failed_count,
        });
        let outcome = Reopened { restored: restored.clone(), failed: failed.clone() };
        self.end_reopening(&reopening, &Ok(outcome));
        self.publishers.wake_all(&mut self.wakes);
    }

    /// It ends where it is; what could have been restored still can be.
    pub(super) fn reopening_failed(
        &mut self,
        key: ChannelKey,
        reopening: &Reopening,
        error: Error,
    ) {
        if let Some(channel) = self.channels.get_mut(key) {
            channel.unrestored = Some(Box::new(reopening.former));
        }
        self.end_reopening(reopening, &Err(error));
    }

    /// Tells those who wait.
    fn end_reopening(&mut self, reopening: &Reopening, outcome: &Result<Reopened, Error>) {
        for &call in &reopening.waiting {
            let answer = outcome.clone().map(|reopened| Answer::Reopened(Box::new(reopened)));
            self.calls.finish(call, answer, &mut self.wakes);
        }
    }
}
