//! What py-amqp's and amqpy's `Connection`, SASL mechanisms and `Message` have: the rows of the tables in
//! README "From py-amqp" and "From amqpy", each as a test named after what it is there.

use std::time::Duration;

use amqp091_client::blocking::{self, Wait};
use amqp091_client::{
    ConnectError, ConnectOptions, Connection, ConnectionEvent, Error, Exception, FieldTable,
    Keepalive, Mechanism, Properties, ShortStr, Stage, Value,
};
use tokio::net::{TcpListener, TcpStream};

use crate::place::{Place, eventually, queue, unique};

async fn works(options: &ConnectOptions) {
    let connection = Connection::connect(options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    queue(&channel).await;
    connection.close().await.unwrap();
}

everywhere!(host_userid_password_and_virtual_host);
async fn host_userid_password_and_virtual_host(place: &Place) {
    works(&place.options().credentials("guest", "guest").virtual_host("/")).await;
    let options = place.options().credentials("guest", "wrong");
    let error = Connection::connect(&options).await.unwrap_err();
    assert_eq!(error.reply_code().unwrap().0, 403);
}

everywhere!(login_method_and_authentication);
async fn login_method_and_authentication(place: &Place) {
    works(&place.options().mechanisms([Mechanism::Plain])).await;
    works(&place.options().mechanisms([Mechanism::AmqPlain])).await;
    // The first that the server has.
    works(&place.options().mechanisms([Mechanism::External, Mechanism::Plain])).await;
    works(&place.options().mechanisms([Mechanism::raw("PLAIN", "\0guest\0guest")])).await;
}

everywhere!(client_properties);
async fn client_properties(place: &Place) {
    let name = unique("named");
    let options = place
        .options()
        .connection_name(&*name)
        .client_property(ShortStr::from_static("team"), "billing");
    let _connection = Connection::connect(&options).await.unwrap();
    eventually(async || {
        place.knows_of_client(&name, "team", &Value::from("billing")).await.then_some(())
    })
    .await;
    for capability in ["consumer_cancel_notify", "connection.blocked", "publisher_confirms"] {
        assert!(place.knows_of_client(&name, capability, &Value::from(true)).await);
    }
}

everywhere!(channel_max_frame_max_and_heartbeat);
async fn channel_max_frame_max_and_heartbeat(place: &Place) {
    let options = place.options().channel_max(7).frame_max(8192).heartbeat(Duration::from_secs(11));
    let connection = Connection::connect(&options).await.unwrap();
    assert_eq!(connection.channel_max(), 7);
    assert_eq!(connection.frame_max(), 8192);
    assert_eq!(connection.heartbeat(), Duration::from_secs(11));
}

everywhere!(server_properties_and_capabilities);
async fn server_properties_and_capabilities(place: &Place) {
    let connection = place.connect().await;
    let properties = connection.server_properties();
    assert_eq!(properties.get("product"), Some(&Value::from("RabbitMQ")));
    assert!(connection.has_server_capability("publisher_confirms"));
    assert!(!connection.has_server_capability("teleportation"));
}

everywhere!(connected_is_alive_close_and_collect);
async fn connected_is_alive_close_and_collect(place: &Place) {
    let connection = place.connect().await;
    connection.check_open().unwrap();
    connection.close().await.unwrap();
    let error = connection.check_open().unwrap_err();
    assert!(matches!(error, Error::ConnectionClosed(_)));

    let (connection, channel) = place.open().await;
    let other = connection.clone();
    drop((connection, channel));
    other.check_open().unwrap();
    drop(other);
}

everywhere!(channel);
async fn channel(place: &Place) {
    let connection = place.connect().await;
    let first = connection.channel().await.unwrap();
    let second = connection.channel().await.unwrap();
    assert_eq!((first.number(), second.number()), (1, 2));
    // The same channel for another task.
    assert_eq!(first.clone().number(), 1);
}

everywhere!(transport_and_sock);
async fn transport_and_sock(place: &Place) {
    let options = place.options();
    let socket = TcpStream::connect(place.address()).await.unwrap();
    let connection = Connection::connect_over(socket, &options).await.unwrap();
    connection.channel().await.unwrap();
    connection.close().await.unwrap();
}

everywhere!(message_properties_and_delivery_info);
async fn message_properties_and_delivery_info(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let mut headers = FieldTable::new();
    headers.insert(ShortStr::from_static("foo"), 7_i32);
    let sent = Properties {
        content_type: Some(ShortStr::from_static("text/plain")),
        content_encoding: Some(ShortStr::from_static("utf-8")),
        headers: Some(headers),
        priority: Some(4),
        correlation_id: Some(ShortStr::from_static("c")),
        message_id: Some(ShortStr::from_static("m")),
        ..Properties::default()
    };
    let publish = channel.publish("", queue, "hello world").properties(&sent);
    publish.await.unwrap().confirmed().await.unwrap();
    let delivery = channel.get(queue).await.unwrap().unwrap().delivery;
    assert_eq!(delivery.properties().unwrap(), sent);
    assert_eq!(delivery.delivery_tag(), 1);
    assert_eq!(delivery.exchange, "");
    assert_eq!(delivery.routing_key, queue);
    assert!(!delivery.redelivered);
    assert_eq!(delivery.channel().number(), channel.number());
    assert_eq!(delivery.body, "hello world");
    delivery.ack().unwrap();
}

everywhere!(several_hosts);
async fn several_hosts(place: &Place) {
    // A port that nobody listens on any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap().port();
    drop(listener);
    let url = place.url.clone();
    let (login, rest) = url.split_once('@').unwrap();
    let options = ConnectOptions::from_uri(&format!("{login}@127.0.0.1:{gone},{rest}")).unwrap();
    let connection = Connection::connect(&options).await.unwrap();
    let peer = connection.peer().unwrap();
    assert!(rest.starts_with(&peer.address.to_string()), "{peer:?}");
}

everywhere!(connect_read_and_write_timeout);
async fn connect_read_and_write_timeout(place: &Place) {
    let minute = Duration::from_secs(60);
    let options = place.options().connect_timeout(minute).rpc_timeout(minute).write_timeout(minute);
    works(&options.blocked_timeout(minute)).await;

    // It takes the connection, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let timeout = Duration::from_millis(50);
    let options = ConnectOptions::default().host("127.0.0.1").port(port);
    let error = Connection::connect(&options.connect_timeout(timeout)).await.unwrap_err();
    assert!(
        matches!(&error, Error::Connect(ConnectError::Timeout { stage: Stage::Start, .. })),
        "{error}"
    );
}

everywhere!(socket_settings);
async fn socket_settings(place: &Place) {
    let keepalive = Keepalive::new(Duration::from_secs(30));
    let options = place.options().tcp_nodelay(true).keepalive(keepalive);
    let options = options.tcp_user_timeout(Duration::from_secs(20));
    works(&options.local_address("127.0.0.1".parse::<std::net::IpAddr>().unwrap())).await;
}

everywhere!(on_open_and_closed);
async fn on_open_and_closed(place: &Place) {
    let connection = place.connect().await;
    let mut events = connection.events();
    assert!(matches!(events.next().await, Some(ConnectionEvent::Connected)));
    connection.close().await.unwrap();
    assert!(matches!(events.next().await, Some(ConnectionEvent::Closed { .. })));
    assert!(events.next().await.is_none());
}

everywhere!(on_blocked_and_unblocked);
async fn on_blocked_and_unblocked(place: &Place) {
    let name = unique("blocked");
    let connection = Connection::connect(&place.options().connection_name(&*name)).await.unwrap();
    let mut events = connection.events();
    assert!(matches!(events.next().await, Some(ConnectionEvent::Connected)));
    let channel = connection.channel().await.unwrap();
    let queue = &*queue(&channel).await;
    place.conserve_memory(&name, true).await;
    // RabbitMQ blocks those who publish, when they do.
    let unconfirmed = channel.publish("", queue, "m").await.unwrap();
    let Some(ConnectionEvent::Blocked { reason }) = events.next().await else {
        panic!("it should be blocked")
    };
    assert_eq!(reason, "low on memory");
    assert_eq!(connection.blocked(), Some(reason));
    place.conserve_memory(&name, false).await;
    assert!(matches!(events.next().await, Some(ConnectionEvent::Unblocked)));
    unconfirmed.confirmed().await.unwrap();
    assert!(connection.blocked().is_none());
    assert!(!connection.counters().blocked.is_zero());
}

everywhere!(bytes_sent_and_received);
async fn bytes_sent_and_received(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let before = connection.counters();
    for _ in 0..10 {
        let confirm = channel.publish("", queue, vec![0; 1000]).await.unwrap();
        confirm.confirmed().await.unwrap();
    }
    let got = channel.get(queue).no_ack(true).await.unwrap().unwrap();
    assert_eq!(got.delivery.body.len(), 1000);
    let after = connection.counters();
    assert_eq!((after.published - before.published, after.confirmed), (10, 10));
    assert!(after.octets_out - before.octets_out > 10_000);
    assert!(after.octets_in - before.octets_in > 1000);
    assert_eq!(channel.counters().delivered, 1);
}

everywhere!(connection_errors_and_channel_errors);
async fn connection_errors_and_channel_errors(place: &Place) {
    let (connection, channel) = place.open().await;
    let passive = channel.queue_declare(unique("missing")).passive(true);
    let error = passive.await.unwrap_err();
    assert!(matches!(error, Error::ChannelClosed { .. }));
    assert_eq!(error.exception(), Some(Exception::NotFound));
    assert!(!error.is_recoverable());

    let exclusive = &*unique("exclusive");
    let channel = connection.channel().await.unwrap();
    channel.queue_declare(exclusive).exclusive(true).await.unwrap();
    let (_other, channel) = place.open().await;
    let error = channel.queue_purge(exclusive).await.unwrap_err();
    assert_eq!(error.exception(), Some(Exception::ResourceLocked));
    assert!(error.is_recoverable());

    let (_connection, channel) = place.open().await;
    let error = channel.flow(false).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionClosed(_)));
    assert_eq!(error.exception(), Some(Exception::NotImplemented));
}

everywhere!(drain_events, blocking);
fn drain_events(place: &Place) {
    let connection = blocking::Connection::connect(&place.options()).unwrap();
    let channel = connection.channel().unwrap();
    let queue = channel.queue_declare("").exclusive(true).wait().unwrap().queue;
    let (tell, told) = std::sync::mpsc::channel();
    connection.on_delivery(channel.consume(&queue).wait().unwrap(), move |delivery| {
        tell.send(delivery.body.clone()).unwrap();
        delivery.ack()
    });
    for body in ["one", "two"] {
        channel.publish("", &queue, body).wait().unwrap().confirmed().unwrap();
        assert!(connection.drain_events(Some(Duration::from_secs(60))).unwrap());
        assert_eq!(told.try_recv().unwrap(), body);
    }
    // Nothing more: the time is up.
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    connection.close().unwrap();
}
