//! Where bindings lead to, in order, however many they are.

use std::collections::HashMap;
use std::hash::Hash;

/// Up to so many are searched one by one.
const FEW: usize = 32;

/// Things of which each is there once. One that is taken away leaves its place to the last.
#[derive(Debug)]
pub(crate) struct Targets<T> {
    all: Vec<T>,
    /// Where each is, if they are many.
    places: HashMap<T, usize>,
}

impl<T> Default for Targets<T> {
    fn default() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Targets<T> {
    pub(crate) fn all(&self) -> &[T] {
        &self.all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds what isn't there yet.
    pub(crate) fn insert(&mut self, target: T) {
        if !self.places.is_empty() {
            self.places.insert(target.clone(), self.all.len());
        } else if self.all.len() == FEW {
            let all = self.all.iter().chain(std::iter::once(&target));
            self.places = all.cloned().enumerate().map(|(place, target)| (target, place)).collect();
        }
        self.all.push(target);
    }

    pub(crate) fn remove(&mut self, target: &T) {
        let place = match self.places.is_empty() {
            true => self.all.iter().position(|found| found == target),
            false => self.places.remove(target),
        };
        let Some(place) = place else { return };
        if self.places.is_empty() {
            self.all.remove(place);
            return;
        }
        self.all.swap_remove(place);
        if let Some(moved) = self.all.get(place) {
            self.places.insert(moved.clone(), place);
        }
        if self.all.len() <= FEW / 2 {
            self.places = HashMap::new();
            self.all.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_is_gone_and_the_rest_is_there() {
        let mut targets = Targets::default();
        for count in [3, FEW, FEW + 1, 500] {
            (0..count).for_each(|number| targets.insert(number));
            assert_eq!(targets.all(), (0..count).collect::<Vec<_>>());
            targets.remove(&count);
            for number in (0..count).filter(|number| number % 3 != 1) {
                targets.remove(&number);
            }
            let mut left = targets.all().to_vec();
            left.sort_unstable();
            assert_eq!(left, (0..count).filter(|number| number % 3 == 1).collect::<Vec<_>>());
            left.iter().for_each(|number| targets.remove(number));
            assert!(targets.is_empty() && targets.places.is_empty());
        }
    }
}
