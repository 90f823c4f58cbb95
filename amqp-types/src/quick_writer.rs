//! The quick way to write fields.

use crate::error::EncodeError;
use crate::layout::{Sink, sealed::Sealed};
use crate::limits::TABLE_VALUES_MAX;
use crate::long_str::LongStr;
use crate::octets::{INLINE_MAX, Repr};
use crate::quick_reader::Unusual;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::write_table::{self, Nested};

/// Writes one field after the other into a slice that is long enough, as long as nothing is wrong with them.
#[derive(Debug)]
pub struct QuickWriter<'a> {
    rest: &'a mut [u8],
}

impl<'a> QuickWriter<'a> {
    /// How many octets a slice must be longer than what is written: short strings are copied with all the room they have.
    pub const SLACK: usize = INLINE_MAX + 4;

    /// Begins at the start of `room`.
    #[inline(always)]
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self { rest: room }
    }

    /// How many octets are not written yet.
    #[inline(always)]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Lets `write` write with a copy of this writer, which can so be held in registers.
    #[inline(always)]
    pub(crate) fn apart<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let mut copy = Self { rest: std::mem::take(&mut self.rest) };
        let result = write(&mut copy);
        self.rest = copy.rest;
        result
    }

    #[inline(always)]
    fn chunk<const N: usize>(&mut self) -> Result<&'a mut [u8; N], Unusual> {
        let rest = std::mem::take(&mut self.rest);
        let (chunk, rest) = rest.split_first_chunk_mut().ok_or(Unusual)?;
        self.rest = rest;
        Ok(chunk)
    }

    #[inline(always)]
    fn skip(&mut self, len: usize) -> Result<(), Unusual> {
        self.rest = std::mem::take(&mut self.rest).get_mut(len..).ok_or(Unusual)?;
        Ok(())
    }

    #[inline(always)]
    fn slice(&mut self, octets: &[u8]) -> Result<(), Unusual> {
        let rest = std::mem::take(&mut self.rest);
        let (place, rest) = rest.split_at_mut_checked(octets.len()).ok_or(Unusual)?;
        place.copy_from_slice(octets);
        self.rest = rest;
        Ok(())
    }
}

impl Sealed for QuickWriter<'_> {}

impl Sink for QuickWriter<'_> {
    type Error = Unusual;

    #[inline(always)]
    fn array<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), Unusual> {
        *self.chunk()? = octets;
        Ok(())
    }

    #[inline(always)]
    fn short_str(&mut self, value: &ShortStr) -> Result<(), Unusual> {
        match value.repr() {
            Repr::Inline(inline) => {
                let place = self.rest.first_chunk_mut::<{ INLINE_MAX + 1 }>().ok_or(Unusual)?;
                let (len, octets) = place.split_first_mut().ok_or(Unusual)?;
                *len = inline.len() as u8;
                octets.copy_from_slice(inline.padded());
                self.skip(1 + inline.len())
            }
            Repr::Shared(octets) => {
                self.u8(u8::try_from(octets.len()).map_err(|_| Unusual)?)?;
                self.slice(octets)
            }
        }
    }

    #[inline(always)]
    fn long_str(&mut self, value: &LongStr, field: &'static str) -> Result<(), Unusual> {
        match value.repr() {
            Repr::Inline(inline) => {
                let place = self.rest.first_chunk_mut::<{ INLINE_MAX + 4 }>().ok_or(Unusual)?;
                let (len, octets) = place.split_first_chunk_mut().ok_or(Unusual)?;
                *len = (inline.len() as u32).to_be_bytes();
                octets.copy_from_slice(inline.padded());
                self.skip(4 + inline.len())
            }
            Repr::Shared(octets) => self.long_octets(octets, field),
        }
    }

    #[inline(always)]
    fn long_octets(&mut self, value: &[u8], _: &'static str) -> Result<(), Unusual> {
        self.u32(u32::try_from(value.len()).map_err(|_| Unusual)?)?;
        self.slice(value)
    }

    #[inline(always)]
    fn table(&mut self, value: &FieldTable, field: &'static str) -> Result<(), Unusual> {
        self.nested(Nested::Table(value), field, 1, &mut { TABLE_VALUES_MAX })
    }

    #[inline(always)]
    fn nested(
        &mut self,
        value: Nested<'_>,
        field: &'static str,
        level: usize,
        left: &mut usize,
    ) -> Result<(), Unusual> {
        self.rest =
            nested(std::mem::take(&mut self.rest), value, field, level, left).ok_or(Unusual)?;
        Ok(())
    }

    #[inline(always)]
    fn measured(
        &mut self,
        _: &'static str,
        body: impl FnOnce(&mut Self) -> Result<(), Unusual>,
    ) -> Result<(), Unusual> {
        let place = self.chunk::<4>()?;
        let before = self.rest.len();
        body(self)?;
        let len = u32::try_from(before - self.rest.len()).map_err(|_| Unusual)?;
        *place = len.to_be_bytes();
        Ok(())
    }

    #[inline(always)]
    fn refuse(_: EncodeError) -> Unusual {
        Unusual
    }
}

/// Takes the room and gives back what is left of it, all in registers.
#[inline(never)]
fn nested<'a>(
    room: &'a mut [u8],
    value: Nested<'_>,
    field: &'static str,
    level: usize,
    left: &mut usize,
) -> Option<&'a mut [u8]> {
    let mut out = QuickWriter { rest: room };
    write_table::nested(&mut out, value, field, level, left).ok()?;
    Some(out.rest)
}
