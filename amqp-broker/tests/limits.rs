//! What a broker is started with: where it listens, who may come in, and what it has limits for. What clients
//! are told where they go too far is what RabbitMQ tells them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "hostile/raw.rs"]
mod raw;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{ToClient, basic, channel};
use amqp091_broker::{Broker, BrokerBuilder, Permissions, Profile};
use amqp091_client::{Channel, CloseReason, ConnectOptions, Connection, Error, Mechanism};
use bytes::BytesMut;
use raw::{Login, Raw};

const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Brokers that behave like either.
fn both() -> [BrokerBuilder; 2] {
    [Profile::V3_10, Profile::V4].map(|profile| Broker::builder().profile(profile))
}

fn refusal(error: &Error) -> (u16, String) {
    let Some(CloseReason::ByServer(close)) = error.close_reason() else {
        panic!("expected something that the server closed: {error}")
    };
    (close.code.0, String::from_utf8_lossy(close.text.as_ref()).into_owned())
}

fn url_as(broker: &Broker, user: &str, vhost: &str) -> String {
    broker.url().replace("guest:guest", user).replace("%2f", vhost)
}

async fn opened(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::open(&broker.url()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn it_listens_at_all_addresses_that_it_is_given() {
    let broker = Broker::builder().listen(FREE).listen(FREE).start().await.unwrap();
    let [first, second] = *broker.addresses() else { panic!("{:?}", broker.addresses()) };
    assert_ne!(first, second);
    for address in [first, second] {
        let connection = Connection::open(&format!("amqp://{address}")).await.unwrap();
        connection.channel().await.unwrap().queue_declare("the same").await.unwrap();
    }
    assert_eq!(broker.queues().len(), 1);
    let taken = Broker::builder().listen(first).start().await;
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn it_needs_no_socket() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    assert!(broker.addresses().is_empty());
    // Which has the login, and no host that anybody could have.
    assert_eq!(broker.url(), "amqp://guest:guest@without-sockets.invalid/%2f");
    let options = ConnectOptions::from_uri(&broker.url()).unwrap();
    let connection = Connection::connect_over(broker.connect(), &options).await.unwrap();
    connection.channel().await.unwrap().queue_declare("here").await.unwrap();
    assert_eq!(broker.queues().len(), 1);
}

#[tokio::test]
async fn a_connection_in_memory_can_be_made_from_any_thread() {
    let broker = Broker::start().await.unwrap();
    let stream = std::thread::scope(|scope| scope.spawn(|| broker.connect()).join().unwrap());
    Raw::new(stream).log_in(Login::default()).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_says_so_to_everybody_and_leaves_nothing() {
    for builder in both() {
        let broker = builder.start().await.unwrap();
        let (connection, _channel) = opened(&broker).await;
        let blocked = Connection::open(&broker.url()).await.unwrap();
        let channel = blocked.channel().await.unwrap();
        broker.block("low on disk");
        channel.publish("", "nowhere", "m").await.unwrap().confirmed().await.unwrap();
        // One that hasn't logged in yet, and is told nothing.
        let mut stranger = Raw::new(broker.connect());
        stranger.write(b"AMQP").await;
        let address = broker.addresses()[0];
        broker.shutdown().await;
        let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
        for connection in [connection, blocked] {
            let error = connection.closed().await.unwrap_err();
            assert_eq!(refusal(&error), (320, text.to_owned()));
        }
        stranger.ended().await;
        TcpListener::bind(address).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_does_not_hold_up_a_shutdown() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let mut silent = Raw::new(broker.connect());
    silent.log_in(Login::default()).await.unwrap();
    let before = tokio::time::Instant::now();
    broker.shutdown().await;
    assert_eq!(before.elapsed().as_secs(), 1);
    assert_eq!(silent.closed().await.unwrap().0, 320);
    silent.ended().await;
}

#[tokio::test]
async fn dropped_it_is_gone() {
    let broker = Broker::start().await.unwrap();
    let (connection, _channel) = opened(&broker).await;
    let mut in_memory = Raw::new(broker.connect());
    in_memory.log_in(Login::default()).await.unwrap();
    let address = broker.addresses()[0];
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop(broker);
    // At once: the runtime has had no turn.
    drop(TcpListener::bind(address).unwrap());
    assert!(connection.closed().await.is_err());
    in_memory.ended().await;
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(before >= 4, "{before} tasks");
}

#[tokio::test]
async fn who_is_let_in_where() {
    for builder in both() {
        let broker = builder
            .user("carl", "secret")
            .virtual_host("orders")
            .permit("carl", "orders", Permissions::all())
            .start()
            .await
            .unwrap();
        Connection::open(&url_as(&broker, "carl:secret", "orders")).await.unwrap();
        Connection::open(&url_as(&broker, "guest:guest", "orders")).await.unwrap();
        for (user, vhost, code, text) in [
            (
                "carl:wrong",
                "orders",
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
            ),
            (
                "carl:secret",
                "%2f",
                530,
                "NOT_ALLOWED - access to vhost '/' refused for user 'carl'",
            ),
            ("guest:guest", "nowhere", 530, "NOT_ALLOWED - vhost nowhere not found"),
        ] {
            let error = Connection::open(&url_as(&broker, user, vhost)).await.unwrap_err();
            let chain = format!("{error:?}").replace('\\', "");
            assert!(chain.contains(&code.to_string()) && chain.contains(text), "{chain}");
        }
    }
}

#[tokio::test]
async fn the_anonymous_come_in_as_guest_with_the_known_password() {
    for (password, is_let_in) in [("guest", true), ("secret", false)] {
        let broker = Broker::builder().user("guest", password).start().await.unwrap();
        let options =
            ConnectOptions::from_uri(&broker.url()).unwrap().mechanisms([Mechanism::Anonymous]);
        assert_eq!(Connection::connect(&options).await.is_ok(), is_let_in, "{password}");
    }
}

#[tokio::test]
async fn users_do_what_they_may() {
    for (builder, profile) in both().into_iter().zip([Profile::V3_10, Profile::V4]) {
        let mine = |name: &str| name.starts_with("mine");
        let broker = builder
            .user("carl", "secret")
            .permit("carl", "/", Permissions::none().configure(mine).write(mine).read(mine))
            .start()
            .await
            .unwrap();
        let (_owner, channel) = opened(&broker).await;
        channel.queue_declare("yours").await.unwrap();
        let connection = Connection::open(&url_as(&broker, "carl:secret", "%2f")).await.unwrap();

        let channel = connection.channel().await.unwrap();
        channel.queue_declare("mine").await.unwrap();
        channel.exchange_declare("mine.exchange", "direct").await.unwrap();
        channel.queue_bind("mine", "mine.exchange").routing_key("key").await.unwrap();
        channel.publish("mine.exchange", "key", "m").await.unwrap().confirmed().await.unwrap();
        channel.get("mine").await.unwrap().unwrap();
        // Asking whether it is there needs nothing.
        channel.queue_declare("yours").passive(true).await.unwrap();

        let queue = "queue 'yours' in vhost '/'";
        let direct = "exchange 'amq.direct' in vhost '/'";
        let default = "exchange 'amq.default' in vhost '/'";
        for step in 0..10 {
            let channel = connection.channel().await.unwrap();
            let (done, access, what) = match step {
                0 => (channel.queue_declare("yours").await.map(drop), "configure", queue),
                1 => (channel.queue_delete("yours").await.map(drop), "configure", queue),
                2 => (channel.consume("yours").await.map(drop), "read", queue),
                3 => (channel.get("yours").await.map(drop), "read", queue),
                4 => (channel.queue_purge("yours").await.map(drop), "read", queue),
                5 => (channel.queue_bind("yours", "mine.exchange").await.map(drop), "write", queue),
                6 => (channel.queue_bind("mine", "amq.direct").await.map(drop), "read", direct),
                7 => (channel.queue_unbind("mine", "amq.direct").await.map(drop), "read", direct),
                8 => {
                    let declare =
                        channel.queue_declare("mine.too").dead_letter_exchange("amq.direct");
                    (declare.await.map(drop), "write", direct)
                }
                _ => {
                    let publish = channel.publish("", "mine", "m").await.unwrap();
                    (
                        publish.confirmed().await.map_err(|_| channel.check_open().unwrap_err()),
                        "write",
                        default,
                    )
                }
            };
            let kind = if profile == Profile::V4 { format!("{access} ") } else { String::new() };
            let text = format!("ACCESS_REFUSED - {kind}access to {what} refused for user 'carl'");
            assert_eq!(refusal(&done.unwrap_err()), (403, text), "step {step}");
        }
    }
}

#[tokio::test]
async fn a_virtual_host_has_so_many_connections_and_queues() {
    for builder in both() {
        let builder = builder.max_connections(1).max_queues(1).virtual_host("other");
        let broker = builder.start().await.unwrap();
        let (first, channel) = opened(&broker).await;
        Connection::open(&url_as(&broker, "guest:guest", "other")).await.unwrap();
        let mut second = Raw::new(broker.connect());
        let Err(Some(ToClient::ConnectionClose(close))) = second.log_in(Login::default()).await
        else {
            panic!("there is no limit")
        };
        assert_eq!(close.reply_code.0, 530);
        assert_eq!(
            close.reply_text,
            "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (1) is reached"
        );
        channel.queue_declare("one").await.unwrap();
        channel.queue_declare("one").await.unwrap();
        let error = channel.queue_declare("two").await.unwrap_err();
        let text = "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost '/' (1) is reached";
        assert_eq!(refusal(&error), (406, text.to_owned()));
        first.close().await.unwrap();
        broker.settled().await;
        opened(&broker).await;
    }
}

#[tokio::test]
async fn frames_and_channels_have_the_limits_that_were_agreed_on() {
    for builder in both() {
        let broker = builder.channel_max(2).frame_max(8192).start().await.unwrap();
        let connection = Connection::open(&broker.url()).await.unwrap();
        assert_eq!((connection.channel_max(), connection.frame_max()), (2, 8192));

        let agreed = Login { channel_max: 2, frame_max: 8192, ..Login::default() };
        let mut client = Raw::new(broker.connect());
        client.log_in(agreed).await.unwrap();
        client.open_channel(1).await;
        client.open_channel(900).await;
        client.send(2, &channel::Open {}).await;
        let text = "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)";
        assert_eq!(client.closed().await, Some((530, text.to_owned())));

        let mut client = Raw::new(broker.connect());
        client.log_in(agreed).await.unwrap();
        client.write(&[3, 0, 1, 0, 0, 0x20, 1]).await;
        let text = "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,8193,8184}";
        assert_eq!(client.closed().await, Some((501, text.to_owned())));

        // Who wants more than was offered isn't told.
        for beyond in [Login { channel_max: 3, ..agreed }, Login { frame_max: 8193, ..agreed }] {
            let mut client = Raw::new(broker.connect());
            assert_eq!(client.log_in(beyond).await, Err(None));
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_by_its_header() {
    for builder in both() {
        let broker = builder.max_body(1000).start().await.unwrap();
        let (_connection, channel) = opened(&broker).await;
        channel.publish("", "nowhere", vec![0; 1000]).await.unwrap().confirmed().await.unwrap();

        let mut client = Raw::new(broker.connect());
        client.log_in(Login::default()).await.unwrap();
        client.open_channel(1).await;
        for size in [1001, u64::MAX] {
            let mut out = BytesMut::new();
            raw::publish(&mut out, 1, "nowhere", b"");
            // The header alone, which is the last 22 octets.
            out.truncate(out.len() - 22);
            encode::raw_header(&mut out, 1, basic::CLASS_ID, size, &[0, 0]);
            client.write(&out).await;
            let Some((1, ToClient::ChannelClose(close))) = client.next().await else {
                panic!("a body of {size} octets is taken")
            };
            let text = format!(
                "PRECONDITION_FAILED - message size {size} is larger than configured max size 1000"
            );
            assert_eq!((close.reply_code.0, close.reply_text.as_ref()), (406, text.as_bytes()));
            client.send(1, &channel::CloseOk {}).await;
            client.open_channel(1).await;
        }
    }
}

#[tokio::test]
async fn publishers_wait_when_too_much_is_held() {
    for builder in both() {
        let broker = builder.memory_limit(100_000).start().await.unwrap();
        let (connection, channel) = opened(&broker).await;
        let (_other, consumer) = opened(&broker).await;
        channel.queue_declare("work").await.unwrap();
        for _ in 0..2 {
            channel.publish("", "work", vec![0; 60_000]).await.unwrap().confirmed().await.unwrap();
        }
        assert_eq!(connection.blocked(), None);
        // It is told when it publishes the next time, and isn't read any more then.
        channel.publish("", "work", "small").await.unwrap().confirmed().await.unwrap();
        broker.settled().await;
        while connection.blocked().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(connection.blocked().unwrap(), "low on memory");
        consumer.queue_purge("work").await.unwrap();
        while connection.blocked().is_some() {
            tokio::task::yield_now().await;
        }
        channel.publish("", "work", "small").await.unwrap().confirmed().await.unwrap();
    }
}

#[tokio::test]
async fn who_is_silent_for_two_heartbeats_is_gone() {
    let offered = Duration::from_secs(7);
    let broker = Broker::builder().heartbeat(offered).manual_time().start().await.unwrap();
    let connection = Connection::open(&broker.url()).await.unwrap();
    assert_eq!(connection.heartbeat(), offered);
    let mut silent = Raw::new(broker.connect());
    silent.log_in(Login { heartbeat: 7, ..Login::default() }).await.unwrap();
    broker.advance(Duration::from_secs(14));
    assert_eq!(broker.connections().len(), 2);
    broker.advance(Duration::from_secs(4));
    silent.ended().await;
}

#[tokio::test]
async fn a_broker_that_can_not_be_is_not_started() {
    let few = Broker::builder().nodes(2).listen(FREE).listen(FREE).listen(FREE);
    for (builder, why) in [
        (few, "3 addresses are too many for 2 nodes"),
        (Broker::builder().frame_max(4095), "a frame-max of 4095 is below 4096"),
        (
            Broker::builder().without_sockets().nodes(3),
            "3 nodes can't be told apart without sockets",
        ),
    ] {
        let error = builder.start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(why), "{error}");
    }
    Broker::builder().frame_max(0).start().await.unwrap();
}

#[tokio::test]
async fn queues_of_every_virtual_host_can_be_looked_at() {
    let broker = Broker::builder().virtual_host("tenant").start().await.unwrap();
    let connection = Connection::open(&url_as(&broker, "guest:guest", "tenant")).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("q").await.unwrap();
    channel.publish("", "q", "theirs").await.unwrap().confirmed().await.unwrap();
    assert!(broker.queue("q").is_none() && broker.messages("q").is_none());
    assert_eq!(broker.queue_in("tenant", "q").unwrap().ready, 1);
    assert_eq!(broker.messages_in("tenant", "q").unwrap()[0].body, "theirs");
    assert!(broker.queue_in("nowhere", "q").is_none());
}
