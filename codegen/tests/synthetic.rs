//! The golden output for the synthetic specification is not only compared: it compiles, and what it says is right.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

// What the generated tests call the crate that has the protocol is here a module.
mod amqp091 {
    pub(crate) mod protocol {
        #![allow(unreachable_pub, dead_code, reason = "the protocol crate makes it public")]
        include!("golden/synthetic.rs");
    }
}

#[path = "synthetic/by_hand.rs"]
mod by_hand;
#[path = "../../tests/round_trip/checks.rs"]
mod checks;

use amqp091::protocol as generated;
use checks::{Random, Sample, round_trip_method, round_trip_properties};

include!("golden/synthetic_round_trip.rs");
