//! Publishing: a message goes to the pending output whole or not at all, and gets its confirm tag in
//! the same step.

use std::task::{Context, Poll};

use amqp091::encode;
use amqp091::protocol::{basic, confirm};
use bytes::{Bytes, BytesMut};

use super::confirms::{Confirms, Fingerprint};
use super::output::{LARGE_BODY, check_frame};
use super::{ChannelKey, ConfirmKey, Core, WaiterKey};
use crate::error::Error;
use crate::publish::{Body, Outcome};

/// The delivery mode of a message that survives a restart of the server in a durable queue.
const PERSISTENT: u8 = 2;

/// What is published, as its caller holds it.
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

impl Core {
    /// Publishes `message`, or waits: for room, or for the server to lift a block.
    pub(crate) fn poll_publish(
        &mut self,
        key: ChannelKey,
        message: &Message<'_>,
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
        message: &Message<'_>,
    ) -> Result<Option<Option<ConfirmKey>>, Error> {
        self.check_open()?;
        let is_full = self.is_full() || self.blocked.is_some();
        let Some(channel) = self.channels.get_mut(key) else { return Ok(None) };
        channel.check_open()?;
        if is_full || !channel.flow || channel.hold.is_some() {
            return Ok(None);
        }
        let number = channel.number;
        let select_confirms = message.watched && channel.confirms.is_none();
        if select_confirms {
            channel.check_mode::<confirm::Select>()?;
        }
        let body = message.body.as_bytes();
        let is_large = body.len() >= LARGE_BODY;
        let frame_max = self.output.frame_max();
        self.output.channel(number, |out| {
            let begin = out.len();
            let encoded = encode_message(out, number, message, select_confirms, frame_max);
            if encoded.is_err() {
                out.truncate(begin);
            } else if !is_large {
                encode::body(out, number, body, frame_max);
            }
            encoded
        })?;
        if is_large {
            self.output.large_body(number, message.body.to_bytes());
        }

        if select_confirms {
            channel.confirms = Some(Confirms::new(channel.epoch));
        }
        let Some(confirms) = &mut channel.confirms else { return Ok(Some(None)) };
        let place = if message.watched {
            let place = confirms.push();
            if message.method.mandatory || message.method.immediate {
                let basic::Publish { exchange, routing_key, .. } = message.method.clone();
                confirms.mandatory(place, exchange, routing_key, Fingerprint::of(body));
            }
            Some(place)
        } else {
            confirms.push_unwatched();
            None
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

/// Appends all of a message but its body.
fn encode_message(
    out: &mut BytesMut,
    number: u16,
    message: &Message<'_>,
    select_confirms: bool,
    frame_max: u32,
) -> Result<(), Error> {
    if select_confirms {
        // Without an answer to wait for: should the server refuse, it closes the channel.
        encode::method(out, number, &confirm::Select { no_wait: true })?;
    }
    encode::method(out, number, &message.method)?;
    let body_size = message.body.as_bytes().len() as u64;
    let begin = out.len();
    match message.properties {
        Some(properties) if message.persistent => {
            let properties = properties.clone().with_delivery_mode(PERSISTENT);
            encode::header(out, number, body_size, &properties)?;
        }
        Some(properties) => encode::header(out, number, body_size, properties)?,
        None => {
            // Flags and values, encoded already.
            let properties: &[u8] =
                if message.persistent { &[0x10, 0, PERSISTENT] } else { &[0, 0] };
            encode::raw_header(out, number, basic::CLASS_ID, body_size, properties);
        }
    }
    check_frame("the message's properties", out.len() - begin, frame_max)
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
