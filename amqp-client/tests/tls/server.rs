//! A TLS server in memory, played by a test.

use std::sync::Arc;

use amqp091_client::rustls::crypto::{CryptoProvider, ring};
use amqp091_client::rustls::pki_types::pem::PemObject;
use amqp091_client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use amqp091_client::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use amqp091_client::rustls::version::{TLS12, TLS13};
use amqp091_client::rustls::{RootCertStore, ServerConfig};
use amqp091_client::{ConnectError, ConnectOptions, Connection, Error, TlsError, TlsOptions};
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{Authority, Issued};
use crate::peer::{Peer, TUNE, within};

/// What a server is.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) issued: Issued,
    /// The CA whose client certificates it takes; it insists on one.
    pub(crate) clients: Option<String>,
    pub(crate) only_tls12: bool,
}

pub(crate) type Session = TlsStream<DuplexStream>;

impl Server {
    pub(crate) fn new(issued: Issued) -> Self {
        Self { issued, clients: None, only_tls12: false }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let versions: &[_] = if self.only_tls12 { &[&TLS12] } else { &[&TLS12, &TLS13] };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
                let verifier: Result<_, VerifierBuilderError> =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.issued.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.issued.key.as_bytes()).unwrap();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }

    /// A connection to it, by a pipe that holds `capacity` octets each way.
    pub(crate) async fn connect_by(
        &self,
        options: &ConnectOptions,
        capacity: usize,
    ) -> (Result<Connection, Error>, Option<Peer<Session>>) {
        let (client, server) = tokio::io::duplex(capacity);
        let serve = async {
            let session = self.acceptor().accept(server).await.ok()?;
            let mut peer = Peer::new(session);
            peer.handshake(&TUNE).await;
            Some(peer)
        };
        within(async { tokio::join!(Connection::connect_over(client, options), serve) }).await
    }

    pub(crate) async fn connect(&self, options: &ConnectOptions) -> (Connection, Peer<Session>) {
        let (connection, peer) = self.connect_by(options, 64 * 1024).await;
        (connection.unwrap(), peer.expect("the server has refused"))
    }

    /// An attempt to connect, with the server gone as soon as the session is there.
    pub(crate) async fn closing_at_once(
        &self,
        options: &ConnectOptions,
    ) -> Result<Connection, Error> {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let serve = async { drop(self.acceptor().accept(server).await.unwrap()) };
        tokio::join!(Connection::connect_over(client, options), serve).0
    }

    /// Why nobody gets connected.
    pub(crate) async fn refused(&self, options: &ConnectOptions) -> TlsError {
        let (attempt, _) = self.connect_by(options, 64 * 1024).await;
        tls_error(attempt)
    }
}

pub(crate) fn tls_error(attempt: Result<Connection, Error>) -> TlsError {
    match attempt.expect_err("nobody should be connected") {
        Error::Connect(ConnectError::Tls { source, .. }) => source,
        other => panic!("expected an error of TLS: {other}"),
    }
}

/// Options that trust this CA alone, for the host `broker.test`.
pub(crate) fn trusting(authority: &Authority) -> ConnectOptions {
    with(TlsOptions::new().ca_pem(authority.certificate.clone()))
}

pub(crate) fn with(tls: TlsOptions) -> ConnectOptions {
    ConnectOptions::default().host("broker.test").tls(tls)
}
