//! Frames of every method, with random arguments and tables, compared with two independent codecs, pamqp and pika, which
//! are written in Python.
//!
//! - Ours are read by both: what they see must be what we wrote, and the frame that they make of it must be ours, octet
//!   by octet.
//! - Theirs are read by us: what we see must be what they were given to write; the frame that we make of it must be
//!   theirs, and so must be the one that we build of what they were given.
//! - Where pamqp checks what it writes, our checks say the same.
//! - What both know about methods, arguments, defaults, replies and codes is what our tables say.
//!
//! Intended differences are listed in `differential/differences.rs`; each is applied where it is due before octets are compared,
//! counted, and an error if it is never met. All randomness follows from a seed, which is printed:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `AMQP091_TEST_PYTHON` | a Python with the codecs, from `scripts/python-peers install` | none: the tests fail |
//! | `AMQP091_TEST_SEED` | where random contents begin | another each time |
//! | `AMQP091_TEST_FRAMES` | how many frames of ours are compared; half as many of each codec | 12000 |

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "differential/comparison.rs"]
mod comparison;
#[path = "differential/differences.rs"]
mod differences;
#[path = "differential/frame.rs"]
mod frame;
#[path = "differential/model.rs"]
mod model;
#[path = "differential/pamqp.rs"]
mod pamqp;
#[path = "differential/peer.rs"]
mod peer;
#[path = "differential/pika.rs"]
mod pika;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/seen.rs"]
mod seen;
#[path = "differential/tables.rs"]
mod tables;
#[path = "differential/tags.rs"]
mod tags;
