//! The long string: octets behind a 32-bit length, the type of text values in tables and of SASL data.

use bytes::Bytes;

use crate::octets::{Repr, impl_octet_string};
use crate::short_str::ShortStr;

/// An AMQP long string: up to 4,294,967,295 octets, text or not.
///
/// The protocol has no text type: whether a long string is UTF-8 is between sender and receiver.
/// Up to 39 octets are kept in the value itself; longer strings are a [`Bytes`] and cheap to clone.
///
/// The limit of 2³²−1 octets is checked when the string is encoded, not when it is made.
/// `Debug` prints the octets escaped, of very long strings only the first 256: a long string that is
/// a password shows there too, so print no login data.
///
/// ```
/// use amqp091_types::LongStr;
///
/// let text = LongStr::from("Grüße");
/// assert_eq!(text.len(), 7);
/// assert_eq!(text.to_str(), Ok("Grüße"));
/// assert!(LongStr::from(b"\xff\xfe").to_str().is_err());
/// ```
#[derive(Clone)]
pub struct LongStr(Repr);

impl LongStr {
    /// The empty string.
    #[inline]
    pub const fn empty() -> Self {
        Self(Repr::EMPTY)
    }

    pub(crate) const fn from_repr(repr: Repr) -> Self {
        Self(repr)
    }

    /// A string known at compile time; never allocates.
    ///
    /// ```
    /// use amqp091_types::LongStr;
    ///
    /// const LOCALE: LongStr = LongStr::from_static("en_US");
    /// assert_eq!(LOCALE, "en_US");
    /// ```
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::of_static(text.as_bytes()))
    }
}

impl_octet_string!(LongStr);

impl From<&str> for LongStr {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for LongStr {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&[u8]> for LongStr {
    #[inline]
    fn from(octets: &[u8]) -> Self {
        Self(Repr::copy_of(octets))
    }
}

impl<const N: usize> From<&[u8; N]> for LongStr {
    fn from(octets: &[u8; N]) -> Self {
        Self::from(octets.as_slice())
    }
}

impl From<Vec<u8>> for LongStr {
    fn from(octets: Vec<u8>) -> Self {
        Self::from(Bytes::from(octets))
    }
}

impl From<Bytes> for LongStr {
    /// Does not copy more than 39 octets: a longer string keeps alive the buffer that `octets` is a slice of.
    fn from(octets: Bytes) -> Self {
        Self(Repr::keep(octets))
    }
}

impl From<ShortStr> for LongStr {
    fn from(short: ShortStr) -> Self {
        Self(short.into_repr())
    }
}
