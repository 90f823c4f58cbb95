//! The generated tests: every method, the vendor's among them, and all content properties, to the wire and back. What a
//! sample is and what must hold of it is in the tests of the crate `amqp091`.

// What the generated tests call the crate that has the protocol.
use amqp091_sample_vendor as amqp091;
use amqp091_sample_vendor::protocol as generated;

#[path = "../../../tests/round_trip/checks.rs"]
mod checks;

use checks::{Random, Sample, round_trip_method, round_trip_properties};

include!(concat!(env!("OUT_DIR"), "/round_trip.rs"));
