//! Exchanges: who gets what.

use amqp091_client::{Channel, Value};

use crate::place::{Place, headers, put, queue, ready, refusal, send, table, take, unique};

async fn exchange(channel: &Channel, kind: &'static str) -> String {
    let name = unique(kind);
    channel.exchange_declare(&name, kind).auto_delete(true).await.unwrap();
    name
}

/// Publishes, and says whether it reached a queue.
async fn reaches(channel: &Channel, exchange: &str, routing_key: &str) -> bool {
    send(channel, exchange, routing_key, &headers([]), "m").await.is_confirmed()
}

everywhere!(topics);
async fn topics(place: &Place) {
    let (_connection, channel) = place.open().await;
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("a.*.c", &["a.b.c", "a..c"], &["a.c", "a.b.b.c", "a.b.c.d", "A.b.c", ""]),
        ("a.#", &["a", "a.b", "a.b.c", "a."], &["", "b.a", "ab"]),
        ("#.z", &["z", ".z", "a.b.z"], &["z.a", ""]),
        ("a.#.b", &["a.b", "a..b", "a.x.y.b", "a.b.b"], &["a", "b", "a.b.c"]),
        ("#", &["", "a", "a.b.c", "."], &[]),
        ("*", &["a", "#", "*"], &["a.b", ""]),
        ("*.*", &["a.b", "."], &["a", "a.b.c"]),
        ("#.*", &["a", "a.b"], &[""]),
        ("#.#", &["", "a", "a.b"], &[]),
        ("*.#.a.#", &["x.a", "a.a", "x.y.a.z"], &["a", "a.x"]),
        ("", &[""], &["a"]),
        ("a.*b", &["a.*b"], &["a.xb"]),
    ];
    for (pattern, matching, others) in cases {
        let exchange = exchange(&channel, "topic").await;
        let name = queue(&channel, []).await;
        channel.queue_bind(&name, &exchange).routing_key(pattern).await.unwrap();
        for key in *matching {
            assert!(reaches(&channel, &exchange, key).await, "{pattern} and {key}");
        }
        for key in *others {
            assert!(!reaches(&channel, &exchange, key).await, "{pattern} but {key}");
        }
        channel.queue_delete(&name).await.unwrap();
    }
}

everywhere!(headers_exchanges);
async fn headers_exchanges(place: &Place) {
    let (_connection, channel) = place.open().await;
    let x = |kind: &'static str| ("x-match", Value::from(kind));
    let one = || ("one", Value::I32(1));
    let wide = || ("one", Value::I64(1));
    let other = || ("one", Value::from("1"));
    let two = || ("two", Value::Bool(true));
    let own = || ("x-own", Value::from("v"));
    let present = || ("one", Value::Void);
    type Entries = Vec<(&'static str, Value)>;
    let cases: Vec<(Entries, Entries, bool)> = vec![
        (vec![one(), two()], vec![one(), two()], true),
        (vec![one(), two()], vec![one()], false),
        (vec![x("all"), one()], vec![one(), two()], true),
        (vec![x("all"), one()], vec![wide()], true),
        (vec![x("all"), one()], vec![other()], false),
        (vec![x("all"), present()], vec![other()], true),
        (vec![x("all"), present()], vec![two()], false),
        (vec![x("any"), one(), two()], vec![two()], true),
        (vec![x("any"), one(), two()], vec![other()], false),
        (vec![x("all"), own()], vec![], true),
        (vec![x("all-with-x"), own()], vec![], false),
        (vec![x("all-with-x"), own()], vec![own()], true),
        (vec![x("any"), own()], vec![own()], false),
        (vec![x("any-with-x"), own()], vec![own()], true),
        (vec![x("any")], vec![one()], false),
        (vec![x("all")], vec![], true),
    ];
    for (wanted, given, matches) in cases {
        let exchange = exchange(&channel, "headers").await;
        let name = queue(&channel, []).await;
        let fold = |entries: &[(&str, Value)]| {
            entries.iter().fold(table([]), |table, (key, value)| {
                table.with(crate::place::key(key), value.clone())
            })
        };
        channel.queue_bind(&name, &exchange).arguments(fold(&wanted)).await.unwrap();
        let mut properties = headers([]);
        properties.headers = Some(fold(&given));
        let reached = send(&channel, &exchange, "", &properties, "m").await.is_confirmed();
        assert_eq!(reached, matches, "{wanted:?} and {given:?}");
        channel.queue_delete(&name).await.unwrap();
    }
}

everywhere!(once_however_many_ways_there_are);
async fn once_however_many_ways_there_are(place: &Place) {
    let (_connection, channel) = place.open().await;
    let [start, middle, end] = [
        exchange(&channel, "topic").await,
        exchange(&channel, "fanout").await,
        exchange(&channel, "topic").await,
    ];
    let name = queue(&channel, []).await;
    for (exchange, key) in [(&start, "a.#"), (&start, "#.b"), (&end, "a.b"), (&end, "#")] {
        channel.queue_bind(&name, exchange).routing_key(key).await.unwrap();
    }
    // Round in a circle.
    for (destination, source) in [(&middle, &start), (&end, &middle), (&start, &end)] {
        channel.exchange_bind(destination, source).routing_key("#").await.unwrap();
    }
    put(&channel, &name, "direct").await;
    assert!(reaches(&channel, &start, "a.b").await);
    assert!(reaches(&channel, &middle, "x.y").await);
    assert_eq!(ready(&channel, &name).await, 3);
    for exchange in [&start, &middle, &end] {
        channel.exchange_delete(exchange).await.unwrap();
    }
}

everywhere!(an_alternate_takes_what_nothing_matches);
async fn an_alternate_takes_what_nothing_matches(place: &Place) {
    let (_connection, channel) = place.open().await;
    let rest = exchange(&channel, "fanout").await;
    let [name, left_over] = [queue(&channel, []).await, queue(&channel, []).await];
    channel.queue_bind(&left_over, &rest).await.unwrap();
    let first = unique("first");
    let declare = channel.exchange_declare(&first, "direct").auto_delete(true);
    declare.alternate_exchange(&rest).await.unwrap();
    channel.queue_bind(&name, &first).routing_key("k").await.unwrap();
    assert!(reaches(&channel, &first, "k").await);
    assert!(reaches(&channel, &first, "other").await);
    assert_eq!((ready(&channel, &name).await, ready(&channel, &left_over).await), (1, 1));
    // Without one that exists it is as if there were none.
    channel.exchange_delete(&rest).await.unwrap();
    assert!(!reaches(&channel, &first, "other").await);
}

everywhere!(auto_delete_goes_with_the_last_binding);
async fn auto_delete_goes_with_the_last_binding(place: &Place) {
    let (connection, channel) = place.open().await;
    let source = exchange(&channel, "direct").await;
    let name = queue(&channel, []).await;
    for key in ["a", "b"] {
        channel.queue_bind(&name, &source).routing_key(key).await.unwrap();
        channel.queue_bind(&name, &source).routing_key(key).await.unwrap();
    }
    channel.queue_unbind(&name, &source).routing_key("a").await.unwrap();
    channel.queue_unbind(&name, &source).routing_key("missing").await.unwrap();
    assert!(reaches(&channel, &source, "b").await);
    channel.queue_delete(&name).await.unwrap();
    let error = channel.exchange_declare(&source, "direct").passive(true).await.unwrap_err();
    let text = format!("NOT_FOUND - no exchange '{source}' in vhost '/'");
    assert_eq!(refusal(&error), (404, text));
    // One that is bound to it as a queue would be.
    let channel = connection.channel().await.unwrap();
    let [source, destination] =
        [exchange(&channel, "fanout").await, exchange(&channel, "fanout").await];
    channel.exchange_bind(&destination, &source).await.unwrap();
    channel.exchange_delete(&destination).await.unwrap();
    let error = channel.exchange_declare(&source, "fanout").passive(true).await.unwrap_err();
    assert_eq!(refusal(&error).0, 404);
}

everywhere!(internal_ones_take_from_exchanges_only);
async fn internal_ones_take_from_exchanges_only(place: &Place) {
    let (_connection, channel) = place.open().await;
    let inside = unique("inside");
    let declare = channel.exchange_declare(&inside, "fanout").auto_delete(true);
    declare.internal(true).await.unwrap();
    let outside = exchange(&channel, "fanout").await;
    channel.exchange_bind(&inside, &outside).await.unwrap();
    let name = queue(&channel, []).await;
    channel.queue_bind(&name, &inside).await.unwrap();
    assert!(reaches(&channel, &outside, "k").await);
    assert_eq!(take(&channel, &name).await, "m");
    let outcome = channel.publish(&inside, "k", "m").await.unwrap().confirmed().await;
    assert!(outcome.is_err());
    let error = channel.check_open().unwrap_err();
    let text =
        format!("ACCESS_REFUSED - cannot publish to internal exchange '{inside}' in vhost '/'");
    assert_eq!(refusal(&error), (403, text));
}
