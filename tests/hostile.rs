//! Whatever octets come: no panic, nothing unbounded, an answer that says where and why; and what was read is the same when it
//! is written and read again.
//!
//! What must hold is written once, in `fuzz/src/`, where libFuzzer looks for octets that break it. Here it is tried on
//! stable Rust: over what was recorded, over everything that is one octet away from that, over random octets,
//! and over what has brought other implementations down.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/corruption.rs"]
mod corruption;
#[path = "hostile/errors.rs"]
mod errors;
#[path = "../fuzz/src/field_table.rs"]
mod field_table;
#[path = "../fuzz/src/frame_stream.rs"]
mod frame_stream;
mod hex;
#[path = "../fuzz/src/identity.rs"]
mod identity;
#[path = "hostile/known_faults.rs"]
mod known_faults;
#[path = "../fuzz/src/methods.rs"]
mod methods;
#[path = "../fuzz/src/properties.rs"]
mod properties;
#[path = "hostile/random.rs"]
mod random;
#[path = "hostile/recorded.rs"]
mod recorded;
