//! Message bodies as callers have them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// A message's body, lent or given: what is lent is copied when it is published, large bodies that are
/// given are not. One in pieces is written piece by piece, without joining them.
#[derive(Clone)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Octets that the caller keeps.
    Borrowed(&'a [u8]),
    /// Octets that are shared or given away.
    Owned(Bytes),
    /// The same in pieces, one behind the other.
    Pieces(Vec<Bytes>),
}

impl Body<'_> {
    /// Octets of the whole body.
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(octets) => octets.len(),
            Self::Owned(octets) => octets.len(),
            Self::Pieces(pieces) => pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At least the first `count` octets, or all, in one piece.
    pub(crate) fn beginning(&self, count: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Borrowed(octets) => Cow::Borrowed(octets),
            Self::Owned(octets) => Cow::Borrowed(octets),
            Self::Pieces(pieces) => match &pieces[..] {
                [piece] => Cow::Borrowed(piece),
                pieces => {
                    let mut octets = Vec::new();
                    for piece in pieces {
                        if octets.len() >= count {
                            break;
                        }
                        octets.extend_from_slice(piece);
                    }
                    Cow::Owned(octets)
                }
            },
        }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} octets)", self.len())
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Borrowed(octets)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Body<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Borrowed(octets)
    }
}

impl<'a> From<&'a str> for Body<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Body<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Body<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self::Borrowed(octets)
    }
}

impl From<Bytes> for Body<'_> {
    fn from(octets: Bytes) -> Self {
        Self::Owned(octets)
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self::Owned(octets.into())
    }
}

impl From<String> for Body<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into())
    }
}

impl From<Vec<Bytes>> for Body<'_> {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self::Pieces(pieces)
    }
}

impl From<&[Bytes]> for Body<'_> {
    fn from(pieces: &[Bytes]) -> Self {
        Self::Pieces(pieces.to_vec())
    }
}

impl<const N: usize> From<[Bytes; N]> for Body<'_> {
    fn from(pieces: [Bytes; N]) -> Self {
        Self::Pieces(pieces.into())
    }
}
