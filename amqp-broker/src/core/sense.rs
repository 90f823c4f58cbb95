//! Whether a rule makes sense: one that can never fire is found out when it is made. And how rules are
//! told to whoever reads of them.

use std::fmt;

use amqp091::protocol::CLASSES;
use amqp091::types::SentBy;
use amqp091::types::schema::MethodInfo;

use super::faults::{Action, Cut, Direction, Filter, Trigger};

/// Why a rule makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error("there is no method {name:?}{}", similar.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default())]
    UnknownMethod { name: String, similar: Option<&'static str> },
    #[error("{method} is sent by {sender} alone")]
    Direction { method: &'static str, sender: &'static str },
    #[error("{method} has no {field}")]
    Field { method: &'static str, field: &'static str },
    #[error("{value:?} is {} octets long, and a {field} has at most 255", value.len())]
    TooLong { field: &'static str, value: String },
    #[error("{what} has no {field}")]
    Place { what: &'static str, field: &'static str },
    #[error("{0}")]
    Number(&'static str),
    #[error("{action} is for {of}")]
    Action { action: String, of: &'static str },
}

fn methods() -> impl Iterator<Item = &'static MethodInfo> {
    CLASSES.iter().flat_map(|class| class.methods).copied()
}

/// The specification's own copy of a method's name.
pub(crate) fn known(name: &str) -> Result<&'static str, Nonsense> {
    if let Some(method) = methods().find(|method| method.name == name) {
        return Ok(method.name);
    }
    let similar = methods()
        .map(|method| (distance(method.name, name), method.name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + name.len() / 4)
        .map(|(_, name)| name);
    Err(Nonsense::UnknownMethod { name: name.to_owned(), similar })
}

/// How many letters are to be changed, put in or left out to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.bytes().enumerate() {
            let changed = before + usize::from(!a.eq_ignore_ascii_case(&b));
            before = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(before + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

impl Direction {
    const fn sender(self) -> &'static str {
        match self {
            Self::FromClient => "clients",
            Self::ToClient => "the broker",
        }
    }
}

/// Who alone sends a method, if it isn't both.
fn sender(method: &MethodInfo) -> Option<Direction> {
    match method.sent_by {
        SentBy::Client => Some(Direction::FromClient),
        SentBy::Server => Some(Direction::ToClient),
        SentBy::Both => None,
    }
}

/// Whether a rule can ever fire.
pub(crate) fn check(filter: &Filter, action: &Action) -> Result<(), Nonsense> {
    if filter.nth == 0 {
        return Err(Nonsense::Number("matches are counted from 1: nth(0) never comes"));
    }
    if filter.times == Some(0) {
        return Err(Nonsense::Number("times(0) is no time at all"));
    }
    let mut direction = filter.direction;
    let mut method = None;
    match filter.trigger {
        Trigger::Method(name) => {
            let Some(info) = methods().find(|info| info.name == name) else { return Ok(()) };
            method = Some(name);
            if let Some(by) = sender(info) {
                if direction.is_some_and(|direction| direction != by) {
                    return Err(Nonsense::Direction { method: name, sender: by.sender() });
                }
                direction = Some(by);
            }
            let has = |field: &str| {
                info.fields.iter().any(|known| known.name == field)
                    || field == "queue" && matches!(name, "basic.publish" | "basic.deliver")
            };
            if let Some((field, _)) = filter.fields.iter().find(|(field, _)| !has(field)) {
                return Err(Nonsense::Field { method: name, field });
            }
            if name.starts_with("connection.") && filter.channel.is_some_and(|channel| channel != 0)
            {
                return Err(Nonsense::Place {
                    what: "a connection-class method",
                    field: "channel but 0",
                });
            }
        }
        Trigger::AnyMethod => {}
        Trigger::Frame => {
            direction = Some(Direction::ToClient);
            if let Some((field, _)) = filter.fields.first() {
                return Err(Nonsense::Place { what: "a frame as such", field });
            }
        }
        Trigger::Connect => {
            let field = match filter {
                Filter { channel: Some(_), .. } => Some("channel yet"),
                Filter { connection_name: Some(_), .. } => Some("name yet"),
                _ => filter.fields.first().map(|(field, _)| *field),
            };
            if let Some(field) = field {
                return Err(Nonsense::Place { what: "a client that connects", field });
            }
        }
        Trigger::Now => {
            let is_narrow = matches!(action, Action::CancelConsumer | Action::CloseChannel(..));
            let is_known = |field: &str| is_narrow && matches!(field, "queue" | "consumer-tag");
            if let Some((field, _)) = filter.fields.iter().find(|(field, _)| !is_known(field)) {
                return Err(Nonsense::Place { what: "a connection", field });
            }
        }
    }
    check_action(filter, method, direction, action)
}

fn check_action(
    filter: &Filter,
    method: Option<&str>,
    direction: Option<Direction>,
    action: &Action,
) -> Result<(), Nonsense> {
    let is_frame = !matches!(filter.trigger, Trigger::Now | Trigger::Connect);
    let may_be = |name: &str| match filter.trigger {
        Trigger::Method(_) => method == Some(name),
        Trigger::AnyMethod => true,
        _ => false,
    };
    let incoming = direction != Some(Direction::ToClient);
    let outgoing = direction != Some(Direction::FromClient);
    let (makes_sense, of) = match action {
        Action::Delay(_) | Action::Hold | Action::Discard => (is_frame, "frames"),
        Action::Coalesce(0) => {
            return Err(Nonsense::Number("coalesce(0) would never send anything"));
        }
        Action::Coalesce(_) => (outgoing && may_be("basic.ack"), "the broker's basic.ack"),
        Action::Nack | Action::Return => (incoming && may_be("basic.publish"), "basic.publish"),
        Action::Tune { .. } => (outgoing && may_be("connection.tune"), "connection.tune"),
        Action::Corrupt { .. } => (is_frame && outgoing, "what the broker sends"),
        Action::CloseChannel(..) | Action::CancelConsumer => (
            filter.trigger != Trigger::Connect
                && filter.channel != Some(0)
                && !method.is_some_and(|name| name.starts_with("connection.")),
            "what happens on a channel",
        ),
        Action::CloseConnection(..) => {
            (filter.trigger != Trigger::Connect, "a connection that has begun to talk")
        }
        _ => (true, ""),
    };
    if makes_sense { Ok(()) } else { Err(Nonsense::Action { action: action.to_string(), of }) }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            Trigger::Method(name) => f.write_str(name)?,
            Trigger::AnyMethod => f.write_str("any method")?,
            Trigger::Frame => f.write_str("a frame of the broker's")?,
            Trigger::Connect => f.write_str("a client that connects")?,
            Trigger::Now => f.write_str("a connection that is there")?,
        }
        if let Some(direction) = self.direction {
            write!(f, " from {}", direction.sender())?;
        }
        if let Some(number) = self.connection {
            write!(f, ", connection {number}")?;
        }
        if let Some(name) = &self.connection_name {
            write!(f, ", connection {name:?}")?;
        }
        if let Some(number) = self.channel {
            write!(f, ", channel {number}")?;
        }
        for (name, value) in &self.fields {
            write!(f, ", {name} {:?}", String::from_utf8_lossy(value.as_ref()))?;
        }
        match (self.nth, self.times) {
            (1, None) => {}
            (1, Some(times)) => write!(f, ", at most {times}")?,
            (nth, Some(1)) => write!(f, ", number {nth}")?,
            (nth, Some(times)) => write!(f, ", {times} from number {nth} on")?,
            (nth, None) => write!(f, ", from number {nth} on")?,
        }
        if let Some((chance, _)) = self.chance {
            write!(f, ", with probability {:.3}", chance as f64 / u64::MAX as f64)?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop { cut, reset } => {
                f.write_str(if *reset { "reset the connection" } else { "drop the connection" })?;
                match cut {
                    Cut::Before => f.write_str(" before it"),
                    Cut::After => f.write_str(" behind it"),
                    Cut::Octets(octets) => write!(f, " after {octets} octets"),
                    Cut::Middle => f.write_str(" in the middle of it"),
                }
            }
            Self::Delay(span) => write!(f, "delay it by {span:?}"),
            Self::Hold => f.write_str("hold it"),
            Self::Coalesce(count) => write!(f, "coalesce {count}"),
            Self::Discard => f.write_str("discard it"),
            Self::Nack => f.write_str("nack it"),
            Self::Return => f.write_str("give it back"),
            Self::CancelConsumer => f.write_str("cancel the consumer"),
            Self::CloseChannel(code, _) => write!(f, "close the channel with {}", code.0),
            Self::CloseConnection(code, _) => write!(f, "close the connection with {}", code.0),
            Self::Tune { .. } => f.write_str("another offer"),
            Self::Block(_) => f.write_str("block publishers"),
            Self::Unblock => f.write_str("unblock publishers"),
            Self::StopReading => f.write_str("stop reading"),
            Self::StopWriting => f.write_str("stop writing"),
            Self::Silence => f.write_str("go silent"),
            Self::Corrupt { octet } => write!(f, "corrupt octet {octet}"),
            Self::Restart => f.write_str("restart"),
        }
    }
}
