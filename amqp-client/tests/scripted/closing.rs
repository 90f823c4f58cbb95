//! Channels that close while much else is under way.

use amqp091::bytes::Bytes;
use amqp091::protocol::{basic, channel, confirm, connection, queue};
use amqp091_client::{Channel, ConnectOptions, Connection, Error, Outcome, ReplyCode};
use tokio::io::DuplexStream;

use crate::peer::{Peer, Received, TUNE, channel_code, connected_by, open_channel, within};

const BODY: usize = 1_000_000;

/// The next frames up to the end of a body under way, and the first frame behind it.
async fn rest_of_body(peer: &mut Peer<DuplexStream>) -> (usize, (u16, Received)) {
    let mut octets = 0;
    loop {
        match peer.read().await.unwrap() {
            (_, Received::Body(piece)) => octets += piece.len(),
            other => return (octets, other),
        }
    }
}

/// A channel whose large body is stuck half-way: the pipe is small and the server doesn't read.
async fn stuck_in_a_body() -> (Connection, Channel, Peer<DuplexStream>) {
    let options = ConnectOptions::default().channel_max(1).output_limit(10 * BODY);
    let (connection, mut peer) = connected_by(&options, &TUNE, 4096).await;
    let channel = open_channel(&connection, &mut peer).await;
    (connection, channel, peer)
}

#[tokio::test]
async fn the_servers_close_in_the_middle_of_a_body_is_answered_behind_it() {
    within(async {
        let (connection, channel, mut peer) = stuck_in_a_body().await;
        let big = channel.publish("", "q", Bytes::from(vec![1; BODY])).await.unwrap();
        let dropped = channel.publish("", "q", Bytes::from(vec![2; BODY])).await.unwrap();
        peer.expect::<confirm::Select>().await;
        peer.expect::<basic::Publish>().await;
        peer.close_channel(1).await;
        for confirm in [big, dropped] {
            let Outcome::Unknown(error) = confirm.await else { panic!("nobody confirmed it") };
            assert_eq!(channel_code(&error), 404);
        }
        let error = channel.publish("", "q", "late").await.unwrap_err();
        assert_eq!(channel_code(&error), 404);

        // The number is free again at once: the new channel's open goes out behind the answer.
        let opening =
            tokio::spawn(async move { connection.channel().await.map(|new| (connection, new)) });
        assert!(matches!(peer.read().await, Some((1, Received::Header { .. }))));
        let (octets, next) = rest_of_body(&mut peer).await;
        assert_eq!(octets, BODY);
        assert_eq!(next, (1, Received::Method(channel::CloseOk {}.into())));
        assert_eq!(peer.open_channel().await, 1);
        let (_connection, new) = opening.await.unwrap().unwrap();
        assert_eq!(channel_code(&channel.check_open().unwrap_err()), 404);
        new.check_open().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_servers_close_beats_ours_that_still_waits_behind_a_body() {
    within(async {
        let (connection, channel, mut peer) = stuck_in_a_body().await;
        let _confirm = channel.publish("", "q", Bytes::from(vec![1; BODY])).await.unwrap();
        peer.expect::<confirm::Select>().await;
        peer.expect::<basic::Publish>().await;
        // Our close is queued behind the body; the server, which hasn't seen it, closes first.
        let closing = tokio::spawn({
            let channel = channel.clone();
            async move { channel.close().await }
        });
        tokio::task::yield_now().await;
        assert!(channel.check_open().is_err());
        peer.close_channel(1).await;
        assert!(matches!(peer.read().await, Some((1, Received::Header { .. }))));
        let (octets, mut next) = rest_of_body(&mut peer).await;
        assert_eq!(octets, BODY);
        // Either our close is not sent any more, or the server answers it.
        let mut answered = false;
        let opening = tokio::spawn(async move {
            loop {
                match connection.channel().await {
                    Err(Error::TooManyChannels { .. }) => tokio::task::yield_now().await,
                    other => return other.map(|new| (connection, new)),
                }
            }
        });
        loop {
            match next {
                (1, Received::Method(method)) if method.name() == "channel.close" => {
                    peer.send(1, &channel::CloseOk {}).await;
                }
                (1, Received::Method(method)) if method.name() == "channel.close-ok" => {
                    answered = true;
                }
                (1, Received::Method(method)) if method.name() == "channel.open" => break,
                other => panic!("unexpected {other:?}"),
            }
            next = peer.read().await.unwrap();
        }
        assert!(answered, "the number was taken again before the close was answered");
        peer.send(1, &channel::OpenOk {}).await;
        opening.await.unwrap().unwrap();
        // Whose close came first is of no interest to whoever wanted it closed; that it ends is.
        let _ = closing.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn crossing_closes_of_a_channel_are_both_answered() {
    within(async {
        let (connection, channel, mut peer) = stuck_in_a_body().await;
        let closing = tokio::spawn({
            let channel = channel.clone();
            async move { channel.close().await }
        });
        peer.expect::<channel::Close>().await;
        peer.close_channel(1).await;
        peer.expect::<channel::CloseOk>().await;
        assert!(matches!(connection.channel().await, Err(Error::TooManyChannels { limit: 1 })));
        peer.send(1, &channel::CloseOk {}).await;
        let error = closing.await.unwrap().unwrap_err();
        assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND), "the server's reason is told");
        open_channel(&connection, &mut peer).await;
    })
    .await;
}

#[tokio::test]
async fn closing_the_connection_writes_what_is_pending_and_ends_the_rest() {
    within(async {
        let (connection, channel, mut peer) = stuck_in_a_body().await;
        let confirm = channel.publish("", "q", Bytes::from(vec![1; BODY])).await.unwrap();
        let declare = tokio::spawn({
            let channel = channel.clone();
            async move { channel.queue_declare("q").await }
        });
        tokio::task::yield_now().await;
        let closing = tokio::spawn({
            let connection = connection.clone();
            async move { connection.close().await }
        });
        peer.expect::<confirm::Select>().await;
        let (_, _, body) = peer.expect_publish().await;
        assert_eq!(body.len(), BODY);
        peer.expect::<queue::Declare>().await;
        peer.expect::<connection::Close>().await;
        // What comes until the answer still counts.
        peer.method(1, &basic::Ack { delivery_tag: 1, multiple: false });
        peer.send(0, &connection::CloseOk {}).await;
        closing.await.unwrap().unwrap();
        assert!(matches!(confirm.await, Outcome::Confirmed));
        let error = declare.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error}");
        assert!(peer.read().await.is_none());
        connection.closed().await.unwrap();
    })
    .await;
}

/// A body whose last handle uses its connection, as one does that settles a delivery when it is sent.
struct Attached {
    octets: Vec<u8>,
    connection: Connection,
    told: std::sync::mpsc::Sender<bool>,
}

impl AsRef<[u8]> for Attached {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.told.send(self.connection.check_open().is_ok());
    }
}

#[tokio::test]
async fn a_body_given_up_may_use_its_connection_when_it_is_dropped() {
    within(async {
        let (connection, channel, mut peer) = stuck_in_a_body().await;
        let (told, tells) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let connection = connection.clone();
            let body = Attached { octets: vec![1; BODY], connection, told: told.clone() };
            channel.publish_unconfirmed("", "q", Bytes::from_owner(body)).await.unwrap();
        }
        peer.expect::<basic::Publish>().await;
        peer.close_channel(1).await;
        // The second was never begun, and goes with its channel.
        let first = tokio::task::spawn_blocking(move || (tells.recv().unwrap(), tells));
        let (open, tells) = first.await.unwrap();
        assert!(open);
        let close = connection::Close { reply_code: ReplyCode(320), ..Default::default() };
        peer.send(0, &close).await;
        let second = tokio::task::spawn_blocking(move || tells.recv().unwrap());
        peer.until_closed().await;
        assert!(!second.await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn closing_again_is_no_error() {
    within(async {
        let (connection, mut peer) = connected_by(&ConnectOptions::default(), &TUNE, 4096).await;
        let channel = open_channel(&connection, &mut peer).await;
        let later = async {
            // The first has its frame out: the second has nothing to send.
            peer.expect::<channel::Close>().await;
            let answer = async {
                tokio::task::yield_now().await;
                peer.send(1, &channel::CloseOk {}).await;
            };
            let (second, ()) = tokio::join!(biased; channel.close(), answer);
            second
        };
        let (first, second) = tokio::join!(channel.close(), later);
        first.unwrap();
        second.unwrap();
        channel.close().await.unwrap();
        let failed = open_channel(&connection, &mut peer).await;
        peer.close_channel(1).await;
        let error = failed.queue_declare("q").await.unwrap_err();
        assert_eq!(channel_code(&error), 404);
        assert_eq!(channel_code(&failed.close().await.unwrap_err()), 404);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_again_waits_no_longer_than_closing() {
    within(async {
        let options = ConnectOptions::default().rpc_timeout(std::time::Duration::from_secs(5));
        let (connection, mut peer) = connected_by(&options, &TUNE, 4096).await;
        let channel = open_channel(&connection, &mut peer).await;
        let (first, second) = tokio::join!(channel.close(), channel.close());
        for closed in [first, second] {
            let is_late = matches!(closed, Err(Error::Timeout { method: "channel.close", .. }));
            assert!(is_late, "{closed:?}");
        }
    })
    .await;
}
