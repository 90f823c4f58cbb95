//! How connections and channels end: by the broker's administrator, and by dropping handles.

use std::time::Duration;

use amqp091_client::{Connection, Error, Outcome};

use crate::place::{Place, eventually, queue, server_error, unique};

everywhere!(a_connection_that_the_broker_closes_tells_everybody_why, threads);
async fn a_connection_that_the_broker_closes_tells_everybody_why(place: &Place) {
    let host = place.virtual_host().await;
    let options = place.options().virtual_host(&host);
    let connection = Connection::connect(&options).await.unwrap();
    let bystander = place.connect().await;
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    let publisher = tokio::spawn({
        let (channel, queue) = (channel.clone(), queue.clone());
        async move {
            // Until it is refused, every message has an outcome.
            loop {
                match channel.publish("", &queue, "m").await {
                    Ok(confirm) => match confirm.await {
                        Outcome::Confirmed => {}
                        Outcome::Unknown(error) => return error,
                        other => panic!("{other:?}"),
                    },
                    Err(error) => return error,
                }
            }
        }
    });
    let consuming = tokio::spawn(async move {
        loop {
            match consumer.next().await.unwrap() {
                Ok(delivery) => drop(delivery.ack()),
                Err(error) => return error,
            }
        }
    });
    place.close_connections(&host, "maintenance").await;
    let errors = [
        publisher.await.unwrap(),
        consuming.await.unwrap(),
        connection.closed().await.unwrap_err(),
        connection.channel().await.unwrap_err(),
        channel.queue_declare("").await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error}");
        assert_eq!(server_error(&error), (320, None, false));
        assert!(error.to_string().contains("maintenance"), "{error}");
    }
    // Connecting again is up to the program, and works.
    Connection::connect(&options).await.unwrap().close().await.unwrap();
    bystander.check_open().unwrap();
    place.delete_virtual_host(&host).await;
}

everywhere!(a_deleted_virtual_host_ends_its_connections);
async fn a_deleted_virtual_host_ends_its_connections(place: &Place) {
    let host = place.virtual_host().await;
    let connection = Connection::connect(&place.options().virtual_host(&host)).await.unwrap();
    place.delete_virtual_host(&host).await;
    let error = connection.closed().await.unwrap_err();
    assert_eq!(server_error(&error).0, 320, "{error}");
}

everywhere!(a_dropped_channel_is_closed_on_the_broker);
async fn a_dropped_channel_is_closed_on_the_broker(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    other.publish("", &queue, "m").await.unwrap().confirmed().await.unwrap();
    // A message that is neither settled nor kept, and an exclusive consumer.
    let got = channel.get(&queue).await.unwrap().unwrap();
    let consumer = channel.consume(&queue).exclusive(true).await.unwrap();
    let refused = connection.channel().await.unwrap();
    let error = refused.consume(&queue).await.unwrap_err();
    assert_eq!(server_error(&error), (403, Some("basic.consume"), true));
    drop(channel);
    // Each handle keeps the channel open.
    let number = refused.number();
    drop(consumer);
    assert!(other.get(&queue).await.unwrap().is_none());
    drop(got);
    let again = eventually(async || other.get(&queue).await.unwrap()).await;
    assert!(again.delivery.redelivered);
    again.delivery.ack().unwrap();
    let consumer = eventually(async || {
        let next = connection.channel().await.unwrap();
        next.consume(&queue).exclusive(true).await.ok()
    })
    .await;
    consumer.cancel().await.unwrap();
    // A channel that the server closed gives its number back while its handle lives.
    assert!(refused.check_open().is_err());
    assert_ne!(number, 0);
}

everywhere!(a_dropped_connection_is_closed_on_the_broker);
async fn a_dropped_connection_is_closed_on_the_broker(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let consumer = channel.consume(&queue).await.unwrap();
    let watcher = place.connect().await;
    let state = async || {
        let channel = watcher.channel().await.unwrap();
        server_error(&channel.queue_declare(&queue).passive(true).await.unwrap_err()).0
    };
    drop(connection);
    drop(channel);
    // Its last handle.
    assert_eq!(state().await, 405);
    drop(consumer);
    eventually(async || (state().await == 404).then_some(())).await;
}

everywhere!(what_was_published_before_everything_is_dropped_arrives);
async fn what_was_published_before_everything_is_dropped_arrives(place: &Place) {
    let (watcher, watching) = place.open().await;
    let name = &*unique("last-words");
    watching.queue_declare(name).await.unwrap();
    let (connection, channel) = place.open().await;
    for _ in 0..100 {
        channel.publish_unconfirmed("", name, vec![7; 50_000]).await.unwrap();
    }
    drop(channel);
    drop(connection);
    let channel = watcher.channel().await.unwrap();
    eventually(async || {
        let declared = channel.queue_declare(name).passive(true).await.unwrap();
        (declared.message_count == 100).then_some(())
    })
    .await;
    watching.queue_delete(name).await.unwrap();
}

everywhere!(a_call_that_nobody_waits_for_any_more_does_not_shift_replies);
async fn a_call_that_nobody_waits_for_any_more_does_not_shift_replies(place: &Place) {
    let (_connection, channel) = place.open().await;
    for round in 0..100 {
        let given_up = channel.queue_declare("").exclusive(true);
        let _ =
            tokio::time::timeout(Duration::from_micros(round * 10), given_up.into_future()).await;
        let name = &*unique("shift");
        let declared = channel.queue_declare(name).exclusive(true).await.unwrap();
        assert_eq!(declared.queue, *name);
    }
}
