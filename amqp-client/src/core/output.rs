//! Octets that wait to be written: encoded frames, and large bodies that are never copied.
//!
//! Nearly everything is encoded straight into one buffer, `ready`, which the writer takes whole. A
//! large body is kept as the caller's `Bytes` in its channel's backlog instead, and cut into frames
//! as they are written: one frame of each such channel in turn, behind whatever is ready, so that a
//! body of a gigabyte delays neither heartbeats nor the other channels. While a channel has a
//! backlog, its later frames queue up behind it: their order on the channel is kept.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;

use amqp091::{encode, protocol::constants};
use bytes::{Buf, Bytes, BytesMut};

use crate::error::Error;

/// Bodies from this many octets on are written from where they lie; copying a smaller one costs less
/// than a slice of its own in a vectored write.
pub(crate) const LARGE_BODY: usize = 16 * 1024;

/// Octets of large bodies that one [`Output::take`] hands out, more or less: enough to fill a socket
/// buffer, little enough to let other frames in between.
const TAKE_BODIES: usize = 256 * 1024;

/// A buffer that grew beyond this for a burst is given back when it is empty.
const KEEP_CAPACITY: usize = 256 * 1024;

/// Fails if a frame of so many octets, which can't be split, is larger than the server accepts.
pub(crate) fn check_frame(what: &'static str, octets: usize, frame_max: u32) -> Result<(), Error> {
    if frame_max != 0 && octets > frame_max as usize {
        return Err(Error::FrameTooLarge { what, octets, frame_max });
    }
    Ok(())
}

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Output {
    ready: BytesMut,
    backlogs: HashMap<u16, Backlog>,
    /// Channels with a backlog, the next one to write from in front.
    turns: VecDeque<u16>,
    /// Octets in all backlogs.
    backlog_octets: usize,
    /// Written when all else is: `connection.close`.
    last_words: BytesMut,
    /// See [`take_discarded`](Self::take_discarded).
    discarded: Vec<Item>,
    frame_max: u32,
}

/// A channel's frames from its first large body on. The front is always a body whose method and
/// header are already on their way.
#[derive(Debug, Default)]
struct Backlog(VecDeque<Item>);

/// A piece of a backlog.
#[derive(Debug)]
pub(crate) enum Item {
    Body(Bytes),
    Frames(BytesMut),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Frames(frames) => frames.len(),
        }
    }
}

impl Output {
    pub(crate) fn new(frame_max: u32) -> Self {
        Self {
            ready: BytesMut::new(),
            backlogs: HashMap::new(),
            turns: VecDeque::new(),
            backlog_octets: 0,
            last_words: BytesMut::new(),
            discarded: Vec::new(),
            frame_max,
        }
    }

    /// Sets the negotiated frame-max, in octets.
    pub(crate) fn set_frame_max(&mut self, frame_max: u32) {
        self.frame_max = frame_max;
    }

    /// The negotiated frame-max, in octets.
    pub(crate) fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// Octets that wait.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.backlog_octets + self.last_words.len()
    }

    /// Where the connection's own frames go.
    pub(crate) fn connection(&mut self) -> &mut BytesMut {
        &mut self.ready
    }

    /// Lets `write` append whole frames of `channel`, in their order on that channel.
    pub(crate) fn channel<T>(&mut self, channel: u16, write: impl FnOnce(&mut BytesMut) -> T) -> T {
        if self.backlogs.is_empty() {
            return write(&mut self.ready);
        }
        let Some(Backlog(items)) = self.backlogs.get_mut(&channel) else {
            return write(&mut self.ready);
        };
        if !matches!(items.back(), Some(Item::Frames(_))) {
            items.push_back(Item::Frames(BytesMut::new()));
        }
        match items.back_mut() {
            Some(Item::Frames(frames)) => {
                let before = frames.len();
                let result = write(frames);
                self.backlog_octets += frames.len() - before;
                result
            }
            // Just made sure of above; frames of the connection's buffer would be out of order.
            _ => write(&mut self.ready),
        }
    }

    /// Appends the body, of [`LARGE_BODY`] octets or more, of a content whose method and header were
    /// just appended. It is not copied.
    pub(crate) fn large_body(&mut self, channel: u16, body: Bytes) {
        self.backlog_octets += body.len();
        self.backlogs
            .entry(channel)
            .or_insert_with(|| {
                self.turns.push_back(channel);
                Backlog::default()
            })
            .0
            .push_back(Item::Body(body));
    }

    /// Drops what `channel` has queued, except the rest of a body whose method is on its way: a
    /// content must be finished before the channel's close is answered. Returns whether that was
    /// anything; if so, the last frame of all was among it.
    pub(crate) fn abandon(&mut self, channel: u16) -> bool {
        let Some(Backlog(items)) = self.backlogs.get_mut(&channel) else { return false };
        let before = self.discarded.len();
        for item in items.drain(1..) {
            self.backlog_octets -= item.len();
            self.discarded.push(item);
        }
        self.discarded.len() > before
    }

    /// Queues the last frame of all, written when everything before it is.
    pub(crate) fn finish(&mut self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.last_words);
    }

    /// Drops everything that waits: the server has closed the connection and reads no more of it.
    pub(crate) fn clear(&mut self) {
        let backlogs = std::mem::take(&mut self.backlogs);
        let mut discarded = std::mem::take(&mut self.discarded);
        discarded.extend(backlogs.into_values().flat_map(|Backlog(items)| items));
        *self = Self { discarded, ..Self::new(self.frame_max) };
    }

    /// What was dropped unwritten. Bodies are the caller's, and dropping the last handle of one may run
    /// the caller's code: that must happen outside the shell's lock.
    pub(crate) fn take_discarded(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.discarded)
    }

    /// Moves what is due to `transmit`, which must be empty.
    pub(crate) fn take(&mut self, transmit: &mut Transmit) {
        debug_assert!(transmit.is_empty(), "the last take is written first");
        std::mem::swap(&mut self.ready, &mut transmit.frames);
        let mut budget = TAKE_BODIES;
        while budget > 0
            && let Some(channel) = self.turns.pop_front()
        {
            let Some(Backlog(items)) = self.backlogs.get_mut(&channel) else { continue };
            if let Some(Item::Body(body)) = items.front_mut() {
                let len = body.len().min(encode::max_body_payload(self.frame_max));
                transmit.body_frame(channel, body.split_to(len));
                self.backlog_octets -= len;
                budget = budget.saturating_sub(len);
                if body.is_empty() {
                    items.pop_front();
                }
            }
            // Frames behind a finished body, up to the next body, are small and go along.
            while let Some(Item::Frames(frames)) = items.front() {
                transmit.frames.extend_from_slice(frames);
                self.backlog_octets -= frames.len();
                items.pop_front();
            }
            if items.is_empty() {
                self.backlogs.remove(&channel);
            } else {
                self.turns.push_back(channel);
            }
        }
        if self.turns.is_empty() && !self.last_words.is_empty() {
            transmit.frames.extend_from_slice(&self.last_words);
            self.last_words.clear();
        }
    }
}

/// What the writer is writing: frames, with large bodies between them.
#[derive(Debug, Default)]
pub(crate) struct Transmit {
    frames: BytesMut,
    /// A body, and the position in `frames` that it stands before.
    bodies: VecDeque<(usize, Bytes)>,
    /// Octets of `frames` that are written.
    written: usize,
}

impl Transmit {
    /// Slices handed to one vectored write.
    pub(crate) const SLICES: usize = 32;

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.frames.len() && self.bodies.is_empty()
    }

    fn body_frame(&mut self, channel: u16, payload: Bytes) {
        self.frames.extend_from_slice(&encode::body_head(channel, payload.len()));
        self.bodies.push_back((self.frames.len(), payload));
        self.frames.extend_from_slice(&[constants::FRAME_END]);
    }

    /// Everything, when it lies in one piece.
    pub(crate) fn single(&self) -> Option<&[u8]> {
        self.bodies.is_empty().then(|| &self.frames[self.written..])
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
        for (before, body) in self.bodies.iter().take(Self::SLICES / 2) {
            put(&self.frames[from..*before]);
            put(body);
            from = *before;
        }
        if self.bodies.len() <= Self::SLICES / 2 {
            put(&self.frames[from..]);
        }
        filled
    }

    /// Notes that `count` octets of what was offered are written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        while let Some((before, body)) = self.bodies.front_mut() {
            let frames = (*before - self.written).min(count);
            self.written += frames;
            count -= frames;
            if self.written < *before {
                return;
            }
            let octets = body.len().min(count);
            body.advance(octets);
            count -= octets;
            if !body.is_empty() {
                return;
            }
            self.bodies.pop_front();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MAX: u32 = 4096;

    fn written(output: &mut Output, step: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut transmit = Transmit::default();
        while output.len() > 0 {
            output.take(&mut transmit);
            while !transmit.is_empty() {
                let mut slices = [IoSlice::new(&[]); Transmit::SLICES];
                let filled = transmit.slices(&mut slices);
                let offered: Vec<u8> =
                    slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
                assert!(!offered.is_empty());
                let count = offered.len().min(step);
                wire.extend_from_slice(&offered[..count]);
                transmit.advance(count);
            }
        }
        wire
    }

    /// (channel, frame type, payload length) of every frame on the wire.
    fn frames(wire: &[u8]) -> Vec<(u16, u8, usize)> {
        let mut rest = wire;
        let mut frames = Vec::new();
        while let [kind, c0, c1, s0, s1, s2, s3, ..] = *rest {
            let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
            assert_eq!(rest[7 + size], constants::FRAME_END);
            frames.push((u16::from_be_bytes([c0, c1]), kind, size));
            rest = &rest[8 + size..];
        }
        assert!(rest.is_empty());
        frames
    }

    #[test]
    fn large_bodies_take_turns_and_later_frames_wait_their_turn() {
        for step in [1, 7, 100, 4096, usize::MAX] {
            let mut output = Output::new(FRAME_MAX);
            output.large_body(1, Bytes::from(vec![1; 9000]));
            output.large_body(2, Bytes::from(vec![2; 5000]));
            // A heartbeat stands for any small frame.
            output.channel(1, encode::heartbeat);
            output.channel(3, encode::heartbeat);
            let order = frames(&written(&mut output, step));
            let body = constants::FRAME_BODY;
            let expected = [
                (0, constants::FRAME_HEARTBEAT, 0),
                (1, body, 4088),
                (2, body, 4088),
                (1, body, 4088),
                (2, body, 912),
                (1, body, 824),
                (0, constants::FRAME_HEARTBEAT, 0),
            ];
            assert_eq!(order, expected, "step {step}");
            assert_eq!(output.len(), 0);
        }
    }

    #[test]
    fn the_last_words_come_last() {
        let mut output = Output::new(FRAME_MAX);
        output.finish(encode::heartbeat);
        output.large_body(1, Bytes::from(vec![1; 300_000]));
        let order = frames(&written(&mut output, usize::MAX));
        assert_eq!(order.last(), Some(&(0, constants::FRAME_HEARTBEAT, 0)));
        assert_eq!(order.len(), 300_000 / 4088 + 2);
    }

    #[test]
    fn an_abandoned_channel_finishes_the_body_under_way_only() {
        let mut output = Output::new(FRAME_MAX);
        output.large_body(1, Bytes::from(vec![1; 5000]));
        output.channel(1, encode::heartbeat);
        output.large_body(1, Bytes::from(vec![1; 6000]));
        output.abandon(1);
        output.channel(1, encode::heartbeat);
        let order = frames(&written(&mut output, usize::MAX));
        let sizes: Vec<usize> = order.iter().map(|&(_, _, size)| size).collect();
        assert_eq!(sizes, [4088, 912, 0]);
    }
}
