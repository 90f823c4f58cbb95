//! What rules do with what comes from a client, before the broker has seen it.

use amqp091::content::Content;
use amqp091::frame::FrameRef;
use amqp091::protocol::{AnyMethod, basic};

use super::Core;
use super::channel::{Channel, ChannelKey, Mode, Pending};
use super::connection::ConnectionKey;
use super::faults::{Action, Cut, Direction, Seen, Trigger};

/// How a frame from the client goes on after the rules have seen it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Onward {
    /// As if there were no rules.
    Pass,
    /// It is dealt with.
    Done,
    /// It waits, and all behind it.
    Wait,
}

impl Core {
    /// A client has connected: the rules for that.
    pub(super) fn meddle_with_connect(&mut self, key: ConnectionKey) {
        let seen = Seen {
            trigger: Trigger::Connect,
            direction: Direction::FromClient,
            key,
            channel: 0,
            method: None,
            is_bare_publish: false,
        };
        if let Some((id, action)) = self.pick(&seen) {
            self.act_on_connection(key, 0, id, &action);
        }
    }

    /// A method frame from a client, before anything is done about it.
    pub(super) fn meddle_with_input(&mut self, key: ConnectionKey, frame: FrameRef<'_>) -> Onward {
        if let Some(lane) = self.connections.get_mut(key).and_then(|found| found.lane.as_mut())
            && std::mem::take(&mut lane.passes)
        {
            return Onward::Pass;
        }
        let Ok(method) = AnyMethod::from_payload(frame.payload) else { return Onward::Pass };
        let seen = Seen {
            trigger: Trigger::AnyMethod,
            direction: Direction::FromClient,
            key,
            channel: frame.channel,
            method: Some(&method),
            is_bare_publish: matches!(method, AnyMethod::BasicPublish(_)),
        };
        let Some((id, action)) = self.pick(&seen) else { return Onward::Pass };
        match action {
            Action::Drop { cut: Cut::After, reset } => {
                let mark = self.mark(key);
                self.handle_frame(key, frame);
                self.cut_behind(key, mark, reset);
            }
            Action::Delay(span) => {
                let at = self.now.saturating_add(span);
                self.pause_input(key, id, Some(at));
                return Onward::Wait;
            }
            Action::Hold => {
                self.pause_input(key, id, None);
                return Onward::Wait;
            }
            Action::Discard | Action::CloseChannel(..) | Action::CloseConnection(..) => {
                self.act(key, frame.channel, &method, id, &action);
            }
            Action::Drop { cut: Cut::Before, .. } | Action::Restart => {
                self.act(key, frame.channel, &method, id, &action);
            }
            Action::Drop { .. } | Action::StopWriting | Action::Silence => {
                // From here on, its answer included.
                self.act(key, frame.channel, &method, id, &action);
                self.handle_frame(key, frame);
            }
            _ => {
                self.handle_frame(key, frame);
                self.act(key, frame.channel, &method, id, &action);
            }
        }
        Onward::Done
    }

    /// A publish with its content.
    pub(super) fn meddle_with_publish(
        &mut self,
        key: ConnectionKey,
        number: u16,
        channel_key: ChannelKey,
        publish: basic::Publish,
        content: Content,
    ) -> Option<(basic::Publish, Content)> {
        let method = AnyMethod::BasicPublish(publish);
        let seen = Seen {
            trigger: Trigger::AnyMethod,
            direction: Direction::FromClient,
            key,
            channel: number,
            method: Some(&method),
            is_bare_publish: false,
        };
        let picked = self.pick(&seen);
        let AnyMethod::BasicPublish(publish) = method else { return None };
        let Some((id, action)) = picked else { return Some((publish, content)) };
        match action {
            Action::Nack => match self.channels.get_mut(channel_key) {
                Some(Channel { mode: Mode::Tx(pending), .. }) => pending.push(Pending::Refused),
                _ => self.promise(key, channel_key, false),
            },
            Action::Return => {
                self.return_unrouted(key, channel_key, publish, content);
                self.promise(key, channel_key, true);
            }
            Action::Drop { cut: Cut::After, reset } => {
                let mark = self.mark(key);
                self.take_publish(key, number, channel_key, publish, content);
                self.cut_behind(key, mark, reset);
            }
            Action::Discard => {
                // The publisher has counted it, and hears nothing of it.
                if let Some(channel) = self.channels.get_mut(channel_key)
                    && let Mode::Confirm(confirms) = &mut channel.mode
                {
                    confirms.published += 1;
                    let tag = confirms.published;
                    if let Some(lane) = self.lane(key) {
                        lane.note_untold(number, tag);
                    }
                }
            }
            Action::CloseChannel(..)
            | Action::CloseConnection(..)
            | Action::Drop { cut: Cut::Before, .. }
            | Action::Restart => {
                self.act(key, number, &AnyMethod::BasicPublish(publish), id, &action);
            }
            Action::Drop { .. } | Action::StopWriting | Action::Silence => {
                let method = AnyMethod::BasicPublish(publish.clone());
                self.act(key, number, &method, id, &action);
                self.take_publish(key, number, channel_key, publish, content);
            }
            _ => {
                let method = AnyMethod::BasicPublish(publish.clone());
                self.take_publish(key, number, channel_key, publish, content);
                self.act(key, number, &method, id, &action);
            }
        }
        None
    }

    /// How much there is to write now, with what was promised before.
    fn mark(&mut self, key: ConnectionKey) -> usize {
        self.send_confirms(key);
        let Some(connection) = self.connections.get_mut(key) else { return 0 };
        connection.out.flatten();
        connection.out.len()
    }

    /// Ends a connection's output at a mark.
    fn cut_behind(&mut self, key: ConnectionKey, mark: usize, reset: bool) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.out.flatten();
            connection.out.truncate(mark);
        }
        self.cut_off(key, reset);
    }
}
