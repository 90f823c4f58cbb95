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
    Pieces(Pieces),
    Frames(BytesMut),
}

/// A body in pieces, of which some may be still to come.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: VecDeque<Bytes>,
    octets: usize,
    missing: u64,
}

impl Pieces {
    /// Takes the next `len` octets, which are here, as they lie.
    fn take(&mut self, mut len: usize) -> impl Iterator<Item = Bytes> + '_ {
        self.octets -= len;
        std::iter::from_fn(move || {
            let piece = self.pieces.front_mut().filter(|_| len > 0)?;
            let part = piece.split_to(piece.len().min(len));
            len -= part.len();
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            Some(part)
        })
    }

    fn is_over(&self) -> bool {
        self.octets == 0 && self.missing == 0
    }
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Pieces(pieces) => pieces.octets,
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

    /// As [`large_body`](Self::large_body), in pieces; `missing` octets are still to come. Until they have
    /// come, nothing else of the channel is written behind them.
    pub(crate) fn pieces(&mut self, channel: u16, pieces: Vec<Bytes>, missing: u64) {
        let pieces: VecDeque<Bytes> =
            pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let octets = pieces.iter().map(Bytes::len).sum();
        self.backlog_octets += octets;
        self.backlogs
            .entry(channel)
            .or_insert_with(|| {
                self.turns.push_back(channel);
                Backlog::default()
            })
            .0
            .push_back(Item::Pieces(Pieces { pieces, octets, missing }));
    }

    fn open_body(&mut self, channel: u16) -> Option<&mut Pieces> {
        let Backlog(items) = self.backlogs.get_mut(&channel)?;
        items.iter_mut().find_map(|item| match item {
            Item::Pieces(pieces) if pieces.missing > 0 => Some(pieces),
            _ => None,
        })
    }

    /// Octets that wait of a body which is still to come in part.
    pub(crate) fn fed(&mut self, channel: u16) -> usize {
        self.open_body(channel).map_or(0, |pieces| pieces.octets)
    }

    /// Appends a piece, no more than is missing, to the body that is still to come in part.
    pub(crate) fn feed(&mut self, channel: u16, piece: Bytes) {
        let Some(pieces) = self.open_body(channel) else { return };
        if piece.is_empty() {
            return;
        }
        let len = piece.len();
        pieces.missing = pieces.missing.saturating_sub(len as u64);
        pieces.octets += len;
        pieces.pieces.push_back(piece);
        self.backlog_octets += len;
        if !self.turns.contains(&channel) {
            self.turns.push_back(channel);
        }
    }

    /// Drops all that `channel` has queued, in the middle of a body if need be.
    pub(crate) fn give_up(&mut self, channel: u16) {
        let Some(Backlog(items)) = self.backlogs.remove(&channel) else { return };
        self.turns.retain(|&other| other != channel);
        self.backlog_octets -= items.iter().map(Item::len).sum::<usize>();
        self.discarded.extend(items);
    }

    /// Whether there is anything to write now.
    pub(crate) fn has_due(&self) -> bool {
        !self.ready.is_empty() || !self.turns.is_empty() || !self.last_words.is_empty()
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

    /// Moves what is due to `transmit`, which must be empty. Returns whether some of it is of a body that
    /// is still to come in part.
    pub(crate) fn take(&mut self, transmit: &mut Transmit) -> bool {
        debug_assert!(transmit.is_empty(), "the last take is written first");
        std::mem::swap(&mut self.ready, &mut transmit.frames);
        let mut budget = TAKE_BODIES;
        let mut is_open = false;
        while budget > 0
            && let Some(channel) = self.turns.pop_front()
        {
            let Some(Backlog(items)) = self.backlogs.get_mut(&channel) else { continue };
            let max = encode::max_body_payload(self.frame_max);
            let (len, is_over) = match items.front_mut() {
                Some(Item::Body(body)) => {
                    let len = body.len().min(max);
                    transmit.body_frame(channel, len, [body.split_to(len)]);
                    (len, body.is_empty())
                }
                Some(Item::Pieces(pieces)) => {
                    is_open |= pieces.missing > 0;
                    let len = pieces.octets.min(max);
                    if len > 0 {
                        transmit.body_frame(channel, len, pieces.take(len));
                    }
                    (len, pieces.is_over())
                }
                Some(Item::Frames(_)) | None => (0, false),
            };
            self.backlog_octets -= len;
            budget = budget.saturating_sub(len);
            if is_over {
                items.pop_front();
            }
            // Frames behind a finished body, up to the next body, are small and go along.
            while let Some(Item::Frames(frames)) = items.front() {
                transmit.frames.extend_from_slice(frames);
                self.backlog_octets -= frames.len();
                items.pop_front();
            }
            match items.front() {
                None => {
                    self.backlogs.remove(&channel);
                }
                // Its turn comes again when there is more of it.
                Some(Item::Pieces(Pieces { octets: 0, missing: 1.., .. })) => {}
                Some(_) => self.turns.push_back(channel),
            }
        }
        if self.turns.is_empty() && !self.last_words.is_empty() {
            transmit.frames.extend_from_slice(&self.last_words);
            self.last_words.clear();
        }
        is_open
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

    /// Octets in all, written or not.
    pub(crate) fn octets(&self) -> u64 {
        let bodies: usize = self.bodies.iter().map(|(_, body)| body.len()).sum();
        (self.frames.len() + bodies) as u64
    }

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.frames.len() && self.bodies.is_empty()
    }

    /// One frame of a body, of `len` octets in these pieces.
    fn body_frame(&mut self, channel: u16, len: usize, pieces: impl IntoIterator<Item = Bytes>) {
        self.frames.extend_from_slice(&encode::body_head(channel, len));
        self.bodies.extend(pieces.into_iter().map(|piece| (self.frames.len(), piece)));
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
        while output.has_due() {
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
    fn pieces_are_written_as_they_lie_in_frames_as_large_as_can_be() {
        for step in [1, 100, usize::MAX] {
            let mut output = Output::new(FRAME_MAX);
            let octets: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
            let (mut rest, mut pieces) = (Bytes::from(octets.clone()), Vec::new());
            for len in [1, 0, 4087, 10, 1, 1, 3000, 2900] {
                pieces.push(rest.split_to(len));
            }
            output.pieces(1, pieces, 0);
            output.channel(1, encode::heartbeat);
            let wire = written(&mut output, step);
            let order = frames(&wire);
            let sizes: Vec<usize> = order.iter().map(|&(_, _, size)| size).collect();
            assert_eq!(sizes, [4088, 4088, 1824, 0]);
            let body: Vec<u8> = [(7, 4088), (4103, 4088), (8199, 1824)]
                .into_iter()
                .flat_map(|(at, len)| wire[at..at + len].to_vec())
                .collect();
            assert!(body == octets);
        }
    }

    #[test]
    fn a_body_that_is_still_to_come_holds_up_its_own_channel_alone() {
        let mut output = Output::new(FRAME_MAX);
        output.pieces(1, vec![Bytes::from(vec![1; 10])], 5000);
        output.channel(1, encode::heartbeat);
        output.large_body(2, Bytes::from(vec![2; 5000]));
        let mut transmit = Transmit::default();
        let mut wire = Vec::new();
        let mut take = |output: &mut Output| {
            while output.has_due() {
                output.take(&mut transmit);
                while !transmit.is_empty() {
                    let mut slices = [IoSlice::new(&[]); Transmit::SLICES];
                    let filled = transmit.slices(&mut slices);
                    let before = wire.len();
                    slices[..filled].iter().for_each(|slice| wire.extend_from_slice(slice));
                    transmit.advance(wire.len() - before);
                }
            }
            let order = frames(&wire);
            wire.clear();
            order.into_iter().map(|(channel, _, size)| (channel, size)).collect::<Vec<_>>()
        };
        assert_eq!(take(&mut output), [(1, 10), (2, 4088), (2, 912)]);
        assert_eq!(output.len(), 8, "what waits behind it");
        output.feed(1, Bytes::from(vec![1; 4999]));
        assert_eq!(output.fed(1), 4999);
        assert_eq!(take(&mut output), [(1, 4088), (1, 911)]);
        output.feed(1, Bytes::from(vec![1; 1]));
        assert_eq!(take(&mut output), [(1, 1), (0, 0)]);
        assert_eq!(output.len(), 0);
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
