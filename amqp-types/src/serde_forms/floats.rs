//! Floating-point numbers so that their bits survive: as numbers where that is safe, else as text.
//!
//! JSON's numbers are decimal, and fast readers (serde_json's, unless told otherwise) get the last bit wrong for numbers
//! of many digits or large exponents. Those are written as text, which is read here, exactly.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde_core::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde_core::ser::{Serialize, Serializer};

/// The bits of what is written as `NaN`.
const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// Up to this many digits, and up to this power of ten, a number and the power are whole numbers that a 64-bit float
/// holds: whoever divides the one by the other rounds once, and so reads exactly.
const DIGITS_MAX: usize = 15;
const POWER_MAX: i32 = 22;

/// Whether any reader gets the bits of the number right.
pub(super) fn is_plain(number: f64) -> bool {
    if number == 0.0 {
        return true;
    }
    if !number.is_finite() || number.abs() >= 1e15 {
        return false;
    }
    // The fewest digits that tell the number from its neighbours: what formats write.
    let shortest = format!("{number:e}");
    let Some((digits, exponent)) = shortest.split_once('e') else {
        return false;
    };
    let digits = digits.bytes().filter(u8::is_ascii_digit).count();
    let Ok(exponent) = i32::from_str(exponent) else {
        return false;
    };
    digits <= DIGITS_MAX && exponent + POWER_MAX >= digits as i32 - 1
}

/// A number that is a `T` and is written as `{"$f32": …}` or `{"$f64": …}`: the part in the dots.
pub(super) struct Exact<T>(pub(super) T);

impl Serialize for Exact<f32> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bits = self.0.to_bits();
        if !self.0.is_finite() {
            let text = not_finite(self.0.into(), bits == NAN_32, || format!("{bits:#010x}"));
            return serializer.serialize_str(&text);
        }
        let text = format!("{:?}", self.0);
        // It is read as a 64-bit number first, and not necessarily as the nearest one.
        let read = f64::from_str(&text).unwrap_or(f64::NAN);
        let nearby = [read.next_down().next_down(), read, read.next_up().next_up()];
        if nearby.iter().all(|read| (*read as f32).to_bits() == bits) || self.0 == 0.0 {
            serializer.serialize_f32(self.0)
        } else {
            serializer.serialize_str(&text)
        }
    }
}

impl Serialize for Exact<f64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bits = self.0.to_bits();
        if !self.0.is_finite() {
            let text = not_finite(self.0, bits == NAN_64, || format!("{bits:#018x}"));
            return serializer.serialize_str(&text);
        }
        if is_plain(self.0) {
            serializer.serialize_f64(self.0)
        } else {
            serializer.serialize_str(&format!("{:?}", self.0))
        }
    }
}

fn not_finite(number: f64, usual: bool, bits: impl FnOnce() -> String) -> String {
    match (number.is_nan(), usual, number > 0.0) {
        (true, true, _) => "NaN".to_owned(),
        (true, false, _) => bits(),
        (false, _, true) => "inf".to_owned(),
        (false, _, false) => "-inf".to_owned(),
    }
}

/// What both widths have.
pub(super) trait Float: Sized + FromStr {
    /// `None` if it is finite and too large.
    fn from_number(number: f64) -> Option<Self>;
    fn from_bits_text(hexadecimal: &str) -> Option<Self>;
    fn is_finite(&self) -> bool;
    const NAN: Self;
}

/// Without them, `from_str_radix` would take a sign too.
fn only_digits(hexadecimal: &str) -> Option<&str> {
    hexadecimal.bytes().all(|octet| octet.is_ascii_hexdigit()).then_some(hexadecimal)
}

impl Float for f32 {
    fn from_number(number: f64) -> Option<Self> {
        let narrow = number as Self;
        (narrow.is_finite() || !number.is_finite()).then_some(narrow)
    }

    fn from_bits_text(hexadecimal: &str) -> Option<Self> {
        let digits = only_digits(hexadecimal)?;
        u32::from_str_radix(digits, 16).ok().map(Self::from_bits)
    }

    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }

    const NAN: Self = Self::from_bits(NAN_32);
}

impl Float for f64 {
    fn from_number(number: f64) -> Option<Self> {
        Some(number)
    }

    fn from_bits_text(hexadecimal: &str) -> Option<Self> {
        let digits = only_digits(hexadecimal)?;
        u64::from_str_radix(digits, 16).ok().map(Self::from_bits)
    }

    fn is_finite(&self) -> bool {
        Self::is_finite(*self)
    }

    const NAN: Self = Self::from_bits(NAN_64);
}

impl<'de, T: Float> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExactVisitor(PhantomData))
    }
}

struct ExactVisitor<T>(PhantomData<T>);

impl<T: Float> Visitor<'_> for ExactVisitor<T> {
    type Value = Exact<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a text that is one, NaN, inf, -inf, or the bits as 0x and digits")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        let float = T::from_number(number);
        float.map(Exact).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let float = match text {
            "NaN" => Some(T::NAN),
            "inf" => T::from_number(f64::INFINITY),
            "-inf" => T::from_number(f64::NEG_INFINITY),
            _ => match text.strip_prefix("0x") {
                Some(hexadecimal) => T::from_bits_text(hexadecimal),
                None => T::from_str(text).ok().filter(T::is_finite),
            },
        };
        float.map(Exact).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_writes_is_plain() {
        for number in [0.0, -0.0, 1.0, 0.1, -1.5, 6.02214, 1e-9, 123_456_789_012_345.0, 2.5e-20] {
            assert!(is_plain(number), "{number}");
        }
    }

    #[test]
    fn what_readers_get_wrong_is_not() {
        for number in
            [0.1 + 0.2, 1.0 / 3.0, 1e15, 1e300, 1e-23, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY]
        {
            assert!(!is_plain(number), "{number}");
        }
    }
}
