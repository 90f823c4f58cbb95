//! The server's certificate: good ones, and each way of not being good.

use std::net::Ipv4Addr;
use std::time::Duration;

use amqp091_client::{
    ConnectError, ConnectOptions, Connection, Error, Initiator, Stage, TlsError, TlsOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::peer::within;
use crate::server::{Server, tls_error, trusting, with};

#[tokio::test]
async fn a_certificate_for_the_host_by_name_and_by_address() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["other.test", "broker.test", "127.0.0.1", "::1"]));
    for host in ["broker.test", "other.test", "BROKER.test", "127.0.0.1", "::1"] {
        let options = trusting(&authority).host(host);
        let (connection, peer) = server.connect(&options).await;
        assert!(connection.check_open().is_ok());
        // Told to the server so that it can choose; an address never is.
        let told = peer.stream.get_ref().1.server_name().map(str::to_owned);
        let expected = host.contains("test").then(|| host.to_lowercase());
        assert_eq!(told, expected, "{host}");
    }
}

#[tokio::test]
async fn the_name_may_be_given_and_need_not_be_told() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["inside.test"]));
    let tls = || TlsOptions::new().ca_pem(authority.certificate.clone()).server_name("inside.test");
    let (_connection, peer) = server.connect(&with(tls())).await;
    assert_eq!(peer.stream.get_ref().1.server_name(), Some("inside.test"));
    let (_connection, peer) = server.connect(&with(tls().without_sni())).await;
    assert_eq!(peer.stream.get_ref().1.server_name(), None);
    // Untold, it is checked all the same.
    let error = server.refused(&with(tls().server_name("broker.test").without_sni())).await;
    assert!(matches!(error, TlsError::WrongName { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["a.test", "*.wild.test"]));
    for host in ["broker.test", "sub.a.test", "x.y.wild.test", "127.0.0.1"] {
        let error = server.refused(&trusting(&authority).host(host)).await;
        let TlsError::WrongName { expected, presented } = &error else { panic!("{error}") };
        assert_eq!(expected, host);
        let presented = presented.join(" ");
        assert!(presented.contains("a.test") && presented.contains("wild.test"), "{presented}");
        assert!(!presented.contains('"'), "{presented}");
        let text = error.to_string();
        assert!(text.contains(host) && text.contains("server_name"), "{text}");
    }
    server.connect(&trusting(&authority).host("any.wild.test")).await;
}

#[tokio::test]
async fn a_certificate_that_is_no_longer_or_not_yet_valid() {
    let authority = Authority::new("CA");
    let options = trusting(&authority);
    let server = Server::new(authority.server_valid(&["broker.test"], (2001, 2002)));
    let error = server.refused(&options).await;
    let TlsError::Expired { ago: Some(ago) } = error else { panic!("{error}") };
    assert!(ago > Duration::from_secs(20 * 365 * 86_400), "{ago:?}");
    let server = Server::new(authority.server_valid(&["broker.test"], (2110, 2120)));
    let error = server.refused(&options).await;
    assert!(matches!(error, TlsError::NotYetValid { until: Some(_) }), "{error}");
}

#[tokio::test]
async fn a_ca_that_nobody_told_of() {
    let (ours, theirs) = (Authority::new("CA"), Authority::new("other CA"));
    let server = Server::new(theirs.server(&["broker.test"]));
    let error = server.refused(&trusting(&ours)).await;
    assert!(matches!(error, TlsError::UnknownCa), "{error}");
    assert!(error.to_string().contains("ca_file"), "{error}");
    // The system knows none of them, be it there or not.
    let error = server.refused(&with(TlsOptions::new())).await;
    assert!(matches!(error, TlsError::UnknownCa | TlsError::NoSystemCa { .. }), "{error}");
    // Two of them may be trusted at once, in one text or two.
    let both = format!("{}\n{}", ours.certificate, theirs.certificate);
    server.connect(&with(TlsOptions::new().ca_pem(both))).await;
    let tls = TlsOptions::new().ca_pem(ours.certificate).ca_pem(theirs.certificate.clone());
    server.connect(&with(tls)).await;
    // A CA that took the other's name, with a key of its own.
    let impostor = Authority::new("other CA");
    let error = server.refused(&trusting(&impostor)).await;
    assert!(matches!(error, TlsError::UnknownCa | TlsError::Certificate { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_for_clients_is_not_one_for_servers() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.client("broker.test"));
    let error = server.refused(&trusting(&authority)).await;
    assert!(matches!(error, TlsError::Certificate { .. } | TlsError::WrongName { .. }), "{error}");
}

#[tokio::test]
async fn verification_is_skipped_only_when_that_is_asked_for() {
    let authority = Authority::new("CA");
    let other = Authority::new("other CA");
    for issued in [
        other.server(&["broker.test"]),
        authority.server(&["elsewhere.test"]),
        authority.server_valid(&["broker.test"], (2001, 2002)),
        other.client("no server"),
    ] {
        for only_tls12 in [false, true] {
            let server = Server { only_tls12, ..Server::new(issued.clone()) };
            server.refused(&trusting(&authority)).await;
            let tls = TlsOptions::new().danger_accept_invalid_certificates();
            server.connect(&with(tls)).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_knows_tls_12_only() {
    let authority = Authority::new("CA");
    let server = Server { only_tls12: true, ..Server::new(authority.server(&["broker.test"])) };
    let (connection, mut peer) = server.connect(&trusting(&authority)).await;
    let (closed, _) = tokio::join!(connection.close(), peer.until_closed());
    closed.unwrap();
}

/// The error of an attempt over TLS against a server on a socket that speaks none.
async fn refused_by(answer: &'static [u8]) -> Error {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = ConnectOptions::default()
        .host("127.0.0.1")
        .port(port)
        .connect_timeout(Duration::from_millis(if answer == b"silence" { 100 } else { 60_000 }))
        .tls(TlsOptions::new().danger_accept_invalid_certificates());
    within(async {
        let (attempt, ()) = tokio::join!(Connection::connect(&options), async {
            let (mut socket, _) = listener.accept().await.unwrap();
            if answer != b"silence" {
                socket.write_all(answer).await.unwrap();
                socket.shutdown().await.unwrap();
            }
            while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
        });
        attempt.unwrap_err()
    })
    .await
}

#[tokio::test]
async fn ports_that_speak_no_tls() {
    for answer in [&b"AMQP\0\0\x09\x01"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"]
    {
        let error = refused_by(answer).await;
        assert_eq!(error.initiator(), Initiator::Library);
        assert!(error.to_string().starts_with("no TLS with 127.0.0.1:"), "{error}");
        let error = tls_error(Err(error));
        assert!(matches!(error, TlsError::NotTls), "{error}");
        assert!(error.to_string().contains("5671"), "{error}");
    }
    let error = tls_error(Err(refused_by(b"").await));
    assert!(matches!(error, TlsError::Eof), "{error}");
    let error = refused_by(b"silence").await;
    assert!(
        matches!(error, Error::Connect(ConnectError::Timeout { stage: Stage::Tls, .. })),
        "{error}"
    );
    assert!(error.to_string().contains("the TLS handshake"), "{error}");
}
