//! Frames through tokio_util's `Framed`, with the feature `tokio-util`: a socket as a stream and a sink of frames.
//!
//! The reading half gives [`Frame`]s as they are, so that whoever forwards them has nothing to decode; `AnyFrame::try_from`
//! makes them typed. The writing half takes a [`Frame`] as it is, a method with its channel, and any
//! [`AnyFrame`] with its channel, a protocol header among them.
//!
//! ```
//! use amqp091::any_frame::AnyFrame;
//! use amqp091::codec::FrameCodec;
//! use amqp091::frame::FrameLimits;
//! use amqp091::protocol::{AnyMethod, channel};
//! use futures_util::{SinkExt, StreamExt};
//! use tokio_util::codec::Framed;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, server) = tokio::io::duplex(4096);
//! let mut client = Framed::new(client, FrameCodec::new(FrameLimits::default()));
//! let mut server = Framed::new(server, FrameCodec::new(FrameLimits::default()));
//!
//! client.send((1, &channel::Open {})).await?;
//! let frame = server.next().await.ok_or("the client hung up")??;
//! assert_eq!(frame.channel, 1);
//! assert_eq!(AnyFrame::try_from(frame)?, AnyFrame::Method(AnyMethod::from(channel::Open {})));
//! # Ok(())
//! # }
//! ```
//!
//! The eight octets that open a connection are no frame: a client sends them as
//! [`AnyFrame::ProtocolHeader`], a server reads them off the socket before it makes a `Framed` of it.

use std::io;

use amqp091_types::{EncodeError, Method};
use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::any_frame::AnyFrame;
use crate::encode;
use crate::frame::{Frame, FrameDecoder, FrameError, FrameLimits};

/// Reads and writes the frames of one connection; see the [module](self).
///
/// The limits are on what comes in. What goes out is written as it is: whoever sends a body splits it by the peer's
/// frame-max, with [`encode::max_body_payload`].
#[derive(Clone, Debug, Default)]
pub struct FrameCodec {
    decoder: FrameDecoder,
}

impl FrameCodec {
    /// A codec that accepts frames within these limits.
    pub const fn new(limits: FrameLimits) -> Self {
        Self { decoder: FrameDecoder::new(limits) }
    }

    /// Changes the limits, once they are negotiated: `framed.codec_mut().set_limits(limits)`.
    pub const fn set_limits(&mut self, limits: FrameLimits) {
        self.decoder.set_limits(limits);
    }
}

/// Why no frame was read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// What was read is no frame, or over the limits. The connection is lost: [`FrameError::reply_code`] says with
    /// which code to close it.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An argument has no encoding. Nothing of the frame is sent, and the connection is as good as before.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The socket failed, or it ended within a frame ([`io::ErrorKind::Other`], from tokio_util).
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        Ok(self.decoder.decode(buffer)?)
    }
}

/// As it is: the octets that were read give the same octets.
impl Encoder<Frame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), CodecError> {
        let Frame { kind, channel, payload } = frame;
        Ok(encode::raw_frame(out, kind, channel, &payload)?)
    }
}

/// A method on that channel.
impl<M: Method> Encoder<(u16, &M)> for FrameCodec {
    type Error = CodecError;

    fn encode(
        &mut self,
        (channel, method): (u16, &M),
        out: &mut BytesMut,
    ) -> Result<(), CodecError> {
        Ok(encode::method(out, channel, method)?)
    }
}

/// Any frame on that channel, as [`AnyFrame::marshal`] writes it.
impl Encoder<(u16, AnyFrame)> for FrameCodec {
    type Error = CodecError;

    fn encode(
        &mut self,
        (channel, frame): (u16, AnyFrame),
        out: &mut BytesMut,
    ) -> Result<(), CodecError> {
        Ok(frame.marshal(channel, out)?)
    }
}
