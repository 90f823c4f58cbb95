//! Specification files: their names and texts, and how they are read.

use std::io::{self, Read};

/// How large a specification file may be, in octets: 64 MiB, some hundred times the published ones.
///
/// Whoever names a device or a disk image by mistake is told so, instead of running out of memory.
pub const FILE_SIZE_MAX: u64 = 64 << 20;

/// A specification file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// What problems and the header of the output call it: its path as the reader knows it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// A file of that name, with that text in it.
    ///
    /// ```
    /// let source = amqp091_codegen::Source::new("acme.xml", "<amqp/>");
    /// assert_eq!(source.name, "acme.xml");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A file of that name, whose text is read here.
    ///
    /// # Errors
    ///
    /// If it can't be read, isn't UTF-8, or is larger than [`FILE_SIZE_MAX`]; of a larger one, no more than that is read.
    pub fn read(name: impl Into<String>, from: impl Read) -> io::Result<Self> {
        let mut text = String::new();
        // One octet more tells a file of that size from a larger one.
        let mut from = from.take(FILE_SIZE_MAX + 1);
        let read = from.read_to_string(&mut text);
        if from.limit() == 0 {
            let message = format!("larger than {} MiB, so no specification", FILE_SIZE_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        read.map(|_| Self::new(name, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        let error = Source::read("endless", io::repeat(0)).unwrap_err();
        assert_eq!(error.to_string(), "larger than 64 MiB, so no specification");
        // Neither does a character that is cut hide the reason.
        let error = Source::read("endless", io::repeat(0xc3)).unwrap_err();
        assert_eq!(error.to_string(), "larger than 64 MiB, so no specification");
    }

    #[test]
    fn the_largest_is_read() {
        let source = Source::read("large", io::repeat(b' ').take(FILE_SIZE_MAX)).unwrap();
        assert_eq!(source.text.len() as u64, FILE_SIZE_MAX);
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let error = Source::read("octets", &[0xff][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
