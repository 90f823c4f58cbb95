//! The whole stack against a real RabbitMQ, whose URL is in `AMQP091_TEST_URL`; `scripts/test` starts
//! one and sets it. Without, these tests are shown as ignored.
//!
//! They run in parallel on one broker: each has queues and exchanges of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "rabbitmq/accessors.rs"]
mod accessors;
#[path = "rabbitmq/arguments.rs"]
mod arguments;
#[path = "rabbitmq/blocking.rs"]
mod blocking;
#[path = "rabbitmq/bodies.rs"]
mod bodies;
#[path = "rabbitmq/broker.rs"]
mod broker;
#[path = "../amqp-client/tests/tls/certificates.rs"]
mod certificates;
#[path = "rabbitmq/channels.rs"]
mod channels;
#[path = "rabbitmq/closing.rs"]
mod closing;
#[path = "rabbitmq/confirms.rs"]
mod confirms;
#[path = "rabbitmq/connecting.rs"]
mod connecting;
#[path = "rabbitmq/consuming.rs"]
mod consuming;
#[path = "rabbitmq/credentials.rs"]
mod credentials;
#[path = "rabbitmq/errors.rs"]
mod errors;
#[path = "rabbitmq/exceptions.rs"]
mod exceptions;
#[path = "rabbitmq/exchanges.rs"]
mod exchanges;
#[path = "rabbitmq/handling.rs"]
mod handling;
#[path = "rabbitmq/methods.rs"]
mod methods;
#[path = "rabbitmq/no_wait.rs"]
mod no_wait;
#[path = "rabbitmq/properties.rs"]
mod properties;
#[path = "rabbitmq/publishing.rs"]
mod publishing;
#[path = "rabbitmq/py_amqp_channel.rs"]
mod py_amqp_channel;
#[path = "rabbitmq/py_amqp_connection.rs"]
mod py_amqp_connection;
#[path = "rabbitmq/queues.rs"]
mod queues;
#[path = "rabbitmq/reopening.rs"]
mod reopening;
#[path = "rabbitmq/rpc.rs"]
mod rpc;
#[path = "rabbitmq/tls.rs"]
mod tls;
#[path = "rabbitmq/tls_node.rs"]
mod tls_node;
#[path = "rabbitmq/transactions.rs"]
mod transactions;
