//! Queues' arguments: what they mean, which are wrong, and whether two sets of them are the same queue.

use std::time::Duration;

use amqp091::protocol::ReplyCode;
use amqp091::types::{FieldTable, ShortStr, Value};

use super::bad_input::erlang_binary;
use super::message::erlang_type;
use super::refusal::{Done, Refusal, shown};
use crate::profile::Profile;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum QueueKind {
    #[default]
    Classic,
    Quorum,
}

/// What a queue does with a message that it has no room for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Overflow {
    #[default]
    DropHead,
    RejectPublish,
    RejectPublishDlx,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct QueueArguments {
    pub(crate) kind: QueueKind,
    pub(crate) message_ttl: Option<Duration>,
    pub(crate) expires: Option<Duration>,
    pub(crate) max_length: Option<u64>,
    pub(crate) max_length_bytes: Option<u64>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter_exchange: Option<ShortStr>,
    pub(crate) dead_letter_routing_key: Option<ShortStr>,
    pub(crate) max_priority: Option<u8>,
    pub(crate) single_active_consumer: bool,
    pub(crate) delivery_limit: Option<u32>,
}

/// Names a queue as RabbitMQ's texts do.
pub(crate) fn queue_in(name: &ShortStr, vhost: &str) -> String {
    format!("queue '{}' in vhost '{vhost}'", shown(name.as_ref()))
}

/// Names an exchange as RabbitMQ's texts do.
pub(crate) fn exchange_in(name: &ShortStr, vhost: &str) -> String {
    format!("exchange '{}' in vhost '{vhost}'", shown(name.as_ref()))
}

/// Reads the arguments of one queue declaration.
struct Reading<'a> {
    table: &'a FieldTable,
    queue: &'a str,
    /// The arguments that the queue's type has.
    own: &'a [&'a str],
}

impl Reading<'_> {
    fn invalid<T>(&self, name: &str, why: &str) -> Done<T> {
        let queue = self.queue;
        Err(Refusal::precondition(format!("invalid arg '{name}' for {queue}: {why}")))
    }

    fn unacceptable<T>(&self, name: &str, value: &Value) -> Done<T> {
        self.invalid(name, &format!("{{unacceptable_type,{}}}", erlang_type(value)))
    }

    /// What other types of queues have isn't looked at.
    fn get(&self, name: &str) -> Option<&Value> {
        if self.own.contains(&name) { self.table.get(name) } else { None }
    }

    fn integer(&self, name: &str) -> Done<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(integer) => Ok(Some(integer)),
                None => {
                    self.invalid(name, &format!("\"expected integer, got {}\"", erlang_type(value)))
                }
            },
        }
    }

    fn count(&self, name: &str) -> Done<Option<u64>> {
        match self.integer(name)? {
            Some(integer) => match u64::try_from(integer) {
                Ok(count) => Ok(Some(count)),
                Err(_) => self.invalid(name, &format!("{{value_negative,{integer}}}")),
            },
            None => Ok(None),
        }
    }

    /// A count that isn't 0.
    fn some(&self, name: &str) -> Done<Option<u64>> {
        match self.integer(name)? {
            Some(0) => self.invalid(name, "{value_zero,0}"),
            _ => self.count(name),
        }
    }

    fn time(&self, name: &str) -> Done<Option<Duration>> {
        match self.count(name)? {
            Some(milliseconds) if milliseconds > TTL_MAX => {
                self.invalid(name, &format!("{{value_too_large,{milliseconds}}}"))
            }
            milliseconds => Ok(milliseconds.map(Duration::from_millis)),
        }
    }

    fn text(&self, name: &str) -> Done<Option<&[u8]>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::LongStr(text)) => Ok(Some(text.as_ref())),
            Some(other) => self.unacceptable(name, other),
        }
    }

    /// A text that has to be one of these, or `why`.
    fn one_of(&self, name: &str, known: &[&[u8]], why: &str) -> Done {
        match self.text(name)? {
            Some(text) if !known.contains(&text) => self.invalid(name, why),
            _ => Ok(()),
        }
    }

    fn flag(&self, name: &str) -> Done<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => self.unacceptable(name, other),
        }
    }

    fn kind(&self) -> Done<QueueKind> {
        match self.text("x-queue-type")? {
            None | Some(b"classic") => Ok(QueueKind::Classic),
            Some(b"quorum") => Ok(QueueKind::Quorum),
            Some(b"stream") => Err(Refusal::not_implemented(
                "stream queues: this embedded broker has none, use a RabbitMQ",
            )),
            Some(other) => self
                .invalid("x-queue-type", &format!("\"unsupported queue type '{}'\"", shown(other))),
        }
    }

    fn overflow(&self) -> Done<Overflow> {
        match self.text("x-overflow")? {
            None | Some(b"drop-head") => Ok(Overflow::DropHead),
            Some(b"reject-publish") => Ok(Overflow::RejectPublish),
            Some(b"reject-publish-dlx") => Ok(Overflow::RejectPublishDlx),
            Some(_) => self.invalid("x-overflow", "invalid_overflow"),
        }
    }

    fn max_priority(&self) -> Done<Option<u8>> {
        let Some(most) = self.count("x-max-priority")? else { return Ok(None) };
        match u8::try_from(most) {
            Ok(most) => Ok(Some(most)),
            Err(_) => self.invalid("x-max-priority", &format!("{{max_value_exceeded,{most}}}")),
        }
    }

    fn queue_mode(&self) -> Done {
        match self.text("x-queue-mode")? {
            None | Some(b"lazy" | b"default") => Ok(()),
            Some(other) => self
                .invalid("x-queue-mode", &format!("\"unsupported queue mode '{}'\"", shown(other))),
        }
    }

    fn queue_version(&self) -> Done {
        match self.count("x-queue-version")? {
            None | Some(1 | 2) => Ok(()),
            Some(other) => {
                self.invalid("x-queue-version", &format!("\"unsupported queue version '{other}'\""))
            }
        }
    }

    fn dead_letter_routing_key(&self) -> Done<Option<ShortStr>> {
        let key = self.text("x-dead-letter-routing-key")?;
        if key.is_some() && !self.table.contains_key("x-dead-letter-exchange") {
            return self.invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
        }
        Ok(key.map(|key| ShortStr::new(key).unwrap_or_default()))
    }

    /// RabbitMQ 3.10 takes any value; to 4, less than none is no limit.
    fn delivery_limit(&self, profile: Profile) -> Done<Option<u32>> {
        let limit = match profile {
            Profile::V3_10 => {
                self.get("x-delivery-limit").and_then(Value::as_i64).map(|limit| limit.max(0))
            }
            Profile::V4 => match self.integer("x-delivery-limit")? {
                None => profile.default_delivery_limit().map(i64::from),
                limit => limit.filter(|limit| *limit >= 0),
            },
        };
        Ok(limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
    }

    /// The arguments that are for queues of another type.
    fn check_type(&self, kind: QueueKind) -> Done {
        let (name, own, others) = match kind {
            QueueKind::Classic => ("rabbit_classic_queue", &CLASSIC[..], &QUORUM[..]),
            QueueKind::Quorum => ("rabbit_quorum_queue", &QUORUM[..], &CLASSIC[..]),
        };
        for (key, _) in self.table.iter() {
            let is = |known: &&str| *key == **known;
            if !own.iter().any(is) && others.iter().chain(&STREAM).any(is) {
                let queue = self.queue;
                return Err(Refusal::precondition(format!(
                    "invalid arg '{}' for {queue} of queue type {name}",
                    shown(key.as_ref())
                )));
            }
        }
        Ok(())
    }
}

/// Where a queue may be, to RabbitMQ 3.10.
const LOCATORS: [&str; 3] = ["min-masters", "client-local", "random"];

/// The longest time to live, milliseconds: RabbitMQ's.
pub(crate) const TTL_MAX: u64 = 315_360_000_000;

impl QueueArguments {
    /// Reads a queue's arguments, in the order in which RabbitMQ looks at them; those that nobody knows are
    /// ignored.
    pub(crate) fn read(
        table: &FieldTable,
        queue: &str,
        exclusive: bool,
        profile: Profile,
    ) -> Done<Self> {
        let mut reading = Reading { table, queue, own: &CLASSIC };
        let dead_letter_exchange = match table.get("x-dead-letter-exchange") {
            None => None,
            Some(Value::LongStr(name)) => Some(ShortStr::new(name).unwrap_or_default()),
            Some(other) => {
                return Err(Refusal::precondition(format!(
                    "invalid type '{}' for arg 'x-dead-letter-exchange' in {queue}",
                    erlang_type(other)
                )));
            }
        };
        let kind = reading.kind()?;
        if kind == QueueKind::Quorum {
            reading.own = &QUORUM;
        }
        let expires = match reading.some("x-expires")? {
            None => None,
            Some(_) => reading.time("x-expires")?,
        };
        let message_ttl = reading.time("x-message-ttl")?;
        let dead_letter_routing_key = reading.dead_letter_routing_key()?;
        let strategies: [&[u8]; 2] = [b"at-most-once", b"at-least-once"];
        reading.one_of("x-dead-letter-strategy", &strategies, "invalid_dlx_strategy")?;
        let max_length = reading.count("x-max-length")?;
        let max_length_bytes = reading.count("x-max-length-bytes")?;
        reading.count("x-max-in-memory-length")?;
        reading.count("x-max-in-memory-bytes")?;
        let max_priority = reading.max_priority()?;
        let overflow = reading.overflow()?;
        reading.queue_mode()?;
        reading.queue_version()?;
        let single_active_consumer = reading.flag("x-single-active-consumer")?;
        reading.some("x-quorum-initial-group-size")?;
        let leaders: [&[u8]; 4] = [b"client-local", b"random", b"least-leaders", b"balanced"];
        reading.one_of("x-queue-leader-locator", &leaders, "invalid_queue_locator_arg")?;
        reading.check_type(kind)?;
        // An exclusive queue is where its connection is.
        if profile == Profile::V3_10
            && !exclusive
            && let Some(locator) = reading.get("x-queue-master-locator")
            && !LOCATORS.iter().any(|known| *locator == Value::from(*known))
        {
            return Err(Refusal::Connection(ReplyCode::INTERNAL_ERROR, String::new()));
        }
        let delivery_limit = match kind {
            QueueKind::Classic => None,
            QueueKind::Quorum => reading.delivery_limit(profile)?,
        };
        Ok(Self {
            kind,
            message_ttl,
            expires,
            max_length,
            max_length_bytes,
            overflow,
            dead_letter_exchange,
            dead_letter_routing_key,
            max_priority,
            single_active_consumer,
            delivery_limit,
        })
    }
}

/// The arguments that make a classic queue another one.
const CLASSIC: [&str; 13] = [
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-single-active-consumer",
    "x-queue-type",
    "x-queue-master-locator",
];

/// The arguments that make a quorum queue another one.
const QUORUM: [&str; 15] = [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    "x-message-ttl",
    "x-queue-leader-locator",
];

/// Those that only streams have.
const STREAM: [&str; 3] =
    ["x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size"];

/// Fails unless a queue that is there is the one that is declared now.
pub(crate) fn check_same_arguments(
    what: &str,
    names: &[&str],
    received: &FieldTable,
    current: &FieldTable,
    profile: Profile,
) -> Done {
    for name in names {
        let (received, current) = (received.get(name), current.get(name));
        if is_same(name, received, current) {
            continue;
        }
        if *name == "x-queue-type" && profile != Profile::V3_10 {
            let kind = |value: Option<&Value>| match value {
                Some(Value::LongStr(text)) => shown(text.as_ref()),
                _ => "classic".to_owned(),
            };
            return Err(inequivalent(name, what, &kind(received), &kind(current), true));
        }
        let whole = |value: &Value| {
            format!("the value '{}' of type '{}'", plain(value), erlang_type(value))
        };
        return Err(match (received, current) {
            (Some(received), Some(current)) => {
                inequivalent(name, what, &plain(received), &plain(current), true)
            }
            (Some(received), None) => inequivalent(name, what, &whole(received), "none", false),
            (None, Some(current)) => inequivalent(name, what, "none", &whole(current), false),
            (None, None) => continue,
        });
    }
    Ok(())
}

/// As [`check_same_arguments`], for a queue's.
pub(crate) fn check_same_queue(
    what: &str,
    received: &FieldTable,
    current: &FieldTable,
    kind: QueueKind,
    profile: Profile,
) -> Done {
    let names = match kind {
        QueueKind::Classic => &CLASSIC[..],
        QueueKind::Quorum => &QUORUM[..],
    };
    check_same_arguments(what, names, received, current, profile)
}

fn is_same(name: &str, received: Option<&Value>, current: Option<&Value>) -> bool {
    let is_classic = |value: Option<&Value>| match value {
        None => true,
        Some(value) => value.as_bytes() == Some(b"classic"),
    };
    match (received, current) {
        (received, current) if name == "x-queue-type" && is_classic(received) => {
            is_classic(current)
        }
        (Some(received), Some(current)) => is_alike(received, current),
        (received, current) => received.is_none() && current.is_none(),
    }
}

/// Whether two values are the same to RabbitMQ: numbers are, whatever their width.
fn is_alike(one: &Value, other: &Value) -> bool {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        return one == other;
    }
    if let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) {
        #[expect(clippy::float_cmp, reason = "whether they are the same, not whether about so")]
        return one == other;
    }
    one == other
}

fn plain(value: &Value) -> String {
    match value {
        Value::LongStr(text) => shown(text.as_ref()),
        Value::Bool(flag) => flag.to_string(),
        Value::Bytes(octets) => shown(octets),
        other => erlang_term(other),
    }
}

/// A value as Erlang prints it.
pub(crate) fn erlang_term(value: &Value) -> String {
    let list = |terms: Vec<String>| format!("[{}]", terms.join(","));
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::F32(number) => format!("{number:?}"),
        Value::F64(number) => format!("{number:?}"),
        Value::LongStr(text) => erlang_binary(text.as_ref()),
        Value::Bytes(octets) => erlang_binary(octets),
        Value::Timestamp(time) => time.0.to_string(),
        Value::Decimal(decimal) => format!("{{{},{}}}", decimal.scale, decimal.value),
        Value::Array(values) => list(
            values
                .iter()
                .map(|value| format!("{{{},{}}}", erlang_type(value), erlang_term(value)))
                .collect(),
        ),
        Value::Table(table) => list(
            table
                .iter()
                .map(|(key, value)| {
                    let key = erlang_binary(key.as_ref());
                    format!("{{{key},{},{}}}", erlang_type(value), erlang_term(value))
                })
                .collect(),
        ),
        _ => value.as_i64().map_or_else(|| "undefined".to_owned(), |integer| integer.to_string()),
    }
}

/// 406 for something that was declared otherwise.
pub(crate) fn inequivalent(
    name: &str,
    what: &str,
    received: &str,
    current: &str,
    quoted: bool,
) -> Refusal {
    let (received, current) = if quoted {
        (format!("'{received}'"), format!("'{current}'"))
    } else {
        (received.to_owned(), current.to_owned())
    };
    Refusal::precondition(format!(
        "inequivalent arg '{name}' for {what}: received {received} but current is {current}"
    ))
}
