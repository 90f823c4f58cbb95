//! What handles tell: negotiated values, the server's properties, and the way from one to another.

use std::time::Duration;

use amqp091_client::{Connection, Value};

use crate::place::{Place, queue};

everywhere!(a_connection_tells_what_was_agreed_on_and_with_whom);
async fn a_connection_tells_what_was_agreed_on_and_with_whom(place: &Place) {
    let options =
        place.options().channel_max(10).frame_max(16_384).heartbeat(Duration::from_secs(7));
    let connection = Connection::connect(&options).await.unwrap();
    assert_eq!((connection.channel_max(), connection.frame_max()), (10, 16_384));
    assert_eq!(connection.heartbeat(), Duration::from_secs(7));
    let properties = connection.server_properties();
    assert_eq!(properties.get("product").and_then(Value::as_str), Some("RabbitMQ"));
    assert!(properties.get("version").and_then(Value::as_str).is_some());
    assert!(connection.has_server_capability("publisher_confirms"));
    assert!(!connection.has_server_capability("time_travel"));
}

everywhere!(a_reply_is_published_by_the_channel_of_the_request);
async fn a_reply_is_published_by_the_channel_of_the_request(place: &Place) {
    let connection = Connection::connect(&place.options()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let (requests, replies) = (queue(&channel).await, queue(&channel).await);
    let mut consumer = channel.consume(&requests).await.unwrap();
    assert_eq!(consumer.channel().number(), channel.number());
    assert_eq!(consumer.handle().channel().number(), channel.number());
    channel.publish("", &requests, "question").await.unwrap().confirmed().await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    let by = delivery.channel();
    assert_eq!(by.number(), channel.number());
    by.publish("", &replies, "answer").await.unwrap().confirmed().await.unwrap();
    let (_, acker) = delivery.into_parts();
    assert_eq!(acker.delivery_tag(), 1);
    // The connection by another way, after its first handle is gone.
    let same = acker.channel().connection();
    acker.ack().unwrap();
    drop((connection, channel, consumer, by));
    let channel = same.channel().await.unwrap();
    let got = channel.get(&replies).no_ack(true).await.unwrap().unwrap();
    assert_eq!(got.delivery.body, "answer");
}
