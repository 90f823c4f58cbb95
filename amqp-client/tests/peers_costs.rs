//! What other clients let a program pay for: an operating-system thread and megabytes for each idle
//! connection, gigabytes for a server without limits, every publish for every idle channel. One test in
//! a process of its own: it counts the process's threads, memory and CPU time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "scripted/peer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod peer;
#[path = "scripted/robot.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod robot;

use std::alloc::System;

use amqp091::protocol::connection::Tune;
use amqp091_client::{Channel, ConnectOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::peer::{TUNE, connected_by};
use crate::robot::connect_to_robot;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Threads of this process, where the system tells.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// CPU time of this thread, nanoseconds, where the system tells.
fn cpu() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Octets that are allocated now.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[test]
fn idle_connections_and_channels_cost_no_threads_little_memory_and_no_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        a_server_without_a_frame_max_is_not_taken_at_its_word().await;
        an_idle_connection_has_no_thread_and_a_few_kilobytes().await;
        publishing_takes_no_longer_beside_a_thousand_idle_channels().await;
    });
}

async fn a_server_without_a_frame_max_is_not_taken_at_its_word() {
    let before = ALLOCATOR.stats().bytes_allocated;
    let tune = Tune { frame_max: 0, ..TUNE };
    let options = ConnectOptions::default().frame_max(0);
    let (connection, _peer) = connected_by(&options, &tune, 4096).await;
    let octets = ALLOCATOR.stats().bytes_allocated - before;
    assert_eq!(connection.frame_max(), 0);
    assert!(octets < 1 << 20, "{octets} octets for a connection without frame-max");
}

async fn an_idle_connection_has_no_thread_and_a_few_kilobytes() {
    const CONNECTIONS: usize = 50;
    let (threads_before, before) = (threads(), allocated());
    let mut all = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        all.push(connected_by(&ConnectOptions::default(), &TUNE, 4096).await);
    }
    assert_eq!(threads(), threads_before, "threads");
    // The test's own server of each connection, with its buffer of 64 KiB, is among it.
    let octets = (allocated() - before) / CONNECTIONS;
    assert!(octets < 150_000, "{octets} octets for an idle connection and its peer");
}

async fn publishing_takes_no_longer_beside_a_thousand_idle_channels() {
    let (connection, robot) = connect_to_robot(&ConnectOptions::default()).await;
    let busy = connection.channel().await.unwrap();
    let alone = cost_of_publishing(&busy).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(connection.channel().await.unwrap());
    }
    let among_others = cost_of_publishing(&busy).await;
    // Those who look at each channel for each message take 15 times as long.
    if let (Some((alone, few)), Some((among_others, more))) = (alone, among_others) {
        assert!(among_others < 4 * alone, "{among_others} ns instead of {alone} ns");
        assert!(more < few + few / 2, "{more} allocations instead of {few}");
    }
    drop((idle, busy));
    connection.close().await.unwrap();
    robot.await.unwrap();
}

/// CPU time and allocations of 500 confirmed publishes, the least of several tries.
async fn cost_of_publishing(channel: &Channel) -> Option<(u64, usize)> {
    let mut least = None;
    for _ in 0..7 {
        let (before, allocations) = (cpu()?, ALLOCATOR.stats().allocations);
        let mut confirms = Vec::with_capacity(500);
        for _ in 0..500 {
            confirms.push(channel.publish("", "q", "x").await.unwrap());
            tokio::task::yield_now().await;
        }
        for confirm in confirms {
            confirm.confirmed().await.unwrap();
        }
        let cost = (cpu()? - before, ALLOCATOR.stats().allocations - allocations);
        least = Some(
            least.map_or(cost, |least: (u64, usize)| (least.0.min(cost.0), least.1.min(cost.1))),
        );
    }
    least
}
