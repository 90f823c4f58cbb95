//! Errors of the server: whom they reach, with which code and failing method, and whom they don't.

use amqp091_client::{Channel, Error, Initiator, Outcome, OutgoingMessage, ReplyCode};

use crate::place::{Place, queue, server_error, unique};

/// The channel works.
async fn check(channel: &Channel) {
    let queue = queue(channel).await;
    channel.publish("", &queue, "m").await.unwrap().confirmed().await.unwrap();
    assert_eq!(channel.queue_purge(&queue).await.unwrap().message_count, 1);
}

fn unknown(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Unknown(error) => error,
        other => panic!("expected an unknown outcome: {other:?}"),
    }
}

everywhere!(
    a_publish_to_a_missing_exchange_tells_everybody_on_the_channel_and_nobody_else,
    threads
);
async fn a_publish_to_a_missing_exchange_tells_everybody_on_the_channel_and_nobody_else(
    place: &Place,
) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    let expected = (404, Some("basic.publish"), true);

    let missing = unique("missing");
    let bad = channel.publish(&missing, "key", "m").await.unwrap();
    let error = unknown(bad.await);
    assert_eq!(server_error(&error), expected);
    assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND));
    assert_eq!(error.initiator(), Initiator::Server);
    let text = error.to_string();
    assert!(text.contains(&missing) && text.contains("basic.publish"), "{text}");

    // Those who wait.
    let error = consumer.next().await.unwrap().unwrap_err();
    assert_eq!(server_error(&error), expected);
    assert!(consumer.next().await.is_none());
    // And those who come later.
    let later = [
        channel.publish("", &queue, "m").await.unwrap_err(),
        channel.publish_unconfirmed("", &queue, "m").await.unwrap_err(),
        channel.queue_declare("").await.unwrap_err(),
        channel.get(&queue).await.unwrap_err(),
        channel.consume(&queue).await.unwrap_err(),
        channel.qos(1).await.unwrap_err(),
        channel.close().await.unwrap_err(),
        channel.check_open().unwrap_err(),
        consumer.cancel().await.unwrap_err(),
    ];
    for error in later {
        assert_eq!(server_error(&error), expected);
    }
    check(&other).await;
    check(&connection.channel().await.unwrap()).await;
    connection.close().await.unwrap();
}

everywhere!(a_missing_exchange_in_the_midst_of_publishing_loses_no_outcome, threads);
async fn a_missing_exchange_in_the_midst_of_publishing_loses_no_outcome(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    let mut confirms = Vec::new();
    let mut refused = None;
    for number in 0..1000 {
        let exchange = if number == 500 { "amqp091-test-missing" } else { "" };
        match channel.publish(exchange, &queue, "m").await {
            Ok(confirm) => confirms.push(confirm),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let mut confirmed = 0;
    let mut failed = 0;
    for confirm in confirms {
        match confirm.await {
            Outcome::Confirmed => confirmed += 1,
            Outcome::Unknown(error) => {
                assert_eq!(server_error(&error), (404, Some("basic.publish"), true));
                failed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    if let Some(error) = refused {
        assert_eq!(server_error(&error).0, 404);
    }
    // Of the first five hundred, some confirms may have been on their way.
    assert!(confirmed <= 500 && failed >= 1, "{confirmed} confirmed, {failed} failed");
    check(&other).await;
    // The server took what came before, and nothing behind.
    assert_eq!(other.queue_purge(&queue).await.unwrap().message_count, 500);
}

everywhere!(soft_errors_have_their_codes_and_failing_methods);
async fn soft_errors_have_their_codes_and_failing_methods(place: &Place) {
    let (owner, held) = place.open().await;
    let locked = &*unique("locked");
    held.queue_declare(locked).exclusive(true).await.unwrap();
    let connection = place.connect().await;
    let channel = async || connection.channel().await.unwrap();
    let missing = &*unique("missing");
    let durable = &*unique("durable");
    let declare = channel().await;
    declare.queue_declare(durable).durable(true).await.unwrap();

    macro_rules! expect {
            ($code:literal, $method:literal, $call:ident($($argument:expr),*) $($rest:tt)*) => {{
                let channel = channel().await;
                let error = channel.$call($($argument),*) $($rest)* .await.unwrap_err();
                let expected = ($code, Some($method), true);
                assert_eq!(server_error(&error), expected, "{error}");
                // The cause stays.
                assert_eq!(server_error(&channel.check_open().unwrap_err()), expected);
            }};
        }
    expect!(404, "queue.declare", queue_declare(missing).passive(true));
    expect!(404, "exchange.declare", exchange_declare(missing, "direct").passive(true));
    expect!(404, "basic.consume", consume(missing));
    expect!(404, "basic.get", get(missing));
    expect!(404, "queue.purge", queue_purge(missing));
    expect!(404, "queue.bind", queue_bind(missing, "amq.direct"));
    expect!(404, "queue.bind", queue_bind(durable, missing));
    expect!(404, "exchange.bind", exchange_bind("amq.direct", missing));
    expect!(405, "queue.declare", queue_declare(locked));
    expect!(405, "basic.consume", consume(locked));
    expect!(405, "basic.get", get(locked));
    expect!(405, "queue.purge", queue_purge(locked));
    expect!(405, "queue.delete", queue_delete(locked));
    expect!(406, "queue.declare", queue_declare(durable).durable(false));
    expect!(406, "exchange.declare", exchange_declare("amq.direct", "fanout").durable(true));
    expect!(403, "queue.declare", queue_declare("amq.mine"));
    expect!(403, "exchange.declare", exchange_declare("amq.mine", "direct"));
    expect!(403, "exchange.delete", exchange_delete("amq.direct"));
    expect!(403, "queue.bind", queue_bind(durable, ""));

    connection.channel().await.unwrap().queue_delete(durable).await.unwrap();
    check(&held).await;
    owner.close().await.unwrap();
}

everywhere!(a_hard_error_ends_the_connection_for_everybody, threads);
async fn a_hard_error_ends_the_connection_for_everybody(place: &Place) {
    let (connection, guilty) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    let mut consumer = other.consume(&queue).await.unwrap();
    let closed = tokio::spawn({
        let connection = connection.clone();
        async move { connection.closed().await.unwrap_err() }
    });
    let error = guilty.qos(1).prefetch_size(1).await.unwrap_err();
    let expected = (540, Some("basic.qos"), false);
    let all = [
        error,
        consumer.next().await.unwrap().unwrap_err(),
        closed.await.unwrap(),
        other.queue_declare("").await.unwrap_err(),
        other.publish("", &queue, "m").await.unwrap_err(),
        connection.channel().await.unwrap_err(),
        connection.check_open().unwrap_err(),
        connection.close().await.unwrap_err(),
        guilty.check_open().unwrap_err(),
    ];
    for error in all {
        assert!(matches!(error, Error::ConnectionClosed(_)), "{error}");
        assert_eq!(server_error(&error), expected);
    }
}

everywhere!(a_consumer_tag_in_use_is_refused_before_the_server_sees_it);
async fn a_consumer_tag_in_use_is_refused_before_the_server_sees_it(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let _first = channel.consume(&queue).consumer_tag("tag").await.unwrap();
    let error = channel.consume(&queue).consumer_tag("tag").await.unwrap_err();
    assert!(matches!(&error, Error::ConsumerTagInUse { tag } if *tag == "tag"), "{error}");
    // On another channel it is another one.
    let other = connection.channel().await.unwrap();
    let _second = other.consume(&queue).consumer_tag("tag").await.unwrap();
    channel.check_open().unwrap();
    connection.check_open().unwrap();
}

everywhere!(a_channel_that_closes_amid_its_deliveries_takes_nothing_with_it);
/// RabbitMQ's reader closes the channel while its writer still has deliveries: they come behind the close.
async fn a_channel_that_closes_amid_its_deliveries_takes_nothing_with_it(place: &Place) {
    let (connection, publisher) = (place.connect().await, place.connect().await);
    let (other, publisher) =
        (connection.channel().await.unwrap(), publisher.channel().await.unwrap());
    let queue = &*unique("amid");
    other.queue_declare(queue).await.unwrap();
    let feed = async {
        loop {
            let batch = (0..100).map(|_| OutgoingMessage::new("", queue, "m"));
            publisher.publish_all(batch).await.check().unwrap();
        }
    };
    let consume = async {
        for _ in 0..30 {
            let channel = connection.channel().await.unwrap();
            let mut consumer = channel.consume(queue).prefetch(50).await.unwrap();
            let mut passive = None;
            let mut handled = 0;
            while let Some(Ok(delivery)) = consumer.next().await {
                // Closed meanwhile, perhaps.
                let _ = delivery.ack();
                handled += 1;
                if handled == 200 {
                    let channel = channel.clone();
                    passive = Some(tokio::spawn(async move {
                        channel.queue_declare("nobody has this queue").passive(true).await
                    }));
                }
            }
            let error = passive.unwrap().await.unwrap().unwrap_err();
            assert_eq!(server_error(&error).0, 404);
            // The number is used again, with a consumer of the same tag.
            let channel = connection.channel().await.unwrap();
            let tag = consumer.consumer_tag().to_str().unwrap();
            let mut consumer = channel.consume(queue).consumer_tag(tag).await.unwrap();
            consumer.next().await.unwrap().unwrap().ack().unwrap();
            channel.close().await.unwrap();
            other.check_open().unwrap();
        }
    };
    tokio::select! {
        () = consume => {}
        () = feed => {}
    }
    other.queue_delete(queue).await.unwrap();
}
