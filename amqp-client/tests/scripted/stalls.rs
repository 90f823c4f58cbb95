//! Servers that read nothing: the driver notices, and counts what is progress.

use std::time::Duration;

use amqp091::protocol::connection;
use amqp091_client::{CloseReason, ConnectOptions, Outcome};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::peer::{TUNE, connected_by, open_channel, short};

/// The connection ends because nothing is taken; how long that took.
async fn lost(connection: &amqp091_client::Connection) -> Duration {
    let began = Instant::now();
    let closed = tokio::time::timeout(Duration::from_secs(3600), connection.closed());
    let error = closed.await.expect("it is borne for ever").unwrap_err();
    let reason = error.close_reason().unwrap();
    assert!(matches!(reason, CloseReason::WriteTimeout { .. }), "{error}");
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_is_given_up() {
    let (connection, mut peer) = connected_by(&ConnectOptions::default(), &TUNE, 4096).await;
    let channel = open_channel(&connection, &mut peer).await;
    let confirm = channel.publish("", "q", vec![1; 100_000]).await.unwrap();
    assert_eq!(lost(&connection).await, Duration::from_secs(60));
    assert!(matches!(confirm.await, Outcome::Unknown(_)));
}

#[tokio::test(start_paused = true)]
async fn one_that_reads_slowly_is_not() {
    let options = ConnectOptions::default().confirm_timeout(Duration::from_secs(86_400));
    let (connection, mut peer) = connected_by(&options, &TUNE, 4096).await;
    let channel = open_channel(&connection, &mut peer).await;
    let _confirm = channel.publish("", "q", vec![1; 100_000]).await.unwrap();
    for _ in 0..20 {
        sleep(Duration::from_secs(59)).await;
        peer.stream.read_exact(&mut [0; 1000]).await.unwrap();
    }
    connection.check_open().unwrap();
    assert_eq!(lost(&connection).await, Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_blocked_publishing_is_not() {
    let options = ConnectOptions::default();
    let (connection, mut peer) = connected_by(&options, &TUNE, 4096).await;
    let channel = open_channel(&connection, &mut peer).await;
    let _confirm = channel.publish("", "q", vec![1; 100_000]).await.unwrap();
    sleep(Duration::from_secs(50)).await;
    peer.send(0, &connection::Blocked { reason: short("low on disk") }).await;
    sleep(Duration::from_secs(86_400)).await;
    connection.check_open().unwrap();
    peer.send(0, &connection::Unblocked {}).await;
    let took = lost(&connection).await;
    assert!((59..=60).contains(&took.as_secs()), "{took:?}");
}
