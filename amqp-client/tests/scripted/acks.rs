//! Acknowledgements that wait are sent when nothing more is to be fetched, and in time.

use std::time::Duration;

use amqp091::protocol::basic;
use amqp091_client::{Channel, ConnectOptions, Consumer, Error};
use tokio::io::DuplexStream;
use tokio::time::Instant;

use crate::peer::{Peer, with_channel, within};

const DELAY: Duration = Duration::from_secs(2);

async fn consume(channel: &Channel, peer: &mut Peer<DuplexStream>) -> Consumer {
    let consume = async { channel.consume("q").coalesce_acks(100, DELAY).await };
    let (consumer, _) = tokio::join!(consume, peer.consume());
    consumer.unwrap()
}

#[tokio::test(start_paused = true)]
async fn acks_wait_until_the_consumer_is_idle_or_their_time_is_up() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = consume(&channel, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        (1..=3).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"x"));
        peer.flush().await;
        let mut next = async || consumer.next().await.unwrap().unwrap();
        for _ in 1..=3 {
            next().await.ack().unwrap();
        }
        // Idle: the server hears at once.
        let begin = Instant::now();
        let server = async {
            assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 3, multiple: true }));
            peer.deliver(1, &tag, 4, b"x");
            peer.flush().await;
        };
        let (fourth, ()) = tokio::join!(next(), server);
        assert_eq!(begin.elapsed(), Duration::ZERO);
        // Busy elsewhere: it hears in time.
        fourth.ack().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 4, multiple: false }));
        let waited = begin.elapsed();
        assert!((DELAY..DELAY + Duration::from_millis(10)).contains(&waited), "{waited:?}");
        // And when it is told to.
        peer.deliver(1, &tag, 5, b"x");
        peer.flush().await;
        next().await.ack().unwrap();
        channel.flush_acks().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 5, multiple: false }));
        peer.close_channel(1).await;
        assert!(matches!(consumer.next().await, Some(Err(Error::ChannelClosed { .. }))));
        assert!(matches!(channel.flush_acks(), Err(Error::ChannelClosed { .. })));
    })
    .await;
}

#[tokio::test]
async fn acks_that_wait_go_out_before_the_program_leaves() {
    within(async {
        for how in ["drop", "close"] {
            let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let mut consumer = consume(&channel, &mut peer).await;
            let tag = consumer.consumer_tag().clone();
            (1..=2).for_each(|delivery_tag| peer.deliver(1, &tag, delivery_tag, b"x"));
            peer.flush().await;
            for _ in 1..=2 {
                consumer.next().await.unwrap().unwrap().ack().unwrap();
            }
            let close = tokio::spawn(async move {
                if how == "close" {
                    connection.close().await.unwrap();
                }
                drop((consumer, channel));
            });
            assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 2, multiple: true }));
            peer.until_closed().await;
            close.await.unwrap();
        }
    })
    .await;
}
