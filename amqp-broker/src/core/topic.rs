//! The routing keys of a topic exchange: patterns of words, where `*` is any one word and `#` any number
//! of them, none included.
//!
//! Patterns share a tree of words. A key is matched by following all places of the tree at once that it
//! may have led to so far, each counted once: however many `#` a pattern has, a key costs at most its
//! words times the tree's places.
//!
//! Words are numbered, so that each of a key's is hashed and compared once, and a place has its next ones
//! found by numbers in one table: how many patterns there are hardly matters.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;

use super::exchange::Destination;
use super::mixed;

#[derive(Debug)]
pub(crate) struct Topics {
    /// The words of patterns, but `*` and `#`. Clients choose them, so their hashes can't be foreseen.
    words: HashMap<Box<[u8]>, Word>,
    free_words: Vec<u32>,
    /// Where a word leads from a node.
    steps: HashMap<Step, Place, Seed>,
    nodes: Vec<Node>,
    free: Vec<Place>,
    /// Tells one round of a search from another.
    round: u64,
    now: Vec<Place>,
    next: Vec<Place>,
}

/// Where a node lies. All about a node is small: trees are large, and searched all over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Place(NonZeroU32);

const ROOT: Place = Place(NonZeroU32::MIN);

impl Place {
    /// Of the node that comes behind so many; four thousand million don't fit into memory.
    fn behind(nodes: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(nodes).unwrap_or(u32::MAX)))
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Debug)]
struct Word {
    number: u32,
    /// In how many nodes' names it is.
    uses: usize,
}

/// A node and the number of a word.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Step(Place, u32);

/// A tree that was larger than this is given back when nothing is left in it.
const KEEP_NODES: usize = 64;

#[derive(Debug, Default)]
struct Node {
    /// The round that reached it last.
    reached: u64,
    /// Where any one word leads.
    star: Option<Place>,
    /// Where any number of words leads.
    hash: Option<Place>,
    /// Whether this is the end of a `#`: any word leads back here.
    is_hash: bool,
    /// Nodes that are one word further.
    followers: u32,
    destinations: Destinations,
}

/// Most often one.
#[derive(Debug, Default)]
enum Destinations {
    #[default]
    None,
    One(Destination),
    Many(Vec<Destination>),
}

impl Destinations {
    fn push(&mut self, more: Destination) {
        match self {
            Self::None => *self = Self::One(more),
            Self::One(first) => *self = Self::Many(vec![*first, more]),
            Self::Many(all) => all.push(more),
        }
    }

    fn remove(&mut self, gone: Destination) {
        match self {
            Self::One(only) if *only == gone => *self = Self::None,
            Self::Many(all) => {
                if let Some(index) = all.iter().position(|&found| found == gone) {
                    all.remove(index);
                }
            }
            _ => {}
        }
    }

    fn as_slice(&self) -> &[Destination] {
        match self {
            Self::None => &[],
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(all) => all,
        }
    }
}

/// A hash of what isn't the clients' to choose, for steps: quick, and different in each tree.
#[derive(Clone, Debug)]
struct Seed(u64);

#[derive(Debug)]
struct Mixer(u64);

impl BuildHasher for Seed {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.write_u64(octet.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mixed(self.0 ^ number);
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            words: HashMap::new(),
            free_words: Vec::new(),
            steps: HashMap::with_hasher(Seed(RandomState::new().hash_one(0))),
            nodes: vec![Node::default()],
            free: Vec::new(),
            round: 0,
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
            at = match self.follower(at, word) {
                Some(next) => next,
                None => self.grow(at, word),
            };
        }
        self.node(at).destinations.push(destination);
    }

    fn node(&mut self, at: Place) -> &mut Node {
        &mut self.nodes[at.index()]
    }

    /// The node that a pattern's word leads to.
    fn follower(&self, at: Place, word: &[u8]) -> Option<Place> {
        match word {
            b"*" => self.nodes[at.index()].star,
            b"#" => self.nodes[at.index()].hash,
            _ => self.steps.get(&Step(at, self.words.get(word)?.number)).copied(),
        }
    }

    /// A new node, one word further.
    fn grow(&mut self, at: Place, word: &[u8]) -> Place {
        let node = Node { is_hash: word == b"#", ..Node::default() };
        let place = match self.free.pop() {
            Some(place) => {
                *self.node(place) = node;
                place
            }
            None => {
                self.nodes.push(node);
                Place::behind(self.nodes.len() - 1)
            }
        };
        let parent = self.node(at);
        parent.followers += 1;
        match word {
            b"*" => parent.star = Some(place),
            b"#" => parent.hash = Some(place),
            _ => {
                let number = self.number(word);
                self.steps.insert(Step(at, number), place);
            }
        }
        place
    }

    /// A word's number, for one use more.
    fn number(&mut self, word: &[u8]) -> u32 {
        if let Some(known) = self.words.get_mut(word) {
            known.uses += 1;
            return known.number;
        }
        // Four thousand million words don't fit into memory.
        let number = self.free_words.pop().unwrap_or(self.words.len() as u32);
        self.words.insert(word.into(), Word { number, uses: 1 });
        number
    }

    pub(crate) fn remove(&mut self, pattern: &[u8], destination: Destination) {
        let mut at = ROOT;
        let mut path = Vec::new();
        for word in words(pattern) {
            let Some(next) = self.follower(at, word) else { return };
            path.push((at, word));
            at = next;
        }
        self.node(at).destinations.remove(destination);
        while let Some((parent, word)) = path.pop()
            && let node = self.node(at)
            && node.destinations.as_slice().is_empty()
            && node.followers == 0
        {
            *node = Node::default();
            self.free.push(at);
            let node = self.node(parent);
            node.followers -= 1;
            match word {
                b"*" => node.star = None,
                b"#" => node.hash = None,
                _ => self.forget(parent, word),
            }
            at = parent;
        }
        let len = self.nodes.len();
        let root = self.node(ROOT);
        if root.followers == 0 && root.destinations.as_slice().is_empty() && len > KEEP_NODES {
            *self = Self::default();
        }
    }

    /// Forgets where a word leads, and the word itself if it leads nowhere else.
    fn forget(&mut self, at: Place, word: &[u8]) {
        let Some(known) = self.words.get_mut(word) else { return };
        let number = known.number;
        known.uses -= 1;
        if known.uses == 0 {
            self.words.remove(word);
            self.free_words.push(number);
        }
        self.steps.remove(&Step(at, number));
    }

    /// Calls `found` with each destination of every pattern that `key` matches.
    pub(crate) fn matches(&mut self, key: &[u8], mut found: impl FnMut(Destination)) {
        let (mut now, mut next) = (std::mem::take(&mut self.now), std::mem::take(&mut self.next));
        now.clear();
        self.round += 1;
        self.reach(ROOT, &mut now);
        for word in words(key) {
            if now.is_empty() {
                break;
            }
            next.clear();
            self.round += 1;
            // A word that is "*" or "#" itself is no pattern's.
            let number = self.words.get(word).map(|word| word.number);
            for &at in &now {
                let Node { star, is_hash, .. } = *self.node(at);
                if let Some(number) = number
                    && let Some(&same) = self.steps.get(&Step(at, number))
                {
                    self.reach(same, &mut next);
                }
                if let Some(star) = star {
                    self.reach(star, &mut next);
                }
                if is_hash {
                    self.reach(at, &mut next);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        for &at in &now {
            self.node(at).destinations.as_slice().iter().copied().for_each(&mut found);
        }
        (self.now, self.next) = (now, next);
    }

    /// Notes that `at` is reached in this round, and what an empty `#` behind it leads to.
    fn reach(&mut self, mut at: Place, places: &mut Vec<Place>) {
        while let round = self.round
            && let node = self.node(at)
            && node.reached != round
        {
            node.reached = round;
            places.push(at);
            match node.hash {
                Some(hash) => at = hash,
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
        assert_eq!(topics.nodes.len(), 1);
        assert_eq!((topics.words.len(), topics.steps.len()), (0, 0));
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
