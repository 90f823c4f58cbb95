//! The blocking face, on plain threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use amqp091_client::blocking::{Channel, Connection, Next, RpcClient, Wait};
use amqp091_client::{Error, OnFailure, Outcome, PublishError, RpcError};

use crate::place::{DEADLINE, Place, server_error};

fn open(place: &Place) -> (Connection, Channel) {
    let connection = Connection::connect(&place.options()).unwrap();
    let channel = connection.channel().unwrap();
    (connection, channel)
}

/// A queue of this connection alone, named by the server.
fn queue(channel: &Channel) -> String {
    let declared = channel.queue_declare("").exclusive(true).wait().unwrap();
    declared.queue.to_str().unwrap().to_owned()
}

everywhere!(a_message_there_and_back, blocking);
fn a_message_there_and_back(place: &Place) {
    let connection = Connection::connect(&place.options().host("localhost")).unwrap();
    let channel = connection.channel().unwrap();
    let queue = queue(&channel);
    channel.publish("", &queue, "hello").mandatory(true).wait().unwrap().confirmed().unwrap();
    let mut deliveries = channel.consume(&queue).prefetch(1).wait().unwrap();
    let delivery = deliveries.next().unwrap().unwrap();
    assert_eq!(delivery.body, "hello");
    delivery.ack().unwrap();
    assert!(matches!(deliveries.next_timeout(Duration::from_millis(20)).unwrap(), Next::NotYet));
    // The server ends it.
    channel.queue_delete(&queue).wait().unwrap();
    let error = deliveries.next_timeout(DEADLINE).unwrap_err();
    assert!(matches!(error, Error::ConsumerCancelled { .. }), "{error}");
    assert!(deliveries.next().is_none());

    let confirm = channel.publish("", &queue, "nowhere").mandatory(true).wait().unwrap();
    let error = confirm.confirmed().unwrap_err();
    assert!(matches!(error, PublishError::Returned(returned) if returned.body == "nowhere"));
    let error = channel.queue_declare(&queue).passive(true).wait().unwrap_err();
    assert_eq!(server_error(&error), (404, Some("queue.declare"), true));
    connection.close().unwrap();
}

everywhere!(one_connection_for_eight_threads, blocking);
fn one_connection_for_eight_threads(place: &Place) {
    const THREADS: usize = 8;
    const MESSAGES: usize = 250;
    let (connection, channel) = open(place);
    let queue = queue(&channel);
    let received: Arc<Vec<AtomicUsize>> =
        Arc::new((0..THREADS * MESSAGES).map(|_| AtomicUsize::new(0)).collect());
    let left = Arc::new(AtomicUsize::new(THREADS * MESSAGES));
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            // Publishers share a channel; each consumer has its own.
            let (connection, publishing) = (connection.clone(), channel.clone());
            let (queue, received, left) = (queue.clone(), Arc::clone(&received), Arc::clone(&left));
            thread::spawn(move || {
                let consuming = connection.channel().unwrap();
                let mut deliveries = consuming.consume(&queue).prefetch(10).wait().unwrap();
                let confirms: Vec<_> = (0..MESSAGES)
                    .map(|message| {
                        let body = (number * MESSAGES + message).to_string();
                        publishing.publish("", &queue, body).mandatory(true).wait().unwrap()
                    })
                    .collect();
                for confirm in confirms {
                    confirm.confirmed().unwrap();
                }
                while left.load(Ordering::Acquire) > 0 {
                    // Others may have had the last one.
                    if let Next::Item(delivery) =
                        deliveries.next_timeout(Duration::from_millis(5)).unwrap()
                    {
                        let body = std::str::from_utf8(&delivery.body).unwrap();
                        received[body.parse::<usize>().unwrap()].fetch_add(1, Ordering::Relaxed);
                        delivery.ack().unwrap();
                        left.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                consuming.close().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(received.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    connection.close().unwrap();
}

everywhere!(events_are_drained, blocking);
fn events_are_drained(place: &Place) {
    let (connection, channel) = open(place);
    let (requests, replies) = (queue(&channel), queue(&channel));
    let consumer = channel.consume(&requests).prefetch(5).wait().unwrap();
    connection.on_delivery(consumer, {
        let replies = replies.clone();
        move |delivery| {
            // With a round trip, on the connection that is being drained.
            let channel = delivery.channel();
            channel.publish("", &replies, delivery.body.clone()).wait()?.confirmed()?;
            delivery.ack()
        }
    });
    let received = Arc::new(AtomicUsize::new(0));
    let consumer = channel.consume(&replies).no_ack(true).wait().unwrap();
    let handle = connection.on_delivery(consumer, {
        let received = Arc::clone(&received);
        move |_| {
            received.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    });
    for number in 0..100 {
        let confirm = channel.publish("", &requests, number.to_string()).wait().unwrap();
        connection.on_outcome(confirm, |outcome| {
            assert!(outcome.is_confirmed());
            Ok(())
        });
    }
    let confirm = channel.publish("", "nowhere", "m").mandatory(true).wait().unwrap();
    connection.on_outcome(confirm, |outcome| {
        assert!(matches!(outcome, Outcome::Returned(_)));
        Ok(())
    });
    // 100 requests, 100 replies, 101 outcomes.
    for _ in 0..301 {
        assert!(connection.drain_events(Some(DEADLINE)).unwrap());
    }
    assert!(!connection.drain_events(Some(Duration::ZERO)).unwrap());
    assert_eq!(received.load(Ordering::Relaxed), 100);

    handle.cancel().wait().unwrap();
    channel.queue_delete(&requests).wait().unwrap();
    let error = connection.drain_events(Some(DEADLINE)).unwrap_err();
    assert!(matches!(error, Error::ConsumerCancelled { .. }), "{error}");
    connection.close().unwrap();
}

everywhere!(requests_and_replies, blocking);
fn requests_and_replies(place: &Place) {
    let (connection, channel) = open(place);
    let queue = queue(&channel);
    let requests = channel.consume(&queue).prefetch(1).wait().unwrap();
    let handle = requests.handle();
    let server = thread::spawn(move || {
        requests.serve(OnFailure::DeadLetter, |request| match request.text() {
            Ok(text) => Ok(text.to_uppercase()),
            Err(error) => Err(error),
        })
    });
    let client = RpcClient::new(&connection).unwrap();
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let (client, queue) = (client.clone(), queue.clone());
            thread::spawn(move || {
                for round in 0..25 {
                    let body = format!("call {number}-{round}");
                    let reply = client.call("", &queue, &body).wait().unwrap();
                    assert_eq!(reply.text().unwrap(), body.to_uppercase());
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    let error = client.call("", "nobody", "").wait().unwrap_err();
    assert!(matches!(error, RpcError::NoServer(_)), "{error}");
    handle.cancel().wait().unwrap();
    assert_eq!(server.join().unwrap().acked, 100);
    connection.close().unwrap();
}
