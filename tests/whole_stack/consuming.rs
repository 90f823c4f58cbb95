//! Consumers: settling in every way, prefetch, cancelling from either side, dropping.

use std::collections::BTreeSet;

use amqp091::types::ShortStr;
use amqp091_client::{Channel, Consumer, Delivery, Error, FieldTable, Properties, Value};

use crate::place::{Place, queue, ready, server_error, unique};

async fn fill(channel: &Channel, queue: &str, messages: u32) {
    let mut confirms = Vec::new();
    for number in 0..messages {
        confirms.push(channel.publish("", queue, number.to_string()).await.unwrap());
    }
    for confirm in confirms {
        confirm.confirmed().await.unwrap();
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.expect("the stream goes on").unwrap()
}

fn number(delivery: &Delivery) -> u32 {
    std::str::from_utf8(&delivery.body).unwrap().parse().unwrap()
}

everywhere!(deliveries_are_settled_in_every_way);
async fn deliveries_are_settled_in_every_way(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    fill(&channel, queue, 6).await;
    let mut consumer = channel.consume(queue).await.unwrap();
    let mut deliveries = Vec::new();
    for expected in 0..6 {
        let delivery = next(&mut consumer).await;
        assert_eq!((number(&delivery), delivery.redelivered), (expected, false));
        assert_eq!(delivery.delivery_tag(), u64::from(expected) + 1);
        deliveries.push(delivery);
    }
    let mut deliveries = deliveries.into_iter();
    let mut take = || deliveries.next().unwrap();
    // 0 and 1 by one ack, 2 back, 3 back the old way, 4 and 5 away.
    drop(take());
    take().ack_multiple().unwrap();
    take().nack(true).unwrap();
    take().reject(true).unwrap();
    take().nack(false).unwrap();
    let (body, acker) = take().into_parts();
    assert_eq!(body, "5");
    acker.reject(false).unwrap();
    let mut back = BTreeSet::new();
    for _ in 0..2 {
        let delivery = next(&mut consumer).await;
        assert!(delivery.redelivered);
        back.insert(number(&delivery));
        delivery.ack().unwrap();
    }
    assert_eq!(back, [2, 3].into());
    // With everything settled nothing comes back when the channel goes.
    let other = connection.channel().await.unwrap();
    drop(consumer);
    channel.close().await.unwrap();
    assert_eq!(ready(&other, queue).await, 0);
}

everywhere!(an_unsettled_delivery_comes_back_when_its_channel_is_closed);
async fn an_unsettled_delivery_comes_back_when_its_channel_is_closed(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    fill(&channel, queue, 1).await;
    let mut consumer = channel.consume(queue).await.unwrap();
    let delivery = next(&mut consumer).await;
    channel.close().await.unwrap();
    let error = delivery.ack().unwrap_err();
    assert!(matches!(error, Error::ChannelClosed { .. }), "{error}");
    assert!(consumer.next().await.is_none(), "this program closed it: no error");
    let again = connection.channel().await.unwrap();
    let mut consumer = again.consume(queue).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert!(delivery.redelivered);
    delivery.ack().unwrap();
}

everywhere!(prefetch_bounds_what_is_under_way);
async fn prefetch_bounds_what_is_under_way(place: &Place) {
    let (connection, channel) = place.open().await;
    let publisher = connection.channel().await.unwrap();
    let queue = &*queue(&channel).await;
    fill(&publisher, queue, 20).await;
    let mut consumer = channel.consume(queue).prefetch(5).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(next(&mut consumer).await);
    }
    assert_eq!(ready(&channel, queue).await, 15);
    held.pop().unwrap().ack_multiple().unwrap();
    for expected in 5..10 {
        assert_eq!(number(&next(&mut consumer).await), expected);
    }
    assert_eq!(ready(&channel, queue).await, 10);
    // The channel's own setting holds for later consumers, and a global one for all together.
    drop(consumer);
    let other = connection.channel().await.unwrap();
    other.qos(3).global(true).await.unwrap();
    let mut first = other.consume(queue).await.unwrap();
    let mut second = other.consume(queue).await.unwrap();
    let mut count = 0;
    while ready(&other, queue).await != 7 {
        count += 1;
        assert!(count < 1000, "the limit isn't reached, or not kept");
    }
    first.cancel().await.unwrap();
    second.cancel().await.unwrap();
    let mut fetched = 0;
    for consumer in [&mut first, &mut second] {
        while consumer.next().await.transpose().unwrap().is_some() {
            fetched += 1;
        }
    }
    assert_eq!(fetched, 3);
}

everywhere!(without_acknowledgement_messages_are_gone_when_sent);
async fn without_acknowledgement_messages_are_gone_when_sent(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    fill(&channel, queue, 100).await;
    let mut consumer = channel.consume(queue).no_ack(true).no_local(true).await.unwrap();
    for expected in 0..100 {
        let delivery = next(&mut consumer).await;
        assert_eq!(number(&delivery), expected);
        delivery.ack().unwrap();
    }
    drop(consumer);
    channel.close().await.unwrap();
}

everywhere!(an_exclusive_consumer_is_the_only_one);
async fn an_exclusive_consumer_is_the_only_one(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let exclusive = channel.consume(queue).exclusive(true).await.unwrap();
    let other = connection.channel().await.unwrap();
    let error = other.consume(queue).await.unwrap_err();
    assert_eq!(server_error(&error), (403, Some("basic.consume"), true));
    drop(exclusive);
    // The cancel is on its way before this, on the same connection but another channel.
    channel.qos(0).await.unwrap();
    let other = connection.channel().await.unwrap();
    let _now_allowed = other.consume(queue).await.unwrap();
}

everywhere!(what_came_before_a_cancel_can_still_be_fetched);
async fn what_came_before_a_cancel_can_still_be_fetched(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    fill(&channel, queue, 50).await;
    let mut consumer = channel.consume(queue).consumer_tag("mine").await.unwrap();
    assert_eq!(*consumer.consumer_tag(), "mine");
    next(&mut consumer).await.ack().unwrap();
    consumer.cancel().await.unwrap();
    let mut fetched = 1;
    while let Some(delivery) = consumer.next().await {
        delivery.unwrap().ack().unwrap();
        fetched += 1;
    }
    fill(&channel, queue, 1).await;
    assert_eq!(ready(&channel, queue).await, 51 - fetched);
    // Its tag is free for another.
    let mut again = channel.consume(queue).consumer_tag("mine").await.unwrap();
    next(&mut again).await.ack().unwrap();
    assert!(consumer.next().await.is_none());
}

everywhere!(two_consumers_share_a_queue, threads);
async fn two_consumers_share_a_queue(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let tasks: Vec<_> = {
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let mut consumer = channel.consume(queue).prefetch(10).await.unwrap();
            tasks.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(delivery) = consumer.next().await {
                    let delivery = delivery.unwrap();
                    if delivery.body == "stop" {
                        delivery.ack().unwrap();
                        break;
                    }
                    assert!(!delivery.redelivered);
                    seen.push(number(&delivery));
                    delivery.ack().unwrap();
                }
                seen
            }));
        }
        tasks
    };
    fill(&channel, queue, 200).await;
    // The one that stops first is dropped: if it held the other's signal, that goes back.
    for _ in 0..2 {
        channel.publish("", queue, "stop").await.unwrap().confirmed().await.unwrap();
    }
    let mut all = Vec::new();
    for task in tasks {
        let seen = task.await.unwrap();
        assert!(!seen.is_empty());
        all.extend(seen);
    }
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
}

everywhere!(what_a_dropped_consumer_had_goes_to_another);
async fn what_a_dropped_consumer_had_goes_to_another(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    fill(&channel, queue, 30).await;
    let mut dropped = channel.consume(queue).await.unwrap();
    let kept = next(&mut dropped).await;
    // All are on their way, or here: none is ready.
    let mut count = 0;
    while ready(&channel, queue).await != 0 {
        count += 1;
        assert!(count < 1000, "messages stay in the queue");
    }
    drop(dropped);
    let other = connection.channel().await.unwrap();
    let mut consumer = other.consume(queue).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 29 {
        let delivery = next(&mut consumer).await;
        assert!(delivery.redelivered);
        seen.insert(number(&delivery));
        delivery.ack().unwrap();
    }
    assert_eq!(seen, (1..30).collect());
    kept.ack().unwrap();
    drop(channel);
    consumer.cancel().await.unwrap();
    assert!(consumer.next().await.is_none(), "the first message came a second time");
}

everywhere!(a_deleted_queue_cancels_its_consumers_and_nothing_else);
async fn a_deleted_queue_cancels_its_consumers_and_nothing_else(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (doomed, other) = (&*queue(&channel).await, &*queue(&channel).await);
    fill(&channel, doomed, 1).await;
    let mut first = channel.consume(doomed).await.unwrap();
    let mut second = channel.consume(doomed).await.unwrap();
    let mut survivor = channel.consume(other).await.unwrap();
    let delivery = next(&mut first).await;
    channel.queue_delete(doomed).await.unwrap();
    for consumer in [&mut first, &mut second] {
        let error = consumer.next().await.unwrap().unwrap_err();
        let Error::ConsumerCancelled { tag } = &error else { panic!("{error}") };
        assert_eq!(tag, consumer.consumer_tag());
        assert!(consumer.next().await.is_none());
    }
    // Its queue is gone, but the delivery tag is still the channel's.
    delivery.ack().unwrap();
    fill(&channel, other, 1).await;
    next(&mut survivor).await.ack().unwrap();
    first.cancel().await.unwrap();
    channel.check_open().unwrap();
}

everywhere!(other_calls_overtake_consume_and_cancel, threads);
/// The queue answers these, and RabbitMQ's channel may have answered a later call by then.
async fn other_calls_overtake_consume_and_cancel(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queues = [&*unique("a"), &*unique("b"), &*unique("c")];
    for queue in queues {
        channel.queue_declare(queue).exclusive(true).await.unwrap();
    }
    for _ in 0..100 {
        let (a, b, c, qos, declared) = tokio::join!(
            async { channel.consume(queues[0]).prefetch(1).await },
            async { channel.consume(queues[1]).await },
            async { channel.consume(queues[2]).await },
            async { channel.qos(1).await },
            async { channel.queue_declare(queues[0]).exclusive(true).await },
        );
        qos.unwrap();
        assert_eq!(declared.unwrap().queue, *queues[0]);
        fill(&channel, queues[1], 1).await;
        let (a, mut b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        next(&mut b).await.ack().unwrap();
        drop(c);
        let (cancelled, also_cancelled, declared, qos) = tokio::join!(
            a.cancel(),
            b.cancel(),
            async { channel.queue_declare(queues[2]).exclusive(true).await },
            async { channel.qos(1).await },
        );
        cancelled.unwrap();
        also_cancelled.unwrap();
        assert_eq!(declared.unwrap().queue, *queues[2]);
        qos.unwrap();
    }
}

everywhere!(a_consumer_of_a_higher_priority_is_served_first);
async fn a_consumer_of_a_higher_priority_is_served_first(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let priority =
        |value| FieldTable::new().with(ShortStr::new("x-priority").unwrap(), Value::I32(value));
    let mut low = channel.consume(queue).arguments(priority(1)).await.unwrap();
    let mut high = channel.consume(queue).arguments(priority(9)).await.unwrap();
    fill(&channel, queue, 10).await;
    for expected in 0..10 {
        let delivery = next(&mut high).await;
        assert_eq!(number(&delivery), expected);
        delivery.ack().unwrap();
    }
    low.cancel().await.unwrap();
    assert!(low.next().await.is_none());
}

everywhere!(requests_and_replies_by_the_direct_reply_queue);
async fn requests_and_replies_by_the_direct_reply_queue(place: &Place) {
    let (connection, client) = place.open().await;
    let server = place.connect().await.channel().await.unwrap();
    let requests = &*unique("requests");
    server.queue_declare(requests).auto_delete(true).await.unwrap();
    let mut serving = server.consume(requests).await.unwrap();
    let replies = "amq.rabbitmq.reply-to";
    let mut answers = client.consume(replies).no_ack(true).await.unwrap();
    let properties = Properties::default()
        .with_reply_to(ShortStr::new(replies).unwrap())
        .with_correlation_id(ShortStr::new("7").unwrap());
    let ask = client.publish("", requests, "ping").properties(&properties);
    ask.await.unwrap().confirmed().await.unwrap();
    let request = next(&mut serving).await;
    let asked = request.properties().unwrap();
    let answer = Properties::default().with_correlation_id(asked.correlation_id.unwrap());
    let reply_to = asked.reply_to.unwrap();
    let publish = server.publish("", &reply_to, "pong").properties(&answer);
    publish.await.unwrap().confirmed().await.unwrap();
    request.ack().unwrap();
    let reply = next(&mut answers).await;
    assert_eq!(reply.body, "pong");
    assert_eq!(reply.properties().unwrap().correlation_id.unwrap(), "7");
    connection.close().await.unwrap();
}

everywhere!(a_consume_given_up_before_its_answer_harms_nothing);
/// RabbitMQ's channel crashes on a cancel that overtakes the start of its consumer.
async fn a_consume_given_up_before_its_answer_harms_nothing(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    for _ in 0..100 {
        tokio::select! {
            biased;
            _ = channel.consume(queue).prefetch(1) => panic!("answered at once"),
            () = std::future::ready(()) => {}
        }
        channel.qos(0).await.unwrap();
    }
    // Those given up have gone, or give back what they get: nothing is withheld.
    fill(&channel, queue, 100).await;
    let mut consumer = channel.consume(queue).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 100 {
        let delivery = next(&mut consumer).await;
        seen.insert(number(&delivery));
        delivery.ack().unwrap();
    }
}
