//! Channels: acks, and what ends them.

use amqp091_client::{Acker, Error};

use crate::place::{Place, get, put, queue, ready, refusal, until_ready};

fn acker(delivery: amqp091_client::Delivery) -> Acker {
    delivery.into_message().1
}

everywhere!(one_ack_for_all_before_it);
async fn one_ack_for_all_before_it(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    for body in ["1", "2", "3", "4"] {
        put(&channel, &name, body).await;
    }
    let working = connection.channel().await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(acker(get(&working, &name).await));
    }
    let fourth = held.pop().unwrap();
    held.pop().unwrap().ack_multiple().unwrap();
    working.flow(true).await.unwrap();
    fourth.nack(true).unwrap();
    until_ready(&channel, &name, 1).await;
    working.close().await.unwrap();
    assert_eq!(ready(&channel, &name).await, 1);
}

everywhere!(missing_queues_and_exchanges);
async fn missing_queues_and_exchanges(place: &Place) {
    let connection = place.connect().await;
    let of = async |attempt: u8| -> Error {
        let channel = connection.channel().await.unwrap();
        match attempt {
            0 => channel.consume("no-such").await.unwrap_err(),
            1 => channel.get("no-such").await.unwrap_err(),
            2 => channel.queue_purge("no-such").await.unwrap_err(),
            3 => channel.queue_bind("no-such", "amq.direct").await.unwrap_err(),
            _ => channel.queue_declare("no-such").passive(true).await.unwrap_err(),
        }
    };
    for attempt in 0..5 {
        let text = "NOT_FOUND - no queue 'no-such' in vhost '/'".to_owned();
        assert_eq!(refusal(&of(attempt).await), (404, text), "attempt {attempt}");
    }
    // What is fine with nothing there.
    let channel = connection.channel().await.unwrap();
    assert_eq!(channel.queue_delete("no-such").await.unwrap().message_count, 0);
    channel.exchange_delete("no-such").await.unwrap();
    let name = queue(&channel, []).await;
    channel.queue_unbind(&name, "amq.direct").routing_key("k").await.unwrap();
    channel.exchange_unbind("amq.direct", "amq.fanout").routing_key("k").await.unwrap();
    channel.queue_bind(&name, "amq.direct").routing_key("k").await.unwrap();
    channel.queue_bind(&name, "amq.direct").routing_key("k").await.unwrap();
}

everywhere!(what_the_broker_keeps_for_itself);
async fn what_the_broker_keeps_for_itself(place: &Place) {
    let connection = place.connect().await;
    let of = async |attempt: u8| -> Error {
        let channel = connection.channel().await.unwrap();
        match attempt {
            0 => channel.queue_declare("amq.mine").await.unwrap_err(),
            1 => channel.exchange_declare("amq.mine", "direct").await.unwrap_err(),
            2 => channel.exchange_delete("amq.direct").await.unwrap_err(),
            3 => channel.exchange_delete("").await.unwrap_err(),
            4 => channel.queue_bind("q", "").await.unwrap_err(),
            _ => channel.exchange_declare("amq.direct", "fanout").await.unwrap_err(),
        }
    };
    let default = "ACCESS_REFUSED - operation not permitted on the default exchange";
    let texts = [
        "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
        "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
        "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
        default,
        default,
    ];
    for (attempt, text) in (0..).zip(texts) {
        assert_eq!(refusal(&of(attempt).await), (403, text.to_owned()), "attempt {attempt}");
    }
    let text = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'fanout' but current is 'direct'";
    assert_eq!(refusal(&of(5).await), (406, text.to_owned()));
}

everywhere!(a_secret_may_be_updated);
async fn a_secret_may_be_updated(place: &Place) {
    let (connection, channel) = place.open().await;
    connection.update_secret("guest", "it was time").await.unwrap();
    let name = queue(&channel, []).await;
    put(&channel, &name, "m").await;
    assert_eq!(ready(&channel, &name).await, 1);
}
