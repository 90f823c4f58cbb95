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
#[path = "semantics/exchanges.rs"]
mod exchanges;
#[path = "semantics/place.rs"]
mod place;
#[path = "semantics/publishing.rs"]
mod publishing;
#[path = "semantics/queues.rs"]
mod queues;
#[path = "semantics/quorum.rs"]
mod quorum;
