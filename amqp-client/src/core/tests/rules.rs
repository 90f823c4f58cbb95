//! What a client must keep to on the wire, checked frame by frame.

use std::collections::HashMap;

use super::*;

/// What a client must keep to on the wire.
pub(crate) struct Rules {
    /// The longest payload of a body frame.
    max_body: usize,
    channels: HashMap<u16, Wire>,
    /// The `connection.close` with which the server was told that it broke the protocol.
    pub(crate) accusation: Option<connection::Close>,
}

/// A channel number on the wire.
#[derive(Default)]
struct Wire {
    is_open: bool,
    close_sent: bool,
    close_ok_sent: bool,
    close_ok_said: bool,
    /// Whether `tx.commit-ok` is due: nothing may be sent meanwhile.
    committing: bool,
    /// Whether a header is due, and how many octets of body.
    header_due: bool,
    body_due: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(4096)
    }
}

impl Rules {
    /// For a connection of this frame-max.
    pub(crate) fn new(frame_max: usize) -> Self {
        Self { max_body: frame_max - frame::OVERHEAD, channels: HashMap::new(), accusation: None }
    }

    /// Notes that the server said `channel.close-ok`.
    pub(crate) fn close_ok_said(&mut self, channel: u16) {
        self.channels.entry(channel).or_default().close_ok_said = true;
    }

    /// Notes that the server said `tx.commit-ok`.
    pub(crate) fn committed(&mut self, channel: u16) {
        self.channels.entry(channel).or_default().committing = false;
    }

    /// Checks the next frame that the client has sent.
    pub(crate) fn check(&mut self, sent: &Sent) {
        let (channel, wire) = match sent {
            Sent::Method(channel @ 1.., _)
            | Sent::Header { channel, .. }
            | Sent::Body(channel, _) => (channel, self.channels.entry(*channel).or_default()),
            Sent::Method(_, ToServer::ConnectionClose(close)) => {
                if close.reply_code != ReplyCode::REPLY_SUCCESS {
                    self.accusation = Some(close.clone());
                }
                return;
            }
            _ => return,
        };
        if let Sent::Method(_, ToServer::ChannelOpen(_)) = sent {
            let is_free = if wire.close_sent { wire.close_ok_said } else { wire.close_ok_sent };
            assert!(!wire.is_open || is_free, "channel {channel} is opened twice");
            let inside = wire.header_due || wire.body_due > 0;
            assert!(!inside, "a content of channel {channel} is cut off");
            *wire = Wire { is_open: true, ..Wire::default() };
            return;
        }
        assert!(wire.is_open, "channel {channel} isn't open: {sent:?}");
        let is_close_ok = matches!(sent, Sent::Method(_, ToServer::ChannelCloseOk(_)));
        assert!(!wire.committing || is_close_ok, "{sent:?} in the middle of a commit");
        match sent {
            Sent::Header { body_size, .. } => {
                assert!(wire.header_due, "no header is due on channel {channel}");
                wire.header_due = false;
                wire.body_due = *body_size;
            }
            Sent::Body(_, Octets(octets)) => {
                assert!(!octets.is_empty() && octets.len() <= self.max_body);
                let len = octets.len() as u64;
                assert!(!wire.header_due && wire.body_due >= len);
                wire.body_due -= len;
            }
            Sent::Method(_, method) => {
                let inside = wire.header_due || wire.body_due > 0;
                assert!(!inside, "{method:?} inside a content of channel {channel}");
                match method {
                    ToServer::ChannelCloseOk(_) => wire.close_ok_sent = true,
                    ToServer::TxCommit(_) => wire.committing = true,
                    ToServer::ChannelClose(_) => {
                        assert!(!wire.close_sent && !wire.close_ok_sent);
                        wire.close_sent = true;
                    }
                    _ => {
                        let over = wire.close_sent || wire.close_ok_sent;
                        assert!(!over, "{method:?} behind the end of channel {channel}");
                    }
                }
                wire.header_due = method.has_content();
            }
            _ => {}
        }
    }
}
