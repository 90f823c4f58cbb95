//! Consumers whose channel is opened again: what they had, what ended them, and what comes then.

use amqp091::protocol::{basic, channel};
use amqp091_client::{Channel, ConnectOptions, Consumer, ConsumerEnd, MergedConsumers, OnFailure};
use tokio::io::DuplexStream;

use crate::peer::{Peer, channel_code, with_channel, within};

type Server = Peer<DuplexStream>;

/// Has the server close channel 1, and opens it again with its consumer.
async fn close_and_reopen(channel: &Channel, peer: &mut Server) {
    peer.close_channel(1).await;
    assert_eq!(peer.expect().await, (1, channel::CloseOk {}));
    let (reopened, ()) = tokio::join!(async { channel.reopen().consumers(true).await }, async {
        peer.open_channel().await;
        peer.consume().await;
    });
    assert_eq!(reopened.unwrap().restored.len(), 1);
}

async fn body(consumer: &mut Consumer) -> Vec<u8> {
    consumer.next().await.unwrap().unwrap().body.to_vec()
}

#[tokio::test]
async fn what_was_fetched_of_an_earlier_instance_is_not_handed_out() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
        let mut consumer = consumer.unwrap();
        let tag = consumer.consumer_tag().clone();
        (1..=3).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"old"));
        peer.flush().await;
        // All three are fetched, one is handed out.
        assert_eq!(body(&mut consumer).await, b"old");
        close_and_reopen(&channel, &mut peer).await;
        peer.deliver(1, &tag, 1, b"new");
        peer.flush().await;
        let error = consumer.next().await.unwrap().unwrap_err();
        assert_eq!(channel_code(&error), 404);
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(&delivery.body[..], b"new");
        delivery.ack().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 1, multiple: false }));
    })
    .await;
}

#[tokio::test]
async fn what_needs_no_acknowledgement_is_handed_out_all_the_same() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consume = async { channel.consume("q").no_ack(true).await };
        let (consumer, _) = tokio::join!(consume, peer.consume());
        let mut consumer = consumer.unwrap();
        let tag = consumer.consumer_tag().clone();
        (1..=2).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"old"));
        peer.flush().await;
        assert_eq!(body(&mut consumer).await, b"old");
        peer.deliver(1, &tag, 3, b"later");
        close_and_reopen(&channel, &mut peer).await;
        peer.deliver(1, &tag, 1, b"new");
        peer.flush().await;
        assert_eq!(body(&mut consumer).await, b"old");
        assert_eq!(body(&mut consumer).await, b"later");
        assert_eq!(channel_code(&consumer.next().await.unwrap().unwrap_err()), 404);
        assert_eq!(body(&mut consumer).await, b"new");
    })
    .await;
}

#[tokio::test]
async fn merged_consumers_tell_why_one_ended_and_keep_it_if_it_was_restored() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
        let consumer = consumer.unwrap();
        let tag = consumer.consumer_tag().clone();
        let mut merged: MergedConsumers = [consumer].into_iter().collect();
        close_and_reopen(&channel, &mut peer).await;
        let ended = merged.next().await.unwrap().unwrap_err();
        assert!(matches!(ended.end, ConsumerEnd::ChannelClosed { channel: 1, .. }), "{ended}");
        assert_eq!((merged.len(), merged.handles().count()), (1, 1));
        peer.deliver(1, &tag, 1, b"new");
        peer.flush().await;
        assert_eq!(&merged.next().await.unwrap().unwrap().body[..], b"new");
        // It ends once more, and now for good.
        peer.close_channel(1).await;
        let ended = merged.next().await.unwrap().unwrap_err();
        assert!(matches!(ended.end, ConsumerEnd::ChannelClosed { channel: 1, .. }), "{ended}");
        assert!(merged.next().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn handling_ends_for_the_reason_that_ended_the_consumer() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
        let consumer = consumer.unwrap();
        close_and_reopen(&channel, &mut peer).await;
        let done = consumer
            .for_each_concurrent(1, OnFailure::Requeue, |_| async { Ok::<(), ()>(()) })
            .await;
        assert!(matches!(done.end, ConsumerEnd::ChannelClosed { channel: 1, .. }), "{}", done.end);
    })
    .await;
}
