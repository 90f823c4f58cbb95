//! The broker's state as its tasks and handles share it, and its clock.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::core::{Answer, Core, Question};
use crate::settings::Settings;
use crate::unsettled::Unsettled;

/// As far as the clock goes, so that what is due some time later is still a time: five hundred years.
const FAR: Duration = Duration::from_secs(500 * 365 * 86_400);

/// The core behind its lock. The lock is held for the time of one command or one batch of input, never
/// across an await, and wakers are called after it is released.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Told when something is due earlier than the timer's task knows.
    pub(crate) sooner: Notify,
    /// When the broker was started; none where time goes by only as it is told to.
    started: Option<Instant>,
    /// The number of the last question whether all is settled: for the listeners.
    asked: watch::Sender<u64>,
    /// Told when somebody has answered it.
    answered: Notify,
    /// Told when a rule has fired.
    pub(crate) fired: Notify,
    /// Told when the last connection of a broker that stops is gone.
    deserted: Notify,
}

struct State {
    core: Core,
    /// How far the clock was put forward.
    ahead: Duration,
    /// When the timer's task will wake.
    alarm: Option<Duration>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, manual_time: bool) -> Arc<Self> {
        // A clock before 1970 is wrong; 1970 will do then.
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let core = Core::new(settings, epoch);
        let state = State { core, ahead: Duration::ZERO, alarm: None };
        Arc::new(Self {
            state: Mutex::new(state),
            sooner: Notify::new(),
            started: (!manual_time).then(Instant::now),
            asked: watch::Sender::new(0),
            answered: Notify::new(),
            fired: Notify::new(),
            deserted: Notify::new(),
        })
    }

    /// How long the broker has been there.
    fn now(&self, state: &State) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed()).saturating_add(state.ahead)
    }

    /// Runs `command` on the core at the time that it is now, then wakes whoever is to be woken.
    pub(crate) fn with<T>(&self, command: impl FnOnce(&mut Core, Duration) -> T) -> T {
        let mut state = self.lock();
        let now = self.now(&state);
        let result = command(&mut state.core, now);
        self.finish(state);
        result
    }

    /// Does what is due, and says how long the timer's task may sleep.
    pub(crate) fn tick(&self) -> Option<Instant> {
        let mut state = self.lock();
        let now = self.now(&state);
        state.core.handle_timeout(now);
        state.alarm = state.core.next_deadline();
        let started = self.started;
        let wake = match state.alarm {
            // There was not time for all.
            Some(at) if at <= now => Some(Instant::now()),
            alarm => alarm.and_then(|at| started?.checked_add(at.saturating_sub(state.ahead))),
        };
        self.finish(state);
        wake
    }

    /// Puts the clock forward, and does what comes due on the way, each at its time.
    pub(crate) fn advance(&self, span: Duration) {
        let mut state = self.lock();
        let now = self.now(&state);
        let target = now.saturating_add(span).min(FAR);
        state.core.horizon = target;
        while let Some(next) = state.core.next_deadline().filter(|next| *next <= target) {
            state.core.handle_timeout(next);
        }
        state.ahead += target.saturating_sub(now);
        state.core.handle_timeout(target);
        while state.core.next_deadline().is_some_and(|next| next <= target) {
            state.core.handle_timeout(target);
        }
        // The timer's task thinks of another time.
        state.alarm = None;
        self.sooner.notify_one();
        self.finish(state);
    }

    /// Returns when all is settled, or when it wasn't for so long.
    pub(crate) async fn settled_within(&self, limit: Duration) -> Result<(), Unsettled> {
        let settled = tokio::time::timeout(limit, self.settled()).await;
        settled.map_err(|_| self.with(|core, _| core.unsettled(limit)))
    }

    async fn settled(&self) {
        loop {
            // Whoever has something to say may say it.
            tokio::task::yield_now().await;
            let question = self.ask();
            loop {
                let mut answered = pin!(self.answered.notified());
                answered.as_mut().enable();
                match self.with(|core, _| core.answer(question)) {
                    Answer::Settled => return,
                    Answer::Changed => break,
                    Answer::Waiting => answered.await,
                }
            }
        }
    }

    /// Returns when a broker that was told to stop has no connections any more.
    pub(crate) async fn deserted(&self) {
        while !self.with(|core, _| core.is_deserted()) {
            self.deserted.notified().await;
        }
    }

    fn ask(&self) -> Question {
        let (question, number) = self.with(|core, _| (core.ask_settled(), core.question()));
        self.asked.send_replace(number);
        question
    }

    /// Questions whether all is settled, for a listener.
    pub(crate) fn questions(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
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
        let has_report = state.core.take_report();
        if state.core.is_deserted() {
            self.deserted.notify_one();
        }
        let has_fired = state.core.has_fired();
        drop(state);
        if has_fired {
            self.fired.notify_waiters();
        }
        if has_report {
            self.answered.notify_waiters();
        }
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
