//! A port that clients come in by: open, or closed and kept for later.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Connections that the operating system lets wait to be taken in.
const BACKLOG: i32 = 1024;

/// One port.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    runtime: Handle,
    state: Mutex<(State, Option<Waker>)>,
}

#[derive(Debug)]
enum State {
    Open(TcpListener),
    /// The socket has the port, and doesn't listen: the operating system refuses who comes. None where that
    /// couldn't be had.
    Closed(Option<Socket>),
}

impl Door {
    /// Opens a port.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("can't listen on {address}: {error}"))
        })?;
        Ok(Arc::new(Self {
            address: listener.local_addr()?,
            runtime: Handle::current(),
            state: Mutex::new((State::Open(listener), None)),
        }))
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket that has the port and doesn't listen yet.
    fn keep_port(&self) -> io::Result<Socket> {
        let domain = Domain::for_address(self.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        let address = self.address.into();
        match socket.bind(&address) {
            Ok(()) => return Ok(socket),
            Err(error) if cfg!(windows) => return Err(error),
            Err(_) => {}
        }
        // Connections that came by it share it; nobody else is to.
        socket.set_reuse_address(true)?;
        socket.bind(&address)?;
        socket.set_reuse_address(false)?;
        Ok(socket)
    }

    /// Refuses who comes from now on; nothing if it is closed.
    pub(crate) fn close(&self) {
        let (state, _) = &mut *self.lock();
        if matches!(state, State::Open(_)) {
            // The listener goes first: two can't have the port while one of them listens.
            *state = State::Closed(None);
            *state = State::Closed(self.keep_port().ok());
        }
    }

    /// Gives the port back.
    pub(crate) fn release(&self) {
        let (state, _) = &mut *self.lock();
        *state = State::Closed(None);
    }

    /// Lets them in again; nothing if it is open.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let mut locked = self.lock();
        let (state, waker) = &mut *locked;
        let State::Closed(kept) = state else { return Ok(()) };
        let socket = match kept.take() {
            Some(socket) => socket,
            None => self.keep_port()?,
        };
        if cfg!(unix) {
            socket.set_reuse_address(true)?;
        }
        socket.listen(BACKLOG)?;
        let _in_runtime = self.runtime.enter();
        *state = State::Open(TcpListener::from_std(socket.into())?);
        let waker = waker.take();
        drop(locked);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, (State, Option<Waker>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who comes next; nobody while it is closed.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, String)>> {
        let (state, waker) = &mut *self.lock();
        if let State::Open(listener) = state
            && let Poll::Ready(accepted) = listener.poll_accept(cx)
        {
            return Poll::Ready(accepted.map(|(socket, peer)| (socket, peer.to_string())));
        }
        // If it is closed meanwhile, the listener wakes nobody.
        match waker {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Who waits to be let in, as the operating system knows it.
    pub(crate) fn accept_now(&self) -> Option<(TcpStream, String)> {
        let (State::Open(listener), _) = &*self.lock() else { return None };
        let (socket, _) = SockRef::from(listener).accept().ok()?;
        socket.set_nonblocking(true).ok()?;
        let socket = TcpStream::from_std(socket.into()).ok()?;
        let peer =
            socket.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.to_string());
        Some((socket, peer))
    }
}
