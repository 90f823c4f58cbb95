//! What a connection's octets go through: a socket or a transport of the program's own, with TLS inside
//! or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::dial::Endpoint;
use crate::error::{ConnectError, Stage};
use crate::options::ConnectOptions;
use crate::tls::{TlsError, TlsOptions};

/// Octets both ways.
#[derive(Debug)]
pub(crate) enum Transport<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Begins TLS with `endpoint` over `inner`, if the options want it.
    pub(crate) async fn over(
        inner: S,
        options: &ConnectOptions,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        match &options.tls {
            Some(tls) => match timeout_at(deadline, Self::secured(inner, tls, endpoint)).await {
                Ok(Ok(transport)) => Ok(transport),
                Ok(Err(source)) => Err(ConnectError::Tls { address: endpoint.to_string(), source }),
                Err(_) => {
                    let after = options.connect_timeout;
                    Err(ConnectError::Timeout { stage: Stage::Tls, after })
                }
            },
            None => Ok(Self::Plain(inner)),
        }
    }

    #[cfg(feature = "tls")]
    async fn secured(inner: S, tls: &TlsOptions, endpoint: &Endpoint) -> Result<Self, TlsError> {
        let session = crate::tls::session::connect(inner, &endpoint.name, tls).await?;
        Ok(Self::Tls(Box::new(session)))
    }

    /// `ConnectOptions::check` has refused such options already.
    #[cfg(not(feature = "tls"))]
    async fn secured(_: S, _: &TlsOptions, _: &Endpoint) -> Result<Self, TlsError> {
        Err(TlsError::Provider { problem: "this build has no TLS".to_owned() })
    }
}

/// Over TLS 1.3, a client learns only behind its handshake that the server refuses its certificate: the
/// alert comes in the place of the greeting, or is lost with the socket.
#[cfg(feature = "tls")]
pub(crate) fn explain(error: ConnectError, endpoint: &Endpoint) -> ConnectError {
    let told = match &error {
        ConnectError::Io { source, .. } => crate::tls::session::session_error(source),
        _ => None,
    };
    let source = match (told, &error) {
        (Some(told), _) => told,
        (
            None,
            ConnectError::Io { stage: Stage::Start, .. }
            | ConnectError::Eof { stage: Stage::Start },
        ) => TlsError::ClosedBehind,
        _ => return error,
    };
    ConnectError::Tls { address: endpoint.to_string(), source }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_read(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => match Pin::new(inner).poll_read(cx, buf) {
                // Without TLS's own farewell. AMQP has one too, so nothing can be cut unseen.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read => read,
            },
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_write(cx, buf),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => Pin::new(inner).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => Pin::new(inner).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => Pin::new(inner).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(inner) => inner.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => inner.is_write_vectored(),
        }
    }
}
