//! Why there is no TLS session with a server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why there is no TLS session with the server.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file of the options can't be read; nothing was sent.
    #[error("{what}: can't read {}: {source}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// A PEM text of the options doesn't hold what it should; nothing was sent.
    #[error("{what}{}: {problem}", from(path.as_ref()))]
    Pem {
        /// What it should hold.
        what: &'static str,
        /// The file, if it is one.
        path: Option<PathBuf>,
        /// What is wrong with it.
        problem: String,
    },
    /// The client certificate can't be used with its key; nothing was sent.
    #[error("client certificate and key can't be used: {problem}")]
    ClientCertificate {
        /// Why.
        problem: String,
    },
    /// The system has no CA certificates where rustls looks for them; nothing was sent.
    #[error(
        "found no CA certificates of the system's{problem}: install them (Debian's package \
         ca-certificates), or name a file with TlsOptions::ca_file (URI: cacertfile)"
    )]
    NoSystemCa {
        /// What went wrong while looking, if anything did.
        problem: String,
    },
    /// No cryptography was compiled in, or what there is can't be used; nothing was sent.
    #[error("no TLS cryptography: {problem}")]
    Provider {
        /// What is missing.
        problem: String,
    },
    /// The name isn't one that certificates are made for; nothing was sent.
    #[error("{name:?} is neither a host name nor an address, so no certificate can be for it")]
    ServerName {
        /// The name.
        name: String,
    },
    /// The server's certificate is for other names.
    #[error(
        "the server's certificate is not for {expected:?} but for {}; if it is the right server all \
         the same, give that name with TlsOptions::server_name (URI: server_name_indication)",
        names(presented)
    )]
    WrongName {
        /// The name that it should be for.
        expected: String,
        /// The names that it is for, as rustls tells them.
        presented: Vec<String>,
    },
    /// The validity of the server's certificate, or of one on the way to its CA, is over.
    #[error("the server's certificate chain has expired{}", elapsed(*ago, " ", " ago"))]
    Expired {
        /// How long ago, by this machine's clock.
        ago: Option<Duration>,
    },
    /// The validity of the server's certificate, or of one on the way to its CA, hasn't begun.
    #[error(
        "the server's certificate chain is not valid yet{}: is this machine's clock right?",
        elapsed(*until, " for another ", "")
    )]
    NotYetValid {
        /// How long it will be until then, by this machine's clock.
        until: Option<Duration>,
    },
    /// The server's certificate is signed by nobody who is trusted here.
    #[error(
        "the server's certificate is signed by a CA that isn't trusted here: give the CA's \
         certificate with TlsOptions::ca_file (URI: cacertfile); a server that leaves out \
         certificates between its own and the CA's looks the same"
    )]
    UnknownCa,
    /// The server's certificate is wrong for another reason.
    #[error("the server's certificate is not acceptable: {problem}")]
    Certificate {
        /// Why, in rustls's words.
        problem: String,
    },
    /// The server refused.
    #[error("the server ended the TLS handshake with the alert {alert}{}", hint(alert))]
    Alert {
        /// The alert, as TLS names it.
        alert: String,
    },
    /// The peer doesn't speak TLS.
    #[error(
        "the port doesn't speak TLS: the usual TLS port is 5671, and plain AMQP is amqp:// (5672)"
    )]
    NotTls,
    /// The server closed the socket in the middle of the handshake.
    #[error(
        "the server closed the connection in the TLS handshake (a port that speaks plain AMQP may do \
         so, and a server without a usable certificate)"
    )]
    Eof,
    /// The server closed the socket behind the handshake, in the place of its greeting.
    #[error(
        "the server closed the connection right behind the TLS handshake (one that wants a client \
         certificate, or another than it was given, may do so, and one that speaks no AMQP)"
    )]
    ClosedBehind,
    /// The socket failed in the handshake.
    #[error("the connection failed in the TLS handshake: {0}")]
    Io(Arc<io::Error>),
    /// TLS went wrong in another way: no version or cipher in common, a broken message.
    #[error("TLS failed: {problem}")]
    Protocol {
        /// How, in rustls's words.
        problem: String,
    },
}

impl TlsError {
    /// Whether it lies in the program's options or machine: nothing was sent.
    pub(crate) const fn is_local(&self) -> bool {
        matches!(
            self,
            Self::File { .. }
                | Self::Pem { .. }
                | Self::ClientCertificate { .. }
                | Self::NoSystemCa { .. }
                | Self::Provider { .. }
                | Self::ServerName { .. }
        )
    }
}

fn from(path: Option<&PathBuf>) -> String {
    path.map(|path| format!(" in {}", path.display())).unwrap_or_default()
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
}

/// A time as people say it, between two words.
fn elapsed(time: Option<Duration>, before: &str, behind: &str) -> String {
    let Some(seconds) = time.map(|time| time.as_secs()) else { return String::new() };
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7200 => (seconds / 60, "min"),
        7200..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{before}{count} {unit}{behind}")
}

fn hint(alert: &str) -> &'static str {
    match alert {
        "CertificateRequired" => {
            ": it wants a client certificate (TlsOptions::client_certificate_files; URI: certfile, \
             keyfile)"
        }
        "HandshakeFailure" => {
            " (it may want a client certificate, or there is no TLS version or cipher in common)"
        }
        "UnknownCA" => ": it doesn't trust the CA of the client certificate",
        "CertificateExpired" => ": the client certificate has expired, or isn't valid yet",
        "BadCertificate"
        | "UnsupportedCertificate"
        | "CertificateRevoked"
        | "CertificateUnknown"
        | "AccessDenied" => ": it doesn't accept the client certificate",
        "ProtocolVersion" => ": it speaks neither TLS 1.2 nor 1.3",
        "UnrecognisedName" => ": it doesn't know that server name (SNI)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_unit() {
        for (seconds, expected) in [
            (5, " 5 s ago"),
            (7199, " 119 min ago"),
            (90_000, " 25 h ago"),
            (30 * 86_400, " 30 days ago"),
        ] {
            let error = TlsError::Expired { ago: Some(Duration::from_secs(seconds)) };
            assert!(error.to_string().ends_with(expected), "{error}");
        }
        let error = TlsError::Expired { ago: None };
        assert_eq!(error.to_string(), "the server's certificate chain has expired");
    }
}
