//! Queues: the quick start, every builder, `basic.get`.

use amqp091::types::ShortStr;
use amqp091_client::{Connection, FieldTable, Outcome, Value};

use crate::place::{Place, eventually, queue, ready, server_error, unique};

everywhere!(the_quick_start, threads);
async fn the_quick_start(place: &Place) {
    let connection = Connection::connect(&place.options()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let work = &*unique("work");
    channel.queue_declare(work).durable(true).await.unwrap();
    channel.publish("", work, "hello").await.unwrap().confirmed().await.unwrap();
    let mut deliveries = channel.consume(work).prefetch(100).await.unwrap();
    let delivery = deliveries.next().await.unwrap().unwrap();
    assert_eq!(delivery.body, "hello");
    delivery.ack().unwrap();
    deliveries.cancel().await.unwrap();
    assert!(deliveries.next().await.is_none());
    assert_eq!(channel.queue_delete(work).await.unwrap().message_count, 0);
    connection.close().await.unwrap();
    assert!(channel.check_open().is_err());
}

everywhere!(counts_of_declare_purge_and_delete);
async fn counts_of_declare_purge_and_delete(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = &*unique("counts");
    let declared = channel.queue_declare(name).await.unwrap();
    assert_eq!((declared.queue.to_str().unwrap(), declared.message_count), (name, 0));
    for number in 0..5 {
        let confirm = channel.publish("", name, format!("{number}")).await.unwrap();
        confirm.confirmed().await.unwrap();
    }
    let _consumer = channel.consume(name).prefetch(1).await.unwrap();
    let passive = channel.queue_declare(name).passive(true).await.unwrap();
    assert_eq!((passive.message_count, passive.consumer_count), (4, 1));
    assert_eq!(channel.queue_purge(name).await.unwrap().message_count, 4);
    channel.publish("", name, "m").await.unwrap().confirmed().await.unwrap();

    let error = channel.queue_delete(name).if_unused(true).await.unwrap_err();
    assert_eq!(server_error(&error), (406, Some("queue.delete"), true));
    let channel = connection.channel().await.unwrap();
    let error = channel.queue_delete(name).if_empty(true).await.unwrap_err();
    assert_eq!(server_error(&error), (406, Some("queue.delete"), true));
    let channel = connection.channel().await.unwrap();
    // The one that the first channel's consumer held, and the last.
    assert_eq!(channel.queue_delete(name).await.unwrap().message_count, 2);
    assert_eq!(channel.queue_delete(name).await.unwrap().message_count, 0);
}

everywhere!(an_auto_delete_queue_goes_with_its_last_consumer);
async fn an_auto_delete_queue_goes_with_its_last_consumer(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = &*unique("auto-delete");
    channel.queue_declare(name).auto_delete(true).await.unwrap();
    let consumer = channel.consume(name).await.unwrap();
    consumer.cancel().await.unwrap();
    let error = channel.queue_declare(name).passive(true).await.unwrap_err();
    assert_eq!(server_error(&error), (404, Some("queue.declare"), true));
}

everywhere!(an_exclusive_queue_is_locked_and_goes_with_its_connection);
async fn an_exclusive_queue_is_locked_and_goes_with_its_connection(place: &Place) {
    let (owner, channel) = place.open().await;
    let name = &*queue(&channel).await;
    let other = place.connect().await;
    let locked = other.channel().await.unwrap();
    let error = locked.queue_declare(name).passive(true).await.unwrap_err();
    assert_eq!(server_error(&error), (405, Some("queue.declare"), true));
    owner.close().await.unwrap();
    // The broker deletes it behind its answer to the close.
    let gone = eventually(async || {
        let channel = other.channel().await.unwrap();
        let error = channel.queue_declare(name).passive(true).await.unwrap_err();
        Some(server_error(&error)).filter(|error| error.0 != 405)
    })
    .await;
    assert_eq!(gone, (404, Some("queue.declare"), true));
}

everywhere!(arguments_limit_a_queue);
async fn arguments_limit_a_queue(place: &Place) {
    let (_connection, channel) = place.open().await;
    let arguments = FieldTable::new()
        .with(ShortStr::new("x-max-length").unwrap(), Value::I32(2))
        .with(ShortStr::new("x-overflow").unwrap(), Value::from("reject-publish"));
    let declared = channel.queue_declare("").exclusive(true).arguments(arguments).await.unwrap();
    for _ in 0..2 {
        let confirm = channel.publish("", &declared.queue, "m").await.unwrap();
        confirm.confirmed().await.unwrap();
    }
    // A full queue refuses: the server's own nack.
    let refused = channel.publish("", &declared.queue, "m").await.unwrap().await;
    assert!(matches!(refused, Outcome::Nacked), "{refused:?}");
    assert_eq!(channel.queue_purge(&declared.queue).await.unwrap().message_count, 2);
    channel.publish("", &declared.queue, "m").await.unwrap().confirmed().await.unwrap();
}

everywhere!(get_brings_messages_one_by_one);
async fn get_brings_messages_one_by_one(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = &*queue(&channel).await;
    assert!(channel.get(name).await.unwrap().is_none());
    for body in ["a", "b", "c"] {
        channel.publish("", name, body).await.unwrap().confirmed().await.unwrap();
    }
    let a = channel.get(name).await.unwrap().unwrap();
    assert_eq!((&a.delivery.body[..], a.message_count), (&b"a"[..], 2));
    assert!(!a.delivery.redelivered);
    let b = channel.get(name).no_ack(true).await.unwrap().unwrap();
    assert_eq!((&b.delivery.body[..], b.message_count), (&b"b"[..], 1));
    // Settled by being sent; saying so again is no offence.
    b.delivery.ack().unwrap();
    a.delivery.nack(true).unwrap();
    let again = eventually(async || {
        let got = channel.get(name).await.unwrap().unwrap();
        if got.delivery.body == "a" {
            return Some(got);
        }
        got.delivery.nack(true).unwrap();
        None
    })
    .await;
    assert!(again.delivery.redelivered);
    again.delivery.ack().unwrap();
    let c = channel.get(name).await.unwrap().unwrap();
    assert_eq!((&c.delivery.body[..], c.message_count), (&b"c"[..], 0));
    c.delivery.reject(false).unwrap();
    assert!(channel.get(name).await.unwrap().is_none());
    assert_eq!(ready(&channel, name).await, 0);
}

fn typed(kind: &str) -> FieldTable {
    FieldTable::new().with(ShortStr::new("x-queue-type").unwrap(), Value::from(kind))
}

everywhere!(a_quorum_queue_counts_its_deliveries);
async fn a_quorum_queue_counts_its_deliveries(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = &*unique("quorum");
    channel.queue_declare(name).durable(true).arguments(typed("quorum")).await.unwrap();
    for body in ["a", "b"] {
        channel.publish("", name, body).await.unwrap().confirmed().await.unwrap();
    }
    let mut consumer = channel.consume(name).prefetch(1).await.unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    assert!(!first.redelivered);
    first.nack(true).unwrap();
    // Where what goes back comes in again is up to the queue.
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.redelivered, delivery.body == "a");
        bodies.push(delivery.body.clone());
        let headers = delivery.properties().unwrap().headers.unwrap_or_default();
        let count = headers.get("x-delivery-count").and_then(Value::as_i64);
        assert_eq!(count, delivery.redelivered.then_some(1));
        delivery.ack().unwrap();
    }
    bodies.sort();
    assert_eq!(bodies, ["a", "b"]);
    drop(consumer);
    // Calls right behind the cancel, whose answer comes from elsewhere.
    channel.qos(5).await.unwrap();
    channel.queue_delete(name).await.unwrap();
    connection.close().await.unwrap();
}

rabbitmq_alone!(a_stream_is_read_from_its_beginning_again_and_again);
async fn a_stream_is_read_from_its_beginning_again_and_again(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = &*unique("stream");
    channel.queue_declare(name).durable(true).arguments(typed("stream")).await.unwrap();
    let mut confirms = Vec::new();
    for number in 0..200 {
        confirms.push(channel.publish("", name, number.to_string()).await.unwrap());
    }
    for confirm in confirms {
        confirm.confirmed().await.unwrap();
    }
    for _ in 0..2 {
        let first =
            FieldTable::new().with(ShortStr::new("x-stream-offset").unwrap(), Value::from("first"));
        let consume = channel.consume(name).prefetch(50).arguments(first);
        let mut consumer = consume.await.unwrap();
        for number in 0..200 {
            let delivery = consumer.next().await.unwrap().unwrap();
            assert_eq!(delivery.body, number.to_string());
            let headers = delivery.properties().unwrap().headers.unwrap();
            assert_eq!(headers.get("x-stream-offset").and_then(Value::as_i64), Some(number));
            delivery.ack().unwrap();
        }
        consumer.cancel().await.unwrap();
    }
    channel.queue_delete(name).await.unwrap();
}
