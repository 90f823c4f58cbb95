//! lapin. A task that publishes is parked until its last octet is in the socket, so it needs many of
//! them for batches.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_lite::StreamExt;
use harness::{Acks, Client, PREFETCH, WINDOW};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// Tasks that publish at the same time.
const TASKS: u64 = 64;

struct Lapin;

impl Client for Lapin {
    type Connection = Connection;
    type Channel = Channel;

    async fn connect(url: &str) -> Connection {
        Connection::connect(url, ConnectionProperties::default()).await.unwrap()
    }

    async fn channel(connection: &Connection) -> Channel {
        connection.create_channel().await.unwrap()
    }

    async fn publish(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        in_tasks(channel, queue, body, count, 1).await;
        channel.basic_qos(0, BasicQosOptions::default()).await.unwrap();
    }

    async fn publish_confirmed(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        in_tasks(channel, queue, body, count, WINDOW / TASKS as usize).await;
    }

    async fn consume(channel: &Channel, queue: &str, count: u64, acks: Acks) {
        let no_ack = acks == Acks::None;
        let prefetch = if no_ack { 0 } else { PREFETCH };
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
        let mut consumer = channel
            .basic_consume(queue.into(), "consumer".into(), options, FieldTable::default())
            .await
            .unwrap();
        for number in 1..=count {
            let delivery = consumer.next().await.unwrap().unwrap();
            if let Some(multiple) = acks.after(number) {
                delivery.ack(BasicAckOptions { multiple }).await.unwrap();
            }
        }
        channel.basic_cancel("consumer".into(), BasicCancelOptions::default()).await.unwrap();
    }

    async fn close(connection: Connection) {
        connection.close(200, "".into()).await.unwrap();
    }
}

/// Publishes from many tasks, each of which has at most `window` confirms outstanding.
async fn in_tasks(channel: &Channel, queue: &str, body: Bytes, count: u64, window: usize) {
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (channel, queue, body) = (channel.clone(), queue.to_owned(), body.clone());
        let count = count / TASKS + u64::from(task < count % TASKS);
        tasks.push(tokio::spawn(async move {
            let mut confirms = VecDeque::with_capacity(window);
            for _ in 0..count {
                if confirms.len() == window
                    && let Some(confirm) = confirms.pop_front()
                {
                    let confirm: lapin::PublisherConfirm = confirm;
                    confirm.await.unwrap();
                }
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default();
                let confirm = channel
                    .basic_publish("".into(), queue.as_str().into(), options, &body, properties)
                    .await
                    .unwrap();
                confirms.push_back(confirm);
            }
            for confirm in confirms {
                confirm.await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

pub(crate) fn main() {
    harness::main::<Lapin>();
}
