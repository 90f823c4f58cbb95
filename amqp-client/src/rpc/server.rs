//! The server's side: a reply for each request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use amqp091::protocol::basic;
use amqp091::types::{PropertiesError, ShortStr};
use bytes::Bytes;
use thiserror::Error;

use crate::channel::Channel;
use crate::consume::{Consumer, FailureCause, ForEachConcurrent, OnFailure};
use crate::error::Error;
use crate::message::Message;

/// What a server replies: a body and properties.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RpcResponse {
    /// The body.
    pub body: Bytes,
    /// The properties; the correlation id is the request's.
    pub properties: basic::Properties,
}

/// A request wasn't served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError<E> {
    /// The handler failed.
    #[error("the handler failed: {0}")]
    Handler(E),
    /// The request's properties, which say where its reply goes, don't decode. It was not handled.
    #[error("the request's properties don't decode: {0}")]
    Request(PropertiesError),
    /// It was handled, but the reply wasn't taken by the broker.
    #[error("reply not sent: {0}")]
    Reply(Error),
}

impl Consumer {
    /// Serves requests: each is handed to `handler`, up to `limit` at a time, what that returns is sent
    /// to where the request wants its reply, and when the broker has confirmed that, the request is
    /// acknowledged.
    ///
    /// ```no_run
    /// use amqp091_client::OnFailure;
    ///
    /// # async fn example(channel: amqp091_client::Channel) -> Result<(), amqp091_client::Error> {
    /// let requests = channel.consume("sum").prefetch(16).await?;
    /// let served = requests
    ///     .serve(16, OnFailure::DeadLetter, |request| async move {
    ///         let numbers = request.text()?;
    ///         let sum: u64 = numbers.split(' ').map(str::parse::<u64>).sum::<Result<_, _>>()?;
    ///         Ok::<String, Box<dyn std::error::Error>>(sum.to_string())
    ///     })
    ///     .await;
    /// println!("{} requests served; {}", served.acked, served.end);
    /// # Ok(()) }
    /// ```
    ///
    /// A request without an address for its reply is handled and acknowledged all the same. If its
    /// requester is gone, nobody is told. An `Err` of the handler sends no reply, and becomes of the
    /// request what `on_failure` says: reply with an error that the requester understands to have it know.
    /// So it is, too, where the broker doesn't take the reply; a request whose properties don't decode is
    /// refused. The consumer must be one with acknowledgements for requests to survive the server, and its
    /// channel not be in transaction mode.
    ///
    /// All else is as with [`for_each_concurrent`](Self::for_each_concurrent).
    pub fn serve<H, Fut, R, E>(
        self,
        limit: usize,
        on_failure: OnFailure,
        mut handler: H,
    ) -> ForEachConcurrent<impl FnMut(Message) -> Serving<Fut>, Serving<Fut>, ServeError<E>>
    where
        H: FnMut(Message) -> Fut,
        Fut: Future<Output = Result<R, E>>,
        R: Into<RpcResponse>,
    {
        let serve = move |request: Message| {
            Serving(match request.properties() {
                Ok(basic::Properties { reply_to, correlation_id, .. }) => {
                    let channel = request.channel();
                    let address = reply_to.filter(|address| !address.is_empty());
                    let address =
                        address.map(|reply_to| Address { channel, reply_to, correlation_id });
                    Step::Handling(Box::pin(handler(request)), address)
                }
                Err(error) => Step::Refused(error),
            })
        };
        self.for_each_concurrent(limit, on_failure, serve).on_failure(move |failure| {
            match failure.cause {
                // It would be no better the next time.
                FailureCause::Failed(ServeError::Request(_)) => OnFailure::DeadLetter,
                _ => on_failure,
            }
        })
    }
}

/// One request being served: its handler, then its reply.
#[must_use = "futures do nothing unless polled"]
pub struct Serving<Fut>(Step<Fut>);

enum Step<Fut> {
    Handling(Pin<Box<Fut>>, Option<Address>),
    Replying(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>),
    Refused(PropertiesError),
}

/// Where a reply goes.
struct Address {
    channel: Channel,
    reply_to: ShortStr,
    correlation_id: Option<ShortStr>,
}

impl Address {
    async fn send(self, response: RpcResponse) -> Result<(), Error> {
        let Self { channel, reply_to, correlation_id } = self;
        let RpcResponse { body, mut properties } = response;
        properties.correlation_id = correlation_id;
        let reply = channel.publish("", reply_to, body).properties(&properties).await?;
        Ok(reply.confirmed().await?)
    }
}

/// Its handler is in a box of its own.
impl<Fut> Unpin for Serving<Fut> {}

impl<Fut, R, E> Future for Serving<Fut>
where
    Fut: Future<Output = Result<R, E>>,
    R: Into<RpcResponse>,
{
    type Output = Result<(), ServeError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self(step) = &mut *self;
        loop {
            match step {
                Step::Handling(handler, address) => {
                    let response = match ready!(handler.as_mut().poll(cx)) {
                        Ok(response) => response.into(),
                        Err(error) => return Poll::Ready(Err(ServeError::Handler(error))),
                    };
                    let Some(address) = address.take() else { return Poll::Ready(Ok(())) };
                    *step = Step::Replying(Box::pin(address.send(response)));
                }
                Step::Replying(reply) => {
                    return reply.as_mut().poll(cx).map_err(ServeError::Reply);
                }
                Step::Refused(error) => {
                    return Poll::Ready(Err(ServeError::Request(*error)));
                }
            }
        }
    }
}

impl<Fut> fmt::Debug for Serving<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Step::Handling(..) => "Serving(Handling)",
            Step::Replying(_) => "Serving(Replying)",
            Step::Refused(_) => "Serving(Refused)",
        })
    }
}

impl RpcResponse {
    /// A response with properties.
    pub fn new(body: impl Into<Bytes>, properties: basic::Properties) -> Self {
        Self { body: body.into(), properties }
    }
}

impl fmt::Debug for RpcResponse {
    /// Without the body's octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcResponse").field("body_len", &self.body.len()).finish_non_exhaustive()
    }
}

impl From<()> for RpcResponse {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// Replies without properties.
macro_rules! bodies {
    ( $( $body:ty ),* ) => {
        $(
            impl From<$body> for RpcResponse {
                fn from(body: $body) -> Self {
                    Self::new(body, basic::Properties::default())
                }
            }
        )*
    };
}

bodies!(Bytes, Vec<u8>, String, &'static [u8], &'static str);
