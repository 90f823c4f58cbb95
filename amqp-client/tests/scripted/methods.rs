//! Methods without a reply, calls about the connection itself, and a commit, given up or not.

use std::future::IntoFuture;
use std::time::Duration;

use amqp091::protocol::{basic, connection, queue, tx};
use amqp091_client::{Channel, ConnectOptions};
use tokio::io::DuplexStream;
use tokio::time::timeout;

use crate::peer::{Peer, TUNE, connected_by, open_channel, with_channel, within};

/// Far beyond what anything here takes, in virtual time.
const LONG: Duration = Duration::from_secs(1);

async fn in_transaction(channel: &Channel, peer: &mut Peer<DuplexStream>) {
    let answer = async {
        let (number, _) = peer.expect::<tx::Select>().await;
        peer.send(number, &tx::SelectOk {}).await;
    };
    let (selected, ()) = tokio::join!(channel.tx_select(), answer);
    selected.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_goes_without_a_reply_waits_for_room_and_is_not_sent_once_given_up() {
    within(async {
        let options = ConnectOptions::default().output_limit(1000);
        let (connection, mut peer) = connected_by(&options, &TUNE, 1000).await;
        let channel = open_channel(&connection, &mut peer).await;
        let mut sent = 0;
        let purge = |number: u32| channel.queue_purge(number.to_string()).no_wait();
        while let Ok(purged) = timeout(LONG, purge(sent)).await {
            purged.unwrap();
            sent += 1;
            assert!(sent < 10_000, "it never waits");
        }
        // The one that waited was given up; this one waits on.
        let waiting = tokio::spawn(channel.queue_purge("last").no_wait());
        tokio::time::sleep(LONG).await;
        assert!(!waiting.is_finished());
        for number in 0..sent {
            let (_, purge) = peer.expect::<queue::Purge>().await;
            assert!(purge.no_wait);
            assert_eq!(purge.queue, *number.to_string());
        }
        assert_eq!(peer.expect::<queue::Purge>().await.1.queue, "last");
        waiting.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_never_polled_sends_nothing() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        drop(channel.queue_purge("never").no_wait());
        drop(channel.recover(true));
        drop(channel.recover_async(true).into_future());
        let mut done = channel.queue_purge("q").no_wait();
        (&mut done).await.unwrap();
        // Polled again after its end, it doesn't send again.
        assert!(timeout(LONG, &mut done).await.is_err());
        channel.recover_async(true).await.unwrap();
        assert_eq!(peer.expect::<queue::Purge>().await.1.queue, "q");
        assert!(peer.expect::<basic::RecoverAsync>().await.1.requeue);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_of_the_secret_that_is_given_up_shifts_no_other() {
    within(async {
        let (connection, _channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let given_up = timeout(LONG, connection.update_secret("first", "it expires"));
        assert!(given_up.await.is_err());
        let answer = async {
            let (number, update) = peer.expect::<connection::UpdateSecret>().await;
            assert_eq!((number, update.new_secret.as_bytes()), (0, &b"first"[..]));
            let (_, update) = peer.expect::<connection::UpdateSecret>().await;
            assert_eq!(update.new_secret.as_bytes(), b"second");
            peer.send(0, &connection::UpdateSecretOk {}).await;
            tokio::time::sleep(LONG).await;
            peer.send(0, &connection::UpdateSecretOk {}).await;
        };
        let begin = tokio::time::Instant::now();
        let (updated, ()) = tokio::join!(connection.update_secret("second", "it expires"), answer);
        updated.unwrap();
        assert!(begin.elapsed() >= LONG, "the first answer isn't its own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn publishing_waits_for_the_end_of_a_commit() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        in_transaction(&channel, &mut peer).await;
        let committing = tokio::spawn(channel.tx_commit());
        let (number, _) = peer.expect::<tx::Commit>().await;
        let publishing = tokio::spawn({
            let channel = channel.clone();
            async move { channel.publish_unconfirmed("", "q", "m").persistent(true).await }
        });
        let purging = tokio::spawn(channel.queue_purge("q").no_wait());
        tokio::time::sleep(LONG).await;
        assert!(!publishing.is_finished() && !purging.is_finished() && !committing.is_finished());
        peer.send(number, &tx::CommitOk {}).await;
        committing.await.unwrap().unwrap();
        publishing.await.unwrap().unwrap();
        purging.await.unwrap().unwrap();
        assert_eq!(peer.expect_publish().await.2, b"m");
        assert_eq!(peer.expect::<queue::Purge>().await.1.queue, "q");
    })
    .await;
}
