//! Batches and windows against a peer that confirms when it is told to; deadlines by a paused clock.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use amqp091::protocol::{ReplyCode, ToServer, basic, channel, confirm, connection};
use amqp091_client::{CloseReason, ConnectOptions, Error, Outcome, OutgoingMessage, PublishError};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::peer::{Received, open_channel, short, with_channel, within};

const SECOND: Duration = Duration::from_secs(1);

fn ack(delivery_tag: u64) -> basic::Ack {
    basic::Ack { delivery_tag, multiple: true }
}

#[tokio::test(start_paused = true)]
async fn a_batch_keeps_to_its_window_and_what_was_queued_is_sent_though_it_is_dropped() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let publisher = channel.publisher("", "q").build().unwrap();
        let mut taken = 0;
        let bodies = (0..100).map(|n| {
            taken += 1;
            format!("{n}")
        });
        let batch = publisher.publish_all(bodies).window(10);
        assert!(timeout(SECOND, batch.into_future()).await.is_err());
        assert!(taken < 100, "the iterator is asked when there is room");
        channel.publish_unconfirmed("", "q", "behind").await.unwrap();
        peer.expect::<confirm::Select>().await;
        for n in 0..10 {
            assert_eq!(peer.expect_publish().await.2, format!("{n}").into_bytes());
        }
        assert_eq!(peer.expect_publish().await.2, b"behind");
        peer.send(1, &ack(11)).await;
        // The channel is as before.
        let (confirm, ()) = tokio::join!(async { channel.publish("", "q", "last").await }, async {
            assert_eq!(peer.expect_publish().await.2, b"last");
            peer.send(1, &ack(12)).await;
        });
        confirm.unwrap().confirmed().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_stops_at_a_message_that_cannot_be_sent() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let long = "k".repeat(256);
        let messages = ["a", "b", &long, "d"].map(|key| OutgoingMessage::new("", key, "m"));
        let (outcome, ()) = tokio::join!(channel.publish_all(messages).into_future(), async {
            peer.expect::<confirm::Select>().await;
            peer.expect_publish().await;
            peer.expect_publish().await;
            peer.send(1, &basic::Nack { delivery_tag: 2, multiple: false, requeue: false }).await;
            peer.send(1, &ack(2)).await;
        });
        assert_eq!((outcome.sent, outcome.confirmed), (2, 1));
        assert!(matches!(outcome.failure(1), Some(PublishError::Nacked)));
        assert!(matches!(outcome.stopped, Some(Error::Argument { .. })));
        // Nothing at all.
        let none: [OutgoingMessage<'_>; 0] = [];
        assert!(channel.publish_all(none).await.is_confirmed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn publishing_has_its_deadline_while_the_server_blocks() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        peer.send(0, &connection::Blocked { reason: short("low on disk") }).await;
        while connection.blocked().is_none() {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        let error = channel.publish("", "q", "m").publish_timeout(3 * SECOND).await.unwrap_err();
        assert!(matches!(error, Error::PublishTimeout { after } if after == 3 * SECOND));
        assert_eq!(start.elapsed(), 3 * SECOND);
        let publisher = channel.publisher("", "q").build().unwrap();
        let unconfirmed = publisher.publish_unconfirmed("m").publish_timeout(SECOND);
        assert!(matches!(unconfirmed.await, Err(Error::PublishTimeout { .. })));
        let batch = publisher.publish_all(["a", "b"]).publish_timeout(2 * SECOND).await;
        assert_eq!(batch.sent, 0);
        assert!(matches!(batch.stopped, Some(Error::PublishTimeout { .. })));
        assert_eq!(start.elapsed(), 6 * SECOND);
        peer.send(0, &connection::Unblocked {}).await;
        let publish = channel.publish("", "q", "now").confirm_timeout(SECOND);
        let confirm = publish.publish_timeout(SECOND).await.unwrap();
        peer.expect::<confirm::Select>().await;
        assert_eq!(peer.expect_publish().await.2, b"now");
        let start = Instant::now();
        let Outcome::Unknown(Error::Timeout { after, .. }) = confirm.await else { panic!() };
        assert_eq!((after, start.elapsed()), (SECOND, SECOND));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_window_is_for_its_own_channel() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let other = open_channel(&connection, &mut peer).await;
        let window = other.confirm_window(1);
        let error = channel.publish("", "q", "m").within(&window).await.unwrap_err();
        assert!(matches!(error, Error::OtherChannel));
        assert!(window.flush().await.is_confirmed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_window_may_be_dropped() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let window = channel.confirm_window(1);
        assert_eq!(channel.publish("", "q", "0").within(&window).await.unwrap(), 0);
        for _ in 0..3 {
            let publish = channel.publish("", "q", "given up").within(&window);
            assert!(timeout(SECOND, publish).await.is_err());
            assert!(timeout(SECOND, window.flush()).await.is_err());
        }
        peer.expect::<confirm::Select>().await;
        peer.expect_publish().await;
        peer.send(1, &ack(1)).await;
        assert_eq!(channel.publish("", "q", "1").within(&window).await.unwrap(), 1);
        assert_eq!(peer.expect_publish().await.2, b"1");
        peer.send(1, &ack(2)).await;
        assert_eq!(window.flush().await.confirmed, 2);
    })
    .await;
}

/// Gives some octets, then nothing for ever or an error.
struct Faulty {
    left: usize,
    fails: bool,
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 {
            let broken = Err(std::io::Error::other("the disk is broken"));
            return if self.fails { Poll::Ready(broken) } else { Poll::Pending };
        }
        let len = self.left.min(buffer.remaining());
        buffer.put_slice(&vec![b'x'; len]);
        self.left -= len;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_ends_its_channel_and_no_other() {
    within(async {
        for fails in [true, false] {
            let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let other = open_channel(&connection, &mut peer).await;
            let reader = Faulty { left: 100_000, fails };
            let publish = channel.publish_reader("", "q", 1_000_000, reader).into_future();
            match timeout(SECOND, publish).await {
                Ok(Err(Error::BodySource { read: 65_536, body_size: 1_000_000, .. })) if fails => {}
                Err(_) if !fails => {}
                outcome => panic!("{outcome:?}"),
            }
            let error = channel.check_open().unwrap_err();
            assert!(matches!(error.close_reason(), Some(CloseReason::BodyUnfinished)), "{error}");
            other.publish_unconfirmed("", "q", "goes on").await.unwrap();
            peer.expect::<confirm::Select>().await;
            peer.expect::<basic::Publish>().await;
            assert_eq!(peer.read().await, Some((1, Received::Header { body_size: 1_000_000 })));
            let mut octets = 0;
            loop {
                match peer.read().await {
                    Some((1, Received::Body(body))) => octets += body.len(),
                    Some((2, Received::Method(method))) => {
                        assert!(matches!(method, ToServer::BasicPublish(_)));
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(octets <= 100_000);
            drop(channel);
            let closing = tokio::join!(connection.close(), peer.until_closed());
            closing.0.unwrap();
            let is_first = |(channel, _): &(u16, Received)| *channel == 1;
            assert!(!closing.1.iter().any(is_first), "{:?}", closing.1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_source_holds_nobody_on_a_channel_that_is_closed() {
    within(async {
        for left in [0, 10, 100_000] {
            let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let reader = Faulty { left, fails: false };
            let publish = channel.publish_reader("", "q", 1_000_000, reader).into_future();
            let close = channel::Close { reply_code: ReplyCode::NOT_FOUND, ..Default::default() };
            let (published, ()) = tokio::join!(publish, async {
                tokio::time::sleep(SECOND).await;
                peer.send(1, &close).await;
            });
            assert_eq!(published.unwrap_err().reply_code(), Some(ReplyCode::NOT_FOUND));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_silent_source() {
    within(async {
        for left in [0, 10, 100_000] {
            let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
            let reader = Faulty { left, fails: false };
            let publish = channel.publish_reader("", "q", 1_000_000, reader).into_future();
            let begun = Instant::now();
            let close = async {
                tokio::time::sleep(SECOND).await;
                channel.close().await
            };
            let answer = async {
                if left < 100_000 {
                    peer.expect::<channel::Close>().await;
                    peer.send(1, &channel::CloseOk {}).await;
                }
            };
            let (published, closed, ()) = tokio::join!(publish, close, answer);
            assert!(begun.elapsed() < 2 * SECOND);
            let error = published.unwrap_err();
            assert!(matches!(error.close_reason(), Some(CloseReason::ByUser)), "{error}");
            match closed {
                Ok(()) => assert!(left < 100_000),
                Err(error) => {
                    assert!(matches!(error.close_reason(), Some(CloseReason::BodyUnfinished)));
                    assert_eq!(left, 100_000);
                    // It can be used again at once, by another number.
                    let (reopened, open) = tokio::join!(channel.reopen().into_future(), async {
                        loop {
                            match peer.read().await {
                                Some((2, Received::Method(ToServer::ChannelOpen(_)))) => break,
                                Some((1, _)) => {}
                                other => panic!("{other:?}"),
                            }
                        }
                        peer.send(2, &channel::OpenOk {}).await;
                    });
                    reopened.unwrap();
                    let () = open;
                    assert!(channel.check_open().is_ok());
                }
            }
            drop(connection);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_may_be_silent_for_so_long() {
    for left in [0, 10, 100_000] {
        within(async {
            let (_connection, channel, _peer) = with_channel(&ConnectOptions::default()).await;
            for (own, after) in [(true, 5), (false, 30)] {
                let reader = Faulty { left, fails: false };
                let publish = channel.publish_reader("", "q", 1_000_000, reader);
                let publish = if own { publish.source_timeout(5 * SECOND) } else { publish };
                let begun = Instant::now();
                let error = publish.await.unwrap_err();
                assert_eq!(begun.elapsed().as_secs(), after);
                let Error::BodySource { source, .. } = error else { panic!("{error}") };
                assert_eq!(source.kind(), std::io::ErrorKind::TimedOut);
                assert_eq!(channel.check_open().is_ok(), left < 100_000);
                if left == 100_000 {
                    break;
                }
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_slow_and_not_silent_has_all_the_time() {
    /// A piece every 3 s.
    struct Slow(Pin<Box<tokio::time::Sleep>>, usize);

    impl AsyncRead for Slow {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            ready!(self.0.as_mut().poll(cx));
            self.0.as_mut().reset(Instant::now() + 3 * SECOND);
            buffer.put_slice(&vec![b'x'; 40_000.min(buffer.remaining())]);
            self.1 += 1;
            Poll::Ready(Ok(()))
        }
    }

    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let slow = Slow(Box::pin(tokio::time::sleep(3 * SECOND)), 0);
        let publish = channel.publish_reader("", "q", 200_000, slow);
        let begun = Instant::now();
        let publish = publish.publish_timeout(SECOND).source_timeout(4 * SECOND);
        tokio::select! {
            published = publish.into_future() => drop(published.unwrap()),
            () = async { while peer.read().await.is_some() {} } => panic!("it ended"),
        }
        assert!(begun.elapsed() >= 15 * SECOND);
    })
    .await;
}
