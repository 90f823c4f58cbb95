//! Second stage: [`Document`]s to one [`Model`], in which every name is resolved.
//!
//! # Overlays
//!
//! The first document is the base, the later ones are overlays, merged in the order they were given. An overlay may add
//! - constants, domains and classes;
//! - to a class that exists, named again with its name and index (and its handler, if it is stated): methods, and the
//!   chassis of a peer that may now implement it;
//! - to a method that exists, named again with its name and index: directions, that is, the chassis of a peer that may
//!   now receive it;
//! - documentation and rules to both;
//! - to a method or class whose fields are named again, all of them and as they are: documentation and rules of a field,
//!   and that it is secret.
//!
//! `<class name="basic" index="60"><method name="ack" index="80"><chassis name="client" implement="MUST"/></method></class>`
//! lets the client receive `basic.ack` too.
//!
//! An overlay may state again what is so already (a constant with its value, a domain with its type, a method with its
//! fields), but whatever contradicts an earlier file (another index, other fields or responses, another value) is reported,
//! never applied. An attribute or assert that is left out states nothing, save `reserved`; a text or rule that is there
//! already isn't added again. Within one file, a name stated twice is a mistake.
//!
//! ```
//! use amqp091_codegen::{model, parse, standard};
//!
//! let (model, problems) = model::build(&parse::parse(&standard())?);
//! assert!(problems.is_empty());
//! let basic = model.classes.iter().find(|class| class.name == "basic");
//! let publish = basic.and_then(|class| class.method("publish")).ok_or("it is in the standard")?;
//! // The domain of a field is resolved.
//! let exchange = &publish.fields[1];
//! assert_eq!((exchange.domain.as_deref(), exchange.wire_type.name()), (Some("exchange-name"), "shortstr"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod merge;

use std::fmt;

use crate::problem::Problem;
use crate::schema::{
    Assert, Chassis, Constant, Docs, Document, ErrorClass, Handler, Position, Response, Role,
};

/// Merges and resolves all documents, and notes what contradicts or can't be resolved.
///
/// With problems noted, the model is still good enough to be checked, so that all problems are known at once.
#[must_use]
pub fn build(documents: &[Document]) -> (Model, Vec<Problem>) {
    merge::merge(documents)
}

/// The whole specification: the base with all overlays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Model {
    /// The names of the files.
    pub sources: Vec<String>,
    /// Major, minor, revision: 0, 9, 1.
    pub version: (u8, u8, u8),
    /// The port that is assigned to the protocol.
    pub port: u16,
    /// Those of the base, then those of the overlays.
    pub constants: Vec<Constant>,
    /// Those of the base, then those of the overlays.
    pub domains: Vec<Domain>,
    /// By index.
    pub classes: Vec<Class>,
}

impl Model {
    /// The reply codes among the constants: those with a class, and success.
    pub fn reply_codes(&self) -> impl Iterator<Item = &Constant> {
        self.constants.iter().filter(|constant| is_reply_code(constant))
    }

    /// The constants that aren't reply codes.
    pub fn other_constants(&self) -> impl Iterator<Item = &Constant> {
        self.constants.iter().filter(|constant| !is_reply_code(constant))
    }

    /// The domain of that name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.name == name)
    }

    /// All methods with their classes, by class index and method index.
    pub fn methods(&self) -> impl Iterator<Item = (&Class, &Method)> {
        self.classes
            .iter()
            .flat_map(|class| class.methods.iter().map(move |method| (class, method)))
    }
}

/// The reply code that is no error, and so has no class.
pub(crate) const SUCCESS: &str = "reply-success";

/// The domain whose fields hold reply codes.
const REPLY_CODE: &str = "reply-code";

pub(crate) fn is_reply_code(constant: &Constant) -> bool {
    constant.class.is_some() || constant.name == SUCCESS
}

/// The types that fields have on the wire.
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
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Bit,
        Self::Octet,
        Self::Short,
        Self::Long,
        Self::LongLong,
        Self::ShortStr,
        Self::LongStr,
        Self::Timestamp,
        Self::Table,
    ];

    /// Its name in the specification.
    #[must_use]
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

    /// The type of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wire_type| wire_type.name() == name)
    }
}

impl fmt::Display for WireType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A named type of fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Domain {
    /// `exchange-name`.
    pub name: String,
    /// What its fields are on the wire.
    pub wire_type: WireType,
    /// Inherited by fields that have no documentation of their own.
    pub docs: Docs,
    /// What its values must satisfy.
    pub asserts: Vec<Assert>,
    /// Where it was declared first.
    pub position: Position,
}

/// Methods about one thing, and the properties of their contents.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Class {
    /// `basic`.
    pub name: String,
    /// The class id on the wire.
    pub index: u16,
    /// Where its methods are sent.
    pub handler: Handler,
    /// What the base says, then what overlays say.
    pub docs: Docs,
    /// Which peers implement it.
    pub chassis: Vec<Chassis>,
    /// In the order of their flags, the highest first.
    pub properties: Vec<Field>,
    /// By index.
    pub methods: Vec<Method>,
    /// Where it was declared first.
    pub position: Position,
}

impl Class {
    /// The method of that name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.name == name)
    }
}

/// A method.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Method {
    /// `publish`.
    pub name: String,
    /// The method id on the wire.
    pub index: u16,
    /// Marked as synchronous; the published files mark replies too.
    pub synchronous: bool,
    /// Followed by a content header and bodies.
    pub content: bool,
    /// Not to be used any more.
    pub deprecated: bool,
    /// What the base says, then what overlays say.
    pub docs: Docs,
    /// Who receives it; both peers may.
    pub chassis: Vec<Chassis>,
    /// Its possible replies: names of methods of the same class.
    pub responses: Vec<Response>,
    /// The arguments, in the order of the wire.
    pub fields: Vec<Field>,
    /// Where it was declared first.
    pub position: Position,
}

impl Method {
    /// Whether that peer may receive it.
    #[must_use]
    pub fn received_by(&self, role: Role) -> bool {
        self.chassis.iter().any(|chassis| chassis.role == role)
    }

    /// Whether that peer may send it.
    #[must_use]
    pub fn sent_by(&self, role: Role) -> bool {
        self.received_by(role.peer())
    }
}

/// An argument of a method, or a content property.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Field {
    /// `routing-key`.
    pub name: String,
    /// Its domain; absent if it was declared with a type instead.
    pub domain: Option<String>,
    /// What it is on the wire.
    pub wire_type: WireType,
    /// Has no meaning any more: written as zero, skipped when read.
    pub reserved: bool,
    /// As stated; no effect on the wire.
    pub required: bool,
    /// What it holds unless something else is said.
    pub default: FieldDefault,
    /// Holds credentials, which are never printed.
    pub secret: bool,
    /// Its own documentation; if it has none, that of its domain.
    pub docs: Docs,
    /// What its domain asserts, then what it asserts itself.
    pub asserts: Vec<Assert>,
    /// Where it is declared.
    pub position: Position,
}

impl Field {
    /// Whether it holds a reply code rather than just a number.
    #[must_use]
    pub fn is_reply_code(&self) -> bool {
        self.wire_type == WireType::Short && self.domain.as_deref() == Some(REPLY_CODE)
    }
}

/// What a field holds unless something else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    Text(String),
}

impl fmt::Display for FieldDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("zero"),
            Self::True => f.write_str("true"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

/// `soft-error` or `hard-error`, for messages.
pub(crate) fn describe_class(class: Option<ErrorClass>) -> &'static str {
    match class {
        None => "no class",
        Some(ErrorClass::Soft) => "class soft-error",
        Some(ErrorClass::Hard) => "class hard-error",
    }
}
