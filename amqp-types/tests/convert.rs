//! Between Rust's own types and values and tables, and tables as literals.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use amqp091_types::{
    Decimal, FieldTable, FromValueError, LongStr, ShortStr, Timestamp, Value, table,
};
use bytes::Bytes;

fn key(text: &'static str) -> ShortStr {
    ShortStr::from_static(text)
}

// --- Into values ---------------------------------------------------------------------------------

#[test]
fn what_becomes_a_value() {
    assert_eq!(Value::from(()), Value::Void);
    assert_eq!(Value::from(None::<i32>), Value::Void);
    assert_eq!(Value::from(Some(5)), Value::I32(5));
    assert_eq!(Value::from(Some("a")), Value::from("a"));
    assert_eq!(Value::from([1, 2]), Value::Array(vec![Value::I32(1), Value::I32(2)]));
    assert_eq!(Value::from([[1_u8], [2]]), Value::from([Value::from([1_u8]), [2_u8].into()]));
    assert_eq!((1..=2_i64).collect::<Value>(), Value::from([1_i64, 2]));
    assert_eq!(Value::from(&"a".to_owned()), Value::from("a"));
    assert_eq!(Value::from(Cow::Borrowed("a")), Value::from("a"));
    assert_eq!(Value::from(Cow::<str>::Owned("a".to_owned())), Value::from("a"));
    assert_eq!(Value::from(&key("a")), Value::from("a"));
    assert_eq!(Value::from(&LongStr::from("a")), Value::from("a"));
    assert_eq!(Value::try_from(5_usize), Ok(Value::I64(5)));
    assert!(Value::try_from(usize::MAX).is_err());
}

// --- Out of values -------------------------------------------------------------------------------

fn all_values() -> [Value; 17] {
    [
        true.into(),
        (-1_i8).into(),
        1_u8.into(),
        (-1_i16).into(),
        1_u16.into(),
        (-1_i32).into(),
        1_u32.into(),
        (-1_i64).into(),
        1.5_f32.into(),
        1.5_f64.into(),
        Decimal { scale: 1, value: 15 }.into(),
        "text".into(),
        [1].into(),
        Timestamp(5).into(),
        table! { "k": 1 }.into(),
        Value::Void,
        Bytes::from_static(b"\xff").into(),
    ]
}

/// Whether a value converts depends on its type alone, and an error names both types.
#[track_caller]
fn converts<T: Debug>(
    expected: &'static str,
    types: &[&str],
    convert: impl Fn(Value) -> Result<T, FromValueError>,
) {
    for value in all_values() {
        let found = value.type_name();
        match convert(value) {
            Ok(_) | Err(FromValueError::OutOfRange { .. }) => {
                assert!(types.contains(&found), "{found}")
            }
            Err(error) => {
                assert!(!types.contains(&found), "{found}: {error}");
                assert_eq!(error, FromValueError::WrongType { expected, found });
            }
        }
    }
}

const INTEGERS: &[&str] = &["I8", "U8", "I16", "U16", "I32", "U32", "I64"];

#[test]
fn each_type_converts_from_its_own() {
    converts("a boolean", &["Bool"], bool::try_from);
    converts("an integer", INTEGERS, i64::try_from);
    converts("an integer", INTEGERS, |value| u8::try_from(&value));
    converts("an integer", INTEGERS, usize::try_from);
    converts("a floating-point number", &["F32", "F64"], f64::try_from);
    converts("a decimal", &["Decimal"], Decimal::try_from);
    converts("a string", &["LongStr"], String::try_from);
    converts("a string", &["LongStr"], LongStr::try_from);
    converts("a string", &["LongStr"], |value| <&str>::try_from(&value).map(str::len));
    converts("a string or a byte array", &["LongStr", "Bytes"], Bytes::try_from);
    converts("a string or a byte array", &["LongStr", "Bytes"], |value| {
        <&[u8]>::try_from(&value).map(<[u8]>::len)
    });
    converts("an array", &["Array"], Vec::try_from);
    converts("an array", &["Array"], |value| <&[Value]>::try_from(&value).map(<[Value]>::len));
    converts("a timestamp", &["Timestamp"], Timestamp::try_from);
    converts("a table", &["Table"], FieldTable::try_from);
    converts("a table", &["Table"], |value| <&FieldTable>::try_from(&value).map(FieldTable::len));
}

#[test]
fn what_is_converted_is_what_was_there() {
    assert_eq!(i64::try_from(Value::U32(u32::MAX)), Ok(4_294_967_295));
    assert_eq!(u8::try_from(Value::I64(255)), Ok(255));
    assert_eq!(u64::try_from(&Value::I8(5)), Ok(5));
    assert_eq!(i8::try_from(&Value::I8(-5)), Ok(-5));
    assert_eq!(f64::try_from(Value::F32(1.5)), Ok(1.5));
    assert_eq!(String::try_from(Value::from("text")).as_deref(), Ok("text"));
    assert_eq!(<&[u8]>::try_from(&Value::LongStr(LongStr::from(b"\xff"))), Ok(&b"\xff"[..]));
    assert_eq!(Vec::try_from(Value::from([1])), Ok(vec![Value::I32(1)]));
    assert_eq!(FieldTable::try_from(Value::from(table! { "k": 1 })), Ok(table! { "k": 1 }));
}

#[test]
fn what_does_not_fit_is_named() {
    let too_large = FromValueError::OutOfRange { expected: "u8", found: 256 };
    assert_eq!(u8::try_from(Value::U16(256)), Err(too_large));
    let negative = FromValueError::OutOfRange { expected: "u64", found: -1 };
    assert_eq!(u64::try_from(&Value::I64(-1)), Err(negative));
    let not_text = Value::LongStr(LongStr::from(b"\xff"));
    assert_eq!(String::try_from(&not_text), Err(FromValueError::NotText));
}

// --- Into tables ---------------------------------------------------------------------------------

#[test]
fn tables_from_pairs_keep_their_order_and_equal_keys() {
    let table = FieldTable::from([(key("b"), 1), (key("a"), 2), (key("b"), 3)]);
    let entries: Vec<_> = table.into_iter().collect();
    assert_eq!(
        entries,
        [(key("b"), Value::I32(1)), (key("a"), Value::I32(2)), (key("b"), Value::I32(3))]
    );
    let named = FieldTable::try_from([("b", Value::from(1)), ("a", "x".into())]).unwrap();
    assert_eq!(named, table! { "b": 1, "a": "x" });
}

#[test]
fn tables_from_maps_are_sorted() {
    let pairs = [("c", 3), ("a", 1), ("d", 4), ("b", 2)];
    let sorted = table! { "a": 1, "b": 2, "c": 3, "d": 4 };
    assert_eq!(FieldTable::try_from(BTreeMap::from(pairs)).as_ref(), Ok(&sorted));
    assert_eq!(FieldTable::try_from(HashMap::from(pairs)).as_ref(), Ok(&sorted));
    let owned: HashMap<String, Value> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    assert_eq!(FieldTable::try_from(owned), Ok(sorted));
}

#[test]
fn keys_that_are_too_long_are_refused() {
    let long = "k".repeat(256);
    assert_eq!(FieldTable::try_from([(long.as_str(), 1)]).unwrap_err().len, 256);
    assert_eq!(FieldTable::try_from(HashMap::from([(&long, 1)])).unwrap_err().len, 256);
    assert_eq!(FieldTable::try_from(BTreeMap::from([(&long, 1)])).unwrap_err().len, 256);
    assert!(FieldTable::try_from([(&long[..255], 1)]).is_ok());
}

// --- Literals --------------------------------------------------------------------------------------

#[test]
fn literals_of_every_shape() {
    assert_eq!(table! {}, FieldTable::new());
    let one = FieldTable::new().with(key("k"), 1);
    assert_eq!(table! { "k": 1 }, one);
    assert_eq!(table! { "k": 1, }, one);
    assert_eq!(table!("k": 1), one);
    assert_eq!(table![(key("k")): 1], one);

    const KEY: ShortStr = ShortStr::from_static("constant");
    let name = String::from("name");
    let table = table! {
        "null": null,
        (KEY): -1,
        "call": name.len() as i64 * 2,
        "owned": name,
        "block": ({ 1 + 1 }),
        "indexed": ([1, 2][1]),
        "if": if one.is_empty() { "yes" } else { "no" },
        "value": Value::U8(5),
        "table": one.clone(),
        "some": Some(1.5),
        "empty": { "table": {}, "array": [] },
        "array": [null, { "k": 1 }, [1, "two", [],], -3, true,],
    };
    let expected = [
        ("null", Value::Void),
        ("constant", Value::I32(-1)),
        ("call", Value::I64(8)),
        ("owned", "name".into()),
        ("block", Value::I32(2)),
        ("indexed", Value::I32(2)),
        ("if", "no".into()),
        ("value", Value::U8(5)),
        ("table", one.clone().into()),
        ("some", Value::F64(1.5)),
        (
            "empty",
            Value::Table(FieldTable::from([
                (key("table"), Value::Table(FieldTable::new())),
                (key("array"), Value::Array(Vec::new())),
            ])),
        ),
        (
            "array",
            Value::Array(vec![
                Value::Void,
                one.into(),
                Value::Array(vec![1.into(), "two".into(), Value::Array(Vec::new())]),
                Value::I32(-3),
                Value::Bool(true),
            ]),
        ),
    ];
    assert_eq!(table, FieldTable::from(expected.map(|(text, value)| (key(text), value))));
}

#[test]
fn literals_keep_equal_keys() {
    let table = table! { "k": 1, "k": 2 };
    assert!(table.get_all("k").eq(&[Value::I32(1), Value::I32(2)]));
}

/// A hundred entries, as the documentation says.
#[test]
fn literals_may_be_long() {
    macro_rules! ten_times {
        ([$($done:tt)*]) => { table! { $($done)* } };
        ([$($done:tt)*] $x:tt $($rest:tt)*) => {
            ten_times!([$($done)*
                "0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9,
            ] $($rest)*)
        };
    }
    assert_eq!(ten_times!([] x x x x x x x x x x).len(), 100);
}
