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
//! No stage stops at its first problem, and those of the first three are reported together: [`SpecErrors`] lists all of
//! them with file, line and column. [`resolve`] says what is left out, as it is but a consequence of another.
//!
//! ```
//! use amqp091_codegen::{Source, generate};
//!
//! let text = r#"<amqp major="0" minor="9" revision="1" port="5672">
//!   <domain name="queue-name" type="shrtstr"/>
//! </amqp>"#;
//! assert_eq!(
//!     generate(&[Source::new("my.xml", text)]).unwrap_err().to_string(),
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
mod source;
mod standard;

pub use build_script::{BuildError, build, extend};
pub use problem::{Problem, ProblemKind, SpecErrors};
// For the command, which suggests options and commands as problems suggest names.
#[doc(hidden)]
pub use problem::resembling;
pub use source::{FILE_SIZE_MAX, Source};
pub use standard::standard;

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What is made of a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generated {
    /// The protocol: to be included in a module of its own.
    pub protocol: String,
    /// A test for every method and for all properties: to be included in a test that can name the module `protocol` as
    /// `amqp091::protocol`, and has `Sample`, `Random`, `round_trip_method` and `round_trip_properties`, which are written by
    /// hand. The README of this package says what they are.
    pub round_trip: String,
}

/// Does all the stages. The first source is the base, the others are overlays, which [`model`] describes.
///
/// # Errors
///
/// As for [`resolve`].
pub fn generate(sources: &[Source]) -> Result<Generated, SpecErrors> {
    emit::emit(&resolve(sources)?)
}

/// Does all the stages but the last: for those who want to look at a specification, or to compare it with another.
///
/// # Errors
///
/// All mistakes of syntax and schema in all files, all contradictions, unresolved names, and whatever else keeps the
/// specification from being expressed in Rust.
///
/// What can't be read is left out for the later stages, so they don't report what that alone may explain: a name that
/// isn't known if what couldn't be read has it (or has none), and what an element lacks, or states otherwise than an earlier
/// file, if it has a mistake of schema itself or inside. If a file isn't XML or isn't a specification, anything could be
/// in it, and the later stages aren't begun.
pub fn resolve(sources: &[Source]) -> Result<model::Model, SpecErrors> {
    let parse::Parsed { documents, mut problems, unread } = parse::read(sources);
    if documents.len() < sources.len() {
        return Err(SpecErrors::new(problems));
    }
    let (model, later) = model::build(&documents);
    let later = later.into_iter().chain(check::check(&model));
    problems.extend(later.filter(|problem| !unread.explains(problem)));
    if problems.is_empty() { Ok(model) } else { Err(SpecErrors::new(problems)) }
}
