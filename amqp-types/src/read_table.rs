//! How a table is read: checked first, by its grammar in nom's combinators, and then made.
//!
//! The grammar: a table is entries, an entry is a key and a value, a value is a tag and what the tag says. It makes nothing, it
//! counts. So nothing is allocated for a table that has a fault or too many values, its list has its size from the start, and
//! what makes the values has no errors to deal with. Plain slices instead of nom would spare the check 15 of the 186 instructions that
//! it takes for a table of four entries, of 1,330 for all of `queue.declare`: not worth a second grammar. The values were made in
//! combinators too at first, which moved each of them through memory on its way into the list: `queue.declare` took twice as long.
//!
//! The recursion is bounded by [`TABLE_DEPTH_MAX`], the memory by [`TABLE_VALUES_MAX`].

use bytes::Bytes;
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Needed, Parser};

use crate::error::DecodeReason;
use crate::layout::put;
use crate::limits::{TABLE_DEPTH_MAX, TABLE_VALUES_MAX};
use crate::long_str::LongStr;
use crate::octets::Repr;
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

/// A table whose octets have been checked, but not been made into values.
#[derive(Clone, Copy, Debug)]
pub struct TableOctets<'a> {
    /// Its entries.
    body: &'a [u8],
    /// How many.
    count: usize,
}

impl TableOctets<'_> {
    /// Makes the table.
    #[inline]
    pub fn table(self) -> FieldTable {
        if self.count == 0 {
            FieldTable::new()
        } else {
            FieldTable::from(entries(self.body, self.count))
        }
    }
}

/// `table = long-uint *entry`, the outermost one.
pub(crate) fn find(input: &[u8]) -> Parsed<'_, TableOctets<'_>> {
    let (rest, body) = long_octets(input)?;
    match check(body, true, 1, &mut { TABLE_VALUES_MAX }) {
        Ok(count) => Ok((rest, TableOctets { body, count })),
        Err(error) => Err(Fault::in_container(error, rest.len())),
    }
}

/// `*entry`, all of the input.
pub(crate) fn find_entries(input: &[u8]) -> Parsed<'_, TableOctets<'_>> {
    let count = check(input, true, 1, &mut { TABLE_VALUES_MAX })?;
    Ok((&[], TableOctets { body: input, count }))
}

/// `value`, one that is in no table.
pub(crate) fn value(input: &[u8]) -> Parsed<'_, Value> {
    let (rest, ()) = check_value(input, 0, &mut { TABLE_VALUES_MAX })?;
    let mut value = Value::Void;
    Checked { rest: input }.value(&mut value);
    Ok((rest, value))
}

/// Checks a list of entries or of values, and tells how many it has.
fn check(
    mut input: &[u8],
    keys: bool,
    level: usize,
    left: &mut usize,
) -> Result<usize, nom::Err<Fault>> {
    let mut count = 0;
    while !input.is_empty() {
        if *left == 0 {
            return Fault::at(input, DecodeReason::TooManyValues { limit: TABLE_VALUES_MAX })
                .map(|(_, count)| count);
        }
        *left -= 1;
        if keys {
            (input, _) = short_octets(input)?;
        }
        (input, _) = check_value(input, level, left)?;
        count += 1;
    }
    Ok(count)
}

#[inline(always)]
fn check_value<'a>(input: &'a [u8], level: usize, left: &mut usize) -> Parsed<'a, ()> {
    let (rest, [tag]) = fixed(input)?;
    match tag {
        b'S' | b'x' => long_octets.map(drop).parse(rest),
        b't' | b'b' | b'B' => fixed::<1>.map(drop).parse(rest),
        b's' | b'U' | b'u' => fixed::<2>.map(drop).parse(rest),
        b'I' | b'i' | b'f' => fixed::<4>.map(drop).parse(rest),
        b'l' | b'L' | b'd' | b'T' => fixed::<8>.map(drop).parse(rest),
        b'D' => fixed::<5>.map(drop).parse(rest),
        b'V' => Ok((rest, ())),
        b'A' => container(rest, false, level + 1, left),
        b'F' => container(rest, true, level + 1, left),
        _ => Fault::at(input, DecodeReason::UnknownValueTag { tag }),
    }
}

fn container<'a>(input: &'a [u8], keys: bool, level: usize, left: &mut usize) -> Parsed<'a, ()> {
    if level > TABLE_DEPTH_MAX {
        return Fault::at(input, DecodeReason::TooDeep { limit: TABLE_DEPTH_MAX });
    }
    let (rest, body) = long_octets(input)?;
    match check(body, keys, level, left) {
        Ok(_) => Ok((rest, ())),
        Err(error) => Err(Fault::in_container(error, rest.len())),
    }
}

/// `short-string = octet *octet`
#[inline(always)]
fn short_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    fixed.flat_map(|[len]: [u8; 1]| exactly(usize::from(len))).parse(input)
}

/// `long-string = long-uint *octet`
#[inline(always)]
fn long_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    fixed
        .map(u32::from_be_bytes)
        // No slice is as long as a length that usize can't hold.
        .flat_map(|len| exactly(usize::try_from(len).unwrap_or(usize::MAX)))
        .parse(input)
}

#[inline(always)]
fn fixed<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match input.split_first_chunk() {
        Some((octets, rest)) => Ok((rest, *octets)),
        None => Fault::end(input, N),
    }
}

#[inline(always)]
fn exactly<'a>(len: usize) -> impl FnMut(&'a [u8]) -> Parsed<'a, &'a [u8]> {
    move |input| match input.split_at_checked(len) {
        Some((octets, rest)) => Ok((rest, octets)),
        None => Fault::end(input, len),
    }
}

/// Octets that have been checked. There is always what is asked for; if there weren't, it would be zeros.
struct Checked<'a> {
    rest: &'a [u8],
}

impl<'a> Checked<'a> {
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.rest.split_first_chunk() {
            Some((octets, rest)) => {
                self.rest = rest;
                *octets
            }
            None => [0; N],
        }
    }

    #[inline(always)]
    fn slice(&mut self, len: usize) -> &'a [u8] {
        match self.rest.split_at_checked(len) {
            Some((octets, rest)) => {
                self.rest = rest;
                octets
            }
            None => &[],
        }
    }

    #[inline(always)]
    fn long(&mut self) -> &'a [u8] {
        let len = u32::from_be_bytes(self.array());
        self.slice(len as usize)
    }

    /// How many entries, or values if there are no keys, there are. It looks into nothing that is nested.
    fn count(mut self, keys: bool) -> usize {
        let mut count = 0;
        while !self.rest.is_empty() {
            if keys {
                let [len] = self.array();
                self.slice(usize::from(len));
            }
            let [tag] = self.array();
            match tag {
                b't' | b'b' | b'B' => drop(self.slice(1)),
                b's' | b'U' | b'u' => drop(self.slice(2)),
                b'I' | b'i' | b'f' => drop(self.slice(4)),
                b'l' | b'L' | b'd' | b'T' => drop(self.slice(8)),
                b'D' => drop(self.slice(5)),
                b'V' => {}
                _ => drop(self.long()),
            }
            count += 1;
        }
        count
    }

    /// Makes the next key where there is none.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn key(&mut self, place: &mut ShortStr) {
        let [len] = self.array();
        let octets = self.rest;
        let whole = self.slice(usize::from(len));
        if let Some(repr) = Repr::padded(octets, whole.len()) {
            put(place, ShortStr::from_repr(repr));
        } else if let Some(repr) = Repr::inline(whole) {
            put(place, ShortStr::from_repr(repr));
        } else {
            put(place, ShortStr::counted(whole));
        }
    }

    /// Makes the next value where there is none.
    #[inline(always)]
    fn value(&mut self, slot: &mut Value) {
        let [tag] = self.array();
        match tag {
            b'A' | b'F' => self.nested(tag, slot),
            _ => self.flat(tag, slot),
        }
    }

    /// An array or a table. Apart from the others, because this is where the stack grows.
    #[inline(never)]
    fn nested(&mut self, tag: u8, slot: &mut Value) {
        let body = self.long();
        let count = Checked { rest: body }.count(tag == b'F');
        put(
            slot,
            match tag {
                b'F' => Value::Table(FieldTable::from(entries(body, count))),
                _ => Value::Array(values(body, count)),
            },
        );
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn flat(&mut self, tag: u8, slot: &mut Value) {
        match tag {
            b'S' => {
                let len = u32::from_be_bytes(self.array());
                let octets = self.rest;
                let whole = self.slice(len as usize);
                if let Some(repr) = Repr::padded(octets, whole.len()) {
                    put(slot, Value::LongStr(LongStr::from_repr(repr)));
                } else if let Some(repr) = Repr::inline(whole) {
                    put(slot, Value::LongStr(LongStr::from_repr(repr)));
                } else {
                    put(slot, Value::LongStr(LongStr::from(whole)));
                }
            }
            b't' => {
                let [octet] = self.array();
                put(slot, Value::Bool(octet != 0));
            }
            b'b' => put(slot, Value::I8(i8::from_be_bytes(self.array()))),
            b'B' => put(slot, Value::U8(u8::from_be_bytes(self.array()))),
            b's' | b'U' => put(slot, Value::I16(i16::from_be_bytes(self.array()))),
            b'u' => put(slot, Value::U16(u16::from_be_bytes(self.array()))),
            b'I' => put(slot, Value::I32(i32::from_be_bytes(self.array()))),
            b'i' => put(slot, Value::U32(u32::from_be_bytes(self.array()))),
            b'l' | b'L' => put(slot, Value::I64(i64::from_be_bytes(self.array()))),
            b'f' => put(slot, Value::F32(f32::from_be_bytes(self.array()))),
            b'd' => put(slot, Value::F64(f64::from_be_bytes(self.array()))),
            b'D' => {
                let [scale] = self.array();
                put(
                    slot,
                    Value::Decimal(Decimal { scale, value: i32::from_be_bytes(self.array()) }),
                );
            }
            b'T' => put(slot, Value::Timestamp(Timestamp(u64::from_be_bytes(self.array())))),
            b'x' => put(slot, Value::Bytes(Bytes::copy_from_slice(self.long()))),
            _ => {}
        }
    }
}

fn entries(body: &[u8], count: usize) -> Vec<(ShortStr, Value)> {
    let mut entries = Vec::with_capacity(count);
    entries.resize_with(count, || (ShortStr::empty(), Value::Void));
    let mut input = Checked { rest: body };
    for (key, value) in &mut entries {
        input.key(key);
        input.value(value);
    }
    entries
}

fn values(body: &[u8], count: usize) -> Vec<Value> {
    let mut values = Vec::with_capacity(count);
    values.resize_with(count, || Value::Void);
    let mut input = Checked { rest: body };
    for value in &mut values {
        input.value(value);
    }
    values
}
