//! The blocking face, on plain threads, against servers in threads of their own.
//!
//! Nothing here waits for a time to pass but what tests a timeout; what is waited for comes.

use std::collections::BTreeSet;
use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amqp091::protocol::{ReplyCode, ToServer, basic, connection, queue};
use amqp091_client::blocking::{
    Channel, Confirm, Connection, Consumer, Next, RpcClient, Wait, iter, wait,
};
use amqp091_client::{
    CloseReason, ConnectOptions, ConnectionEvent, Error, ExchangeType, MergedConsumers, OnFailure,
    Outcome, OutgoingMessage, PublishError, RpcError,
};
use tokio::io::DuplexStream;
use tokio::runtime::Builder;

use crate::peer::{DEADLINE, Peer, Received, TUNE, channel_code, short, within};
use crate::robot;

/// Long enough that nothing is late, so never waited for.
const LONG: Duration = DEADLINE;
/// For what doesn't come.
const SHORT: Duration = Duration::from_millis(20);

/// A connection to a server that plays `script` behind the handshake.
fn play<T: Send + 'static>(
    tune: connection::Tune,
    script: impl AsyncFnOnce(Peer<DuplexStream>) -> T + Send + 'static,
) -> (Connection, JoinHandle<T>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let server = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within(async {
            let mut peer = Peer::new(server);
            peer.handshake(&tune).await;
            script(peer).await
        }))
    });
    let options = ConnectOptions::default();
    (Connection::connect_over(ready(Ok(client)), &options).unwrap(), server)
}

/// A connection and a channel, whose opening is not for the script.
fn play_channel<T: Send + 'static>(
    script: impl AsyncFnOnce(Peer<DuplexStream>, u16) -> T + Send + 'static,
) -> (Connection, Channel, JoinHandle<T>) {
    let (connection, server) = play(TUNE, async |mut peer| {
        let number = peer.open_channel().await;
        script(peer, number).await
    });
    let channel = connection.channel().unwrap();
    (connection, channel, server)
}

fn with_robot() -> (Connection, Channel, JoinHandle<robot::Seen>) {
    let (connection, server) = play(TUNE, robot::run);
    let channel = connection.channel().unwrap();
    (connection, channel, server)
}

#[test]
fn every_builder_waits() {
    let (connection, channel, server) = with_robot();
    assert_eq!(channel.number(), 1);
    channel.exchange_declare("e", ExchangeType::Topic).durable(true).wait().unwrap();
    channel.exchange_bind("e", "f").wait().unwrap();
    channel.exchange_unbind("e", "f").wait().unwrap();
    channel.exchange_delete("e").wait().unwrap();
    assert_eq!(channel.queue_declare("q").durable(true).wait().unwrap().queue, *"q");
    channel.queue_bind("q", "e").routing_key("k").wait().unwrap();
    channel.queue_unbind("q", "e").wait().unwrap();
    assert_eq!(channel.queue_purge("q").wait().unwrap().message_count, 2);
    channel.qos(3).wait().unwrap();
    assert_eq!(channel.queue_delete("q").wait().unwrap().message_count, 3);

    let confirm = channel.publish("", "q", "one").wait().unwrap();
    assert_eq!(confirm.delivery_tag(), 1);
    confirm.confirmed().unwrap();
    let confirm = channel.publish("", "q", "two").persistent(true).wait().unwrap();
    assert!(confirm.wait().is_confirmed());
    channel.publish_unconfirmed("", "q", "three").wait().unwrap();
    let publisher = channel.publisher("", "q").build().unwrap();
    publisher.publish("four").wait().unwrap().confirmed().unwrap();
    publisher.publish_unconfirmed("five").wait().unwrap();

    let got = channel.get("q").wait().unwrap().unwrap();
    assert_eq!(got.delivery.body, "got");
    got.delivery.ack().unwrap();
    let mut consumer: Consumer = channel.consume("q").prefetch(3).wait().unwrap();
    assert_eq!(consumer.channel().number(), 1);
    for delivery in consumer.by_ref().take(3) {
        let delivery = delivery.unwrap();
        // By the channel that it came by.
        delivery.channel().publish("", "q", "reply").wait().unwrap().confirmed().unwrap();
        delivery.ack().unwrap();
    }
    assert!(matches!(consumer.try_next().unwrap(), Next::NotYet));
    consumer.cancel().wait().unwrap();
    assert!(consumer.next().is_none());
    assert!(matches!(consumer.next_timeout(LONG).unwrap(), Next::Ended));

    let consumer = channel.consume("q").wait().unwrap();
    consumer.stop().unwrap();
    let mut consumer = channel.consume("q").wait().unwrap();
    consumer.next().unwrap().unwrap().ack().unwrap();
    let left = consumer.drain().unwrap();
    assert_eq!(left.len(), 2);
    left.into_iter().for_each(|delivery| delivery.ack().unwrap());

    let other = channel.connection().channel().unwrap();
    other.close().unwrap();
    assert!(matches!(other.queue_declare("q").wait(), Err(Error::ChannelClosed { .. })));
    connection.close().unwrap();
    connection.closed().unwrap();
    assert!(matches!(connection.channel(), Err(Error::ConnectionClosed(_))));
    let seen = server.join().unwrap();
    assert_eq!((seen.published.len(), seen.acknowledged, seen.requeued), (8, 7, 3));
}

#[test]
fn batches_windows_and_merged_consumers() {
    let (connection, channel, server) = with_robot();
    let bodies = ["a", "b", "c"];
    let messages = bodies.map(|body| OutgoingMessage::new("", "q", body));
    channel.publish_all(messages).wait().check().unwrap();
    let window = channel.confirm_window(2);
    for (number, body) in bodies.into_iter().enumerate() {
        let publish = channel.publish("", "q", body).within(&window);
        assert_eq!(publish.wait().unwrap(), number as u64);
    }
    assert!(window.flush().wait().is_confirmed());

    let body = vec![7; 200_000];
    let large = channel.publish_reader("", "q", body.len() as u64, &body[..]);
    large.wait().unwrap().confirmed().unwrap();
    let pieces = ["a", "b"].map(|piece| Ok::<_, std::io::Error>(piece.into()));
    channel.publish_stream("", "q", 2, pieces).wait().unwrap().confirmed().unwrap();

    let mut merged = iter(MergedConsumers::new());
    for name in ["one", "two"] {
        merged.push(channel.consume(name).consumer_tag(name).wait().unwrap().into());
    }
    let mut tags = Vec::new();
    for _ in 0..6 {
        let delivery = merged.next_timeout(LONG).item().unwrap().unwrap();
        tags.push(delivery.consumer_tag().to_string());
        delivery.ack().unwrap();
    }
    assert!(matches!(merged.try_next(), Next::NotYet));
    tags.sort();
    assert_eq!(tags, ["one", "one", "one", "two", "two", "two"]);
    for handle in merged.handles() {
        handle.cancel().wait().unwrap();
    }
    assert_eq!(merged.by_ref().filter(Result::is_err).count(), 2);
    assert!(merged.next().is_none());

    let consumer = channel.consume("q").wait().unwrap();
    let handle = consumer.handle();
    let mut seen = 0;
    let done = consumer.for_each(OnFailure::DeadLetter, |message| {
        seen += 1;
        if seen == 3 {
            handle.cancel().wait().unwrap();
        }
        if message.body == "delivered" && seen != 2 { Ok(()) } else { Err("the second") }
    });
    assert_eq!((done.acked, done.dead_lettered), (2, 1));
    connection.close().unwrap();
    let seen = server.join().unwrap();
    assert_eq!((seen.published.len(), seen.acknowledged), (8, 8));
    assert!(seen.published[6] == body && seen.published[7] == b"ab");
}

#[test]
fn a_channel_is_opened_again() {
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        peer.consume().await;
        peer.close_channel(number).await;
        peer.expect::<amqp091::protocol::channel::CloseOk>().await;
        let number = peer.open_channel().await;
        let (_, tag) = peer.consume().await;
        peer.deliver(number, &tag, 1, b"again");
        peer.flush().await;
        peer.until_closed().await;
    });
    let mut consumer = channel.consume("q").wait().unwrap();
    assert_eq!(channel_code(&consumer.next().unwrap().unwrap_err()), 404);
    let reopened = channel.reopen().consumers(true).wait().unwrap();
    assert_eq!(reopened.restored, [consumer.consumer_tag().clone()]);
    assert_eq!(consumer.next().unwrap().unwrap().body, "again");
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_callback_goes_on_when_its_channel_is_opened_again() {
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        peer.consume().await;
        peer.close_channel(number).await;
        peer.expect::<amqp091::protocol::channel::CloseOk>().await;
        let number = peer.open_channel().await;
        let (_, tag) = peer.consume().await;
        peer.deliver(number, &tag, 1, b"again");
        peer.flush().await;
        peer.until_closed().await;
    });
    let (tell, told) = mpsc::channel();
    connection.on_delivery(channel.consume("q").wait().unwrap(), move |delivery| {
        tell.send(delivery.body.clone()).unwrap();
        delivery.ack()
    });
    assert_eq!(channel_code(&connection.drain_events(Some(LONG)).unwrap_err()), 404);
    channel.reopen().consumers(true).wait().unwrap();
    assert!(connection.drain_events(Some(LONG)).unwrap());
    assert_eq!(told.recv().unwrap(), "again");
    connection.close().unwrap();
    server.join().unwrap();
}

/// Its time is its own, not that of a runtime, which there is none of here.
#[test]
fn a_call_without_a_reply_ends() {
    let (connection, channel, server) = play_channel(async |mut peer, _| {
        peer.consume().await;
        peer.until_closed().await;
    });
    let client = RpcClient::with_channel(&channel).unwrap();
    let error = client.call("", "server", "1").timeout(SHORT).wait().unwrap_err();
    assert!(matches!(error, RpcError::Timeout { after: SHORT, sent: true }), "{error}");
    assert!(client.call("", "server", "2").wait_timeout(SHORT).is_none());
    let client = client.timeout(SHORT);
    let error = client.call("", "server", "3").wait_timeout(LONG).unwrap().unwrap_err();
    assert!(matches!(error, RpcError::Timeout { .. }), "{error}");
    let error = wait(client.call("", "server", "4")).unwrap_err();
    assert!(matches!(error, RpcError::Timeout { after: SHORT, sent: true }), "{error}");
    assert_eq!(client.in_flight(), 0);
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn what_went_wrong_is_told() {
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        peer.expect::<queue::Declare>().await;
        peer.close_channel(number).await;
        peer.until_closed().await;
    });
    let error = channel.queue_declare("q").passive(true).wait().unwrap_err();
    assert_eq!(channel_code(&error), 404);
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_wait_that_is_given_up_leaves_its_reply_to_nobody() {
    let (give_up, gave_up) = mpsc::channel();
    let (connection, channel, server) = play_channel(async move |mut peer, number| {
        for name in ["first", "second"] {
            let (_, declare) = peer.expect::<queue::Declare>().await;
            assert_eq!(declare.queue, *name);
            if name == "first" {
                gave_up.recv().unwrap();
            }
            let ok = queue::DeclareOk { queue: declare.queue, ..queue::DeclareOk::default() };
            peer.send(number, &ok).await;
        }
        peer.until_closed().await;
    });
    assert!(channel.queue_declare("first").wait_timeout(SHORT).is_none());
    give_up.send(()).unwrap();
    let second = channel.queue_declare("second").wait_timeout(LONG).unwrap().unwrap();
    assert_eq!(second.queue, *"second");
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_consumer_that_waits_tells_late_from_ended() {
    let (go_on, goes_on) = mpsc::channel();
    let (connection, channel, server) = play_channel(async move |mut peer, number| {
        let (_, tag) = peer.consume().await;
        goes_on.recv().unwrap();
        peer.deliver(number, &tag, 1, b"one");
        peer.deliver(number, &tag, 2, b"two");
        peer.method(number, &basic::Cancel { consumer_tag: tag, no_wait: true });
        peer.flush().await;
        peer.until_closed().await;
    });
    let mut consumer = channel.consume("q").wait().unwrap();
    assert!(matches!(consumer.try_next().unwrap(), Next::NotYet));
    assert!(matches!(consumer.next_timeout(SHORT).unwrap(), Next::NotYet));
    go_on.send(()).unwrap();
    let delivery = consumer.next_timeout(LONG).unwrap().item().unwrap();
    assert_eq!(delivery.body, "one");
    assert_eq!(consumer.next().unwrap().unwrap().body, "two");
    let error = consumer.next_timeout(LONG).unwrap_err();
    assert!(matches!(error, Error::ConsumerCancelled { .. }), "{error}");
    assert!(matches!(consumer.next_timeout(LONG).unwrap(), Next::Ended));
    assert!(consumer.next().is_none());
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn every_wait_ends_with_the_connection() {
    let (connection, channel, server) = play_channel(async |mut peer, _| {
        peer.consume().await;
        // In whichever order the threads come to it.
        let (mut declared, mut published) = (false, false);
        while !(declared && published) {
            match peer.read().await.unwrap().1 {
                Received::Method(ToServer::QueueDeclare(_)) => declared = true,
                Received::Body(_) => published = true,
                _ => {}
            }
        }
        let close = connection::Close {
            reply_code: ReplyCode::CONNECTION_FORCED,
            ..connection::Close::default()
        };
        peer.send(0, &close).await;
        while peer.read().await.is_some() {}
    });
    let by_server = |error: &Error| {
        let code = error.reply_code();
        assert_eq!(code, Some(ReplyCode::CONNECTION_FORCED), "{error}");
    };
    let mut consumer = channel.consume("q").wait().unwrap();
    let (sent, sends) = mpsc::channel();
    let calls = [
        thread::spawn({
            let channel = channel.clone();
            move || {
                let declaring = channel.queue_declare("q");
                sent.send(()).unwrap();
                declaring.wait().unwrap_err()
            }
        }),
        thread::spawn(move || consumer.next().unwrap().unwrap_err()),
        thread::spawn({
            let connection = connection.clone();
            move || connection.closed().unwrap_err()
        }),
        thread::spawn({
            let connection = connection.clone();
            move || connection.drain_events(None).unwrap_err()
        }),
        thread::spawn({
            let connection = connection.clone();
            move || connection.drain_events(Some(LONG)).unwrap_err()
        }),
    ];
    sends.recv().unwrap();
    match channel.publish("", "q", "m").wait().unwrap().confirmed().unwrap_err() {
        PublishError::Unknown(error) => by_server(&error),
        other => panic!("{other}"),
    }
    for call in calls {
        by_server(&call.join().unwrap());
    }
    by_server(&connection.drain_events(Some(Duration::ZERO)).unwrap_err());
    server.join().unwrap();
}

#[test]
fn callbacks_use_the_connection_that_calls_them() {
    let (connection, channel, server) = with_robot();
    let consumer = channel.consume("q").prefetch(1).wait().unwrap();
    let (tell, told) = mpsc::channel();
    let handle = connection.on_delivery(consumer, {
        let connection = channel.connection();
        move |delivery| {
            channel.publish("", "q", "from a callback").wait()?.confirmed()?;
            channel.queue_declare("another").wait()?;
            let other = connection.channel()?;
            other.get("q").wait()?.expect("there is always one").delivery.ack()?;
            other.close()?;
            // Nothing else has come: this one isn't called inside itself.
            assert!(!connection.drain_events(Some(Duration::ZERO))?);
            tell.send(delivery.delivery_tag()).unwrap();
            delivery.ack()
        }
    });
    for tag in 1..=3 {
        assert!(connection.drain_events(Some(LONG)).unwrap());
        assert_eq!(told.try_recv(), Ok(tag), "a call drains one event");
    }
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    assert!(!connection.drain_events(Some(SHORT)).unwrap());
    handle.cancel().wait().unwrap();
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    assert_eq!(told.recv(), Err(mpsc::RecvError), "a cancelled consumer's callback is dropped");
    connection.close().unwrap();
    let error = connection.drain_events(None).unwrap_err();
    assert!(matches!(error.close_reason(), Some(CloseReason::ByUser)), "{error}");
    let seen = server.join().unwrap();
    assert_eq!((seen.published.len(), seen.acknowledged, seen.open.len()), (3, 6, 1));
}

#[test]
fn a_callback_cancels_its_own_consumer() {
    let (connection, channel, server) = with_robot();
    let consumer = channel.consume("q").wait().unwrap();
    let handle = consumer.handle();
    connection.on_delivery(consumer, move |delivery| {
        delivery.ack()?;
        handle.cancel().wait()
    });
    // What had come before is handed out still.
    for _ in 0..3 {
        assert!(connection.drain_events(Some(LONG)).unwrap());
    }
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    connection.close().unwrap();
    assert_eq!(server.join().unwrap().acknowledged, 3);
}

#[test]
fn a_callback_that_panics_is_missed() {
    let (connection, channel, server) = with_robot();
    let consumer = channel.consume("q").prefetch(1).wait().unwrap();
    let handle = connection.on_delivery(consumer, |_| std::panic::resume_unwind(Box::new("mine")));
    let drained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        connection.drain_events(Some(LONG))
    }));
    assert_eq!(drained.unwrap_err().downcast_ref(), Some(&"mine"));
    let error = connection.drain_events(Some(LONG)).unwrap_err();
    assert!(matches!(error, Error::CallbackPanicked), "{error}");
    assert!(handle.end().is_some());
    // Others have their turns, in its place too.
    let consumer = channel.consume("q").prefetch(1).wait().unwrap();
    connection.on_delivery(consumer, |delivery| delivery.ack());
    assert!(connection.drain_events(Some(LONG)).unwrap());
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn callbacks_take_turns() {
    let (connection, channel, server) = with_robot();
    let (tell, told) = mpsc::channel();
    let mut consumers = Vec::new();
    for name in ["a", "b"] {
        let consumer = channel.consume(name).consumer_tag(name).wait().unwrap();
        consumers.push((name, consumer));
    }
    // Deliveries of both are here with this reply.
    channel.queue_declare("q").wait().unwrap();
    for (name, consumer) in consumers {
        let tell = tell.clone();
        connection.on_delivery(consumer, move |delivery| {
            tell.send(name).unwrap();
            delivery.ack()
        });
    }
    for _ in 0..6 {
        assert!(connection.drain_events(Some(LONG)).unwrap());
    }
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["a", "b", "a", "b", "a", "b"]);
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn returns_outcomes_and_cancels_are_events() {
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        let (_, tag) = peer.consume().await;
        peer.expect::<amqp091::protocol::confirm::Select>().await;
        for _ in 0..3 {
            peer.expect_publish().await;
        }
        let back = basic::Return {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: short("NO_ROUTE"),
            exchange: short(""),
            routing_key: short("nowhere"),
        };
        peer.method(number, &back);
        peer.content(number, 1, b"a");
        peer.method(number, &basic::Ack { delivery_tag: 1, multiple: false });
        peer.method(number, &basic::Nack { delivery_tag: 3, ..basic::Nack::default() });
        peer.method(number, &basic::Ack { delivery_tag: 2, multiple: false });
        peer.method(number, &basic::Cancel { consumer_tag: tag, no_wait: true });
        peer.flush().await;
        peer.until_closed().await;
    });
    let consumer = channel.consume("q").consumer_tag("tag").wait().unwrap();
    connection.on_delivery(consumer, |_| panic!("nothing is delivered"));
    let (tell, told) = mpsc::channel();
    for body in ["a", "b", "c"] {
        let confirm = channel.publish("", "nowhere", body).mandatory(true).wait().unwrap();
        let tell = tell.clone();
        connection.on_outcome(confirm, move |outcome| {
            tell.send((body, outcome)).unwrap();
            Ok(())
        });
    }
    let mut cancels = 0;
    for _ in 0..4 {
        match connection.drain_events(Some(LONG)) {
            Ok(true) => {}
            Err(Error::ConsumerCancelled { tag }) if tag == *"tag" => cancels += 1,
            other => panic!("{other:?}"),
        }
    }
    let mut outcomes: Vec<_> = told.try_iter().collect();
    outcomes.sort_by_key(|(body, _)| *body);
    let [("a", Outcome::Returned(returned)), ("b", Outcome::Confirmed), ("c", Outcome::Nacked)] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        (returned.routing_key.to_str().unwrap(), &returned.body[..]),
        ("nowhere", &b"a"[..])
    );
    assert_eq!(cancels, 1);
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_cancel_comes_to_a_callback_that_wants_it() {
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        let (_, consumer_tag) = peer.consume().await;
        peer.send(number, &basic::Cancel { consumer_tag, no_wait: true }).await;
        peer.until_closed().await;
    });
    let consumer = channel.consume("q").wait().unwrap();
    let (tell, told) = mpsc::channel();
    connection.on_each(amqp091_client::Consumer::from(consumer), move |item| {
        tell.send(item.map(|_| ())).unwrap();
        Ok(())
    });
    assert!(connection.drain_events(Some(LONG)).unwrap());
    assert!(matches!(told.recv().unwrap(), Err(Error::ConsumerCancelled { .. })));
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn events_of_the_connection_are_events() {
    let (connection, channel, server) = play_channel(async |mut peer, _| {
        // Not before the streams have begun.
        peer.expect::<basic::RecoverAsync>().await;
        peer.method(0, &connection::Blocked { reason: short("low on memory") });
        peer.method(0, &connection::Unblocked {});
        peer.flush().await;
        peer.until_closed().await;
    });
    let (tell, told) = mpsc::channel();
    connection.on_each(connection.events(), move |event| {
        tell.send(format!("{event:?}")).unwrap();
        Ok(())
    });
    let mut events = iter(connection.events());
    channel.recover_async(true).wait().unwrap();
    for expected in ["Connected", "Blocked", "Unblocked"] {
        assert!(connection.drain_events(Some(LONG)).unwrap());
        assert!(told.try_recv().unwrap().starts_with(expected));
    }
    connection.close().unwrap();
    // Another stream of them, without callbacks; it ends with the connection.
    let last = events.by_ref().last().unwrap();
    assert!(matches!(last, ConnectionEvent::Closed { .. }), "{last:?}");
    server.join().unwrap();
}

#[test]
fn several_threads_drain_and_none_takes_anothers_event() {
    const THREADS: usize = 4;
    let (connection, channel, server) = play_channel(async |mut peer, number| {
        for _ in 0..2 {
            let (_, tag) = peer.consume().await;
            for delivery in 1..=1000 {
                peer.deliver(number, &tag, delivery, b"m");
            }
            peer.flush().await;
        }
        peer.until_closed().await;
    });
    let (tell, told) = mpsc::channel();
    for _ in 0..2 {
        let consumer = channel.consume("q").no_ack(true).wait().unwrap();
        let tell = tell.clone();
        let mut next = 1;
        connection.on_delivery(consumer, move |delivery| {
            // One thread at a time, in order.
            assert_eq!(delivery.delivery_tag(), next);
            next += 1;
            tell.send(()).unwrap();
            Ok(())
        });
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let connection = connection.clone();
            thread::spawn(move || while connection.drain_events(None).is_ok() {})
        })
        .collect();
    for _ in 0..2000 {
        told.recv_timeout(LONG).unwrap();
    }
    connection.close().unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
    server.join().unwrap();
}

#[test]
fn async_code_may_call() {
    let (connection, channel, server) = with_robot();
    for runtime in [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
    ] {
        let (connection, channel) = (connection.clone(), channel.clone());
        let task = async move {
            // Tokio stops a task that does so much without a break: here nobody could resume it.
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..128).for_each(|number| sender.send(number).unwrap());
            for _ in 0..128 {
                receiver.recv().await.unwrap();
            }
            let (inner, server) = play(TUNE, robot::run);
            inner.channel().unwrap().queue_declare("q").wait().unwrap();
            inner.close().unwrap();
            server.join().unwrap();

            channel.publish("", "q", "m").wait().unwrap().confirmed().unwrap();
            channel.queue_declare("q").wait().unwrap();
            // The other face of the same handles.
            channel.to_async().queue_declare("q").await.unwrap();
            connection.to_async().channel().await.unwrap().close().await.unwrap();
        };
        runtime.block_on(within(async { tokio::spawn(task).await.unwrap() }));
    }
    connection.close().unwrap();
    assert_eq!(server.join().unwrap().published.len(), 2);
}

#[test]
fn a_connection_of_async_code_blocks_elsewhere() {
    let driving = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = ConnectOptions::default();
    let (connection, robot) = driving.block_on(robot::connect_to_robot(&options));
    let connection = Connection::from(connection);
    let channel = connection.channel().unwrap();
    channel.publish("", "q", "m").wait().unwrap().confirmed().unwrap();
    let confirm = channel.publish("", "q", "m").wait().unwrap();
    assert!(driving.block_on(async { confirm.await.is_confirmed() }));
    connection.close().unwrap();
    assert_eq!(driving.block_on(within(robot)).unwrap().published.len(), 2);
}

#[test]
fn heartbeats_go_on_while_the_program_is_elsewhere() {
    let (beat, beats) = mpsc::channel();
    let tune = connection::Tune { heartbeat: 1, ..TUNE };
    let (connection, server) = play(tune, async move |mut peer| {
        for _ in 0..2 {
            assert_eq!(peer.read().await, Some((0, Received::Heartbeat)));
        }
        beat.send(()).unwrap();
        peer.until_closed().await;
    });
    // No call of the client's for as long as that takes.
    beats.recv_timeout(LONG).unwrap();
    connection.check_open().unwrap();
    connection.close().unwrap();
    server.join().unwrap();
}

#[test]
fn dropped_callbacks_give_their_messages_back_and_let_the_connection_go() {
    let (connection, channel, server) = with_robot();
    let consumer = channel.consume("q").wait().unwrap();
    connection.on_delivery(consumer, |_| panic!("nobody drains"));
    drop((connection, channel));
    let seen = server.join().unwrap();
    assert_eq!((seen.requeued, seen.open.len()), (3, 0));
}

#[test]
fn a_transport_that_cannot_be_made() {
    let none = async { Err::<DuplexStream, _>(std::io::Error::other("no tunnel")) };
    let error = Connection::connect_over(none, &ConnectOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no tunnel"), "{error}");
}

#[test]
fn futures_of_every_kind_wait() {
    let (connection, server) = play(TUNE, async |mut peer| {
        let (_, update) = peer.expect::<connection::UpdateSecret>().await;
        assert_eq!(update.reason, *"expired");
        peer.send(0, &connection::UpdateSecretOk {}).await;
        let received = peer.until_closed().await;
        matches!(received[..], [(0, Received::Method(ToServer::ConnectionClose(_)))])
    });
    connection.update_secret("secret", "expired").unwrap();
    wait(connection.to_async().close()).unwrap();
    assert!(server.join().unwrap());
}

#[test]
fn handles_cross_threads() {
    fn check_shared<T: Send + Sync + Clone>() {}
    fn check<T: Send + Sync>() {}
    check_shared::<Connection>();
    check_shared::<Channel>();
    check::<Consumer>();
    check::<Confirm>();
}

/// Whatever the async face awaits has its way here: each `async fn` of a handle a method of the same
/// name, and each builder and future `Wait`.
#[test]
fn nothing_is_missing() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let sources = sources(root);
    let (blocking, others): (Vec<_>, Vec<_>) =
        sources.iter().partition(|(path, _)| path.starts_with(root.join("blocking")));
    let here: String = blocking.iter().map(|(_, text)| text.as_str()).collect();
    let names = |before: &str| -> BTreeSet<&str> {
        let lines = others.iter().flat_map(|(_, text)| text.lines());
        let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        lines
            .filter_map(|line| {
                line.split_once(before)?.1.split(|letter| !is_of_name(letter)).next()
            })
            .collect()
    };
    let functions = names("pub async fn ");
    assert!(functions.contains("connect_over") && functions.contains("close"));
    for name in functions {
        assert!(here.contains(&format!("fn {name}")), "blocking has no {name}()");
    }
    let public = &others.iter().find(|(path, _)| *path == root.join("lib.rs")).unwrap().1;
    let types: Vec<_> = names("Future for ")
        .into_iter()
        // What a handler becomes is awaited by `ForEachConcurrent`.
        .filter(|name| public.contains(&format!(" {name}")) && *name != "Serving")
        .collect();
    assert!(types.contains(&"Cancel") && types.contains(&"PublishAll"), "{types:?}");
    for name in types {
        let waits = here.lines().filter_map(|line| match line.split_once(" => ") {
            Some((waited, _)) => Some(waited),
            None => line.split_once("Wait for ").map(|(_, waited)| waited),
        });
        let is_there = waits.flat_map(words).any(|word| word == name);
        assert!(is_there, "{name} is missing in blocking/wait.rs");
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// The source files of a folder.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}
