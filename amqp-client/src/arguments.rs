//! RabbitMQ's arguments of queues, exchanges, bindings and consumers, typed: their values, and how they
//! stand in the table.
//!
//! The setters are the builders' own: see [`QueueDeclare`](crate::QueueDeclare),
//! [`ExchangeDeclare`](crate::ExchangeDeclare), [`QueueBind`](crate::QueueBind) and
//! [`Consume`](crate::Consume).

use std::time::{Duration, SystemTime};

use amqp091::types::{FieldTable, LongStr, ShortStr, Timestamp, Value};

/// What kind of queue it is (`x-queue-type`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum QueueType {
    /// On one node: what a queue is unless the virtual host says otherwise.
    Classic,
    /// Replicated by consensus; always durable.
    Quorum,
    /// A log that keeps its messages, to be read again and again from any place; always durable.
    Stream,
}

impl QueueType {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }
}

/// What a full queue does (`x-overflow`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// Drops or dead-letters its oldest messages: the default.
    DropHead,
    /// Refuses new messages: their publishers get [`Outcome::Nacked`](crate::Outcome::Nacked).
    RejectPublish,
    /// As `RejectPublish`, and dead-letters what it refuses. Classic queues only.
    RejectPublishDlx,
}

impl Overflow {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropHead => "drop-head",
            Self::RejectPublish => "reject-publish",
            Self::RejectPublishDlx => "reject-publish-dlx",
        }
    }
}

/// How safely a quorum queue dead-letters (`x-dead-letter-strategy`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DeadLetterStrategy {
    /// A message may be lost on the way: the default.
    AtMostOnce,
    /// The queue keeps a message until the target has confirmed it; wants
    /// [`Overflow::RejectPublish`].
    AtLeastOnce,
}

impl DeadLetterStrategy {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtMostOnce => "at-most-once",
            Self::AtLeastOnce => "at-least-once",
        }
    }
}

/// On which node the leader of a replicated queue begins (`x-queue-leader-locator`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LeaderLocator {
    /// The node that this client is connected to: the default.
    ClientLocal,
    /// One that has few leaders.
    Balanced,
}

impl LeaderLocator {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLocal => "client-local",
            Self::Balanced => "balanced",
        }
    }
}

/// Where a consumer of a stream begins (`x-stream-offset`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StreamOffset {
    /// The first message that the stream still has.
    First,
    /// The last chunk that was written.
    Last,
    /// What is published from now on: the default.
    Next,
    /// The message with this number. Messages tell theirs in the header `x-stream-offset`.
    Offset(u64),
    /// The first chunk from this time on, in whole seconds.
    Time(SystemTime),
    /// What was published so long ago and since, in whole seconds.
    Ago(Duration),
}

impl From<StreamOffset> for Value {
    fn from(offset: StreamOffset) -> Self {
        match offset {
            StreamOffset::First => Self::from("first"),
            StreamOffset::Last => Self::from("last"),
            StreamOffset::Next => Self::from("next"),
            StreamOffset::Offset(number) => count(number),
            StreamOffset::Time(time) => Self::Timestamp(Timestamp::from(time)),
            StreamOffset::Ago(time) => seconds(time),
        }
    }
}

/// Which headers of a message a binding to a headers exchange compares (`x-match`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HeadersMatch {
    /// All of the binding's arguments must match, those with `x-` in front aside: the default.
    All,
    /// One of them must match.
    Any,
    /// All must match, those with `x-` in front too (RabbitMQ 3.10).
    AllWithX,
    /// One must match, those with `x-` in front too (RabbitMQ 3.10).
    AnyWithX,
}

impl HeadersMatch {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::AllWithX => "all-with-x",
            Self::AnyWithX => "any-with-x",
        }
    }
}

/// The exchange types that every broker has. Wherever a type is taken, so is its name: those that
/// plugins add have no other form.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ExchangeType {
    /// To the queues whose binding key is the routing key.
    Direct,
    /// To every queue.
    Fanout,
    /// To the queues whose binding key, a pattern of words, fits the routing key.
    Topic,
    /// To the queues whose binding's arguments fit the message's headers.
    Headers,
}

impl ExchangeType {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

impl AsRef<[u8]> for ExchangeType {
    fn as_ref(&self) -> &[u8] {
        self.name().as_bytes()
    }
}

/// Adds `arguments`, each in the place of what has its key. The table's own order and repeated keys
/// stay as they are.
pub(crate) fn merge(table: &mut FieldTable, arguments: FieldTable) {
    for (key, _) in &arguments {
        while table.remove(key).is_some() {}
    }
    table.extend(arguments);
}

/// A name or key, which tables hold as a long string.
pub(crate) fn text(name: ShortStr) -> Value {
    Value::LongStr(LongStr::from(name))
}

/// A number of things or octets. What no table can hold is as good as the most that one can.
pub(crate) fn count(number: u64) -> Value {
    Value::I64(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A time in milliseconds, rounded up: none becomes "at once" that isn't.
pub(crate) fn milliseconds(time: Duration) -> Value {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    Value::I64(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

/// A time in seconds as text with its unit, rounded up.
pub(crate) fn seconds(time: Duration) -> Value {
    let seconds = time.as_nanos().div_ceil(1_000_000_000);
    Value::from(format!("{seconds}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_never_too_large() {
        let nanosecond = Duration::from_nanos(1);
        let second = Duration::from_secs(1);
        for (time, expected) in [
            (Duration::ZERO, 0),
            (nanosecond, 1),
            (second, 1000),
            (second + nanosecond, 1001),
            (Duration::MAX, i64::MAX),
        ] {
            assert_eq!(milliseconds(time), Value::I64(expected), "{time:?}");
        }
        assert_eq!(seconds(Duration::ZERO), Value::from("0s"));
        assert_eq!(seconds(nanosecond), Value::from("1s"));
        assert_eq!(seconds(90 * second), Value::from("90s"));
        assert_eq!(count(5), Value::I64(5));
        assert_eq!(count(u64::MAX), Value::I64(i64::MAX));
    }

    #[test]
    fn arguments_take_the_place_of_those_with_their_key_and_keep_their_own_order() {
        let key = ShortStr::from_static;
        let mut table = FieldTable::new().with(key("a"), 1).with(key("b"), 2).with(key("c"), 3);
        let more: FieldTable =
            vec![(key("d"), Value::I32(4)), (key("b"), Value::I32(5)), (key("d"), Value::I32(6))]
                .into();
        merge(&mut table, more);
        let entries: Vec<_> =
            table.iter().map(|(key, value)| (key.to_string(), value.as_i64().unwrap())).collect();
        let expected = [("a", 1), ("c", 3), ("d", 4), ("b", 5), ("d", 6)];
        assert_eq!(entries, expected.map(|(key, value)| (key.to_owned(), value)));
    }
}
