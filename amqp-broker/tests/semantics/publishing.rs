//! Publishing: confirms, returns, transactions, copies, replies.

use amqp091_client::{Outcome, Value};

use crate::place::{
    Place, get, headers, key, next, put, queue, ready, refusal, send, take, unique,
};

everywhere!(what_is_not_routed_comes_back_and_is_confirmed);
async fn what_is_not_routed_comes_back_and_is_confirmed(place: &Place) {
    let (_connection, channel) = place.open().await;
    let mut properties = headers([("k", Value::from("v"))]);
    properties.message_id = Some(key("id"));
    let outcome = send(&channel, "amq.direct", &unique("nowhere"), &properties, "m").await;
    let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
    assert_eq!(returned.reply_code.0, 312);
    assert_eq!(returned.properties().unwrap(), properties);
    let publish = channel.publish("amq.direct", unique("nowhere"), "m").await.unwrap();
    assert!(publish.await.is_confirmed());
}

everywhere!(copies_go_by_two_headers);
async fn copies_go_by_two_headers(place: &Place) {
    let (connection, channel) = place.open().await;
    let [name, carbon, blind] =
        [queue(&channel, []).await, queue(&channel, []).await, queue(&channel, []).await];
    let list = |key: &String| Value::Array(vec![Value::from(key)]);
    let properties = headers([("CC", list(&carbon)), ("BCC", list(&blind))]);
    assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
    for queue in [&name, &carbon, &blind] {
        let delivery = get(&channel, queue).await;
        assert_eq!(delivery.routing_key.to_string(), name);
        let headers = delivery.properties().unwrap().headers.unwrap();
        assert_eq!((headers.contains_key("CC"), headers.contains_key("BCC")), (true, false));
    }
    // Copies alone are enough to be routed.
    let properties = headers([("CC", list(&carbon))]);
    assert!(send(&channel, "", &unique("missing"), &properties, "m").await.is_confirmed());
    // Through an exchange too, once where both match.
    let exchange = unique("topic");
    channel.exchange_declare(&exchange, "topic").auto_delete(true).await.unwrap();
    channel.queue_bind(&name, &exchange).routing_key("#").await.unwrap();
    assert!(send(&channel, &exchange, "k", &properties, "m").await.is_confirmed());
    assert_eq!(ready(&channel, &name).await, 1);
    let refused = connection.channel().await.unwrap();
    let publish = refused.publish("", &name, "m");
    let properties = headers([("CC", Value::from("text"))]);
    assert!(publish.properties(&properties).await.unwrap().confirmed().await.is_err());
    let text =
        "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}";
    assert_eq!(refusal(&refused.check_open().unwrap_err()), (406, text.to_owned()));
}

everywhere!(transactions);
async fn transactions(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let work = connection.channel().await.unwrap();
    work.tx_select().await.unwrap();
    put(&channel, &name, "waiting").await;
    work.publish_unconfirmed("", &name, "dropped").await.unwrap();
    let held = get(&work, &name).await;
    held.ack().unwrap();
    work.tx_rollback().await.unwrap();
    assert_eq!(ready(&channel, &name).await, 0);
    // The ack is undone, and may be made again.
    work.recover(true).await.unwrap();
    let held = get(&work, &name).await;
    assert_eq!((&*held.body, held.redelivered), (&b"waiting"[..], true));
    held.ack().unwrap();
    for body in ["1", "2"] {
        work.publish_unconfirmed("", &name, body).await.unwrap();
    }
    assert_eq!(ready(&channel, &name).await, 0);
    work.tx_commit().await.unwrap();
    assert_eq!(take(&channel, &name).await, "1");
    assert_eq!(take(&channel, &name).await, "2");
    work.close().await.unwrap();
    assert_eq!(ready(&channel, &name).await, 0);
    // What is not committed is gone with its channel.
    let work = connection.channel().await.unwrap();
    work.tx_select().await.unwrap();
    work.publish_unconfirmed("", &name, "gone").await.unwrap();
    put(&channel, &name, "back").await;
    get(&work, &name).await.ack().unwrap();
    work.close().await.unwrap();
    assert_eq!(take(&channel, &name).await, "back");
    assert_eq!(ready(&channel, &name).await, 0);
}

everywhere!(replies_come_straight_to_a_channel);
async fn replies_come_straight_to_a_channel(place: &Place) {
    let (connection, channel) = place.open().await;
    let [name, hidden] = [queue(&channel, []).await, queue(&channel, []).await];
    let mut replies = channel.consume("amq.rabbitmq.reply-to").no_ack(true).await.unwrap();
    let mut properties = headers([("BCC", Value::Array(vec![Value::from(&hidden)]))]);
    properties.reply_to = Some(key("amq.rabbitmq.reply-to"));
    assert!(send(&channel, "", &name, &properties, "ask").await.is_confirmed());
    let answering = connection.channel().await.unwrap();
    let question = get(&answering, &name).await.properties().unwrap();
    assert!(question.headers.is_none_or(|headers| !headers.contains_key("BCC")));
    let address = question.reply_to.unwrap().to_string();
    assert!(address.starts_with("amq.rabbitmq.reply-to."), "{address}");
    // It can be asked for while its owner is there.
    answering.queue_declare(&address).passive(true).await.unwrap();
    let declared = answering.queue_declare("amq.rabbitmq.reply-to").await.unwrap();
    assert_eq!((declared.message_count, declared.consumer_count), (0, 1));
    answering.queue_declare("amq.rabbitmq.reply-to").no_wait().await.unwrap();
    let refused = connection.channel().await.unwrap();
    let error = refused.queue_declare("amq.rabbitmq.reply-to.x").await.unwrap_err();
    let text = "NOT_FOUND - no queue 'amq.rabbitmq.reply-to.x' in vhost '/'";
    assert_eq!(refusal(&error), (404, text.to_owned()));
    put(&answering, &address, "answer").await;
    let answer = next(&mut replies).await;
    assert_eq!((&*answer.body, answer.exchange.to_string()), (&b"answer"[..], String::new()));
    channel.close().await.unwrap();
    loop {
        let outcome = send(&answering, "", &address, &headers([]), "late").await;
        if matches!(outcome, Outcome::Returned(_)) {
            break;
        }
    }
    // Asking without a consumer.
    let asking = connection.channel().await.unwrap();
    let publish = asking.publish("", &name, "m").properties(&properties);
    assert!(publish.await.unwrap().confirmed().await.is_err());
    let text = "PRECONDITION_FAILED - fast reply consumer does not exist";
    assert_eq!(refusal(&asking.check_open().unwrap_err()), (406, text.to_owned()));
}

everywhere!(a_name_has_to_be_ones_own);
async fn a_name_has_to_be_ones_own(place: &Place) {
    let (_connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let mut properties = headers([]);
    properties.user_id = Some(key("guest"));
    assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
    properties.user_id = Some(key("other"));
    let publish = channel.publish("", &name, "m").properties(&properties);
    assert!(publish.await.unwrap().confirmed().await.is_err());
    let text =
        "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'";
    assert_eq!(refusal(&channel.check_open().unwrap_err()), (406, text.to_owned()));
}

everywhere!(what_a_queue_refuses_breaks_a_transaction);
async fn what_a_queue_refuses_breaks_a_transaction(place: &Place) {
    let (connection, channel) = place.open().await;
    let full = [("x-max-length", Value::I32(0)), ("x-overflow", Value::from("reject-publish"))];
    let [full, free] = [queue(&channel, full).await, queue(&channel, []).await];
    put(&channel, &free, "settled").await;
    let work = connection.channel().await.unwrap();
    work.tx_select().await.unwrap();
    get(&work, &free).await.ack().unwrap();
    for name in [&free, &full, &free] {
        work.publish_unconfirmed("", name, "m").await.unwrap();
    }
    let text = "PRECONDITION_FAILED - partial tx completion";
    assert_eq!(refusal(&work.tx_commit().await.unwrap_err()), (406, text.to_owned()));
    // What could be done is.
    assert_eq!((ready(&channel, &free).await, ready(&channel, &full).await), (2, 0));
}

everywhere!(a_reply_goes_out_with_its_publish);
async fn a_reply_goes_out_with_its_publish(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = queue(&channel, []).await;
    let mut replies = channel.consume("amq.rabbitmq.reply-to").no_ack(true).await.unwrap();
    let mut properties = headers([]);
    properties.reply_to = Some(key("amq.rabbitmq.reply-to"));
    assert!(send(&channel, "", &name, &properties, "ask").await.is_confirmed());
    let address = get(&channel, &name).await.properties().unwrap().reply_to.unwrap().to_string();
    // It is no queue: as mandatory it comes back all the same.
    let answering = connection.channel().await.unwrap();
    let outcome = send(&answering, "", &address, &headers([]), "returned").await;
    assert!(matches!(outcome, Outcome::Returned(_)), "{outcome:?}");
    assert_eq!(&*next(&mut replies).await.body, b"returned");
    // One copy of several.
    let copies =
        Value::Array(vec![Value::from(&address), Value::from(&address), Value::from(&name)]);
    let outcome = send(&answering, "", "nowhere", &headers([("CC", copies)]), "copy").await;
    assert!(outcome.is_confirmed());
    assert_eq!(take(&channel, &name).await, "copy");
    assert_eq!(&*next(&mut replies).await.body, b"copy");
    // A transaction is about queues.
    let work = connection.channel().await.unwrap();
    work.tx_select().await.unwrap();
    work.publish_unconfirmed("", &address, "rolled back").await.unwrap();
    work.tx_rollback().await.unwrap();
    assert_eq!(&*next(&mut replies).await.body, b"rolled back");
}
