//! What other clients get wrong, a test for each, named by the defect.
//!
//! Most of these have deeper tests elsewhere: of confirms and returns under load in `confirms`, of
//! replies that meet no waiter, or a dropped one, in `cancellation`, of heartbeats in `heartbeats`, of
//! limits in `tuning`; of the record of a server-named queue, which is not declared again by the name
//! that the server made up, in the core's tests of the topology. What an idle connection costs, and
//! publishing beside idle channels, is measured in `peers_costs`.

use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{basic, confirm, connection, queue};
use amqp091_client::{ConnectOptions, Error, Outcome, ReplyCode};
use tokio::time::sleep;

use crate::peer::{
    Peer, Received, TUNE, channel_code, connected_by, open_channel, short, with_channel, within,
};

#[tokio::test]
async fn concurrent_confirmed_publishes_on_one_channel_do_not_mix_up_acks_and_nacks() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let tasks: Vec<_> = (0..200)
            .map(|task| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    let body = if task % 3 == 0 { "N" } else { "A" };
                    let outcome = channel.publish("", "q", body).await.unwrap().await;
                    assert_eq!(matches!(outcome, Outcome::Nacked), body == "N", "{outcome:?}");
                    assert_eq!(outcome.is_confirmed(), body == "A", "{outcome:?}");
                })
            })
            .collect();
        peer.expect::<confirm::Select>().await;
        let mut bodies = Vec::new();
        for _ in 0..200 {
            bodies.push(peer.expect_publish().await.2);
        }
        // The last first.
        for (at, body) in bodies.iter().enumerate().rev() {
            let (delivery_tag, multiple) = (at as u64 + 1, false);
            match &body[..] {
                b"A" => peer.method(1, &basic::Ack { delivery_tag, multiple }),
                _ => peer.method(1, &basic::Nack { delivery_tag, multiple, requeue: false }),
            }
        }
        peer.flush().await;
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_mandatory_return_is_not_linked_to_another_publish() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut confirms = Vec::new();
        for number in 0..20 {
            let key = if number % 3 == 0 { "nowhere" } else { "q" };
            let publish = channel.publish("", key, format!("{number}")).mandatory(true);
            confirms.push((key, publish.await.unwrap()));
        }
        peer.expect::<confirm::Select>().await;
        for _ in 0..20 {
            let (_, publish, body) = peer.expect_publish().await;
            if publish.routing_key == short("nowhere") {
                let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
                let (exchange, routing_key) = (publish.exchange, publish.routing_key);
                let returned = basic::Return { reply_code, reply_text, exchange, routing_key };
                peer.method(1, &returned);
                peer.content(1, body.len(), &body);
            }
        }
        // One confirm for all of them.
        peer.send(1, &basic::Ack { delivery_tag: 20, multiple: true }).await;
        for (number, (key, confirm)) in confirms.into_iter().enumerate() {
            match (key, confirm.await) {
                ("q", Outcome::Confirmed) => {}
                ("nowhere", Outcome::Returned(returned)) => {
                    assert_eq!(returned.body, number.to_string());
                }
                other => panic!("{number}: {other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_one_second_is_no_flood_and_no_instant_death() {
    let tune = connection::Tune { heartbeat: 1, ..TUNE };
    let (connection, mut peer) = connected_by(&ConnectOptions::default(), &tune, 65_536).await;
    let mut beats = 0;
    for _ in 0..100 {
        encode::heartbeat(&mut peer.out);
        peer.flush().await;
        let second = sleep(Duration::from_secs(1));
        let mut second = pin!(second);
        loop {
            tokio::select! {
                () = &mut second => break,
                frame = peer.read() => {
                    assert_eq!(frame, Some((0, Received::Heartbeat)));
                    beats += 1;
                }
            }
        }
    }
    assert!((150..=210).contains(&beats), "{beats} heartbeats in 100 seconds");
    connection.check_open().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_zero_kills_no_connection_and_sends_none() {
    let options = ConnectOptions::default().heartbeat(Duration::ZERO);
    let (connection, mut peer) = connected_by(&options, &TUNE, 65_536).await;
    let day = sleep(Duration::from_secs(86_400));
    tokio::select! {
        () = day => {}
        frame = peer.read() => panic!("{frame:?}"),
    }
    connection.check_open().unwrap();
}

#[tokio::test]
async fn a_queue_deleted_under_a_consumer_does_not_leave_it_hanging() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, (_, consumer_tag)) =
            tokio::join!(channel.consume("q").into_future(), peer.consume());
        let mut consumer = consumer.unwrap();
        peer.send(1, &basic::Cancel { consumer_tag, no_wait: true }).await;
        let end = consumer.next().await.unwrap().unwrap_err();
        assert!(matches!(end, Error::ConsumerCancelled { .. }), "{end}");
        assert!(consumer.next().await.is_none());
        channel.check_open().unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_servers_reason_is_told_to_the_call_and_to_every_later_one() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let declare = channel.queue_declare("missing").passive(true).into_future();
        let (declared, ()) = tokio::join!(declare, async {
            peer.expect::<queue::Declare>().await;
            peer.close_channel(1).await;
        });
        let first = declared.unwrap_err();
        assert!(first.to_string().contains("NOT_FOUND - no exchange 'x'"), "{first}");
        for _ in 0..3 {
            let later = channel.qos(1).await.unwrap_err();
            assert_eq!(later.to_string(), first.to_string());
        }
        connection.check_open().unwrap();
    })
    .await;
}

#[tokio::test]
async fn publishing_on_a_closed_channel_is_an_error() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = {
            let consume = channel.consume("q").into_future();
            tokio::join!(consume, peer.consume()).0.unwrap()
        };
        peer.close_channel(1).await;
        consumer.next().await.unwrap().unwrap_err();
        let watched = channel.publish("", "q", "x").await.unwrap_err();
        let unwatched = channel.publish_unconfirmed("", "q", "x").await.unwrap_err();
        assert_eq!((channel_code(&watched), channel_code(&unwatched)), (404, 404));
    })
    .await;
}

#[tokio::test]
async fn a_reply_that_comes_before_anybody_waits_for_it_is_not_lost() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut call = pin!(channel.qos(1).into_future());
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        peer.expect::<basic::Qos>().await;
        peer.send(1, &basic::QosOk {}).await;
        // The client has read it when it has answered something behind it.
        peer.send(1, &amqp091::protocol::channel::Flow { active: true }).await;
        peer.expect::<amqp091::protocol::channel::FlowOk>().await;
        call.await.unwrap();
    })
    .await;
}

/// Answers the declares that come with the name of each.
async fn answer_declares(peer: &mut Peer<tokio::io::DuplexStream>, count: usize) {
    for _ in 0..count {
        let (_, queue::Declare { queue, .. }) = peer.expect().await;
        peer.method(1, &queue::DeclareOk { queue, message_count: 0, consumer_count: 0 });
    }
    peer.flush().await;
}

#[tokio::test]
async fn a_cancelled_call_does_not_shift_later_replies() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        {
            let mut dropped = pin!(channel.queue_declare("dropped").into_future());
            assert!(poll_fn(|cx| Poll::Ready(dropped.as_mut().poll(cx).is_pending())).await);
        }
        let declare = channel.queue_declare("kept").into_future();
        let (declared, ()) = tokio::join!(declare, answer_declares(&mut peer, 2));
        assert_eq!(declared.unwrap().queue, short("kept"));
    })
    .await;
}

#[tokio::test]
async fn two_calls_of_one_kind_at_once_do_not_collide() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (one, other, ()) = tokio::join!(
            channel.queue_declare("one").into_future(),
            channel.queue_declare("other").into_future(),
            answer_declares(&mut peer, 2),
        );
        assert_eq!((one.unwrap().queue, other.unwrap().queue), (short("one"), short("other")));
    })
    .await;
}

#[tokio::test]
async fn a_delivery_right_behind_consume_ok_is_not_dropped() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, ()) = tokio::join!(channel.consume("q").into_future(), async {
            let (_, basic::Consume { consumer_tag, .. }) = peer.expect().await;
            peer.method(1, &basic::ConsumeOk { consumer_tag: consumer_tag.clone() });
            peer.deliver(1, &consumer_tag, 1, b"at once");
            peer.flush().await;
        });
        assert_eq!(consumer.unwrap().next().await.unwrap().unwrap().body, "at once");
    })
    .await;
}

#[tokio::test]
async fn cancelling_ends_the_stream_and_dropping_a_consumer_cancels_it() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        for is_dropped in [false, true] {
            let consume = channel.consume("q").into_future();
            let (consumer, (_, consumer_tag)) = tokio::join!(consume, peer.consume());
            let mut consumer = consumer.unwrap();
            let cancel_ok = basic::CancelOk { consumer_tag: consumer_tag.clone() };
            if is_dropped {
                drop(consumer);
                assert_eq!(peer.expect::<basic::Cancel>().await.1.consumer_tag, consumer_tag);
                peer.send(1, &cancel_ok).await;
            } else {
                let (cancelled, ()) = tokio::join!(consumer.cancel().into_future(), async {
                    peer.expect::<basic::Cancel>().await;
                    peer.send(1, &cancel_ok).await;
                });
                cancelled.unwrap();
                assert!(consumer.next().await.is_none());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_blocked_connection_still_acknowledges_and_calls() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consume = channel.consume("q").into_future();
        let (consumer, (_, consumer_tag)) = tokio::join!(consume, peer.consume());
        peer.method(0, &connection::Blocked { reason: short("low on memory") });
        peer.deliver(1, &consumer_tag, 1, b"x");
        peer.flush().await;
        consumer.unwrap().next().await.unwrap().unwrap().ack().unwrap();
        assert_eq!(connection.blocked(), Some(short("low on memory")));
        assert_eq!(peer.expect::<basic::Ack>().await.1.delivery_tag, 1);
    })
    .await;
}

#[tokio::test]
async fn a_header_that_is_not_utf_8_kills_no_connection() {
    within(async {
        let (connection, mut peer) = connected_by(&ConnectOptions::default(), &TUNE, 65_536).await;
        let channel = open_channel(&connection, &mut peer).await;
        let consume = channel.consume("q").into_future();
        let (consumer, (_, consumer_tag)) = tokio::join!(consume, peer.consume());
        let mut consumer = consumer.unwrap();
        // A content type, and a header with a key and a value, none of them text.
        let not_text = [0xFF, 0xFE];
        let mut properties = vec![0xA0, 0, 2, 0xFF, 0xFE, 0, 0, 0, 10, 2, 0xFF, 0xFE, b'S'];
        properties.extend([0, 0, 0, 2, 0xFF, 0xFE]);
        for delivery_tag in [1, 2] {
            let consumer_tag = consumer_tag.clone();
            peer.method(
                1,
                &basic::Deliver { consumer_tag, delivery_tag, ..basic::Deliver::default() },
            );
            encode::raw_header(&mut peer.out, 1, basic::CLASS_ID, 1, &properties);
            peer.body(1, b"x");
        }
        peer.flush().await;
        for _ in 0..2 {
            let delivery = consumer.next().await.unwrap().unwrap();
            let properties = delivery.properties().unwrap();
            assert_eq!(properties.content_type.unwrap().as_bytes(), not_text);
            assert_eq!(properties.headers.unwrap().len(), 1);
            delivery.ack().unwrap();
        }
        connection.check_open().unwrap();
    })
    .await;
}

#[test]
fn an_unknown_query_parameter_in_a_uri_does_not_panic() {
    for query in ["x", "x=1", "=", "=1", "&&", "x=%", "heartbeat", "heartbeat=", "heartbeat=-1"] {
        let uri = format!("amqp://host/vhost?{query}");
        if let Err(error) = ConnectOptions::from_uri(&uri) {
            assert!(matches!(error, Error::Uri(_)), "{uri}: {error}");
        }
    }
    assert!(ConnectOptions::from_uri("amqp://host?hartbeat=1").is_err(), "misspelt");
}
