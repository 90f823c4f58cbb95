//! Publishing one message.

mod batch;
mod body;
mod outcome;
mod publisher;
mod returns;
mod source;
mod window;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

pub use self::batch::{BatchOutcome, OutgoingMessage, PublishAll, PublishingAll};
pub use self::body::Body;
pub use self::outcome::{Confirm, Outcome, PublishError, Returned};
pub use self::publisher::{
    PreparedPublish, PreparedPublishUnconfirmed, Publisher, PublisherBuilder,
};
pub use self::returns::Returns;
pub use self::source::{BodySource, FromReader, FromStream, PublishFrom, PublishingFrom};
pub use self::window::{ConfirmWindow, Flush, WindowPublish};

use crate::core::{Counted, Message, Outgoing, Prepared, PublishWait, Published, TallyKey, Terms};
use crate::error::Error;
use crate::shared::{ChannelHandle, now};

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
    terms: Terms,
}

impl<'a> Publish<'a> {
    pub(crate) fn new(
        channel: &'a Arc<ChannelHandle>,
        exchange: &[u8],
        routing_key: &[u8],
        body: Body<'a>,
        watched: bool,
    ) -> Self {
        let message = method(exchange, routing_key).map(|method| Message {
            method,
            properties: None,
            body,
            persistent: false,
            watched,
        });
        Self { channel, message, terms: Terms::default() }
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

    /// Waits at most this long for room in the connection's pending output, for the server to lift a
    /// block, or for room in a window: then publishing fails with [`Error::PublishTimeout`] and nothing
    /// was sent. Without, it waits for as long as that takes.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.terms.publish = Some(timeout);
        self
    }

    /// How long the server may take to confirm the message once it is published, in place of
    /// [`ConnectOptions::confirm_timeout`](crate::ConnectOptions::confirm_timeout). While the server
    /// blocks publishing this time stands still.
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.terms.confirm = Some(timeout);
        self
    }

    /// Publishes the message by a window: it waits for room there, and the window is told its outcome.
    pub fn within(self, window: &'a ConfirmWindow) -> WindowPublish<'a> {
        WindowPublish::new(window, self.into_future())
    }
}

impl<'a> IntoFuture for Publish<'a> {
    type Output = Result<Confirm, Error>;
    type IntoFuture = Publishing<'a>;

    fn into_future(self) -> Publishing<'a> {
        Publishing::new(self.channel, self.message.map(Kind::Plain), self.terms)
    }
}

/// A message on its way to the pending output. Safe to drop at any time: what isn't ready isn't sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct Publishing<'a> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Kind<'a>, Error>,
    terms: Terms,
    /// Counts its outcome, in place of a confirm.
    tally: Option<TallyKey>,
    wait: PublishWait,
    done: bool,
}

/// How a message comes.
#[derive(Debug)]
enum Kind<'a> {
    Plain(Message<'a>),
    Prepared(Prepared<'a>),
}

impl<'a> Publishing<'a> {
    fn new(
        channel: &'a Arc<ChannelHandle>,
        message: Result<Kind<'a>, Error>,
        terms: Terms,
    ) -> Self {
        let wait = PublishWait::default();
        Self { channel, message, terms, tally: None, wait, done: false }
    }
}

impl Publishing<'_> {
    fn poll_publish(&mut self, cx: &Context<'_>) -> Poll<Result<Published, Error>> {
        if self.done {
            // Polling again after the end must not publish again.
            return Poll::Pending;
        }
        let Self { channel, terms, wait, .. } = self;
        let terms = *terms;
        let result = match (&mut self.message, self.tally) {
            // Large bodies are copied before the connection's lock is taken.
            (Ok(Kind::Plain(message)), None) => {
                message.body.keep_if_large();
                poll(channel, message, terms, wait, cx)
            }
            (Ok(Kind::Plain(message)), Some(tally)) => {
                message.body.keep_if_large();
                poll(channel, &Counted { message, tally }, terms, wait, cx)
            }
            (Ok(Kind::Prepared(message)), None) => {
                message.body.keep_if_large();
                poll(channel, message, terms, wait, cx)
            }
            (Ok(Kind::Prepared(message)), Some(tally)) => {
                message.body.keep_if_large();
                poll(channel, &Counted { message, tally }, terms, wait, cx)
            }
            (Err(error), _) => Poll::Ready(Err(error.clone())),
        };
        self.done = result.is_ready();
        result
    }
}

/// Publishes or waits.
#[inline]
fn poll(
    channel: &ChannelHandle,
    message: &impl Outgoing,
    terms: Terms,
    wait: &mut PublishWait,
    cx: &Context<'_>,
) -> Poll<Result<Published, Error>> {
    let now = terms.are_set().then(now);
    channel.with(|core| core.poll_publish_by(channel.key, message, (terms, now), wait, cx))
}

impl Future for Publishing<'_> {
    type Output = Result<Confirm, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_publish(cx).map_ok(|published| {
            let place = match published {
                Published::Confirm(place) => Some(place),
                Published::Unwatched | Published::Counted(_) => None,
            };
            Confirm::new(self.channel, place)
        })
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if self.wait.is_waiting() {
            self.channel.with(|core| core.forget_publish(&mut self.wait));
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

impl PublishUnconfirmed<'_> {
    /// Asks the server to return the message if it reaches no queue:
    /// [`Channel::returns`](crate::Channel::returns) has it then.
    pub fn mandatory(self, mandatory: bool) -> Self {
        Self(self.0.mandatory(mandatory))
    }

    /// As [`Publish::publish_timeout`].
    pub fn publish_timeout(self, timeout: Duration) -> Self {
        Self(self.0.publish_timeout(timeout))
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
        self.0.poll_publish(cx).map_ok(|_| ())
    }
}

/// The method of a message that is published there, without flags.
fn method(exchange: &[u8], routing_key: &[u8]) -> Result<basic::Publish, Error> {
    let exchange = argument("exchange", exchange)?;
    let routing_key = argument("routing_key", routing_key)?;
    Ok(basic::Publish { exchange, routing_key, mandatory: false, immediate: false })
}

/// A short string argument; what is wrong with it is told when the method is awaited.
pub(crate) fn argument(name: &'static str, octets: &[u8]) -> Result<ShortStr, Error> {
    ShortStr::new(octets).map_err(|source| Error::Argument { argument: name, source })
}
