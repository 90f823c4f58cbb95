//! Opening a closed channel again, in place.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use amqp091::protocol::channel;
use amqp091::types::{Method, ShortStr};

use crate::call::{PendingCall, unexpected};
use crate::core::{Answer, Wanted};
use crate::error::Error;
use crate::shared::{ChannelHandle, now};

/// A closed channel about to be opened again: await it, after setting what is to be restored. See
/// [`Channel::reopen`](crate::Channel::reopen).
#[derive(Debug)]
#[must_use = "a channel is opened again when this is awaited"]
pub struct Reopen<'a> {
    channel: &'a Arc<ChannelHandle>,
    wanted: Wanted,
}

impl<'a> Reopen<'a> {
    pub(crate) fn new(channel: &'a Arc<ChannelHandle>) -> Self {
        Self { channel, wanted: Wanted::default() }
    }

    /// Whether the channel gets back its prefetch ([`qos`](crate::Channel::qos)), its
    /// [mode](crate::ChannelMode), confirms or transactions, and its stop of deliveries
    /// ([`flow`](crate::Channel::flow)). Other tasks find it closed until then. Default: false.
    pub fn modes(mut self, modes: bool) -> Self {
        self.wanted.modes = modes;
        self
    }

    /// Whether the consumers of the channel are started again, each with its tag, arguments and
    /// prefetch: all those whose [`Consumer`](crate::Consumer) still exists. Their streams go on after
    /// the error that ended them. Default: false.
    ///
    /// Messages that had come before and are still to be fetched are dropped, unless they needed no
    /// acknowledgement: the server delivers them again.
    pub fn consumers(mut self, consumers: bool) -> Self {
        self.wanted.consumers = consumers;
        self
    }

    async fn run(self) -> Result<Reopened, Error> {
        let Self { channel: handle, wanted } = self;
        let call = handle.with(|core| core.reopen(handle.key, wanted, now()))?;
        match PendingCall::new(handle, call, true).await? {
            Answer::Reopened(reopened) => Ok(*reopened),
            _ => Err(unexpected(channel::OpenOk::ID)),
        }
    }
}

impl<'a> IntoFuture for Reopen<'a> {
    type Output = Result<Reopened, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// What became of a channel that was opened again: it is open.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Reopened {
    /// Tags of the consumers that go on, in the order in which they were started first.
    pub restored: Vec<ShortStr>,
    /// Consumers that the server didn't want to start again.
    pub failed: Vec<NotRestored>,
}

/// A consumer that couldn't be restored: its stream stays ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotRestored {
    /// The consumer tag.
    pub consumer_tag: ShortStr,
    /// Its queue.
    pub queue: ShortStr,
    /// Why, such as 404 NOT_FOUND for a queue that is gone.
    pub error: Error,
}
