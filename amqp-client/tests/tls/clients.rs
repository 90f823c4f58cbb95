//! The client's certificate: shown where it is asked for, and what the server says of it.

use amqp091_client::{ConnectOptions, Error, Initiator, TlsError, TlsOptions};

use crate::certificates::Authority;
use crate::server::{Server, tls_error, with};

/// A server that insists on a certificate of `authority`'s.
fn insisting(authority: &Authority, only_tls12: bool) -> Server {
    let issued = authority.server(&["broker.test"]);
    Server { issued, clients: Some(authority.certificate.clone()), only_tls12 }
}

fn showing(authority: &Authority, by: &Authority) -> ConnectOptions {
    let client = by.client("me");
    let tls = TlsOptions::new()
        .ca_pem(authority.certificate.clone())
        .client_certificate_pem(client.certificate, client.key);
    with(tls)
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new("CA");
    for only_tls12 in [false, true] {
        let server = insisting(&authority, only_tls12);
        let (_connection, peer) = server.connect(&showing(&authority, &authority)).await;
        assert_eq!(peer.stream.get_ref().1.peer_certificates().map(<[_]>::len), Some(1));
    }
    // And to no other.
    let server = Server::new(authority.server(&["broker.test"]));
    let (_connection, peer) = server.connect(&showing(&authority, &authority)).await;
    assert!(peer.stream.get_ref().1.peer_certificates().is_none());
}

#[tokio::test]
async fn a_server_that_wants_one_and_gets_none_says_so() {
    let authority = Authority::new("CA");
    for (only_tls12, expected) in [(false, "CertificateRequired"), (true, "HandshakeFailure")] {
        let server = insisting(&authority, only_tls12);
        let tls = TlsOptions::new().ca_pem(authority.certificate.clone());
        let (attempt, _) = server.connect_by(&with(tls), 64 * 1024).await;
        let error: Error = attempt.unwrap_err();
        assert_eq!(error.initiator(), Initiator::Server);
        let error = tls_error(Err(error));
        let TlsError::Alert { alert } = &error else { panic!("{error}") };
        // rustls's own servers say CertificateRequired by TLS 1.2 too, others what it asks for.
        assert!(alert == expected || alert == "CertificateRequired", "{error}");
        assert!(error.to_string().contains("client certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_ca_that_the_server_does_not_trust() {
    let (authority, other) = (Authority::new("CA"), Authority::new("other CA"));
    for only_tls12 in [false, true] {
        let server = insisting(&authority, only_tls12);
        let error = server.refused(&showing(&authority, &other)).await;
        let TlsError::Alert { alert } = &error else { panic!("{error}") };
        assert_eq!(alert, "UnknownCA");
        assert!(error.to_string().contains("doesn't trust the CA"), "{error}");
    }
}
