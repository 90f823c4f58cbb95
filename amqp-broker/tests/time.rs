//! Time that is put forward, and states that are waited for without sleeping.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::future::{Future, IntoFuture, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, queue};
use amqp091::types::ShortStr;
use amqp091_broker::{Broker, Fault, MemoryStream};
use amqp091_client::{Channel, ConnectOptions, Connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

mod raw;

use raw::{greeting, put_publish};

const MINUTE: Duration = Duration::from_secs(60);

async fn over_memory(broker: &Broker) -> (Connection, Channel) {
    let options = ConnectOptions::default().heartbeat(Duration::ZERO);
    let connection = Connection::connect_over(broker.connect(), &options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

fn ready(broker: &Broker) -> usize {
    broker.queue("q").unwrap().ready
}

/// A client that the runtime knows nothing of.
fn kernels_client(broker: &Broker) -> std::net::TcpStream {
    let mut client = std::net::TcpStream::connect(broker.addresses()[0]).unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(&greeting(0)).unwrap();
    client
}

#[tokio::test]
async fn settled_when_all_is_read_that_the_kernel_has() {
    let broker = Broker::start().await.unwrap();
    let own = Connection::open(&broker.url()).await.unwrap();
    let channel = own.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    // Clients whose octets the runtime hears of only when it looks.
    let mut clients = Vec::new();
    for count in 1..=20 {
        clients.push(kernels_client(&broker));
        broker.settled().await;
        assert_eq!(broker.connections().len(), count + 1);
        assert!(broker.connections().iter().all(|connection| connection.channels == 1));
    }
    let mut out = BytesMut::new();
    for round in 1..=50 {
        out.clear();
        put_publish(&mut out);
        for client in &mut clients {
            client.write_all(&out).unwrap();
        }
        broker.settled().await;
        assert_eq!(ready(&broker), round * clients.len());
    }
    drop(clients);
    broker.settled().await;
    assert_eq!(broker.connections().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_beside_other_threads() {
    let broker = Broker::start().await.unwrap();
    let own = Connection::open(&broker.url()).await.unwrap();
    let channel = own.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    let mut client = kernels_client(&broker);
    let mut out = BytesMut::new();
    put_publish(&mut out);
    for round in 1..=200 {
        client.write_all(&out).unwrap();
        broker.settled().await;
        assert_eq!(ready(&broker), round);
    }
}

#[tokio::test]
async fn settled_when_the_client_has_read_what_is_for_it() {
    let broker = Broker::start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").await.unwrap();
    let mut consumer = channel.consume("q").no_ack(true).await.unwrap();
    for _ in 0..200 {
        channel.publish_unconfirmed("", "q", vec![1; 1000]).await.unwrap();
    }
    broker.settled().await;
    assert_eq!((ready(&broker), broker.counts().delivered), (0, 200));
    for _ in 0..200 {
        assert_eq!(consumer.next().await.unwrap().unwrap().body.len(), 1000);
    }
}

#[tokio::test]
async fn not_settled_while_the_client_has_something_to_read() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut client = broker.connect();
    client.write_all(&greeting(0)).await.unwrap();
    let mut settled = pin!(broker.settled());
    for _ in 0..100 {
        assert!(poll_fn(|cx| Poll::Ready(settled.as_mut().poll(cx).is_pending())).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(broker.connections()[0].channels, 1);
    read_some(&mut client).await;
    settled.await;
}

#[tokio::test]
async fn settled_though_a_rule_holds_something() {
    let broker = Broker::start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    let acks = broker.on("basic.ack").to_client().hold();
    let late = broker.on("basic.publish").nth(3).delay(MINUTE);
    let mut confirms = Vec::new();
    for _ in 0..5 {
        confirms.push(channel.publish("", "q", "m").await.unwrap());
    }
    broker.settled().await;
    assert_eq!((ready(&broker), late.hits()), (2, 1));
    broker.advance(MINUTE);
    broker.settled().await;
    assert_eq!(ready(&broker), 5);
    acks.release();
    for confirm in confirms {
        assert!(confirm.await.is_confirmed());
    }
    broker.at_once().go_silent().release();
    let _silent = broker.at_once().go_silent();
    channel.publish_unconfirmed("", "q", "m").await.unwrap();
    broker.settled().await;
    assert_eq!(ready(&broker), 5);
}

#[tokio::test(start_paused = true)]
async fn time_that_is_manual() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").message_ttl(MINUTE).await.unwrap();
    channel.queue_declare("unused").expires(MINUTE).await.unwrap();
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    tokio::time::sleep(MINUTE * 60).await;
    assert_eq!(ready(&broker), 1);
    assert!(broker.queue("unused").is_some());
    broker.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(ready(&broker), 1);
    broker.advance(Duration::from_millis(1));
    assert_eq!(ready(&broker), 0);
    assert!(broker.queue("unused").is_none());
}

#[tokio::test(start_paused = true)]
async fn time_that_is_the_runtimes() {
    let broker = Broker::start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    channel.queue_declare("q").message_ttl(MINUTE).await.unwrap();
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    tokio::time::sleep(MINUTE - Duration::from_millis(10)).await;
    assert_eq!(ready(&broker), 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(ready(&broker), 0);
    // Ahead of the runtime's time.
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    broker.advance(MINUTE);
    assert_eq!(ready(&broker), 0);
}

#[tokio::test]
async fn what_comes_due_on_the_way_comes_in_order() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    // From one to the next, each when it is due.
    for (queue, next, seconds) in [("q", "second", 30), ("second", "third", 5), ("third", "q", 9)] {
        let declare = channel.queue_declare(queue).message_ttl(Duration::from_secs(seconds));
        declare.dead_letter_exchange("").dead_letter_routing_key(next).await.unwrap();
    }
    channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
    broker.advance(Duration::from_secs(36));
    let places = ["q", "second", "third"].map(|queue| broker.queue(queue).unwrap().ready);
    assert_eq!(places, [0, 0, 1]);
    let third = broker.messages("third").unwrap();
    assert_eq!(third[0].expires_in, Some(Duration::from_secs(8)));
    // Where it began it doesn't come back to: nobody rejected it on the way.
    broker.advance(Duration::from_secs(8));
    assert_eq!(broker.queues().iter().map(|queue| queue.ready).sum::<usize>(), 0);
}

async fn read_some(client: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut octets = vec![0; 4096];
    let count = client.read(&mut octets).await.unwrap();
    octets.truncate(count);
    octets
}

/// A client in memory, open, with all read that the broker said.
async fn raw_client(broker: &Broker, heartbeat: u16) -> MemoryStream {
    let mut client = broker.connect();
    client.write_all(&greeting(heartbeat)).await.unwrap();
    while broker.connections().first().is_none_or(|connection| connection.channels == 0) {
        read_some(&mut client).await;
    }
    client
}

#[tokio::test]
async fn heartbeats_both_ways() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut client = raw_client(&broker, 10).await;
    // Open and channel.open-ok may still be there.
    let beat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
    let mut seen = Vec::new();
    broker.advance(Duration::from_secs(5));
    while !seen.ends_with(&beat) {
        seen.extend(read_some(&mut client).await);
    }
    // It says something every fifteen seconds, and stays.
    for _ in 0..10 {
        client.write_all(&beat).await.unwrap();
        read_until_quiet(&broker, &mut client).await;
        broker.advance(Duration::from_secs(15));
        assert_eq!(broker.connections().len(), 1);
    }
    read_until_quiet(&broker, &mut client).await;
    broker.advance(Duration::from_secs(20));
    read_until_quiet(&broker, &mut client).await;
    assert_eq!(broker.connections().len(), 0);
}

/// Until the broker has nothing more to say, or is gone.
async fn read_until_quiet(broker: &Broker, client: &mut MemoryStream) {
    let mut settled = pin!(broker.settled());
    loop {
        let mut octets = [0; 4096];
        tokio::select! {
            biased;
            () = &mut settled => return,
            count = client.read(&mut octets) => {
                if count.unwrap() == 0 {
                    return settled.await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_named_and_not_waited_for_for_ever() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let limit = Duration::from_millis(50);
    let mut unread = broker.connect();
    unread.write_all(&greeting(0)).await.unwrap();
    let found = broker.settled_within(limit).await.unwrap_err();
    assert_eq!((found.unread.len(), found.busy.len()), (1, 0));
    assert_eq!((found.unread[0].number, found.waited), (1, limit));
    assert!(found.to_string().contains("connection 1 from memory"), "{found}");
    drop(unread);
    broker.settled_within(limit).await.unwrap();
    // Over a socket it is when that is full.
    let mut full = kernels_client(&broker);
    broker.settled().await;
    let mut out = BytesMut::new();
    let declare = queue::Declare { queue: ShortStr::from_static("q"), ..queue::Declare::default() };
    encode::method(&mut out, 1, &declare).unwrap();
    let consume =
        basic::Consume { queue: ShortStr::from_static("q"), no_ack: true, ..Default::default() };
    encode::method(&mut out, 1, &consume).unwrap();
    full.write_all(&out).unwrap();
    let other = Connection::open(&broker.url()).await.unwrap();
    let channel = other.channel().await.unwrap();
    for _ in 0..20 {
        channel.publish_unconfirmed("", "q", vec![0; 1_000_000]).await.unwrap();
    }
    let found = broker.settled_within(limit * 10).await.unwrap_err();
    assert_eq!(found.unread.iter().map(|info| info.number).collect::<Vec<_>>(), [2]);
    // The others go on.
    channel.queue_declare("other").await.unwrap();
}

#[tokio::test]
async fn a_clients_frame_that_is_delayed_comes_at_its_time() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_one, one) = over_memory(&broker).await;
    let (_two, two) = over_memory(&broker).await;
    let declare = one.queue_declare("q").message_ttl(Duration::from_secs(10));
    declare.dead_letter_exchange("").dead_letter_routing_key("dead").await.unwrap();
    one.queue_declare("dead").message_ttl(Duration::from_secs(100)).await.unwrap();
    let late = broker.on("basic.publish").connection(1).delay(Duration::from_secs(5));
    let later = broker.on("basic.publish").connection(2).delay(Duration::from_secs(3));
    let bodies = ["1", "2"].map(|body| one.publish("", "q", body).into_future());
    for publish in bodies {
        drop(publish.await.unwrap());
    }
    drop(two.publish("", "q", "3").await.unwrap());
    broker.settled().await;
    assert_eq!((ready(&broker), late.hits(), later.hits()), (0, 1, 1));
    // At 3 the third comes, at 5 the first, which the second waits behind until 10; the former two die at 13
    // and 15.
    broker.advance(Duration::from_secs(18));
    assert_eq!(late.hits(), 2);
    let places = ["q", "dead"].map(|queue| {
        let messages = broker.messages(queue).unwrap();
        let facts = messages.iter().map(|message| (message.body.clone(), message.expires_in));
        facts.collect::<Vec<_>>()
    });
    let expires = |body: &'static str, seconds| (body.into(), Some(Duration::from_secs(seconds)));
    assert_eq!(places, [vec![expires("2", 2)], vec![expires("3", 95), expires("1", 97)]]);
}

#[tokio::test]
async fn a_client_that_does_not_log_in_is_let_go_by_the_brokers_clock() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut silent = broker.connect();
    silent.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
    read_some(&mut silent).await;
    broker.advance(Duration::from_secs(10) - Duration::from_millis(1));
    assert_eq!(broker.connections().len(), 1);
    broker.advance(Duration::from_millis(1));
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    // A broker that is slow by a rule doesn't blame the client.
    let slow = broker.on("connection.start-ok").delay(MINUTE);
    let stream = broker.connect();
    let options = ConnectOptions::default().heartbeat(Duration::ZERO);
    let connecting = tokio::spawn(async move { Connection::connect_over(stream, &options).await });
    slow.fired(1).await;
    broker.advance(MINUTE);
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_is_kept_waiting_is_missed_when_it_is_read_again() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    for rule in [Fault::go_silent, Fault::stop_reading] {
        let mut client = kernels_client(&broker);
        broker.settled().await;
        let rule = rule(broker.at_once());
        let mut out = BytesMut::new();
        let declare =
            queue::Declare { queue: ShortStr::from_static("q"), ..queue::Declare::default() };
        encode::method(&mut out, 1, &declare).unwrap();
        client.write_all(&out).unwrap();
        drop(client);
        broker.settled().await;
        broker.advance(MINUTE * 60);
        assert_eq!((broker.connections().len(), broker.queues().len()), (1, 0));
        // It is read to its end.
        rule.release();
        broker.settled().await;
        assert_eq!((broker.connections().len(), broker.queues().len()), (0, 1));
        broker.restart();
    }
}

#[tokio::test]
async fn the_clock_goes_only_so_far() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let (_connection, channel) = over_memory(&broker).await;
    let never = broker.on("basic.publish").nth(1).delay(Duration::MAX);
    channel.queue_declare("q").expires(MINUTE).await.unwrap();
    let publish = channel.publish("", "q", "m").await.unwrap();
    never.fired(1).await;
    for _ in 0..3 {
        broker.advance(Duration::MAX);
        assert!(broker.queue("q").is_none());
    }
    never.release();
    assert!(publish.await.is_confirmed());
    channel.queue_declare("q").expires(MINUTE).message_ttl(MINUTE).await.unwrap();
}

#[tokio::test]
async fn four_hundred_years_go_by_at_once_for_clients_that_cannot_be_heard() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let mut blocked = raw_client(&broker, 1).await;
    read_until_quiet(&broker, &mut blocked).await;
    broker.block("low on memory");
    let mut out = BytesMut::new();
    put_publish(&mut out);
    blocked.write_all(&out).await.unwrap();
    broker.settled().await;
    let silent = broker.on_connect().go_silent();
    let _newcomer = broker.connect();
    broker.advance(MINUTE * 60 * 24 * 365 * 400);
    assert_eq!(broker.connections().len(), 2);
    // From then on each has its time again.
    broker.unblock();
    silent.release();
    broker.advance(MINUTE);
    broker.settled().await;
    assert_eq!(broker.connections().len(), 0);
}

#[tokio::test]
async fn who_keeps_another_time_is_asked_for_no_heartbeats() {
    let broker = Broker::builder().manual_time().start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    broker.advance(MINUTE * 60);
    channel.queue_declare("q").await.unwrap();
    let broker = Broker::builder().heartbeat(MINUTE).manual_time().start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    assert_eq!(connection.heartbeat(), MINUTE);
}
