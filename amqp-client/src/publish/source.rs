//! Messages whose bodies come from a reader or a stream, and are never held whole.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use amqp091::protocol::basic;
use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Body, Confirm, method};
use crate::core::{Message, PublishWait, Published, Terms};
use crate::error::Error;
use crate::shared::{ChannelHandle, now};

/// Octets that are read at a time. A body of no more is read first, and then published as any other.
const CHUNK: usize = 64 * 1024;

/// Where a body comes from.
pub trait BodySource: sealed::BodySource {}

mod sealed {
    use super::{Bytes, Context, Poll, io};

    pub trait BodySource: Unpin {
        /// The next octets, not more than `most` if it can help it; none at the end.
        fn poll_chunk(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;
    }
}

/// A body from a reader.
pub struct FromReader<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R> fmt::Debug for FromReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromReader")
    }
}

impl<R> FromReader<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }
}

impl<R: AsyncRead + Unpin> BodySource for FromReader<R> {}

impl<R: AsyncRead + Unpin> sealed::BodySource for FromReader<R> {
    fn poll_chunk(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let most = most.min(CHUNK);
        self.buffer.reserve(most);
        // Many small reads make one frame.
        while self.buffer.len() < most {
            let room = most - self.buffer.len();
            let mut buffer = (&mut self.buffer).limit(room);
            match pin!(self.reader.read_buf(&mut buffer)).poll(cx) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.buffer.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(self.buffer.split().freeze()))
    }
}

/// A body from a stream.
pub struct FromStream<S> {
    stream: S,
}

impl<S> fmt::Debug for FromStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FromStream")
    }
}

impl<S> FromStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream }
    }
}

impl<S, E> BodySource for FromStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
}

impl<S, E> sealed::BodySource for FromStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_chunk(&mut self, _: usize, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                // No octets say nothing.
                Some(Ok(octets)) if octets.is_empty() => {}
                Some(Ok(octets)) => return Poll::Ready(Ok(octets)),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(Bytes::new())),
            }
        }
    }
}

/// A message whose body comes piece by piece, about to be published: await it, after setting what is to
/// be set.
///
/// It resolves when the whole body is queued. Up to 64 KiB of it are read before anything is sent; a body
/// no larger than that is sent whole or not at all, as any other. From then on the body must be finished:
/// **if its source fails, ends early, is silent for [too long](Self::source_timeout), or the future is
/// dropped half-way, the channel is closed**
/// ([`CloseReason::BodyUnfinished`](crate::CloseReason::BodyUnfinished)), for the protocol has no way to
/// take a message back that has begun. The message is not published, other channels go on, but this
/// channel's number is lost until the connection ends, and messages that it got and didn't settle are held
/// back until then too. So use a channel of its own.
///
/// Closing the channel doesn't wait for a source that has nothing to give at once: the body is unfinished
/// then too, and closing fails with that reason.
///
/// While the body comes, other messages of the channel wait, and so do methods, acknowledgements among
/// them: their replies may be overdue if the source is slow.
#[must_use = "a message is published when this is awaited"]
pub struct PublishFrom<'a, S> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Message<'a>, Error>,
    terms: Terms,
    body_size: u64,
    source: S,
    /// How long the source may be silent.
    patience: Duration,
}

impl<'a, S> PublishFrom<'a, S> {
    /// How long the source of a body may be silent unless [`source_timeout`](Self::source_timeout) says
    /// otherwise.
    pub const DEFAULT_SOURCE_TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn new(
        channel: &'a Arc<ChannelHandle>,
        exchange: &[u8],
        routing_key: &[u8],
        body_size: u64,
        source: S,
    ) -> Self {
        let message = method(exchange, routing_key).map(|method| Message {
            method,
            properties: None,
            body: Body::Pieces(Vec::new()),
            persistent: false,
            watched: true,
        });
        let patience = Self::DEFAULT_SOURCE_TIMEOUT;
        Self { channel, message, terms: Terms::default(), body_size, source, patience }
    }

    /// Sends these properties along.
    pub fn properties(mut self, properties: &'a basic::Properties) -> Self {
        if let Ok(message) = &mut self.message {
            message.properties = Some(properties);
        }
        self
    }

    /// As [`Publish::persistent`](crate::Publish::persistent).
    pub fn persistent(mut self, persistent: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.persistent = persistent;
        }
        self
    }

    /// As [`Publish::mandatory`](crate::Publish::mandatory).
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        if let Ok(message) = &mut self.message {
            message.method.mandatory = mandatory;
        }
        self
    }

    /// How long the source may take for each next piece. Then the publish fails with
    /// [`Error::BodySource`] of the kind [`TimedOut`](io::ErrorKind::TimedOut), as if the source had
    /// failed. Default: 30 s ([`DEFAULT_SOURCE_TIMEOUT`](Self::DEFAULT_SOURCE_TIMEOUT)).
    ///
    /// A source that blocks its thread, as the readers and iterators of [`blocking`](crate::blocking) do,
    /// can't be interrupted.
    pub fn source_timeout(mut self, timeout: Duration) -> Self {
        self.patience = timeout;
        self
    }

    /// How long the message may wait for room before its beginning is sent, as
    /// [`Publish::publish_timeout`](crate::Publish::publish_timeout).
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.terms.publish = Some(timeout);
        self
    }

    /// As [`Publish::confirm_timeout`](crate::Publish::confirm_timeout), from the end of the body.
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.terms.confirm = Some(timeout);
        self
    }
}

impl<S> fmt::Debug for PublishFrom<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishFrom").field("body_size", &self.body_size).finish_non_exhaustive()
    }
}

impl<'a, S: BodySource> IntoFuture for PublishFrom<'a, S> {
    type Output = Result<Confirm, Error>;
    type IntoFuture = PublishingFrom<'a, S>;

    fn into_future(self) -> PublishingFrom<'a, S> {
        let Self { channel, message, terms, body_size, source, patience } = self;
        let (wait, read, stage) = (PublishWait::default(), 0, Stage::Gathering);
        PublishingFrom { channel, message, terms, body_size, source, patience, wait, read, stage }
    }
}

/// A message whose body is on its way. Dropped in the middle of it, the channel is closed: see
/// [`PublishFrom`].
#[must_use = "a message is published when this is awaited"]
pub struct PublishingFrom<'a, S> {
    channel: &'a Arc<ChannelHandle>,
    message: Result<Message<'a>, Error>,
    terms: Terms,
    body_size: u64,
    source: S,
    patience: Duration,
    wait: PublishWait,
    /// Octets that the source gave.
    read: u64,
    stage: Stage,
}

impl<S> Unpin for PublishingFrom<'_, S> {}

#[derive(Debug)]
enum Stage {
    /// The beginning of the body is read; nothing is sent.
    Gathering,
    /// What was read waits to be published: all there is, or the beginning.
    Beginning,
    /// The piece to send next, empty when it is to be read, and the channel's instance.
    Feeding(Bytes, u32),
    Done,
}

impl<S: BodySource> PublishingFrom<'_, S> {
    /// Reads the next piece: some octets, and no more than are missing.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        let missing = self.body_size - self.read;
        let most = usize::try_from(missing).unwrap_or(usize::MAX);
        let Poll::Ready(chunk) = self.source.poll_chunk(most, cx) else {
            // A source may be silent for ever: the channel may not.
            let (channel, begun) = (self.channel, self.begun());
            let (wait, patience) = (&mut self.wait, (now(), self.patience));
            let lost =
                channel.with(|core| core.poll_body_lost(channel.key, begun, patience, wait, cx));
            return lost.map(|lost| {
                Err(lost.unwrap_or_else(|| {
                    let problem = format!("silent for {} ms", self.patience.as_millis());
                    self.failed(io::Error::new(io::ErrorKind::TimedOut, problem))
                }))
            });
        };
        if self.wait.is_waiting() {
            // The next silence is another one.
            self.channel.with(|core| core.forget_publish(&mut self.wait));
        }
        let kind = match &chunk {
            Ok(octets) if octets.is_empty() => Some(io::ErrorKind::UnexpectedEof),
            Ok(octets) if octets.len() > most => Some(io::ErrorKind::InvalidData),
            _ => None,
        };
        let chunk = kind.map_or(chunk, |kind| Err(kind.into()));
        Poll::Ready(match chunk {
            Ok(octets) => {
                self.read += octets.len() as u64;
                Ok(octets)
            }
            Err(source) => Err(self.failed(source)),
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::BodySource { source: Arc::new(source), read: self.read, body_size: self.body_size }
    }

    fn poll_published(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Published>, Error>> {
        loop {
            match &mut self.stage {
                Stage::Gathering => {
                    if self.read == self.body_size || self.read >= CHUNK as u64 {
                        self.stage = Stage::Beginning;
                        continue;
                    }
                    // What is wrong with the message is told before its body is touched.
                    if let Err(error) = &self.message {
                        return Poll::Ready(Err(error.clone()));
                    }
                    let octets = ready!(self.poll_chunk(cx))?;
                    if let Ok(Message { body: Body::Pieces(pieces), .. }) = &mut self.message {
                        pieces.push(octets);
                    }
                }
                Stage::Beginning => {
                    let message = match &self.message {
                        Ok(message) => message,
                        Err(error) => return Poll::Ready(Err(error.clone())),
                    };
                    let terms = (self.terms, self.terms.are_set().then(now));
                    let (channel, wait, body_size) = (self.channel, &mut self.wait, self.body_size);
                    if self.read == body_size {
                        let published = channel.with(|core| {
                            core.poll_publish_by(channel.key, message, terms, wait, cx)
                        });
                        return published.map_ok(Some);
                    }
                    let epoch = ready!(channel.with(|core| {
                        core.poll_begin_body(channel.key, message, body_size, terms, wait, cx)
                    }))?;
                    self.stage = Stage::Feeding(Bytes::new(), epoch);
                }
                &mut Stage::Feeding(ref piece, epoch) if piece.is_empty() => {
                    let octets = ready!(self.poll_chunk(cx))?;
                    self.stage = Stage::Feeding(octets, epoch);
                }
                Stage::Feeding(piece, epoch) => {
                    let (channel, wait, epoch) = (self.channel, &mut self.wait, *epoch);
                    let fed = channel
                        .with(|core| core.poll_feed(channel.key, epoch, piece, now(), wait, cx));
                    if let Some(published) = ready!(fed)? {
                        return Poll::Ready(Ok(Some(published)));
                    }
                }
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl<S> PublishingFrom<'_, S> {
    /// The channel's instance by which the body has begun.
    fn begun(&self) -> Option<u32> {
        match self.stage {
            Stage::Feeding(_, epoch) => Some(epoch),
            _ => None,
        }
    }

    /// Gives up whatever was begun.
    fn give_up(&mut self) {
        let begun = self.begun();
        self.stage = Stage::Done;
        if begun.is_some() || self.wait.is_waiting() {
            let (key, wait) = (self.channel.key, &mut self.wait);
            self.channel.with(|core| {
                core.forget_publish(wait);
                if let Some(epoch) = begun {
                    core.abandon_body(key, epoch);
                }
            });
        }
    }
}

impl<S: BodySource> Future for PublishingFrom<'_, S> {
    type Output = Result<Confirm, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let published = ready!(this.poll_published(cx));
        if published.is_err() {
            this.give_up();
        }
        this.stage = Stage::Done;
        Poll::Ready(published.map(|published| {
            let place = match published {
                Some(Published::Confirm(place)) => Some(place),
                _ => None,
            };
            Confirm::new(this.channel, place)
        }))
    }
}

impl<S> fmt::Debug for PublishingFrom<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishingFrom")
            .field("body_size", &self.body_size)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl<S> Drop for PublishingFrom<'_, S> {
    fn drop(&mut self) {
        self.give_up();
    }
}
