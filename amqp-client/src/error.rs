//! What can go wrong, as one tree: each error says what happened, to which object, who began it, and
//! keeps the server's reply code, text and failing method.
//!
//! An [`Error`] is cheap to clone: the one that ends a channel or a connection is kept, and given to
//! every call that was waiting and to every later one.

use std::net::SocketAddr;
use std::{fmt, io, sync::Arc, time::Duration};

use amqp091::content::ContentError;
use amqp091::frame::FrameError;
use amqp091::protocol::{ReplyCode, method_name};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{EncodeError, MethodError, MethodId, ShortStr, TooLong};
use thiserror::Error;

use crate::hosts::Host;
use crate::mode::ChannelMode;
use crate::publish::PublishError;
use crate::tls::TlsError;
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
    /// As many messages of a window have failed as it lets be outstanding; nothing was sent. Take what
    /// became of them to go on.
    #[error("{failed} messages of the window have failed: look at them before publishing more")]
    WindowFailed {
        /// How many.
        failed: usize,
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
    #[error("{what} takes a frame of {octets} octets, frame-max is {frame_max}")]
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
pub enum Initiator {
    /// The program that uses this crate.
    User,
    /// This crate: a deadline, a lost socket, a rule that the server broke.
    Library,
    /// The server.
    Server,
}

/// Why a connection attempt failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's addresses weren't found.
    #[error("can't find the address of {host:?}: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// No TCP connection.
    #[error("can't connect to {address}: {source}")]
    Tcp {
        /// Host and port.
        address: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// No TLS session, so nothing of the login was sent.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        source: TlsError,
    },
    /// The attempt took too long.
    #[error("no connection within {} ms: no answer while waiting for {stage}", after.as_millis())]
    Timeout {
        /// What was waited for.
        stage: Stage,
        /// How long it was given: all of the [`connect_timeout`](crate::ConnectOptions::connect_timeout),
        /// or this address's share of it.
        after: Duration,
    },
    /// The server closed the socket without a word.
    #[error("the server closed the connection while we waited for {stage}{}", stage.eof_hint())]
    Eof {
        /// What was waited for.
        stage: Stage,
    },
    /// The socket failed.
    #[error("the connection failed while we waited for {stage}: {source}")]
    Io {
        /// What was waited for.
        stage: Stage,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The port answers in TLS.
    #[error("the port speaks TLS, not plain AMQP: use amqps:// (the usual plain port is 5672)")]
    TlsPort,
    /// The peer speaks something else.
    #[error("the peer doesn't speak AMQP: it began with \"{}\"", found.escape_ascii())]
    NotAmqp {
        /// Its first octets, 16 at most.
        found: Vec<u8>,
    },
    /// The server speaks another version of AMQP.
    #[error("the server speaks {server}, not AMQP 0-9-1")]
    Version {
        /// The version that it offers.
        server: ProtocolHeader,
    },
    /// The server offers none of the wanted SASL mechanisms.
    #[error("the server offers the SASL mechanisms {offered:?}, none of the wanted {wanted:?}")]
    Mechanism {
        /// What it offers.
        offered: String,
        /// What the options allow.
        wanted: String,
    },
    /// The server asks for an exchange of challenges that the mechanism doesn't have.
    #[error("the server sent a SASL challenge, which {mechanism} doesn't have")]
    Challenge {
        /// The mechanism in use.
        mechanism: String,
    },
    /// The SASL mechanism, one of the program's own, ended the attempt.
    #[error("no login by the SASL mechanism {mechanism}: {problem}")]
    Sasl {
        /// The mechanism in use.
        mechanism: String,
        /// Why, in the mechanism's words.
        problem: String,
    },
    /// The server refused: wrong user or password (403), unknown or forbidden virtual host (530),
    /// or another reason that it gives.
    #[error("the server refused the {}: {close}", stage.refused())]
    Refused {
        /// What it refused.
        stage: Stage,
        /// Its words.
        close: ServerClose,
    },
    /// The server proposes a frame-max below what the specification guarantees.
    #[error("the server proposes frame-max {frame_max}, the least is 4096 octets")]
    FrameMax {
        /// What it proposes, octets.
        frame_max: u32,
    },
    /// A value among the options has no encoding.
    #[error("can't encode {method}: {source}")]
    Encode {
        /// The method that it belongs to.
        method: &'static str,
        /// What is wrong.
        source: EncodeError,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol while we waited for {stage}: {violation}")]
    Violation {
        /// What was waited for.
        stage: Stage,
        /// What it did.
        violation: Violation,
    },
    /// None of several addresses led to a connection.
    #[error("no connection to any of {} addresses: {}", attempts.len(), Listed(attempts))]
    AllFailed {
        /// All that were tried, in that order.
        attempts: Vec<FailedAttempt>,
    },
    /// [`OrderHosts`](crate::OrderHosts) left no host to try.
    #[error("the order of hosts has left none to try")]
    NoHost,
}

impl ConnectError {
    /// Whether another server would say the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused { close, .. } => {
                matches!(close.code, ReplyCode::ACCESS_REFUSED | ReplyCode::NOT_ALLOWED)
            }
            Self::Tls { source, .. } => source.is_local(),
            Self::Mechanism { .. }
            | Self::Challenge { .. }
            | Self::Sasl { .. }
            | Self::Encode { .. } => true,
            _ => false,
        }
    }

    fn initiator(&self) -> Initiator {
        match self {
            Self::Refused { .. } | Self::Tls { source: TlsError::Alert { .. }, .. } => {
                Initiator::Server
            }
            Self::Sasl { .. } | Self::NoHost => Initiator::User,
            Self::Tls { source, .. } if source.is_local() => Initiator::User,
            // It was the same everywhere, or nobody in particular.
            Self::AllFailed { attempts } => {
                let mut all = attempts.iter().map(|attempt| attempt.error.initiator());
                match all.next() {
                    Some(first) if all.all(|other| other == first) => first,
                    _ => Initiator::Library,
                }
            }
            _ => Initiator::Library,
        }
    }
}

/// One address, or one name without any, that led to no connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The host, with the port that was used.
    pub host: Host,
    /// The address; `None` when the host's addresses weren't found.
    pub address: Option<SocketAddr>,
    /// Why.
    pub error: ConnectError,
}

impl FailedAttempt {
    /// Whether somebody was there.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(
            self.error,
            ConnectError::Lookup { .. }
                | ConnectError::Tcp { .. }
                | ConnectError::Timeout { stage: Stage::Lookup | Stage::Tcp, .. }
        )
    }
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            // The name says nothing more.
            Some(address) if self.host.to_string() == address.to_string() => {
                write!(f, "{address}")?
            }
            Some(address) => write!(f, "{} ({address})", self.host)?,
            None => write!(f, "{}", self.host)?,
        }
        match &self.error {
            // These would name the address again.
            ConnectError::Tcp { source, .. } => write!(f, ": {source}"),
            ConnectError::Tls { source, .. } => write!(f, ": no TLS: {source}"),
            error => write!(f, ": {error}"),
        }
    }
}

/// All of them, in one line.
struct Listed<'a>(&'a [FailedAttempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        Ok(())
    }
}

/// How far a connection attempt has come: what it waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// The host's addresses (DNS).
    Lookup,
    /// The TCP connection.
    Tcp,
    /// The TLS session.
    Tls,
    /// `connection.start`, the server's greeting.
    Start,
    /// `connection.tune`, which tells that the login was accepted.
    Tune,
    /// `connection.open-ok`, which tells that the virtual host may be used.
    OpenOk,
}

impl Stage {
    const fn eof_hint(self) -> &'static str {
        match self {
            Self::Tune => " (servers do so for a login that they don't like)",
            Self::OpenOk => " (servers do so for tuning values that they don't like)",
            Self::Start => " (a port that speaks TLS, or no AMQP at all, may do so)",
            Self::Lookup | Self::Tcp | Self::Tls => "",
        }
    }

    const fn refused(self) -> &'static str {
        match self {
            Self::Lookup | Self::Tcp | Self::Tls | Self::Start => "connection",
            Self::Tune => "login",
            Self::OpenOk => "virtual host",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lookup => "the host's addresses",
            Self::Tcp => "the TCP connection",
            Self::Tls => "the TLS handshake",
            Self::Start => "the server's greeting (connection.start)",
            Self::Tune => "the answer to the login (connection.tune)",
            Self::OpenOk => "the virtual host (connection.open-ok)",
        })
    }
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
    /// The runtime stopped the connection's task.
    #[error("the runtime that drove the connection is gone")]
    RuntimeGone,
}

impl CloseReason {
    /// Who began it.
    pub const fn initiator(&self) -> Initiator {
        match self {
            Self::ByUser | Self::Dropped => Initiator::User,
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
