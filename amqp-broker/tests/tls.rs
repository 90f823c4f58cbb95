//! The broker by TLS, and logins by certificate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../../amqp-client/tests/tls/certificates.rs"]
#[allow(dead_code, reason = "the client's tests need more of it")]
mod certificates;
#[path = "hostile/raw.rs"]
mod raw;

use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::ToClient;
use amqp091_broker::{Broker, BrokerBuilder, CertificateLogin, Profile, Tls, rustls};
use amqp091_client::{
    CloseReason, ConnectError, ConnectOptions, Connection, Error, Exception, Mechanism, TlsError,
    TlsOptions,
};
use certificates::{Authority, Issued};
use raw::Raw;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Place {
    authority: Authority,
    tls: Tls,
}

/// A broker's certificate, and a CA for both sides.
fn place() -> Place {
    let authority = Authority::new("CA");
    let Issued { certificate, key } = authority.server(&["localhost"]);
    let tls = Tls::pem(certificate, key).client_ca_pem(authority.certificate.clone());
    Place { authority, tls }
}

fn both() -> [BrokerBuilder; 2] {
    [Profile::V3_10, Profile::V4].map(|profile| Broker::builder().profile(profile))
}

fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::new().ca_pem(authority.certificate.clone())
}

async fn connect(broker: &Broker, tls: TlsOptions) -> Result<Connection, Error> {
    let options = ConnectOptions::from_uri(&broker.tls_url().unwrap()).unwrap();
    Connection::connect(&options.tls(tls)).await
}

/// Connects with a certificate of this name, and logs in by that.
async fn by_certificate(
    broker: &Broker,
    authority: &Authority,
    common_name: &str,
) -> Result<Connection, Error> {
    let Issued { certificate, key } = authority.client(common_name);
    let tls = trusting(authority).client_certificate_pem(certificate, key);
    let options = ConnectOptions::from_uri(&broker.tls_url().unwrap()).unwrap();
    Connection::connect(&options.tls(tls).mechanisms([Mechanism::External])).await
}

fn tls_error(attempt: Result<Connection, Error>) -> TlsError {
    match attempt.expect_err("nobody should be connected") {
        Error::Connect(ConnectError::Tls { source, .. }) => source,
        other => panic!("expected an error of TLS: {other}"),
    }
}

async fn sends_and_gets(connection: &Connection) {
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("work").auto_delete(true).await.unwrap();
    let mut consumer = channel.consume("work").await.unwrap();
    for len in [0, 100, 1_000_000] {
        let body = vec![7_u8; len];
        channel.publish("", "work", body.clone()).await.unwrap().confirmed().await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        assert!(delivery.body == body, "{len}");
        delivery.ack().unwrap();
    }
}

#[tokio::test]
async fn messages_go_through() {
    let Place { authority, tls } = place();
    let broker = Broker::builder().tls(tls).start().await.unwrap();
    let connection = connect(&broker, trusting(&authority)).await.unwrap();
    sends_and_gets(&connection).await;
    assert_eq!(broker.connections()[0].certificate, None);
    // The other port is as it was.
    sends_and_gets(&Connection::open(&broker.url()).await.unwrap()).await;
    assert_eq!((broker.addresses().len(), broker.tls_addresses().len()), (1, 1));
    broker.settled().await;
    broker.shutdown().await;
    let error = connection.closed().await.unwrap_err();
    let Some(CloseReason::ByServer(close)) = error.close_reason() else { panic!("{error}") };
    assert_eq!(close.code.0, 320);
}

#[tokio::test]
async fn rustls_may_be_configured_by_the_program() {
    let authority = Authority::new("CA");
    let Issued { certificate, key } = authority.server(&["localhost"]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let tls = Tls::rustls_config(Arc::new(config));
    let broker = Broker::builder().tls(tls).start().await.unwrap();
    sends_and_gets(&connect(&broker, trusting(&authority)).await.unwrap()).await;
}

#[tokio::test]
async fn a_certificate_is_a_login() {
    for (login, user) in [
        (CertificateLogin::DistinguishedName, "CN=orders"),
        (CertificateLogin::CommonName, "orders"),
    ] {
        for builder in both() {
            let Place { authority, tls } = place();
            // Whoever has the certificate needs no password.
            let builder = builder.user(user, "unknown").tls(tls.login(login));
            let broker = builder.start().await.unwrap();
            let connection = by_certificate(&broker, &authority, "orders").await.unwrap();
            sends_and_gets(&connection).await;
            let info = &broker.connections()[0];
            assert_eq!((info.user.as_str(), info.certificate.as_deref()), (user, Some(user)));

            let error = by_certificate(&broker, &authority, "nobody").await.unwrap_err();
            let text = format!("{error:?}");
            assert!(
                text.contains("Login was refused using authentication mechanism EXTERNAL."),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_certificate_there_is_no_login_by_one() {
    for builder in both() {
        let Place { authority, tls } = place();
        let broker = builder.tls(tls).start().await.unwrap();
        let options = ConnectOptions::from_uri(&broker.tls_url().unwrap()).unwrap();
        let options = options.tls(trusting(&authority)).mechanisms([Mechanism::External]);
        let error = Connection::connect(&options).await.unwrap_err();
        assert_eq!(error.exception(), Some(Exception::AccessRefused), "{error:?}");
        // And who says it all the same isn't let in.
        let mut client = Raw::new(broker.connect());
        let login = raw::Login { mechanism: "EXTERNAL", response: "", ..raw::Login::default() };
        assert_eq!(client.log_in(login).await, Err(None));
    }
}

#[tokio::test]
async fn who_has_no_certificate_is_not_let_in_where_one_is_wanted() {
    let Place { authority, tls } = place();
    let broker = Broker::builder().tls(tls.require_client_certificate()).start().await.unwrap();
    let error = tls_error(connect(&broker, trusting(&authority)).await);
    assert!(
        matches!(&error, TlsError::Alert { alert } if alert == "CertificateRequired"),
        "{error}"
    );
    let stranger = Authority::new("another CA").client("orders");
    let tls = trusting(&authority).client_certificate_pem(stranger.certificate, stranger.key);
    let error = tls_error(connect(&broker, tls).await);
    assert!(matches!(&error, TlsError::Alert { alert } if alert == "UnknownCA"), "{error}");
    broker.settled().await;
    assert_eq!(broker.connections(), []);
}

#[tokio::test]
async fn a_client_that_trusts_another_ca_does_not_come_in() {
    let broker = Broker::builder().tls(place().tls).start().await.unwrap();
    let error = tls_error(connect(&broker, trusting(&Authority::new("another CA"))).await);
    assert!(matches!(error, TlsError::UnknownCa), "{error}");
}

#[tokio::test]
async fn the_wrong_port() {
    let Place { authority, tls } = place();
    let broker = Broker::builder().tls(tls).start().await.unwrap();
    // Plain AMQP to the port for TLS: an alert, which is no AMQP, and the end.
    let mut plain = TcpStream::connect(broker.tls_addresses()[0]).await.unwrap();
    plain.write_all(raw::HEADER).await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"AMQP") && said.len() < 16, "{said:?}");
    let url = broker.tls_url().unwrap().replace("amqps", "amqp");
    Connection::open(&url).await.unwrap_err();
    // TLS to the other.
    let port = broker.addresses()[0].port();
    let options = ConnectOptions::from_uri(&format!("amqps://localhost:{port}")).unwrap();
    let error = tls_error(Connection::connect(&options.tls(trusting(&authority))).await);
    assert!(matches!(error, TlsError::NotTls), "{error}");
    broker.settled().await;
    assert_eq!(broker.connections(), []);
}

#[tokio::test]
async fn a_handshake_has_ten_seconds() {
    let builder = Broker::builder().tls(place().tls).manual_time();
    let broker = builder.start().await.unwrap();
    // The head of a first message, and nothing of the rest.
    let mut slow = TcpStream::connect(broker.tls_addresses()[0]).await.unwrap();
    slow.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    broker.settled().await;
    broker.advance(Duration::from_millis(9_999));
    assert_eq!(broker.connections().len(), 1);
    broker.advance(Duration::from_millis(1));
    assert_eq!(slow.read(&mut [0]).await.unwrap_or(0), 0);
    broker.settled().await;
    assert_eq!(broker.connections(), []);
}

#[tokio::test]
async fn what_is_no_certificate_is_said_when_it_starts() {
    let Place { authority, .. } = place();
    let Issued { certificate, key } = authority.server(&["localhost"]);
    let other = authority.server(&["localhost"]);
    for (tls, expected) in [
        (Tls::pem("", key.clone()), "TLS certificate: there is no certificate in PEM"),
        (Tls::pem(certificate.clone(), "nonsense"), "TLS key: there is no private key in PEM"),
        (Tls::pem(certificate.clone(), other.key), "TLS certificate and key: "),
        (
            Tls::pem(certificate, key).client_ca_pem("nonsense"),
            "TLS client CA: there is no certificate in PEM",
        ),
    ] {
        let error = Broker::builder().tls(tls).start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    // What the key is isn't told.
    let shown = format!("{:?}", place().tls);
    assert!(!shown.contains("KEY"), "{shown}");
}

#[tokio::test]
async fn the_mechanism_is_offered_to_who_can_use_it() {
    let Place { authority, tls } = place();
    let broker = Broker::builder().user("CN=orders", "").tls(tls).start().await.unwrap();
    let mut plain = Raw::new(TcpStream::connect(broker.addresses()[0]).await.unwrap());
    plain.write(raw::HEADER).await;
    let Some((0, ToClient::ConnectionStart(start))) = plain.next().await else {
        panic!("no start")
    };
    assert_eq!(start.mechanisms.as_ref(), b"PLAIN ANONYMOUS AMQPLAIN");
    by_certificate(&broker, &authority, "orders").await.unwrap();
}

#[tokio::test]
async fn ports_for_tls_are_closed_with_the_others() {
    let Place { authority, tls } = place();
    let broker = Broker::builder().tls(tls).nodes(3).start().await.unwrap();
    let is_refused = async || {
        let attempt = TcpStream::connect(broker.tls_addresses()[0]).await;
        attempt.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    broker.refuse_connections();
    assert!(is_refused().await);
    broker.accept_connections().unwrap();
    connect(&broker, trusting(&authority)).await.unwrap();
    // They are the first node's.
    broker.node(2).kill();
    connect(&broker, trusting(&authority)).await.unwrap();
    broker.node(1).kill();
    assert!(is_refused().await);
    broker.heal().unwrap();
    connect(&broker, trusting(&authority)).await.unwrap();
}
