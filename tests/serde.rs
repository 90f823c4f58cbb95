//! Methods and content properties in formats of serde's: what people read and write, and, in `serde/every.rs`, all of
//! them with random contents, there and back.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "round_trip/checks.rs"]
#[allow(
    dead_code,
    reason = "the samples are used here, and the checks of the wire in another test"
)]
mod checks;
#[path = "serde/every.rs"]
mod every;

use std::fmt::Debug;

use amqp091::protocol as generated;
use amqp091::protocol::{
    AnyMethod, AnyProperties, ReplyCode, ToClient, ToServer, basic, channel, connection,
};
use amqp091::types::{LongStr, ShortStr, Timestamp, table};
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

#[track_caller]
fn is_written<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    assert_eq!(written(&value), text);
    assert_eq!(read::<T>(text), value, "{text}");
}

#[track_caller]
fn refused<T: DeserializeOwned + Debug>(text: &str, why: &str) {
    let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
    assert!(error.contains(why), "{text}: {error}");
}

fn publish() -> basic::Publish {
    basic::Publish {
        routing_key: ShortStr::from_static("work"),
        mandatory: true,
        ..basic::Publish::default()
    }
}

/// Octets in a format for machines.
struct Octets<'a>(&'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn a_method_is_its_fields() {
    is_written(
        publish(),
        r#"{"exchange":"","routing_key":"work","mandatory":true,"immediate":false}"#,
    );
    is_written(
        AnyMethod::from(publish()),
        r#"{"basic.publish":{"exchange":"","routing_key":"work","mandatory":true,"immediate":false}}"#,
    );
    is_written(AnyMethod::from(channel::CloseOk {}), r#"{"channel.close-ok":{}}"#);
    is_written(
        ToClient::from(channel::Close {
            reply_code: ReplyCode::NOT_FOUND,
            reply_text: ShortStr::from_static("no queue"),
            class_id: 50,
            method_id: 10,
        }),
        r#"{"channel.close":{"reply_code":404,"reply_text":"no queue","class_id":50,"method_id":10}}"#,
    );
}

#[test]
fn a_person_leaves_out_what_is_usual() {
    assert_eq!(read::<basic::Publish>(r#"{"routing_key":"work","mandatory":true}"#), publish());
    assert_eq!(read::<basic::Publish>("{}"), basic::Publish::default());
    // Not all defaults are zero.
    let open: connection::Open = read("{}");
    assert_eq!(open, connection::Open::default());
    assert_eq!(open.virtual_host, "/");
    assert_eq!(
        read::<ToServer>(r#"{"basic.publish":{"routing_key":"work","mandatory":true}}"#),
        ToServer::from(publish())
    );
}

#[test]
fn hyphens_and_underscores_are_both_read() {
    assert_eq!(read::<basic::Publish>(r#"{"routing-key":"work","mandatory":true}"#), publish());
    for name in ["channel.close-ok", "channel.close_ok"] {
        let method: AnyMethod = read(&format!("{{\"{name}\":{{}}}}"));
        assert_eq!(method, AnyMethod::from(channel::CloseOk {}));
    }
}

#[test]
fn mistakes_are_named() {
    refused::<basic::Publish>(
        r#"{"routingkey":"work"}"#,
        "basic.publish has no field `routingkey`, only `exchange`, `routing_key`, `mandatory`, `immediate`",
    );
    refused::<basic::Publish>(r#"{"reserved_1":0}"#, "no field `reserved_1`");
    refused::<basic::Publish>(r#"{"mandatory":1}"#, "expected a boolean");
    refused::<basic::Publish>(r#"{"exchange":null}"#, "a string");
    refused::<basic::Publish>(
        r#"{"routing_key":"a","routing-key":"b"}"#,
        "basic.publish.routing_key is there twice",
    );
    refused::<basic::Publish>("[]", "an object with the fields of basic.publish");
    refused::<channel::CloseOk>(r#"{"a":1}"#, "channel.close-ok has no field `a`, as it has none");
    refused::<basic::Qos>(r#"{"prefetch_count":65536}"#, "expected u16");
    refused::<AnyMethod>(
        r#"{"channel.clsoe":{}}"#,
        "channel has no method `channel.clsoe`, only `channel.open`, `channel.open-ok`",
    );
    refused::<AnyMethod>(r#"{"publish":{}}"#, "no class has a method `publish`; the classes");
    refused::<AnyMethod>("{}", "a method: an object like");
    refused::<AnyMethod>(r#""channel.close-ok""#, "a method: an object like");
    refused::<AnyMethod>(r#"{"channel.close-ok":{},"channel.close":{}}"#, "more than one method");
    refused::<ToClient>(r#"{"basic.publish":{}}"#, "basic.publish is no method of ToClient");
    refused::<ReplyCode>("65536", "expected u16");
}

#[test]
fn properties_are_those_that_are_there() {
    let properties = basic::Properties::default()
        .with_content_type(ShortStr::from_static("text/plain"))
        .with_delivery_mode(2)
        .with_timestamp(Timestamp(1_700_000_000))
        .with_headers(table! { "n": 1 });
    is_written(
        properties.clone(),
        r#"{"content_type":"text/plain","headers":{"n":1},"delivery_mode":2,"timestamp":1700000000}"#,
    );
    let text = r#"{"content-type":"text/plain","headers":{"n":1},"delivery-mode":2,"timestamp":1700000000,
        "priority":null}"#;
    assert_eq!(read::<basic::Properties>(text), properties);
    refused::<basic::Properties>(r#"{"delivery_mode":256}"#, "expected u8");
    refused::<basic::Properties>(r#"{"mode":1}"#, "basic.properties has no field `mode`");
}

#[test]
fn properties_of_any_class_say_whose_they_are() {
    let properties = basic::Properties::default()
        .with_delivery_mode(2)
        .with_content_type(ShortStr::from_static("text/plain"));
    is_written(
        AnyProperties::from(properties.clone()),
        r#"{"basic":{"content_type":"text/plain","delivery_mode":2}}"#,
    );
    is_written(AnyProperties::from(basic::Properties::default()), r#"{"basic":{}}"#);
    let text = r#"{"basic":{"content-type":"text/plain","delivery-mode":2,"priority":null}}"#;
    assert_eq!(read::<AnyProperties>(text), AnyProperties::from(properties.clone()));

    refused::<AnyProperties>("{}", "content properties: an object like");
    refused::<AnyProperties>(
        r#"{"basik":{}}"#,
        "`basik` has no content properties, only `basic` has",
    );
    refused::<AnyProperties>(
        r#"{"queue":{}}"#,
        "`queue` has no content properties, only `basic` has",
    );
    refused::<AnyProperties>(r#"{"basic":{},"basic":{}}"#, "more than one class");
    refused::<AnyProperties>(r#"{"basic":{"mode":2}}"#, "basic.properties has no field `mode`");
    refused::<AnyProperties>(r#"{"basic":null}"#, "an object with the fields of basic.properties");

    // For machines: the class id, and what is on the wire.
    let on_wire = b"\x00\x3c\x90\x00\x0atext/plain\x02";
    let octets = postcard::to_allocvec(&AnyProperties::from(properties.clone())).unwrap();
    assert_eq!(octets, postcard::to_allocvec(&Octets(on_wire)).unwrap());
    assert_eq!(postcard::from_bytes(&octets), Ok(AnyProperties::from(properties)));
    for wrong in [&b""[..], b"\x00", b"\x00\x3c", b"\x00\x32\x00\x00", b"\x00\x3c\x00\x00\x00"] {
        let octets = postcard::to_allocvec(&Octets(wrong)).unwrap();
        assert!(postcard::from_bytes::<AnyProperties>(&octets).is_err(), "{wrong:?}");
    }
}

/// Whoever mistypes a password finds it in no log.
#[test]
fn credentials_are_in_no_error() {
    for (method, field, others) in [
        ("secure-ok", "response", ""),
        ("start-ok", "response", r#""mechanism":"PLAIN","#),
        ("update-secret", "new-secret", r#""reason":"expired","#),
        ("update-secret", "new_secret", ""),
    ] {
        for value in
            [r#"{"$str":"SECRETPW!"}"#, "5318008", r#"["SECRETPW!"]"#, r#"{"SECRETPW!":1}"#, "null"]
        {
            let text = format!(r#"{{"connection.{method}":{{{others}"{field}":{value}}}}}"#);
            let error = serde_json::from_str::<AnyMethod>(&text).unwrap_err().to_string();
            assert!(!error.contains("SECRET") && !error.contains("5318008"), "{text}: {error}");
            let field = field.replace('_', "-");
            let what = format!(
                "connection.{method}.{field}: not a longstr (what is there isn't shown) at line 1 column"
            );
            assert!(error.starts_with(&what), "{text}: {error}");
        }
    }
    // Of other fields, it is shown what is wrong.
    refused::<connection::StartOk>(r#"{"mechanism":{"$str":"PLAIN!"}}"#, "PLAIN!");
}

/// It is data, and not a log.
#[test]
fn credentials_are_written() {
    let response = LongStr::from("\0user\0open sesame");
    let start_ok = connection::StartOk { response, ..connection::StartOk::default() };
    assert!(!format!("{start_ok:?}").contains("sesame"));
    let text = written(&start_ok);
    assert!(text.contains(r#""response":"\u0000user\u0000open sesame""#), "{text}");
    assert_eq!(read::<connection::StartOk>(&text), start_ok);
}

#[test]
fn octets_of_an_unknown_method_are_refused_with_the_reason() {
    let unknown = postcard::to_allocvec(&Octets(&[0, 60, 0, 99])).unwrap();
    assert!(postcard::from_bytes::<AnyMethod>(&unknown).is_err());
    // A format for machines that tells what the error is.
    use serde_core::de::value::Error;
    struct Raw(&'static [u8]);
    impl<'de> serde_core::Deserializer<'de> for Raw {
        type Error = Error;

        fn deserialize_any<V: serde_core::de::Visitor<'de>>(
            self,
            visitor: V,
        ) -> Result<V::Value, Error> {
            visitor.visit_borrowed_bytes(self.0)
        }

        fn is_human_readable(&self) -> bool {
            false
        }

        serde_core::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }
    let error = |octets| {
        let error = <AnyMethod as serde_core::Deserialize>::deserialize(Raw(octets)).unwrap_err();
        error.to_string()
    };
    assert_eq!(error(&[0, 60, 0, 99]), "method 60.99 is not known");
    assert_eq!(
        error(&[0, 60, 0, 80, 1]),
        "method 60.80 has bad arguments: basic.ack.delivery-tag: at octet 4: needs 8 octets, 1 is left"
    );
}
