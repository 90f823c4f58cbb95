//! Publishing, and what became of each message.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amqp091::content::{Content, RawProperties};
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{PropertiesError, ShortStr};
use bytes::Bytes;
use thiserror::Error;

use crate::core::{ConfirmKey, Message, WaiterKey};
use crate::error::Error;
use crate::shared::ChannelHandle;

/// A message's body, lent or given: what is lent is copied when it is published, large bodies that are
/// given are not.
#[derive(Clone)]
pub enum Body<'a> {
    /// Octets that the caller keeps.
    Borrowed(&'a [u8]),
    /// Octets that are shared or given away.
    Owned(Bytes),
}

impl Body<'_> {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Owned(octets) => octets,
        }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} octets)", self.as_bytes().len())
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Borrowed(octets)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Borrowed(octets)
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Body<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self::Borrowed(octets)
    }
}

impl From<Bytes> for Body<'_> {
    fn from(octets: Bytes) -> Self {
        Self::Owned(octets)
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self::Owned(octets.into())
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into())
    }
}

/// A message about to be published: await it, after setting what is to be set.
///
/// Awaiting puts the message into the connection's pending output, whole, and returns a [`Confirm`]
/// for what becomes of it. It waits only while that output is full or the server has blocked
/// publishing (`connection.blocked`). Dropped before it is ready, nothing is sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct Publish<'a> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Message<'a>, Error>,
}

impl<'a> Publish<'a> {
    pub(crate) fn new(
        channel: &'a Arc<ChannelHandle>,
        exchange: &[u8],
        routing_key: &[u8],
        body: Body<'a>,
        watched: bool,
    ) -> Self {
        let message = argument("exchange", exchange).and_then(|exchange| {
            let routing_key = argument("routing_key", routing_key)?;
            let method =
                basic::Publish { exchange, routing_key, mandatory: false, immediate: false };
            Ok(Message { method, properties: None, body, persistent: false, watched })
        });
        Self { channel, message }
    }

    /// Sends these properties along; they are lent, so one set can serve many messages.
    pub fn properties(mut self, properties: &'a basic::Properties) -> Self {
        if let Ok(message) = &mut self.message {
            message.properties = Some(properties);
        }
        self
    }

    /// Asks the server to keep the message over a restart, in queues that are durable themselves:
    /// delivery mode 2, whatever the properties say.
    pub fn persistent(mut self, persistent: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.persistent = persistent;
        }
        self
    }

    /// Asks the server to return the message if it reaches no queue: [`Outcome::Returned`]. Else it
    /// is dropped and confirmed.
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.method.mandatory = mandatory;
        }
        self
    }

    /// Asks the server to return the message unless a consumer can have it at once. RabbitMQ knows no
    /// such thing since 3.0: it closes the connection with 540 NOT_IMPLEMENTED.
    pub fn immediate(mut self, immediate: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.method.immediate = immediate;
        }
        self
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Confirm, Error>;
    type IntoFuture = Publishing<'a>;

    fn into_future(self) -> Publishing<'a> {
        Publishing { channel: self.channel, message: self.message, waiter: None, done: false }
    }
}

/// A message on its way to the pending output. Safe to drop at any time: what isn't ready isn't sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct Publishing<'a> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Message<'a>, Error>,
    waiter: Option<WaiterKey>,
    done: bool,
}

impl Publishing<'_> {
    fn poll_place(&mut self, cx: &Context<'_>) -> Poll<Result<Option<ConfirmKey>, Error>> {
        if self.done {
            // Polling again after the end must not publish again.
            return Poll::Pending;
        }
        let result = match &mut self.message {
            Ok(message) => {
                // Copied before the connection's lock is taken.
                message.body.keep_if_large();
                let (key, waiter) = (self.channel.key, &mut self.waiter);
                self.channel.with(|core| core.poll_publish(key, message, waiter, cx))
            }
            Err(error) => Poll::Ready(Err(error.clone())),
        };
        self.done = result.is_ready();
        result
    }
}

impl Future for Publishing<'_> {
    type Output = Result<Confirm, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_place(cx).map_ok(|place| Confirm { channel: Arc::clone(self.channel), place })
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.channel.with(|core| core.forget_publisher(waiter));
        }
    }
}

/// A message about to be published whose outcome nobody wants to know: await it. On a channel that
/// publishes nothing else, the server isn't even asked for confirms.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct PublishUnconfirmed<'a>(pub(crate) Publish<'a>);

impl<'a> PublishUnconfirmed<'a> {
    /// Sends these properties along; they are lent, so one set can serve many messages.
    pub fn properties(self, properties: &'a basic::Properties) -> Self {
        Self(self.0.properties(properties))
    }

    /// Asks the server to keep the message over a restart, in queues that are durable themselves:
    /// delivery mode 2, whatever the properties say.
    pub fn persistent(self, persistent: bool) -> Self {
        Self(self.0.persistent(persistent))
    }
}

impl<'a> IntoFuture for PublishUnconfirmed<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = PublishingUnconfirmed<'a>;

    fn into_future(self) -> PublishingUnconfirmed<'a> {
        PublishingUnconfirmed(self.0.into_future())
    }
}

/// A message on its way to the pending output. Safe to drop at any time: what isn't ready isn't sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct PublishingUnconfirmed<'a>(Publishing<'a>);

impl Future for PublishingUnconfirmed<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_place(cx).map_ok(|_| ())
    }
}

/// The outcome of one published message, still to come: await it.
///
/// It always comes: with the server's confirm, with the end of the channel or connection, or when
/// [`ConnectOptions::confirm_timeout`](crate::ConnectOptions::confirm_timeout) is over. Dropping it
/// changes nothing for the message.
#[derive(Debug)]
#[must_use = "without looking at the outcome a lost message goes unnoticed"]
pub struct Confirm {
    channel: Arc<ChannelHandle>,
    place: Option<ConfirmKey>,
}

impl Confirm {
    /// The message's number on its channel, counted from 1: the delivery tag of its confirm.
    pub fn delivery_tag(&self) -> u64 {
        self.place.map_or(0, |place| place.delivery_tag)
    }

    /// Waits for the outcome, where anything but [`Outcome::Confirmed`] is an error.
    ///
    /// # Errors
    ///
    /// [`PublishError`] says what became of the message instead.
    pub async fn confirmed(self) -> Result<(), PublishError> {
        match self.await {
            Outcome::Confirmed => Ok(()),
            Outcome::Returned(returned) => Err(PublishError::Returned(returned)),
            Outcome::Nacked => Err(PublishError::Nacked),
            Outcome::Unknown(cause) => Err(PublishError::Unknown(cause)),
        }
    }
}

impl Future for Confirm {
    type Output = Outcome;

    /// Safe to drop at any time. Polled again after it was ready, it stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(place) = self.place else { return Poll::Pending };
        let outcome = self.channel.with(|core| core.poll_confirm(self.channel.key, place, cx));
        if outcome.is_ready() {
            self.place = None;
        }
        outcome
    }
}

impl Drop for Confirm {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.channel.with(|core| core.forget_confirm(self.channel.key, place));
        }
    }
}

/// What became of a published message.
#[derive(Clone, Debug)]
#[must_use = "without looking at the outcome a lost message goes unnoticed"]
pub enum Outcome {
    /// The server has taken responsibility for it.
    Confirmed,
    /// It was mandatory and reached no queue: here it is again.
    Returned(Box<Returned>),
    /// The server couldn't take it, as when a queue is full or lost its leader; publishing again may
    /// help.
    Nacked,
    /// Nobody knows: the channel or connection ended, or the confirm is overdue. The server may have
    /// it or not; publishing again may make it two.
    Unknown(Error),
}

impl Outcome {
    /// Whether the server has the message.
    pub const fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed)
    }
}

/// A published message wasn't confirmed.
#[derive(Clone, Debug, Error)]
pub enum PublishError {
    /// It was mandatory and reached no queue.
    #[error("message returned: {0}")]
    Returned(Box<Returned>),
    /// The server couldn't take it.
    #[error("message refused by the server (nack)")]
    Nacked,
    /// Nobody knows whether the server has it.
    #[error("message's outcome unknown: {0}")]
    Unknown(Error),
}

/// A mandatory message that came back.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Returned {
    /// Why: mostly 312 NO_ROUTE.
    pub reply_code: ReplyCode,
    /// The server's words.
    pub reply_text: ShortStr,
    /// The exchange that it was published to.
    pub exchange: ShortStr,
    /// The routing key that it was published with.
    pub routing_key: ShortStr,
    /// Its body.
    pub body: Bytes,
    properties: RawProperties,
}

impl Returned {
    pub(crate) fn new(method: basic::Return, content: Content) -> Self {
        let basic::Return { reply_code, reply_text, exchange, routing_key } = method;
        let Content { properties, body } = content;
        Self { reply_code, reply_text, exchange, routing_key, body, properties }
    }

    /// Its properties.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`] when they don't decode.
    pub fn properties(&self) -> Result<basic::Properties, PropertiesError> {
        self.properties.decode()
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reply_code, reply_text, exchange, routing_key, .. } = self;
        write!(
            f,
            "{reply_code} \"{}\" (exchange \"{}\", routing key \"{}\")",
            reply_text.printable(),
            exchange.printable(),
            routing_key.printable()
        )
    }
}

/// A short string argument; what is wrong with it is told when the method is awaited.
pub(crate) fn argument(name: &'static str, octets: &[u8]) -> Result<ShortStr, Error> {
    ShortStr::new(octets).map_err(|source| Error::Argument { argument: name, source })
}
