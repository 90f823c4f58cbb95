//! Properties: one message's octets, decoded on demand, inside the content header that they came in.

use amqp091::content::{Assembler, ContentHeader, RawProperties};
use amqp091::encode;
use amqp091::frame::OVERHEAD;
use amqp091::protocol::{AnyProperties, basic};
use amqp091_types::{Decode, FieldValue, Profile, Reflect};
use bytes::{Bytes, BytesMut};

use crate::{field_table, identity};

pub(crate) fn check(input: &[u8]) {
    let raw = RawProperties::new(Bytes::copy_from_slice(input));
    let decoded = raw.decode::<basic::Properties>();
    assert_eq!(raw.as_bytes(), input);
    match &decoded {
        Ok(properties) => {
            let finite = properties.headers.as_ref().is_none_or(identity::table_is_finite);
            let again = identity::check(properties, finite, basic::Properties::decode_all);
            if let Some(octets) = again {
                // Bits that stand for no property are not written, and nothing else is different in length.
                assert_eq!(octets.len(), input.len());
            }
            assert!(basic::Properties::decode_all(&input[..input.len() - 1]).is_err());
            check_reflection(properties);
        }
        Err(error) => {
            let cause = error.cause();
            assert!(cause.field().starts_with("basic.properties.") || cause.field() == "end");
            field_table::check_error(&cause, input);
        }
    }

    // As properties of any class: the same, and of a class that has none, an error.
    let any = AnyProperties::decode(basic::CLASS_ID, input);
    assert_eq!(any, decoded.clone().map(AnyProperties::from));
    assert!(AnyProperties::decode(basic::CLASS_ID - 1, input).is_err());

    // The header frame that carries them, as a proxy passes it on: good or bad, they are not touched.
    for body_size in [0, 3, u64::MAX] {
        let mut frame = BytesMut::new();
        encode::raw_header(&mut frame, 1, basic::CLASS_ID, body_size, input);
        let payload = frame.freeze().slice(OVERHEAD - 1..);
        let payload = payload.slice(..payload.len() - 1);
        let header = ContentHeader { class_id: basic::CLASS_ID, body_size, properties: input };
        assert_eq!(ContentHeader::parse(&payload), Ok(header));

        let mut assembler = Assembler::new(u64::MAX);
        assert_eq!(assembler.begin(basic::CLASS_ID), Ok(()));
        match assembler.header(payload) {
            Ok(Some(content)) => {
                assert_eq!(body_size, 0);
                assert_eq!(content.properties.decode::<basic::Properties>(), decoded);
            }
            other => {
                assert_eq!(other, Ok(None));
                assert!(body_size > 0 && !assembler.is_idle());
            }
        }
    }
}

/// Property by property, the same can be made anew; and whatever they hold, they can be shown and judged.
fn check_reflection(properties: &basic::Properties) {
    let mut anew = basic::Properties::default();
    for (info, field) in properties.fields() {
        assert_eq!(anew.set_field(info.name, FieldValue::from(field)), Ok(()));
    }
    assert_eq!(anew, *properties);
    assert!(properties.describe().to_string().starts_with("basic.properties"));
    let violations = properties.violations(Profile::Specification);
    assert_eq!(properties.validate().is_ok(), violations.is_empty());
}
