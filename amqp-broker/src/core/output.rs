//! Octets that wait to be written to one client: frames, and between them large bodies that are shared
//! with the queues rather than copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use amqp091::content::RawProperties;
use amqp091::encode;
use amqp091::protocol::{basic, constants};
use amqp091::types::Method;
use bytes::{Buf, Bytes, BytesMut};

use super::memory::{Meter, Share};

/// Bodies from this many octets on are written from where they lie.
const LARGE_BODY: usize = 16 * 1024;

/// A buffer that grew beyond this for a burst is given back when it is empty.
const KEEP_CAPACITY: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Output {
    frames: BytesMut,
    /// A body's piece, and the position in `frames` that it stands before.
    pieces: VecDeque<(usize, Bytes)>,
    /// Octets of all pieces.
    piece_octets: usize,
    /// Octets of `frames` that are written.
    written: usize,
    /// What it counts with in what the broker holds, where others fill it whether it is read or not.
    share: Option<Share>,
}

impl Output {
    /// Slices handed to one vectored write.
    pub(crate) const SLICES: usize = 32;

    /// Octets that wait.
    pub(crate) fn len(&self) -> usize {
        self.frames.len() - self.written + self.piece_octets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames go.
    pub(crate) fn frames(&mut self) -> &mut BytesMut {
        &mut self.frames
    }

    /// Has what waits count in what the broker holds, until it is written.
    pub(crate) fn count_with(&mut self, meter: &Meter) {
        let octets = self.len();
        self.share.get_or_insert_with(|| meter.take(0)).set(octets);
    }

    /// Appends a method with its content.
    pub(crate) fn content<M: Method>(
        &mut self,
        (channel, frame_max): (u16, u32),
        method: &M,
        properties: &RawProperties,
        body: &Bytes,
    ) {
        // What this broker says has an encoding: all its texts are short strings already.
        let _ = encode::method(&mut self.frames, channel, method);
        let size = body.len() as u64;
        encode::raw_header(&mut self.frames, channel, basic::CLASS_ID, size, properties.as_bytes());
        self.body(channel, body, frame_max);
    }

    /// Appends the frames of a body.
    fn body(&mut self, channel: u16, body: &Bytes, frame_max: u32) {
        if body.len() < LARGE_BODY {
            encode::body(&mut self.frames, channel, body, frame_max);
            return;
        }
        let mut rest = body.clone();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(encode::max_body_payload(frame_max)));
            self.frames.extend_from_slice(&encode::body_head(channel, piece.len()));
            self.piece_octets += piece.len();
            self.pieces.push_back((self.frames.len(), piece));
            self.frames.extend_from_slice(&[constants::FRAME_END]);
        }
    }

    /// Everything, when it lies in one piece.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.frames[self.written..])
    }

    /// The next octets to write, for a vectored write; returns how many slices are filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; Self::SLICES]) -> usize {
        let mut filled = 0;
        let mut put = |slice: &'a [u8]| {
            if !slice.is_empty() && filled < Self::SLICES {
                slices[filled] = IoSlice::new(slice);
                filled += 1;
            }
        };
        let mut from = self.written;
        for (before, piece) in self.pieces.iter().take(Self::SLICES / 2) {
            put(&self.frames[from..*before]);
            put(piece);
            from = *before;
        }
        if self.pieces.len() <= Self::SLICES / 2 {
            put(&self.frames[from..]);
        }
        filled
    }

    /// Notes that `count` octets of what was offered are written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.skip(count);
        let octets = self.len();
        if octets == 0 {
            self.share = None;
        } else if let Some(share) = &mut self.share {
            share.set(octets);
        }
    }

    fn skip(&mut self, mut count: usize) {
        while let Some((before, piece)) = self.pieces.front_mut() {
            let frames = (*before - self.written).min(count);
            self.written += frames;
            count -= frames;
            if self.written < *before {
                return;
            }
            let octets = piece.len().min(count);
            piece.advance(octets);
            self.piece_octets -= octets;
            count -= octets;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.written = (self.written + count).min(self.frames.len());
        if self.written == self.frames.len() {
            self.written = 0;
            if self.frames.capacity() > KEEP_CAPACITY {
                self.frames = BytesMut::new();
            } else {
                self.frames.clear();
            }
        }
    }

    /// Moves all that waits into one piece, which costs a copy.
    pub(crate) fn flatten(&mut self) {
        if self.written == 0 && self.pieces.is_empty() {
            return;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        let mut from = self.written;
        for (before, piece) in self.pieces.drain(..) {
            whole.extend_from_slice(&self.frames[from..before]);
            whole.extend_from_slice(&piece);
            from = before;
        }
        whole.extend_from_slice(&self.frames[from..]);
        *self = Self { frames: whole, share: self.share.take(), ..Self::default() };
    }

    /// Drops what waits behind the first `len` octets; only of one piece that nothing is written of.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.frames.truncate(len);
    }

    /// Drops everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_steps_is_what_was_put_in() {
        let bodies = [3, LARGE_BODY, 40_000, 0].map(|len| Bytes::from(vec![7; len]));
        let mut expected = BytesMut::new();
        for body in &bodies {
            encode::heartbeat(&mut expected);
            encode::body(&mut expected, 5, body, 4096);
        }
        for step in [13, 4095, 70_000, usize::MAX] {
            let mut output = Output::default();
            for body in &bodies {
                encode::heartbeat(output.frames());
                output.body(5, body, 4096);
            }
            assert_eq!(output.len(), expected.len());
            let mut written = Vec::new();
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); Output::SLICES];
                let filled = output.slices(&mut slices);
                let offered: Vec<u8> =
                    slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
                let count = offered.len().min(step);
                assert!(count > 0);
                written.extend_from_slice(&offered[..count]);
                output.advance(count);
            }
            assert!(written == expected, "step {step}");
        }
    }
}
