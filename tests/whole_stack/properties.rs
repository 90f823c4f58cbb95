//! Message properties, there and back.

use amqp091::bytes::Bytes;
use amqp091::types::{Decimal, LongStr, ShortStr, Timestamp};
use amqp091_client::{
    Channel, Connection, Error, FieldTable, Outcome, Properties, Returned, Value,
};

use crate::place::{Place, queue, server_error, unique};

fn short(octets: impl AsRef<[u8]>) -> ShortStr {
    ShortStr::new(octets).unwrap()
}

/// A value of each kind that there is.
fn every_kind() -> FieldTable {
    let values = [
        Value::Bool(true),
        Value::Bool(false),
        Value::I8(-1),
        Value::U8(200),
        Value::I16(i16::MIN),
        Value::U16(u16::MAX),
        Value::I32(i32::MIN),
        Value::U32(u32::MAX),
        Value::I64(i64::MIN),
        Value::F32(0.1),
        Value::F64(-0.0),
        Value::Decimal(Decimal { scale: 3, value: -12_345 }),
        Value::LongStr(LongStr::from(&b"\xFF\xFE no text"[..])),
        Value::Array(vec![Value::I32(1), Value::Array(vec![Value::Void]), Value::from("two")]),
        Value::Timestamp(Timestamp(u64::MAX)),
        Value::Table(FieldTable::new().with(short("in"), Value::Table(FieldTable::new()))),
        Value::Void,
        Value::Bytes(Bytes::from_static(&[0, 255, 0])),
    ];
    let mut table: FieldTable = values
        .into_iter()
        .enumerate()
        .map(|(n, value)| (short(format!("key {n}")), value))
        .collect();
    // Nobody forbids these on the wire.
    table.push(short(""), Value::Void);
    table.push(short([0xFF; 255]), Value::I32(1));
    table.push(short("twice"), Value::I32(1));
    table.push(short("twice"), Value::I32(2));
    table
}

fn all_fourteen() -> Properties {
    Properties::default()
        .with_content_type(short([0xFF, 0xFE]))
        .with_content_encoding(short("identity"))
        .with_headers(every_kind())
        .with_delivery_mode(2)
        .with_priority(9)
        .with_correlation_id(short([0x80; 255]))
        .with_reply_to(short("reply"))
        .with_expiration(short("3600000"))
        .with_message_id(short(""))
        .with_timestamp(Timestamp(1_700_000_000))
        .with_type(short("type"))
        .with_user_id(short("guest"))
        .with_app_id(short("app"))
        .with_cluster_id(short("cluster"))
}

async fn round_trip(channel: &Channel, properties: &Properties) -> Properties {
    let queue = queue(channel).await;
    let publish = channel.publish("", &queue, "body").properties(properties);
    publish.await.unwrap().confirmed().await.unwrap();
    let got = channel.get(&queue).no_ack(true).await.unwrap().unwrap();
    assert_eq!(got.delivery.body, "body");
    got.delivery.properties().unwrap()
}

everywhere!(all_fourteen_properties_and_every_kind_of_header_come_back);
async fn all_fourteen_properties_and_every_kind_of_header_come_back(place: &Place) {
    let (_connection, channel) = place.open().await;
    let properties = all_fourteen();
    assert_eq!(round_trip(&channel, &properties).await, properties);
    let none = Properties::default();
    assert_eq!(round_trip(&channel, &none).await, none);
}

everywhere!(each_property_comes_back_alone);
async fn each_property_comes_back_alone(place: &Place) {
    let (_connection, channel) = place.open().await;
    let all = all_fourteen();
    macro_rules! each {
            ($($field:ident)*) => {$({
                let mut properties = Properties::default();
                properties.$field = all.$field.clone();
                assert!(properties.$field.is_some());
                assert_eq!(round_trip(&channel, &properties).await, properties, stringify!($field));
            })*};
        }
    each! {
        content_type content_encoding headers delivery_mode priority correlation_id reply_to
        expiration message_id timestamp r#type user_id app_id cluster_id
    }
}

everywhere!(a_persistent_message_comes_as_one);
async fn a_persistent_message_comes_as_one(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    let transient = Properties::default().with_delivery_mode(1).with_app_id(short("app"));
    let plain = channel.publish("", &queue, "m").persistent(true).await.unwrap();
    let both = channel.publish("", &queue, "m").properties(&transient).persistent(true);
    let both = both.await.unwrap();
    let neither = channel.publish("", &queue, "m").properties(&transient).await.unwrap();
    for (confirm, expected) in [
        (plain, Properties::default().with_delivery_mode(2)),
        (both, transient.clone().with_delivery_mode(2)),
        (neither, transient.clone()),
    ] {
        confirm.confirmed().await.unwrap();
        let got = channel.get(&queue).no_ack(true).await.unwrap().unwrap();
        assert_eq!(got.delivery.properties().unwrap(), expected);
    }
}

everywhere!(headers_larger_than_a_frame_come_back);
async fn headers_larger_than_a_frame_come_back(place: &Place) {
    let options = place.options().frame_max(4096);
    let connection = Connection::connect(&options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    // Such a header may be sent by a connection with larger frames only.
    let (_other, publisher) = place.open().await;
    let name = &*unique("headers");
    channel.queue_declare(name).await.unwrap();
    let value = LongStr::from(vec![7; 100_000]);
    let headers = FieldTable::new().with(short("long"), Value::LongStr(value));
    let properties = Properties::default().with_headers(headers);
    let publish = publisher.publish("", name, "body").properties(&properties);
    publish.await.unwrap().confirmed().await.unwrap();
    let got = channel.get(name).no_ack(true).await.unwrap().unwrap();
    assert_eq!(got.delivery.properties().unwrap(), properties);
    channel.queue_delete(name).await.unwrap();
}

everywhere!(a_returned_message_has_its_properties);
async fn a_returned_message_has_its_properties(place: &Place) {
    let (_connection, channel) = place.open().await;
    let properties = all_fourteen();
    let publish = channel.publish("", unique("nowhere"), "body").properties(&properties);
    let outcome = publish.mandatory(true).await.unwrap().await;
    let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
    let Returned { body, .. } = &*returned;
    assert_eq!(body, "body");
    assert_eq!(returned.properties().unwrap(), properties);
}

everywhere!(properties_that_the_server_refuses_close_the_channel);
async fn properties_that_the_server_refuses_close_the_channel(place: &Place) {
    let (connection, _) = place.open().await;
    for properties in [
        Properties::default().with_user_id(short("somebody else")),
        Properties::default().with_expiration(short("soon")),
    ] {
        let channel = connection.channel().await.unwrap();
        let queue = queue(&channel).await;
        let publish = channel.publish("", &queue, "body").properties(&properties);
        let Outcome::Unknown(error) = publish.await.unwrap().await else {
            panic!("the server took {properties:?}")
        };
        assert_eq!(server_error(&error), (406, Some("basic.publish"), true));
    }
}

everywhere!(what_has_no_encoding_is_refused_here_and_disturbs_nothing);
async fn what_has_no_encoding_is_refused_here_and_disturbs_nothing(place: &Place) {
    let (_connection, channel) = place.open().await;
    let queue = queue(&channel).await;
    // RabbitMQ would close the connection.
    let headers = FieldTable::new().with(short("x"), Value::F64(f64::NAN));
    let properties = Properties::default().with_headers(headers);
    let before = channel.publish("", &queue, "before").await.unwrap();
    let publish = channel.publish("", &queue, "bad").properties(&properties);
    assert!(matches!(publish.await, Err(Error::Encode(_))));
    let long = "x".repeat(256);
    let publish = channel.publish("", &long, "bad").await;
    assert!(matches!(publish, Err(Error::Argument { .. })));
    let after = channel.publish("", &queue, "after").await.unwrap();
    assert_eq!(after.delivery_tag(), before.delivery_tag() + 1);
    before.confirmed().await.unwrap();
    after.confirmed().await.unwrap();
    assert_eq!(channel.queue_purge(&queue).await.unwrap().message_count, 2);
}
