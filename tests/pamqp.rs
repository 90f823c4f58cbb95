//! Everything that Python's pamqp 4 has, row by row of the README's table: one test a row, named after it.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091::any_frame::{AnyFrame, Header, UnmarshalError};
use amqp091::bytes::{Bytes, BytesMut};
use amqp091::frame::{FrameKind, FrameLimits, HEAD, Parsed, parse};
use amqp091::protocol::{
    AnyMethod, CLASSES, DOMAINS, ErrorKind, ReplyCode, ToClient, ToServer, basic, channel,
    connection, constants, exchange, method_info, method_named, queue, tx,
};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::reply_error::ReplyError;
use amqp091::types::schema::{FieldDefault, Rule, WireType};
use amqp091::types::{
    Decode, Encode, EncodeError, FieldRef, FieldTable, FieldValue, Method, MethodId, Profile,
    Reader, Reflect, Request, SentBy, ShortStr, Timestamp, Value, Writer,
};

fn short(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap()
}

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut octets = BytesMut::new();
    value.encode(&mut Writer::new(&mut octets)).unwrap();
    assert_eq!(octets.len(), value.encoded_len());
    octets.to_vec()
}

/// `Basic.Publish(exchange='logs', routing_key='a')`
fn publish() -> basic::Publish {
    basic::Publish { exchange: short("logs"), routing_key: short("a"), ..basic::Publish::default() }
}

const PUBLISH: &[u8] = b"\0\0\x04logs\x01a\0";

/// `Frame.name`, `Frame.frame_id`, `Frame.index`
#[test]
fn name_and_ids() {
    assert_eq!(basic::Publish::NAME, "basic.publish");
    assert_eq!(basic::Publish::ID, MethodId::new(60, 40));
    assert_eq!(AnyMethod::from(publish()).id(), MethodId::new(60, 40));
    assert_eq!(AnyMethod::from(publish()).info().own_name(), "publish");
}

/// `Frame.attributes()`, `Frame.amqp_type(attribute)`, `Frame.__annotations__`
#[test]
fn attributes_and_amqp_type() {
    let fields = basic::Publish::INFO.fields;
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["reserved-1", "exchange", "routing-key", "mandatory", "immediate"]);
    let types: Vec<_> = fields.iter().map(|field| field.wire_type.name()).collect();
    assert_eq!(types, ["short", "shortstr", "shortstr", "bit", "bit"]);
    assert_eq!(fields[1].domain, Some("exchange-name"));
    assert!(fields[0].reserved && !fields[1].reserved);
}

/// The keyword arguments' defaults: `Exchange.Declare()`, `Basic.Nack()`, `Connection.Open()`...
#[test]
fn defaults() {
    assert_eq!(exchange::Declare::default().r#type, "direct");
    assert!(basic::Reject::default().requeue && basic::Nack::default().requeue);
    assert!(!basic::Recover::default().requeue);
    assert_eq!(connection::Open::default().virtual_host, "/");
    let start = connection::Start::default();
    assert_eq!((start.version_major, start.version_minor), (0, 9));
    assert_eq!((start.mechanisms.to_str(), start.locales.to_str()), (Ok("PLAIN"), Ok("en_US")));
    let start_ok = connection::StartOk::default();
    assert_eq!((start_ok.mechanism, start_ok.locale), (short("PLAIN"), short("en_US")));

    let field = exchange::Declare::INFO.fields.iter().find(|field| field.name == "type").unwrap();
    assert_eq!(field.default, FieldDefault::Text("direct"));
}

/// What the tables say is what `Default` gives, for every method.
#[test]
fn defaults_are_those_of_the_tables() {
    for info in CLASSES.iter().flat_map(|class| class.methods) {
        let method = AnyMethod::new(info.id).unwrap();
        for (index, field) in info.fields.iter().enumerate() {
            let Some(value) = method.field_at(index) else {
                assert!(field.reserved, "{}.{}", info.name, field.name);
                continue;
            };
            let number = value.as_u64();
            let octets = value.as_bytes().map(<[u8]>::to_vec);
            let expected = match field.default {
                FieldDefault::True => value == FieldRef::Bit(true),
                FieldDefault::Number(default) => number == Some(default),
                FieldDefault::Text(text) => octets.as_deref() == Some(text.as_bytes()),
                FieldDefault::Zero => {
                    number.is_none_or(|number| number == 0)
                        && octets.is_none_or(|octets| octets.is_empty())
                        && value != FieldRef::Bit(true)
                }
                _ => false,
            };
            assert!(expected, "{}.{}: {value}", info.name, field.name);
        }
    }
}

/// `Frame.synchronous`, `Frame.valid_responses`. In the specification replies are synchronous too, in pamqp they aren't.
#[test]
fn synchronous_and_valid_responses() {
    let synchronous = |method: AnyMethod| method.info().synchronous;
    assert!(!synchronous(publish().into()) && synchronous(queue::Declare::default().into()));
    assert_eq!(queue::Declare::INFO.replies, [queue::DeclareOk::ID]);
    assert_eq!(basic::Get::INFO.replies, [basic::GetOk::ID, basic::GetEmpty::ID]);
    assert_eq!(basic::Ack::INFO.replies, []);
    fn reply_of<R: Request<Reply = queue::DeclareOk>>(_: &R) {}
    reply_of(&queue::Declare::default());
}

/// Who sends it, and whether content follows: pamqp leaves both to its user.
#[test]
fn direction_and_content() {
    assert_eq!(basic::Publish::SENT_BY, SentBy::Client);
    assert_eq!(basic::Deliver::SENT_BY, SentBy::Server);
    assert_eq!(channel::Close::SENT_BY, SentBy::Both);
    let has_content = |method: AnyMethod| method.has_content();
    assert!(has_content(publish().into()) && !has_content(basic::Ack::default().into()));
}

/// `commands.INDEX_MAPPING[index]`
#[test]
fn look_up_by_id() {
    let mut methods = 0;
    for class in CLASSES {
        for info in class.methods {
            assert_eq!(info.id.class_id, class.id);
            assert_eq!(method_info(info.id).map(|found| found.name), Some(info.name));
            assert_eq!(AnyMethod::new(info.id).map(|method| method.id()), Some(info.id));
            methods += 1;
        }
    }
    assert_eq!(methods, 64);
    assert!(method_info(MethodId::new(60, 41)).is_none());
    assert!(AnyMethod::new(MethodId::new(61, 40)).is_none());
}

/// `getattr(commands.Basic, 'Publish')`
#[test]
fn look_up_by_name() {
    assert_eq!(method_named("basic.publish").map(|info| info.id), Some(basic::Publish::ID));
    assert_eq!(method_named("tx.commit").map(|info| info.id), Some(tx::Commit::ID));
    assert!(method_named("basic.publsh").is_none());
    for info in CLASSES.iter().flat_map(|class| class.methods) {
        assert_eq!(method_named(info.name).map(|found| found.id), Some(info.id));
    }
}

/// `'exchange' in frame`, `frame['exchange']`, `dict(frame)`, `len(frame)`: of a method that nobody knows the type of
#[test]
fn fields_of_any_method() {
    let method = AnyMethod::from(publish());
    assert_eq!(method.field("exchange"), Some(FieldRef::ShortStr(&short("logs"))));
    assert_eq!(method.field("routing_key"), method.field("routing-key"));
    assert_eq!(method.field("reserved-1"), None);
    assert_eq!(method.field("nothing"), None);
    let fields: Vec<_> =
        method.fields().map(|(info, value)| format!("{}={value}", info.name)).collect();
    assert_eq!(
        fields,
        [r#"exchange="logs""#, r#"routing-key="a""#, "mandatory=false", "immediate=false"]
    );
    assert_eq!(
        method.describe().to_string(),
        r#"basic.publish(exchange: "logs", routing-key: "a", mandatory: false, immediate: false)"#
    );
}

/// `setattr(frame, name, value)`: any method can be made of names and values
#[test]
fn any_method_is_built_from_names_and_values() {
    let mut method = AnyMethod::new(method_named("basic.publish").unwrap().id).unwrap();
    method.set_field("exchange", FieldValue::ShortStr(short("logs"))).unwrap();
    method.set_field("routing_key", FieldValue::ShortStr(short("a"))).unwrap();
    assert_eq!(method, AnyMethod::from(publish()));

    let wrong = method.set_field("mandatory", FieldValue::Octet(1)).unwrap_err();
    assert_eq!(wrong.to_string(), "basic.publish.mandatory is a bit, not an octet");
    let reserved = method.set_field("reserved-1", FieldValue::Short(1)).unwrap_err();
    assert_eq!(
        reserved.to_string(),
        "basic.publish.reserved-1 is reserved: it is always sent as zero or empty"
    );
    let unknown = method.set_field("exchanges", FieldValue::Bit(true)).unwrap_err();
    assert_eq!(unknown.to_string(), "basic.publish has no field \"exchanges\"");
    assert_eq!(method, AnyMethod::from(publish()), "nothing was changed");
}

/// `dict(properties)`, and properties by name
#[test]
fn fields_of_properties() {
    let mut properties = basic::Properties::default().with_priority(3);
    properties.set_field("content-type", FieldValue::ShortStr(short("text/plain"))).unwrap();
    properties.set_field("timestamp", FieldValue::Timestamp(Timestamp(5))).unwrap();
    assert_eq!(properties.field("delivery-mode"), None);
    assert_eq!(
        properties.describe().to_string(),
        r#"basic.properties(content-type: "text/plain", priority: 3, timestamp: 5)"#
    );
    assert_eq!(basic::CLASS.properties.len(), 14);
}

/// `Frame.marshal()`, `Frame.unmarshal(data)`: the arguments alone
#[test]
fn arguments_to_octets_and_back() {
    assert_eq!(encoded(&publish()), PUBLISH);
    assert_eq!(basic::Publish::decode_all(PUBLISH), Ok(publish()));
}

/// `frame.marshal(frame, channel)`: methods, headers, bodies, heartbeats, protocol headers
#[test]
fn marshal() {
    let octets = |frame: AnyFrame, channel| {
        let mut out = BytesMut::new();
        frame.marshal(channel, &mut out).unwrap();
        out.to_vec()
    };
    assert_eq!(
        octets(basic::Ack { delivery_tag: 7, multiple: true }.into(), 1),
        b"\x01\0\x01\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\x07\x01\xce"
    );
    let properties = basic::Properties::default().with_delivery_mode(2);
    assert_eq!(
        octets(AnyFrame::Header(Header::new(10, &properties).unwrap()), 2),
        b"\x02\0\x02\0\0\0\x0f\0\x3c\0\0\0\0\0\0\0\0\0\x0a\x10\0\x02\xce"
    );
    assert_eq!(
        octets(AnyFrame::Body(Bytes::from_static(b"hello")), 3),
        b"\x03\0\x03\0\0\0\x05hello\xce"
    );
    assert_eq!(octets(AnyFrame::Heartbeat, 0), b"\x08\0\0\0\0\0\0\xce");
    assert_eq!(
        octets(AnyFrame::ProtocolHeader(ProtocolHeader::AMQP_0_9_1), 0),
        b"AMQP\0\0\x09\x01"
    );
}

/// `frame.unmarshal(data) -> (consumed, channel, frame)`
#[test]
fn unmarshal() {
    let mut wire = BytesMut::new();
    let properties = basic::Properties::default().with_delivery_mode(2);
    let frames = [
        (0, AnyFrame::ProtocolHeader(ProtocolHeader::AMQP_0_9_1)),
        (1, AnyFrame::from(publish())),
        (2, AnyFrame::Header(Header::new(5, &properties).unwrap())),
        (2, AnyFrame::Body(Bytes::from_static(b"hello"))),
        (0, AnyFrame::Heartbeat),
    ];
    for (channel, frame) in &frames {
        frame.marshal(*channel, &mut wire).unwrap();
    }
    let mut rest = &wire[..];
    for (channel, frame) in frames {
        let found = AnyFrame::unmarshal(rest, FrameLimits::default()).unwrap().unwrap();
        assert_eq!((found.channel, found.frame), (channel, frame));
        for cut in 0..found.consumed {
            let cut_short = AnyFrame::unmarshal(&rest[..cut], FrameLimits::default());
            assert_eq!(cut_short, Ok(None), "{cut} of {} octets", found.consumed);
        }
        rest = &rest[found.consumed..];
    }
    assert!(rest.is_empty());
}

/// `exceptions.UnmarshalingException`: what is no frame is an error, what isn't a whole one yet is none
#[test]
fn unmarshaling_exception() {
    let refused = |octets: &[u8]| AnyFrame::unmarshal(octets, FrameLimits::default()).unwrap_err();
    let error = refused(b"\x08\0\0\0\0\0\0\xcd");
    assert_eq!(error.to_string(), "Heartbeat frame on channel 0 ends with 0xcd, expected 0xce");
    assert_eq!(error.reply_code(), ReplyCode::FRAME_ERROR);

    let error = refused(b"\x01\0\x01\0\0\0\x04\0\x3c\0\x29\xce");
    assert_eq!(error.to_string(), "method 60.41 is not known");
    assert_eq!(error.reply_code(), ReplyCode::COMMAND_INVALID);

    let error = refused(b"\x01\0\x01\0\0\0\x04\0\x3c\0\x28\xce");
    let UnmarshalError::Method(method) = error else { panic!("{error}") };
    let cause = std::error::Error::source(&method).unwrap().to_string();
    assert_eq!(cause, "basic.publish.reserved-1: at octet 4: needs 2 octets, 0 are left");

    let error = refused(b"\x01\0\x01\0\0\0\x02\0\x3c\xce");
    assert_eq!(error.to_string(), "a method without its number");
    let error = refused(b"\x02\0\x01\0\0\0\x02\0\x3c\xce");
    assert_eq!(error.reply_code(), ReplyCode::SYNTAX_ERROR);
    assert!(matches!(refused(b"AMQX"), UnmarshalError::ProtocolHeader(_)));
}

/// `frame.frame_parts(data) -> (type, channel, size)`
#[test]
fn frame_parts() {
    let parsed = parse(b"\x03\0\x05\0\0\0\x02hi\xce", FrameLimits::default()).unwrap();
    let Parsed::Frame { frame, consumed } = parsed else { panic!("{parsed:?}") };
    assert_eq!((frame.kind, frame.channel, frame.payload), (FrameKind::Body, 5, &b"hi"[..]));
    assert_eq!(consumed, 10);
    let cut = parse(b"\x03\0\x05\0\0\0\x02h", FrameLimits::default());
    assert_eq!(cut, Ok(Parsed::Incomplete { needed: 10 }));
}

/// `header.ContentHeader(weight, body_size, properties)`, `Basic.Properties.flags`, `.encode_property`
#[test]
fn content_header_and_properties() {
    let headers = FieldTable::new().with(short("n"), 1);
    let properties =
        basic::Properties::default().with_content_type(short("a/b")).with_headers(headers);
    let header = Header::new(u64::MAX, &properties).unwrap();
    assert_eq!((header.class_id, header.body_size), (basic::CLASS_ID, u64::MAX));
    assert_eq!(header.properties.as_bytes()[..2], [0xA0, 0], "content-type and headers");
    assert_eq!(header.decode(), Ok(properties.clone().into()));
    assert_eq!(header.properties.decode::<basic::Properties>(), Ok(properties));

    // The class decides what the properties are.
    let error = Header { class_id: 50, ..header }.decode().unwrap_err();
    assert_eq!(
        error.cause().to_string(),
        "class-id: at octet 0: class 50 has no content properties"
    );
}

/// `Frame.validate()`: the specification's assertions, and pamqp's
#[test]
fn validate() {
    let ok = |method: &dyn Reflect, profile| method.violations(profile).is_empty();
    let strict = |method: &dyn Reflect| method.violations(Profile::Specification);

    let mut declare = queue::Declare { queue: short("work"), ..queue::Declare::default() };
    assert_eq!(declare.validate(), Ok(()));
    declare.queue = short("a/b c");
    let error = declare.validate().unwrap_err();
    assert_eq!(error.to_string(), r#"queue.declare.queue: "a/b c" must match ^[a-zA-Z0-9-_.:]*$"#);
    assert_eq!((error.owner(), error.field()), ("queue.declare", "queue"));
    assert_eq!(error.value(), r#""a/b c""#);
    assert!(matches!(error.rule(), Rule::Pattern(_)));
    assert!(ok(&declare, Profile::Pamqp));
    declare.queue = short("naïve");
    assert!(!ok(&declare, Profile::Pamqp), "pamqp knows no such letter");

    declare.queue = short(&"q".repeat(128));
    assert!(matches!(strict(&declare)[..], [ref error] if error.rule() == Rule::MaxLength(127)));
    assert!(ok(&declare, Profile::Pamqp), "to pamqp, names of queues are as long as they like");
    let bind = exchange::Bind {
        source: short(&"x".repeat(128)),
        destination: short("*"),
        ..exchange::Bind::default()
    };
    assert_eq!(strict(&bind).len(), 2, "one for each field");
    assert_eq!(bind.violations(Profile::Pamqp).len(), 2);

    let open = connection::Open { virtual_host: short("") };
    assert_eq!(
        strict(&open)[0].to_string(),
        r#"connection.open.virtual-host: "" must not be empty"#
    );
    assert!(ok(&open, Profile::Pamqp));
    let open = connection::Open { virtual_host: short(&"v".repeat(128)) };
    assert!(!ok(&open, Profile::Pamqp));

    let properties = basic::Properties::default().with_delivery_mode(3).with_cluster_id(short("x"));
    let texts: Vec<_> = strict(&properties).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "basic.properties.delivery-mode: 3 must be 1 or 2",
            r#"basic.properties.cluster-id: "x" must be empty"#,
        ]
    );
    assert_eq!(properties.violations(Profile::Pamqp).len(), 2);
    assert_eq!(basic::Properties::default().with_delivery_mode(2).validate(), Ok(()));
    assert_eq!(AnyMethod::from(publish()).validate(), Ok(()));
}

/// No credentials in an error.
#[test]
fn validate_hides_secrets() {
    let response = connection::SecureOk::default();
    let error = response.validate().unwrap_err();
    assert_eq!(error.to_string(), "connection.secure-ok.response: what it holds must not be empty");
    assert_eq!(error.value(), "");
    let secret = connection::UpdateSecret {
        new_secret: "token".into(),
        ..connection::UpdateSecret::default()
    };
    assert!(!secret.describe().to_string().contains("token"));
}

/// The assertion that compares with the method answered, which pamqp hasn't
#[test]
fn validate_against_what_is_answered() {
    let tune = connection::Tune { channel_max: 100, ..connection::Tune::default() };
    let answer = |channel_max| connection::TuneOk { channel_max, ..connection::TuneOk::default() };
    assert_eq!(answer(100).validate_reply_to(&tune), []);
    let too_many = answer(101).validate_reply_to(&tune);
    assert_eq!(
        too_many[0].to_string(),
        "connection.tune-ok.channel-max: 101 must be at most connection.tune's channel-max"
    );
    assert_eq!(answer(0).validate_reply_to(&tune).len(), 1, "no limit is more than a limit");
    let unlimited = connection::Tune::default();
    assert_eq!(answer(65_535).validate_reply_to(&unlimited), []);
    assert_eq!(answer(101).validate(), Ok(()), "nothing to compare with");
    assert_eq!(answer(101).validate_reply_to(&connection::Blocked::default()), []);
}

/// `encode.by_type(value, type)`, `decode.by_type(value, type)`, `encode.bit`, `decode.bit`
#[test]
fn fields_by_type() {
    let table = FieldTable::new().with(short("k"), true);
    let all = [
        (WireType::Bit, FieldValue::Bit(true), &b"\x01"[..]),
        (WireType::Octet, FieldValue::Octet(255), b"\xff"),
        (WireType::Short, FieldValue::Short(0x102), b"\x01\x02"),
        (WireType::Long, FieldValue::Long(0x0102_0304), b"\x01\x02\x03\x04"),
        (WireType::LongLong, FieldValue::LongLong(u64::MAX), &[255; 8]),
        (WireType::ShortStr, FieldValue::ShortStr(short("ab")), b"\x02ab"),
        (WireType::LongStr, FieldValue::LongStr("ab".into()), b"\0\0\0\x02ab"),
        (WireType::Timestamp, FieldValue::Timestamp(Timestamp(1)), b"\0\0\0\0\0\0\0\x01"),
        (WireType::Table, FieldValue::Table(table), b"\0\0\0\x04\x01kt\x01"),
    ];
    for (wire_type, value, octets) in all {
        assert_eq!(encoded(&value.as_field_ref()), octets, "{wire_type}");
        let mut input = Reader::new(octets);
        assert_eq!(FieldValue::decode(wire_type, &mut input, "field"), Ok(value.clone()));
        assert_eq!(input.remaining(), 0);
        assert_eq!(value.as_field_ref().wire_type(), wire_type);
        assert_eq!(FieldValue::from(value.as_field_ref()), value);
    }
}

/// `constants.*`
#[test]
fn constants_of_the_protocol() {
    assert_eq!(constants::PORT, 5672);
    assert_eq!(constants::PROTOCOL_VERSION, (0, 9, 1));
    assert_eq!((constants::FRAME_END, HEAD), (0xCE, 7));
    assert_eq!(constants::FRAME_MIN_SIZE, 4096);
    let types = [constants::FRAME_METHOD, constants::FRAME_HEADER, constants::FRAME_BODY];
    assert_eq!((types, constants::FRAME_HEARTBEAT), ([1, 2, 3], 8));
    assert_eq!(ReplyCode::REPLY_SUCCESS, ReplyCode(200));
}

/// `constants.DOMAINS`, `constants.DOMAIN_REGEX`, `constants.DATA_TYPES`
#[test]
fn domains() {
    let domain = |name: &str| DOMAINS.iter().find(|domain| domain.name == name).unwrap();
    assert_eq!(domain("queue-name").wire_type, WireType::ShortStr);
    assert_eq!(domain("delivery-tag").wire_type, WireType::LongLong);
    let [Rule::MaxLength(127), Rule::Pattern(pattern)] = domain("queue-name").rules else {
        panic!("{:?}", domain("queue-name"))
    };
    let allowed: String =
        (0..=255).filter(|octet| pattern.allows(*octet)).map(char::from).collect();
    assert_eq!(allowed, "-.0123456789:ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
    for class in CLASSES {
        let fields = class.methods.iter().flat_map(|method| method.fields);
        for field in fields.chain(class.properties) {
            if let Some(name) = field.domain {
                assert_eq!(domain(name).wire_type, field.wire_type, "{}", field.name);
            }
        }
    }
}

/// `exceptions.CLASS_MAPPING`, `AMQPSoftError`, `AMQPHardError`; what py-amqp calls recoverable
#[test]
fn reply_codes() {
    let soft = [311, 312, 313, 403, 404, 405, 406];
    let hard = [320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541];
    let recoverable = [311, 313, 320, 405, 506];
    let known: Vec<_> = ReplyCode::ALL.iter().map(|code| code.0).collect();
    let mut expected: Vec<_> = soft.iter().chain(&hard).chain(&[200]).copied().collect();
    expected.sort_unstable();
    assert_eq!(known, expected);
    for code in ReplyCode::ALL {
        let kind = if soft.contains(&code.0) {
            Some(ErrorKind::Soft)
        } else {
            hard.contains(&code.0).then_some(ErrorKind::Hard)
        };
        assert_eq!(code.kind(), kind, "{code}");
        assert_eq!(code.is_recoverable(), kind.map(|_| recoverable.contains(&code.0)), "{code}");
        assert!(code.name().is_some() && code.description().is_some(), "{code}");
    }
    let unknown = ReplyCode(999);
    assert_eq!((unknown.name(), unknown.kind(), unknown.is_recoverable()), (None, None, None));
    assert_eq!(ReplyCode::NOT_FOUND.to_string(), "404 NOT_FOUND");
}

/// `raise exceptions.CLASS_MAPPING[close.reply_code](close.reply_text)`
#[test]
fn errors_made_from_reply_codes() {
    let close = channel::Close {
        reply_code: ReplyCode::NOT_FOUND,
        reply_text: short("NOT_FOUND - no queue 'q'"),
        class_id: 50,
        method_id: 10,
    };
    let error = ReplyError::from(close.clone());
    assert_eq!((error.method, error.ends), (Some(queue::Declare::ID), Some(ErrorKind::Soft)));
    assert_eq!(
        error.to_string(),
        "404 NOT_FOUND: NOT_FOUND - no queue 'q' (queue.declare, ends the channel)"
    );
    assert_eq!(error.to_channel_close(), close);

    // A login that fails ends the connection, although the code is soft: the method is right.
    let refused = connection::Close {
        reply_code: ReplyCode::ACCESS_REFUSED,
        reply_text: short("no"),
        ..connection::Close::default()
    };
    let error = ReplyError::from(refused.clone());
    assert_eq!((error.kind(), error.method), (ErrorKind::Hard, None));
    assert_eq!(error.to_string(), "403 ACCESS_REFUSED: no (ends the connection)");
    assert_eq!(error.to_connection_close(), refused);

    let returned = basic::Return {
        reply_code: ReplyCode::NO_ROUTE,
        reply_text: short("NO_ROUTE"),
        ..basic::Return::default()
    };
    let error = ReplyError::from(returned);
    assert_eq!(error.to_string(), "312 NO_ROUTE: NO_ROUTE (returns a message)");

    let error = ReplyError::new(ReplyCode::INTERNAL_ERROR, "ü".repeat(200));
    assert_eq!((error.kind(), error.text.len()), (ErrorKind::Hard, 254), "cut between letters");
    let error = error.caused_by(MethodId::new(99, 1));
    assert!(error.to_string().ends_with("(method 99.1, ends the connection)"));
}

/// `common.FieldTable`, `common.FieldArray`, `common.FieldValue`: the tags that pamqp reads and writes
#[test]
fn values_of_tables() {
    let all: [(Value, &[u8]); 17] = [
        (Value::Bool(true), b"t\x01"),
        (Value::I8(-1), b"b\xff"),
        (Value::U8(255), b"B\xff"),
        (Value::I16(-2), b"s\xff\xfe"),
        (Value::U16(65_535), b"u\xff\xff"),
        (Value::I32(-3), b"I\xff\xff\xff\xfd"),
        (Value::U32(u32::MAX), b"i\xff\xff\xff\xff"),
        (Value::I64(i64::MIN), b"l\x80\0\0\0\0\0\0\0"),
        (Value::F32(1.5), b"f\x3f\xc0\0\0"),
        (Value::F64(-2.0), b"d\xc0\0\0\0\0\0\0\0"),
        (Value::Decimal(amqp091::types::Decimal { scale: 2, value: -5 }), b"D\x02\xff\xff\xff\xfb"),
        (Value::LongStr("hi".into()), b"S\0\0\0\x02hi"),
        (Value::Array(vec![Value::Void, Value::Bool(false)]), b"A\0\0\0\x03Vt\0"),
        (Value::Timestamp(Timestamp(1)), b"T\0\0\0\0\0\0\0\x01"),
        (Value::Table(FieldTable::new().with(short("k"), Value::Void)), b"F\0\0\0\x03\x01kV"),
        (Value::Void, b"V"),
        (Value::Bytes(Bytes::from_static(b"\xff")), b"x\0\0\0\x01\xff"),
    ];
    for (value, octets) in all {
        let table = FieldTable::new().with(short("k"), value);
        let mut expected = vec![0, 0, 0, octets.len() as u8 + 2, 1, b'k'];
        expected.extend_from_slice(octets);
        assert_eq!(encoded(&table), expected);
        assert_eq!(FieldTable::decode_all(&expected), Ok(table));
    }
}

/// `encode.encode_table_value(value)`, `decode.embedded_value(data)`
#[test]
fn values_alone() {
    let nested = Value::Array(vec![Value::Table(FieldTable::new().with(short("k"), 1))]);
    let octets = b"A\0\0\0\x0cF\0\0\0\x07\x01kI\0\0\0\x01";
    assert_eq!(encoded(&nested), octets);
    assert_eq!(Value::decode_all(octets), Ok(nested));

    let mut input = Reader::new(b"t\x01V");
    assert_eq!(Value::decode(&mut input), Ok(Value::Bool(true)));
    assert_eq!(input.offset(), 2, "the next value stands behind it");
    let error = Value::decode_all(b"A\0\0\0\x02I\0").unwrap_err();
    assert_eq!(error.to_string(), "value: at octet 6: needs 4 octets, 1 is left in the table");
    assert!(Value::decode_all(b"?").is_err() && Value::decode_all(b"").is_err());
}

/// `encode.table_integer(value)`
#[test]
fn integers_of_the_smallest_type() {
    let all = [
        (b'b', vec![0, -1, 127, -128]),
        (b's', vec![128, 255, -129, 32_767, -32_768]),
        (b'u', vec![32_768, 65_535]),
        (b'I', vec![65_536, -32_769, 2_147_483_647, -2_147_483_648]),
        (b'i', vec![2_147_483_648, 4_294_967_295]),
        (b'l', vec![4_294_967_296, -2_147_483_649, i64::MAX, i64::MIN]),
    ];
    for (tag, integers) in all {
        for integer in integers {
            let value = Value::smallest_integer(integer);
            assert_eq!(encoded(&value)[0], tag, "{integer}");
            assert_eq!(value.as_i64(), Some(integer));
        }
    }
}

/// What `frame.marshal` of pamqp writes although nobody could read it
#[test]
fn marshal_refuses_what_is_no_frame() {
    let mut out = BytesMut::from(&b"before"[..]);
    let body = AnyFrame::Body(Bytes::from_static(b"x"));
    assert_eq!(body.marshal(0, &mut out), Err(EncodeError::ContentOnChannelZero));
    let header = AnyFrame::Header(Header::new(1, &basic::Properties::default()).unwrap());
    assert_eq!(header.marshal(0, &mut out), Err(EncodeError::ContentOnChannelZero));
    assert_eq!(out, &b"before"[..]);
}

/// A method that came in a frame, for a `match` that is exhaustive over what a side receives
#[test]
fn any_method_to_what_a_side_receives() {
    let publish = AnyMethod::from(publish());
    assert!(matches!(ToServer::try_from(publish.clone()), Ok(ToServer::BasicPublish(_))));
    assert_eq!(ToClient::try_from(publish.clone()), Err(publish));
    let close = AnyMethod::from(channel::Close::default());
    assert!(ToServer::try_from(close.clone()).is_ok() && ToClient::try_from(close).is_ok());
}
