//! Methods that go without a reply: that they are carried out, in order, and how a refusal is told.

use amqp091_client::ReplyCode;

use crate::place::{Place, eventually, queue, ready, server_error, unique};

everywhere!(everything_is_declared_used_and_deleted_without_a_reply);
async fn everything_is_declared_used_and_deleted_without_a_reply(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (source, sink) = (&*unique("source"), &*unique("sink"));
    let name = &*unique("no-wait");
    channel.exchange_declare(source, "direct").no_wait().await.unwrap();
    channel.exchange_declare(sink, "fanout").no_wait().await.unwrap();
    channel.queue_declare(name).exclusive(true).no_wait().await.unwrap();
    channel.exchange_bind(sink, source).routing_key("key").no_wait().await.unwrap();
    channel.queue_bind(name, sink).no_wait().await.unwrap();
    channel.confirm_select().no_wait().await.unwrap();
    channel.publish(source, "key", "m").await.unwrap().confirmed().await.unwrap();
    assert_eq!(ready(&channel, name).await, 1);
    channel.queue_purge(name).no_wait().await.unwrap();
    assert_eq!(ready(&channel, name).await, 0);
    channel.exchange_unbind(sink, source).routing_key("key").no_wait().await.unwrap();
    channel.publish(source, "key", "m").await.unwrap().confirmed().await.unwrap();
    assert_eq!(ready(&channel, name).await, 0);
    channel.queue_delete(name).no_wait().await.unwrap();
    channel.exchange_delete(source).no_wait().await.unwrap();
    channel.exchange_delete(sink).no_wait().await.unwrap();
    let error = channel.queue_declare(name).passive(true).await.unwrap_err();
    assert_eq!(server_error(&error), (404, Some("queue.declare"), true));
}

everywhere!(a_refusal_closes_the_channel_and_the_next_call_tells);
async fn a_refusal_closes_the_channel_and_the_next_call_tells(place: &Place) {
    let (connection, channel) = place.open().await;
    let missing = unique("missing");
    channel.queue_declare(&missing).passive(true).no_wait().await.unwrap();
    let error = channel.qos(1).await.unwrap_err();
    assert_eq!(server_error(&error), (404, Some("queue.declare"), true));

    let channel = connection.channel().await.unwrap();
    let mut consumer = channel.consume(&missing).no_wait().await.unwrap();
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(server_error(&error), (404, Some("basic.consume"), true));
    assert!(consumer.next().await.is_none());
    connection.close().await.unwrap();
}

everywhere!(a_consumer_is_started_and_cancelled_without_a_reply);
async fn a_consumer_is_started_and_cancelled_without_a_reply(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let mut consumer = channel.consume(&queue).prefetch(10).no_wait().await.unwrap();
    let tag = consumer.consumer_tag().clone();
    for body in ["a", "b"] {
        channel.publish("", &queue, body).await.unwrap().confirmed().await.unwrap();
    }
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(delivery.body, "a");
    delivery.ack().unwrap();
    consumer.handle().cancel().no_wait().await.unwrap();
    // What came is handed out, then the stream ends.
    while let Some(delivery) = consumer.next().await {
        delivery.unwrap().nack(true).unwrap();
    }
    drop(consumer);
    let count = eventually(async || {
        let count = ready(&channel, &queue).await;
        (count == 1).then_some(count)
    });
    assert_eq!(count.await, 1);
    let error = channel.consume(&queue).consumer_tag(&tag).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(error.reply_code(), None::<ReplyCode>);
    channel.close().await.unwrap();
}

everywhere!(consumers_dropped_at_once_harm_nobody);
/// A cancel that overtakes the start of its consumer would crash RabbitMQ's channel.
async fn consumers_dropped_at_once_harm_nobody(place: &Place) {
    let (_connection, channel) = place.open().await;
    let quorum = unique("quorum");
    let classic = queue(&channel).await;
    let arguments = amqp091_client::FieldTable::new()
        .with(amqp091_client::ShortStr::from_static("x-queue-type"), "quorum");
    channel.queue_declare(&quorum).durable(true).arguments(arguments).await.unwrap();
    for queue in [&classic, &quorum] {
        for number in 0..20 {
            let publish = channel.publish("", queue, number.to_string());
            publish.await.unwrap().confirmed().await.unwrap();
            let consumer = channel.consume(queue).no_wait().await.unwrap();
            if number % 2 == 0 {
                consumer.cancel().no_wait().await.unwrap();
            }
        }
        eventually(async || {
            let declared = channel.queue_declare(queue).passive(true).await.unwrap();
            (declared.consumer_count == 0).then_some(())
        })
        .await;
    }
    channel.queue_delete(&quorum).await.unwrap();
    channel.close().await.unwrap();
}
