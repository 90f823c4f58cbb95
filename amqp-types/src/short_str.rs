//! The short string: up to 255 octets, the type of names, routing keys and most properties.

use std::str::FromStr;

use bytes::Bytes;

use crate::error::TooLong;
use crate::limits::SHORT_STR_MAX;
use crate::octets::{Repr, Short, impl_octet_string};

/// An AMQP short string: at most 255 octets, usually UTF-8 but not necessarily.
///
/// Brokers pass routing keys and properties through without looking at their encoding, so a short string
/// is octets, with [`to_str`](Self::to_str) for those who want text.
/// Up to 39 octets are kept in the value itself; only longer strings allocate.
///
/// ```
/// use amqp091_types::ShortStr;
///
/// let queue = ShortStr::new("orders")?;
/// assert_eq!(queue, "orders");
/// assert_eq!(queue.to_str(), Ok("orders"));
///
/// assert_eq!(ShortStr::new("x".repeat(256)).unwrap_err().len, 256);
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
#[derive(Clone)]
pub struct ShortStr(Repr);

impl ShortStr {
    /// The most octets that a short string can have.
    pub const MAX_LEN: usize = SHORT_STR_MAX;

    /// The empty string, which the protocol gives meanings of its own: the default exchange, "name the queue for me".
    #[inline]
    pub const fn empty() -> Self {
        Self(Repr::EMPTY)
    }

    /// A copy of `octets`.
    ///
    /// # Errors
    ///
    /// [`TooLong`] for more than [`MAX_LEN`](Self::MAX_LEN) octets.
    #[inline]
    pub fn new(octets: impl AsRef<[u8]>) -> Result<Self, TooLong> {
        let octets = octets.as_ref();
        checked(octets.len())?;
        Ok(Self(Repr::copy_of(octets)))
    }

    pub(crate) const fn from_repr(repr: Repr) -> Self {
        Self(repr)
    }

    /// A string known at compile time; never allocates.
    ///
    /// ```
    /// use amqp091_types::ShortStr;
    ///
    /// const EXCHANGE: ShortStr = ShortStr::from_static("amq.topic");
    /// assert_eq!(EXCHANGE, "amq.topic");
    /// ```
    ///
    /// # Panics
    ///
    /// If `text` has more than [`MAX_LEN`](Self::MAX_LEN) octets: in a constant, that is a compile error.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.len() <= SHORT_STR_MAX, "a short string has at most 255 octets");
        Self(Repr::of_static(text.as_bytes()))
    }

    /// For octets whose number came from a single octet.
    #[inline(always)]
    pub(crate) fn counted(octets: &[u8]) -> Self {
        debug_assert!(octets.len() <= SHORT_STR_MAX);
        Self(Repr::copy_of(octets))
    }

    /// Empty if it has more octets than fit into the value.
    #[inline(always)]
    pub(crate) fn quickly(found: Short<'_>) -> Self {
        let len = usize::from(found.len);
        match Repr::padded(found.octets, len) {
            Some(repr) => Self(repr),
            None => Self(found.octets.get(..len).and_then(Repr::inline).unwrap_or(Repr::EMPTY)),
        }
    }

    pub(crate) fn into_repr(self) -> Repr {
        self.0
    }
}

#[inline]
const fn checked(len: usize) -> Result<(), TooLong> {
    if len > SHORT_STR_MAX {
        return Err(TooLong { len });
    }
    Ok(())
}

impl_octet_string!(ShortStr);

impl FromStr for ShortStr {
    type Err = TooLong;

    fn from_str(text: &str) -> Result<Self, TooLong> {
        Self::new(text)
    }
}

impl TryFrom<&str> for ShortStr {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        Self::new(text)
    }
}

impl TryFrom<String> for ShortStr {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        Self::try_from(text.into_bytes())
    }
}

impl TryFrom<&[u8]> for ShortStr {
    type Error = TooLong;

    fn try_from(octets: &[u8]) -> Result<Self, TooLong> {
        Self::new(octets)
    }
}

impl TryFrom<Vec<u8>> for ShortStr {
    type Error = TooLong;

    fn try_from(octets: Vec<u8>) -> Result<Self, TooLong> {
        checked(octets.len())?;
        Ok(Self(Repr::keep(Bytes::from(octets))))
    }
}

impl TryFrom<Bytes> for ShortStr {
    type Error = TooLong;

    /// Does not copy more than 39 octets: a longer string keeps alive the buffer that `octets` is a slice of.
    fn try_from(octets: Bytes) -> Result<Self, TooLong> {
        checked(octets.len())?;
        Ok(Self(Repr::keep(octets)))
    }
}
