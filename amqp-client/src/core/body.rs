//! Contents whose bodies come piece by piece: the announced size goes out first, the pieces as there is
//! room for them.
//!
//! Until the last piece has come, nothing else can be sent on the channel: servers take a method in the
//! middle of a content as the end of the connection. So other messages wait, methods queue up behind the
//! body, and where the rest never comes, the channel is given up: it ends here, and its number is left
//! alone, with the server waiting for the rest, until the connection ends. The message isn't published.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use amqp091::encode;
use amqp091::protocol::confirm;
use amqp091::types::ShortStr;
use bytes::Bytes;

use super::confirms::{Confirms, Fingerprint};
use super::publish::{Outgoing, PublishWait, Published, Terms, Watch, frames};
use super::{ChannelKey, Core, Phase};
use crate::error::{CloseReason, Error};
use crate::publish::Body;
use crate::trace::Event;

/// Octets of a body that may wait ahead of the socket.
const AHEAD: usize = 256 * 1024;

/// A content whose body is still to come in part.
#[derive(Debug)]
pub(crate) struct OpenBody {
    /// The channel's instance: the same handle may begin another body by the next one.
    epoch: u32,
    watch: Watch,
    address: Option<(ShortStr, ShortStr)>,
    fingerprint: Option<Fingerprint>,
    /// The message's own time for its confirm.
    confirm: Option<Duration>,
    missing: u64,
}

impl Core {
    /// Sends all of `message` but its body, of which it has the beginning; `body_size` octets it will be.
    /// Or waits: for room, or for the server to lift a block. Returns the channel's instance, for the
    /// pieces behind.
    pub(crate) fn poll_begin_body(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        body_size: u64,
        terms: (Terms, Option<Instant>),
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Poll<Result<u32, Error>> {
        let (Terms { publish, confirm }, now) = terms;
        match self.begin_body(key, message, body_size, confirm) {
            Ok(Some(epoch)) => {
                self.forget_publish(wait);
                return Poll::Ready(Ok(epoch));
            }
            Ok(None) => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.publishers.wait(&mut wait.room, cx.waker());
        self.attention |= !self.reading;
        match self.poll_wait(now.zip(publish), wait, cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// As above; `None` when that must wait.
    fn begin_body(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        body_size: u64,
        confirm: Option<Duration>,
    ) -> Result<Option<u32>, Error> {
        self.check_open()?;
        let is_full = self.is_full() || self.blocked.is_some();
        let Some(channel) = self.channels.get_mut(key) else { return Ok(None) };
        channel.check_open()?;
        if !channel.subscriptions.is_empty() {
            return Err(Error::ChannelConsumes { channel: channel.number });
        }
        if is_full || !channel.flow || channel.hold.is_some() || channel.open_body.is_some() {
            return Ok(None);
        }
        let number = channel.number;
        let watch = message.watch();
        let select_confirms = watch != Watch::Nobody && channel.confirms.is_none();
        if select_confirms {
            channel.check_mode::<confirm::Select>()?;
        }
        let frame_max = self.output.frame_max();
        self.output.channel(number, |out| {
            let begin = out.len();
            if select_confirms {
                // Without an answer to wait for: should the server refuse, it closes the channel.
                encode::method(out, number, &confirm::Select { no_wait: true })?;
            }
            message.encode(out, number, body_size, frame_max).inspect_err(|_| out.truncate(begin))
        })?;
        channel.counts.frames_out += frames(select_confirms, body_size, frame_max);
        if select_confirms {
            channel.confirms = Some(Box::new(Confirms::new(channel.epoch)));
        }
        let body = message.body();
        let address = message.address();
        let len = usize::try_from(body_size).unwrap_or(usize::MAX);
        let fingerprint = address
            .is_some()
            .then(|| Fingerprint::of_beginning(&body.beginning(Fingerprint::OCTETS), len));
        let missing = body_size.saturating_sub(body.len() as u64);
        let pieces = match body {
            Body::Pieces(pieces) => pieces.clone(),
            body => vec![body.to_bytes()],
        };
        self.output.pieces(number, pieces, missing);
        let epoch = channel.epoch;
        channel.open_body =
            Some(Box::new(OpenBody { epoch, watch, address, fingerprint, confirm, missing }));
        Ok(Some(epoch))
    }

    /// Appends the next piece of the body, which must not be larger than what is missing, or waits for
    /// room. With the last one, the message is published.
    pub(crate) fn poll_feed(
        &mut self,
        key: ChannelKey,
        epoch: u32,
        piece: &mut Bytes,
        now: Instant,
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Published>, Error>> {
        self.check_body(key, epoch)?;
        let Some(channel) = self.channels.get_mut(key) else { return Poll::Pending };
        let Some(open) = &mut channel.open_body else { return Poll::Pending };
        if self.output.fed(channel.number) >= AHEAD {
            self.publishers.wait(&mut wait.room, cx.waker());
            // A server may have to write before it reads on.
            self.attention |= !self.reading;
            return Poll::Pending;
        }
        let piece = std::mem::take(piece);
        open.missing = open.missing.saturating_sub(piece.len() as u64);
        self.output.feed(channel.number, piece);
        if open.missing > 0 {
            return Poll::Ready(Ok(None));
        }
        let Some(open) = channel.open_body.take() else { return Poll::Pending };
        let OpenBody { watch, address, fingerprint, confirm, .. } = *open;
        let fingerprint = || fingerprint.unwrap_or_else(|| Fingerprint::of_beginning(&[], 0));
        let confirm = confirm.map(|after| (now, after));
        let published = self.note_published(key, watch, address, fingerprint, confirm);
        self.forget_publish(wait);
        // The channel is for others again.
        self.publishers.wake_all(&mut self.wakes);
        Poll::Ready(Ok(Some(published)))
    }

    /// Fails unless the rest of the body that this instance began is still to come.
    fn check_body(&mut self, key: ChannelKey, epoch: u32) -> Result<(), Error> {
        self.check_open()?;
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        if channel.open_body.as_ref().is_some_and(|open| open.epoch == epoch) {
            return Ok(());
        }
        // Another instance of the channel may be open already.
        channel.check_open()?;
        let reason = Arc::new(CloseReason::BodyUnfinished);
        Err(Error::ChannelClosed { channel: channel.number, reason })
    }

    /// Waits for what makes it useless to wait for a body's source any longer: the end of the channel, or
    /// of its instance if the body has begun. `None`: the source had this long from the beginning of its
    /// silence.
    pub(crate) fn poll_body_lost(
        &mut self,
        key: ChannelKey,
        begun: Option<u32>,
        (now, patience): (Instant, Duration),
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Poll<Option<Error>> {
        let checked = begun.map_or(Ok(()), |epoch| self.check_body(key, epoch));
        // Our own close waits for octets that are there, and not for more.
        if let Err(error) = checked.and_then(|()| self.check_channel(key)) {
            return Poll::Ready(Some(error));
        }
        if self.poll_deadline(&mut wait.timer, (now, patience), cx).is_ready() {
            return Poll::Ready(None);
        }
        self.publishers.wait(&mut wait.room, cx.waker());
        self.attention |= !self.reading;
        Poll::Pending
    }

    /// The rest of a body will never come.
    pub(crate) fn abandon_body(&mut self, key: ChannelKey, epoch: u32) {
        let open = self.channels.get_mut(key).and_then(|channel| channel.open_body.as_ref());
        if open.is_some_and(|open| open.epoch == epoch) && matches!(self.phase, Phase::Open) {
            self.give_up_channel(key, CloseReason::BodyUnfinished);
        }
    }

    /// Ends a channel in the middle of a content. Its number stays in use.
    pub(super) fn give_up_channel(&mut self, key: ChannelKey, reason: CloseReason) {
        self.channels.leave_ghost(key, Arc::new(CloseReason::BodyUnfinished));
        let Some(channel) = self.channels.get_mut(key) else { return };
        let reason = Arc::new(reason);
        let error = channel.closed(&reason);
        self.output.give_up(channel.number);
        let number = channel.number;
        self.trace.note(|| Event::ChannelEnded { channel: number, reason: Arc::clone(&reason) });
        self.consumers_stopped(key);
        self.end_channel(key, &reason, &error);
    }
}
