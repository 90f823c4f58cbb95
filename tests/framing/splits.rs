//! The same frames, wherever the stream is cut.

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::encode;
use amqp091::frame::{Frame, FrameDecoder, FrameKind, FrameLimits, Parsed, parse};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::EACH;
use crate::hex::octets;

/// Frames through a decoder that is given one piece after the other.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = FrameDecoder::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer).unwrap() {
            frames.push(frame);
        }
    }
    assert!(buffer.is_empty(), "{} octets are left", buffer.len());
    frames
}

/// Frames by way of `parse`, which is given no octet more than it says that it needs, or at most `piece` more at a time.
fn parsed(wire: &[u8], piece: usize) -> Vec<Frame> {
    let (mut begin, mut end) = (0, 0);
    let mut frames = Vec::new();
    while begin < wire.len() {
        match parse(&wire[begin..end], FrameLimits::default()).unwrap() {
            Parsed::Frame { frame, consumed } => {
                frames.push(Frame {
                    kind: frame.kind,
                    channel: frame.channel,
                    payload: Bytes::copy_from_slice(frame.payload),
                });
                begin += consumed;
            }
            Parsed::Incomplete { needed } => {
                let have = end - begin;
                assert!(needed > have, "{needed} octets are needed, {have} are there");
                assert!(begin + needed <= wire.len(), "no octet beyond the frame is needed");
                end = (begin + needed).min(end + piece);
            }
        }
    }
    frames
}

/// Written the way that this crate writes each kind.
fn written(frames: &[Frame]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for Frame { kind, channel, payload } in frames {
        match kind {
            FrameKind::Heartbeat => encode::heartbeat(&mut out),
            FrameKind::Body => encode::body_frame(&mut out, *channel, payload),
            FrameKind::Method | FrameKind::Header => {
                out.extend_from_slice(&[kind.octet()]);
                out.extend_from_slice(&channel.to_be_bytes());
                out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
                out.extend_from_slice(payload);
                out.extend_from_slice(&[0xCE]);
            }
        }
    }
    out.to_vec()
}

#[test]
fn a_stream_cut_anywhere_holds_the_same_frames() {
    let wire = EACH.map(octets).concat();
    let whole = decoded([&wire[..]]);
    assert_eq!(whole.len(), EACH.len());
    assert_eq!(written(&whole), wire);
    for first in 0..=wire.len() {
        for second in first..=wire.len() {
            let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
            assert_eq!(decoded(pieces), whole, "cut at {first} and {second}");
        }
    }
    for len in 1..=wire.len() {
        assert_eq!(decoded(wire.chunks(len)), whole, "pieces of {len}");
        assert_eq!(parsed(&wire, len), whole, "pieces of {len}");
    }
}

#[test]
fn a_recorded_session_cut_anywhere_holds_the_same_frames() {
    let wire = octets(include_str!("../recorded/rabbitmq.hex"));
    let whole = decoded([&wire[..]]);
    for len in [1, 2, 3, 5, 7, 8, 9, 64, 255, 256, 1000, 4096, 6000] {
        assert_eq!(decoded(wire.chunks(len)), whole, "pieces of {len}");
        assert_eq!(parsed(&wire, len), whole, "pieces of {len}");
    }
    for at in 0..wire.len() {
        let (before, behind) = wire.split_at(at);
        assert_eq!(decoded([before, behind]), whole, "cut at {at}");
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    let payload = || vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let of = |kind| move |(channel, payload)| Frame { kind, channel, payload };
    prop_oneof![
        (any::<u16>(), payload()).prop_map(of(FrameKind::Method)),
        (1..=u16::MAX, payload()).prop_map(of(FrameKind::Header)),
        (1..=u16::MAX, payload()).prop_map(of(FrameKind::Body)),
        Just(Frame { kind: FrameKind::Heartbeat, channel: 0, payload: Bytes::new() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_in_any_pieces(
        frames in vec(frame(), 0..20),
        pieces in vec(1..600_usize, 1..20),
    ) {
        let wire = written(&frames);
        let mut rest = &wire[..];
        let mut cut = Vec::new();
        for len in pieces.iter().cycle() {
            let (piece, behind) = rest.split_at((*len).min(rest.len()));
            cut.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&decoded(cut), &frames);
        prop_assert_eq!(&parsed(&wire, pieces[0]), &frames);
    }
}
