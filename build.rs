//! Generates the protocol from the specification: `spec/` in, `OUT_DIR/protocol.rs` out.

fn main() {
    if let Err(error) = amqp091_codegen::build(&["spec/amqp0-9-1.xml", "spec/rabbitmq.xml"]) {
        // One problem a line, each with file, line and column: cargo shows them as they are.
        eprintln!("{error}");
        std::process::exit(1);
    }
}
