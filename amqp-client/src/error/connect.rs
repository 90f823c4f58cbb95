//! Why there is no connection: each way in which an attempt can fail.

use std::net::SocketAddr;
use std::{fmt, io, sync::Arc, time::Duration};

use amqp091::protocol::ReplyCode;
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::EncodeError;
use thiserror::Error;

use super::{Initiator, ServerClose, Violation};
use crate::hosts::Host;
use crate::tls::TlsError;

/// Why a connection attempt failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's addresses weren't found.
    #[error("can't find the address of {host:?}: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// No TCP connection.
    #[error("can't connect to {address}: {source}")]
    Tcp {
        /// Host and port.
        address: String,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// No TLS session, so nothing of the login was sent.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why.
        source: TlsError,
    },
    /// The attempt took too long.
    #[error("no connection within {} ms: no answer while waiting for {stage}", after.as_millis())]
    Timeout {
        /// What was waited for.
        stage: Stage,
        /// How long it was given: all of the [`connect_timeout`](crate::ConnectOptions::connect_timeout),
        /// or this address's share of it.
        after: Duration,
    },
    /// The server closed the socket without a word.
    #[error("the server closed the connection while we waited for {stage}{}", stage.eof_hint())]
    Eof {
        /// What was waited for.
        stage: Stage,
    },
    /// The socket failed.
    #[error("the connection failed while we waited for {stage}: {source}")]
    Io {
        /// What was waited for.
        stage: Stage,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The port answers in TLS.
    #[error("the port speaks TLS, not plain AMQP: use amqps:// (the usual plain port is 5672)")]
    TlsPort,
    /// The peer speaks something else.
    #[error("the peer doesn't speak AMQP: it began with \"{}\"", found.escape_ascii())]
    NotAmqp {
        /// Its first octets, 16 at most.
        found: Vec<u8>,
    },
    /// The server speaks another version of AMQP.
    #[error("the server speaks {server}, not AMQP 0-9-1")]
    Version {
        /// The version that it offers.
        server: ProtocolHeader,
    },
    /// The server offers none of the wanted SASL mechanisms.
    #[error("the server offers the SASL mechanisms {offered:?}, none of the wanted {wanted:?}")]
    Mechanism {
        /// What it offers.
        offered: String,
        /// What the options allow.
        wanted: String,
    },
    /// The server asks for an exchange of challenges that the mechanism doesn't have.
    #[error("the server sent a SASL challenge, which {mechanism} doesn't have")]
    Challenge {
        /// The mechanism in use.
        mechanism: String,
    },
    /// The [`CredentialsProvider`](crate::CredentialsProvider) has none.
    #[error("no credentials: {problem}")]
    Credentials {
        /// Why, in the provider's words.
        problem: String,
    },
    /// The SASL mechanism, one of the program's own, ended the attempt.
    #[error("no login by the SASL mechanism {mechanism}: {problem}")]
    Sasl {
        /// The mechanism in use.
        mechanism: String,
        /// Why, in the mechanism's words.
        problem: String,
    },
    /// The server refused: wrong user or password (403), unknown or forbidden virtual host (530),
    /// or another reason that it gives.
    #[error("the server refused the {}: {close}", stage.refused())]
    Refused {
        /// What it refused.
        stage: Stage,
        /// Its words.
        close: ServerClose,
    },
    /// The server proposes a frame-max below what the specification guarantees.
    #[error("the server proposes frame-max {frame_max}, the least is 4096 octets")]
    FrameMax {
        /// What it proposes, octets.
        frame_max: u32,
    },
    /// A value among the options has no encoding.
    #[error("can't encode {method}: {source}")]
    Encode {
        /// The method that it belongs to.
        method: &'static str,
        /// What is wrong.
        source: EncodeError,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol while we waited for {stage}: {violation}")]
    Violation {
        /// What was waited for.
        stage: Stage,
        /// What it did.
        violation: Violation,
    },
    /// None of several addresses led to a connection.
    #[error("no connection to any of {} addresses: {}", attempts.len(), Listed(attempts))]
    AllFailed {
        /// All that were tried, in that order.
        attempts: Vec<FailedAttempt>,
    },
    /// [`OrderHosts`](crate::OrderHosts) left no host to try.
    #[error("the order of hosts has left none to try")]
    NoHost,
}

impl ConnectError {
    /// Whether another server would say the same.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Refused { close, .. } => {
                matches!(close.code, ReplyCode::ACCESS_REFUSED | ReplyCode::NOT_ALLOWED)
            }
            Self::Tls { source, .. } => source.is_local(),
            Self::Mechanism { .. }
            | Self::Challenge { .. }
            | Self::Sasl { .. }
            | Self::Credentials { .. }
            | Self::Encode { .. } => true,
            _ => false,
        }
    }

    pub(super) fn initiator(&self) -> Initiator {
        match self {
            Self::Refused { .. } | Self::Tls { source: TlsError::Alert { .. }, .. } => {
                Initiator::Server
            }
            Self::Sasl { .. } | Self::Credentials { .. } | Self::NoHost => Initiator::User,
            Self::Tls { source, .. } if source.is_local() => Initiator::User,
            // It was the same everywhere, or nobody in particular.
            Self::AllFailed { attempts } => {
                let mut all = attempts.iter().map(|attempt| attempt.error.initiator());
                match all.next() {
                    Some(first) if all.all(|other| other == first) => first,
                    _ => Initiator::Library,
                }
            }
            _ => Initiator::Library,
        }
    }
}

/// One address, or one name without any, that led to no connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The host, with the port that was used.
    pub host: Host,
    /// The address; `None` when the host's addresses weren't found.
    pub address: Option<SocketAddr>,
    /// Why.
    pub error: ConnectError,
}

impl FailedAttempt {
    /// Whether somebody was there.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(
            self.error,
            ConnectError::Lookup { .. }
                | ConnectError::Tcp { .. }
                | ConnectError::Timeout { stage: Stage::Lookup | Stage::Tcp, .. }
        )
    }
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            // The name says nothing more.
            Some(address) if self.host.to_string() == address.to_string() => {
                write!(f, "{address}")?
            }
            Some(address) => write!(f, "{} ({address})", self.host)?,
            None => write!(f, "{}", self.host)?,
        }
        match &self.error {
            // These would name the address again.
            ConnectError::Tcp { source, .. } => write!(f, ": {source}"),
            ConnectError::Tls { source, .. } => write!(f, ": no TLS: {source}"),
            error => write!(f, ": {error}"),
        }
    }
}

/// All of them, in one line.
struct Listed<'a>(&'a [FailedAttempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        Ok(())
    }
}

/// How far a connection attempt has come: what it waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// The credentials, from their [provider](crate::CredentialsProvider).
    Credentials,
    /// The host's addresses (DNS).
    Lookup,
    /// The TCP connection.
    Tcp,
    /// The TLS session.
    Tls,
    /// `connection.start`, the server's greeting.
    Start,
    /// `connection.tune`, which tells that the login was accepted.
    Tune,
    /// `connection.open-ok`, which tells that the virtual host may be used.
    OpenOk,
}

impl Stage {
    const fn eof_hint(self) -> &'static str {
        match self {
            Self::Tune => " (servers do so for a login that they don't like)",
            Self::OpenOk => " (servers do so for tuning values that they don't like)",
            Self::Start => " (a port that speaks TLS, or no AMQP at all, may do so)",
            Self::Credentials | Self::Lookup | Self::Tcp | Self::Tls => "",
        }
    }

    const fn refused(self) -> &'static str {
        match self {
            Self::Credentials | Self::Lookup | Self::Tcp | Self::Tls | Self::Start => "connection",
            Self::Tune => "login",
            Self::OpenOk => "virtual host",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Credentials => "the credentials",
            Self::Lookup => "the host's addresses",
            Self::Tcp => "the TCP connection",
            Self::Tls => "the TLS handshake",
            Self::Start => "the server's greeting (connection.start)",
            Self::Tune => "the answer to the login (connection.tune)",
            Self::OpenOk => "the virtual host (connection.open-ok)",
        })
    }
}
