//! What changed between two specifications, and whom it breaks.
//!
//! [`diff`] compares two [`Model`]s, so overlays are merged and domains resolved: it doesn't matter in which file
//! something stands, nor in which order, where order has no meaning. Documentation isn't compared.
//!
//! ```
//! use amqp091_codegen::diff::{ChangeKind, diff};
//! use amqp091_codegen::{Source, model, parse, standard};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let was = standard();
//! let mut now = standard();
//! let overlay = r#"<amqp><class name="queue" index="50">
//!   <method name="pause" index="60"><chassis name="server" implement="MAY"/></method>
//! </class></amqp>"#;
//! now.push(Source::new("acme.xml", overlay));
//! let (was, _) = model::build(&parse::parse(&was)?);
//! let (now, _) = model::build(&parse::parse(&now)?);
//!
//! let changes = diff(&was, &now);
//! assert_eq!(changes.len(), 1);
//! assert_eq!(changes[0].to_string(), "queue.pause: added: 50.60, sent by the client");
//! assert!(matches!(changes[0].kind, ChangeKind::Added(_)));
//! assert!(changes[0].breaks.wire.is_none());
//! assert_eq!(changes[0].breaks.api, Some("a match on AnyMethod or ToServer needs another arm"));
//! # Ok(())
//! # }
//! ```
//!
//! # What counts as what
//!
//! What is gone under one name and there under another is *renamed*, rather than removed and added, if it can be
//! recognised: a class or method by its index, a constant by its value and class, a field by its place and type, a
//! content property by its flag and type. A class that is added or removed is listed with its methods; the fields of a
//! method that is added or removed aren't listed.
//!
//! What a change breaks is in [`Breaks`], with the reason.

mod change;
mod constants;
mod domains;
mod fields;
mod methods;
mod pairs;

pub use change::{Breaks, Change, ChangeKind, Subject};

use crate::model::Model;

/// Compares two specifications, which should have passed [`crate::check::check`].
///
/// The changes come in the order of the specification: version and port, constants, domains, then class by class. Within
/// each, what is gone comes last.
#[must_use]
pub fn diff(was: &Model, now: &Model) -> Vec<Change> {
    let sides = Sides { was, now };
    let mut changes = Vec::new();
    constants::version(sides, &mut changes);
    constants::constants(sides, &mut changes);
    domains::domains(sides, &mut changes);
    methods::classes(sides, &mut changes);
    changes
}

/// What is compared.
#[derive(Clone, Copy)]
struct Sides<'a> {
    was: &'a Model,
    now: &'a Model,
}
