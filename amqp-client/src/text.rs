//! Bodies as text: the content-encoding property names a character set, as Python's clients use it.

use std::borrow::Cow;

use amqp091::content::RawProperties;
use amqp091::protocol::basic;
use amqp091::types::{PropertiesError, ShortStr};
use thiserror::Error;

/// A body isn't text, or not in a way that can be told.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// The properties, which say how the text is encoded, don't decode.
    #[error("the message's properties don't decode: {0}")]
    Properties(#[from] PropertiesError),
    /// Its publisher says that it isn't text (`binary`).
    #[error("content-encoding \"{encoding}\": the body isn't text")]
    Binary {
        /// The content-encoding.
        encoding: ShortStr,
    },
    /// It is compressed: decompress it with a library of your choice, and with a limit to what comes
    /// out.
    #[error("content-encoding \"{encoding}\": the body is compressed")]
    Compressed {
        /// The content-encoding.
        encoding: ShortStr,
    },
    /// The content-encoding names nothing that this client knows.
    #[error("content-encoding \"{}\" isn't known", encoding.printable())]
    Unknown {
        /// The content-encoding.
        encoding: ShortStr,
    },
    /// The body isn't what its content-encoding says.
    #[error("the body isn't {charset}: octet {offset} is wrong")]
    Invalid {
        /// The character set that it was read as.
        charset: &'static str,
        /// Where the first mistake is, in octets.
        offset: usize,
    },
}

/// The text of a message.
pub(crate) fn text<'a>(
    properties: &RawProperties,
    body: &'a [u8],
) -> Result<Cow<'a, str>, TextError> {
    let properties: basic::Properties = properties.decode()?;
    decode(properties.content_encoding, body)
}

fn decode(encoding: Option<ShortStr>, body: &[u8]) -> Result<Cow<'_, str>, TextError> {
    let Some(encoding) = encoding else { return utf_8(body) };
    let mut name = encoding.as_bytes().to_ascii_lowercase();
    name.iter_mut().filter(|octet| matches!(octet, b'_' | b' ')).for_each(|octet| *octet = b'-');
    match &name[..] {
        b"" | b"utf-8" | b"utf8" | b"u8" => utf_8(body),
        b"utf-8-sig" => utf_8(body).map(|text| match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            owned @ Cow::Owned(_) => owned,
        }),
        b"ascii" | b"us-ascii" | b"646" => match body.iter().position(|octet| !octet.is_ascii()) {
            None => utf_8(body),
            Some(offset) => Err(TextError::Invalid { charset: "ASCII", offset }),
        },
        b"iso-8859-1" | b"iso8859-1" | b"8859" | b"cp819" | b"latin-1" | b"latin1" | b"latin"
        | b"l1" => Ok(body.iter().map(|&octet| char::from(octet)).collect()),
        b"utf-16" | b"utf16" | b"u16" => match body {
            [0xFE, 0xFF, ..] => utf_16(body, 2, u16::from_be_bytes),
            [0xFF, 0xFE, ..] => utf_16(body, 2, u16::from_le_bytes),
            _ => utf_16(body, 0, u16::from_le_bytes),
        },
        b"utf-16le" | b"utf-16-le" => utf_16(body, 0, u16::from_le_bytes),
        b"utf-16be" | b"utf-16-be" => utf_16(body, 0, u16::from_be_bytes),
        b"utf-32" | b"utf32" | b"u32" => match body {
            [0, 0, 0xFE, 0xFF, ..] => utf_32(body, 4, u32::from_be_bytes),
            [0xFF, 0xFE, 0, 0, ..] => utf_32(body, 4, u32::from_le_bytes),
            _ => utf_32(body, 0, u32::from_le_bytes),
        },
        b"utf-32le" | b"utf-32-le" => utf_32(body, 0, u32::from_le_bytes),
        b"utf-32be" | b"utf-32-be" => utf_32(body, 0, u32::from_be_bytes),
        b"binary" | b"ascii-8bit" | b"base64" => Err(TextError::Binary { encoding }),
        b"gzip" | b"x-gzip" | b"deflate" | b"zlib" | b"compress" | b"x-compress" | b"br"
        | b"brotli" | b"zstd" | b"bzip2" | b"bz2" | b"xz" | b"lzma" | b"lz4" | b"snappy" => {
            Err(TextError::Compressed { encoding })
        }
        _ => Err(TextError::Unknown { encoding }),
    }
}

fn utf_8(body: &[u8]) -> Result<Cow<'_, str>, TextError> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) => Err(TextError::Invalid { charset: "UTF-8", offset: error.valid_up_to() }),
    }
}

/// Octets from `start` on, in units of two.
fn utf_16(body: &[u8], start: usize, unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, TextError> {
    let invalid = |offset| TextError::Invalid { charset: "UTF-16", offset };
    let (units, rest) = body[start..].as_chunks::<2>();
    let mut text = String::with_capacity(units.len());
    let mut offset = start;
    for character in char::decode_utf16(units.iter().copied().map(unit)) {
        let character = character.map_err(|_| invalid(offset))?;
        offset += 2 * character.len_utf16();
        text.push(character);
    }
    if rest.is_empty() { Ok(Cow::Owned(text)) } else { Err(invalid(offset)) }
}

/// Octets from `start` on, in units of four.
fn utf_32(body: &[u8], start: usize, unit: fn([u8; 4]) -> u32) -> Result<Cow<'_, str>, TextError> {
    let invalid =
        |place: usize| TextError::Invalid { charset: "UTF-32", offset: start + place * 4 };
    let (units, rest) = body[start..].as_chunks::<4>();
    let mut text = String::with_capacity(units.len());
    for (place, &octets) in units.iter().enumerate() {
        text.push(char::from_u32(unit(octets)).ok_or_else(|| invalid(place))?);
    }
    if rest.is_empty() { Ok(Cow::Owned(text)) } else { Err(invalid(units.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: &'static str, body: &[u8]) -> Result<String, TextError> {
        decode(Some(ShortStr::from_static(encoding)), body).map(Cow::into_owned)
    }

    #[test]
    fn text_without_a_content_encoding_is_utf_8_and_not_copied() {
        assert!(matches!(decode(None, "grün".as_bytes()), Ok(Cow::Borrowed("grün"))));
        let error = decode(None, b"ab\xFFc").unwrap_err();
        assert!(matches!(error, TextError::Invalid { charset: "UTF-8", offset: 2 }), "{error}");
    }

    /// The octets are what Python's `str.encode` makes of the text.
    #[test]
    fn every_character_set_is_read_by_all_its_names() {
        let (le, be) = (b"\xfc\x00=\xd8\x00\xde", b"\x00\xfc\xd8=\xde\x00");
        for (encoding, body, text) in [
            ("UTF-8", "ü😀".as_bytes(), "ü😀"),
            ("utf8", "ü".as_bytes(), "ü"),
            ("utf-8-sig", b"\xef\xbb\xbfa", "a"),
            ("US-ASCII", b"plain", "plain"),
            ("ISO-8859-1", b"\xfc\xff", "üÿ"),
            ("latin_1", b"\xfc", "ü"),
            ("utf-16-le", le, "ü😀"),
            ("UTF-16BE", be, "ü😀"),
            ("utf-16", b"\xff\xfe\xfc\x00", "ü"),
            ("utf-16", b"\xfe\xff\x00\xfc", "ü"),
            ("utf-16", b"\xfc\x00", "ü"),
            ("utf-32", b"\xff\xfe\x00\x00\x00\xf6\x01\x00", "😀"),
            ("utf-32", b"\x00\x00\xfe\xff\x00\x01\xf6\x00", "😀"),
            ("utf_32_be", b"\x00\x01\xf6\x00", "😀"),
        ] {
            assert_eq!(read(encoding, body).unwrap(), text, "{encoding}");
        }
    }

    #[test]
    fn what_is_no_text_says_why_and_where() {
        for (encoding, body, expected) in [
            ("ascii", &b"a\xfc"[..], "the body isn't ASCII: octet 1 is wrong"),
            ("utf-16le", b"a\0\x00\xd8b\0", "the body isn't UTF-16: octet 2 is wrong"),
            ("utf-16", b"\xff\xfea\0b", "the body isn't UTF-16: octet 4 is wrong"),
            ("utf-32le", b"a\0\0\0\0\xd8\0\0", "the body isn't UTF-32: octet 4 is wrong"),
            ("utf-32le", b"a\0\0\0b", "the body isn't UTF-32: octet 4 is wrong"),
            ("binary", b"", "content-encoding \"binary\": the body isn't text"),
            ("gzip", b"", "content-encoding \"gzip\": the body is compressed"),
            ("klingon", b"", "content-encoding \"klingon\" isn't known"),
        ] {
            assert_eq!(read(encoding, body).unwrap_err().to_string(), expected);
        }
    }
}
