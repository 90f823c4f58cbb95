//! Heartbeats both ways, by a clock that jumps from one timer to the next.

use std::time::Duration;

use amqp091::bytes::Bytes;
use amqp091::encode;
use amqp091::protocol::{basic, confirm, connection};
use amqp091_client::{CloseReason, ConnectOptions, Connection};
use tokio::io::DuplexStream;
use tokio::time::{Instant, interval, sleep};

use crate::peer::{Peer, Received, connected_by, open_channel, short};

const DAY: Duration = Duration::from_secs(86_400);

async fn with_heartbeat(client: u64, server: u16) -> (Connection, Peer<DuplexStream>) {
    let options =
        ConnectOptions::default().heartbeat(Duration::from_secs(client)).confirm_timeout(DAY);
    let tune = connection::Tune { channel_max: 9, frame_max: 131_072, heartbeat: server };
    connected_by(&options, &tune, 64 * 1024).await
}

fn is_missed(connection: &Connection, expected: Duration) -> bool {
    match connection.check_open().unwrap_err().close_reason() {
        Some(CloseReason::HeartbeatMissed { silence }) => {
            *silence >= expected && *silence < expected + expected / 10
        }
        _ => false,
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_by_heartbeats_alone() {
    for (client, server, seconds) in [(1, 60, 1), (60, 1, 1), (60, 60, 60), (7, 9, 7)] {
        let (connection, mut peer) = with_heartbeat(client, server).await;
        let mut beat = interval(Duration::from_secs(seconds) / 2);
        let mut received = 0_u32;
        for _ in 0..100 {
            tokio::select! {
                _ = beat.tick() => {
                    encode::heartbeat(&mut peer.out);
                    peer.flush().await;
                }
                frame = peer.read() => {
                    assert_eq!(frame, Some((0, Received::Heartbeat)));
                    received += 1;
                }
            }
        }
        connection.check_open().unwrap();
        // One for one, or nearly.
        assert!((45..=55).contains(&received), "{received} at {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_two_intervals() {
    for seconds in [1, 60] {
        let (connection, _peer) = with_heartbeat(seconds, 60).await;
        let began = Instant::now();
        connection.closed().await.unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 2 * seconds);
        assert!(is_missed(&connection, Duration::from_secs(2 * seconds)));
    }
}

#[tokio::test(start_paused = true)]
async fn without_heartbeats_silence_means_nothing_and_none_are_sent() {
    for (client, server) in [(0, 60), (60, 0), (0, 0)] {
        let (connection, mut peer) = with_heartbeat(client, server).await;
        sleep(DAY).await;
        connection.check_open().unwrap();
        let (closed, frames) = tokio::join!(connection.close(), peer.until_closed());
        closed.unwrap();
        assert_eq!(frames.len(), 1, "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_octets_count_as_a_sign_of_life() {
    let (connection, mut peer) = with_heartbeat(10, 60).await;
    // A frame that arrives octet by octet, over a minute.
    let blocked = connection::Blocked { reason: short("slowly") };
    peer.method(0, &blocked);
    let octets = peer.out.split();
    for octet in &octets {
        peer.out.extend_from_slice(&[*octet]);
        peer.flush().await;
        sleep(Duration::from_secs(6)).await;
    }
    assert_eq!(connection.blocked().unwrap(), "slowly");
    sleep(Duration::from_secs(21)).await;
    assert!(is_missed(&connection, Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_takes_minutes_to_write_keeps_the_connection_alive() {
    let (connection, mut peer) = with_heartbeat(2, 60).await;
    let channel = open_channel(&connection, &mut peer).await;
    let confirm = channel.publish("", "q", Bytes::from(vec![7; 10_000_000])).await.unwrap();
    let mut octets = 0;
    peer.expect::<confirm::Select>().await;
    peer.expect::<basic::Publish>().await;
    peer.read().await.unwrap();
    while octets < 10_000_000 {
        // The peer reads slowly, and sends what it has to; nothing else may come inside the body but
        // heartbeats.
        sleep(Duration::from_secs(1)).await;
        encode::heartbeat(&mut peer.out);
        peer.flush().await;
        match peer.read().await.unwrap() {
            (1, Received::Body(piece)) => octets += piece.len(),
            (0, Received::Heartbeat) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    peer.send(1, &basic::Ack { delivery_tag: 1, multiple: false }).await;
    confirm.confirmed().await.unwrap();
}
