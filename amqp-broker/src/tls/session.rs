//! A client's TLS session, its handshake included: that is part of the first read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::{CertificateLogin, subject};
use crate::transport::Transport;

/// What sessions are made by.
#[derive(Clone)]
pub(crate) struct Acceptor {
    acceptor: TlsAcceptor,
    login: CertificateLogin,
    /// Whether clients are known to be asked for certificates.
    asks: bool,
}

impl Acceptor {
    pub(super) fn new(config: Arc<ServerConfig>, login: CertificateLogin, asks: bool) -> Self {
        Self { acceptor: TlsAcceptor::from(config), login, asks }
    }

    /// Begins a session over a socket.
    pub(crate) fn accept(&self, socket: TcpStream) -> TlsTransport {
        let stage = Stage::Handshake(Box::new(self.acceptor.accept(socket)));
        TlsTransport { stage, login: self.login, asks: self.asks, user: None }
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// A client's connection by TLS.
pub(crate) struct TlsTransport {
    stage: Stage,
    login: CertificateLogin,
    asks: bool,
    /// The name in the client's certificate, until it is asked for.
    user: Option<Option<String>>,
}

enum Stage {
    Handshake(Box<Accept<TcpStream>>),
    Session(Box<TlsStream<TcpStream>>),
    Failed,
}

impl TlsTransport {
    fn poll_session(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<&mut TlsStream<TcpStream>>> {
        if let Stage::Handshake(accept) = &mut self.stage {
            match ready!(Future::poll(Pin::new(&mut **accept), cx)) {
                Ok(session) => {
                    let chain = session.get_ref().1.peer_certificates();
                    let own = chain.and_then(|chain| chain.first());
                    let name = own.and_then(|own| subject::name(own, self.login));
                    self.user = (self.asks || name.is_some()).then_some(name);
                    self.stage = Stage::Session(Box::new(session));
                }
                Err(error) => {
                    self.stage = Stage::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.stage {
            Stage::Session(session) => Ok(session),
            _ => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    fn socket(&self) -> Option<&TcpStream> {
        match &self.stage {
            Stage::Handshake(accept) => accept.get_ref(),
            Stage::Session(session) => Some(session.get_ref().0),
            Stage::Failed => None,
        }
    }
}

impl AsyncRead for TlsTransport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let session = ready!(self.poll_session(cx))?;
        Pin::new(session).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsTransport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let session = ready!(self.poll_session(cx))?;
        Pin::new(session).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let session = ready!(self.poll_session(cx))?;
        Pin::new(session).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let session = ready!(self.poll_session(cx))?;
        Pin::new(session).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Session(session) => Pin::new(&mut **session).poll_shutdown(cx),
            // Nobody to say goodbye to.
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Transport for TlsTransport {
    fn reset(&self) {
        if let Some(socket) = self.socket() {
            socket.reset();
        }
    }

    fn has_input(&self) -> bool {
        self.socket().is_some_and(Transport::has_input)
    }

    fn poll_taken(&self, _: &Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn take_certificate_name(&mut self) -> Option<Option<String>> {
        self.user.take()
    }
}
