//! An error as one peer tells it to the other: reply code, text, and the method that failed.
//!
//! It is what channel.close, connection.close and basic.return carry, as an error of Rust, and is made into those again.
//!
//! ```
//! use amqp091::protocol::{ErrorKind, ReplyCode, channel, queue};
//! use amqp091::reply_error::ReplyError;
//! use amqp091::types::Method;
//!
//! let error = ReplyError::new(ReplyCode::NOT_FOUND, "no queue 'work' in vhost '/'")
//!     .caused_by(queue::Declare::ID);
//! assert_eq!(
//!     error.to_string(),
//!     "404 NOT_FOUND: no queue 'work' in vhost '/' (queue.declare, ends the channel)"
//! );
//! assert_eq!((error.kind(), error.code.is_recoverable()), (ErrorKind::Soft, Some(false)));
//!
//! // What a broker sends, and what its client makes of that.
//! let close: channel::Close = error.to_channel_close();
//! assert_eq!(ReplyError::from(close), error);
//! ```

use std::fmt;

use amqp091_types::{MethodId, ShortStr};

use crate::protocol::{ErrorKind, ReplyCode, basic, channel, connection, method_name};

/// What a peer says about a failure. Displayed on one line, whatever characters the peer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyError {
    /// The reply code.
    pub code: ReplyCode,
    /// What the peer says about it; up to 255 octets.
    pub text: ShortStr,
    /// The method that failed, if it is told.
    pub method: Option<MethodId>,
    /// What the peer ends by it; `None` if it only returns a message.
    pub ends: Option<ErrorKind>,
}

impl ReplyError {
    /// The error with that code, and with what the specification lets it end: the channel, for codes that it doesn't
    /// know too. A text of more than 255 octets is cut.
    pub fn new(code: ReplyCode, text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let mut end = text.len().min(ShortStr::MAX_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = ShortStr::new(text.get(..end).unwrap_or_default()).unwrap_or_default();
        Self { code, text, method: None, ends: Some(code.kind().unwrap_or(ErrorKind::Soft)) }
    }

    /// The same, with the method that failed.
    #[must_use]
    pub const fn caused_by(mut self, method: MethodId) -> Self {
        self.method = Some(method);
        self
    }

    /// What it ends; what is only returned ends nothing, and counts as soft.
    pub fn kind(&self) -> ErrorKind {
        self.ends.unwrap_or(ErrorKind::Soft)
    }

    /// The method that tells it to the peer and ends the channel.
    pub fn to_channel_close(&self) -> channel::Close {
        let MethodId { class_id, method_id } = self.method.unwrap_or_default();
        channel::Close { reply_code: self.code, reply_text: self.text.clone(), class_id, method_id }
    }

    /// The method that tells it to the peer and ends the connection.
    pub fn to_connection_close(&self) -> connection::Close {
        let MethodId { class_id, method_id } = self.method.unwrap_or_default();
        connection::Close {
            reply_code: self.code,
            reply_text: self.text.clone(),
            class_id,
            method_id,
        }
    }
}

/// The method that a close names; a peer that knows none says 0 and 0.
fn named(class_id: u16, method_id: u16) -> Option<MethodId> {
    (class_id != 0 || method_id != 0).then(|| MethodId::new(class_id, method_id))
}

impl From<channel::Close> for ReplyError {
    fn from(close: channel::Close) -> Self {
        Self {
            code: close.reply_code,
            text: close.reply_text,
            method: named(close.class_id, close.method_id),
            ends: Some(ErrorKind::Soft),
        }
    }
}

impl From<connection::Close> for ReplyError {
    fn from(close: connection::Close) -> Self {
        Self {
            code: close.reply_code,
            text: close.reply_text,
            method: named(close.class_id, close.method_id),
            ends: Some(ErrorKind::Hard),
        }
    }
}

/// Ends nothing; where the message was going to is lost.
impl From<basic::Return> for ReplyError {
    fn from(returned: basic::Return) -> Self {
        Self { code: returned.reply_code, text: returned.reply_text, method: None, ends: None }
    }
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text.printable())?;
        let ends = match self.ends {
            Some(ErrorKind::Soft) => "ends the channel",
            Some(ErrorKind::Hard) => "ends the connection",
            None => "returns a message",
        };
        match self.method {
            None => write!(f, " ({ends})"),
            Some(id) => match method_name(id) {
                Some(name) => write!(f, " ({name}, {ends})"),
                None => write!(f, " (method {id}, {ends})"),
            },
        }
    }
}

impl std::error::Error for ReplyError {}
