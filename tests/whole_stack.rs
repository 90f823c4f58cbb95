//! The whole stack, from a client's call to a broker and back: the same test bodies with a broker in this
//! process, and with the RabbitMQ whose URL is in `AMQP091_TEST_URL`; `scripts/test` starts one and sets it.
//! Plain `cargo test` runs the former (`..::embedded`) and shows the latter (`..::rabbitmq`) as ignored.
//!
//! In this process each test has brokers of its own, one for each RabbitMQ that ours can behave like. On
//! RabbitMQ they run in parallel on one, each with queues and exchanges of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[macro_use]
#[path = "whole_stack/place.rs"]
mod place;

#[path = "whole_stack/accessors.rs"]
mod accessors;
#[path = "whole_stack/arguments.rs"]
mod arguments;
#[path = "whole_stack/blocking.rs"]
mod blocking;
#[path = "whole_stack/bodies.rs"]
mod bodies;
#[path = "../amqp-client/tests/tls/certificates.rs"]
mod certificates;
#[path = "whole_stack/channels.rs"]
mod channels;
#[path = "whole_stack/closing.rs"]
mod closing;
#[path = "whole_stack/confirms.rs"]
mod confirms;
#[path = "whole_stack/connecting.rs"]
mod connecting;
#[path = "whole_stack/consuming.rs"]
mod consuming;
#[path = "whole_stack/credentials.rs"]
mod credentials;
#[path = "whole_stack/errors.rs"]
mod errors;
#[path = "whole_stack/exceptions.rs"]
mod exceptions;
#[path = "whole_stack/exchanges.rs"]
mod exchanges;
#[path = "whole_stack/handling.rs"]
mod handling;
#[path = "whole_stack/methods.rs"]
mod methods;
#[path = "whole_stack/no_wait.rs"]
mod no_wait;
#[path = "whole_stack/operator.rs"]
mod operator;
#[path = "whole_stack/properties.rs"]
mod properties;
#[path = "whole_stack/publishing.rs"]
mod publishing;
#[path = "whole_stack/py_amqp_channel.rs"]
mod py_amqp_channel;
#[path = "whole_stack/py_amqp_connection.rs"]
mod py_amqp_connection;
#[path = "whole_stack/queues.rs"]
mod queues;
#[path = "whole_stack/reopening.rs"]
mod reopening;
#[path = "whole_stack/rpc.rs"]
mod rpc;
#[path = "whole_stack/tls.rs"]
mod tls;
#[path = "whole_stack/tls_node.rs"]
mod tls_node;
#[path = "whole_stack/transactions.rs"]
mod transactions;
