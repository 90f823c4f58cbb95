//! What must hold whatever octets come: a function for each fuzz target, which panics where something does not.
//!
//! The targets in `fuzz_targets/` are these functions behind libFuzzer. The modules are also part of ordinary tests
//! (`tests/hostile.rs`, `codegen/tests/mutations.rs`), which run them on stable Rust over the corpus and over random
//! octets: so they panic by assertions alone, and know nothing of fuzzing.

#![forbid(unsafe_code)]
#![allow(unexpected_cfgs, reason = "cargo-fuzz sets `fuzzing`")]

mod codegen_xml;
mod field_table;
mod frame_stream;
mod identity;
mod methods;
mod properties;

/// What becomes of a broker: octets of clients, their methods in any order, time that goes by. The input's language is
/// that of `amqp-broker/src/core/hostile.rs`, whose tests try the corpus.
#[cfg(fuzzing)]
pub fn broker(input: &[u8]) {
    amqp091_broker::check_hostile(input);
}

/// XML for the generator, alone and as an overlay on the standard. What is not UTF-8 is made so.
pub fn codegen_xml(input: &[u8]) {
    codegen_xml::check(&String::from_utf8_lossy(input));
}

/// A table with its length in front, and what follows it.
pub fn field_table(input: &[u8]) {
    field_table::check(input);
}

/// What a peer sends: frames, to a client and to a server.
pub fn frame_stream(input: &[u8]) {
    frame_stream::check(input);
}

/// A method frame's payload: class id, method id, arguments.
pub fn methods(input: &[u8]) {
    methods::check(input);
}

/// A message's properties: flags and values.
pub fn properties(input: &[u8]) {
    properties::check(input);
}
