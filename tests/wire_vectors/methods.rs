//! Every method with its octets as the protocol's description has them, worked out by hand: number, field order, field types,
//! the order of bits, reserved fields.

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{AnyMethod, ReplyCode, basic, channel, confirm, connection, exchange};
use amqp091::protocol::{queue, tx};
use amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};

use crate::hex::octets;

pub(crate) fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

pub(crate) fn long(text: &str) -> LongStr {
    LongStr::from(text)
}

/// `{n: true}`: `00000004 016e 74 01`.
fn table() -> FieldTable {
    FieldTable::new().with(short("n"), Value::Bool(true))
}

/// `payload`, in a frame on channel 0x0203, is what the method becomes, and the method is what the payload becomes.
#[track_caller]
pub(crate) fn same<M: Method + Into<AnyMethod>>(payload: &str, method: M) {
    let payload = octets(payload);
    let mut frame = octets("01 0203");
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&payload);
    frame.push(0xCE);

    let mut out = BytesMut::new();
    encode::method(&mut out, 0x0203, &method).unwrap();
    assert_eq!(out[..], frame[..], "{} as octets", M::NAME);

    let any: AnyMethod = method.into();
    let mut out = BytesMut::new();
    encode::method_arguments(&mut out, 0x0203, any.id(), &any).unwrap();
    assert_eq!(out[..], frame[..], "{} as octets, by way of any method", M::NAME);
    assert_eq!(AnyMethod::from_payload(&payload), Ok(any));
}

/// `payload` is read as the method, though it is not what this side writes.
#[track_caller]
fn reads_as<M: Method + Into<AnyMethod>>(payload: &str, method: M) {
    assert_eq!(AnyMethod::from_payload(&octets(payload)), Ok(method.into()));
}

#[test]
fn class_connection() {
    same(
        "000a 000a 00 09 00000004 016e7401 0000000e \"PLAIN\" 20 \"AMQPLAIN\" 00000005 \"en_US\"",
        connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: table(),
            mechanisms: long("PLAIN AMQPLAIN"),
            locales: long("en_US"),
        },
    );
    same(
        "000a 000b 00000004 016e7401 05 \"PLAIN\" 0000000c 00 \"guest\" 00 \"guest\" 05 \"en_US\"",
        connection::StartOk {
            client_properties: table(),
            mechanism: short("PLAIN"),
            response: long("\0guest\0guest"),
            locale: short("en_US"),
        },
    );
    same("000a 0014 00000002 \"hi\"", connection::Secure { challenge: long("hi") });
    same("000a 0015 00000002 \"ho\"", connection::SecureOk { response: long("ho") });
    same(
        "000a 001e 07ff 00020000 003c",
        connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 },
    );
    same(
        "000a 001f 07ff 00020000 000a",
        connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 10 },
    );
    same("000a 0028 01 2f 00 00", connection::Open { virtual_host: short("/") });
    same("000a 0029 00", connection::OpenOk);
    same(
        "000a 0032 0140 03 \"bye\" 003c 0028",
        connection::Close {
            reply_code: ReplyCode::CONNECTION_FORCED,
            reply_text: short("bye"),
            class_id: 60,
            method_id: 40,
        },
    );
    same("000a 0033", connection::CloseOk);
    same("000a 003c 03 \"low\"", connection::Blocked { reason: short("low") });
    same("000a 003d", connection::Unblocked);
    same(
        "000a 0046 00000003 \"jwt\" 03 \"old\"",
        connection::UpdateSecret { new_secret: long("jwt"), reason: short("old") },
    );
    same("000a 0047", connection::UpdateSecretOk);
}

#[test]
fn class_channel() {
    same("0014 000a 00", channel::Open);
    // A long string, unlike that of open.
    same("0014 000b 00000000", channel::OpenOk);
    same("0014 0014 01", channel::Flow { active: true });
    same("0014 0014 00", channel::Flow { active: false });
    same("0014 0015 01", channel::FlowOk { active: true });
    same(
        "0014 0028 0194 02 \"no\" 0032 000a",
        channel::Close {
            reply_code: ReplyCode::NOT_FOUND,
            reply_text: short("no"),
            class_id: 50,
            method_id: 10,
        },
    );
    same("0014 0029", channel::CloseOk);
}

#[test]
fn class_exchange() {
    let declare = exchange::Declare {
        exchange: short("e"),
        r#type: short("fanout"),
        arguments: table(),
        ..exchange::Declare::default()
    };
    for (bits, with) in [
        ("00", declare.clone()),
        ("01", exchange::Declare { passive: true, ..declare.clone() }),
        ("02", exchange::Declare { durable: true, ..declare.clone() }),
        ("04", exchange::Declare { auto_delete: true, ..declare.clone() }),
        ("08", exchange::Declare { internal: true, ..declare.clone() }),
        ("10", exchange::Declare { no_wait: true, ..declare }),
    ] {
        same(&format!("0028 000a 0000 01 65 06 \"fanout\" {bits} 00000004 016e7401"), with);
    }
    same("0028 000b", exchange::DeclareOk);
    let delete = exchange::Delete { exchange: short("e"), ..exchange::Delete::default() };
    same("0028 0014 0000 0165 01", exchange::Delete { if_unused: true, ..delete.clone() });
    same("0028 0014 0000 0165 02", exchange::Delete { no_wait: true, ..delete });
    same("0028 0015", exchange::DeleteOk);
    same(
        "0028 001e 0000 0164 0173 016b 01 00000004 016e7401",
        exchange::Bind {
            destination: short("d"),
            source: short("s"),
            routing_key: short("k"),
            no_wait: true,
            arguments: table(),
        },
    );
    same("0028 001f", exchange::BindOk);
    same(
        "0028 0028 0000 0164 0173 016b 00 00000004 016e7401",
        exchange::Unbind {
            destination: short("d"),
            source: short("s"),
            routing_key: short("k"),
            no_wait: false,
            arguments: table(),
        },
    );
    // 51, where 41 would be expected.
    same("0028 0033", exchange::UnbindOk);
}

#[test]
fn class_queue() {
    let declare =
        queue::Declare { queue: short("q"), arguments: table(), ..queue::Declare::default() };
    for (bits, with) in [
        ("00", declare.clone()),
        ("01", queue::Declare { passive: true, ..declare.clone() }),
        ("02", queue::Declare { durable: true, ..declare.clone() }),
        ("04", queue::Declare { exclusive: true, ..declare.clone() }),
        ("08", queue::Declare { auto_delete: true, ..declare.clone() }),
        ("10", queue::Declare { no_wait: true, ..declare }),
    ] {
        same(&format!("0032 000a 0000 01 71 {bits} 00000004 016e7401"), with);
    }
    same(
        "0032 000b 01 71 00000102 03040506",
        queue::DeclareOk { queue: short("q"), message_count: 0x102, consumer_count: 0x0304_0506 },
    );
    same(
        "0032 0014 0000 0171 0165 016b 01 00000004 016e7401",
        queue::Bind {
            queue: short("q"),
            exchange: short("e"),
            routing_key: short("k"),
            no_wait: true,
            arguments: table(),
        },
    );
    same("0032 0015", queue::BindOk);
    same("0032 001e 0000 0171 01", queue::Purge { queue: short("q"), no_wait: true });
    same("0032 001f 00000007", queue::PurgeOk { message_count: 7 });
    let delete = queue::Delete { queue: short("q"), ..queue::Delete::default() };
    same("0032 0028 0000 0171 01", queue::Delete { if_unused: true, ..delete.clone() });
    same("0032 0028 0000 0171 02", queue::Delete { if_empty: true, ..delete.clone() });
    same("0032 0028 0000 0171 04", queue::Delete { no_wait: true, ..delete });
    same("0032 0029 ffffffff", queue::DeleteOk { message_count: u32::MAX });
    // Without a no-wait.
    same(
        "0032 0032 0000 0171 0165 016b 00000004 016e7401",
        queue::Unbind {
            queue: short("q"),
            exchange: short("e"),
            routing_key: short("k"),
            arguments: table(),
        },
    );
    same("0032 0033", queue::UnbindOk);
}

#[test]
fn class_basic_consuming() {
    same(
        "003c 000a 00000001 0002 01",
        basic::Qos { prefetch_size: 1, prefetch_count: 2, global: true },
    );
    same("003c 000b", basic::QosOk);
    let consume = basic::Consume {
        queue: short("q"),
        consumer_tag: short("c"),
        arguments: table(),
        ..basic::Consume::default()
    };
    for (bits, with) in [
        ("01", basic::Consume { no_local: true, ..consume.clone() }),
        ("02", basic::Consume { no_ack: true, ..consume.clone() }),
        ("04", basic::Consume { exclusive: true, ..consume.clone() }),
        ("08", basic::Consume { no_wait: true, ..consume }),
    ] {
        same(&format!("003c 0014 0000 0171 0163 {bits} 00000004 016e7401"), with);
    }
    same("003c 0015 0163", basic::ConsumeOk { consumer_tag: short("c") });
    same("003c 001e 0163 01", basic::Cancel { consumer_tag: short("c"), no_wait: true });
    same("003c 001f 0163", basic::CancelOk { consumer_tag: short("c") });
    same(
        "003c 003c 0163 0102030405060708 01 0165 016b",
        basic::Deliver {
            consumer_tag: short("c"),
            delivery_tag: 0x0102_0304_0506_0708,
            redelivered: true,
            exchange: short("e"),
            routing_key: short("k"),
        },
    );
    same("003c 0046 0000 0171 01", basic::Get { queue: short("q"), no_ack: true });
    same(
        "003c 0047 0000000000000009 00 0165 016b 00000003",
        basic::GetOk {
            delivery_tag: 9,
            redelivered: false,
            exchange: short("e"),
            routing_key: short("k"),
            message_count: 3,
        },
    );
    same("003c 0048 00", basic::GetEmpty);
}

#[test]
fn class_basic_publishing_and_settling() {
    let publish = basic::Publish {
        exchange: short("e"),
        routing_key: short("k"),
        ..basic::Publish::default()
    };
    same("003c 0028 0000 0165 016b 01", basic::Publish { mandatory: true, ..publish.clone() });
    same("003c 0028 0000 0165 016b 02", basic::Publish { immediate: true, ..publish });
    same(
        "003c 0032 0138 08 \"NO_ROUTE\" 0165 016b",
        basic::Return {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: short("NO_ROUTE"),
            exchange: short("e"),
            routing_key: short("k"),
        },
    );
    same("003c 0050 0000000000000001 00", basic::Ack { delivery_tag: 1, multiple: false });
    same("003c 0050 ffffffffffffffff 01", basic::Ack { delivery_tag: u64::MAX, multiple: true });
    same("003c 005a 0000000000000001 01", basic::Reject { delivery_tag: 1, requeue: true });
    same("003c 0064 01", basic::RecoverAsync { requeue: true });
    same("003c 006e 01", basic::Recover { requeue: true });
    same("003c 006f", basic::RecoverOk);
    same(
        "003c 0078 0000000000000001 01",
        basic::Nack { delivery_tag: 1, multiple: true, requeue: false },
    );
    same(
        "003c 0078 0000000000000001 02",
        basic::Nack { delivery_tag: 1, multiple: false, requeue: true },
    );
}

#[test]
fn classes_confirm_and_tx() {
    same("0055 000a 01", confirm::Select { no_wait: true });
    same("0055 000b", confirm::SelectOk);
    same("005a 000a", tx::Select);
    same("005a 000b", tx::SelectOk);
    same("005a 0014", tx::Commit);
    same("005a 0015", tx::CommitOk);
    same("005a 001e", tx::Rollback);
    same("005a 001f", tx::RollbackOk);
}

#[test]
fn whatever_stands_in_reserved_fields_is_passed_over() {
    // The ticket of 0-8.
    reads_as("0032 001e 0065 0171 00", queue::Purge { queue: short("q"), no_wait: false });
    reads_as("0014 000a 01 30", channel::Open);
    reads_as("0014 000b 00000003 fffefd", channel::OpenOk);
    reads_as("000a 0028 01 2f 03 \"any\" 01", connection::Open { virtual_host: short("/") });
    reads_as("000a 0029 04 \"host\"", connection::OpenOk);
    reads_as("003c 0048 02 fffe", basic::GetEmpty);
}

#[test]
fn bits_beyond_those_of_the_method_are_passed_over() {
    reads_as("0055 000a fe", confirm::Select { no_wait: false });
    reads_as("0055 000a ff", confirm::Select { no_wait: true });
    let nack = basic::Nack { delivery_tag: 1, multiple: false, requeue: true };
    reads_as("003c 0078 0000000000000001 fe", nack);
    reads_as("000a 0028 01 2f 00 ff", connection::Open { virtual_host: short("/") });
}

#[test]
fn names_are_octets_neither_checked_nor_cut() {
    let queue = ShortStr::new([b' ', b'/', 0, b'\r', b'\n', 0xFF]).unwrap();
    same("0032 001e 0000 06 202f000d0aff 00", queue::Purge { queue, no_wait: false });
    let queue = ShortStr::new([b'q'; 255]).unwrap();
    same("0032 001e 0000 ff 71*255 00", queue::Purge { queue, no_wait: false });
}
