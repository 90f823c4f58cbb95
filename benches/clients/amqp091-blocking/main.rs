//! This project's client without async.

use std::collections::VecDeque;

use amqp091_client::blocking::{Channel, Confirm, Connection, Wait};
use bytes::Bytes;
use harness::{Acks, Client, PREFETCH, WINDOW};

struct Blocking;

impl Client for Blocking {
    type Connection = Connection;
    type Channel = Channel;

    async fn connect(url: &str) -> Connection {
        Connection::open(url).unwrap()
    }

    async fn channel(connection: &Connection) -> Channel {
        connection.channel().unwrap()
    }

    async fn publish(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        if body.len() > 1024 {
            for _ in 0..count {
                channel.publish_unconfirmed("", queue, body.clone()).wait().unwrap();
            }
        } else {
            for _ in 0..count {
                channel.publish_unconfirmed("", queue, &body[..]).wait().unwrap();
            }
        }
        channel.qos(0).wait().unwrap();
    }

    async fn publish_confirmed(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        let mut window: VecDeque<Confirm> = VecDeque::with_capacity(WINDOW);
        for _ in 0..count {
            if window.len() == WINDOW
                && let Some(confirm) = window.pop_front()
            {
                confirm.confirmed().unwrap();
            }
            window.push_back(channel.publish("", queue, &body[..]).wait().unwrap());
        }
        for confirm in window {
            confirm.confirmed().unwrap();
        }
    }

    async fn consume(channel: &Channel, queue: &str, count: u64, acks: Acks) {
        let consume = channel.consume(queue);
        let mut consumer = match acks {
            Acks::None => consume.no_ack(true).wait().unwrap(),
            _ => consume.prefetch(PREFETCH).wait().unwrap(),
        };
        for number in 1..=count {
            let delivery = consumer.next().unwrap().unwrap();
            match acks.after(number) {
                Some(false) => delivery.ack().unwrap(),
                Some(true) => delivery.ack_multiple().unwrap(),
                None => {}
            }
        }
        consumer.cancel().wait().unwrap();
    }

    async fn close(connection: Connection) {
        connection.close().unwrap();
    }
}

pub(crate) fn main() {
    harness::main::<Blocking>();
}
