//! Which deliveries of a channel are still to be settled, so that they can be counted: runs of delivery
//! tags, few as long as they are settled more or less in their order.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// The unsettled deliveries of one channel.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    runs: VecDeque<RangeInclusive<u64>>,
    count: u64,
}

impl Unsettled {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// One has come.
    #[inline]
    pub(crate) fn delivered(&mut self, tag: u64) {
        match self.runs.back_mut() {
            Some(run) if *run.end() >= tag => return,
            Some(run) if tag - *run.end() == 1 => *run = *run.start()..=tag,
            _ => self.runs.push_back(tag..=tag),
        }
        self.count += 1;
    }

    /// One is settled; returns whether it hadn't been.
    #[inline]
    pub(crate) fn settled(&mut self, tag: u64) -> bool {
        let index = match self.runs.front() {
            Some(run) if run.contains(&tag) => 0,
            _ => self.runs.partition_point(|run| *run.end() < tag),
        };
        let Some(run) = self.runs.get_mut(index).filter(|run| run.contains(&tag)) else {
            return false;
        };
        self.count -= 1;
        let (start, end) = (*run.start(), *run.end());
        if start == end {
            self.runs.remove(index);
        } else if tag == start {
            *run = tag + 1..=end;
        } else if tag == end {
            *run = start..=tag - 1;
        } else {
            *run = start..=tag - 1;
            self.runs.insert(index + 1, tag + 1..=end);
        }
        true
    }

    /// All up to `tag` are settled; returns how many hadn't been.
    pub(crate) fn settled_through(&mut self, tag: u64) -> u64 {
        let before = self.count;
        while let Some(run) = self.runs.front_mut()
            && *run.start() <= tag
        {
            if *run.end() > tag {
                self.count -= tag - *run.start() + 1;
                *run = tag + 1..=*run.end();
                break;
            }
            self.count -= *run.end() - *run.start() + 1;
            self.runs.pop_front();
        }
        before - self.count
    }

    /// None is left.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_as_a_set_does(steps in prop::collection::vec((0..4u8, 1..60u64), 0..200)) {
            let (mut runs, mut set, mut last) = (Unsettled::default(), BTreeSet::new(), 0);
            for (what, tag) in steps {
                match what {
                    0 | 1 => {
                        // With gaps, for deliveries that need no acknowledgement.
                        last += 1 + tag / 50;
                        runs.delivered(last);
                        set.insert(last);
                    }
                    2 => prop_assert_eq!(runs.settled(tag), set.remove(&tag)),
                    _ => {
                        let rest = set.split_off(&(tag + 1));
                        prop_assert_eq!(runs.settled_through(tag), set.len() as u64);
                        set = rest;
                    }
                }
                prop_assert_eq!(runs.count(), set.len() as u64);
                let tags = runs.runs.iter().cloned().flatten();
                prop_assert!(tags.eq(set.iter().copied()));
            }
        }
    }

    #[test]
    fn what_a_server_counts_wrongly_is_harmless() {
        let mut runs = Unsettled::default();
        for tag in [5, 5, 3, u64::MAX, u64::MAX, 0] {
            runs.delivered(tag);
        }
        assert_eq!(runs.count(), 2);
        assert_eq!(runs.settled_through(u64::MAX), 2);
        assert!(!runs.settled(5));
    }
}
