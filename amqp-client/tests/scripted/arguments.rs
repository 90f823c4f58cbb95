//! Typed arguments: under which key and as which value they stand in the table.

use std::time::{Duration, UNIX_EPOCH};

use amqp091::protocol::{basic, exchange, queue};
use amqp091::types::{FieldTable, Method, Timestamp, Value};
use amqp091_client::{
    Channel, ConnectOptions, DeadLetterStrategy, Error, ExchangeType, HeadersMatch, LeaderLocator,
    Overflow, QueueType, ShortStr, StreamOffset,
};
use tokio::io::DuplexStream;

use crate::peer::{Peer, short, with_channel, within};

/// A table as its keys and values in their order.
fn table(entries: &[(&str, Value)]) -> FieldTable {
    entries.iter().map(|(key, value)| (short(key), value.clone())).collect()
}

/// What the client sends for a method that it wants no reply to.
async fn sent<
    M: Method + TryFrom<amqp091::protocol::AnyMethod, Error = amqp091::protocol::AnyMethod>,
>(
    send: impl Future<Output = Result<(), Error>>,
    peer: &mut Peer<DuplexStream>,
) -> M {
    let (result, (_, method)) = tokio::join!(send, peer.expect::<M>());
    result.unwrap();
    method
}

/// What the client sends for a consumer with these arguments.
async fn consumed(
    channel: &Channel,
    peer: &mut Peer<DuplexStream>,
    set: impl FnOnce(amqp091_client::Consume<'_>) -> amqp091_client::Consume<'_>,
) -> FieldTable {
    let consumer = set(channel.consume("q")).no_wait().await.unwrap();
    let (_, consume) = peer.expect::<basic::Consume>().await;
    assert!(consume.no_wait);
    drop(consumer);
    peer.expect::<basic::Cancel>().await;
    consume.arguments
}

#[tokio::test]
async fn arguments_of_queues() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let declare = channel
            .queue_declare("q")
            .queue_type(QueueType::Quorum)
            .message_ttl(Duration::from_micros(1_500))
            .expires(Duration::from_secs(60))
            .max_length(5)
            .max_length_bytes(1 << 40)
            .overflow(Overflow::RejectPublish)
            .dead_letter_exchange("")
            .dead_letter_routing_key("dead")
            .dead_letter_strategy(DeadLetterStrategy::AtLeastOnce)
            .single_active_consumer(true)
            .delivery_limit(3)
            .consumer_timeout(Duration::from_secs(1))
            .leader_locator(LeaderLocator::Balanced)
            .quorum_initial_group_size(5);
        let declare: queue::Declare = sent(declare.no_wait(), &mut peer).await;
        assert!(declare.no_wait && declare.durable, "a quorum queue is always durable");
        let expected = table(&[
            ("x-queue-type", "quorum".into()),
            ("x-message-ttl", Value::I64(2)),
            ("x-expires", Value::I64(60_000)),
            ("x-max-length", Value::I64(5)),
            ("x-max-length-bytes", Value::I64(1 << 40)),
            ("x-overflow", "reject-publish".into()),
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", "dead".into()),
            ("x-dead-letter-strategy", "at-least-once".into()),
            ("x-single-active-consumer", true.into()),
            ("x-delivery-limit", Value::I64(3)),
            ("x-consumer-timeout", Value::I64(1000)),
            ("x-queue-leader-locator", "balanced".into()),
            ("x-quorum-initial-group-size", Value::I64(5)),
        ]);
        assert_eq!(declare.arguments, expected);

        let declare = channel
            .queue_declare("q")
            .queue_type(QueueType::Stream)
            .max_age(Duration::from_secs(3600))
            .stream_max_segment_size_bytes(1_000_000)
            .stream_filter_size_bytes(32)
            .stream_initial_cluster_size(3);
        let declare: queue::Declare = sent(declare.no_wait(), &mut peer).await;
        assert!(declare.durable);
        let expected = table(&[
            ("x-queue-type", "stream".into()),
            ("x-max-age", "3600s".into()),
            ("x-stream-max-segment-size-bytes", Value::I64(1_000_000)),
            ("x-stream-filter-size-bytes", Value::U8(32)),
            ("x-initial-cluster-size", Value::I64(3)),
        ]);
        assert_eq!(declare.arguments, expected);

        let declare = channel
            .queue_declare("q")
            .queue_type(QueueType::Classic)
            .max_priority(10)
            .single_active_consumer(true)
            .single_active_consumer(false);
        let declare: queue::Declare = sent(declare.no_wait(), &mut peer).await;
        assert!(!declare.durable);
        let expected =
            table(&[("x-queue-type", "classic".into()), ("x-max-priority", Value::U8(10))]);
        assert_eq!(declare.arguments, expected);
    })
    .await;
}

#[tokio::test]
async fn raw_arguments_stand_beside_typed_ones() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let raw = table(&[("x-max-length", 7.into()), ("x-own", 1.into()), ("x-own", 2.into())]);
        let declare = channel
            .queue_declare("q")
            .max_length(5)
            .max_priority(1)
            .arguments(raw)
            .argument(short("x-more"), "text")
            .max_priority(2);
        let declare: queue::Declare = sent(declare.no_wait(), &mut peer).await;
        let expected = table(&[
            ("x-max-priority", Value::U8(2)),
            ("x-max-length", 7.into()),
            ("x-own", 1.into()),
            ("x-own", 2.into()),
            ("x-more", "text".into()),
        ]);
        assert_eq!(declare.arguments, expected);
    })
    .await;
}

#[tokio::test]
async fn arguments_of_exchanges_and_bindings() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let declare =
            channel.exchange_declare("x", ExchangeType::Headers).alternate_exchange("other");
        let declare: exchange::Declare = sent(declare.no_wait(), &mut peer).await;
        assert_eq!(declare.r#type, "headers");
        assert_eq!(declare.arguments, table(&[("alternate-exchange", "other".into())]));

        let expected = table(&[("x-match", "any".into()), ("size", 7.into())]);
        let bind = channel.queue_bind("q", "x").headers_match(HeadersMatch::Any);
        let bind = bind.argument(short("size"), 7).no_wait();
        assert_eq!(sent::<queue::Bind>(bind, &mut peer).await.arguments, expected);
        let bind = channel.exchange_bind("d", "s").headers_match(HeadersMatch::Any);
        let bind = bind.argument(short("size"), 7).no_wait();
        assert_eq!(sent::<exchange::Bind>(bind, &mut peer).await.arguments, expected);
        let unbind = channel.exchange_unbind("d", "s").headers_match(HeadersMatch::Any);
        let unbind = unbind.argument(short("size"), 7).no_wait();
        assert_eq!(sent::<exchange::Unbind>(unbind, &mut peer).await.arguments, expected);
    })
    .await;
}

#[tokio::test]
async fn arguments_of_consumers() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let peer = &mut peer;
        let time = UNIX_EPOCH + Duration::from_millis(5_999);
        for (offset, value) in [
            (StreamOffset::First, "first".into()),
            (StreamOffset::Last, "last".into()),
            (StreamOffset::Next, "next".into()),
            (StreamOffset::Offset(9), Value::I64(9)),
            (StreamOffset::Time(time), Value::Timestamp(Timestamp(5))),
            (StreamOffset::Ago(Duration::from_secs(90)), "90s".into()),
        ] {
            let arguments = consumed(&channel, peer, |consume| consume.stream_offset(offset)).await;
            assert_eq!(arguments, table(&[("x-stream-offset", value)]));
        }
        let arguments = consumed(&channel, peer, |consume| {
            consume
                .priority(-5)
                .stream_filter(["a", "b"])
                .stream_match_unfiltered(true)
                .consumer_timeout(Duration::from_secs(1))
                .argument(ShortStr::from_static("x-own"), 1)
        });
        let expected = table(&[
            ("x-priority", Value::I32(-5)),
            ("x-stream-filter", Value::Array(vec!["a".into(), "b".into()])),
            ("x-stream-match-unfiltered", true.into()),
            ("x-consumer-timeout", Value::I64(1000)),
            ("x-own", 1.into()),
        ]);
        assert_eq!(arguments.await, expected);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_too_long_is_told_and_not_sent() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let long = "x".repeat(256);
        let errors = [
            channel.queue_declare("q").dead_letter_exchange(&long).await.unwrap_err(),
            channel
                .queue_declare("q")
                .dead_letter_routing_key(&long)
                .max_length(1)
                .await
                .unwrap_err(),
            channel.exchange_declare("x", "fanout").alternate_exchange(&long).await.unwrap_err(),
            channel.queue_purge(&long).no_wait().await.unwrap_err(),
        ];
        let arguments = errors.map(|error| match error {
            Error::Argument { argument, .. } => argument,
            other => panic!("{other:?}"),
        });
        let expected =
            ["x-dead-letter-exchange", "x-dead-letter-routing-key", "alternate-exchange", "queue"];
        assert_eq!(arguments, expected);
        // Nothing was sent before this.
        let purge = channel.queue_purge("q").no_wait();
        let _: queue::Purge = sent(purge, &mut peer).await;
    })
    .await;
}
