//! Which thing of the old specification is which of the new one.

/// The things of two lists, by their indices.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pairs {
    /// Old and new, in the order of the new.
    pub(super) both: Vec<(usize, usize)>,
    /// Only in the new list.
    pub(super) added: Vec<usize>,
    /// Only in the old list.
    pub(super) removed: Vec<usize>,
}

impl Pairs {
    /// Pairs what has the same name; of what is left, what is the same in spite of its name.
    pub(super) fn new<T>(
        was: &[T],
        now: &[T],
        same_name: impl Fn(&T, &T) -> bool,
        same_thing: impl Fn(usize, usize, &[(usize, usize)]) -> bool,
    ) -> Self {
        let mut named = Vec::new();
        for (new, item) in now.iter().enumerate() {
            named.extend(was.iter().position(|other| same_name(other, item)).map(|old| (old, new)));
        }
        let mut both = named.clone();
        for new in 0..now.len() {
            let free = |old: &usize| !both.iter().any(|(other, _)| other == old);
            if !both.iter().any(|(_, other)| *other == new)
                && let Some(old) =
                    (0..was.len()).filter(free).find(|&old| same_thing(old, new, &named))
            {
                both.push((old, new));
            }
        }
        both.sort_by_key(|(_, new)| *new);
        Self {
            added: (0..now.len())
                .filter(|new| !both.iter().any(|(_, other)| other == new))
                .collect(),
            removed: (0..was.len())
                .filter(|old| !both.iter().any(|(other, _)| other == old))
                .collect(),
            both,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_first() {
        let was = [("a", 1), ("b", 2), ("c", 3)];
        let now = [("b", 1), ("x", 3), ("y", 1), ("z", 9)];
        let pairs = Pairs::new(
            &was,
            &now,
            |old, new| old.0 == new.0,
            |old, new, _| was[old].1 == now[new].1,
        );
        let both = vec![(1, 0), (2, 1), (0, 2)];
        assert_eq!(pairs, Pairs { both, added: vec![3], removed: vec![] });
    }

    #[test]
    fn nothing_is_paired_twice() {
        let pairs = Pairs::new(&[1, 1], &[1, 1, 1], |_, _| false, |_, _, _| true);
        let both = vec![(0, 0), (1, 1)];
        assert_eq!(pairs, Pairs { both, added: vec![2], removed: vec![] });
    }
}
