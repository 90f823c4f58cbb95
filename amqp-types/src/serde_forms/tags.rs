//! The tags of values that JSON has no type for: an object's only key, which begins with `$`.

use std::fmt;

/// What the first character of all tags is, and of no key of an object.
pub(super) const MARK: char = '$';

/// What a number becomes inside serde_json when its feature `arbitrary_precision` is on: an object with this key.
const SERDE_JSON_NUMBER: &str = "$serde_json::private::Number";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F32,
    F64,
    Decimal,
    Timestamp,
    Str,
    Bytes,
    Table,
    /// Never written.
    Number,
}

impl Tag {
    /// All that are written.
    const ALL: [Self; 14] = [
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::F32,
        Self::F64,
        Self::Decimal,
        Self::Timestamp,
        Self::Str,
        Self::Bytes,
        Self::Table,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::I8 => "$i8",
            Self::U8 => "$u8",
            Self::I16 => "$i16",
            Self::U16 => "$u16",
            Self::I32 => "$i32",
            Self::U32 => "$u32",
            Self::I64 => "$i64",
            Self::F32 => "$f32",
            Self::F64 => "$f64",
            Self::Decimal => "$decimal",
            Self::Timestamp => "$timestamp",
            Self::Str => "$str",
            Self::Bytes => "$bytes",
            Self::Table => "$table",
            Self::Number => SERDE_JSON_NUMBER,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let number = (name == SERDE_JSON_NUMBER).then_some(Self::Number);
        number.or_else(|| Self::ALL.into_iter().find(|tag| tag.name() == name))
    }
}

/// A key that begins as tags do and is none: the error that says so.
pub(super) struct NoTag<'a>(pub(super) &'a str);

impl fmt::Display for NoTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is none of the tags", self.0)?;
        for tag in Tag::ALL {
            write!(f, " {}", tag.name())?;
        }
        f.write_str("; a table with such a key is written {\"$table\": [[key, value], ...]}")
    }
}
