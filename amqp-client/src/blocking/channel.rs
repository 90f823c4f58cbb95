//! A channel without async.

use std::io::Read;
use std::ops::Deref;
use std::sync::Weak;

use bytes::Bytes;

use super::Connection;
use super::body::Here;
use super::callbacks::Callbacks;
use super::wait::wait;
use crate::error::Error;
use crate::publish::{FromReader, FromStream, PublishFrom};

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

    /// As [`crate::Channel::publish_reader`], from a [`Read`]: a file, say. It is read on this thread when
    /// the message is [waited](super::Wait) for.
    ///
    /// ```no_run
    /// use amqp091_client::blocking::{Connection, Wait};
    ///
    /// # fn example(connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::File::open("large.bin")?;
    /// let size = file.metadata()?.len();
    /// let channel = connection.channel()?;
    /// channel.publish_reader("", "files", size, file).wait()?.confirmed()?;
    /// # Ok(()) }
    /// ```
    pub fn publish_reader<R: Read + Unpin>(
        &self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body_size: u64,
        reader: R,
    ) -> PublishFrom<'_, FromReader<Here<R>>> {
        self.channel.publish_reader(exchange, routing_key, body_size, Here(reader))
    }

    /// As [`publish_reader`](Self::publish_reader), of an iterator, whose pieces are sent as they are; there
    /// must be `body_size` octets of them.
    pub fn publish_stream<I, E>(
        &self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body_size: u64,
        pieces: I,
    ) -> PublishFrom<'_, FromStream<Here<I::IntoIter>>>
    where
        I: IntoIterator<Item = Result<Bytes, E>, IntoIter: Unpin>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.channel.publish_stream(exchange, routing_key, body_size, Here(pieces.into_iter()))
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
