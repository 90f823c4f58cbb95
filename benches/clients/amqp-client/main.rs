//! amqp-client, by 84codes: its `client` module, below the high-level one.

use std::collections::VecDeque;

use amqp_client::{BasicProperties, Channel, Config, Connection, ConsumeOpts};
use bytes::Bytes;
use harness::{Acks, Client, PREFETCH, WINDOW};

struct AmqpClient;

impl Client for AmqpClient {
    type Connection = Connection;
    type Channel = Channel;

    async fn connect(url: &str) -> Connection {
        let mut config = Config::from_uri(url).unwrap();
        // A reply that comes before it is expected is lost (version 0.1.0): better to fail soon, and
        // be started again.
        config.rpc_timeout = std::time::Duration::from_secs(5);
        Connection::connect_with_config(config).await.unwrap()
    }

    async fn channel(connection: &Connection) -> Channel {
        connection.open_channel().await.unwrap()
    }

    async fn publish(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        let properties = BasicProperties::new();
        for _ in 0..count {
            channel.basic_publish("", queue, body.clone(), properties.clone()).await.unwrap();
        }
        channel.basic_qos(0, false).await.unwrap();
    }

    async fn publish_confirmed(channel: &Channel, queue: &str, body: Bytes, count: u64) {
        channel.confirm_select().await.unwrap();
        let properties = BasicProperties::new();
        let mut window = VecDeque::with_capacity(WINDOW);
        for _ in 0..count {
            if window.len() == WINDOW
                && let Some(confirm) = window.pop_front()
            {
                let confirm: amqp_client::PublishConfirm = confirm;
                confirm.await.unwrap();
            }
            let (body, properties) = (body.clone(), properties.clone());
            let confirm = channel.basic_publish_confirmed("", queue, body, properties, false);
            window.push_back(confirm.await.unwrap());
        }
        for confirm in window {
            confirm.await.unwrap();
        }
    }

    async fn consume(channel: &Channel, queue: &str, count: u64, acks: Acks) {
        let no_ack = acks == Acks::None;
        channel.basic_qos(if no_ack { 0 } else { PREFETCH }, false).await.unwrap();
        let options = ConsumeOpts { no_ack, ..ConsumeOpts::default() };
        // Another tag each time: a tag that was cancelled gets nothing any more (version 0.1.0).
        let tag = format!("consumer-{count}");
        let mut consumer = channel.basic_consume(queue, &tag, options).await.unwrap();
        for number in 1..=count {
            let delivery = consumer.next().await.unwrap();
            if let Some(multiple) = acks.after(number) {
                channel.basic_ack(delivery.delivery_tag, multiple).unwrap();
            }
        }
        channel.basic_cancel(&tag).await.unwrap();
    }

    async fn close(connection: Connection) {
        connection.close().await.unwrap();
    }
}

pub(crate) fn main() {
    harness::main::<AmqpClient>();
}
