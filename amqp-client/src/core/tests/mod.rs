//! The core against a scripted server, in virtual time.
//!
//! [`Script`] owns a core and its clock. It feeds what the server says, whole or cut to pieces, and
//! decodes what the client says. Nothing here waits, and no test depends on the machine's speed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod acks;
mod body_fuzz;
mod calls;
mod channels;
mod close;
mod confirms;
mod consumers;
mod content;
mod counting;
mod events;
mod flow;
mod fuzz;
mod handshake;
mod heartbeats;
mod hostile;
mod model;
mod modes;
mod no_wait;
mod prepared;
mod refresh;
mod reopen;
mod returns;
pub(crate) mod rules;
mod stalls;
mod streamed;
mod terms;
mod topology;
mod waits;
mod window_model;
mod windows;

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use amqp091::content::{Content, ContentHeader, RawProperties};
use amqp091::encode;
use amqp091::frame::{self, FrameKind, FrameLimits, FrameRef, Parsed};
use amqp091::protocol::{ReplyCode, ToClient, ToServer, basic, channel, connection};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{FieldTable, LongStr, Method, ShortStr};
use bytes::{Buf, Bytes, BytesMut};

use super::publish::{Outgoing, PublishWait, Published, Terms};
use super::{Answer, CallId, ChannelKey, ConfirmKey, ConsumerKey, Core, End, Incoming, Message};
use super::{Transmit, WaiterKey};
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::publish::{Body, Outcome};

const SECOND: Duration = Duration::from_secs(1);

/// A frame that the client sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sent {
    ProtocolHeader,
    Method(u16, ToServer),
    Header { channel: u16, body_size: u64, properties: Octets },
    Body(u16, Octets),
    Heartbeat,
}

/// Octets that don't fill the screen when a test fails.
#[derive(Clone, PartialEq)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(octets) = self;
        let shown = octets[..octets.len().min(40)].escape_ascii();
        write!(f, "{} octets \"{shown}\"", octets.len())
    }
}

impl Sent {
    /// A frame as a server reads it.
    pub(crate) fn from_frame(frame: FrameRef<'_>) -> Self {
        let FrameRef { kind, channel, payload } = frame;
        match kind {
            FrameKind::Method => {
                let method = ToServer::from_payload(payload).expect("a method for servers");
                Self::Method(channel, method)
            }
            FrameKind::Header => {
                let header = ContentHeader::parse(payload).expect("a header");
                let (body_size, properties) = (header.body_size, Octets(header.properties.into()));
                Self::Header { channel, body_size, properties }
            }
            FrameKind::Body => Self::Body(channel, Octets(payload.into())),
            FrameKind::Heartbeat => Self::Heartbeat,
        }
    }
}

fn sent(channel: u16, method: impl Into<ToServer>) -> Sent {
    Sent::Method(channel, method.into())
}

/// Publishing without terms, step by step.
impl Core {
    /// `None`: it must wait. The inner value is the place of the outcome, if one is wanted.
    fn publish(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
    ) -> Result<Option<Option<ConfirmKey>>, Error> {
        Ok(self.publish_by(key, message, None)?.map(place_of))
    }

    fn poll_publish(
        &mut self,
        key: ChannelKey,
        message: &impl Outgoing,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<ConfirmKey>, Error>> {
        let mut wait = PublishWait { room: waiter.take(), ..PublishWait::default() };
        let terms = (Terms::default(), None);
        let published = self.poll_publish_by(key, message, terms, &mut wait, cx);
        *waiter = wait.room;
        published.map_ok(place_of)
    }
}

fn place_of(published: Published) -> Option<ConfirmKey> {
    match published {
        Published::Confirm(place) => Some(place),
        Published::Unwatched | Published::Counted(_) => None,
    }
}

/// A core, its clock, and the server at the other end.
struct Script {
    core: Core,
    base: Instant,
    /// The virtual time since the beginning.
    time: Duration,
    /// The server's octets reach the core in pieces of this many.
    step: usize,
    /// The server's frame-max.
    frame_max: u32,
    /// Octets that the core has left: the beginning of a frame.
    input: BytesMut,
    /// What the client sent, and when, as far as the test hasn't looked at it.
    log: VecDeque<(Duration, Sent)>,
    /// Whether the socket takes what the client wants to write.
    writable: bool,
}

impl Script {
    /// A connection that has just begun.
    fn begin(options: ConnectOptions) -> Self {
        let base = Instant::now();
        let deadline = base + options.connect_timeout;
        Self {
            core: Core::new(options, base, deadline),
            base,
            time: Duration::ZERO,
            step: usize::MAX,
            frame_max: 131_072,
            input: BytesMut::new(),
            log: VecDeque::new(),
            writable: true,
        }
    }

    /// An open connection, without heartbeats.
    fn open() -> Self {
        Self::open_with(ConnectOptions::default(), (2047, 131_072, 0))
    }

    /// An open connection whose server proposes (channel-max, frame-max, heartbeat).
    fn open_with(options: ConnectOptions, tune: (u16, u32, u16)) -> Self {
        let mut script = Self::begin(options);
        script.method(0, start("PLAIN AMQPLAIN"));
        let (channel_max, frame_max, heartbeat) = tune;
        script.method(0, connection::Tune { channel_max, frame_max, heartbeat });
        script.method(0, connection::OpenOk {});
        if frame_max != 0 {
            script.frame_max = frame_max;
        }
        assert!(matches!(script.opened(), Poll::Ready(Ok(()))));
        script.sent();
        script
    }

    fn now(&self) -> Instant {
        self.base + self.time
    }

    /// Lets the server say these octets.
    fn feed(&mut self, octets: &[u8]) {
        let now = self.now();
        for piece in octets.chunks(self.step) {
            self.input.extend_from_slice(piece);
            self.core.handle_input(&mut self.input, now);
            self.wake();
        }
    }

    /// Lets the server send a method.
    fn method(&mut self, channel: u16, method: impl Method) {
        self.feed(&method_frame(channel, &method));
    }

    /// Lets the server send a method with a content.
    fn content(&mut self, channel: u16, method: impl Method, body: &[u8]) {
        self.feed(&content_frames(channel, &method, body, self.frame_max));
    }

    /// Lets the server deliver a message to a consumer.
    fn deliver(&mut self, channel: u16, tag: &str, delivery_tag: u64, body: &[u8]) {
        self.content(channel, delivery(tag, delivery_tag), body);
    }

    /// Lets time pass, with a look at each deadline on the way, and takes what is sent meanwhile.
    fn advance(&mut self, by: Duration) {
        let end = self.time + by;
        for looks in 0.. {
            assert!(looks < 10_000, "the core asks for the same deadline again and again");
            self.take();
            let now = self.now();
            let Some(next) = self.core.next_deadline(now) else { break };
            let next = next.saturating_duration_since(self.base).max(self.time);
            if next > end {
                break;
            }
            self.time = next;
            self.core.handle_timeout(self.now());
            self.wake();
        }
        self.time = end;
        self.take();
    }

    /// What the client sent since the last look.
    fn sent(&mut self) -> Vec<Sent> {
        self.timed().into_iter().map(|(_, sent)| sent).collect()
    }

    /// What the client sent since the last look, and when it did.
    fn timed(&mut self) -> Vec<(Duration, Sent)> {
        self.take();
        self.log.drain(..).collect()
    }

    /// Lets the socket take all that the core has.
    fn take(&mut self) {
        while self.writable && self.core.has_output() {
            self.take_once();
        }
        self.wake();
    }

    /// Lets the socket take what the core hands out at once.
    fn take_once(&mut self) {
        let mut transmit = Transmit::default();
        self.core.take_output(&mut transmit, self.now());
        self.wake();
        assert!(!transmit.is_empty(), "there is output, but nothing is handed out");
        let mut wire = Vec::new();
        while !transmit.is_empty() {
            let mut slices = [IoSlice::new(&[]); Transmit::SLICES];
            let filled = transmit.slices(&mut slices);
            let before = wire.len();
            slices[..filled].iter().for_each(|slice| wire.extend_from_slice(slice));
            let count = wire.len() - before;
            assert!(count > 0, "something is left, but nothing is offered");
            transmit.advance(count);
        }
        let mut rest = &wire[..];
        if self.time.is_zero() && rest.starts_with(&ProtocolHeader::AMQP_0_9_1.to_bytes()) {
            rest.advance(ProtocolHeader::LEN);
            self.log.push_back((self.time, Sent::ProtocolHeader));
        }
        while !rest.is_empty() {
            let parsed = frame::parse(rest, FrameLimits::from_frame_max(1 << 30)).expect("a frame");
            let Parsed::Frame { frame, consumed } = parsed else {
                panic!("the core hands out whole frames only")
            };
            rest.advance(consumed);
            self.log.push_back((self.time, Sent::from_frame(frame)));
        }
    }

    /// Wakes whoever is to be woken, as the shell does after each step.
    fn wake(&mut self) {
        self.core.wakes.drain(..).for_each(Waker::wake);
    }

    fn opened(&mut self) -> Poll<Result<(), crate::error::ConnectError>> {
        self.core.poll_open(&Context::from_waker(Waker::noop()))
    }

    /// Opens a channel; the server agrees.
    fn channel(&mut self) -> ChannelKey {
        let now = self.now();
        let (key, number, call) = self.core.open_channel(now).expect("a free channel");
        assert!(self.sent().contains(&sent(number, channel::Open {})));
        self.method(number, channel::OpenOk {});
        assert!(matches!(self.answer(call), Ok(ToClient::ChannelOpenOk(_))));
        key
    }

    /// Begins a call that is answered by `basic.qos-ok`.
    fn qos(&mut self, channel: ChannelKey) -> CallId {
        let now = self.now();
        self.core.call(channel, &basic::Qos::default(), now).expect("an open channel")
    }

    fn poll_call(&mut self, call: CallId) -> Poll<Result<Answer, Error>> {
        let answer = self.core.poll_call(call, &Context::from_waker(Waker::noop()));
        self.wake();
        answer
    }

    /// The answer to a call, which must be there.
    fn answer(&mut self, call: CallId) -> Result<ToClient, Error> {
        match self.poll_call(call) {
            Poll::Ready(Ok(Answer::Method(method))) => Ok(method),
            Poll::Ready(Err(error)) => Err(error),
            other => panic!("{other:?} instead of an answer"),
        }
    }

    /// Starts a consumer; the server agrees.
    fn consume(
        &mut self,
        channel: ChannelKey,
        number: u16,
        tag: &str,
        no_ack: bool,
    ) -> ConsumerKey {
        let now = self.now();
        let consume = consume(tag, no_ack);
        let (consumer, call) = self.core.consume(channel, &consume, now).expect("a free tag");
        assert!(self.sent().contains(&sent(number, consume)));
        self.method(number, basic::ConsumeOk { consumer_tag: short(tag) });
        assert!(matches!(self.answer(call), Ok(ToClient::BasicConsumeOk(_))));
        consumer
    }

    /// What was delivered to a consumer since the last look, or how it ended.
    fn deliveries(&mut self, consumer: ConsumerKey) -> Poll<Result<Vec<Incoming>, End>> {
        let mut batch = VecDeque::new();
        let cx = &Context::from_waker(Waker::noop());
        match self.core.poll_deliveries(consumer, &mut batch, cx) {
            Poll::Ready(None) => Poll::Ready(Ok(batch.into())),
            Poll::Ready(Some(end)) => Poll::Ready(Err(end)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The delivery tags of what was delivered to a consumer since the last look.
    fn delivered(&mut self, consumer: ConsumerKey) -> Vec<u64> {
        match self.deliveries(consumer) {
            Poll::Ready(Ok(batch)) => batch.iter().map(|incoming| incoming.delivery_tag).collect(),
            Poll::Pending => Vec::new(),
            Poll::Ready(Err(end)) => panic!("the consumer ended: {end:?}"),
        }
    }

    /// Publishes and takes a place for the outcome.
    fn publish(&mut self, channel: ChannelKey, routing_key: &str, body: &[u8]) -> ConfirmKey {
        self.try_publish(channel, &message(routing_key, body)).expect("no wait").expect("a place")
    }

    /// Publishes a mandatory message.
    fn mandatory(&mut self, channel: ChannelKey, routing_key: &str, body: &[u8]) -> ConfirmKey {
        let mut message = message(routing_key, body);
        message.method.mandatory = true;
        self.try_publish(channel, &message).expect("no wait").expect("a place")
    }

    /// Publishes without a place for the outcome.
    fn unwatched(&mut self, channel: ChannelKey, routing_key: &str, body: &[u8]) {
        let message = Message { watched: false, ..message(routing_key, body) };
        assert_eq!(self.try_publish(channel, &message), Some(None));
    }

    /// `None`: it must wait.
    fn try_publish(
        &mut self,
        channel: ChannelKey,
        message: &Message<'_>,
    ) -> Option<Option<ConfirmKey>> {
        let published = self.core.publish(channel, message).expect("an open channel");
        self.wake();
        published
    }

    /// A published message's outcome, `None` while there is none.
    fn outcome(&mut self, channel: ChannelKey, place: ConfirmKey) -> Option<Outcome> {
        match self.core.poll_confirm(channel, place, &Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Outcomes in one letter each: Confirmed, Returned, Nacked, Unknown, or `-` for none yet.
    fn outcomes(&mut self, channel: ChannelKey, places: &[ConfirmKey]) -> String {
        places.iter().map(|&place| letter(self.outcome(channel, place).as_ref())).collect()
    }

    fn ack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        self.method(channel, basic::Ack { delivery_tag, multiple });
    }

    fn nack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        self.method(channel, basic::Nack { delivery_tag, multiple, requeue: false });
    }

    /// Lets the server return a message.
    fn give_back(&mut self, channel: u16, routing_key: &str, body: &[u8]) {
        let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
        let (exchange, routing_key) = (ShortStr::empty(), short(routing_key));
        let method = basic::Return { reply_code, reply_text, exchange, routing_key };
        self.content(channel, method, body);
    }

    /// The reply code of the `connection.close` that the client sends as its last frame, after which
    /// the socket is closed.
    fn gave_up_with(&mut self) -> ReplyCode {
        let sent = self.sent();
        assert!(self.core.is_closed(true), "the connection goes on: {sent:?}");
        match sent.last() {
            Some(Sent::Method(0, ToServer::ConnectionClose(close))) => close.reply_code,
            other => panic!("{other:?} instead of connection.close"),
        }
    }
}

/// A waker that remembers whether it was used.
#[derive(Default)]
pub(crate) struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Alarm {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let alarm = Arc::new(Self::default());
        (Arc::clone(&alarm), Waker::from(alarm))
    }

    /// Whether it was woken since the last look, which this is not.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it was woken since the last look.
    pub(crate) fn rang(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

pub(crate) fn short(text: &str) -> ShortStr {
    ShortStr::new(text).expect("at most 255 octets")
}

fn letter(outcome: Option<&Outcome>) -> char {
    match outcome {
        None => '-',
        Some(Outcome::Confirmed) => 'C',
        Some(Outcome::Returned(_)) => 'R',
        Some(Outcome::Nacked) => 'N',
        Some(Outcome::Unknown(_)) => 'U',
    }
}

pub(crate) fn start(mechanisms: &str) -> connection::Start {
    connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: FieldTable::new(),
        mechanisms: LongStr::from(mechanisms),
        locales: LongStr::from("en_US"),
    }
}

fn consume(tag: &str, no_ack: bool) -> basic::Consume {
    basic::Consume { queue: short("q"), consumer_tag: short(tag), no_ack, ..Default::default() }
}

pub(crate) fn delivery(tag: &str, delivery_tag: u64) -> basic::Deliver {
    let (exchange, routing_key) = (ShortStr::empty(), short("q"));
    basic::Deliver {
        consumer_tag: short(tag),
        delivery_tag,
        redelivered: false,
        exchange,
        routing_key,
    }
}

/// A message as a consumer's handle keeps it until it is fetched.
fn incoming(delivery_tag: u64) -> Incoming {
    let (exchange, routing_key) = (ShortStr::empty(), short("q"));
    let content = Content { properties: RawProperties::default(), body: Bytes::new() };
    Incoming { delivery_tag, epoch: 0, redelivered: false, exchange, routing_key, content }
}

fn publish_to(routing_key: &str) -> basic::Publish {
    let (exchange, routing_key) = (ShortStr::empty(), short(routing_key));
    basic::Publish { exchange, routing_key, mandatory: false, immediate: false }
}

fn message<'a>(routing_key: &str, body: &'a [u8]) -> Message<'a> {
    let (method, body) = (publish_to(routing_key), Body::Borrowed(body));
    Message { method, properties: None, persistent: false, body, watched: true }
}

pub(crate) fn channel_close(code: ReplyCode) -> channel::Close {
    channel::Close { reply_code: code, reply_text: short("so"), class_id: 60, method_id: 40 }
}

pub(crate) fn connection_close(code: ReplyCode) -> connection::Close {
    connection::Close { reply_code: code, reply_text: short("so"), class_id: 0, method_id: 0 }
}

pub(crate) fn method_frame(channel: u16, method: &impl Method) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::method(&mut out, channel, method).expect("it encodes");
    out.into()
}

pub(crate) fn header_frame(channel: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::raw_header(&mut out, channel, basic::CLASS_ID, body_size, properties);
    out.into()
}

pub(crate) fn body_frame(channel: u16, octets: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::body_frame(&mut out, channel, octets);
    out.into()
}

pub(crate) fn content_frames(
    channel: u16,
    method: &impl Method,
    body: &[u8],
    frame_max: u32,
) -> Vec<u8> {
    let mut frames = method_frame(channel, method);
    frames.extend(header_frame(channel, body.len() as u64, &[0, 0]));
    let mut out = BytesMut::new();
    encode::body(&mut out, channel, body, frame_max);
    frames.extend_from_slice(&out);
    frames
}
