//! Feeds libFuzzer's inputs to `amqp091_fuzz::broker`, which says what must hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| amqp091_fuzz::broker(input));
