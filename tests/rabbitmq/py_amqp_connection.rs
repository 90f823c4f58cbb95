//! What py-amqp's and amqpy's `Connection`, SASL mechanisms and `Message` have: the rows of the tables in
//! README "From py-amqp" and "From amqpy", each as a test named after what it is there.

use std::time::Duration;

use amqp091_client::{
    ConnectOptions, Connection, Error, FieldTable, Mechanism, Properties, ShortStr, Value,
};
use tokio::net::TcpStream;

use crate::broker::{connect, ctl_output, eventually, open, options, queue, unique, within};

async fn works(options: &ConnectOptions) {
    let connection = Connection::connect(options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    queue(&channel).await;
    connection.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn host_userid_password_and_virtual_host() {
    within(async {
        works(&options().credentials("guest", "guest").virtual_host("/")).await;
        let options = options().credentials("guest", "wrong");
        let error = Connection::connect(&options).await.unwrap_err();
        assert_eq!(error.reply_code().unwrap().0, 403);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn login_method_and_authentication() {
    within(async {
        works(&options().mechanisms([Mechanism::Plain])).await;
        works(&options().mechanisms([Mechanism::AmqPlain])).await;
        // The first that the server has.
        works(&options().mechanisms([Mechanism::External, Mechanism::Plain])).await;
        works(&options().mechanisms([Mechanism::raw("PLAIN", "\0guest\0guest")])).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn client_properties() {
    within(async {
        let name = unique("named");
        let options = options()
            .connection_name(&*name)
            .client_property(ShortStr::from_static("team"), "billing");
        let _connection = Connection::connect(&options).await.unwrap();
        let shown = eventually(async || {
            let connections = ctl_output(&["-q", "list_connections", "client_properties"]).await;
            connections.lines().find(|line| line.contains(&name)).map(str::to_owned)
        })
        .await;
        assert!(shown.contains("\"team\",\"billing\""), "{shown}");
        for capability in ["consumer_cancel_notify", "connection.blocked", "publisher_confirms"] {
            assert!(shown.contains(&format!("\"{capability}\",true")), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn channel_max_frame_max_and_heartbeat() {
    within(async {
        let options = options().channel_max(7).frame_max(8192).heartbeat(Duration::from_secs(11));
        let connection = Connection::connect(&options).await.unwrap();
        assert_eq!(connection.channel_max(), 7);
        assert_eq!(connection.frame_max(), 8192);
        assert_eq!(connection.heartbeat(), Duration::from_secs(11));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn server_properties_and_capabilities() {
    within(async {
        let connection = connect().await;
        let properties = connection.server_properties();
        assert_eq!(properties.get("product"), Some(&Value::from("RabbitMQ")));
        assert!(connection.has_server_capability("publisher_confirms"));
        assert!(!connection.has_server_capability("teleportation"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn connected_is_alive_close_and_collect() {
    within(async {
        let connection = connect().await;
        connection.check_open().unwrap();
        connection.close().await.unwrap();
        let error = connection.check_open().unwrap_err();
        assert!(matches!(error, Error::ConnectionClosed(_)));

        let (connection, channel) = open().await;
        let other = connection.clone();
        drop((connection, channel));
        other.check_open().unwrap();
        drop(other);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn channel() {
    within(async {
        let connection = connect().await;
        let first = connection.channel().await.unwrap();
        let second = connection.channel().await.unwrap();
        assert_eq!((first.number(), second.number()), (1, 2));
        // The same channel for another task.
        assert_eq!(first.clone().number(), 1);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn transport_and_sock() {
    within(async {
        let options = options();
        let url = std::env::var("AMQP091_TEST_URL").unwrap();
        let address = url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
        let socket = TcpStream::connect(address).await.unwrap();
        let connection = Connection::connect_over(socket, &options).await.unwrap();
        connection.channel().await.unwrap();
        connection.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn message_properties_and_delivery_info() {
    within(async {
        let (_connection, channel) = open().await;
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
    })
    .await;
}
