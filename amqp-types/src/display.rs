//! Tables and strings as a person reads them, for logs and analysers: on one line, and bounded.

use std::fmt;

use crate::long_str::LongStr;
use crate::octets::{DEBUG_MAX, Escaped};
use crate::scalar::Timestamp;
use crate::short_str::ShortStr;
use crate::table::FieldTable;
use crate::value::Value;

/// How many values of a table or an array are shown, those nested in them included.
const VALUES_MAX: usize = 256;

/// Entries in their order: `{"x-queue-type": "quorum", "x-max-length": 100}`; the first 256 values of them, nested ones counted.
impl fmt::Display for FieldTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table(self, &mut { VALUES_MAX }, f)
    }
}

/// Numbers as they are, text in quotes, other octets as a byte string; long ones are cut short, and so are long lists.
///
/// ```
/// use amqp091_types::{Timestamp, Value};
///
/// let values = [Value::from(5), Value::from("text"), Value::Void, Value::Timestamp(Timestamp(7))];
/// assert_eq!(Value::Array(values.into()).to_string(), r#"[5, "text", void, timestamp 7]"#);
/// ```
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        value(self, &mut { VALUES_MAX }, f)
    }
}

fn table(table: &FieldTable, left: &mut usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("{")?;
    for (index, (key, entry)) in table.iter().enumerate() {
        if !next(index, table.len(), left, f)? {
            break;
        }
        quoted(key.as_bytes(), f)?;
        f.write_str(": ")?;
        value(entry, left, f)?;
    }
    f.write_str("}")
}

/// Whether another one is shown. If not, how many there were.
fn next(
    index: usize,
    len: usize,
    left: &mut usize,
    f: &mut fmt::Formatter<'_>,
) -> Result<bool, fmt::Error> {
    f.write_str(if index == 0 { "" } else { ", " })?;
    if let Some(others) = left.checked_sub(1) {
        *left = others;
        return Ok(true);
    }
    write!(f, "and {} more", len - index)?;
    Ok(false)
}

fn value(shown: &Value, left: &mut usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match shown {
        Value::Bool(value) => fmt::Display::fmt(value, f),
        Value::I8(value) => fmt::Display::fmt(value, f),
        Value::U8(value) => fmt::Display::fmt(value, f),
        Value::I16(value) => fmt::Display::fmt(value, f),
        Value::U16(value) => fmt::Display::fmt(value, f),
        Value::I32(value) => fmt::Display::fmt(value, f),
        Value::U32(value) => fmt::Display::fmt(value, f),
        Value::I64(value) => fmt::Display::fmt(value, f),
        // With a point, so that it is told from an integer.
        Value::F32(value) => write!(f, "{value:?}"),
        Value::F64(value) => write!(f, "{value:?}"),
        Value::Decimal(value) => fmt::Display::fmt(value, f),
        Value::LongStr(value) => quoted(value.as_bytes(), f),
        Value::Array(values) => {
            f.write_str("[")?;
            for (index, entry) in values.iter().enumerate() {
                if !next(index, values.len(), left, f)? {
                    break;
                }
                value(entry, left, f)?;
            }
            f.write_str("]")
        }
        Value::Timestamp(Timestamp(seconds)) => write!(f, "timestamp {seconds}"),
        Value::Table(entries) => table(entries, left, f),
        Value::Void => f.write_str("void"),
        Value::Bytes(octets) => write!(f, "{:?}", Escaped(octets)),
    }
}

/// A text in quotes, with the escapes of Rust; other octets as a byte string. The long ones are cut short.
pub(crate) fn quoted(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Ok(text) = std::str::from_utf8(octets) else {
        return write!(f, "{:?}", Escaped(octets));
    };
    let shown = text.get(..boundary_up_to(text, DEBUG_MAX)).unwrap_or(text);
    write!(f, "{shown:?}")?;
    match text.len() - shown.len() {
        0 => Ok(()),
        others => write!(f, " and {others} more octets"),
    }
}

/// The last boundary between characters that isn't behind `end`.
fn boundary_up_to(text: &str, end: usize) -> usize {
    (0..=end.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A peer's text for a line of a log, from [`ShortStr::printable`] or [`LongStr::printable`]: characters that would break
/// the line, control the terminal or turn the direction of writing are escaped, as is what isn't UTF-8.
///
/// ```
/// use amqp091_types::ShortStr;
///
/// let text = ShortStr::new("no queue 'ä'\n\u{1b}[31m")?;
/// assert_eq!(text.printable().to_string(), r"no queue 'ä'\n\u{1b}[31m");
/// # Ok::<(), amqp091_types::TooLong>(())
/// ```
#[derive(Clone, Copy)]
pub struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || is_invisible(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    fmt::Write::write_char(f, character)?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quoted(self.0, f)
    }
}

/// Line and paragraph separators, and what marks or turns the direction of writing.
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

impl ShortStr {
    /// The text for a line of a log: what would break it is escaped.
    pub fn printable(&self) -> Printable<'_> {
        Printable(self.as_bytes())
    }
}

impl LongStr {
    /// The text for a line of a log: what would break it is escaped.
    pub fn printable(&self) -> Printable<'_> {
        Printable(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Decimal, LongStr, ShortStr};

    #[test]
    fn every_type_has_a_form() {
        let table = FieldTable::new().with(ShortStr::from_static("k"), "a\"b");
        for (value, expected) in [
            (Value::Bool(true), "true"),
            (Value::I8(-1), "-1"),
            (Value::U8(1), "1"),
            (Value::I16(-2), "-2"),
            (Value::U16(2), "2"),
            (Value::I32(-3), "-3"),
            (Value::U32(3), "3"),
            (Value::I64(-4), "-4"),
            (Value::F32(1.0), "1.0"),
            (Value::F64(f64::NAN), "NaN"),
            (Value::Decimal(Decimal { scale: 2, value: -5 }), "-0.05"),
            (Value::LongStr(LongStr::from(&b"\xff"[..])), r#"b"\xff""#),
            (
                Value::Array(vec![Value::Table(table.clone()), Value::Void]),
                r#"[{"k": "a\"b"}, void]"#,
            ),
            (Value::Timestamp(Timestamp(9)), "timestamp 9"),
            (Value::Bytes(Bytes::from_static(b"x")), r#"b"x""#),
            (Value::Table(FieldTable::new()), "{}"),
        ] {
            assert_eq!(value.to_string(), expected);
        }
        let two = table.with(ShortStr::from_static("n"), 5);
        assert_eq!(two.to_string(), r#"{"k": "a\"b", "n": 5}"#);
    }

    #[test]
    fn what_is_long_is_cut() {
        let text = Value::from("a".repeat(300)).to_string();
        assert!(text.ends_with("and 44 more octets"), "{text}");
        // Not in the middle of a letter.
        let text = Value::from("é".repeat(200)).to_string();
        assert_eq!(text, format!("{:?} and 144 more octets", "é".repeat(128)));
        let mut text = "a".to_owned();
        text.push_str(&"é".repeat(200));
        assert!(Value::from(text).to_string().ends_with("é\" and 146 more octets"));
    }

    #[test]
    fn long_lists_are_cut() {
        let many = Value::Array(vec![Value::Void; 1000]);
        assert!(many.to_string().ends_with("void, and 744 more]"));
        let lists = Value::Array(vec![many; 1000]).to_string();
        assert!(lists.ends_with("void, and 745 more], and 999 more]"), "{lists}");
        assert!(lists.len() < 2000);
        let table: FieldTable =
            (0..300).map(|n| (ShortStr::from_static("k"), Value::I32(n))).collect();
        assert!(table.to_string().ends_with("\"k\": 255, and 44 more}"));
    }

    #[test]
    fn printable_text_stays_on_its_line() {
        let shown = |octets: &[u8]| ShortStr::new(octets).unwrap().printable().to_string();
        assert_eq!(shown("plain 'text' \"ü\" \\".as_bytes()), "plain 'text' \"ü\" \\");
        assert_eq!(shown("a\r\n\u{7f}\u{85}".as_bytes()), r"a\r\n\u{7f}\u{85}");
        assert_eq!(shown("\u{202e}\u{2028}\u{feff}".as_bytes()), r"\u{202e}\u{2028}\u{feff}");
        assert_eq!(shown(b"a\xffb\xc3"), r"a\xffb\xc3");
    }
}
