//! TLS: what the broker shows its clients, and what it wants to see of them.

mod session;
mod subject;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

pub(crate) use self::session::Acceptor;

/// The certificate of a broker, and what it does about those of its clients: see
/// [`BrokerBuilder::tls`](crate::BrokerBuilder::tls).
#[derive(Clone)]
#[must_use = "a broker has it by `BrokerBuilder::tls`"]
pub struct Tls {
    source: Source,
    authorities: Vec<Vec<u8>>,
    is_certificate_required: bool,
    login: CertificateLogin,
}

#[derive(Clone)]
enum Source {
    Pem { certificate: Vec<u8>, key: Vec<u8> },
    Config(Arc<ServerConfig>),
}

/// Which name of its certificate a client logs in as by EXTERNAL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum CertificateLogin {
    /// The whole subject, its last part first: `CN=orders,O=Example` (RFC 4514). RabbitMQ's default.
    #[default]
    DistinguishedName,
    /// The subject's common name: `orders`.
    CommonName,
}

impl fmt::Debug for Tls {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("is_certificate_required", &self.is_certificate_required)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// With this certificate, and those between it and its CA if there are any behind it, and its key, all
    /// in PEM.
    pub fn pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::of(Source::Pem { certificate: certificate.into(), key: key.into() })
    }

    /// The same from files, which are read now.
    ///
    /// # Errors
    ///
    /// When a file can't be read.
    pub fn files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::pem(std::fs::read(certificate)?, std::fs::read(key)?))
    }

    /// With rustls's own configuration, which says all that the other methods here would.
    pub fn rustls_config(config: Arc<ServerConfig>) -> Self {
        Self::of(Source::Config(config))
    }

    const fn of(source: Source) -> Self {
        Self {
            source,
            authorities: Vec::new(),
            is_certificate_required: false,
            login: CertificateLogin::DistinguishedName,
        }
    }

    /// Asks clients for a certificate of one of these CAs (PEM), and offers to log in by it (EXTERNAL): as
    /// the user whose name it has. One without is let in all the same, if by another mechanism, and one
    /// whose certificate is of another CA isn't.
    pub fn client_ca_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(certificates.into());
        self
    }

    /// Lets nobody in without a certificate (RabbitMQ's `fail_if_no_peer_cert`).
    pub const fn require_client_certificate(mut self) -> Self {
        self.is_certificate_required = true;
        self
    }

    /// Which name of a client's certificate is its user. Default: the whole subject, as RabbitMQ's.
    pub const fn login(mut self, name: CertificateLogin) -> Self {
        self.login = name;
        self
    }

    pub(crate) fn acceptor(self) -> io::Result<Acceptor> {
        let asks = !self.authorities.is_empty();
        let config = match self.source {
            Source::Config(config) => config,
            Source::Pem { certificate, key } => {
                let chain = certificates(&certificate, "certificate")?;
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| invalid("key", "there is no private key in PEM"))?;
                let provider = provider()?;
                let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                    .with_safe_default_protocol_versions()
                    .map_err(|error| invalid("cryptography", error))?;
                let builder = if self.authorities.is_empty() {
                    builder.with_no_client_auth()
                } else {
                    let mut roots = RootCertStore::empty();
                    for text in &self.authorities {
                        for certificate in certificates(text, "client CA")? {
                            roots.add(certificate).map_err(|error| invalid("client CA", error))?;
                        }
                    }
                    let verifier =
                        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                    let verifier = if self.is_certificate_required {
                        verifier
                    } else {
                        verifier.allow_unauthenticated()
                    };
                    let verifier = verifier.build().map_err(|error| invalid("client CA", error))?;
                    builder.with_client_cert_verifier(verifier)
                };
                let config = builder
                    .with_single_cert(chain, key)
                    .map_err(|error| invalid("certificate and key", error))?;
                Arc::new(config)
            }
        };
        Ok(Acceptor::new(config, self.login, asks))
    }
}

fn invalid(what: &str, problem: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("TLS {what}: {problem}"))
}

fn certificates(pem: &[u8], what: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(invalid(what, "there is no certificate in PEM")),
    }
}

/// The program's choice, or the one that was compiled in.
fn provider() -> io::Result<Arc<CryptoProvider>> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    #[cfg(feature = "tls-aws-lc")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
    Err(invalid(
        "cryptography",
        "enable the feature tls-ring or tls-aws-lc of amqp091-broker, or install a rustls \
         CryptoProvider as the process's default",
    ))
}
