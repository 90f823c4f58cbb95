//! Dead letters: where they go, what they tell.

use amqp091_client::{Channel, Delivery, FieldTable, Value};

use crate::place::{Place, get, headers, key, put, queue, ready, send, take, unique, until_ready};

/// The arguments of a queue whose dead go to another queue.
fn dead_to(queue: &str) -> [(&'static str, Value); 2] {
    [("x-dead-letter-exchange", Value::from("")), ("x-dead-letter-routing-key", Value::from(queue))]
}

/// With one more argument.
fn with(queue: &str, more: (&'static str, Value)) -> [(&'static str, Value); 3] {
    let [exchange, key] = dead_to(queue);
    [exchange, key, more]
}

fn told(delivery: &Delivery) -> FieldTable {
    delivery.properties().unwrap().headers.unwrap_or_default()
}

/// Queue, reason and count of each death, the newest first.
fn deaths(delivery: &Delivery) -> Vec<(String, String, i64)> {
    let headers = told(delivery);
    let deaths = headers.get("x-death").and_then(Value::as_array).unwrap_or_default();
    let death = |death: &Value| {
        let death = death.as_table().unwrap();
        let text = |key: &str| death.get(key).and_then(Value::as_str).unwrap().to_owned();
        (text("queue"), text("reason"), death.get("count").and_then(Value::as_i64).unwrap())
    };
    deaths.iter().map(death).collect()
}

fn text<'a>(headers: &'a FieldTable, key: &str) -> &'a str {
    headers.get(key).and_then(Value::as_str).unwrap()
}

async fn reject(channel: &Channel, queue: &str) {
    get(channel, queue).await.reject(false).unwrap();
}

everywhere!(each_reason_has_its_name);
async fn each_reason_has_its_name(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = queue(&channel, []).await;
    let short = queue(&channel, with(&dead, ("x-message-ttl", Value::I32(1)))).await;
    let full = queue(&channel, with(&dead, ("x-max-length", Value::I32(1)))).await;
    let small = queue(&channel, with(&dead, ("x-max-length-bytes", Value::I32(3)))).await;
    put(&channel, &short, "m").await;
    let delivery = get(&channel, &dead).await;
    assert_eq!(deaths(&delivery), [(short, "expired".to_owned(), 1)]);
    put(&channel, &full, "first").await;
    put(&channel, &full, "second").await;
    let delivery = get(&channel, &dead).await;
    assert_eq!(delivery.body, "first");
    assert_eq!(deaths(&delivery), [(full.clone(), "maxlen".to_owned(), 1)]);
    put(&channel, &small, "ab").await;
    put(&channel, &small, "cd").await;
    assert_eq!(deaths(&get(&channel, &dead).await), [(small, "maxlen".to_owned(), 1)]);
    reject(&channel, &full).await;
    let delivery = get(&channel, &dead).await;
    assert_eq!(deaths(&delivery), [(full.clone(), "rejected".to_owned(), 1)]);
    let headers = told(&delivery);
    assert_eq!(text(&headers, "x-first-death-queue"), full);
    assert_eq!(text(&headers, "x-first-death-exchange"), "");
    assert_eq!(headers.contains_key("x-last-death-queue"), place.is_4());
}

everywhere!(a_repeated_death_counts_and_comes_first);
async fn a_repeated_death_counts_and_comes_first(place: &Place) {
    let (_connection, channel) = place.open().await;
    let [one, other] = [unique("one"), unique("other")];
    for (name, to) in [(&one, &other), (&other, &one)] {
        let declare = channel.queue_declare(name).exclusive(true).dead_letter_exchange("");
        declare.dead_letter_routing_key(to).await.unwrap();
    }
    put(&channel, &one, "m").await;
    for name in [&one, &other, &one] {
        reject(&channel, name).await;
    }
    let delivery = get(&channel, &other).await;
    let rejected = "rejected".to_owned();
    let expected = [(one.clone(), rejected.clone(), 2), (other.clone(), rejected, 1)];
    assert_eq!(deaths(&delivery), expected);
    assert_eq!(text(&told(&delivery), "x-first-death-queue"), one);
}

everywhere!(what_goes_round_without_being_rejected_is_dropped);
async fn what_goes_round_without_being_rejected_is_dropped(place: &Place) {
    let (_connection, channel) = place.open().await;
    // To itself: at once.
    let name = unique("round");
    let declare = channel.queue_declare(&name).exclusive(true).max_length(1);
    declare.dead_letter_exchange("").await.unwrap();
    put(&channel, &name, "first").await;
    put(&channel, &name, "second").await;
    assert_eq!(take(&channel, &name).await, "second");
    assert_eq!(ready(&channel, &name).await, 0);
    // With a rejection in between it may go round for ever.
    put(&channel, &name, "third").await;
    for count in 1..4 {
        let delivery = get(&channel, &name).await;
        if count > 1 {
            assert_eq!(deaths(&delivery), [(name.clone(), "rejected".to_owned(), count - 1)]);
        }
        delivery.reject(false).unwrap();
    }
    // Two that expire: once through both, and no further.
    let [one, other] = [unique("one"), unique("other")];
    for (name, to) in [(&one, &other), (&other, &one)] {
        let declare = channel.queue_declare(name).exclusive(true).dead_letter_exchange("");
        let declare = declare.message_ttl(std::time::Duration::from_millis(20));
        declare.dead_letter_routing_key(to).await.unwrap();
    }
    put(&channel, &one, "m").await;
    until_ready(&channel, &one, 0).await;
    until_ready(&channel, &other, 0).await;
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    assert_eq!((ready(&channel, &one).await, ready(&channel, &other).await), (0, 0));
}

everywhere!(an_expiration_becomes_history);
async fn an_expiration_becomes_history(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = queue(&channel, []).await;
    let name = queue(&channel, dead_to(&dead)).await;
    let mut properties = headers([("mine", Value::I32(5))]);
    properties.expiration = Some(key("1"));
    properties.priority = Some(7);
    properties.delivery_mode = Some(2);
    assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
    let delivery = get(&channel, &dead).await;
    let passed_on = delivery.properties().unwrap();
    assert_eq!(passed_on.expiration, None);
    assert_eq!((passed_on.priority, passed_on.delivery_mode), (Some(7), Some(2)));
    let headers = told(&delivery);
    assert_eq!(headers.get("mine"), Some(&Value::I32(5)));
    let death = headers.get("x-death").and_then(Value::as_array).unwrap()[0].clone();
    assert_eq!(text(death.as_table().unwrap(), "original-expiration"), "1");
    assert_eq!((&*delivery.exchange.to_string(), delivery.routing_key.to_string()), ("", dead));
}

everywhere!(a_history_that_a_publisher_wrote);
async fn a_history_that_a_publisher_wrote(place: &Place) {
    let (_connection, channel) = place.open().await;
    let dead = queue(&channel, []).await;
    let name = queue(&channel, with(&dead, ("x-message-ttl", Value::I32(1)))).await;
    put(&channel, &name, "m").await;
    for round in 1..4 {
        let delivery = get(&channel, &dead).await;
        let count = if place.is_4() { 1 } else { round };
        assert_eq!(deaths(&delivery), [(name.clone(), "expired".to_owned(), count)]);
        let again = delivery.properties().unwrap();
        assert!(send(&channel, "", &name, &again, "m").await.is_confirmed());
    }
}

everywhere!(copies_die_alike);
async fn copies_die_alike(place: &Place) {
    let (_connection, channel) = place.open().await;
    let [carbon, blind, dead] =
        [queue(&channel, []).await, queue(&channel, []).await, queue(&channel, []).await];
    let exchange = unique("dead");
    channel.exchange_declare(&exchange, "direct").auto_delete(true).await.unwrap();
    let arguments = [("x-dead-letter-exchange", Value::from(&exchange))];
    let name = queue(&channel, arguments).await;
    for routing_key in [&name, &carbon, &blind] {
        channel.queue_bind(&dead, &exchange).routing_key(routing_key).await.unwrap();
    }
    let list = |key: &String| Value::Array(vec![Value::from(key)]);
    let properties = headers([("CC", list(&carbon)), ("BCC", list(&blind))]);
    assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
    for other in [&carbon, &blind] {
        let delivery = get(&channel, other).await;
        assert_eq!(delivery.routing_key.to_string(), name);
        assert!(told(&delivery).contains_key("CC"));
        assert!(!told(&delivery).contains_key("BCC"));
    }
    reject(&channel, &name).await;
    let delivery = get(&channel, &dead).await;
    assert_eq!(ready(&channel, &dead).await, 0, "once, whatever its keys");
    let headers = told(&delivery);
    assert_eq!(headers.get("CC"), Some(&list(&carbon)));
    let death = headers.get("x-death").and_then(Value::as_array).unwrap()[0].clone();
    let keys = death.as_table().unwrap().get("routing-keys").cloned();
    assert_eq!(keys, Some(Value::Array(vec![Value::from(&name), Value::from(&carbon)])));
    assert_eq!(delivery.routing_key.to_string(), name);
    // A routing key of its own takes the place of all.
    let name = queue(&channel, dead_to(&dead)).await;
    let properties = self::headers([("CC", list(&carbon))]);
    assert!(send(&channel, "", &name, &properties, "m").await.is_confirmed());
    reject(&channel, &name).await;
    assert!(!told(&get(&channel, &dead).await).contains_key("CC"));
}

everywhere!(without_an_exchange_to_go_to_the_dead_are_gone);
async fn without_an_exchange_to_go_to_the_dead_are_gone(place: &Place) {
    let (_connection, channel) = place.open().await;
    let arguments = [("x-dead-letter-exchange", Value::from(unique("missing")))];
    let name = queue(&channel, arguments).await;
    put(&channel, &name, "m").await;
    reject(&channel, &name).await;
    assert_eq!(ready(&channel, &name).await, 0);
}
