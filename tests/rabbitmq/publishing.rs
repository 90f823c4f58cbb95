//! Publishing many messages: prepared, in batches, by windows, from readers.

use amqp091_client::{Outcome, Properties, ShortStr};

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
