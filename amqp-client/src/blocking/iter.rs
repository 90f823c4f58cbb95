//! Streams as iterators.

use std::fmt;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::wait::{deadline, wait, wait_until};

/// Any stream of this crate as an iterator that blocks while there is no item, such as
/// [`MergedConsumers`](crate::MergedConsumers) or [`Returns`](crate::Returns).
///
/// ```no_run
/// use amqp091_client::MergedConsumers;
/// use amqp091_client::blocking::{Connection, Wait, iter};
///
/// # fn example(connection: Connection) -> Result<(), amqp091_client::Error> {
/// let channel = connection.channel()?;
/// let mut merged = MergedConsumers::new();
/// for queue in ["orders", "returns"] {
///     merged.push(channel.consume(queue).prefetch(50).wait()?.into());
/// }
/// for next in iter(merged) {
///     match next {
///         Ok(delivery) => delivery.ack()?,
///         Err(ended) => eprintln!("{ended}"),
///     }
/// }
/// # Ok(()) }
/// ```
pub fn iter<S: Stream + Unpin>(stream: S) -> Iter<S> {
    Iter(stream)
}

/// A stream as an iterator: see [`iter`]. By [`Deref`] it has the stream's own methods.
#[must_use = "nothing comes of it until it is iterated over"]
pub struct Iter<S>(S);

impl<S: Stream + Unpin> Iter<S> {
    /// The next item, at most for this long.
    pub fn next_timeout(&mut self, timeout: Duration) -> Next<S::Item> {
        self.next_until(deadline(timeout))
    }

    /// The next item, if it has come already.
    pub fn try_next(&mut self) -> Next<S::Item> {
        self.next_until(Some(Instant::now()))
    }

    pub(super) fn next_until(&mut self, until: Option<Instant>) -> Next<S::Item> {
        match wait_until(poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)), until) {
            Some(Some(item)) => Next::Item(item),
            Some(None) => Next::Ended,
            None => Next::NotYet,
        }
    }

    /// The stream, for async code.
    pub fn into_inner(self) -> S {
        self.0
    }
}

/// What there is within a time. There are no other cases, and there will be none.
#[derive(Debug)]
#[must_use = "it may hold a delivery, which wants to be settled"]
pub enum Next<T> {
    /// An item.
    Item(T),
    /// None so far: there may be more.
    NotYet,
    /// There will be no more.
    Ended,
}

impl<T> Next<T> {
    /// The item, if it is one.
    pub fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::NotYet | Self::Ended => None,
        }
    }
}

impl<T, E> Next<Result<T, E>> {
    /// An error for itself.
    pub(super) fn transpose(self) -> Result<Next<T>, E> {
        match self {
            Self::Item(item) => item.map(Next::Item),
            Self::NotYet => Ok(Next::NotYet),
            Self::Ended => Ok(Next::Ended),
        }
    }
}

impl<S: Stream + Unpin> Iterator for Iter<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        wait(poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)))
    }
}

impl<S> Deref for Iter<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S> DerefMut for Iter<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: fmt::Debug> fmt::Debug for Iter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.0).finish()
    }
}
