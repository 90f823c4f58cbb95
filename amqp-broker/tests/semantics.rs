//! RabbitMQ's semantics, subject by subject: each test runs on the embedded broker in both profiles, and on
//! the RabbitMQ 3.10 of `AMQP091_TEST_URL` where that is set, as `scripts/test` does: what is expected here is
//! what that does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "semantics/channels.rs"]
mod channels;
#[path = "semantics/consumers.rs"]
mod consumers;
#[path = "semantics/dead_letters.rs"]
mod dead_letters;
#[path = "semantics/deaths.rs"]
mod deaths;
#[path = "semantics/dialogue.rs"]
mod dialogue;
#[path = "semantics/exchanges.rs"]
mod exchanges;
#[path = "semantics/found.rs"]
mod found;
#[path = "semantics/found_quorum.rs"]
mod found_quorum;
#[path = "semantics/intended.rs"]
mod intended;
#[path = "differential/peer.rs"]
mod peer;
#[path = "semantics/place.rs"]
mod place;
#[expect(dead_code, reason = "a part of it is for comparing two sides")]
#[path = "differential/program.rs"]
mod program;
#[path = "semantics/publishing.rs"]
mod publishing;
#[path = "semantics/queues.rs"]
mod queues;
#[path = "semantics/quorum.rs"]
mod quorum;
#[path = "semantics/refused.rs"]
mod refused;
#[expect(dead_code, reason = "a part of it is for comparing two sides")]
#[path = "differential/side.rs"]
mod side;
