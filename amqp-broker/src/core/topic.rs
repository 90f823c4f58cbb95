//! The routing keys of a topic exchange: patterns of words, where `*` is any one word and `#` any number
//! of them, none included.
//!
//! Patterns share a tree of words. A key is matched by following all places of the tree at once that it
//! may have led to so far, each counted once: however many `#` a pattern has, a key costs at most its
//! words times the tree's places.

use std::collections::HashMap;

use super::exchange::Destination;

#[derive(Debug)]
pub(crate) struct Topics {
    nodes: Vec<Node>,
    free: Vec<usize>,
    /// Which step each node was last reached in.
    reached: Vec<u64>,
    step: u64,
    now: Vec<usize>,
    next: Vec<usize>,
}

const ROOT: usize = 0;

#[derive(Debug, Default)]
struct Node {
    parent: usize,
    word: Box<[u8]>,
    words: HashMap<Box<[u8]>, usize>,
    /// Whether this is the end of a `#`: any word leads back here.
    is_hash: bool,
    destinations: Vec<Destination>,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            reached: vec![0],
            step: 0,
            now: Vec::new(),
            next: Vec::new(),
        }
    }
}

/// The words of a key: the empty key has none.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let none = key.is_empty();
    key.split(|&octet| octet == b'.').take_while(move |_| !none)
}

impl Topics {
    pub(crate) fn insert(&mut self, pattern: &[u8], destination: Destination) {
        let mut at = ROOT;
        for word in words(pattern) {
            at = match self.nodes[at].words.get(word) {
                Some(&next) => next,
                None => {
                    let node = Node {
                        parent: at,
                        word: word.into(),
                        is_hash: word == b"#",
                        ..Node::default()
                    };
                    let index = match self.free.pop() {
                        Some(index) => {
                            self.nodes[index] = node;
                            index
                        }
                        None => {
                            self.nodes.push(node);
                            self.reached.push(0);
                            self.nodes.len() - 1
                        }
                    };
                    self.nodes[at].words.insert(word.into(), index);
                    index
                }
            };
        }
        self.nodes[at].destinations.push(destination);
    }

    pub(crate) fn remove(&mut self, pattern: &[u8], destination: Destination) {
        let mut at = ROOT;
        for word in words(pattern) {
            let Some(&next) = self.nodes[at].words.get(word) else { return };
            at = next;
        }
        let destinations = &mut self.nodes[at].destinations;
        if let Some(index) = destinations.iter().position(|&found| found == destination) {
            destinations.remove(index);
        }
        while at != ROOT
            && self.nodes[at].destinations.is_empty()
            && self.nodes[at].words.is_empty()
        {
            let Node { parent, word, .. } = std::mem::take(&mut self.nodes[at]);
            self.nodes[parent].words.remove(&word);
            self.free.push(at);
            at = parent;
        }
    }

    /// Calls `found` with each destination of every pattern that `key` matches.
    pub(crate) fn matches(&mut self, key: &[u8], mut found: impl FnMut(Destination)) {
        let (mut now, mut next) = (std::mem::take(&mut self.now), std::mem::take(&mut self.next));
        now.clear();
        self.step += 1;
        self.reach(ROOT, &mut now);
        for word in words(key) {
            next.clear();
            self.step += 1;
            for &at in &now {
                let node = &self.nodes[at];
                let (same, star) =
                    (node.words.get(word).copied(), node.words.get(&b"*"[..]).copied());
                let is_hash = node.is_hash;
                // A word that is "*" or "#" itself is only ever a pattern's.
                for reached in same.into_iter().chain(star).chain(is_hash.then_some(at)) {
                    self.reach(reached, &mut next);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        for &at in &now {
            self.nodes[at].destinations.iter().copied().for_each(&mut found);
        }
        (self.now, self.next) = (now, next);
    }

    /// Notes that `at` is reached in this step, and what an empty `#` behind it leads to.
    fn reach(&mut self, mut at: usize, places: &mut Vec<usize>) {
        while self.reached[at] != self.step {
            self.reached[at] = self.step;
            places.push(at);
            match self.nodes[at].words.get(&b"#"[..]) {
                Some(&hash) => at = hash,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::slab::Key;

    /// Whether a pattern matches, by the definition.
    fn is_match(pattern: &[&[u8]], key: &[&[u8]]) -> bool {
        match (pattern, key) {
            ([], []) => true,
            ([b"#", rest @ ..], _) => (0..=key.len()).any(|taken| is_match(rest, &key[taken..])),
            ([first, rest @ ..], [word, key @ ..]) => {
                (*first == b"*" || first == word) && is_match(rest, key)
            }
            _ => false,
        }
    }

    #[test]
    fn every_short_pattern_matches_what_the_definition_says() {
        let alphabet: [&[u8]; 4] = [b"a", b"*", b"#", b""];
        let mut patterns: Vec<Vec<&[u8]>> = vec![vec![]];
        for length in 1..=3_usize {
            for number in 0..4_usize.pow(length as u32) {
                let word = |place: usize| alphabet[number / 4_usize.pow(place as u32) % 4];
                patterns.push((0..length).map(word).collect());
            }
        }
        // One empty word is written as no word is.
        patterns.retain(|words| words[..] != [&b""[..]]);
        let mut topics = Topics::default();
        let numbers = 0..patterns.len() as u32;
        let keys: Vec<_> =
            numbers.map(|index| Destination::Queue(Key::of_nothing(index))).collect();
        for (pattern, &destination) in patterns.iter().zip(&keys) {
            topics.insert(&pattern.join(&b'.'), destination);
        }
        let words: [&[u8]; 3] = [b"a", b"b", b""];
        for length in 0..=4_usize {
            for number in 0..3_usize.pow(length as u32) {
                let word = |place: usize| words[number / 3_usize.pow(place as u32) % 3];
                let key: Vec<_> = (0..length).map(word).collect();
                if key[..] == [&b""[..]] {
                    continue;
                }
                let mut found = Vec::new();
                topics.matches(&key.join(&b'.'), |destination| found.push(destination));
                for (pattern, destination) in patterns.iter().zip(&keys) {
                    let times = found.iter().filter(|&found| found == destination).count();
                    let expected = usize::from(is_match(pattern, &key));
                    assert_eq!(times, expected, "{pattern:?} and {key:?}");
                }
            }
        }
        for (pattern, &destination) in patterns.iter().zip(&keys) {
            topics.remove(&pattern.join(&b'.'), destination);
        }
        assert_eq!(topics.free.len() + 1, topics.nodes.len());
        topics.matches(b"a", |_| panic!("nothing is left"));
    }

    #[test]
    fn a_pattern_of_many_hashes_costs_no_more_than_its_length() {
        let mut topics = Topics::default();
        let mut pattern = "#.a.".repeat(60).into_bytes();
        pattern.push(b'b');
        topics.insert(&pattern, Destination::Queue(Key::of_nothing(0)));
        let key = ["a"; 127].join(".");
        // Trying each way to share out the words would take longer than the universe has.
        topics.matches(key.as_bytes(), |_| panic!("it ends in b"));
    }
}
