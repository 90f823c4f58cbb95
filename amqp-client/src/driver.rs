//! The connection's one task: it moves octets between the socket and the core, and wakes at the core's
//! deadlines.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep};

use crate::core::Transmit;
use crate::credentials::Asker;
use crate::error::CloseReason;
use crate::shared::{Shared, now};

/// The read buffer begins small, so that an idle connection costs little…
const READ_MIN: usize = 8 * 1024;
/// …and grows to this while reads fill it: a batch of deliveries for one system call.
const READ_MAX: usize = 256 * 1024;
/// After this many reads in a row that needed an eighth of it or less, the buffer is small again.
const SMALL_READS: u32 = 64;
/// Reads in a row, each at once successful, before deadlines and other tasks have their turn.
const READS_IN_A_ROW: u32 = 16;
/// As many octets also end the turn: what was delivered is handled while it is in the processor's cache.
const OCTETS_IN_A_ROW: usize = READ_MAX;
/// Large read buffers that are kept for reuse while deliveries hold slices of them.
const KEPT_BUFFERS: usize = 4;

/// Drives a connection until it is closed.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    shared: Arc<Shared>,
    socket: S,
    input: BytesMut,
    /// Earlier ones of full size, the one that was filled last behind: free again when no delivery holds
    /// a slice of it.
    earlier_inputs: VecDeque<BytesMut>,
    /// Whether `input` grew for a larger frame: then it isn't kept.
    has_grown: bool,
    read_size: usize,
    small_reads: u32,
    transmit: Transmit,
    /// Whether octets are written that the socket may still hold back.
    unflushed: bool,
    /// Whether the socket has taken something since the core was last told.
    has_written: bool,
    /// Writing failed: what the server said before may still be read.
    write_error: Option<io::Error>,
    timer: Option<Pin<Box<Sleep>>>,
    asker: Asker,
    wakes: Vec<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(crate) fn new(shared: Arc<Shared>, socket: S) -> Self {
        Self {
            shared,
            socket,
            input: BytesMut::new(),
            earlier_inputs: VecDeque::new(),
            has_grown: false,
            read_size: READ_MIN,
            small_reads: 0,
            transmit: Transmit::default(),
            unflushed: false,
            has_written: false,
            write_error: None,
            timer: None,
            asker: Asker::default(),
            wakes: Vec::new(),
        }
    }

    /// With somebody to ask for new credentials.
    pub(crate) fn asking(mut self, asker: Asker) -> Self {
        self.asker = asker;
        self
    }

    /// Reads once, as far as the core wants it. Ready when something has changed, with the number of
    /// octets.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let now = Instant::now().into_std();
        if !self.shared.drive(&mut self.wakes, |core| core.wants_read(now)) {
            return Poll::Pending;
        }
        let room = self.input.capacity() - self.input.len();
        if room < self.read_size / 2 {
            self.make_room();
        }
        let before = self.input.len();
        let room = self.input.capacity() - before;
        let read = ready!(pin!(self.socket.read_buf(&mut self.input)).poll(cx));
        let now = Instant::now().into_std();
        let write_error = self.write_error.take();
        match read {
            Ok(0) => self.shared.drive(&mut self.wakes, |core| {
                core.lose(
                    write_error.map_or(CloseReason::Eof, |error| CloseReason::Io(error.into())),
                );
            }),
            Ok(count) => {
                self.write_error = write_error;
                let input = &mut self.input;
                self.shared.drive(&mut self.wakes, |core| core.handle_input(input, now));
                self.adapt_read_size(count, count == room);
                return Poll::Ready(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.write_error = write_error;
            }
            Err(error) => {
                // What the server says by TLS tells more than that it listens no longer.
                let error = match write_error {
                    Some(earlier) if error.kind() != io::ErrorKind::InvalidData => earlier,
                    _ => error,
                };
                self.shared.drive(&mut self.wakes, |core| core.lose(CloseReason::Io(error.into())));
            }
        }
        Poll::Ready(0)
    }

    /// Makes room for a read behind what is left of the input. Large buffers go round: allocating one
    /// means to have its pages cleared, which takes longer than filling it. But a frame that is larger
    /// than they are has a buffer that grows by doubling.
    fn make_room(&mut self) {
        let is_large = self.input.len() >= READ_MAX;
        self.has_grown |= is_large;
        if self.read_size < READ_MAX || is_large || self.input.try_reclaim(self.read_size) {
            return self.input.reserve(self.read_size);
        }
        let needed = self.input.len() + self.read_size;
        let is_free = |buffer: &mut BytesMut| buffer.try_reclaim(needed);
        let mut next = match self.earlier_inputs.iter_mut().position(is_free) {
            Some(index) => self.earlier_inputs.remove(index).unwrap_or_default(),
            None => BytesMut::with_capacity(needed),
        };
        next.extend_from_slice(&self.input);
        let mut earlier = std::mem::replace(&mut self.input, next);
        if std::mem::take(&mut self.has_grown) {
            return;
        }
        earlier.clear();
        if self.earlier_inputs.len() == KEPT_BUFFERS {
            self.earlier_inputs.pop_front();
        }
        self.earlier_inputs.push_back(earlier);
    }

    /// Makes the read buffer as large as the traffic asks for.
    fn adapt_read_size(&mut self, count: usize, was_filled: bool) {
        if was_filled && self.read_size < READ_MAX {
            self.read_size *= 2;
        }
        self.small_reads =
            if count <= self.read_size / 8 { self.small_reads.saturating_add(1) } else { 0 };
        if self.small_reads > SMALL_READS && self.read_size > READ_MIN && self.input.is_empty() {
            self.read_size = READ_MIN;
            self.small_reads = 0;
            self.input = BytesMut::new();
            self.earlier_inputs = VecDeque::new();
        }
    }

    /// Writes until there is nothing left (ready) or the socket takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.write_error.is_some() {
            return Poll::Pending;
        }
        loop {
            if self.transmit.is_empty() {
                let now = Instant::now().into_std();
                let transmit = &mut self.transmit;
                self.shared.drive(&mut self.wakes, |core| core.take_output(transmit, now));
                if self.transmit.is_empty() {
                    break;
                }
            }
            let written = match self.transmit.single() {
                Some(octets) => Pin::new(&mut self.socket).poll_write(cx, octets),
                None => {
                    let mut slices = [IoSlice::new(&[]); Transmit::SLICES];
                    let filled = self.transmit.slices(&mut slices);
                    Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..filled])
                }
            };
            match ready!(written) {
                Ok(0) => {
                    self.write_error = Some(io::ErrorKind::WriteZero.into());
                    return Poll::Pending;
                }
                Ok(count) => {
                    self.transmit.advance(count);
                    self.unflushed = true;
                    self.has_written = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.write_error = Some(error);
                    return Poll::Pending;
                }
            }
        }
        if self.unflushed {
            match ready!(Pin::new(&mut self.socket).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(error) => self.write_error = Some(error),
            }
        }
        Poll::Ready(())
    }

    /// Sleeps until the core's next deadline; ready when it has passed.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now().into_std();
        let next = self.shared.drive(&mut self.wakes, |core| core.next_deadline(now));
        let Some(deadline) = next.map(Instant::from_std) else { return Poll::Pending };
        // Not left to the timer: with tokio's budget for this task used up it never fires.
        if deadline.into_std() <= now {
            self.shared.drive(&mut self.wakes, |core| core.handle_timeout(now));
            return Poll::Ready(());
        }
        match &mut self.timer {
            // A deadline that moved away is looked at again when the old one fires: most move with
            // every read and write.
            Some(timer) if timer.deadline() <= deadline && !timer.is_elapsed() => {}
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        let now = Instant::now().into_std();
        self.shared.drive(&mut self.wakes, |core| core.handle_timeout(now));
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (mut reads, mut octets) = (0, 0);
        loop {
            // Whatever comes up from here on is either seen below or keeps this task awake.
            this.shared.drive(&mut this.wakes, |core| core.attention = false);
            let writing = this.poll_write(cx).is_pending();
            let all_written = !writing;
            let has_written = std::mem::take(&mut this.has_written);
            let (is_closed, asks) = this.shared.drive(&mut this.wakes, |core| {
                core.note_write(all_written, has_written, now);
                (core.is_closed(all_written), core.wants_credentials())
            });
            if is_closed {
                this.shared.drive(&mut this.wakes, |core| core.finish_close());
                // Whether the other side still listens makes no difference any more.
                let _ = Pin::new(&mut this.socket).poll_shutdown(cx);
                return Poll::Ready(());
            }
            if let Poll::Ready(answer) = this.asker.poll(asks, cx) {
                this.shared.drive(&mut this.wakes, |core| core.credentials_came(answer, now()));
                continue;
            }
            let read = this.poll_read(cx);
            let has_read = read.is_ready();
            if let Poll::Ready(count) = read {
                reads += 1;
                octets += count;
                if reads < READS_IN_A_ROW && octets < OCTETS_IN_A_ROW {
                    continue;
                }
            }
            if this.poll_timer(cx).is_ready() {
                continue;
            }
            if has_read {
                // A peer that never stops sending holds up nobody else.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(error) = this.write_error.take() {
                // Nothing is left to read either: this is how it ended.
                this.shared.drive(&mut this.wakes, |core| core.lose(CloseReason::Io(error.into())));
                continue;
            }
            if this.shared.park(cx.waker(), writing) {
                return Poll::Pending;
            }
        }
    }
}

impl<S> Drop for Driver<S> {
    /// The task ends with the connection, or the runtime ends the task: nobody may wait any longer.
    fn drop(&mut self) {
        self.shared.drive(&mut self.wakes, |core| core.lose(CloseReason::RuntimeGone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Core;
    use crate::options::ConnectOptions;

    /// A frame that is larger than any read is read without being copied again and again, and its buffer
    /// isn't kept.
    #[test]
    fn a_large_frame_moves_seldom() {
        let core = Core::new(ConnectOptions::default(), now(), now());
        let (socket, _server) = tokio::io::duplex(1);
        let mut driver = Driver::new(Shared::new(core, None), socket);
        driver.read_size = READ_MAX;
        let (mut copied, mut at, frame) = (0, std::ptr::null(), 64 * READ_MAX);
        while driver.input.len() < frame {
            if driver.input.capacity() - driver.input.len() < driver.read_size / 2 {
                driver.make_room();
            }
            if driver.input.as_ptr() != at {
                (copied, at) = (copied + driver.input.len(), driver.input.as_ptr());
            }
            driver.input.resize(driver.input.len() + READ_MAX / 2, 0);
        }
        assert!(copied < 4 * frame, "{copied} octets copied for {frame}");
        let body = driver.input.split().freeze();
        driver.make_room();
        drop(body);
        for kept in &mut driver.earlier_inputs {
            assert!(!kept.try_reclaim(frame), "a buffer of that size is kept");
        }
    }
}
