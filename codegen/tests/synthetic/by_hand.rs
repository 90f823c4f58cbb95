//! What the generated tests can't know: octets and facts written down by hand.

use crate::generated::{
    AnyMethod, ErrorKind, ReplyCode, ToClient, ToServer, constants, fields, r#loop, method_name,
    plain,
};
use amqp091_types::{
    Decode, Encode, FieldTable, LongStr, Method, MethodError, MethodId, Reader, Reply, Request,
    SentBy, ShortStr, Timestamp, Writer,
};
use bytes::BytesMut;

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut octets = BytesMut::new();
    value.encode(&mut Writer::new(&mut octets)).unwrap();
    octets.to_vec()
}

#[test]
fn bits_fill_octets_from_the_least_significant() {
    let bits = fields::Bits {
        bit_1: true,
        bit_8: true,
        bit_9: true,
        bit_11: true,
        between: 0xAA,
        bit_13: true,
        between_too: 0xBBCC,
        bit_14: true,
        ..fields::Bits::default()
    };
    let octets = [0b1000_0001, 0b101, 0xAA, 0b10, 0xBB, 0xCC, 0b1];
    assert_eq!(encoded(&bits), octets);
    // Bits that stand for nothing are ignored.
    let noisy = [0b1000_0001, 0b1111_1101, 0xAA, 0b0111_1110, 0xBB, 0xCC, 0xFF];
    assert_eq!(fields::Bits::decode(&mut Reader::new(&noisy)), Ok(bits));
    assert_eq!(encoded(&fields::Eight::default()), [0]);
}

#[test]
fn reserved_fields_are_written_as_nothing_and_read_unseen() {
    let octets = encoded(&fields::AllReserved);
    assert_eq!(octets, [0; 1 + 2 + 4 + 8 + 1 + 4 + 8 + 4 + 1]);
    let mut noisy = vec![0xFF; 1 + 2 + 4 + 8];
    noisy.extend(b"\x02\xFF\xFE");
    noisy.extend(b"\x00\x00\x00\x01x");
    noisy.extend([0xFF; 8]);
    // No table at all: unknown tags and lengths that lead nowhere.
    noisy.extend(b"\x00\x00\x00\x03\xFF\xFF\xFF");
    noisy.push(0xFF);
    let mut input = Reader::new(&noisy);
    assert_eq!(fields::AllReserved::decode(&mut input), Ok(fields::AllReserved));
    assert_eq!(input.finish(), Ok(()));

    let between =
        fields::ReservedBetween { first: true, second: true, ..fields::ReservedBetween::default() };
    assert_eq!(encoded(&between), [0b1010, 0, 0]);
}

#[test]
fn properties_have_flags_from_the_highest() {
    assert_eq!(encoded(&r#loop::Properties::default()), [0, 0]);
    let properties = r#loop::Properties::default()
        .with_type(ShortStr::new("t").unwrap())
        .with_flag(true)
        .with_flags(7)
        .with_code(ReplyCode::SOFT_ONE.0)
        .with_last(true);
    let octets = [0b1110_0000, 0b0000_0110, 1, b't', 7, 1, 54];
    assert_eq!(encoded(&properties), octets);
    // Reserved ones are skipped: a short, a bit that has no octet, and a string. The lowest bit announces nothing.
    let noisy = [0b1110_1110, 0b0000_0111, 1, b't', 7, 0xFF, 0xFF, 1, 0xFF, 1, 54];
    let mut input = Reader::new(&noisy);
    assert_eq!(r#loop::Properties::decode(&mut input), Ok(properties));
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn every_type_is_what_it_should_be() {
    let fields::AllTypes { octet, short, long, longlong, shortstr, longstr, timestamp, table, bit } =
        fields::AllTypes::default();
    let _: (u8, u16, u32, u64, bool) = (octet, short, long, longlong, bit);
    let _: (ShortStr, LongStr, Timestamp, FieldTable) = (shortstr, longstr, timestamp, table);
    let _: (u8, u16, u32, u64) =
        (constants::FRAME_END, constants::TYPE, constants::LARGE, constants::LARGEST);
    let _: u32 = constants::ADDED;
    assert_eq!(constants::PORT, 65_000);
    assert_eq!(constants::PROTOCOL_VERSION, (1, 22, 3));
    assert_eq!(r#loop::CLASS_ID, 20);
}

#[test]
fn methods_say_what_they_are() {
    assert_eq!(plain::Empty::ID, MethodId::new(300, 65_535));
    assert_eq!(plain::Empty::NAME, "plain.empty");
    assert_eq!(plain::Empty::SENT_BY, SentBy::Client);
    assert_eq!(r#loop::NoAnswer::SENT_BY, SentBy::Server);
    // The base has only the server receive the one, and only the client the other.
    assert_eq!(r#loop::Ask::SENT_BY, SentBy::Both);
    assert_eq!(r#loop::Answer::SENT_BY, SentBy::Both);
    let flags = [
        (r#loop::Ask::SYNCHRONOUS, r#loop::Ask::HAS_CONTENT),
        (r#loop::Answer::SYNCHRONOUS, r#loop::Answer::HAS_CONTENT),
        (r#loop::Send::SYNCHRONOUS, r#loop::Send::HAS_CONTENT),
    ];
    assert_eq!(flags, [(true, false), (true, true), (false, true)]);
    assert_eq!(method_name(MethodId::new(10, 7)), Some("fields.ok"));
    assert_eq!(method_name(MethodId::new(10, 77)), None);
}

#[test]
fn replies_are_one_of_those_that_the_request_names() {
    type AskReply = <r#loop::Ask as Request>::Reply;
    let (answer, no_answer) = (r#loop::Answer::ID, r#loop::NoAnswer::ID);
    assert_eq!(AskReply::METHODS, [answer, no_answer]);
    assert_eq!(
        AskReply::decode_reply(answer, &mut Reader::new(b"\x01a")),
        Ok(r#loop::AskReply::Answer(r#loop::Answer { name: ShortStr::new("a").unwrap() }))
    );
    assert_eq!(
        AskReply::decode_reply(no_answer, &mut Reader::new(b"\x01a")),
        Ok(r#loop::AskReply::NoAnswer(r#loop::NoAnswer))
    );
    let id = r#loop::Ask::ID;
    assert_eq!(
        AskReply::decode_reply(id, &mut Reader::new(b"")),
        Err(MethodError::NotExpected { id })
    );

    type SelfReply = <fields::Self_ as Request>::Reply;
    let id = fields::OkOk::ID;
    assert_eq!(SelfReply::METHODS, [id]);
    assert_eq!(SelfReply::decode_reply(id, &mut Reader::new(b"")), Ok(fields::OkOk));
    let too_long = SelfReply::decode_reply(id, &mut Reader::new(b"\0"));
    assert!(matches!(too_long, Err(MethodError::Arguments { .. })));
    let id = MethodId::new(1, 2);
    assert_eq!(
        SelfReply::decode_reply(id, &mut Reader::new(b"")),
        Err(MethodError::Unknown { id })
    );
}

#[test]
fn enums_refuse_what_they_do_not_have() {
    let id = MethodId::new(10, 77);
    let unknown = MethodError::Unknown { id };
    assert_eq!(AnyMethod::decode(id, &mut Reader::new(b"")), Err(unknown));
    assert_eq!(ToClient::decode(id, &mut Reader::new(b"")), Err(unknown));
    assert_eq!(ToServer::decode(id, &mut Reader::new(b"")), Err(unknown));
    let other = AnyMethod::from(plain::Empty);
    assert_eq!(fields::Ok_::try_from(other.clone()), Err(other));
}

#[test]
fn errors_name_the_field() {
    let error = r#loop::Answer::decode(&mut Reader::new(b"\x02a")).unwrap_err();
    assert_eq!(error.field(), "loop.answer.name");
    let error = r#loop::Properties::decode(&mut Reader::new(b"\x80\x00")).unwrap_err();
    assert_eq!(error.field(), "loop.properties.type");
}

#[test]
fn reply_codes_are_open() {
    assert_eq!(ReplyCode::default(), ReplyCode::REPLY_SUCCESS);
    assert_eq!(ReplyCode::SOFT_ONE.to_string(), "310 SOFT_ONE");
    assert_eq!(ReplyCode(999).to_string(), "999");
    assert_eq!(ReplyCode::ADDED_CODE.kind(), Some(ErrorKind::Soft));
    assert_eq!(ReplyCode::HARD_ONE.kind(), Some(ErrorKind::Hard));
    assert_eq!(ReplyCode::REPLY_SUCCESS.kind(), None);
    assert_eq!(ReplyCode(999).kind(), None);
    assert_eq!(encoded(&ReplyCode(0x1234)), [0x12, 0x34]);
    let read = ReplyCode::decode(&mut Reader::new(&[0x12, 0x34]));
    assert_eq!(read.map(u16::from), Ok(0x1234));
}
