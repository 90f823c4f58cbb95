//! The specification that the crate `amqp091` is made from, carried by this crate: for overlays on it, and for
//! comparisons with it.

use crate::Source;

/// The standard and, as an overlay on it, RabbitMQ's extensions: the two files that the crate `amqp091` is made from.
///
/// The first alone is the standard without extensions. They are called `amqp091-codegen/spec/amqp0-9-1.xml` and
/// `amqp091-codegen/spec/rabbitmq.xml`, in messages and in the header of what is generated.
///
/// ```
/// use amqp091_codegen::{Source, generate, standard};
///
/// let mut sources = standard();
/// let overlay = r#"<amqp><constant name="acme-port" value="5674"/></amqp>"#;
/// sources.push(Source::new("acme.xml", overlay));
/// let generated = generate(&sources)?;
/// assert!(generated.protocol.contains("pub const ACME_PORT: u16 = 5674;"));
/// # Ok::<(), amqp091_codegen::SpecErrors>(())
/// ```
#[must_use]
pub fn standard() -> Vec<Source> {
    let files = [
        ("amqp091-codegen/spec/amqp0-9-1.xml", include_str!("../spec/amqp0-9-1.xml")),
        ("amqp091-codegen/spec/rabbitmq.xml", include_str!("../spec/rabbitmq.xml")),
    ];
    files.map(|(name, text)| Source::new(name, text)).into()
}
