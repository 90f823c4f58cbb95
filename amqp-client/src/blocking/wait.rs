//! Waiting on the caller's own thread for what the async face awaits.

use std::cell::Cell;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::task::coop::unconstrained;

use super::{Confirm, Consumer};
use crate::consume::{Cancel, Consume, ForEachConcurrent, ForEachEnd, Get, Got};
use crate::error::Error;
use crate::message::Message;
use crate::publish::{
    BatchOutcome, BodySource, Flush, Outcome, PreparedPublish, PreparedPublishUnconfirmed, Publish,
    PublishAll, PublishFrom, PublishUnconfirmed, Publishing, PublishingAll, PublishingFrom,
    PublishingUnconfirmed, WindowPublish,
};
use crate::reopen::{Reopen, Reopened};
use crate::rpc::{RpcCall, RpcError};
use crate::{Call, ConfirmSelect, NoWait, Qos};
use crate::{ExchangeBind, ExchangeDeclare, ExchangeDelete, ExchangeUnbind};
use crate::{QueueBind, QueueDeclare, QueueDelete, QueuePurge, QueueUnbind};

/// `.wait()` for what the async face awaits: every builder and future of this crate.
///
/// ```no_run
/// use amqp091_client::blocking::{Connection, Wait};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Connection::open("amqp://localhost")?;
/// let channel = connection.channel()?;
/// channel.queue_declare("work").durable(true).wait()?;
/// # Ok(()) }
/// ```
pub trait Wait: Sized {
    /// What comes of it: what the await gives, where that is a [`Confirm`](crate::Confirm) or a
    /// [`Consumer`](crate::Consumer) in its blocking form.
    type Output;

    /// Does it, and blocks this thread until it is done. The deadlines are those of the async face:
    /// see [`ConnectOptions`](crate::ConnectOptions).
    fn wait(self) -> Self::Output;

    /// As [`wait`](Self::wait), at most for this long: `None` when that isn't enough. Then all is as if
    /// the future had been dropped in the async face: what wasn't sent isn't, and a reply that still
    /// comes is discarded.
    fn wait_timeout(self, timeout: Duration) -> Option<Self::Output>;
}

macro_rules! waits {
    ( $( $({$($generics:tt)+})? $type:ty => $output:ty $(= $convert:expr)? ;)* ) => {
        $(
            impl $(<$($generics)+>)? Wait for $type {
                type Output = $output;

                fn wait(self) -> $output {
                    let output = wait(self);
                    $( let output = $convert(output); )?
                    output
                }

                fn wait_timeout(self, timeout: Duration) -> Option<$output> {
                    let output = wait_until(self, deadline(timeout))?;
                    $( let output = $convert(output); )?
                    Some(output)
                }
            }
        )*
    };
}

waits! {
    {R: Unpin + amqp091::types::Request<Reply: TryFrom<amqp091::protocol::AnyMethod>>}
        Call<R> => Result<R::Reply, Error>;
    {M: Unpin + amqp091::types::Method} NoWait<M> => Result<(), Error>;
    Qos<'_> => Output<Self>;
    ConfirmSelect<'_> => Output<Self>;
    QueueDeclare<'_> => Output<Self>;
    QueueBind<'_> => Output<Self>;
    QueueUnbind<'_> => Output<Self>;
    QueuePurge<'_> => Output<Self>;
    QueueDelete<'_> => Output<Self>;
    ExchangeDeclare<'_> => Output<Self>;
    ExchangeDelete<'_> => Output<Self>;
    ExchangeBind<'_> => Output<Self>;
    ExchangeUnbind<'_> => Output<Self>;
    Publish<'_> => Result<Confirm, Error> = to_confirm;
    Publishing<'_> => Result<Confirm, Error> = to_confirm;
    {'a, S: BodySource} PublishFrom<'a, S> => Result<Confirm, Error> = to_confirm;
    {'a, S: BodySource} PublishingFrom<'a, S> => Result<Confirm, Error> = to_confirm;
    PublishUnconfirmed<'_> => Result<(), Error>;
    PublishingUnconfirmed<'_> => Result<(), Error>;
    PreparedPublish<'_> => Result<Confirm, Error> = to_confirm;
    PreparedPublishUnconfirmed<'_> => Result<(), Error>;
    Confirm => Outcome;
    WindowPublish<'_> => Result<u64, Error>;
    Flush<'_> => BatchOutcome;
    {'a, I: Iterator + Unpin} PublishAll<'a, I> => BatchOutcome;
    {'a, I: Iterator + Unpin} PublishingAll<'a, I> => BatchOutcome;
    Consume<'_> => Result<Consumer, Error> = to_consumer;
    Cancel => Result<(), Error>;
    Get<'_> => Result<Option<Got>, Error>;
    {
        H: FnMut(Message) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E,
        S: Future<Output = ()>
    } ForEachConcurrent<H, Fut, E, S> => ForEachEnd;
    Reopen<'_> => Result<Reopened, Error>;
    RpcCall<'_> => Result<Message, RpcError>;
}

type Output<B> = <B as IntoFuture>::Output;

fn to_confirm(confirm: Result<crate::Confirm, Error>) -> Result<Confirm, Error> {
    confirm.map(Confirm::from)
}

fn to_consumer(consumer: Result<crate::Consumer, Error>) -> Result<Consumer, Error> {
    consumer.map(Consumer::from)
}

/// Waits for any future of this crate on the caller's thread; [`Wait::wait`] does so for most.
///
/// The future is polled here, so this isn't for futures that need a runtime around them: what opens a
/// connection is in [`blocking::Connection`](super::Connection).
pub fn wait<F: IntoFuture>(future: F) -> F::Output {
    // Nobody is let go first here: a runtime around this would do so only after this has returned.
    let mut future = pin!(unconstrained(future.into_future()));
    let parker = Parker::take();
    let cx = &mut Context::from_waker(&parker.waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return output;
        }
        parker.park();
    }
}

/// As [`wait`], at most until then; `None` is no limit.
pub(super) fn wait_until<F: IntoFuture>(future: F, until: Option<Instant>) -> Option<F::Output> {
    let Some(until) = until else { return Some(wait(future)) };
    let mut future = pin!(unconstrained(future.into_future()));
    let parker = Parker::take();
    let cx = &mut Context::from_waker(&parker.waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Some(output);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        parker.park_timeout(left);
    }
}

/// The end of a wait that begins now; `None` if it is beyond what the clock can tell.
pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// What this thread sleeps by. It is made once for a thread; a wait inside another's poll has one of its
/// own, so that neither takes the other's wake-up.
struct Parker {
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    thread: Thread,
    rung: AtomicBool,
}

thread_local! {
    static PARKER: Cell<Option<(Arc<Bell>, Waker)>> = const { Cell::new(None) };
}

impl Parker {
    fn take() -> Self {
        // None is left of it while the thread ends: handles may be dropped then.
        let known = PARKER.try_with(Cell::take).ok().flatten();
        let (bell, waker) = known.unwrap_or_else(|| {
            let bell = Arc::new(Bell { thread: thread::current(), rung: AtomicBool::new(false) });
            let waker = Waker::from(Arc::clone(&bell));
            (bell, waker)
        });
        Self { bell, waker }
    }

    fn park(&self) {
        while !self.bell.rung.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    /// May return early.
    fn park_timeout(&self, timeout: Duration) {
        if !self.bell.rung.swap(false, Ordering::Acquire) {
            thread::park_timeout(timeout);
            self.bell.rung.store(false, Ordering::Release);
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        let known = (Arc::clone(&self.bell), self.waker.clone());
        let _ = PARKER.try_with(|parker| parker.set(Some(known)));
    }
}

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}
