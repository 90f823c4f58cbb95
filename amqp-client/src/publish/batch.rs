//! Publishing many messages at once.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::iter::Fuse;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;
use bytes::BytesMut;

use super::{Body, PublishError, method};
use crate::core::{
    Counted, Outgoing, PublishWait, TallyKey, Template, Terms, WaiterKey, Watch, address,
    encode_message,
};
use crate::error::Error;
use crate::shared::{ChannelHandle, now};

/// How many messages of a batch are unconfirmed at a time, where nothing else is said: as many more make
/// nothing faster.
const WINDOW: usize = 4096;

/// When so many messages of a batch have failed, it stops.
const FAILURES: usize = 10_000;

/// Messages that are queued at a time.
const CHUNK: usize = 32;

/// Chunks in a row before other tasks have their turn.
const CHUNKS_IN_A_ROW: u32 = 32;

/// What became of a batch of messages, or of those of a [`ConfirmWindow`](crate::ConfirmWindow) since it
/// was last asked.
#[derive(Clone, Debug, Default)]
#[must_use = "without looking at the outcome a lost message goes unnoticed"]
#[non_exhaustive]
pub struct BatchOutcome {
    /// How many were published.
    pub sent: u64,
    /// How many of these the server has confirmed.
    pub confirmed: u64,
    /// Those that weren't confirmed, by their number, which counts from 0, and why; in the order in which
    /// that became known.
    pub failed: Vec<(u64, PublishError)>,
    /// Why publishing stopped, if it did before the last message: of the batch, message number `sent` and
    /// all behind it weren't sent.
    pub stopped: Option<Error>,
}

impl BatchOutcome {
    /// Whether every message was sent and confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.failed.is_empty() && self.stopped.is_none() && self.confirmed == self.sent
    }

    /// Fails unless every message was sent and confirmed.
    ///
    /// # Errors
    ///
    /// Why publishing stopped, else why the message with the lowest number failed.
    pub fn check(self) -> Result<(), Error> {
        if let Some(error) = self.stopped {
            return Err(error);
        }
        match self.failed.into_iter().min_by_key(|(number, _)| *number) {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// What the message with this number failed with, if it did.
    pub fn failure(&self, number: u64) -> Option<&PublishError> {
        self.failed.iter().find(|(of, _)| *of == number).map(|(_, error)| error)
    }
}

/// A message by itself, not yet bound to a channel: for [`Channel::publish_all`].
///
/// [`Channel::publish_all`]: crate::Channel::publish_all
pub struct OutgoingMessage<'a> {
    method: Result<basic::Publish, Error>,
    properties: Option<Box<basic::Properties>>,
    persistent: bool,
    body: Body<'a>,
}

impl<'a> OutgoingMessage<'a> {
    /// A message with this body to `exchange` with `routing_key`.
    pub fn new(
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body: impl Into<Body<'a>>,
    ) -> Self {
        let method = method(exchange.as_ref(), routing_key.as_ref());
        Self { method, properties: None, persistent: false, body: body.into() }
    }

    /// Sends these properties along.
    pub fn properties(mut self, properties: basic::Properties) -> Self {
        self.properties = Some(Box::new(properties));
        self
    }

    /// As [`Publish::persistent`](crate::Publish::persistent).
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// As [`Publish::mandatory`](crate::Publish::mandatory).
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        if let Ok(method) = &mut self.method {
            method.mandatory = mandatory;
        }
        self
    }
}

impl fmt::Debug for OutgoingMessage<'_> {
    /// Without the body's octets and the properties.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("method", &self.method)
            .field("persistent", &self.persistent)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A message of a batch.
#[derive(Debug)]
struct Entry<'a> {
    head: Head<'a>,
    body: Body<'a>,
}

#[derive(Debug)]
enum Head<'a> {
    Template(&'a Template),
    Own { method: basic::Publish, properties: Option<Box<basic::Properties>>, persistent: bool },
}

impl<'a> Entry<'a> {
    fn of_message<M: Into<OutgoingMessage<'a>>>(
        message: M,
        _: Option<&'a Template>,
    ) -> Result<Self, Error> {
        let OutgoingMessage { method, properties, persistent, body } = message.into();
        Ok(Self { head: Head::Own { method: method?, properties, persistent }, body })
    }

    fn of_body<B: Into<Body<'a>>>(body: B, template: Option<&'a Template>) -> Result<Self, Error> {
        let head = match template {
            Some(template) => Head::Template(template),
            None => {
                let (method, properties) = (basic::Publish::default(), None);
                Head::Own { method, properties, persistent: false }
            }
        };
        Ok(Self { head, body: body.into() })
    }
}

impl Outgoing for Entry<'_> {
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error> {
        match &self.head {
            Head::Template(template) => template.encode(out, number, body_size, None, frame_max),
            Head::Own { method, properties, persistent } => {
                let properties = (properties.as_deref(), *persistent);
                encode_message(out, number, body_size, method, properties, frame_max)
            }
        }
    }

    fn address(&self) -> Option<(ShortStr, ShortStr)> {
        match &self.head {
            Head::Template(template) => template.address(None),
            Head::Own { method, .. } => address(method),
        }
    }

    fn body(&self) -> &Body<'_> {
        &self.body
    }

    fn watch(&self) -> Watch {
        Watch::Confirm
    }
}

/// A batch about to be published: await it, after setting what is to be set.
///
/// It resolves when every message has its outcome. Messages are taken from the iterator as room for them
/// comes. It stops early at one that can't be sent, when the channel closes, and when 10,000 messages have
/// failed ([`Error::WindowFailed`]): [`BatchOutcome::stopped`] tells. Dropped before, what was queued is sent, and nobody learns what becomes of it; the rest isn't.
#[must_use = "messages are published when this is awaited"]
pub struct PublishAll<'a, I: Iterator> {
    channel: &'a Arc<ChannelHandle>,
    messages: I,
    template: Option<&'a Template>,
    convert: fn(I::Item, Option<&'a Template>) -> Result<Entry<'a>, Error>,
    window: usize,
    terms: Terms,
}

impl<'a, I: Iterator> PublishAll<'a, I> {
    pub(crate) fn of_messages(channel: &'a Arc<ChannelHandle>, messages: I) -> Self
    where
        I::Item: Into<OutgoingMessage<'a>>,
    {
        let terms = Terms::default();
        let convert = Entry::of_message::<I::Item>;
        Self { channel, messages, template: None, convert, window: WINDOW, terms }
    }

    pub(super) fn of_bodies(
        channel: &'a Arc<ChannelHandle>,
        template: &'a Template,
        messages: I,
    ) -> Self
    where
        I::Item: Into<Body<'a>>,
    {
        let terms = Terms::default();
        let (template, convert) = (Some(template), Entry::of_body::<I::Item>);
        Self { channel, messages, template, convert, window: WINDOW, terms }
    }

    /// How many messages may be unconfirmed at a time: 4096, unless this says otherwise; at least 1.
    pub fn window(mut self, messages: usize) -> Self {
        self.window = messages;
        self
    }

    /// Stops when a message has waited this long to be published: [`BatchOutcome::stopped`] has
    /// [`Error::PublishTimeout`] then. Without, it waits for as long as that takes.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.terms.publish = Some(timeout);
        self
    }

    /// How long the server may take to confirm each message once it is published, as
    /// [`Publish::confirm_timeout`](crate::Publish::confirm_timeout).
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.terms.confirm = Some(timeout);
        self
    }
}

impl<I: Iterator> fmt::Debug for PublishAll<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishAll")
            .field("window", &self.window)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

impl<'a, I: Iterator + Unpin> IntoFuture for PublishAll<'a, I> {
    type Output = BatchOutcome;
    type IntoFuture = PublishingAll<'a, I>;

    fn into_future(self) -> PublishingAll<'a, I> {
        let tally = self.channel.with(|core| core.open_tally(self.window, FAILURES));
        PublishingAll {
            channel: self.channel,
            messages: self.messages.fuse(),
            template: self.template,
            convert: self.convert,
            terms: self.terms,
            queue: VecDeque::new(),
            tally,
            wait: PublishWait::default(),
            waiter: None,
            stopped: None,
            stage: Stage::Publishing,
        }
    }
}

/// A batch on its way. Dropped, what was queued is sent, and the rest isn't.
#[must_use = "messages are published when this is awaited"]
pub struct PublishingAll<'a, I: Iterator> {
    channel: &'a Arc<ChannelHandle>,
    messages: Fuse<I>,
    template: Option<&'a Template>,
    convert: fn(I::Item, Option<&'a Template>) -> Result<Entry<'a>, Error>,
    terms: Terms,
    /// Taken from the iterator, and not yet published.
    queue: VecDeque<Entry<'a>>,
    tally: TallyKey,
    wait: PublishWait,
    waiter: Option<WaiterKey>,
    stopped: Option<Error>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Publishing,
    Settling,
    Done,
}

impl<I: Iterator> PublishingAll<'_, I> {
    /// Takes messages from the iterator, which is the caller's code: outside of any lock.
    fn refill(&mut self) {
        while self.stopped.is_none() && self.queue.len() < CHUNK {
            let Some(message) = self.messages.next() else { return };
            match (self.convert)(message, self.template) {
                Ok(mut entry) => {
                    entry.body.keep_if_large();
                    self.queue.push_back(entry);
                }
                // Those before it are still to go.
                Err(error) => self.stopped = Some(error),
            }
        }
    }

    /// Publishes what was taken, as far as there is room. Ready when all of it is.
    fn poll_chunk(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Self { channel, queue, tally, terms, wait, .. } = self;
        let now = terms.are_set().then(now);
        let mut sent = 0;
        let result = channel.with(|core| {
            for message in &*queue {
                let message = &Counted { message, tally: *tally };
                match core.poll_publish_by(channel.key, message, (*terms, now), wait, cx) {
                    Poll::Ready(Ok(_)) => sent += 1,
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(None)
        });
        queue.drain(..sent);
        result.map(|error| {
            if error.is_some() {
                self.stopped = error;
                self.queue.clear();
            }
        })
    }
}

impl<I: Iterator + Unpin> Future for PublishingAll<'_, I> {
    type Output = BatchOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchOutcome> {
        let this = &mut *self;
        let mut chunks = 0;
        while this.stage == Stage::Publishing {
            this.refill();
            if this.queue.is_empty() {
                this.stage = Stage::Settling;
                break;
            }
            ready!(this.poll_chunk(cx));
            chunks += 1;
            if chunks == CHUNKS_IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if this.stage == Stage::Done {
            return Poll::Pending;
        }
        let (tally, waiter) = (this.tally, &mut this.waiter);
        let mut outcome = ready!(this.channel.with(|core| core.poll_settled(tally, waiter, cx)));
        this.stage = Stage::Done;
        outcome.stopped = this.stopped.take();
        Poll::Ready(outcome)
    }
}

impl<I: Iterator> fmt::Debug for PublishingAll<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishingAll").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl<I: Iterator> Drop for PublishingAll<'_, I> {
    fn drop(&mut self) {
        let (tally, wait) = (self.tally, &mut self.wait);
        let waiter = self.waiter.take();
        // What it held is let go of outside the connection's lock.
        let _outcome = self.channel.with(|core| {
            core.forget_publish(wait);
            if let Some(waiter) = waiter {
                core.forget_settled(tally, waiter);
            }
            let outcome = core.take_outcome(tally);
            core.release_tally(tally);
            outcome
        });
    }
}
