//! What becomes of published messages, in numbers.

use std::collections::HashSet;

use amqp091_client::{Outcome, ReplyCode};

use crate::place::{Place, queue, ready, unique};

everywhere!(of_2000_mixed_mandatory_messages_each_has_its_own_outcome, threads);
async fn of_2000_mixed_mandatory_messages_each_has_its_own_outcome(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let nowhere = unique("nowhere");
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let (channel, queue, nowhere) = (channel.clone(), queue.clone(), nowhere.clone());
            tokio::spawn(async move {
                let mut confirms = Vec::new();
                for number in 0..100 {
                    let routable = (task * 7 + number * 3) % 2 == 0;
                    let key = if routable { &queue } else { &nowhere };
                    // Half of the unroutable ones look the same; only the rest can be told apart.
                    let body = match (routable, number % 4) {
                        (false, 1) => "the same".to_owned(),
                        _ => format!("{task} {number}"),
                    };
                    let publish = channel.publish("", key, &body).mandatory(true);
                    confirms.push((publish.await.unwrap(), routable, body));
                }
                for (confirm, routable, body) in confirms {
                    match (routable, confirm.await) {
                        (true, Outcome::Confirmed) => {}
                        (false, Outcome::Returned(returned)) => {
                            assert_eq!(returned.body, body);
                            assert_eq!(returned.routing_key, *nowhere);
                            assert_eq!(returned.exchange, "");
                            assert_eq!(returned.reply_code, ReplyCode::NO_ROUTE);
                            assert_eq!(returned.reply_text, "NO_ROUTE");
                        }
                        (_, outcome) => panic!("{body}, routable {routable}: {outcome:?}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ready(&channel, &queue).await, 1000);
}

everywhere!(an_unroutable_message_that_is_not_mandatory_is_confirmed);
async fn an_unroutable_message_that_is_not_mandatory_is_confirmed(place: &Place) {
    let (_connection, channel) = place.open().await;
    let confirm = channel.publish("", unique("nowhere"), "m").await.unwrap();
    assert_eq!(confirm.delivery_tag(), 1);
    confirm.confirmed().await.unwrap();
}

everywhere!(unconfirmed_messages_arrive_and_do_not_shift_the_confirms);
async fn unconfirmed_messages_arrive_and_do_not_shift_the_confirms(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    // Before confirm mode these have no numbers, in it they have.
    for (round, expected) in [(0, 1), (1, 12), (2, 23)] {
        for number in 0..10 {
            let body = format!("{round} {number}");
            channel.publish_unconfirmed("", &queue, body).await.unwrap();
        }
        let confirm = channel.publish("", &queue, "confirmed").await.unwrap();
        assert_eq!(confirm.delivery_tag(), expected);
        confirm.confirmed().await.unwrap();
    }
    assert_eq!(ready(&channel, &queue).await, 33);
}

everywhere!(sixty_four_tasks_publish_on_one_channel_while_four_consume, threads);
async fn sixty_four_tasks_publish_on_one_channel_while_four_consume(place: &Place) {
    const TASKS: u32 = 64;
    const PER_TASK: u32 = 100;
    let (connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let (found, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    // Two consumers on the publishers' channel, two on another.
    let other = connection.channel().await.unwrap();
    for channel in [&channel, &channel, &other, &other] {
        let mut consumer = channel.consume(&queue).prefetch(20).await.unwrap();
        let found = found.clone();
        tokio::spawn(async move {
            while let Some(delivery) = consumer.next().await {
                let delivery = delivery.unwrap();
                found.send(String::from_utf8(delivery.body.to_vec()).unwrap()).unwrap();
                delivery.ack().unwrap();
            }
        });
    }
    drop(found);
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (channel, queue) = (channel.clone(), queue.clone());
            tokio::spawn(async move {
                for number in 0..PER_TASK {
                    let body = format!("{task} {number}");
                    let publish = channel.publish("", &queue, body).mandatory(number % 2 == 0);
                    publish.await.unwrap().confirmed().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut seen = HashSet::new();
    while seen.len() < (TASKS * PER_TASK) as usize {
        let body = arrivals.recv().await.unwrap();
        assert!(seen.insert(body.clone()), "{body} came twice");
    }
    assert_eq!(ready(&channel, &queue).await, 0);
}
