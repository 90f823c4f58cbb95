//! The one kind of regular expression that specifications use: a set of characters, repeated: `^[a-zA-Z0-9-_.:]*$`.
//!
//! It becomes a set of octets that generated code looks up, so that nobody needs an engine for regular expressions to
//! validate a name. Any other pattern is refused rather than left unchecked.

/// The octets that such a pattern lets pass, a bit each; `None` if it is of another kind.
pub(crate) fn octets(pattern: &str) -> Option<[u64; 4]> {
    let set = pattern.strip_prefix("^[")?.strip_suffix("]*$")?;
    let mut characters = set.bytes().peekable();
    let mut octets = [0; 4];
    while let Some(first) = characters.next() {
        let first = literal(first, &mut characters)?;
        // Between two characters it means a range, anywhere else itself.
        let mut ahead = characters.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some(b'-'), Some(last)) => {
                let last = literal(last, &mut ahead)?;
                characters = ahead;
                last
            }
            _ => first,
        };
        if first > last {
            return None;
        }
        for octet in first..=last {
            octets[usize::from(octet >> 6)] |= 1 << (octet & 63);
        }
        // A range can't be continued: `0-9-_` has a hyphen of its own.
        if last != first && characters.peek() == Some(&b'-') {
            characters.next();
            octets[usize::from(b'-' >> 6)] |= 1 << (b'-' & 63);
        }
    }
    Some(octets)
}

/// A character that stands for itself, or one behind a backslash that does.
fn literal(first: u8, rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    match first {
        b'\\' => rest.next().filter(|escaped| escaped.is_ascii_punctuation()),
        // The first in a negated set, and a set in the set.
        b'^' | b'[' | b']' => None,
        octet => octet.is_ascii().then_some(octet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pattern: &str) -> Option<String> {
        let set = octets(pattern)?;
        let allows = |octet: &u8| set[usize::from(octet >> 6)] & (1 << (octet & 63)) != 0;
        Some((0..=u8::MAX).filter(allows).map(char::from).collect())
    }

    #[test]
    fn sets_are_read_as_they_are_meant() {
        for (pattern, expected) in [
            ("^[a-c]*$", "abc"),
            ("^[0-2-_.:]*$", "-.012:_"),
            ("^[a-]*$", "-a"),
            ("^[-a]*$", "-a"),
            (r"^[\-\]a]*$", "-]a"),
            (r"^[a-c\.-]*$", "-.abc"),
            ("^[]*$", ""),
        ] {
            assert_eq!(allowed(pattern).as_deref(), Some(expected), "{pattern}");
        }
        let names = allowed("^[a-zA-Z0-9-_.:]*$").unwrap();
        assert_eq!(names.len(), 26 + 26 + 10 + 4);
    }

    #[test]
    fn other_patterns_are_none() {
        for pattern in
            ["", "a", "[a]*", "^[a]+$", "^[^a]*$", "^[c-a]*$", r"^[\d]*$", "^[[a]]*$", "^(a|b)*$"]
        {
            assert_eq!(allowed(pattern), None, "{pattern}");
        }
    }
}
