//! Returned messages that nobody waits for.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Returned;
use crate::core::WaiterKey;
use crate::shared::ChannelHandle;
use crate::turn::Turn;

/// Returned messages of a channel that nobody waits for, as a stream: those published without a confirm,
/// in a transaction, or whose confirm was dropped or came too late. Made by
/// [`Channel::returns`](crate::Channel::returns).
///
/// It keeps the channel open, and ends when the channel closes. Each message goes to one such stream of
/// the channel. At most 1000 messages, or 16 MiB of bodies, are kept: [`missed`](Self::missed) tells how
/// many more there were.
pub struct Returns {
    channel: Arc<ChannelHandle>,
    waiter: Option<WaiterKey>,
    turn: Turn,
}

impl Returns {
    pub(crate) fn new(channel: &Arc<ChannelHandle>) -> Self {
        channel.with(|core| core.keep_returns(channel.key));
        Self { channel: Arc::clone(channel), waiter: None, turn: Turn::default() }
    }

    /// The next returned message; `None` when the channel is closed. Safe to drop.
    pub async fn next(&mut self) -> Option<Returned> {
        poll_fn(|cx| self.poll_in_turn(cx)).await
    }

    /// How many returned messages found no room and are lost.
    pub fn missed(&self) -> u64 {
        self.channel.with(|core| core.missed_returns(self.channel.key))
    }

    fn poll_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<Returned>> {
        let mut turn = std::mem::take(&mut self.turn);
        let polled = turn.poll(cx, |cx| self.poll_return(cx));
        self.turn = turn;
        polled
    }

    fn poll_return(&mut self, cx: &Context<'_>) -> Poll<Option<Returned>> {
        let (key, waiter) = (self.channel.key, &mut self.waiter);
        let returned = self.channel.with(|core| core.poll_return(key, waiter, cx));
        returned.map(|returned| returned.map(|returned| *returned))
    }
}

impl Stream for Returns {
    type Item = Returned;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Returned>> {
        self.poll_in_turn(cx)
    }
}

impl fmt::Debug for Returns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returns").field("channel", &self.channel.number()).finish_non_exhaustive()
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        let waiter = self.waiter.take();
        // What it held is let go of outside the connection's lock.
        let _unclaimed = self.channel.with(|core| core.drop_returns(self.channel.key, waiter));
    }
}
