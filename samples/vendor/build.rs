//! The standard protocol and the vendor's overlay: `OUT_DIR/protocol.rs`.

fn main() -> Result<(), amqp091_codegen::BuildError> {
    amqp091_codegen::extend(&["spec/acme.xml"])
}
