//! Publishing with a bounded number of unconfirmed messages.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{BatchOutcome, Publishing};
use crate::core::{Published, TallyKey, WaiterKey};
use crate::error::Error;
use crate::shared::ChannelHandle;
use crate::trace::Event;

/// Lets at most so many messages be unconfirmed at a time, and gathers what becomes of them. Made by
/// [`Channel::confirm_window`](crate::Channel::confirm_window).
///
/// Publishing within it waits for room, in the order of asking; [`flush`](Self::flush) waits until all
/// have their outcome. Nothing is kept of messages that are confirmed; of those that failed, each has its
/// number, as publishing returned it, and the reason. When as many have failed as may be unconfirmed,
/// publishing fails with [`Error::WindowFailed`] until they are taken.
///
/// Share it by reference, or in an `Arc`, for as many tasks as you like. Flush it before it goes: what
/// became of messages whose outcome wasn't taken is lost with it, and told by the event
/// `amqp.window.dropped` only ([`tracing_events`](crate::tracing_events)).
#[derive(Debug)]
#[must_use = "without a look at its outcome a lost message goes unnoticed"]
pub struct ConfirmWindow {
    channel: Arc<ChannelHandle>,
    pub(super) tally: TallyKey,
}

impl ConfirmWindow {
    pub(crate) fn new(channel: &Arc<ChannelHandle>, limit: usize) -> Self {
        let tally = channel.with(|core| core.open_tally(limit, limit));
        Self { channel: Arc::clone(channel), tally }
    }

    /// Waits until no message of the window is outstanding, and takes what became of all since the last
    /// time. It ends by itself: each outcome has its deadline. Other tasks that go on publishing make it
    /// wait for theirs too.
    ///
    /// Safe to drop: nothing is taken.
    pub fn flush(&self) -> Flush<'_> {
        Flush { window: self, waiter: None, done: false }
    }

    /// Takes what is known so far, without waiting: for a look at failures on the way.
    pub fn take_outcome(&self) -> BatchOutcome {
        self.channel.with(|core| core.take_outcome(self.tally))
    }

    /// How many messages are outstanding: published, and without an outcome yet.
    pub fn outstanding(&self) -> usize {
        self.channel.with(|core| core.outstanding(self.tally))
    }
}

impl Drop for ConfirmWindow {
    fn drop(&mut self) {
        // What it held is let go of outside the connection's lock.
        let _outcome = self.channel.with(|core| {
            let (outcome, outstanding) =
                (core.take_outcome(self.tally), core.outstanding(self.tally));
            core.release_tally(self.tally);
            let failed = outcome.failed.len();
            if failed + outstanding > 0 {
                let channel = core.channel_number(self.channel.key);
                core.trace.note(|| Event::WindowDropped { channel, failed, outstanding });
            }
            outcome
        });
    }
}

/// Waits until no message of a window is outstanding; see [`ConfirmWindow::flush`].
#[derive(Debug)]
#[must_use = "what became of the messages is told when this is awaited"]
pub struct Flush<'a> {
    window: &'a ConfirmWindow,
    waiter: Option<WaiterKey>,
    done: bool,
}

impl Future for Flush<'_> {
    type Output = BatchOutcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BatchOutcome> {
        let this = &mut *self;
        if this.done {
            return Poll::Pending;
        }
        let (channel, tally) = (&this.window.channel, this.window.tally);
        let outcome = channel.with(|core| core.poll_settled(tally, &mut this.waiter, cx));
        this.done = outcome.is_ready();
        outcome
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            let tally = self.window.tally;
            self.window.channel.with(|core| core.forget_settled(tally, waiter));
        }
    }
}

/// A message on its way into a window; it resolves to the message's number there, counted from 0. Safe to
/// drop at any time: what isn't ready isn't sent.
#[derive(Debug)]
#[must_use = "a message is published when this is awaited"]
pub struct WindowPublish<'a>(Publishing<'a>);

impl<'a> WindowPublish<'a> {
    pub(super) fn new(window: &'a ConfirmWindow, mut publishing: Publishing<'a>) -> Self {
        let is_own = Arc::ptr_eq(&window.channel, publishing.channel);
        match &mut publishing.message {
            Err(_) => {}
            message if !is_own => *message = Err(Error::OtherChannel),
            Ok(_) => publishing.tally = Some(window.tally),
        }
        Self(publishing)
    }
}

impl Future for WindowPublish<'_> {
    type Output = Result<u64, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_publish(cx).map_ok(|published| match published {
            Published::Counted(number) => number,
            // What a tally watches is counted by it.
            Published::Confirm(_) | Published::Unwatched => 0,
        })
    }
}
