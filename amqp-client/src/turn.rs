//! Turns of a task: a stream that always has an item would let no other task of its thread run.

use std::task::{Context, Poll};

use tokio::task::coop::poll_proceed;

/// So many items count as one for tokio, which gives a task 128 of all its streams together: letting the
/// connection's task run more often makes its reads smaller, and every item dearer.
const ITEMS: u8 = 8;

/// How much of its task's turn a stream has left.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    items: u8,
}

impl Turn {
    /// Polls for an item, if this task has any of its turn left; outside tokio's runtime it always has.
    #[inline]
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.items > 0 {
            let polled = poll(cx);
            self.items -= u8::from(polled.is_ready());
            return polled;
        }
        let Poll::Ready(turn) = poll_proceed(cx) else { return Poll::Pending };
        let polled = poll(cx);
        if polled.is_ready() {
            turn.made_progress();
            self.items = ITEMS - 1;
        }
        polled
    }
}
