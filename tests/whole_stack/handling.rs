//! Consumers merged, handled a number at a time, with acknowledgements that wait; and how they end.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amqp091_client::{Channel, ConsumerEnd, MergedConsumers, OnFailure, Properties, ShortStr};
use tokio::sync::Notify;

use crate::place::{Place, eventually, queue, ready, unique};

async fn fill(channel: &Channel, queue: &str, messages: u32) {
    let mut confirms = Vec::new();
    for number in 0..messages {
        confirms.push(channel.publish("", queue, number.to_string()).await.unwrap());
    }
    for confirm in confirms {
        confirm.confirmed().await.unwrap();
    }
}

/// Waits until the queue has this many messages and nobody holds any.
async fn left(channel: &Channel, queue: &str, messages: u32) {
    eventually(async || (ready(channel, queue).await == messages).then_some(())).await;
}

everywhere!(merged_consumers_go_on_when_the_queue_of_one_is_deleted, threads);
async fn merged_consumers_go_on_when_the_queue_of_one_is_deleted(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let (doomed, first, second) =
        (&*queue(&channel).await, &*queue(&channel).await, &*queue(&channel).await);
    for queue in [doomed, first, second] {
        fill(&channel, queue, 20).await;
    }
    let mut merged = MergedConsumers::new();
    merged.push(channel.consume(doomed).prefetch(5).await.unwrap());
    merged.push(channel.consume(first).prefetch(5).await.unwrap());
    merged.push(other.consume(second).prefetch(5).await.unwrap());
    let (mut handled, mut deleted) = (0, false);
    while handled < 60 {
        match merged.next().await.unwrap() {
            Ok(delivery) => {
                handled += 1;
                let is_doomed = *delivery.queue() == *doomed;
                delivery.ack().unwrap();
                if is_doomed && !deleted {
                    deleted = true;
                    other.queue_delete(doomed).await.unwrap();
                }
            }
            Err(ended) => {
                assert_eq!(ended.queue, *doomed);
                assert!(matches!(ended.end, ConsumerEnd::CancelledByServer), "{ended}");
                break;
            }
        }
    }
    assert!(deleted && merged.len() == 2);
    fill(&channel, first, 20).await;
    let mut queues = BTreeSet::new();
    while queues.len() < 2 || handled < 41 {
        let delivery = merged.next().await.unwrap().unwrap();
        queues.insert(delivery.queue().clone());
        delivery.ack().unwrap();
        handled += 1;
    }
    for handle in merged.handles() {
        handle.cancel().await.unwrap();
    }
    let mut ends = 0;
    while let Some(next) = merged.next().await {
        match next {
            Ok(delivery) => delivery.ack().unwrap(),
            Err(ended) => {
                assert!(matches!(ended.end, ConsumerEnd::Cancelled), "{ended}");
                ends += 1;
            }
        }
    }
    assert_eq!(ends, 2);
}

everywhere!(a_message_that_always_fails_goes_to_the_dead_letters);
async fn a_message_that_always_fails_goes_to_the_dead_letters(place: &Place) {
    let (connection, channel) = place.open().await;
    let dead = &*queue(&channel).await;
    let work = &*unique("work");
    channel
        .queue_declare(work)
        .exclusive(true)
        .dead_letter_exchange("")
        .dead_letter_routing_key(dead)
        .await
        .unwrap();
    fill(&channel, work, 10).await;
    let attempts = AtomicU32::new(0);
    let (done, everything) = (AtomicU32::new(0), Notify::new());
    let end = channel
        .consume(work)
        .prefetch(4)
        .await
        .unwrap()
        .for_each_concurrent(4, OnFailure::RequeueOnce, |message| {
            let (attempts, done, everything) = (&attempts, &done, &everything);
            async move {
                tokio::task::yield_now().await;
                if message.body == "7" {
                    attempts.fetch_add(1, Ordering::Relaxed);
                    return Err("poison");
                }
                if message.body == "3" && !message.redelivered {
                    panic!("a panic that is meant");
                }
                if done.fetch_add(1, Ordering::Relaxed) == 8 {
                    everything.notify_one();
                }
                Ok(())
            }
        })
        .until(async {
            everything.notified().await;
            // By another channel: the message is dead when it is there.
            let other = connection.channel().await.unwrap();
            left(&other, dead, 1).await;
        })
        .await;
    assert_eq!((attempts.into_inner(), end.acked), (2, 9));
    assert_eq!((end.failed, end.panicked), (3, 1));
    assert_eq!((end.requeued, end.dead_lettered, end.unsettled), (2, 1, 0));
    left(&channel, work, 0).await;
    let poison = channel.get(dead).await.unwrap().unwrap().delivery;
    assert_eq!(poison.body, "7");
    assert!(poison.properties().unwrap().headers.unwrap().contains_key("x-death"));
    poison.ack().unwrap();
}

everywhere!(a_graceful_stop_loses_and_repeats_nothing, threads);
async fn a_graceful_stop_loses_and_repeats_nothing(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    fill(&channel, &queue, 500).await;
    let handled = Mutex::new(Vec::new());
    let enough = Notify::new();
    let end = channel
        .consume(&queue)
        .prefetch(40)
        .coalesce_acks(16, Duration::from_millis(50))
        .await
        .unwrap()
        .for_each_concurrent(20, OnFailure::Requeue, |message| {
            let (handled, enough) = (&handled, &enough);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let mut handled = handled.lock().unwrap();
                handled.push(message.text().unwrap().parse::<u32>().unwrap());
                if handled.len() == 100 {
                    enough.notify_one();
                }
                Ok::<(), ()>(())
            }
        })
        .until(enough.notified())
        .await;
    let handled: BTreeSet<u32> = handled.into_inner().unwrap().into_iter().collect();
    assert_eq!(end.acked as usize, handled.len());
    assert!((100..140).contains(&handled.len()));
    let other = connection.channel().await.unwrap();
    channel.close().await.unwrap();
    let rest = 500 - u32::try_from(handled.len()).unwrap();
    left(&other, &queue, rest).await;
    let left = other.consume(&queue).await.unwrap();
    eventually(async || (ready(&other, &queue).await == 0).then_some(())).await;
    for delivery in left.drain().await.unwrap() {
        assert!(!handled.contains(&delivery.text().unwrap().parse::<u32>().unwrap()));
    }
}

everywhere!(acks_that_wait_settle_what_was_acknowledged_and_nothing_else, threads);
async fn acks_that_wait_settle_what_was_acknowledged_and_nothing_else(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let (a, b) = (queue(&other).await, queue(&other).await);
    fill(&other, &a, 1000).await;
    fill(&other, &b, 1000).await;
    // Two consumers with acknowledgements, one without, and single fetches share the tags.
    let delay = Duration::from_millis(20);
    let mut merged = MergedConsumers::new();
    let first = channel.consume(&a).prefetch(100).coalesce_acks(50, delay);
    merged.push(first.await.unwrap());
    merged.push(channel.consume(&b).prefetch(100).await.unwrap());
    let unacked = queue(&other).await;
    fill(&other, &unacked, 100).await;
    merged.push(channel.consume(&unacked).no_ack(true).await.unwrap());
    let (mut held, mut settled, mut seen) = (Vec::new(), 0, 0);
    while seen < 1900 {
        if seen % 100 == 50
            && let Some(got) = channel.get(&a).await.unwrap()
        {
            got.delivery.ack().unwrap();
            settled += 1;
        }
        let delivery = merged.next().await.unwrap().unwrap();
        seen += 1;
        if *delivery.queue() == *unacked {
            continue;
        }
        match seen % 37 {
            // Few enough for the prefetch.
            0 => held.push(delivery),
            1 => {
                delivery.nack(false).unwrap();
                settled += 1;
            }
            _ => {
                delivery.ack().unwrap();
                settled += 1;
            }
        }
    }
    assert!(settled > 1500 && held.len() > 40);
    channel.check_open().unwrap();
    drop((merged, held));
    channel.close().await.unwrap();
    // All else is there again, and nothing of it was settled along.
    eventually(async || {
        let left = ready(&other, &a).await + ready(&other, &b).await;
        (left == 2000 - settled).then_some(())
    })
    .await;
}

everywhere!(text_is_read_as_its_publisher_wrote_it);
async fn text_is_read_as_its_publisher_wrote_it(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    for (encoding, body) in [
        ("utf-8", &b"gr\xc3\xbcn"[..]),
        ("latin-1", b"gr\xfcn"),
        ("utf-16", b"\xff\xfeg\0r\0\xfc\0n\0"),
    ] {
        let properties =
            Properties::default().with_content_encoding(ShortStr::from_static(encoding));
        let publish = channel.publish("", &queue, body).properties(&properties);
        publish.await.unwrap().confirmed().await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.text().unwrap(), "grün", "{encoding}");
        delivery.ack().unwrap();
    }
}
