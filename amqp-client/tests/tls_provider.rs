//! Where TLS's cryptography comes from: the process's default provider, or a feature of this crate. In a
//! process of its own, which has no default at first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "tls/certificates.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod certificates;
#[path = "scripted/peer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod peer;
#[path = "tls/server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod server;

use amqp091_client::TlsError;
use amqp091_client::rustls::crypto::{CryptoProvider, ring};

use crate::certificates::Authority;
use crate::server::{Server, trusting};

#[tokio::test]
async fn the_processs_default_goes_before_the_features() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["broker.test"]));
    let options = trusting(&authority);
    if cfg!(any(feature = "tls-ring", feature = "tls-aws-lc")) {
        server.connect(&options).await;
    } else {
        let error = server.refused(&options).await;
        assert!(matches!(error, TlsError::Provider { .. }), "{error}");
        assert!(error.to_string().contains("tls-ring"), "{error}");
    }
    // One that is told apart by its only group.
    let provider =
        CryptoProvider { kx_groups: vec![ring::kx_group::SECP384R1], ..ring::default_provider() };
    provider.install_default().unwrap();
    for only_tls12 in [false, true] {
        let server = Server { only_tls12, ..server.clone() };
        let (_connection, peer) = server.connect(&options).await;
        let group = peer.stream.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), ring::kx_group::SECP384R1.name());
    }
}
