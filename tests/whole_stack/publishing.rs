//! Publishing many messages: prepared, in batches, by windows, from readers.

use amqp091::bytes::Bytes;
use amqp091_client::{
    CloseReason, Connection, Error, Outcome, OutgoingMessage, Overflow, Properties, PublishError,
    ShortStr,
};

use crate::place::{Place, queue, ready, unique};

everywhere!(a_publisher_serves_many_tasks_and_other_routing_keys, threads);
async fn a_publisher_serves_many_tasks_and_other_routing_keys(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (queue, other) = (queue(&channel).await, queue(&channel).await);
    let properties = Properties::default().with_content_type(ShortStr::from_static("text/plain"));
    let publisher = channel
        .publisher("", &queue)
        .properties(&properties)
        .persistent(true)
        .mandatory(true)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (publisher, other) = (publisher.clone(), other.clone());
            tokio::spawn(async move {
                for number in 0..100 {
                    let body = format!("{task} {number}");
                    let publish = publisher.publish(&body);
                    let confirm = match number % 4 {
                        0 => publish.routing_key(&other).await,
                        _ => publish.await,
                    };
                    confirm.unwrap().confirmed().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ready(&channel, &queue).await, 600);
    assert_eq!(ready(&channel, &other).await, 200);
    let got = channel.get(&other).no_ack(true).await.unwrap().unwrap().delivery;
    let found = got.properties().unwrap();
    assert_eq!(found.content_type, properties.content_type);
    assert_eq!(found.delivery_mode, Some(2));

    let nowhere = unique("nowhere");
    let publish = publisher.publish("lost").routing_key(&nowhere);
    let outcome = publish.await.unwrap().await;
    let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
    assert_eq!(returned.routing_key, *nowhere);
    assert_eq!(returned.body, "lost");
}

everywhere!(a_batch_tells_which_of_its_messages_failed, threads);
async fn a_batch_tells_which_of_its_messages_failed(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let nowhere = unique("nowhere");
    let messages = (0..5000).map(|number| {
        let key = if number % 1000 == 7 { &nowhere } else { &queue };
        OutgoingMessage::new("", key, format!("message {number}")).mandatory(true)
    });
    let outcome = channel.publish_all(messages).window(500).await;
    assert_eq!((outcome.sent, outcome.confirmed), (5000, 4995));
    let mut failed: Vec<u64> = outcome.failed.iter().map(|(number, _)| *number).collect();
    failed.sort_unstable();
    assert_eq!(failed, [7, 1007, 2007, 3007, 4007]);
    for (number, error) in &outcome.failed {
        let PublishError::Returned(returned) = error else { panic!("{number}: {error}") };
        assert_eq!(returned.body, format!("message {number}"));
    }
    assert!(matches!(outcome.check(), Err(Error::Publish(_))));
    assert_eq!(ready(&channel, &queue).await, 4995);
}

everywhere!(a_publishers_batch_keeps_its_order, threads);
async fn a_publishers_batch_keeps_its_order(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let publisher = channel.publisher("", &queue).build().unwrap();
    let outcome = publisher.publish_all((0..20_000_u32).map(|n| n.to_be_bytes().to_vec())).await;
    assert!(outcome.is_confirmed(), "{outcome:?}");
    let mut consumer = channel.consume(&queue).no_ack(true).await.unwrap();
    for n in 0..20_000_u32 {
        let delivery = consumer.next().await.unwrap().unwrap();
        assert_eq!(delivery.body[..], n.to_be_bytes());
    }
}

everywhere!(a_batch_to_an_exchange_that_is_not_there_stops_with_its_channel);
async fn a_batch_to_an_exchange_that_is_not_there_stops_with_its_channel(place: &Place) {
    let (_connection, channel) = place.open().await;
    let nowhere = unique("exchange");
    let messages = (0..100_000).map(|_| OutgoingMessage::new(&nowhere, "k", "m"));
    let outcome = channel.publish_all(messages).window(100).await;
    assert!((1..=200).contains(&outcome.sent), "{}", outcome.sent);
    assert_eq!((outcome.confirmed, outcome.failed.len() as u64), (0, outcome.sent));
    assert!(matches!(outcome.check(), Err(Error::ChannelClosed { .. })));
}

everywhere!(a_window_gathers_the_nacks_of_a_full_queue, threads);
async fn a_window_gathers_the_nacks_of_a_full_queue(place: &Place) {
    let (_connection, channel) = place.open().await;
    let declare = channel.queue_declare("").exclusive(true).max_length(1000);
    let queue = declare.overflow(Overflow::RejectPublish).await.unwrap().queue;
    let window = channel.confirm_window(100);
    let mut numbers = Vec::new();
    let (mut confirmed, mut failed) = (0, Vec::new());
    while numbers.len() < 2000 {
        match channel.publish("", queue.to_str().unwrap(), "m").within(&window).await {
            Ok(number) => numbers.push(number),
            Err(Error::WindowFailed { failed: 100.. }) => {
                let outcome = window.flush().await;
                confirmed += outcome.confirmed;
                failed.extend(outcome.failed);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(window.outstanding() <= 100);
    }
    let outcome = window.flush().await;
    assert_eq!(numbers, (0..2000).collect::<Vec<u64>>());
    confirmed += outcome.confirmed;
    failed.extend(outcome.failed);
    assert_eq!((confirmed, failed.len()), (1000, 1000));
    assert!(failed.iter().all(|(_, error)| matches!(error, PublishError::Nacked)));
}

everywhere!(tasks_that_share_a_window_all_get_their_turn, threads);
async fn tasks_that_share_a_window_all_get_their_turn(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let window = channel.confirm_window(10);
    let publisher = channel.publisher("", &queue).build().unwrap();
    let publish = async || {
        for _ in 0..200 {
            publisher.publish("m").within(&window).await.unwrap();
        }
    };
    tokio::join!(publish(), publish(), publish(), publish(), publish());
    let outcome = window.flush().await;
    assert_eq!((outcome.sent, outcome.confirmed), (1000, 1000));
    outcome.check().unwrap();
}

everywhere!(returns_that_nobody_waits_for_come_as_a_stream);
async fn returns_that_nobody_waits_for_come_as_a_stream(place: &Place) {
    let (_connection, channel) = place.open().await;
    let mut returns = channel.returns();
    let nowhere = unique("nowhere");
    channel.publish_unconfirmed("", &nowhere, "unconfirmed").mandatory(true).await.unwrap();
    assert_eq!(returns.next().await.unwrap().body, "unconfirmed");
    // In confirm mode, and beside one that somebody waits for.
    let confirm = channel.publish("", &nowhere, "same").mandatory(true).await.unwrap();
    channel.publish_unconfirmed("", &nowhere, "same").mandatory(true).await.unwrap();
    assert_eq!(returns.next().await.unwrap().routing_key, *nowhere);
    assert!(matches!(confirm.await, Outcome::Returned(_)));
    channel.close().await.unwrap();
    assert!(returns.next().await.is_none());
}

everywhere!(a_transactions_returns_come_as_a_stream);
async fn a_transactions_returns_come_as_a_stream(place: &Place) {
    let (_connection, channel) = place.open().await;
    channel.tx_select().await.unwrap();
    let mut returns = channel.returns();
    channel.publish_unconfirmed("", unique("nowhere"), "m").mandatory(true).await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(returns.next().await.unwrap().body, "m");
    assert_eq!(returns.missed(), 0);
}

const MIB: usize = 1024 * 1024;

fn body(len: usize) -> Bytes {
    let pattern: Vec<u8> = (0..=u16::MAX).flat_map(|n| n.to_be_bytes()).collect();
    pattern.repeat(len / pattern.len() + 1)[..len].to_vec().into()
}

/// Gives its octets in small pieces, each a while after the other.
struct Slow {
    octets: Bytes,
    /// After which it fails, if it does.
    good: usize,
}

impl tokio::io::AsyncRead for Slow {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        // Other tasks have their turn between any two pieces.
        std::task::ready!(std::pin::pin!(tokio::task::consume_budget()).poll(cx));
        if self.good == 0 {
            return std::task::Poll::Ready(Err(std::io::Error::other("the disk is broken")));
        }
        let len = buffer.remaining().min(self.octets.len()).min(10_000).min(self.good);
        buffer.put_slice(&self.octets.split_to(len));
        self.good -= len;
        std::task::Poll::Ready(Ok(()))
    }
}

everywhere!(ten_mib_from_a_reader_while_other_channels_acknowledge, threads);
async fn ten_mib_from_a_reader_while_other_channels_acknowledge(place: &Place) {
    for frame_max in [4096, 131_072] {
        let connection = Connection::connect(&place.options().frame_max(frame_max)).await.unwrap();
        let channel = connection.channel().await.unwrap();
        let other = connection.channel().await.unwrap();
        let (large, small) = (queue(&other).await, queue(&other).await);
        other.publish("", &small, "again and again").await.unwrap().confirmed().await.unwrap();
        let mut consumer = other.consume(&small).prefetch(1).await.unwrap();
        let sent = body(10 * MIB);
        let reader = Slow { octets: sent.clone(), good: usize::MAX };
        let publish = async {
            let publish = channel.publish_reader("", &large, sent.len() as u64, reader);
            publish.mandatory(true).persistent(true).await.unwrap().confirmed().await.unwrap();
        };
        let turns = async {
            let mut turns = 0;
            while turns < 50 {
                let delivery = consumer.next().await.unwrap().unwrap();
                let again = other.publish("", &small, &delivery.body[..]).await.unwrap();
                delivery.ack().unwrap();
                again.confirmed().await.unwrap();
                turns += 1;
            }
        };
        tokio::join!(publish, turns);
        // And one behind the other.
        let stream = Pieces(vec![sent.slice(..MIB), sent.slice(MIB..2 * MIB + 1)]);
        let confirm = channel.publish_stream("", &large, 2 * MIB as u64 + 1, stream);
        confirm.await.unwrap().confirmed().await.unwrap();
        for expected in [&sent[..], &sent[..2 * MIB + 1]] {
            let got = channel.get(&large).no_ack(true).await.unwrap().unwrap().delivery;
            assert!(got.body == expected, "{} octets came", got.body.len());
        }
        connection.close().await.unwrap();
    }
}

/// A stream of pieces.
struct Pieces(Vec<Bytes>);

impl futures_util::Stream for Pieces {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let Self(pieces) = &mut *self;
        std::task::Poll::Ready((!pieces.is_empty()).then(|| Ok(pieces.remove(0))))
    }
}

everywhere!(a_reader_that_fails_costs_its_channel_and_nothing_else, threads);
async fn a_reader_that_fails_costs_its_channel_and_nothing_else(place: &Place) {
    let (connection, other) = place.open().await;
    let queue = queue(&other).await;
    for good in [0, 1000, 70_000, MIB] {
        let channel = connection.channel().await.unwrap();
        let reader = Slow { octets: body(2 * MIB), good };
        let publish = channel.publish_reader("", &queue, 2 * MIB as u64, reader);
        let error = publish.await.unwrap_err();
        assert!(matches!(error, Error::BodySource { .. }), "{error}");
        if good < 64 * 1024 {
            // Nothing had been sent.
            channel.publish("", &queue, "good").await.unwrap().confirmed().await.unwrap();
            continue;
        }
        let error = channel.check_open().unwrap_err();
        assert!(matches!(error.close_reason(), Some(CloseReason::BodyUnfinished)), "{error}");
        assert!(channel.publish("", &queue, "m").await.is_err());
    }
    // Dropped half-way.
    let channel = connection.channel().await.unwrap();
    let reader = Slow { octets: body(2 * MIB), good: usize::MAX };
    let publish = channel.publish_reader("", &queue, 1 << 30, reader).into_future();
    let publish = tokio::time::timeout(std::time::Duration::from_millis(20), publish).await;
    assert!(!matches!(publish, Ok(Ok(_))));
    assert!(channel.check_open().is_err());
    // Nothing of all that was published, and all else goes on.
    other.publish("", &queue, "good").await.unwrap().confirmed().await.unwrap();
    assert_eq!(ready(&other, &queue).await, 3);
    drop(channel);
    connection.channel().await.unwrap().close().await.unwrap();
    connection.close().await.unwrap();
}

everywhere!(a_body_in_pieces_arrives_as_one);
async fn a_body_in_pieces_arrives_as_one(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let sent = body(300_000);
    let cuts = [0, 1, 1, 20, 131_063, 131_064, 131_065, 299_999, 300_000];
    let pieces: Vec<Bytes> = cuts.windows(2).map(|cut| sent.slice(cut[0]..cut[1])).collect();
    let small = [sent.slice(..10), Bytes::new(), sent.slice(10..100)];
    for (pieces, expected) in [(pieces, 300_000), (small.to_vec(), 100), (vec![], 0)] {
        channel.publish("", &queue, pieces).await.unwrap().confirmed().await.unwrap();
        let got = channel.get(&queue).no_ack(true).await.unwrap().unwrap().delivery;
        assert!(got.body == sent[..expected], "{} octets came", got.body.len());
    }
}
