//! How much memory hostile octets can make a reader take: never what they claim, and of what they are no more than the
//! documented multiple.
//!
//! The figures are sums of all allocations, which the most that is in use at any time cannot exceed. They are the whole
//! process's, so this is one test, alone in its file.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod hex;

use std::alloc::System;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::{Assembler, RawProperties};
use amqp091::frame::{FrameDecoder, FrameLimits};
use amqp091::protocol::{AnyMethod, basic};
use amqp091::types::limits::{TABLE_DEPTH_MAX, TABLE_VALUES_MAX};
use amqp091::types::{Reader, ShortStr, Value};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The most that a table takes beyond its own octets, as `TABLE_VALUES_MAX` says.
const TABLE: usize = 5 * 1024 * 1024;

/// Octets of a large frame: the limit on methods and headers.
const FRAME: usize = FrameLimits::CONTROL_MIN as usize;

/// The result, and the sum of octets that were allocated for it.
fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let result = work();
    let change = region.change();
    (result, change.bytes_allocated)
}

/// A table of so many octets in all, as far as `entry` fills it.
fn table_of(len: usize, entry: &[u8]) -> Vec<u8> {
    let entries = entry.repeat((len - 4) / entry.len());
    [&u32::try_from(entries.len()).unwrap().to_be_bytes()[..], &entries].concat()
}

/// A table with one entry, an array that `value` fills.
fn array_of(len: usize, value: &[u8]) -> Vec<u8> {
    let values = value.repeat((len - 10) / value.len());
    let array = [&b"\x00A"[..], &u32::try_from(values.len()).unwrap().to_be_bytes(), &values];
    let array = array.concat();
    [&u32::try_from(array.len()).unwrap().to_be_bytes()[..], &array].concat()
}

fn tables() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("entries of nothing", table_of(FRAME, b"\x00V")),
        ("values of nothing", array_of(FRAME, b"V")),
        ("empty tables", array_of(FRAME, b"F\0\0\0\0")),
        ("empty arrays", array_of(FRAME, b"A\0\0\0\0")),
        ("tables of an entry", array_of(FRAME, b"F\0\0\0\x02\0V")),
        ("arrays of a value", array_of(FRAME, b"A\0\0\0\x01V")),
        ("short strings", array_of(FRAME, b"S\0\0\0\x01x")),
        (
            "strings that are just not inline",
            array_of(FRAME, &[&b"S\0\0\0\x27"[..], &[b'x'; 39]].concat()),
        ),
        ("byte arrays", array_of(FRAME, b"x\0\0\0\x01x")),
        ("long keys", table_of(FRAME, &[&[255][..], &[b'k'; 255], b"V"].concat())),
        (
            "one long string",
            array_of(
                FRAME,
                &[&b"S"[..], &(FRAME as u32 - 100).to_be_bytes(), &vec![b'x'; FRAME - 100]]
                    .concat(),
            ),
        ),
        ("as many entries as can be", table_of(4 + 2 * TABLE_VALUES_MAX, b"\x00V")),
        ("an entry more", table_of(6 + 2 * TABLE_VALUES_MAX, b"\x00V")),
        // The array is a value too.
        ("as many values as can be", array_of(9 + TABLE_VALUES_MAX, b"V")),
        ("a value more", array_of(10 + TABLE_VALUES_MAX, b"V")),
        (
            "as many in tables in tables",
            nested(TABLE_DEPTH_MAX, 4 + 6 * 31 + 2 * (TABLE_VALUES_MAX - 31)),
        ),
        ("as deep as can be", nested(TABLE_DEPTH_MAX, FRAME)),
        ("too deep", nested(FRAME / 6, FRAME)),
    ]
}

/// Tables within tables, filled up with entries of nothing in the innermost.
fn nested(depth: usize, len: usize) -> Vec<u8> {
    let heads = 4 + 6 * (depth - 1);
    let filling = b"\x00V".repeat((len - heads) / 2);
    let mut octets = Vec::new();
    for level in 0..depth {
        if level > 0 {
            octets.extend_from_slice(b"\x00F");
        }
        let left = 6 * (depth - 1 - level) + filling.len();
        octets.extend_from_slice(&u32::try_from(left).unwrap().to_be_bytes());
    }
    [octets, filling].concat()
}

fn a_table_takes_no_more_than_its_values() {
    assert!(TABLE_VALUES_MAX * size_of::<(ShortStr, Value)>() <= TABLE);
    let (mut read, mut refused) = (0, 0);
    for (name, octets) in tables() {
        let judge = |ok: bool, taken: usize| {
            // What is refused takes nothing: all of it is looked at first.
            let most = if ok { octets.len() + TABLE } else { 0 };
            assert!(taken <= most, "{name}: {} octets take {taken}", octets.len());
        };
        let (table, taken) = allocated(|| Reader::new(&octets).table("headers"));
        judge(table.is_ok(), taken);
        if table.is_ok() {
            read += 1
        } else {
            refused += 1
        }
        drop(table);

        // In a message, whose octets are there before they are looked at, and in a method.
        let raw = RawProperties::new([&[0x20, 0x00], &octets[..]].concat().into());
        let (properties, taken) = allocated(|| raw.decode::<basic::Properties>());
        judge(properties.is_ok(), taken);
        drop(properties);
        let declare = [&hex::octets("0032 000a 0000 00 00")[..], &octets].concat();
        let (method, taken) = allocated(|| AnyMethod::from_payload(&declare));
        judge(method.is_ok(), taken);
    }
    assert!(read >= 5 && refused >= 5, "{read} read, {refused} refused");
}

fn a_claim_takes_nothing() {
    // Lengths of 4 GiB at every place where there can be one, with some octets behind them.
    for tag in [&b""[..], b"\0S", b"\0x", b"\0A", b"\0F"] {
        for claim in [u32::MAX, u32::MAX / 2, 1 << 30] {
            let inner = [tag, &claim.to_be_bytes(), b"some octets"].concat();
            let table = match tag {
                b"" => inner,
                _ => [&u32::try_from(inner.len()).unwrap().to_be_bytes(), &inner[..]].concat(),
            };
            let (read, taken) = allocated(|| Reader::new(&table).table("headers"));
            assert!(read.is_err());
            assert!(taken == 0, "{tag:?} {claim}: {taken}");
        }
    }
    let (read, taken) =
        allocated(|| Reader::new(b"\xff\xff\xff\xffx").long_str("response").map(drop));
    assert!(read.is_err() && taken == 0, "{taken}");
    // Tables nested a hundred thousand levels deep are given up at the limit.
    let deep = nested(100_000, 600_000);
    let (read, taken) = allocated(|| Reader::new(&deep).table("headers"));
    assert!(read.is_err() && taken == 0, "{taken}");
}

fn a_head_makes_no_room_for_more_than_comes() {
    let mut decoder = FrameDecoder::new(FrameLimits::from_frame_max(u32::MAX));
    for head in ["01 0001 ffffffff", "02 0001 ffffffff", "03 0001 ffffffff"] {
        let (_, taken) = allocated(|| {
            let mut buffer = BytesMut::from(&hex::octets(head)[..]);
            assert_eq!(decoder.decode(&mut buffer), Ok(None));
        });
        assert!(taken <= 256 * 1024, "{head}: {taken}");

        // A mebibyte of it, in pieces: the buffer doubles, and nothing more.
        let ((), taken) = allocated(|| {
            let mut buffer = BytesMut::from(&hex::octets(head)[..]);
            for _ in 0..FRAME / 1000 {
                buffer.extend_from_slice(&[0; 1000]);
                assert_eq!(decoder.decode(&mut buffer), Ok(None));
            }
        });
        assert!(taken <= 2 * FRAME + 256 * 1024, "{head}: {taken}");
    }
    // Over the limit, nothing at all.
    let mut decoder = FrameDecoder::new(FrameLimits::from_frame_max(4096));
    let mut buffer = BytesMut::from(&hex::octets("03 0001 00001001")[..]);
    let (read, taken) = allocated(|| decoder.decode(&mut buffer));
    assert!(read.is_err() && taken == 0, "{taken}");
}

fn a_body_takes_what_has_come_of_it() {
    let header =
        |size: u64| Bytes::from([&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat());
    for (announced, limit) in [(u64::MAX, u64::MAX), (1 << 40, u64::MAX), (1 << 20, 1 << 20)] {
        let (header, mut assembler) = (header(announced), Assembler::new(limit));
        let (_, taken) = allocated(|| {
            assert_eq!(assembler.begin(basic::CLASS_ID), Ok(()));
            assert_eq!(assembler.header(header), Ok(None));
        });
        assert!(taken < 1024, "for the announcement of {announced}: {taken}");
        const CAME: usize = 100_000;
        let ((), taken) = allocated(|| {
            for _ in 0..CAME {
                assert_eq!(assembler.body(Bytes::from_static(b"x")), Ok(None));
            }
        });
        assert!(taken <= 4 * CAME, "for {CAME} octets of {announced}: {taken}");
    }
}

#[test]
fn memory_is_bounded() {
    a_table_takes_no_more_than_its_values();
    a_claim_takes_nothing();
    a_head_makes_no_room_for_more_than_comes();
    a_body_takes_what_has_come_of_it();
}
