//! A message as its handler gets it: without the means to settle it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use amqp091::content::RawProperties;
use amqp091::protocol::basic;
use amqp091::types::{PropertiesError, ShortStr};
use bytes::Bytes;

use crate::channel::Channel;
use crate::source::Source;
use crate::text::{self, TextError};

/// A message that somebody else settles, or that needs no settling.
///
/// [`Consumer::for_each_concurrent`](crate::Consumer::for_each_concurrent) gives it to handlers, and
/// RPC clients as a reply. Clones share the body, and keep the channel open as it does.
#[derive(Clone)]
pub struct Message {
    /// The exchange that it was published to; empty for the default exchange.
    pub exchange: ShortStr,
    /// The routing key that it was published with.
    pub routing_key: ShortStr,
    /// Whether the server has delivered it before.
    pub redelivered: bool,
    /// The body. One of more than 16 KiB may be a slice of a read buffer of up to 256 KiB, which it
    /// keeps alive: copy what is kept for long.
    pub body: Bytes,
    pub(crate) properties: RawProperties,
    pub(crate) source: Arc<Source>,
    pub(crate) delivery_tag: u64,
}

impl Message {
    /// Its properties.
    ///
    /// # Errors
    ///
    /// [`PropertiesError`] when they don't decode: a mistake of their publisher's.
    pub fn properties(&self) -> Result<basic::Properties, PropertiesError> {
        self.properties.decode()
    }

    /// Its properties as they came.
    pub const fn raw_properties(&self) -> &RawProperties {
        &self.properties
    }

    /// Its body as text, as [`Delivery::text`](crate::Delivery::text).
    ///
    /// # Errors
    ///
    /// As [`Delivery::text`](crate::Delivery::text).
    pub fn text(&self) -> Result<Cow<'_, str>, TextError> {
        text::text(&self.properties, &self.body)
    }

    /// Its delivery's number on the channel.
    pub const fn delivery_tag(&self) -> u64 {
        self.delivery_tag
    }

    /// The tag of the consumer that it came for; empty if [`Channel::get`] has brought it.
    pub fn consumer_tag(&self) -> &ShortStr {
        &self.source.tag
    }

    /// The queue that it came from, as the program named it to consume or get from it.
    pub fn queue(&self) -> &ShortStr {
        &self.source.queue
    }

    /// The channel that it came by.
    pub fn channel(&self) -> Channel {
        Channel::new(Arc::clone(&self.source.channel))
    }
}

impl fmt::Debug for Message {
    /// Without the body's octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("delivery_tag", &self.delivery_tag)
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("redelivered", &self.redelivered)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
