//! Handles outside the runtime that drives their connection: used in another one, dropped in none,
//! and left over when it is shut down.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use amqp091_client::{Channel, CloseReason, ConnectOptions, Connection, Error, Outcome};
use tokio::io::DuplexStream;
use tokio::runtime::{Builder, Runtime};

use crate::peer::{DEADLINE, Peer, TUNE, connected_by, open_channel, within};
use crate::robot::connect_to_robot;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn is_runtime_gone(error: &Error) -> bool {
    matches!(error.close_reason(), Some(CloseReason::RuntimeGone))
}

async fn stuck() -> (Connection, Channel, Peer<DuplexStream>) {
    let options = ConnectOptions::default().output_limit(1);
    let (connection, mut peer) = connected_by(&options, &TUNE, 64).await;
    let channel = open_channel(&connection, &mut peer).await;
    (connection, channel, peer)
}

#[test]
fn calls_that_wait_elsewhere_end_when_the_runtime_is_shut_down() {
    let driving = runtime();
    let waiting = runtime();
    let (connection, channel, peer) = driving.block_on(within(stuck()));
    let mut consumer = {
        let mut peer = peer;
        let (consumer, peer) = driving.block_on(within(async {
            let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
            (consumer.unwrap(), peer)
        }));
        // The peer stays, silent, and reads nothing more.
        std::mem::forget(peer);
        consumer
    };
    // The first of these is being written, into a pipe that nobody reads; the second fills the output,
    // so that a third has to wait.
    let publish = || channel.publish("", "q", vec![7; 1000]).into_future();
    let confirm = waiting.block_on(publish()).unwrap();
    drop(waiting.block_on(publish()).unwrap());
    let (started, starts) = mpsc::channel();
    let tell = || started.clone();
    let calls = [
        waiting.spawn({
            let (channel, started) = (channel.clone(), tell());
            async move {
                started.send(()).unwrap();
                channel.queue_declare("q").await.unwrap_err()
            }
        }),
        waiting.spawn({
            let (channel, started) = (channel.clone(), tell());
            async move {
                started.send(()).unwrap();
                channel.publish("", "q", "third").await.unwrap_err()
            }
        }),
        waiting.spawn({
            let started = tell();
            async move {
                started.send(()).unwrap();
                match confirm.await {
                    Outcome::Unknown(error) => error,
                    other => panic!("{other:?}"),
                }
            }
        }),
        waiting.spawn({
            let started = tell();
            async move {
                started.send(()).unwrap();
                let error = consumer.next().await.unwrap().unwrap_err();
                assert!(consumer.next().await.is_none());
                error
            }
        }),
        waiting.spawn({
            let (connection, started) = (connection.clone(), tell());
            async move {
                started.send(()).unwrap();
                connection.channel().await.unwrap_err()
            }
        }),
        waiting.spawn({
            let (connection, started) = (connection.clone(), tell());
            async move {
                started.send(()).unwrap();
                connection.closed().await.unwrap_err()
            }
        }),
        waiting.spawn({
            let (channel, started) = (channel.clone(), tell());
            async move {
                started.send(()).unwrap();
                channel.get("q").await.unwrap_err()
            }
        }),
    ];
    for _ in &calls {
        starts.recv_timeout(DEADLINE).unwrap();
    }
    // With one worker they have all been polled when this has.
    waiting.block_on(async { tokio::spawn(async {}).await.unwrap() });
    driving.shutdown_background();
    waiting.block_on(within(async {
        for call in calls {
            let error = call.await.unwrap();
            assert!(is_runtime_gone(&error), "{error}");
        }
        // And every later call.
        assert!(is_runtime_gone(&channel.queue_declare("q").await.unwrap_err()));
        assert!(is_runtime_gone(&channel.publish("", "q", "m").await.unwrap_err()));
        assert!(is_runtime_gone(&connection.check_open().unwrap_err()));
        assert!(is_runtime_gone(&connection.close().await.unwrap_err()));
    }));
}

#[test]
fn handles_dropped_outside_a_runtime_close_the_connection() {
    let driving = runtime();
    let (connection, robot) = driving.block_on(connect_to_robot(&ConnectOptions::default()));
    let (channel, consumer, delivery, confirm) = driving.block_on(within(async {
        let channel = connection.channel().await.unwrap();
        let mut consumer = channel.consume("q").await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        let confirm = channel.publish("", "q", "message").await.unwrap();
        (channel, consumer, delivery, confirm)
    }));
    drop(consumer);
    drop(channel);
    drop(confirm);
    drop(connection);
    // Unsettled, and the last handle of all.
    drop(delivery);
    let seen = driving.block_on(within(robot)).unwrap();
    assert!(seen.open.is_empty());
    assert_eq!((seen.requeued, seen.published.len()), (2, 1));
}

#[test]
fn handles_dropped_after_their_runtime_do_not_panic() {
    let driving = runtime();
    let (connection, robot) = driving.block_on(connect_to_robot(&ConnectOptions::default()));
    let handles = driving.block_on(within(async {
        let channel = connection.channel().await.unwrap();
        let mut consumer = channel.consume("q").await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        let confirm = channel.publish("", "q", "message").await.unwrap();
        (confirm, delivery, consumer, channel)
    }));
    drop(driving);
    drop(robot);
    assert!(is_runtime_gone(&handles.1.ack().unwrap_err()));
    drop((handles.0, handles.2, handles.3));
    drop(connection);
}

#[test]
fn a_connection_is_used_from_another_runtime_and_from_plain_threads() {
    let driving = runtime();
    let (connection, robot) = driving.block_on(connect_to_robot(&ConnectOptions::default()));
    let channel = driving.block_on(within(connection.channel())).unwrap();
    // Without timers or I/O: all of that belongs to the connection's own runtime.
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let channel = channel.clone();
            thread::spawn(move || {
                let plain = Builder::new_current_thread().build().unwrap();
                plain.block_on(async {
                    for round in 0..50 {
                        let name = format!("{number}-{round}");
                        assert_eq!(channel.queue_declare(&name).await.unwrap().queue, *name);
                        let confirm = channel.publish("", &name, &name).await.unwrap();
                        confirm.confirmed().await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let elsewhere = Builder::new_current_thread().build().unwrap();
    elsewhere.block_on(connection.close()).unwrap();
    let seen =
        driving.block_on(async { tokio::time::timeout(Duration::from_secs(10), robot).await });
    assert_eq!(seen.unwrap().unwrap().published.len(), 200);
}
