//! A frame as this crate holds it: to octets and back, with everything in between.

use amqp091::any_frame::{AnyFrame, Unmarshaled};
use amqp091::bytes::{Bytes, BytesMut};
use amqp091::encode;
use amqp091::frame::FrameLimits;
use amqp091::protocol::{AnyMethod, AnyProperties, basic};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{EncodeError, Reflect};

/// A frame, decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    /// The channel and the method.
    Method(u16, AnyMethod),
    /// The channel, the size of the body, the properties.
    Header(u16, u64, Box<basic::Properties>),
    /// The channel and the octets.
    Body(u16, Bytes),
    Heartbeat,
    Protocol(ProtocolHeader),
}

impl Frame {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = BytesMut::new();
        match self {
            Self::Method(channel, method) => {
                encode::method_arguments(&mut out, *channel, method.id(), method)?;
            }
            Self::Header(channel, size, properties) => {
                encode::header(&mut out, *channel, *size, &**properties)?;
            }
            Self::Body(channel, body) => encode::body_frame(&mut out, *channel, body),
            Self::Heartbeat => encode::heartbeat(&mut out),
            Self::Protocol(header) => out.extend_from_slice(&header.to_bytes()),
        }
        Ok(out.to_vec())
    }

    /// Decodes a frame, which is all of the octets.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, String> {
        let unmarshaled = AnyFrame::unmarshal(octets, FrameLimits::default())
            .map_err(|error| error.to_string())?
            .ok_or("cut short")?;
        let Unmarshaled { consumed, channel, frame, .. } = unmarshaled;
        if consumed != octets.len() {
            return Err(format!("took {consumed} of {} octets", octets.len()));
        }
        Ok(match frame {
            AnyFrame::ProtocolHeader(header) => Self::Protocol(header),
            AnyFrame::Method(method) => Self::Method(channel, method),
            AnyFrame::Header(header) => {
                let properties = header.decode().map_err(|error| error.to_string())?;
                let AnyProperties::Basic(properties) = properties;
                Self::Header(channel, header.body_size, Box::new(properties))
            }
            AnyFrame::Body(body) => Self::Body(channel, body),
            AnyFrame::Heartbeat => Self::Heartbeat,
        })
    }

    /// The arguments or properties.
    pub(crate) fn reflect(&self) -> Option<&dyn Reflect> {
        match self {
            Self::Method(_, method) => Some(method.as_reflect()),
            Self::Header(_, _, properties) => Some(properties.as_reflect()),
            Self::Body(..) | Self::Heartbeat | Self::Protocol(_) => None,
        }
    }
}
