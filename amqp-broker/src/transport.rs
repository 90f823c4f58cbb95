//! What clients are connected by.

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// A client's end of a connection, as its driver needs it.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Has the end of this be a reset, where there is such a thing.
    fn reset(&self);
}

impl Transport for TcpStream {
    fn reset(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Transport for DuplexStream {
    fn reset(&self) {}
}
