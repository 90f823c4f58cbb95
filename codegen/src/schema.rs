//! The specification as the XML files state it: one [`Document`] a file, one struct an element.
//!
//! Nothing is resolved here: a field names its domain, an overlay stands beside what it extends.
//! Every element keeps its [`Position`], so that any later stage can say where a mistake is.
//!
//! ```
//! use amqp091_codegen::{parse, standard};
//!
//! let documents = parse::parse(&standard())?;
//! let [standard, rabbitmq] = &documents[..] else { unreachable!("two files") };
//! assert_eq!((standard.port, standard.classes.len()), (Some(5672), 6));
//! // An overlay names the classes that it extends, and states what it adds.
//! let confirm = rabbitmq.classes.iter().find(|class| class.name == "confirm");
//! assert_eq!(confirm.map(|class| class.methods.len()), Some(2));
//! assert_eq!(standard.constants[0].position.column, 3);
//! # Ok::<(), amqp091_codegen::SpecErrors>(())
//! ```

use std::fmt;
use std::sync::Arc;

/// A place in a specification file: that of the `<` of an element.
///
/// Positions are ordered by file (in the order the files were given), line and column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Position {
    /// Which of the files, counted from 0: the base first, then the overlays.
    pub source: usize,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The name of the file as it was given.
    pub file: Arc<str>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One file: the element `amqp`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document {
    /// `major`, which the base file must state.
    pub major: Option<u8>,
    /// `minor`, which the base file must state.
    pub minor: Option<u8>,
    /// `revision`, which the base file must state.
    pub revision: Option<u8>,
    /// `port`, which the base file must state.
    pub port: Option<u16>,
    /// In document order.
    pub constants: Vec<Constant>,
    /// In document order.
    pub domains: Vec<Domain>,
    /// In document order.
    pub classes: Vec<Class>,
    /// Where the element is.
    pub position: Position,
}

/// `constant`: a number with a name; with a class, or as `reply-success`, a reply code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Constant {
    /// `frame-end`.
    pub name: String,
    /// The number.
    pub value: u64,
    /// What a reply code ends; absent for the other constants.
    pub class: Option<ErrorClass>,
    /// Of an error, whether trying again later may help: `recoverable`, an addition to the published schema.
    pub recoverable: bool,
    /// Its documentation.
    pub docs: Docs,
    /// Where the element is.
    pub position: Position,
}

/// What an error ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// `soft-error`: the channel.
    Soft,
    /// `hard-error`: the connection.
    Hard,
}

/// `domain`: a named type of fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Domain {
    /// `exchange-name`.
    pub name: String,
    /// The name of the elementary type.
    pub wire_type: String,
    /// Its documentation, which fields of the domain inherit if they have none.
    pub docs: Docs,
    /// What its values must satisfy.
    pub asserts: Vec<Assert>,
    /// Where the element is.
    pub position: Position,
}

/// `class`: methods about one thing, and the properties of their contents.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Class {
    /// `basic`.
    pub name: String,
    /// The class id on the wire.
    pub index: u16,
    /// Where its methods are sent; an overlay that extends a class may leave it out.
    pub handler: Option<Handler>,
    /// Its documentation.
    pub docs: Docs,
    /// Which peers implement the class.
    pub chassis: Vec<Chassis>,
    /// The content properties, in the order of their flags.
    pub properties: Vec<Field>,
    /// In document order.
    pub methods: Vec<Method>,
    /// Where the element is.
    pub position: Position,
}

/// Where the methods of a class are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handler {
    /// On channel 0.
    Connection,
    /// On the other channels.
    Channel,
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::Channel => "channel",
        })
    }
}

/// `method`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Method {
    /// `publish`.
    pub name: String,
    /// The method id on the wire.
    pub index: u16,
    /// `None` where the attribute is absent, which means no, or, in an overlay, nothing.
    pub synchronous: Option<bool>,
    /// `None` where the attribute is absent, which means no, or, in an overlay, nothing.
    pub content: Option<bool>,
    /// `None` where the attribute is absent, which means no, or, in an overlay, nothing.
    pub deprecated: Option<bool>,
    /// Its documentation.
    pub docs: Docs,
    /// Who receives it.
    pub chassis: Vec<Chassis>,
    /// Its possible replies.
    pub responses: Vec<Response>,
    /// The arguments, in the order of the wire.
    pub fields: Vec<Field>,
    /// Where the element is.
    pub position: Position,
}

/// `response`: a possible reply of the method it stands in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The name of a method of the same class.
    pub name: String,
    /// Where the element is.
    pub position: Position,
}

/// `chassis`: in a method, a peer that receives it; in a class, a peer that implements it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Chassis {
    /// The peer.
    pub role: Role,
    /// How strong the demand is.
    pub implement: Implement,
    /// Where the element is.
    pub position: Position,
}

/// One of the two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The one that opened the connection.
    Client,
    /// The broker.
    Server,
}

impl Role {
    /// The one at the other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// How strongly the specification asks for a class or method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Implement {
    /// `MUST`
    Must,
    /// `SHOULD`
    Should,
    /// `MAY`
    May,
}

impl fmt::Display for Implement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

/// `field`: in a method an argument, in a class a content property.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Field {
    /// `routing-key`.
    pub name: String,
    /// What it is made of.
    pub kind: FieldKind,
    /// Has no meaning any more: written as zero, skipped when read.
    pub reserved: bool,
    /// `required`, which one field states (as "0"); on the wire the field is there all the same.
    pub required: Option<bool>,
    /// What it holds unless something else is said: `default`, an addition to the published schema.
    pub default: Option<String>,
    /// Whether it holds credentials: `secret`, an addition to the published schema. `None` where the attribute is absent,
    /// which means no, or, in an overlay, nothing.
    pub secret: Option<bool>,
    /// Its documentation.
    pub docs: Docs,
    /// What its values must satisfy, besides what its domain asserts.
    pub asserts: Vec<Assert>,
    /// Where the element is.
    pub position: Position,
}

/// What a field is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `domain="queue-name"`
    Domain(String),
    /// `type="shortstr"`
    Type(String),
}

/// `assert`: what values must satisfy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Assert {
    /// What is checked.
    pub check: AssertCheck,
    /// Where the element is.
    pub position: Position,
}

/// What an `assert` checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertCheck {
    /// `notnull`
    NotNull,
    /// `length`: at most this many characters.
    Length(u32),
    /// `regexp`: matches this pattern.
    Regexp(String),
    /// `among`: one of these numbers; an addition to the published schema.
    Among(Vec<u64>),
    /// `le`: at most what that field of that method (of the same class) holds.
    Le {
        /// `tune`
        method: String,
        /// `channel-max`
        field: String,
    },
}

impl fmt::Display for AssertCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull => f.write_str("notnull"),
            Self::Length(length) => write!(f, "length {length}"),
            Self::Regexp(pattern) => write!(f, "regexp {pattern}"),
            Self::Among(values) => write!(f, "among {}", numbers(values)),
            Self::Le { method, field } => write!(f, "le {method}.{field}"),
        }
    }
}

/// `1 2`, as the attribute holds them.
fn numbers(values: &[u64]) -> String {
    values.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// The documentation of an element: its label, its `doc` elements and its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Docs {
    /// One line.
    pub label: Option<String>,
    /// In document order.
    pub texts: Vec<Text>,
    /// In document order.
    pub rules: Vec<Rule>,
}

impl Docs {
    /// Neither label nor text; rules don't count, they speak about something that the text says.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.label.is_none() && self.texts.is_empty()
    }
}

/// `doc`: its text as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// What sort of text it is.
    pub kind: TextKind,
    /// Indented as in the file.
    pub text: String,
}

/// What sort of text a `doc` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TextKind {
    /// No `type`.
    Prose,
    /// `type="scenario"`: how to test a rule.
    Scenario,
    /// `type="grammar"`: who sends which methods in which order.
    Grammar,
}

/// `rule`: what a peer must or should do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Not unique, often a number.
    pub name: String,
    /// The name of the reply code that breaking the rule leads to.
    pub on_failure: Option<String>,
    /// In document order.
    pub texts: Vec<Text>,
    /// Where the element is.
    pub position: Position,
}
