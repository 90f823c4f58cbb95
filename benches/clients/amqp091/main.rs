//! This project's client.

use std::collections::VecDeque;

use amqp091_client::{Channel, Connection};
use bytes::Bytes;
use harness::{Acks, Client, PREFETCH, WINDOW};

struct Amqp091;

impl Client for Amqp091 {
    type Connection = Connection;
    type Channel = Channel;

    async fn connect(url: &str) -> Connection {
        Connection::open(url).await.unwrap()
    }

    async fn channel(connection: &Connection) -> Channel {
        connection.channel().await.unwrap()
    }

    async fn publish(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        if body.len() > 1024 {
            for _ in 0..count {
                channel.publish_unconfirmed("", queue, body.clone()).await.unwrap();
            }
        } else {
            for _ in 0..count {
                channel.publish_unconfirmed("", queue, &body[..]).await.unwrap();
            }
        }
        channel.qos(0).await.unwrap();
    }

    async fn publish_confirmed(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        let mut window = VecDeque::with_capacity(WINDOW);
        for _ in 0..count {
            if window.len() == WINDOW
                && let Some(confirm) = window.pop_front()
            {
                let confirm: amqp091_client::Confirm = confirm;
                confirm.confirmed().await.unwrap();
            }
            window.push_back(channel.publish("", queue, &body[..]).await.unwrap());
        }
        for confirm in window {
            confirm.confirmed().await.unwrap();
        }
    }

    async fn consume(channel: &Channel, queue: &str, count: u64, acks: Acks) {
        let consume = channel.consume(queue);
        let mut consumer = match acks {
            Acks::None => consume.no_ack(true).await.unwrap(),
            _ => consume.prefetch(PREFETCH).await.unwrap(),
        };
        for number in 1..=count {
            let delivery = consumer.next().await.unwrap().unwrap();
            match acks.after(number) {
                Some(false) => delivery.ack().unwrap(),
                Some(true) => delivery.ack_multiple().unwrap(),
                None => {}
            }
        }
        consumer.cancel().await.unwrap();
    }

    async fn close(connection: Connection) {
        connection.close().await.unwrap();
    }
}

pub(crate) fn main() {
    harness::main::<Amqp091>();
}
