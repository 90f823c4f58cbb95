//! A sample: AMQP 0-9-1 as the broker of a vendor speaks it.
//!
//! `spec/acme.xml` adds the method `queue.pause` with its reply, an error and a domain to the standard. The build makes
//! all of it into one protocol, in which the vendor's methods are like any other:
//!
//! ```
//! use amqp091_sample_vendor::protocol::{AnyMethod, queue};
//! use amqp091_types::{Method, ShortStr};
//!
//! let pause = queue::Pause {
//!     queue: ShortStr::new("work")?,
//!     milliseconds: 500,
//!     ..queue::Pause::default()
//! };
//! assert_eq!(queue::Pause::NAME, "queue.pause");
//! assert_eq!(AnyMethod::from(pause).name(), "queue.pause");
//! # Ok::<(), amqp091_types::TooLong>(())
//! ```

/// The protocol as generated from the standard and `spec/acme.xml`.
pub mod protocol {
    include!(concat!(env!("OUT_DIR"), "/protocol.rs"));
}
