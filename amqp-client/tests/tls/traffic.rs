//! The connection inside TLS: large messages both ways through a small pipe, and its end.

use amqp091::protocol::connection;
use amqp091_client::{CloseReason, Error, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::certificates::Authority;
use crate::peer::within;
use crate::server::{Server, tls_error, trusting};

#[tokio::test]
async fn large_messages_both_ways() {
    let authority = Authority::new("CA");
    for only_tls12 in [false, true] {
        let server = Server { only_tls12, ..Server::new(authority.server(&["broker.test"])) };
        let (connection, peer) = server.connect_by(&trusting(&authority), 1000).await;
        let (connection, mut peer) = (connection.unwrap(), peer.unwrap());
        within(async {
            let (channel, number) =
                tokio::join!(async { connection.channel().await.unwrap() }, peer.open_channel());
            let (consumer, (_, tag)) = tokio::join!(
                async { channel.consume("q").no_ack(true).await.unwrap() },
                peer.consume()
            );
            let mut consumer = consumer;
            // More than rustls takes at once, and than the pipe holds.
            let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
            for round in 0..3_u64 {
                let publish = async {
                    channel.publish_unconfirmed("", "q", body.clone()).await.unwrap();
                };
                let ((), (_, _, arrived)) = tokio::join!(publish, peer.expect_publish());
                assert!(arrived == body, "round {round}");
                let deliver = async {
                    peer.deliver(number, &tag, round + 1, &body);
                    peer.flush().await;
                };
                let (delivery, ()) =
                    tokio::join!(async { consumer.next().await.unwrap().unwrap() }, deliver);
                assert!(delivery.body == body, "round {round}");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_close_ends_the_session_too() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["broker.test"]));
    let (connection, mut peer) = server.connect(&trusting(&authority)).await;
    within(async {
        let (closed, ()) = tokio::join!(connection.close(), async {
            peer.expect::<connection::Close>().await;
            peer.send(0, &connection::CloseOk {}).await;
        });
        closed.unwrap();
        // rustls takes an end without TLS's farewell for an error.
        assert_eq!(peer.stream.read(&mut [0; 8]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_vanishes_is_an_end_whether_it_says_so_or_not() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["broker.test"]));
    for farewell in [true, false] {
        let (connection, mut peer) = server.connect(&trusting(&authority)).await;
        within(async {
            if farewell {
                peer.stream.shutdown().await.unwrap();
            }
            drop(peer);
            let error = connection.closed().await.unwrap_err();
            let Error::ConnectionClosed(reason) = &error else { panic!("{error}") };
            assert!(matches!(**reason, CloseReason::Eof), "{error}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_closes_in_the_place_of_its_greeting() {
    let authority = Authority::new("CA");
    let server = Server::new(authority.server(&["broker.test"]));
    let error = tls_error(within(server.closing_at_once(&trusting(&authority))).await);
    assert!(matches!(error, TlsError::ClosedBehind), "{error}");
    assert!(error.to_string().contains("client certificate"), "{error}");
}
