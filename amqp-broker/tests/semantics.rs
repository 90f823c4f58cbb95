//! RabbitMQ's semantics, subject by subject. Each body makes two tests: `embedded`, on the embedded broker in
//! both profiles, and `rabbitmq`, on the RabbitMQ 3.10 of `AMQP091_TEST_URL`, which is left out unless it is
//! asked for, as `scripts/test` does: what is expected here is what that does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

/// Makes the two tests of a body.
macro_rules! everywhere {
    ($body:ident) => {
        mod $body {
            #[test]
            fn embedded() {
                crate::place::embedded(super::$body);
            }

            #[test]
            #[ignore = "needs RabbitMQ: run scripts/test"]
            fn rabbitmq() {
                crate::place::rabbitmq(super::$body);
            }
        }
    };
}

/// Makes the two tests of a dialogue.
macro_rules! dialogue {
    ($name:ident, $script:literal $(,)?) => {
        mod $name {
            const SCRIPT: &str = $script;

            #[test]
            fn embedded() {
                crate::dialogue::embedded(SCRIPT);
            }

            #[test]
            #[ignore = "needs RabbitMQ: run scripts/test"]
            fn rabbitmq() {
                crate::dialogue::rabbitmq(SCRIPT);
            }
        }
    };
}

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
