//! How consumers end: with a reason that stays to be asked for, and with what is left told or given
//! back.

use amqp091::protocol::{ReplyCode, basic, channel, connection};
use amqp091_client::{
    Channel, CloseReason, ConnectOptions, Consumer, ConsumerEnd, Error, Initiator,
};
use tokio::io::DuplexStream;

use crate::peer::{Peer, short, with_channel, within};

type Server = Peer<DuplexStream>;

async fn consume(channel: &Channel, peer: &mut Server) -> Consumer {
    let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
    consumer.unwrap()
}

/// Answers a cancel, with deliveries before that.
async fn answer_cancel(peer: &mut Server, late: std::ops::Range<u64>) {
    let (number, cancel) = peer.expect::<basic::Cancel>().await;
    let tag = cancel.consumer_tag;
    late.for_each(|delivery_tag| peer.deliver(number, &tag, delivery_tag, b"late"));
    peer.send(number, &basic::CancelOk { consumer_tag: tag }).await;
}

#[tokio::test]
async fn a_drained_consumer_hands_over_all_that_came() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = consume(&channel, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        (1..=3).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"early"));
        peer.flush().await;
        let first = consumer.next().await.unwrap().unwrap();
        assert_eq!((first.consumer_tag(), first.queue()), (&tag, &short("q")));
        let handle = consumer.handle();
        assert!(handle.end().is_none());
        let (left, ()) = tokio::join!(consumer.drain(), answer_cancel(&mut peer, 4..6));
        let left = left.unwrap();
        let tags: Vec<u64> = left.iter().map(|delivery| delivery.delivery_tag()).collect();
        assert_eq!(tags, [2, 3, 4, 5]);
        assert!(matches!(handle.end(), Some(ConsumerEnd::Cancelled)));
        // Nothing was given back behind their backs.
        left.into_iter().last().unwrap().ack_multiple().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 5, multiple: true }));
    })
    .await;
}

#[tokio::test]
async fn a_stopped_consumer_gives_back_all_that_was_not_handed_out() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = consume(&channel, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        (1..=2).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"early"));
        peer.flush().await;
        let first = consumer.next().await.unwrap().unwrap();
        let (stopped, ()) = tokio::join!(consumer.stop(), answer_cancel(&mut peer, 3..4));
        stopped.unwrap();
        for delivery_tag in 2..=3 {
            let expected = basic::Reject { delivery_tag, requeue: true };
            assert_eq!(peer.expect().await, (1, expected));
        }
        first.ack().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 1, multiple: false }));
    })
    .await;
}

#[tokio::test]
async fn draining_a_consumer_that_the_server_ended_loses_nothing() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer).await;
        let (handle, tag) = (consumer.handle(), consumer.consumer_tag().clone());
        peer.deliver(1, &tag, 1, b"message");
        peer.send(1, &basic::Cancel { consumer_tag: tag, no_wait: true }).await;
        while handle.end().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(consumer.drain().await.unwrap().len(), 1);
        assert!(matches!(handle.end(), Some(ConsumerEnd::CancelledByServer)));
    })
    .await;
}

#[tokio::test]
async fn every_end_has_its_reason() {
    within(async {
        // The stream's last item says it once; the consumer and its handle say it for ever.
        for (kind, initiator) in [
            ("drop", Initiator::User),
            ("close", Initiator::User),
            ("cancel", Initiator::Server),
            ("channel", Initiator::Server),
            ("connection", Initiator::Server),
            ("socket", Initiator::Library),
        ] {
            let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let mut consumer = consume(&channel, &mut peer).await;
            let handle = consumer.handle();
            let consumer_tag = consumer.consumer_tag().clone();
            assert!(consumer.end().is_none() && handle.end().is_none());
            let (reply_code, reply_text) = (ReplyCode::NOT_FOUND, short("no queue"));
            match kind {
                "drop" => {}
                "close" => {
                    let answer = async {
                        peer.expect::<channel::Close>().await;
                        peer.send(1, &channel::CloseOk {}).await;
                    };
                    tokio::join!(channel.close(), answer).0.unwrap();
                }
                "cancel" => peer.send(1, &basic::Cancel { consumer_tag, no_wait: true }).await,
                "channel" => {
                    let close =
                        channel::Close { reply_code, reply_text, class_id: 60, method_id: 20 };
                    peer.send(1, &close).await;
                }
                "connection" => {
                    let close =
                        connection::Close { reply_code, reply_text, class_id: 0, method_id: 0 };
                    peer.send(0, &close).await;
                }
                _ => drop(peer),
            }
            if kind == "drop" {
                drop(consumer);
            } else {
                let item = consumer.next().await;
                assert_eq!(item.is_none(), kind == "close", "{kind}: {item:?}");
                assert!(consumer.next().await.is_none());
                assert_eq!(consumer.end().unwrap().initiator(), initiator, "{kind}");
                drop(consumer);
            }
            let end = handle.end().unwrap();
            assert_eq!(end.initiator(), initiator, "{kind}");
            let is_expected = match (&end, kind) {
                (ConsumerEnd::Cancelled, "drop") => true,
                (ConsumerEnd::CancelledByServer, "cancel") => end.close_reason().is_none(),
                (ConsumerEnd::ChannelClosed { channel: 1, .. }, "close") => {
                    matches!(end.close_reason(), Some(CloseReason::ByUser))
                }
                (ConsumerEnd::ChannelClosed { channel: 1, reason }, "channel")
                | (ConsumerEnd::ConnectionClosed { reason }, "connection") => {
                    reason.server_close().is_some_and(|close| close.code.0 == 404)
                }
                (ConsumerEnd::ConnectionClosed { reason }, "socket") => {
                    matches!(**reason, CloseReason::Eof)
                }
                _ => false,
            };
            assert!(is_expected, "{kind}: {end}");
            drop(connection);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_an_answer_gives_everything_back() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let consumer = consume(&channel, &mut peer).await;
        peer.deliver(1, &consumer.consumer_tag().clone(), 1, b"message");
        peer.flush().await;
        let error = consumer.drain().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { method: "basic.cancel", .. }), "{error}");
        peer.expect::<basic::Cancel>().await;
        let expected = basic::Reject { delivery_tag: 1, requeue: true };
        assert_eq!(peer.expect().await, (1, expected));
    })
    .await;
}
