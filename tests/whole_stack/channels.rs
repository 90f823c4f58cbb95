//! Channels: how many, and their numbers again and again.

use amqp091_client::{Connection, Error};

use crate::place::{Place, queue};

everywhere!(channels_up_to_the_limit_and_numbers_used_again);
async fn channels_up_to_the_limit_and_numbers_used_again(place: &Place) {
    let connection = Connection::connect(&place.options().channel_max(50)).await.unwrap();
    let mut channels = Vec::new();
    for number in 1..=50 {
        let channel = connection.channel().await.unwrap();
        assert_eq!(channel.number(), number);
        channels.push(channel);
    }
    let error = connection.channel().await.unwrap_err();
    assert!(matches!(error, Error::TooManyChannels { limit: 50 }), "{error}");
    let closed = channels.swap_remove(20);
    closed.close().await.unwrap();
    let again = connection.channel().await.unwrap();
    assert_eq!(again.number(), 21);
    // The old handle is not the new channel.
    assert!(matches!(closed.check_open(), Err(Error::ChannelClosed { channel: 21, .. })));
    assert!(closed.queue_declare("").await.is_err());
    again.queue_declare("").exclusive(true).await.unwrap();
    for channel in &channels {
        channel.queue_declare("").exclusive(true).await.unwrap();
    }
    connection.close().await.unwrap();
}

everywhere!(the_servers_own_limit_is_reached_without_an_accident);
async fn the_servers_own_limit_is_reached_without_an_accident(place: &Place) {
    let connection = place.connect().await;
    let mut channels = Vec::new();
    let limit = loop {
        match connection.channel().await {
            Ok(channel) => channels.push(channel),
            Err(Error::TooManyChannels { limit }) => break limit,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(channels.len(), usize::from(limit));
    channels.pop().unwrap().close().await.unwrap();
    connection.channel().await.unwrap().queue_declare("").exclusive(true).await.unwrap();
}

everywhere!(a_thousand_times_open_and_close);
async fn a_thousand_times_open_and_close(place: &Place) {
    let connection = Connection::connect(&place.options().channel_max(2)).await.unwrap();
    let first = connection.channel().await.unwrap();
    for _ in 0..1000 {
        let channel = connection.channel().await.unwrap();
        assert_eq!(channel.number(), 2);
        channel.close().await.unwrap();
    }
    queue(&first).await;
}

everywhere!(a_thousand_times_open_and_drop);
async fn a_thousand_times_open_and_drop(place: &Place) {
    let connection = place.connect().await;
    for _ in 0..1000 {
        let channel = connection.channel().await.unwrap();
        // A number is taken again only when the server has let go of it: else it would end the
        // connection.
        assert!(channel.number() < 20, "{}", channel.number());
        drop(channel.publish("", "", "nobody waits").await.unwrap());
    }
    connection.close().await.unwrap();
}

everywhere!(a_channel_that_the_server_closed_leaves_its_number_to_the_next);
async fn a_channel_that_the_server_closed_leaves_its_number_to_the_next(place: &Place) {
    let connection = Connection::connect(&place.options().channel_max(1)).await.unwrap();
    let mut old = Vec::new();
    for _ in 0..100 {
        let channel = connection.channel().await.unwrap();
        let error = channel.get("amqp091-test-missing").await.unwrap_err();
        assert!(matches!(error, Error::ChannelClosed { channel: 1, .. }), "{error}");
        old.push(channel);
    }
    drop(old);
    connection.channel().await.unwrap().queue_declare("").exclusive(true).await.unwrap();
}
