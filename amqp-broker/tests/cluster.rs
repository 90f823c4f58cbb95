//! A small cluster that fails, as its clients see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091_broker::Broker;
use amqp091_client::{Channel, Connection, Outcome, QueueType};
use tokio::net::TcpStream;

const ELECTION: Duration = Duration::from_millis(500);

async fn started() -> Broker {
    Broker::builder().nodes(3).manual_time().start().await.unwrap()
}

async fn connected(broker: &Broker, node: u16) -> (Connection, Channel) {
    let connection = Connection::open(&broker.node(node).url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

async fn quorum_queue(channel: &Channel) {
    channel.queue_declare("q").durable(true).queue_type(QueueType::Quorum).await.unwrap();
}

async fn outcome(channel: &Channel) -> Outcome {
    channel.publish("", "q", "m").persistent(true).await.unwrap().await
}

#[tokio::test]
async fn a_leader_is_killed() {
    let broker = started().await;
    let (first, channel) = connected(&broker, 1).await;
    quorum_queue(&channel).await;
    let (second, other) = connected(&broker, 2).await;
    let mut consumer = other.consume("q").prefetch(1).await.unwrap();
    assert!(outcome(&channel).await.is_confirmed());
    broker.node(1).kill();
    first.closed().await.unwrap_err();
    let refused = TcpStream::connect(broker.node(1).address().unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(matches!(outcome(&other).await, Outcome::Nacked));
    broker.advance(ELECTION);
    assert!(outcome(&other).await.is_confirmed());
    for _ in 0..2 {
        consumer.next().await.unwrap().unwrap().ack().unwrap();
    }
    second.check_open().unwrap();
    broker.node(1).start().unwrap();
    connected(&broker, 1).await;
}

#[tokio::test]
async fn most_nodes_are_away() {
    let broker = started().await;
    let (third, channel) = connected(&broker, 3).await;
    quorum_queue(&channel).await;
    broker.node(1).kill();
    assert!(outcome(&channel).await.is_confirmed());
    broker.node(2).pause();
    let publishes = [
        channel.publish("", "q", "1").await.unwrap(),
        channel.publish("", "q", "2").await.unwrap(),
    ];
    // To a queue that isn't there, it is confirmed all the same, and alone.
    assert!(channel.publish("", "nowhere", "m").await.unwrap().await.is_confirmed());
    broker.settled().await;
    let [one, two] = publishes;
    let mut one = pin!(one.into_future());
    assert!(poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_pending())).await);
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    broker.heal().unwrap();
    assert!(one.await.is_confirmed() && two.await.is_confirmed());
    assert_eq!(broker.queue("q").unwrap().ready, 3);
    third.check_open().unwrap();
}

#[tokio::test]
async fn a_node_is_paused() {
    let broker = started().await;
    let (paused, channel) = connected(&broker, 2).await;
    quorum_queue(&channel).await;
    let (_other, other) = connected(&broker, 1).await;
    broker.node(2).pause();
    let publish = channel.publish("", "q", "m").await.unwrap();
    broker.settled().await;
    assert!(matches!(outcome(&other).await, Outcome::Nacked));
    broker.advance(ELECTION);
    assert!(outcome(&other).await.is_confirmed());
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    broker.node(2).resume().unwrap();
    assert!(publish.await.is_confirmed());
    paused.check_open().unwrap();
}

#[tokio::test]
async fn a_node_is_cut_off() {
    let broker = started().await;
    let (minority, channel) = connected(&broker, 1).await;
    quorum_queue(&channel).await;
    let (majority, other) = connected(&broker, 2).await;
    broker.partition(&[2, 3]);
    minority.closed().await.unwrap_err();
    broker.advance(ELECTION);
    assert!(outcome(&other).await.is_confirmed());
    majority.check_open().unwrap();
    Connection::open(&broker.node(1).url()).await.unwrap_err();
    broker.heal().unwrap();
    connected(&broker, 1).await;
}

#[tokio::test]
async fn a_classic_queue_goes_with_its_node() {
    let broker = started().await;
    let (_first, channel) = connected(&broker, 1).await;
    channel.queue_declare("q").durable(true).await.unwrap();
    channel.queue_declare("transient").await.unwrap();
    assert!(outcome(&channel).await.is_confirmed());
    let (_second, other) = connected(&broker, 2).await;
    broker.node(1).kill();
    assert!(matches!(outcome(&other).await, Outcome::Nacked));
    assert!(broker.queue("transient").is_none());
    broker.node(1).start().unwrap();
    assert!(outcome(&other).await.is_confirmed());
    let mut consumer = other.consume("q").await.unwrap();
    for _ in 0..2 {
        consumer.next().await.unwrap().unwrap().ack().unwrap();
    }
    broker.node(1).kill();
    consumer.next().await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_node_that_there_is_not_can_not_be_killed() {
    let three = Broker::builder().nodes(3).start().await.unwrap();
    let one = Broker::start().await.unwrap();
    for (broker, number, why) in [
        (&three, 4, "there is no node 4: they are counted from 1 to 3"),
        (&three, 0, "there is no node 0"),
        (&one, 1, "there are no nodes"),
    ] {
        for act in [|broker: &Broker, n| broker.node(n).kill(), |b: &Broker, n| b.partition(&[n])] {
            let act = std::panic::AssertUnwindSafe(|| act(broker, number));
            let payload = std::panic::catch_unwind(act).unwrap_err();
            let said = payload.downcast_ref::<String>().cloned();
            let said = said.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.into()));
            assert!(said.as_ref().is_some_and(|said| said.contains(why)), "{said:?}");
        }
    }
    Connection::open(&one.url()).await.unwrap();
}
