//! The broker with its client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::time::Duration;

use amqp091_broker::Broker;
use amqp091_client::{ConnectOptions, Connection, Outcome};

#[tokio::test]
async fn published_and_consumed() {
    let broker = Broker::start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("work").await.unwrap();
    for number in 0..1000 {
        channel.publish("", "work", number.to_string()).await.unwrap().confirmed().await.unwrap();
    }
    assert_eq!(broker.queue("work").unwrap().ready, 1000);
    assert_eq!(broker.messages("work").unwrap()[7].body, "7");
    let mut consumer = channel.consume("work").prefetch(10).await.unwrap();
    for number in 0..1000 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.body, number.to_string());
        delivery.ack().unwrap();
    }
    connection.close().await.unwrap();
    assert_eq!(broker.counts().acked, 1000);
}

#[tokio::test]
async fn time_is_put_forward() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::connect_over(broker.connect(), &options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let declare = channel.queue_declare("short").message_ttl(Duration::from_secs(60));
    declare.dead_letter_exchange("").dead_letter_routing_key("dead").await.unwrap();
    channel.queue_declare("dead").await.unwrap();
    channel.publish("", "short", "m").await.unwrap().confirmed().await.unwrap();
    broker.advance(Duration::from_secs(59));
    assert_eq!(broker.queue("dead").unwrap().ready, 0);
    broker.advance(Duration::from_secs(1));
    assert_eq!(broker.queue("dead").unwrap().ready, 1);
}

#[tokio::test]
async fn publishers_wait_while_blocked() {
    let broker = Broker::start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    broker.block("low on disk");
    let confirm = channel.publish("", "nowhere", "m").mandatory(true).await.unwrap();
    assert!(matches!(confirm.await, Outcome::Returned(_)));
    while connection.blocked().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.blocked().unwrap(), "low on disk");
    broker.unblock();
    while connection.blocked().is_some() {
        tokio::task::yield_now().await;
    }
    channel.publish("", "nowhere", "m").await.unwrap().confirmed().await.unwrap();
}

#[tokio::test]
async fn its_url_has_the_password_that_guest_was_given() {
    let broker = Broker::builder().user("guest", "p@ss:w/ö%2f").start().await.unwrap();
    Connection::open(&broker.url()).await.unwrap();
    let shown = format!("{broker:?}");
    assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
}
