//! Errors by their names, as RabbitMQ provokes them: also those that only a client out of its mind meets,
//! whose octets are slipped in behind the client's back.

use amqp091_client::{ConnectError, ConnectOptions, Connection, Error, Exception};
use tokio::io::{AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, copy, duplex, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::place::{Place, unique};

/// A connection, and a way to slip octets in between its own.
async fn leaky(place: &Place) -> (Connection, UnboundedSender<Vec<u8>>) {
    let socket = TcpStream::connect(place.address()).await.unwrap();
    let (mut from_server, mut to_server) = socket.into_split();
    let (client, ours) = duplex(64 * 1024);
    let (mut from_client, mut to_client): (ReadHalf<DuplexStream>, WriteHalf<_>) = split(ours);
    let (slip, mut slipped) = unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                Some(octets) = slipped.recv() => to_server.write_all(&octets).await.unwrap(),
                read = tokio::io::AsyncReadExt::read(&mut from_client, &mut buffer) => {
                    let Ok(count @ 1..) = read else { return };
                    to_server.write_all(&buffer[..count]).await.unwrap();
                }
            }
        }
    });
    (Connection::connect_over(client, &place.options()).await.unwrap(), slip)
}

everywhere!(malformed_frames_have_their_names);
async fn malformed_frames_have_their_names(place: &Place) {
    // Type, channel, size; class and method; frame-end.
    let cases: [(&[u8], Exception); 4] = [
        (b"\x01\0\x01\0\0\0\x04\0\x14\0\x15\xCD", Exception::FrameError),
        // basic.qos without its arguments; 502, which the specification has for it, RabbitMQ
        // doesn't use.
        (b"\x01\0\x01\0\0\0\x04\0\x3C\0\x0A\xCE", Exception::FrameError),
        // channel.flow-ok on a channel that was never opened.
        (b"\x01\0\x4D\0\0\0\x05\0\x14\0\x15\0\xCE", Exception::ChannelNotOpen),
        // A body without a method.
        (b"\x03\0\x01\0\0\0\x01x\xCE", Exception::UnexpectedFrame),
    ];
    for (octets, expected) in cases {
        let (connection, slip) = leaky(place).await;
        let _channel = connection.channel().await.unwrap();
        slip.send(octets.to_vec()).unwrap();
        let error = connection.closed().await.unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error}");
        assert_eq!(error.exception(), Some(expected), "{error}");
        assert!(!error.is_recoverable());
    }
}

everywhere!(hard_errors_have_their_names);
async fn hard_errors_have_their_names(place: &Place) {
    let (_connection, channel) = place.open().await;
    let error = channel.exchange_declare(unique("e"), "no-such-type").await.unwrap_err();
    // RabbitMQ 4 closes no more than the channel over it.
    let expected =
        if place.is_4() { Exception::PreconditionFailed } else { Exception::InvalidCommand };
    assert_eq!(error.exception(), Some(expected), "{error}");

    let not_implemented = Some(Exception::NotImplemented);
    let (_connection, channel) = place.open().await;
    assert_eq!(channel.flow(false).await.unwrap_err().exception(), not_implemented);
    let (_connection, channel) = place.open().await;
    let error = channel.qos(1).prefetch_size(1).await.unwrap_err();
    assert_eq!(error.exception(), not_implemented, "{error}");
    let (_connection, channel) = place.open().await;
    assert_eq!(channel.recover(false).await.unwrap_err().exception(), not_implemented);

    // An operator closes everything that is open to a virtual host.
    let host = place.virtual_host().await;
    let connection = Connection::connect(&place.options().virtual_host(&host)).await.unwrap();
    place.close_connections(&host, "enough").await;
    let error = connection.closed().await.unwrap_err();
    assert_eq!(error.exception(), Some(Exception::ConnectionForced), "{error}");
    assert!(error.is_recoverable());

    let refused = async |options: &ConnectOptions| match Connection::connect(options).await {
        Err(error @ Error::Connect(ConnectError::Refused { .. })) => error,
        other => panic!("{other:?}"),
    };
    let error = refused(&place.options().virtual_host(unique("missing"))).await;
    assert_eq!(error.exception(), Some(Exception::NotAllowed), "{error}");
    assert!(!error.is_recoverable());
    let error = refused(&place.options().credentials("guest", "wrong")).await;
    assert!(error.is_access_refused() && !error.is_recoverable(), "{error}");
    place.delete_virtual_host(&host).await;
}

everywhere!(soft_errors_have_their_names);
async fn soft_errors_have_their_names(place: &Place) {
    let (_owner, held) = place.open().await;
    let locked = unique("locked");
    held.queue_declare(&locked).exclusive(true).await.unwrap();
    let connection = place.connect().await;
    let channel = connection.channel().await.unwrap();
    let error = channel.queue_declare(unique("missing")).passive(true).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_recoverable(), "{error}");
    channel.reopen().await.unwrap();
    let error = channel.queue_declare("amq.mine").await.unwrap_err();
    assert!(error.is_access_refused() && !error.is_recoverable(), "{error}");
    channel.reopen().await.unwrap();
    let error = channel.queue_declare(&locked).await.unwrap_err();
    assert!(error.is_resource_locked() && error.is_recoverable(), "{error}");
    channel.reopen().await.unwrap();
    let error = channel.exchange_declare("amq.direct", "fanout").durable(true).await;
    let error = error.unwrap_err();
    assert!(error.is_precondition_failed() && !error.is_recoverable(), "{error}");
    // What came back unroutable isn't an error of the table, but has a code.
    channel.reopen().await.unwrap();
    let confirm = channel.publish("", unique("missing"), "m").mandatory(true).await.unwrap();
    let error = Error::from(confirm.confirmed().await.unwrap_err());
    assert_eq!(error.exception().map(|exception| exception.reply_code().0), Some(312));
}
