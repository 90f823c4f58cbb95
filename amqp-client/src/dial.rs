//! The way to one of several servers: which address is tried next, for how long, and what became of
//! those before.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::error::{ConnectError, FailedAttempt, Stage};
use crate::hosts::Host;
use crate::options::ConnectOptions;

/// Where a connection goes to: see [`Connection::peer`](crate::Connection::peer).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// The host as the options have it, with the port that was used.
    pub host: Host,
    /// Its address.
    pub address: SocketAddr,
    /// This machine's address.
    pub local_address: SocketAddr,
}

/// A host with the port in use.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn new(host: &Host, options: &ConnectOptions) -> Self {
        let port = host.port().unwrap_or_else(|| options.port_in_use());
        Self { name: host.name().to_owned(), port }
    }

    pub(crate) fn host(&self) -> Host {
        Host::new(&*self.name, self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host().fmt(f)
    }
}

/// One address to try.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) address: SocketAddr,
    /// When it has had its share of the time.
    pub(crate) deadline: Instant,
    given: Duration,
}

impl Target {
    pub(crate) async fn connect(
        &self,
        options: &ConnectOptions,
    ) -> Result<(TcpStream, Peer), ConnectError> {
        let connecting = async {
            let socket = options.socket.connect(self.address).await?;
            let (address, local_address) = (socket.peer_addr()?, socket.local_addr()?);
            let host = self.endpoint.host();
            Ok((socket, Peer { host, address, local_address }))
        };
        match timeout_at(self.deadline, connecting).await {
            Ok(result) => result.map_err(|source: io::Error| ConnectError::Tcp {
                address: self.endpoint.to_string(),
                source: Arc::new(source),
            }),
            Err(_) => Err(ConnectError::Timeout { stage: Stage::Tcp, after: self.given }),
        }
    }
}

/// The attempts of one round: every address of every host in turn, each with a fair share of the time
/// that is left, so that one that doesn't answer leaves time for the others.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    options: &'a ConnectOptions,
    hosts: VecDeque<Host>,
    deadline: Instant,
    /// The host whose addresses these are, and when it has had its share.
    current: Option<(Endpoint, Instant)>,
    addresses: VecDeque<SocketAddr>,
    failed: Vec<FailedAttempt>,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(options: &'a ConnectOptions, hosts: Vec<Host>, deadline: Instant) -> Self {
        Self {
            options,
            hosts: hosts.into(),
            deadline,
            current: None,
            addresses: VecDeque::new(),
            failed: Vec::new(),
        }
    }

    /// The next address to try; `None` when there is none left, or no time.
    pub(crate) async fn next(&mut self) -> Option<Target> {
        loop {
            let now = Instant::now();
            if let Some((endpoint, deadline)) = &self.current
                && now < *deadline
                && let Some(address) = self.addresses.pop_front()
            {
                let share = share(*deadline - now, self.addresses.len());
                let given = self.options.attempt_timeout.map_or(share, |most| share.min(most));
                return Some(Target {
                    endpoint: endpoint.clone(),
                    address,
                    deadline: now + given,
                    given: rounded(given),
                });
            }
            if now >= self.deadline {
                return None;
            }
            let host = self.hosts.pop_front()?;
            let given = share(self.deadline - now, self.hosts.len());
            let endpoint = Endpoint::new(&host, self.options);
            match timeout_at(now + given, self.look_up(&endpoint)).await {
                Ok(Ok(addresses)) => self.addresses = addresses,
                Ok(Err(error)) => self.note(&endpoint, None, error),
                Err(_) => {
                    let after = rounded(given);
                    self.note(
                        &endpoint,
                        None,
                        ConnectError::Timeout { stage: Stage::Lookup, after },
                    );
                }
            }
            self.current = Some((endpoint, now + given));
        }
    }

    async fn look_up(&self, endpoint: &Endpoint) -> Result<VecDeque<SocketAddr>, ConnectError> {
        let error =
            |source| ConnectError::Lookup { host: endpoint.name.clone(), source: Arc::new(source) };
        let local = self.options.socket.local_address;
        let found = lookup_host((endpoint.name.as_str(), endpoint.port)).await.map_err(error)?;
        let addresses: VecDeque<_> = found
            .filter(|address| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4()))
            .collect();
        if addresses.is_empty() {
            let problem = match local {
                Some(_) => "it has no address of the local address's IP version",
                None => "it has no address",
            };
            return Err(error(io::Error::new(io::ErrorKind::AddrNotAvailable, problem)));
        }
        Ok(addresses)
    }

    /// The attempt has failed. An error is for the whole: another server would say the same.
    pub(crate) fn failed(
        &mut self,
        target: &Target,
        mut error: ConnectError,
    ) -> Result<(), ConnectError> {
        if let ConnectError::Timeout { after, .. } = &mut error {
            *after = target.given;
        }
        if error.is_final() {
            return Err(error);
        }
        self.note(&target.endpoint, Some(target.address), error);
        Ok(())
    }

    fn note(&mut self, endpoint: &Endpoint, address: Option<SocketAddr>, error: ConnectError) {
        self.failed.push(FailedAttempt { host: endpoint.host(), address, error });
    }

    /// The error of them all. Where a host has several addresses and a server at one of them only, it is
    /// that server's: `localhost` is often `::1` too, with nobody there.
    pub(crate) fn into_error(mut self) -> ConnectError {
        let is_one_host = self.failed.windows(2).all(|pair| pair[0].host == pair[1].host);
        if is_one_host && self.failed.iter().filter(|attempt| attempt.is_answered()).count() == 1 {
            self.failed.retain(FailedAttempt::is_answered);
        }
        match self.failed.pop() {
            Some(only) if self.failed.is_empty() => only.error,
            Some(last) => {
                self.failed.push(last);
                ConnectError::AllFailed { attempts: self.failed }
            }
            // There was no time at all.
            None => {
                let after = self.options.connect_timeout;
                ConnectError::Timeout { stage: Stage::Lookup, after }
            }
        }
    }
}

/// What one has of the time if `others` come after it.
fn share(time: Duration, others: usize) -> Duration {
    time / u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whole milliseconds, as people give them.
fn rounded(time: Duration) -> Duration {
    let nanos = time.subsec_nanos().div_ceil(1_000_000);
    Duration::from_secs(time.as_secs()) + Duration::from_millis(nanos.into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn options(hosts: &[&str]) -> ConnectOptions {
        ConnectOptions::default().hosts(hosts.iter().copied()).connect_timeout(30 * SECOND)
    }

    fn attempts(options: &ConnectOptions) -> Attempts<'_> {
        let deadline = Instant::now() + options.connect_timeout;
        Attempts::new(options, options.hosts.plan().next_round(), deadline)
    }

    /// An address that takes all the time that it is given.
    async fn silent(attempts: &mut Attempts<'_>) -> (String, Duration) {
        let target = attempts.next().await.unwrap();
        let given = target.deadline - Instant::now();
        tokio::time::sleep_until(target.deadline).await;
        let error = ConnectError::Timeout { stage: Stage::Start, after: Duration::ZERO };
        attempts.failed(&target, error).unwrap();
        (target.address.to_string(), given)
    }

    fn refused() -> ConnectError {
        let source = Arc::new(io::ErrorKind::ConnectionRefused.into());
        ConnectError::Tcp { address: String::new(), source }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_servers_share_the_time() {
        let options = options(&["10.0.0.1", "10.0.0.2:7", "::1"]);
        let mut attempts = attempts(&options);
        for address in ["10.0.0.1:5672", "10.0.0.2:7", "[::1]:5672"] {
            assert_eq!(silent(&mut attempts).await, (address.to_owned(), 10 * SECOND));
        }
        assert!(attempts.next().await.is_none());
        let error = attempts.into_error();
        let ConnectError::AllFailed { attempts } = &error else { panic!("{error}") };
        assert_eq!(attempts.len(), 3);
        assert_eq!(attempts[1].host, Host::new("10.0.0.2", 7));
        let text = error.to_string();
        let part = "10.0.0.2:7: no connection within 10000 ms: no answer";
        assert!(text.starts_with("no connection to any of 3 addresses: 10.0.0.1:5672: "), "{text}");
        assert!(text.contains(part), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_leaves_is_for_the_others() {
        let options = options(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        let mut attempts = attempts(&options);
        let target = attempts.next().await.unwrap();
        attempts.failed(&target, refused()).unwrap();
        assert_eq!(silent(&mut attempts).await.1, 15 * SECOND);
        assert_eq!(silent(&mut attempts).await.1, 15 * SECOND);
        assert!(attempts.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_addresses_of_a_name_share_its_share() {
        let options = options(&["10.0.0.1", "10.0.0.2"]);
        let mut attempts = attempts(&options);
        // As if the name had three.
        let target = attempts.next().await.unwrap();
        for last in [8, 9] {
            attempts.addresses.push_back((Ipv4Addr::new(10, 0, 0, last), 1).into());
        }
        tokio::time::sleep(3 * SECOND).await;
        attempts.failed(&target, refused()).unwrap();
        assert_eq!(silent(&mut attempts).await, ("10.0.0.8:1".to_owned(), 6 * SECOND));
        assert_eq!(silent(&mut attempts).await, ("10.0.0.9:1".to_owned(), 6 * SECOND));
        assert_eq!(silent(&mut attempts).await, ("10.0.0.2:5672".to_owned(), 15 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_may_have_a_time_of_its_own() {
        let options = options(&["10.0.0.1", "10.0.0.2"]).attempt_timeout(2 * SECOND);
        let mut attempts = attempts(&options);
        assert_eq!(silent(&mut attempts).await.1, 2 * SECOND);
        assert_eq!(silent(&mut attempts).await.1, 2 * SECOND);
        assert!(attempts.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_time_nothing_is_tried() {
        let options = options(&["10.0.0.1"]).connect_timeout(Duration::ZERO);
        let mut attempts = attempts(&options);
        assert!(attempts.next().await.is_none());
        assert!(matches!(attempts.into_error(), ConnectError::Timeout { .. }));
    }

    #[tokio::test]
    async fn addresses_of_the_other_ip_version_are_left_out() {
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let options = options(&["::1", "127.0.0.1"]).local_address(local);
        let mut attempts = attempts(&options);
        let target = attempts.next().await.unwrap();
        assert!(target.address.is_ipv4());
        attempts.failed(&target, refused()).unwrap();
        let text = attempts.into_error().to_string();
        assert!(text.contains("of the local address's IP version"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_address_has_a_server_the_error_is_that_servers() {
        let options = options(&["10.0.0.1"]);
        let mut attempts = attempts(&options);
        let target = attempts.next().await.unwrap();
        attempts.failed(&target, refused()).unwrap();
        attempts.failed(&target, ConnectError::TlsPort).unwrap();
        attempts.failed(&target, refused()).unwrap();
        assert!(matches!(attempts.into_error(), ConnectError::TlsPort));
    }
}
