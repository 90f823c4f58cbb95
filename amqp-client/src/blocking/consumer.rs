//! Deliveries as an iterator.

use std::iter::FusedIterator;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::Channel;
use super::wait::{deadline, wait, wait_until};
use crate::delivery::Delivery;
use crate::error::Error;

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
pub struct Consumer(crate::Consumer);

impl Consumer {
    /// The next delivery, at most for this long.
    ///
    /// # Errors
    ///
    /// Why the consumer ended, once; then it is [`Next::Ended`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Next, Error> {
        self.next_until(deadline(timeout))
    }

    /// The next delivery, if it has come already.
    ///
    /// # Errors
    ///
    /// As [`next_timeout`](Self::next_timeout).
    pub fn try_next(&mut self) -> Result<Next, Error> {
        self.next_until(Some(Instant::now()))
    }

    fn next_until(&mut self, until: Option<Instant>) -> Result<Next, Error> {
        match wait_until(self.0.next(), until) {
            Some(Some(delivery)) => delivery.map(Next::Delivery),
            Some(None) => Ok(Next::Ended),
            None => Ok(Next::NotYet),
        }
    }

    /// As [`crate::Consumer::stop`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stop(self) -> Result<(), Error> {
        wait(self.0.stop())
    }

    /// As [`crate::Consumer::drain`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn drain(self) -> Result<Vec<Delivery>, Error> {
        wait(self.0.drain())
    }

    /// The channel that it consumes by.
    pub fn channel(&self) -> Channel {
        self.0.channel().into()
    }
}

/// What [`Consumer::next_timeout`] and [`Consumer::try_next`] found.
#[derive(Debug)]
#[must_use = "it may hold a delivery, which wants to be settled"]
pub enum Next {
    /// A delivery.
    Delivery(Delivery),
    /// None so far; the consumer goes on.
    NotYet,
    /// The consumer has ended.
    Ended,
}

impl Next {
    /// The delivery, if it is one.
    pub fn delivery(self) -> Option<Delivery> {
        match self {
            Self::Delivery(delivery) => Some(delivery),
            Self::NotYet | Self::Ended => None,
        }
    }
}

impl Iterator for Consumer {
    type Item = Result<Delivery, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}

impl FusedIterator for Consumer {}

impl From<crate::Consumer> for Consumer {
    fn from(consumer: crate::Consumer) -> Self {
        Self(consumer)
    }
}

/// As a `Stream`, for async code.
impl From<Consumer> for crate::Consumer {
    fn from(consumer: Consumer) -> Self {
        consumer.0
    }
}

impl Deref for Consumer {
    type Target = crate::Consumer;

    fn deref(&self) -> &crate::Consumer {
        &self.0
    }
}
