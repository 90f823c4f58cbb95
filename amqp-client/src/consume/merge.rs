//! Several consumers as one stream.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use amqp091::types::ShortStr;
use futures_core::Stream;
use thiserror::Error;

use super::ready::Ready;
use super::{Consumer, ConsumerEnd, ConsumerHandle};
use crate::delivery::Delivery;
use crate::turn::Turn;

/// The deliveries of several consumers, as one `Stream`: of several queues, channels, even connections.
///
/// They take turns, a message each, so that a full queue doesn't keep the others waiting;
/// [`Delivery::consumer_tag`] and [`Delivery::queue`] say whose a message is. The end of each consumer is
/// told once, as an `Err`, whatever ended it; the others go on. The stream ends with the last of them.
///
/// ```no_run
/// use amqp091_client::MergedConsumers;
///
/// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
/// let mut merged = MergedConsumers::new();
/// for queue in ["orders", "returns"] {
///     merged.push(channel.consume(queue).prefetch(50).await?);
/// }
/// while let Some(next) = merged.next().await {
///     match next {
///         Ok(delivery) => {
///             println!("{:?}: {:?}", delivery.queue(), delivery.body);
///             delivery.ack()?;
///         }
///         Err(ended) => eprintln!("{ended}"),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// A consumer that has ended is dropped when its end is told, so that
/// [`Channel::reopen`](crate::Channel::reopen) doesn't restore it after that: start it again and
/// [`push`](Self::push) it. One that was restored before goes on, its end told all the same: it is among
/// the [`handles`](Self::handles) then. Dropping this drops the consumers.
///
/// Messages of merged consumers are settled by the program. To have them settled as
/// [`for_each_concurrent`](Consumer::for_each_concurrent) does, await one of those for each consumer
/// instead, all in the same task by `join!` or in a task each.
#[derive(Default)]
#[must_use = "consumers that are dropped are cancelled"]
pub struct MergedConsumers {
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    ready: Ready,
    /// Those that may have a delivery, in the order of their turns.
    turns: VecDeque<usize>,
    turn: Turn,
}

struct Member {
    consumer: Consumer,
    waker: Waker,
    has_turn: bool,
}

/// One of several merged consumers has ended.
#[derive(Clone, Debug, Error)]
#[error("consumer \"{}\" of queue \"{}\" ended: {end}", consumer_tag.printable(), queue.printable())]
#[non_exhaustive]
pub struct ConsumerEnded {
    /// Its consumer tag.
    pub consumer_tag: ShortStr,
    /// Its queue, as the program named it.
    pub queue: ShortStr,
    /// Why.
    pub end: ConsumerEnd,
}

impl MergedConsumers {
    /// No consumers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, also while others are under way.
    pub fn push(&mut self, consumer: Consumer) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        let waker = self.ready.waker(index);
        self.members[index] = Some(Member { consumer, waker, has_turn: true });
        self.turns.push_back(index);
    }

    /// How many consumers haven't ended, as far as that was told.
    pub fn len(&self) -> usize {
        self.members.len() - self.free.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Handles of those that are left: to cancel them.
    pub fn handles(&self) -> impl Iterator<Item = ConsumerHandle> {
        self.members.iter().flatten().map(|member| member.consumer.handle())
    }

    /// The next delivery, or the end of one of the consumers; `None` when there is none left. Safe to
    /// drop while it waits: no delivery is lost.
    ///
    /// # Errors
    ///
    /// [`ConsumerEnded`] for each consumer once; it isn't the end of the stream.
    #[allow(clippy::should_implement_trait, reason = "the name that streams have for it")]
    pub async fn next(&mut self) -> Option<Result<Delivery, ConsumerEnded>> {
        poll_fn(|cx| self.poll_in_turn(cx)).await
    }

    fn poll_in_turn(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Delivery, ConsumerEnded>>> {
        let mut turn = std::mem::take(&mut self.turn);
        let polled = turn.poll(cx, |cx| self.poll_delivery(cx));
        self.turn = turn;
        polled
    }

    fn poll_delivery(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Delivery, ConsumerEnded>>> {
        self.ready.register(cx);
        while let Some(index) = self.ready.pop() {
            if let Some(Some(member)) = self.members.get_mut(index)
                && !std::mem::replace(&mut member.has_turn, true)
            {
                self.turns.push_back(index);
            }
        }
        while let Some(index) = self.turns.pop_front() {
            let Some(Some(member)) = self.members.get_mut(index) else { continue };
            match member.consumer.poll_incoming(&Context::from_waker(&member.waker)) {
                Poll::Ready(Ok(delivery)) => {
                    self.turns.push_back(index);
                    return Poll::Ready(Some(Ok(delivery)));
                }
                Poll::Ready(Err(told)) => {
                    let consumer = &member.consumer;
                    let end = consumer.end();
                    let goes_on = end.is_none();
                    let told = told.map(ConsumerEnd::from);
                    let ended = ConsumerEnded {
                        consumer_tag: consumer.consumer_tag().clone(),
                        queue: consumer.queue().clone(),
                        end: told.or(end).unwrap_or(ConsumerEnd::Cancelled),
                    };
                    if goes_on {
                        self.turns.push_back(index);
                    } else {
                        self.members[index] = None;
                        self.free.push(index);
                    }
                    return Poll::Ready(Some(Err(ended)));
                }
                Poll::Pending => member.has_turn = false,
            }
        }
        if self.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl FromIterator<Consumer> for MergedConsumers {
    fn from_iter<T: IntoIterator<Item = Consumer>>(consumers: T) -> Self {
        let mut merged = Self::new();
        merged.extend(consumers);
        merged
    }
}

impl Extend<Consumer> for MergedConsumers {
    fn extend<T: IntoIterator<Item = Consumer>>(&mut self, consumers: T) {
        consumers.into_iter().for_each(|consumer| self.push(consumer));
    }
}

impl Stream for MergedConsumers {
    type Item = Result<Delivery, ConsumerEnded>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_in_turn(cx)
    }
}

impl fmt::Debug for MergedConsumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.members.iter().flatten().map(|member| &member.consumer))
            .finish()
    }
}
