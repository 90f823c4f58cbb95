//! What clients are connected by: sockets, and pipes in memory.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// A client's connection, as its driver needs it.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Has the end of this be a reset, where there is such a thing.
    fn reset(&self);

    /// Whether there is anything to read, the end included, when a read has just found nothing: what the
    /// operating system has may not have come to the runtime yet.
    fn has_input(&self) -> bool;

    /// Whether the client has read all that was written, as far as that can be known; the task is woken
    /// when it has.
    fn poll_taken(&self, cx: &Context<'_>) -> Poll<()>;

    /// The name in the client's certificate, told once, when it is known; no name where the client was asked for
    /// a certificate and has none.
    fn take_certificate_name(&mut self) -> Option<Option<String>> {
        None
    }
}

impl Transport for TcpStream {
    fn reset(&self) {
        let _ = self.set_zero_linger();
    }

    fn has_input(&self) -> bool {
        let peeked = SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        // What went wrong is for a read to find.
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn poll_taken(&self, _: &Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Octets that one end of a pipe in memory has read and written.
#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    wrote: AtomicU64,
}

/// What both ends of a pipe in memory know.
#[derive(Debug, Default)]
struct Passed {
    client: Counts,
    broker: Counts,
    /// Whether the broker waits for the client to have read everything.
    is_awaited: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Client,
    Broker,
}

/// A client's end of a connection in memory: see [`Broker::connect`](crate::Broker::connect).
#[derive(Debug)]
pub struct MemoryStream {
    pipe: DuplexStream,
    /// The broker has the other.
    end: End,
    passed: Arc<Passed>,
}

impl MemoryStream {
    /// Both ends of a pipe that holds so many octets each way, the client's first.
    pub(crate) fn pair(size: usize) -> (Self, Self) {
        let (client, broker) = tokio::io::duplex(size);
        let passed = Arc::new(Passed::default());
        let broker = Self { pipe: broker, end: End::Broker, passed: Arc::clone(&passed) };
        (Self { pipe: client, end: End::Client, passed }, broker)
    }

    fn counts(&self) -> &Counts {
        match self.end {
            End::Client => &self.passed.client,
            End::Broker => &self.passed.broker,
        }
    }

    fn count_written(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(octets)) = written {
            self.counts().wrote.fetch_add(*octets as u64, Ordering::SeqCst);
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer));
        let octets = buffer.filled().len() - before;
        self.counts().read.fetch_add(octets as u64, Ordering::SeqCst);
        if self.end == End::Client && self.passed.is_awaited.swap(false, Ordering::SeqCst) {
            let waiter = self.passed.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
            waiter.into_iter().for_each(Waker::wake);
        }
        Poll::Ready(done)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write(cx, octets);
        self.count_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.pipe).poll_write_vectored(cx, slices);
        self.count_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.pipe.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// As the broker's end is driven.
impl Transport for MemoryStream {
    fn reset(&self) {}

    fn has_input(&self) -> bool {
        let Passed { client, broker, .. } = &*self.passed;
        client.wrote.load(Ordering::SeqCst) != broker.read.load(Ordering::SeqCst)
    }

    fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        let Passed { client, broker, .. } = &*self.passed;
        let is_taken = || broker.wrote.load(Ordering::SeqCst) == client.read.load(Ordering::SeqCst);
        if is_taken() {
            return Poll::Ready(());
        }
        *self.passed.waiter.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(cx.waker().clone());
        self.passed.is_awaited.store(true, Ordering::SeqCst);
        if is_taken() { Poll::Ready(()) } else { Poll::Pending }
    }
}
