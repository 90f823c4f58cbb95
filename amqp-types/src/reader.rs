//! The cursor over received octets: scalars, bits and strings by plain slicing, tables by their grammar.

use crate::error::{DecodeError, DecodeReason};
use crate::layout::{Source, sealed::Sealed};
use crate::long_str::LongStr;
use crate::octets::Short;
use crate::read_table::{self, TableOctets};
use crate::scalar::Timestamp;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

/// Reads one field after the other from a slice.
///
/// Every method takes the name of the field for its error, generated code that of the argument, such as
/// `basic.publish.exchange`. After an error, where the reader stands is unspecified.
///
/// ```
/// use amqp091_types::Reader;
///
/// // basic.deliver's arguments: consumer-tag, delivery-tag, redelivered, exchange, routing-key.
/// let mut input = Reader::new(b"\x01c\x00\x00\x00\x00\x00\x00\x00\x07\x01\x00\x01q");
/// assert_eq!(input.short_str("basic.deliver.consumer-tag")?, "c");
/// assert_eq!(input.u64("basic.deliver.delivery-tag")?, 7);
/// assert_eq!(input.bits("basic.deliver.redelivered")?, [true]);
/// assert_eq!(input.short_str("basic.deliver.exchange")?, "");
/// assert_eq!(input.short_str("basic.deliver.routing-key")?, "q");
/// input.finish()?;
/// # Ok::<(), amqp091_types::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the start of `octets`.
    #[inline]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets, total: octets.len() }
    }

    /// How many octets have been read.
    #[inline]
    pub const fn offset(&self) -> usize {
        self.total - self.rest.len()
    }

    /// How many octets are left.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What is left.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads one octet.
    ///
    /// # Errors
    ///
    /// If there is none.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Reads two octets.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Reads four octets.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Reads eight octets.
    ///
    /// # Errors
    ///
    /// If there are fewer.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Reads the one octet that up to eight consecutive bits share, the first bit being the least significant.
    /// Bits above the `N` that are asked for are ignored. More than eight, or none, is a compile error.
    ///
    /// ```
    /// use amqp091_types::Reader;
    ///
    /// let [passive, durable, exclusive] = Reader::new(&[0b1111_0010]).bits("queue.declare.passive")?;
    /// assert_eq!((passive, durable, exclusive), (false, true, false));
    /// # Ok::<(), amqp091_types::DecodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no octet.
    #[inline]
    pub fn bits<const N: usize>(&mut self, field: &'static str) -> Result<[bool; N], DecodeError> {
        const { assert!(N >= 1 && N <= 8, "one octet holds one to eight bits") };
        let octet = self.u8(field)?;
        Ok(std::array::from_fn(|bit| octet & (1 << bit) != 0))
    }

    /// Reads a short string.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    // Inlined by force, as is what it is made of: called, it would hand its result over in memory, and a method is mostly
    // short strings. That halves the time of a method's arguments.
    #[inline(always)]
    pub fn short_str(&mut self, field: &'static str) -> Result<ShortStr, DecodeError> {
        self.short_octets(field).map(ShortStr::counted)
    }

    /// Reads a short string without a copy.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline(always)]
    pub fn short_octets(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u8(field)?;
        self.slice(usize::from(len), field)
    }

    /// Reads a long string.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline]
    pub fn long_str(&mut self, field: &'static str) -> Result<LongStr, DecodeError> {
        self.long_octets(field).map(LongStr::from)
    }

    /// Reads a long string without a copy.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline]
    pub fn long_octets(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u32(field)?;
        // No slice is as long as a length that usize can't hold.
        self.slice(usize::try_from(len).unwrap_or(usize::MAX), field)
    }

    /// Reads a timestamp.
    ///
    /// # Errors
    ///
    /// If there are fewer than eight octets.
    #[inline]
    pub fn timestamp(&mut self, field: &'static str) -> Result<Timestamp, DecodeError> {
        self.u64(field).map(Timestamp)
    }

    /// Reads a table, with the length in front of it.
    ///
    /// # Errors
    ///
    /// If the table is cut off, an entry runs over its end, a value has an unknown tag, or tables are nested
    /// deeper than [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX).
    pub fn table(&mut self, field: &'static str) -> Result<FieldTable, DecodeError> {
        let found = read_table::find(self.rest);
        self.parsed(found, field).map(TableOctets::table)
    }

    /// Reads a value as it stands in a table behind its key: its tag, and what the tag says.
    ///
    /// # Errors
    ///
    /// If it is cut off, has an unknown tag, or nests deeper than [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX).
    pub fn value(&mut self, field: &'static str) -> Result<Value, DecodeError> {
        let read = read_table::value(self.rest);
        self.parsed(read, field)
    }

    /// Reads all octets that are left as the entries of a table that has no length in front.
    pub(crate) fn entries(&mut self, field: &'static str) -> Result<FieldTable, DecodeError> {
        let found = read_table::find_entries(self.rest);
        self.parsed(found, field).map(TableOctets::table)
    }

    /// Passes over a short string.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline]
    pub fn skip_short_str(&mut self, field: &'static str) -> Result<(), DecodeError> {
        self.short_octets(field).map(drop)
    }

    /// Passes over a long string.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline]
    pub fn skip_long_str(&mut self, field: &'static str) -> Result<(), DecodeError> {
        self.long_octets(field).map(drop)
    }

    /// Passes over a table without looking into it.
    ///
    /// # Errors
    ///
    /// If its length or its octets are cut off.
    #[inline]
    pub fn skip_table(&mut self, field: &'static str) -> Result<(), DecodeError> {
        // From outside, a table is a long string.
        self.long_octets(field).map(drop)
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`DecodeReason::TrailingOctets`] if octets are left. The error's field is `end`.
    #[inline]
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let count = self.rest.len();
        Err(DecodeError::new("end", self.offset(), DecodeReason::TrailingOctets { count }))
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((octets, rest)) = self.rest.split_first_chunk() else {
            return Err(self.unexpected_end(N, field));
        };
        self.rest = rest;
        Ok(*octets)
    }

    #[inline(always)]
    fn slice(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((octets, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.unexpected_end(len, field));
        };
        self.rest = rest;
        Ok(octets)
    }

    fn parsed<T>(
        &mut self,
        found: read_table::Parsed<'a, T>,
        field: &'static str,
    ) -> Result<T, DecodeError> {
        match found {
            Ok((rest, found)) => {
                self.rest = rest;
                Ok(found)
            }
            Err(error) => {
                let fault = read_table::Fault::from(error);
                Err(DecodeError::new(field, self.total - fault.remaining, fault.reason))
            }
        }
    }

    #[inline(always)]
    fn unexpected_end(&self, needed: usize, field: &'static str) -> DecodeError {
        unexpected_end(needed, self.rest.len(), self.total, field)
    }
}

/// Not of the reader's, lest that has to lie in memory.
#[cold]
#[inline(never)]
fn unexpected_end(
    needed: usize,
    available: usize,
    total: usize,
    field: &'static str,
) -> DecodeError {
    DecodeError::new(field, total - available, DecodeReason::UnexpectedEnd { needed, available })
}

impl Sealed for Reader<'_> {}

impl<'a> Source<'a> for Reader<'a> {
    type Error = DecodeError;

    fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Self::u8(self, field)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Self::u16(self, field)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Self::u32(self, field)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        Self::u64(self, field)
    }

    fn bits<const N: usize>(&mut self, field: &'static str) -> Result<[bool; N], DecodeError> {
        Self::bits(self, field)
    }

    fn short(&mut self, field: &'static str) -> Result<Short<'a>, DecodeError> {
        let octets = self.short_octets(field)?;
        Ok(Short { octets, len: octets.len() as u8 })
    }

    fn long(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        self.long_octets(field)
    }

    fn table(&mut self, field: &'static str) -> Result<TableOctets<'a>, DecodeError> {
        let found = read_table::find(self.rest);
        self.parsed(found, field)
    }

    fn skip_short(&mut self, field: &'static str) -> Result<(), DecodeError> {
        self.skip_short_str(field)
    }

    fn skip_long(&mut self, field: &'static str) -> Result<(), DecodeError> {
        self.skip_long_str(field)
    }

    fn end(&self) -> Result<(), DecodeError> {
        self.clone().finish()
    }

    fn make_short(found: Short<'a>) -> ShortStr {
        ShortStr::counted(found.octets)
    }
}
