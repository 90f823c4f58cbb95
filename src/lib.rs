//! AMQP 0-9-1 as typed Rust, generated from the protocol's XML specification.
//!
//! This crate is the protocol alone: no sockets, no runtime, no clock. Clients, brokers, proxies and
//! analysers build on it; everything works in both directions.
//!
//! - [`protocol`]: generated from `spec/*.xml` by the build: a struct for each method, the content
//!   properties, [`protocol::ReplyCode`], the constants, and the enums of what a client and what a
//!   server may receive.
//! - [`frame`]: one frame of the wire, read from a slice or from a growing buffer.
//! - [`encode`]: methods, content headers, bodies and heartbeats as frames.
//! - [`content`]: content headers, and a message put together from its frames.
//! - [`any_frame`]: any frame as one value, for tools that treat all alike.
//! - [`reply_error`]: what a peer says about a failure, as an error.
//! - [`protocol_header`]: the eight octets that open a connection.
//! - [`types`]: the wire types that methods are made of, re-exported from `amqp091-types`.
//!
//! # Features
//!
//! - `serde`: tables, methods and properties as JSON that a person would write, and as wire octets in binary formats;
//!   the module `types::serde_forms` says how.
//! - `tokio-util`: the module `codec`, frames through tokio_util's `Framed`.
//!
//! # Example
//!
//! A method goes to the wire and comes back, through a buffer that a socket would fill:
//!
//! ```
//! use amqp091::bytes::BytesMut;
//! use amqp091::frame::{FrameDecoder, FrameLimits};
//! use amqp091::protocol::{ToServer, queue};
//! use amqp091::types::ShortStr;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let declare = queue::Declare {
//!     queue: ShortStr::new("work")?,
//!     durable: true,
//!     ..queue::Declare::default()
//! };
//! let mut wire = BytesMut::new();
//! amqp091::encode::method(&mut wire, 1, &declare)?;
//!
//! let mut decoder = FrameDecoder::new(FrameLimits::default());
//! let frame = decoder.decode(&mut wire)?.ok_or("a whole frame is there")?;
//! assert_eq!(frame.channel, 1);
//! assert_eq!(ToServer::from_payload(&frame.payload)?, ToServer::QueueDeclare(declare));
//! # Ok(())
//! # }
//! ```

pub mod any_frame;
#[cfg(feature = "tokio-util")]
pub mod codec;
pub mod content;
pub mod encode;
pub mod frame;
pub mod protocol_header;
pub mod reply_error;

/// The protocol as generated from `spec/amqp0-9-1.xml` and `spec/rabbitmq.xml`: a module for each
/// class, a struct for each method, the content properties, reply codes and constants.
///
/// Whoever knows what is coming works with the structs, and lets a `match` on [`ToClient`](protocol::ToClient) or
/// [`ToServer`](protocol::ToServer) be exhaustive over what can arrive. Whoever doesn't asks the tables
/// ([`CLASSES`](protocol::CLASSES), [`method_named`](protocol::method_named)) and [`Reflect`](types::Reflect):
///
/// ```
/// use amqp091::protocol::{AnyMethod, ReplyCode, ToServer, basic, method_named};
/// use amqp091::types::{FieldValue, Method, Reflect};
///
/// // The arguments of basic.ack on the wire.
/// let octets = [0, 0, 0, 0, 0, 0, 0, 7, 1];
/// let mut input = amqp091::types::Reader::new(&octets);
/// match ToServer::decode(basic::Ack::ID, &mut input)? {
///     ToServer::BasicAck(ack) => assert!(ack.delivery_tag == 7 && ack.multiple),
///     other => unreachable!("{} has another number", other.name()),
/// }
///
/// // The same without knowing its type.
/// let info = method_named("basic.ack").ok_or("the specification has it")?;
/// let mut ack = AnyMethod::new(info.id).ok_or("so there is such a method")?;
/// ack.set_field("delivery-tag", FieldValue::LongLong(7))?;
/// assert_eq!(ack.describe().to_string(), "basic.ack(delivery-tag: 7, multiple: false)");
/// for field in info.fields {
///     println!("{}: {} ({})", field.name, field.wire_type, field.label);
/// }
///
/// assert_eq!(ReplyCode::NOT_FOUND.to_string(), "404 NOT_FOUND");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}

/// The wire types that methods are made of, their reader and writer, and their errors.
pub use amqp091_types as types;
pub use amqp091_types::table;
/// The buffers of this crate's API.
pub use bytes;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
