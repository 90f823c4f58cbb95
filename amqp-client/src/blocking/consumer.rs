//! Deliveries as an iterator.

use std::future::ready;
use std::ops::Deref;
use std::time::Duration;

use super::wait::wait;
use super::{Channel, Iter, Next, iter};
use crate::consume::{ForEachEnd, OnFailure};
use crate::delivery::Delivery;
use crate::error::Error;
use crate::message::Message;
use crate::rpc::RpcResponse;

/// The messages of a queue, as an iterator of deliveries that blocks while there is none.
///
/// Its end is that of the async [`Consumer`](crate::Consumer): an error that says why, once, or none
/// after [`cancel`](crate::Consumer::cancel) and when this program closes the channel or connection.
/// Dropping it does the same too.
///
/// ```no_run
/// use amqp091_client::blocking::{Connection, Wait};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let connection = Connection::open("amqp://localhost")?;
/// let channel = connection.channel()?;
/// let mut deliveries = channel.consume("work").prefetch(10).wait()?;
/// for delivery in &mut deliveries {
///     let delivery = delivery?;
///     println!("{:?}", delivery.body);
///     delivery.ack()?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a consumer that is dropped is cancelled"]
pub struct Consumer(Iter<crate::Consumer>);

impl Consumer {
    /// The next delivery, at most for this long.
    ///
    /// # Errors
    ///
    /// Why the consumer ended, once; then it is [`Next::Ended`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Next<Delivery>, Error> {
        self.0.next_timeout(timeout).transpose()
    }

    /// The next delivery, if it has come already.
    ///
    /// # Errors
    ///
    /// As [`next_timeout`](Self::next_timeout).
    pub fn try_next(&mut self) -> Result<Next<Delivery>, Error> {
        self.0.try_next().transpose()
    }

    /// As [`crate::Consumer::stop`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stop(self) -> Result<(), Error> {
        wait(self.0.into_inner().stop())
    }

    /// As [`crate::Consumer::drain`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(self) -> Result<Vec<Delivery>, Error> {
        wait(self.0.into_inner().drain())
    }

    /// Hands each message to `handler`, one after the other on this thread, and settles it by what the
    /// handler returns: as [`crate::Consumer::for_each_concurrent`]. To handle several at a time, have as
    /// many threads with a consumer each.
    ///
    /// Returns when the consumer has ended, such as by its [`handle`](crate::Consumer::handle).
    ///
    /// ```no_run
    /// use amqp091_client::OnFailure;
    /// use amqp091_client::blocking::{Connection, Wait};
    ///
    /// # fn example(connection: Connection) -> Result<(), amqp091_client::Error> {
    /// let orders = connection.channel()?.consume("orders").prefetch(10).wait()?;
    /// let done = orders.for_each(OnFailure::RequeueOnce, |order| {
    ///     println!("{}", order.text()?);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// });
    /// println!("{} orders done; {}", done.acked, done.end);
    /// # Ok(()) }
    /// ```
    pub fn for_each<E>(
        self,
        on_failure: OnFailure,
        mut handler: impl FnMut(Message) -> Result<(), E>,
    ) -> ForEachEnd {
        let consumer = self.0.into_inner();
        wait(consumer.for_each_concurrent(1, on_failure, move |message| ready(handler(message))))
    }

    /// Serves requests, one after the other on this thread: as [`crate::Consumer::serve`].
    ///
    /// Returns when the consumer has ended, such as by its [`handle`](crate::Consumer::handle).
    pub fn serve<R: Into<RpcResponse>, E>(
        self,
        on_failure: OnFailure,
        mut handler: impl FnMut(Message) -> Result<R, E>,
    ) -> ForEachEnd {
        wait(self.0.into_inner().serve(1, on_failure, move |request| ready(handler(request))))
    }

    /// The channel that it consumes by.
    pub fn channel(&self) -> Channel {
        self.0.channel().into()
    }
}

impl Iterator for Consumer {
    type Item = Result<Delivery, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl From<crate::Consumer> for Consumer {
    fn from(consumer: crate::Consumer) -> Self {
        Self(iter(consumer))
    }
}

/// As a `Stream`, for async code.
impl From<Consumer> for crate::Consumer {
    fn from(consumer: Consumer) -> Self {
        consumer.0.into_inner()
    }
}

impl Deref for Consumer {
    type Target = crate::Consumer;

    fn deref(&self) -> &crate::Consumer {
        &self.0
    }
}
