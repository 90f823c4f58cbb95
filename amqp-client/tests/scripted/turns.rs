//! Streams that always have an item let other tasks run all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amqp091_client::blocking::{self, Next};
use amqp091_client::{ConnectOptions, Consumer, MergedConsumers};

use crate::peer::{with_channel, within};

const COUNT: u64 = 10_000;

/// A consumer that has that many messages waiting.
async fn consumer() -> (impl Sized, Consumer) {
    let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
    let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
    let consumer = consumer.unwrap();
    let tag = consumer.consumer_tag().clone();
    (1..=COUNT).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"x"));
    peer.flush().await;
    // The clock stands still until nobody has anything left to do.
    tokio::time::sleep(Duration::from_secs(1)).await;
    ((connection, peer), consumer)
}

/// How often another task ran while all messages were fetched in a row.
async fn turns_of_another_task(fetch: impl AsyncFnOnce()) -> u64 {
    let turns = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    fetch().await;
    other.abort();
    turns.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_consumer_lets_others_run() {
    within(async {
        let (_alive, mut consumer) = consumer().await;
        let turns = turns_of_another_task(async || {
            for _ in 0..COUNT {
                let _ = consumer.next().await.unwrap().unwrap();
            }
        });
        let turns = turns.await;
        assert!((5..100).contains(&turns), "{turns}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn merged_consumers_let_others_run() {
    within(async {
        let (_alive, consumer) = consumer().await;
        let mut merged: MergedConsumers = [consumer].into_iter().collect();
        let turns = turns_of_another_task(async || {
            for _ in 0..COUNT {
                let _ = merged.next().await.unwrap().unwrap();
            }
        });
        let turns = turns.await;
        assert!((5..100).contains(&turns), "{turns}");
    })
    .await;
}

/// Where no other task could run, nothing waits for that.
#[tokio::test(start_paused = true)]
async fn the_blocking_face_takes_all_at_once() {
    within(async {
        let (_alive, consumer) = consumer().await;
        let mut consumer = blocking::Consumer::from(consumer);
        for _ in 0..COUNT {
            assert!(matches!(consumer.try_next(), Ok(Next::Item(_))));
        }
        assert!(matches!(consumer.try_next(), Ok(Next::NotYet)));
    })
    .await;
}
