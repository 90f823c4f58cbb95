//! Exchanges: what is bound to them, and where a message goes from there.

use std::collections::{HashMap, HashSet};

use amqp091::types::{FieldTable, ShortStr, Value};

use super::arguments::erlang_term;
use super::bad_input::erlang_binary;
use super::memory::{BINDING_COST, Share, WORD_COST, weight};
use super::message::erlang_type;
use super::queue::Queue;
use super::refusal::{Done, Refusal};
use super::slab::Key;
use super::targets::Targets;
use super::topic::Topics;
use super::vhost::give_back;

pub(crate) type ExchangeKey = Key<Exchange>;
pub(crate) type QueueKey = Key<Queue>;

/// Where a binding leads.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Destination {
    Queue(QueueKey),
    Exchange(ExchangeKey),
}

/// The types of exchanges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"direct" => Self::Direct,
            b"fanout" => Self::Fanout,
            b"topic" => Self::Topic,
            b"headers" => Self::Headers,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) name: ShortStr,
    pub(crate) kind: Kind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) arguments: FieldTable,
    /// Where goes what is routed nowhere.
    pub(crate) alternate: Option<ShortStr>,
    /// Bindings that lead here, by their source.
    pub(crate) sources: HashSet<(ExchangeKey, ShortStr)>,
    bindings: HashMap<(Destination, ShortStr), Vec<FieldTable>>,
    routes: Routes,
    pub(crate) published: u64,
    /// The last message that came by here: none is to come twice.
    pub(crate) routed: u64,
    /// What it counts with in what the broker holds, its bindings included.
    share: Share,
}

/// The bindings, as they are looked up.
#[derive(Debug)]
enum Routes {
    Direct(HashMap<ShortStr, Targets<Destination>>),
    Fanout(Targets<(Destination, ShortStr)>),
    Topic(Box<Topics>),
    Headers(Vec<HeadersBinding>),
}

#[derive(Debug)]
struct HeadersBinding {
    destination: Destination,
    key: ShortStr,
    arguments: FieldTable,
    wanted: Match,
}

#[derive(Clone, Copy, Debug)]
struct Match {
    any: bool,
    /// Whether keys that begin with `x-` count as well.
    with_x: bool,
}

impl Match {
    fn of(arguments: &FieldTable) -> Done<Self> {
        let (any, with_x) = match arguments.get("x-match") {
            None => (false, false),
            Some(Value::LongStr(text)) => match text.as_ref() {
                b"all" => (false, false),
                b"any" => (true, false),
                b"all-with-x" => (false, true),
                b"any-with-x" => (true, true),
                other => {
                    return Err(Refusal::precondition(format!(
                        "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
                        erlang_binary(other)
                    )));
                }
            },
            Some(other) => {
                let value = erlang_term(other);
                return Err(Refusal::precondition(format!(
                    "Invalid x-match field type {} (value {value}); expected longstr",
                    erlang_type(other)
                )));
            }
        };
        Ok(Self { any, with_x })
    }

    fn matches(self, wanted: &FieldTable, headers: &Headers<'_>) -> bool {
        let mut counted = wanted.iter().filter(|(key, _)| {
            *key != "x-match" && (self.with_x || !key.as_ref().starts_with(b"x-"))
        });
        let has = |(key, wanted): (&ShortStr, &Value)| {
            headers.get(key).is_some_and(|found| same(wanted, found))
        };
        if self.any { counted.any(has) } else { counted.all(has) }
    }
}

/// A message's headers, to be asked for one after the other.
enum Headers<'a> {
    Few(Option<&'a FieldTable>),
    Many(HashMap<&'a [u8], &'a Value>),
}

impl<'a> Headers<'a> {
    /// Up to so many are searched one by one.
    const FEW: usize = 16;

    fn of(headers: Option<&'a FieldTable>) -> Self {
        match headers {
            Some(headers) if headers.len() > Self::FEW => {
                let mut index = HashMap::with_capacity(headers.len());
                for (key, value) in headers {
                    // The first of equal ones.
                    index.entry(key.as_ref()).or_insert(value);
                }
                Self::Many(index)
            }
            headers => Self::Few(headers),
        }
    }

    fn get(&self, key: &ShortStr) -> Option<&'a Value> {
        match self {
            Self::Few(headers) => headers.and_then(|headers| headers.get(key)),
            Self::Many(index) => index.get(key.as_ref()).copied(),
        }
    }
}

/// Whether a header has the wanted value. A void value wants any.
fn same(wanted: &Value, found: &Value) -> bool {
    matches!(wanted, Value::Void) || is_equal(wanted, found)
}

/// Whether two values are equal to Erlang, which doesn't look at the types of what isn't nested.
fn is_equal(one: &Value, other: &Value) -> bool {
    let is_same =
        |one: &Value, other: &Value| erlang_type(one) == erlang_type(other) && is_equal(one, other);
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Table(one), Value::Table(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other.iter())
                    .all(|((key, one), (other_key, other))| key == other_key && is_same(one, other))
        }
        // Both are the empty list.
        (Value::Array(values), Value::Table(table))
        | (Value::Table(table), Value::Array(values)) => values.is_empty() && table.is_empty(),
        (Value::LongStr(_) | Value::Bytes(_), Value::LongStr(_) | Value::Bytes(_)) => {
            one.as_bytes() == other.as_bytes()
        }
        _ => match (whole(one), whole(other)) {
            (Some(one), Some(other)) => one == other,
            _ => match (number(one), number(other)) {
                #[expect(
                    clippy::float_cmp,
                    reason = "whether they are equal, not whether about so"
                )]
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Timestamp(time) => Some(time.0.into()),
        _ => value.as_i64().map(i128::from),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| whole(value).map(|whole| whole as f64))
}

/// In which order a binding's arguments came doesn't matter.
fn sorted(arguments: &FieldTable) -> FieldTable {
    let mut entries: Vec<_> = arguments.iter().collect();
    entries.sort_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
    entries.into_iter().fold(FieldTable::new(), |mut table, (key, value)| {
        table.push(key.clone(), value.clone());
        table
    })
}

/// What a binding counts with.
fn binding_weight(key: &ShortStr, arguments: &FieldTable) -> usize {
    // Its key may be many words, each with a place in the tree.
    let words = key.as_ref().split(|&octet| octet == b'.').count();
    BINDING_COST + words * WORD_COST + 2 * (key.len() + weight(arguments))
}

impl Exchange {
    pub(crate) fn new(name: ShortStr, kind: Kind, share: Share) -> Self {
        Self {
            name,
            kind,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::new(),
            alternate: None,
            sources: HashSet::new(),
            bindings: HashMap::new(),
            routes: match kind {
                Kind::Direct => Routes::Direct(HashMap::new()),
                Kind::Fanout => Routes::Fanout(Targets::default()),
                Kind::Topic => Routes::Topic(Box::default()),
                Kind::Headers => Routes::Headers(Vec::new()),
            },
            published: 0,
            routed: 0,
            share,
        }
    }

    /// Whether nothing is bound to it.
    pub(crate) fn is_unused(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Whether any binding leads there with this key.
    pub(crate) fn is_bound(&self, destination: Destination, key: &ShortStr) -> bool {
        self.bindings.contains_key(&(destination, key.clone()))
    }

    /// Whether a binding with these arguments means anything.
    pub(crate) fn check_binding(&self, arguments: &FieldTable) -> Done {
        match self.kind {
            Kind::Headers => Match::of(arguments).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Whether there is this very binding.
    pub(crate) fn has_binding(
        &self,
        destination: Destination,
        key: &ShortStr,
        arguments: &FieldTable,
    ) -> bool {
        let same_key = self.bindings.get(&(destination, key.clone()));
        same_key.is_some_and(|same_key| same_key.contains(&sorted(arguments)))
    }

    /// Adds a binding; `false` if it is there already.
    pub(crate) fn bind(
        &mut self,
        destination: Destination,
        key: &ShortStr,
        arguments: &FieldTable,
    ) -> Done<bool> {
        let wanted = match self.kind {
            Kind::Headers => Match::of(arguments)?,
            _ => Match { any: false, with_x: false },
        };
        let arguments = &sorted(arguments);
        let same_key = self.bindings.entry((destination, key.clone())).or_default();
        if same_key.contains(arguments) {
            return Ok(false);
        }
        same_key.push(arguments.clone());
        self.share.add(binding_weight(key, arguments));
        let is_first = same_key.len() == 1;
        let key = key.clone();
        match &mut self.routes {
            Routes::Headers(bindings) => bindings.push(HeadersBinding {
                destination,
                key,
                arguments: arguments.clone(),
                wanted,
            }),
            _ if !is_first => {}
            Routes::Direct(keys) => keys.entry(key).or_default().insert(destination),
            Routes::Fanout(all) => all.insert((destination, key)),
            Routes::Topic(topics) => topics.insert(key.as_ref(), destination),
        }
        Ok(true)
    }

    /// Takes a binding away; `false` if there is none.
    pub(crate) fn unbind(
        &mut self,
        destination: Destination,
        key: &ShortStr,
        arguments: &FieldTable,
    ) -> bool {
        let place = (destination, key.clone());
        let arguments = &sorted(arguments);
        let Some(same_key) = self.bindings.get_mut(&place) else { return false };
        let Some(index) = same_key.iter().position(|found| found == arguments) else {
            return false;
        };
        same_key.remove(index);
        self.share.remove(binding_weight(key, arguments));
        let is_last = same_key.is_empty();
        if is_last {
            self.bindings.remove(&place);
            give_back(&mut self.bindings);
        }
        match &mut self.routes {
            Routes::Headers(bindings) => bindings.retain(|found| {
                found.destination != destination
                    || found.key != *key
                    || found.arguments != *arguments
            }),
            _ if !is_last => {}
            Routes::Direct(keys) => {
                if let Some(destinations) = keys.get_mut(key) {
                    destinations.remove(&destination);
                    if destinations.is_empty() {
                        keys.remove(key);
                        give_back(keys);
                    }
                }
            }
            Routes::Fanout(all) => all.remove(&(destination, key.clone())),
            Routes::Topic(topics) => topics.remove(key.as_ref(), destination),
        }
        true
    }

    /// Takes all bindings to `destination` with this key away.
    pub(crate) fn unbind_all(&mut self, destination: Destination, key: &ShortStr) {
        while let Some(arguments) = self
            .bindings
            .get(&(destination, key.clone()))
            .and_then(|same_key| same_key.first())
            .cloned()
        {
            self.unbind(destination, key, &arguments);
        }
    }

    /// All bindings: destination, routing key, arguments.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (Destination, &ShortStr, &FieldTable)> {
        self.bindings.iter().flat_map(|((destination, key), same_key)| {
            same_key.iter().map(move |arguments| (*destination, key, arguments))
        })
    }

    /// Calls `found` with each destination of a message; the same may be found more than once.
    pub(crate) fn route(
        &mut self,
        key: &ShortStr,
        headers: Option<&FieldTable>,
        mut found: impl FnMut(Destination),
    ) {
        match &mut self.routes {
            Routes::Direct(keys) => {
                let destinations = keys.get(key).into_iter().flat_map(Targets::all);
                destinations.copied().for_each(found);
            }
            Routes::Fanout(all) => {
                all.all().iter().for_each(|(destination, _)| found(*destination));
            }
            Routes::Topic(topics) => topics.matches(key.as_ref(), found),
            Routes::Headers(bindings) => {
                let headers = Headers::of(headers);
                bindings
                    .iter()
                    .filter(|binding| binding.wanted.matches(&binding.arguments, &headers))
                    .for_each(|binding| found(binding.destination));
            }
        }
    }
}
