//! amq-protocol's way: one frame after the other from a slice, and into one that is long enough.

use std::hint::black_box;

use amq_protocol::frame::{AMQPFrame, gen_frame, parse_frame};

pub(crate) fn encode(wire: &[u8]) -> impl FnMut() + use<> {
    let frames = frames(wire);
    let mut out = vec![0; wire.len()];
    assert_eq!(write(&frames, &mut out), wire.len());
    assert_eq!(out, wire, "what is written is what was read");
    move || {
        black_box(write(black_box(&frames), &mut out));
        black_box(&out);
    }
}

pub(crate) fn decode(wire: &[u8]) -> impl FnMut() + use<> {
    let wire = wire.to_vec();
    move || {
        let mut rest = black_box(&wire[..]);
        while !rest.is_empty() {
            black_box(&read(&mut rest));
        }
    }
}

fn frames(mut wire: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    while !wire.is_empty() {
        frames.push(read(&mut wire));
    }
    frames
}

fn read(input: &mut &[u8]) -> AMQPFrame {
    let (rest, frame) = parse_frame(*input).unwrap();
    *input = rest;
    frame
}

/// Returns how many octets there are.
fn write(frames: &[AMQPFrame], out: &mut [u8]) -> usize {
    let mut at = 0;
    for frame in frames {
        let (_, written) = gen_frame(frame)((&mut out[at..]).into()).unwrap().into_inner();
        at += written as usize;
    }
    at
}
