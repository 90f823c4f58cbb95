//! Several hosts: which is tried when, what leads on to the next, and what is said when none is left.

use std::net::SocketAddr;
use std::time::Duration;

use amqp091::protocol::{ReplyCode, connection};
use amqp091_client::{
    ConnectError, ConnectOptions, Connection, Error, Host, HostOrder, HostRound, Initiator, Stage,
};
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Peer, TUNE, short, within};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    listener().await.1
}

fn listed(hosts: &[SocketAddr]) -> ConnectOptions {
    ConnectOptions::default().hosts(hosts.iter().copied()).host_order(HostOrder::Listed)
}

async fn accept(listener: &TcpListener) -> Peer<TcpStream> {
    Peer::new(listener.accept().await.unwrap().0)
}

async fn serve(listener: &TcpListener) -> Peer<TcpStream> {
    let mut peer = accept(listener).await;
    peer.handshake(&TUNE).await;
    peer
}

/// Plays a server that refuses the login with this code.
async fn refuse(listener: &TcpListener, reply_code: ReplyCode) {
    let mut peer = accept(listener).await;
    peer.start().await;
    let reply_text = short("no");
    let close = connection::Close { reply_code, reply_text, class_id: 0, method_id: 0 };
    peer.send(0, &close).await;
    peer.expect::<connection::CloseOk>().await;
}

fn connect_error(attempt: Result<Connection, Error>) -> ConnectError {
    match attempt.expect_err("nobody should be connected") {
        Error::Connect(error) => error,
        other => panic!("expected an error of connecting: {other}"),
    }
}

#[tokio::test]
async fn the_first_that_takes_the_connection_has_it() {
    within(async {
        let (listener, address) = listener().await;
        let options = listed(&[nobody().await, address, nobody().await]);
        let (connection, peer) = tokio::join!(Connection::connect(&options), serve(&listener));
        let (connection, mut peer) = (connection.unwrap(), peer);
        let told = connection.peer().unwrap();
        assert_eq!((told.host, told.address), (Host::from(address), address));
        assert_eq!(told.local_address, peer.stream.peer_addr().unwrap());
        let (closed, _) = tokio::join!(connection.close(), peer.until_closed());
        closed.unwrap();
    })
    .await;
}

#[tokio::test]
async fn when_all_fail_each_is_listed_with_its_cause() {
    within(async {
        let (closing, address) = listener().await;
        let nobody = nobody().await;
        let options = listed(&[nobody, address]).add_host("host.invalid");
        let (attempt, ()) = tokio::join!(Connection::connect(&options), async {
            accept(&closing).await.expect_protocol_header().await;
        });
        let error = connect_error(attempt);
        let text = error.to_string();
        let ConnectError::AllFailed { attempts } = error else { panic!("{text}") };
        let [first, second, third] = &attempts[..] else { panic!("{text}") };
        assert!(matches!(first.error, ConnectError::Tcp { .. }), "{text}");
        assert_eq!((&first.host, first.address), (&Host::from(nobody), Some(nobody)));
        assert!(matches!(second.error, ConnectError::Eof { stage: Stage::Start }), "{text}");
        assert!(matches!(third.error, ConnectError::Lookup { .. }), "{text}");
        assert_eq!((third.host.name(), third.address), ("host.invalid", None));
        let expected = format!("no connection to any of 3 addresses: {nobody}: ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("; host.invalid:5672: can't find the address"), "{text}");
        assert_eq!(
            Error::from(ConnectError::AllFailed { attempts }).initiator(),
            Initiator::Library
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_that_hangs_leaves_time_for_the_next() {
    within(async {
        // A machine whose broker is stopped takes connections all the same.
        let (hanging, hanging_address) = listener().await;
        let (listener, address) = listener().await;
        let options =
            listed(&[hanging_address, address]).attempt_timeout(Duration::from_millis(100));
        let (connection, _peer) = tokio::join!(Connection::connect(&options), serve(&listener));
        assert_eq!(connection.unwrap().peer().unwrap().address, address);
        // It was tried, and given up.
        let mut peer = accept(&hanging).await;
        peer.expect_protocol_header().await;
        assert!(peer.read().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_refused_login_ends_the_attempt() {
    within(async {
        for code in [ReplyCode::ACCESS_REFUSED, ReplyCode::NOT_ALLOWED] {
            let (refusing, first) = listener().await;
            let (other, second) = listener().await;
            let options = listed(&[first, second]);
            let (attempt, ()) =
                tokio::join!(Connection::connect(&options), refuse(&refusing, code));
            let error = connect_error(attempt);
            let ConnectError::Refused { close, .. } = &error else { panic!("{error}") };
            assert_eq!(close.code, code);
            // Nobody has come: the next to come is this test itself.
            let probe = TcpStream::connect(second).await.unwrap();
            let (_, came_from) = other.accept().await.unwrap();
            assert_eq!(came_from, probe.local_addr().unwrap());
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_for_reasons_of_its_own_leads_on() {
    within(async {
        for code in [ReplyCode::CONNECTION_FORCED, ReplyCode::INTERNAL_ERROR] {
            let (refusing, first) = listener().await;
            let (listener, second) = listener().await;
            let options = listed(&[first, second]);
            let (connection, ..) = tokio::join!(
                Connection::connect(&options),
                refuse(&refusing, code),
                serve(&listener)
            );
            assert_eq!(connection.unwrap().peer().unwrap().address, second);
        }
    })
    .await;
}

#[tokio::test]
async fn connections_of_the_same_options_are_spread() {
    within(async {
        let (first, first_address) = listener().await;
        let (second, second_address) = listener().await;
        let options = ConnectOptions::default().hosts([first_address, second_address]);
        for (listener, address) in
            [(&first, first_address), (&second, second_address), (&first, first_address)]
        {
            let options = options.clone();
            let (connection, _peer) = tokio::join!(Connection::connect(&options), serve(listener));
            assert_eq!(connection.unwrap().peer().unwrap().address, address);
        }
    })
    .await;
}

#[tokio::test]
async fn an_order_of_the_programs_own() {
    within(async {
        let (listener, address) = listener().await;
        let only = move |hosts: &mut Vec<Host>, round: &HostRound<'_>| {
            assert_eq!((round.number, round.last), (0, None));
            hosts.retain(|host| *host == Host::from(address));
        };
        let options = listed(&[nobody().await, address]).host_order(HostOrder::custom(only));
        let (connection, _peer) = tokio::join!(Connection::connect(&options), serve(&listener));
        drop(connection.unwrap());

        let none = |hosts: &mut Vec<Host>, _: &HostRound<'_>| hosts.clear();
        let options = options.host_order(HostOrder::custom(none));
        let error = connect_error(Connection::connect(&options).await);
        assert!(matches!(error, ConnectError::NoHost), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_transport_of_ones_own_has_no_peer() {
    within(async {
        let (connection, _peer) = crate::peer::connected(&ConnectOptions::default()).await;
        assert!(connection.peer().is_none());
    })
    .await;
}

#[tokio::test]
async fn hosts_in_a_uri() {
    within(async {
        let (listener, address) = listener().await;
        let uri = format!("amqp://guest:guest@{},{address}/%2f", nobody().await);
        let (connection, _peer) = tokio::join!(Connection::open(&uri), serve(&listener));
        assert_eq!(connection.unwrap().peer().unwrap().address, address);
    })
    .await;
}
