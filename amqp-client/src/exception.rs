//! The server's errors by their names, and which of all errors may pass.

use std::fmt;

use amqp091::protocol::ReplyCode;

use crate::error::{CloseReason, ConnectError, Error};
use crate::publish::PublishError;

/// An error that a server tells by its reply code, under the name that Python's py-amqp has for it: what
/// [`Error::exception`] gives to match on.
///
/// ```
/// use amqp091_client::{Error, Exception};
///
/// fn explain(error: &Error) -> &'static str {
///     match error.exception() {
///         Some(Exception::NotFound) => "declare it first",
///         Some(Exception::AccessRefused) => "ask for the permission",
///         _ if error.is_recoverable() => "try again later",
///         _ => "a mistake",
///     }
/// }
/// # let timeout = Error::Timeout { method: "queue.declare", after: std::time::Duration::ZERO };
/// # assert_eq!(explain(&timeout), "try again later");
/// ```
///
/// For those who come from py-amqp, where each has a class:
///
/// | code | py-amqp | here | ends | recoverable |
/// |---|---|---|---|---|
/// | 311 | `ContentTooLarge` | [`Exception::ContentTooLarge`] | channel | yes |
/// | 313 | `NoConsumers` | [`Exception::NoConsumers`] | channel | yes |
/// | 320 | `ConnectionForced` | [`Exception::ConnectionForced`] | connection | yes |
/// | 402 | `InvalidPath` | [`Exception::InvalidPath`] | connection | no |
/// | 403 | `AccessRefused` | [`Exception::AccessRefused`] | channel | no |
/// | 404 | `NotFound` | [`Exception::NotFound`] | channel | no |
/// | 405 | `ResourceLocked` | [`Exception::ResourceLocked`] | channel | yes |
/// | 406 | `PreconditionFailed` | [`Exception::PreconditionFailed`] | channel | no |
/// | 501 | `FrameError` | [`Exception::FrameError`] | connection | no |
/// | 502 | `FrameSyntaxError` | [`Exception::FrameSyntaxError`] | connection | no |
/// | 503 | `InvalidCommand` | [`Exception::InvalidCommand`] | connection | no |
/// | 504 | `ChannelNotOpen` | [`Exception::ChannelNotOpen`] | connection | no |
/// | 505 | `UnexpectedFrame` | [`Exception::UnexpectedFrame`] | connection | no |
/// | 506 | `ResourceError` | [`Exception::ResourceError`] | connection | yes |
/// | 530 | `NotAllowed` | [`Exception::NotAllowed`] | connection | no |
/// | 540 | `AMQPNotImplementedError` | [`Exception::NotImplemented`] | connection | no |
/// | 541 | `InternalError` | [`Exception::InternalError`] | connection | no |
///
/// | py-amqp's base classes and others | here |
/// |---|---|
/// | `ConnectionError` | [`Error::ConnectionClosed`], [`Error::Connect`] |
/// | `ChannelError` | [`Error::ChannelClosed`] |
/// | `RecoverableConnectionError`, `RecoverableChannelError` | the same, where [`Error::is_recoverable`] |
/// | `IrrecoverableConnectionError`, `IrrecoverableChannelError` | the same, where not |
/// | `ConsumerCancelled` | [`Error::ConsumerCancelled`] |
/// | `MessageNacked` | [`PublishError::Nacked`], [`Outcome::Nacked`](crate::Outcome::Nacked) |
/// | `ConnectionForced` for heartbeats missed | [`CloseReason::HeartbeatMissed`] |
/// | `ResourceError` for no free channel | [`Error::TooManyChannels`] |
/// | `OSError`, `socket.timeout` | [`CloseReason::Io`], [`CloseReason::Eof`], [`Error::Timeout`], [`ConnectError`] |
///
/// What an error has ended is told by the variant of [`Error`]: servers differ from the table at times, as
/// RabbitMQ, which ends the connection over a login with 403.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Exception {
    /// 311: the message is too large for the server.
    ContentTooLarge,
    /// 312: a mandatory message that reached no queue. It comes with the message's return, and closes
    /// nothing; py-amqp has no exception for it.
    NoRoute,
    /// 313: an immediate message that no consumer could have at once.
    NoConsumers,
    /// 320: an operator closed the connection, or the server shuts down.
    ConnectionForced,
    /// 402: no such virtual host, for servers that say so; RabbitMQ says 530.
    InvalidPath,
    /// 403: no permission; or a consumer that can't be exclusive, or a name that is reserved.
    AccessRefused,
    /// 404: no such queue or exchange.
    NotFound,
    /// 405: the queue is exclusive to another connection.
    ResourceLocked,
    /// 406: it exists with other arguments, isn't empty or unused, a delivery tag is unknown, …
    PreconditionFailed,
    /// 501: a frame that the server couldn't take apart.
    FrameError,
    /// 502: a frame with impossible values.
    FrameSyntaxError,
    /// 503: a method that the server doesn't know, or an unknown exchange type.
    InvalidCommand,
    /// 504: a method for a channel that isn't open.
    ChannelNotOpen,
    /// 505: a frame that had no place there.
    UnexpectedFrame,
    /// 506: the server is short of something.
    ResourceError,
    /// 530: forbidden by what the connection did before, or a limit of the server's.
    NotAllowed,
    /// 540: the server doesn't have it.
    NotImplemented,
    /// 541: a fault in the server.
    InternalError,
    /// Any other code.
    Unknown(ReplyCode),
}

impl Exception {
    /// The reply code.
    pub const fn reply_code(self) -> ReplyCode {
        match self {
            Self::ContentTooLarge => ReplyCode::CONTENT_TOO_LARGE,
            Self::NoRoute => ReplyCode::NO_ROUTE,
            Self::NoConsumers => ReplyCode::NO_CONSUMERS,
            Self::ConnectionForced => ReplyCode::CONNECTION_FORCED,
            Self::InvalidPath => ReplyCode::INVALID_PATH,
            Self::AccessRefused => ReplyCode::ACCESS_REFUSED,
            Self::NotFound => ReplyCode::NOT_FOUND,
            Self::ResourceLocked => ReplyCode::RESOURCE_LOCKED,
            Self::PreconditionFailed => ReplyCode::PRECONDITION_FAILED,
            Self::FrameError => ReplyCode::FRAME_ERROR,
            Self::FrameSyntaxError => ReplyCode::SYNTAX_ERROR,
            Self::InvalidCommand => ReplyCode::COMMAND_INVALID,
            Self::ChannelNotOpen => ReplyCode::CHANNEL_ERROR,
            Self::UnexpectedFrame => ReplyCode::UNEXPECTED_FRAME,
            Self::ResourceError => ReplyCode::RESOURCE_ERROR,
            Self::NotAllowed => ReplyCode::NOT_ALLOWED,
            Self::NotImplemented => ReplyCode::NOT_IMPLEMENTED,
            Self::InternalError => ReplyCode::INTERNAL_ERROR,
            Self::Unknown(code) => code,
        }
    }

    /// Whether trying again may help, by py-amqp's table; not for a code that nobody knows.
    pub const fn is_recoverable(self) -> bool {
        matches!(self.reply_code().is_recoverable(), Some(true))
    }
}

impl From<ReplyCode> for Exception {
    fn from(code: ReplyCode) -> Self {
        match code {
            ReplyCode::CONTENT_TOO_LARGE => Self::ContentTooLarge,
            ReplyCode::NO_ROUTE => Self::NoRoute,
            ReplyCode::NO_CONSUMERS => Self::NoConsumers,
            ReplyCode::CONNECTION_FORCED => Self::ConnectionForced,
            ReplyCode::INVALID_PATH => Self::InvalidPath,
            ReplyCode::ACCESS_REFUSED => Self::AccessRefused,
            ReplyCode::NOT_FOUND => Self::NotFound,
            ReplyCode::RESOURCE_LOCKED => Self::ResourceLocked,
            ReplyCode::PRECONDITION_FAILED => Self::PreconditionFailed,
            ReplyCode::FRAME_ERROR => Self::FrameError,
            ReplyCode::SYNTAX_ERROR => Self::FrameSyntaxError,
            ReplyCode::COMMAND_INVALID => Self::InvalidCommand,
            ReplyCode::CHANNEL_ERROR => Self::ChannelNotOpen,
            ReplyCode::UNEXPECTED_FRAME => Self::UnexpectedFrame,
            ReplyCode::RESOURCE_ERROR => Self::ResourceError,
            ReplyCode::NOT_ALLOWED => Self::NotAllowed,
            ReplyCode::NOT_IMPLEMENTED => Self::NotImplemented,
            ReplyCode::INTERNAL_ERROR => Self::InternalError,
            code => Self::Unknown(code),
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reply_code().fmt(f)
    }
}

impl Error {
    /// The server's error by its name: where it closed the channel or connection, refused the login or
    /// virtual host, or returned a message.
    pub fn exception(&self) -> Option<Exception> {
        if let Self::Publish(error) = self {
            return match &**error {
                PublishError::Returned(returned) => Some(returned.reply_code.into()),
                PublishError::Unknown(error) => error.exception(),
                _ => None,
            };
        }
        self.reply_code().map(Exception::from)
    }

    /// Whether the queue or exchange doesn't exist: 404.
    pub fn is_not_found(&self) -> bool {
        self.exception() == Some(Exception::NotFound)
    }

    /// Whether the server refused for want of permission: 403. So it does for a wrong password.
    pub fn is_access_refused(&self) -> bool {
        self.exception() == Some(Exception::AccessRefused)
    }

    /// Whether what was asked for isn't as it must be: 406.
    pub fn is_precondition_failed(&self) -> bool {
        self.exception() == Some(Exception::PreconditionFailed)
    }

    /// Whether the queue is exclusive to another connection: 405.
    pub fn is_resource_locked(&self) -> bool {
        self.exception() == Some(Exception::ResourceLocked)
    }

    /// Whether the same may succeed another time, after a pause and with a new connection or channel where
    /// this one is closed. The server's errors are judged as py-amqp does; see [`Exception`].
    ///
    /// So may what the network does (sockets that fail or end, heartbeats that don't come, names that
    /// don't resolve), what takes too long, a consumer that the server cancelled, a message that it
    /// refused (nack), and a channel for which no number was left. A mistake in an argument or an
    /// option, a certificate that isn't trusted, a server that breaks the protocol, or what this program
    /// has closed itself, may not.
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::ConnectionClosed(reason) | Self::ChannelClosed { reason, .. } => {
                reason.is_recoverable()
            }
            Self::Connect(error) => error.is_recoverable(),
            Self::Publish(error) => match &**error {
                PublishError::Nacked => true,
                PublishError::Unknown(error) => error.is_recoverable(),
                PublishError::Returned(returned) => {
                    Exception::from(returned.reply_code).is_recoverable()
                }
            },
            Self::Timeout { .. }
            | Self::ConsumerCancelled { .. }
            | Self::TooManyChannels { .. } => true,
            _ => false,
        }
    }
}

impl CloseReason {
    /// As [`Error::is_recoverable`].
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::ByServer(close) => Exception::from(close.code).is_recoverable(),
            Self::Io(_) | Self::Eof | Self::HeartbeatMissed { .. } => true,
            _ => false,
        }
    }
}

impl ConnectError {
    /// As [`Error::is_recoverable`].
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::Refused { close, .. } => Exception::from(close.code).is_recoverable(),
            Self::Lookup { .. }
            | Self::Tcp { .. }
            | Self::Timeout { .. }
            | Self::Eof { .. }
            | Self::Io { .. } => true,
            // One host that may come back is enough.
            Self::AllFailed { attempts } => {
                attempts.iter().any(|attempt| attempt.error.is_recoverable())
            }
            _ => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use amqp091::protocol::ErrorKind;
    use amqp091::types::ShortStr;

    use super::*;
    use crate::error::{ServerClose, Stage, Violation};

    /// The rows of the table above: code, py-amqp's name, ours, what ends, whether it may pass.
    fn rows() -> Vec<(u16, String, String, ErrorKind, bool)> {
        let rows = include_str!("exception.rs").lines().filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix("/// | ")?.split(" | ").collect();
            let [code, name, ours, ends, recoverable] = cells[..] else { return None };
            let ours = ours.strip_prefix("[`Exception::")?.strip_suffix("`]")?.to_owned();
            let ends = if ends == "channel" { ErrorKind::Soft } else { ErrorKind::Hard };
            let name = name.trim_matches('`').to_owned();
            Some((code.parse().ok()?, name, ours, ends, recoverable.starts_with("yes")))
        });
        rows.collect()
    }

    fn closed(code: u16) -> [Error; 3] {
        let close = ServerClose::new(ReplyCode(code), ShortStr::empty(), 0, 0);
        let reason = Arc::new(CloseReason::ByServer(close.clone()));
        [
            Error::ChannelClosed { channel: 1, reason: Arc::clone(&reason) },
            Error::ConnectionClosed(reason),
            ConnectError::Refused { stage: Stage::Tune, close }.into(),
        ]
    }

    #[test]
    fn every_error_code_has_a_row_and_every_row_is_true() {
        let rows = rows();
        let codes: Vec<_> = rows.iter().map(|row| row.0).collect();
        let known = ReplyCode::ALL.iter().filter(|code| code.kind().is_some());
        let known: Vec<_> = known.map(|code| code.0).filter(|&code| code != 312).collect();
        assert_eq!(codes, known);
        for (code, name, ours, ends, recoverable) in rows {
            let exception = Exception::from(ReplyCode(code));
            assert_eq!(format!("{exception:?}"), ours);
            let plain = name.trim_start_matches("AMQP").trim_end_matches("Error");
            assert_eq!(plain, ours.trim_end_matches("Error"));
            assert_eq!(exception.reply_code(), ReplyCode(code));
            assert_eq!(exception.reply_code().kind(), Some(ends));
            assert_eq!(exception.is_recoverable(), recoverable);
            for error in closed(code) {
                assert_eq!(error.exception(), Some(exception));
                assert_eq!(error.is_recoverable(), recoverable, "{error}");
                assert_eq!(error.is_not_found(), code == 404);
                assert_eq!(error.is_access_refused(), code == 403);
                assert_eq!(error.is_resource_locked(), code == 405);
                assert_eq!(error.is_precondition_failed(), code == 406);
            }
        }
        for error in closed(999) {
            assert_eq!(error.exception(), Some(Exception::Unknown(ReplyCode(999))));
            assert!(!error.is_recoverable());
        }
    }

    #[test]
    fn what_the_network_does_may_pass_and_a_mistake_may_not() {
        let io = || Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
        let second = Duration::from_secs(1);
        let timeout = Error::Timeout { method: "queue.declare", after: second };
        let lost = |reason| Error::ConnectionClosed(Arc::new(reason));
        let passing = [
            lost(CloseReason::Io(io())),
            lost(CloseReason::Eof),
            lost(CloseReason::HeartbeatMissed { silence: second }),
            ConnectError::Tcp { address: String::new(), source: io() }.into(),
            ConnectError::Timeout { stage: Stage::Tcp, after: second }.into(),
            ConnectError::Eof { stage: Stage::Start }.into(),
            ConnectError::Io { stage: Stage::Start, source: io() }.into(),
            timeout.clone(),
            Error::TooManyChannels { limit: 1 },
            Error::ConsumerCancelled { tag: ShortStr::empty() },
            PublishError::Nacked.into(),
            PublishError::Unknown(timeout).into(),
        ];
        for error in passing {
            assert!(error.is_recoverable(), "{error}");
            assert_eq!(error.exception(), None);
        }
        let too_large = CloseReason::BodyTooLarge { body_size: 2, limit: 1 };
        let lasting = [
            lost(CloseReason::ByUser),
            lost(CloseReason::Dropped),
            lost(CloseReason::RuntimeGone),
            lost(CloseReason::Violation(Violation::ChannelNotOpen { channel: 1 })),
            Error::ChannelClosed { channel: 1, reason: Arc::new(too_large) },
            ConnectError::TlsPort.into(),
            ConnectError::NotAmqp { found: Vec::new() }.into(),
            Error::FrameTooLarge { what: "queue.declare", octets: 2, frame_max: 1 },
            Error::StaleDelivery { channel: 1, delivery_tag: 1 },
            Error::ConsumerTagInUse { tag: ShortStr::empty() },
        ];
        for error in lasting {
            assert!(!error.is_recoverable(), "{error}");
        }
    }
}
