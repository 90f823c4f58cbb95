//! Consumers: whose turn it is, how much they may hold, how they end.

use std::time::Duration;

use amqp091_client::{Consumer, Value};

use crate::place::{Place, get, next, put, queue, ready, refusal, unique, until_ready};

/// Nothing comes for a while.
async fn nothing(consumer: &mut Consumer) {
    let waited = tokio::time::timeout(Duration::from_millis(60), consumer.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

everywhere!(in_turn_by_registration);
async fn in_turn_by_registration(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(channel.consume(&name).no_ack(true).await.unwrap());
    }
    for body in ["0", "1", "2", "3", "4", "5"] {
        put(&channel, &name, body).await;
    }
    let mut bodies = Vec::new();
    for consumer in &mut consumers {
        for _ in 0..2 {
            bodies.push(next(consumer).await.text().unwrap().into_owned());
        }
    }
    assert_eq!(bodies, ["0", "3", "1", "4", "2", "5"]);
}

everywhere!(the_highest_priority_that_has_room);
async fn the_highest_priority_that_has_room(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let mut low = channel.consume(&name).priority(-1).await.unwrap();
    let other = connection.channel().await.unwrap();
    let mut high = other.consume(&name).priority(10).prefetch(2).await.unwrap();
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    let first = next(&mut high).await;
    assert_eq!((&*first.body, &*next(&mut high).await.body), (&b"1"[..], &b"2"[..]));
    assert_eq!(next(&mut low).await.body, "3");
    first.ack().unwrap();
    // Its answer shows that the ack has been seen.
    other.flow(true).await.unwrap();
    put(&channel, &name, "4").await;
    assert_eq!(next(&mut high).await.body, "4");
}

everywhere!(one_active_at_a_time);
async fn one_active_at_a_time(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, [("x-single-active-consumer", Value::Bool(true))]).await;
    let mut first = channel.consume(&name).await.unwrap();
    let other = connection.channel().await.unwrap();
    let mut second = other.consume(&name).await.unwrap();
    for body in ["1", "2"] {
        put(&channel, &name, body).await;
    }
    let held = next(&mut first).await;
    assert_eq!((&*held.body, &*next(&mut first).await.body), (&b"1"[..], &b"2"[..]));
    nothing(&mut second).await;
    first.cancel().await.unwrap();
    put(&channel, &name, "3").await;
    assert_eq!(next(&mut second).await.body, "3");
    // What the first one held is still its own, and goes to the second when it comes back.
    assert_eq!(ready(&channel, &name).await, 0);
    held.nack(true).unwrap();
    let back = next(&mut second).await;
    assert_eq!((&*back.body, back.redelivered), (&b"1"[..], true));
}

everywhere!(an_exclusive_consumer_is_alone);
async fn an_exclusive_consumer_is_alone(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let text = format!("ACCESS_REFUSED - queue '{name}' in vhost '/' in exclusive use");
    let consumer = channel.consume(&name).await.unwrap();
    let refused = connection.channel().await.unwrap();
    let error = refused.consume(&name).exclusive(true).await.unwrap_err();
    assert_eq!(refusal(&error), (403, text.clone()));
    consumer.cancel().await.unwrap();
    let consumer = channel.consume(&name).exclusive(true).await.unwrap();
    let refused = connection.channel().await.unwrap();
    let error = refused.consume(&name).await.unwrap_err();
    assert_eq!(refusal(&error), (403, text));
    // Gets are no consumers.
    assert!(channel.get(&name).await.unwrap().is_none());
    consumer.cancel().await.unwrap();
    let _consumer = channel.consume(&name).await.unwrap();
}

everywhere!(prefetch_is_of_the_consumers_after_it);
async fn prefetch_is_of_the_consumers_after_it(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    for body in ["1", "2", "3", "4", "5", "6"] {
        put(&channel, &name, body).await;
    }
    let mut one = channel.consume(&name).prefetch(1).await.unwrap();
    let first = next(&mut one).await;
    nothing(&mut one).await;
    let mut two = channel.consume(&name).prefetch(2).await.unwrap();
    let held = [next(&mut two).await, next(&mut two).await];
    nothing(&mut two).await;
    // Still one for the first.
    first.ack().unwrap();
    assert_eq!(next(&mut one).await.body, "4");
    nothing(&mut one).await;
    drop(held);
    assert_eq!(ready(&channel, &name).await, 2);
}

everywhere!(global_prefetch_is_shared);
async fn global_prefetch_is_shared(place: &Place) {
    let (_connection, channel) = place.open().await;
    let [name, other] = [queue(&channel, []).await, queue(&channel, []).await];
    channel.qos(2).global(true).await.unwrap();
    let mut one = channel.consume(&name).await.unwrap();
    let mut two = channel.consume(&other).await.unwrap();
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    let first = next(&mut one).await;
    let _second = next(&mut one).await;
    put(&channel, &other, "other").await;
    nothing(&mut one).await;
    nothing(&mut two).await;
    first.ack().unwrap();
    let third = tokio::select! {
        third = next(&mut one) => third,
        other = next(&mut two) => other,
    };
    nothing(&mut one).await;
    nothing(&mut two).await;
    third.ack().unwrap();
    // More room, and then no limit.
    channel.qos(0).global(true).await.unwrap();
    tokio::select! {
        _ = next(&mut one) => {}
        _ = next(&mut two) => {}
    }
}

everywhere!(a_deleted_queue_cancels_its_consumers);
async fn a_deleted_queue_cancels_its_consumers(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = unique("deleted");
    channel.queue_declare(&name).await.unwrap();
    let mut consumer = channel.consume(&name).await.unwrap();
    put(&channel, &name, "m").await;
    let held = next(&mut consumer).await;
    let other = connection.channel().await.unwrap();
    assert_eq!(other.queue_delete(&name).await.unwrap().message_count, 0);
    let end = consumer.next().await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    // An ack of what went with the queue is fine.
    held.ack().unwrap();
    channel.flow(true).await.unwrap();
}

everywhere!(what_a_cancelled_consumer_holds_stays_its_channels);
async fn what_a_cancelled_consumer_holds_stays_its_channels(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let mut consumer = channel.consume(&name).await.unwrap();
    put(&channel, &name, "m").await;
    let held = next(&mut consumer).await;
    consumer.cancel().await.unwrap();
    assert_eq!(ready(&channel, &name).await, 0);
    held.nack(true).unwrap();
    until_ready(&channel, &name, 1).await;
    assert!(get(&channel, &name).await.redelivered);
}
