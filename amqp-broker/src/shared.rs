//! The broker's state as its tasks and handles share it, and its clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::core::Core;
use crate::settings::Settings;

/// The core behind its lock. The lock is held for the time of one command or one batch of input, never
/// across an await, and wakers are called after it is released.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Told when something is due earlier than the timer's task knows.
    pub(crate) sooner: Notify,
    /// When the broker was started.
    started: Instant,
}

struct State {
    core: Core,
    /// How far the clock was put forward.
    ahead: Duration,
    /// When the timer's task will wake.
    alarm: Option<Duration>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        // A clock before 1970 is wrong; 1970 will do then.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let core = Core::new(settings, epoch);
        let state = State { core, ahead: Duration::ZERO, alarm: None };
        Arc::new(Self { state: Mutex::new(state), sooner: Notify::new(), started: Instant::now() })
    }

    /// Runs `command` on the core at the time that it is now, then wakes whoever is to be woken.
    pub(crate) fn with<T>(&self, command: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let mut state = self.lock();
        let now = self.started.elapsed() + state.ahead;
        let result = command(&mut state.core, now);
        self.finish(state);
        result
    }

    /// Does what is due, and says how long the timer's task may sleep.
    pub(crate) fn tick(&self) -> Option<Instant> {
        let mut state = self.lock();
        let now = self.started.elapsed() + state.ahead;
        state.core.handle_timeout(now);
        state.alarm = state.core.next_deadline();
        let wake = state.alarm.map(|at| self.started + at.saturating_sub(state.ahead));
        self.finish(state);
        wake
    }

    /// Puts the clock forward, and does what comes due on the way, each at its time.
    pub(crate) fn advance(&self, span: Duration) {
        let mut state = self.lock();
        let now = self.started.elapsed() + state.ahead;
        let target = now + span;
        while let Some(next) = state.core.next_deadline().filter(|next| *next <= target) {
            state.core.handle_timeout(next);
        }
        state.ahead += span;
        state.core.handle_timeout(target);
        // The timer's task thinks of another time.
        state.alarm = None;
        self.sooner.notify_one();
        self.finish(state);
    }

    fn finish(&self, mut state: MutexGuard<'_, State>) {
        if let Some(next) = state.core.next_deadline()
            && state.alarm.is_none_or(|alarm| next < alarm)
        {
            state.alarm = Some(next);
            self.sooner.notify_one();
        }
        let told = state.core.take_events();
        let mut wakes = Vec::new();
        if state.core.has_wakes() {
            state.core.take_wakes(&mut wakes);
        }
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
        if let Some((listener, events)) = told {
            events.iter().for_each(|event| listener(event));
        }
    }

    /// A panic elsewhere can't leave the core half-changed in a way that matters more than going on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
