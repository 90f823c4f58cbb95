//! What has brought other implementations of AMQP down, each by the name of the fault that it found there.
//!
//! Each ends with an answer here, and within bounds; the stack is a small one. How much memory is taken is measured in
//! `tests/hostile_memory.rs`.

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::{Assembler, ContentError, RawProperties};
use amqp091::encode;
use amqp091::frame::{FrameDecoder, FrameError, FrameKind, FrameLimits, Parsed, parse};
use amqp091::protocol::{AnyMethod, ToClient, basic, connection, queue};
use amqp091::types::limits::{TABLE_DEPTH_MAX, TABLE_VALUES_MAX};
use amqp091::types::{
    Decode, DecodeReason, Encode, EncodeError, FieldTable, LongStr, MethodError, Reader, ShortStr,
    Value, Writer,
};

use crate::hex::octets;
use crate::{field_table, frame_stream, methods, properties};

/// Runs in a thread with a quarter of the usual stack: in an unoptimised build, what nests as deep as it may takes most of it.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap().join().unwrap()
}

fn end(needed: usize, available: usize) -> DecodeReason {
    DecodeReason::UnexpectedEnd { needed, available }
}

fn reason_of_method(payload: &[u8]) -> DecodeReason {
    match AnyMethod::from_payload(payload).unwrap_err() {
        MethodError::Arguments { source, .. } => source.reason(),
        error => panic!("{error}"),
    }
}

/// `depth` containers in each other, from the inside out; `open` is what stands before a container's length.
fn nested(depth: usize, open: impl Fn(usize) -> &'static [u8]) -> Vec<u8> {
    let sizes: Vec<usize> = (0..depth).map(|level| open(level).len() + 4).collect();
    let mut left: usize = sizes.iter().sum();
    let mut octets = Vec::new();
    for (level, size) in sizes.iter().enumerate() {
        left -= size;
        octets.extend_from_slice(open(level));
        octets.extend_from_slice(&u32::try_from(left).unwrap().to_be_bytes());
    }
    octets
}

// --- Nesting: a recursive decoder without a limit overflows the stack (rabbitmq-c before 0.14) ---

#[test]
fn nesting_100_000_deep() {
    let tables = |level| if level == 0 { &b""[..] } else { b"\x00F" };
    let arrays = |level| match level {
        0 => &b""[..],
        1 => b"\x00A",
        _ => b"A",
    };
    let mixed = |level: usize| match level {
        0 => &b""[..],
        level if level % 2 == 1 => b"\x00A",
        _ => b"F",
    };
    for table in [nested(100_000, tables), nested(100_000, arrays), nested(100_000, mixed)] {
        on_a_small_stack(move || {
            let error = Reader::new(&table).table("headers").unwrap_err();
            assert_eq!(error.reason(), DecodeReason::TooDeep { limit: TABLE_DEPTH_MAX });
            assert!(error.offset() < 7 * (TABLE_DEPTH_MAX + 1), "{error}");

            // In a message, it is that message's fault, and it can be passed on; in a method, the connection's.
            let raw = [&[0x20, 0x00], &table[..]].concat();
            let raw = RawProperties::new(Bytes::from(raw));
            let error = raw.decode::<basic::Properties>().unwrap_err();
            assert_eq!(error.cause().field(), "basic.properties.headers");
            let declare = [&octets("0032 000a 0000 00 00")[..], &table].concat();
            let reason = reason_of_method(&declare);
            assert_eq!(reason, DecodeReason::TooDeep { limit: TABLE_DEPTH_MAX });
        });
    }
}

#[test]
fn nesting_at_the_limit_is_read_compared_shown_written_and_dropped() {
    let table = nested(TABLE_DEPTH_MAX, |level| if level == 0 { b"" } else { b"\x00F" });
    assert!(Reader::new(&table).table("headers").is_ok());
    on_a_small_stack(move || field_table::check(&table));
}

// --- Lengths that are believed (CVE-2019-18609; amqp091-go before 1.14) ---

#[test]
fn tables_strings_and_arrays_that_claim_4_gib() {
    for claim in [u32::MAX, 0x8000_0000, 0x7FFF_FFFF] {
        let claimed = claim as usize;
        let claim = claim.to_be_bytes();
        for tag in *b"SxAF" {
            let table = [&[0, 0, 0, 7, 0, tag], &claim[..], &[0]].concat();
            let error = Reader::new(&table).table("headers").unwrap_err();
            let reason = DecodeReason::TableLengthMismatch { needed: claimed, available: 1 };
            assert_eq!((error.offset(), error.reason()), (10, reason));
            field_table::check(&table);
        }
        assert_eq!(Reader::new(&claim).table("t").unwrap_err().reason(), end(claimed, 0));
        assert_eq!(Reader::new(&claim).long_str("s").unwrap_err().reason(), end(claimed, 0));
        let start_ok = [&octets("000a 000b 00000000 00")[..], &claim, b"x"].concat();
        assert_eq!(reason_of_method(&start_ok), end(claimed, 1));
    }
}

#[test]
fn a_length_that_is_negative_where_integers_are_signed() {
    // -1 and -5 as lengths of a byte array: what comes behind them is not read twice, nor backwards.
    for length in ["ffffffff", "fffffffb"] {
        let table = octets(&format!("00000009 01 6b 78 {length} 00 00"));
        field_table::check(&table);
        assert!(Reader::new(&table).table("headers").is_err());
    }
}

#[test]
fn lengths_whose_sum_overflows_32_bits() {
    // Two entries of which each would do, but whose ends wrap round.
    let table = octets("0000000e 00 53 00000001 61 00 53 fffffff8 00");
    let error = Reader::new(&table).table("headers").unwrap_err();
    let reason = DecodeReason::TableLengthMismatch { needed: 0xFFFF_FFF8, available: 1 };
    assert_eq!((error.offset(), error.reason()), (17, reason));
}

#[test]
fn a_table_longer_than_64_kib_is_not_cut_to_16_bits() {
    let mut table = FieldTable::new();
    for number in 0..2000 {
        table.push(ShortStr::new(format!("key-{number}")).unwrap(), "x".repeat(40));
    }
    let declare = queue::Declare { arguments: table.clone(), ..Default::default() };
    assert!(declare.encoded_len() > 65_536);
    let mut frame = BytesMut::new();
    encode::method(&mut frame, 1, &declare).unwrap();
    let frame = FrameDecoder::default().decode(&mut frame).unwrap().unwrap();
    let read = AnyMethod::from_payload(&frame.payload).unwrap();
    assert_eq!(read, AnyMethod::QueueDeclare(declare));
    methods::check(&frame.payload);
}

// --- Loops that make no progress (pamqp's issues 63 and 64) ---

#[test]
fn a_table_of_entries_without_octets_comes_to_an_end() {
    // An empty key and a value of nothing are two octets: as many entries as fit.
    let table = octets("00000008 00 56 00 56 00 56 00 56");
    assert_eq!(Reader::new(&table).table("headers").unwrap().len(), 4);
    field_table::check(&table);
    // And in an array one.
    let array = octets("00000009 00 41 00000003 56 56 56");
    field_table::check(&array);
    // Empty containers in a container.
    let empties = octets("00000012 00 41 0000000c 41 00000000 46 00000000 56 56");
    field_table::check(&empties);
    assert!(Reader::new(&empties).table("headers").is_ok());
}

#[test]
fn a_table_of_zeros_comes_to_an_end() {
    for len in 0..64_u32 {
        let table = [&len.to_be_bytes()[..], &vec![0; len as usize]].concat();
        assert_eq!(Reader::new(&table).table("headers").is_ok(), len == 0);
        field_table::check(&table);
    }
}

#[test]
fn property_flags_that_always_announce_more_come_to_an_end() {
    // Bit 0 announces another word of flags; RabbitMQ passes it through without one.
    for flags in ["0001", "0003", "0001 0001", "0001*100", "ffff ffff ffff", "8001 00 0001"] {
        properties::check(&octets(flags));
    }
    let raw = |text| RawProperties::new(Bytes::from(octets(text))).decode::<basic::Properties>();
    assert_eq!(raw("0001"), Ok(basic::Properties::default()));
    assert_eq!(raw("0003"), Ok(basic::Properties::default()));
    assert!(raw("0001 0001").is_err());
}

// --- Memory: many values of few octets each take many times what they are on the wire ---

#[test]
fn a_table_of_more_values_than_the_limit() {
    let table = |entries: usize| {
        let entries = b"\x00V".repeat(entries);
        [&u32::try_from(entries.len()).unwrap().to_be_bytes()[..], &entries].concat()
    };
    let most = table(TABLE_VALUES_MAX);
    assert_eq!(Reader::new(&most).table("headers").unwrap().len(), TABLE_VALUES_MAX);
    let error = Reader::new(&table(TABLE_VALUES_MAX + 1)).table("headers").unwrap_err();
    assert_eq!(error.reason(), DecodeReason::TooManyValues { limit: TABLE_VALUES_MAX });
    assert_eq!(error.offset(), most.len());
    field_table::check(&most);
    field_table::check(&table(TABLE_VALUES_MAX + 1));
}

// --- Frames ---

#[test]
fn a_frame_shorter_than_what_it_has_to_hold() {
    // Reads beyond the end in rabbitmq-c (GHSA-9mmv-r8g3-qp46).
    for size in 0..4_u8 {
        let method = [&[1, 0, 0, 0, 0, 0, size], &vec![0; size.into()][..], &[0xCE]].concat();
        frame_stream::check(&method);
        let payload = &method[7..7 + usize::from(size)];
        assert!(matches!(AnyMethod::from_payload(payload), Err(MethodError::Number { .. })));
    }
    for size in 0..12_u8 {
        let header = [&[2, 0, 1, 0, 0, 0, size], &vec![0; size.into()][..], &[0xCE]].concat();
        let deliver = frame_of(&basic::Deliver::default());
        frame_stream::check(&[deliver, header].concat());
        let mut assembler = Assembler::new(100);
        assembler.begin(basic::CLASS_ID).unwrap();
        let error = assembler.header(Bytes::from(vec![0; size.into()])).unwrap_err();
        assert_eq!(error, ContentError::HeaderCutShort { len: size.into() });
    }
}

#[test]
fn a_frame_size_of_4_gib_is_refused_by_its_head() {
    for kind in [1, 2, 3] {
        let head = [kind, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        let error = parse(&head, FrameLimits::default()).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { size: u32::MAX, .. }), "{error}");
        frame_stream::check(&head);
    }
    // Where such frames are allowed, adding the overhead does not overflow.
    let limits = FrameLimits::from_frame_max(u32::MAX);
    let needed = u32::MAX as usize + 8;
    assert_eq!(
        parse(&[3, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF], limits),
        Ok(Parsed::Incomplete { needed })
    );
}

#[test]
fn a_frame_max_below_4096_leaves_room_to_work() {
    // GHSA-jh48-qjf5-fx5v, and amqplib before 2.3: buffers of a size that a server's tune chose.
    for frame_max in [0, 1, 7, 8, 9, 4095] {
        let tune = connection::Tune { frame_max, ..Default::default() };
        let frame = frame_of(&tune);
        frame_stream::check(&frame);

        let most = encode::max_body_payload(frame_max);
        assert!(most >= 1, "{frame_max}");
        let mut body = BytesMut::new();
        encode::body(&mut body, 1, &[7; 100], frame_max);
        let limits = FrameLimits::from_frame_max(frame_max);
        // Methods keep a limit of their own, so that a connection could still be closed in order.
        let method = BytesMut::from(&frame[..]);
        assert!(FrameDecoder::new(limits).decode(&mut method.clone()).unwrap().is_some());
        let mut decoder = FrameDecoder::new(limits);
        let mut received = Vec::new();
        while let Some(piece) = decoder.decode(&mut body).unwrap() {
            assert_eq!(piece.kind, FrameKind::Body);
            received.extend_from_slice(&piece.payload);
        }
        assert_eq!(received, [7; 100]);
    }
}

#[test]
fn a_body_larger_than_frame_max_is_refused_before_room_is_made() {
    let limits = FrameLimits::from_frame_max(4096);
    let mut buffer = BytesMut::from(&octets("03 0001 00001001")[..]);
    let error = FrameDecoder::new(limits).decode(&mut buffer).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { limit: 4096, .. }), "{error}");
    assert!(buffer.capacity() < 4096);
}

// --- Contents (CVE-2023-46120: the size of a body was believed) ---

#[test]
fn a_body_size_of_2_to_the_64_minus_1() {
    let header =
        |size: u64| Bytes::from([&octets("003c 0000")[..], &size.to_be_bytes(), &[0, 0]].concat());
    let mut assembler = Assembler::new(1024);
    assembler.begin(basic::CLASS_ID).unwrap();
    let error = assembler.header(header(u64::MAX)).unwrap_err();
    assert_eq!(error, ContentError::TooLarge { body_size: u64::MAX, limit: 1024 });

    // Without a limit there is still nothing but what has come.
    let mut assembler = Assembler::new(u64::MAX);
    assembler.begin(basic::CLASS_ID).unwrap();
    assert_eq!(assembler.header(header(u64::MAX)), Ok(None));
    for _ in 0..100 {
        assert_eq!(assembler.body(Bytes::from_static(b"piece")), Ok(None));
    }
    assert_eq!(assembler.interrupted(), Err(ContentError::Interrupted));

    let frames = octets(
        "01 0001 0000000f 003c003c 00 0000000000000001 00 00 00 ce
         02 0001 0000000e 003c 0000 ffffffffffffffff 0000 ce
         03 0001 00000001 61 ce",
    );
    frame_stream::check(&frames);
}

#[test]
fn a_body_that_is_longer_than_announced() {
    let mut assembler = Assembler::new(1024);
    assembler.begin(basic::CLASS_ID).unwrap();
    let header = Bytes::from(octets("003c 0000 0000000000000003 0000"));
    assert_eq!(assembler.header(header), Ok(None));
    let error = assembler.body(Bytes::from_static(b"four")).unwrap_err();
    assert_eq!(error, ContentError::Overrun { body_size: 3, received: 4 });
}

#[test]
fn empty_bodies_do_not_complete_a_message_nor_grow_it() {
    let mut assembler = Assembler::new(1024);
    assembler.begin(basic::CLASS_ID).unwrap();
    let header = Bytes::from(octets("003c 0000 0000000000000001 0000"));
    assert_eq!(assembler.header(header), Ok(None));
    for _ in 0..10_000 {
        assert_eq!(assembler.body(Bytes::new()), Ok(None));
    }
    let content = assembler.body(Bytes::from_static(b"x")).unwrap().unwrap();
    assert_eq!(content.body, "x");
}

// --- Strings of 255 and 256 octets (amqp091-go before 1.14: written with their length cut to 8 bits) ---

#[test]
fn short_strings_of_255_and_256_octets() {
    let longest = ShortStr::new([b'x'; 255]).unwrap();
    let ack = basic::ConsumeOk { consumer_tag: longest.clone() };
    let frame = frame_of(&ack);
    let read = ToClient::from_payload(&frame[7..frame.len() - 1]).unwrap();
    assert_eq!(read, ToClient::BasicConsumeOk(ack));
    frame_stream::check(&frame);

    assert_eq!(ShortStr::new([b'x'; 256]).unwrap_err().len, 256);
    assert!(ShortStr::try_from(vec![b'x'; 256]).is_err());
    assert!(ShortStr::try_from(Bytes::from(vec![b'x'; 256])).is_err());
    assert!(ShortStr::try_from("x".repeat(256)).is_err());
    assert!(FieldTable::new().try_insert([b'x'; 256], 1).is_err());

    // On the wire the 256th octet is what follows.
    let octets = [&[255][..], &[b'x'; 256]].concat();
    let mut reader = Reader::new(&octets);
    assert_eq!(reader.short_str("key").unwrap(), longest);
    assert_eq!(reader.remaining(), 1);

    // In a table, as key and as value.
    let table = FieldTable::new().with(longest, LongStr::from(vec![b'y'; 256]));
    let mut octets = BytesMut::new();
    Writer::new(&mut octets).table(&table, "headers").unwrap();
    assert_eq!(octets.len(), 4 + 1 + 255 + 1 + 4 + 256);
    field_table::check(&octets);
}

// --- Numbers that are no numbers: RabbitMQ ends the connection over them ---

#[test]
fn numbers_that_are_not_finite_are_read_but_not_passed_on() {
    for value in
        ["64 7ff8000000000000", "64 fff0000000000000", "66 7fc00000", "66 ff800000", "66 7f800001"]
    {
        let value = octets(value);
        let len = u8::try_from(value.len() + 1).unwrap();
        let table = [&[0, 0, 0, len, 0], &value[..]].concat();
        field_table::check(&table);
        let read = FieldTable::decode_all(&table).unwrap();
        assert_eq!(read, read.clone());
        let mut out = BytesMut::from(&b"before"[..]);
        let declare = queue::Declare { arguments: read, ..Default::default() };
        let error = encode::method(&mut out, 1, &declare).unwrap_err();
        assert!(
            matches!(error, EncodeError::NotFinite { field: "queue.declare.arguments" }),
            "{error}"
        );
        assert_eq!(out, "before", "nothing is appended");
    }
}

#[test]
fn a_timestamp_and_a_decimal_beyond_all_measure() {
    let table = octets("00000013 01 74 54 ffffffffffffffff 01 64 44 ff 80000000");
    field_table::check(&table);
    let read = FieldTable::decode_all(&table).unwrap();
    assert_eq!(read.get("t").and_then(Value::as_timestamp).unwrap().to_system_time(), None);
    assert_eq!(read.get("d").and_then(Value::as_decimal).unwrap().to_string().len(), 258);
}

fn frame_of<M: amqp091::types::Method>(method: &M) -> Vec<u8> {
    let mut frame = BytesMut::new();
    encode::method(&mut frame, u16::from(M::ID.class_id != 10), method).unwrap();
    frame.to_vec()
}
