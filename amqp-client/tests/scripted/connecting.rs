//! Attempts to connect that fail: each for a reason of its own, said helpfully, and in time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use amqp091::protocol::{ReplyCode, channel, connection};
use amqp091::types::{FieldTable, LongStr};
use amqp091_client::{
    ConnectError, ConnectOptions, Connection, Error, Initiator, Keepalive, Mechanism, Stage,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Peer, TUNE, short, within};

fn options(address: SocketAddr) -> ConnectOptions {
    ConnectOptions::default().host(address.ip().to_string()).port(address.port())
}

/// The error of an attempt against a server that does `serve` with each socket.
async fn refused_by<F>(serve: impl FnOnce(TcpStream) -> F) -> ConnectError
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = options(listener.local_addr().unwrap());
    let (attempt, ()) = tokio::join!(Connection::connect(&options), async {
        serve(listener.accept().await.unwrap().0).await;
    });
    connect_error(attempt)
}

/// As [`refused_by`], in memory.
async fn refused_in_memory(
    options: &ConnectOptions,
    serve: impl AsyncFnOnce(&mut Peer<DuplexStream>),
) -> ConnectError {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let mut peer = Peer::new(server);
    let (attempt, ()) = tokio::join!(Connection::connect_over(client, options), serve(&mut peer));
    // It ends with the socket closed, whatever came.
    while peer.read_octets().await > 0 {}
    connect_error(attempt)
}

fn connect_error(attempt: Result<Connection, Error>) -> ConnectError {
    match attempt.expect_err("nobody should be connected") {
        Error::Connect(error) => error,
        other => panic!("expected an error of connecting: {other}"),
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect_error(Connection::connect(&options(address)).await);
        assert!(matches!(error, ConnectError::Tcp { .. }), "{error}");
        let expected = format!("can't connect to {address}: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_port_that_speaks_tls() {
    within(async {
        // What TLS servers answer to something that is no TLS: an alert, at once or cut.
        let alert = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
        for cut in 1..=alert.len() {
            let error = refused_by(async |mut socket| {
                let mut header = [0; 8];
                socket.read_exact(&mut header).await.unwrap();
                socket.write_all(&alert[..cut]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                let _ = socket.write_all(&alert[cut..]).await;
                let _ = socket.shutdown().await;
            })
            .await;
            assert!(matches!(error, ConnectError::TlsPort), "cut at {cut}: {error}");
            assert!(error.to_string().contains("5672"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn servers_of_other_protocols() {
    within(async {
        for greeting in [
            &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"-ERR unknown command 'AMQP'\r\n",
            b"AMQ?",
            b"\0\0\0\0\0\0\0\0",
            &[0xFF; 4000],
            // A frame's head, then none of the frame.
            &[1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 10, 0xCD],
        ] {
            let error = refused_by(async |mut socket| {
                socket.write_all(greeting).await.unwrap();
                let _ = socket.shutdown().await;
                // Closing with unread octets would reset the connection and lose the greeting.
                while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
            })
            .await;
            let ConnectError::NotAmqp { found } = &error else { panic!("{greeting:?}: {error}") };
            assert!(!found.is_empty() && found.len() <= 16 && greeting.starts_with(found));
            let shown = found.escape_ascii().to_string();
            assert!(error.to_string().contains(&shown), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_of_another_version() {
    within(async {
        for header in [*b"AMQP\x00\x01\x00\x00", *b"AMQP\x03\x01\x00\x00"] {
            for cut in 0..8 {
                let error = refused_by(async |mut socket| {
                    socket.write_all(&header[..cut]).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    socket.write_all(&header[cut..]).await.unwrap();
                    let _ = socket.shutdown().await;
                    while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
                })
                .await;
                let ConnectError::Version { server } = &error else {
                    panic!("cut at {cut}: {error}")
                };
                assert_eq!(server.to_bytes(), header);
                assert!(error.to_string().starts_with("the server speaks AMQP "), "{error}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_has_until_the_deadline() {
    for (stage, step) in [(Stage::Start, 0), (Stage::Tune, 1), (Stage::OpenOk, 2)] {
        let began = tokio::time::Instant::now();
        let options = ConnectOptions::default().connect_timeout(Duration::from_secs(5));
        let error = refused_in_memory(&options, async |peer| {
            if step > 0 {
                peer.start().await;
            }
            if step > 1 {
                peer.tune(&TUNE).await;
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
        })
        .await;
        let ConnectError::Timeout { stage: told, after } = error else { panic!("{error}") };
        assert_eq!((told, after), (stage, Duration::from_secs(5)));
        // One deadline for all of it, not one for each step.
        let took = began.elapsed();
        assert!(took < Duration::from_millis(5100), "{took:?}");
    }
}

#[tokio::test]
async fn a_silent_server_on_a_real_socket() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options =
            options(listener.local_addr().unwrap()).connect_timeout(Duration::from_millis(100));
        let error = connect_error(Connection::connect(&options).await);
        assert!(matches!(error, ConnectError::Timeout { stage: Stage::Start, .. }), "{error}");
        assert!(error.to_string().contains("within 100 ms"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_socket_at_each_stage() {
    within(async {
        for (stage, step) in [(Stage::Start, 0), (Stage::Tune, 1), (Stage::OpenOk, 2)] {
            let error = refused_by(async |socket| {
                let mut peer = Peer::new(socket);
                match step {
                    0 => peer.expect_protocol_header().await,
                    1 => drop(peer.start().await),
                    _ => {
                        peer.start().await;
                        peer.tune(&TUNE).await;
                    }
                }
            })
            .await;
            let ConnectError::Eof { stage: told } = error else { panic!("{error}") };
            assert_eq!(told, stage);
        }
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_socket_in_the_middle_of_a_frame() {
    within(async {
        let error = refused_by(async |mut socket| {
            socket.write_all(&[1, 0, 0, 0, 0, 1]).await.unwrap();
            let _ = socket.shutdown().await;
            while matches!(socket.read(&mut [0; 64]).await, Ok(1..)) {}
        })
        .await;
        assert!(matches!(error, ConnectError::Eof { stage: Stage::Start }), "{error}");
    })
    .await;
}

fn close(reply_code: ReplyCode, text: &str) -> connection::Close {
    connection::Close { reply_code, reply_text: short(text), class_id: 0, method_id: 0 }
}

#[tokio::test]
async fn a_refused_login_and_a_refused_virtual_host_are_answered_and_told_apart() {
    within(async {
        let options = ConnectOptions::default();
        let login = refused_in_memory(&options, async |peer| {
            let start_ok = peer.start().await;
            assert_eq!(start_ok.mechanism, "PLAIN");
            assert_eq!(start_ok.response.as_bytes(), b"\0guest\0guest");
            peer.send(0, &close(ReplyCode::ACCESS_REFUSED, "ACCESS_REFUSED - Login")).await;
            peer.expect::<connection::CloseOk>().await;
        })
        .await;
        assert!(matches!(login, ConnectError::Refused { stage: Stage::Tune, .. }), "{login}");
        let text = login.to_string();
        assert!(text.starts_with("the server refused the login: 403"), "{text}");
        let error = Error::from(login);
        assert_eq!(error.reply_code(), Some(ReplyCode::ACCESS_REFUSED));
        assert_eq!(error.initiator(), Initiator::Server);

        let options = options.virtual_host("none");
        let vhost = refused_in_memory(&options, async |peer| {
            peer.start().await;
            peer.tune(&TUNE).await;
            peer.send(0, &close(ReplyCode::NOT_ALLOWED, "NOT_ALLOWED - vhost none not found"))
                .await;
            peer.expect::<connection::CloseOk>().await;
        })
        .await;
        assert!(matches!(vhost, ConnectError::Refused { stage: Stage::OpenOk, .. }), "{vhost}");
        let text = vhost.to_string();
        assert!(text.starts_with("the server refused the virtual host: 530"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_server_with_other_mechanisms_only() {
    within(async {
        let options = ConnectOptions::default().mechanisms([Mechanism::AmqPlain]);
        let error = refused_in_memory(&options, async |peer| {
            peer.expect_protocol_header().await;
            let start = connection::Start {
                version_major: 0,
                version_minor: 9,
                server_properties: FieldTable::new(),
                mechanisms: LongStr::from("EXTERNAL PLAIN"),
                locales: LongStr::from("en_US"),
            };
            peer.send(0, &start).await;
        })
        .await;
        let text = error.to_string();
        assert!(text.contains("EXTERNAL PLAIN") && text.contains("AMQPLAIN"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_breaks_the_rules() {
    within(async {
        let options = ConnectOptions::default();
        let challenge = refused_in_memory(&options, async |peer| {
            peer.start().await;
            peer.send(0, &connection::Secure { challenge: LongStr::from("?") }).await;
        })
        .await;
        assert!(matches!(challenge, ConnectError::Challenge { .. }), "{challenge}");

        let small = refused_in_memory(&options, async |peer| {
            peer.start().await;
            let tune = connection::Tune { channel_max: 0, frame_max: 4095, heartbeat: 0 };
            peer.send(0, &tune).await;
        })
        .await;
        assert!(matches!(small, ConnectError::FrameMax { frame_max: 4095 }), "{small}");

        let early = refused_in_memory(&options, async |peer| {
            peer.expect_protocol_header().await;
            peer.send(0, &connection::OpenOk {}).await;
        })
        .await;
        assert!(matches!(early, ConnectError::Violation { stage: Stage::Start, .. }), "{early}");

        let channel = refused_in_memory(&options, async |peer| {
            peer.start().await;
            peer.send(1, &channel::OpenOk {}).await;
        })
        .await;
        assert!(matches!(channel, ConnectError::Violation { stage: Stage::Tune, .. }), "{channel}");

        let huge = refused_in_memory(&options, async |peer| {
            peer.start().await;
            peer.out.extend_from_slice(&[1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 10]);
            peer.flush().await;
        })
        .await;
        assert!(matches!(huge, ConnectError::Violation { stage: Stage::Tune, .. }), "{huge}");
    })
    .await;
}

#[tokio::test]
async fn what_comes_right_behind_open_ok_is_not_lost() {
    within(async {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let mut peer = Peer::new(server);
        let options = ConnectOptions::default();
        let (connection, ()) = tokio::join!(Connection::connect_over(client, &options), async {
            peer.start().await;
            peer.tune(&TUNE).await;
            peer.method(0, &connection::OpenOk {});
            peer.method(0, &connection::Blocked { reason: short("already") });
            peer.flush().await;
        });
        let connection = connection.unwrap();
        assert_eq!(connection.blocked().unwrap(), "already");
    })
    .await;
}

/// A transport of one's own that takes nothing and, a while later, says why.
struct Refusing {
    error: io::ErrorKind,
    waited: bool,
}

impl AsyncRead for Refusing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waited {
            return Poll::Ready(Err(self.error.into()));
        }
        self.waited = true;
        cx.waker().wake_by_ref();
        // As an interrupted read: the next one tells.
        Poll::Ready(Err(io::ErrorKind::Interrupted.into()))
    }
}

impl AsyncWrite for Refusing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_a_transport_says_last_is_told_if_it_is_more_than_that_it_failed() {
    within(async {
        // A TLS alert is bad data; a reset says no more than the failed write before.
        for (error, told) in [
            (io::ErrorKind::InvalidData, io::ErrorKind::InvalidData),
            (io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe),
        ] {
            let transport = Refusing { error, waited: false };
            let options = ConnectOptions::default();
            let error = connect_error(Connection::connect_over(transport, &options).await);
            let ConnectError::Io { stage: Stage::Start, source } = &error else {
                panic!("{error}")
            };
            assert_eq!(source.kind(), told);
        }
    })
    .await;
}

#[tokio::test]
async fn options_that_no_connection_can_use_are_refused_before_anything_is_sent() {
    within(async {
        let long = "v".repeat(256);
        for (options, name) in [
            (ConnectOptions::default().frame_max(4095), "frame_max"),
            (ConnectOptions::default().heartbeat(Duration::from_millis(1500)), "heartbeat"),
            (ConnectOptions::default().heartbeat(Duration::from_secs(65_536)), "heartbeat"),
            (ConnectOptions::default().mechanisms([]), "mechanisms"),
            (ConnectOptions::default().hosts([""; 0]), "hosts"),
            (ConnectOptions::default().add_host(""), "hosts"),
            (ConnectOptions::default().keepalive(Keepalive::new(Duration::ZERO)), "keepalive"),
            (ConnectOptions::default().tcp_user_timeout(Duration::ZERO), "tcp_user_timeout"),
            (ConnectOptions::default().mechanisms([Mechanism::raw("", "")]), "mechanisms"),
            (ConnectOptions::default().mechanisms([Mechanism::raw(&long, "")]), "mechanisms"),
            (ConnectOptions::default().virtual_host(long), "virtual_host"),
        ] {
            let (client, mut server) = tokio::io::duplex(1024);
            let error = Connection::connect_over(client, &options).await.unwrap_err();
            assert!(matches!(error, Error::Option { option, .. } if option == name), "{error}");
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        }
    })
    .await;
}
