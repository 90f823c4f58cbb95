//! What comes from a client: octets to frames, frames to what they ask for.

use amqp091::content::{Content, ContentError, ContentHeader, RawProperties};
use amqp091::frame::{self, FrameError, FrameKind, FrameRef, Parsed};
use amqp091::protocol::{ReplyCode, ToServer, basic, channel, confirm, connection, queue, tx};
use amqp091::types::{Decode, Method, MethodError, MethodId};
use bytes::{Buf, Bytes, BytesMut};

use super::Core;
use super::channel::{Channel, ChannelKey, Confirms, Mode, Pending};
use super::connection::{ConnectionKey, Phase};
use super::faults::Onward;
use super::refusal::{Done, Refusal};

/// Body frames up to this many octets are copied out of the read buffer, so that a small message that is
/// kept for long doesn't keep a large buffer; larger ones are slices of it.
const COPY_OUT: usize = 16 * 1024;

/// Small copies share blocks of this many octets: at most that much is kept alive by one of them.
const ARENA_BLOCK: usize = 16 * 1024;

/// Copies of more octets than this have an allocation of their own.
const ARENA_COPY: usize = 1024;

/// `basic.publish` at the front of a method's payload.
const PUBLISH: [u8; 4] = ids(basic::Publish::ID);
/// `basic.ack` there.
const ACK: [u8; 4] = ids(basic::Ack::ID);

const fn ids(id: MethodId) -> [u8; 4] {
    let [class_high, class_low] = id.class_id.to_be_bytes();
    let [method_high, method_low] = id.method_id.to_be_bytes();
    [class_high, class_low, method_high, method_low]
}

/// Octets that are kept.
fn copy_out(arena: &mut BytesMut, octets: &[u8]) -> Bytes {
    if octets.is_empty() {
        return Bytes::new();
    }
    if octets.len() > ARENA_COPY {
        return Bytes::copy_from_slice(octets);
    }
    if arena.capacity() - arena.len() < octets.len() {
        *arena = BytesMut::with_capacity(ARENA_BLOCK);
    }
    arena.extend_from_slice(octets);
    arena.split().freeze()
}

impl Core {
    /// Takes what was read, as far as it is whole frames; the rest stays in `input`.
    pub(crate) fn handle_input(
        &mut self,
        key: ConnectionKey,
        input: &mut BytesMut,
        now: std::time::Duration,
    ) {
        self.now = self.now.max(now);
        self.settling.activity += 1;
        let Some(connection) = self.connections.get_mut(key) else { return input.clear() };
        connection.last_read = self.now;
        connection.just_closed.clear();
        if connection.phase == Phase::Header && !self.greet(key, input) {
            return;
        }
        // How far `input` is read: moving its start for every frame would cost more.
        let mut at = 0;
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return input.clear() };
            if matches!(connection.phase, Phase::Flushing | Phase::Closed) {
                return input.clear();
            }
            let limits = connection.limits;
            match frame::parse(&input[at..], limits) {
                Ok(Parsed::Frame {
                    frame: FrameRef { kind: FrameKind::Body, channel, payload },
                    ..
                }) if payload.len() > COPY_OUT => {
                    let len = payload.len();
                    input.advance(at + frame::HEAD);
                    let body = input.split_to(len).freeze();
                    input.advance(frame::OVERHEAD - frame::HEAD);
                    at = 0;
                    self.handle_body(key, channel, body);
                }
                Ok(Parsed::Frame { frame, consumed }) => {
                    let onward = if self.faults.are_set() && frame.kind == FrameKind::Method {
                        self.meddle_with_input(key, frame)
                    } else {
                        Onward::Pass
                    };
                    match onward {
                        Onward::Pass => self.handle_frame(key, frame),
                        Onward::Done => {}
                        Onward::Wait => {
                            input.advance(at);
                            break;
                        }
                    }
                    at += consumed;
                }
                Ok(Parsed::Incomplete { .. }) => {
                    input.advance(at);
                    break;
                }
                Err(error) => {
                    let refusal = bad_frame(error, &input[at..]);
                    self.refuse_connection(key, refusal, MethodId::new(0, 0));
                    input.clear();
                    break;
                }
            }
        }
        self.settle_dead();
        self.send_confirms(key);
        self.watch_memory();
    }

    pub(super) fn handle_frame(&mut self, key: ConnectionKey, frame: FrameRef<'_>) {
        let FrameRef { kind, channel, payload } = frame;
        match kind {
            FrameKind::Method if channel == 0 => self.handle_connection(key, payload),
            FrameKind::Method => self.handle_method(key, channel, payload),
            FrameKind::Header => self.handle_header(key, channel, payload),
            FrameKind::Body => {
                let body = copy_out(&mut self.arena, payload);
                self.handle_body(key, channel, body);
            }
            FrameKind::Heartbeat => {}
        }
    }

    /// A method that couldn't be read.
    fn unreadable(&mut self, key: ConnectionKey, error: &MethodError, payload: &[u8]) {
        let (refusal, id) = match error {
            MethodError::Arguments { id, .. } => (
                Refusal::Connection(
                    ReplyCode::FRAME_ERROR,
                    format!("cannot decode {}", erlang_binary(payload.get(4..).unwrap_or(&[]))),
                ),
                *id,
            ),
            MethodError::NotExpected { id } => (
                Refusal::Connection(ReplyCode::COMMAND_INVALID, "unimplemented method".to_owned()),
                *id,
            ),
            _ => (Refusal::Silent, MethodId::new(0, 0)),
        };
        self.refuse_connection(key, refusal, id);
    }

    fn handle_connection(&mut self, key: ConnectionKey, payload: &[u8]) {
        let method = match ToServer::from_payload(payload) {
            Ok(method) => method,
            Err(error) => return self.unreadable(key, &error, payload),
        };
        let id = method.id();
        let Some(connection) = self.connections.get(key) else { return };
        let phase = connection.phase;
        let done = match phase {
            Phase::Running => self.handle_running(key, method),
            Phase::Closing => {
                match method {
                    ToServer::ConnectionCloseOk(_) => self.flush_and_close(key),
                    // Both closed at once.
                    ToServer::ConnectionClose(_) => {
                        self.send(key, 0, &connection::CloseOk {});
                    }
                    _ => {}
                }
                Ok(())
            }
            _ => self.handle_handshake(key, phase, method),
        };
        if let Err(refusal) = done {
            // A refused login names no method.
            let id = if id == connection::StartOk::ID { MethodId::new(0, 0) } else { id };
            self.refuse_connection(key, refusal, id);
        }
    }

    fn handle_running(&mut self, key: ConnectionKey, method: ToServer) -> Done {
        match method {
            ToServer::ConnectionClose(_) => {
                self.end_connection(key);
                self.send(key, 0, &connection::CloseOk {});
                self.flush_and_close(key);
                Ok(())
            }
            ToServer::ConnectionUpdateSecret(_) => {
                self.send(key, 0, &connection::UpdateSecretOk {});
                Ok(())
            }
            _ => Err(Refusal::Connection(
                ReplyCode::CHANNEL_ERROR,
                "unexpected method in connection state running".to_owned(),
            )),
        }
    }

    /// The channel of this number, if it is open or being closed.
    #[inline]
    fn channel_key(&mut self, key: ConnectionKey, number: u16) -> Option<ChannelKey> {
        let connection = self.connections.get_mut(key)?;
        if let Some((last, channel)) = connection.last_channel
            && last == number
        {
            return Some(channel);
        }
        let channel = *connection.channels.get(&number)?;
        connection.last_channel = Some((number, channel));
        Some(channel)
    }

    fn handle_method(&mut self, key: ConnectionKey, number: u16, payload: &[u8]) {
        let phase = self.connections.get(key).map(|connection| connection.phase);
        match phase {
            Some(Phase::Running) => {}
            // Whatever was on its way when the connection was closed.
            Some(Phase::Closing) => return,
            _ => return self.refuse_connection(key, Refusal::Silent, MethodId::new(0, 0)),
        }
        let channel = self.channel_key(key, number);
        // Publishes and acknowledgements are by far the most frequent: they are spared the enum of all
        // methods.
        if let Some(channel_key) = channel
            && let Some(channel) = self.channels.get_mut(channel_key)
            && !channel.closing
            && channel.assembler.is_idle()
        {
            if let Some(arguments) = payload.strip_prefix(&PUBLISH) {
                if let Ok(publish) = basic::Publish::decode_all(arguments) {
                    channel.publish = Some(publish);
                    // It was idle.
                    let _ = channel.assembler.begin(basic::CLASS_ID);
                    return;
                }
            } else if let Some(arguments) = payload.strip_prefix(&ACK)
                && let Ok(ack) = basic::Ack::decode_all(arguments)
            {
                if let Err(refusal) = self.ack(channel_key, ack.delivery_tag, ack.multiple) {
                    self.refuse(key, number, refusal, basic::Ack::ID);
                }
                return;
            }
        }
        let method = match ToServer::from_payload(payload) {
            Ok(method) => method,
            Err(error) => return self.unreadable(key, &error, payload),
        };
        let id = method.id();
        if let Some(channel) = channel.and_then(|channel| self.channels.get(channel))
            && !channel.closing
            && !channel.assembler.is_idle()
        {
            let refusal = interrupted(channel.has_header);
            return self.refuse(key, number, refusal, basic::Publish::ID);
        }
        let done = match channel {
            Some(channel) => self.handle_channel(key, number, channel, method),
            None => self.handle_unopened(key, number, &method),
        };
        if let Err(refusal) = done {
            self.refuse(key, number, refusal, id);
        }
    }

    fn handle_unopened(&mut self, key: ConnectionKey, number: u16, method: &ToServer) -> Done {
        if !matches!(method, ToServer::ChannelOpen(_)) {
            // RabbitMQ's channel takes a while to go, and what comes right behind its close with it.
            let is_late = self
                .connections
                .get(key)
                .is_some_and(|connection| connection.just_closed.contains(&number));
            return Err(match method {
                ToServer::ChannelCloseOk(_) => return Ok(()),
                _ if is_late => return Ok(()),
                _ => Refusal::Connection(
                    ReplyCode::CHANNEL_ERROR,
                    "expected 'channel.open'".to_owned(),
                ),
            });
        }
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        let (open, most) = (connection.channels.len(), connection.channel_max);
        if most != 0 && open >= usize::from(most) {
            let text = format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({most})"
            );
            let refusal = Refusal::Connection(ReplyCode::NOT_ALLOWED, text);
            self.refuse_connection(key, refusal, MethodId::new(0, 0));
            return Ok(());
        }
        let channel = self.channels.insert(Channel::new(key, number, self.settings.max_body));
        connection.channels.insert(number, channel);
        self.send(key, number, &channel::OpenOk {});
        Ok(())
    }

    fn handle_channel(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: ToServer,
    ) -> Done {
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
        if channel.closing {
            match method {
                ToServer::ChannelCloseOk(_) => self.forget_channel(key, number),
                ToServer::ChannelClose(_) => {
                    self.forget_channel(key, number);
                    self.send(key, number, &channel::CloseOk {});
                }
                _ => {
                    // Whatever was on its way. RabbitMQ minds, but can't tell either.
                }
            }
            return Ok(());
        }
        match method {
            ToServer::ChannelOpen(_) => Err(Refusal::Connection(
                ReplyCode::CHANNEL_ERROR,
                "second 'channel.open' seen".to_owned(),
            )),
            ToServer::ChannelClose(_) => {
                self.end_channel(channel_key);
                self.forget_channel(key, number);
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.just_closed.push(number);
                }
                self.send(key, number, &channel::CloseOk {});
                Ok(())
            }
            ToServer::ChannelFlow(channel::Flow { active: true }) => {
                self.send(key, number, &channel::FlowOk { active: true });
                Ok(())
            }
            ToServer::ChannelFlow(_) => Err(Refusal::not_implemented("active=false")),
            ToServer::ChannelFlowOk(_) | ToServer::ChannelCloseOk(_) => Ok(()),
            ToServer::ExchangeDeclare(method) => self.declare_exchange(key, number, &method),
            ToServer::ExchangeDelete(method) => self.remove_exchange(key, number, &method),
            ToServer::ExchangeBind(method) => self.bind_exchange(key, number, &method),
            ToServer::ExchangeUnbind(method) => self.unbind_exchange(key, number, &method),
            ToServer::QueueDeclare(method) => self.declare_queue(key, number, channel_key, &method),
            ToServer::QueueBind(method) => self.bind_queue(key, number, channel_key, &method),
            ToServer::QueueUnbind(method) => self.unbind_queue(key, number, channel_key, &method),
            ToServer::QueuePurge(method) => {
                let queue = self.usable_queue(key, channel_key, &method.queue)?;
                let message_count = self.purge(queue);
                if !method.no_wait {
                    self.send(key, number, &queue::PurgeOk { message_count });
                }
                Ok(())
            }
            ToServer::QueueDelete(method) => self.remove_queue(key, number, channel_key, &method),
            ToServer::BasicQos(method) => self.set_prefetch(key, number, channel_key, &method),
            ToServer::BasicConsume(method) => self.consume(key, number, channel_key, &method),
            ToServer::BasicCancel(method) => {
                self.cancel(channel_key, &method.consumer_tag);
                if !method.no_wait {
                    let consumer_tag = method.consumer_tag;
                    self.send(key, number, &basic::CancelOk { consumer_tag });
                }
                Ok(())
            }
            ToServer::BasicCancelOk(_) => Ok(()),
            ToServer::BasicPublish(method) => {
                channel.publish = Some(method);
                // It is idle.
                let _ = channel.assembler.begin(basic::CLASS_ID);
                Ok(())
            }
            ToServer::BasicGet(method) => self.fetch(key, number, channel_key, &method),
            ToServer::BasicAck(method) => {
                self.ack(channel_key, method.delivery_tag, method.multiple)
            }
            ToServer::BasicReject(method) => {
                self.refuse_delivery(channel_key, method.delivery_tag, false, method.requeue)
            }
            ToServer::BasicNack(method) => self.refuse_delivery(
                channel_key,
                method.delivery_tag,
                method.multiple,
                method.requeue,
            ),
            ToServer::BasicRecover(basic::Recover { requeue: true }) => {
                self.send(key, number, &basic::RecoverOk {});
                self.requeue_all(channel_key);
                Ok(())
            }
            ToServer::BasicRecoverAsync(basic::RecoverAsync { requeue: true }) => {
                self.requeue_all(channel_key);
                Ok(())
            }
            ToServer::BasicRecover(_) | ToServer::BasicRecoverAsync(_) => {
                Err(Refusal::not_implemented("requeue=false"))
            }
            ToServer::ConfirmSelect(method) => {
                match channel.mode {
                    Mode::Tx(_) => {
                        return Err(Refusal::precondition("cannot switch from tx to confirm mode"));
                    }
                    Mode::Normal => channel.mode = Mode::Confirm(Confirms::default()),
                    Mode::Confirm(_) => {}
                }
                if !method.no_wait {
                    self.send(key, number, &confirm::SelectOk {});
                }
                Ok(())
            }
            ToServer::TxSelect(_) => {
                match channel.mode {
                    Mode::Confirm(_) => {
                        return Err(Refusal::precondition("cannot switch from confirm to tx mode"));
                    }
                    Mode::Normal => channel.mode = Mode::Tx(Vec::new()),
                    Mode::Tx(_) => {}
                }
                self.send(key, number, &tx::SelectOk {});
                Ok(())
            }
            ToServer::TxCommit(_) => {
                let pending = transaction(channel)?;
                for step in pending {
                    match step {
                        Pending::Publish(method, content) => {
                            self.publish(key, channel_key, method, content)?;
                        }
                        Pending::Settle(held, settlement) => {
                            self.settle(channel_key, held, settlement);
                        }
                    }
                }
                self.settle_dead();
                self.send(key, number, &tx::CommitOk {});
                Ok(())
            }
            ToServer::TxRollback(_) => {
                for step in transaction(channel)?.into_iter().rev() {
                    if let Pending::Settle(held, _) = step {
                        channel.unacked.restore(held);
                    }
                }
                self.send(key, number, &tx::RollbackOk {});
                Ok(())
            }
            ToServer::ConnectionStartOk(_)
            | ToServer::ConnectionSecureOk(_)
            | ToServer::ConnectionTuneOk(_)
            | ToServer::ConnectionOpen(_)
            | ToServer::ConnectionClose(_)
            | ToServer::ConnectionCloseOk(_)
            | ToServer::ConnectionUpdateSecret(_) => Err(Refusal::Connection(
                ReplyCode::COMMAND_INVALID,
                "unimplemented method".to_owned(),
            )),
        }
    }

    fn handle_header(&mut self, key: ConnectionKey, number: u16, payload: &[u8]) {
        let Some(channel_key) = self.content_channel(key, number) else { return };
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let whole = ContentHeader::parse(payload).and_then(|header| {
            let properties = RawProperties::new(copy_out(&mut self.arena, header.properties));
            channel.assembler.header_with(header.class_id, header.body_size, properties)
        });
        self.handle_content(key, number, channel_key, whole);
    }

    fn handle_body(&mut self, key: ConnectionKey, number: u16, payload: Bytes) {
        let Some(channel_key) = self.content_channel(key, number) else { return };
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let whole = channel.assembler.body(payload);
        self.handle_content(key, number, channel_key, whole);
    }

    /// The channel that a piece of content is for, unless nobody wants it.
    fn content_channel(&mut self, key: ConnectionKey, number: u16) -> Option<ChannelKey> {
        if !self.connections.get(key)?.is_running() {
            return None;
        }
        let channel = self.channel_key(key, number);
        match channel.and_then(|channel| self.channels.get(channel)) {
            Some(open) if open.closing => None,
            Some(_) => channel,
            None => {
                let refusal = Refusal::Connection(
                    ReplyCode::CHANNEL_ERROR,
                    "expected 'channel.open'".to_owned(),
                );
                self.refuse_connection(key, refusal, MethodId::new(0, 0));
                None
            }
        }
    }

    fn handle_content(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        whole: Result<Option<Content>, ContentError>,
    ) {
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let content = match whole {
            Ok(None) => {
                channel.has_header = true;
                return;
            }
            Ok(Some(content)) => content,
            Err(error) => {
                let (refusal, id) = bad_content(error, channel);
                return self.refuse(key, number, refusal, id);
            }
        };
        channel.has_header = false;
        let Some(method) = channel.publish.take() else { return };
        let (method, content) = if self.faults.are_set() {
            let left = self.meddle_with_publish(key, number, channel_key, method, content);
            let Some(left) = left else { return };
            left
        } else {
            (method, content)
        };
        self.take_publish(key, number, channel_key, method, content);
    }

    /// A publish with its content.
    pub(super) fn take_publish(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        method: basic::Publish,
        content: Content,
    ) {
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let done = match &mut channel.mode {
            Mode::Tx(_) => self.check_publish(key, channel_key, &method, &content).map(|_| {
                if let Some(Channel { mode: Mode::Tx(pending), .. }) =
                    self.channels.get_mut(channel_key)
                {
                    pending.push(Pending::Publish(method, content));
                }
            }),
            _ => self.publish(key, channel_key, method, content),
        };
        if let Err(refusal) = done {
            self.refuse(key, number, refusal, basic::Publish::ID);
        }
    }
}

/// What a transaction holds.
fn transaction(channel: &mut Channel) -> Done<Vec<Pending>> {
    match &mut channel.mode {
        Mode::Tx(pending) => Ok(std::mem::take(pending)),
        _ => Err(Refusal::precondition("channel is not transactional")),
    }
}

/// Something else came in the midst of a content.
fn interrupted(has_header: bool) -> Refusal {
    let text = if has_header {
        "expected content body, got non content body frame instead"
    } else {
        "expected content header for class 60, got non content header frame instead"
    };
    Refusal::Connection(ReplyCode::UNEXPECTED_FRAME, text.to_owned())
}

fn bad_content(error: ContentError, channel: &Channel) -> (Refusal, MethodId) {
    let unexpected = |text: String| Refusal::Connection(ReplyCode::UNEXPECTED_FRAME, text);
    match error {
        ContentError::UnexpectedHeader | ContentError::UnexpectedBody
            if channel.publish.is_some() =>
        {
            (interrupted(channel.has_header), basic::Publish::ID)
        }
        ContentError::UnexpectedHeader | ContentError::UnexpectedBody => (
            unexpected("expected method frame, got non method frame instead".to_owned()),
            MethodId::new(0, 0),
        ),
        ContentError::OtherClass { expected, found } => (
            unexpected(format!(
                "expected content header for class {expected}, got one for class {found} instead"
            )),
            basic::Publish::ID,
        ),
        ContentError::TooLarge { body_size, limit } => (
            Refusal::precondition(format!(
                "message size {body_size} is larger than configured max size {limit}"
            )),
            basic::Publish::ID,
        ),
        // RabbitMQ finds out with the next frame.
        ContentError::Overrun { .. } => (interrupted(true), basic::Publish::ID),
        other => (unexpected(other.to_string()), basic::Publish::ID),
    }
}

/// A frame that isn't one, in RabbitMQ's words.
fn bad_frame(error: FrameError, input: &[u8]) -> Refusal {
    let kind = input.first().copied().unwrap_or(0);
    let size = match *input {
        [_, _, _, s3, s2, s1, s0, ..] => u32::from_be_bytes([s3, s2, s1, s0]) as usize,
        _ => 0,
    };
    let payload = input.get(frame::HEAD..).unwrap_or(&[]);
    let payload = &payload[..payload.len().min(size)];
    let octets = |payload: &[u8]| match payload.get(..16) {
        Some(first) if payload.len() > 16 => {
            format!("type {kind}, first 16 octets = {}", erlang_binary(first))
        }
        _ => format!("type {kind}, all octets = {}", erlang_binary(payload)),
    };
    let (code, text) = match error {
        FrameError::UnknownType { .. } => {
            (ReplyCode::FRAME_ERROR, format!("{}: unknown_frame", octets(payload)))
        }
        FrameError::TooLarge { size, limit, .. } => (
            ReplyCode::FRAME_ERROR,
            format!("{}: {{frame_too_large,{size},{}}}", octets(&[]), limit.saturating_sub(8)),
        ),
        FrameError::End { found, .. } => (
            ReplyCode::FRAME_ERROR,
            format!("{}: {{invalid_frame_end_marker,{found}}}", octets(payload)),
        ),
        _ => (ReplyCode::UNEXPECTED_FRAME, octets(payload)),
    };
    Refusal::Connection(code, text)
}

/// Octets as Erlang prints them: `<<"text">>` or `<<1,2,3>>`.
fn erlang_binary(octets: &[u8]) -> String {
    if octets.is_empty() {
        return "<<>>".to_owned();
    }
    if octets.iter().all(|octet| (32..127).contains(octet)) {
        return format!("<<\"{}\">>", String::from_utf8_lossy(octets));
    }
    let numbers: Vec<_> = octets.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}
