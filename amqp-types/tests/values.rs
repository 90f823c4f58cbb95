//! Every type of value: its octets, both ways, and what may be read but not written.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_types::{
    Decimal, Decode, Encode, EncodeError, FieldTable, LongStr, Reader, ShortStr, Timestamp, Value,
    Writer,
};
use bytes::{Bytes, BytesMut};

/// A table whose only entry has the key `k` and the value of these octets, tag included.
fn table_octets(value: &[u8]) -> Vec<u8> {
    let mut octets = u32::try_from(2 + value.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(b"\x01k");
    octets.extend_from_slice(value);
    octets
}

fn read(value: &[u8]) -> Value {
    let octets = table_octets(value);
    let mut input = Reader::new(&octets);
    let table = FieldTable::decode(&mut input).expect("valid");
    input.finish().expect("read whole");
    assert_eq!(table.len(), 1);
    table.get("k").expect("the key").clone()
}

fn write(value: impl Into<Value>) -> Result<Vec<u8>, EncodeError> {
    let table = FieldTable::new().with(ShortStr::from_static("k"), value);
    let mut octets = BytesMut::new();
    table.encode(&mut Writer::new(&mut octets))?;
    assert_eq!(octets.len(), table.encoded_len());
    Ok(octets.to_vec())
}

#[track_caller]
fn both_ways(octets: &[u8], value: impl Into<Value>) {
    let value = value.into();
    assert_eq!(read(octets), value);
    assert_eq!(write(value.clone()).unwrap(), table_octets(octets));
    assert_eq!(value.tag(), octets[0]);
}

#[test]
fn booleans() {
    both_ways(b"t\x00", false);
    both_ways(b"t\x01", true);
    // Anything but zero is true.
    assert_eq!(read(b"t\x02"), Value::Bool(true));
    assert_eq!(read(b"t\xff"), Value::Bool(true));
}

#[test]
fn integers() {
    both_ways(b"b\x7f", i8::MAX);
    both_ways(b"b\x80", i8::MIN);
    both_ways(b"B\xff", u8::MAX);
    both_ways(b"s\x7f\xff", i16::MAX);
    both_ways(b"s\xff\xfe", -2_i16);
    both_ways(b"u\xff\xfe", 0xfffe_u16);
    both_ways(b"I\x80\x00\x00\x00", i32::MIN);
    both_ways(b"I\x01\x02\x03\x04", 0x0102_0304);
    both_ways(b"i\xff\xff\xff\xff", u32::MAX);
    both_ways(b"l\x80\x00\x00\x00\x00\x00\x00\x00", i64::MIN);
    both_ways(b"l\x01\x02\x03\x04\x05\x06\x07\x08", 0x0102_0304_0506_0708_i64);
}

#[test]
fn the_tags_u_and_l_of_the_standard_are_read_and_never_written() {
    let short = read(b"U\xff\xfe");
    assert_eq!(short, Value::I16(-2));
    assert_eq!(write(short).unwrap(), table_octets(b"s\xff\xfe"));

    let long = read(b"L\xff\xff\xff\xff\xff\xff\xff\xfe");
    assert_eq!(long, Value::I64(-2));
    assert_eq!(write(long).unwrap(), table_octets(b"l\xff\xff\xff\xff\xff\xff\xff\xfe"));
}

#[test]
fn floating_point_numbers() {
    both_ways(b"f\x3f\xc0\x00\x00", 1.5_f32);
    both_ways(b"f\x80\x00\x00\x00", -0.0_f32);
    both_ways(b"f\x00\x00\x00\x01", f32::from_bits(1));
    both_ways(b"d\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5_f64);
    both_ways(b"d\x80\x00\x00\x00\x00\x00\x00\x00", -0.0_f64);
}

#[test]
fn what_is_not_finite_is_read_but_not_written() {
    let refused = Err(EncodeError::NotFinite { field: "table" });
    for (octets, value) in [
        (b"f\x7f\xc0\x00\x00".as_slice(), Value::F32(f32::NAN)),
        (b"f\x7f\x80\x00\x00", Value::F32(f32::INFINITY)),
        (b"f\xff\x80\x00\x00", Value::F32(f32::NEG_INFINITY)),
        (b"d\x7f\xf8\x00\x00\x00\x00\x00\x00", Value::F64(f64::NAN)),
        (b"d\x7f\xf0\x00\x00\x00\x00\x00\x00", Value::F64(f64::INFINITY)),
        (b"d\xff\xf0\x00\x00\x00\x00\x00\x00", Value::F64(f64::NEG_INFINITY)),
    ] {
        assert_eq!(read(octets), value);
        assert_eq!(write(value.clone()), refused);
        assert_eq!(write(vec![value]), refused);
    }
}

#[test]
fn floating_point_numbers_are_equal_by_their_bits() {
    assert_eq!(Value::F64(f64::NAN), Value::F64(f64::NAN));
    assert_ne!(Value::F64(f64::NAN), Value::F64(-f64::NAN));
    assert_ne!(Value::F64(0.0), Value::F64(-0.0));
    assert_eq!(Value::F32(f32::NAN), Value::F32(f32::NAN));
    assert_ne!(Value::F32(0.0), Value::F32(-0.0));
    assert_ne!(Value::F32(1.0), Value::F64(1.0));
}

#[test]
fn decimals_are_signed() {
    both_ways(b"D\x02\xff\xff\xff\xff", Decimal { scale: 2, value: -1 });
    both_ways(b"D\xff\x7f\xff\xff\xff", Decimal { scale: 255, value: i32::MAX });
}

#[test]
fn long_strings_and_byte_arrays() {
    both_ways(b"S\x00\x00\x00\x00", "");
    both_ways(b"S\x00\x00\x00\x03abc", "abc");
    both_ways(b"S\x00\x00\x00\x02\xff\xfe", LongStr::from(b"\xff\xfe"));
    both_ways(b"x\x00\x00\x00\x00", Bytes::new());
    both_ways(b"x\x00\x00\x00\x02\x00\x01", Bytes::from_static(b"\x00\x01"));
    assert_ne!(Value::from("abc"), Value::Bytes(Bytes::from_static(b"abc")));

    // One octet below, at and above the length that is kept without an allocation.
    for len in [38, 39, 40, 70_000_usize] {
        let text = "x".repeat(len);
        let mut octets = b"S".to_vec();
        octets.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
        octets.extend_from_slice(text.as_bytes());
        both_ways(&octets, text);
    }
}

#[test]
fn timestamps_are_64_bits_of_seconds() {
    both_ways(b"T\x00\x00\x00\x00\x00\x00\x00\x01", Timestamp(1));
    both_ways(b"T\xff\xff\xff\xff\xff\xff\xff\xff", Timestamp(u64::MAX));
}

#[test]
fn void_has_no_octets_but_its_tag() {
    both_ways(b"V", Value::Void);
}

#[test]
fn the_length_of_an_array_counts_octets() {
    both_ways(b"A\x00\x00\x00\x00", vec![]);
    both_ways(
        b"A\x00\x00\x00\x0cI\x00\x00\x00\x01S\x00\x00\x00\x02ab",
        vec![Value::I32(1), Value::from("ab")],
    );
    both_ways(b"A\x00\x00\x00\x03Vb\x05", vec![Value::Void, Value::I8(5)]);
}

#[test]
fn arrays_and_tables_nest_in_each_other() {
    let inner = FieldTable::new().with(ShortStr::from_static("n"), 1_u8);
    both_ways(b"F\x00\x00\x00\x00", FieldTable::new());
    both_ways(b"F\x00\x00\x00\x04\x01nB\x01", inner.clone());
    both_ways(
        b"A\x00\x00\x00\x10F\x00\x00\x00\x04\x01nB\x01A\x00\x00\x00\x02VV",
        vec![Value::from(inner), Value::from(vec![Value::Void, Value::Void])],
    );
}

#[test]
fn accessors_look_through_the_width_but_not_the_kind() {
    for value in [
        Value::I8(5),
        Value::U8(5),
        Value::I16(5),
        Value::U16(5),
        Value::I32(5),
        Value::U32(5),
        Value::I64(5),
    ] {
        assert_eq!(value.as_i64(), Some(5), "{value:?}");
        assert_eq!(value.as_f64(), None);
        assert_eq!(value.as_str(), None);
    }
    assert_eq!(Value::F32(0.5).as_f64(), Some(0.5));
    assert_eq!(Value::F64(0.5).as_f64(), Some(0.5));
    assert_eq!(Value::F64(5.0).as_i64(), None);
    assert_eq!(Value::from(Timestamp(5)).as_i64(), None);
    assert_eq!(Value::from(Timestamp(5)).as_timestamp(), Some(Timestamp(5)));
    assert_eq!(Value::from(true).as_bool(), Some(true));
    assert_eq!(Value::from(1).as_bool(), None);
    assert_eq!(Value::from("a").as_str(), Some("a"));
    assert_eq!(Value::from("a").as_bytes(), Some(&b"a"[..]));
    assert_eq!(Value::from(LongStr::from(b"\xff")).as_str(), None);
    assert_eq!(Value::from(Bytes::from_static(b"a")).as_str(), None);
    assert_eq!(Value::from(Bytes::from_static(b"a")).as_bytes(), Some(&b"a"[..]));
    assert_eq!(Value::from(vec![Value::Void]).as_array(), Some(&[Value::Void][..]));
    assert_eq!(Value::from(FieldTable::new()).as_table(), Some(&FieldTable::new()));
    assert!(Value::Void.is_void() && !Value::Bool(false).is_void());
    let decimal = Decimal { scale: 1, value: 2 };
    assert_eq!(Value::from(decimal).as_decimal(), Some(decimal));
}

#[test]
fn unsigned_64_bits_only_as_far_as_signed_ones_go() {
    assert_eq!(Value::try_from(i64::MAX.cast_unsigned()), Ok(Value::I64(i64::MAX)));
    assert!(Value::try_from(i64::MAX.cast_unsigned() + 1).is_err());
}

#[test]
fn debug_names_the_type_and_escapes_octets() {
    assert_eq!(format!("{:?}", Value::I32(-1)), "I32(-1)");
    assert_eq!(format!("{:?}", Value::Void), "Void");
    assert_eq!(format!("{:?}", Value::from("a\0")), r#"LongStr(b"a\x00")"#);
    let long = Value::from(Bytes::from(vec![b'a'; 1_000]));
    assert!(format!("{long:?}").ends_with("a\" and 744 more octets)"));
}

#[test]
fn a_value_is_no_larger_than_its_string() {
    if cfg!(target_pointer_width = "64") {
        assert_eq!(size_of::<ShortStr>(), 40);
        assert_eq!(size_of::<LongStr>(), 40);
        assert_eq!(size_of::<Value>(), 40);
        assert_eq!(size_of::<Option<ShortStr>>(), 40);
    }
}
