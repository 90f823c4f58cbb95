//! The blocking face's one thread: there with the first connection, gone with the last.
//!
//! Alone in its process, so that no other test's connection keeps the thread.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "scripted/peer.rs"]
#[allow(dead_code, reason = "shared with the scripted tests")]
mod peer;

use std::fs;
use std::future::ready;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use amqp091_client::ConnectOptions;
use amqp091_client::blocking::Connection;
use tokio::runtime::Builder;

use peer::{DEADLINE, Peer, TUNE, within};

/// How many threads of this process have the name of the one that drives.
fn driving() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "amqp091").count()
}

/// All threads of this process.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// The kernel tells nobody when a thread ends, so this looks again and again.
fn until_none_drives(before: usize) {
    let began = Instant::now();
    // Nor may the threads that the runtime has for looking up names be left.
    while driving() > 0 || threads() > before {
        assert!(began.elapsed() < DEADLINE, "the thread stays");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A server that reads until the client is gone, and answers its farewell or doesn't.
fn connect(options: &ConnectOptions, answers: bool) -> (Connection, JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let server = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within(async {
            let mut peer = Peer::new(server);
            peer.handshake(&TUNE).await;
            if answers {
                peer.until_closed().await;
            } else {
                while peer.read().await.is_some() {}
            }
        }));
    });
    (Connection::connect_over(ready(Ok(client)), options).unwrap(), server)
}

#[test]
fn one_thread_for_all_connections_and_none_without() {
    let options = ConnectOptions::default();
    let before = threads();
    assert_eq!(driving(), 0);

    // Closed by a call.
    let (first, first_server) = connect(&options, true);
    let (second, second_server) = connect(&options, true);
    assert_eq!(driving(), 1);
    first.close().unwrap();
    first_server.join().unwrap();
    assert_eq!(driving(), 1, "the second is still open");
    second.close().unwrap();
    until_none_drives(before);
    second_server.join().unwrap();

    // Dropped; the handle that is left of the first keeps nothing.
    let (third, third_server) = connect(&options, true);
    assert_eq!(driving(), 1);
    drop(third);
    third_server.join().unwrap();
    until_none_drives(before);
    first.check_open().unwrap_err();

    // A server that doesn't answer the farewell.
    let hurried = options.clone().close_timeout(Duration::from_millis(10));
    let (fourth, fourth_server) = connect(&hurried, false);
    drop(fourth);
    until_none_drives(before);
    fourth_server.join().unwrap();

    // No connection at all: one is refused, one is no server.
    let closed = options.clone().host("localhost").port(1);
    Connection::connect(&closed).unwrap_err();
    until_none_drives(before);
    let (client, server) = tokio::io::duplex(64);
    drop(server);
    Connection::connect_over(ready(Ok(client)), &options).unwrap_err();
    until_none_drives(before);

    // Many at once, opened and closed by many threads.
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let options = options.clone();
            thread::spawn(move || {
                for _ in 0..20 {
                    let (connection, server) = connect(&options, true);
                    connection.close().unwrap();
                    server.join().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    until_none_drives(before);
}
