//! What comes from a client: octets to frames, frames to what they ask for.

use amqp091::frame::{self, FrameKind, FrameRef, Parsed};
use amqp091::protocol::{ReplyCode, ToServer, connection};
use amqp091::types::{Method, MethodError, MethodId};
use bytes::{Buf, BytesMut};

use super::bad_input::{bad_frame, erlang_binary};
use super::channel::ChannelKey;
use super::connection::{ConnectionKey, Phase};
use super::contents::copy_out;
use super::meddle::Onward;
use super::refusal::{Done, Refusal};
use super::{Core, EFFORT, OUTPUT_LIMIT};

/// Body frames up to this many octets are copied out of the read buffer, so that a small message that is
/// kept for long doesn't keep a large buffer; larger ones are slices of it.
const COPY_OUT: usize = 16 * 1024;

impl Core {
    /// Takes what was read, as far as it is whole frames; the rest stays in `input`, and so does what is
    /// for later: see [`is_behind`](Self::is_behind).
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
        if let Some(mut kept) = self.take_kept(key) {
            kept.extend_from_slice(input);
            *input = kept;
        }
        // How far `input` is read: moving its start for every frame would cost more.
        let mut at = 0;
        let before = self.effort;
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return input.clear() };
            if matches!(connection.phase, Phase::Flushing | Phase::Closed) {
                return input.clear();
            }
            if connection.lane.is_some() && connection.is_kept_waiting() {
                input.advance(at);
                self.keep_input(key, input.split());
                break;
            }
            self.effort += 1;
            if connection.out.len() >= OUTPUT_LIMIT * 2 || self.effort - before > EFFORT {
                connection.behind = true;
                input.advance(at);
                break;
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
                        Onward::Wait => continue,
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
    pub(super) fn unreadable(&mut self, key: ConnectionKey, error: &MethodError, payload: &[u8]) {
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
    pub(super) fn channel_key(&mut self, key: ConnectionKey, number: u16) -> Option<ChannelKey> {
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
}
