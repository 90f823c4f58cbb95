//! Handling deliveries a number at a time, and settling each by what its handler says.

use std::any::Any;
use std::fmt;
use std::future::{Future, Pending, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use amqp091::content::RawProperties;

use super::ready::Ready;
use super::{Consumer, ConsumerEnd, ConsumerHandle};
use crate::core::is_of_stream;
use crate::delivery::{Acker, Delivery};
use crate::message::Message;

/// How often handlers are polled in a row before other tasks have their turn.
const IN_A_ROW: u32 = 128;

/// What becomes of a message whose handler failed or panicked.
///
/// There is no default: one loses messages, another repeats them for ever.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It goes back to its queue, from where it comes again, at once and as often as it fails. For
    /// failures that pass, and queues with a [`delivery_limit`](crate::QueueDeclare::delivery_limit).
    Requeue,
    /// It goes back to its queue the first time; one that was delivered before is refused as by
    /// [`DeadLetter`](Self::DeadLetter).
    RequeueOnce,
    /// It is refused: to the queue's
    /// [`dead_letter_exchange`](crate::QueueDeclare::dead_letter_exchange), or nowhere if it has none.
    DeadLetter,
    /// It is acknowledged all the same.
    Ack,
}

/// A message whose handler failed or panicked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure<E> {
    /// What the handler said.
    pub cause: FailureCause<E>,
    /// Whether the message had been delivered before.
    pub redelivered: bool,
    /// The delivery's number on its channel.
    pub delivery_tag: u64,
}

/// How a handler failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureCause<E> {
    /// It returned this error.
    Failed(E),
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

/// How a consumer was handled to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForEachEnd {
    /// Why no more came.
    pub end: ConsumerEnd,
    /// Messages that were acknowledged.
    pub acked: u64,
    /// Messages whose handler failed or panicked, whatever became of them.
    pub failed: u64,
    /// Messages whose handler panicked.
    pub panicked: u64,
    /// Messages that went back to their queue.
    pub requeued: u64,
    /// Messages that were refused.
    pub dead_lettered: u64,
    /// Messages that were handled when their channel was closed already: the server delivers them again.
    pub unsettled: u64,
}

type Decide<E> = Box<dyn FnMut(&Failure<E>) -> OnFailure + Send>;

/// Deliveries being handled, a number at a time: await it. [`Consumer::for_each_concurrent`] says more.
///
/// Dropped before its end, handlers that run are dropped, and their messages go back to their queue with
/// what was not handed out; a stream has them anyway.
#[must_use = "nothing is handled until this is awaited"]
pub struct ForEachConcurrent<H, Fut, E, S = Pending<()>> {
    /// Until no more is fetched.
    consumer: Option<Consumer>,
    handle: ConsumerHandle,
    handler: H,
    decide: Decide<E>,
    stop: Option<Pin<Box<S>>>,
    running: Running<Fut>,
    result: ForEachEnd,
}

impl Consumer {
    /// Hands each message to `handler`, up to `limit` at a time (1 if it is 0), and settles it by what
    /// the handler returns: acknowledged if that is `Ok`, else, or if it panics, as `on_failure` says.
    ///
    /// ```no_run
    /// use amqp091_client::OnFailure;
    ///
    /// # async fn handle(order: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// # async fn example(
    /// #     channel: amqp091_client::Channel,
    /// #     shutdown: impl Future<Output = ()>,
    /// # ) -> Result<(), amqp091_client::Error> {
    /// let orders = channel.consume("orders").prefetch(32).await?;
    /// let done = orders
    ///     .for_each_concurrent(32, OnFailure::RequeueOnce, |message| async move {
    ///         handle(&message.text()?).await?;
    ///         Ok::<(), Box<dyn std::error::Error>>(())
    ///     })
    ///     .until(shutdown)
    ///     .await;
    /// println!("{} orders done; {}", done.acked, done.end);
    /// # Ok(()) }
    /// ```
    ///
    /// All of it runs in the task that awaits it, and nothing is spawned: handlers that wait run beside
    /// each other, those that compute do not (spawn a task in the handler for that). Of handlers that
    /// wait only those are polled that were woken. Set the consumer's [`prefetch`](super::Consume::prefetch)
    /// to `limit` or somewhat more: without one the server sends all it has, and with less no more than
    /// that run.
    ///
    /// A panic ends its own message only (the program's panic hook reports it as always); with
    /// `panic = "abort"` it ends the process. It ends when the consumer does, by
    /// [`ConsumerHandle::cancel`](ConsumerHandle::cancel) too, after what had come; or by
    /// [`until`](ForEachConcurrent::until). A message of a stream can't go back or be refused: it is
    /// acknowledged.
    pub fn for_each_concurrent<H, Fut, E>(
        self,
        limit: usize,
        on_failure: OnFailure,
        handler: H,
    ) -> ForEachConcurrent<H, Fut, E>
    where
        H: FnMut(Message) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        ForEachConcurrent {
            handle: self.handle(),
            consumer: Some(self),
            handler,
            decide: Box::new(move |_| on_failure),
            stop: Some(Box::pin(pending())),
            running: Running::new(limit.max(1)),
            result: ForEachEnd {
                end: ConsumerEnd::Cancelled,
                acked: 0,
                failed: 0,
                panicked: 0,
                requeued: 0,
                dead_lettered: 0,
                unsettled: 0,
            },
        }
    }
}

impl<H, Fut, E, S> ForEachConcurrent<H, Fut, E, S> {
    /// Has `decide` say what becomes of each message that fails.
    pub fn on_failure(
        mut self,
        decide: impl FnMut(&Failure<E>) -> OnFailure + Send + 'static,
    ) -> Self {
        self.decide = Box::new(decide);
        self
    }

    /// Stops when `stop` is ready: the consumer is cancelled, what was not handed out goes back to its
    /// queue, and handlers that run are waited for, however long they take: where that matters, have the
    /// handler wrap its work in a timeout.
    pub fn until<T: Future<Output = ()>>(self, stop: T) -> ForEachConcurrent<H, Fut, E, T> {
        let Self { consumer, handle, handler, decide, stop: _, running, result } = self;
        let stop = Some(Box::pin(stop));
        ForEachConcurrent { consumer, handle, handler, decide, stop, running, result }
    }
}

impl<H, Fut, E, S> ForEachConcurrent<H, Fut, E, S>
where
    H: FnMut(Message) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    /// Settles a message by what its handler said.
    fn settle(&mut self, job: Job, outcome: Result<(), FailureCause<E>>) {
        let Job { acker, redelivered, properties } = job;
        let action = match outcome {
            Ok(()) => OnFailure::Ack,
            Err(cause) => {
                self.result.failed += 1;
                self.result.panicked += u64::from(matches!(cause, FailureCause::Panicked(_)));
                let delivery_tag = acker.delivery_tag();
                let failure = Failure { cause, redelivered, delivery_tag };
                // Whoever panics in the middle of deciding has not decided.
                catch_unwind(AssertUnwindSafe(|| (self.decide)(&failure)))
                    .unwrap_or(OnFailure::Requeue)
            }
        };
        let action = match action {
            OnFailure::RequeueOnce if redelivered => OnFailure::DeadLetter,
            OnFailure::RequeueOnce => OnFailure::Requeue,
            action => action,
        };
        let (settled, count) = match action {
            OnFailure::Requeue if !is_of_stream(&properties) => {
                (acker.reject(true), &mut self.result.requeued)
            }
            OnFailure::DeadLetter if !is_of_stream(&properties) => {
                (acker.reject(false), &mut self.result.dead_lettered)
            }
            _ => (acker.ack(), &mut self.result.acked),
        };
        match settled {
            Ok(()) => *count += 1,
            // Its instance of the channel is closed.
            Err(_) => self.result.unsettled += 1,
        }
    }

    /// Fetches no more: for this reason, or that of the consumer. The channel may be open again by now.
    fn stop_fetching(&mut self, end: Option<ConsumerEnd>) {
        self.consumer = None;
        self.result.end = end.or_else(|| self.handle.end()).unwrap_or(ConsumerEnd::Cancelled);
    }

    fn start(&mut self, delivery: Delivery) {
        let redelivered = delivery.redelivered;
        let (message, acker) = delivery.into_message();
        let properties = message.raw_properties().clone();
        let job = Job { acker, redelivered, properties };
        match catch_unwind(AssertUnwindSafe(|| (self.handler)(message))) {
            Ok(future) => {
                let index = self.running.start(job, future);
                if let Some((job, outcome)) = self.running.poll(index) {
                    self.settle(job, outcome);
                }
            }
            Err(panic) => self.settle(job, Err(FailureCause::Panicked(panic))),
        }
    }
}

/// Nothing is pinned in place: handlers and the end are in boxes of their own.
impl<H, Fut, E, S> Unpin for ForEachConcurrent<H, Fut, E, S> {}

impl<H, Fut, E, S> Future for ForEachConcurrent<H, Fut, E, S>
where
    H: FnMut(Message) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    S: Future<Output = ()>,
{
    type Output = ForEachEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ForEachEnd> {
        let this = &mut *self;
        if let Some(stop) = &mut this.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            this.stop = None;
            this.stop_fetching(None);
        }
        this.running.ready.register(cx);
        let mut polled = 0;
        while let Some(index) = this.running.ready.pop() {
            if let Some((job, outcome)) = this.running.poll(index) {
                this.settle(job, outcome);
            }
            polled += 1;
            if polled >= IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        while this.running.has_room()
            && let Some(consumer) = &mut this.consumer
        {
            match consumer.poll_incoming(cx) {
                Poll::Ready(Ok(delivery)) => this.start(delivery),
                Poll::Ready(Err(end)) => this.stop_fetching(end.map(ConsumerEnd::from)),
                Poll::Pending => break,
            }
            polled += 1;
            if polled >= IN_A_ROW {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if this.consumer.is_none() && this.running.count == 0 {
            return Poll::Ready(this.result.clone());
        }
        Poll::Pending
    }
}

impl<H, Fut, E, S> fmt::Debug for ForEachConcurrent<H, Fut, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEachConcurrent")
            .field("consumer", &self.handle)
            .field("running", &self.running.count)
            .finish_non_exhaustive()
    }
}

/// What settles a message when its handler is done.
struct Job {
    acker: Acker,
    redelivered: bool,
    properties: RawProperties,
}

/// Handlers that run.
struct Running<Fut> {
    limit: usize,
    count: usize,
    places: Vec<Place<Fut>>,
    free: Vec<usize>,
    ready: Ready,
}

struct Place<Fut> {
    /// Its box serves one handler after the other.
    future: Pin<Box<Option<Fut>>>,
    job: Option<Job>,
    waker: Waker,
}

impl<Fut> Running<Fut> {
    fn new(limit: usize) -> Self {
        Self { limit, count: 0, places: Vec::new(), free: Vec::new(), ready: Ready::default() }
    }

    fn has_room(&self) -> bool {
        self.count < self.limit
    }

    /// Takes a place for a handler, to be polled next.
    fn start(&mut self, job: Job, future: Fut) -> usize {
        self.count += 1;
        match self.free.pop() {
            Some(index) => {
                let place = &mut self.places[index];
                place.future.set(Some(future));
                place.job = Some(job);
                index
            }
            None => {
                let index = self.places.len();
                let (future, waker) = (Box::pin(Some(future)), self.ready.waker(index));
                self.places.push(Place { future, job: Some(job), waker });
                index
            }
        }
    }
}

impl<Fut, E> Running<Fut>
where
    Fut: Future<Output = Result<(), E>>,
{
    /// Polls one handler; tells when it is done. A panic is what it did.
    fn poll(&mut self, index: usize) -> Option<(Job, Result<(), FailureCause<E>>)> {
        let Place { future, job, waker } = self.places.get_mut(index)?;
        let running = future.as_mut().as_pin_mut()?;
        let cx = &mut Context::from_waker(waker);
        let polled = catch_unwind(AssertUnwindSafe(|| running.poll(cx)));
        let outcome = match polled {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(result)) => result.map_err(FailureCause::Failed),
            Err(panic) => Err(FailureCause::Panicked(panic)),
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
        let outcome = match dropped {
            Ok(()) => outcome,
            Err(panic) => Err(FailureCause::Panicked(panic)),
        };
        self.count -= 1;
        self.free.push(index);
        Some((job.take()?, outcome))
    }
}

impl<Fut> Drop for Running<Fut> {
    /// What wasn't done is for somebody else.
    fn drop(&mut self) {
        for place in &mut self.places {
            place.future.set(None);
            if let Some(Job { acker, properties, .. }) = place.job.take()
                && !is_of_stream(&properties)
            {
                // On a closed channel the server has put it back.
                let _ = acker.reject(true);
            }
        }
    }
}
