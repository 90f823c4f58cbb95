//! Messages of one kind, encoded once: all but the body, the channel and, if one likes, the routing key.

use std::ops::Range;

use amqp091::encode;
use amqp091::protocol::{basic, constants};
use amqp091::types::ShortStr;
use bytes::{Bytes, BytesMut};

use super::output::check_frame;
use super::publish::{Outgoing, Watch, encode_header};
use crate::error::Error;
use crate::publish::Body;

/// Octets of a frame before its payload, and where its channel and size lie in them.
const HEAD: usize = 7;
const CHANNEL: Range<usize> = 1..3;
const SIZE: Range<usize> = 3..7;

/// Where the exchange's name begins in the method's frame: behind class, method and a reserved field.
const EXCHANGE_AT: usize = HEAD + 2 + 2 + 2;

/// Where a body's size lies in a header's frame: behind class and weight.
const BODY_SIZE: Range<usize> = HEAD + 4..HEAD + 12;

/// `basic.publish` and content header as they go out.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    octets: Bytes,
    /// Where the routing key lies, without its length.
    key: Range<usize>,
    /// Where the header's frame begins.
    header_at: usize,
    /// Whether the message may come back.
    returnable: bool,
}

impl Template {
    pub(crate) fn new(
        method: &basic::Publish,
        properties: Option<&basic::Properties>,
        persistent: bool,
    ) -> Result<Self, Error> {
        let mut out = BytesMut::new();
        encode::method(&mut out, 0, method)?;
        let header_at = out.len();
        encode_header(&mut out, 0, 0, properties, persistent)?;
        let key_at = EXCHANGE_AT + 1 + method.exchange.as_bytes().len() + 1;
        Ok(Self {
            octets: out.freeze(),
            key: key_at..key_at + method.routing_key.as_bytes().len(),
            header_at,
            returnable: method.mandatory || method.immediate,
        })
    }

    fn exchange(&self) -> &[u8] {
        &self.octets[EXCHANGE_AT + 1..self.key.start - 1]
    }

    fn routing_key(&self) -> &[u8] {
        &self.octets[self.key.clone()]
    }

    /// Appends all but the body, with this routing key if one is given.
    #[inline]
    pub(crate) fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        routing_key: Option<&ShortStr>,
        frame_max: u32,
    ) -> Result<(), Error> {
        let header = self.octets.len() - self.header_at;
        check_frame("the message's properties", header, frame_max)?;
        self.write(out, number, body_size, routing_key);
        Ok(())
    }

    /// Exchange and routing key of messages that may come back.
    pub(crate) fn address(&self, routing_key: Option<&ShortStr>) -> Option<(ShortStr, ShortStr)> {
        if !self.returnable {
            return None;
        }
        // Encoded from short strings, they are short.
        let exchange = ShortStr::new(self.exchange()).unwrap_or_default();
        let routing_key = match routing_key {
            Some(key) => key.clone(),
            None => ShortStr::new(self.routing_key()).unwrap_or_default(),
        };
        Some((exchange, routing_key))
    }

    /// Appends both frames.
    fn write(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        routing_key: Option<&ShortStr>,
    ) {
        let begin = out.len();
        let header = match routing_key.map(ShortStr::as_bytes) {
            None => {
                out.extend_from_slice(&self.octets);
                begin + self.header_at
            }
            Some(key) => {
                let (before, behind) = (&self.octets[..self.key.start - 1], self.key.end);
                let len = u8::try_from(key.len()).unwrap_or(u8::MAX);
                for piece in [before, &[len], key, &self.octets[behind..]] {
                    out.extend_from_slice(piece);
                }
                let header = begin + self.header_at + key.len() - self.key.len();
                // A method of two short strings is far below 4 GiB.
                let size = (header - begin - HEAD - 1) as u32;
                out[begin..][SIZE].copy_from_slice(&size.to_be_bytes());
                header
            }
        };
        let number = number.to_be_bytes();
        out[begin..][CHANNEL].copy_from_slice(&number);
        let header = &mut out[header..];
        header[CHANNEL].copy_from_slice(&number);
        header[BODY_SIZE].copy_from_slice(&body_size.to_be_bytes());
        debug_assert_eq!(header.last(), Some(&constants::FRAME_END));
    }
}

/// A message by a template, as its caller holds it.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) template: &'a Template,
    /// In place of the template's.
    pub(crate) routing_key: Option<ShortStr>,
    pub(crate) body: Body<'a>,
    pub(crate) watch: Watch,
}

impl Outgoing for Prepared<'_> {
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error> {
        let Self { template, routing_key, .. } = self;
        template.encode(out, number, body_size, routing_key.as_ref(), frame_max)
    }

    fn address(&self) -> Option<(ShortStr, ShortStr)> {
        self.template.address(self.routing_key.as_ref())
    }

    fn body(&self) -> &Body<'_> {
        &self.body
    }

    fn watch(&self) -> Watch {
        self.watch
    }
}
