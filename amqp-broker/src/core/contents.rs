//! Contents, as their frames come from a client.

use amqp091::content::{Content, ContentError, ContentHeader, RawProperties};
use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::{Method, MethodId};
use bytes::{Bytes, BytesMut};

use super::Core;
use super::bad_input::bad_content;
use super::channel::ChannelKey;
use super::connection::ConnectionKey;
use super::refusal::Refusal;

/// Small copies share blocks of this many octets: at most that much is kept alive by one of them.
const ARENA_BLOCK: usize = 16 * 1024;

/// Copies of more octets than this have an allocation of their own.
const ARENA_COPY: usize = 1024;

/// Octets that are kept.
pub(super) fn copy_out(arena: &mut BytesMut, octets: &[u8]) -> Bytes {
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
    pub(super) fn handle_header(&mut self, key: ConnectionKey, number: u16, payload: &[u8]) {
        let Some(channel_key) = self.content_channel(key, number) else { return };
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        let whole = ContentHeader::parse(payload).and_then(|header| {
            let properties = RawProperties::new(copy_out(&mut self.arena, header.properties));
            channel.assembler.header_with(header.class_id, header.body_size, properties)
        });
        self.handle_content(key, number, channel_key, whole);
    }

    pub(super) fn handle_body(&mut self, key: ConnectionKey, number: u16, payload: Bytes) {
        let Some(channel_key) = self.content_channel(key, number) else { return };
        let Some(channel) = self.channels.get_mut(channel_key) else { return };
        channel.note_coming(payload.len());
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
                // Alone it may have as much as it wants.
                let coming = channel.coming;
                if coming > 0 && self.is_exhausted_but(coming) {
                    self.watch_memory();
                    self.block_publisher(key);
                }
                return;
            }
            Ok(Some(content)) => content,
            Err(error) => {
                let (refusal, id) = bad_content(error, channel);
                return self.refuse(key, number, refusal, id);
            }
        };
        channel.has_header = false;
        channel.forget_coming();
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
        if let Err(refusal) = self.publish(key, channel_key, method, content) {
            self.refuse(key, number, refusal, basic::Publish::ID);
        }
    }
}
