//! One change as a value: what, where, and whom it breaks.

use std::fmt::{self, Write};

use crate::model::{FieldDefault, WireType, describe_class};
use crate::problem::OneLine;
use crate::schema::{AssertCheck, ErrorClass, Handler, Implement, Position, Role};

/// One change. Displays as one line without its place: `basic.publish.immediate: type: bit -> octet`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What sort of thing has changed.
    pub subject: Subject,
    /// Its name with those of what it is in: `basic.publish.immediate`, `domain path`. It is the new name, or the last
    /// one of what is gone; empty for the specification as a whole.
    pub path: String,
    /// What has changed about it.
    pub kind: ChangeKind,
    /// Whom that breaks.
    pub breaks: Breaks,
    /// Where the old specification states it; `None` if it doesn't.
    pub was_at: Option<Position>,
    /// Where the new specification states it; `None` if it doesn't.
    pub now_at: Option<Position>,
}

impl Change {
    /// Whether anybody is broken by it.
    #[must_use]
    pub const fn is_breaking(&self) -> bool {
        self.breaks.api.is_some() || self.breaks.wire.is_some()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        if !self.path.is_empty() {
            write!(line, "{}: ", self.path)?;
        }
        write!(line, "{}", self.kind)
    }
}

/// What sort of thing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// All of it: its version, its port.
    Specification,
    /// A constant, reply codes among them.
    Constant,
    /// A named type of fields.
    Domain,
    /// A class.
    Class,
    /// A content property of a class.
    Property,
    /// A method.
    Method,
    /// An argument of a method.
    Field,
}

/// Whom a change breaks, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Breaks {
    /// Why code that was written for the old specification may not compile with what is generated from the new one, or
    /// may do something else.
    pub api: Option<&'static str>,
    /// Why peers may misunderstand each other, if one was made from the old specification and the other from the new.
    ///
    /// An addition that the old peer needs not know about is none: it is for the new peer not to use it unasked.
    pub wire: Option<&'static str>,
}

impl Breaks {
    pub(super) const NOBODY: Self = Self { api: None, wire: None };

    pub(super) const fn api(why: &'static str) -> Self {
        Self { api: Some(why), wire: None }
    }

    pub(super) const fn wire(why: &'static str) -> Self {
        Self { api: None, wire: Some(why) }
    }

    pub(super) const fn both(api: &'static str, wire: &'static str) -> Self {
        Self { api: Some(api), wire: Some(wire) }
    }
}

/// What has changed. Displays without the name of what it happened to: `type: bit -> octet`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is new. The text describes it in a few words.
    Added(String),
    /// It is gone. The text describes it in a few words.
    Removed(String),
    /// It has another name.
    Renamed {
        /// The old name.
        was: String,
        /// The new name.
        now: String,
    },
    /// The version of the protocol: major, minor, revision.
    Version {
        /// The old one.
        was: (u8, u8, u8),
        /// The new one.
        now: (u8, u8, u8),
    },
    /// The port that is assigned to the protocol.
    Port {
        /// The old one.
        was: u16,
        /// The new one.
        now: u16,
    },
    /// The number of a constant.
    Value {
        /// The old one.
        was: u64,
        /// The new one.
        now: u64,
    },
    /// What the error of a reply code ends.
    ErrorClass {
        /// The old one.
        was: Option<ErrorClass>,
        /// The new one.
        now: Option<ErrorClass>,
    },
    /// Whether trying again later may help against the error.
    Recoverable {
        /// Whether it may now.
        now: bool,
    },
    /// The id of a class or method on the wire.
    Index {
        /// The old one.
        was: u16,
        /// The new one.
        now: u16,
    },
    /// Where the methods of a class are sent.
    Handler {
        /// The old one.
        was: Handler,
        /// The new one.
        now: Handler,
    },
    /// How strongly a peer is asked to implement a class or method.
    Implement {
        /// The peer.
        role: Role,
        /// The old demand; `None` if it wasn't asked to.
        was: Option<Implement>,
        /// The new demand; `None` if it isn't asked to.
        now: Option<Implement>,
    },
    /// Who sends a method.
    SentBy {
        /// Who did, in the order of [`Role`].
        was: Vec<Role>,
        /// Who does, in the order of [`Role`].
        now: Vec<Role>,
    },
    /// The possible replies to a method, in the order of the files.
    Responses {
        /// The old ones.
        was: Vec<String>,
        /// The new ones.
        now: Vec<String>,
    },
    /// Whether a method is marked as synchronous.
    Synchronous {
        /// Whether it is now.
        now: bool,
    },
    /// Whether content follows a method.
    Content {
        /// Whether it does now.
        now: bool,
    },
    /// Whether a method is marked as deprecated.
    Deprecated {
        /// Whether it is now.
        now: bool,
    },
    /// The type on the wire, of a field or domain.
    Type {
        /// The old one.
        was: WireType,
        /// The new one.
        now: WireType,
    },
    /// The domain of a field.
    Domain {
        /// The old one; `None` if the field was declared with a type.
        was: Option<String>,
        /// The new one; `None` if the field is declared with a type.
        now: Option<String>,
    },
    /// The order of those arguments of a method that are in both specifications.
    Order {
        /// The old one, with the new names.
        was: Vec<String>,
        /// The new one.
        now: Vec<String>,
    },
    /// The bit in the word of flags that announces a content property: 15 is the highest and that of the first property.
    Flag {
        /// The old one.
        was: u8,
        /// The new one.
        now: u8,
    },
    /// Whether a field is reserved.
    Reserved {
        /// Whether it is now.
        now: bool,
    },
    /// What is stated as `required`.
    Required {
        /// What is stated now.
        now: bool,
    },
    /// What a field holds unless something else is said.
    Default {
        /// What it did.
        was: FieldDefault,
        /// What it does.
        now: FieldDefault,
    },
    /// Whether a field is marked as holding credentials.
    Secret {
        /// Whether it is now.
        now: bool,
    },
    /// What the values of a field or domain must satisfy.
    Asserts {
        /// What they needn't satisfy any more.
        removed: Vec<AssertCheck>,
        /// What they must satisfy now.
        added: Vec<AssertCheck>,
    },
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(what) => described(f, "added", what),
            Self::Removed(what) => described(f, "removed", what),
            Self::Renamed { was, now } => write!(f, "renamed: {was} -> {now}"),
            Self::Version { was, now } => {
                write!(f, "version: {}.{}.{} -> {}.{}.{}", was.0, was.1, was.2, now.0, now.1, now.2)
            }
            Self::Port { was, now } => write!(f, "port: {was} -> {now}"),
            Self::Value { was, now } => write!(f, "value: {was} -> {now}"),
            Self::ErrorClass { was, now } => {
                write!(f, "{} -> {}", describe_class(*was), describe_class(*now))
            }
            Self::Recoverable { now } => flag(f, "recoverable", *now),
            Self::Index { was, now } => write!(f, "index: {was} -> {now}"),
            Self::Handler { was, now } => write!(f, "handler: {was} -> {now}"),
            Self::Implement { role, was, now } => {
                write!(f, "chassis of the {role}: {} -> {}", or_none(was), or_none(now))
            }
            Self::SentBy { was, now } => {
                write!(f, "sent by: {} -> {}", list(was, " or "), list(now, " or "))
            }
            Self::Responses { was, now } => {
                write!(f, "responses: {} -> {}", list(was, ", "), list(now, ", "))
            }
            Self::Synchronous { now } => flag(f, "synchronous", *now),
            Self::Content { now } => flag(f, "followed by content", *now),
            Self::Deprecated { now } => flag(f, "deprecated", *now),
            Self::Type { was, now } => write!(f, "type: {was} -> {now}"),
            Self::Domain { was, now } => {
                write!(f, "domain: {} -> {}", or_none(was), or_none(now))
            }
            Self::Order { was, now } => {
                write!(f, "order of the fields: {} -> {}", list(was, ", "), list(now, ", "))
            }
            Self::Flag { was, now } => write!(f, "flag: bit {was} -> bit {now}"),
            Self::Reserved { now } => flag(f, "reserved", *now),
            Self::Required { now } => flag(f, "required", *now),
            Self::Default { was, now } => write!(f, "default: {was} -> {now}"),
            Self::Secret { now } => flag(f, "secret", *now),
            Self::Asserts { removed, added } => {
                let all = removed.iter().map(|check| format!("without {check}"));
                let all = all.chain(added.iter().map(|check| format!("with {check}")));
                write!(f, "asserts: {}", list(&all.collect::<Vec<_>>(), ", "))
            }
        }
    }
}

fn described(f: &mut fmt::Formatter<'_>, what: &str, description: &str) -> fmt::Result {
    f.write_str(what)?;
    if description.is_empty() { Ok(()) } else { write!(f, ": {description}") }
}

fn flag(f: &mut fmt::Formatter<'_>, name: &str, now: bool) -> fmt::Result {
    if now { write!(f, "now {name}") } else { write!(f, "no longer {name}") }
}

fn or_none<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

/// `a, b`, or `none`.
pub(super) fn list<T: ToString>(items: &[T], separator: &str) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}
