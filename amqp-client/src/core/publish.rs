//! Publishing: a message goes to the pending output whole or not at all, and gets its confirm tag in
//! the same step.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use amqp091::encode;
use amqp091::protocol::{basic, confirm};
use amqp091::types::ShortStr;
use bytes::{Bytes, BytesMut};

use super::confirms::{Confirms, Fingerprint};
use super::output::{LARGE_BODY, check_frame};
use super::tally::Ticket;
use super::timers::TimerKey;
use super::{ChannelKey, ConfirmKey, Core, TallyKey, WaiterKey};
use crate::error::Error;
use crate::options::LONGEST;
use crate::publish::{BatchOutcome, Body, Outcome};

/// The delivery mode of a message that survives a restart of the server in a durable queue.
const PERSISTENT: u8 = 2;

/// Who learns what becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Watch {
    /// Nobody: the channel need not be in confirm mode.
    Nobody,
    /// Whoever holds its [`ConfirmKey`].
    Confirm,
    /// A tally, which may let it wait.
    Tally(TallyKey),
}

/// How long a message may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// To be published: to wait for room, or for the server to lift a block.
    pub(crate) publish: Option<Duration>,
    /// To be confirmed, in place of the connection's timeout.
    pub(crate) confirm: Option<Duration>,
}

impl Terms {
    /// Whether they need a clock.
    pub(crate) fn are_set(&self) -> bool {
        self.publish.is_some() || self.confirm.is_some()
    }
}

/// A publish that waits.
#[derive(Debug, Default)]
pub(crate) struct PublishWait {
    pub(super) room: Option<WaiterKey>,
    pub(super) ticket: Option<(TallyKey, Ticket)>,
    pub(super) timer: Option<TimerKey>,
}

impl PublishWait {
    /// Whether there is anything to give up.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.room.is_some() || self.ticket.is_some() || self.timer.is_some()
    }
}

/// What became of trying to publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Published {
    /// It went out, and nobody is told its outcome.
    Unwatched,
    /// Its outcome will be in this place.
    Confirm(ConfirmKey),
    /// A tally counts it by this number.
    Counted(u64),
}

/// Something to publish, as its caller holds it.
pub(crate) trait Outgoing {
    /// Appends all but the body.
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error>;

    /// Exchange and routing key of a message that may come back.
    fn address(&self) -> Option<(ShortStr, ShortStr)>;

    fn body(&self) -> &Body<'_>;

    fn watch(&self) -> Watch;
}

/// A message whose parts are encoded as it is published.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) method: basic::Publish,
    pub(crate) properties: Option<&'a basic::Properties>,
    pub(crate) body: Body<'a>,
    /// Whether its delivery mode is "persistent", whatever the properties say.
    pub(crate) persistent: bool,
    /// Whether somebody waits for the outcome; else the channel need not be in confirm mode.
    pub(crate) watched: bool,
}

impl Outgoing for Message<'_> {
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error> {
        let properties = (self.properties, self.persistent);
        encode_message(out, number, body_size, &self.method, properties, frame_max)
    }

    fn address(&self) -> Option<(ShortStr, ShortStr)> {
        address(&self.method)
    }

    fn body(&self) -> &Body<'_> {
        &self.body
    }

    fn watch(&self) -> Watch {
        if self.watched { Watch::Confirm } else { Watch::Nobody }
    }
}

impl Core {
    /// Publishes `message`, or waits: for room, or for the server to lift a block. `now` is needed for
    /// terms that are set.
    pub(crate) fn poll_publish_by(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        terms: (Terms, Option<Instant>),
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Poll<Result<Published, Error>> {
        let (Terms { publish, confirm }, now) = terms;
        let confirm = now.zip(confirm);
        match self.try_publish(key, message, confirm, wait, cx) {
            Ok(Some(published)) => {
                self.forget_publish(wait);
                return Poll::Ready(Ok(published));
            }
            Ok(None) => {}
            Err(error) => return self.publish_failed(wait, error),
        }
        match self.poll_wait(now.zip(publish), wait, cx) {
            Ok(()) => Poll::Pending,
            Err(error) => self.publish_failed(wait, error),
        }
    }

    /// Its place in a queue is the next one's at once, however long the future is kept.
    #[cold]
    fn publish_failed<T>(
        &mut self,
        wait: &mut PublishWait,
        error: Error,
    ) -> Poll<Result<T, Error>> {
        self.forget_publish(wait);
        Poll::Ready(Err(error))
    }

    /// Goes on with a wait that may take only so long.
    ///
    /// # Errors
    ///
    /// [`Error::PublishTimeout`] when it has taken that long.
    pub(super) fn poll_wait(
        &mut self,
        limit: Option<(Instant, Duration)>,
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let Some((now, after)) = limit else { return Ok(()) };
        match self.poll_deadline(&mut wait.timer, (now, after), cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(Error::PublishTimeout { after }),
        }
    }

    /// Waits for a time that began with the first look, and is over so long after. Whoever gives it up
    /// stops the timer.
    pub(crate) fn poll_deadline(
        &mut self,
        timer: &mut Option<TimerKey>,
        (now, after): (Instant, Duration),
        cx: &Context<'_>,
    ) -> Poll<()> {
        match *timer {
            None => {
                *timer = Some(self.timers.start(now + after.min(LONGEST), cx.waker()));
                self.attention = true;
                Poll::Pending
            }
            Some(timer) if self.timers.wait(timer, cx.waker()) => Poll::Pending,
            Some(_) => Poll::Ready(()),
        }
    }

    /// Ends such a wait.
    pub(crate) fn stop_timer(&mut self, timer: TimerKey) {
        self.timers.stop(timer);
    }

    fn try_publish(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        confirm: Option<(Instant, Duration)>,
        wait: &mut PublishWait,
        cx: &Context<'_>,
    ) -> Result<Option<Published>, Error> {
        if let Watch::Tally(tally) = message.watch() {
            // Whoever can't publish any more need not wait for room.
            self.check_channel(key)?;
            let mut ticket = wait.ticket.map(|(_, ticket)| ticket);
            let room = self.tallies.poll_room(tally, &mut ticket, cx);
            wait.ticket = ticket.map(|ticket| (tally, ticket));
            match room {
                Poll::Ready(room) => room?,
                Poll::Pending => {
                    // Room can only come from the socket.
                    self.attention |= !self.reading;
                    return Ok(None);
                }
            }
        }
        let published = self.publish_by(key, message, confirm)?;
        if published.is_none() {
            self.publishers.wait(&mut wait.room, cx.waker());
            // The server's leave to publish can only come if the socket is read.
            self.attention |= !self.reading;
        }
        Ok(published)
    }

    /// Gives up waiting for room.
    pub(crate) fn forget_publisher(&mut self, waiter: WaiterKey) {
        self.publishers.forget(waiter);
    }

    /// Gives up waiting to publish.
    pub(crate) fn forget_publish(&mut self, wait: &mut PublishWait) {
        if let Some(room) = wait.room.take() {
            self.publishers.forget(room);
        }
        if let Some((tally, ticket)) = wait.ticket.take() {
            self.tallies.leave_queue(tally, ticket, &mut self.wakes);
        }
        if let Some(timer) = wait.timer.take() {
            self.timers.stop(timer);
        }
    }

    /// Publishes `message`; `None` when that must wait. `confirm` is the time and how long from then its
    /// confirm may take.
    pub(super) fn publish_by(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        confirm: Option<(Instant, Duration)>,
    ) -> Result<Option<Published>, Error> {
        self.check_open()?;
        let is_full = self.is_full() || self.blocked.is_some();
        let Some(channel) = self.channels.get_mut(key) else { return Ok(None) };
        channel.check_open()?;
        if is_full || !channel.flow || channel.hold.is_some() || channel.open_body.is_some() {
            return Ok(None);
        }
        let number = channel.number;
        let watch = message.watch();
        let select_confirms = watch != Watch::Nobody && channel.confirms.is_none();
        if select_confirms {
            channel.check_mode::<confirm::Select>()?;
        }
        let body = message.body();
        let body_size = body.len();
        let is_large = body_size >= LARGE_BODY;
        let frame_max = self.output.frame_max();
        self.output.channel(number, |out| {
            let begin = out.len();
            if select_confirms {
                // Without an answer to wait for: should the server refuse, it closes the channel.
                encode::method(out, number, &confirm::Select { no_wait: true })?;
            }
            message
                .encode(out, number, body_size as u64, frame_max)
                .inspect_err(|_| out.truncate(begin))?;
            if !is_large {
                encode::body(out, number, &body.beginning(body_size), frame_max);
            }
            Ok::<_, Error>(())
        })?;
        if is_large {
            match body {
                Body::Pieces(pieces) => self.output.pieces(number, pieces.clone(), 0),
                body => self.output.large_body(number, body.to_bytes()),
            }
        }

        channel.counts.frames_out += frames(select_confirms, body_size as u64, frame_max);
        if select_confirms {
            channel.confirms = Some(Box::new(Confirms::new(channel.epoch)));
        }
        let address = message.address();
        let fingerprint = || Fingerprint::of_body(body);
        Ok(Some(self.note_published(key, watch, address, fingerprint, confirm)))
    }

    /// Gives out the confirm tag of a message that was just queued.
    #[inline]
    pub(super) fn note_published(
        &mut self,
        key: ChannelKey,
        watch: Watch,
        address: Option<(ShortStr, ShortStr)>,
        fingerprint: impl FnOnce() -> Fingerprint,
        confirm: Option<(Instant, Duration)>,
    ) -> Published {
        let Some(channel) = self.channels.get_mut(key) else { return Published::Unwatched };
        channel.counts.published += 1;
        let Some(confirms) = &mut channel.confirms else { return Published::Unwatched };
        let delivery_tag = confirms.next_tag();
        let published = match watch {
            Watch::Confirm => Published::Confirm(confirms.push()),
            Watch::Nobody => {
                confirms.push_unwatched();
                Published::Unwatched
            }
            Watch::Tally(tally) => {
                let epoch = channel.epoch;
                let below = (epoch, confirms.settled_below());
                confirms.push_counted(tally);
                Published::Counted(self.tallies.published(tally, (epoch, delivery_tag), below))
            }
        };
        if let Some((exchange, routing_key)) = address {
            confirms.mandatory(delivery_tag, exchange, routing_key, fingerprint());
        }
        if let Some((now, after)) = confirm {
            confirms.deadline(delivery_tag, now + after.min(LONGEST), after);
            self.attention = true;
        }
        // The confirm can only come if the socket is read.
        self.attention |= !self.reading;
        if !channel.confirming {
            channel.confirming = true;
            self.confirming.push(key);
            // Its deadline begins when the shell looks, which it must even if the socket is stuck.
            self.attention = true;
        }
        published
    }

    /// A tally of which `limit` messages may be outstanding, and that takes no more when `failures` have
    /// failed.
    pub(crate) fn open_tally(&mut self, limit: usize, failures: usize) -> TallyKey {
        self.tallies.open(limit, failures)
    }

    /// Gives up a tally: what is outstanding goes on.
    pub(crate) fn release_tally(&mut self, tally: TallyKey) {
        self.tallies.release(tally);
    }

    /// Waits until nothing of a tally is outstanding, and takes what became of its messages.
    pub(crate) fn poll_settled(
        &mut self,
        tally: TallyKey,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<BatchOutcome> {
        let settled = self.tallies.poll_settled(tally, waiter, cx);
        settled.map(|()| self.take_outcome(tally))
    }

    /// Gives up waiting until nothing of a tally is outstanding.
    pub(crate) fn forget_settled(&mut self, tally: TallyKey, waiter: WaiterKey) {
        self.tallies.forget_settled(tally, waiter);
    }

    /// Takes what is known to have become of a tally's messages since the last time.
    pub(crate) fn take_outcome(&mut self, tally: TallyKey) -> BatchOutcome {
        self.tallies.take_outcome(tally, &mut self.wakes)
    }

    /// How many messages of a tally are outstanding.
    pub(crate) fn outstanding(&mut self, tally: TallyKey) -> usize {
        self.tallies.outstanding(tally)
    }

    /// Waits for a published message's outcome.
    pub(crate) fn poll_confirm(
        &mut self,
        key: ChannelKey,
        place: ConfirmKey,
        cx: &Context<'_>,
    ) -> Poll<Outcome> {
        let Some(channel) = self.channels.get_mut(key) else { return Poll::Pending };
        channel
            .with_confirms(place.epoch, |confirms| confirms.poll(place, cx))
            .unwrap_or(Poll::Pending)
    }

    /// Gives up waiting for a published message's outcome.
    pub(crate) fn forget_confirm(&mut self, key: ChannelKey, place: ConfirmKey) {
        if let Some(channel) = self.channels.get_mut(key) {
            channel.with_confirms(place.epoch, |confirms| confirms.forget(place));
        }
    }
}

/// A message whose outcome a tally counts.
#[derive(Debug)]
pub(crate) struct Counted<'a, M> {
    pub(crate) message: &'a M,
    pub(crate) tally: TallyKey,
}

impl<M: Outgoing> Outgoing for Counted<'_, M> {
    fn encode(
        &self,
        out: &mut BytesMut,
        number: u16,
        body_size: u64,
        frame_max: u32,
    ) -> Result<(), Error> {
        self.message.encode(out, number, body_size, frame_max)
    }

    fn address(&self) -> Option<(ShortStr, ShortStr)> {
        self.message.address()
    }

    fn body(&self) -> &Body<'_> {
        self.message.body()
    }

    fn watch(&self) -> Watch {
        Watch::Tally(self.tally)
    }
}

/// Exchange and routing key of a message that may come back.
pub(crate) fn address(method: &basic::Publish) -> Option<(ShortStr, ShortStr)> {
    let basic::Publish { exchange, routing_key, mandatory, immediate } = method;
    (*mandatory || *immediate).then(|| (exchange.clone(), routing_key.clone()))
}

/// Appends all of a message but its body; its properties, with delivery mode 2 if so wanted.
pub(crate) fn encode_message(
    out: &mut BytesMut,
    number: u16,
    body_size: u64,
    method: &basic::Publish,
    (properties, persistent): (Option<&basic::Properties>, bool),
    frame_max: u32,
) -> Result<(), Error> {
    encode::method(out, number, method)?;
    let begin = out.len();
    encode_header(out, number, body_size, properties, persistent)?;
    check_frame("the message's properties", out.len() - begin, frame_max)
}

/// Appends a content header.
pub(super) fn encode_header(
    out: &mut BytesMut,
    number: u16,
    body_size: u64,
    properties: Option<&basic::Properties>,
    persistent: bool,
) -> Result<(), Error> {
    match properties {
        Some(properties) if persistent => {
            let properties = properties.clone().with_delivery_mode(PERSISTENT);
            encode::header(out, number, body_size, &properties)?;
        }
        Some(properties) => encode::header(out, number, body_size, properties)?,
        None => {
            // Flags and values, encoded already.
            let properties: &[u8] = if persistent { &[0x10, 0, PERSISTENT] } else { &[0, 0] };
            encode::raw_header(out, number, basic::CLASS_ID, body_size, properties);
        }
    }
    Ok(())
}

impl Body<'_> {
    /// Copies a large body that is lent; a small one is copied when it is encoded.
    pub(crate) fn keep_if_large(&mut self) {
        if let Self::Borrowed(octets) = self
            && octets.len() >= LARGE_BODY
        {
            *self = Self::Owned(Bytes::copy_from_slice(octets));
        }
    }

    /// The body as a handle that outlives the caller's: copied only where the caller lent it.
    pub(super) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Owned(octets) => octets.clone(),
            other => Bytes::copy_from_slice(&other.beginning(usize::MAX)),
        }
    }
}

/// How many frames a message takes, and the confirm.select before it.
#[inline]
pub(super) fn frames(select_confirms: bool, body_size: u64, frame_max: u32) -> u64 {
    let most = encode::max_body_payload(frame_max) as u64;
    // Small ones are spared a division.
    let body = if body_size <= most { u64::from(body_size > 0) } else { body_size.div_ceil(most) };
    2 + u64::from(select_confirms) + body
}
