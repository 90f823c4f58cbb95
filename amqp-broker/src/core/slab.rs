//! Places for things that refer to each other: a key stays with its thing, and leads nowhere once that
//! is gone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// Where a `T` lies.
pub(crate) struct Key<T> {
    index: u32,
    /// Tells a thing from an earlier one in the same place.
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

#[cfg(test)]
impl<T> Key<T> {
    /// A key of nothing, for tests of what keys are passed through.
    pub(crate) const fn of_nothing(index: u32) -> Self {
        Self { index, generation: u32::MAX, kind: PhantomData }
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}

impl<T> Eq for Key<T> {}

impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.index, self.generation).cmp(&(other.index, other.generation))
    }
}

impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
        self.generation.hash(state);
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

/// Things by [`Key`].
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// What the next thing's key has.
    generation: u32,
}

/// So many free places are never too many.
const FREE_PLACES: usize = 64;

struct Place<T> {
    generation: u32,
    thing: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), generation: 0 }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, thing: T) -> Key<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, thing: None });
            // Four thousand million things don't fit into memory.
            (self.places.len() - 1) as u32
        });
        let generation = self.generation;
        self.generation = generation.wrapping_add(1);
        self.places[index as usize] = Place { generation, thing: Some(thing) };
        Key { index, generation, kind: PhantomData }
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let thing = place.thing.take()?;
        self.free.push(key.index);
        // Seldom, so that it costs little for each.
        if self.free.len() > FREE_PLACES
            && self.free.len().is_power_of_two()
            && self.free.len() > self.places.len() / 2
            || self.free.len() == self.places.len()
        {
            self.shrink();
        }
        Some(thing)
    }

    /// Gives back the free places at the end.
    fn shrink(&mut self) {
        let used = self.places.iter().rposition(|place| place.thing.is_some());
        let len = used.map_or(0, |last| last + 1);
        if self.places.capacity() <= FREE_PLACES {
            return;
        }
        self.places.truncate(len);
        self.places.shrink_to(FREE_PLACES);
        self.free.retain(|index| (*index as usize) < len);
        self.free.shrink_to(FREE_PLACES);
    }

    #[inline]
    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        match self.places.get(key.index as usize) {
            Some(place) if place.generation == key.generation => place.thing.as_ref(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        match self.places.get_mut(key.index as usize) {
            Some(place) if place.generation == key.generation => place.thing.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let thing = place.thing.as_ref()?;
            let key = Key { index: index as u32, generation: place.generation, kind: PhantomData };
            Some((key, thing))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_nowhere_once_its_thing_is_gone() {
        let mut slab = Slab::default();
        let first = slab.insert("a");
        let second = slab.insert("b");
        assert_eq!(slab.remove(first), Some("a"));
        assert_eq!(slab.remove(first), None);
        let third = slab.insert("c");
        assert_eq!(
            (slab.get(first), slab.get(second), slab.get(third)),
            (None, Some(&"b"), Some(&"c"))
        );
        let keys: Vec<_> = slab.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [third, second]);
    }
}
