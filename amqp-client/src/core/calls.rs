//! Calls that wait for a reply. Each has a deadline; giving one up, or answering it too late,
//! disturbs no other.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use amqp091::protocol::ToClient;

use super::consumers::Incoming;
use crate::error::Error;
use crate::reopen::Reopened;

/// What a call is answered with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The reply method.
    Method(ToClient),
    /// `basic.get-ok` with its message, and how many messages are left in the queue.
    Message(Box<Incoming>, u32),
    /// The channel is open again.
    Reopened(Box<Reopened>),
}

/// A waiting call. The generation tells a call from an earlier one in the same place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct CallId {
    index: usize,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting { method: &'static str, deadline: Instant, waker: Option<Waker> },
    Done(Result<Answer, Error>),
}

/// All calls of a connection.
#[derive(Debug)]
pub(crate) struct Calls {
    timeout: Duration,
    entries: Vec<Entry>,
    free: Vec<usize>,
    deadlines: BTreeSet<(Instant, CallId)>,
}

impl Calls {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, entries: Vec::new(), free: Vec::new(), deadlines: BTreeSet::new() }
    }

    /// Begins to wait for the reply to `method`.
    pub(crate) fn begin(&mut self, method: &'static str, now: Instant) -> CallId {
        let deadline = now + self.timeout;
        let state = State::Waiting { method, deadline, waker: None };
        let id = match self.free.pop() {
            Some(index) => {
                let entry = &mut self.entries[index];
                entry.generation += 1;
                entry.state = state;
                CallId { index, generation: entry.generation }
            }
            None => {
                self.entries.push(Entry { generation: 0, state });
                CallId { index: self.entries.len() - 1, generation: 0 }
            }
        };
        self.deadlines.insert((deadline, id));
        id
    }

    /// Whether anybody waits for any call.
    pub(crate) fn any_waiting(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// Answers a call. Returns whether somebody still waited for it.
    pub(crate) fn finish(
        &mut self,
        id: CallId,
        result: Result<Answer, Error>,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(id.index) else { return false };
        if entry.generation != id.generation {
            return false;
        }
        let State::Waiting { deadline, waker, .. } = &mut entry.state else { return false };
        wakes.extend(waker.take());
        self.deadlines.remove(&(*deadline, id));
        entry.state = State::Done(result);
        true
    }

    /// Looks whether the call is answered. Once it is, its place is free.
    pub(crate) fn poll(&mut self, id: CallId, cx: &Context<'_>) -> Poll<Result<Answer, Error>> {
        let Some(entry) = self.entries.get_mut(id.index) else { return Poll::Pending };
        if entry.generation != id.generation {
            return Poll::Pending;
        }
        match std::mem::replace(&mut entry.state, State::Free) {
            State::Done(result) => {
                self.free.push(id.index);
                Poll::Ready(result)
            }
            State::Waiting { method, deadline, .. } => {
                let waker = Some(cx.waker().clone());
                entry.state = State::Waiting { method, deadline, waker };
                Poll::Pending
            }
            State::Free => Poll::Pending,
        }
    }

    /// Gives a call up: its future was dropped. Its answer, if it came already, is handed back.
    pub(crate) fn abandon(&mut self, id: CallId) -> Option<Result<Answer, Error>> {
        let entry = self.entries.get_mut(id.index)?;
        if entry.generation != id.generation {
            return None;
        }
        let answer = match std::mem::replace(&mut entry.state, State::Free) {
            State::Free => return None,
            State::Waiting { deadline, .. } => {
                self.deadlines.remove(&(deadline, id));
                None
            }
            State::Done(result) => Some(result),
        };
        self.free.push(id.index);
        answer
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Fails the calls whose deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wakes: &mut Vec<Waker>) {
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            let method = match self.entry(id) {
                Some(Entry { state: State::Waiting { method, .. }, .. }) => *method,
                _ => "",
            };
            let error = Error::Timeout { method, after: self.timeout };
            self.finish(id, Err(error), wakes);
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// Fails every waiting call.
    pub(crate) fn fail_all(&mut self, error: &Error, wakes: &mut Vec<Waker>) {
        while let Some(&(deadline, id)) = self.deadlines.first() {
            self.finish(id, Err(error.clone()), wakes);
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// Calls that are waited for or whose answer is not fetched.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.entries.iter().filter(|entry| !matches!(entry.state, State::Free)).count()
    }

    /// Calls that have a deadline.
    #[cfg(test)]
    pub(crate) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    fn entry(&self, id: CallId) -> Option<&Entry> {
        self.entries.get(id.index).filter(|entry| entry.generation == id.generation)
    }
}

#[cfg(test)]
mod tests {
    use amqp091::protocol::basic;

    use super::*;

    fn answer() -> Result<Answer, Error> {
        Ok(Answer::Method(basic::QosOk {}.into()))
    }

    #[test]
    fn a_late_answer_meets_nobody_even_when_its_place_is_taken_again() {
        let mut calls = Calls::new(Duration::from_secs(1));
        let mut wakes = Vec::new();
        let cx = Context::from_waker(Waker::noop());
        let start = Instant::now();
        let first = calls.begin("basic.qos", start);
        calls.handle_timeout(start + Duration::from_secs(1), &mut wakes);
        assert!(matches!(calls.poll(first, &cx), Poll::Ready(Err(Error::Timeout { .. }))));
        let second = calls.begin("basic.qos", start);
        assert_eq!(first.index, second.index);
        assert!(!calls.finish(first, answer(), &mut wakes));
        assert!(calls.poll(second, &cx).is_pending());
        assert!(calls.finish(second, answer(), &mut wakes));
        assert!(calls.poll(second, &cx).is_ready());
        assert!(!calls.any_waiting());
    }

    #[test]
    fn an_abandoned_call_has_no_deadline_left() {
        let mut calls = Calls::new(Duration::from_secs(1));
        let id = calls.begin("basic.qos", Instant::now());
        assert!(calls.next_deadline().is_some());
        assert!(calls.abandon(id).is_none());
        assert!(calls.next_deadline().is_none());
    }
}
