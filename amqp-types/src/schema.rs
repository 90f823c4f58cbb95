//! What the specification says about classes, methods and fields, as constants: made by the generator, read by whoever
//! handles methods without knowing their types.
//!
//! The generated protocol has a [`ClassInfo`] for each class and a [`MethodInfo`] for each method. With
//! [`Reflect`](crate::Reflect), which gives the values, they are all that an analyser needs to print any method.
//!
//! ```
//! use amqp091_types::schema::{FieldInfo, MethodInfo, WireType};
//! use amqp091_types::{MethodId, SentBy};
//!
//! // As the generator states basic.ack.
//! const ACK: MethodInfo = MethodInfo::new(MethodId::new(60, 80), "basic.ack", SentBy::Both)
//!     .with_fields(&[
//!         FieldInfo::new("delivery-tag", WireType::LongLong).with_domain("delivery-tag"),
//!         FieldInfo::new("multiple", WireType::Bit),
//!     ]);
//! assert_eq!((ACK.class_name(), ACK.own_name()), ("basic", "ack"));
//! assert!(!ACK.synchronous && ACK.replies.is_empty());
//! ```

use std::fmt;

use crate::method::{MethodId, SentBy};

/// The types that fields have on the wire.
///
/// Exhaustive on purpose: the protocol has these nine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireType {
    /// One bit; consecutive ones share octets.
    Bit,
    /// An unsigned 8-bit number.
    Octet,
    /// An unsigned 16-bit number.
    Short,
    /// An unsigned 32-bit number.
    Long,
    /// An unsigned 64-bit number.
    LongLong,
    /// At most 255 octets, after an octet that counts them.
    ShortStr,
    /// Octets, after a 32-bit number that counts them.
    LongStr,
    /// Seconds since 1970 as a 64-bit number.
    Timestamp,
    /// Named values, after a 32-bit number that counts their octets.
    Table,
}

impl WireType {
    /// Its name in the specification: `shortstr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bit => "bit",
            Self::Octet => "octet",
            Self::Short => "short",
            Self::Long => "long",
            Self::LongLong => "longlong",
            Self::ShortStr => "shortstr",
            Self::LongStr => "longstr",
            Self::Timestamp => "timestamp",
            Self::Table => "table",
        }
    }
}

impl fmt::Display for WireType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A class: methods about one thing, and the properties of their contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassInfo {
    /// Its number on the wire, 60 for basic.
    pub id: u16,
    /// `basic`.
    pub name: &'static str,
    /// One line about it; empty if the specification has none.
    pub label: &'static str,
    /// Its methods by number.
    pub methods: &'static [&'static MethodInfo],
    /// The properties of its contents, in the order of their flags: the first has the highest bit.
    pub properties: &'static [FieldInfo],
}

impl ClassInfo {
    /// A class without methods or properties.
    pub const fn new(id: u16, name: &'static str) -> Self {
        Self { id, name, label: "", methods: &[], properties: &[] }
    }

    /// With one line about it.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// With its methods.
    #[must_use]
    pub const fn with_methods(mut self, methods: &'static [&'static MethodInfo]) -> Self {
        self.methods = methods;
        self
    }

    /// With the properties of its contents.
    #[must_use]
    pub const fn with_properties(mut self, properties: &'static [FieldInfo]) -> Self {
        self.properties = properties;
        self
    }
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodInfo {
    /// Its number and that of its class.
    pub id: MethodId,
    /// `basic.publish`.
    pub name: &'static str,
    /// One line about it; empty if the specification has none.
    pub label: &'static str,
    /// Whether the sender waits for a reply before the next method on the channel, or this is such a reply.
    pub synchronous: bool,
    /// Whether a content header, and a body unless it is empty, follow on the channel.
    pub has_content: bool,
    /// Whether the specification advises against it.
    pub deprecated: bool,
    /// Who may send it.
    pub sent_by: SentBy,
    /// The methods that may answer it; none if it isn't answered.
    pub replies: &'static [MethodId],
    /// Its arguments in the order of the wire, the reserved ones among them.
    pub fields: &'static [FieldInfo],
}

impl MethodInfo {
    /// A method without arguments or replies. `name` is the full one, `basic.ack`.
    pub const fn new(id: MethodId, name: &'static str, sent_by: SentBy) -> Self {
        Self {
            id,
            name,
            label: "",
            synchronous: false,
            has_content: false,
            deprecated: false,
            sent_by,
            replies: &[],
            fields: &[],
        }
    }

    /// With one line about it.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// Marked as synchronous.
    #[must_use]
    pub const fn with_synchronous(mut self) -> Self {
        self.synchronous = true;
        self
    }

    /// Followed by content.
    #[must_use]
    pub const fn with_content(mut self) -> Self {
        self.has_content = true;
        self
    }

    /// Marked as deprecated.
    #[must_use]
    pub const fn with_deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// With the methods that may answer it.
    #[must_use]
    pub const fn with_replies(mut self, replies: &'static [MethodId]) -> Self {
        self.replies = replies;
        self
    }

    /// With its arguments.
    #[must_use]
    pub const fn with_fields(mut self, fields: &'static [FieldInfo]) -> Self {
        self.fields = fields;
        self
    }

    /// The name of its class: `basic` of `basic.publish`.
    pub fn class_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(class, _)| class)
    }

    /// Its name within the class: `publish` of `basic.publish`.
    pub fn own_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, method)| method)
    }
}

/// An argument of a method, or a content property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldInfo {
    /// In the specification: `routing-key`.
    pub name: &'static str,
    /// In Rust: `routing_key`.
    pub rust_name: &'static str,
    /// One line about it; empty if the specification has none.
    pub label: &'static str,
    /// The named type it is declared with, if it is: `exchange-name`.
    pub domain: Option<&'static str>,
    /// What it is on the wire.
    pub wire_type: WireType,
    /// On the wire without a meaning: written as zero or empty, skipped when read, and not in the Rust type.
    pub reserved: bool,
    /// Holds credentials: what prints methods must not print it.
    pub secret: bool,
    /// What it holds in a method that nobody has filled in.
    pub default: FieldDefault,
    /// What its values ought to satisfy; see [`Reflect::validate`](crate::Reflect::validate).
    pub rules: &'static [Rule],
}

impl FieldInfo {
    /// A field that is zero or empty by default.
    pub const fn new(name: &'static str, wire_type: WireType) -> Self {
        Self {
            name,
            rust_name: name,
            label: "",
            domain: None,
            wire_type,
            reserved: false,
            secret: false,
            default: FieldDefault::Zero,
            rules: &[],
        }
    }

    /// With one line about it.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// With a name in Rust that isn't the specification's.
    #[must_use]
    pub const fn with_rust_name(mut self, name: &'static str) -> Self {
        self.rust_name = name;
        self
    }

    /// With the named type it is declared with.
    #[must_use]
    pub const fn with_domain(mut self, domain: &'static str) -> Self {
        self.domain = Some(domain);
        self
    }

    /// Marked as reserved.
    #[must_use]
    pub const fn with_reserved(mut self) -> Self {
        self.reserved = true;
        self
    }

    /// Marked as holding credentials.
    #[must_use]
    pub const fn with_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// With another default than zero.
    #[must_use]
    pub const fn with_default(mut self, default: FieldDefault) -> Self {
        self.default = default;
        self
    }

    /// With what its values ought to satisfy.
    #[must_use]
    pub const fn with_rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// Whether that is its name, spelled as in the specification (`routing-key`) or as in Rust (`routing_key`).
    pub fn is_named(&self, name: &str) -> bool {
        let same = |(a, b): (u8, u8)| a == b || (a == b'-' && b == b'_');
        let as_in_rust = || self.name.bytes().zip(name.bytes()).all(same);
        name == self.rust_name || (self.name.len() == name.len() && as_in_rust())
    }
}

/// A named type of fields: `queue-name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainInfo {
    /// `queue-name`.
    pub name: &'static str,
    /// One line about it; empty if the specification has none.
    pub label: &'static str,
    /// What its fields are on the wire.
    pub wire_type: WireType,
    /// What their values ought to satisfy.
    pub rules: &'static [Rule],
}

impl DomainInfo {
    /// A domain whose values may be anything.
    pub const fn new(name: &'static str, wire_type: WireType) -> Self {
        Self { name, label: "", wire_type, rules: &[] }
    }

    /// With one line about it.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// With what its values ought to satisfy.
    #[must_use]
    pub const fn with_rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }
}

/// What a field holds in a method that nobody has filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldDefault {
    /// 0, false or empty; of a content property, that it isn't there.
    #[default]
    Zero,
    /// A bit that is set.
    True,
    /// Another number.
    Number(u64),
    /// A text.
    Text(&'static str),
}

/// What the values of a field ought to satisfy, from the specification's `assert`s.
///
/// Neither the codec nor RabbitMQ enforces them; whoever wants to be strict before sending calls
/// [`Reflect::validate`](crate::Reflect::validate).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// `notnull`: a string or a table is not empty. A number is never null.
    NotNull,
    /// `length`: a string has at most this many octets.
    MaxLength(u32),
    /// `regexp`: a string is made of certain octets.
    Pattern(&'static Pattern),
    /// `among`: a number is one of these.
    Among(&'static [u64]),
    /// `le`: a number is at most what that field of the method that this one answers holds, where 0 is no limit;
    /// see [`Reflect::validate_reply_to`](crate::Reflect::validate_reply_to).
    AtMost {
        /// The method that is answered: `connection.tune`.
        method: &'static str,
        /// Its field: `channel-max`.
        field: &'static str,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => f.write_str("must not be empty"),
            Self::MaxLength(0) => f.write_str("must be empty"),
            Self::MaxLength(length) => write!(f, "must have at most {length} octets"),
            Self::Pattern(pattern) => write!(f, "must match {}", pattern.source),
            Self::Among(values) => {
                f.write_str("must be ")?;
                for (index, value) in values.iter().enumerate() {
                    let joint = match index {
                        0 => "",
                        _ if index + 1 == values.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{joint}{value}")?;
                }
                Ok(())
            }
            Self::AtMost { method, field } => write!(f, "must be at most {method}'s {field}"),
        }
    }
}

/// A regular expression of the one kind that specifications use: a set of octets, repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pattern {
    /// As the specification writes it: `^[a-zA-Z0-9-_.:]*$`.
    pub source: &'static str,
    /// The octets that may occur, a bit each: that of octet 0 is the lowest of the first word.
    pub octets: [u64; 4],
}

impl Pattern {
    /// The pattern `source`, which lets these octets pass.
    pub const fn new(source: &'static str, octets: [u64; 4]) -> Self {
        Self { source, octets }
    }

    /// Whether the octet may occur.
    pub const fn allows(&self, octet: u8) -> bool {
        self.octets[(octet >> 6) as usize] & (1 << (octet & 63)) != 0
    }
}
