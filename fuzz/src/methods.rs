//! Methods: the three sets of them agree, and what was read can be written and read again.

use amqp091::encode;
use amqp091::frame::{FrameKind, FrameLimits, FrameRef, Parsed, parse};
use amqp091::protocol::{AnyMethod, CLASSES, ToClient, ToServer, basic, method_name};
use amqp091_types::{
    FieldRef, FieldTable, FieldValue, MethodError, Profile, Reader, Reflect, Reply,
};
use bytes::BytesMut;

use crate::{field_table, identity};

/// What stands before the arguments: class id and method id.
const IDS: usize = 4;

pub(crate) fn check(input: &[u8]) {
    check_payload(input);
    // The first octet as a method's place among all: so any input has arguments for some method.
    if let Some((place, arguments)) = input.split_first() {
        let mut ids =
            CLASSES.iter().flat_map(|class| class.methods).map(|method| method.id).cycle();
        let id = ids.nth(usize::from(*place)).expect("there are methods");
        let (class_id, method_id) = (id.class_id.to_be_bytes(), id.method_id.to_be_bytes());
        check_payload(&[&class_id, &method_id, arguments].concat());
    }
}

fn check_payload(payload: &[u8]) {
    let read = AnyMethod::from_payload(payload);
    match &read {
        Ok(method) => check_method(method, payload),
        Err(MethodError::Unknown { id }) => {
            assert_eq!(method_name(*id), None);
            assert_eq!(
                [id.class_id.to_be_bytes(), id.method_id.to_be_bytes()].as_flattened(),
                &payload[..IDS]
            );
        }
        Err(MethodError::Number { source }) => {
            assert!(payload.len() < IDS);
            field_table::check_error(source, payload);
        }
        Err(MethodError::Arguments { id, source }) => {
            let name = method_name(*id).expect("only a known method has arguments");
            let of_it = source.field().strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            assert!(of_it || source.field() == "end", "{source} in {name}");
            field_table::check_error(source, payload);
        }
        Err(error) => panic!("any method is expected as any method: {error}"),
    }
    agrees(ToClient::from_payload(payload).map(AnyMethod::from), &read);
    agrees(ToServer::from_payload(payload).map(AnyMethod::from), &read);
    if let Some(arguments) = payload.get(IDS..) {
        replies(arguments);
    }
}

fn check_method(method: &AnyMethod, payload: &[u8]) {
    let id = method.id();
    let arguments = &payload[IDS..];
    let decode = |octets: &[u8]| AnyMethod::decode(id, &mut Reader::new(octets));
    assert_eq!(decode(arguments).as_ref(), Ok(method));
    assert_eq!(method_name(id), Some(method.name()));

    // Less is too little, more is too much.
    if let Some((_, fewer)) = arguments.split_last() {
        assert!(decode(fewer).is_err());
    }
    assert!(decode(&[arguments, &[0]].concat()).is_err());

    check_reflection(method);
    let finite = tables(method).all(identity::table_is_finite);
    let Some(octets) = identity::check(method, finite, decode) else { return };
    // Reserved strings and tables are written empty; everything else takes what it took.
    assert!(octets.len() <= arguments.len());
    let mut frame = BytesMut::new();
    assert_eq!(encode::method_arguments(&mut frame, 7, id, method), Ok(()));
    match parse(&frame, FrameLimits::from_frame_max(u32::MAX)) {
        Ok(Parsed::Frame { frame: FrameRef { kind, channel, payload }, consumed }) => {
            assert_eq!((kind, channel, consumed), (FrameKind::Method, 7, frame.len()));
            assert_eq!(AnyMethod::from_payload(payload).as_ref(), Ok(method));
        }
        other => panic!("{other:?} is read of {method:?}"),
    }
}

/// The set of one direction reads the same, or refuses the method because it doesn't come that way.
fn agrees(read: Result<AnyMethod, MethodError>, any: &Result<AnyMethod, MethodError>) {
    match read {
        Err(MethodError::NotExpected { id }) => {
            assert!(!matches!(any, Err(MethodError::Unknown { .. })));
            assert!(method_name(id).is_some());
        }
        read => assert_eq!(&read, any),
    }
}

/// The answers to basic.get, of which there are two, as whoever waits for one reads them.
fn replies(arguments: &[u8]) {
    for id in basic::GetReply::METHODS {
        let reply = basic::GetReply::decode_reply(*id, &mut Reader::new(arguments));
        let any = AnyMethod::decode(*id, &mut Reader::new(arguments));
        match (reply, any) {
            (Ok(basic::GetReply::GetOk(one)), Ok(AnyMethod::BasicGetOk(two))) => {
                assert_eq!(one, two)
            }
            (Ok(basic::GetReply::GetEmpty(one)), Ok(AnyMethod::BasicGetEmpty(two))) => {
                assert_eq!(one, two)
            }
            (Err(one), Err(two)) => assert_eq!(one, two),
            (reply, any) => panic!("{reply:?} is not {any:?}"),
        }
    }
}

/// All tables among the fields.
pub(crate) fn tables(fields: &dyn Reflect) -> impl Iterator<Item = &FieldTable> {
    fields.fields().filter_map(|(_, field)| match field {
        FieldRef::Table(table) => Some(table),
        _ => None,
    })
}

/// Field by field, the same can be made anew; and whatever the fields hold, they can be shown and judged.
fn check_reflection(method: &AnyMethod) {
    let mut anew = AnyMethod::new(method.id()).expect("its id is known");
    for (info, field) in method.fields() {
        assert!(!info.reserved);
        assert_eq!(method.field(info.name), Some(field));
        assert_eq!(anew.set_field(info.name, FieldValue::from(field)), Ok(()));
    }
    assert_eq!(anew, *method);
    assert!(method.describe().to_string().starts_with(method.name()));
    assert_eq!(method.validate().is_ok(), method.violations(Profile::Specification).is_empty());
    for violation in method.violations(Profile::Pamqp) {
        assert!(!violation.to_string().is_empty());
    }
}
