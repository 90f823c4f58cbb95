//! Clients that don't read.

use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{ToClient, basic, confirm};
use amqp091::types::{FieldTable, ShortStr};
use amqp091_broker::Broker;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::raw::{self, Login, Raw, name};
use crate::{Bystander, idle};

const MIB: usize = 1024 * 1024;

/// Sends this again and again until no more is taken; how many octets were.
async fn send_until_stuck<S>(client: &mut Raw<S>, one: &[u8]) -> usize
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut taken = 0;
    loop {
        let write = client.stream.write(&one[taken % one.len()..]);
        match tokio::time::timeout(Duration::from_secs(1), write).await {
            Ok(count) => taken += count.unwrap(),
            Err(_) => return taken,
        }
        assert!(taken < 64 * MIB, "it takes all");
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_never_reads_is_not_read_either() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    let mut publisher = Raw::new(broker.connect());
    publisher.log_in(Login::default()).await.unwrap();
    publisher.open_channel(1).await;
    publisher.send(1, &confirm::Select { no_wait: true }).await;
    // What comes back is as much as what goes out.
    let mut one = BytesMut::new();
    let method = basic::Publish {
        exchange: ShortStr::default(),
        routing_key: name("nowhere"),
        mandatory: true,
        immediate: false,
    };
    encode::method(&mut one, 1, &method).unwrap();
    encode::raw_header(&mut one, 1, basic::CLASS_ID, 1000, &[0, 0]);
    encode::body(&mut one, 1, &[7; 1000], 4096);
    let octets = send_until_stuck(&mut publisher, &one).await;
    let taken = broker.counts().returned;
    assert!(taken as usize * 1000 < 8 * MIB, "{taken} messages");
    for _ in 0..10 {
        bystander.is_served().await;
    }
    assert_eq!(broker.counts().returned, taken);

    // Now it reads, and is read again.
    let mut returned = 0;
    let tail = one[octets % one.len()..].to_vec();
    let (mut read, mut write) = tokio::io::split(publisher.stream);
    let writing = async {
        write.write_all(&tail).await.unwrap();
        // The other half of the stream stays open.
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut client = Raw::new(tokio::io::join(&mut read, tokio::io::sink()));
        loop {
            match tokio::time::timeout(Duration::from_secs(1), client.next()).await {
                Ok(Some((1, ToClient::BasicReturn(_)))) => returned += 1,
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was closed"),
                Err(_) => break,
            }
        }
    };
    tokio::select! { () = writing => {}, () = reading => {} }
    assert_eq!(returned, broker.counts().returned);
    assert!(returned > taken);
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_are_not_made() {
    const BODY: usize = 15_000;
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    for _ in 0..2000 {
        bystander.channel.publish_unconfirmed("", "bystander", vec![7; BODY]).await.unwrap();
    }
    broker.settled().await;
    // Twenty octets ask for fifteen thousand, and many such fit into one read.
    let mut greedy = Raw::new(broker.connect());
    greedy.log_in(Login::default()).await.unwrap();
    greedy.open_channel(1).await;
    let mut out = BytesMut::new();
    for _ in 0..2000 {
        let get = basic::Get { queue: name("bystander"), no_ack: true };
        encode::method(&mut out, 1, &get).unwrap();
    }
    greedy.write(&out).await;
    idle().await;
    let gone = 2000 - broker.queue("bystander").unwrap().ready;
    assert!(gone * BODY < 4 * MIB, "{gone} messages");
    drop(greedy);
    broker.settled().await;
    bystander.channel.queue_purge("bystander").await.unwrap();
    bystander.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_never_reads_leaves_the_rest_to_others() {
    const MESSAGES: usize = 20_000;
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    for no_ack in [true, false] {
        for _ in 0..MESSAGES {
            bystander.channel.publish_unconfirmed("", "bystander", vec![7; 1000]).await.unwrap();
        }
        broker.settled().await;
        let mut deaf = Raw::new(broker.connect());
        deaf.log_in(Login::default()).await.unwrap();
        deaf.open_channel(1).await;
        let consume = basic::Consume {
            queue: name("bystander"),
            consumer_tag: name("deaf"),
            no_local: false,
            no_ack,
            exclusive: false,
            no_wait: true,
            arguments: FieldTable::new(),
        };
        deaf.send(1, &consume).await;
        idle().await;
        let left = broker.queue("bystander").unwrap().ready;
        assert!((MESSAGES - left) * 1000 < 4 * MIB, "{left} are left");
        let mut consumer = bystander.channel.consume("bystander").prefetch(100).await.unwrap();
        for _ in 0..left {
            consumer.next().await.unwrap().unwrap().ack().unwrap();
        }
        idle().await;
        let queue = broker.queue("bystander").unwrap();
        assert_eq!((queue.ready, queue.unacked), (0, if no_ack { 0 } else { MESSAGES - left }));
        // What it holds comes back, where it wasn't its own already.
        drop(deaf);
        for _ in 0..queue.unacked {
            let delivery = consumer.next().await.unwrap().unwrap();
            assert!(delivery.redelivered);
            delivery.ack().unwrap();
        }
        consumer.cancel().await.unwrap();
    }
    bystander.is_served().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_sends_is_closed_by_its_heartbeat() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let mut silent = Raw::new(broker.connect());
    silent.log_in(Login { heartbeat: 5, ..Login::default() }).await.unwrap();
    let before = tokio::time::Instant::now();
    silent.ended().await;
    let after = before.elapsed().as_secs();
    assert!((10..=13).contains(&after), "{after} s");
    let mut out = BytesMut::new();
    raw::publish(&mut out, 1, "nowhere", b"");
    assert!(silent.stream.write_all(&out).await.is_err());
}
