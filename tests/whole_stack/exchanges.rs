//! Exchanges: every builder, and that each type routes as it says.

use amqp091::types::ShortStr;
use amqp091_client::{Channel, FieldTable, Outcome, Properties, Value};

use crate::place::{Place, queue, server_error, unique};

fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

fn text(value: &str) -> Value {
    Value::from(value)
}

/// Publishes, and tells which of the queues got the message.
async fn route(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    headers: Option<FieldTable>,
    queues: &[&str],
) -> Vec<bool> {
    let properties = Properties { headers, ..Properties::default() };
    let publish = channel.publish(exchange, routing_key, "m").properties(&properties);
    publish.await.unwrap().confirmed().await.unwrap();
    let mut got = Vec::new();
    for queue in queues {
        let message = channel.get(queue).no_ack(true).await.unwrap();
        if let Some(message) = &message {
            assert_eq!(message.delivery.exchange, *exchange);
            assert_eq!(message.delivery.routing_key, *routing_key);
            assert_eq!(message.message_count, 0);
        }
        got.push(message.is_some());
    }
    got
}

everywhere!(direct_and_fanout);
async fn direct_and_fanout(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (direct, fanout) = (&*unique("direct"), &*unique("fanout"));
    channel.exchange_declare(direct, "direct").auto_delete(true).await.unwrap();
    channel.exchange_declare(fanout, "fanout").durable(true).await.unwrap();
    let (a, b) = (&*queue(&channel).await, &*queue(&channel).await);
    channel.queue_bind(a, direct).routing_key("a").await.unwrap();
    channel.queue_bind(b, direct).routing_key("b").await.unwrap();
    channel.queue_bind(a, fanout).await.unwrap();
    channel.queue_bind(b, fanout).await.unwrap();
    assert_eq!(route(&channel, direct, "a", None, &[a, b]).await, [true, false]);
    assert_eq!(route(&channel, direct, "b", None, &[a, b]).await, [false, true]);
    assert_eq!(route(&channel, direct, "c", None, &[a, b]).await, [false, false]);
    assert_eq!(route(&channel, fanout, "any", None, &[a, b]).await, [true, true]);

    channel.queue_unbind(a, direct).routing_key("a").await.unwrap();
    channel.queue_unbind(a, fanout).await.unwrap();
    assert_eq!(route(&channel, direct, "a", None, &[a, b]).await, [false, false]);
    assert_eq!(route(&channel, fanout, "any", None, &[a, b]).await, [false, true]);
    channel.exchange_delete(fanout).await.unwrap();
    // What isn't there is deleted already, for RabbitMQ.
    channel.exchange_delete(fanout).await.unwrap();

    // Its last binding takes an auto-delete exchange along.
    channel.exchange_declare(direct, "direct").passive(true).await.unwrap();
    channel.queue_unbind(b, direct).routing_key("b").await.unwrap();
    let error = channel.exchange_declare(direct, "direct").passive(true).await.unwrap_err();
    assert_eq!(server_error(&error), (404, Some("exchange.declare"), true));
}

everywhere!(topic_and_headers);
async fn topic_and_headers(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (topic, headers) = (&*unique("topic"), &*unique("headers"));
    channel.exchange_declare(topic, "topic").await.unwrap();
    channel.exchange_declare(headers, "headers").await.unwrap();
    let (a, b) = (&*queue(&channel).await, &*queue(&channel).await);
    channel.queue_bind(a, topic).routing_key("x.*.z").await.unwrap();
    channel.queue_bind(b, topic).routing_key("x.#").await.unwrap();
    assert_eq!(route(&channel, topic, "x.y.z", None, &[a, b]).await, [true, true]);
    assert_eq!(route(&channel, topic, "x", None, &[a, b]).await, [false, true]);
    assert_eq!(route(&channel, topic, "y.y.z", None, &[a, b]).await, [false, false]);

    let matching = |how: &str| {
        FieldTable::new()
            .with(short("x-match"), text(how))
            .with(short("colour"), text("red"))
            .with(short("size"), Value::I32(7))
    };
    channel.queue_bind(a, headers).arguments(matching("all")).await.unwrap();
    channel.queue_bind(b, headers).arguments(matching("any")).await.unwrap();
    let red = FieldTable::new().with(short("colour"), text("red"));
    let both = red.clone().with(short("size"), Value::I32(7));
    assert_eq!(route(&channel, headers, "", Some(red.clone()), &[a, b]).await, [false, true]);
    assert_eq!(route(&channel, headers, "", Some(both), &[a, b]).await, [true, true]);
    channel.queue_unbind(b, headers).arguments(matching("any")).await.unwrap();
    assert_eq!(route(&channel, headers, "", Some(red), &[a, b]).await, [false, false]);
    for exchange in [topic, headers] {
        channel.exchange_delete(exchange).await.unwrap();
    }
}

everywhere!(exchanges_are_bound_to_exchanges);
async fn exchanges_are_bound_to_exchanges(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (source, sink) = (&*unique("source"), &*unique("sink"));
    channel.exchange_declare(source, "direct").await.unwrap();
    channel.exchange_declare(sink, "fanout").internal(true).await.unwrap();
    let queue = &*queue(&channel).await;
    channel.queue_bind(queue, sink).await.unwrap();
    channel.exchange_bind(sink, source).routing_key("key").await.unwrap();
    assert_eq!(route(&channel, source, "key", None, &[queue]).await, [true]);
    assert_eq!(route(&channel, source, "other", None, &[queue]).await, [false]);
    channel.exchange_unbind(sink, source).routing_key("key").await.unwrap();
    assert_eq!(route(&channel, source, "key", None, &[queue]).await, [false]);
    channel.exchange_delete(source).if_unused(true).await.unwrap();

    // Nobody but exchanges may publish to an internal one.
    let Outcome::Unknown(error) = channel.publish(sink, "", "m").await.unwrap().await else {
        panic!("the server took it")
    };
    assert_eq!(server_error(&error), (403, Some("basic.publish"), true));
    let (_connection, channel) = place.open().await;
    channel.exchange_delete(sink).await.unwrap();
}

everywhere!(an_alternate_exchange_takes_what_nobody_wants);
async fn an_alternate_exchange_takes_what_nobody_wants(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (main, other) = (&*unique("main"), &*unique("alternate"));
    channel.exchange_declare(other, "fanout").await.unwrap();
    let arguments = FieldTable::new().with(short("alternate-exchange"), text(other));
    channel.exchange_declare(main, "direct").arguments(arguments).await.unwrap();
    let queue = &*queue(&channel).await;
    channel.queue_bind(queue, other).await.unwrap();
    // Taken by the other exchange, it isn't returned either.
    let publish = channel.publish(main, "nowhere", "m").mandatory(true);
    publish.await.unwrap().confirmed().await.unwrap();
    let got = channel.get(queue).no_ack(true).await.unwrap().unwrap();
    assert_eq!(got.delivery.routing_key, "nowhere");
    for exchange in [main, other] {
        channel.exchange_delete(exchange).await.unwrap();
    }
}

everywhere!(an_exchange_in_use_is_not_deleted_if_unused);
async fn an_exchange_in_use_is_not_deleted_if_unused(place: &Place) {
    let (connection, channel) = place.open().await;
    let exchange = &*unique("used");
    channel.exchange_declare(exchange, "fanout").await.unwrap();
    let queue = queue(&channel).await;
    channel.queue_bind(&queue, exchange).await.unwrap();
    let error = channel.exchange_delete(exchange).if_unused(true).await.unwrap_err();
    assert_eq!(server_error(&error), (406, Some("exchange.delete"), true));
    let channel = connection.channel().await.unwrap();
    channel.exchange_declare(exchange, "fanout").passive(true).await.unwrap();
    channel.exchange_delete(exchange).await.unwrap();
}
