//! Publishing many messages of one kind: what they have in common is encoded once.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::{
    Body, ConfirmWindow, Kind, PublishAll, Publishing, PublishingUnconfirmed, WindowPublish,
    argument, method,
};
use crate::channel::Channel;
use crate::core::{Prepared, Template, Terms, Watch};
use crate::error::Error;
use crate::shared::ChannelHandle;

/// A [`Publisher`] about to be built.
#[derive(Debug)]
#[must_use = "a publisher is there when `build` is called"]
pub struct PublisherBuilder<'a> {
    channel: &'a Arc<ChannelHandle>,
    method: Result<basic::Publish, Error>,
    properties: Option<&'a basic::Properties>,
    persistent: bool,
}

impl<'a> PublisherBuilder<'a> {
    pub(crate) fn new(
        channel: &'a Arc<ChannelHandle>,
        exchange: &[u8],
        routing_key: &[u8],
    ) -> Self {
        let method = method(exchange, routing_key);
        Self { channel, method, properties: None, persistent: false }
    }

    /// Sends these properties along with every message.
    pub fn properties(mut self, properties: &'a basic::Properties) -> Self {
        self.properties = Some(properties);
        self
    }

    /// Asks the server to keep the messages over a restart, in queues that are durable themselves:
    /// delivery mode 2, whatever the properties say.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Asks the server to return each message that reaches no queue, as
    /// [`Publish::mandatory`](super::Publish::mandatory) does.
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        if let Ok(method) = &mut self.method {
            method.mandatory = mandatory;
        }
        self
    }

    /// Encodes what was set. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a name that is too long, [`Error::Encode`] for a property that has no
    /// encoding.
    pub fn build(self) -> Result<Publisher, Error> {
        let template = Template::new(&self.method?, self.properties, self.persistent)?;
        Ok(Publisher { channel: Arc::clone(self.channel), template: Arc::new(template) })
    }
}

/// Publishes messages of one kind on one channel: the cheapest way for many.
///
/// Clones are cheap and publish on the same channel, for as many tasks as you like. Made by
/// [`Channel::publisher`].
#[derive(Clone, Debug)]
pub struct Publisher {
    channel: Arc<ChannelHandle>,
    template: Arc<Template>,
}

impl Publisher {
    /// Publishes `body`, as [`Channel::publish`] does.
    pub fn publish<'a>(&'a self, body: impl Into<Body<'a>>) -> PreparedPublish<'a> {
        let (routing_key, body, terms) = (None, body.into(), Terms::default());
        PreparedPublish { publisher: self, routing_key, body, terms }
    }

    /// Publishes `body` without a way to learn what becomes of it: for messages that may be lost.
    pub fn publish_unconfirmed<'a>(
        &'a self,
        body: impl Into<Body<'a>>,
    ) -> PreparedPublishUnconfirmed<'a> {
        PreparedPublishUnconfirmed(self.publish(body))
    }

    /// Publishes all these bodies and waits for all outcomes, as
    /// [`Channel::publish_all`] does.
    ///
    /// ```no_run
    /// # async fn example(publisher: amqp091_client::Publisher) -> Result<(), amqp091_client::Error> {
    /// publisher.publish_all((0..1000).map(|n| format!("message {n}"))).await.check()?;
    /// # Ok(()) }
    /// ```
    pub fn publish_all<'a, I>(&'a self, bodies: I) -> PublishAll<'a, I::IntoIter>
    where
        I: IntoIterator,
        I::Item: Into<Body<'a>>,
    {
        PublishAll::of_bodies(&self.channel, &self.template, bodies.into_iter())
    }

    /// The channel that it publishes on.
    pub fn channel(&self) -> Channel {
        Channel::new(Arc::clone(&self.channel))
    }
}

/// A message of a [`Publisher`] about to be published: await it, as a
/// [`Publish`](super::Publish).
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct PreparedPublish<'a> {
    publisher: &'a Publisher,
    routing_key: Option<Result<ShortStr, Error>>,
    body: Body<'a>,
    terms: Terms,
}

impl<'a> PreparedPublish<'a> {
    /// Takes this routing key in place of the publisher's.
    pub fn routing_key(mut self, routing_key: impl AsRef<[u8]>) -> Self {
        self.routing_key = Some(argument("routing_key", routing_key.as_ref()));
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

    #[inline]
    fn publishing(self, watch: Watch) -> Publishing<'a> {
        let Self { publisher: Publisher { channel, template }, routing_key, body, terms } = self;
        let message = routing_key
            .transpose()
            .map(|routing_key| Kind::Prepared(Prepared { template, routing_key, body, watch }));
        Publishing::new(channel, message, terms)
    }
}

impl<'a> IntoFuture for PreparedPublish<'a> {
    type Output = <Publishing<'a> as Future>::Output;
    type IntoFuture = Publishing<'a>;

    fn into_future(self) -> Publishing<'a> {
        self.publishing(Watch::Confirm)
    }
}

/// A message of a [`Publisher`] about to be published, whose outcome nobody wants to know: await it, as a
/// [`PublishUnconfirmed`](super::PublishUnconfirmed).
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct PreparedPublishUnconfirmed<'a>(PreparedPublish<'a>);

impl PreparedPublishUnconfirmed<'_> {
    /// Takes this routing key in place of the publisher's.
    pub fn routing_key(self, routing_key: impl AsRef<[u8]>) -> Self {
        Self(self.0.routing_key(routing_key))
    }

    /// As [`PreparedPublish::publish_timeout`].
    pub fn publish_timeout(self, timeout: Duration) -> Self {
        Self(self.0.publish_timeout(timeout))
    }
}

impl<'a> IntoFuture for PreparedPublishUnconfirmed<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = PublishingUnconfirmed<'a>;

    fn into_future(self) -> PublishingUnconfirmed<'a> {
        PublishingUnconfirmed(self.0.publishing(Watch::Nobody))
    }
}
