//! Turns the XML specification of AMQP 0-9-1, and overlays on it, into typed Rust.
//!
//! The crate `amqp091` is made with this one at build time; feed it another dialect and it makes that instead.
//! The work is done in four stages, each a module with one function that knows nothing of the stages after it:
//!
//! | stage | function | from | to |
//! |---|---|---|---|
//! | [`parse`] | [`parse::parse`] | XML text | [`schema::Document`]s that mirror it, with positions |
//! | [`model`] | [`model::build`] | documents | one [`model::Model`]: overlays merged, domains resolved |
//! | [`check`] | [`check::check`] | model | what doesn't make sense in it |
//! | [`emit`] | [`emit::emit`] | model | formatted Rust |
//!
//! No stage stops at its first problem. [`SpecErrors`] lists all of them with file, line and column:
//!
//! ```
//! use amqp091_codegen::{Source, generate};
//!
//! let source = Source {
//!     name: "my.xml".to_owned(),
//!     text: r#"<amqp major="0" minor="9" revision="1" port="5672">
//!   <domain name="queue-name" type="shrtstr"/>
//! </amqp>"#
//!         .to_owned(),
//! };
//! assert_eq!(
//!     generate(&[source]).unwrap_err().to_string(),
//!     r#"my.xml:2:3: domain queue-name: unknown type "shrtstr"; did you mean "shortstr"?"#,
//! );
//! ```
//!
//! The generated code names nothing but `::amqp091_types` and the standard library.
//!
//! A build script calls [`extend`], for overlays on the [`standard`] that is built in, or [`build`]. Beside the stages,
//! [`diff`] says what changed between two specifications, and [`lint`] what looks like a mistake. The command of this
//! package shows all of that; it needs the feature `cli`, which is on by default and of no use to a build script.

mod build_script;
pub mod check;
pub mod diff;
pub mod emit;
pub mod lint;
pub mod model;
mod names;
pub mod parse;
mod pattern;
mod problem;
pub mod schema;
mod standard;

pub use build_script::{BuildError, build, extend};
pub use problem::{Problem, ProblemKind, SpecErrors};
// For the command, which suggests options and commands as problems suggest names.
#[doc(hidden)]
pub use problem::resembling;
pub use standard::standard;

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A specification file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What problems and the header of the output call it: its path as the reader knows it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What is made of a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The protocol: to be included in a module of its own.
    pub protocol: String,
    /// A test for every method and for all properties: to be included in a test that has the crate `amqp091` with that
    /// module as `protocol`, and defines `Sample`, `Random`, `round_trip_method` and `round_trip_properties`.
    pub round_trip: String,
}

/// Does all the stages. The first source is the base, the others are overlays, which [`model`] describes.
///
/// # Errors
///
/// All mistakes of syntax and schema in all files; if there are none, all contradictions, unresolved names, and whatever
/// else keeps the specification from being expressed in Rust.
pub fn generate(sources: &[Source]) -> Result<Generated, SpecErrors> {
    emit::emit(&resolve(sources)?)
}

/// Does all the stages but the last: for those who want to look at a specification, or to compare it with another.
///
/// # Errors
///
/// As for [`generate`].
pub fn resolve(sources: &[Source]) -> Result<model::Model, SpecErrors> {
    let documents = parse::parse(sources)?;
    let (model, mut problems) = model::build(&documents);
    problems.extend(check::check(&model));
    if problems.is_empty() { Ok(model) } else { Err(SpecErrors::new(problems)) }
}
