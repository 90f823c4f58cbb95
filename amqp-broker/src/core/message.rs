//! A message as queues hold it: shared, so that a fanout costs a pointer for each queue.

use std::sync::Arc;
use std::time::Duration;

use amqp091::content::RawProperties;
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{DecodeReason, Encode, FieldTable, PropertiesError, ShortStr, Value, Writer};
use bytes::{Bytes, BytesMut};

use super::arguments::TTL_MAX;
use super::memory::Share;
use super::publish::other_user;
use super::refusal::{Done, Refusal, shown};
use crate::profile::Profile;

/// What a publisher sent. Nobody changes it: a dead-lettered message is a new one.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) exchange: ShortStr,
    pub(crate) routing_key: ShortStr,
    /// Further routing keys: the header `CC`, then `BCC`.
    pub(crate) copies: Vec<ShortStr>,
    pub(crate) properties: RawProperties,
    pub(crate) body: Bytes,
    pub(crate) persistent: bool,
    pub(crate) priority: u8,
    pub(crate) expiration: Option<Duration>,
    /// Whether it has been dead-lettered: then its headers tell how, and no publisher wrote that.
    pub(crate) has_died: bool,
    /// What it counts with in what the broker holds.
    pub(crate) share: Share,
}

/// A message's place in one queue.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) message: Arc<Message>,
    /// Its place: what is requeued goes back there.
    pub(crate) position: u64,
    pub(crate) redelivered: bool,
    /// How often it came back, which quorum queues count.
    pub(crate) returns: u32,
    /// When it expires, by the broker's clock.
    pub(crate) expires: Option<Duration>,
}

impl Entry {
    pub(crate) const fn new(message: Arc<Message>, position: u64) -> Self {
        Self { message, position, redelivered: false, returns: 0, expires: None }
    }
}

/// The flag of each property that the broker looks at, by its place among the fourteen.
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const USER_ID: u16 = 1 << 4;

/// The reply-to address that stands for "straight to my channel".
pub(crate) const REPLY_TO_NAME: &[u8] = b"amq.rabbitmq.reply-to";

/// What the broker has to know of a message's properties.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) copies: Vec<ShortStr>,
    pub(crate) headers: Option<FieldTable>,
    pub(crate) persistent: bool,
    pub(crate) priority: u8,
    pub(crate) expiration: Option<Duration>,
    /// The properties as they are to be passed on, where those that came have to change.
    pub(crate) changed: Option<RawProperties>,
}

impl Facts {
    /// Reads what matters of a message's properties. Most messages have nothing of it, which their flags
    /// tell.
    ///
    /// `user` is who publishes it; `reply_to` gives the address that replaces "straight to my channel".
    pub(crate) fn of(
        raw: &RawProperties,
        user: &str,
        profile: Profile,
        reply_to: impl FnOnce() -> Done<ShortStr>,
    ) -> Done<Self> {
        let flags = match raw.as_bytes() {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        let of_interest = HEADERS | DELIVERY_MODE | PRIORITY | REPLY_TO | EXPIRATION | USER_ID;
        if flags & of_interest == 0 {
            return Ok(Self::default());
        }
        let decoded = match raw.decode() {
            // RabbitMQ passes on headers that nobody should read: so that a client's test can get them.
            Err(error) if is_beyond_limits(&error) => without_headers(raw.as_bytes()).decode(),
            decoded => decoded,
        };
        let mut properties: basic::Properties = decoded.map_err(|_| {
            Refusal::Connection(ReplyCode::SYNTAX_ERROR, "cannot decode properties".to_owned())
        })?;
        let mut facts = Self {
            persistent: properties.delivery_mode == Some(2),
            priority: properties.priority.unwrap_or(0),
            ..Self::default()
        };
        if flags & REPLY_TO != 0
            && properties.reply_to.as_ref().is_some_and(|to| *to == REPLY_TO_NAME)
        {
            properties.reply_to = Some(reply_to()?);
            facts.changed = encoded(&properties);
        }
        if let Some(claimed) =
            properties.user_id.as_ref().filter(|id| id.as_ref() != user.as_bytes())
        {
            return Err(other_user(claimed, user));
        }
        if let Some(expiration) = &properties.expiration {
            facts.expiration = Some(expiration_of(expiration)?);
        }
        if let Some(headers) = &properties.headers {
            for name in ["CC", "BCC"] {
                collect_copies(headers, name, &mut facts.copies)?;
            }
        }
        if let Some(mode) = properties.delivery_mode.filter(|mode| !matches!(mode, 1 | 2))
            && profile == Profile::V3_10
        {
            return Err(Refusal::precondition(format!(
                "invalid message: {{delivery_mode_unknown,{mode}}}"
            )));
        }
        if let Some(headers) = &mut properties.headers
            && headers.remove("BCC").is_some()
        {
            // Nobody is to see who else got it.
            facts.changed = encoded(&properties);
        }
        facts.headers = properties.headers;
        Ok(facts)
    }
}

/// Whether headers are well-formed as far as they were read, and deeper or more than are read.
fn is_beyond_limits(error: &PropertiesError) -> bool {
    let reason = error.cause().reason();
    matches!(reason, DecodeReason::TooDeep { .. } | DecodeReason::TooManyValues { .. })
}

/// Properties but the headers; none at all if they end before that.
fn without_headers(octets: &[u8]) -> RawProperties {
    let parts = || {
        let (flags, rest) = octets.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        let mut before = 0;
        for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
            if flags & flag != 0 {
                before += 1 + usize::from(*rest.get(before)?);
            }
        }
        let (before, rest) = rest.split_at_checked(before)?;
        let (len, rest) = rest.split_first_chunk()?;
        let after = rest.get(u32::from_be_bytes(*len) as usize..)?;
        Some([&(flags & !HEADERS).to_be_bytes()[..], before, after].concat())
    };
    RawProperties::new(Bytes::from(parts().unwrap_or_default()))
}

fn expiration_of(expiration: &ShortStr) -> Done<Duration> {
    let text = shown(expiration.as_ref());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = unsigned.split_at(digits);
    let invalid =
        |why: String| Err(Refusal::precondition(format!("invalid expiration '{text}': {why}")));
    if digits.is_empty() {
        return invalid("no_integer".to_owned());
    }
    if !rest.is_empty() {
        return invalid(format!("{{leftover_string,\"{rest}\"}}"));
    }
    let number = digits.trim_start_matches('0');
    let number = if number.is_empty() { "0" } else { number };
    if text.starts_with('-') && number != "0" {
        return invalid(format!("{{value_negative,-{number}}}"));
    }
    match number.parse::<u64>() {
        Ok(milliseconds) if milliseconds <= TTL_MAX => Ok(Duration::from_millis(milliseconds)),
        _ => invalid(format!("{{value_too_large,{number}}}")),
    }
}

fn collect_copies(headers: &FieldTable, name: &str, copies: &mut Vec<ShortStr>) -> Done {
    let Some(value) = headers.get(name) else { return Ok(()) };
    let Value::Array(keys) = value else {
        let kind = erlang_type(value);
        return Err(Refusal::precondition(format!(
            "invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
        )));
    };
    for key in keys {
        let Value::LongStr(octets) = key else { continue };
        copies.extend(ShortStr::new(octets));
    }
    Ok(())
}

/// A value's type by the name that RabbitMQ's texts have for it.
pub(crate) fn erlang_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::I8(_) => "byte",
        Value::U8(_) => "unsignedbyte",
        Value::I16(_) => "short",
        Value::U16(_) => "unsignedshort",
        Value::I32(_) => "signedint",
        Value::U32(_) => "unsignedint",
        Value::I64(_) => "long",
        Value::F32(_) => "float",
        Value::F64(_) => "double",
        Value::Decimal(_) => "decimal",
        Value::LongStr(_) => "longstr",
        Value::Array(_) => "array",
        Value::Timestamp(_) => "timestamp",
        Value::Table(_) => "table",
        Value::Void => "void",
        Value::Bytes(_) => "binary",
        _ => "unknown",
    }
}

/// Properties as octets; `None` for those that can't be sent at all.
pub(crate) fn encoded(properties: &basic::Properties) -> Option<RawProperties> {
    let mut octets = BytesMut::new();
    let mut writer = Writer::new(&mut octets);
    properties.encode(&mut writer).ok()?;
    Some(RawProperties::new(octets.freeze()))
}

impl Message {
    /// Octets that it counts with in a queue's limit: its body.
    pub(crate) fn size(&self) -> usize {
        self.body.len()
    }
}
