//! Callbacks for what comes from the server, called by whoever drains events: the way of working that
//! py-amqp and its kin have.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::wait::deadline;
use crate::core::WaiterKey;
use crate::error::Error;
use crate::shared::Shared;

/// Polls for an event and handles it; `None` when there will be no more.
type Source = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<(), Error>>> + Send>;

/// The place of the connection's end, which is no callback's.
const END: usize = usize::MAX;

/// The place of a callback that has panicked, which has none any more.
const PANICKED: usize = usize::MAX - 1;

/// The callbacks of a connection. No lock is held while one is called.
pub(super) struct Callbacks {
    places: Mutex<Places>,
    ready: Arc<Ready>,
    shared: Arc<Shared>,
    /// Rings when the connection has ended; its place among those who wait for that.
    end: (Arc<Bell>, Waker),
    end_key: Mutex<Option<WaiterKey>>,
}

#[derive(Default)]
struct Places {
    entries: Vec<Place>,
    free: Vec<usize>,
}

enum Place {
    Free,
    /// Being polled or called by a thread; whether it rang meanwhile.
    Busy {
        again: bool,
    },
    Waiting(Entry),
}

struct Entry {
    source: Source,
    bell: Arc<Bell>,
    waker: Waker,
}

/// The places that have something to look at, in the order in which they rang.
#[derive(Default)]
struct Ready {
    places: Mutex<VecDeque<usize>>,
    rang: Condvar,
}

/// Wakes for one place.
struct Bell {
    place: usize,
    rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Callbacks {
    pub(super) fn new(shared: Arc<Shared>) -> Arc<Self> {
        let ready = Arc::default();
        let end = Bell::new(END, &ready);
        Arc::new(Self { places: Mutex::default(), ready, shared, end, end_key: Mutex::default() })
    }

    pub(super) fn add_stream<S: Stream + Send + Unpin + 'static>(
        &self,
        mut stream: S,
        mut callback: impl FnMut(S::Item) -> Result<(), Error> + Send + 'static,
    ) {
        self.add(Box::new(move |cx| {
            let item = ready!(Pin::new(&mut stream).poll_next(cx));
            Poll::Ready(item.map(&mut callback))
        }));
    }

    pub(super) fn add_future<F: Future + Send + Unpin + 'static>(
        &self,
        future: F,
        callback: impl FnOnce(F::Output) -> Result<(), Error> + Send + 'static,
    ) {
        let mut waiting = Some((future, callback));
        self.add(Box::new(move |cx| {
            let Some((future, _)) = &mut waiting else { return Poll::Ready(None) };
            let output = ready!(Pin::new(future).poll(cx));
            Poll::Ready(waiting.take().map(|(_, callback)| callback(output)))
        }));
    }

    fn add(&self, source: Source) {
        let mut places = lock(&self.places);
        let place = places.free.pop().unwrap_or_else(|| {
            places.entries.push(Place::Free);
            places.entries.len() - 1
        });
        let (bell, waker) = Bell::new(place, &self.ready);
        places.entries[place] = Place::Waiting(Entry { source, bell, waker });
        drop(places);
        self.ready.push(place);
    }

    /// Drops all callbacks but those that are being called.
    pub(super) fn clear(&self) {
        let mut places = lock(&self.places);
        let gone: Vec<Place> = (0..places.entries.len())
            .filter_map(|place| match places.entries[place] {
                Place::Waiting(_) => {
                    places.free.push(place);
                    Some(std::mem::replace(&mut places.entries[place], Place::Free))
                }
                _ => None,
            })
            .collect();
        drop(places);
        drop(gone);
    }

    /// Waits for one event and handles it; false when the time is up.
    pub(super) fn drain(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let until = timeout.and_then(deadline);
        loop {
            while let Some(place) = self.ready.pop() {
                if let Some(result) = self.visit(place) {
                    return result.map(|()| true);
                }
            }
            self.check_end()?;
            if !self.ready.wait(until) {
                return Ok(false);
            }
        }
    }

    /// Looks at one place, and handles its event if it has one.
    fn visit(&self, place: usize) -> Option<Result<(), Error>> {
        if place == PANICKED {
            return Some(Err(Error::CallbackPanicked));
        }
        let mut entry = self.take(place)?;
        entry.bell.rung.store(false, Ordering::Release);
        let unwinding = Unwinding { callbacks: self, place };
        let polled = (entry.source)(&mut Context::from_waker(&entry.waker));
        std::mem::forget(unwinding);
        match polled {
            Poll::Ready(Some(result)) => {
                // There may be more; the others are first.
                self.put_back(place, entry, true);
                Some(result)
            }
            Poll::Ready(None) => {
                self.free(place);
                None
            }
            Poll::Pending => {
                self.put_back(place, entry, false);
                None
            }
        }
    }

    fn take(&self, place: usize) -> Option<Entry> {
        let mut places = lock(&self.places);
        let slot = places.entries.get_mut(place)?;
        match std::mem::replace(slot, Place::Busy { again: false }) {
            Place::Waiting(entry) => Some(entry),
            Place::Busy { .. } => {
                *slot = Place::Busy { again: true };
                None
            }
            Place::Free => {
                *slot = Place::Free;
                None
            }
        }
    }

    fn free(&self, place: usize) {
        let mut places = lock(&self.places);
        places.entries[place] = Place::Free;
        places.free.push(place);
    }

    fn put_back(&self, place: usize, entry: Entry, again: bool) {
        let mut places = lock(&self.places);
        let rang = matches!(places.entries[place], Place::Busy { again: true });
        places.entries[place] = Place::Waiting(entry);
        drop(places);
        if again || rang {
            self.ready.push(place);
        }
    }

    /// Fails when the connection has ended; else its end will ring.
    fn check_end(&self) -> Result<(), Error> {
        let (bell, waker) = &self.end;
        bell.rung.store(false, Ordering::Release);
        let mut key = lock(&self.end_key);
        let ended = self.shared.with(|core| {
            let is_over = core.poll_closed(&mut key, &Context::from_waker(waker)).is_ready();
            if is_over { core.check_open() } else { Ok(()) }
        });
        // For the next thread that waits.
        ended.inspect_err(|_| self.ready.push(END))
    }
}

/// Dropped by a panic of the callback that is being called. It goes on to whoever drains events, and the
/// callback is gone: whoever drains them next is told so.
struct Unwinding<'a> {
    callbacks: &'a Callbacks,
    place: usize,
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        self.callbacks.free(self.place);
        self.callbacks.ready.push(PANICKED);
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Some(key) = lock(&self.end_key).take() {
            self.shared.with(|core| core.forget_close(key));
        }
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}

impl Ready {
    fn push(&self, place: usize) {
        lock(&self.places).push_back(place);
        self.rang.notify_one();
    }

    fn pop(&self) -> Option<usize> {
        lock(&self.places).pop_front()
    }

    /// Waits until there is something, or until then: false.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut places = lock(&self.places);
        while places.is_empty() {
            places = match until {
                None => self.rang.wait(places).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.rang.wait_timeout(places, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }
}

impl Bell {
    fn new(place: usize, ready: &Arc<Ready>) -> (Arc<Self>, Waker) {
        let rung = AtomicBool::new(false);
        let bell = Arc::new(Self { place, rung, ready: Arc::clone(ready) });
        let waker = Waker::from(Arc::clone(&bell));
        (bell, waker)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ready.push(self.place);
        }
    }
}

/// Nothing is left half-changed under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
