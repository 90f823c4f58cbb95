//! Turns of a task: a stream that always has an item would let no other task of its thread run.

use std::task::{Context, Poll};

use tokio::task::coop::poll_proceed;

/// Polls for an item, if this task has any of its turn left: tokio gives each so many items of all its
/// streams together, and more outside its runtime.
#[inline]
pub(crate) fn in_turn<T>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let Poll::Ready(turn) = poll_proceed(cx) else { return Poll::Pending };
    let polled = poll(cx);
    if polled.is_ready() {
        turn.made_progress();
    }
    polled
}
