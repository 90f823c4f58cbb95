//! What other clients get wrong, provoked in ours: each by a fault of the broker's, named by the defect.
//!
//! What publishing beside idle channels costs in CPU time is in the client's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::{FieldTable, LongStr, ShortStr, Value};
use amqp091_broker::{Broker, MemoryStream};
use amqp091_client::{Channel, CloseReason, ConnectOptions, Connection, Error, Outcome};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

async fn over_memory(broker: &Broker, options: &ConnectOptions) -> (Connection, Channel) {
    let connection = Connection::connect_over(broker.connect(), options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

async fn opened() -> (Broker, Connection, Channel) {
    let broker = Broker::start().await.unwrap();
    let (connection, channel) = over_memory(&broker, &ConnectOptions::default()).await;
    channel.queue_declare("q").await.unwrap();
    (broker, connection, channel)
}

/// Looks once: whether it is not done.
async fn is_pending<F: Future>(future: &mut Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_confirmed_publishes_on_one_channel_do_not_mix_up_acks_and_nacks() {
    let (broker, _connection, channel) = opened().await;
    let nacks = broker.on("basic.publish").chance(0.3, 1).nack();
    let acks = broker.on("basic.ack").to_client().coalesce(7);
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let channel = channel.clone();
            tokio::spawn(async move {
                let body = number.to_string();
                let outcome = channel.publish("", "q", body.clone()).await.unwrap().await;
                assert!(matches!(outcome, Outcome::Confirmed | Outcome::Nacked), "{outcome:?}");
                (body, outcome.is_confirmed())
            })
        })
        .collect();
    // What is left when no more come is fewer than are gathered.
    while broker.counts().published + nacks.hits() < 500 {
        tokio::task::yield_now().await;
    }
    broker.settled().await;
    acks.release();
    let stored: HashSet<_> =
        broker.messages("q").unwrap().into_iter().map(|message| message.body).collect();
    assert_eq!(stored.len() as u64, 500 - nacks.hits());
    for task in tasks {
        let (body, is_confirmed) = task.await.unwrap();
        assert_eq!(stored.contains(body.as_bytes()), is_confirmed, "{body}");
    }
}

#[tokio::test]
async fn a_mandatory_return_is_not_linked_to_another_publish() {
    let (broker, _connection, channel) = opened().await;
    channel.exchange_declare("e", "fanout").await.unwrap();
    channel.queue_bind("q", "e").await.unwrap();
    let returns = broker.on("basic.publish").routing_key("back").give_back();
    let acks = broker.on("basic.ack").to_client().hold();
    let mut confirms = Vec::new();
    for number in 0..60 {
        let key = if number % 3 == 0 { "back" } else { "on" };
        let publish = channel.publish("e", key, number.to_string()).mandatory(true);
        confirms.push((key, number.to_string(), publish.await.unwrap()));
    }
    broker.settled().await;
    acks.release();
    for (key, body, confirm) in confirms {
        match confirm.await {
            Outcome::Returned(returned) => assert_eq!((key, returned.body), ("back", body.into())),
            outcome => assert!(key == "on" && outcome.is_confirmed(), "{outcome:?}"),
        }
    }
    assert_eq!(returns.hits(), 20);
}

#[tokio::test]
async fn a_server_named_queue_is_not_declared_again_by_the_name_that_the_server_made_up() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::default().record_topology(true);
    let (connection, channel) = over_memory(&broker, &options).await;
    let queue = channel.queue_declare("").auto_delete(true).await.unwrap();
    let mut consumer = channel.consume(&queue.queue).await.unwrap();
    let _close = broker.on("basic.qos").nth(1).close_channel(406, "as a test");
    channel.qos(1).await.unwrap_err();
    consumer.next().await.unwrap().unwrap_err();
    broker.settled().await;
    assert!(broker.queues().is_empty());
    let again = broker.on("queue.declare").queue(&queue.queue).discard().optional();
    let reopened = channel.reopen().modes(true).consumers(true).await.unwrap();
    assert_eq!((reopened.restored.len(), again.hits()), (0, 0));
    connection.check_open().unwrap();
    channel.check_open().unwrap();
    let again = channel.queue_declare("").await.unwrap();
    assert_ne!(again.queue, queue.queue);
}

#[tokio::test]
async fn a_frame_max_of_zero_is_no_giant_allocation_and_no_end() {
    let broker = Broker::start().await.unwrap();
    let tune = broker.on("connection.tune").tune(0, 0, 0);
    let (connection, channel) = over_memory(&broker, &ConnectOptions::default()).await;
    assert!(connection.frame_max() > 0 && connection.channel_max() > 0);
    channel.queue_declare("q").await.unwrap();
    channel.publish("", "q", vec![7; 1_000_000]).await.unwrap().confirmed().await.unwrap();
    let mut consumer = channel.consume("q").await.unwrap();
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(delivery.body.len(), 1_000_000);
    delivery.ack().unwrap();
    assert_eq!(tune.hits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_one_second_and_one_of_zero_end_no_connection() {
    for interval in [1, 0] {
        let broker = Broker::start().await.unwrap();
        let _tune = broker.on("connection.tune").tune(0, 131_072, interval);
        let options = ConnectOptions::default().heartbeat(Duration::ZERO);
        let options = if interval == 0 {
            options
        } else {
            ConnectOptions::default().heartbeat(Duration::from_secs(60))
        };
        let (connection, channel) = over_memory(&broker, &options).await;
        assert_eq!(connection.heartbeat(), Duration::from_secs(interval.into()));
        tokio::time::sleep(Duration::from_secs(600)).await;
        channel.queue_declare("q").await.unwrap();
        connection.check_open().unwrap();
    }
}

/// A stream that counts what is written to it.
struct Counted(MemoryStream, Arc<AtomicU64>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, octets);
        if let Poll::Ready(Ok(count)) = written {
            self.1.fetch_add(count as u64, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_one_second_floods_nobody() {
    let broker = Broker::start().await.unwrap();
    let _tune = broker.on("connection.tune").tune(0, 131_072, 1);
    let written = Arc::new(AtomicU64::new(0));
    let stream = Counted(broker.connect(), Arc::clone(&written));
    let options = ConnectOptions::default();
    let connection = Connection::connect_over(stream, &options).await.unwrap();
    let before = written.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(600)).await;
    // Two in each interval, of eight octets, and no more.
    let beats = (written.load(Ordering::Relaxed) - before) / 8;
    assert!((600..=1201).contains(&beats), "{beats}");
    connection.check_open().unwrap();
}

/// Threads of this process and its memory, KiB, where the system tells.
fn costs() -> Option<[u64; 2]> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some([number("Threads:")?, number("VmRSS:")?])
}

#[tokio::test]
async fn an_idle_connection_has_no_thread_and_no_megabytes() {
    let broker = Broker::start().await.unwrap();
    let Some([_, memory]) = costs() else { return };
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(over_memory(&broker, &ConnectOptions::default()).await);
    }
    let [threads, now] = costs().unwrap();
    // Other tests have theirs meanwhile.
    assert!(threads < 200, "{threads} threads");
    let each = now.saturating_sub(memory) / 300;
    assert!(each < 1000, "{each} KiB for a connection and its channel, both ends");
}

#[tokio::test]
async fn an_unknown_query_parameter_in_a_uri_is_an_error_and_no_panic() {
    let broker = Broker::start().await.unwrap();
    for query in ["colour=blue", "=", "&&", "heartbeat=never", "%", "frame_max=-1"] {
        let connected = Connection::open(&format!("{}?{query}", broker.url())).await;
        if query != "&&" {
            connected.unwrap_err();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_went_silent_is_found_out_by_its_heartbeats() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::default().heartbeat(Duration::from_secs(5));
    let (connection, channel) = over_memory(&broker, &options).await;
    let _silent = broker.at_once().go_silent();
    let before = tokio::time::Instant::now();
    let call = channel.queue_declare("q").await.unwrap_err();
    let took = before.elapsed();
    assert!(took <= Duration::from_secs(15), "{took:?}");
    let Error::ConnectionClosed(reason) = connection.closed().await.unwrap_err() else {
        panic!("{call}");
    };
    assert!(matches!(*reason, CloseReason::HeartbeatMissed { .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hears_and_says_nothing_is_found_out_too() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::default().heartbeat(Duration::from_secs(5));
    let (connection, channel) = over_memory(&broker, &options).await;
    let _mute = broker.on("queue.declare").stop_writing();
    channel.queue_declare("q").await.unwrap_err();
    connection.closed().await.unwrap_err();
    assert!(broker.queue("q").is_some());
}

#[tokio::test]
async fn a_queue_deleted_under_a_consumer_does_not_leave_it_hanging() {
    let (_broker, connection, channel) = opened().await;
    let mut consumer = channel.consume("q").await.unwrap();
    let other = connection.channel().await.unwrap();
    other.queue_delete("q").await.unwrap();
    let end = consumer.next().await.unwrap().unwrap_err();
    assert!(matches!(end, Error::ConsumerCancelled { .. }), "{end}");
    assert!(consumer.next().await.is_none());
    channel.check_open().unwrap();
}

#[tokio::test]
async fn the_servers_reason_is_told_to_the_call_and_to_every_later_one() {
    let (broker, connection, channel) = opened().await;
    let _close = broker.on("queue.bind").close_channel(403, "not you");
    let first = channel.queue_bind("q", "amq.fanout").await.unwrap_err();
    assert!(first.to_string().contains("ACCESS_REFUSED - not you"), "{first}");
    for _ in 0..3 {
        assert_eq!(channel.qos(1).await.unwrap_err().to_string(), first.to_string());
    }
    connection.check_open().unwrap();
    // Close and the end of the socket right behind it: the reason is not lost to the latter.
    let _close = broker.at_once().close_connection(320, "shutdown");
    let _drop = broker.on("connection.close").to_client().drop_after();
    let error = connection.closed().await.unwrap_err();
    assert!(error.to_string().contains("CONNECTION_FORCED - shutdown"), "{error}");
}

#[tokio::test]
async fn publishing_on_a_closed_channel_is_an_error() {
    let (broker, connection, channel) = opened().await;
    let _close = broker.at_once().channel(1).close_channel(404, "gone");
    broker.settled().await;
    for _ in 0..2 {
        let watched = channel.publish("", "q", "x").await.unwrap_err();
        let unwatched = channel.publish_unconfirmed("", "q", "x").await.unwrap_err();
        for error in [watched, unwatched] {
            assert!(error.to_string().contains("NOT_FOUND - gone"), "{error}");
        }
    }
    connection.check_open().unwrap();
}

#[tokio::test]
async fn a_reply_that_comes_before_anybody_waits_for_it_is_not_lost() {
    let (broker, _connection, channel) = opened().await;
    let mut call = pin!(channel.queue_declare("early").into_future());
    assert!(is_pending(&mut call).await);
    // The broker has answered, and the client has read it.
    broker.settled().await;
    assert!(broker.queue("early").is_some());
    assert_eq!(call.await.unwrap().queue, ShortStr::from_static("early"));
}

#[tokio::test]
async fn a_cancelled_call_does_not_shift_later_replies() {
    let (broker, _connection, channel) = opened().await;
    let late = broker.on("queue.declare-ok").nth(1).hold();
    {
        let mut dropped = pin!(channel.queue_declare("dropped").into_future());
        assert!(is_pending(&mut dropped).await);
        broker.settled().await;
    }
    let mut kept = pin!(channel.queue_declare("kept").into_future());
    assert!(is_pending(&mut kept).await);
    assert_eq!(late.hits(), 1);
    late.release();
    assert_eq!(kept.await.unwrap().queue, ShortStr::from_static("kept"));
    assert!(broker.queue("dropped").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_never_comes_ends_the_call_and_not_the_program() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::default().rpc_timeout(Duration::from_secs(3));
    let (_connection, channel) = over_memory(&broker, &options).await;
    let lost = broker.on("queue.declare-ok").nth(1).discard();
    let before = tokio::time::Instant::now();
    let error = channel.queue_declare("q").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
    assert_eq!(lost.hits(), 1);
}

#[tokio::test]
async fn a_header_that_is_not_utf_8_kills_no_connection() {
    let (_broker, connection, channel) = opened().await;
    let not_text = &[0xFF, 0xFE][..];
    let headers = FieldTable::new()
        .with(ShortStr::new(not_text).unwrap(), Value::LongStr(LongStr::from(not_text)));
    let properties = basic::Properties::default()
        .with_content_type(ShortStr::new(not_text).unwrap())
        .with_headers(headers);
    let mut consumer = channel.consume("q").await.unwrap();
    for _ in 0..2 {
        let publish = channel.publish("", "q", "m").properties(&properties);
        publish.await.unwrap().confirmed().await.unwrap();
        let delivery = consumer.next().await.unwrap().unwrap();
        let properties = delivery.properties().unwrap();
        assert_eq!(properties.content_type.unwrap().as_bytes(), not_text);
        assert_eq!(properties.headers.unwrap().len(), 1);
        delivery.ack().unwrap();
    }
    connection.check_open().unwrap();
}

#[tokio::test]
async fn a_connection_cut_anywhere_leaves_nothing_hanging() {
    // Every length of the conversation's output, until it is over before the cut.
    let mut lengths = 0;
    for octets in (0..).step_by(7) {
        let broker = Broker::start().await.unwrap();
        let cut = broker.on_connect().drop_after_octets(octets).optional();
        let options = ConnectOptions::default();
        let conversation = async {
            let connection = Connection::connect_over(broker.connect(), &options).await?;
            let channel = connection.channel().await?;
            channel.queue_declare("q").await?;
            channel.publish("", "q", "m").await?.confirmed().await?;
            let mut consumer = channel.consume("q").await?;
            let delivery = consumer.next().await.unwrap()?;
            delivery.ack()?;
            connection.close().await
        };
        let done = conversation.await;
        drop(cut);
        lengths += 1;
        if done.is_ok() {
            break;
        }
    }
    assert!(lengths > 50, "{lengths}");
}

#[tokio::test]
async fn a_publish_whose_confirm_is_lost_is_unknown_and_no_success() {
    let (broker, connection, channel) = opened().await;
    let cut = broker.on("basic.ack").to_client().nth(1).drop_before();
    let outcome = channel.publish("", "q", "m").await.unwrap().await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    connection.closed().await.unwrap_err();
    assert_eq!((broker.queue("q").unwrap().ready, cut.hits()), (1, 1));
}
