//! The same for the blocking face: the program on one thread, the connection on another, and what waking
//! each other costs.

use std::collections::VecDeque;

use amqp091_client::blocking::{Channel, Confirm, Connection, Wait};

use crate::cost::{measure_blocking, report};
use crate::{RUNS, SMALL};

pub(crate) fn run(url: &str) {
    let bench = |work: &str, messages: usize, run: fn(&Channel, usize)| {
        let runs = (0..RUNS).map(|_| {
            let connection = Connection::open(url).unwrap();
            let channel = connection.channel().unwrap();
            // Buffers and queues reach their size before the measurement.
            run(&channel, messages / 10);
            let cost = measure_blocking(messages, || run(&channel, messages));
            connection.close().unwrap();
            cost
        });
        report(work, runs.collect());
    };
    bench("publish 16 B, unconfirmed", 500_000, publish_unconfirmed);
    bench("publish 16 B, window of 1000 confirms", 500_000, publish_window);
    bench("publish 16 B, each confirmed", 20_000, publish_each);
    bench("consume 16 B, no ack", 500_000, |channel, messages| consume(channel, messages, false));
    bench("consume 16 B, ack each", 500_000, |channel, messages| consume(channel, messages, true));
    bench("drain_events 16 B, no ack", 500_000, drain);
}

fn publish_unconfirmed(channel: &Channel, messages: usize) {
    for _ in 0..messages {
        channel.publish_unconfirmed("", "queue", &[b'x'; SMALL]).wait().unwrap();
    }
    // The reply comes behind all messages.
    channel.qos(0).wait().unwrap();
}

fn publish_window(channel: &Channel, messages: usize) {
    let mut window: VecDeque<Confirm> = VecDeque::with_capacity(1000);
    for _ in 0..messages {
        if window.len() == 1000 {
            window.pop_front().unwrap().confirmed().unwrap();
        }
        window.push_back(channel.publish("", "queue", &[b'x'; SMALL]).wait().unwrap());
    }
    for confirm in window {
        confirm.confirmed().unwrap();
    }
}

fn publish_each(channel: &Channel, messages: usize) {
    for _ in 0..messages {
        channel.publish("", "queue", &[b'x'; SMALL]).wait().unwrap().confirmed().unwrap();
    }
}

fn consume(channel: &Channel, messages: usize, ack: bool) {
    // The null server reads from the name what to deliver.
    let queue = format!("{messages}x{SMALL}");
    let mut consumer = channel.consume(queue).no_ack(!ack).wait().unwrap();
    for delivery in consumer.by_ref().take(messages) {
        let delivery = delivery.unwrap();
        if ack {
            delivery.ack().unwrap();
        }
    }
    consumer.cancel().wait().unwrap();
}

fn drain(channel: &Channel, messages: usize) {
    let connection = channel.connection();
    let queue = format!("{messages}x{SMALL}");
    let consumer = channel.consume(queue).no_ack(true).wait().unwrap();
    let handle = connection.on_delivery(consumer, |_| Ok(()));
    for _ in 0..messages {
        assert!(connection.drain_events(None).unwrap());
    }
    handle.cancel().wait().unwrap();
}
