//! The exchange with a real ticket: `scripts/gssapi` runs a key distribution centre for it, with the
//! user `alice`, who has a ticket, and the service `amqp@localhost`, whose key is in the keytab.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use amqp091_client::amqp091::bytes::BytesMut;
use amqp091_client::amqp091::encode;
use amqp091_client::amqp091::frame::{FrameDecoder, FrameLimits};
use amqp091_client::amqp091::protocol::{ToServer, connection};
use amqp091_client::amqp091::types::{FieldTable, LongStr};
use amqp091_client::{ConnectError, ConnectOptions, Connection, Error};
use amqp091_gssapi::Gssapi;
use libgssapi::context::{SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

async fn read(stream: &mut DuplexStream, input: &mut BytesMut) -> ToServer {
    let mut decoder = FrameDecoder::new(FrameLimits::from_frame_max(0));
    loop {
        if let Some(frame) = decoder.decode(input).unwrap() {
            return ToServer::from_payload(&frame.payload).unwrap();
        }
        assert_ne!(stream.read_buf(input).await.unwrap(), 0, "the client has gone");
    }
}

async fn send(stream: &mut DuplexStream, method: &impl amqp091_client::amqp091::types::Method) {
    let mut out = BytesMut::new();
    encode::method(&mut out, 0, method).unwrap();
    stream.write_all(&out).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kerberos realm: run scripts/gssapi"]
async fn a_ticket_logs_in_and_the_server_proves_itself_too() {
    assert!(Gssapi::new().is_available());
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    let options =
        ConnectOptions::default().host("localhost").mechanisms([Gssapi::new().into_mechanism()]);
    let serve = async {
        let mut input = BytesMut::new();
        let mut header = [0; 8];
        server.read_exact(&mut header).await.unwrap();
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: FieldTable::new(),
            mechanisms: LongStr::from("GSSAPI PLAIN"),
            locales: LongStr::from("en_US"),
        };
        send(&mut server, &start).await;
        let ToServer::ConnectionStartOk(start_ok) = read(&mut server, &mut input).await else {
            panic!("expected connection.start-ok")
        };
        assert_eq!(start_ok.mechanism, "GSSAPI");
        let key = Cred::acquire(None, None, CredUsage::Accept, None).unwrap();
        let mut context = ServerCtx::new(Some(key));
        let token = context.step(start_ok.response.as_bytes(), None).unwrap().unwrap();
        send(&mut server, &connection::Secure { challenge: LongStr::from(token.to_vec()) }).await;
        let ToServer::ConnectionSecureOk(_) = read(&mut server, &mut input).await else {
            panic!("expected connection.secure-ok")
        };
        assert!(context.is_complete());
        assert_eq!(context.source_name().unwrap().to_string(), "alice@AMQP091.TEST");
        let tune = connection::Tune { channel_max: 0, frame_max: 131_072, heartbeat: 0 };
        send(&mut server, &tune).await;
        read(&mut server, &mut input).await;
        read(&mut server, &mut input).await;
        send(&mut server, &connection::OpenOk {}).await;
        server
    };
    let (connection, _server) = tokio::join!(Connection::connect_over(client, &options), serve);
    connection.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kerberos realm: run scripts/gssapi"]
async fn a_service_that_the_realm_does_not_know_is_an_error_of_the_mechanism() {
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    let mechanism = Gssapi::new().service("nothing").into_mechanism();
    let options = ConnectOptions::default().mechanisms([mechanism]);
    let serve = async {
        server.read_exact(&mut [0; 8]).await.unwrap();
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: FieldTable::new(),
            mechanisms: LongStr::from("GSSAPI"),
            locales: LongStr::from("en_US"),
        };
        send(&mut server, &start).await;
        server
    };
    let (attempt, _server) = tokio::join!(Connection::connect_over(client, &options), serve);
    let error = attempt.unwrap_err();
    assert!(matches!(error, Error::Connect(ConnectError::Sasl { .. })), "{error}");
}
