//! Why a consumer gets no more deliveries.

use std::fmt;
use std::sync::Arc;

use amqp091::types::ShortStr;

use crate::core::End;
use crate::error::{CloseReason, Error, Initiator};

/// Why a consumer gets no more deliveries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerEnd {
    /// This program cancelled it, or dropped it.
    Cancelled,
    /// The server cancelled it, as RabbitMQ does when the queue is deleted or moves to another node.
    /// The channel goes on.
    CancelledByServer,
    /// The channel is closed; the connection goes on.
    ChannelClosed {
        /// The channel's number.
        channel: u16,
        /// Why.
        reason: Arc<CloseReason>,
    },
    /// The connection is closed.
    ConnectionClosed {
        /// Why.
        reason: Arc<CloseReason>,
    },
}

impl From<End> for ConsumerEnd {
    fn from(end: End) -> Self {
        match end {
            End::Cancelled => Self::Cancelled,
            End::Closed(error) => Self::of(&error),
        }
    }
}

impl ConsumerEnd {
    /// The end that a consumer's error tells of.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::ChannelClosed { channel, reason } => {
                Self::ChannelClosed { channel: *channel, reason: Arc::clone(reason) }
            }
            Error::ConnectionClosed(reason) => {
                Self::ConnectionClosed { reason: Arc::clone(reason) }
            }
            _ => Self::CancelledByServer,
        }
    }

    /// The error that tells of it.
    pub(crate) fn error(&self, tag: &ShortStr) -> Error {
        match self {
            Self::Cancelled | Self::CancelledByServer => {
                Error::ConsumerCancelled { tag: tag.clone() }
            }
            Self::ChannelClosed { channel, reason } => {
                Error::ChannelClosed { channel: *channel, reason: Arc::clone(reason) }
            }
            Self::ConnectionClosed { reason } => Error::ConnectionClosed(Arc::clone(reason)),
        }
    }

    /// Who began it.
    pub fn initiator(&self) -> Initiator {
        match self {
            Self::Cancelled => Initiator::User,
            Self::CancelledByServer => Initiator::Server,
            Self::ChannelClosed { reason, .. } | Self::ConnectionClosed { reason } => {
                reason.initiator()
            }
        }
    }

    /// Why the channel or connection closed, when that is what happened.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match self {
            Self::ChannelClosed { reason, .. } | Self::ConnectionClosed { reason } => Some(reason),
            Self::Cancelled | Self::CancelledByServer => None,
        }
    }
}

impl fmt::Display for ConsumerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled by this program"),
            Self::CancelledByServer => {
                f.write_str("cancelled by the server: its queue is gone or has moved")
            }
            Self::ChannelClosed { channel, reason } => {
                write!(f, "channel {channel} closed: {reason}")
            }
            Self::ConnectionClosed { reason } => write!(f, "connection closed: {reason}"),
        }
    }
}
