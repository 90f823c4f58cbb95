//! TLS sessions by rustls: its configuration out of the options, the handshake, and its errors in our
//! words.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::{Identity, Pem, TlsError, TlsOptions};

/// Begins a session with the server called `host` over `transport`.
pub(crate) async fn connect<S>(
    transport: S,
    host: &str,
    tls: &TlsOptions,
) -> Result<TlsStream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = tls.server_name.as_deref().unwrap_or(host);
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|_| TlsError::ServerName { name: name.to_owned() })?;
    let config = match &tls.rustls {
        Some(config) => Arc::clone(&config.0),
        None => Arc::new(config(tls.clone()).await?),
    };
    let connector = TlsConnector::from(config);
    let session = connector.connect(server_name, transport).await;
    let session = session.map_err(|error| match session_error(&error) {
        Some(error) => error,
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsError::Eof,
        None => TlsError::Io(Arc::new(error)),
    })?;
    crate::trace::tls_established(name);
    Ok(session)
}

/// What TLS itself says in an error of a socket; `None` where it is the socket's own.
pub(crate) fn session_error(error: &io::Error) -> Option<TlsError> {
    error.get_ref()?.downcast_ref().map(translate)
}

/// Reads the files off the threads of the runtime.
async fn config(tls: TlsOptions) -> Result<ClientConfig, TlsError> {
    let building = tokio::task::spawn_blocking(move || build(&tls));
    // Only a runtime that is shut down doesn't run it.
    building.await.unwrap_or_else(|error| Err(TlsError::Protocol { problem: error.to_string() }))
}

fn build(tls: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Provider { problem: error.to_string() })?;
    let builder = if tls.accept_invalid {
        let schemes =
            builder.crypto_provider().signature_verification_algorithms.supported_schemes();
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny { schemes }))
    } else {
        builder.with_root_certificates(authorities(tls)?)
    };
    let mut config = match &tls.identity {
        Some(identity) => {
            let (chain, key) = read_identity(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let problem = match error {
                    rustls::Error::InconsistentKeys(_) => {
                        "the key belongs to another certificate".to_owned()
                    }
                    error => error.to_string(),
                };
                TlsError::ClientCertificate { problem }
            })?
        }
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = !tls.without_sni;
    Ok(config)
}

/// The program's choice, or the one that was compiled in: what isn't the default was asked for.
fn provider() -> Result<Arc<CryptoProvider>, TlsError> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    #[cfg(feature = "tls-aws-lc")]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "tls-aws-lc", feature = "tls-ring")))]
    Err(TlsError::Provider {
        problem:
            "enable the feature tls-ring or tls-aws-lc of amqp091-client, or install a rustls \
                  CryptoProvider as the process's default"
                .to_owned(),
    })
}

fn authorities(tls: &TlsOptions) -> Result<RootCertStore, TlsError> {
    const WHAT: &str = "CA certificates";
    let mut roots = RootCertStore::empty();
    for source in &tls.authorities {
        for certificate in read_certificates(source, WHAT)? {
            roots.add(certificate).map_err(|error| source.problem(WHAT, error.to_string()))?;
        }
    }
    if tls.authorities.is_empty() || tls.system_authorities {
        let found = rustls_native_certs::load_native_certs();
        // A system may have certificates that rustls can't use: they are left out.
        let (usable, _) = roots.add_parsable_certificates(found.certs);
        if usable == 0 && tls.authorities.is_empty() {
            let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let problem =
                if errors.is_empty() { String::new() } else { format!(" ({})", errors.join("; ")) };
            return Err(TlsError::NoSystemCa { problem });
        }
    }
    Ok(roots)
}

type Chain = Vec<CertificateDer<'static>>;

fn read_identity(identity: &Identity) -> Result<(Chain, PrivateKeyDer<'static>), TlsError> {
    const WHAT: &str = "the client certificate's key";
    let chain = read_certificates(&identity.chain, "client certificate")?;
    let text = identity.key.read(WHAT)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let problem = match error {
            pem::Error::NoItemsFound if is_encrypted(&text) => {
                "it is encrypted, which isn't supported: decrypt it first (openssl pkcs8)"
                    .to_owned()
            }
            pem::Error::NoItemsFound => "there is no private key in PEM".to_owned(),
            error => told(&error),
        };
        identity.key.problem(WHAT, problem)
    })?;
    Ok((chain, key))
}

fn is_encrypted(text: &[u8]) -> bool {
    const MARK: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
    text.windows(MARK.len()).any(|window| window == MARK)
}

fn read_certificates(source: &Pem, what: &'static str) -> Result<Chain, TlsError> {
    let text = source.read(what)?;
    let certificates: Chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| source.problem(what, told(&error)))?;
    if certificates.is_empty() {
        return Err(source.problem(what, "there is no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

/// An error of PEM without the text that it is about, which may be part of a key.
fn told(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section's first line is broken".to_owned(),
        pem::Error::Base64Decode(_) => "a section isn't base64".to_owned(),
        _ => "it isn't PEM".to_owned(),
    }
}

impl Pem {
    fn read(&self, what: &'static str) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Octets(octets) => Ok(octets.to_vec()),
            Self::File(path) => std::fs::read(path).map_err(|source| TlsError::File {
                what,
                path: path.clone(),
                source: Arc::new(source),
            }),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Octets(_) => None,
        }
    }

    fn problem(&self, what: &'static str, problem: String) -> TlsError {
        TlsError::Pem { what, path: self.path(), problem }
    }
}

fn translate(error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::AlertReceived(alert) => TlsError::Alert { alert: format!("{alert:?}") },
        // What it began with isn't a TLS record.
        rustls::Error::InvalidMessage(_) => TlsError::NotTls,
        rustls::Error::NoCertificatesPresented => {
            TlsError::Certificate { problem: "it sent none".to_owned() }
        }
        error => TlsError::Protocol { problem: error.to_string() },
    }
}

fn certificate(error: &CertificateError) -> TlsError {
    let between = |early: &UnixTime, late: &UnixTime| {
        late.as_secs().checked_sub(early.as_secs()).map(Duration::from_secs)
    };
    match error {
        CertificateError::NotValidForNameContext { expected, presented } => TlsError::WrongName {
            expected: expected.to_str().into_owned(),
            presented: presented.iter().map(|name| plain_name(name)).collect(),
        },
        CertificateError::ExpiredContext { time, not_after } => {
            TlsError::Expired { ago: between(not_after, time) }
        }
        CertificateError::Expired => TlsError::Expired { ago: None },
        CertificateError::NotValidYetContext { time, not_before } => {
            TlsError::NotYetValid { until: between(time, not_before) }
        }
        CertificateError::NotValidYet => TlsError::NotYetValid { until: None },
        CertificateError::UnknownIssuer => TlsError::UnknownCa,
        error => TlsError::Certificate { problem: error.to_string() },
    }
}

/// A name without the kind that rustls writes around it: `DnsName("localhost")`.
fn plain_name(name: &str) -> String {
    let quoted = name.split_once("(\"").and_then(|(_, quoted)| quoted.strip_suffix("\")"));
    quoted.unwrap_or(name).to_owned()
}

/// See [`TlsOptions::danger_accept_invalid_certificates`]. It doesn't look at signatures either: they
/// would show that the server has the key of a certificate that means nothing.
#[derive(Debug)]
struct AcceptAny {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
