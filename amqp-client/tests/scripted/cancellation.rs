//! Futures that are dropped at any of their awaits: the connection is none the worse for it, no reply
//! goes to the wrong call, and what a future had got hold of goes back.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091::protocol::confirm;
use amqp091_client::{Channel, ConnectOptions, Connection};

use crate::peer::{Peer, TUNE, connected, open_channel, within};
use crate::robot::{Seen, connect_to_robot};

/// More polls than any future here needs.
const POLLS: usize = 12;

/// Polls a future so many times, with everything else getting a turn in between, and drops it.
/// Returns its output if it had one by then.
async fn poll_and_drop<F: IntoFuture>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future.into_future());
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Everything on the channel works, and every reply is the right one.
async fn check(channel: &Channel, number: &mut usize) {
    *number += 1;
    let name = format!("check-{number}");
    assert_eq!(channel.queue_declare(&name).await.unwrap().queue, *name);
    assert_eq!(channel.queue_purge(&name).await.unwrap().message_count, 2);
    channel.publish("", &name, &name).await.unwrap().confirmed().await.unwrap();
    let got = channel.get(&name).await.unwrap().unwrap();
    assert_eq!(got.delivery.body, "got");
    got.delivery.ack().unwrap();
    let mut consumer = channel.consume(&name).await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(delivery.body, "delivered");
    delivery.ack().unwrap();
    consumer.cancel().await.unwrap();
}

/// Runs `test` with a channel of a robot's connection; then nothing may be left behind.
async fn with_robot(test: impl AsyncFnOnce(&Connection, &Channel)) -> Seen {
    let (connection, robot) = connect_to_robot(&ConnectOptions::default()).await;
    let channel = connection.channel().await.unwrap();
    test(&connection, &channel).await;
    channel.close().await.unwrap();
    connection.close().await.unwrap();
    let seen = robot.await.unwrap();
    assert!(seen.unsettled.is_empty(), "{:?}", seen.unsettled);
    assert!(seen.open.is_empty(), "left open: {:?}", seen.open);
    seen
}

#[tokio::test]
async fn builders_dropped_at_any_await_disturb_no_other_call() {
    within(async {
        with_robot(async |_, channel| {
            let mut number = 0;
            for polls in 0..POLLS {
                macro_rules! drop_each {
                    ($($future:expr;)*) => {$(
                        drop(poll_and_drop($future, polls).await);
                        check(channel, &mut number).await;
                    )*};
                }
                drop_each! {
                    channel.exchange_declare("e", "direct").durable(true);
                    channel.exchange_bind("e", "f").routing_key("k");
                    channel.exchange_unbind("e", "f");
                    channel.exchange_delete("e");
                    channel.queue_declare("dropped").exclusive(true);
                    channel.queue_bind("q", "e").routing_key("k");
                    channel.queue_unbind("q", "e");
                    channel.queue_purge("q");
                    channel.queue_delete("q");
                    channel.qos(10);
                    channel.get("q").no_ack(true);
                    channel.consume("q").prefetch(3);
                    channel.publish("", "q", "dropped");
                    channel.publish_unconfirmed("", "q", "dropped");
                }
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_message_got_for_a_dropped_call_goes_back() {
    within(async {
        let mut got = 0;
        let seen = with_robot(async |_, channel| {
            let mut number = 0;
            for polls in 0..POLLS {
                if let Some(message) = poll_and_drop(channel.get("q"), polls).await {
                    got += 1;
                    message.unwrap().unwrap().delivery.ack().unwrap();
                }
                check(channel, &mut number).await;
            }
        })
        .await;
        // Of each check's consumer, two of three messages were never fetched.
        let back = seen.requeued - 2 * POLLS;
        assert!(got > 0 && back > 0, "got {got}, {back} went back");
        assert_eq!(got + back, POLLS - 1, "one was dropped before it was sent");
    })
    .await;
}

#[tokio::test]
async fn a_consumer_dropped_at_any_await_is_cancelled_and_its_messages_go_back() {
    within(async {
        let mut number = 0;
        let mut dropped = 0;
        let seen = with_robot(async |_, channel| {
            for polls in 0..POLLS {
                let consumer = poll_and_drop(channel.consume("q"), polls).await;
                check(channel, &mut number).await;
                let Some(consumer) = consumer else {
                    dropped += usize::from(polls > 0);
                    continue;
                };
                let mut consumer = consumer.unwrap();
                // A dropped wait for the next message loses none.
                for _ in 0..3 {
                    let delivery = loop {
                        if let Some(next) = poll_and_drop(consumer.next(), polls % 3).await {
                            break next.unwrap().unwrap();
                        }
                        tokio::task::yield_now().await;
                        if polls % 3 == 0 {
                            break consumer.next().await.unwrap().unwrap();
                        }
                    };
                    delivery.ack().unwrap();
                }
                poll_and_drop(consumer.cancel(), polls % 4).await.transpose().unwrap();
                check(channel, &mut number).await;
            }
        })
        .await;
        assert!(dropped > 0 && dropped < POLLS - 1, "{dropped}");
        // The robot sends each consumer three messages; each check fetches one of them.
        assert_eq!(seen.requeued, 3 * dropped + 2 * number);
    })
    .await;
}

#[tokio::test]
async fn channels_dropped_while_they_open_or_close_are_closed() {
    within(async {
        with_robot(async |connection, channel| {
            let mut number = 0;
            for polls in 0..POLLS {
                if let Some(opened) = poll_and_drop(connection.channel(), polls).await {
                    check(&opened.unwrap(), &mut number).await;
                }
                let other = connection.channel().await.unwrap();
                if let Some(closed) = poll_and_drop(other.close(), polls).await {
                    closed.unwrap();
                }
                assert_eq!(other.check_open().is_err(), polls > 0);
                drop(other);
                drop(poll_and_drop(connection.closed(), polls).await);
                check(channel, &mut number).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_confirm_dropped_at_any_poll_leaves_the_others_right() {
    within(async {
        let seen = with_robot(async |_, channel| {
            for polls in 0..POLLS {
                let dropped = channel.publish("", "q", "a").await.unwrap();
                let kept = channel.publish("", "q", "b").await.unwrap();
                assert_eq!(kept.delivery_tag(), dropped.delivery_tag() + 1);
                if let Some(outcome) = poll_and_drop(dropped, polls).await {
                    assert!(outcome.is_confirmed());
                }
                kept.confirmed().await.unwrap();
            }
        })
        .await;
        assert_eq!(seen.published.len(), 2 * POLLS);
    })
    .await;
}

#[tokio::test]
async fn closing_goes_on_when_nobody_waits_for_it_any_more() {
    within(async {
        for polls in 1..POLLS {
            let (connection, robot) = connect_to_robot(&ConnectOptions::default()).await;
            let channel = connection.channel().await.unwrap();
            drop(poll_and_drop(connection.close(), polls).await);
            assert!(channel.check_open().is_err());
            connection.closed().await.unwrap();
            robot.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn an_attempt_to_connect_that_is_dropped_closes_its_socket() {
    within(async {
        let mut connected = 0;
        for polls in 0..POLLS {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let server = tokio::spawn(async move {
                let mut peer = Peer::new(server);
                if peer.read_octets().await == 0 {
                    return;
                }
                peer.handshake(&TUNE).await;
                peer.until_closed().await;
            });
            let options = ConnectOptions::default();
            let attempt = Connection::connect_over(client, &options);
            if let Some(connection) = poll_and_drop(attempt, polls).await {
                connected += 1;
                connection.unwrap().close().await.unwrap();
                server.await.unwrap();
            } else {
                // The server's side of the handshake ends in a panic of its own: it saw the end.
                let _ = tokio::time::timeout(Duration::from_secs(10), server).await.unwrap();
            }
        }
        assert!(connected > 0 && connected < POLLS);
    })
    .await;
}

#[tokio::test]
async fn a_dropped_publish_that_waits_for_room_is_not_sent() {
    within(async {
        let options = ConnectOptions::default().output_limit(1);
        let (connection, mut peer) = connected(&options).await;
        let channel = open_channel(&connection, &mut peer).await;
        // The first one fills the output, and no task of the connection gets a turn before the next.
        let first = channel.publish("", "q", "first").await.unwrap();
        assert!(poll_and_drop(channel.publish("", "q", "second"), 0).await.is_none());
        let mut second = Box::pin(channel.publish("", "q", "second").into_future());
        let polled = poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
        drop(second);
        let third = channel.publish("", "q", "third").await.unwrap();
        assert_eq!((first.delivery_tag(), third.delivery_tag()), (1, 2));
        peer.expect::<confirm::Select>().await;
        assert_eq!(peer.expect_publish().await.2, b"first");
        assert_eq!(peer.expect_publish().await.2, b"third");
    })
    .await;
}
