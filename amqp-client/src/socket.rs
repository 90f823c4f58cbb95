//! TCP sockets: how they are opened, and what they are told about delays and silence.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

/// How TCP finds out that the other machine is gone while nothing is sent: see
/// [`ConnectOptions::keepalive`](crate::ConnectOptions::keepalive).
///
/// ```
/// use std::time::Duration;
/// use amqp091_client::{ConnectOptions, Keepalive};
///
/// // Found after 30 s + 3 * 5 s.
/// let keepalive = Keepalive::new(Duration::from_secs(30)).interval(Duration::from_secs(5)).count(3);
/// let options = ConnectOptions::default().keepalive(keepalive);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keepalive {
    idle: Duration,
    interval: Option<Duration>,
    count: Option<u32>,
}

impl Keepalive {
    /// Asks for a sign of life after this much silence, in whole seconds. The rest is the operating
    /// system's choice; on Linux 9 questions, 75 s apart.
    pub const fn new(idle: Duration) -> Self {
        Self { idle, interval: None, count: None }
    }

    /// The time between two questions without answer, in whole seconds.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// After so many questions without answer the connection is lost.
    #[must_use]
    pub const fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    fn to_socket2(self) -> TcpKeepalive {
        let keepalive = TcpKeepalive::new().with_time(self.idle);
        #[cfg(any(
            target_os = "android",
            target_os = "freebsd",
            target_os = "ios",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
            target_os = "windows",
        ))]
        let keepalive = {
            let keepalive = match self.interval {
                Some(interval) => keepalive.with_interval(interval),
                None => keepalive,
            };
            match self.count {
                Some(count) => keepalive.with_retries(count),
                None => keepalive,
            }
        };
        keepalive
    }
}

/// What sockets are opened with.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) local_address: Option<IpAddr>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        let keepalive = Keepalive::new(Duration::from_secs(60));
        Self {
            nodelay: true,
            keepalive: Some(keepalive.interval(Duration::from_secs(10)).count(9)),
            user_timeout: None,
            local_address: None,
        }
    }
}

impl SocketOptions {
    /// Finds what no socket takes.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let seconds = |time: Duration| {
            time.subsec_nanos() == 0 && (1..=i16::MAX as u64).contains(&time.as_secs())
        };
        if let Some(Keepalive { idle, interval, count }) = self.keepalive
            && !(seconds(idle)
                && interval.is_none_or(seconds)
                && count.is_none_or(|count| (1..=127).contains(&count)))
        {
            return Err(("keepalive", "takes 1 to 32767 whole seconds, and 1 to 127 questions"));
        }
        if let Some(timeout) = self.user_timeout {
            if !cfg!(any(target_os = "android", target_os = "linux")) {
                return Err(("tcp_user_timeout", "this operating system doesn't have it"));
            }
            if !(1..=u128::from(i32::MAX.unsigned_abs())).contains(&timeout.as_millis()) {
                return Err(("tcp_user_timeout", "must be 1 ms to 2147483647 ms"));
            }
        }
        Ok(())
    }

    /// Connects to `address`.
    ///
    /// Whatever the connection works without is set as far as the system allows; a local address that
    /// can't be had is an error.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(local) = self.local_address {
            socket.bind(SocketAddr::new(local, 0))?;
        }
        // Frames are gathered before they are written: waiting for more would only delay them.
        let _ = socket.set_nodelay(self.nodelay);
        let raw = SockRef::from(&socket);
        if let Some(keepalive) = self.keepalive {
            let _ = raw.set_tcp_keepalive(&keepalive.to_socket2());
        }
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let _ = raw.set_tcp_user_timeout(self.user_timeout);
        socket.connect(address).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A socket that these options opened.
    async fn opened(options: &SocketOptions) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        options.connect(listener.local_addr().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn the_default_sends_at_once_and_looks_whether_the_peer_is_there() {
        let socket = opened(&SocketOptions::default()).await;
        assert!(socket.nodelay().unwrap());
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), 60 * SECOND);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), 10 * SECOND);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 9);
            assert_eq!(socket.tcp_user_timeout().unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_is_set_reaches_the_socket() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let socket = opened(&SocketOptions {
            nodelay: false,
            keepalive: Some(Keepalive::new(7 * SECOND).interval(3 * SECOND).count(2)),
            user_timeout: Some(Duration::from_millis(1500)),
            local_address: Some(local),
        })
        .await;
        assert!(!socket.nodelay().unwrap());
        assert_eq!(socket.local_addr().unwrap().ip(), local);
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(&socket);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), 7 * SECOND);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), 3 * SECOND);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 2);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(1500)));
        }
        let none = SocketOptions { keepalive: None, ..SocketOptions::default() };
        assert!(!SockRef::from(&opened(&none).await).keepalive().unwrap());
    }

    #[tokio::test]
    async fn a_local_address_that_is_not_ours_is_an_error() {
        // Of a network that exists in documentation only.
        let elsewhere = Some(IpAddr::from([192, 0, 2, 1]));
        let options = SocketOptions { local_address: elsewhere, ..SocketOptions::default() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let error = options.connect(listener.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn what_no_socket_takes_is_found_before() {
        let with = |keepalive| SocketOptions { keepalive: Some(keepalive), ..Default::default() };
        assert!(with(Keepalive::new(SECOND)).check().is_ok());
        for keepalive in [
            Keepalive::new(Duration::ZERO),
            Keepalive::new(SECOND / 2),
            Keepalive::new(40_000 * SECOND),
            Keepalive::new(SECOND).interval(Duration::ZERO),
            Keepalive::new(SECOND).count(0),
            Keepalive::new(SECOND).count(128),
        ] {
            assert_eq!(with(keepalive).check().unwrap_err().0, "keepalive", "{keepalive:?}");
        }
        let user_timeout = Some(Duration::from_micros(900));
        let options = SocketOptions { user_timeout, ..Default::default() };
        assert_eq!(options.check().unwrap_err().0, "tcp_user_timeout");
    }
}
