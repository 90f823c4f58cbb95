//! Methods that few programs need: flow, recover, update-secret, and settling several at once.

use amqp091_client::{Channel, Delivery, Outcome, ReplyCode};

use crate::place::{Place, eventually, queue, ready, server_error};

/// A consumer's next deliveries.
async fn take(consumer: &mut amqp091_client::Consumer, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for _ in 0..count {
        deliveries.push(consumer.next().await.unwrap().unwrap());
    }
    deliveries
}

async fn fill(channel: &Channel, queue: &str, count: usize) {
    let mut confirms = Vec::new();
    for number in 0..count {
        confirms.push(channel.publish("", queue, number.to_string()).await.unwrap());
    }
    for confirm in confirms {
        confirm.confirmed().await.unwrap();
    }
}

everywhere!(flow_may_be_resumed_and_not_stopped);
async fn flow_may_be_resumed_and_not_stopped(place: &Place) {
    let (connection, channel) = place.open().await;
    assert!(channel.flow(true).await.unwrap().active);
    let error = channel.flow(false).await.unwrap_err();
    assert_eq!(server_error(&error), (540, Some("channel.flow"), false));
    assert!(connection.check_open().is_err());
}

everywhere!(what_is_recovered_comes_again);
async fn what_is_recovered_comes_again(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    fill(&channel, &queue, 10).await;
    let mut consumer = channel.consume(&queue).prefetch(10).await.unwrap();
    let mut first = take(&mut consumer, 10).await;
    first.remove(0).ack().unwrap();
    channel.recover(true).await.unwrap();
    let again = take(&mut consumer, 9).await;
    assert!(again.iter().all(|delivery| delivery.redelivered));
    // They are others by now: settling them would be an offence, and isn't sent.
    for delivery in first {
        delivery.ack().unwrap();
    }
    for delivery in again {
        delivery.ack().unwrap();
    }
    channel.qos(0).await.unwrap();
    drop(consumer);
    channel.close().await.unwrap();
}

everywhere!(deliveries_settled_while_the_server_recovers_harm_nobody);
async fn deliveries_settled_while_the_server_recovers_harm_nobody(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    fill(&channel, &queue, 500).await;
    let mut consumer = channel.consume(&queue).prefetch(50).await.unwrap();
    let mut done = 0;
    let mut recovered = 0;
    while done < 500 {
        let delivery = consumer.next().await.unwrap().unwrap();
        let number: usize = std::str::from_utf8(&delivery.body).unwrap().parse().unwrap();
        if number % 50 == 7 && !delivery.redelivered {
            recovered += 1;
            // Settled between the request and its answer, and so by nobody.
            let (reply, settled) =
                tokio::join!(async { channel.recover(true).await }, async { delivery.ack() });
            reply.unwrap();
            settled.unwrap();
        } else {
            delivery.ack().unwrap();
            done += 1;
        }
    }
    assert!(recovered > 0);
    // The server has found no fault with any of this.
    channel.qos(0).await.unwrap();
    connection.close().await.unwrap();
}

everywhere!(recover_async_has_no_answer);
async fn recover_async_has_no_answer(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    fill(&channel, &queue, 3).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    let first = take(&mut consumer, 3).await;
    channel.recover_async(true).await.unwrap();
    for delivery in take(&mut consumer, 3).await {
        assert!(delivery.redelivered);
        delivery.ack().unwrap();
    }
    drop(first);
    drop(consumer);
    channel.close().await.unwrap();
}

everywhere!(recovering_without_requeue_is_not_implemented);
async fn recovering_without_requeue_is_not_implemented(place: &Place) {
    let (connection, channel) = place.open().await;
    let error = channel.recover(false).await.unwrap_err();
    assert_eq!(server_error(&error), (540, Some("basic.recover"), false));
    assert!(connection.check_open().is_err());
}

everywhere!(several_are_refused_at_once);
async fn several_are_refused_at_once(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    fill(&channel, &queue, 5).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    let mut deliveries = take(&mut consumer, 5).await;
    let last = deliveries.remove(4);
    let fourth = deliveries.remove(3);
    last.ack().unwrap();
    // Refused with those before it; the last has gone its own way.
    fourth.nack_multiple(true).unwrap();
    let again = take(&mut consumer, 4).await;
    assert!(again.iter().all(|delivery| delivery.redelivered));
    let mut bodies: Vec<_> = again.iter().map(|delivery| delivery.body.clone()).collect();
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2", "3"]);
    for delivery in deliveries {
        delivery.nack(true).unwrap();
    }
    again.into_iter().last().unwrap().nack_multiple(false).unwrap();
    consumer.cancel().await.unwrap();
    assert_eq!(ready(&channel, &queue).await, 0);
    channel.close().await.unwrap();
}

everywhere!(the_secret_is_replaced);
async fn the_secret_is_replaced(place: &Place) {
    let connection = place.connect().await;
    connection.update_secret("guest", "it expires").await.unwrap();
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    assert_eq!(ready(&channel, &queue).await, 0);
    let error = connection.update_secret("x", "y".repeat(256)).await.unwrap_err();
    assert!(error.to_string().contains("reason"), "{error}");
    connection.close().await.unwrap();
    let error = connection.update_secret("x", "late").await.unwrap_err();
    assert!(error.close_reason().is_some());
    assert_ne!(error.reply_code(), Some(ReplyCode::NOT_ALLOWED));
}

everywhere!(another_task_cancels_a_consumer);
async fn another_task_cancels_a_consumer(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let mut consumer = channel.consume(&queue).await.unwrap();
    let handle = consumer.handle();
    assert_eq!(handle.consumer_tag(), consumer.consumer_tag());
    let waiting = tokio::spawn(async move { consumer.next().await.is_none() });
    let (first, second) =
        tokio::join!(handle.cancel().into_future(), async { handle.clone().cancel().await });
    first.unwrap();
    second.unwrap();
    assert!(waiting.await.unwrap(), "it ends without an error");
    // Its consumer is gone.
    handle.cancel().await.unwrap();
    let none = eventually(async || {
        let declared = channel.queue_declare(&queue).passive(true).await.unwrap();
        (declared.consumer_count == 0).then_some(true)
    });
    assert!(none.await);
}

everywhere!(publishing_immediately_and_counting_octets_are_not_implemented);
async fn publishing_immediately_and_counting_octets_are_not_implemented(place: &Place) {
    let (_connection, channel) = place.open().await;
    let Outcome::Unknown(error) =
        channel.publish("", "q", "m").immediate(true).await.unwrap().await
    else {
        panic!("the server took it")
    };
    assert_eq!(server_error(&error), (540, Some("basic.publish"), false));
    let (_connection, channel) = place.open().await;
    let error = channel.qos(1).prefetch_size(1000).await.unwrap_err();
    assert_eq!(server_error(&error), (540, Some("basic.qos"), false));
}
