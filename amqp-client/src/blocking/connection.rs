//! A connection without async.

use std::future::Future;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use amqp091::types::LongStr;
use tokio::io::{AsyncRead, AsyncWrite};

use super::callbacks::Callbacks;
use super::thread::Lease;
use super::wait::wait;
use super::{Channel, Confirm, Consumer};
use crate::consume::ConsumerHandle;
use crate::delivery::Delivery;
use crate::error::{ConnectError, Error, Stage};
use crate::options::ConnectOptions;
use crate::publish::Outcome;

/// A connection to a server, whose methods block. Clones are the same connection, for as many threads as
/// you like.
///
/// By [`Deref`] it has what doesn't wait from the async [`Connection`](crate::Connection).
#[derive(Clone, Debug)]
pub struct Connection {
    connection: crate::Connection,
    callbacks: Arc<Callbacks>,
}

impl Connection {
    /// As [`crate::Connection::open`].
    ///
    /// ```no_run
    /// # fn example() -> Result<(), amqp091_client::Error> {
    /// let connection = amqp091_client::blocking::Connection::open("amqp://localhost")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(uri: &str) -> Result<Self, Error> {
        Self::connect(&ConnectOptions::from_uri(uri)?)
    }

    /// As [`crate::Connection::connect`], from anywhere: it needs no runtime around it.
    ///
    /// # Errors
    ///
    /// As there; also when the system has no room for the thread that drives the connection.
    pub fn connect(options: &ConnectOptions) -> Result<Self, Error> {
        Self::establish(crate::Connection::connect(options))
    }

    /// As [`crate::Connection::connect_over`], with a future that makes the transport, which the
    /// connection's own runtime has to do.
    ///
    /// ```no_run
    /// use amqp091_client::{ConnectOptions, blocking::Connection};
    ///
    /// # fn example() -> Result<(), amqp091_client::Error> {
    /// # #[cfg(unix)] {
    /// let socket = tokio::net::UnixStream::connect("/run/broker.sock");
    /// let connection = Connection::connect_over(socket, &ConnectOptions::default())?;
    /// # }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As there; [`ConnectError::Io`] with [`Stage::Tcp`] for the transport's own.
    pub fn connect_over<S>(
        transport: impl Future<Output = io::Result<S>>,
        options: &ConnectOptions,
    ) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::establish(async {
            let transport = transport.await.map_err(no_transport)?;
            crate::Connection::connect_over(transport, options).await
        })
    }

    fn establish(
        connecting: impl Future<Output = Result<crate::Connection, Error>>,
    ) -> Result<Self, Error> {
        let lease = Lease::take().map_err(|error| {
            let problem = format!("can't start the thread that drives it: {error}");
            no_transport(io::Error::new(error.kind(), problem))
        })?;
        let connection = lease.run(connecting)?;
        lease.keep_until(connection.end());
        Ok(Self::from(connection))
    }

    /// Opens a channel.
    ///
    /// # Errors
    ///
    /// As [`crate::Connection::channel`].
    pub fn channel(&self) -> Result<Channel, Error> {
        let channel = wait(self.connection.channel())?;
        Ok(Channel::new(channel, Arc::downgrade(&self.callbacks)))
    }

    pub(super) fn with_callbacks(
        connection: crate::Connection,
        callbacks: &Weak<Callbacks>,
    ) -> Self {
        match callbacks.upgrade() {
            Some(callbacks) => Self { connection, callbacks },
            None => Self::from(connection),
        }
    }

    /// As [`crate::Connection::update_secret`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn update_secret(
        &self,
        secret: impl Into<LongStr>,
        reason: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        wait(self.connection.update_secret(secret, reason))
    }

    /// As [`crate::Connection::close`]. The callbacks that were registered here are dropped, with their
    /// consumers.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn close(&self) -> Result<(), Error> {
        self.callbacks.clear();
        wait(self.connection.close())
    }

    /// As [`crate::Connection::closed`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn closed(&self) -> Result<(), Error> {
        wait(self.connection.closed())
    }

    /// The same connection for async code.
    pub fn to_async(&self) -> crate::Connection {
        self.connection.clone()
    }

    /// Has [`drain_events`](Self::drain_events) call back with each delivery of a consumer. Should the
    /// server end the consumer, `drain_events` fails once with the reason.
    ///
    /// The callback may use the connection in every way, and cancel its own consumer. It is dropped when
    /// the consumer has ended, with the connection's last clone, or by [`close`](Self::close): until
    /// then, a clone of the connection in it keeps the connection open. It has a delivery's
    /// [`channel`](Delivery::channel) anyway.
    ///
    /// Should it panic, the panic goes on through `drain_events`, and the callback and its consumer are
    /// dropped: what wasn't acknowledged goes back to the queue, and the next `drain_events`, of whichever
    /// thread, fails once with [`Error::CallbackPanicked`].
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use amqp091_client::blocking::{Connection, Wait};
    ///
    /// # fn example(connection: Connection) -> Result<(), amqp091_client::Error> {
    /// let channel = connection.channel()?;
    /// let consumer = channel.consume("work").prefetch(10).wait()?;
    /// connection.on_delivery(consumer, |delivery| {
    ///     println!("{:?}", delivery.body);
    ///     delivery.ack()
    /// });
    /// while connection.drain_events(Some(Duration::from_secs(10)))? {}
    /// println!("nothing for ten seconds");
    /// # Ok(()) }
    /// ```
    pub fn on_delivery(
        &self,
        consumer: Consumer,
        mut callback: impl FnMut(Delivery) -> Result<(), Error> + Send + 'static,
    ) -> ConsumerHandle {
        let handle = consumer.handle();
        self.on_each(crate::Consumer::from(consumer), move |delivery| callback(delivery?));
        handle
    }

    /// Has [`drain_events`](Self::drain_events) call back with a message's outcome: a mandatory message
    /// that is returned comes with it.
    pub fn on_outcome(
        &self,
        confirm: Confirm,
        callback: impl FnOnce(Outcome) -> Result<(), Error> + Send + 'static,
    ) {
        self.callbacks.add_future(crate::Confirm::from(confirm), callback);
    }

    /// Has [`drain_events`](Self::drain_events) call back with each item of a stream, until it ends: the
    /// connection's [`events`](crate::Connection::events), a channel's
    /// [`returns`](crate::Channel::returns), or an async [`Consumer`](crate::Consumer), whose end comes to
    /// the callback this way too.
    pub fn on_each<S: futures_core::Stream + Send + Unpin + 'static>(
        &self,
        stream: S,
        callback: impl FnMut(S::Item) -> Result<(), Error> + Send + 'static,
    ) {
        self.callbacks.add_stream(stream, callback);
    }

    /// Waits for one event that a callback was registered for, and calls it on this thread. True when
    /// there was one, false when the time was up: zero looks only for what is there, `None` waits without
    /// limit.
    ///
    /// The callbacks take turns, whichever thread calls this. One that is being called isn't called by
    /// another thread meanwhile.
    ///
    /// # Errors
    ///
    /// What the callback returned; why a consumer of [`on_delivery`](Self::on_delivery) ended; and when
    /// all that had come before is handled, [`Error::ConnectionClosed`]. [`Error::CallbackPanicked`] when
    /// a callback panicked before.
    pub fn drain_events(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        self.callbacks.drain(timeout)
    }
}

fn no_transport(error: io::Error) -> Error {
    ConnectError::Io { stage: Stage::Tcp, source: Arc::new(error) }.into()
}

/// A connection that async code has opened, in a runtime of its own which goes on driving it: calls of
/// the blocking face must not hold up all of that runtime's threads.
impl From<crate::Connection> for Connection {
    fn from(connection: crate::Connection) -> Self {
        let callbacks = Callbacks::new(connection.shared());
        Self { connection, callbacks }
    }
}

impl Deref for Connection {
    type Target = crate::Connection;

    fn deref(&self) -> &crate::Connection {
        &self.connection
    }
}
