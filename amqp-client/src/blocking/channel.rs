//! A channel without async.

use std::ops::Deref;
use std::sync::Weak;

use super::Connection;
use super::callbacks::Callbacks;
use super::wait::wait;
use crate::error::Error;

/// One channel of a connection, whose methods block. Clones are the same channel, for as many threads as
/// you like.
///
/// By [`Deref`] it has all methods of the async [`Channel`](crate::Channel): their builders end with
/// [`wait`](super::Wait::wait) in the place of an await.
#[derive(Clone, Debug)]
pub struct Channel {
    channel: crate::Channel,
    callbacks: Weak<Callbacks>,
}

impl Channel {
    pub(super) fn new(channel: crate::Channel, callbacks: Weak<Callbacks>) -> Self {
        Self { channel, callbacks }
    }

    /// Its connection.
    pub fn connection(&self) -> Connection {
        Connection::with_callbacks(self.channel.connection(), &self.callbacks)
    }

    /// As [`crate::Channel::close`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&self) -> Result<(), Error> {
        wait(self.channel.close())
    }

    /// The same channel for async code.
    pub fn to_async(&self) -> crate::Channel {
        self.channel.clone()
    }
}

/// Such as the channel of a [`Delivery`](crate::Delivery).
impl From<crate::Channel> for Channel {
    fn from(channel: crate::Channel) -> Self {
        Self::new(channel, Weak::new())
    }
}

impl Deref for Channel {
    type Target = crate::Channel;

    fn deref(&self) -> &crate::Channel {
        &self.channel
    }
}
