//! Consumers: whose a delivery is, when reading pauses, and what becomes of what nobody fetched.

use std::time::Duration;

use amqp091::bytes::{Buf, BytesMut};
use amqp091::encode;
use amqp091::protocol::{basic, queue};
use amqp091_client::{Channel, ConnectOptions, Consumer, Error, ShortStr};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::peer::{Peer, open_channel, short, with_channel, within};

async fn consume(channel: &Channel, peer: &mut Peer<DuplexStream>) -> Consumer {
    let (consumer, _) = tokio::join!(async { channel.consume("q").await }, peer.consume());
    consumer.unwrap()
}

/// Lets the client take what was sent to it, by a call on `channel` whose reply comes behind.
async fn settle_down(channel: &Channel, peer: &mut Peer<DuplexStream>) {
    let answer = async {
        let (number, _) = peer.expect::<basic::Qos>().await;
        peer.send(number, &basic::QosOk {}).await;
    };
    let (qos, ()) = tokio::join!(async { channel.qos(1).await }, answer);
    qos.unwrap();
}

#[tokio::test]
async fn a_delivery_cut_by_the_drop_of_its_consumer_goes_back_and_to_no_other_consumer() {
    within(async {
        let (connection, first, mut peer) = with_channel(&ConnectOptions::default()).await;
        let second = open_channel(&connection, &mut peer).await;
        let consumer = consume(&first, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        let deliver =
            basic::Deliver { consumer_tag: tag, delivery_tag: 1, ..basic::Deliver::default() };
        peer.method(first.number(), &deliver);
        peer.content(first.number(), 10, b"first");
        peer.flush().await;
        settle_down(&second, &mut peer).await;

        drop(consumer);
        let mut other = consume_behind_cancel(&second, &mut peer).await;
        peer.body(first.number(), b" half");
        peer.deliver(second.number(), other.consumer_tag(), 1, b"the other's");
        peer.flush().await;

        let delivery = other.next().await.unwrap().unwrap();
        assert_eq!(delivery.body, "the other's");
        delivery.ack().unwrap();
        let expected = basic::Reject { delivery_tag: 1, requeue: true };
        assert_eq!(peer.expect().await, (first.number(), expected));
        let expected = basic::Ack { delivery_tag: 1, multiple: false };
        assert_eq!(peer.expect().await, (second.number(), expected));
    })
    .await;
}

async fn consume_behind_cancel(channel: &Channel, peer: &mut Peer<DuplexStream>) -> Consumer {
    let answer = async {
        // The answer to the cancel waits: the server is in the middle of a message.
        peer.expect::<basic::Cancel>().await;
        peer.consume().await;
    };
    let (consumer, ()) = tokio::join!(async { channel.consume("q").await }, answer);
    consumer.unwrap()
}

#[tokio::test]
async fn cancelling_an_ended_consumer_leaves_a_later_one_of_the_same_tag_alone() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (old, (number, tag)) = tokio::join!(
            async { channel.consume("old").consumer_tag("tag").await },
            peer.consume()
        );
        let mut old = old.unwrap();
        let cancel = basic::Cancel { consumer_tag: tag.clone(), no_wait: true };
        peer.send(number, &cancel).await;
        let end = old.next().await.unwrap();
        assert!(matches!(end, Err(Error::ConsumerCancelled { tag: ended }) if ended == tag));

        let (new, _) = tokio::join!(
            async { channel.consume("new").consumer_tag("tag").await },
            peer.consume()
        );
        let mut new = new.unwrap();
        // Nothing is sent: there is nothing to cancel any more.
        old.cancel().await.unwrap();
        peer.deliver(number, &tag, 1, b"message");
        peer.flush().await;
        assert_eq!(new.next().await.unwrap().unwrap().body, "message");
        assert!(old.next().await.is_none());
    })
    .await;
}

/// So much that the client stops to read, by messages that are no small change.
async fn fill(peer: &mut Peer<DuplexStream>, consumer: &Consumer, octets: usize) {
    for tag in 0..octets as u64 / 10_000 {
        peer.deliver(1, consumer.consumer_tag(), tag + 1, &[7; 10_000]);
    }
    peer.flush().await;
}

#[tokio::test]
async fn reading_goes_on_when_an_ended_consumer_is_dropped_with_what_it_held() {
    within(async {
        let options = ConnectOptions::default().delivery_limit(100_000);
        let (connection, channel, mut peer) = with_channel(&options).await;
        let other = open_channel(&connection, &mut peer).await;
        let answer = async {
            let (number, consume) = peer.expect::<basic::Consume>().await;
            assert!(consume.no_ack);
            let consumer_tag = consume.consumer_tag;
            peer.send(number, &basic::ConsumeOk { consumer_tag }).await;
        };
        let (full, ()) = tokio::join!(async { channel.consume("full").no_ack(true).await }, answer);
        let full = full.unwrap();
        let mut empty = consume(&other, &mut peer).await;
        fill(&mut peer, &full, 200_000).await;
        let answer = async {
            let (number, cancel) = peer.expect::<basic::Cancel>().await;
            let consumer_tag = cancel.consumer_tag;
            peer.send(number, &basic::CancelOk { consumer_tag }).await;
        };
        let (cancelled, ()) = tokio::join!(full.cancel(), answer);
        cancelled.unwrap();
        // Nobody waits for a reply now, and one consumer holds more than all may.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        peer.deliver(other.number(), empty.consumer_tag(), 1, b"message");
        peer.flush().await;
        let waiting = tokio::spawn(async move { empty.next().await.unwrap().unwrap().body });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "reading didn't pause");
        drop(full);
        // Long before a deadline of the client's makes it look again.
        let body = timeout(Duration::from_secs(10), waiting).await.unwrap();
        assert_eq!(body.unwrap(), "message");
    })
    .await;
}

/// Deliveries without end, each told by the number in its body.
#[derive(Debug, Default)]
struct Flood {
    next: u64,
    written: usize,
    /// Something else to send behind the delivery under way.
    behind: BytesMut,
}

impl Flood {
    /// Writes until the client takes no more: the clock is paused, so a write that is overdue waits
    /// when nothing else is left to do.
    async fn until_stuck(&mut self, peer: &mut Peer<DuplexStream>, tag: &ShortStr) {
        loop {
            if peer.out.is_empty() {
                peer.out = self.behind.split();
                self.next += 1;
                peer.deliver(1, tag, self.next, &self.next.to_be_bytes().repeat(1250));
            }
            let write = peer.stream.write(&peer.out);
            match timeout(Duration::from_millis(100), write).await {
                Ok(count) => {
                    let count = count.unwrap();
                    peer.out.advance(count);
                    self.written += count;
                }
                Err(_) => return,
            }
            assert!(self.written < 50_000_000, "reading never pauses");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_pauses_reading_but_not_calls() {
    within(async {
        const LIMIT: usize = 1_000_000;
        let options = ConnectOptions::default().delivery_limit(LIMIT);
        let (_connection, channel, mut peer) = with_channel(&options).await;
        let mut consumer = consume(&channel, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        let mut flood = Flood::default();
        flood.until_stuck(&mut peer, &tag).await;
        // The pipe and the read buffer hold 256 KiB each.
        let most = LIMIT + 600_000;
        assert!((LIMIT..most).contains(&flood.written), "stuck after {} octets", flood.written);

        // A call gets its reply, behind all that is in the pipe already.
        let declare = tokio::spawn({
            let channel = channel.clone();
            async move { channel.queue_declare("q").await }
        });
        peer.expect::<queue::Declare>().await;
        let ok = queue::DeclareOk { queue: short("q"), message_count: 7, consumer_count: 1 };
        encode::method(&mut flood.behind, 1, &ok).unwrap();
        flood.until_stuck(&mut peer, &tag).await;
        assert_eq!(declare.await.unwrap().unwrap().message_count, 7);
        assert!(flood.written < most + 600_000, "reading went on after the reply");

        // Nothing was lost meanwhile, and once messages are fetched reading goes on.
        for number in 1..=2 * flood.next {
            let delivery = loop {
                match timeout(Duration::from_millis(100), consumer.next()).await {
                    Ok(delivery) => break delivery.unwrap().unwrap(),
                    Err(_) => flood.until_stuck(&mut peer, &tag).await,
                }
            };
            assert_eq!(delivery.delivery_tag(), number);
            assert_eq!(delivery.body, number.to_be_bytes().repeat(1250));
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_dropped_consumer_had_not_handed_out_goes_back() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = consume(&channel, &mut peer).await;
        for tag in 1..=4 {
            peer.deliver(1, consumer.consumer_tag(), tag, b"message");
        }
        peer.flush().await;
        let kept = consumer.next().await.unwrap().unwrap();
        drop(consumer);
        // One that the server sends before it sees the cancel.
        let (_, cancel) = peer.expect::<basic::Cancel>().await;
        peer.deliver(1, &cancel.consumer_tag, 5, b"late");
        peer.send(1, &basic::CancelOk { consumer_tag: cancel.consumer_tag }).await;
        for delivery_tag in 2..=5 {
            let expected = basic::Reject { delivery_tag, requeue: true };
            assert_eq!(peer.expect().await, (1, expected));
        }
        kept.ack().unwrap();
        assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 1, multiple: false }));
        // The tag is free again, and the channel in order.
        let (again, _) = tokio::join!(
            async { channel.consume("q").consumer_tag("ctag-1").await },
            peer.consume()
        );
        assert_eq!(*again.unwrap().consumer_tag(), short("ctag-1"));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_wants_an_answer_to_its_cancel_gets_one() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let mut consumer = consume(&channel, &mut peer).await;
        let tag = consumer.consumer_tag().clone();
        peer.deliver(1, &tag, 1, b"before");
        peer.send(1, &basic::Cancel { consumer_tag: tag.clone(), no_wait: false }).await;
        assert_eq!(consumer.next().await.unwrap().unwrap().body, "before");
        assert!(matches!(consumer.next().await, Some(Err(Error::ConsumerCancelled { .. }))));
        assert!(consumer.next().await.is_none());
        assert_eq!(peer.expect().await, (1, basic::CancelOk { consumer_tag: tag }));
        // Its drop has nothing left to cancel.
        drop(consumer);
        let answer = async {
            let (_, declare) = peer.expect::<queue::Declare>().await;
            let queue = declare.queue;
            peer.send(1, &queue::DeclareOk { queue, message_count: 0, consumer_count: 0 }).await;
        };
        let (declared, ()) = tokio::join!(async { channel.queue_declare("q").await }, answer);
        declared.unwrap();
    })
    .await;
}

/// RabbitMQ lets the queue answer `basic.consume` and `basic.cancel`, and so other replies, and those of
/// other queues, may come first.
#[tokio::test]
async fn answers_to_consume_and_cancel_may_be_overtaken() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let declare_ok = |queue| queue::DeclareOk { queue, message_count: 0, consumer_count: 0 };
        let consume_ok = |tag: &ShortStr| basic::ConsumeOk { consumer_tag: tag.clone() };
        let cancel_ok = |tag: &ShortStr| basic::CancelOk { consumer_tag: tag.clone() };
        let (a, b) = (short("a"), short("b"));
        let (first, second, qos, declared, ()) = tokio::join!(
            async { channel.consume("q").consumer_tag("a").await },
            async { channel.consume("q").consumer_tag("b").await },
            async { channel.qos(7).await },
            async { channel.queue_declare("q").await },
            async {
                for _ in 0..4 {
                    peer.read().await.unwrap();
                }
                peer.method(1, &declare_ok(short("q")));
                peer.method(1, &consume_ok(&b));
                peer.deliver(1, &b, 1, b"b");
                peer.method(1, &basic::QosOk {});
                peer.method(1, &consume_ok(&a));
                peer.deliver(1, &a, 2, b"a");
                peer.flush().await;
            }
        );
        let (mut first, mut second) = (first.unwrap(), second.unwrap());
        qos.unwrap();
        assert_eq!(declared.unwrap().queue, "q");
        assert_eq!(first.next().await.unwrap().unwrap().body, "a");
        assert_eq!(second.next().await.unwrap().unwrap().body, "b");

        let (cancelled, also_cancelled, declared, ()) = tokio::join!(
            first.cancel(),
            second.cancel(),
            async { channel.queue_declare("q").await },
            async {
                for _ in 0..3 {
                    peer.read().await.unwrap();
                }
                peer.method(1, &declare_ok(short("q")));
                peer.method(1, &cancel_ok(&b));
                peer.deliver(1, &a, 3, b"the last");
                peer.method(1, &cancel_ok(&a));
                peer.flush().await;
            }
        );
        cancelled.unwrap();
        also_cancelled.unwrap();
        declared.unwrap();
        assert_eq!(first.next().await.unwrap().unwrap().body, "the last");
        assert!(first.next().await.is_none());
        assert!(second.next().await.is_none());
    })
    .await;
}
