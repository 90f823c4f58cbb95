//! What became of each published message.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amqp091::content::{Content, RawProperties};
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{PropertiesError, ShortStr};
use bytes::Bytes;
use thiserror::Error;

use crate::core::ConfirmKey;
use crate::error::Error;
use crate::shared::ChannelHandle;
use crate::text::{self, TextError};

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
    pub(super) fn new(channel: &Arc<ChannelHandle>, place: Option<ConfirmKey>) -> Self {
        Self { channel: Arc::clone(channel), place }
    }

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
        self.await.into_error().map_or(Ok(()), Err)
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

/// What became of a published message. There are no other cases, and there will be none: the protocol has
/// these.
///
/// ```no_run
/// use amqp091_client::{Channel, Outcome};
///
/// # async fn example(channel: Channel) -> Result<(), amqp091_client::Error> {
/// match channel.publish("", "work", "task").mandatory(true).await?.await {
///     Outcome::Confirmed => println!("the server has it"),
///     Outcome::Returned(returned) => println!("no queue for {:?}", returned.body),
///     Outcome::Nacked => println!("not now"),
///     Outcome::Unknown(error) => println!("nobody knows: {error}"),
/// }
/// # Ok(()) }
/// ```
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

    /// What stands against the message being confirmed.
    pub fn into_error(self) -> Option<PublishError> {
        match self {
            Self::Confirmed => None,
            Self::Returned(returned) => Some(PublishError::Returned(returned)),
            Self::Nacked => Some(PublishError::Nacked),
            Self::Unknown(cause) => Some(PublishError::Unknown(cause)),
        }
    }
}

/// A published message wasn't confirmed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
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

    /// Its body as text, as [`Delivery::text`](crate::Delivery::text).
    ///
    /// # Errors
    ///
    /// As [`Delivery::text`](crate::Delivery::text).
    pub fn text(&self) -> Result<Cow<'_, str>, TextError> {
        text::text(&self.properties, &self.body)
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
