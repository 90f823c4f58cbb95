//! Tasks that wait for one condition, such as room in the output.

use std::task::Waker;

/// A place in [`Waiters`]: kept by the waiting future, so that polling it again replaces its waker
/// instead of adding one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WaiterKey {
    index: usize,
    round: u64,
}

/// The waiting tasks.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Counts the wake-ups: a key from before the last one is void.
    round: u64,
    wakers: Vec<Option<Waker>>,
    /// Places given up, to be taken again.
    free: Vec<usize>,
}

impl Waiters {
    /// Notes `waker`, in the place of `key` if that is still waiting.
    pub(crate) fn wait(&mut self, key: &mut Option<WaiterKey>, waker: &Waker) {
        let place = key
            .filter(|key| key.round == self.round)
            .and_then(|key| self.wakers.get_mut(key.index));
        match place {
            Some(Some(known)) => known.clone_from(waker),
            _ => {
                let index = match self.free.pop() {
                    Some(index) => {
                        self.wakers[index] = Some(waker.clone());
                        index
                    }
                    None => {
                        self.wakers.push(Some(waker.clone()));
                        self.wakers.len() - 1
                    }
                };
                *key = Some(WaiterKey { index, round: self.round });
            }
        }
    }

    /// Whether anybody waits.
    pub(crate) fn any_waiting(&self) -> bool {
        self.wakers.len() > self.free.len()
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.wakers.iter().flatten().count()
    }

    /// Gives up a place: its future was dropped.
    pub(crate) fn forget(&mut self, key: WaiterKey) {
        if key.round == self.round
            && let Some(place) = self.wakers.get_mut(key.index)
            && place.take().is_some()
        {
            self.free.push(key.index);
        }
    }

    /// Moves every waker to `wakes`.
    pub(crate) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        if !self.wakers.is_empty() {
            self.round += 1;
            wakes.extend(self.wakers.drain(..).flatten());
            self.free.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_again_takes_no_second_place() {
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (None, None);
        for _ in 0..10 {
            waiters.wait(&mut first, Waker::noop());
            waiters.wait(&mut second, Waker::noop());
        }
        let mut wakes = Vec::new();
        waiters.wake_all(&mut wakes);
        assert_eq!(wakes.len(), 2);
        waiters.wait(&mut first, Waker::noop());
        waiters.wake_all(&mut wakes);
        assert_eq!(wakes.len(), 3);
    }

    #[test]
    fn a_dropped_future_is_not_woken() {
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (None, None);
        waiters.wait(&mut first, Waker::noop());
        waiters.wait(&mut second, Waker::noop());
        waiters.forget(first.unwrap());
        assert!(waiters.any_waiting());
        waiters.wait(&mut None, Waker::noop());
        assert_eq!(waiters.wakers.len(), 2, "places of the gone are taken again");
        waiters.forget(second.unwrap());
        let mut wakes = Vec::new();
        waiters.wake_all(&mut wakes);
        assert_eq!(wakes.len(), 1);
        assert!(!waiters.any_waiting());
    }
}
