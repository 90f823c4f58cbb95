//! The connection's state as its handles and its task share it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::core::{ChannelKey, Core};
use crate::dial::Peer;
use crate::error::CloseReason;

/// The core behind its lock. The lock is held for the time of one command or one batch of input,
/// never across an await, and wakers are called after it is released.
pub(crate) struct Shared {
    state: Mutex<State>,
}

struct State {
    core: Core,
    /// The driver's waker, while it sleeps.
    driver: Option<Waker>,
    /// Whether the driver sleeps until the socket takes more: new output alone need not wake it.
    writing: bool,
    peer: Option<Peer>,
}

impl Shared {
    pub(crate) fn new(core: Core, peer: Option<Peer>) -> Arc<Self> {
        let state = State { core, driver: None, writing: false, peer };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Where the connection goes to.
    pub(crate) fn peer(&self) -> Option<Peer> {
        self.lock().peer.clone()
    }

    /// Runs `command` on the core, then wakes whoever is to be woken.
    #[inline]
    pub(crate) fn with<T>(&self, command: impl FnOnce(&mut Core) -> T) -> T {
        let mut state = self.lock();
        let result = command(&mut state.core);
        let wake_driver = state.core.attention || (state.core.has_output() && !state.writing);
        let driver = if wake_driver { state.driver.take() } else { None };
        let discarded = state.core.take_discarded();
        if driver.is_none()
            && state.core.wakes.is_empty()
            && discarded.is_empty()
            && state.core.trace.is_empty()
        {
            return result;
        }
        let wakes = std::mem::take(&mut state.core.wakes);
        let events = state.core.trace.take();
        drop(state);
        drop(discarded);
        events.tell();
        wakes.into_iter().chain(driver).for_each(Waker::wake);
        result
    }

    /// As [`with`](Self::with), for the driver itself: it wakes the others, into `wakes`, and not
    /// itself.
    pub(crate) fn drive<T>(&self, wakes: &mut Vec<Waker>, step: impl FnOnce(&mut Core) -> T) -> T {
        let mut state = self.lock();
        let result = step(&mut state.core);
        std::mem::swap(&mut state.core.wakes, wakes);
        let discarded = state.core.take_discarded();
        let events = state.core.trace.take();
        drop(state);
        drop(discarded);
        events.tell();
        wakes.drain(..).for_each(Waker::wake);
        result
    }

    /// Lets the driver sleep, unless something has come up since it last looked.
    pub(crate) fn park(&self, waker: &Waker, writing: bool) -> bool {
        let mut state = self.lock();
        if state.core.attention || (!writing && state.core.has_output()) {
            return false;
        }
        match &mut state.driver {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        state.writing = writing;
        true
    }

    /// A panic elsewhere can't leave the core half-changed in a way that matters more than going on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every handle holds this: what the program publishes and receives is not for its logs.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The connection as a resource: when the last of its handles (connections, channels, consumers,
/// deliveries, confirms) is gone, it closes.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        self.shared.with(|core| core.close(CloseReason::Dropped, now()));
    }
}

/// A channel as a resource: when the last of its handles (channels, consumers, deliveries, confirms)
/// is gone, it closes.
#[derive(Debug)]
pub(crate) struct ChannelHandle {
    pub(crate) key: ChannelKey,
    pub(crate) connection: Arc<ConnectionHandle>,
}

impl ChannelHandle {
    /// The channel's number: another one may come when it is opened again.
    pub(crate) fn number(&self) -> u16 {
        self.with(|core| core.channel_number(self.key))
    }

    /// Runs `command` on the core.
    #[inline]
    pub(crate) fn with<T>(&self, command: impl FnOnce(&mut Core) -> T) -> T {
        self.connection.shared.with(command)
    }
}

impl Drop for ChannelHandle {
    fn drop(&mut self) {
        self.with(|core| core.release_channel(self.key, now()));
    }
}

/// The clock of commands. It is tokio's, so that tests with a paused clock see their own time; outside
/// a runtime, where a handle may be dropped, it is the system's.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
