//! What can be wrong with a specification, as values: every [`Problem`] has a position, a path and a kind.
//!
//! No stage stops at its first problem; [`SpecErrors`] is the list of all of them, in file order.

use std::fmt::{self, Write};

use thiserror::Error;

use crate::schema::{Position, Role};

/// Everything that is wrong with the files, in the order of the files. Displays as one problem a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct SpecErrors {
    problems: Vec<Problem>,
}

impl SpecErrors {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (&a.position, &a.path).cmp(&(&b.position, &b.path)));
        Self { problems }
    }

    /// The problems, in the order of the files. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where. Displays as `file:line:column: basic.publish.immediate: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where the element at fault begins.
    pub position: Position,
    /// The path of names to it: `basic.publish.immediate`, `domain path`; empty for the whole file.
    pub path: String,
    /// What is wrong, and what was expected.
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(position: &Position, path: impl Into<String>, kind: ProblemKind) -> Self {
        Self { position: position.clone(), path: path.into(), kind }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        write!(line, "{}: ", self.position)?;
        if !self.path.is_empty() {
            write!(line, "{}: ", self.path)?;
        }
        write!(line, "{}", self.kind)
    }
}

/// Escapes line breaks and other control characters, which names and values in a file may have.
pub(crate) struct OneLine<'a, 'b>(pub(crate) &'a mut fmt::Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            if character.is_control() {
                write!(self.0, "{}", character.escape_default())
            } else {
                self.0.write_char(character)
            }
        })
    }
}

/// What is wrong, and what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file isn't XML.
    #[error("malformed XML: {0}")]
    Malformed(String),
    /// The outermost element isn't `amqp`.
    #[error("the outermost element is <{0}>; expected <amqp>")]
    NotASpecification(String),
    /// An element that the schema doesn't have there.
    #[error("unknown element <{element}> in <{parent}>; expected {}", one_of(expected))]
    UnknownElement {
        /// The unknown one.
        element: String,
        /// The one it is in.
        parent: String,
        /// Those that may be there.
        expected: &'static [&'static str],
    },
    /// An attribute that the schema doesn't have there.
    #[error("unknown attribute \"{attribute}\" of <{element}>; expected {}", one_of(expected))]
    UnknownAttribute {
        /// The unknown one.
        attribute: String,
        /// The element that has it.
        element: String,
        /// Those that it may have.
        expected: &'static [&'static str],
    },
    /// An attribute that must be there isn't.
    #[error("<{element}> lacks the attribute \"{attribute}\"")]
    MissingAttribute {
        /// The element that lacks it.
        element: String,
        /// The missing one.
        attribute: &'static str,
    },
    /// A value that the attribute can't have.
    #[error("{attribute}=\"{value}\"; expected {expected}")]
    BadValue {
        /// The attribute.
        attribute: String,
        /// What it holds.
        value: String,
        /// What it could hold.
        expected: String,
    },
    /// Text between elements.
    #[error("text directly inside <{0}>; text belongs into <doc>")]
    StrayText(String),
    /// A field says neither its domain nor its type, or both.
    #[error("a field has either a domain or a type; this one has {0}")]
    DomainOrType(&'static str),
    /// A domain that no file declares.
    #[error("unknown domain \"{name}\"{}", did_you_mean(suggestion))]
    UnknownDomain {
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// A type that AMQP 0-9-1 doesn't have.
    #[error("unknown type \"{name}\"{}", did_you_mean(suggestion))]
    UnknownType {
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// A name or number that may be used once is used twice.
    #[error("duplicate {what} {value}; the first is at {first}")]
    Duplicate {
        /// Method name, class index...
        what: &'static str,
        /// The name or number.
        value: String,
        /// Where it was used first.
        first: Position,
    },
    /// Two names become the same Rust name.
    #[error("would be {rust} in Rust, which {other} at {first} already is")]
    SameRustName {
        /// The Rust name.
        rust: String,
        /// Who has it.
        other: String,
        /// Where that one is.
        first: Position,
    },
    /// A name becomes a Rust name that the generated code uses itself.
    #[error("would be {rust} in Rust, which is {used_for}")]
    ReservedRustName {
        /// The Rust name.
        rust: String,
        /// What has it.
        used_for: String,
    },
    /// A later file states something else than an earlier one.
    #[error("overlay redefines {what}: {was} at {first}, {now} here; an overlay may only add")]
    OverlayRedefines {
        /// The index, the fields...
        what: &'static str,
        /// What the earlier file states.
        was: String,
        /// What the later file states.
        now: String,
        /// Where the earlier one is.
        first: Position,
    },
    /// No chassis says who receives the method.
    #[error("no direction: the method lacks <chassis>, which says who receives it")]
    NoDirection,
    /// A response that the class doesn't have.
    #[error(
        "unknown response \"{name}\": the class has no such method{}",
        did_you_mean(suggestion)
    )]
    UnknownResponse {
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// A method that is said to be its own reply.
    #[error("the method is named as a response to itself")]
    ResponseToItself,
    /// A reply that nobody who receives the request may send.
    #[error(
        "the response \"{response}\" can't come back: the method is received by the {receiver}, and the response by the {receiver} too"
    )]
    ResponseDirection {
        /// The reply.
        response: String,
        /// Who receives both.
        receiver: Role,
    },
    /// More properties than one word of flags can hold.
    #[error("{0} content properties; one word of flags holds at most 15")]
    TooManyProperties(usize),
    /// A method carries content, but the class has no properties for it.
    #[error("the method carries content, but the class has no content properties (fields)")]
    ContentWithoutProperties,
    /// `on-failure` names no constant.
    #[error(
        "rule \"{rule}\": on-failure names no constant: \"{name}\"{}",
        did_you_mean(suggestion)
    )]
    UnknownConstant {
        /// The rule.
        rule: String,
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// `on-failure` names a constant that isn't a reply code.
    #[error(
        "rule \"{rule}\": on-failure names \"{name}\", which is no reply code: the constant has no class"
    )]
    NotAReplyCode {
        /// The rule.
        rule: String,
        /// The constant.
        name: String,
    },
    /// A reply code that doesn't fit the two octets it has on the wire.
    #[error("the reply code {0} doesn't fit 16 bits")]
    ReplyCodeTooLarge(u64),
    /// An assert refers to a method that the class doesn't have.
    #[error("assert \"le\": the class has no method \"{name}\"{}", did_you_mean(suggestion))]
    UnknownAssertMethod {
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// An assert refers to a field that the method doesn't have.
    #[error("assert \"le\": {method} has no field \"{name}\"{}", did_you_mean(suggestion))]
    UnknownAssertField {
        /// The path of the method.
        method: String,
        /// The name that isn't known.
        name: String,
        /// One that resembles it.
        suggestion: Option<String>,
    },
    /// `le` compares with a field of a method; a domain has none.
    #[error("assert \"le\" compares with another field, which only the field of a method can")]
    AssertNotOnField,
    /// A pattern that generated code can't check.
    #[error("the pattern {0} can't be checked; expected a set of characters, repeated: ^[a-z]*$")]
    UnsupportedPattern(String),
    /// A content property with a default: those that aren't set aren't sent.
    #[error("a content property has no default: it is absent unless it is set")]
    PropertyDefault,
    /// `recoverable` on a constant that is no error.
    #[error("recoverable is for errors, which have a class")]
    RecoverableWithoutClass,
    /// The generator made something that isn't Rust.
    #[error("the generated code isn't Rust, which is a mistake of the generator: {0}")]
    NotRust(String),
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [name] => (*name).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// The candidate that most resembles a name, if any is near enough to be a slip of the pen.
pub fn resembling<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        // A third of the name may be wrong: nothing resembles a name of two letters.
        .filter(|(edits, candidate)| edits * 3 <= candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// How many characters must be put in, taken out or replaced (Levenshtein's distance).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("shrtstr", "shortstr", 1),
            ("publish", "publsih", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
            assert_eq!(edits(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["shortstr", "longstr", "bit", "short"];
        assert_eq!(resembling("shrtstr", known).as_deref(), Some("shortstr"));
        assert_eq!(resembling("bits", known).as_deref(), Some("bit"));
        assert_eq!(resembling("exchange-name", known), None);
        assert_eq!(resembling("at", ["it"]), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(one_of::<&str>(&[]), "none");
        assert_eq!(one_of(&["a"]), "a");
        assert_eq!(one_of(&["a", "b", "c"]), "a, b or c");
    }
}
