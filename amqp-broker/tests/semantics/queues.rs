//! Queues: their names, lives, limits and order.

use std::time::Duration;

use amqp091_client::Value;

use crate::place::{
    Place, get, headers, next, put, queue, ready, refusal, send, table, take, unique, until_ready,
};

everywhere!(made_up_names_and_the_last_one_declared);
async fn made_up_names_and_the_last_one_declared(place: &Place) {
    let (connection, channel) = place.open().await;
    let declared = channel.queue_declare("").exclusive(true).await.unwrap().queue.to_string();
    assert!(declared.starts_with("amq.gen-") && declared.len() == 30, "{declared}");
    channel.publish("", &declared, "m").await.unwrap().confirmed().await.unwrap();
    assert_eq!(take(&channel, "").await, "m");
    assert_eq!(channel.queue_purge("").await.unwrap().message_count, 0);
    channel.queue_bind("", "amq.fanout").await.unwrap();
    assert_eq!(channel.queue_delete("").await.unwrap().message_count, 0);
    let channel = connection.channel().await.unwrap();
    let error = channel.queue_purge("").await.unwrap_err();
    assert_eq!(refusal(&error), (404, "NOT_FOUND - no previously declared queue".to_owned()));
}

everywhere!(an_exclusive_queue_is_its_connections);
async fn an_exclusive_queue_is_its_connections(place: &Place) {
    let (owner, channel) = place.open().await;
    let name = queue(&channel, []).await;
    // Its other channels may use it.
    put(&owner.channel().await.unwrap(), &name, "m").await;
    let other = place.connect().await;
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declar..."
    );
    for attempt in 0..7 {
        let channel = other.channel().await.unwrap();
        let error = match attempt {
            0 => channel.queue_declare(&name).exclusive(true).await.unwrap_err(),
            1 => channel.queue_declare(&name).passive(true).await.unwrap_err(),
            2 => channel.queue_bind(&name, "amq.fanout").await.unwrap_err(),
            3 => channel.consume(&name).await.unwrap_err(),
            4 => channel.get(&name).await.unwrap_err(),
            5 => channel.queue_purge(&name).await.unwrap_err(),
            _ => channel.queue_delete(&name).await.unwrap_err(),
        };
        assert_eq!(refusal(&error), (405, text.clone()), "attempt {attempt}");
    }
    // Everybody may publish to it.
    put(&other.channel().await.unwrap(), &name, "m").await;
    assert_eq!(ready(&channel, &name).await, 2);
    // Not exclusive all of a sudden, not even for its owner.
    let error = channel.queue_declare(&name).await.unwrap_err();
    assert_eq!(refusal(&error), (405, text.clone()));
    owner.close().await.unwrap();
    loop {
        let channel = other.channel().await.unwrap();
        let error = channel.queue_declare(&name).passive(true).await.unwrap_err();
        if refusal(&error).0 == 404 {
            break;
        }
    }
}

everywhere!(auto_delete_wants_a_consumer_first);
async fn auto_delete_wants_a_consumer_first(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = unique("auto-delete");
    channel.queue_declare(&name).auto_delete(true).await.unwrap();
    put(&channel, &name, "m").await;
    get(&channel, &name).await.ack().unwrap();
    assert_eq!(ready(&channel, &name).await, 0);
    let [first, second] =
        [channel.consume(&name).await.unwrap(), channel.consume(&name).await.unwrap()];
    first.cancel().await.unwrap();
    assert_eq!(ready(&channel, &name).await, 0);
    second.cancel().await.unwrap();
    let error = channel.queue_declare(&name).passive(true).await.unwrap_err();
    assert_eq!(refusal(&error).0, 404);
    // With a channel as well.
    let channel = connection.channel().await.unwrap();
    channel.queue_declare(&name).auto_delete(true).await.unwrap();
    let _consumer = channel.consume(&name).await.unwrap();
    channel.close().await.unwrap();
    loop {
        let channel = connection.channel().await.unwrap();
        if channel.queue_declare(&name).passive(true).await.is_err() {
            break;
        }
    }
}

everywhere!(only_the_head_of_a_queue_expires);
async fn only_the_head_of_a_queue_expires(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    put(&channel, &name, "stays").await;
    let mut short = headers([]);
    short.expiration = Some(crate::place::key("20"));
    assert!(send(&channel, "", &name, &short, "goes").await.is_confirmed());
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(ready(&channel, &name).await, 2);
    assert_eq!(take(&channel, &name).await, "stays");
    until_ready(&channel, &name, 0).await;
    assert!(channel.get(&name).await.unwrap().is_none());
    // What expires while it is out does not come back.
    short.expiration = Some(crate::place::key("60"));
    assert!(send(&channel, "", &name, &short, "held").await.is_confirmed());
    let held = get(&channel, &name).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    held.nack(true).unwrap();
    channel.flow(true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(channel.get(&name).await.unwrap().is_none());
    // What does not wait at all.
    short.expiration = Some(crate::place::key("0"));
    assert!(send(&channel, "", &name, &short, "at once").await.is_confirmed());
    assert!(channel.get(&name).await.unwrap().is_none());
    let mut consumer = channel.consume(&name).await.unwrap();
    assert!(send(&channel, "", &name, &short, "straight").await.is_confirmed());
    assert_eq!(next(&mut consumer).await.body, "straight");
}

everywhere!(the_shorter_time_to_live_counts);
async fn the_shorter_time_to_live_counts(place: &Place) {
    let (_connection, channel) = place.open().await;
    for (of_queue, of_message) in [(20, "600000"), (600_000, "20")] {
        let name = queue(&channel, [("x-message-ttl", Value::I32(of_queue))]).await;
        let mut properties = headers([]);
        properties.expiration = Some(crate::place::key(of_message));
        assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
        assert_eq!(ready(&channel, &name).await, 1);
        until_ready(&channel, &name, 0).await;
    }
}

everywhere!(full_queues);
async fn full_queues(place: &Place) {
    let (_connection, channel) = place.open().await;
    // The oldest goes.
    let name = queue(&channel, [("x-max-length", Value::I32(2))]).await;
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    // What is out does not count, and what comes back does.
    let held = get(&channel, &name).await;
    assert_eq!(held.body, "2");
    put(&channel, &name, "4").await;
    assert_eq!(ready(&channel, &name).await, 2);
    held.nack(true).unwrap();
    until_ready(&channel, &name, 2).await;
    assert_eq!(take(&channel, &name).await, "3");
    assert_eq!(take(&channel, &name).await, "4");
    // The newest is refused; a fanout to several says so if one of them refuses.
    let arguments =
        [("x-max-length", Value::I32(1)), ("x-overflow", Value::from("reject-publish"))];
    let [name, other] = [queue(&channel, arguments).await, queue(&channel, []).await];
    let exchange = unique("fanout");
    channel.exchange_declare(&exchange, "fanout").auto_delete(true).await.unwrap();
    for name in [&name, &other] {
        channel.queue_bind(name, &exchange).await.unwrap();
    }
    assert!(send(&channel, &exchange, "", &headers([]), "1").await.is_confirmed());
    until_ready(&channel, &name, 1).await;
    assert!(!send(&channel, &exchange, "", &headers([]), "2").await.is_confirmed());
    assert_eq!((ready(&channel, &name).await, ready(&channel, &other).await), (1, 2));
    // The same, with what is refused as dead.
    let arguments = [
        ("x-max-length", Value::I32(1)),
        ("x-overflow", Value::from("reject-publish-dlx")),
        ("x-dead-letter-exchange", Value::from("")),
        ("x-dead-letter-routing-key", Value::from(&other)),
    ];
    channel.queue_purge(&other).await.unwrap();
    let name = queue(&channel, arguments).await;
    put(&channel, &name, "1").await;
    assert!(!send(&channel, "", &name, &headers([]), "2").await.is_confirmed());
    assert_eq!(take(&channel, &other).await, "2");
    assert_eq!(take(&channel, &name).await, "1");
    // None at all.
    let name = queue(&channel, [("x-max-length", Value::I32(0))]).await;
    put(&channel, &name, "m").await;
    assert_eq!(ready(&channel, &name).await, 0);
    let mut consumer = channel.consume(&name).await.unwrap();
    put(&channel, &name, "straight").await;
    assert_eq!(next(&mut consumer).await.body, "straight");
}

everywhere!(priorities);
async fn priorities(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, [("x-max-priority", Value::I32(5))]).await;
    for (priority, body) in
        [(None, "none"), (Some(1), "1"), (Some(9), "9"), (Some(5), "5"), (Some(0), "0")]
    {
        let mut properties = headers([]);
        properties.priority = priority;
        assert!(send(&channel, "", &name, &properties, body).await.is_confirmed());
    }
    let held = get(&channel, &name).await;
    assert_eq!(held.body, "9");
    held.nack(true).unwrap();
    until_ready(&channel, &name, 5).await;
    for body in ["9", "5", "1", "none", "0"] {
        assert_eq!(take(&channel, &name).await, body);
    }
}

everywhere!(what_comes_back_has_its_old_place);
async fn what_comes_back_has_its_old_place(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    for body in ["1", "2", "3", "4", "5"] {
        put(&channel, &name, body).await;
    }
    let one = get(&channel, &name).await;
    let two = get(&channel, &name).await;
    let three = get(&channel, &name).await;
    two.reject(true).unwrap();
    until_ready(&channel, &name, 3).await;
    let two = get(&channel, &name).await;
    assert_eq!((&*two.body, two.redelivered), (&b"2"[..], true));
    let four = get(&channel, &name).await;
    assert_eq!((&*four.body, four.redelivered), (&b"4"[..], false));
    // All that are out, in whatever order they went.
    drop((one, three));
    four.nack_multiple(true).unwrap();
    until_ready(&channel, &name, 5).await;
    for (body, redelivered) in [("1", true), ("2", true), ("3", true), ("4", true), ("5", false)] {
        let delivery = get(&channel, &name).await;
        assert_eq!((delivery.text().unwrap().as_ref(), delivery.redelivered), (body, redelivered));
    }
    channel.recover(true).await.unwrap();
    until_ready(&channel, &name, 5).await;
    let again = connection.channel().await.unwrap();
    let first = get(&again, &name).await;
    assert_eq!(first.body, "1");
    // A channel that ends gives back what it holds.
    again.close().await.unwrap();
    until_ready(&channel, &name, 5).await;
    for body in ["1", "2", "3", "4", "5"] {
        assert_eq!(take(&channel, &name).await, body);
    }
}

everywhere!(counts_are_of_what_is_ready);
async fn counts_are_of_what_is_ready(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    for body in ["1", "2", "3"] {
        put(&channel, &name, body).await;
    }
    let held = get(&channel, &name).await;
    assert_eq!(ready(&channel, &name).await, 2);
    assert_eq!(channel.queue_purge(&name).await.unwrap().message_count, 2);
    held.nack(true).unwrap();
    until_ready(&channel, &name, 1).await;
    assert_eq!(channel.queue_delete(&name).await.unwrap().message_count, 1);
}

everywhere!(a_queue_expires_unless_it_is_used);
async fn a_queue_expires_unless_it_is_used(place: &Place) {
    let (connection, channel) = place.open().await;
    let [used, consumed, unused] = [unique("used"), unique("consumed"), unique("unused")];
    for name in [&used, &consumed, &unused] {
        channel.queue_declare(name).expires(Duration::from_millis(400)).await.unwrap();
    }
    let consumer = channel.consume(&consumed).await.unwrap();
    for _ in 0..14 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(channel.get(&used).await.unwrap().is_none());
    }
    assert_eq!(ready(&channel, &consumed).await, 0);
    let error =
        connection.channel().await.unwrap().queue_declare(&unused).passive(true).await.unwrap_err();
    assert_eq!(refusal(&error).0, 404);
    consumer.cancel().await.unwrap();
    // A passive declare would be a use of it.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let error = channel.queue_declare(&consumed).passive(true).await.unwrap_err();
    assert_eq!(refusal(&error).0, 404);
}

everywhere!(declared_again);
async fn declared_again(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = unique("again");
    let arguments = [("x-message-ttl", Value::I32(60_000)), ("x-unknown", Value::I32(1))];
    let declare = channel.queue_declare(&name).auto_delete(true).durable(true);
    declare.arguments(table(arguments)).await.unwrap();
    // Alike, but for what does not matter.
    let arguments =
        [("x-message-ttl", Value::I64(60_000)), ("x-queue-type", Value::from("classic"))];
    let declare = channel.queue_declare(&name).auto_delete(true).durable(true);
    declare.arguments(table(arguments)).await.unwrap();
    let ttl = [("x-message-ttl", Value::I32(60_000))];
    let other_ttl = [("x-message-ttl", Value::I32(5))];
    let cases = [
        (
            false,
            true,
            Some(ttl.clone()),
            "'durable' for QUEUE: received 'false' but current is 'true'",
        ),
        (true, false, Some(ttl), "'auto_delete' for QUEUE: received 'false' but current is 'true'"),
        (
            true,
            true,
            Some(other_ttl),
            "'x-message-ttl' for QUEUE: received '5' but current is '60000'",
        ),
        (
            true,
            true,
            None,
            "'x-message-ttl' for QUEUE: received none but current is the value '60000' of type 'signedint'",
        ),
    ];
    for (durable, auto_delete, arguments, text) in cases {
        let channel = connection.channel().await.unwrap();
        let declare = channel.queue_declare(&name).durable(durable).auto_delete(auto_delete);
        let arguments = arguments.map(table).unwrap_or_default();
        let error = declare.arguments(arguments).await.unwrap_err();
        let text = text.replace("QUEUE", &format!("queue '{name}' in vhost '/'"));
        let text = format!("PRECONDITION_FAILED - inequivalent arg {text}");
        assert_eq!(refusal(&error), (406, text));
    }
    channel.queue_delete(&name).await.unwrap();
}
