//! Which of many were woken.
//!
//! Each place has a waker of its own, so that of a thousand that wait only those are polled that have
//! something to say.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// The places that were woken, in that order, each once.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    woken: VecDeque<Arc<Place>>,
    /// The task that looks after all of them, while it sleeps.
    task: Option<Waker>,
    /// Whether nobody looks any more.
    is_over: bool,
}

#[derive(Debug)]
struct Place {
    index: usize,
    is_woken: AtomicBool,
    shared: Arc<Shared>,
}

impl Ready {
    /// The waker of the place with this number.
    pub(crate) fn waker(&self, index: usize) -> Waker {
        let shared = Arc::clone(&self.shared);
        Waker::from(Arc::new(Place { index, is_woken: AtomicBool::new(false), shared }))
    }

    /// Has this task woken with the next place that is.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut state = self.shared.lock();
        match &mut state.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// The next place that was woken.
    pub(crate) fn pop(&self) -> Option<usize> {
        let place = self.shared.lock().woken.pop_front()?;
        place.is_woken.store(false, Ordering::Release);
        Some(place.index)
    }
}

impl Drop for Ready {
    /// Woken places keep what they share, and that them: wakers that live on find it over.
    fn drop(&mut self) {
        let over = State { is_over: true, ..State::default() };
        let state = std::mem::replace(&mut *self.shared.lock(), over);
        drop(state);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.shared.lock();
        if state.is_over {
            return;
        }
        state.woken.push_back(Arc::clone(self));
        let task = state.task.take();
        drop(state);
        task.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_once_for_each_time_it_is_looked_at() {
        let ready = Ready::default();
        let wakers = [ready.waker(0), ready.waker(1)];
        for waker in [1_usize, 0, 1, 1, 0] {
            wakers[waker].wake_by_ref();
        }
        assert_eq!((ready.pop(), ready.pop(), ready.pop()), (Some(1), Some(0), None));
        wakers[1].wake_by_ref();
        assert_eq!((ready.pop(), ready.pop()), (Some(1), None));
    }

    #[test]
    fn a_waker_that_outlives_it_keeps_nothing() {
        let ready = Ready::default();
        let (queued, late) = (ready.waker(0), ready.waker(1));
        let shared = Arc::downgrade(&ready.shared);
        queued.wake_by_ref();
        drop(ready);
        late.wake_by_ref();
        drop((queued, late));
        assert!(shared.upgrade().is_none());
    }
}
