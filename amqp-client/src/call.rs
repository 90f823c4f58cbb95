//! A method and the wait for its reply: what most builders are awaited as.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amqp091::protocol::{AnyMethod, basic, channel};
use amqp091::types::{Method, MethodId, Request};

use crate::core::{Answer, CallId, Core, WaiterKey};
use crate::error::{CloseReason, Error, Violation};
use crate::shared::{ChannelHandle, ConnectionHandle, now};

/// A request whose reply is awaited.
///
/// It is sent when this is first polled, and requests of a channel are sent in that order. Dropped
/// before, nothing is sent; dropped later, the server carries it out and its reply is discarded.
#[derive(Debug)]
#[must_use = "a method is sent when this is awaited"]
pub struct Call<R: Request> {
    channel: Arc<ChannelHandle>,
    state: State<R>,
}

#[derive(Debug)]
enum State<R> {
    New(Result<R, Error>),
    Waiting(PendingCall),
    Done,
}

impl<R: Request> Call<R> {
    pub(crate) fn new(channel: &Arc<ChannelHandle>, request: Result<R, Error>) -> Self {
        Self { channel: Arc::clone(channel), state: State::New(request) }
    }
}

impl<R> Future for Call<R>
where
    R: Request + Unpin,
    R::Reply: TryFrom<AnyMethod>,
{
    type Output = Result<R::Reply, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::New(Err(error)) => return Poll::Ready(Err(error.clone())),
                State::New(Ok(request)) => {
                    let key = this.channel.key;
                    let call = this.channel.with(|core| core.call(key, request, now()));
                    match call {
                        Ok(call) => {
                            this.state =
                                State::Waiting(PendingCall::new(&this.channel, call, true));
                        }
                        Err(error) => {
                            this.state = State::Done;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                State::Waiting(call) => {
                    let answer = Pin::new(call).poll(cx);
                    if answer.is_ready() {
                        this.state = State::Done;
                    }
                    return answer.map(|answer| reply(answer?));
                }
                State::Done => return Poll::Pending,
            }
        }
    }
}

/// A method that has no reply, or goes without one.
///
/// Awaiting it puts it into the connection's pending output, and waits only while that is full or a
/// transaction of the channel is being committed. Should the server refuse it, it closes the channel:
/// the next call there tells. Dropped before it is ready, nothing is sent.
#[derive(Debug)]
#[must_use = "a method is sent when this is awaited"]
pub struct NoWait<M> {
    channel: Arc<ChannelHandle>,
    method: Result<M, Error>,
    waiter: Option<WaiterKey>,
    done: bool,
}

impl<M: Method> NoWait<M> {
    pub(crate) fn new(channel: &Arc<ChannelHandle>, method: Result<M, Error>) -> Self {
        Self { channel: Arc::clone(channel), method, waiter: None, done: false }
    }
}

impl<M: Method + Unpin> Future for NoWait<M> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.done {
            // Polling again after the end must not send again.
            return Poll::Pending;
        }
        let (key, waiter) = (this.channel.key, &mut this.waiter);
        let result = match &this.method {
            Ok(method) => this.channel.with(|core| core.poll_send(key, method, waiter, cx)),
            Err(error) => Poll::Ready(Err(error.clone())),
        };
        this.done = result.is_ready();
        result
    }
}

impl<M> Drop for NoWait<M> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.channel.with(|core| core.forget_publisher(waiter));
        }
    }
}

/// The typed reply. The core answers a request with one of its own replies only, so the error is for
/// a mistake in this crate.
pub(crate) fn reply<T: TryFrom<AnyMethod>>(answer: Answer) -> Result<T, Error> {
    match answer {
        Answer::Method(method) => {
            let id = method.id();
            T::try_from(AnyMethod::from(method)).map_err(|_| unexpected(id))
        }
        Answer::Message(..) => Err(unexpected(basic::GetOk::ID)),
        Answer::Reopened(_) => Err(unexpected(channel::OpenOk::ID)),
    }
}

/// The error for an answer that has no place.
#[cold]
pub(crate) fn unexpected(method: MethodId) -> Error {
    let violation = Violation::Unexpected { channel: 0, method };
    Error::ConnectionClosed(CloseReason::Violation(violation).into())
}

/// A call that is sent; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct PendingCall {
    channel: Arc<ChannelHandle>,
    id: Option<CallId>,
    /// Whether a message that comes as the answer needs no acknowledgement.
    no_ack: bool,
}

impl PendingCall {
    pub(crate) fn new(channel: &Arc<ChannelHandle>, id: CallId, no_ack: bool) -> Self {
        Self { channel: Arc::clone(channel), id: Some(id), no_ack }
    }

    fn with<T>(&self, command: impl FnOnce(&mut Core) -> T) -> T {
        self.channel.with(command)
    }
}

impl Future for PendingCall {
    type Output = Result<Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else { return Poll::Pending };
        let answer = self.with(|core| core.poll_call(id, cx));
        if answer.is_ready() {
            self.id = None;
        }
        answer
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.with(|core| core.abandon_call(self.channel.key, id, self.no_ack));
        }
    }
}

/// A call about the connection itself that is sent; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct ConnectionCall {
    connection: Arc<ConnectionHandle>,
    id: Option<CallId>,
}

impl ConnectionCall {
    pub(crate) fn new(connection: &Arc<ConnectionHandle>, id: CallId) -> Self {
        Self { connection: Arc::clone(connection), id: Some(id) }
    }
}

impl Future for ConnectionCall {
    type Output = Result<Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else { return Poll::Pending };
        let answer = self.connection.shared.with(|core| core.poll_call(id, cx));
        if answer.is_ready() {
            self.id = None;
        }
        answer
    }
}

impl Drop for ConnectionCall {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.connection.shared.with(|core| core.abandon_connection_call(id));
        }
    }
}
