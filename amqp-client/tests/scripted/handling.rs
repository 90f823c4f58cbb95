//! Deliveries handled a number at a time, and several consumers as one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::basic;
use amqp091::types::FieldTable;
use amqp091_client::{
    Channel, ConnectOptions, Consumer, ConsumerEnd, FailureCause, MergedConsumers, OnFailure,
    Properties, ShortStr,
};
use tokio::io::DuplexStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use crate::peer::{Peer, Received, open_channel, short, with_channel, within};

type Server = Peer<DuplexStream>;

async fn consume(channel: &Channel, peer: &mut Server, queue: &str) -> Consumer {
    let (consumer, _) = tokio::join!(async { channel.consume(queue).await }, peer.consume());
    consumer.unwrap()
}

/// Sends messages whose bodies are their delivery tags.
async fn deliver(peer: &mut Server, tag: &ShortStr, tags: std::ops::RangeInclusive<u64>) {
    for delivery_tag in tags {
        peer.deliver(1, tag, delivery_tag, delivery_tag.to_string().as_bytes());
    }
    peer.flush().await;
}

async fn cancel_by_server(peer: &mut Server, tag: &ShortStr) {
    let cancel = basic::Cancel { consumer_tag: tag.clone(), no_wait: true };
    peer.send(1, &cancel).await;
}

/// What the client settles, by delivery tag: acknowledged, requeued or refused.
async fn settled(peer: &mut Server, count: usize) -> BTreeMap<u64, char> {
    use amqp091::protocol::ToServer;
    let mut settled = BTreeMap::new();
    while settled.len() < count {
        let (tag, what) = match peer.read().await {
            Some((_, Received::Method(ToServer::BasicAck(ack)))) if !ack.multiple => {
                (ack.delivery_tag, 'a')
            }
            Some((_, Received::Method(ToServer::BasicReject(reject)))) => {
                (reject.delivery_tag, if reject.requeue { 'q' } else { 'd' })
            }
            Some((_, Received::Method(ToServer::BasicCancel(_)))) => continue,
            other => panic!("{other:?}"),
        };
        assert!(settled.insert(tag, what).is_none(), "{tag} is settled twice");
    }
    settled
}

#[tokio::test(start_paused = true)]
async fn so_many_handlers_run_beside_each_other() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let tag = consumer.consumer_tag().clone();
        deliver(&mut peer, &tag, 1..=10).await;
        cancel_by_server(&mut peer, &tag).await;
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begin = Instant::now();
        let end = consumer
            .for_each_concurrent(4, OnFailure::Requeue, |_| async {
                let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok::<(), ()>(())
            })
            .await;
        assert_eq!(most.into_inner(), 4);
        assert!(begin.elapsed() < Duration::from_millis(3100), "{:?}", begin.elapsed());
        assert!(matches!(end.end, ConsumerEnd::CancelledByServer), "{end:?}");
        assert_eq!((end.acked, end.failed), (10, 0));
        assert!(settled(&mut peer, 10).await.values().all(|&what| what == 'a'));
    })
    .await;
}

#[tokio::test]
async fn each_failure_has_its_consequence() {
    within(async {
        for (on_failure, expected) in [
            (OnFailure::Requeue, "aqqq"),
            (OnFailure::DeadLetter, "addd"),
            (OnFailure::RequeueOnce, "aqqd"),
            (OnFailure::Ack, "aaaa"),
        ] {
            let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let consumer = consume(&channel, &mut peer, "q").await;
            let consumer_tag = consumer.consumer_tag().clone();
            deliver(&mut peer, &consumer_tag, 1..=3).await;
            let again = basic::Deliver {
                consumer_tag: consumer_tag.clone(),
                delivery_tag: 4,
                redelivered: true,
                ..basic::Deliver::default()
            };
            peer.method(1, &again);
            peer.content(1, 1, b"4");
            cancel_by_server(&mut peer, &consumer_tag).await;
            let end = consumer
                .for_each_concurrent(2, on_failure, |message| {
                    // Once outside the future and once inside.
                    assert_ne!(message.body, "2", "a panic that is meant");
                    async move {
                        assert_ne!(message.body, "3", "a panic that is meant");
                        if message.body == "1" { Ok(()) } else { Err("failed") }
                    }
                })
                .await;
            let settled: String = settled(&mut peer, 4).await.into_values().collect();
            assert_eq!(settled, expected);
            assert_eq!((end.failed, end.panicked, end.unsettled), (3, 2, 0));
            assert_eq!(end.acked as usize, expected.matches('a').count());
            assert_eq!(end.requeued as usize, expected.matches('q').count());
            assert_eq!(end.dead_lettered as usize, expected.matches('d').count());
        }
    })
    .await;
}

#[tokio::test]
async fn the_program_decides_by_the_error() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let tag = consumer.consumer_tag().clone();
        deliver(&mut peer, &tag, 1..=3).await;
        cancel_by_server(&mut peer, &tag).await;
        consumer
            .for_each_concurrent(1, OnFailure::Requeue, |message| async move {
                assert_ne!(message.body, "3", "a panic that is meant");
                Err::<(), u64>(message.delivery_tag())
            })
            .on_failure(|failure| match &failure.cause {
                FailureCause::Failed(1) => OnFailure::Ack,
                FailureCause::Failed(tag) => {
                    assert_eq!((*tag, failure.redelivered), (failure.delivery_tag, false));
                    OnFailure::RequeueOnce
                }
                _ => panic!("in the middle of deciding"),
            })
            .await;
        let settled: String = settled(&mut peer, 3).await.into_values().collect();
        assert_eq!(settled, "aqq");
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_gives_the_rest_back() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let tag = consumer.consumer_tag().clone();
        deliver(&mut peer, &tag, 1..=5).await;
        let (started, stop) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
        let go_on = Arc::new(Notify::new());
        let handling = tokio::spawn({
            let (started, stop, go_on) =
                (Arc::clone(&started), Arc::clone(&stop), Arc::clone(&go_on));
            consumer
                .for_each_concurrent(2, OnFailure::Requeue, move |_| {
                    let (started, go_on) = (Arc::clone(&started), Arc::clone(&go_on));
                    async move {
                        started.add_permits(1);
                        go_on.notified().await;
                        Ok::<(), ()>(())
                    }
                })
                .until(async move { stop.notified().await })
        });
        started.acquire_many(2).await.unwrap().forget();
        stop.notify_one();
        // The rest comes back while the two still run.
        let back = settled(&mut peer, 3).await;
        assert_eq!(back, [(3, 'q'), (4, 'q'), (5, 'q')].into());
        assert!(!handling.is_finished());
        go_on.notify_waiters();
        let end = handling.await.unwrap();
        assert!(matches!(end.end, ConsumerEnd::Cancelled));
        assert_eq!(end.acked, 2);
        assert_eq!(settled(&mut peer, 2).await, [(1, 'a'), (2, 'a')].into());
    })
    .await;
}

#[tokio::test]
async fn handlers_that_are_dropped_give_their_messages_back() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let tag = consumer.consumer_tag().clone();
        deliver(&mut peer, &tag, 1..=3).await;
        let started = Semaphore::new(0);
        let handling = consumer.for_each_concurrent(2, OnFailure::Ack, |_| async {
            started.add_permits(1);
            std::future::pending::<Result<(), ()>>().await
        });
        tokio::select! {
            _ = handling => panic!("it never ends"),
            permits = started.acquire_many(2) => permits.unwrap().forget(),
        }
        assert_eq!(settled(&mut peer, 3).await, [(1, 'q'), (2, 'q'), (3, 'q')].into());
    })
    .await;
}

#[tokio::test]
async fn a_message_of_a_stream_is_acknowledged_whatever_happens() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let consumer_tag = consumer.consumer_tag().clone();
        let deliver = basic::Deliver {
            consumer_tag: consumer_tag.clone(),
            delivery_tag: 1,
            ..basic::Deliver::default()
        };
        peer.method(1, &deliver);
        let headers = FieldTable::new().with(short("x-stream-offset"), 7);
        let properties = Properties { headers: Some(headers), ..Properties::default() };
        encode::header(&mut peer.out, 1, 0, &properties).unwrap();
        cancel_by_server(&mut peer, &consumer_tag).await;
        let end = consumer
            .for_each_concurrent(1, OnFailure::Requeue, |_| async { Err::<(), ()>(()) })
            .await;
        assert_eq!((end.acked, end.failed, end.requeued), (1, 1, 0));
        assert_eq!(settled(&mut peer, 1).await, [(1, 'a')].into());
    })
    .await;
}

/// Each handler waits for a wake-up of its own; all others are left in peace.
#[tokio::test]
async fn only_handlers_that_were_woken_are_polled() {
    within(async {
        const HANDLERS: usize = 1000;
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer, "q").await;
        let tag = consumer.consumer_tag().clone();
        deliver(&mut peer, &tag, 1..=HANDLERS as u64).await;
        cancel_by_server(&mut peer, &tag).await;
        let polls = AtomicUsize::new(0);
        let (started, go_on) = (Semaphore::new(0), Semaphore::new(0));
        let handling = consumer.for_each_concurrent(HANDLERS, OnFailure::Requeue, |_| async {
            started.add_permits(1);
            let mut waiting = std::pin::pin!(go_on.acquire());
            std::future::poll_fn(|cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                waiting.as_mut().poll(cx)
            })
            .await
            .unwrap()
            .forget();
            Ok::<(), ()>(())
        });
        let one_by_one = async {
            started.acquire_many(HANDLERS as u32).await.unwrap().forget();
            for _ in 0..HANDLERS {
                go_on.add_permits(1);
                tokio::task::yield_now().await;
            }
        };
        let (end, ()) = tokio::join!(handling, one_by_one);
        assert_eq!(end.acked as usize, HANDLERS);
        let polls = polls.into_inner();
        assert!(polls <= 3 * HANDLERS, "{polls} polls for {HANDLERS} handlers");
    })
    .await;
}

#[tokio::test]
async fn merged_consumers_take_turns_and_end_one_by_one() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let second = open_channel(&connection, &mut peer).await;
        let a = consume(&channel, &mut peer, "a").await;
        let b = consume(&channel, &mut peer, "b").await;
        let c = consume(&second, &mut peer, "c").await;
        let tags = [&a, &b, &c].map(|consumer| consumer.consumer_tag().clone());
        (1..=6).for_each(|tag| peer.deliver(1, &tags[0], tag, b"x"));
        peer.deliver(1, &tags[1], 7, b"x");
        (1..=3).for_each(|tag| peer.deliver(2, &tags[2], tag, b"x"));
        peer.flush().await;
        let mut merged: MergedConsumers = [a, b, c].into_iter().collect();
        let mut order = String::new();
        for _ in 0..10 {
            let delivery = merged.next().await.unwrap().unwrap();
            order.push_str(delivery.queue().to_str().unwrap());
        }
        // However they came, none waits behind all of another's.
        let last_of_b = order.find('b').unwrap();
        assert!(last_of_b <= 5, "{order}");
        assert_eq!(order.matches('a').count(), 6);

        // One ends, the others go on.
        cancel_by_server(&mut peer, &tags[0]).await;
        let ended = merged.next().await.unwrap().unwrap_err();
        assert_eq!(
            (ended.queue.clone(), ended.consumer_tag.clone()),
            (short("a"), tags[0].clone())
        );
        assert!(matches!(ended.end, ConsumerEnd::CancelledByServer), "{ended}");
        assert_eq!(merged.len(), 2);
        peer.deliver(2, &tags[2], 4, b"x");
        peer.flush().await;
        assert_eq!(merged.next().await.unwrap().unwrap().queue(), &short("c"));
        // One comes along.
        merged.push(consume(&channel, &mut peer, "d").await);
        peer.close_channel(1).await;
        let mut ended = Vec::new();
        for _ in 0..2 {
            let end = merged.next().await.unwrap().unwrap_err();
            assert!(matches!(end.end, ConsumerEnd::ChannelClosed { channel: 1, .. }), "{end}");
            ended.push(end.queue.to_str().unwrap().to_owned());
        }
        ended.sort();
        assert_eq!(ended, ["b", "d"]);
        drop(peer);
        let ended = merged.next().await.unwrap().unwrap_err();
        assert!(matches!(ended.end, ConsumerEnd::ConnectionClosed { .. }), "{ended}");
        assert!(merged.next().await.is_none() && merged.is_empty());
    })
    .await;
}

#[tokio::test]
async fn merged_consumers_wake_whoever_waits() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut merged = MergedConsumers::new();
        let mut tags = Vec::new();
        for _ in 0..10 {
            let consumer = consume(&channel, &mut peer, "q").await;
            tags.push(consumer.consumer_tag().clone());
            merged.push(consumer);
        }
        for number in 0..100 {
            let deliver = async {
                tokio::task::yield_now().await;
                peer.deliver(1, &tags[number % 10], number as u64 + 1, b"x");
                peer.flush().await;
            };
            let (next, ()) = tokio::join!(merged.next(), deliver);
            assert_eq!(*next.unwrap().unwrap().consumer_tag(), tags[number % 10]);
        }
    })
    .await;
}
