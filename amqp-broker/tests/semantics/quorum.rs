//! Quorum queues: what tells them from classic ones.

use amqp091_client::{Channel, Value};

use crate::place::{
    Place, get, next, put, queue, ready, refusal, table, take, unique, until_ready,
};

async fn quorum<const N: usize>(channel: &Channel, arguments: [(&str, Value); N]) -> String {
    let name = unique("quorum");
    let arguments = table(arguments).with(crate::place::key("x-queue-type"), "quorum");
    channel.queue_declare(&name).durable(true).arguments(arguments).await.unwrap();
    name
}

everywhere!(deliveries_are_counted_and_limited);
async fn deliveries_are_counted_and_limited(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = queue(&channel, []).await;
    let arguments = [
        ("x-delivery-limit", Value::I32(2)),
        ("x-dead-letter-exchange", Value::from("")),
        ("x-dead-letter-routing-key", Value::from(&dead)),
    ];
    let name = quorum(&channel, arguments).await;
    put(&channel, &name, "m").await;
    let mut consumer = channel.consume(&name).await.unwrap();
    for count in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redelivered, count > 0);
        let headers = delivery.properties().unwrap().headers.unwrap_or_default();
        let told = headers.get("x-delivery-count").and_then(Value::as_i64);
        assert_eq!(told, (count > 0).then_some(count));
        delivery.nack(true).unwrap();
    }
    let headers = get(&channel, &dead).await.properties().unwrap().headers.unwrap();
    assert_eq!(headers.get("x-first-death-reason").and_then(Value::as_str), Some("delivery_limit"));
    channel.queue_delete(&name).await.unwrap();
}

everywhere!(what_comes_back_goes_behind_or_before_the_others);
async fn what_comes_back_goes_behind_or_before_the_others(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = quorum(&channel, []).await;
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    let held = get(&channel, &name).await;
    assert_eq!(held.body, "1");
    held.nack(true).unwrap();
    until_ready(&channel, &name, 3).await;
    let bodies = if place.is_4() { ["1", "2", "3"] } else { ["2", "3", "1"] };
    for body in bodies {
        assert_eq!(take(&channel, &name).await, body);
    }
    channel.queue_delete(&name).await.unwrap();
}

everywhere!(one_active_at_a_time_and_no_gets);
async fn one_active_at_a_time_and_no_gets(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = quorum(&channel, [("x-single-active-consumer", Value::Bool(true))]).await;
    let mut first = channel.consume(&name).await.unwrap();
    let other = connection.channel().await.unwrap();
    let mut second = other.consume(&name).await.unwrap();
    put(&channel, &name, "1").await;
    next(&mut first).await.ack().unwrap();
    let refused = connection.channel().await.unwrap();
    let error = refused.get(&name).await.unwrap_err();
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain access to locked queue '{name}' in vhost '/'. basic.get operations are not supported by quorum queues with single active consumer"
    );
    assert_eq!(refusal(&error), (405, text));
    first.cancel().await.unwrap();
    put(&channel, &name, "2").await;
    assert_eq!(next(&mut second).await.body, "2");
    channel.queue_delete(&name).await.unwrap();
}

everywhere!(what_they_are_not_for);
async fn what_they_are_not_for(place: &Place) {
    let (connection, _channel) = place.open().await;
    let name = unique("quorum");
    let kind = || table([("x-queue-type", Value::from("quorum"))]);
    let priorities = || kind().with(crate::place::key("x-max-priority"), Value::I32(5));
    let cases = [
        (false, false, false, kind(), "invalid property 'non-durable' for QUEUE"),
        (true, true, false, kind(), "invalid property 'exclusive-owner' for QUEUE"),
        (true, false, true, kind(), "invalid property 'auto-delete' for QUEUE"),
        (
            true,
            false,
            false,
            priorities(),
            "invalid arg 'x-max-priority' for QUEUE of queue type rabbit_quorum_queue",
        ),
    ];
    for (durable, exclusive, auto_delete, arguments, text) in cases {
        let channel = connection.channel().await.unwrap();
        let declare = channel.queue_declare(&name).durable(durable).exclusive(exclusive);
        let error = declare.auto_delete(auto_delete).arguments(arguments).await.unwrap_err();
        let text = text.replace("QUEUE", &format!("queue '{name}' in vhost '/'"));
        assert_eq!(refusal(&error), (406, format!("PRECONDITION_FAILED - {text}")));
    }
}

everywhere!(counts);
async fn counts(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = quorum(&channel, [("x-max-length", Value::I32(2))]).await;
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    until_ready(&channel, &name, 2).await;
    let held = get(&channel, &name).await;
    assert_eq!(held.body, "2");
    until_ready(&channel, &name, 1).await;
    assert_eq!(channel.queue_purge(&name).await.unwrap().message_count, 1);
    held.nack(true).unwrap();
    until_ready(&channel, &name, 1).await;
    assert_eq!(ready(&channel, &name).await, 1);
    channel.queue_delete(&name).await.unwrap();
}

everywhere!(twenty_times_again_are_enough_for_4);
async fn twenty_times_again_are_enough_for_4(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = queue(&channel, []).await;
    let arguments = [
        ("x-dead-letter-exchange", Value::from("")),
        ("x-dead-letter-routing-key", Value::from(&dead)),
    ];
    let name = quorum(&channel, arguments).await;
    put(&channel, &name, "m").await;
    let mut consumer = channel.consume(&name).await.unwrap();
    for count in 0..21 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redelivered, count > 0);
        delivery.nack(true).unwrap();
    }
    if place.is_4() {
        assert_eq!(take(&channel, &dead).await, "m");
    } else {
        next(&mut consumer).await.ack().unwrap();
    }
    until_ready(&channel, &name, 0).await;
    channel.queue_delete(&name).await.unwrap();
}
