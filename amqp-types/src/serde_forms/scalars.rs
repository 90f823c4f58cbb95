//! Timestamps as seconds, and decimals as the text that they are.

use std::fmt;

use serde_core::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde_core::ser::{Serialize, Serializer};

use crate::scalar::{Decimal, Timestamp};

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.scale, self.value).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(DecimalVisitor)
        } else {
            let (scale, value) = Deserialize::deserialize(deserializer)?;
            Ok(Self { scale, value })
        }
    }
}

struct DecimalVisitor;

impl Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number as text, of 32 bits without its point")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        decimal(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// What [`Decimal`] displays: perhaps a minus, digits, and perhaps a point and digits, whose number is the scale.
fn decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    if whole.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = char::from(digit).to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
    }
    let value = if negative { -value } else { value };
    Some(Decimal { scale: fraction.len().try_into().ok()?, value: value.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_displayed() {
        for value in [0, 1, -1, 12, -1234, i32::MAX, i32::MIN] {
            for scale in [0, 1, 2, 9, 10, 11, 254, 255] {
                let given = Decimal { scale, value };
                assert_eq!(decimal(&given.to_string()), Some(given), "{given}");
            }
        }
    }

    #[test]
    fn what_is_no_decimal() {
        let long = format!("0.{}", "0".repeat(256));
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "--1",
            "+1",
            "1e3",
            "1,5",
            "2147483648",
            "-2147483649",
            "99999999999999999999",
            &long,
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(decimal("007.50"), Some(Decimal { scale: 2, value: 750 }));
    }
}
