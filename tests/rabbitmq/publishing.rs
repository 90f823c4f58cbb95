//! Publishing many messages: prepared, in batches, by windows, from readers.

use amqp091_client::{
    Error, Outcome, OutgoingMessage, Overflow, Properties, PublishError, ShortStr,
};

use crate::broker::{open, queue, ready, unique, within};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_publisher_serves_many_tasks_and_other_routing_keys() {
    within(async {
        let (_connection, channel) = open().await;
        let (queue, other) = (queue(&channel).await, queue(&channel).await);
        let properties =
            Properties::default().with_content_type(ShortStr::from_static("text/plain"));
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
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_batch_tells_which_of_its_messages_failed() {
    within(async {
        let (_connection, channel) = open().await;
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
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_publishers_batch_keeps_its_order() {
    within(async {
        let (_connection, channel) = open().await;
        let queue = queue(&channel).await;
        let publisher = channel.publisher("", &queue).build().unwrap();
        let outcome =
            publisher.publish_all((0..20_000_u32).map(|n| n.to_be_bytes().to_vec())).await;
        assert!(outcome.is_confirmed(), "{outcome:?}");
        let mut consumer = channel.consume(&queue).no_ack(true).await.unwrap();
        for n in 0..20_000_u32 {
            let delivery = consumer.next().await.unwrap().unwrap();
            assert_eq!(delivery.body[..], n.to_be_bytes());
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_batch_to_an_exchange_that_is_not_there_stops_with_its_channel() {
    within(async {
        let (_connection, channel) = open().await;
        let nowhere = unique("exchange");
        let messages = (0..100_000).map(|_| OutgoingMessage::new(&nowhere, "k", "m"));
        let outcome = channel.publish_all(messages).window(100).await;
        assert!((1..=200).contains(&outcome.sent), "{}", outcome.sent);
        assert_eq!((outcome.confirmed, outcome.failed.len() as u64), (0, outcome.sent));
        assert!(matches!(outcome.check(), Err(Error::ChannelClosed { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_window_gathers_the_nacks_of_a_full_queue() {
    within(async {
        let (_connection, channel) = open().await;
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
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn tasks_that_share_a_window_all_get_their_turn() {
    within(async {
        let (_connection, channel) = open().await;
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
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn returns_that_nobody_waits_for_come_as_a_stream() {
    within(async {
        let (_connection, channel) = open().await;
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
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_transactions_returns_come_as_a_stream() {
    within(async {
        let (_connection, channel) = open().await;
        channel.tx_select().await.unwrap();
        let mut returns = channel.returns();
        channel.publish_unconfirmed("", unique("nowhere"), "m").mandatory(true).await.unwrap();
        channel.tx_commit().await.unwrap();
        assert_eq!(returns.next().await.unwrap().body, "m");
        assert_eq!(returns.missed(), 0);
    })
    .await;
}
