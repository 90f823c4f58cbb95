//! What can go wrong, as one tree: each error says what happened, to which object, who began it, and
//! keeps the server's reply code, text and failing method.
//!
//! An [`Error`] is cheap to clone: the one that ends a channel or a connection is kept, and given to
//! every call that was waiting and to every later one.

use std::{fmt, io, sync::Arc, time::Duration};

use amqp091::content::ContentError;
use amqp091::frame::FrameError;
use amqp091::protocol::{ReplyCode, method_name};
use amqp091::types::{EncodeError, MethodError, MethodId, ShortStr, TooLong};
use thiserror::Error;

mod connect;

pub use self::connect::{ConnectError, FailedAttempt, Stage};

use crate::mode::ChannelMode;
use crate::publish::PublishError;
use crate::uri::UriError;

/// Any failure of this crate.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URI can't be understood; nothing was sent.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// An option has a value that no connection can use; nothing was sent.
    #[error("option {option}: {problem}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// No connection: the attempt ended before the server had accepted it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection is closed. Its reason is the same for every call that meets it.
    #[error("connection closed: {0}")]
    ConnectionClosed(Arc<CloseReason>),
    /// The channel is closed; the connection and its other channels go on.
    #[error("channel {channel} closed: {reason}")]
    ChannelClosed {
        /// The channel's number.
        channel: u16,
        /// Why.
        reason: Arc<CloseReason>,
    },
    /// Every channel number that was negotiated is in use.
    #[error("all {limit} channels of the connection are in use: close one, or raise channel_max")]
    TooManyChannels {
        /// The negotiated channel-max.
        limit: u16,
    },
    /// The server didn't answer in time. A late answer is discarded without disturbing others.
    #[error("no reply to {method} within {} ms", after.as_millis())]
    Timeout {
        /// The method that was sent.
        method: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The message couldn't be published in the time it was given: the socket takes no more, the server
    /// has blocked publishing, or its window is full. Nothing was sent.
    #[error("not published within {} ms: no room for it", after.as_millis())]
    PublishTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// As many messages of a window have failed as it lets be outstanding, or 10,000 of a batch; nothing
    /// was sent. Take what became of those of the window to go on.
    #[error("{failed} messages of the window have failed: look at them before publishing more")]
    WindowFailed {
        /// How many.
        failed: usize,
    },
    /// The source of a message's body failed, or had fewer or more octets than were announced. Nothing
    /// was sent if it did so at once; else the message isn't published, and its channel is closed:
    /// [`CloseReason::BodyUnfinished`].
    #[error("the message's body failed after {read} of {body_size} octets: {source}")]
    BodySource {
        /// What its source says.
        source: Arc<io::Error>,
        /// Octets that it gave.
        read: u64,
        /// Octets that were announced.
        body_size: u64,
    },
    /// A channel that has consumers can't publish what comes piece by piece, since nothing could be
    /// acknowledged meanwhile: use another channel. Nothing was sent.
    #[error(
        "channel {channel} has consumers, so it can't publish a body that comes piece by piece"
    )]
    ChannelConsumes {
        /// The channel's number.
        channel: u16,
    },
    /// The confirm window belongs to another channel than the message; nothing was sent.
    #[error("the confirm window belongs to another channel")]
    OtherChannel,
    /// An argument is longer than its place on the wire; nothing was sent.
    #[error("{argument}: {source}")]
    Argument {
        /// The argument's name.
        argument: &'static str,
        /// What is wrong with it.
        source: TooLong,
    },
    /// An argument or property has no encoding; nothing was sent.
    #[error("can't encode: {0}")]
    Encode(#[from] EncodeError),
    /// A method's arguments or a message's properties take more octets than the negotiated frame-max
    /// lets one frame have, and can't be split; nothing was sent. (RabbitMQ would close the whole
    /// connection.)
    #[error("{what}: a frame of {octets} octets, frame-max is {frame_max}")]
    FrameTooLarge {
        /// The method, or the message's properties.
        what: &'static str,
        /// Octets of the frame.
        octets: usize,
        /// The negotiated frame-max, octets.
        frame_max: u32,
    },
    /// A published message wasn't confirmed.
    #[error(transparent)]
    Publish(Box<PublishError>),
    /// The channel's mode doesn't allow the method; nothing was sent. (RabbitMQ would close the
    /// channel.) Confirms and transactions exclude each other: use a channel for each.
    #[error("{method} isn't possible on a channel in {mode} mode")]
    ChannelMode {
        /// The method that it would take.
        method: &'static str,
        /// The channel's mode.
        mode: ChannelMode,
    },
    /// The delivery came before its channel was closed and opened again: the server has put the message
    /// back in its queue and delivers it again. Nothing was sent.
    #[error("delivery {delivery_tag} came before channel {channel} was opened again")]
    StaleDelivery {
        /// The channel's number.
        channel: u16,
        /// The delivery's tag.
        delivery_tag: u64,
    },
    /// The consumer tag is in use on this channel; nothing was sent. (RabbitMQ would close the whole
    /// connection.)
    #[error("consumer tag \"{tag}\" is in use on this channel")]
    ConsumerTagInUse {
        /// The tag.
        tag: ShortStr,
    },
    /// The server cancelled the consumer, as RabbitMQ does when its queue is deleted or moves. The
    /// channel goes on.
    #[error("consumer \"{tag}\" cancelled by the server: its queue is gone or has moved")]
    ConsumerCancelled {
        /// The consumer tag.
        tag: ShortStr,
    },
    /// A callback has panicked in an earlier [`drain_events`](crate::blocking::Connection::drain_events),
    /// which the panic went through: it was dropped, with the consumer or whatever else it was for.
    #[error("a callback panicked: it is dropped, with what it was for")]
    CallbackPanicked,
}

impl Error {
    /// Why the channel or connection closed, when that is what happened.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match self {
            Self::ConnectionClosed(reason) | Self::ChannelClosed { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The server's reply code, when the server closed the channel or connection, or refused the
    /// login or virtual host.
    pub fn reply_code(&self) -> Option<ReplyCode> {
        match self {
            Self::Connect(ConnectError::Refused { close, .. }) => Some(close.code),
            _ => self.close_reason().and_then(CloseReason::server_close).map(|close| close.code),
        }
    }

    /// Who began what ended in this error.
    pub fn initiator(&self) -> Initiator {
        match self {
            Self::ConnectionClosed(reason) | Self::ChannelClosed { reason, .. } => {
                reason.initiator()
            }
            Self::Connect(error) => error.initiator(),
            Self::ConsumerCancelled { .. } => Initiator::Server,
            Self::Uri(_)
            | Self::Option { .. }
            | Self::Argument { .. }
            | Self::Encode(_)
            | Self::FrameTooLarge { .. }
            | Self::OtherChannel
            | Self::CallbackPanicked
            | Self::BodySource { .. }
            | Self::ChannelConsumes { .. }
            | Self::ChannelMode { .. } => Initiator::User,
            Self::Publish(error) => match &**error {
                PublishError::Unknown(error) => error.initiator(),
                PublishError::Returned(_) | PublishError::Nacked => Initiator::Server,
            },
            _ => Initiator::Library,
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        Self::Publish(Box::new(error))
    }
}

/// Who began it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Initiator {
    /// The program that uses this crate.
    User,
    /// This crate: a deadline, a lost socket, a rule that the server broke.
    Library,
    /// The server.
    Server,
}

/// Why a connection or channel is closed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The program closed it.
    #[error("closed by this program")]
    ByUser,
    /// The program dropped its last handle.
    #[error("its last handle was dropped")]
    Dropped,
    /// The server closed it.
    #[error("closed by the server: {0}")]
    ByServer(ServerClose),
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Io(Arc<io::Error>),
    /// The server closed the socket without `connection.close`.
    #[error("the server closed the socket without a word")]
    Eof,
    /// Nothing came from the server for twice the heartbeat interval.
    #[error("nothing came from the server for {} ms, heartbeats included", silence.as_millis())]
    HeartbeatMissed {
        /// How long it was silent.
        silence: Duration,
    },
    /// The socket took nothing although there was something to write: see
    /// [`ConnectOptions::write_timeout`](crate::ConnectOptions::write_timeout).
    #[error("the server took nothing of what is to be written for {} ms", after.as_millis())]
    WriteTimeout {
        /// How long.
        after: Duration,
    },
    /// The server has blocked publishing for too long: see
    /// [`ConnectOptions::blocked_timeout`](crate::ConnectOptions::blocked_timeout).
    #[error("publishing was blocked by the server for {} ms: {}", after.as_millis(), reason.printable())]
    BlockedTimeout {
        /// How long.
        after: Duration,
        /// Why, in the server's words.
        reason: ShortStr,
    },
    /// A message's body is larger than this client accepts: see
    /// [`ConnectOptions::max_body`](crate::ConnectOptions::max_body).
    #[error("a message of {body_size} octets came, max_body is {limit}")]
    BodyTooLarge {
        /// The announced size, octets.
        body_size: u64,
        /// The accepted size, octets.
        limit: u64,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Violation(Violation),
    /// A message's body, of which the beginning was sent, was never finished: its reader failed or was
    /// dropped. The message isn't published, and the channel's number is lost until the connection ends.
    #[error("a message's body was never finished")]
    BodyUnfinished,
    /// The runtime stopped the connection's task.
    #[error("the runtime that drove the connection is gone")]
    RuntimeGone,
}

impl CloseReason {
    /// Who began it.
    pub const fn initiator(&self) -> Initiator {
        match self {
            Self::ByUser | Self::Dropped | Self::BodyUnfinished => Initiator::User,
            Self::ByServer(_) => Initiator::Server,
            _ => Initiator::Library,
        }
    }

    /// The server's words, if the server closed it.
    pub const fn server_close(&self) -> Option<&ServerClose> {
        match self {
            Self::ByServer(close) => Some(close),
            _ => None,
        }
    }
}

/// What a server says when it closes a channel or connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServerClose {
    /// The reply code.
    pub code: ReplyCode,
    /// The reply text.
    pub text: ShortStr,
    /// The method that failed, if one did.
    pub method: Option<MethodId>,
}

impl ServerClose {
    pub(crate) fn new(code: ReplyCode, text: ShortStr, class_id: u16, method_id: u16) -> Self {
        let method = MethodId::new(class_id, method_id);
        Self { code, text, method: (method != MethodId::new(0, 0)).then_some(method) }
    }
}

impl fmt::Display for ServerClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.code, self.text.printable())?;
        if let Some(id) = self.method {
            match method_name(id) {
                Some(name) => write!(f, " (failing method {name})")?,
                None => write!(f, " (failing method {id})")?,
            }
        }
        Ok(())
    }
}

/// A rule of the protocol that the server broke.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The framing.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A method that is unknown, isn't for clients, or doesn't decode.
    #[error("{0}")]
    Method(#[from] MethodError),
    /// A content's frames.
    #[error("channel {channel}: {source}")]
    Content {
        /// The channel.
        channel: u16,
        /// What is wrong.
        source: ContentError,
    },
    /// A method that has no place here.
    #[error("channel {channel}: unexpected {}", method_name(*method).unwrap_or("method"))]
    Unexpected {
        /// The channel.
        channel: u16,
        /// The method.
        method: MethodId,
    },
    /// A frame on a channel that isn't open.
    #[error("frame on channel {channel}, which isn't open")]
    ChannelNotOpen {
        /// The channel.
        channel: u16,
    },
    /// A confirm for a message that was never published.
    #[error("channel {channel}: confirm of delivery tag {delivery_tag}, never published")]
    UnknownConfirm {
        /// The channel.
        channel: u16,
        /// The tag.
        delivery_tag: u64,
    },
    /// A delivery for a consumer that the channel doesn't have.
    #[error("channel {channel}: delivery for unknown consumer tag \"{tag}\"")]
    UnknownConsumer {
        /// The channel.
        channel: u16,
        /// The tag.
        tag: ShortStr,
    },
}

impl Violation {
    /// The reply code with which the connection is closed over it.
    pub(crate) const fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Frame(error) => error.reply_code(),
            Self::Method(_) => ReplyCode::SYNTAX_ERROR,
            Self::Content { source, .. } => source.reply_code(),
            Self::Unexpected { .. } => ReplyCode::COMMAND_INVALID,
            Self::ChannelNotOpen { .. } => ReplyCode::CHANNEL_ERROR,
            Self::UnknownConfirm { .. } | Self::UnknownConsumer { .. } => ReplyCode::NOT_ALLOWED,
        }
    }
}
