//! Channels that are opened again in place after the server has closed them.

use std::collections::BTreeSet;

use amqp091_client::{Channel, ChannelMode, Error, Outcome, ReplyCode};

use crate::place::{Place, queue, ready, server_error, unique};

/// Has the server close the channel with 404.
async fn break_it(channel: &Channel) {
    let error = channel.queue_declare(unique("missing")).passive(true).await.unwrap_err();
    assert_eq!(server_error(&error).0, 404);
}

everywhere!(a_channel_works_again_after_each_soft_error, threads);
async fn a_channel_works_again_after_each_soft_error(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = queue(&connection.channel().await.unwrap()).await;
    let number = channel.number();
    let clone = channel.clone();
    for round in 1..=20 {
        let confirm = channel.publish("", &queue, "m").await.unwrap();
        confirm.confirmed().await.unwrap();
        let lost = channel.publish(unique("missing"), "", "m").await.unwrap();
        match lost.await {
            Outcome::Unknown(error) => {
                assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND))
            }
            other => panic!("{other:?}"),
        }
        assert!(channel.check_open().is_err());
        let reopened = clone.reopen().await.unwrap();
        assert!(reopened.restored.is_empty() && reopened.failed.is_empty());
        assert_eq!(channel.mode(), ChannelMode::Normal);
        assert_eq!(channel.number(), number);
        assert_eq!(ready(&channel, &queue).await, round);
    }
    // After our own close, too; and what is open stays as it is.
    channel.close().await.unwrap();
    channel.reopen().await.unwrap();
    channel.reopen().modes(true).consumers(true).await.unwrap();
    assert_eq!(ready(&channel, &queue).await, 20);
    connection.close().await.unwrap();
    assert!(matches!(channel.reopen().await.unwrap_err(), Error::ConnectionClosed(_)));
}

everywhere!(consumers_go_on_and_stale_deliveries_touch_nothing, threads);
async fn consumers_go_on_and_stale_deliveries_touch_nothing(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    let mut consumer = channel.consume(&queue).consumer_tag("mine").prefetch(2).await.unwrap();
    for body in ["1", "2", "3"] {
        other.publish("", &queue, body).await.unwrap().confirmed().await.unwrap();
    }
    let old = consumer.next().await.unwrap().unwrap();
    assert_eq!(&old.body[..], b"1");
    break_it(&channel).await;
    // The first consumer's stream: what had come, then why it ended.
    loop {
        match consumer.next().await.unwrap() {
            Ok(delivery) => assert_eq!(&delivery.body[..], b"2"),
            Err(error) => break assert_eq!(server_error(&error).0, 404),
        }
    }
    assert!(consumer.next().await.is_none());

    let reopened = channel.reopen().consumers(true).await.unwrap();
    assert_eq!(reopened.restored[0], "mine");
    assert!(consumer.end().is_none());
    let first = consumer.next().await.unwrap().unwrap();
    assert_eq!((&first.body[..], first.redelivered, first.delivery_tag()), (&b"1"[..], true, 1));
    // Its tag is that of the old one.
    let error = old.ack().unwrap_err();
    assert!(matches!(error, Error::StaleDelivery { delivery_tag: 1, .. }), "{error}");
    first.ack().unwrap();
    for body in [b"2", b"3"] {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(&delivery.body[..], body);
        delivery.ack().unwrap();
    }
    // The prefetch came along: of three more, two are sent.
    for _ in 0..3 {
        other.publish("", &queue, "x").await.unwrap().confirmed().await.unwrap();
    }
    let held = [consumer.next().await.unwrap(), consumer.next().await.unwrap()];
    assert_eq!(ready(&other, &queue).await, 1);
    for delivery in held {
        delivery.unwrap().ack().unwrap();
    }
    consumer.next().await.unwrap().unwrap().ack().unwrap();
    consumer.cancel().await.unwrap();
    assert!(consumer.next().await.is_none());
}

everywhere!(a_queue_that_is_gone_is_reported_and_the_others_go_on, threads);
async fn a_queue_that_is_gone_is_reported_and_the_others_go_on(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let names = [queue(&other).await, unique("gone"), queue(&other).await];
    // Nobody tells this consumer of its queue's end, since it goes with the channel.
    channel.queue_declare(&names[1]).auto_delete(true).await.unwrap();
    let mut consumers = Vec::new();
    for name in &names {
        consumers.push(channel.consume(name).consumer_tag(name).await.unwrap());
    }
    break_it(&channel).await;
    // Several tasks meet it at once.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { channel.reopen().modes(true).consumers(true).await })
        })
        .collect();
    let mut reports = 0;
    for task in tasks {
        let reopened = task.await.unwrap().unwrap();
        if reopened.restored.is_empty() {
            // It came when all was done.
            continue;
        }
        reports += 1;
        assert_eq!(reopened.restored.len(), 2);
        let [failed] = &reopened.failed[..] else { panic!("{reopened:?}") };
        assert_eq!(failed.queue, *names[1]);
        assert_eq!(server_error(&failed.error), (404, Some("basic.consume"), true));
    }
    assert!(reports >= 1);
    for (name, consumer) in names.iter().zip(&mut consumers) {
        let error = consumer.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ChannelClosed { .. }), "{error}");
        if *name == names[1] {
            assert!(consumer.next().await.is_none());
        } else {
            other.publish("", name, "m").await.unwrap().confirmed().await.unwrap();
            consumer.next().await.unwrap().unwrap().ack().unwrap();
        }
    }
}

everywhere!(the_modes_come_back, threads);
async fn the_modes_come_back(place: &Place) {
    let (_connection, channel) = place.open().await;
    channel.confirm_select().await.unwrap();
    channel.qos(1).global(true).await.unwrap();
    break_it(&channel).await;
    channel.reopen().modes(true).await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Confirm);
    let queue = queue(&channel).await;
    for _ in 0..2 {
        channel.publish("", &queue, "m").await.unwrap().confirmed().await.unwrap();
    }
    let mut consumer = channel.consume(&queue).await.unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    assert_eq!(ready(&channel, &queue).await, 1, "one at a time for the whole channel");
    first.ack().unwrap();

    let (_connection, channel) = place.open().await;
    channel.tx_select().await.unwrap();
    let queue = crate::place::queue(&channel).await;
    channel.publish_unconfirmed("", &queue, "lost").await.unwrap();
    break_it(&channel).await;
    channel.reopen().modes(true).await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Transaction);
    channel.publish_unconfirmed("", &queue, "kept").await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(ready(&channel, &queue).await, 1);
    let got = channel.get(&queue).no_ack(true).await.unwrap().unwrap();
    assert_eq!(&got.delivery.body[..], b"kept");
}

everywhere!(the_documented_loop_goes_on_and_loses_nothing, threads);
/// The loop that `Channel::reopen` shows, with messages on hand when the channel closes.
async fn the_documented_loop_goes_on_and_loses_nothing(place: &Place) {
    let (connection, channel) = place.open().await;
    let other = connection.channel().await.unwrap();
    let queue = queue(&other).await;
    for body in 0..20_u8 {
        other.publish("", &queue, vec![body]).await.unwrap().confirmed().await.unwrap();
    }
    let mut orders = channel.consume(&queue).prefetch(10).await.unwrap();
    let (mut handled, mut void, mut ends) = (BTreeSet::new(), 0, 0);
    while handled.len() < 20 {
        match orders.next().await {
            Some(Ok(order)) => {
                let body = order.body[0];
                if body == 4 && ends == 0 {
                    break_it(&channel).await;
                }
                match order.ack() {
                    Ok(()) => assert!(handled.insert(body), "{body} comes again"),
                    Err(Error::ChannelClosed { .. } | Error::StaleDelivery { .. }) => void += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            Some(Err(error)) => {
                assert_eq!(server_error(&error).0, 404);
                ends += 1;
                channel.reopen().modes(true).consumers(true).await.unwrap();
            }
            None => panic!("the stream is over"),
        }
    }
    assert!(ends == 1 && void >= 1, "{ends} ends, {void} void");
    orders.cancel().await.unwrap();
    assert_eq!(ready(&other, &queue).await, 0);
}
