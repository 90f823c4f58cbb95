//! Clients that send as fast as they can: others have their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amqp091::encode;
use amqp091::protocol::{basic, channel, queue};
use amqp091::types::{FieldTable, ShortStr};
use amqp091_broker::Broker;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Bystander;
use crate::raw::{Login, Raw, name};

fn close() -> channel::Close {
    channel::Close {
        reply_code: 200.into(),
        reply_text: ShortStr::default(),
        class_id: 0,
        method_id: 0,
    }
}

/// Sends these octets again and again, and reads what comes, while somebody else goes on.
///
/// Nobody is to wait for it: between a question of another client's and its answer, the broker takes no more
/// of the flood than its turns allow.
async fn flood(broker: &Broker, octets: Vec<u8>) {
    let bystander = Bystander::new(broker).await;
    let mut client = Raw::new(broker.connect());
    client.log_in(Login::default()).await.unwrap();
    client.open_channel(1).await;
    let (mut read, mut write) = tokio::io::split(client.stream);
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let writing = tokio::spawn(async move {
        while let Ok(count) =
            write.write(&octets[counter.load(Ordering::Relaxed) % octets.len()..]).await
        {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    });
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while read.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    while taken.load(Ordering::Relaxed) < 4 * 1024 {
        tokio::task::yield_now().await;
    }
    let begin = taken.load(Ordering::Relaxed);
    for _ in 0..10 {
        let before = taken.load(Ordering::Relaxed);
        bystander.is_served().await;
        let meanwhile = taken.load(Ordering::Relaxed) - before;
        // Two round trips, each with a few turns of all tasks.
        assert!(meanwhile <= 4 * 1024 * 1024, "{meanwhile} octets came first");
    }
    // It was served as well.
    assert!(taken.load(Ordering::Relaxed) > begin);
    assert!(!writing.is_finished() && !reading.is_finished(), "it was thrown out");
    writing.abort();
    reading.abort();
    let _ = (writing.await, reading.await);
    broker.settled().await;
    assert_eq!(broker.connections().len(), 1);
    bystander.is_served().await;
}

async fn broker() -> Broker {
    Broker::builder().without_sockets().start().await.unwrap()
}

#[tokio::test]
async fn channels_opened_and_closed() {
    let mut octets = BytesMut::new();
    for number in 2..100 {
        encode::method(&mut octets, number, &channel::Open {}).unwrap();
        encode::method(&mut octets, number, &close()).unwrap();
    }
    flood(&broker().await, octets.to_vec()).await;
}

#[tokio::test]
async fn heartbeats() {
    let mut octets = BytesMut::new();
    (0..1000).for_each(|_| encode::heartbeat(&mut octets));
    flood(&broker().await, octets.to_vec()).await;
}

#[tokio::test]
async fn gets_of_nothing() {
    let broker = broker().await;
    let mut octets = BytesMut::new();
    let declare = queue::Declare {
        queue: name("empty"),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        no_wait: true,
        arguments: FieldTable::new(),
    };
    encode::method(&mut octets, 1, &declare).unwrap();
    for _ in 0..1000 {
        let get = basic::Get { queue: name("empty"), no_ack: true };
        encode::method(&mut octets, 1, &get).unwrap();
    }
    flood(&broker, octets.to_vec()).await;
}

/// Small messages that each go to three hundred queues: a read of them is much work.
#[tokio::test]
async fn messages_for_everybody() {
    let broker = broker().await;
    let mut setup = Raw::new(broker.connect());
    setup.log_in(Login::default()).await.unwrap();
    setup.open_channel(1).await;
    for number in 0..300 {
        let queue = name(&format!("queue-{number}"));
        let arguments = FieldTable::new().with(ShortStr::from_static("x-max-length"), 1);
        let declare = queue::Declare {
            queue: queue.clone(),
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            no_wait: true,
            arguments,
        };
        setup.send(1, &declare).await;
        let bind = queue::Bind {
            queue,
            exchange: name("amq.fanout"),
            routing_key: ShortStr::default(),
            no_wait: true,
            arguments: FieldTable::new(),
        };
        setup.send(1, &bind).await;
    }
    drop(setup);
    broker.settled().await;
    let mut octets = BytesMut::new();
    for _ in 0..100 {
        let method = basic::Publish {
            exchange: name("amq.fanout"),
            routing_key: ShortStr::default(),
            mandatory: false,
            immediate: false,
        };
        encode::method(&mut octets, 1, &method).unwrap();
        encode::raw_header(&mut octets, 1, basic::CLASS_ID, 0, &[0, 0]);
    }
    flood(&broker, octets.to_vec()).await;
}

/// Each of these queues hands its dead on to all others, at once: there are as many ways as there are orders
/// of them.
#[tokio::test]
async fn deaths_that_lead_to_ever_more_deaths() {
    let broker = broker().await;
    let bystander = Bystander::new(&broker).await;
    let channel = &bystander.channel;
    for number in 0..16 {
        let queue = format!("queue-{number}");
        let declare = channel.queue_declare(&queue).dead_letter_exchange("amq.fanout");
        declare.message_ttl(std::time::Duration::ZERO).await.unwrap();
        channel.queue_bind(&queue, "amq.fanout").await.unwrap();
    }
    channel.publish("amq.fanout", "", "m").await.unwrap().confirmed().await.unwrap();
    for _ in 0..10 {
        bystander.is_served().await;
    }
    assert!(broker.counts().dead > 1000);
}
