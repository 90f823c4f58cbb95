//! TLS: whom to trust, who to be, and what the server's certificate has to be for.

#![cfg_attr(not(feature = "tls"), expect(dead_code, reason = "kept to be refused"))]

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

mod error;
#[cfg(feature = "tls")]
pub(crate) mod session;

pub use self::error::TlsError;

/// How TLS is spoken with the server; the default trusts the system's CAs and checks the server's
/// certificate against the host name. See [`ConnectOptions::tls`](crate::ConnectOptions::tls).
///
/// ```
/// use amqp091_client::{ConnectOptions, Mechanism, TlsOptions};
///
/// // A CA of one's own, and a certificate in the place of user and password.
/// let tls = TlsOptions::new()
///     .ca_file("/etc/broker/ca.pem")
///     .client_certificate_files("/etc/broker/client.pem", "/etc/broker/client.key");
/// let options = ConnectOptions::default()
///     .host("broker.example")
///     .tls(tls)
///     .mechanisms([Mechanism::External]);
/// # let _ = options;
/// ```
///
/// Files are read anew for every connection, so certificates may be renewed while the program runs.
/// TLS 1.2 and 1.3 are spoken, by rustls.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    pub(crate) authorities: Vec<Pem>,
    pub(crate) system_authorities: bool,
    pub(crate) identity: Option<Identity>,
    pub(crate) server_name: Option<String>,
    pub(crate) without_sni: bool,
    pub(crate) accept_invalid: bool,
    #[cfg(feature = "tls")]
    pub(crate) rustls: Option<RustlsConfig>,
}

impl TlsOptions {
    /// The system's CAs, the host's name, no certificate of this program's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the CA certificates in a PEM file, in the place of the system's. May be called several
    /// times.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the text of such a file.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::octets(pem));
        self
    }

    /// Trusts the system's CAs beside those given.
    #[must_use]
    pub const fn system_ca_too(mut self) -> Self {
        self.system_authorities = true;
        self
    }

    /// Shows this certificate to a server that asks for one: two PEM files, the first with the
    /// certificate and those between it and the CA, the second with its key (PKCS #8, PKCS #1 or SEC 1,
    /// not encrypted). They may be the same file.
    ///
    /// With RabbitMQ's `rabbitmq_auth_mechanism_ssl` it is a login, by
    /// [`Mechanism::External`](crate::Mechanism::External).
    #[must_use]
    pub fn client_certificate_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity =
            Some(Identity { chain: Pem::File(certificate.into()), key: Pem::File(key.into()) });
        self
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), with the texts of such files.
    #[must_use]
    pub fn client_certificate_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some(Identity { chain: Pem::octets(certificate), key: Pem::octets(key) });
        self
    }

    /// The name or address that the server's certificate has to be for, and that the server is told
    /// (SNI) when it is a name. Default: the host that is connected to.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Doesn't tell the server the name (SNI). The certificate is checked for it all the same.
    #[must_use]
    pub const fn without_sni(mut self) -> Self {
        self.without_sni = true;
        self
    }

    /// **Dangerous**: takes any certificate, of anybody, expired or for another host. The connection is
    /// encrypted, but with whoever answers: a machine in between reads the password and every message,
    /// and changes what it likes. For experiments on a machine of one's own; a certificate that the
    /// system doesn't know is what [`ca_file`](Self::ca_file) is for.
    #[must_use]
    pub const fn danger_accept_invalid_certificates(mut self) -> Self {
        self.accept_invalid = true;
        self
    }

    /// Uses a configuration of rustls's own, for what isn't offered here: keys in hardware, revocation
    /// lists, other verifiers. Of these options only [`server_name`](Self::server_name) still counts.
    ///
    /// It ties the program to the version of rustls that this crate has: take it from
    /// [`crate::rustls`].
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn rustls_config(mut self, config: Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        self.rustls = Some(RustlsConfig(config));
        self
    }
}

/// Text in PEM, or where it is.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    Octets(Arc<[u8]>),
}

impl Pem {
    fn octets(octets: impl Into<Vec<u8>>) -> Self {
        Self::Octets(octets.into().into())
    }
}

/// Keys may be among them.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Octets(_) => f.write_str("(PEM, hidden)"),
        }
    }
}

/// Who this program is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Pem,
    pub(crate) key: Pem,
}

/// A configuration of the program's own.
#[cfg(feature = "tls")]
#[derive(Clone)]
pub(crate) struct RustlsConfig(pub(crate) Arc<tokio_rustls::rustls::ClientConfig>);

/// It may hold keys, and rustls shows all it has.
#[cfg(feature = "tls")]
impl fmt::Debug for RustlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(rustls)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_it_is_refused_before_anything_is_sent() {
        let options = crate::ConnectOptions::from_uri("amqps://broker").unwrap();
        let error = options.check().unwrap_err();
        assert!(error.to_string().contains("enable the feature tls-ring"), "{error}");
        assert!(options.tls(None).check().is_ok());
    }

    #[test]
    fn keys_are_not_shown() {
        let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let tls = TlsOptions::new().client_certificate_pem(secret, secret);
        let options = crate::ConnectOptions::default().tls(tls);
        let shown = format!("{options:?}");
        let octets = format!("{:?}", secret.as_bytes());
        assert!(!shown.contains("c2VjcmV0") && !shown.contains(&octets[1..20]), "{shown}");
    }
}
