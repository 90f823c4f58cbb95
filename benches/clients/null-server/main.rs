//! The null server of the client's own figures, as a program.

// It reads its own URL for the figures that start it themselves.
#[allow(dead_code)]
#[path = "../../../amqp-client/benches/figures/null_server.rs"]
mod null_server;

fn main() {
    null_server::serve();
}
