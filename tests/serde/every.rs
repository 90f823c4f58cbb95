//! All methods and content properties with random contents, there and back. The loop over all is generated from the
//! specification, as that of `tests/round_trip.rs`.

use std::fmt::Debug;

use amqp091::protocol::{AnyMethod as Any, AnyProperties, ToClient, ToServer};
use amqp091::types::{ContentProperties, Encode, Method, SentBy, Writer};
use bytes::BytesMut;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use super::checks::{Random, Sample};
use super::{Octets, read, written};

const SAMPLES: u64 = 50;

fn round_trip_method<T>(to_any: fn(T) -> Any)
where
    T: Method + Sample + Serialize + DeserializeOwned,
{
    for seed in 1..=SAMPLES {
        let method = T::sample(&mut Random::new(seed));
        let text = survives(&method, b"");
        let any = to_any(method);
        let any_text =
            survives(&any, &[T::ID.class_id.to_be_bytes(), T::ID.method_id.to_be_bytes()].concat());
        assert_eq!(any_text, format!("{{\"{}\":{text}}}", T::NAME));

        // The enums of one direction write the same, and read what comes that way.
        let to_client = serde_json::from_str::<ToClient>(&any_text);
        let to_server = serde_json::from_str::<ToServer>(&any_text);
        assert_eq!(to_client.is_ok(), T::SENT_BY != SentBy::Client, "{}", T::NAME);
        assert_eq!(to_server.is_ok(), T::SENT_BY != SentBy::Server, "{}", T::NAME);
        if let Ok(method) = to_client {
            assert_eq!(written(&method), any_text);
            assert_eq!(Any::from(method), any);
        }
        if let Ok(method) = to_server {
            assert_eq!(written(&method), any_text);
            assert_eq!(Any::from(method), any);
        }
    }
}

fn round_trip_properties<T>()
where
    T: ContentProperties + Sample + Serialize + DeserializeOwned + Debug + PartialEq,
    AnyProperties: From<T>,
{
    for seed in 1..=SAMPLES {
        let properties = T::sample(&mut Random::new(seed));
        let text = survives(&properties, b"");
        let any_text = survives(&AnyProperties::from(properties), &T::CLASS_ID.to_be_bytes());
        assert_eq!(any_text, format!("{{\"{}\":{text}}}", T::CLASS.name));
    }
    assert_eq!(survives(&T::default(), b""), "{}");
}

/// There and back as JSON, which is returned, and as octets: those of the wire behind `ids`.
fn survives<T>(value: &T, ids: &[u8]) -> String
where
    T: Encode + Serialize + DeserializeOwned + Debug + PartialEq,
{
    let text = written(value);
    assert_eq!(&read::<T>(&text), value, "{text}");

    let mut on_wire = BytesMut::from(ids);
    value.encode(&mut Writer::new(&mut on_wire)).unwrap();
    let octets = postcard::to_allocvec(value).unwrap();
    assert!(octets.ends_with(&on_wire));
    assert_eq!(octets, postcard::to_allocvec(&Octets(&on_wire)).unwrap());
    assert_eq!(postcard::from_bytes::<T>(&octets).as_ref(), Ok(value));

    // An octet too many is noticed.
    on_wire.extend_from_slice(&[0]);
    let too_long = postcard::to_allocvec(&Octets(&on_wire)).unwrap();
    assert!(postcard::from_bytes::<T>(&too_long).is_err());
    text
}

include!(concat!(env!("OUT_DIR"), "/round_trip.rs"));
