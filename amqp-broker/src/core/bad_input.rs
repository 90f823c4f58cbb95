//! Input that makes no sense, in RabbitMQ's words.

use amqp091::content::ContentError;
use amqp091::frame::{self, FrameError};
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{Method, MethodId, ShortStr};

use super::channel::Channel;
use super::refusal::Refusal;

/// Something else came in the midst of a content.
pub(super) fn interrupted(has_header: bool) -> Refusal {
    let text = if has_header {
        "expected content body, got non content body frame instead"
    } else {
        "expected content header for class 60, got non content header frame instead"
    };
    Refusal::Connection(ReplyCode::UNEXPECTED_FRAME, text.to_owned())
}

pub(super) fn bad_content(error: ContentError, channel: &Channel) -> (Refusal, MethodId) {
    let unexpected = |text: String| Refusal::Connection(ReplyCode::UNEXPECTED_FRAME, text);
    match error {
        ContentError::UnexpectedHeader | ContentError::UnexpectedBody
            if channel.publish.is_some() =>
        {
            (interrupted(channel.has_header), basic::Publish::ID)
        }
        ContentError::UnexpectedHeader | ContentError::UnexpectedBody => (
            unexpected("expected method frame, got non method frame instead".to_owned()),
            MethodId::new(0, 0),
        ),
        ContentError::OtherClass { expected, found } => (
            unexpected(format!(
                "expected content header for class {expected}, got one for class {found} instead"
            )),
            basic::Publish::ID,
        ),
        ContentError::TooLarge { body_size, limit } => (
            Refusal::precondition(format!(
                "message size {body_size} is larger than configured max size {limit}"
            )),
            basic::Publish::ID,
        ),
        // RabbitMQ finds out with the next frame.
        ContentError::Overrun { .. } => (interrupted(true), basic::Publish::ID),
        other => (unexpected(other.to_string()), basic::Publish::ID),
    }
}

/// A frame that isn't one, in RabbitMQ's words.
pub(super) fn bad_frame(error: FrameError, input: &[u8]) -> Refusal {
    let kind = input.first().copied().unwrap_or(0);
    let size = match *input {
        [_, _, _, s3, s2, s1, s0, ..] => u32::from_be_bytes([s3, s2, s1, s0]) as usize,
        _ => 0,
    };
    let payload = input.get(frame::HEAD..).unwrap_or(&[]);
    let payload = &payload[..payload.len().min(size)];
    let octets = |payload: &[u8]| match payload.get(..16) {
        Some(first) if payload.len() > 16 => {
            format!("type {kind}, first 16 octets = {}", erlang_binary(first))
        }
        _ => format!("type {kind}, all octets = {}", erlang_binary(payload)),
    };
    let (code, text) = match error {
        FrameError::UnknownType { .. } => {
            (ReplyCode::FRAME_ERROR, format!("{}: unknown_frame", octets(payload)))
        }
        FrameError::TooLarge { size, limit, .. } => (
            ReplyCode::FRAME_ERROR,
            format!("{}: {{frame_too_large,{size},{}}}", octets(&[]), limit.saturating_sub(8)),
        ),
        FrameError::End { found, .. } => (
            ReplyCode::FRAME_ERROR,
            format!("{}: {{invalid_frame_end_marker,{found}}}", octets(payload)),
        ),
        _ => (ReplyCode::UNEXPECTED_FRAME, octets(payload)),
    };
    Refusal::Connection(code, text)
}

/// Octets as Erlang prints them: `<<"text">>` or `<<1,2,3>>`.
pub(super) fn erlang_binary(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "<<>>".to_owned();
    }
    let is_text = octets.iter().all(|octet| (32..127).contains(octet));
    // A reply text has no room for more.
    let octets = &octets[..octets.len().min(ShortStr::MAX_LEN)];
    if is_text {
        return format!("<<\"{}\">>", String::from_utf8_lossy(octets));
    }
    let numbers: Vec<_> = octets.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}
