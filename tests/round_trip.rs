//! Every method and all content properties, with random contents, to the wire and back. The tests themselves are
//! generated from the specification; what a sample is and what must hold of it is in `round_trip/checks.rs`.

#[path = "round_trip/checks.rs"]
mod checks;

use amqp091::protocol as generated;

use checks::{Random, Sample, round_trip_method, round_trip_properties};

include!(concat!(env!("OUT_DIR"), "/round_trip.rs"));
