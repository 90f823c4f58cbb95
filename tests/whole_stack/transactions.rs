//! Transactions: what a commit and a rollback do, and that nothing meets a commit on its way.

use amqp091_client::{Channel, ChannelMode, Error};

use crate::place::{Place, eventually, queue, ready};

async fn transaction(place: &Place) -> (amqp091_client::Connection, Channel, String) {
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    channel.tx_select().await.unwrap();
    (connection, channel, queue)
}

everywhere!(what_is_published_comes_with_the_commit_or_not_at_all);
async fn what_is_published_comes_with_the_commit_or_not_at_all(place: &Place) {
    let (connection, channel, queue) = transaction(place).await;
    let other = connection.channel().await.unwrap();
    for _ in 0..3 {
        channel.publish_unconfirmed("", &queue, "m").await.unwrap();
    }
    // A call behind them: the server has them by its reply.
    channel.qos(0).await.unwrap();
    assert_eq!(ready(&other, &queue).await, 0);
    channel.tx_commit().await.unwrap();
    assert_eq!(ready(&other, &queue).await, 3);
    channel.publish_unconfirmed("", &queue, "m").await.unwrap();
    channel.tx_rollback().await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(ready(&other, &queue).await, 3);
}

everywhere!(what_is_settled_is_so_with_the_commit);
async fn what_is_settled_is_so_with_the_commit(place: &Place) {
    let (connection, channel, queue) = transaction(place).await;
    let other = connection.channel().await.unwrap();
    for body in ["a", "b", "c"] {
        other.publish("", &queue, body).await.unwrap().confirmed().await.unwrap();
    }
    let mut consumer = channel.consume(&queue).await.unwrap();
    let a = consumer.next().await.unwrap().unwrap();
    let b = consumer.next().await.unwrap().unwrap();
    let c = consumer.next().await.unwrap().unwrap();
    a.ack().unwrap();
    channel.tx_commit().await.unwrap();
    c.ack_multiple().unwrap();
    channel.tx_rollback().await.unwrap();
    // The rollback has undone that too, so this one is still to be settled.
    b.nack(false).unwrap();
    channel.tx_commit().await.unwrap();
    drop(consumer);
    // The last of the three is still the channel's own; by recovering, it goes back.
    channel.recover(true).await.unwrap();
    let got = eventually(async || channel.get(&queue).await.unwrap()).await;
    assert_eq!(got.delivery.body, "c");
    assert_eq!(got.message_count, 0);
    got.delivery.ack().unwrap();
    channel.tx_commit().await.unwrap();
    channel.close().await.unwrap();
    assert_eq!(ready(&other, &queue).await, 0);
}

everywhere!(many_tasks_share_a_channel_in_transaction_mode, threads);
async fn many_tasks_share_a_channel_in_transaction_mode(place: &Place) {
    let (connection, channel, queue) = transaction(place).await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (channel, queue) = (channel.clone(), queue.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let publish = channel.publish_unconfirmed("", &queue, "m");
                publish.await.unwrap();
                channel.tx_commit().await.unwrap();
                // Another task's commit is on its way more often than not.
                channel.qos(0).await.unwrap();
                let got = channel.get(&queue).await.unwrap();
                if let Some(got) = got {
                    got.delivery.ack().unwrap();
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    channel.tx_commit().await.unwrap();
    channel.close().await.unwrap();
    let other = connection.channel().await.unwrap();
    let left = other.queue_purge(&queue).await.unwrap().message_count;
    assert!(left <= 80, "{left}");
    connection.close().await.unwrap();
}

everywhere!(a_commit_that_is_given_up_is_carried_out_before_the_channel_closes);
async fn a_commit_that_is_given_up_is_carried_out_before_the_channel_closes(place: &Place) {
    let (connection, channel, queue) = transaction(place).await;
    channel.publish_unconfirmed("", &queue, "m").await.unwrap();
    // It is sent when it is first polled; then nobody waits for it, nor for the channel.
    tokio::select! {
        biased;
        _ = channel.tx_commit() => panic!("nothing was written yet"),
        () = std::future::ready(()) => {}
    }
    drop(channel);
    let other = connection.channel().await.unwrap();
    let count = eventually(async || {
        let count = ready(&other, &queue).await;
        (count > 0).then_some(count)
    })
    .await;
    assert_eq!(count, 1);
}

everywhere!(confirms_and_transactions_exclude_each_other);
async fn confirms_and_transactions_exclude_each_other(place: &Place) {
    let (connection, channel, queue) = transaction(place).await;
    let errors = [
        channel.publish("", &queue, "m").await.unwrap_err(),
        channel.confirm_select().await.unwrap_err(),
        channel.confirm_select().no_wait().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(
            error,
            Error::ChannelMode { method: "confirm.select", mode: ChannelMode::Transaction }
        ));
    }
    // The channel goes on.
    channel.publish_unconfirmed("", &queue, "m").await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(ready(&channel, &queue).await, 1);

    let channel = connection.channel().await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Normal);
    assert!(matches!(channel.tx_rollback().await, Err(Error::ChannelMode { .. })));
    channel.confirm_select().await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Confirm);
    assert!(matches!(channel.tx_select().await, Err(Error::ChannelMode { .. })));
    let confirm = channel.publish("", &queue, "m").await.unwrap();
    assert_eq!(confirm.delivery_tag(), 1);
    confirm.confirmed().await.unwrap();
}
