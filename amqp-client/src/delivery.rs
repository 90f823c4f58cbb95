//! Messages from the server, and their acknowledgement.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use amqp091::content::RawProperties;
use amqp091::protocol::basic;
use amqp091::types::{Method, PropertiesError, ShortStr};
use bytes::Bytes;

use crate::channel::Channel;
use crate::core::Incoming;
use crate::error::Error;
use crate::message::Message;
use crate::source::Source;
use crate::text::{self, TextError};

/// A message from a queue, to be settled with [`ack`](Self::ack), [`nack`](Self::nack) or
/// [`reject`](Self::reject) unless it was consumed with `no_ack`.
///
/// Settling takes the delivery, so that none can be settled twice (the server would close the channel).
/// It needs no await: the few octets go to the pending output. A delivery that is dropped unsettled
/// stays with this consumer until its channel closes; then the server delivers it again.
#[must_use = "a delivery that isn't settled is held back by the server until the channel closes"]
pub struct Delivery {
    /// The exchange that the message was published to; empty for the default exchange.
    pub exchange: ShortStr,
    /// The routing key that it was published with.
    pub routing_key: ShortStr,
    /// Whether the server has delivered it before.
    pub redelivered: bool,
    /// The body. One of more than 16 KiB may be a slice of a read buffer of up to 256 KiB, which it
    /// keeps alive: copy what is kept for long.
    pub body: Bytes,
    properties: RawProperties,
    acker: Acker,
}

impl Delivery {
    pub(crate) fn new(incoming: Incoming, source: Arc<Source>) -> Self {
        let Incoming { delivery_tag, epoch, redelivered, exchange, routing_key, content } =
            incoming;
        let acker = Acker { source, delivery_tag, epoch };
        let (properties, body) = (content.properties, content.body);
        Self { exchange, routing_key, redelivered, body, properties, acker }
    }

    /// The message's properties.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`] when they don't decode: a mistake of their publisher's. The delivery can
    /// still be settled.
    pub fn properties(&self) -> Result<basic::Properties, PropertiesError> {
        self.properties.decode()
    }

    /// The message's properties as they came.
    pub const fn raw_properties(&self) -> &RawProperties {
        &self.properties
    }

    /// The body as text, in the character set that the content-encoding property names, as Python's
    /// clients use it (`utf-8`, `ascii`, `iso-8859-1`, `utf-16`, `utf-32`, and what else they are called);
    /// UTF-8 if there is none. What is UTF-8 isn't copied.
    ///
    /// # Errors
    ///
    /// [`TextError`]: the content-encoding names something else, or the body isn't what it says.
    pub fn text(&self) -> Result<Cow<'_, str>, TextError> {
        text::text(&self.properties, &self.body)
    }

    /// The delivery's number on its channel.
    pub const fn delivery_tag(&self) -> u64 {
        self.acker.delivery_tag
    }

    /// The tag of the consumer that it came for; empty if [`Channel::get`] has brought it.
    pub fn consumer_tag(&self) -> &ShortStr {
        &self.acker.source.tag
    }

    /// The queue that it came from, as the program named it to consume or get from it.
    pub fn queue(&self) -> &ShortStr {
        &self.acker.source.queue
    }

    /// The channel that it came by: to publish a reply, say.
    pub fn channel(&self) -> Channel {
        self.acker.channel()
    }

    /// Acknowledges the message: the server forgets it.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelClosed`] or [`Error::ConnectionClosed`], or [`Error::StaleDelivery`] when the
    /// channel was [opened again](Channel::reopen) since: then the server delivers it again.
    pub fn ack(self) -> Result<(), Error> {
        self.acker.ack()
    }

    /// Acknowledges this message and every one delivered on this channel before it, those of other
    /// consumers and those that nobody has fetched yet included. Settling one of them again does
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn ack_multiple(self) -> Result<(), Error> {
        self.acker.ack_multiple()
    }

    /// Refuses the message: back to its queue with `requeue`, else dropped or dead-lettered. RabbitMQ's
    /// streams have nothing of the kind: for a message of theirs it closes the connection with 540
    /// NOT_IMPLEMENTED.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn nack(self, requeue: bool) -> Result<(), Error> {
        self.acker.nack(requeue)
    }

    /// Refuses this message and every one delivered on this channel before it that isn't settled, as
    /// [`ack_multiple`](Self::ack_multiple) acknowledges them.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn nack_multiple(self, requeue: bool) -> Result<(), Error> {
        self.acker.nack_multiple(requeue)
    }

    /// As [`nack`](Self::nack), in the specification's own method rather than RabbitMQ's.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn reject(self, requeue: bool) -> Result<(), Error> {
        self.acker.reject(requeue)
    }

    /// Takes the message and leaves the means to settle the delivery later, somewhere else.
    pub fn into_message(self) -> (Message, Acker) {
        let Self { exchange, routing_key, redelivered, body, properties, acker } = self;
        let (source, delivery_tag) = (Arc::clone(&acker.source), acker.delivery_tag);
        let message =
            Message { exchange, routing_key, redelivered, body, properties, source, delivery_tag };
        (message, acker)
    }

    /// Takes the body and leaves the means to settle the delivery later, somewhere else.
    pub fn into_parts(self) -> (Bytes, Acker) {
        (self.body, self.acker)
    }
}

impl fmt::Debug for Delivery {
    /// Without the body's octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("delivery_tag", &self.acker.delivery_tag)
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("redelivered", &self.redelivered)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The means to settle one delivery.
///
/// It belongs to the channel instance that delivered: after that is closed it gives an error, and
/// never touches a message of another channel.
#[derive(Debug)]
#[must_use = "a delivery that isn't settled is held back by the server until the channel closes"]
pub struct Acker {
    source: Arc<Source>,
    delivery_tag: u64,
    /// Which instance of the channel delivered.
    epoch: u32,
}

impl Acker {
    /// As [`Delivery::channel`].
    pub fn channel(&self) -> Channel {
        Channel::new(Arc::clone(&self.source.channel))
    }

    /// As [`Delivery::delivery_tag`].
    pub const fn delivery_tag(&self) -> u64 {
        self.delivery_tag
    }

    /// As [`Delivery::ack`].
    ///
    /// # Errors
    ///
    /// As [`Delivery::ack`].
    pub fn ack(self) -> Result<(), Error> {
        self.settle(false, &basic::Ack { delivery_tag: self.delivery_tag, multiple: false })
    }

    /// As [`Delivery::ack_multiple`].
    ///
    /// # Errors
    ///
    /// As [`Delivery::ack`].
    pub fn ack_multiple(self) -> Result<(), Error> {
        self.settle(true, &basic::Ack { delivery_tag: self.delivery_tag, multiple: true })
    }

    /// As [`Delivery::nack`].
    ///
    /// # Errors
    ///
    /// As [`Delivery::ack`].
    pub fn nack(self, requeue: bool) -> Result<(), Error> {
        let delivery_tag = self.delivery_tag;
        self.settle(false, &basic::Nack { delivery_tag, multiple: false, requeue })
    }

    /// As [`Delivery::nack_multiple`].
    ///
    /// # Errors
    ///
    /// As [`Delivery::ack`].
    pub fn nack_multiple(self, requeue: bool) -> Result<(), Error> {
        let delivery_tag = self.delivery_tag;
        self.settle(true, &basic::Nack { delivery_tag, multiple: true, requeue })
    }

    /// As [`Delivery::reject`].
    ///
    /// # Errors
    ///
    /// As [`Delivery::ack`].
    pub fn reject(self, requeue: bool) -> Result<(), Error> {
        self.settle(false, &basic::Reject { delivery_tag: self.delivery_tag, requeue })
    }

    /// What was consumed with `no_ack` is settled already: the server would take offence.
    fn settle<M: Method>(&self, multiple: bool, method: &M) -> Result<(), Error> {
        let Self { source, delivery_tag, epoch } = self;
        if source.no_ack {
            return Ok(());
        }
        let channel = &source.channel;
        channel.with(|core| core.settle(channel.key, (*epoch, *delivery_tag), multiple, method))
    }
}
