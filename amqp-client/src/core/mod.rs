//! The client as a state machine without I/O.
//!
//! It takes octets ([`Core::handle_input`]), commands, and the time; it gives octets
//! ([`Core::take_output`]), answers (`poll_*`), and the next time to look
//! ([`Core::next_deadline`]). It has no socket, no task and no clock of its own, so that every race
//! and fault can be played through in a test. The shell around it moves octets and wakes tasks.
//!
//! - `handle_*`: what happened outside.
//! - commands (`call`, `publish`, `send`, …): what the program wants. None of them blocks; what can't be
//!   done yet says so and notes who waits.
//! - `poll_*`: whether an answer is there.
//!
//! After each of these the shell takes [`Core::wakes`] and wakes them, and lets go of
//! [`Core::take_discarded`], outside its lock.

mod acks;
mod body;
mod calls;
#[cfg(test)]
mod census;
mod channels;
mod close;
mod confirms;
mod consume;
mod consumers;
mod counting;
mod events;
mod handshake;
mod heartbeat;
mod inbound;
mod modes;
mod output;
mod publish;
mod recording;
mod refresh;
mod reopen;
mod returns;
mod setup;
mod stall;
mod tally;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod timers;
mod topology;
mod unsettled;
mod waiters;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use amqp091::encode;
use amqp091::frame::FrameLimits;
use amqp091::protocol::{basic, channel, connection};
use amqp091::types::{FieldTable, Method, Reply, Request, ShortStr};
use bytes::BytesMut;

pub(crate) use self::calls::{Answer, CallId};
#[cfg(test)]
pub(crate) use self::census::Census;
pub(crate) use self::channels::ChannelKey;
pub(crate) use self::confirms::ConfirmKey;
pub(crate) use self::consumers::{ConsumerKey, End, Incoming, LiveEpoch, is_of_stream};
pub(crate) use self::events::EventReader;
pub(crate) use self::output::Transmit;
pub(crate) use self::publish::{
    Counted, Message, Outgoing, PublishWait, Published, Terms, Watch, address, encode_message,
};
pub(crate) use self::reopen::Wanted;
pub(crate) use self::tally::TallyKey;
pub(crate) use self::template::{Prepared, Template};
pub(crate) use self::timers::TimerKey;
pub(crate) use self::waiters::WaiterKey;

use self::calls::Calls;
use self::channels::{Channel, Channels, Due, Then};
use self::confirms::Audience;
use self::consumers::Consumers;
use self::counting::Traffic;
use self::events::EventLog;
use self::handshake::{Handshake, Tuned};
use self::heartbeat::Heartbeat;
use self::output::{Item, Output, check_frame};
use self::refresh::Refresh;
use self::stall::Stall;
use self::tally::Tallies;
use self::timers::Timers;
use self::topology::Topology;
use self::waiters::Waiters;
use crate::error::{CloseReason, ConnectError, Error};
use crate::options::ConnectOptions;
use crate::trace::{Event, Events};

/// One connection.
#[derive(Debug)]
pub(crate) struct Core {
    options: ConnectOptions,
    phase: Phase,
    /// Set when the connection ends or begins to: given to everyone from then on.
    reason: Option<Arc<CloseReason>>,
    /// The outcome of the handshake, until it is fetched.
    opened: Option<Result<(), ConnectError>>,
    open_waker: Option<Waker>,
    /// The outcome of our own closing handshake.
    close_result: Result<(), Error>,
    close_waiters: Waiters,
    tuned: Tuned,
    server_properties: Arc<FieldTable>,
    limits: FrameLimits,
    output: Output,
    channels: Channels,
    /// Channels with unconfirmed messages.
    confirming: Vec<ChannelKey>,
    consumers: Consumers,
    /// Channels with acknowledgements that wait.
    acking: Vec<ChannelKey>,
    topology: Topology,
    traffic: Traffic,
    calls: Calls,
    /// `connection.update-secret` that the server has yet to answer.
    secret_updates: VecDeque<CallId>,
    heartbeat: Heartbeat,
    /// Since when and why the server has blocked publishing.
    blocked: Option<(Instant, ShortStr)>,
    /// What the socket doesn't take.
    stall: Stall,
    events: EventLog,
    /// Credentials that expire.
    refresh: Refresh,
    /// Publishers that wait for room, or for the server to lift a block.
    publishers: Waiters,
    /// Of publishers that wait only so long.
    timers: Timers,
    tallies: Tallies,
    /// Small pieces of messages are copied here, so that they don't hold on to a read buffer.
    arena: BytesMut,
    /// Whether the shell was told not to read: see [`Core::wants_read`].
    reading: bool,
    next_tag: u64,
    /// Whether it was said that the connection is open, and its end is to be said.
    told_open: bool,
    /// What is to be told by `tracing`.
    pub(crate) trace: Events,
    /// Who is to be woken.
    pub(crate) wakes: Vec<Waker>,
    /// Whether the shell's driver must look at the core although there may be nothing to write.
    pub(crate) attention: bool,
}

/// How far the connection is.
#[derive(Debug)]
enum Phase {
    Handshake {
        handshake: Handshake,
        deadline: Instant,
    },
    Open,
    /// We asked to close and wait for the answer.
    Closing {
        deadline: Instant,
    },
    /// The rest is written, then the socket is closed.
    Flushing {
        deadline: Instant,
    },
    Closed,
}

impl Core {
    /// A connection whose socket was just opened; the handshake must be over by `deadline`.
    pub(crate) fn new(options: ConnectOptions, now: Instant, deadline: Instant) -> Self {
        let mut output = Output::new(options.frame_max);
        let handshake = Handshake::begin(output.connection());
        Self {
            phase: Phase::Handshake { handshake, deadline },
            reason: None,
            opened: None,
            open_waker: None,
            close_result: Ok(()),
            close_waiters: Waiters::default(),
            tuned: Tuned::default(),
            server_properties: Arc::default(),
            limits: options.frame_limits(FrameLimits::HANDSHAKE, 0),
            output,
            channels: Channels::new(options.max_body),
            confirming: Vec::new(),
            consumers: Consumers::default(),
            acking: Vec::new(),
            topology: Topology::new(options.record_topology),
            traffic: Traffic::default(),
            calls: Calls::new(options.rpc_timeout),
            secret_updates: VecDeque::new(),
            heartbeat: Heartbeat::off(now),
            blocked: None,
            stall: Stall::default(),
            events: EventLog::default(),
            refresh: Refresh::default(),
            publishers: Waiters::default(),
            timers: Timers::default(),
            tallies: Tallies::default(),
            arena: BytesMut::new(),
            reading: true,
            next_tag: 0,
            told_open: false,
            trace: Events::new(),
            wakes: Vec::new(),
            attention: false,
            options,
        }
    }

    /// Waits for the handshake's outcome.
    pub(crate) fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<(), ConnectError>> {
        match self.opened.take() {
            Some(result) => Poll::Ready(result),
            None => {
                self.open_waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Why the server has blocked publishing, while it has.
    pub(crate) fn blocked(&self) -> Option<&ShortStr> {
        self.blocked.as_ref().map(|(_, reason)| reason)
    }

    /// The values that both sides agreed on.
    pub(crate) fn tuned(&self) -> Tuned {
        self.tuned
    }

    /// What the server said of itself.
    pub(crate) fn server_properties(&self) -> &Arc<FieldTable> {
        &self.server_properties
    }

    /// Fails unless the channel can be used.
    pub(crate) fn check_channel(&mut self, key: ChannelKey) -> Result<(), Error> {
        self.check_open()?;
        self.channels.get_mut(key).map_or(Ok(()), |channel| channel.check_open())
    }

    /// What was dropped unwritten, for the shell to let go of outside its lock.
    pub(crate) fn take_discarded(&mut self) -> Vec<Item> {
        self.output.take_discarded()
    }

    /// Whether there is something to write.
    pub(crate) fn has_output(&self) -> bool {
        self.output.has_due()
    }

    /// Moves what is due to `transmit`, which must be empty and will be written whole.
    pub(crate) fn take_output(&mut self, transmit: &mut Transmit, now: Instant) {
        let was_full = self.is_full();
        let made_room = self.output.take(transmit);
        if transmit.is_empty() {
            return;
        }
        self.traffic.octets_out += transmit.octets();
        self.heartbeat.note_write(now);
        if (was_full && !self.is_full()) || made_room {
            self.publishers.wake_all(&mut self.wakes);
        }
    }

    /// Whether publishing must wait for the socket.
    fn is_full(&self) -> bool {
        self.output.len() >= self.options.output_limit.max(1)
    }

    /// Whether the socket should be read: not while slow consumers hold more than they may, unless
    /// somebody waits for what only the socket can bring. The end of the connection waits for nobody.
    pub(crate) fn wants_read(&mut self, now: Instant) -> bool {
        let is_awaited = self.calls.any_waiting()
            || !self.confirming.is_empty()
            || self.publishers.any_waiting();
        let wants = self.has_room_for_deliveries()
            || (is_awaited && self.consumers.octets() < self.hard_delivery_limit())
            || !matches!(self.phase, Phase::Open);
        if wants && !self.reading {
            self.heartbeat.note_read(now);
            self.stall.restart(now);
        }
        self.reading = wants;
        wants
    }

    /// What deliveries may take in any case: whoever waits then waits for the consumers too.
    fn hard_delivery_limit(&self) -> usize {
        self.options.delivery_limit.max(1).saturating_mul(4)
    }

    /// Whether a delivery has come for which there is no room at all: it was only read because the
    /// connection is closing, which puts it back.
    fn drops_deliveries(&self) -> bool {
        !matches!(self.phase, Phase::Open) && self.consumers.octets() >= self.hard_delivery_limit()
    }

    fn has_room_for_deliveries(&self) -> bool {
        self.consumers.octets() < self.options.delivery_limit.max(1)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do. Messages published since the
    /// last look get their confirm deadline here: one look at the clock serves many.
    pub(crate) fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Handshake { deadline, .. }
            | Phase::Closing { deadline }
            | Phase::Flushing { deadline } => Some(*deadline),
            Phase::Open => None,
            Phase::Closed => return None,
        };
        let acks = self.acks_deadline(now);
        let mut next = [
            phase,
            self.calls.next_deadline(),
            self.heartbeat.next_deadline(self.reading),
            self.timers.next_deadline(),
            acks,
            self.stall_deadline(),
            self.refresh_deadline(),
        ]
        .into_iter()
        .flatten()
        .min();
        self.confirming.retain(|&key| {
            let Some(channel) = self.channels.get_mut(key) else { return false };
            let due = channel
                .confirms
                .as_mut()
                .and_then(|confirms| confirms.next_deadline(now, self.options.confirm_timeout));
            channel.confirming = due.is_some();
            // While the server has blocked us, its confirms can't be overdue.
            if self.blocked.is_none() {
                next = next.into_iter().chain(due).min();
            }
            channel.confirming
        });
        next
    }

    /// Does what is due: heartbeats, overdue replies and confirms, a server that takes nothing, closing
    /// deadlines.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &self.phase {
            Phase::Handshake { handshake, deadline } if *deadline <= now => {
                let (stage, after) = (handshake.stage(), self.options.connect_timeout);
                self.give_up(ConnectError::Timeout { stage, after });
                return;
            }
            Phase::Closing { deadline } | Phase::Flushing { deadline } if *deadline <= now => {
                if matches!(self.phase, Phase::Closing { .. }) {
                    let after = self.options.close_timeout;
                    self.close_result = Err(Error::Timeout { method: "connection.close", after });
                }
                self.finish_close();
                return;
            }
            Phase::Closed => return,
            _ => {}
        }
        self.calls.handle_timeout(now, &mut self.wakes);
        self.refresh_timeout(now);
        self.send_due_acks(now);
        self.timers.handle_timeout(now, &mut self.wakes);
        if self.blocked.is_none() {
            let timeout = self.options.confirm_timeout;
            for &key in &self.confirming {
                if let Some(channel) = self.channels.get_mut(key)
                    && let Channel { confirms: Some(confirms), unclaimed, .. } = channel
                {
                    let (wakes, tallies) = (&mut self.wakes, &mut self.tallies);
                    let before = confirms.outcomes().unknown;
                    confirms.handle_timeout(
                        now,
                        timeout,
                        &mut Audience { wakes, tallies, unclaimed },
                    );
                    let count = confirms.outcomes().unknown - before;
                    if count > 0 {
                        let channel = channel.number;
                        self.trace.note(|| Event::Overdue { channel, count });
                    }
                }
            }
        }
        if self.reading
            && let Some(silence) = self.heartbeat.silence(now)
        {
            self.trace.note(|| Event::HeartbeatMissed { silence });
            self.lose(CloseReason::HeartbeatMissed { silence });
            return;
        }
        if self.give_up_stalled(now) {
            return;
        }
        if self.heartbeat.is_due(now) {
            // Marks the time even while the socket takes nothing: one waiting heartbeat is enough.
            self.heartbeat.note_write(now);
            if !self.has_output() {
                encode::heartbeat(self.output.connection());
                self.traffic.frames_out += 1;
            }
        }
    }

    /// Whether the socket can be closed: nothing more is to be read, nor written if the shell has
    /// written all that it took.
    pub(crate) fn is_closed(&self, all_written: bool) -> bool {
        match self.phase {
            Phase::Flushing { .. } => all_written && !self.has_output(),
            Phase::Closed => true,
            _ => false,
        }
    }

    /// Fails unless the connection is open.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        match (&self.reason, &self.phase) {
            (Some(reason), _) => Err(Error::ConnectionClosed(Arc::clone(reason))),
            (None, Phase::Open) => Ok(()),
            // No handle exists before the handshake is over.
            (None, _) => Err(Error::ConnectionClosed(Arc::new(CloseReason::Dropped))),
        }
    }

    /// Opens a channel; the call tells when the server has agreed.
    pub(crate) fn open_channel(
        &mut self,
        now: Instant,
    ) -> Result<(ChannelKey, u16, CallId), Error> {
        self.check_open()?;
        let (key, number) = self.channels.open()?;
        let call = self.request(key, &channel::Open {}, Then::Open, now)?;
        Ok((key, number, call))
    }

    /// Sends a request on a channel; the call tells the reply.
    pub(crate) fn call<R: Request>(
        &mut self,
        key: ChannelKey,
        request: &R,
        now: Instant,
    ) -> Result<CallId, Error> {
        let then = if R::ID == basic::Recover::ID { Then::Recover } else { Then::Nothing };
        let call = self.request(key, request, then, now)?;
        self.note_request(key, request);
        Ok(call)
    }

    /// Sends a request about the connection itself; the call tells the reply.
    pub(crate) fn update_secret(
        &mut self,
        request: &connection::UpdateSecret,
        now: Instant,
    ) -> Result<CallId, Error> {
        self.check_open()?;
        let frame_max = self.output.frame_max();
        let out = self.output.connection();
        let begin = out.len();
        encode::method(out, 0, request)?;
        check_frame(connection::UpdateSecret::NAME, out.len() - begin, frame_max)
            .inspect_err(|_| out.truncate(begin))?;
        let call = self.calls.begin(connection::UpdateSecret::NAME, now);
        self.secret_updates.push_back(call);
        self.attention = true;
        Ok(call)
    }

    /// Gives up a call about the connection itself.
    pub(crate) fn abandon_connection_call(&mut self, call: CallId) {
        let _ = self.calls.abandon(call);
    }

    /// Sends `basic.get`; the call tells the message or that there is none.
    pub(crate) fn get(
        &mut self,
        key: ChannelKey,
        get: &basic::Get,
        now: Instant,
    ) -> Result<CallId, Error> {
        self.request(key, get, Then::Get { no_ack: get.no_ack }, now)
    }

    fn request<R: Request>(
        &mut self,
        key: ChannelKey,
        request: &R,
        then: Then,
        now: Instant,
    ) -> Result<CallId, Error> {
        self.check_channel(key)?;
        self.request_unchecked(key, request, then, now)
    }

    /// As [`request`](Self::request), whether the program may use the channel or not.
    fn request_unchecked<R: Request>(
        &mut self,
        key: ChannelKey,
        request: &R,
        then: Then,
        now: Instant,
    ) -> Result<CallId, Error> {
        self.write(key, request)?;
        let call = self.calls.begin(R::NAME, now);
        if let Some(channel) = self.channels.get_mut(key) {
            channel.counts.calls += 1;
            channel.due.push_back(Due { replies: R::Reply::METHODS, call, then });
        }
        self.attention = true;
        Ok(call)
    }

    /// Waits for the answer to a call.
    pub(crate) fn poll_call(
        &mut self,
        call: CallId,
        cx: &Context<'_>,
    ) -> Poll<Result<Answer, Error>> {
        self.calls.poll(call, cx)
    }

    /// Gives a call up. A message that was got for it goes back to its queue.
    pub(crate) fn abandon_call(&mut self, key: ChannelKey, call: CallId, no_ack: bool) {
        if let Some(Ok(Answer::Message(incoming, _))) = self.calls.abandon(call)
            && !no_ack
        {
            self.requeue(key, incoming.epoch, incoming.delivery_tag);
        }
    }

    /// Settles one delivery of an instance of the channel, or with `multiple` all up to it. What an
    /// earlier `multiple` has settled is not settled again: the server would close the channel.
    pub(crate) fn settle<M: Method>(
        &mut self,
        key: ChannelKey,
        (epoch, delivery_tag): (u32, u64),
        multiple: bool,
        method: &M,
    ) -> Result<(), Error> {
        self.check_channel(key)?;
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        if epoch != channel.epoch {
            return Err(Error::StaleDelivery { channel: channel.number, delivery_tag });
        }
        // While the server recovers, it takes back all that has come.
        if delivery_tag <= channel.settled_through || channel.recovering > 0 {
            return Ok(());
        }
        channel.count_settled(delivery_tag, multiple, M::ID == basic::Ack::ID);
        let waits = channel.acks.is_some();
        if waits && self.keep_ack::<M>(key, delivery_tag, multiple) {
            return Ok(());
        }
        // Not before what waits was sent: that would stand for what this is about.
        if multiple && let Some(channel) = self.channels.get_mut(key) {
            channel.settled_through = delivery_tag;
        }
        self.send(key, method)
    }

    /// Sends a delivery back to its queue. When its instance of the channel was closed, the server has
    /// done so itself.
    fn requeue(&mut self, key: ChannelKey, epoch: u32, delivery_tag: u64) {
        let reject = basic::Reject { delivery_tag, requeue: true };
        let _ = self.settle(key, (epoch, delivery_tag), false, &reject);
    }
}
