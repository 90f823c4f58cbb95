//! The time that a call has, kept by the connection's own timers: it needs no runtime around it.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::TimerKey;
use crate::shared::{ChannelHandle, now};

/// A time that begins with the first look.
#[derive(Debug)]
pub(crate) struct Deadline<'a> {
    channel: &'a ChannelHandle,
    after: Duration,
    timer: Option<TimerKey>,
}

impl<'a> Deadline<'a> {
    pub(crate) const fn new(channel: &'a ChannelHandle, after: Duration) -> Self {
        Self { channel, after, timer: None }
    }

    /// Ready when it is over, while the connection lasts.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        let (timer, limit) = (&mut self.timer, (now(), self.after));
        self.channel.with(|core| core.poll_deadline(timer, limit, cx))
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.channel.with(|core| core.stop_timer(timer));
        }
    }
}
