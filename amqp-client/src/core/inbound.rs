//! What comes from the server: octets to frames, frames to whoever waits for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use amqp091::content::{Content, ContentError, ContentHeader, RawProperties};
use amqp091::frame::{self, FrameKind, FrameLimits, FrameRef, Parsed};
use amqp091::protocol::{ReplyCode, ToClient, basic, channel, connection};
use amqp091::types::{Decode, Method, MethodError, MethodId, ShortStr};
use bytes::{Buf, Bytes, BytesMut};

use super::calls::Answer;
use super::channels::{Carrier, Channel, Destination, Due, State, Subscription, Then};
use super::confirms::{Audience, Verdict};
use super::consumers::{End, Incoming};
use super::handshake::{Progress, Tuned, server_close};
use super::{ChannelKey, Core, Phase};
use crate::error::{CloseReason, Error, Violation};
use crate::events::ConnectionEvent;
use crate::publish::Returned;
use crate::trace::Event;

/// Octets before a frame's payload.
const HEAD: usize = 7;

/// Body frames up to this many octets are copied out of the read buffer, so that a small message that
/// is kept for long doesn't keep a large buffer; larger ones are slices of it.
const COPY_OUT: usize = 16 * 1024;

/// Small copies share blocks of this many octets: at most that much is kept alive by one of them, and
/// an allocation serves dozens.
const ARENA_BLOCK: usize = 16 * 1024;

/// Copies of more octets than this have an allocation of their own.
const ARENA_COPY: usize = 2048;

impl Core {
    /// Takes what was read, as far as it is whole frames; the rest stays in `input`.
    pub(crate) fn handle_input(&mut self, input: &mut BytesMut, now: Instant) {
        self.traffic.octets_in += input.len().saturating_sub(self.traffic.left_over) as u64;
        self.take_input(input, now);
        self.traffic.left_over = input.len();
    }

    fn take_input(&mut self, input: &mut BytesMut, now: Instant) {
        self.heartbeat.note_read(now);
        if let Phase::Handshake { handshake, .. } = &self.phase {
            match handshake.check_greeting(input) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.give_up(error);
                }
            }
        }
        // How far `input` is read: moving its start for every frame would cost more.
        let mut at = 0;
        while !matches!(self.phase, Phase::Flushing { .. } | Phase::Closed) {
            let handled = match frame::parse(&input[at..], self.limits) {
                Ok(Parsed::Frame {
                    frame: FrameRef { kind: FrameKind::Body, channel, payload },
                    ..
                }) if payload.len() > COPY_OUT => {
                    let len = payload.len();
                    input.advance(at + HEAD);
                    let body = input.split_to(len).freeze();
                    input.advance(frame::OVERHEAD - HEAD);
                    at = 0;
                    self.traffic.frames_in += 1;
                    self.handle_body(channel, body, now)
                }
                Ok(Parsed::Frame { frame, consumed }) => {
                    at += consumed;
                    self.traffic.frames_in += 1;
                    self.handle_frame(frame, now)
                }
                Ok(Parsed::Incomplete { .. }) => {
                    input.advance(at);
                    return;
                }
                Err(error) => {
                    if let Phase::Handshake { handshake, .. } = &self.phase {
                        let error = handshake.bad_frame(error, &input[at..]);
                        self.give_up(error);
                        break;
                    }
                    Err(error.into())
                }
            };
            if let Err(violation) = handled {
                self.violation(violation, now);
            }
        }
        // What comes behind the end is nobody's.
        input.clear();
    }

    fn handle_frame(&mut self, frame: FrameRef<'_>, now: Instant) -> Result<(), Violation> {
        let FrameRef { kind, channel, payload } = frame;
        match kind {
            FrameKind::Method if channel == 0 => {
                self.handle_connection(ToClient::from_payload(payload)?, now)
            }
            FrameKind::Method => self.handle_method(channel, payload, now),
            FrameKind::Header => self.handle_header(channel, payload, now),
            FrameKind::Body => {
                let body = copy_out(&mut self.arena, payload);
                self.handle_body(channel, body, now)
            }
            FrameKind::Heartbeat => Ok(()),
        }
    }

    fn handle_connection(&mut self, method: ToClient, now: Instant) -> Result<(), Violation> {
        if let Phase::Handshake { handshake, .. } = &mut self.phase {
            match handshake.handle(method, &self.options, self.output.connection()) {
                Ok(Progress::Continue) => {}
                Ok(Progress::Tuned(tuned)) => {
                    self.tuned = tuned;
                    let limits = FrameLimits::from_frame_max(tuned.frame_max);
                    self.limits = self.options.frame_limits(limits, tuned.frame_max);
                    self.output.set_frame_max(tuned.frame_max);
                    self.channels.set_limit(tuned.channel_max);
                    self.heartbeat.start(tuned.heartbeat, now);
                    let Tuned { channel_max, frame_max, heartbeat } = tuned;
                    self.trace.note(|| Event::Tuned { channel_max, frame_max, heartbeat });
                }
                Ok(Progress::Open(properties)) => {
                    self.server_properties = Arc::new(properties);
                    self.phase = Phase::Open;
                    self.told_open = true;
                    let virtual_host = &self.options.virtual_host;
                    self.trace.note(|| Event::Opened { virtual_host: virtual_host.clone() });
                    self.opened = Some(Ok(()));
                    self.wakes.extend(self.open_waker.take());
                }
                Err(error) => {
                    self.refuse(error);
                    // An answer to the server's close may be left to write.
                    self.phase = Phase::Flushing { deadline: now + self.options.close_timeout };
                }
            }
            return Ok(());
        }
        match method {
            ToClient::ConnectionClose(close) => {
                self.closed_by_server(CloseReason::ByServer(server_close(close)), now);
            }
            ToClient::ConnectionCloseOk(_) if matches!(self.phase, Phase::Closing { .. }) => {
                self.finish_close();
            }
            ToClient::ConnectionBlocked(connection::Blocked { reason }) => {
                let (since, known) = self.blocked.take().unzip();
                if known.as_ref() != Some(&reason) {
                    self.tell(ConnectionEvent::Blocked { reason: reason.clone() });
                }
                self.trace.note(|| Event::Blocked { reason: reason.clone() });
                self.blocked = Some((since.unwrap_or(now), reason));
            }
            ToClient::ConnectionUnblocked(_) => {
                if let Some((since, _)) = self.blocked.take() {
                    self.stall.restart(now);
                    self.tell(ConnectionEvent::Unblocked);
                    let pause = now.saturating_duration_since(since);
                    self.traffic.blocked += pause;
                    self.trace.note(|| Event::Unblocked { after: pause });
                    for &key in &self.confirming {
                        if let Some(confirms) = self.channels.confirms_mut(key) {
                            confirms.postpone(pause);
                        }
                    }
                }
                self.publishers.wake_all(&mut self.wakes);
            }
            other => {
                let unexpected = Violation::Unexpected { channel: 0, method: other.id() };
                let call = match other {
                    ToClient::ConnectionUpdateSecretOk(_) => self.secret_updates.pop_front(),
                    _ => None,
                };
                let call = call.ok_or(unexpected)?;
                self.calls.finish(call, Ok(Answer::Method(other)), &mut self.wakes);
                self.check_update(now);
            }
        }
        Ok(())
    }

    fn handle_method(
        &mut self,
        number: u16,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Violation> {
        if self.channels.is_late(number) {
            match payload.get(..4) {
                Some(ids) if ids == OPEN_OK => self.channels.opened(number),
                // The server may refuse to open the next one, or be asked to close it at once.
                Some(ids)
                    if (ids == CLOSE || ids == CLOSE_OK)
                        && self.channels.key_of(number).is_some() => {}
                _ => return Ok(()),
            }
        }
        let key = self.key_of(number)?;
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        channel
            .assembler
            .interrupted()
            .map_err(|source| Violation::Content { channel: number, source })?;
        // Deliveries are by far the most frequent: they are spared the enum of all methods.
        if let Some(arguments) = payload.strip_prefix(&DELIVER) {
            let method = basic::Deliver::decode_all(arguments)
                .map_err(|source| MethodError::Arguments { id: basic::Deliver::ID, source })?;
            return self.handle_deliver(key, method);
        }
        match ToClient::from_payload(payload)? {
            ToClient::BasicAck(basic::Ack { delivery_tag, multiple }) => {
                self.handle_confirm(key, delivery_tag, multiple, Verdict::Ack)
            }
            ToClient::BasicNack(basic::Nack { delivery_tag, multiple, .. }) => {
                self.handle_confirm(key, delivery_tag, multiple, Verdict::Nack)
            }
            ToClient::BasicReturn(method) => self.begin_content(key, Some(Carrier::Return(method))),
            ToClient::BasicCancel(basic::Cancel { consumer_tag, no_wait }) => {
                if !no_wait {
                    let consumer_tag = consumer_tag.clone();
                    let _ = self.send(key, &basic::CancelOk { consumer_tag });
                }
                let error = Error::ConsumerCancelled { tag: consumer_tag.clone() };
                self.end_subscription(key, &consumer_tag, End::Closed(error));
                Ok(())
            }
            ToClient::ChannelFlow(channel::Flow { active }) => {
                channel.flow = active;
                let _ = self.send(key, &channel::FlowOk { active });
                self.publishers.wake_all(&mut self.wakes);
                Ok(())
            }
            ToClient::ChannelClose(close) => {
                self.channel_closed_by_server(key, close, now);
                Ok(())
            }
            ToClient::ChannelCloseOk(_) if matches!(channel.state, State::Closing(_)) => {
                self.channel_close_answered(key, now);
                Ok(())
            }
            reply => {
                if matches!(reply, ToClient::TxCommitOk(_)) {
                    self.committed(key);
                }
                self.handle_reply(key, reply, now)
            }
        }
    }

    fn key_of(&self, number: u16) -> Result<ChannelKey, Violation> {
        self.channels.key_of(number).ok_or(Violation::ChannelNotOpen { channel: number })
    }

    fn handle_deliver(&mut self, key: ChannelKey, method: basic::Deliver) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        let Subscription { to, no_ack } = match channel.subscriptions.find(&method.consumer_tag) {
            // A consumer's deliveries come behind its consume-ok: before, they are of one of that tag
            // that the closed channel had.
            Some(_) if channel.reused && channel.is_starting(&method.consumer_tag) => {
                return self.begin_content(key, None);
            }
            None if channel.reused => return self.begin_content(key, None),
            Some(subscription) => subscription,
            // The server puts everything back when the channel is closed.
            None if matches!(channel.state, State::Closing(_)) => {
                Subscription { to: Destination::Requeue { no_ack: true }, no_ack: true }
            }
            None => {
                let tag = method.consumer_tag;
                return Err(Violation::UnknownConsumer { channel: channel.number, tag });
            }
        };
        self.begin_content(key, Some(Carrier::Deliver { to, no_ack, method }))
    }

    /// Expects a content for `carrier`, or one to be dropped.
    fn begin_content(
        &mut self,
        key: ChannelKey,
        carrier: Option<Carrier>,
    ) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        channel
            .assembler
            .begin(basic::CLASS_ID)
            .map_err(|source| Violation::Content { channel: channel.number, source })?;
        channel.carrier = carrier;
        Ok(())
    }

    fn handle_confirm(
        &mut self,
        key: ChannelKey,
        delivery_tag: u64,
        multiple: bool,
        verdict: Verdict,
    ) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        if channel.stuck {
            // Of messages that were given up with it.
            return Ok(());
        }
        let (number, reused) = (channel.number, channel.reused);
        if verdict == Verdict::Nack {
            self.trace.note(|| Event::Nacked { channel: number, delivery_tag, multiple });
        }
        let Channel { confirms, unclaimed, .. } = channel;
        let (wakes, tallies) = (&mut self.wakes, &mut self.tallies);
        let mut to = Audience { wakes, tallies, unclaimed };
        let settled = confirms
            .as_mut()
            .map(|confirms| confirms.settle(delivery_tag, multiple, verdict, &mut to));
        match settled {
            Some(Ok(())) => Ok(()),
            _ if reused => Ok(()),
            _ => Err(Violation::UnknownConfirm { channel: number, delivery_tag }),
        }
    }

    /// A method that isn't the server's own initiative must be a reply that is due. Replies of one kind
    /// come in the order of their requests; but in RabbitMQ it is the queue that answers
    /// `basic.consume` and `basic.cancel`, and the channel, or another queue, may be faster.
    fn handle_reply(
        &mut self,
        key: ChannelKey,
        reply: ToClient,
        now: Instant,
    ) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        let id = reply.id();
        let is_answered = |due: &Due| match (&due.then, &reply) {
            (Then::Consume { tag }, ToClient::BasicConsumeOk(ok)) => *tag == ok.consumer_tag,
            (Then::Cancel { tag }, ToClient::BasicCancelOk(ok)) => *tag == ok.consumer_tag,
            _ => due.replies.contains(&id),
        };
        let place = channel.due.iter().position(is_answered);
        let Some(due) = place.and_then(|place| channel.due.remove(place)) else {
            return match channel.state {
                // Replies to what was asked before we closed the channel are nobody's.
                State::Closing(_) if reply.has_content() => self.begin_content(key, None),
                State::Closing(_) => Ok(()),
                _ => Err(Violation::Unexpected { channel: channel.number, method: id }),
            };
        };
        if channel.due.is_empty() {
            // Idle channels keep no room for what is asked now and then.
            channel.due = VecDeque::new();
        }
        match due.then {
            Then::Nothing => {}
            Then::Change(changes) => self.record(changes, Some(&reply)),
            Then::Consume { tag } => {
                let destination = channel.subscriptions.destination(&tag);
                if matches!(destination, Some(Destination::Requeue { .. })) {
                    // Its handle was dropped before it had started.
                    self.cancel_unawaited(key, &tag, now);
                }
                self.consumer_started(key, &tag);
            }
            // One that is opened again has its modes to come.
            Then::Open if channel.reopening.is_some() => {}
            Then::Open => {
                channel.state = State::Open;
                let channel = channel.number;
                self.trace.note(|| Event::ChannelOpened { channel });
            }
            Then::Cancel { tag } => self.end_subscription(key, &tag, End::Cancelled),
            Then::Recover => {
                channel.recovering = channel.recovering.saturating_sub(1);
                channel.recovered();
            }
            Then::Get { no_ack } => {
                if let ToClient::BasicGetOk(method) = reply {
                    let carrier = Carrier::Get { call: due.call, no_ack, method };
                    return self.begin_content(key, Some(carrier));
                }
            }
        }
        self.calls.finish(due.call, Ok(Answer::Method(reply)), &mut self.wakes);
        self.step_answered(key, due.call, now);
        Ok(())
    }

    fn handle_header(
        &mut self,
        number: u16,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Violation> {
        if self.channels.is_late(number) {
            return Ok(());
        }
        let key = self.key_of(number)?;
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        let header = ContentHeader::parse(payload).and_then(|header| {
            let properties = match header.properties {
                [0, 0] => RawProperties::default(),
                properties => RawProperties::new(copy_out(&mut self.arena, properties)),
            };
            channel.assembler.header_with(header.class_id, header.body_size, properties)
        });
        self.handle_content(key, header, now)
    }

    fn handle_body(&mut self, number: u16, body: Bytes, now: Instant) -> Result<(), Violation> {
        if self.channels.is_late(number) {
            return Ok(());
        }
        let key = self.key_of(number)?;
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        let content = channel.assembler.body(body);
        self.handle_content(key, content, now)
    }

    /// Hands out a message once it is whole.
    fn handle_content(
        &mut self,
        key: ChannelKey,
        content: Result<Option<Content>, ContentError>,
        now: Instant,
    ) -> Result<(), Violation> {
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        let content = match content {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(()),
            Err(_) if matches!(channel.state, State::Closing(_)) => {
                channel.assembler.reset();
                return Ok(());
            }
            Err(ContentError::TooLarge { body_size, limit }) => {
                let is_return = matches!(channel.carrier, Some(Carrier::Return(_)));
                let reason = CloseReason::BodyTooLarge { body_size, limit };
                let reply_code = ReplyCode::CONTENT_TOO_LARGE;
                match self.close_channel(key, reason.clone(), reply_code, now) {
                    Ok(call) => {
                        let _ = self.calls.abandon(call);
                    }
                    Err(_) => {
                        // The connection is closing already. The rest of the body is skipped.
                        if let Some(channel) = self.channels.get_mut(key) {
                            channel.state = State::Closing(Arc::new(reason));
                        }
                    }
                }
                if is_return
                    && let Err(error) = self.check_channel(key)
                    && let Some(channel) = self.channels.get_mut(key)
                    && let Channel { confirms: Some(confirms), unclaimed, .. } = channel
                {
                    // Which message came back isn't known, and its confirm would now be misread.
                    let (wakes, tallies) = (&mut self.wakes, &mut self.tallies);
                    confirms.fail_all(&error, &mut Audience { wakes, tallies, unclaimed });
                }
                return Ok(());
            }
            Err(source) => return Err(Violation::Content { channel: channel.number, source }),
        };
        let epoch = channel.epoch;
        match channel.carrier.take() {
            Some(Carrier::Deliver { to, no_ack, method }) => {
                let basic::Deliver { delivery_tag, redelivered, exchange, routing_key, .. } =
                    method;
                channel.note_delivery(delivery_tag, no_ack);
                let incoming =
                    Incoming { delivery_tag, epoch, redelivered, exchange, routing_key, content };
                match to {
                    Destination::Consumer(_) if self.drops_deliveries() => {}
                    Destination::Consumer(consumer) => {
                        self.consumers.push(consumer, incoming, &mut self.wakes);
                    }
                    Destination::Requeue { no_ack: false } if incoming.may_go_back() => {
                        self.requeue(key, epoch, delivery_tag);
                    }
                    Destination::Requeue { .. } => {}
                }
            }
            Some(Carrier::Get { call, no_ack, method }) => {
                let basic::GetOk {
                    delivery_tag,
                    redelivered,
                    exchange,
                    routing_key,
                    message_count,
                } = method;
                channel.note_delivery(delivery_tag, no_ack);
                let incoming =
                    Incoming { delivery_tag, epoch, redelivered, exchange, routing_key, content };
                let answer = Ok(Answer::Message(Box::new(incoming), message_count));
                if !self.calls.finish(call, answer, &mut self.wakes) && !no_ack {
                    self.requeue(key, epoch, delivery_tag);
                }
            }
            Some(Carrier::Return(method)) => {
                channel.counts.returned += 1;
                self.trace.note(|| Event::returned(channel.number, &method));
                let returned = Box::new(Returned::new(method, content));
                let returned = match &mut channel.confirms {
                    Some(confirms) => confirms.returned(returned),
                    None => Err(returned),
                };
                // One that no outstanding publish knows: of a transaction, or its confirm was overdue.
                if let Err(returned) = returned {
                    channel.unclaimed.push(returned, &mut self.wakes);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// No more deliveries come for `tag`.
    fn end_subscription(&mut self, key: ChannelKey, tag: &ShortStr, end: End) {
        self.forget_consumer(key, |record| record.consume.consumer_tag == *tag);
        let Some(channel) = self.channels.get_mut(key) else { return };
        let number = channel.number;
        let by_server = matches!(end, End::Closed(_));
        self.trace.note(|| Event::ConsumerEnded { channel: number, tag: tag.clone(), by_server });
        if let Some(subscription) = channel.subscriptions.remove(tag)
            && let Destination::Consumer(consumer) = subscription.to
        {
            self.consumers.end(consumer, end, &mut self.wakes);
        }
    }
}

/// Class and method id of `basic.deliver` as they stand in a payload.
const DELIVER: [u8; 4] = ids(basic::Deliver::ID);
/// Those of `channel.open-ok`.
const OPEN_OK: [u8; 4] = ids(channel::OpenOk::ID);
/// Those of `channel.close` and its answer.
const CLOSE: [u8; 4] = ids(channel::Close::ID);
const CLOSE_OK: [u8; 4] = ids(channel::CloseOk::ID);

const fn ids(id: MethodId) -> [u8; 4] {
    let [c0, c1] = id.class_id.to_be_bytes();
    let [m0, m1] = id.method_id.to_be_bytes();
    [c0, c1, m0, m1]
}

fn copy_out(arena: &mut BytesMut, octets: &[u8]) -> Bytes {
    if octets.len() > ARENA_COPY {
        return Bytes::copy_from_slice(octets);
    }
    if arena.capacity() < octets.len() {
        *arena = BytesMut::with_capacity(ARENA_BLOCK);
    }
    arena.extend_from_slice(octets);
    arena.split().freeze()
}
