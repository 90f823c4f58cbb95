//! The client's side: any number of calls in flight, each matched to its reply.
//!
//! Replies come by RabbitMQ's direct reply-to: a consumer of `amq.rabbitmq.reply-to` on the channel that
//! publishes the requests. Whoever brings them (the connection's task) hands each to its call at once, by
//! a waker that does so: there is no task for it, and no call depends on another one being polled.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use amqp091::protocol::basic;
use amqp091::types::ShortStr;
use thiserror::Error;

use crate::channel::Channel;
use crate::connection::Connection;
use crate::consume::Consumer;
use crate::deadline::Deadline;
use crate::error::{Error, Initiator};
use crate::message::Message;
use crate::publish::{Body, Outcome, Returned, argument};

/// The queue that isn't one: RabbitMQ sends what is published to its name, as a consumer of it was told,
/// straight to that consumer's channel.
const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Calls servers by messages and waits for their replies, which come by RabbitMQ's direct reply-to.
///
/// Clones are the same client, for as many tasks and calls in flight as you like; they share a channel.
/// Each call has its deadline, and ends with a typed error when there is no server, or when the channel
/// or connection closes. A channel that the server has closed, as over a request to an exchange that
/// doesn't exist, is opened again by the next call. Replies to nobody, such as to a call that was dropped
/// or is over, are counted and dropped.
///
/// ```
/// use amqp091_client::{Connection, RpcClient, RpcError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = amqp091_broker::Broker::start().await?;
/// # let connection = Connection::open(&broker.url()).await?;
/// let client = RpcClient::new(&connection).await?;
/// match client.call("", "sum", "1 2 3").await {
///     Ok(reply) => println!("{}", reply.text()?),
///     Err(RpcError::NoServer(_)) => println!("nobody listens to \"sum\""),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RpcClient {
    inner: Arc<Inner>,
    timeout: Duration,
}

struct Inner {
    channel: Channel,
    calls: Mutex<Calls>,
    /// Locked by one at a time: see [`Inner::dispatch`].
    replies: Mutex<Consumer>,
    /// How often replies were announced that nobody has looked for yet.
    announced: AtomicUsize,
}

#[derive(Debug, Default)]
struct Calls {
    /// By correlation id.
    waiting: HashMap<u64, Waiting>,
    last_id: u64,
    unclaimed: u64,
    /// Why no more replies come.
    end: Option<Error>,
}

#[derive(Debug, Default)]
struct Waiting {
    reply: Option<Result<Message, Error>>,
    waker: Option<Waker>,
}

/// A call brought no reply.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The request reached no queue: there is no server, and nothing was done.
    #[error("no server takes the request: {0}")]
    NoServer(Box<Returned>),
    /// The broker couldn't take the request (nack), as when a queue is full: nothing was done.
    #[error("request refused by the broker (nack)")]
    Refused,
    /// There was no reply in time.
    #[error("no reply within {} ms{}", after.as_millis(), if *sent { "" } else { ", the request wasn't sent" })]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// Whether the request was sent: then the server may have done what was asked, or may still
        /// do it.
        sent: bool,
    },
    /// The request wasn't sent: nothing was done.
    #[error("request not sent: {0}")]
    NotSent(Error),
    /// The channel or connection closed before the reply came: the server may have done what was asked,
    /// or may still do it.
    ///
    /// Where the broker closed the channel over a request, as over an exchange that doesn't exist (404 with
    /// `basic.publish` as the [failing method](crate::ServerClose::method)), nothing was done for that
    /// one; but the other calls in flight on the channel end so too, and the broker doesn't say which of
    /// them it meant.
    #[error("the reply is lost: {0}")]
    Lost(Error),
}

impl RpcClient {
    /// How long a call takes at most unless it says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// A client with a channel of its own.
    ///
    /// # Errors
    ///
    /// As [`Connection::channel`]; [`Error::ChannelClosed`] when the broker has no direct reply-to.
    pub async fn new(connection: &Connection) -> Result<Self, Error> {
        Self::with_channel(connection.channel().await?).await
    }

    /// A client on this channel, which must not be in transaction mode, nor have another consumer of
    /// `amq.rabbitmq.reply-to`. What closes the channel, such as publishing to an exchange that doesn't
    /// exist, ends all calls.
    ///
    /// # Errors
    ///
    /// As [`Channel::consume`].
    pub async fn with_channel(channel: Channel) -> Result<Self, Error> {
        let replies = channel.consume(DIRECT_REPLY_TO).no_ack(true).await?;
        let inner = Arc::new(Inner {
            channel,
            calls: Mutex::default(),
            replies: Mutex::new(replies),
            announced: AtomicUsize::new(0),
        });
        inner.dispatch();
        Ok(Self { inner, timeout: Self::DEFAULT_TIMEOUT })
    }

    /// Gives each call of this handle and its later clones this long, unless it says otherwise.
    /// Default: 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends a request and returns its reply, when awaited. The default exchange is `""`, whose routing
    /// key is the name of the server's queue.
    pub fn call<'a>(
        &'a self,
        exchange: impl AsRef<[u8]>,
        routing_key: impl AsRef<[u8]>,
        body: impl Into<Body<'a>>,
    ) -> RpcCall<'a> {
        RpcCall {
            inner: &self.inner,
            exchange: argument("exchange", exchange.as_ref()),
            routing_key: argument("routing_key", routing_key.as_ref()),
            body: body.into(),
            properties: basic::Properties::default(),
            timeout: self.timeout,
        }
    }

    /// The channel that it uses.
    pub fn channel(&self) -> &Channel {
        &self.inner.channel
    }

    /// How many calls wait for their reply.
    pub fn in_flight(&self) -> usize {
        self.inner.calls().waiting.len()
    }

    /// How many replies were to no call, or to one that was over.
    pub fn unclaimed_replies(&self) -> u64 {
        self.inner.calls().unclaimed
    }
}

impl fmt::Debug for RpcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcClient")
            .field("channel", &self.inner.channel.number())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands every reply that is there to its call. Whoever comes while another does so leaves it to
    /// them, and waits for nobody.
    fn dispatch(self: &Arc<Self>) {
        if self.announced.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let mut seen = 1;
        while seen > 0 {
            self.take_replies();
            seen = self.announced.fetch_sub(seen, Ordering::AcqRel) - seen;
        }
    }

    /// Begins a call after the channel was closed, by opening it again if that was the server's doing.
    async fn recover(self: &Arc<Self>, error: Error) -> Result<Place<'_>, Error> {
        if !matches!(error, Error::ChannelClosed { .. }) || error.initiator() == Initiator::User {
            return Err(error);
        }
        let reopened = self.channel.reopen().modes(true).consumers(true).await?;
        if let Some(failed) = reopened.failed.into_iter().find(|lost| lost.queue == DIRECT_REPLY_TO)
        {
            return Err(failed.error);
        }
        self.calls().end = None;
        self.dispatch();
        Place::new(self)
    }

    fn take_replies(self: &Arc<Self>) {
        let waker = Waker::from(Arc::new(Announce(Arc::downgrade(self))));
        let cx = &Context::from_waker(&waker);
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wakes = Vec::new();
        let end = loop {
            match replies.poll_delivery(cx) {
                Poll::Ready(Some(Ok(delivery))) => {
                    let (reply, _) = delivery.into_message();
                    wakes.extend(self.calls().answer(reply));
                }
                Poll::Ready(Some(Err(error))) => break Some(error),
                Poll::Ready(None) => {
                    break replies.end().map(|end| end.error(replies.consumer_tag()));
                }
                Poll::Pending => break None,
            }
        };
        drop(replies);
        if let Some(error) = end {
            self.calls().fail_all(&error, &mut wakes);
        }
        wakes.into_iter().for_each(Waker::wake);
    }
}

/// Wakes nobody, but hands out what has come.
struct Announce(Weak<Inner>);

impl Wake for Announce {
    fn wake(self: Arc<Self>) {
        if let Some(inner) = self.0.upgrade() {
            inner.dispatch();
        }
    }
}

impl Calls {
    /// Gives a reply to the call that it answers.
    fn answer(&mut self, reply: Message) -> Option<Waker> {
        let properties = reply.properties().ok();
        let id = properties.and_then(|properties| properties.correlation_id);
        let id = id.and_then(|id| id.to_str().ok()?.parse().ok());
        match id.and_then(|id: u64| self.waiting.get_mut(&id)) {
            Some(waiting) if waiting.reply.is_none() => {
                waiting.reply = Some(Ok(reply));
                waiting.waker.take()
            }
            _ => {
                self.unclaimed += 1;
                None
            }
        }
    }

    fn fail_all(&mut self, error: &Error, wakes: &mut Vec<Waker>) {
        let error = self.end.get_or_insert_with(|| error.clone());
        for waiting in self.waiting.values_mut() {
            waiting.reply.get_or_insert_with(|| Err(error.clone()));
            wakes.extend(waiting.waker.take());
        }
    }
}

/// A request about to be sent: await it for its reply, after setting what is to be set.
///
/// It is published as mandatory and with a confirm. Dropped while it waits, its place is free; the
/// server may carry it out all the same.
#[derive(Debug)]
#[must_use = "a request is sent when this is awaited"]
pub struct RpcCall<'a> {
    inner: &'a Arc<Inner>,
    exchange: Result<ShortStr, Error>,
    routing_key: Result<ShortStr, Error>,
    body: Body<'a>,
    properties: basic::Properties,
    timeout: Duration,
}

impl RpcCall<'_> {
    /// Sends these properties along. The reply's address and the correlation id are this client's own.
    pub fn properties(mut self, properties: basic::Properties) -> Self {
        self.properties = properties;
        self
    }

    /// How long this call may take, from its first poll to the reply.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(self) -> Result<Message, RpcError> {
        let (after, sent) = (self.timeout, AtomicBool::new(false));
        let mut deadline = Deadline::new(self.inner.channel.handle(), after);
        let mut exchange = pin!(self.exchange(&sent));
        poll_fn(|cx| {
            let result = exchange.as_mut().poll(cx);
            if result.is_ready() {
                return result;
            }
            ready!(deadline.poll(cx));
            Poll::Ready(Err(RpcError::Timeout { after, sent: sent.load(Ordering::Relaxed) }))
        })
        .await
    }

    /// Sends the request and returns its reply, however long that takes; notes when it is sent.
    async fn exchange(self, sent: &AtomicBool) -> Result<Message, RpcError> {
        let Self { inner, exchange, routing_key, body, mut properties, timeout: _ } = self;
        let exchange = exchange.map_err(RpcError::NotSent)?;
        let routing_key = routing_key.map_err(RpcError::NotSent)?;
        let place = match Place::new(inner) {
            Ok(place) => place,
            Err(error) => inner.recover(error).await.map_err(RpcError::NotSent)?,
        };
        properties.reply_to = Some(ShortStr::from_static(DIRECT_REPLY_TO));
        properties.correlation_id = ShortStr::new(place.id.to_string()).ok();
        let request = inner.channel.publish(exchange, routing_key, body);
        let request = request.properties(&properties).mandatory(true);
        let confirm = request.await.map_err(RpcError::NotSent)?;
        sent.store(true, Ordering::Relaxed);
        let mut confirm = Some(confirm);
        poll_fn(|cx| {
            if let Poll::Ready(reply) = place.poll(cx) {
                return Poll::Ready(reply.map_err(RpcError::Lost));
            }
            let outcome = confirm.as_mut().map(|confirm| Pin::new(confirm).poll(cx));
            let Some(Poll::Ready(outcome)) = outcome else { return Poll::Pending };
            confirm = None;
            match outcome {
                Outcome::Returned(returned) => Poll::Ready(Err(RpcError::NoServer(returned))),
                Outcome::Nacked => Poll::Ready(Err(RpcError::Refused)),
                Outcome::Unknown(error) if error.close_reason().is_some() => {
                    Poll::Ready(Err(RpcError::Lost(error)))
                }
                // A late confirm is no reason to give up.
                _ => Poll::Pending,
            }
        })
        .await
    }
}

impl<'a> IntoFuture for RpcCall<'a> {
    type Output = Result<Message, RpcError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// A call's place among those that wait.
struct Place<'a> {
    inner: &'a Inner,
    id: u64,
}

impl<'a> Place<'a> {
    fn new(inner: &'a Inner) -> Result<Self, Error> {
        let mut calls = inner.calls();
        if let Some(end) = &calls.end {
            return Err(end.clone());
        }
        calls.last_id += 1;
        let id = calls.last_id;
        calls.waiting.insert(id, Waiting::default());
        drop(calls);
        Ok(Self { inner, id })
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<Message, Error>> {
        let mut calls = self.inner.calls();
        let Some(waiting) = calls.waiting.get_mut(&self.id) else { return Poll::Pending };
        if let Some(reply) = waiting.reply.take() {
            calls.waiting.remove(&self.id);
            return Poll::Ready(reply);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let place = self.inner.calls().waiting.remove(&self.id);
        // A reply that nobody took is dropped outside the lock.
        drop(place);
    }
}
