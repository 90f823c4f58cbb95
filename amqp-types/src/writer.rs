//! The pen over the output buffer: every elementary type appended in its form on the wire.

use bytes::BytesMut;

use crate::error::EncodeError;
use crate::layout::Sink;
use crate::layout::sealed::Sealed;
use crate::limits::{SHORT_STR_MAX, TABLE_VALUES_MAX};
use crate::long_str::LongStr;
use crate::octets::Repr;
use crate::scalar::Timestamp;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::write_table::{self, Nested};

/// Appends one field after the other to a buffer.
///
/// The buffer grows as needed; who reserves [`encoded_len`](crate::Encode::encoded_len) first makes it grow once.
/// After an error the buffer may hold a part of the field: cut it back to the length it had.
///
/// ```
/// use amqp091_types::{ShortStr, Writer};
/// use bytes::BytesMut;
///
/// let mut octets = BytesMut::new();
/// let mut out = Writer::new(&mut octets);
/// out.u16(0);
/// out.short_str(&ShortStr::new("q")?);
/// out.bits([false, true]);
/// assert_eq!(octets, &b"\x00\x00\x01q\x02"[..]);
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// Appends to `out`.
    #[inline]
    pub const fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    /// Writes one octet.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.array(value.to_be_bytes());
    }

    /// Writes two octets.
    #[inline]
    pub fn u16(&mut self, value: u16) {
        self.array(value.to_be_bytes());
    }

    /// Writes four octets.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.array(value.to_be_bytes());
    }

    /// Writes eight octets.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.array(value.to_be_bytes());
    }

    /// Writes the one octet that up to eight consecutive bits share, the first bit being the least significant.
    /// More than eight, or none, is a compile error.
    #[inline]
    pub fn bits<const N: usize>(&mut self, bits: [bool; N]) {
        const { assert!(N >= 1 && N <= 8, "one octet holds one to eight bits") };
        let octet = bits.into_iter().rev().fold(0, |octet, bit| octet << 1 | u8::from(bit));
        self.u8(octet);
    }

    /// Writes a short string.
    #[inline]
    pub fn short_str(&mut self, value: &ShortStr) {
        match value.repr() {
            Repr::Inline(inline) => {
                self.u8(inline.len() as u8);
                self.front_of(inline.padded(), inline.len());
            }
            Repr::Shared(octets) => self.counted(octets),
        }
    }

    /// Writes octets as a short string.
    ///
    /// # Errors
    ///
    /// [`EncodeError::ShortStrTooLong`] for more than 255 octets; nothing is written then.
    #[inline]
    pub fn short_octets(&mut self, octets: &[u8]) -> Result<(), EncodeError> {
        if octets.len() > SHORT_STR_MAX {
            return Err(EncodeError::ShortStrTooLong { len: octets.len() });
        }
        self.counted(octets);
        Ok(())
    }

    /// Writes a long string.
    ///
    /// # Errors
    ///
    /// [`EncodeError::LongStrTooLong`] for more than 2³²−1 octets; nothing is written then.
    #[inline]
    pub fn long_str(&mut self, value: &LongStr, field: &'static str) -> Result<(), EncodeError> {
        match value.repr() {
            Repr::Inline(inline) => {
                self.u32(inline.len() as u32);
                self.front_of(inline.padded(), inline.len());
                Ok(())
            }
            Repr::Shared(octets) => self.long_octets(octets, field),
        }
    }

    /// Writes octets as a long string.
    ///
    /// # Errors
    ///
    /// [`EncodeError::LongStrTooLong`] for more than 2³²−1 octets; nothing is written then.
    #[inline]
    pub fn long_octets(&mut self, octets: &[u8], field: &'static str) -> Result<(), EncodeError> {
        self.u32(long_len(octets.len(), field)?);
        self.out.extend_from_slice(octets);
        Ok(())
    }

    /// Writes a timestamp.
    #[inline]
    pub fn timestamp(&mut self, value: Timestamp) {
        self.u64(value.0);
    }

    /// Writes a table, with its length in front.
    ///
    /// # Errors
    ///
    /// If it is nested deeper than [`TABLE_DEPTH_MAX`](crate::limits::TABLE_DEPTH_MAX), holds a floating-point
    /// number that is not finite, or it or a string in it is longer than 2³²−1 octets.
    #[inline]
    pub fn table(&mut self, value: &FieldTable, field: &'static str) -> Result<(), EncodeError> {
        write_table::nested(self, Nested::Table(value), field, 1, &mut { TABLE_VALUES_MAX })
    }

    /// Writes octets whose number is known at compile time, in one go.
    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, octets: [u8; N]) {
        // Not `BufMut::put_slice`, which is not inlined and so four times as slow.
        self.out.extend_from_slice(&octets);
    }

    /// Writes the first `len` octets of `padded`.
    ///
    /// Copying all of them and taking the padding back is quicker than a call of `memcpy` for a length that is only known at
    /// run time. It is done only where the padding fits, lest it make a buffer grow that was reserved exactly.
    #[inline]
    fn front_of<const N: usize>(&mut self, padded: &[u8; N], len: usize) {
        let begin = self.out.len();
        if self.out.capacity() - begin >= N {
            self.out.extend_from_slice(padded);
            self.out.truncate(begin + len);
        } else {
            self.out.extend_from_slice(padded.get(..len).unwrap_or(padded));
        }
    }

    /// Of at most 255 octets.
    #[inline]
    fn counted(&mut self, octets: &[u8]) {
        debug_assert!(octets.len() <= SHORT_STR_MAX);
        self.out.reserve(1 + octets.len());
        self.u8(octets.len() as u8);
        self.out.extend_from_slice(octets);
    }
}

impl Sealed for Writer<'_> {}

impl Sink for Writer<'_> {
    type Error = EncodeError;

    #[inline]
    fn array<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), EncodeError> {
        // Not `BufMut::put_slice`, which is not inlined and so four times as slow.
        self.out.extend_from_slice(&octets);
        Ok(())
    }

    #[inline]
    fn short_str(&mut self, value: &ShortStr) -> Result<(), EncodeError> {
        Self::short_str(self, value);
        Ok(())
    }

    #[inline]
    fn long_str(&mut self, value: &LongStr, field: &'static str) -> Result<(), EncodeError> {
        Self::long_str(self, value, field)
    }

    #[inline]
    fn long_octets(&mut self, value: &[u8], field: &'static str) -> Result<(), EncodeError> {
        Self::long_octets(self, value, field)
    }

    #[inline]
    fn table(&mut self, value: &FieldTable, field: &'static str) -> Result<(), EncodeError> {
        Self::table(self, value, field)
    }

    fn nested(
        &mut self,
        value: Nested<'_>,
        field: &'static str,
        level: usize,
        left: &mut usize,
    ) -> Result<(), EncodeError> {
        write_table::nested(self, value, field, level, left)
    }

    fn measured(
        &mut self,
        field: &'static str,
        body: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let at = self.out.len();
        Self::u32(self, 0);
        let begin = self.out.len();
        body(self)?;
        let len = self.out.len() - begin;
        let counted = u32::try_from(len).map_err(|_| EncodeError::TableTooLong { field, len })?;
        if let Some(place) = self.out.get_mut(at..begin) {
            place.copy_from_slice(&counted.to_be_bytes());
        }
        Ok(())
    }

    fn refuse(error: EncodeError) -> EncodeError {
        error
    }
}

#[inline]
fn long_len(len: usize, field: &'static str) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::LongStrTooLong { field, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn lengths_beyond_32_bits_are_refused() {
        let max = u32::MAX as usize;
        assert_eq!(long_len(max, "f"), Ok(u32::MAX));
        let refused = EncodeError::LongStrTooLong { field: "f", len: max + 1 };
        assert_eq!(long_len(max + 1, "f"), Err(refused));
    }
}
