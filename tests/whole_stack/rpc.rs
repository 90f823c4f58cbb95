//! Requests and replies by RabbitMQ's direct reply-to.

use std::time::{Duration, Instant};

use amqp091_client::{
    Connection, Error, OnFailure, Properties, RpcClient, RpcError, RpcResponse, ShortStr,
};
use tokio::task::JoinSet;

use crate::place::{Place, ready, server_error, unique};

/// A server of the queue, which doubles numbers, on a connection of its own.
async fn serve(place: &Place, queue: String) -> Connection {
    let connection = place.connect().await;
    let channel = connection.channel().await.unwrap();
    channel.queue_declare(&queue).auto_delete(true).await.unwrap();
    let requests = channel.consume(&queue).prefetch(200).await.unwrap();
    tokio::spawn(requests.serve(100, OnFailure::DeadLetter, |request| async move {
        let number: u64 = request.text().unwrap().parse().map_err(|_| "no number")?;
        if number.is_multiple_of(10) {
            tokio::time::sleep(Duration::from_millis(number % 7)).await;
        }
        let kind = ShortStr::from_static("double");
        let properties = Properties::default().with_type(kind);
        Ok::<_, &str>(RpcResponse::new((2 * number).to_string(), properties))
    }));
    connection
}

everywhere!(a_thousand_calls_in_flight_get_their_own_replies, threads);
async fn a_thousand_calls_in_flight_get_their_own_replies(place: &Place) {
    let queue = unique("double");
    let server = serve(place, queue.clone()).await;
    let client = RpcClient::new(&place.connect().await).await.unwrap();
    let mut calls = JoinSet::new();
    for number in 0..1000_u64 {
        let (client, queue) = (client.clone(), queue.clone());
        calls.spawn(async move {
            let reply = client.call("", queue, number.to_string()).await.unwrap();
            assert_eq!(reply.text().unwrap(), (2 * number).to_string());
            assert_eq!(reply.properties().unwrap().r#type.unwrap(), "double");
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    assert_eq!((client.in_flight(), client.unclaimed_replies()), (0, 0));
    server.close().await.unwrap();
}

everywhere!(without_a_server_a_call_fails_at_once);
async fn without_a_server_a_call_fails_at_once(place: &Place) {
    let queue = unique("double");
    let server = serve(place, queue.clone()).await;
    let client = RpcClient::new(&place.connect().await).await.unwrap();
    assert_eq!(client.call("", &queue, "4").await.unwrap().body, "8");
    // The server goes, and its queue with it.
    server.close().await.unwrap();
    let begin = Instant::now();
    let error = loop {
        match client.call("", &queue, "4").timeout(Duration::from_millis(500)).await {
            // On its way out it may have taken one that it never answers.
            Err(RpcError::Timeout { .. }) | Ok(_) => assert!(begin.elapsed().as_secs() < 20),
            Err(error) => break error,
        }
    };
    let RpcError::NoServer(returned) = error else { panic!("{error}") };
    assert_eq!(returned.reply_code.0, 312);
    assert_eq!(client.in_flight(), 0);
}

everywhere!(a_request_that_is_not_served_ends_by_its_deadline);
async fn a_request_that_is_not_served_ends_by_its_deadline(place: &Place) {
    let queue = unique("double");
    let _server = serve(place, queue.clone()).await;
    let client = RpcClient::new(&place.connect().await).await.unwrap();
    let call = client.call("", &queue, "x").timeout(Duration::from_millis(300)).await;
    assert!(matches!(call, Err(RpcError::Timeout { sent: true, .. })), "{call:?}");
    // The server goes on.
    assert_eq!(client.call("", &queue, "4").await.unwrap().body, "8");
}

everywhere!(all_calls_end_with_the_channel);
async fn all_calls_end_with_the_channel(place: &Place) {
    let (connection, channel) = place.open().await;
    let silent = unique("silent");
    channel.queue_declare(&silent).exclusive(true).await.unwrap();
    let client = RpcClient::new(&connection).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let (client, silent) = (client.clone(), silent.clone());
        calls.spawn(async move { client.call("", silent, "hello").await });
    }
    while ready(&channel, &silent).await < 10 {}
    let call = client.call("no such exchange", "", "").await;
    let Err(RpcError::Lost(error)) = call else { panic!("{call:?}") };
    assert_eq!(server_error(&error), (404, Some("basic.publish"), true));
    while let Some(call) = calls.join_next().await {
        let call = call.unwrap();
        let Err(RpcError::Lost(Error::ChannelClosed { .. })) = call else { panic!("{call:?}") };
    }
    assert_eq!(client.in_flight(), 0);
    // The next call opens it again.
    let queue = unique("double");
    let server = serve(place, queue.clone()).await;
    assert_eq!(client.call("", &queue, "21").await.unwrap().body, "42");
    // Without a connection there is nothing to be done.
    connection.close().await.unwrap();
    let late = client.call("", &queue, "hello").await;
    assert!(matches!(late, Err(RpcError::NotSent(_))), "{late:?}");
    server.close().await.unwrap();
}

everywhere!(a_channel_has_one_reply_address);
async fn a_channel_has_one_reply_address(place: &Place) {
    let connection = Connection::connect(&place.options()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let first = RpcClient::with_channel(channel.clone()).await.unwrap();
    let error = RpcClient::with_channel(channel).await.unwrap_err();
    assert_eq!(server_error(&error).0, 406);
    let call = first.call("", unique("nobody"), "").await;
    assert!(matches!(call, Err(RpcError::NoServer(_))), "{call:?}");
}
