//! Connecting, refusals, and heartbeats in real time.

use std::time::Duration;

use amqp091::types::ShortStr;
use amqp091_client::{
    ConnectError, ConnectOptions, Connection, Error, Initiator, Mechanism, Stage,
};

use crate::place::{Place, queue};

async fn refusal(options: &ConnectOptions) -> Error {
    Connection::connect(options).await.expect_err("nobody should be connected")
}

/// The stage and code of a refusal.
fn refused(error: &Error) -> (Stage, u16) {
    assert_eq!(error.initiator(), Initiator::Server);
    match error {
        Error::Connect(ConnectError::Refused { stage, close }) => (*stage, close.code.0),
        other => panic!("expected a refusal: {other}"),
    }
}

async fn check(connection: &Connection) {
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    channel.publish("", &queue, "m").await.unwrap().confirmed().await.unwrap();
    channel.close().await.unwrap();
}

everywhere!(a_wrong_password_is_refused_whatever_the_mechanism);
async fn a_wrong_password_is_refused_whatever_the_mechanism(place: &Place) {
    for mechanism in [Mechanism::Plain, Mechanism::AmqPlain] {
        let options = place.options().mechanisms([mechanism]);
        check(&Connection::connect(&options).await.unwrap()).await;
        let error = refusal(&options.clone().credentials("guest", "s3cret")).await;
        assert_eq!(refused(&error), (Stage::Tune, 403));
        let text = error.to_string();
        assert!(text.starts_with("the server refused the login: 403"), "{text}");
        assert!(!format!("{text} {error:?} {options:?}").contains("s3cret"));
        let error = refusal(&options.credentials("nobody", "guest")).await;
        assert_eq!(refused(&error), (Stage::Tune, 403));
    }
}

everywhere!(an_unknown_virtual_host_is_refused);
async fn an_unknown_virtual_host_is_refused(place: &Place) {
    let error = refusal(&place.options().virtual_host("amqp091-test-missing")).await;
    assert_eq!(refused(&error), (Stage::OpenOk, 530));
    let text = error.to_string();
    assert!(text.contains("virtual host") && text.contains("amqp091-test-missing"), "{text}");
}

everywhere!(a_connection_with_everything_set);
async fn a_connection_with_everything_set(place: &Place) {
    let options = place
        .options()
        .connection_name("amqp091 test")
        .client_property(ShortStr::new("purpose").unwrap(), "test")
        .channel_max(3)
        .frame_max(4096)
        .heartbeat(Duration::from_secs(60));
    let connection = Connection::connect(&options).await.unwrap();
    check(&connection).await;
    assert!(connection.blocked().is_none());
    let clone = connection.clone();
    connection.close().await.unwrap();
    // A second time, by another handle, is no mistake.
    clone.close().await.unwrap();
    clone.closed().await.unwrap();
    assert!(matches!(clone.check_open(), Err(Error::ConnectionClosed(_))));
}

everywhere!(limits_that_the_client_leaves_to_the_server);
async fn limits_that_the_client_leaves_to_the_server(place: &Place) {
    let options = place.options().channel_max(0).frame_max(0);
    let connection = Connection::connect(&options).await.unwrap();
    check(&connection).await;
    connection.close().await.unwrap();
}

everywhere!(idle_connections_survive_with_every_heartbeat);
async fn idle_connections_survive_with_every_heartbeat(place: &Place) {
    let mut connections = Vec::new();
    for seconds in [0, 1, 60] {
        let options = place.options().heartbeat(Duration::from_secs(seconds));
        connections.push(Connection::connect(&options).await.unwrap());
    }
    connections.push(place.connect().await);
    // The broker gives up a silent client of heartbeat 1 after two or three seconds.
    tokio::time::sleep(Duration::from_millis(4500)).await;
    for connection in connections {
        check(&connection).await;
        connection.close().await.unwrap();
    }
}
