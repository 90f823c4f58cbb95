//! Tasks that wait for one condition, such as room in the output.

use std::task::Waker;

/// A place in [`Waiters`]: kept by the waiting future, so that polling it again replaces its waker
/// instead of adding one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WaiterKey {
    index: usize,
    round: u64,
}

/// The waiting tasks, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Counts the wake-ups: a key from before the last one is void.
    round: u64,
    wakers: Vec<Option<Waker>>,
}

impl Waiters {
    /// Notes `waker`, in the place of `key` if that is still waiting.
    pub(crate) fn wait(&mut self, key: &mut Option<WaiterKey>, waker: &Waker) {
        let place = key
            .filter(|key| key.round == self.round)
            .and_then(|key| self.wakers.get_mut(key.index));
        match place {
            Some(place) => match place {
                Some(known) => known.clone_from(waker),
                None => *place = Some(waker.clone()),
            },
            None => {
                *key = Some(WaiterKey { index: self.wakers.len(), round: self.round });
                self.wakers.push(Some(waker.clone()));
            }
        }
    }

    /// Gives up a place: its future was dropped.
    pub(crate) fn forget(&mut self, key: WaiterKey) {
        if key.round == self.round {
            if let Some(place) = self.wakers.get_mut(key.index) {
                *place = None;
            }
            while self.wakers.last().is_some_and(Option::is_none) {
                self.wakers.pop();
            }
        }
    }

    /// Moves every waker to `wakes`.
    pub(crate) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        if !self.wakers.is_empty() {
            self.round += 1;
            wakes.extend(self.wakers.drain(..).flatten());
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
        waiters.forget(second.unwrap());
        waiters.forget(first.unwrap());
        assert!(waiters.wakers.is_empty(), "places of the gone are reused");
        let mut wakes = Vec::new();
        waiters.wake_all(&mut wakes);
        assert!(wakes.is_empty());
    }
}
