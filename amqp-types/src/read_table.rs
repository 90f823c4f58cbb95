//! The grammar of tables, in nom's combinators: a table is entries, an entry is a key and a value, a value is
//! a tag and what the tag says.
//!
//! The recursion is bounded by [`TABLE_DEPTH_MAX`], and no memory is taken on the word of a length: a
//! length is first cut out of the octets present, and a list begins small.

use bytes::Bytes;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Needed, Parser};

use crate::error::DecodeReason;
use crate::limits::{TABLE_DEPTH_MAX, TABLE_ENTRIES_AT_FIRST};
use crate::long_str::LongStr;
use crate::scalar::{Decimal, Timestamp};
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Fault>;

/// What is wrong, and how many octets of the input stood between that place and the input's end.
///
/// The place is counted from the end since that is what a parser knows: the octets it was given.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) remaining: usize,
    pub(crate) reason: DecodeReason,
}

impl Fault {
    #[cold]
    fn at<T>(input: &[u8], reason: DecodeReason) -> Parsed<'_, T> {
        Err(nom::Err::Error(Self { remaining: input.len(), reason }))
    }

    #[cold]
    fn end<T>(input: &[u8], needed: usize) -> Parsed<'_, T> {
        Self::at(input, DecodeReason::UnexpectedEnd { needed, available: input.len() })
    }

    /// The same fault as the input around the container sees it, which has `behind` octets behind the container.
    #[cold]
    fn in_container(error: nom::Err<Self>, behind: usize) -> nom::Err<Self> {
        let fault = Self::from(error);
        let reason = match fault.reason {
            DecodeReason::UnexpectedEnd { needed, available } => {
                DecodeReason::TableLengthMismatch { needed, available }
            }
            reason => reason,
        };
        nom::Err::Error(Self { remaining: fault.remaining + behind, reason })
    }
}

impl From<nom::Err<Self>> for Fault {
    fn from(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            // No streaming parser is used here; were there one, this is what it would mean.
            nom::Err::Incomplete(needed) => Self {
                remaining: 0,
                reason: DecodeReason::UnexpectedEnd {
                    needed: match needed {
                        Needed::Unknown => 1,
                        Needed::Size(octets) => octets.get(),
                    },
                    available: 0,
                },
            },
        }
    }
}

/// For nom's own parsers, whose only way to fail here is to find too few octets.
impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        let available = input.len();
        Self {
            remaining: available,
            reason: DecodeReason::UnexpectedEnd { needed: available.saturating_add(1), available },
        }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// `table = long-uint *entry`, the outermost one.
pub(crate) fn table(input: &[u8]) -> Parsed<'_, FieldTable> {
    table_at(1).parse(input)
}

/// `*entry`, all of the input.
pub(crate) fn entries(input: &[u8]) -> Parsed<'_, FieldTable> {
    list(input, MIN_ENTRY, entry_at(1)).map(|entries| (&[][..], FieldTable::from(entries)))
}

/// The fewest octets that an entry takes: an empty key's length, and the tag of a value without octets.
const MIN_ENTRY: usize = 2;

/// The fewest octets that a value takes: its tag.
const MIN_VALUE: usize = 1;

fn table_at<'a>(level: usize) -> impl FnMut(&'a [u8]) -> Parsed<'a, FieldTable> {
    move |input| {
        let (rest, entries) = container(input, level, MIN_ENTRY, entry_at(level))?;
        Ok((rest, FieldTable::from(entries)))
    }
}

/// `array = long-uint *value`, where the length counts octets.
fn array_at<'a>(level: usize) -> impl FnMut(&'a [u8]) -> Parsed<'a, Vec<Value>> {
    move |input| container(input, level, MIN_VALUE, |input| value(input, level))
}

/// `entry = short-string value`
fn entry_at<'a>(level: usize) -> impl FnMut(&'a [u8]) -> Parsed<'a, (ShortStr, Value)> {
    move |input| {
        let (input, key) = short_octets(input)?;
        let (input, value) = value(input, level)?;
        // Only now, since a borrowed key is the cheaper one to carry past what may fail.
        Ok((input, (ShortStr::counted(key), value)))
    }
}

/// `value = tag …`, in a table or an array of that level.
// Inlined by force, because the detour of its result through memory is a seventh of the time of a table.
#[inline(always)]
fn value(input: &[u8], level: usize) -> Parsed<'_, Value> {
    let (rest, [tag]) = fixed(input)?;
    match tag {
        b't' => fixed.map(|[octet]| Value::Bool(octet != 0)).parse(rest),
        b'b' => fixed.map(|n| Value::I8(i8::from_be_bytes(n))).parse(rest),
        b'B' => fixed.map(|n| Value::U8(u8::from_be_bytes(n))).parse(rest),
        // U and L are the standard's letters, s and l those that brokers and clients really use.
        b's' | b'U' => fixed.map(|n| Value::I16(i16::from_be_bytes(n))).parse(rest),
        b'u' => fixed.map(|n| Value::U16(u16::from_be_bytes(n))).parse(rest),
        b'I' => fixed.map(|n| Value::I32(i32::from_be_bytes(n))).parse(rest),
        b'i' => fixed.map(|n| Value::U32(u32::from_be_bytes(n))).parse(rest),
        b'l' | b'L' => fixed.map(|n| Value::I64(i64::from_be_bytes(n))).parse(rest),
        b'f' => fixed.map(|n| Value::F32(f32::from_be_bytes(n))).parse(rest),
        b'd' => fixed.map(|n| Value::F64(f64::from_be_bytes(n))).parse(rest),
        b'D' => decimal.map(Value::Decimal).parse(rest),
        b'S' => long_octets.map(|octets| Value::LongStr(LongStr::from(octets))).parse(rest),
        b'A' => array_at(level + 1).map(Value::Array).parse(rest),
        b'T' => fixed.map(|n| Value::Timestamp(Timestamp(u64::from_be_bytes(n)))).parse(rest),
        b'F' => table_at(level + 1).map(Value::Table).parse(rest),
        b'V' => Ok((rest, Value::Void)),
        b'x' => long_octets.map(|octets| Value::Bytes(Bytes::copy_from_slice(octets))).parse(rest),
        _ => Fault::at(input, DecodeReason::UnknownValueTag { tag }),
    }
}

/// `decimal = octet long-int`
fn decimal(input: &[u8]) -> Parsed<'_, Decimal> {
    (fixed, fixed)
        .map(|([scale], value)| Decimal { scale, value: i32::from_be_bytes(value) })
        .parse(input)
}

/// `short-string = octet *octet`
#[inline]
fn short_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    fixed.flat_map(|[len]: [u8; 1]| exactly(usize::from(len))).parse(input)
}

/// `long-string = long-uint *octet`
#[inline]
fn long_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    fixed
        .map(u32::from_be_bytes)
        // No slice is as long as a length that usize can't hold.
        .flat_map(|len| exactly(usize::try_from(len).unwrap_or(usize::MAX)))
        .parse(input)
}

#[inline]
fn fixed<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match input.split_first_chunk() {
        Some((octets, rest)) => Ok((rest, *octets)),
        None => Fault::end(input, N),
    }
}

#[inline]
fn exactly<'a>(len: usize) -> impl FnMut(&'a [u8]) -> Parsed<'a, &'a [u8]> {
    move |input| match input.split_at_checked(len) {
        Some((octets, rest)) => Ok((rest, octets)),
        None => Fault::end(input, len),
    }
}

/// A list of items behind its length in octets.
fn container<'a, T>(
    input: &'a [u8],
    level: usize,
    min_item: usize,
    item: impl FnMut(&'a [u8]) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    if level > TABLE_DEPTH_MAX {
        return Fault::at(input, DecodeReason::TooDeep { limit: TABLE_DEPTH_MAX });
    }
    let (rest, body) = long_octets(input)?;
    match list(body, min_item, item) {
        Ok(items) => Ok((rest, items)),
        Err(error) => Err(Fault::in_container(error, rest.len())),
    }
}

/// Items up to the end of the input.
fn list<'a, T>(
    mut input: &'a [u8],
    min_item: usize,
    mut item: impl FnMut(&'a [u8]) -> Parsed<'a, T>,
) -> Result<Vec<T>, nom::Err<Fault>> {
    let mut items = Vec::with_capacity(TABLE_ENTRIES_AT_FIRST.min(input.len() / min_item));
    while !input.is_empty() {
        let (rest, read) = item(input)?;
        items.push(read);
        input = rest;
    }
    Ok(items)
}
