//! Credentials from a provider, and what RabbitMQ says to new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amqp091_client::{ConnectError, Connection, ConnectionEvent, Credentials, Error, Stage};

use crate::place::{Place, queue};

everywhere!(new_ones_are_sent_before_they_expire_and_the_broker_takes_them);
async fn new_ones_are_sent_before_they_expire_and_the_broker_takes_them(place: &Place) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let options =
        place.options().credentials("nobody", "nothing").credentials_provider(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let credentials = Credentials::new("guest", "guest");
            async { Ok::<_, std::io::Error>(credentials.valid_for(Duration::from_secs(2))) }
        });
    let connection = Connection::connect(&options).await.unwrap();
    let mut events = connection.events();
    for _ in 0..2 {
        match events.next().await.unwrap() {
            ConnectionEvent::Connected => {}
            ConnectionEvent::CredentialsRefreshed => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    channel.publish("", &queue, "m").await.unwrap().confirmed().await.unwrap();
    connection.close().await.unwrap();
}

everywhere!(wrong_ones_are_refused_as_others_are);
async fn wrong_ones_are_refused_as_others_are(place: &Place) {
    let wrong = || async { Ok::<_, std::io::Error>(Credentials::new("guest", "s3cret")) };
    let error =
        Connection::connect(&place.options().credentials_provider(wrong)).await.unwrap_err();
    let Error::Connect(ConnectError::Refused { stage, close }) = &error else { panic!("{error}") };
    assert_eq!((*stage, close.code.0), (Stage::Tune, 403));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
