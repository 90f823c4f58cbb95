//! One client's task: it moves octets between the socket and the core.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

use crate::core::{ConnectionKey, Output, Parked};
use crate::shared::Shared;
use crate::transport::Transport;

/// The read buffer begins small, so that an idle connection costs little…
const READ_MIN: usize = 4 * 1024;
/// …and grows to this while reads fill it.
const READ_MAX: usize = 128 * 1024;
/// After this many reads in a row that needed an eighth of it or less, the buffer is small again.
const SMALL_READS: u32 = 64;
/// Octets that are read and written before other clients have their turn.
const TURN: usize = 256 * 1024;

/// Serves one client until it is gone.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    shared: Arc<Shared>,
    key: ConnectionKey,
    socket: S,
    input: BytesMut,
    read_size: usize,
    small_reads: u32,
    output: Output,
    unflushed: bool,
    /// What is left of this turn, octets; none once the core has had enough of this client.
    left: usize,
}

impl<S: Transport> Driver<S> {
    pub(crate) fn new(shared: Arc<Shared>, key: ConnectionKey, socket: S) -> Self {
        Self {
            shared,
            key,
            socket,
            input: BytesMut::new(),
            read_size: READ_MIN,
            small_reads: 0,
            output: Output::default(),
            unflushed: false,
            left: 0,
        }
    }

    /// Reads once. Ready when something has changed: `false` for the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let key = self.key;
        match self.shared.with(|core, _| core.wants_read(key).then(|| core.is_behind(key))) {
            None => return Poll::Pending,
            Some(true) => {
                let input = &mut self.input;
                let is_behind = self.shared.with(|core, now| {
                    core.catch_up(key, input, now);
                    core.is_behind(key)
                });
                if is_behind {
                    self.left = 0;
                }
                return Poll::Ready(true);
            }
            Some(false) => {}
        }
        let room = self.input.capacity() - self.input.len();
        if room < self.read_size / 2 {
            self.input.reserve(self.read_size);
        }
        let room = self.input.capacity() - self.input.len();
        match ready!(pin!(self.socket.read_buf(&mut self.input)).poll(cx)) {
            Ok(0) => Poll::Ready(false),
            Ok(count) => {
                if let Some(name) = self.socket.take_certificate_name() {
                    self.shared.with(|core, _| core.set_certificate_name(key, name));
                }
                let input = &mut self.input;
                let is_behind = self.shared.with(|core, now| {
                    core.handle_input(key, input, now);
                    core.is_behind(key)
                });
                self.left = if is_behind { 0 } else { self.left.saturating_sub(count) };
                if count == room && self.read_size < READ_MAX {
                    self.read_size *= 2;
                }
                self.small_reads = if count <= self.read_size / 8 {
                    self.small_reads.saturating_add(1)
                } else {
                    0
                };
                if self.input.is_empty()
                    && self.small_reads > SMALL_READS
                    && self.read_size > READ_MIN
                {
                    self.read_size = READ_MIN;
                    self.small_reads = 0;
                    self.input = BytesMut::new();
                }
                Poll::Ready(true)
            }
            Err(error) => Poll::Ready(error.kind() == io::ErrorKind::Interrupted),
        }
    }

    /// Reports that there is nothing more to do, if that is so; in any case this is woken for whatever
    /// comes.
    fn report(&self, cx: &Context<'_>) -> Poll<()> {
        let key = self.key;
        let (question, wants_read) =
            self.shared.with(|core, _| (core.question(), core.wants_read(key)));
        if wants_read && self.socket.has_input() {
            // The runtime has yet to hear of it.
            cx.waker().wake_by_ref();
        } else if self.socket.poll_taken(cx).is_ready() {
            self.shared.with(|core, _| core.report(key, question));
        } else {
            self.shared.with(|core, _| core.report_unread(key));
        }
        Poll::Pending
    }

    /// Writes, at least once, until there is nothing left or the turn is over (ready: whether the socket
    /// still takes anything), or until the socket takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let key = self.key;
        loop {
            if self.output.is_empty() {
                let output = &mut self.output;
                self.shared.with(|core, _| core.take_output(key, output));
                if self.output.is_empty() {
                    break;
                }
            }
            let written = match self.output.single() {
                Some(octets) => Pin::new(&mut self.socket).poll_write(cx, octets),
                None => {
                    let mut slices = [IoSlice::new(&[]); Output::SLICES];
                    let filled = self.output.slices(&mut slices);
                    Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..filled])
                }
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(false),
                Ok(count) => {
                    self.output.advance(count);
                    self.left = self.left.saturating_sub(count);
                    self.unflushed = true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Poll::Ready(false),
            }
            if self.left == 0 {
                break;
            }
        }
        if self.unflushed {
            match ready!(Pin::new(&mut self.socket).poll_flush(cx)) {
                Ok(()) => self.unflushed = false,
                Err(_) => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }
}

/// Goes on after everybody else who has something to do: those as well of whom the runtime has yet to hear,
/// so that a client that never stops sending holds up nobody. Merely to be woken would be sooner.
fn yielded(cx: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::yield_now()).poll(cx)
}

impl<S: Transport> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let key = this.key;
        this.left = TURN;
        loop {
            // Whatever comes up from here on is either seen below or keeps this task awake.
            this.shared.with(|core, _| core.calm(key));
            let writing = match this.poll_write(cx) {
                Poll::Ready(true) => !this.output.is_empty(),
                // What the client said before may still be read; what it is told, it doesn't hear.
                Poll::Ready(false) => {
                    this.shared.with(|core, _| core.drop_connection(key));
                    return Poll::Ready(());
                }
                Poll::Pending => true,
            };
            if this.shared.with(|core, _| core.is_closed(key, !writing)) {
                if this.shared.with(|core, _| core.is_reset(key)) {
                    this.socket.reset();
                } else {
                    let _ = Pin::new(&mut this.socket).poll_shutdown(cx);
                }
                return Poll::Ready(());
            }
            if this.left == 0 {
                return yielded(cx);
            }
            match this.poll_read(cx) {
                Poll::Ready(false) => {
                    this.shared.with(|core, _| core.drop_connection(key));
                    return Poll::Ready(());
                }
                Poll::Ready(true) => continue,
                Poll::Pending => {}
            }
            match this.shared.with(|core, _| core.park(key, cx.waker(), writing)) {
                Parked::Yes => return Poll::Pending,
                Parked::No => {}
                Parked::Asked => return this.report(cx),
            }
        }
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        let key = self.key;
        // What isn't written any more is held no more.
        self.output.clear();
        self.shared.with(|core, _| core.forget(key));
    }
}
