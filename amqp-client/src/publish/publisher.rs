//! Publishing many messages of one kind: what they have in common is encoded once.

use std::future::IntoFuture;
use std::sync::Arc;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;

use super::{Body, Kind, Publishing, PublishingUnconfirmed, argument};
use crate::channel::Channel;
use crate::core::{Prepared, Template, Watch};
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
        let method = argument("exchange", exchange).and_then(|exchange| {
            let routing_key = argument("routing_key", routing_key)?;
            Ok(basic::Publish { exchange, routing_key, mandatory: false, immediate: false })
        });
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
        PreparedPublish { publisher: self, routing_key: None, body: body.into() }
    }

    /// Publishes `body` without a way to learn what becomes of it: for messages that may be lost.
    pub fn publish_unconfirmed<'a>(
        &'a self,
        body: impl Into<Body<'a>>,
    ) -> PreparedPublishUnconfirmed<'a> {
        PreparedPublishUnconfirmed(self.publish(body))
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
}

impl<'a> PreparedPublish<'a> {
    /// Takes this routing key in place of the publisher's.
    pub fn routing_key(mut self, routing_key: impl AsRef<[u8]>) -> Self {
        self.routing_key = Some(argument("routing_key", routing_key.as_ref()));
        self
    }

    #[inline]
    fn publishing(self, watch: Watch) -> Publishing<'a> {
        let Self { publisher: Publisher { channel, template }, routing_key, body } = self;
        let message = routing_key
            .transpose()
            .map(|routing_key| Kind::Prepared(Prepared { template, routing_key, body, watch }));
        Publishing::new(channel, message)
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
}

impl<'a> IntoFuture for PreparedPublishUnconfirmed<'a> {
    type Output = Result<(), Error>;
    type IntoFuture = PublishingUnconfirmed<'a>;

    fn into_future(self) -> PublishingUnconfirmed<'a> {
        PublishingUnconfirmed(self.0.publishing(Watch::Nobody))
    }
}
