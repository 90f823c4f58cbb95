//! How channels and connections end, and who is told.
//!
//! Whatever the cause, it is kept: every pending call, confirm and consumer gets it at once, and every
//! later call too.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use amqp091::encode;
use amqp091::protocol::{ReplyCode, channel, connection};
use amqp091::types::{Method, ShortStr};

use super::calls::{Answer, CallId};
use super::channels::{Carrier, Channel, State, Then};
use super::confirms::Audience;
use super::consumers::End;
use super::{ChannelKey, Core, Phase, PublishWait, WaiterKey};
use crate::error::{CloseReason, ConnectError, Error, ServerClose, Violation};
use crate::trace::Event;

/// How long the last frame may take to reach a socket when nobody waits for an answer to it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

impl Core {
    /// Begins the closing handshake: `connection.close` goes out behind everything that is queued.
    pub(crate) fn close(&mut self, reason: CloseReason, now: Instant) {
        match self.phase {
            Phase::Open => {}
            // Whoever waited to connect has given up.
            Phase::Handshake { .. } => return self.finish_close(),
            _ => return,
        }
        self.attention = true;
        self.flush_all_acks();
        self.reason = Some(Arc::new(reason));
        let close = connection::Close {
            reply_code: ReplyCode::REPLY_SUCCESS,
            reply_text: text("Goodbye"),
            class_id: 0,
            method_id: 0,
        };
        self.output.finish(|out| {
            // A short constant text always encodes.
            let _ = encode::method(out, 0, &close);
        });
        self.phase = Phase::Closing { deadline: now + self.options.close_timeout };
        self.publishers.wake_all(&mut self.wakes);
        self.tallies.wake_all(&mut self.wakes);
    }

    /// Waits for the end of the connection. An error says that our closing handshake had none.
    pub(crate) fn poll_closed(
        &mut self,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if !matches!(self.phase, Phase::Closed) {
            self.close_waiters.wait(waiter, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(match &self.reason {
            Some(reason) if matches!(**reason, CloseReason::ByUser | CloseReason::Dropped) => {
                self.close_result.clone()
            }
            Some(reason) => Err(Error::ConnectionClosed(Arc::clone(reason))),
            None => Ok(()),
        })
    }

    /// Gives up waiting for the end of the connection.
    pub(crate) fn forget_close(&mut self, waiter: WaiterKey) {
        self.close_waiters.forget(waiter);
    }

    /// The connection is lost: nothing can be read or written any more.
    pub(crate) fn lose(&mut self, reason: CloseReason) {
        match (&self.phase, reason) {
            (Phase::Closed, _) => {}
            (Phase::Handshake { handshake, .. }, reason) => {
                let stage = handshake.stage();
                self.give_up(match reason {
                    CloseReason::Io(source) => ConnectError::Io { stage, source },
                    CloseReason::HeartbeatMissed { silence: after } => {
                        ConnectError::Timeout { stage, after }
                    }
                    _ => ConnectError::Eof { stage },
                });
            }
            (_, reason) => {
                self.keep_reason(reason);
                self.finish_close();
            }
        }
    }

    /// Keeps why the connection ends. The first reason stays; but where that is our own close, it has
    /// not gone well: what was written before it may not have been read, or is what went wrong.
    fn keep_reason(&mut self, reason: CloseReason) {
        let reason = Arc::new(reason);
        if matches!(self.phase, Phase::Closing { .. }) {
            self.close_result = Err(Error::ConnectionClosed(Arc::clone(&reason)));
        }
        self.reason.get_or_insert(reason);
    }

    /// The shell has written the rest and closes the socket, or its runtime is gone.
    pub(crate) fn finish_close(&mut self) {
        self.output.clear();
        self.fail_all();
        if !matches!(self.phase, Phase::Closed) {
            let closed = self.closed_event();
            self.tell(closed);
        }
        self.phase = Phase::Closed;
        self.attention = true;
        self.close_waiters.wake_all(&mut self.wakes);
    }

    /// The server broke the protocol: it is told, and the socket closed.
    pub(crate) fn violation(&mut self, violation: Violation, now: Instant) {
        if let Phase::Handshake { handshake, .. } = &self.phase {
            let stage = handshake.stage();
            self.give_up(ConnectError::Violation { stage, violation });
            return;
        }
        let close = connection::Close {
            reply_code: violation.reply_code(),
            reply_text: text(&violation.to_string()),
            class_id: 0,
            method_id: 0,
        };
        self.end_with(CloseReason::Violation(violation), &close, now);
    }

    /// The server closes the connection: its reason is for everyone, and only the answer goes out.
    pub(super) fn closed_by_server(&mut self, reason: CloseReason, now: Instant) {
        self.end_with(reason, &connection::CloseOk {}, now);
    }

    /// Everyone is told, and of all that was to be written only `last` is.
    fn end_with<M: Method>(&mut self, reason: CloseReason, last: &M, now: Instant) {
        self.keep_reason(reason);
        self.output.clear();
        // Numbers and a reply text cut to its place always encode.
        let _ = encode::method(self.output.connection(), 0, last);
        self.phase = Phase::Flushing { deadline: now + FLUSH_TIMEOUT };
        self.fail_all();
    }

    /// The handshake failed, and nothing more is to be written.
    pub(super) fn give_up(&mut self, error: ConnectError) {
        self.refuse(error);
        self.output.clear();
        self.phase = Phase::Closed;
    }

    /// The handshake failed.
    pub(super) fn refuse(&mut self, error: ConnectError) {
        self.opened = Some(Err(error));
        self.wakes.extend(self.open_waker.take());
    }

    /// Ends every wait with the connection's reason.
    fn fail_all(&mut self) {
        let reason = Arc::clone(self.reason.get_or_insert_with(|| Arc::new(CloseReason::Eof)));
        if std::mem::take(&mut self.told_open) {
            self.trace.note(|| Event::Ended { reason: Arc::clone(&reason) });
        }
        let error = Error::ConnectionClosed(Arc::clone(&reason));
        self.calls.fail_all(&error, &mut self.wakes);
        self.secret_updates.clear();
        for key in self.channels.keys() {
            self.end_channel(key, &reason, &error);
        }
        self.confirming.clear();
        self.publishers.wake_all(&mut self.wakes);
    }

    /// Closes a channel whose last handle was dropped.
    pub(crate) fn release_channel(&mut self, key: ChannelKey, now: Instant) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        channel.released = true;
        if matches!(channel.state, State::Closed(_)) {
            self.remove_channel(key);
        } else if let Ok(call) =
            self.close_channel(key, CloseReason::Dropped, ReplyCode::REPLY_SUCCESS, now)
        {
            let _ = self.calls.abandon(call);
        }
    }

    /// Sends `channel.close`; the call tells when the server has agreed. Calls and consumers end now;
    /// confirms that are still on their way are taken until the answer comes.
    pub(crate) fn close_channel(
        &mut self,
        key: ChannelKey,
        reason: CloseReason,
        reply_code: ReplyCode,
        now: Instant,
    ) -> Result<CallId, Error> {
        let close = channel::Close {
            reply_code,
            reply_text: text(&reason.to_string()),
            class_id: 0,
            method_id: 0,
        };
        self.check_open()?;
        match self.channels.get_mut(key) {
            // On its way to being open again: that is given up.
            Some(Channel { state: State::Reopening(_), .. }) => {}
            _ => self.check_channel(key)?,
        }
        let reason = Arc::new(reason);
        if let Some(channel) = self.channels.get_mut(key) {
            let error = channel.closed(&reason);
            self.end_calls_and_consumers(key, &error);
        }
        let call = self.request_unchecked(key, &close, Then::Nothing, now)?;
        if let Some(channel) = self.channels.get_mut(key) {
            channel.state = State::Closing(reason);
        }
        self.publishers.wake_all(&mut self.wakes);
        self.tallies.wake_all(&mut self.wakes);
        Ok(call)
    }

    /// Whether this program has closed the channel already, or is about to.
    pub(crate) fn is_closed_by_user(&mut self, key: ChannelKey) -> bool {
        if self.check_open().is_err() {
            return false;
        }
        let Some(channel) = self.channels.get_mut(key) else { return true };
        match &channel.state {
            State::Closing(reason) | State::Closed(reason) => {
                matches!(**reason, CloseReason::ByUser)
            }
            _ => false,
        }
    }

    /// Waits for the end of a channel that is being closed, as long as the one who closes it.
    pub(crate) fn poll_channel_closed(
        &mut self,
        key: ChannelKey,
        now: Instant,
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let Some(channel) = self.channels.get_mut(key) else { return Poll::Ready(Ok(())) };
        match &channel.state {
            State::Closing(_) => {}
            State::Closed(reason)
                if !matches!(**reason, CloseReason::ByUser)
                    || self.reason.as_ref().is_some_and(|own| Arc::ptr_eq(own, reason)) =>
            {
                return Poll::Ready(self.check_channel(key));
            }
            // It may be open again.
            _ => return Poll::Ready(Ok(())),
        }
        let after = self.options.rpc_timeout;
        if self.poll_deadline(&mut wait.timer, (now, after), cx).is_ready() {
            return Poll::Ready(Err(Error::Timeout { method: "channel.close", after }));
        }
        self.publishers.wait(&mut wait.room, cx.waker());
        Poll::Pending
    }

    fn end_calls_and_consumers(&mut self, key: ChannelKey, error: &Error) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        if let Some(Carrier::Get { call, .. }) = &channel.carrier {
            self.calls.finish(*call, Err(error.clone()), &mut self.wakes);
        }
        if let Some(reopening) = channel.reopening.take() {
            self.reopening_failed(key, &reopening, error.clone());
        }
        let Some(channel) = self.channels.get_mut(key) else { return };
        for due in &channel.due {
            self.calls.finish(due.call, Err(error.clone()), &mut self.wakes);
        }
        // What the server still agrees to is recorded, whoever waited for it.
        channel.due.retain(|due| matches!(due.then, Then::Change(_)));
        for consumer in channel.subscriptions.drain() {
            self.consumers.end(consumer, End::Closed(error.clone()), &mut self.wakes);
        }
    }

    /// The server closed the channel. The rest of a content under way goes out first: sending the
    /// answer in the middle of it would end the connection.
    pub(super) fn channel_closed_by_server(
        &mut self,
        key: ChannelKey,
        close: channel::Close,
        now: Instant,
    ) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let channel::Close { reply_code, reply_text, class_id, method_id } = close;
        let close = ServerClose::new(reply_code, reply_text, class_id, method_id);
        if channel.stuck {
            // The answer can't be sent.
            return;
        }
        if channel.open_body.is_some() {
            return self.give_up_channel(key, CloseReason::ByServer(close));
        }
        let number = channel.number;
        // What waits for the end of a commit is given up too.
        let held = channel.hold.take().is_some();
        let abandoned = self.output.abandon(number) || held;
        let _ =
            self.output.channel(number, |out| encode::method(out, number, &channel::CloseOk {}));
        let method = close.method;
        let reason = Arc::new(CloseReason::ByServer(close));
        // A close of ours that was still waiting behind a body was given up with the rest.
        if matches!(channel.state, State::Closing(_)) && !abandoned {
            // Both closes cross: the server answers ours too, and only then is the number free. What
            // is still unconfirmed then has failed for the server's reason, not for ours.
            channel.state = State::Closing(reason);
            // What was given up above may have made room.
            self.publishers.wake_all(&mut self.wakes);
            return;
        }
        let error = channel.closed(&reason);
        self.trace.note(|| Event::ChannelEnded { channel: number, reason: Arc::clone(&reason) });
        let reopening = self.reopening_goes_on(key, method, &error);
        self.consumers_stopped(key);
        self.end_channel(key, &reason, &error);
        self.channels.free_number_of_closed(number);
        if let Some(reopening) = reopening {
            self.open_again(key, reopening, now);
        }
    }

    /// `channel.close-ok` has come: the number is free.
    pub(super) fn channel_close_answered(&mut self, key: ChannelKey, now: Instant) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let State::Closing(reason) = &channel.state else { return };
        if channel.stuck {
            return;
        }
        let (number, reason) = (channel.number, Arc::clone(reason));
        let reopening = channel.reopening.take();
        // Where both closes crossed, the caller learns of the server's: `end_channel` tells.
        if !matches!(*reason, CloseReason::ByServer(_))
            && let Some(due) = channel.due.pop_back()
        {
            let answer = Ok(Answer::Method(channel::CloseOk {}.into()));
            self.calls.finish(due.call, answer, &mut self.wakes);
        }
        let error = Error::ChannelClosed { channel: number, reason: Arc::clone(&reason) };
        self.trace.note(|| Event::ChannelEnded { channel: number, reason: Arc::clone(&reason) });
        self.consumers_stopped(key);
        self.end_channel(key, &reason, &error);
        match &*reason {
            // Both closes crossed.
            CloseReason::ByServer(_) => self.channels.free_number_of_closed(number),
            _ => self.channels.free_number(number),
        }
        if let Some(reopening) = reopening {
            self.open_again(key, reopening, now);
        }
    }

    /// A channel is gone: every wait on it ends. Its state stays for as long as a handle may ask why.
    pub(super) fn end_channel(
        &mut self,
        key: ChannelKey,
        reason: &Arc<CloseReason>,
        error: &Error,
    ) {
        self.end_calls_and_consumers(key, error);
        let Some(channel) = self.channels.get_mut(key) else { return };
        channel.due.clear();
        channel.unsettled.clear();
        channel.assembler.reset();
        channel.carrier = None;
        channel.hold = None;
        if let Some(acks) = channel.acks.take() {
            channel.setup.coalesce = Some(Box::new(acks.settings()));
        }
        channel.open_body = None;
        let Channel { confirms, unclaimed, .. } = channel;
        let (wakes, tallies) = (&mut self.wakes, &mut self.tallies);
        if let Some(confirms) = confirms {
            confirms.fail_all(error, &mut Audience { wakes, tallies, unclaimed });
        }
        unclaimed.end(wakes);
        if !matches!(channel.state, State::Closed(_)) {
            channel.state = State::Closed(Arc::clone(reason));
        }
        if std::mem::take(&mut channel.confirming) {
            // Another channel may come to stand in this one's place.
            self.confirming.retain(|&other| other != key);
        }
        if channel.released {
            self.remove_channel(key);
        }
        self.publishers.wake_all(&mut self.wakes);
    }
}

/// A reply text: cut where it is longer than its place on the wire.
fn text(words: &str) -> ShortStr {
    let mut end = words.len().min(ShortStr::MAX_LEN);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    ShortStr::new(&words[..end]).unwrap_or_default()
}
