//! Returned messages that belong to no waiting publish: kept, within bounds, for who asks for them.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::channels::State;
use super::waiters::{WaiterKey, Waiters};
use super::{ChannelKey, Core};
use crate::publish::Returned;

/// How many are kept, and how many octets of bodies.
const LIMIT: usize = 1000;
const LIMIT_OCTETS: usize = 16 * 1024 * 1024;

/// The returned messages of a channel that nobody waits for.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    queue: VecDeque<Box<Returned>>,
    octets: usize,
    /// How many found no room.
    missed: u64,
    waiters: Waiters,
    /// How many handles there are; without any, nothing is kept.
    handles: usize,
}

impl Unclaimed {
    /// Keeps a message. Where there is no room it is counted, and lost.
    pub(crate) fn push(&mut self, returned: Box<Returned>, wakes: &mut Vec<Waker>) {
        if self.handles == 0 {
            return;
        }
        let octets = self.octets + returned.body.len();
        let is_full = self.queue.len() >= LIMIT || octets > LIMIT_OCTETS;
        if is_full && !self.queue.is_empty() {
            self.missed += 1;
            return;
        }
        self.octets = octets;
        self.queue.push_back(returned);
        self.waiters.wake_all(wakes);
    }

    /// Messages that are kept, their handles, and those who wait.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.queue.len() + self.handles + self.waiters.live()
    }

    /// Wakes those who wait: the channel has ended.
    pub(crate) fn end(&mut self, wakes: &mut Vec<Waker>) {
        self.waiters.wake_all(wakes);
    }
}

impl Core {
    /// From now on, returned messages that nobody waits for are kept.
    pub(crate) fn keep_returns(&mut self, key: ChannelKey) {
        if let Some(channel) = self.channels.get_mut(key) {
            channel.unclaimed.handles += 1;
        }
    }

    /// A handle is gone; with the last, what was kept is given back to be dropped.
    pub(crate) fn drop_returns(
        &mut self,
        key: ChannelKey,
        waiter: Option<WaiterKey>,
    ) -> Option<Unclaimed> {
        let unclaimed = &mut self.channels.get_mut(key)?.unclaimed;
        unclaimed.handles = unclaimed.handles.saturating_sub(1);
        if let Some(waiter) = waiter {
            unclaimed.waiters.forget(waiter);
        }
        (unclaimed.handles == 0).then(|| std::mem::take(unclaimed))
    }

    /// How many returned messages found no room.
    pub(crate) fn missed_returns(&mut self, key: ChannelKey) -> u64 {
        self.channels.get_mut(key).map_or(0, |channel| channel.unclaimed.missed)
    }

    /// Fetches a returned message; `None` when the channel has ended and no more come.
    pub(crate) fn poll_return(
        &mut self,
        key: ChannelKey,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<Option<Box<Returned>>> {
        let Some(channel) = self.channels.get_mut(key) else { return Poll::Ready(None) };
        // While it is being closed, some may still come.
        let has_ended = matches!(channel.state, State::Closed(_) | State::Reopening(_));
        let unclaimed = &mut channel.unclaimed;
        match unclaimed.queue.pop_front() {
            Some(returned) => {
                unclaimed.octets -= returned.body.len();
                Poll::Ready(Some(returned))
            }
            None if has_ended => Poll::Ready(None),
            None => {
                unclaimed.waiters.wait(waiter, cx.waker());
                Poll::Pending
            }
        }
    }
}
