//! The way between the client and the server that a test plays: straight to the core, or through the
//! connection's task and a pipe in memory.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::runtime::Runtime;

use crate::core::Transmit;
use crate::driver::Driver;
use crate::error::CloseReason;
use crate::shared::{Shared, now};

/// How the server is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cut {
    /// The socket ends.
    Eof,
    /// The socket fails.
    Io,
    /// Nothing comes any more, and nothing is taken.
    Silence,
}

/// More turns than the connection's task needs for anything.
const TURNS: usize = 12;

/// How long the test looks on after the end: longer than any deadline.
pub(super) const LOOK: Duration = Duration::from_secs(31);

pub(super) enum Link {
    /// The core alone.
    Core {
        input: BytesMut,
        /// Octets that the socket still takes.
        room: usize,
    },
    /// The connection's task.
    Task { peer: Option<DuplexStream>, fault: Arc<Fault> },
}

impl Link {
    pub(super) fn core(room: usize) -> Self {
        Self::Core { input: BytesMut::new(), room }
    }

    /// Spawns the connection's task.
    pub(super) fn task(shared: &Arc<Shared>, runtime: &Runtime, room: usize) -> Self {
        let (client, peer) = duplex(1 << 20);
        let fault = Arc::new(Fault { room: AtomicUsize::new(room), fails: AtomicBool::new(false) });
        let socket = Faulty { stream: client, fault: Arc::clone(&fault) };
        runtime.spawn(Driver::new(Arc::clone(shared), socket));
        Self::Task { peer: Some(peer), fault }
    }

    /// Lets the server say these octets.
    pub(super) fn say(&mut self, shared: &Shared, runtime: &Runtime, octets: &[u8]) {
        match self {
            Self::Core { input, .. } => {
                input.extend_from_slice(octets);
                drive(shared, |core| core.handle_input(input, now()));
            }
            Self::Task { peer, .. } => {
                let Some(peer) = peer else { return };
                runtime.block_on(async {
                    // A client that is done listens no longer.
                    let _ = peer.write_all(octets).await;
                    turns().await;
                });
            }
        }
    }

    /// What the client has written since the last look, and whether the socket took all that there is.
    pub(super) fn heard(&mut self, shared: &Shared, runtime: &Runtime) -> (Vec<u8>, bool) {
        let mut heard = Vec::new();
        match self {
            Self::Core { room, .. } => {
                while *room > 0 && drive(shared, |core| core.has_output()) {
                    let mut transmit = Transmit::default();
                    drive(shared, |core| core.take_output(&mut transmit, now()));
                    let mut wire = Vec::new();
                    while !transmit.is_empty() {
                        let mut slices = [io::IoSlice::new(&[]); Transmit::SLICES];
                        let filled = transmit.slices(&mut slices);
                        let before = wire.len();
                        slices[..filled].iter().for_each(|slice| wire.extend_from_slice(slice));
                        let count = wire.len() - before;
                        transmit.advance(count);
                    }
                    wire.truncate(*room);
                    *room -= wire.len();
                    heard.extend(wire);
                }
                drive(shared, |core| core.next_deadline(now()));
                (heard, *room > 0)
            }
            Self::Task { peer, fault } => {
                if let Some(peer) = peer {
                    runtime.block_on(async {
                        turns().await;
                        let mut octets = BytesMut::new();
                        poll_fn(|cx| {
                            loop {
                                let read = std::pin::pin!(peer.read_buf(&mut octets)).poll(cx);
                                if !matches!(read, Poll::Ready(Ok(1..))) {
                                    return Poll::Ready(());
                                }
                            }
                        })
                        .await;
                        turns().await;
                        heard.extend_from_slice(&octets);
                    });
                }
                (heard, fault.room.load(Relaxed) > 0)
            }
        }
    }

    /// The server is gone; all deadlines pass.
    pub(super) fn cut(&mut self, shared: &Shared, runtime: &Runtime, cut: Cut) {
        match self {
            Self::Core { room, .. } => {
                *room = 0;
                match cut {
                    Cut::Eof => drive(shared, |core| core.lose(CloseReason::Eof)),
                    Cut::Io => drive(shared, |core| {
                        let error = io::Error::from(io::ErrorKind::ConnectionReset);
                        core.lose(CloseReason::Io(error.into()));
                    }),
                    Cut::Silence => {}
                }
            }
            Self::Task { peer, fault } => {
                fault.room.store(0, Relaxed);
                if cut == Cut::Io {
                    fault.fails.store(true, Relaxed);
                }
                if cut != Cut::Silence {
                    *peer = None;
                }
                runtime.block_on(turns());
            }
        }
        if cut == Cut::Silence {
            self.pass(shared, runtime, LOOK);
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&self, shared: &Shared, runtime: &Runtime, time: Duration) {
        match self {
            Self::Core { .. } => {
                let end = now() + time;
                while let Some(next) = drive(shared, |core| core.next_deadline(now()))
                    && next <= end
                {
                    let wait = next.saturating_duration_since(now());
                    runtime.block_on(tokio::time::advance(wait));
                    drive(shared, |core| core.handle_timeout(now()));
                    if drive(shared, |core| core.is_closed(true)) {
                        drive(shared, |core| core.finish_close());
                    }
                }
                let rest = end.saturating_duration_since(now());
                runtime.block_on(tokio::time::advance(rest));
            }
            Self::Task { .. } => {
                runtime.block_on(async {
                    for _ in 0..time.as_secs() {
                        tokio::time::advance(Duration::from_secs(1)).await;
                        turns().await;
                    }
                });
            }
        }
    }

    /// Closes the socket of a connection that is done, as its task does.
    pub(super) fn finish(&self, shared: &Shared) {
        if matches!(self, Self::Core { .. }) && drive(shared, |core| core.is_closed(true)) {
            drive(shared, |core| core.finish_close());
        }
    }
}

/// Lets everything that can go on go on.
async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

pub(super) fn drive<T>(shared: &Shared, step: impl FnOnce(&mut crate::core::Core) -> T) -> T {
    shared.drive(&mut Vec::<Waker>::new(), step)
}

/// What is wrong with a socket.
pub(super) struct Fault {
    /// Octets that it still takes.
    room: AtomicUsize,
    /// Whether it fails where it would have ended.
    fails: AtomicBool,
}

struct Faulty {
    stream: DuplexStream,
    fault: Arc<Fault>,
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let is_end = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() == before;
        if is_end && self.fault.fails.load(Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = self.fault.room.load(Relaxed).min(octets.len());
        if room == 0 {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, &octets[..room]);
        if let Poll::Ready(Ok(count)) = written {
            self.fault.room.fetch_sub(count, Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
