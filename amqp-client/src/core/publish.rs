//! Publishing: a message goes to the pending output whole or not at all, and gets its confirm tag in
//! the same step.

use std::task::{Context, Poll};

use amqp091::encode;
use amqp091::protocol::{basic, confirm};
use amqp091::types::ShortStr;
use bytes::{Bytes, BytesMut};

use super::confirms::{Confirms, Fingerprint};
use super::output::{LARGE_BODY, check_frame};
use super::{ChannelKey, ConfirmKey, Core, WaiterKey};
use crate::error::Error;
use crate::publish::{Body, Outcome};

/// The delivery mode of a message that survives a restart of the server in a durable queue.
const PERSISTENT: u8 = 2;

/// Who learns what becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    /// Nobody: the channel need not be in confirm mode.
    Nobody,
    /// Whoever holds its [`ConfirmKey`].
    Confirm,
}

/// Something to publish, as its caller holds it.
pub(crate) trait Outgoing {
    /// Appends all but the body.
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error>;

    /// Exchange and routing key of a message that may come back.
    fn address(&self) -> Option<(ShortStr, ShortStr)>;

    fn body(&self) -> &Body<'_>;

    fn watch(&self) -> Watch;
}

/// A message whose parts are encoded as it is published.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) method: basic::Publish,
    pub(crate) properties: Option<&'a basic::Properties>,
    pub(crate) body: Body<'a>,
    /// Whether its delivery mode is "persistent", whatever the properties say.
    pub(crate) persistent: bool,
    /// Whether somebody waits for the outcome; else the channel need not be in confirm mode.
    pub(crate) watched: bool,
}

impl Outgoing for Message<'_> {
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error> {
        encode::method(out, number, &self.method)?;
        let begin = out.len();
        encode_header(out, number, body_size, self.properties, self.persistent)?;
        check_frame("the message's properties", out.len() - begin, frame_max)
    }

    fn address(&self) -> Option<(ShortStr, ShortStr)> {
        let basic::Publish { exchange, routing_key, mandatory, immediate } = &self.method;
        (*mandatory || *immediate).then(|| (exchange.clone(), routing_key.clone()))
    }

    fn body(&self) -> &Body<'_> {
        &self.body
    }

    fn watch(&self) -> Watch {
        if self.watched { Watch::Confirm } else { Watch::Nobody }
    }
}

impl Core {
    /// Publishes `message`, or waits: for room, or for the server to lift a block.
    pub(crate) fn poll_publish(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<ConfirmKey>, Error>> {
        match self.publish(key, message) {
            Ok(Some(published)) => Poll::Ready(Ok(published)),
            Ok(None) => {
                self.publishers.wait(waiter, cx.waker());
                // The server's leave to publish can only come if the socket is read.
                self.attention |= !self.reading;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Gives up waiting to publish.
    pub(crate) fn forget_publisher(&mut self, waiter: WaiterKey) {
        self.publishers.forget(waiter);
    }

    /// Publishes `message`; `None` when that must wait. The inner value is the place of the outcome,
    /// if one is wanted.
    pub(crate) fn publish(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
    ) -> Result<Option<Option<ConfirmKey>>, Error> {
        self.check_open()?;
        let is_full = self.is_full() || self.blocked.is_some();
        let Some(channel) = self.channels.get_mut(key) else { return Ok(None) };
        channel.check_open()?;
        if is_full || !channel.flow || channel.hold.is_some() {
            return Ok(None);
        }
        let number = channel.number;
        let watch = message.watch();
        let select_confirms = watch != Watch::Nobody && channel.confirms.is_none();
        if select_confirms {
            channel.check_mode::<confirm::Select>()?;
        }
        let body = message.body().as_bytes();
        let is_large = body.len() >= LARGE_BODY;
        let frame_max = self.output.frame_max();
        self.output.channel(number, |out| {
            let begin = out.len();
            if select_confirms {
                // Without an answer to wait for: should the server refuse, it closes the channel.
                encode::method(out, number, &confirm::Select { no_wait: true })?;
            }
            message
                .encode(out, number, body.len() as u64, frame_max)
                .inspect_err(|_| out.truncate(begin))?;
            if !is_large {
                encode::body(out, number, body, frame_max);
            }
            Ok::<_, Error>(())
        })?;
        if is_large {
            self.output.large_body(number, message.body().to_bytes());
        }

        if select_confirms {
            channel.confirms = Some(Confirms::new(channel.epoch));
        }
        let Some(confirms) = &mut channel.confirms else { return Ok(Some(None)) };
        let place = match watch {
            Watch::Confirm => {
                let place = confirms.push();
                if let Some((exchange, routing_key)) = message.address() {
                    confirms.mandatory(place, exchange, routing_key, Fingerprint::of(body));
                }
                Some(place)
            }
            Watch::Nobody => {
                confirms.push_unwatched();
                None
            }
        };
        // The confirm can only come if the socket is read.
        self.attention |= !self.reading;
        if !channel.confirming {
            channel.confirming = true;
            self.confirming.push(key);
            // Its deadline begins when the shell looks, which it must even if the socket is stuck.
            self.attention = true;
        }
        Ok(Some(place))
    }

    /// Waits for a published message's outcome.
    pub(crate) fn poll_confirm(
        &mut self,
        key: ChannelKey,
        place: ConfirmKey,
        cx: &Context<'_>,
    ) -> Poll<Outcome> {
        let Some(channel) = self.channels.get_mut(key) else { return Poll::Pending };
        channel
            .with_confirms(place.epoch, |confirms| confirms.poll(place, cx))
            .unwrap_or(Poll::Pending)
    }

    /// Gives up waiting for a published message's outcome.
    pub(crate) fn forget_confirm(&mut self, key: ChannelKey, place: ConfirmKey) {
        if let Some(channel) = self.channels.get_mut(key) {
            channel.with_confirms(place.epoch, |confirms| confirms.forget(place));
        }
    }
}

/// Appends a content header.
pub(super) fn encode_header(
    out: &mut BytesMut,
    number: u16,
    body_size: u64,
    properties: Option<&basic::Properties>,
    persistent: bool,
) -> Result<(), Error> {
    match properties {
        Some(properties) if persistent => {
            let properties = properties.clone().with_delivery_mode(PERSISTENT);
            encode::header(out, number, body_size, &properties)?;
        }
        Some(properties) => encode::header(out, number, body_size, properties)?,
        None => {
            // Flags and values, encoded already.
            let properties: &[u8] = if persistent { &[0x10, 0, PERSISTENT] } else { &[0, 0] };
            encode::raw_header(out, number, basic::CLASS_ID, body_size, properties);
        }
    }
    Ok(())
}

impl Body<'_> {
    /// Copies a large body that is lent; a small one is copied when it is encoded.
    pub(crate) fn keep_if_large(&mut self) {
        if self.as_bytes().len() >= LARGE_BODY {
            *self = Self::Owned(self.to_bytes());
        }
    }

    /// The body as a handle that outlives the caller's: copied only where the caller lent it.
    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Borrowed(octets) => Bytes::copy_from_slice(octets),
            Self::Owned(octets) => octets.clone(),
        }
    }
}
