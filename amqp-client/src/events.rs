//! What happens to a connection, as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use amqp091::types::ShortStr;
use futures_core::Stream;

use crate::core::EventReader;
use crate::error::CloseReason;
use crate::shared::Shared;
use crate::turn::Turn;

/// Something that happened to a connection: see [`Connection::events`](crate::Connection::events).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// It is open: the first event of every stream, whenever that was begun.
    Connected,
    /// The server has blocked publishing (`connection.blocked`): it is short of memory or disk. Comes
    /// again when the reason changes.
    Blocked {
        /// Why, in the server's words.
        reason: ShortStr,
    },
    /// The server takes messages again.
    Unblocked,
    /// The credentials would have expired, and the server has taken new ones (see
    /// [`ConnectOptions::credentials_provider`](crate::ConnectOptions::credentials_provider)).
    CredentialsRefreshed,
    /// The credentials expire, and there are no new ones yet.
    CredentialsNotRefreshed {
        /// Why.
        problem: Arc<str>,
        /// When it is tried again; `None` for not at all: there is no time left. RabbitMQ closes a
        /// connection whose token has expired.
        retry_in: Option<Duration>,
    },
    /// The stream was read so slowly that it has left out this many events, the oldest; the state is
    /// what the next ones tell.
    Missed {
        /// How many.
        count: u64,
    },
    /// It is closed, and the stream ends.
    Closed {
        /// Why: by this program too.
        reason: Arc<CloseReason>,
    },
}

/// A stream of what happens to a connection: see [`Connection::events`](crate::Connection::events).
///
/// It doesn't keep the connection open, and may be read outside a runtime.
#[derive(Debug)]
#[must_use = "events are read by `next` or as a stream"]
pub struct ConnectionEvents {
    shared: Arc<Shared>,
    reader: EventReader,
    turn: Turn,
}

impl ConnectionEvents {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let reader = shared.with(|core| core.follow());
        Self { shared: Arc::clone(shared), reader, turn: Turn::default() }
    }

    /// The next event; `None` behind [`ConnectionEvent::Closed`].
    ///
    /// Safe to drop: the event is there for the next call.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        poll_fn(|cx| self.poll_in_turn(cx)).await
    }

    fn poll_in_turn(&mut self, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let mut turn = std::mem::take(&mut self.turn);
        let polled = turn.poll(cx, |cx| self.poll_event(cx));
        self.turn = turn;
        polled
    }

    fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let reader = &mut self.reader;
        self.shared.with(|core| core.poll_event(reader, cx))
    }
}

impl Stream for ConnectionEvents {
    type Item = ConnectionEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_in_turn(cx)
    }
}

impl Drop for ConnectionEvents {
    fn drop(&mut self) {
        let reader = &mut self.reader;
        self.shared.with(|core| core.unfollow(reader));
    }
}
