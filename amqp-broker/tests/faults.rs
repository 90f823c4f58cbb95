//! Each fault once, as a client sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use amqp091_broker::{Broker, Fault};
use amqp091_client::{Channel, ConnectOptions, Connection, Error, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn opened() -> (Broker, Connection, Channel) {
    let broker = Broker::start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    (broker, connection, channel)
}

async fn confirmed(channel: &Channel) -> Outcome {
    channel.publish("", "q", "m").await.unwrap().await
}

fn ready(broker: &Broker) -> usize {
    broker.queue("q").unwrap().ready
}

/// Looks once: whether it is not done.
async fn is_pending<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Until the broker's own state says so.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropped_before_the_broker_acted() {
    let (broker, connection, channel) = opened().await;
    let rule = broker.on("basic.publish").nth(2).drop_before();
    assert!(confirmed(&channel).await.is_confirmed());
    assert!(matches!(confirmed(&channel).await, Outcome::Unknown(_)));
    connection.closed().await.unwrap_err();
    assert_eq!((ready(&broker), rule.hits()), (1, 1));
}

#[tokio::test]
async fn dropped_after_the_broker_acted() {
    let (broker, connection, channel) = opened().await;
    let rule = broker.on("basic.publish").queue("q").nth(2).drop_after();
    let first = channel.publish("", "q", "m").await.unwrap();
    let second = channel.publish("", "q", "m").await.unwrap();
    assert!(first.await.is_confirmed());
    assert!(matches!(second.await, Outcome::Unknown(_)));
    connection.closed().await.unwrap_err();
    assert_eq!((ready(&broker), rule.hits()), (2, 1));
}

#[tokio::test]
async fn a_reply_that_never_comes_for_a_queue_that_is_there() {
    let (broker, _connection, channel) = opened().await;
    let _rule = broker.on("queue.declare").queue("new").drop_after();
    channel.queue_declare("new").await.unwrap_err();
    assert!(broker.queue("new").is_some());
    let (broker, _connection, channel) = opened().await;
    let _rule = broker.on("queue.declare-ok").drop_before();
    channel.queue_declare("new").await.unwrap_err();
    assert!(broker.queue("new").is_some());
}

/// Reads all there is after the protocol header.
async fn raw(broker: &Broker) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(broker.addresses()[0]).await?;
    let mut octets = Vec::new();
    socket.write_all(b"AMQP\0\0\x09\x01").await?;
    socket.read_to_end(&mut octets).await?;
    Ok(octets)
}

#[tokio::test]
async fn dropped_after_so_many_octets() {
    let broker = Broker::start().await.unwrap();
    for octets in [1, 7, 100] {
        let _rule = broker.on_connect().drop_after_octets(octets);
        assert_eq!(raw(&broker).await.unwrap().len(), octets);
    }
    let whole = {
        let _rule = broker.on("connection.start").drop_after();
        raw(&broker).await.unwrap()
    };
    assert_eq!(*whole.last().unwrap(), 0xCE);
    let _rule = broker.on_frame().nth(1).drop_mid_frame();
    assert_eq!(raw(&broker).await.unwrap().len(), whole.len() / 2);
}

#[tokio::test]
async fn in_the_middle_of_a_content() {
    let (broker, connection, channel) = opened().await;
    channel.publish("", "q", vec![1; 300_000]).await.unwrap().confirmed().await.unwrap();
    // Deliver, header, the first of three pieces, the second.
    let rule = broker.on_frame().nth(5).drop_mid_frame();
    let mut consumer = channel.consume("q").await.unwrap();
    consumer.next().await.unwrap().unwrap_err();
    connection.closed().await.unwrap_err();
    assert_eq!(rule.hits(), 1);
    assert_eq!(ready(&broker), 1);
}

#[tokio::test]
async fn reset_instead_of_closed() {
    let broker = Broker::start().await.unwrap();
    let _rule = broker.on("connection.start").with_reset().drop_before();
    let error = raw(&broker).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn refused_twice_then_let_in() {
    let broker = Broker::start().await.unwrap();
    let rule = broker.on_connect().times(2).drop_before();
    for _ in 0..2 {
        Connection::open(&broker.url()).await.unwrap_err();
    }
    Connection::open(&broker.url()).await.unwrap();
    assert_eq!(rule.hits(), 2);
}

#[tokio::test]
async fn refused_by_a_port_that_is_closed() {
    // Without anybody there, too.
    let empty = Broker::start().await.unwrap();
    empty.refuse_connections();
    std::net::TcpListener::bind(empty.addresses()[0]).unwrap_err();
    empty.accept_connections().unwrap();
    TcpStream::connect(empty.addresses()[0]).await.unwrap();
    let (broker, connection, _channel) = opened().await;
    for _ in 0..3 {
        broker.refuse_connections();
        broker.refuse_connections();
        for _ in 0..2 {
            let error = TcpStream::connect(broker.addresses()[0]).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        }
        // Nobody else gets the port, and who is there stays.
        std::net::TcpListener::bind(broker.addresses()[0]).unwrap_err();
        connection.channel().await.unwrap();
        broker.settled().await;
        broker.accept_connections().unwrap();
        broker.accept_connections().unwrap();
        Connection::open(&broker.url()).await.unwrap();
    }
}

#[tokio::test]
async fn delayed_and_held() {
    let (broker, _connection, channel) = opened().await;
    let delayed = broker.on("queue.declare-ok").nth(1).delay(Duration::from_secs(60));
    let held = broker.on("queue.purge").hold();
    let mut declare = pin!(channel.queue_declare("late").into_future());
    assert!(is_pending(&mut declare).await);
    delayed.fired(1).await;
    broker.advance(Duration::from_secs(59));
    assert!(is_pending(&mut declare).await);
    broker.advance(Duration::from_secs(1));
    declare.await.unwrap();
    assert!(confirmed(&channel).await.is_confirmed());
    let mut purge = pin!(channel.queue_purge("q").into_future());
    assert!(is_pending(&mut purge).await);
    held.fired(1).await;
    assert_eq!(ready(&broker), 1);
    held.release();
    assert_eq!(purge.await.unwrap().message_count, 1);
}

#[tokio::test]
async fn a_publish_that_comes_late() {
    let (broker, _connection, channel) = opened().await;
    let rule = broker.on("basic.publish").nth(2).delay(Duration::from_secs(5));
    let first = channel.publish("", "q", "1").await.unwrap();
    let second = channel.publish("", "q", "2").await.unwrap();
    let third = channel.publish("", "q", "3").await.unwrap();
    assert!(first.await.is_confirmed());
    rule.fired(1).await;
    assert_eq!(ready(&broker), 1);
    broker.advance(Duration::from_secs(5));
    assert!(second.await.is_confirmed() && third.await.is_confirmed());
    let bodies: Vec<_> = broker.messages("q").unwrap().into_iter().map(|m| m.body).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
    assert_eq!(rule.hits(), 1);
}

#[tokio::test]
async fn confirms_coalesced() {
    let (broker, _connection, channel) = opened().await;
    let rule = broker.on("basic.ack").to_client().coalesce(10);
    let mut confirms = Vec::new();
    for _ in 0..9 {
        confirms.push(channel.publish("", "q", "m").await.unwrap());
    }
    rule.fired(9).await;
    let mut first = pin!(confirms.remove(0).into_future());
    assert!(is_pending(&mut first).await);
    confirms.push(channel.publish("", "q", "m").await.unwrap());
    assert!(first.await.is_confirmed());
    for confirm in confirms {
        assert!(confirm.await.is_confirmed());
    }
    let rest = channel.publish("", "q", "m").await.unwrap();
    rule.fired(11).await;
    rule.release();
    assert!(rest.await.is_confirmed());
}

#[tokio::test]
async fn confirms_coalesced_speak_for_no_message_that_is_lost() {
    let (broker, _connection, channel) = opened().await;
    let _lost = broker.on("basic.publish").nth(1).discard();
    let acks = broker.on("basic.ack").to_client().coalesce(2);
    let lost = channel.publish("", "q", "lost").await.unwrap();
    for _ in 0..2 {
        let first = channel.publish("", "q", "m").await.unwrap();
        let second = channel.publish("", "q", "m").await.unwrap();
        assert!(first.await.is_confirmed() && second.await.is_confirmed());
    }
    broker.settled().await;
    assert!(is_pending(&mut pin!(lost.into_future())).await);
    assert_eq!((acks.hits(), ready(&broker)), (4, 4));
}

#[tokio::test]
async fn nacked_and_returned() {
    let (broker, _connection, channel) = opened().await;
    let nacked = broker.on("basic.publish").nth(2).nack();
    let returned = broker.on("basic.publish").routing_key("q").nth(3).give_back();
    assert!(confirmed(&channel).await.is_confirmed());
    assert!(matches!(confirmed(&channel).await, Outcome::Nacked));
    let publish = channel.publish("", "q", "m").mandatory(true).await.unwrap();
    assert!(matches!(publish.await, Outcome::Returned(_)));
    assert_eq!((nacked.hits(), returned.hits(), ready(&broker)), (1, 1, 1));
}

#[tokio::test]
async fn a_consumer_cancelled() {
    let (broker, _connection, channel) = opened().await;
    let mut consumer = channel.consume("q").await.unwrap();
    let _rule = broker.at_once().queue("q").cancel_consumer();
    let error = consumer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConsumerCancelled { .. }), "{error}");
    assert!(broker.consumers().is_empty());
    // Behind the delivery.
    let _rule = broker.on("basic.deliver").queue("q").cancel_consumer();
    assert!(confirmed(&channel).await.is_confirmed());
    let mut consumer = channel.consume("q").await.unwrap();
    consumer.next().await.unwrap().unwrap().ack().unwrap();
    consumer.next().await.unwrap().unwrap_err();
    channel.check_open().unwrap();
}

#[tokio::test]
async fn closed_with_a_code() {
    let (broker, connection, channel) = opened().await;
    let rule = broker.on("basic.qos").close_channel(406, "not today");
    let error = channel.qos(1).await.unwrap_err();
    assert!(error.to_string().contains("PRECONDITION_FAILED - not today"), "{error}");
    connection.check_open().unwrap();
    drop(rule);
    let _rule = broker.at_once().close_connection(320, "maintenance");
    let error = connection.closed().await.unwrap_err();
    assert!(error.to_string().contains("CONNECTION_FORCED - maintenance"), "{error}");
}

#[tokio::test]
async fn a_chosen_tune() {
    let broker = Broker::start().await.unwrap();
    let _rule = broker.on("connection.tune").tune(7, 8192, 3);
    let connection = Connection::open(&broker.url()).await.unwrap();
    assert_eq!((connection.channel_max(), connection.frame_max()), (7, 8192));
    assert_eq!(connection.heartbeat(), Duration::from_secs(3));
}

#[tokio::test]
async fn blocked_by_a_publish() {
    let (broker, connection, channel) = opened().await;
    let _rule = broker.on("basic.publish").nth(2).block("disk");
    assert!(confirmed(&channel).await.is_confirmed());
    assert!(confirmed(&channel).await.is_confirmed());
    let third = channel.publish("", "q", "m").await.unwrap();
    until(|| connection.blocked().is_some()).await;
    let _rule = broker.at_once().unblock();
    assert!(third.await.is_confirmed());
}

#[tokio::test]
async fn silent_and_half_open() {
    let (broker, _connection, channel) = opened().await;
    let silent = broker.at_once().go_silent();
    let mut call = pin!(channel.queue_purge("q").into_future());
    assert!(is_pending(&mut call).await);
    // Longer than any heartbeat: a host that is gone tells nobody.
    broker.advance(Duration::from_secs(600));
    assert_eq!(broker.connections().len(), 1);
    silent.release();
    call.await.unwrap();
    let deaf = broker.on("basic.publish").stop_reading();
    assert!(confirmed(&channel).await.is_confirmed());
    let unheard = channel.publish("", "q", "m").await.unwrap();
    let mute = broker.at_once().stop_writing();
    drop(deaf);
    until(|| ready(&broker) == 2).await;
    let mut unheard = pin!(unheard.into_future());
    assert!(is_pending(&mut unheard).await);
    mute.release();
    assert!(unheard.await.is_confirmed());
}

#[tokio::test]
async fn a_corrupt_octet() {
    let (broker, connection, channel) = opened().await;
    let _rule = broker.on("queue.declare-ok").corrupt(usize::MAX);
    channel.queue_declare("x").await.unwrap_err();
    let error = connection.closed().await.unwrap_err();
    assert!(error.to_string().contains("frame"), "{error}");
}

#[tokio::test]
async fn swallowed() {
    let (broker, _connection, channel) = opened().await;
    let _rule = broker.on("basic.publish").nth(1).discard();
    let lost = channel.publish("", "q", "m").await.unwrap();
    assert!(confirmed(&channel).await.is_confirmed());
    assert_eq!(ready(&broker), 1);
    drop(lost);
}

#[tokio::test]
async fn restarted_with_what_is_durable() {
    let (broker, connection, channel) = opened().await;
    channel.queue_declare("kept").durable(true).await.unwrap();
    channel.exchange_declare("e", "fanout").durable(true).await.unwrap();
    channel.exchange_declare("gone", "fanout").await.unwrap();
    channel.queue_bind("kept", "e").await.unwrap();
    channel.queue_bind("q", "e").await.unwrap();
    channel.publish("e", "", "1").persistent(true).await.unwrap().confirmed().await.unwrap();
    channel.publish("e", "", "2").persistent(false).await.unwrap().confirmed().await.unwrap();
    broker.restart();
    connection.closed().await.unwrap_err();
    let names: Vec<_> = broker.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["kept"]);
    let bodies: Vec<_> = broker.messages("kept").unwrap().into_iter().map(|m| m.body).collect();
    assert_eq!(bodies, ["1"]);
    assert_eq!(broker.bindings().len(), 1);
    assert!(broker.exchanges().iter().all(|exchange| exchange.name != "gone"));
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.publish("e", "", "3").await.unwrap().confirmed().await.unwrap();
    assert_eq!(broker.queue("kept").unwrap().ready, 2);
}

#[tokio::test]
async fn rules_are_for_what_they_say() {
    let broker = Broker::start().await.unwrap();
    let options = |name: &str| {
        ConnectOptions::from_uri(&broker.url()).unwrap().connection_name(name.to_owned())
    };
    let one = Connection::connect(&options("one")).await.unwrap();
    let two = Connection::connect(&options("two")).await.unwrap();
    let _rule = broker.on("basic.qos").connection_name("two").channel(2).close_channel(406, "");
    for connection in [&one, &two] {
        let channels = [connection.channel().await.unwrap(), connection.channel().await.unwrap()];
        channels[0].qos(1).await.unwrap();
        assert_eq!(channels[1].qos(1).await.is_ok(), std::ptr::eq(connection, &one));
    }
}

/// What a rule is for, and how often that comes.
type Case = (fn(&Broker) -> Fault<'_>, u64);

#[tokio::test]
async fn each_matcher_lets_pass_what_it_is_not_for() {
    let (broker, first, channel) = opened().await;
    let second = Connection::open(&broker.url()).await.unwrap();
    let other = second.channel().await.unwrap();
    channel.queue_declare("other").await.unwrap();
    for exchange in ["e", "f"] {
        channel.exchange_declare(exchange, "fanout").await.unwrap();
    }
    let cases: [Case; 12] = [
        (|b| b.on("basic.publish").exchange("e"), 1),
        (|b| b.on("basic.publish").routing_key("k"), 2),
        (|b| b.on("basic.publish").queue("q"), 1),
        (|b| b.on("basic.consume").queue("q"), 1),
        (|b| b.on("basic.consume").consumer_tag("one"), 1),
        (|b| b.on("basic.deliver").queue("q"), 1),
        (|b| b.on("basic.deliver").consumer_tag("two"), 1),
        (|b| b.on("basic.qos").connection(2), 1),
        (|b| b.on("basic.qos").connection(1).channel(1), 1),
        (|b| b.on("basic.qos").channel(2), 1),
        (|b| b.on("basic.ack").from_client(), 2),
        (|b| b.on("basic.ack").to_client(), 4),
    ];
    let beside = first.channel().await.unwrap();
    for (number, (make, expected)) in cases.into_iter().enumerate() {
        let rule = make(&broker).delay(Duration::ZERO);
        for (exchange, key) in [("e", "k"), ("f", "k"), ("", "q"), ("", "other")] {
            channel.publish(exchange, key, "m").await.unwrap().confirmed().await.unwrap();
        }
        let mut one = channel.consume("q").consumer_tag("one").await.unwrap();
        let mut two = channel.consume("other").consumer_tag("two").await.unwrap();
        for consumer in [&mut one, &mut two] {
            consumer.next().await.unwrap().unwrap().ack().unwrap();
        }
        one.cancel().await.unwrap();
        two.cancel().await.unwrap();
        for channel in [&channel, &beside, &other] {
            channel.qos(1).await.unwrap();
        }
        broker.settled().await;
        assert_eq!(rule.hits(), expected, "case {number}: {rule}");
    }
}

#[tokio::test]
async fn by_chance_and_the_same_each_time() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (broker, _connection, channel) = opened().await;
        let rule = broker.on("basic.publish").chance(0.3, 7).nack();
        let mut run = Vec::new();
        for _ in 0..200 {
            run.push(confirmed(&channel).await.is_confirmed());
        }
        assert!((30..90).contains(&rule.hits()), "{}", rule.hits());
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
}

/// What a panic says.
fn message(panicked: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(panicked).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[tokio::test]
async fn a_rule_that_never_fires_fails_the_test_and_says_what_it_waited_for() {
    let (broker, _connection, channel) = opened().await;
    drop(broker.on("basic.publish").nack().optional());
    let rule = broker.on("basic.publish").queue("q").nth(3).nack();
    let line = line!() - 1;
    let none = broker.on("queue.purge").queue("q").hold();
    assert!(confirmed(&channel).await.is_confirmed());
    channel.publish("", "other", "m").await.unwrap().confirmed().await.unwrap();
    let said = message(move || drop(rule));
    for part in [
        "a fault never happened: basic.publish, queue \"q\", number 3: nack it",
        &format!("tests/faults.rs:{line}"),
        "of 2 that came 1 matched",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = message(move || drop(none));
    assert!(said.contains("nothing of the kind came"), "{said}");
}

#[tokio::test]
async fn rules_that_never_fire_leave_a_panic_as_it_is() {
    let broker = Broker::start().await.unwrap();
    let rules = [broker.on("basic.publish").nack(), broker.on("basic.get").hold()];
    let said = message(move || {
        let _rules = rules;
        panic!("the test's own");
    });
    assert_eq!(said, "the test's own");
    // Two of them: the first says so, and the second doesn't end the process.
    let rules = [broker.on("basic.publish").nack(), broker.on("basic.get").hold()];
    let said = message(move || drop(rules));
    assert!(said.contains("basic.publish: nack it"), "{said}");
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused_when_it_is_made() {
    let broker = Broker::start().await.unwrap();
    let span = Duration::from_secs(1);
    type Make = fn(&Broker, Duration);
    let rules: [(Make, &str); 21] = [
        (
            |b, _| drop(b.on("basic.pubish").nack()),
            "\"basic.pubish\"; did you mean \"basic.publish\"?",
        ),
        (|b, _| drop(b.on("nonsense").nack()), "there is no method \"nonsense\""),
        (|b, _| drop(b.on("basic.ack").nack()), "nack it is for basic.publish"),
        (|b, _| drop(b.on("basic.publish").to_client().nack()), "sent by clients alone"),
        (|b, _| drop(b.on("basic.deliver").from_client().hold()), "sent by the broker alone"),
        (|b, _| drop(b.on("basic.ack").queue("q").hold()), "basic.ack has no queue"),
        (|b, _| drop(b.on("basic.get").exchange("e").hold()), "basic.get has no exchange"),
        (|b, _| drop(b.on("basic.get").queue("q".repeat(256)).hold()), "at most 255"),
        (|b, _| drop(b.on("basic.get").nth(0).hold()), "counted from 1"),
        (|b, _| drop(b.on("basic.get").times(0).hold()), "no time at all"),
        (|b, _| drop(b.on("basic.get").chance(f64::NAN, 1).hold()), "from 0 to 1"),
        (|b, _| drop(b.on("basic.get").chance(30.0, 1).hold()), "from 0 to 1"),
        (|b, _| drop(b.on("basic.ack").coalesce(0)), "never send"),
        (|b, _| drop(b.on("basic.ack").from_client().coalesce(2)), "the broker's basic.ack"),
        (|b, _| drop(b.on("connection.start").tune(1, 1, 1)), "connection.tune"),
        (|b, _| drop(b.on("queue.declare").corrupt(3)), "what the broker sends"),
        (|b, _| drop(b.on("connection.open").channel(1).hold()), "no channel but 0"),
        (|b, _| drop(b.on("connection.open").close_channel(404, "")), "on a channel"),
        (|b, _| drop(b.on_connect().connection_name("n").drop_before()), "no name yet"),
        (|b, span| drop(b.at_once().delay(span)), "for frames"),
        (|b, _| drop(b.at_once().queue("q").drop_before()), "a connection has no queue"),
    ];
    for (make, expected) in rules {
        let broker = std::panic::AssertUnwindSafe(&broker);
        let said = message(move || make(&broker, span));
        assert!(said.contains("makes no sense") && said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn every_rule_counts_what_it_is_for_whichever_acts() {
    let (broker, _connection, channel) = opened().await;
    let second = broker.on("basic.publish").nth(2).nack();
    let third = broker.on("basic.publish").nth(3).give_back();
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(confirmed(&channel).await.is_confirmed());
    }
    assert_eq!(outcomes, [true, false, true, true]);
    assert_eq!((second.hits(), third.hits(), ready(&broker)), (1, 1, 2));
}

#[tokio::test]
async fn of_two_rules_that_stop_a_client_the_last_lets_it_go_on() {
    let (broker, _connection, channel) = opened().await;
    let deaf = broker.at_once().stop_reading();
    let silent = broker.at_once().go_silent();
    channel.publish_unconfirmed("", "q", "m").await.unwrap();
    drop(silent);
    broker.settled().await;
    assert_eq!(ready(&broker), 0);
    let silent = broker.at_once().go_silent();
    drop(deaf);
    broker.settled().await;
    assert_eq!(ready(&broker), 0);
    drop(silent);
    broker.settled().await;
    assert_eq!(ready(&broker), 1);
}

#[tokio::test]
async fn a_refused_publish_breaks_its_transaction() {
    let (broker, _connection, channel) = opened().await;
    let refused = broker.on("basic.publish").nth(2).nack();
    channel.queue_declare("tx").await.unwrap();
    channel.tx_select().await.unwrap();
    for body in ["1", "2", "3"] {
        channel.publish_unconfirmed("", "tx", body).await.unwrap();
    }
    let error = channel.tx_commit().await.unwrap_err().to_string();
    assert!(error.contains("406 PRECONDITION_FAILED"), "{error}");
    assert_eq!((broker.queue("tx").unwrap().ready, refused.hits()), (2, 1));
}
