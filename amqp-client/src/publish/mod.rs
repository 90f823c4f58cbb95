//! Publishing one message.

mod body;
mod outcome;
mod publisher;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

pub use self::body::Body;
pub use self::outcome::{Confirm, Outcome, PublishError, Returned};
pub use self::publisher::{
    PreparedPublish, PreparedPublishUnconfirmed, Publisher, PublisherBuilder,
};

use crate::core::{ConfirmKey, Message, Prepared, WaiterKey};
use crate::error::Error;
use crate::shared::ChannelHandle;

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
        Publishing::new(self.channel, self.message.map(Kind::Plain))
    }
}

/// A message on its way to the pending output. Safe to drop at any time: what isn't ready isn't sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct Publishing<'a> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Kind<'a>, Error>,
    waiter: Option<WaiterKey>,
    done: bool,
}

/// How a message comes.
#[derive(Debug)]
enum Kind<'a> {
    Plain(Message<'a>),
    Prepared(Prepared<'a>),
}

impl<'a> Publishing<'a> {
    fn new(channel: &'a Arc<ChannelHandle>, message: Result<Kind<'a>, Error>) -> Self {
        Self { channel, message, waiter: None, done: false }
    }
}

impl Publishing<'_> {
    fn poll_place(&mut self, cx: &Context<'_>) -> Poll<Result<Option<ConfirmKey>, Error>> {
        if self.done {
            // Polling again after the end must not publish again.
            return Poll::Pending;
        }
        let result = match &mut self.message {
            Ok(kind) => {
                let (channel, waiter) = (self.channel, &mut self.waiter);
                match kind {
                    Kind::Plain(message) => {
                        // Copied before the connection's lock is taken.
                        message.body.keep_if_large();
                        channel.with(|core| core.poll_publish(channel.key, message, waiter, cx))
                    }
                    Kind::Prepared(message) => {
                        message.body.keep_if_large();
                        channel.with(|core| core.poll_publish(channel.key, message, waiter, cx))
                    }
                }
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
        self.poll_place(cx).map_ok(|place| Confirm::new(self.channel, place))
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

/// A short string argument; what is wrong with it is told when the method is awaited.
pub(crate) fn argument(name: &'static str, octets: &[u8]) -> Result<ShortStr, Error> {
    ShortStr::new(octets).map_err(|source| Error::Argument { argument: name, source })
}
