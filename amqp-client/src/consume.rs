//! Consuming: messages of a queue as a stream, or one at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::{LongStr, ShortStr, Value};
use futures_core::Stream;

use crate::arguments::{StreamOffset, milliseconds};
use crate::call::PendingCall;
use crate::channel::Channel;
use crate::core::{Answer, ConsumerKey, Core, End, Incoming, LiveEpoch};
use crate::delivery::Delivery;
use crate::error::{Error, Initiator};
use crate::publish::argument;
use crate::request::arguments;
use crate::shared::{ChannelHandle, now};
use crate::source::Source;
use crate::turn::Turn;

mod end;
mod for_each;
mod merge;
mod ready;

pub use self::end::ConsumerEnd;
pub use self::for_each::{Failure, FailureCause, ForEachConcurrent, ForEachEnd, OnFailure};
pub use self::merge::{ConsumerEnded, MergedConsumers};

/// A consumer about to be started: await it, after setting what is to be set.
#[derive(Debug)]
#[must_use = "a consumer starts when this is awaited"]
pub struct Consume<'a> {
    channel: &'a Arc<ChannelHandle>,
    request: Result<basic::Consume, Error>,
    prefetch: Option<u16>,
    /// How many acknowledgements may wait, and for how long.
    coalesce: Option<(usize, Duration)>,
}

impl<'a> Consume<'a> {
    pub(crate) fn new(channel: &'a Arc<ChannelHandle>, queue: &[u8]) -> Self {
        let request = argument("queue", queue)
            .map(|queue| basic::Consume { queue, ..basic::Consume::default() });
        Self { channel, request, prefetch: None, coalesce: None }
    }

    /// How many messages the server may send ahead of their acknowledgement, 0 for any number. It is
    /// sent as `basic.qos` just before, so on RabbitMQ later consumers of this channel have it too.
    /// Without it the channel's own setting holds: any number, unless
    /// [`Channel::qos`](crate::Channel::qos) was called.
    pub fn prefetch(mut self, count: u16) -> Self {
        self.prefetch = Some(count);
        self
    }

    /// A name for the consumer, unique on its channel. Default: one made up by this client.
    pub fn consumer_tag(mut self, tag: impl AsRef<[u8]>) -> Self {
        match argument("consumer_tag", tag.as_ref()) {
            Ok(tag) => self.set(|request| request.consumer_tag = tag),
            Err(error) => self.request = Err(error),
        }
        self
    }

    /// Messages count as acknowledged when they are sent: fast, and lost with this program.
    pub fn no_ack(mut self, no_ack: bool) -> Self {
        self.set(|request| request.no_ack = no_ack);
        self
    }

    /// Doesn't want messages that this connection published; RabbitMQ ignores it.
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.set(|request| request.no_local = no_local);
        self
    }

    /// Wants to be the queue's only consumer: 403 ACCESS_REFUSED closes the channel if it has others.
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.set(|request| request.exclusive = exclusive);
        self
    }

    /// This consumer's priority (`x-priority`): while those with a higher one can take more, it gets
    /// nothing. Default: 0.
    pub fn priority(self, priority: i32) -> Self {
        self.set_argument("x-priority", priority)
    }

    /// Where to begin in a stream (`x-stream-offset`); streams also want a [`prefetch`](Self::prefetch).
    pub fn stream_offset(self, offset: StreamOffset) -> Self {
        self.set_argument("x-stream-offset", offset)
    }

    /// Wants only messages of a stream that were published with one of these filter values
    /// (`x-stream-filter`, RabbitMQ 3.13 and later). Others may come too: the program has to look.
    pub fn stream_filter<T: AsRef<[u8]>>(self, values: impl IntoIterator<Item = T>) -> Self {
        let values = values.into_iter().map(|value| LongStr::from(value.as_ref()));
        self.set_argument("x-stream-filter", Value::Array(values.map(Value::LongStr).collect()))
    }

    /// Wants messages without a filter value as well (`x-stream-match-unfiltered`).
    pub fn stream_match_unfiltered(self, unfiltered: bool) -> Self {
        self.set_flag("x-stream-match-unfiltered", unfiltered)
    }

    /// How long this consumer may hold a message (`x-consumer-timeout`), in whole milliseconds. Quorum
    /// queues of RabbitMQ 4.3 and later.
    pub fn consumer_timeout(self, time: Duration) -> Self {
        self.set_argument("x-consumer-timeout", milliseconds(time))
    }

    /// Lets acknowledgements wait, to be sent as few: one that stands for all before it costs the
    /// server, and the network, as much as one. They are sent when there are `max` of them, `delay` after
    /// the first, when this consumer has nothing more to fetch, with
    /// [`Channel::flush_acks`](crate::Channel::flush_acks), and before the consumer is dropped or its
    /// channel or connection closed by this program. Refusals never wait. Default: each is sent at once.
    ///
    /// It never acknowledges what the program hasn't, and a message that is held for long holds up no
    /// other. If the connection is lost, messages whose acknowledgements were waiting come again.
    ///
    /// It holds for all that is delivered on this channel, and until it closes: ask for it before the
    /// channel's first delivery. If one of before isn't settled yet then, acknowledgements are sent
    /// together but one by one, until all of before is settled by an `ack_multiple` or recovered. In a
    /// transaction none wait. With a [`prefetch`](Self::prefetch), let `max` be no more than half of it.
    pub fn coalesce_acks(mut self, max: usize, delay: Duration) -> Self {
        self.coalesce = Some((max, delay));
        self
    }

    fn set(&mut self, change: impl FnOnce(&mut basic::Consume)) {
        if let Ok(request) = &mut self.request {
            change(request);
        }
    }

    /// Doesn't wait for the server's agreement, neither to this nor to the [`prefetch`](Self::prefetch)
    /// before it. Should it refuse, it closes the channel, which ends the consumer with the reason.
    pub fn no_wait(mut self) -> Self {
        self.set(|request| request.no_wait = true);
        self
    }

    async fn start(self) -> Result<Consumer, Error> {
        let Self { channel, request, prefetch, coalesce } = self;
        let mut request = request?;
        let mut qos = None;
        // Both methods go out together; the reply to qos comes first.
        let (key, epoch, call) = channel
            .with(|core| {
                let now = now();
                if request.consumer_tag.is_empty() {
                    request.consumer_tag = core.new_consumer_tag();
                }
                if let Some(prefetch_count) = prefetch {
                    let request = basic::Qos { prefetch_count, ..basic::Qos::default() };
                    qos = Some(core.call(channel.key, &request, now)?);
                }
                if let Some((max, delay)) = coalesce {
                    core.coalesce_acks(channel.key, max, delay);
                }
                if request.no_wait {
                    let key = core.consume_no_wait(channel.key, &request)?;
                    return Ok((key, core.consumer_epoch(key), None));
                }
                let started = core.consume(channel.key, &request, now);
                started.map(|(key, call)| (key, core.consumer_epoch(key), Some(call)))
            })
            .inspect_err(|_| {
                if let Some(qos) = qos {
                    channel.with(|core| core.abandon_call(channel.key, qos, true));
                }
            })?;
        let call = call.map(|call| PendingCall::new(channel, call, true));
        let qos = qos.map(|qos| PendingCall::new(channel, qos, true));
        let consumer = Consumer {
            handle: ConsumerHandle {
                key,
                source: Arc::new(Source {
                    channel: Arc::clone(channel),
                    queue: request.queue,
                    tag: request.consumer_tag,
                    no_ack: request.no_ack,
                }),
                kept_end: Arc::default(),
            },
            batch: VecDeque::new(),
            epoch,
            is_over: false,
            turn: Turn::default(),
        };
        if let Some(call) = call {
            if let Some(qos) = qos {
                qos.await?;
            }
            call.await?;
        }
        Ok(consumer)
    }
}

impl<'a> IntoFuture for Consume<'a> {
    type Output = Result<Consumer, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

arguments! {
    Consume: "Arguments as they go out, for those that have no setter here.";
}

/// The messages of a queue, as a `Stream` of deliveries.
///
/// It ends with an error that says why, once, when the server cancels it or the channel or connection
/// is lost; after [`cancel`](Self::cancel), or when this program closes the channel or connection, it
/// ends without one. Messages that had come before are handed out first. If its channel is
/// [opened again](crate::Channel::reopen) with its consumers, it goes on after that: it is no
/// `FusedStream`, though until then it says that it is over as often as it is asked.
///
/// Messages that are there already are handed out without a wait, but so many at a time that tokio's other
/// tasks run in between.
///
/// Dropping it cancels the consumer without waiting, and sends what was not handed out back to the
/// queue, except to a stream, which has it anyway.
#[must_use = "a consumer that is dropped is cancelled"]
pub struct Consumer {
    handle: ConsumerHandle,
    /// Fetched from the connection, not yet handed out.
    batch: VecDeque<Incoming>,
    /// The instance of the channel that it lives on.
    epoch: LiveEpoch,
    /// Whether the stream has told its end.
    is_over: bool,
    turn: Turn,
}

impl Consumer {
    /// The consumer tag.
    pub fn consumer_tag(&self) -> &ShortStr {
        self.handle.consumer_tag()
    }

    /// The queue, as the program named it.
    pub fn queue(&self) -> &ShortStr {
        self.handle.queue()
    }

    /// The channel that it consumes by.
    pub fn channel(&self) -> Channel {
        self.handle.channel()
    }

    /// A handle by which other tasks can cancel this consumer.
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// The next delivery; `None` after the end. Safe to drop while it waits: no delivery is lost.
    ///
    /// # Errors
    ///
    /// Why the consumer ended: [`Error::ConsumerCancelled`], [`Error::ChannelClosed`] or
    /// [`Error::ConnectionClosed`].
    #[allow(clippy::should_implement_trait, reason = "the name that streams have for it")]
    pub async fn next(&mut self) -> Option<Result<Delivery, Error>> {
        poll_fn(|cx| self.poll_in_turn(cx)).await
    }

    fn poll_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery, Error>>> {
        let mut turn = std::mem::take(&mut self.turn);
        let polled = turn.poll(cx, |cx| self.poll_delivery(cx));
        self.turn = turn;
        polled
    }

    /// Asks the server to send no more, when awaited, and returns when it has agreed. What came until
    /// then can still be fetched; after that the stream ends. One that has ended already is left alone.
    pub fn cancel(&self) -> Cancel {
        self.handle.cancel()
    }

    /// Why there are no more deliveries, once that is so: as soon as this program or the server has
    /// cancelled the consumer, or its channel or connection is closed. What had come before can still
    /// be fetched, and after the stream's end this says why.
    pub fn end(&self) -> Option<ConsumerEnd> {
        self.handle.end()
    }

    /// Cancels the consumer, waits for the server's agreement, and sends what was not handed out back
    /// to its queue, except to a stream: afterwards nothing more comes from here, and what was handed
    /// out is still to be settled.
    ///
    /// Dropped while it waits, all that happens as when the consumer is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when the server doesn't answer, [`Error::ChannelClosed`] or
    /// [`Error::ConnectionClosed`] when it can't: in the end the server puts all of it back itself.
    pub async fn stop(self) -> Result<(), Error> {
        self.cancel().await
    }

    /// Cancels the consumer, waits for the server's agreement, and returns all that was not handed out,
    /// in its order. Whatever else ends the consumer first, what had come is returned all the same:
    /// [`ConsumerHandle::end`] tells.
    ///
    /// Dropped while it waits, everything goes back to its queue as when the consumer is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when the server doesn't answer; what had come goes back to its queue.
    pub async fn drain(mut self) -> Result<Vec<Delivery>, Error> {
        // What else can go wrong, such as a closed channel, has ended the stream too.
        if let Err(error @ Error::Timeout { .. }) = self.cancel().await {
            return Err(error);
        }
        let mut deliveries = Vec::with_capacity(self.batch.len());
        while let Some(delivery) = self.next().await {
            deliveries.extend(delivery);
        }
        Ok(deliveries)
    }

    /// Without regard to other tasks.
    pub(crate) fn poll_delivery(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Delivery, Error>>> {
        self.poll_incoming(cx).map(|next| match next {
            Ok(delivery) => Some(Ok(delivery)),
            Err(Some(End::Closed(error))) if error.initiator() != Initiator::User => {
                Some(Err(error))
            }
            Err(_) => None,
        })
    }

    /// The next delivery, or the end: with the reason if it wasn't told yet.
    fn poll_incoming(&mut self, cx: &Context<'_>) -> Poll<Result<Delivery, Option<End>>> {
        loop {
            if let Some(incoming) = self.batch.pop_front() {
                if !self.handle.source.no_ack && !self.epoch.is(incoming.epoch) {
                    // The channel was opened again since: the server delivers it again.
                    continue;
                }
                let delivery = Delivery::new(incoming, Arc::clone(&self.handle.source));
                return Poll::Ready(Ok(delivery));
            }
            let key = self.handle.key;
            if self.is_over {
                if self.handle.with(|core| core.is_consumer_over(key)) {
                    return Poll::Ready(Err(None));
                }
                // The channel was opened again, and the consumer with it.
                self.is_over = false;
            }
            let batch = &mut self.batch;
            let channel = &self.handle.source.channel;
            let polled = channel.with(|core| {
                let polled = core.poll_deliveries(key, batch, cx);
                if polled.is_pending() {
                    core.flush_acks(channel.key);
                }
                polled
            });
            match polled {
                Poll::Ready(None) => {}
                Poll::Ready(Some(end)) => {
                    self.is_over = true;
                    return Poll::Ready(Err(Some(end)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_in_turn(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The channel may be opened again before they are fetched.
        (if self.handle.source.no_ack { self.batch.len() } else { 0 }, None)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("channel", &self.handle.source.channel.number())
            .field("consumer_tag", &self.handle.source.tag)
            .field("no_ack", &self.handle.source.no_ack)
            .finish_non_exhaustive()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let end = self.end().unwrap_or(ConsumerEnd::Cancelled);
        let _ = self.handle.kept_end.set(end);
        let unfetched = self.batch.drain(..);
        let ConsumerHandle { key, source, .. } = &self.handle;
        let (channel, subscription) = (source.channel.key, (&source.tag, source.no_ack));
        self.handle.with(|core| {
            core.release_consumer(channel, *key, subscription, unfetched, now());
        });
    }
}

/// A handle of a [`Consumer`] for tasks other than the one that fetches its deliveries: to cancel it.
///
/// It doesn't keep the consumer, but its channel open.
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    key: ConsumerKey,
    source: Arc<Source>,
    /// Why it ended, once it is dropped.
    kept_end: Arc<OnceLock<ConsumerEnd>>,
}

impl ConsumerHandle {
    /// The consumer tag.
    pub fn consumer_tag(&self) -> &ShortStr {
        &self.source.tag
    }

    /// As [`Consumer::queue`].
    pub fn queue(&self) -> &ShortStr {
        &self.source.queue
    }

    /// The channel that it consumes by.
    pub fn channel(&self) -> Channel {
        Channel::new(Arc::clone(&self.source.channel))
    }

    /// As [`Consumer::end`], also when the consumer is dropped.
    pub fn end(&self) -> Option<ConsumerEnd> {
        if let Some(end) = self.kept_end.get() {
            return Some(end.clone());
        }
        self.with(|core| core.consumer_end(self.key)).map(ConsumerEnd::from)
    }

    /// As [`Consumer::cancel`].
    pub fn cancel(&self) -> Cancel {
        Cancel { consumer: self.clone(), no_wait: false }
    }

    fn with<T>(&self, command: impl FnOnce(&mut Core) -> T) -> T {
        self.source.channel.with(command)
    }
}

/// `basic.cancel` about to be sent: await it. It fails when the channel or connection closes first.
///
/// Dropped while it waits, the consumer is cancelled all the same.
#[derive(Debug)]
#[must_use = "a method is sent when this is awaited"]
pub struct Cancel {
    consumer: ConsumerHandle,
    no_wait: bool,
}

impl Cancel {
    /// Doesn't ask for the server's agreement: the stream ends with what has come by now, and what
    /// still comes goes back to its queue, or is lost if it was consumed with `no_ack`. As the server
    /// doesn't tell when that is over, the channel remembers the tag, which it can't use again.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    async fn run(self) -> Result<(), Error> {
        let Self { consumer: ConsumerHandle { key, source, .. }, no_wait } = self;
        let Source { channel, tag, no_ack, .. } = &*source;
        if no_wait {
            return channel.with(|core| core.cancel_no_wait(channel.key, key, (tag, *no_ack)));
        }
        match channel.with(|core| core.cancel(channel.key, key, tag, now()))? {
            Some(call) => PendingCall::new(channel, call, true).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

impl IntoFuture for Cancel {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// `basic.get` about to be sent: await it for the next message of a queue, or `None` if it has none.
#[derive(Debug)]
#[must_use = "a method is sent when this is awaited"]
pub struct Get<'a> {
    channel: &'a Arc<ChannelHandle>,
    request: Result<basic::Get, Error>,
}

impl<'a> Get<'a> {
    pub(crate) fn new(channel: &'a Arc<ChannelHandle>, queue: &[u8]) -> Self {
        let request = argument("queue", queue).map(|queue| basic::Get { queue, no_ack: false });
        Self { channel, request }
    }

    /// The message counts as acknowledged when it is sent.
    pub fn no_ack(mut self, no_ack: bool) -> Self {
        if let Ok(request) = &mut self.request {
            request.no_ack = no_ack;
        }
        self
    }

    async fn fetch(self) -> Result<Option<Got>, Error> {
        let request = self.request?;
        let (channel, no_ack) = (self.channel, request.no_ack);
        let call = channel.with(|core| core.get(channel.key, &request, now()))?;
        match PendingCall::new(channel, call, no_ack).await? {
            Answer::Method(_) | Answer::Reopened(_) => Ok(None),
            Answer::Message(incoming, message_count) => {
                let (channel, tag) = (Arc::clone(channel), ShortStr::empty());
                let source = Source { channel, queue: request.queue, tag, no_ack };
                let delivery = Delivery::new(*incoming, Arc::new(source));
                Ok(Some(Got { delivery, message_count }))
            }
        }
    }
}

impl<'a> IntoFuture for Get<'a> {
    type Output = Result<Option<Got>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    /// Dropped while it waits, the message that may come goes back to its queue.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.fetch())
    }
}

/// A message that [`Channel::get`](crate::Channel::get) has brought.
#[derive(Debug)]
#[non_exhaustive]
pub struct Got {
    /// The message.
    pub delivery: Delivery,
    /// How many messages are left in the queue.
    pub message_count: u32,
}
