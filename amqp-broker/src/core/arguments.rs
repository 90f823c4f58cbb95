//! Queues' arguments: what they mean, which are wrong, and whether two sets of them are the same queue.

use std::time::Duration;

use amqp091::protocol::ReplyCode;
use amqp091::types::{FieldTable, ShortStr, Value};

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
}

impl Reading<'_> {
    fn invalid<T>(&self, name: &str, why: &str) -> Done<T> {
        let queue = self.queue;
        Err(Refusal::precondition(format!("invalid arg '{name}' for {queue}: {why}")))
    }

    fn unacceptable<T>(&self, name: &str, value: &Value) -> Done<T> {
        self.invalid(name, &format!("{{unacceptable_type,{}}}", erlang_type(value)))
    }

    fn integer(&self, name: &str) -> Done<Option<i64>> {
        match self.table.get(name) {
            None => Ok(None),
            Some(value @ (Value::Timestamp(_) | Value::Bool(_))) => {
                self.invalid(name, &format!("\"expected integer, got {}\"", erlang_type(value)))
            }
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

    /// A name, whose type has an error of its own.
    fn name(&self, name: &str) -> Done<Option<ShortStr>> {
        match self.table.get(name) {
            None => Ok(None),
            Some(Value::LongStr(text)) => Ok(Some(ShortStr::new(text).unwrap_or_default())),
            Some(other) => Err(Refusal::precondition(format!(
                "invalid type '{}' for arg '{name}' in {}",
                erlang_type(other),
                self.queue
            ))),
        }
    }

    fn flag(&self, name: &str) -> Done<bool> {
        match self.table.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => self.unacceptable(name, other),
        }
    }

    fn kind(&self) -> Done<QueueKind> {
        match self.table.get("x-queue-type") {
            None => Ok(QueueKind::Classic),
            Some(Value::LongStr(text)) => match text.as_ref() {
                b"classic" => Ok(QueueKind::Classic),
                b"quorum" => Ok(QueueKind::Quorum),
                b"stream" => Err(Refusal::not_implemented(
                    "stream queues: this embedded broker has none, use a RabbitMQ",
                )),
                other => self.invalid(
                    "x-queue-type",
                    &format!("\"unsupported queue type '{}'\"", shown(other)),
                ),
            },
            Some(other) => self.unacceptable("x-queue-type", other),
        }
    }

    fn overflow(&self) -> Done<Overflow> {
        match self.table.get("x-overflow") {
            None => Ok(Overflow::DropHead),
            Some(Value::LongStr(text)) => match text.as_ref() {
                b"drop-head" => Ok(Overflow::DropHead),
                b"reject-publish" => Ok(Overflow::RejectPublish),
                b"reject-publish-dlx" => Ok(Overflow::RejectPublishDlx),
                _ => self.invalid("x-overflow", "invalid_overflow"),
            },
            Some(other) => self.unacceptable("x-overflow", other),
        }
    }
}

impl QueueArguments {
    /// Reads a queue's arguments; those that nobody knows are ignored.
    pub(crate) fn read(table: &FieldTable, queue: &str, profile: Profile) -> Done<Self> {
        let reading = Reading { table, queue };
        let kind = reading.kind()?;
        match table.get("x-queue-mode") {
            None => {}
            Some(Value::LongStr(text)) if matches!(text.as_ref(), b"lazy" | b"default") => {}
            Some(Value::LongStr(text)) => {
                let mode = shown(text.as_ref());
                return reading
                    .invalid("x-queue-mode", &format!("\"unsupported queue mode '{mode}'\""));
            }
            Some(other) => return reading.unacceptable("x-queue-mode", other),
        }
        if profile == Profile::V3_10
            && let Some(Value::LongStr(text)) = table.get("x-queue-master-locator")
            && !matches!(text.as_ref(), b"min-masters" | b"client-local" | b"random")
        {
            return Err(Refusal::Connection(ReplyCode::INTERNAL_ERROR, String::new()));
        }
        let expires = match reading.count("x-expires")? {
            Some(0) => return reading.invalid("x-expires", "{value_zero,0}"),
            expires => expires.map(Duration::from_millis),
        };
        let max_priority = match reading.count("x-max-priority")? {
            Some(most) => match u8::try_from(most) {
                Ok(most) => Some(most),
                Err(_) => {
                    return reading
                        .invalid("x-max-priority", &format!("{{max_value_exceeded,{most}}}"));
                }
            },
            None => None,
        };
        let dead_letter_exchange = reading.name("x-dead-letter-exchange")?;
        let dead_letter_routing_key = reading.name("x-dead-letter-routing-key")?;
        if dead_letter_routing_key.is_some() && dead_letter_exchange.is_none() {
            return reading.invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
        }
        let delivery_limit = reading.count("x-delivery-limit")?;
        let not_for = |name: &str, kind: &str| {
            Err(Refusal::precondition(format!(
                "invalid arg '{name}' for {queue} of queue type {kind}"
            )))
        };
        if kind == QueueKind::Classic && delivery_limit.is_some() {
            return not_for("x-delivery-limit", "rabbit_classic_queue");
        }
        if kind == QueueKind::Quorum && max_priority.is_some() {
            return not_for("x-max-priority", "rabbit_quorum_queue");
        }
        let delivery_limit =
            delivery_limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)).or_else(|| {
                (kind == QueueKind::Quorum).then(|| profile.default_delivery_limit()).flatten()
            });
        Ok(Self {
            kind,
            message_ttl: reading.count("x-message-ttl")?.map(Duration::from_millis),
            expires,
            max_length: reading.count("x-max-length")?,
            max_length_bytes: reading.count("x-max-length-bytes")?,
            overflow: reading.overflow()?,
            dead_letter_exchange,
            dead_letter_routing_key,
            max_priority,
            single_active_consumer: reading.flag("x-single-active-consumer")?,
            delivery_limit,
        })
    }
}

/// The arguments that make a queue another one.
const COMPARED: [&str; 13] = [
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-mode",
    "x-queue-type",
    "x-single-active-consumer",
    "x-delivery-limit",
];

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
    profile: Profile,
) -> Done {
    check_same_arguments(what, &COMPARED, received, current, profile)
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
        (Some(received), Some(current)) => match (received.as_i64(), current.as_i64()) {
            (Some(received), Some(current)) => received == current,
            _ => received == current,
        },
        (received, current) => received.is_none() && current.is_none(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::LongStr(text) => shown(text.as_ref()),
        Value::Bool(flag) => flag.to_string(),
        _ => value.as_i64().map_or_else(|| format!("{value:?}"), |integer| integer.to_string()),
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
