//! amqprs. It leaves confirms to the program, which gets them by a callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicPublishArguments,
    BasicQosArguments, Channel, ConfirmSelectArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use bytes::Bytes;
use harness::{Acks, Client, PREFETCH, WINDOW};
use tokio::sync::Notify;

struct Amqprs;

struct Open {
    channel: Channel,
    confirms: Arc<Confirms>,
}

/// The confirms of a channel, as cheaply as they can be kept: they come in order.
#[derive(Default)]
struct Confirms {
    published: AtomicU64,
    confirmed: AtomicU64,
    progress: Notify,
}

impl Confirms {
    async fn outstanding_at_most(&self, limit: u64) {
        let published = self.published.load(Ordering::Relaxed);
        while published - self.confirmed.load(Ordering::Acquire) > limit {
            self.progress.notified().await;
        }
    }
}

struct Callback(Arc<Confirms>);

#[async_trait]
impl ChannelCallback for Callback {
    async fn close(&mut self, _: &Channel, _: CloseChannel) -> Result<(), amqprs::error::Error> {
        panic!("the channel is closed");
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        panic!("the consumer is cancelled");
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        let Self(confirms) = self;
        if ack.mutiple() {
            confirms.confirmed.store(ack.delivery_tag(), Ordering::Release);
        } else {
            confirms.confirmed.fetch_add(1, Ordering::Release);
        }
        confirms.progress.notify_one();
    }

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {
        panic!("nack");
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {}
}

impl Client for Amqprs {
    type Connection = Connection;
    type Channel = Open;

    async fn connect(url: &str) -> Connection {
        let (_, address) = url.split_once('@').unwrap();
        let (host, port) = address.trim_end_matches("/%2f").split_once(':').unwrap();
        let port = port.parse().unwrap();
        let arguments = OpenConnectionArguments::new(host, port, "guest", "guest");
        Connection::open(&arguments).await.unwrap()
    }

    async fn channel(connection: &Connection) -> Open {
        let channel = connection.open_channel(None).await.unwrap();
        let confirms = Arc::<Confirms>::default();
        channel.register_callback(Callback(Arc::clone(&confirms))).await.unwrap();
        Open { channel, confirms }
    }

    async fn publish(open: &Open, queue: &str, body: Bytes, count: u64) {
        for _ in 0..count {
            let arguments = BasicPublishArguments::new("", queue);
            let properties = BasicProperties::default();
            open.channel.basic_publish(properties, body.to_vec(), arguments).await.unwrap();
        }
        open.channel.basic_qos(BasicQosArguments::default()).await.unwrap();
    }

    async fn publish_confirmed(open: &Open, queue: &str, body: Bytes, count: u64) {
        let Open { channel, confirms } = open;
        channel.confirm_select(ConfirmSelectArguments::default()).await.unwrap();
        for _ in 0..count {
            confirms.outstanding_at_most(WINDOW as u64 - 1).await;
            let arguments = BasicPublishArguments::new("", queue);
            confirms.published.fetch_add(1, Ordering::Relaxed);
            let properties = BasicProperties::default();
            channel.basic_publish(properties, body.to_vec(), arguments).await.unwrap();
        }
        confirms.outstanding_at_most(0).await;
    }

    async fn consume(open: &Open, queue: &str, count: u64, acks: Acks) {
        let channel = &open.channel;
        let no_ack = acks == Acks::None;
        let prefetch = if no_ack { 0 } else { PREFETCH };
        channel.basic_qos(BasicQosArguments::new(0, prefetch, false)).await.unwrap();
        let mut arguments = BasicConsumeArguments::new(queue, "consumer");
        arguments.manual_ack(!no_ack);
        let (tag, mut deliveries) = channel.basic_consume_rx(arguments).await.unwrap();
        for number in 1..=count {
            let message = deliveries.recv().await.unwrap();
            if let Some(multiple) = acks.after(number) {
                let tag = message.deliver.unwrap().delivery_tag();
                channel.basic_ack(BasicAckArguments::new(tag, multiple)).await.unwrap();
            }
        }
        channel.basic_cancel(BasicCancelArguments::new(&tag)).await.unwrap();
    }

    async fn close(connection: Connection) {
        connection.close().await.unwrap();
    }
}

pub(crate) fn main() {
    harness::main::<Amqprs>();
}
