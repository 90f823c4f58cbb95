//! Typed arguments: that RabbitMQ understands each and does what it says.

use std::time::{Duration, SystemTime};

use amqp091_client::{
    Channel, Consumer, DeadLetterStrategy, ExchangeType, FieldTable, HeadersMatch, LeaderLocator,
    Outcome, Overflow, Properties, QueueType, ShortStr, StreamOffset, Value,
};

use crate::place::{Place, eventually, queue, ready, server_error, unique};

async fn publish(channel: &Channel, queue: &str, body: &str) {
    channel.publish("", queue, body.to_owned()).await.unwrap().confirmed().await.unwrap();
}

/// The body of a consumer's next message, which is settled.
async fn next(consumer: &mut Consumer) -> String {
    let delivery = consumer.next().await.unwrap().unwrap();
    let body = String::from_utf8(delivery.body.to_vec()).unwrap();
    delivery.ack().unwrap();
    body
}

/// Waits for a message in a queue, and takes it.
async fn got(channel: &Channel, queue: &str) -> amqp091_client::Delivery {
    eventually(async || channel.get(queue).no_ack(true).await.unwrap()).await.delivery
}

/// Why it was dead-lettered.
fn death(delivery: &amqp091_client::Delivery) -> String {
    let headers = delivery.properties().unwrap().headers.unwrap();
    headers.get("x-first-death-reason").unwrap().as_str().unwrap().to_owned()
}

everywhere!(what_expires_is_dead_lettered);
async fn what_expires_is_dead_lettered(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = &*queue(&channel).await;
    let name = &*unique("ttl");
    let declare = channel
        .queue_declare(name)
        .exclusive(true)
        .message_ttl(Duration::from_millis(50))
        .dead_letter_exchange("")
        .dead_letter_routing_key(dead);
    declare.await.unwrap();
    publish(&channel, name, "m").await;
    let delivery = got(&channel, dead).await;
    assert_eq!((&delivery.body[..], &*death(&delivery)), (&b"m"[..], "expired"));
    assert_eq!(ready(&channel, name).await, 0);
}

everywhere!(an_unused_queue_expires);
async fn an_unused_queue_expires(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = &*unique("expires");
    channel.queue_declare(name).expires(Duration::from_millis(200)).await.unwrap();
    // Looking counts as using it.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let gone = eventually(async || {
        let channel = connection.channel().await.unwrap();
        let error = channel.queue_declare(name).passive(true).await.err();
        if error.is_none() {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        error
    })
    .await;
    assert_eq!(server_error(&gone), (404, Some("queue.declare"), true));
    drop(channel);
}

everywhere!(a_full_queue_drops_or_refuses);
async fn a_full_queue_drops_or_refuses(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = &*queue(&channel).await;
    let declare = channel.queue_declare("").exclusive(true).max_length(2);
    let declare = declare.overflow(Overflow::DropHead).dead_letter_exchange("");
    let dropping = declare.dead_letter_routing_key(dead).await.unwrap().queue.to_string();
    for body in ["a", "b", "c"] {
        publish(&channel, &dropping, body).await;
    }
    let delivery = got(&channel, dead).await;
    assert_eq!((&delivery.body[..], &*death(&delivery)), (&b"a"[..], "maxlen"));
    assert_eq!(ready(&channel, &dropping).await, 2);

    let declare = channel.queue_declare("").exclusive(true).max_length_bytes(10);
    let declare = declare.overflow(Overflow::RejectPublishDlx).dead_letter_exchange("");
    let refusing = declare.dead_letter_routing_key(dead).await.unwrap().queue.to_string();
    publish(&channel, &refusing, "0123456789").await;
    let refused = channel.publish("", &refusing, "x").await.unwrap().await;
    assert!(matches!(refused, Outcome::Nacked), "{refused:?}");
    assert_eq!(got(&channel, dead).await.body, "x");
}

everywhere!(a_quorum_queue_gives_up_after_its_delivery_limit);
async fn a_quorum_queue_gives_up_after_its_delivery_limit(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (dead, name) = (&*queue(&channel).await, &*unique("quorum"));
    let declare = channel
        .queue_declare(name)
        .queue_type(QueueType::Quorum)
        .delivery_limit(2)
        .overflow(Overflow::RejectPublish)
        .dead_letter_exchange("")
        .dead_letter_routing_key(dead)
        .dead_letter_strategy(DeadLetterStrategy::AtLeastOnce)
        .leader_locator(LeaderLocator::Balanced)
        .quorum_initial_group_size(1);
    declare.await.unwrap();
    publish(&channel, name, "m").await;
    let mut consumer = channel.consume(name).await.unwrap();
    for _ in 0..3 {
        consumer.next().await.unwrap().unwrap().nack(true).unwrap();
    }
    let delivery = got(&channel, dead).await;
    assert_eq!((&delivery.body[..], &*death(&delivery)), (&b"m"[..], "delivery_limit"));
    drop(consumer);
    channel.queue_delete(name).await.unwrap();
}

everywhere!(messages_come_by_priority);
async fn messages_come_by_priority(place: &Place) {
    let (_connection, channel) = place.open().await;
    let declare = channel.queue_declare("").exclusive(true).max_priority(5);
    let queue = declare.queue_type(QueueType::Classic).await.unwrap().queue.to_string();
    for priority in [1, 5, 3] {
        let properties = Properties { priority: Some(priority), ..Properties::default() };
        let publish = channel.publish("", &queue, priority.to_string());
        publish.properties(&properties).await.unwrap().confirmed().await.unwrap();
    }
    let mut consumer = channel.consume(&queue).await.unwrap();
    for expected in ["5", "3", "1"] {
        assert_eq!(next(&mut consumer).await, expected);
    }
}

everywhere!(a_single_active_consumer_is_followed_by_the_next);
async fn a_single_active_consumer_is_followed_by_the_next(place: &Place) {
    let (_connection, channel) = place.open().await;
    let declare = channel.queue_declare("").exclusive(true).single_active_consumer(true);
    let queue = declare.await.unwrap().queue.to_string();
    let mut first = channel.consume(&queue).await.unwrap();
    let mut second = channel.consume(&queue).await.unwrap();
    for body in ["a", "b"] {
        publish(&channel, &queue, body).await;
        assert_eq!(next(&mut first).await, body);
    }
    first.cancel().await.unwrap();
    publish(&channel, &queue, "c").await;
    assert_eq!(next(&mut second).await, "c");
    assert!(first.next().await.is_none());
}

everywhere!(the_consumer_with_the_highest_priority_gets_it_all);
async fn the_consumer_with_the_highest_priority_gets_it_all(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let mut low = channel.consume(&queue).priority(-1).await.unwrap();
    let mut high = channel.consume(&queue).priority(10).await.unwrap();
    for body in ["a", "b", "c"] {
        publish(&channel, &queue, body).await;
        assert_eq!(next(&mut high).await, body);
    }
    high.cancel().await.unwrap();
    publish(&channel, &queue, "d").await;
    assert_eq!(next(&mut low).await, "d");
}

rabbitmq_alone!(a_stream_is_read_from_any_place);
async fn a_stream_is_read_from_any_place(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = &*unique("stream");
    let declare = channel
        .queue_declare(name)
        .queue_type(QueueType::Stream)
        .max_age(Duration::from_secs(3600))
        .max_length_bytes(10_000_000)
        .stream_max_segment_size_bytes(1_000_000)
        .stream_initial_cluster_size(1);
    declare.await.unwrap();
    for number in 0..10 {
        publish(&channel, name, &number.to_string()).await;
    }
    let hour = Duration::from_secs(3600);
    for (offset, expected) in [
        (StreamOffset::First, "0"),
        (StreamOffset::Offset(7), "7"),
        (StreamOffset::Time(SystemTime::now() - hour), "0"),
        (StreamOffset::Ago(hour), "0"),
    ] {
        let consume = channel.consume(name).prefetch(5).stream_offset(offset);
        let mut consumer = consume.await.unwrap();
        assert_eq!(next(&mut consumer).await, expected, "{offset:?}");
        consumer.cancel().await.unwrap();
    }
    // The last chunk may begin before the last message.
    let consume = channel.consume(name).prefetch(5).stream_offset(StreamOffset::Last);
    let mut last = consume.await.unwrap();
    while next(&mut last).await != "9" {}
    let consume = channel.consume(name).prefetch(5).stream_offset(StreamOffset::Next);
    let mut new = consume.await.unwrap();
    publish(&channel, name, "new").await;
    assert_eq!(next(&mut new).await, "new");
    channel.queue_delete(name).await.unwrap();
}

everywhere!(typed_exchanges_and_bindings_route);
async fn typed_exchanges_and_bindings_route(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (main, other) = (&*unique("main"), &*unique("other"));
    channel.exchange_declare(other, ExchangeType::Fanout).await.unwrap();
    let declare = channel.exchange_declare(main, ExchangeType::Headers);
    declare.alternate_exchange(other).await.unwrap();
    let (any, rest) = (&*queue(&channel).await, &*queue(&channel).await);
    channel.queue_bind(rest, other).await.unwrap();
    let colour = ShortStr::from_static("colour");
    let bind = channel.queue_bind(any, main).headers_match(HeadersMatch::Any);
    let bind = bind.argument(colour.clone(), "red").argument(ShortStr::from_static("size"), 7);
    bind.await.unwrap();
    for (value, queue) in [("red", any), ("blue", rest)] {
        let headers = Some(FieldTable::new().with(colour.clone(), value));
        let properties = Properties { headers, ..Properties::default() };
        let publish = channel.publish(main, "", value).properties(&properties);
        publish.mandatory(true).await.unwrap().confirmed().await.unwrap();
        assert_eq!(got(&channel, queue).await.body, value);
    }
    let unbind = channel.queue_unbind(any, main).headers_match(HeadersMatch::Any);
    let unbind = unbind.argument(colour.clone(), "red");
    unbind.argument(ShortStr::from_static("size"), 7).await.unwrap();
    let headers = Some(FieldTable::new().with(colour, "red"));
    let properties = Properties { headers, ..Properties::default() };
    let publish = channel.publish(main, "", "red").properties(&properties);
    publish.await.unwrap().confirmed().await.unwrap();
    assert_eq!(got(&channel, rest).await.body, "red");
    channel.exchange_delete(main).await.unwrap();
    channel.exchange_delete(other).await.unwrap();
}

everywhere!(a_queue_is_the_same_however_its_arguments_are_given);
async fn a_queue_is_the_same_however_its_arguments_are_given(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = &*unique("same");
    let typed = || {
        let declare = channel.queue_declare(name).exclusive(true).max_length(5);
        declare.message_ttl(Duration::from_secs(60)).single_active_consumer(false)
    };
    typed().await.unwrap();
    typed().await.unwrap();
    let raw = FieldTable::new()
        .with(ShortStr::from_static("x-message-ttl"), Value::I32(60_000))
        .with(ShortStr::from_static("x-max-length"), Value::U16(5));
    channel.queue_declare(name).exclusive(true).arguments(raw).await.unwrap();
    let error = typed().max_length(6).await.unwrap_err();
    assert_eq!(server_error(&error), (406, Some("queue.declare"), true));
    // What a type of queue may not have is refused.
    let channel = connection.channel().await.unwrap();
    let declare = channel.queue_declare(unique("bad")).queue_type(QueueType::Quorum);
    let error = declare.max_priority(5).await.unwrap_err();
    assert_eq!(server_error(&error), (406, Some("queue.declare"), true));
}
