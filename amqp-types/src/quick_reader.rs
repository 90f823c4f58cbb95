//! The quick way to read fields.

use crate::layout::{Source, put, sealed::Sealed};
use crate::octets::{INLINE_MAX, Repr, Short};
use crate::read_table::{self, TableOctets};
use crate::short_str::ShortStr;

/// Something that only the [`Reader`](crate::Reader) or the [`Writer`](crate::Writer) can do, or tell what is wrong about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual;

/// Reads one field after the other from a slice, as long as they are as usual: short strings of up to 39 octets, and no mistake.
#[derive(Clone, Debug)]
pub struct QuickReader<'a> {
    rest: &'a [u8],
}

impl<'a> QuickReader<'a> {
    /// Begins at the start of `octets`.
    #[inline(always)]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    #[inline(always)]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Unusual> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(Unusual)?;
        self.rest = rest;
        Ok(*octets)
    }

    #[inline(always)]
    fn slice(&mut self, len: usize) -> Result<&'a [u8], Unusual> {
        let (octets, rest) = self.rest.split_at_checked(len).ok_or(Unusual)?;
        self.rest = rest;
        Ok(octets)
    }
}

impl Sealed for QuickReader<'_> {}

impl<'a> Source<'a> for QuickReader<'a> {
    type Error = Unusual;

    #[inline(always)]
    fn u8(&mut self, _: &'static str) -> Result<u8, Unusual> {
        self.chunk().map(u8::from_be_bytes)
    }

    #[inline(always)]
    fn u16(&mut self, _: &'static str) -> Result<u16, Unusual> {
        self.chunk().map(u16::from_be_bytes)
    }

    #[inline(always)]
    fn u32(&mut self, _: &'static str) -> Result<u32, Unusual> {
        self.chunk().map(u32::from_be_bytes)
    }

    #[inline(always)]
    fn u64(&mut self, _: &'static str) -> Result<u64, Unusual> {
        self.chunk().map(u64::from_be_bytes)
    }

    #[inline(always)]
    fn bits<const N: usize>(&mut self, field: &'static str) -> Result<[bool; N], Unusual> {
        let octet = self.u8(field)?;
        Ok(std::array::from_fn(|bit| octet & (1 << bit) != 0))
    }

    #[inline(always)]
    fn short(&mut self, field: &'static str) -> Result<Short<'a>, Unusual> {
        let len = self.u8(field)?;
        let found = Short { octets: self.rest, len };
        self.slice(usize::from(len))?;
        if usize::from(len) > INLINE_MAX { Err(Unusual) } else { Ok(found) }
    }

    #[inline(always)]
    fn long(&mut self, field: &'static str) -> Result<&'a [u8], Unusual> {
        let len = self.u32(field)?;
        self.slice(usize::try_from(len).unwrap_or(usize::MAX))
    }

    #[inline(always)]
    fn table(&mut self, _: &'static str) -> Result<TableOctets<'a>, Unusual> {
        let (rest, found) = read_table::find(self.rest).map_err(|_| Unusual)?;
        self.rest = rest;
        Ok(found)
    }

    #[inline(always)]
    fn skip_short(&mut self, field: &'static str) -> Result<(), Unusual> {
        let len = self.u8(field)?;
        self.slice(usize::from(len)).map(drop)
    }

    #[inline(always)]
    fn skip_long(&mut self, field: &'static str) -> Result<(), Unusual> {
        self.long(field).map(drop)
    }

    #[inline(always)]
    fn end(&self) -> Result<(), Unusual> {
        if self.rest.is_empty() { Ok(()) } else { Err(Unusual) }
    }

    #[inline(always)]
    fn make_short(found: Short<'a>) -> ShortStr {
        ShortStr::quickly(found)
    }

    #[inline(always)]
    fn fill_short(place: &mut Option<ShortStr>, found: Short<'a>) {
        match Repr::padded(found.octets, usize::from(found.len)) {
            Some(repr) => put(place, Some(ShortStr::from_repr(repr))),
            None => put(place, Some(ShortStr::quickly(found))),
        }
    }
}
