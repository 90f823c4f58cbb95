//! Octets written down in hex.

/// The octets of a text of hex digits: white space separates, `#` begins a comment, `78*500` is an octet 500 times over, and
/// `"text"`, without spaces, stands for its own octets.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for word in line.split_whitespace() {
            if let Some(literal) = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
                octets.extend_from_slice(literal.as_bytes());
            } else if let Some((octet, times)) = word.split_once('*') {
                let times = times.parse().expect("a number of times");
                octets.extend(std::iter::repeat_n(digits(octet), times).flatten());
            } else {
                octets.extend(digits(word));
            }
        }
    }
    octets
}

fn digits(word: &str) -> Vec<u8> {
    assert!(word.is_ascii() && word.len().is_multiple_of(2), "pairs of hex digits: {word}");
    let pairs = (0..word.len()).step_by(2).map(|at| &word[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex digits")).collect()
}
