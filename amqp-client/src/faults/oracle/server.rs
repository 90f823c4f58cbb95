//! What each of the server's frames means to whoever waits.

use amqp091::content::ContentHeader;
use amqp091::frame::{Frame, FrameKind};
use amqp091::protocol::{ToClient, basic};

use super::super::digest;
use super::{Carried, Oracle, Phase, Wanted, returned};

impl Oracle {
    /// A frame came whole.
    pub(in crate::faults) fn frame(&mut self, frame: &Frame) {
        if let Phase::Ended(_) = self.phase {
            return;
        }
        match frame.kind {
            FrameKind::Method => {
                let method = ToClient::from_payload(&frame.payload).expect("a method for clients");
                if frame.channel == 0 {
                    return self.connection(method);
                }
                let Some(&at) = self.numbers.get(&frame.channel) else { panic!("no such channel") };
                self.method(at, method);
            }
            FrameKind::Header => {
                let at = self.numbers[&frame.channel];
                let size = ContentHeader::parse(&frame.payload).expect("a header").body_size;
                self.channels[at].header = Some(size);
                self.content(at);
            }
            FrameKind::Body => {
                let at = self.numbers[&frame.channel];
                self.channels[at].body.extend_from_slice(&frame.payload);
                self.content(at);
            }
            FrameKind::Heartbeat => {}
        }
    }

    fn connection(&mut self, method: ToClient) {
        match (method, &self.phase) {
            (ToClient::ConnectionStart(_), _) => self.phase = Phase::Handshake("Tune"),
            (ToClient::ConnectionTune(_), _) => self.phase = Phase::Handshake("OpenOk"),
            (ToClient::ConnectionOpenOk(_), _) => {
                self.phase = Phase::Open;
                self.finish(0, "ok");
            }
            (ToClient::ConnectionBlocked(_), _) => self.blocked = true,
            (ToClient::ConnectionUnblocked(_), _) => self.blocked = false,
            (ToClient::ConnectionUpdateSecretOk(_), _) => {
                let label = self.secrets.pop_front().expect("an update is due");
                self.finish(label, "ok");
            }
            (ToClient::ConnectionCloseOk(_), _) => self.end("connection by user", "ok", true),
            (ToClient::ConnectionClose(close), phase) => {
                let why = format!("connection by server {}", close.reply_code.0);
                let is_closing = *phase == Phase::Closing;
                let closers = std::mem::take(&mut self.closers);
                match is_closing {
                    true => self.end("connection by user", "", true),
                    false => self.end(&why, "", false),
                }
                self.closers = closers;
                self.farewell = Some(why);
            }
            (other, _) => panic!("{other:?} is no method of the connection's"),
        }
    }

    fn method(&mut self, at: usize, method: ToClient) {
        let channel = &mut self.channels[at];
        assert!(channel.carried.is_none(), "{method:?} in the middle of a content");
        match method {
            ToClient::BasicDeliver(deliver) => channel.carried = Some(Carried::Deliver(deliver)),
            ToClient::BasicReturn(method) => channel.carried = Some(Carried::Return(method)),
            ToClient::BasicAck(basic::Ack { delivery_tag, multiple }) => {
                self.settle(at, delivery_tag, multiple, true);
            }
            ToClient::BasicNack(basic::Nack { delivery_tag, multiple, .. }) => {
                self.settle(at, delivery_tag, multiple, false);
            }
            ToClient::BasicCancel(cancel) => {
                let tag = cancel.consumer_tag.as_bytes()[1];
                if let Some((label, _)) = channel.consumers.remove(&tag) {
                    self.tell(label, "cancelled");
                    self.finish(label, "end");
                }
            }
            ToClient::ChannelFlow(flow) => channel.stopped = !flow.active,
            ToClient::ChannelClose(close) => {
                let why = format!("channel by server {}", close.reply_code.0);
                match &mut channel.closing {
                    // Ours is still to be answered.
                    Some(reason) if channel.commits == 0 => *reason = why,
                    // Ours still waited for the end of a commit.
                    Some(_) => self.end_channel(at, &why, false),
                    None => self.end_channel(at, &why, false),
                }
            }
            ToClient::ChannelCloseOk(_) => {
                let why = channel.closing.clone().expect("our close");
                if why == "channel by user" {
                    for (label, _) in std::mem::take(&mut channel.due) {
                        self.finish(label, "ok");
                    }
                }
                self.end_channel(at, &why, true);
            }
            reply => self.reply(at, reply),
        }
    }

    fn reply(&mut self, at: usize, reply: ToClient) {
        let channel = &mut self.channels[at];
        let due = channel.due.iter().position(|(_, wanted)| wanted.is_answered_by(&reply));
        let Some((label, wanted)) = due.and_then(|due| channel.due.remove(due)) else {
            assert!(channel.closing.is_some(), "nobody waits for {reply:?}");
            match reply {
                ToClient::BasicGetOk(_) => channel.carried = Some(Carried::Nothing),
                ToClient::TxCommitOk(_) => channel.commits -= 1,
                _ => {}
            }
            return;
        };
        match (wanted, reply) {
            (Wanted::Consume { tag, no_ack }, _) => {
                channel.consumers.insert(tag, (label, no_ack));
                if self.done[label] {
                    channel.cancelled_by_drop(tag);
                }
                self.tell(label, "ok");
            }
            (Wanted::Prefetch, _) => {}
            (Wanted::Cancel(tag), _) => {
                if let Some((consumer, _)) = channel.consumers.remove(&tag) {
                    self.finish(consumer, "end");
                }
                self.finish(label, "ok");
            }
            (Wanted::Get { no_ack }, ToClient::BasicGetOk(got)) => {
                channel.carried = Some(Carried::Got { label, no_ack, got });
            }
            (Wanted::Get { .. }, _) => self.finish(label, "empty"),
            (Wanted::TxCommit, _) => {
                channel.commits -= 1;
                self.finish(label, "ok");
            }
            _ => self.finish(label, "ok"),
        }
    }

    /// Some of a content has come.
    fn content(&mut self, at: usize) {
        let channel = &mut self.channels[at];
        let size = channel.header.expect("a header goes first");
        if (channel.body.len() as u64) < size {
            return;
        }
        channel.header = None;
        let body = digest(&std::mem::take(&mut channel.body));
        match channel.carried.take().expect("a method goes first") {
            Carried::Deliver(deliver) => {
                let tag = deliver.consumer_tag.as_bytes()[1];
                if let Some(&(label, no_ack)) = channel.consumers.get(&tag) {
                    let (number, tag) = (channel.number, deliver.delivery_tag);
                    self.hand(label, number, tag, no_ack, format!("message {tag}: {body}"));
                }
            }
            Carried::Got { label, no_ack, got } => {
                let (number, tag, left) = (channel.number, got.delivery_tag, got.message_count);
                let text = format!("got {tag}: {body}, {left} left");
                self.hand(label, number, tag, no_ack, text);
                self.done[label] = true;
            }
            Carried::Return(method) => {
                // In the order of publishing, or else from the beginning.
                let onwards = channel.returned_through..channel.published.len();
                let publish = onwards.chain(0..channel.returned_through).find(|&at| {
                    let message = &channel.published[at];
                    message.mandatory
                        && !message.settled
                        && !message.returned
                        && message.key == method.routing_key.as_bytes()
                        && message.digest == body
                });
                if let Some(publish) = publish {
                    channel.published[publish].returned = true;
                    channel.returned_through = channel.returned_through.max(publish + 1);
                }
            }
            Carried::Nothing => {}
        }
    }

    fn settle(&mut self, at: usize, tag: u64, multiple: bool, ack: bool) {
        let tag = tag as usize;
        let count = self.channels[at].published.len();
        let settled = match (tag, multiple) {
            (0, _) => 0..count,
            (tag, true) => 0..tag,
            (tag, false) => tag - 1..tag,
        };
        for published in settled {
            let published = &mut self.channels[at].published[published];
            if std::mem::replace(&mut published.settled, true) {
                continue;
            }
            let text = match (ack, published.returned) {
                (false, _) => "nacked".to_owned(),
                (true, true) => returned(published),
                (true, false) => "confirmed".to_owned(),
            };
            if let Some(label) = published.label {
                self.finish(label, text);
            }
        }
    }
}
