//! The representation that short and long strings share: short ones inside the value, long ones in a [`Bytes`].

use std::fmt;

use bytes::Bytes;

/// The most octets kept inside the value: what makes it 40 octets in all, one word more than [`Bytes`].
///
/// Queue names, routing keys, consumer tags and correlation ids (a UUID has 36 characters) mostly fit.
pub(crate) const INLINE_MAX: usize = 39;

/// Of a long string, `Debug` shows this many octets and the number of the others.
pub(crate) const DEBUG_MAX: usize = 256;

/// An immutable string of octets.
#[derive(Clone)]
pub(crate) enum Repr {
    /// Up to [`INLINE_MAX`] octets, with no allocation.
    Inline(Inline),
    /// Any number of octets, cheap to clone.
    Shared(Bytes),
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Repr>() == 40 && size_of::<Option<Repr>>() == 40);

/// Octets behind their number, as a short string is on the wire; those beyond the number are without meaning.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Inline {
    len: Len,
    octets: [u8; INLINE_MAX],
}

/// A number from 0 to 39. That it is never more lets the enums around it keep their tags in the same octet.
macro_rules! len {
    ($($name:ident = $len:literal),* $(,)?) => {
        #[derive(Clone, Copy)]
        #[repr(u8)]
        enum Len {
            $($name = $len,)*
            L39 = 39,
        }

        impl Len {
            /// `len`, or 39 if that is more. No branches are left of this: the compiler sees that numbers become themselves.
            #[inline(always)]
            const fn new(len: usize) -> Self {
                match len {
                    $($len => Self::$name,)*
                    _ => Self::L39,
                }
            }
        }
    };
}
len! {
    L0 = 0, L1 = 1, L2 = 2, L3 = 3, L4 = 4, L5 = 5, L6 = 6, L7 = 7, L8 = 8, L9 = 9,
    L10 = 10, L11 = 11, L12 = 12, L13 = 13, L14 = 14, L15 = 15, L16 = 16, L17 = 17, L18 = 18, L19 = 19,
    L20 = 20, L21 = 21, L22 = 22, L23 = 23, L24 = 24, L25 = 25, L26 = 26, L27 = 27, L28 = 28, L29 = 29,
    L30 = 30, L31 = 31, L32 = 32, L33 = 33, L34 = 34, L35 = 35, L36 = 36, L37 = 37, L38 = 38,
}

impl Inline {
    const EMPTY: Self = Self { len: Len::L0, octets: [0; INLINE_MAX] };

    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// All octets, those without meaning too.
    #[inline(always)]
    pub(crate) const fn padded(&self) -> &[u8; INLINE_MAX] {
        &self.octets
    }
}

/// A short string that is still where it was read.
#[derive(Clone, Copy, Debug)]
pub struct Short<'a> {
    /// It begins here; others follow.
    pub(crate) octets: &'a [u8],
    pub(crate) len: u8,
}

impl Repr {
    pub(crate) const EMPTY: Self = Self::Inline(Inline::EMPTY);

    /// Copies `octets`: into the value if they fit, else into an allocation of their size.
    #[inline(always)]
    pub(crate) fn copy_of(octets: &[u8]) -> Self {
        match Self::inline(octets) {
            Some(inline) => inline,
            None => Self::allocated(octets),
        }
    }

    /// The first `len` octets, if they fit into the value and there are others behind them to fill it.
    ///
    /// Without a look at the length, that is three moves.
    #[inline(always)]
    pub(crate) fn padded(octets: &[u8], len: usize) -> Option<Self> {
        match octets.first_chunk() {
            Some(chunk) if len <= INLINE_MAX => {
                Some(Self::Inline(Inline { len: Len::new(len), octets: *chunk }))
            }
            _ => None,
        }
    }

    /// All octets, if they fit into the value.
    #[inline(always)]
    pub(crate) fn inline(octets: &[u8]) -> Option<Self> {
        let inline = in_registers(octets)?;
        Some(Self::Inline(Inline { len: Len::new(octets.len()), octets: inline }))
    }

    #[cold]
    #[inline(never)]
    fn allocated(octets: &[u8]) -> Self {
        Self::Shared(Bytes::copy_from_slice(octets))
    }

    /// Keeps `octets` without a copy, unless they fit inside the value.
    pub(crate) fn keep(octets: Bytes) -> Self {
        if octets.len() <= INLINE_MAX { Self::copy_of(&octets) } else { Self::Shared(octets) }
    }

    pub(crate) const fn of_static(octets: &'static [u8]) -> Self {
        if octets.len() > INLINE_MAX {
            return Self::Shared(Bytes::from_static(octets));
        }
        let mut inline = [0; INLINE_MAX];
        let mut at = 0;
        while at < octets.len() {
            inline[at] = octets[at];
            at += 1;
        }
        Self::Inline(Inline { len: Len::new(octets.len()), octets: inline })
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline(inline) => inline.octets.get(..inline.len()).unwrap_or_default(),
            Self::Shared(octets) => octets,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Inline(_) => Bytes::copy_from_slice(self.as_slice()),
            Self::Shared(octets) => octets,
        }
    }
}

/// `octets` at the front of zeros, or `None` if they are more than [`INLINE_MAX`].
///
/// What `copy_from_slice` would do, at half the time: a call of `memcpy` for a length that is only known at run time
/// leaves the octets in memory in pieces that the processor can't forward to the loads of the move that
/// follows. So the octets go through words instead: a whole one from the front and one from the end, which is
/// shifted to drop what both have.
#[inline(always)]
fn in_registers(octets: &[u8]) -> Option<[u8; INLINE_MAX]> {
    if octets.len() > INLINE_MAX {
        return None;
    }
    let bits = 8 * octets.len() as u32;
    let (first, second, third) = match (octets.first_chunk(), octets.last_chunk()) {
        (Some(front), Some(back)) if octets.len() <= 32 => {
            // All 16 octets of the back are in front already if there are no more than those.
            let new = u128::from_le_bytes(*back).checked_shr(256 - bits);
            (u128::from_le_bytes(*front), new.unwrap_or(0), 0)
        }
        (Some(front), _) => {
            let middle = octets.get(16..).and_then(<[u8]>::first_chunk)?;
            let new = u64::from_le_bytes(*octets.last_chunk()?) >> (320 - bits);
            (u128::from_le_bytes(*front), u128::from_le_bytes(*middle), new)
        }
        _ => (up_to_16(octets), 0, 0),
    };
    let mut inline = [0; INLINE_MAX];
    inline[..16].copy_from_slice(&first.to_le_bytes());
    inline[16..32].copy_from_slice(&second.to_le_bytes());
    inline[32..].copy_from_slice(&third.to_le_bytes()[..INLINE_MAX - 32]);
    Some(inline)
}

/// Up to 16 octets as the low end of a word: here what both words have is the same, so it may overlap.
#[inline(always)]
fn up_to_16(octets: &[u8]) -> u128 {
    let bits = 8 * octets.len() as u32;
    if let (Some(front), Some(back)) = (octets.first_chunk(), octets.last_chunk()) {
        let back = u128::from(u64::from_le_bytes(*back)) << (bits - 64);
        u128::from(u64::from_le_bytes(*front)) | back
    } else if let (Some(front), Some(back)) = (octets.first_chunk(), octets.last_chunk()) {
        let back = u64::from(u32::from_le_bytes(*back)) << (bits - 32);
        u128::from(u64::from(u32::from_le_bytes(*front)) | back)
    } else {
        let word = octets.iter().rev().fold(0, |word, octet| word << 8 | u32::from(*octet));
        word.into()
    }
}

/// Octets as a byte string literal, `b"a\x00"`, the long ones cut short.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(DEBUG_MAX) {
            Some((shown, others)) if !others.is_empty() => {
                write!(f, "b\"{}\"", shown.escape_ascii())?;
                write!(f, " and {} more octets", others.len())
            }
            _ => write!(f, "b\"{}\"", self.0.escape_ascii()),
        }
    }
}

/// What both newtypes around [`Repr`] have: access to the octets, by which they compare, hash and print.
macro_rules! impl_octet_string {
    ($name:ident) => {
        impl $name {
            /// The octets.
            #[inline]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_slice()
            }

            /// The text.
            ///
            /// # Errors
            ///
            /// If the octets are not UTF-8.
            pub fn to_str(&self) -> Result<&str, std::str::Utf8Error> {
                std::str::from_utf8(self.as_bytes())
            }

            /// The text, with U+FFFD for what is not UTF-8.
            pub fn to_str_lossy(&self) -> std::borrow::Cow<'_, str> {
                String::from_utf8_lossy(self.as_bytes())
            }

            /// The octets, owned. Strings of up to 39 octets are copied, others are not.
            pub fn into_bytes(self) -> bytes::Bytes {
                self.0.into_bytes()
            }

            /// The number of octets.
            #[inline]
            pub fn len(&self) -> usize {
                self.as_bytes().len()
            }

            /// Whether there are no octets.
            #[inline]
            pub fn is_empty(&self) -> bool {
                self.as_bytes().is_empty()
            }

            #[inline]
            pub(crate) const fn repr(&self) -> &$crate::octets::Repr {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::empty()
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.as_bytes()
            }
        }

        impl std::borrow::Borrow<[u8]> for $name {
            fn borrow(&self) -> &[u8] {
                self.as_bytes()
            }
        }

        impl PartialEq for $name {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_bytes().cmp(other.as_bytes())
            }
        }

        // As `[u8]` hashes, because `Borrow<[u8]>` promises it.
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_bytes().hash(state);
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&$crate::octets::Escaped(self.as_bytes()), f)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.to_str_lossy(), f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl PartialEq<[u8]> for $name {
            fn eq(&self, other: &[u8]) -> bool {
                self.as_bytes() == other
            }
        }

        impl PartialEq<&[u8]> for $name {
            fn eq(&self, other: &&[u8]) -> bool {
                self.as_bytes() == *other
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, other: &$name) -> bool {
                other == self
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, other: &$name) -> bool {
                other == self
            }
        }

        impl PartialEq<$name> for [u8] {
            fn eq(&self, other: &$name) -> bool {
                other == self
            }
        }

        impl From<$name> for bytes::Bytes {
            /// No copy, unless the string is short enough to be inside the value (39 octets).
            fn from(string: $name) -> Self {
                string.into_bytes()
            }
        }
    };
}
pub(crate) use impl_octet_string;

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(len: usize) -> Vec<u8> {
        (0..len).map(|n| n as u8).collect()
    }

    #[test]
    fn the_first_39_octets_are_inline_and_the_40th_is_not() {
        for len in [0, 1, INLINE_MAX - 1, INLINE_MAX] {
            let repr = Repr::copy_of(&octets(len));
            assert!(matches!(repr, Repr::Inline { .. }), "{len}");
            assert_eq!(repr.as_slice(), octets(len));
            let kept = Repr::keep(Bytes::from(octets(len)));
            assert!(matches!(kept, Repr::Inline { .. }), "{len}");
            assert_eq!(kept.into_bytes(), octets(len));
        }
        for len in [INLINE_MAX + 1, 255, 70_000] {
            let repr = Repr::copy_of(&octets(len));
            assert!(matches!(repr, Repr::Shared(_)), "{len}");
            assert_eq!(repr.into_bytes(), octets(len));
        }
    }

    #[test]
    fn every_length_is_copied_whole_and_followed_by_zeros() {
        for len in 0..=INLINE_MAX {
            let given: Vec<u8> = (0..len).map(|n| 0xff - n as u8).collect();
            let inline = in_registers(&given).unwrap();
            assert_eq!(inline[..len], given, "{len}");
            assert!(inline[len..].iter().all(|octet| *octet == 0), "{len}");
        }
        assert_eq!(in_registers(&[0; INLINE_MAX + 1]), None);
        assert_eq!(in_registers(&[0; 1 << 20]), None);
    }

    #[test]
    fn kept_bytes_are_not_copied() {
        let given = Bytes::from(octets(100));
        let repr = Repr::keep(given.clone());
        let again = repr.clone();
        assert_eq!(repr.as_slice().as_ptr(), given.as_ptr());
        assert_eq!(again.into_bytes().as_ptr(), given.as_ptr());
    }

    #[test]
    fn static_octets_of_either_length() {
        const SHORT: Repr = Repr::of_static(b"short");
        assert!(matches!(SHORT, Repr::Inline { .. }));
        assert_eq!(SHORT.as_slice(), b"short");
        static LONG: [u8; 40] = [7; 40];
        let long = Repr::of_static(&LONG);
        assert_eq!(long.as_slice().as_ptr(), LONG.as_ptr());
    }

    #[test]
    fn debug_escapes_and_cuts() {
        assert_eq!(format!("{:?}", Escaped(b"a\"\xff\0")), r#"b"a\"\xff\x00""#);
        let cut = format!("{:?}", Escaped(&[b'a'; 300]));
        assert_eq!(cut, format!("b\"{}\" and 44 more octets", "a".repeat(256)));
        let whole = format!("{:?}", Escaped(&[b'a'; 256]));
        assert_eq!(whole, format!("b\"{}\"", "a".repeat(256)));
    }
}
