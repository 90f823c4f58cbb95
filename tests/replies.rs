//! Who sends what, what answers what, and the enums that say so: each against a list made by hand.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fmt::Debug;

use amqp091::bytes::BytesMut;
use amqp091::protocol::{
    AnyMethod, ErrorKind, ReplyCode, ToClient, ToServer, basic, channel, confirm, connection,
    constants, exchange, method_name, queue, tx,
};
use amqp091::types::{
    Encode, Method, MethodError, MethodId, Reader, Reply, Request, SentBy, ShortStr, Writer,
};

use SentBy::{Both, Client, Server};

/// What is to be known of a method, and what the enums make of one.
struct Facts {
    id: MethodId,
    name: &'static str,
    sent_by: SentBy,
    content: bool,
    synchronous: bool,
    to_client: Result<AnyMethod, MethodError>,
    to_server: Result<AnyMethod, MethodError>,
    any: AnyMethod,
}

fn facts<M>() -> Facts
where
    M: Method + Default + Into<AnyMethod> + TryFrom<AnyMethod, Error = AnyMethod>,
{
    let mut octets = BytesMut::new();
    M::default().encode(&mut Writer::new(&mut octets)).unwrap();
    let any: AnyMethod = M::default().into();
    assert_eq!((any.id(), any.name(), any.has_content()), (M::ID, M::NAME, M::HAS_CONTENT));
    assert_eq!(M::try_from(any.clone()), Ok(M::default()));

    let to_client = ToClient::decode(M::ID, &mut Reader::new(&octets));
    if let Ok(method) = &to_client {
        let of = (method.id(), method.name(), method.has_content());
        assert_eq!(of, (M::ID, M::NAME, M::HAS_CONTENT));
        assert_eq!(encoded(method), octets);
    }
    let to_server = ToServer::decode(M::ID, &mut Reader::new(&octets));
    if let Ok(method) = &to_server {
        let of = (method.id(), method.name(), method.has_content());
        assert_eq!(of, (M::ID, M::NAME, M::HAS_CONTENT));
        assert_eq!(encoded(method), octets);
    }
    Facts {
        id: M::ID,
        name: M::NAME,
        sent_by: M::SENT_BY,
        content: M::HAS_CONTENT,
        synchronous: M::SYNCHRONOUS,
        to_client: to_client.map(AnyMethod::from),
        to_server: to_server.map(AnyMethod::from),
        any,
    }
}

fn encoded(value: &impl Encode) -> BytesMut {
    let mut octets = BytesMut::new();
    value.encode(&mut Writer::new(&mut octets)).unwrap();
    assert_eq!(octets.len(), value.encoded_len());
    octets
}

macro_rules! all {
    ($($class:ident: $($method:ident)*;)*) => { vec![$($(facts::<$class::$method>(),)*)*] };
}

/// All methods, in the order of their numbers.
fn all() -> Vec<Facts> {
    all![
        connection: Start StartOk Secure SecureOk Tune TuneOk Open OpenOk Close CloseOk Blocked Unblocked UpdateSecret UpdateSecretOk;
        channel: Open OpenOk Flow FlowOk Close CloseOk;
        exchange: Declare DeclareOk Delete DeleteOk Bind BindOk Unbind UnbindOk;
        queue: Declare DeclareOk Bind BindOk Purge PurgeOk Delete DeleteOk Unbind UnbindOk;
        basic: Qos QosOk Consume ConsumeOk Cancel CancelOk Publish Return Deliver Get GetOk GetEmpty Ack Reject RecoverAsync Recover RecoverOk Nack;
        confirm: Select SelectOk;
        tx: Select SelectOk Commit CommitOk Rollback RollbackOk;
    ]
}

/// Number, name and sender of every method.
const METHODS: [(u16, u16, &str, SentBy); 64] = [
    (10, 10, "connection.start", Server),
    (10, 11, "connection.start-ok", Client),
    (10, 20, "connection.secure", Server),
    (10, 21, "connection.secure-ok", Client),
    (10, 30, "connection.tune", Server),
    (10, 31, "connection.tune-ok", Client),
    (10, 40, "connection.open", Client),
    (10, 41, "connection.open-ok", Server),
    (10, 50, "connection.close", Both),
    (10, 51, "connection.close-ok", Both),
    (10, 60, "connection.blocked", Server),
    (10, 61, "connection.unblocked", Server),
    (10, 70, "connection.update-secret", Client),
    (10, 71, "connection.update-secret-ok", Server),
    (20, 10, "channel.open", Client),
    (20, 11, "channel.open-ok", Server),
    (20, 20, "channel.flow", Both),
    (20, 21, "channel.flow-ok", Both),
    (20, 40, "channel.close", Both),
    (20, 41, "channel.close-ok", Both),
    (40, 10, "exchange.declare", Client),
    (40, 11, "exchange.declare-ok", Server),
    (40, 20, "exchange.delete", Client),
    (40, 21, "exchange.delete-ok", Server),
    (40, 30, "exchange.bind", Client),
    (40, 31, "exchange.bind-ok", Server),
    (40, 40, "exchange.unbind", Client),
    (40, 51, "exchange.unbind-ok", Server),
    (50, 10, "queue.declare", Client),
    (50, 11, "queue.declare-ok", Server),
    (50, 20, "queue.bind", Client),
    (50, 21, "queue.bind-ok", Server),
    (50, 30, "queue.purge", Client),
    (50, 31, "queue.purge-ok", Server),
    (50, 40, "queue.delete", Client),
    (50, 41, "queue.delete-ok", Server),
    (50, 50, "queue.unbind", Client),
    (50, 51, "queue.unbind-ok", Server),
    (60, 10, "basic.qos", Client),
    (60, 11, "basic.qos-ok", Server),
    (60, 20, "basic.consume", Client),
    (60, 21, "basic.consume-ok", Server),
    (60, 30, "basic.cancel", Both),
    (60, 31, "basic.cancel-ok", Both),
    (60, 40, "basic.publish", Client),
    (60, 50, "basic.return", Server),
    (60, 60, "basic.deliver", Server),
    (60, 70, "basic.get", Client),
    (60, 71, "basic.get-ok", Server),
    (60, 72, "basic.get-empty", Server),
    (60, 80, "basic.ack", Both),
    (60, 90, "basic.reject", Client),
    (60, 100, "basic.recover-async", Client),
    (60, 110, "basic.recover", Client),
    (60, 111, "basic.recover-ok", Server),
    (60, 120, "basic.nack", Both),
    (85, 10, "confirm.select", Client),
    (85, 11, "confirm.select-ok", Server),
    (90, 10, "tx.select", Client),
    (90, 11, "tx.select-ok", Server),
    (90, 20, "tx.commit", Client),
    (90, 21, "tx.commit-ok", Server),
    (90, 30, "tx.rollback", Client),
    (90, 31, "tx.rollback-ok", Server),
];

#[test]
fn every_method_has_its_number_its_name_and_its_sender() {
    let generated: Vec<_> =
        all().iter().map(|of| (of.id.class_id, of.id.method_id, of.name, of.sent_by)).collect();
    assert_eq!(generated, METHODS);
}

#[test]
fn a_client_receives_what_a_server_sends_and_a_server_what_a_client_sends() {
    for Facts { id, sent_by, to_client, to_server, any, .. } in all() {
        let not_expected = Err(MethodError::NotExpected { id });
        let right = Ok(any);
        assert_eq!(&to_client, if sent_by.server() { &right } else { &not_expected });
        assert_eq!(&to_server, if sent_by.client() { &right } else { &not_expected });
    }
    let refused = ToClient::decode(basic::Publish::ID, &mut Reader::new(b"")).unwrap_err();
    assert_eq!(refused.to_string(), "method 60.40 is not expected here");
}

#[test]
fn four_methods_carry_content() {
    let names: Vec<_> = all().iter().filter(|of| of.content).map(|of| of.name).collect();
    assert_eq!(names, ["basic.publish", "basic.return", "basic.deliver", "basic.get-ok"]);
}

#[test]
fn what_neither_waits_nor_is_waited_for() {
    let names: Vec<_> = all().iter().filter(|of| !of.synchronous).map(|of| of.name).collect();
    // flow-ok is a reply; the specification doesn't mark it as one.
    let marked: Vec<_> = names.into_iter().filter(|name| *name != "channel.flow-ok").collect();
    assert_eq!(
        marked,
        [
            "connection.blocked",
            "connection.unblocked",
            "basic.publish",
            "basic.return",
            "basic.deliver",
            "basic.ack",
            "basic.reject",
            "basic.recover-async",
            "basic.nack"
        ]
    );
}

#[test]
fn only_methods_that_exist_have_names() {
    let mut known = BTreeSet::new();
    for class_id in 0..=300 {
        for method_id in 0..=300 {
            if method_name(MethodId::new(class_id, method_id)).is_some() {
                known.insert((class_id, method_id));
            } else {
                let id = MethodId::new(class_id, method_id);
                let unknown = MethodError::Unknown { id };
                assert_eq!(AnyMethod::decode(id, &mut Reader::new(b"")), Err(unknown));
                assert_eq!(ToClient::decode(id, &mut Reader::new(b"")), Err(unknown));
                assert_eq!(ToServer::decode(id, &mut Reader::new(b"")), Err(unknown));
            }
        }
    }
    // There may be more than these: a method added to `spec/` needs no line here.
    let listed = METHODS.map(|(class_id, method_id, ..)| (class_id, method_id));
    assert!(known.is_superset(&listed.into()));
    for (class_id, method_id, name, _) in METHODS {
        assert_eq!(method_name(MethodId::new(class_id, method_id)), Some(name));
    }
    assert_eq!(method_name(MethodId::new(u16::MAX, u16::MAX)), None);
}

/// The reply of the request is this method, from its octets; no other method is taken for it.
#[track_caller]
fn replies<Q, R>()
where
    Q: Request<Reply = R>,
    R: Reply + Method + Default,
{
    assert_eq!(R::METHODS, [R::ID], "the reply to {}", Q::NAME);
    let octets = encoded(&R::default());
    assert_eq!(R::decode_reply(R::ID, &mut Reader::new(&octets)), Ok(R::default()));
    for (class_id, method_id, ..) in METHODS {
        let id = MethodId::new(class_id, method_id);
        if id != R::ID {
            let refused = R::decode_reply(id, &mut Reader::new(&octets));
            assert_eq!(refused, Err(MethodError::NotExpected { id }));
        }
    }
    // The other side sends it.
    assert!(Q::SENT_BY != R::SENT_BY || Q::SENT_BY == Both);
    assert!(Q::SYNCHRONOUS, "{}", Q::NAME);
    let too_long = [&octets[..], &[0]].concat();
    let refused = R::decode_reply(R::ID, &mut Reader::new(&too_long)).unwrap_err();
    assert!(matches!(refused, MethodError::Arguments { id, .. } if id == R::ID));
}

#[test]
fn every_request_has_its_reply() {
    replies::<connection::Start, connection::StartOk>();
    replies::<connection::Secure, connection::SecureOk>();
    replies::<connection::Tune, connection::TuneOk>();
    replies::<connection::Open, connection::OpenOk>();
    replies::<connection::Close, connection::CloseOk>();
    replies::<connection::UpdateSecret, connection::UpdateSecretOk>();
    replies::<channel::Open, channel::OpenOk>();
    replies::<channel::Flow, channel::FlowOk>();
    replies::<channel::Close, channel::CloseOk>();
    replies::<exchange::Declare, exchange::DeclareOk>();
    replies::<exchange::Delete, exchange::DeleteOk>();
    replies::<exchange::Bind, exchange::BindOk>();
    replies::<exchange::Unbind, exchange::UnbindOk>();
    replies::<queue::Declare, queue::DeclareOk>();
    replies::<queue::Bind, queue::BindOk>();
    replies::<queue::Purge, queue::PurgeOk>();
    replies::<queue::Delete, queue::DeleteOk>();
    replies::<queue::Unbind, queue::UnbindOk>();
    replies::<basic::Qos, basic::QosOk>();
    replies::<basic::Consume, basic::ConsumeOk>();
    replies::<basic::Cancel, basic::CancelOk>();
    replies::<basic::Recover, basic::RecoverOk>();
    replies::<confirm::Select, confirm::SelectOk>();
    replies::<tx::Select, tx::SelectOk>();
    replies::<tx::Commit, tx::CommitOk>();
    replies::<tx::Rollback, tx::RollbackOk>();
}

#[test]
fn get_has_either_of_two_replies() {
    fn reply_of<Q: Request>(id: MethodId, octets: &[u8]) -> Result<Q::Reply, MethodError> {
        Q::Reply::decode_reply(id, &mut Reader::new(octets))
    }
    assert_eq!(basic::GetReply::METHODS, [basic::GetOk::ID, basic::GetEmpty::ID]);
    let ok = basic::GetOk {
        delivery_tag: 7,
        redelivered: true,
        exchange: ShortStr::empty(),
        routing_key: ShortStr::new("q").unwrap(),
        message_count: 3,
    };
    let octets = encoded(&ok);
    let reply = reply_of::<basic::Get>(basic::GetOk::ID, &octets);
    assert_eq!(reply, Ok(basic::GetReply::GetOk(ok)));
    let reply = reply_of::<basic::Get>(basic::GetEmpty::ID, &[0]);
    assert_eq!(reply, Ok(basic::GetReply::GetEmpty(basic::GetEmpty)));

    let id = basic::Get::ID;
    let refused = reply_of::<basic::Get>(id, &octets);
    assert_eq!(refused, Err(MethodError::NotExpected { id }));
    // Each is read by its own number.
    let refused = reply_of::<basic::Get>(basic::GetEmpty::ID, &octets).unwrap_err();
    assert!(matches!(refused, MethodError::Arguments { id, .. } if id == basic::GetEmpty::ID));
}

/// `method` is in the enum, and comes out of it again.
#[track_caller]
fn there_and_back<M>(method: M)
where
    M: Method + Into<AnyMethod> + TryFrom<AnyMethod, Error = AnyMethod>,
{
    let any: AnyMethod = method.clone().into();
    assert_eq!(M::try_from(any), Ok(method));
}

#[test]
fn conversions_between_methods_and_their_enums() {
    let ack = basic::Ack { delivery_tag: 7, multiple: true };
    there_and_back(ack.clone());
    there_and_back(connection::CloseOk);
    // Both sides send it, so it is in all three.
    assert_eq!(AnyMethod::from(ToClient::from(ack.clone())), AnyMethod::BasicAck(ack.clone()));
    assert_eq!(AnyMethod::from(ToServer::from(ack.clone())), AnyMethod::BasicAck(ack.clone()));
    // What isn't the method that was asked for comes back whole.
    let other = basic::Nack::try_from(AnyMethod::from(ack.clone())).unwrap_err();
    assert_eq!(other, AnyMethod::BasicAck(ack));
    // Of the same name, and another class.
    let other = tx::Select::try_from(AnyMethod::from(confirm::Select { no_wait: true }));
    assert_eq!(other, Err(AnyMethod::ConfirmSelect(confirm::Select { no_wait: true })));
}

#[test]
fn payloads_are_read_with_their_numbers() {
    let payload = [0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 7, 1];
    let ack = basic::Ack { delivery_tag: 7, multiple: true };
    assert_eq!(AnyMethod::from_payload(&payload), Ok(ack.clone().into()));
    assert_eq!(ToClient::from_payload(&payload), Ok(ack.clone().into()));
    assert_eq!(ToServer::from_payload(&payload), Ok(ack.into()));
    let error = ToServer::from_payload(&[0, 60, 0, 60]).unwrap_err();
    assert_eq!(error, MethodError::NotExpected { id: basic::Deliver::ID });
    let error = ToServer::from_payload(&[0, 30, 0, 10]).unwrap_err();
    assert_eq!(error, MethodError::Unknown { id: MethodId::new(30, 10) });
    let error = ToServer::from_payload(&[0, 90, 0, 10, 0]).unwrap_err();
    assert_eq!(error.id(), Some(tx::Select::ID));
    assert!(matches!(error, MethodError::Arguments { .. }));
}

/// Number, name and kind of every reply code.
const CODES: [(u16, ReplyCode, &str, Option<ErrorKind>); 19] = {
    use ErrorKind::{Hard, Soft};
    [
        (200, ReplyCode::REPLY_SUCCESS, "REPLY_SUCCESS", None),
        (311, ReplyCode::CONTENT_TOO_LARGE, "CONTENT_TOO_LARGE", Some(Soft)),
        (312, ReplyCode::NO_ROUTE, "NO_ROUTE", Some(Soft)),
        (313, ReplyCode::NO_CONSUMERS, "NO_CONSUMERS", Some(Soft)),
        (320, ReplyCode::CONNECTION_FORCED, "CONNECTION_FORCED", Some(Hard)),
        (402, ReplyCode::INVALID_PATH, "INVALID_PATH", Some(Hard)),
        (403, ReplyCode::ACCESS_REFUSED, "ACCESS_REFUSED", Some(Soft)),
        (404, ReplyCode::NOT_FOUND, "NOT_FOUND", Some(Soft)),
        (405, ReplyCode::RESOURCE_LOCKED, "RESOURCE_LOCKED", Some(Soft)),
        (406, ReplyCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", Some(Soft)),
        (501, ReplyCode::FRAME_ERROR, "FRAME_ERROR", Some(Hard)),
        (502, ReplyCode::SYNTAX_ERROR, "SYNTAX_ERROR", Some(Hard)),
        (503, ReplyCode::COMMAND_INVALID, "COMMAND_INVALID", Some(Hard)),
        (504, ReplyCode::CHANNEL_ERROR, "CHANNEL_ERROR", Some(Hard)),
        (505, ReplyCode::UNEXPECTED_FRAME, "UNEXPECTED_FRAME", Some(Hard)),
        (506, ReplyCode::RESOURCE_ERROR, "RESOURCE_ERROR", Some(Hard)),
        (530, ReplyCode::NOT_ALLOWED, "NOT_ALLOWED", Some(Hard)),
        (540, ReplyCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", Some(Hard)),
        (541, ReplyCode::INTERNAL_ERROR, "INTERNAL_ERROR", Some(Hard)),
    ]
};

#[test]
fn reply_codes_have_numbers_names_and_kinds() {
    for (number, code, name, kind) in CODES {
        assert_eq!(u16::from(code), number);
        assert_eq!(ReplyCode::from(number), code);
        assert_eq!(code.name(), Some(name));
        assert_eq!(code.kind(), kind, "{code}");
        assert_eq!(code.to_string(), format!("{number} {name}"));
    }
    let named = (0..=u16::MAX).filter(|number| ReplyCode(*number).name().is_some());
    assert!(named.eq(CODES.map(|(number, ..)| number)));
    assert_eq!(ReplyCode::default(), ReplyCode::REPLY_SUCCESS);
}

#[test]
fn a_reply_code_that_nobody_knows_is_kept() {
    let code = ReplyCode(999);
    assert_eq!((code.name(), code.kind()), (None, None));
    assert_eq!(code.to_string(), "999");
    let close = channel::Close { reply_code: code, ..channel::Close::default() };
    let octets = encoded(&close);
    let read = ToClient::decode(channel::Close::ID, &mut Reader::new(&octets));
    assert_eq!(read, Ok(ToClient::ChannelClose(close)));
}

#[test]
fn constants_are_the_specification_s() {
    assert_eq!(constants::PORT, 5672);
    assert_eq!(constants::PROTOCOL_VERSION, (0, 9, 1));
    assert_eq!(constants::FRAME_METHOD, 1);
    assert_eq!(constants::FRAME_HEADER, 2);
    assert_eq!(constants::FRAME_BODY, 3);
    assert_eq!(constants::FRAME_HEARTBEAT, 8);
    assert_eq!(constants::FRAME_MIN_SIZE, 4096);
    assert_eq!(constants::FRAME_END, 0xCE);
}

#[test]
fn everything_can_be_sent_between_threads() {
    fn check<T: Send + Sync + Debug + Clone + Eq + 'static>() {}
    check::<AnyMethod>();
    check::<ToClient>();
    check::<ToServer>();
    check::<basic::Properties>();
    check::<basic::GetReply>();
    check::<ReplyCode>();
}
