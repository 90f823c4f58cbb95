//! What py-amqp's and amqpy's `Channel` has: the rows of the tables in README "From py-amqp" and "From
//! amqpy", each as a test named after what it is there.

use amqp091_client::{
    Channel, ChannelMode, Delivery, Error, ExchangeType, Outcome, Properties, ShortStr,
};

use crate::place::{Place, eventually, queue, ready, server_error, unique};

/// A queue with messages `0`, `1`, `2`… in it.
async fn filled(channel: &Channel, messages: usize) -> String {
    let queue = queue(channel).await;
    for number in 0..messages {
        let confirm = channel.publish("", &queue, number.to_string()).await.unwrap();
        confirm.confirmed().await.unwrap();
    }
    queue
}

async fn get(channel: &Channel, queue: &str) -> Delivery {
    channel.get(queue).await.unwrap().expect("a message").delivery
}

everywhere!(open_and_close);
async fn open_and_close(place: &Place) {
    let (connection, channel) = place.open().await;
    assert_eq!(channel.number(), 1);
    assert_eq!(channel.connection().channel_max(), connection.channel_max());
    channel.check_open().unwrap();
    channel.close().await.unwrap();
    let error = channel.check_open().unwrap_err();
    assert!(matches!(error, Error::ChannelClosed { channel: 1, .. }), "{error}");
    connection.check_open().unwrap();
}

everywhere!(collect);
async fn collect(place: &Place) {
    let connection = place.connect().await;
    drop(connection.channel().await.unwrap());
    // The number is free again when the server has answered.
    let mut open = Vec::new();
    eventually(async || {
        open.push(connection.channel().await.unwrap());
        (open.last().unwrap().number() == 1).then_some(())
    })
    .await;
}

everywhere!(flow);
async fn flow(place: &Place) {
    let (_connection, channel) = place.open().await;
    assert!(channel.flow(true).await.unwrap().active);
}

everywhere!(exchange_declare_and_delete);
async fn exchange_declare_and_delete(place: &Place) {
    let (connection, channel) = place.open().await;
    let name = &*unique("exchange");
    let declare = channel.exchange_declare(name, ExchangeType::Direct);
    declare.durable(true).auto_delete(false).await.unwrap();
    channel.exchange_declare(name, ExchangeType::Direct).passive(true).await.unwrap();
    channel.exchange_delete(name).if_unused(true).await.unwrap();
    let passive = channel.exchange_declare(name, ExchangeType::Direct).passive(true);
    assert_eq!(server_error(&passive.await.unwrap_err()), (404, Some("exchange.declare"), true));
    let channel = connection.channel().await.unwrap();
    channel.exchange_declare(name, "fanout").no_wait().await.unwrap();
    channel.exchange_delete(name).no_wait().await.unwrap();
    channel.exchange_delete(name).await.unwrap();
}

everywhere!(exchange_bind_and_unbind);
async fn exchange_bind_and_unbind(place: &Place) {
    let (_connection, channel) = place.open().await;
    let (source, target) = (&*unique("source"), &*unique("target"));
    for name in [source, target] {
        let declare = channel.exchange_declare(name, ExchangeType::Fanout);
        declare.auto_delete(true).await.unwrap();
    }
    let queue = &*queue(&channel).await;
    channel.queue_bind(queue, target).await.unwrap();
    channel.exchange_bind(target, source).routing_key("k").await.unwrap();
    channel.publish(source, "k", "through").await.unwrap().confirmed().await.unwrap();
    assert_eq!(get(&channel, queue).await.body, "through");
    channel.exchange_unbind(target, source).routing_key("k").await.unwrap();
}

everywhere!(queue_declare);
async fn queue_declare(place: &Place) {
    let (_connection, channel) = place.open().await;
    let made_up = channel.queue_declare("").exclusive(true).await.unwrap();
    let name = made_up.queue.to_str().unwrap();
    assert!(name.starts_with("amq.gen-"));
    channel.publish("", name, "m").await.unwrap().confirmed().await.unwrap();
    let found = channel.queue_declare(name).passive(true).await.unwrap();
    assert_eq!(
        (found.queue.to_str().unwrap(), found.message_count, found.consumer_count),
        (name, 1, 0)
    );
    let name = &*unique("queue");
    let declare = channel.queue_declare(name).durable(true).auto_delete(true);
    declare.argument(ShortStr::from_static("x-max-length"), 5).no_wait().await.unwrap();
    assert_eq!(channel.queue_delete(name).await.unwrap().message_count, 0);
}

everywhere!(queue_bind_and_unbind);
async fn queue_bind_and_unbind(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    channel.queue_bind(queue, "amq.topic").routing_key("log.*").await.unwrap();
    let publish = channel.publish("amq.topic", "log.disk", "m").mandatory(true);
    assert!(publish.await.unwrap().await.is_confirmed());
    channel.queue_unbind(queue, "amq.topic").routing_key("log.*").await.unwrap();
    let publish = channel.publish("amq.topic", "log.disk", "m").mandatory(true);
    assert!(matches!(publish.await.unwrap().await, Outcome::Returned(_)));
    assert_eq!(ready(&channel, queue).await, 1);
}

everywhere!(queue_purge_and_delete);
async fn queue_purge_and_delete(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*filled(&channel, 3).await;
    let refused = channel.queue_delete(queue).if_empty(true).await.unwrap_err();
    assert_eq!(server_error(&refused), (406, Some("queue.delete"), true));
    let channel = connection.channel().await.unwrap();
    assert_eq!(channel.queue_purge(queue).await.unwrap().message_count, 3);
    let delete = channel.queue_delete(queue).if_unused(true).if_empty(true);
    assert_eq!(delete.await.unwrap().message_count, 0);
}

everywhere!(basic_qos);
async fn basic_qos(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*filled(&channel, 3).await;
    channel.qos(1).global(false).await.unwrap();
    let mut consumer = channel.consume(queue).await.unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    // The others wait until it is settled.
    eventually(async || (ready(&channel, queue).await == 2).then_some(())).await;
    first.ack().unwrap();
    assert_eq!(consumer.next().await.unwrap().unwrap().body, "1");
}

everywhere!(basic_consume_and_cancel);
async fn basic_consume_and_cancel(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*filled(&channel, 2).await;
    let consume = channel.consume(queue).consumer_tag("mine").no_local(false).exclusive(true);
    let mut consumer = consume.no_ack(true).await.unwrap();
    assert_eq!(consumer.consumer_tag(), "mine");
    for number in ["0", "1"] {
        assert_eq!(consumer.next().await.unwrap().unwrap().body, number);
    }
    consumer.cancel().await.unwrap();
    assert!(consumer.next().await.is_none());
    let other = channel.consume(queue).no_wait().await.unwrap();
    other.cancel().no_wait().await.unwrap();
}

everywhere!(on_cancel);
async fn on_cancel(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let mut consumer = channel.consume(queue).await.unwrap();
    channel.queue_delete(queue).await.unwrap();
    let error = consumer.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConsumerCancelled { .. }), "{error}");
    assert!(consumer.next().await.is_none());
    channel.check_open().unwrap();
}

everywhere!(basic_get);
async fn basic_get(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*filled(&channel, 2).await;
    let got = channel.get(queue).no_ack(true).await.unwrap().unwrap();
    assert_eq!((&*got.delivery.body, got.message_count), (&b"0"[..], 1));
    get(&channel, queue).await.ack().unwrap();
    assert!(channel.get(queue).await.unwrap().is_none());
}

everywhere!(basic_ack);
async fn basic_ack(place: &Place) {
    let (connection, channel) = place.open().await;
    let queue = &*unique("ack");
    channel.queue_declare(queue).await.unwrap();
    let mut consumer = channel.consume(queue).await.unwrap();
    for _ in 0..5 {
        channel.publish("", queue, "m").await.unwrap().confirmed().await.unwrap();
    }
    let mut deliveries = Vec::new();
    for _ in 0..5 {
        deliveries.push(consumer.next().await.unwrap().unwrap());
    }
    let last = deliveries.pop().unwrap();
    let fourth = deliveries.pop().unwrap();
    assert_eq!(fourth.delivery_tag(), 4);
    fourth.ack_multiple().unwrap();
    last.ack().unwrap();
    // What isn't settled would come back.
    channel.close().await.unwrap();
    let channel = connection.channel().await.unwrap();
    assert_eq!(channel.queue_delete(queue).await.unwrap().message_count, 0);
}

everywhere!(basic_reject);
async fn basic_reject(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*filled(&channel, 1).await;
    get(&channel, queue).await.reject(true).unwrap();
    let again = eventually(async || channel.get(queue).await.unwrap()).await.delivery;
    assert!(again.redelivered);
    again.reject(false).unwrap();
    assert!(channel.get(queue).await.unwrap().is_none());
}

everywhere!(basic_recover);
async fn basic_recover(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*filled(&channel, 1).await;
    let held = get(&channel, queue).await;
    channel.recover(true).await.unwrap();
    let again = eventually(async || channel.get(queue).await.unwrap()).await.delivery;
    assert!(again.redelivered);
    // What was recovered is settled already.
    held.ack().unwrap();
    channel.recover_async(true).await.unwrap();
    let again = eventually(async || channel.get(queue).await.unwrap()).await.delivery;
    again.ack().unwrap();
}

everywhere!(basic_publish);
async fn basic_publish(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let properties = Properties {
        content_type: Some(ShortStr::from_static("text/plain")),
        ..Properties::default()
    };
    let publish = channel.publish_unconfirmed("", queue, "m").properties(&properties);
    publish.persistent(true).await.unwrap();
    let delivery = eventually(async || channel.get(queue).await.unwrap()).await.delivery;
    let properties = delivery.properties().unwrap();
    assert_eq!(properties.content_type.unwrap(), "text/plain");
    assert_eq!(properties.delivery_mode, Some(2));
}

everywhere!(basic_publish_confirm);
async fn basic_publish_confirm(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let confirm = channel.publish("", queue, "m").await.unwrap();
    assert_eq!(confirm.delivery_tag(), 1);
    confirm.confirmed().await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Confirm);
}

everywhere!(confirm_select);
async fn confirm_select(place: &Place) {
    let (_connection, channel) = place.open().await;
    assert_eq!(channel.mode(), ChannelMode::Normal);
    channel.confirm_select().await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Confirm);
    channel.confirm_select().no_wait().await.unwrap();
}

everywhere!(tx_select_commit_and_rollback);
async fn tx_select_commit_and_rollback(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    channel.tx_select().await.unwrap();
    assert_eq!(channel.mode(), ChannelMode::Transaction);
    channel.publish_unconfirmed("", queue, "dropped").await.unwrap();
    channel.tx_rollback().await.unwrap();
    channel.publish_unconfirmed("", queue, "kept").await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(ready(&channel, queue).await, 1);
    assert_eq!(get(&channel, queue).await.body, "kept");
}

everywhere!(basic_return);
async fn basic_return(place: &Place) {
    let (_connection, channel) = place.open().await;
    let publish = channel.publish("", unique("nobody"), "m").mandatory(true);
    let Outcome::Returned(returned) = publish.await.unwrap().await else {
        panic!("nobody has that queue")
    };
    assert_eq!((returned.reply_code.0, returned.reply_text.to_str()), (312, Ok("NO_ROUTE")));
    assert_eq!(returned.body, "m");
}

everywhere!(returned_messages);
async fn returned_messages(place: &Place) {
    let (_connection, channel) = place.open().await;
    let mut returns = channel.returns();
    channel.tx_select().await.unwrap();
    let publish = channel.publish_unconfirmed("", unique("nobody"), "m").mandatory(true);
    publish.await.unwrap();
    channel.tx_commit().await.unwrap();
    assert_eq!(returns.next().await.unwrap().body, "m");
}

everywhere!(auto_decode);
async fn auto_decode(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let properties = Properties {
        content_encoding: Some(ShortStr::from_static("latin-1")),
        ..Properties::default()
    };
    let publish = channel.publish("", queue, &b"caf\xe9"[..]).properties(&properties);
    publish.await.unwrap().confirmed().await.unwrap();
    assert_eq!(get(&channel, queue).await.text().unwrap(), "café");
    // Without a content-encoding, as octets or as UTF-8.
    channel.publish("", queue, "café").await.unwrap().confirmed().await.unwrap();
    let delivery = get(&channel, queue).await;
    assert_eq!((&*delivery.text().unwrap(), &*delivery.body), ("café", "café".as_bytes()));
}

everywhere!(revived);
async fn revived(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = &*queue(&channel).await;
    let mut consumer = channel.consume(queue).await.unwrap();
    let passive = channel.queue_declare(unique("missing")).passive(true);
    assert_eq!(server_error(&passive.await.unwrap_err()).0, 404);
    channel.check_open().unwrap_err();
    assert!(consumer.next().await.unwrap().is_err());
    channel.reopen().modes(true).consumers(true).await.unwrap();
    channel.publish("", queue, "again").await.unwrap().confirmed().await.unwrap();
    assert_eq!(consumer.next().await.unwrap().unwrap().body, "again");
}
