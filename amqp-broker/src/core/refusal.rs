//! How the broker says no: what closes a channel, what a connection, in RabbitMQ's words.

use amqp091::protocol::ReplyCode;
use amqp091::types::ShortStr;

/// Why a method isn't carried out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The channel is closed.
    Channel(ReplyCode, String),
    /// The connection is closed.
    Connection(ReplyCode, String),
    /// The socket is closed without a word.
    Silent,
}

/// The outcome of a method.
pub(crate) type Done<T = ()> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::Channel(ReplyCode::NOT_FOUND, what.into())
    }

    pub(crate) fn precondition(what: impl Into<String>) -> Self {
        Self::Channel(ReplyCode::PRECONDITION_FAILED, what.into())
    }

    pub(crate) fn access(what: impl Into<String>) -> Self {
        Self::Channel(ReplyCode::ACCESS_REFUSED, what.into())
    }

    pub(crate) fn not_implemented(what: impl Into<String>) -> Self {
        Self::Connection(ReplyCode::NOT_IMPLEMENTED, what.into())
    }
}

/// `NAME - explanation`, cut as RabbitMQ cuts it to fit a short string.
pub(crate) fn reply_text(code: ReplyCode, explanation: &str) -> ShortStr {
    let name = code.name().unwrap_or("UNKNOWN");
    let mut text = name.as_bytes().to_vec();
    if !explanation.is_empty() {
        text.extend_from_slice(b" - ");
        text.extend_from_slice(explanation.as_bytes());
    }
    if text.len() > ShortStr::MAX_LEN {
        text.truncate(ShortStr::MAX_LEN - 3);
        text.extend_from_slice(b"...");
    }
    ShortStr::new(text).unwrap_or_default()
}

/// A name as RabbitMQ's texts show it.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_a_short_string() {
        assert_eq!(reply_text(ReplyCode::NOT_FOUND, "no queue"), "NOT_FOUND - no queue");
        assert_eq!(reply_text(ReplyCode::INTERNAL_ERROR, ""), "INTERNAL_ERROR");
        let long = reply_text(ReplyCode::NOT_FOUND, &"x".repeat(300));
        assert_eq!(long.as_ref().len(), 255);
        assert!(long.as_ref().ends_with(b"xxx..."));
    }
}
