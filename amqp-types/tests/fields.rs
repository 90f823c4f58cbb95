//! Method arguments, field by field: integers, bits, what is skipped, and where a cut is noticed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_types::{
    Decode, DecodeError, DecodeReason, Encode, FieldTable, LongStr, MethodId, Reader, ShortStr,
    Timestamp, Writer,
};
use bytes::BytesMut;

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut octets = BytesMut::new();
    write(&mut Writer::new(&mut octets));
    octets.to_vec()
}

#[test]
fn integers_are_in_network_order() {
    let octets = written(|out| {
        out.u8(0x01);
        out.u16(0x0203);
        out.u32(0x0405_0607);
        out.u64(0x0809_0a0b_0c0d_0e0f);
        out.timestamp(Timestamp(0x1011_1213_1415_1617));
    });
    assert_eq!(octets, (0x01..=0x17).collect::<Vec<u8>>());

    let mut input = Reader::new(&octets);
    assert_eq!(input.u8("f"), Ok(0x01));
    assert_eq!(input.u16("f"), Ok(0x0203));
    assert_eq!(input.u32("f"), Ok(0x0405_0607));
    assert_eq!(input.u64("f"), Ok(0x0809_0a0b_0c0d_0e0f));
    assert_eq!(input.timestamp("f"), Ok(Timestamp(0x1011_1213_1415_1617)));
    assert_eq!((input.offset(), input.remaining()), (23, 0));
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn the_first_bit_is_the_least_significant() {
    assert_eq!(written(|out| out.bits([true])), [0b1]);
    assert_eq!(written(|out| out.bits([true, false, false, true, false])), [0b0_1001]);
    assert_eq!(written(|out| out.bits([true; 8])), [0xff]);
    for octet in 0..=u8::MAX {
        let bits: [bool; 8] = Reader::new(&[octet]).bits("f").unwrap();
        assert_eq!(written(|out| out.bits(bits)), [octet]);
        // Of fewer bits, the higher ones are ignored.
        let few: [bool; 3] = Reader::new(&[octet]).bits("f").unwrap();
        assert_eq!(few, bits[..3]);
        assert_eq!(written(|out| out.bits(few)), [octet & 0b111]);
    }
}

#[test]
fn each_field_notices_that_it_is_cut_off() {
    type Read = fn(&mut Reader<'_>) -> Result<(), DecodeError>;
    let cases: [(Read, &[u8]); 12] = [
        (|input| input.u8("f").map(drop), b"\0"),
        (|input| input.u16("f").map(drop), b"\0\0"),
        (|input| input.u32("f").map(drop), b"\0\0\0\0"),
        (|input| input.u64("f").map(drop), b"\0\0\0\0\0\0\0\0"),
        (|input| input.timestamp("f").map(drop), b"\0\0\0\0\0\0\0\0"),
        (|input| input.bits::<1>("f").map(drop), b"\0"),
        (|input| input.short_str("f").map(drop), b"\x03abc"),
        (|input| input.long_str("f").map(drop), b"\0\0\0\x03abc"),
        (|input| input.table("f").map(drop), b"\0\0\0\x03\x01kV"),
        (|input| input.skip_short_str("f"), b"\x03abc"),
        (|input| input.skip_long_str("f"), b"\0\0\0\x03abc"),
        (|input| input.skip_table("f"), b"\0\0\0\x03\x01kV"),
    ];
    for (number, (read, octets)) in cases.into_iter().enumerate() {
        let mut input = Reader::new(octets);
        assert_eq!(read(&mut input), Ok(()), "case {number}");
        assert_eq!(input.finish(), Ok(()), "case {number}");
        for len in 0..octets.len() {
            let error = read(&mut Reader::new(&octets[..len])).unwrap_err();
            assert_eq!(error.field(), "f");
            let DecodeReason::UnexpectedEnd { needed, available } = error.reason() else {
                panic!("case {number}: {error}");
            };
            assert!(needed > available);
            assert_eq!(error.offset() + available, len);
        }
    }
}

#[test]
fn what_is_skipped_is_not_looked_into() {
    // The table's only octets are no entry.
    let mut input = Reader::new(b"\0\0\0\x02?!\x02\xff\xfe\0\0\0\x01\xff\x07");
    input.skip_table("f").unwrap();
    input.skip_short_str("f").unwrap();
    input.skip_long_str("f").unwrap();
    assert_eq!(input.u8("f"), Ok(7));
}

#[test]
fn octets_are_lent_without_a_copy() {
    let octets = b"\x02ab\0\0\0\x02cd";
    let mut input = Reader::new(octets);
    let short = input.short_octets("f").unwrap();
    let long = input.long_octets("f").unwrap();
    assert_eq!((short, long), (&b"ab"[..], &b"cd"[..]));
    assert_eq!(short.as_ptr(), octets[1..].as_ptr());
}

#[test]
fn elementary_types_encode_as_they_stand_in_methods() {
    #[track_caller]
    fn check<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: T, octets: &[u8]) {
        let mut out = BytesMut::new();
        value.encode(&mut Writer::new(&mut out)).unwrap();
        assert_eq!(out, octets);
        assert_eq!(value.encoded_len(), octets.len());
        let mut input = Reader::new(octets);
        assert_eq!(T::decode(&mut input), Ok(value));
        assert_eq!(input.finish(), Ok(()));
        assert!(T::decode(&mut Reader::new(&octets[..octets.len() - 1])).is_err());
    }
    check(7_u8, &[7]);
    check(7_u16, &[0, 7]);
    check(7_u32, &[0, 0, 0, 7]);
    check(7_u64, &[0, 0, 0, 0, 0, 0, 0, 7]);
    check(Timestamp(7), &[0, 0, 0, 0, 0, 0, 0, 7]);
    check(ShortStr::from_static("k"), b"\x01k");
    check(LongStr::from("k"), b"\0\0\0\x01k");
    check(FieldTable::new().with(ShortStr::from_static("k"), true), b"\0\0\0\x04\x01kt\x01");
    check(MethodId::new(40, 51), b"\x00\x28\x00\x33");
}
