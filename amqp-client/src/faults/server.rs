//! A server that answers what it is asked when a test lets it, and says only what has its place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use amqp091::protocol::{ReplyCode, ToServer, basic, channel, confirm, connection, queue, tx};
use amqp091::types::{Method, ShortStr};

use super::body;
use super::world::{FRAME_MAX, World};
use crate::core::tests::{
    Octets, Sent, channel_close, connection_close, content_frames, delivery, method_frame, short,
    start,
};

/// What it says of its own accord. A number chooses among what there is.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Deliver(u8, usize),
    Confirm { choice: usize, multiple: bool, ack: bool },
    Return(usize),
    Cancel(u8, bool),
    Close,
    Flow(bool),
    Blocked(bool),
    Heartbeat,
}

/// What an answer means to the server's side of a channel.
enum Effect {
    Nothing,
    Recovered,
    Got { no_ack: bool },
    Opened,
    Closed,
    Consuming { tag: u8, no_ack: bool },
    Cancelled(u8),
}

/// A message that was published.
struct Published {
    mandatory: bool,
    routing_key: ShortStr,
    body: Vec<u8>,
    settled: bool,
    returned: bool,
}

/// A channel as the server sees it.
#[derive(Default)]
struct Side {
    is_open: bool,
    said_close: bool,
    answers: VecDeque<(Vec<u8>, Effect)>,
    tags: BTreeSet<u8>,
    delivery_tag: u64,
    /// Consumers whose messages need no acknowledgement.
    no_ack: BTreeSet<u8>,
    /// Messages that the client has and hasn't settled.
    held: BTreeSet<u64>,
    recovering: bool,
    is_confirming: bool,
    published: Vec<Published>,
    /// A publish whose content is under way, and how much of it is to come.
    coming: Option<(Published, u64)>,
}

pub(super) struct Server {
    sides: BTreeMap<u16, Side>,
    /// How many of the client's frames it has looked at.
    seen: usize,
}

impl Server {
    pub(super) fn new() -> Self {
        Self { sides: BTreeMap::new(), seen: 0 }
    }

    pub(super) fn handshake(&self, world: &mut World<'_>, heartbeat: u16) {
        let tune = connection::Tune { channel_max: 8, frame_max: FRAME_MAX, heartbeat };
        world.say(&method_frame(0, &start("PLAIN AMQPLAIN")));
        world.say(&method_frame(0, &tune));
        world.say(&method_frame(0, &connection::OpenOk {}));
    }

    /// Closes the connection.
    pub(super) fn close(&self, world: &mut World<'_>) {
        world.say(&method_frame(0, &connection_close(ReplyCode::CONNECTION_FORCED)));
    }

    /// Takes note of what the client has sent.
    pub(super) fn look(&mut self, world: &World<'_>) {
        for sent in &world.sent[self.seen..] {
            match sent {
                Sent::Method(channel, method) => self.asked(*channel, method),
                Sent::Header { channel, body_size, .. } => {
                    let side = self.sides.entry(*channel).or_default();
                    if let Some((_, to_come)) = &mut side.coming {
                        *to_come = *body_size;
                    }
                    side.take(&[]);
                }
                Sent::Body(channel, Octets(octets)) => {
                    self.sides.entry(*channel).or_default().take(octets);
                }
                Sent::ProtocolHeader | Sent::Heartbeat => {}
            }
        }
        self.seen = world.sent.len();
    }

    fn asked(&mut self, number: u16, method: &ToServer) {
        let side = self.sides.entry(number).or_default();
        let answer = |method: Vec<u8>, effect| Some((method, effect));
        let answer = match method {
            ToServer::ChannelOpen(_) => {
                *side = Side::default();
                answer(method_frame(number, &channel::OpenOk {}), Effect::Opened)
            }
            ToServer::ChannelClose(_) => {
                answer(method_frame(number, &channel::CloseOk {}), Effect::Closed)
            }
            ToServer::ConnectionClose(_) => {
                answer(method_frame(0, &connection::CloseOk {}), Effect::Nothing)
            }
            ToServer::ConnectionUpdateSecret(_) => {
                answer(method_frame(0, &connection::UpdateSecretOk {}), Effect::Nothing)
            }
            // Who has closed answers nothing else any more.
            _ if side.said_close => None,
            ToServer::ConfirmSelect(select) => {
                side.is_confirming = true;
                if select.no_wait { None } else { side.reply(number, &confirm::SelectOk {}) }
            }
            ToServer::BasicAck(basic::Ack { delivery_tag, multiple })
            | ToServer::BasicNack(basic::Nack { delivery_tag, multiple, .. }) => {
                side.settle(*delivery_tag, *multiple);
                None
            }
            ToServer::BasicReject(basic::Reject { delivery_tag, .. }) => {
                side.settle(*delivery_tag, false);
                None
            }
            ToServer::BasicRecover(_) => {
                side.recovering = true;
                answer(method_frame(number, &basic::RecoverOk {}), Effect::Recovered)
            }
            ToServer::BasicPublish(publish) => {
                let (routing_key, mandatory) = (publish.routing_key.clone(), publish.mandatory);
                let (body, settled, returned) = (Vec::new(), false, false);
                let message = Published { mandatory, routing_key, body, settled, returned };
                side.coming = Some((message, 0));
                None
            }
            ToServer::BasicQos(_) => side.reply(number, &basic::QosOk {}),
            ToServer::QueueBind(_) => side.reply(number, &queue::BindOk {}),
            ToServer::TxSelect(_) => side.reply(number, &tx::SelectOk {}),
            ToServer::TxCommit(_) => side.reply(number, &tx::CommitOk {}),
            ToServer::QueueDeclare(queue::Declare { queue, .. }) => side.reply(
                number,
                &queue::DeclareOk { queue: queue.clone(), message_count: 0, consumer_count: 0 },
            ),
            ToServer::BasicGet(get) => answer(Vec::new(), Effect::Got { no_ack: get.no_ack }),
            ToServer::BasicConsume(basic::Consume { consumer_tag, no_ack, .. }) => {
                let tag = consumer_tag.as_bytes()[1];
                let ok = basic::ConsumeOk { consumer_tag: consumer_tag.clone() };
                answer(method_frame(number, &ok), Effect::Consuming { tag, no_ack: *no_ack })
            }
            ToServer::BasicCancel(basic::Cancel { consumer_tag, .. }) => {
                let tag = consumer_tag.as_bytes()[1];
                let ok = basic::CancelOk { consumer_tag: consumer_tag.clone() };
                answer(method_frame(number, &ok), Effect::Cancelled(tag))
            }
            _ => None,
        };
        side.answers.extend(answer);
    }

    /// Answers the oldest request of a channel, or a later one if its queue is slow.
    pub(super) fn answer(&mut self, world: &mut World<'_>, number: u16, slow: bool) {
        self.look(world);
        let Some(side) = self.sides.get_mut(&number) else { return };
        let is_of_queue =
            |effect: &Effect| matches!(effect, Effect::Consuming { .. } | Effect::Cancelled(_));
        let mut answers = side.answers.iter();
        let place =
            if slow { answers.position(|(_, effect)| !is_of_queue(effect)) } else { Some(0) };
        let answer = place.and_then(|place| side.answers.remove(place));
        let Some((mut octets, effect)) = answer else { return };
        match effect {
            Effect::Nothing => {}
            Effect::Recovered => {
                side.recovering = false;
                side.held.clear();
            }
            Effect::Got { no_ack } => {
                let delivery_tag = side.next_delivery(no_ack);
                let got = basic::GetOk { delivery_tag, message_count: 1, ..Default::default() };
                let size = 20 + (delivery_tag % 3) as usize;
                octets = content_frames(number, &got, &body(size, 9), FRAME_MAX);
            }
            Effect::Opened => side.is_open = true,
            Effect::Closed => *side = Side::default(),
            Effect::Consuming { tag, no_ack } => {
                side.tags.insert(tag);
                if no_ack {
                    side.no_ack.insert(tag);
                } else {
                    side.no_ack.remove(&tag);
                }
            }
            Effect::Cancelled(tag) => {
                side.tags.remove(&tag);
            }
        }
        world.say(&octets);
        self.look(world);
    }

    /// Answers everything, and what follows from that.
    pub(super) fn answer_all(&mut self, world: &mut World<'_>) {
        self.look(world);
        while let Some(number) = self.sides.iter().find(|(_, side)| !side.answers.is_empty()) {
            // The connection's own close goes last.
            let number = *number.0;
            let busy = |side: &(&u16, &Side)| *side.0 != 0 && !side.1.answers.is_empty();
            let number = self.sides.iter().find(busy).map_or(number, |(number, _)| *number);
            self.answer(world, number, false);
        }
    }

    /// Closes the channel over a consumer that it was asked for.
    pub(super) fn refuse_consumer(&mut self, world: &mut World<'_>, number: u16) {
        self.look(world);
        let Some(side) = self.sides.get_mut(&number) else { return };
        let is_asked = |(_, effect): &(_, Effect)| matches!(effect, Effect::Consuming { .. });
        if !side.is_open || side.said_close || !side.answers.iter().any(is_asked) {
            return;
        }
        side.close();
        let close = channel::Close {
            class_id: basic::Consume::ID.class_id,
            method_id: basic::Consume::ID.method_id,
            ..channel_close(ReplyCode::NOT_FOUND)
        };
        world.say(&method_frame(number, &close));
        self.look(world);
    }

    /// The next delivery tag, if there is such a consumer.
    pub(super) fn next_delivery(&mut self, number: u16, tag: &str) -> Option<u64> {
        let side = self.sides.get_mut(&number).filter(|side| side.is_open && !side.said_close)?;
        let tag = tag.as_bytes()[1];
        let no_ack = side.no_ack.contains(&tag);
        side.tags.contains(&tag).then(|| side.next_delivery(no_ack))
    }

    /// Says something, if it has its place now.
    pub(super) fn say(&mut self, world: &mut World<'_>, number: u16, say: &Say) {
        self.look(world);
        let octets = match *say {
            Say::Blocked(true) => method_frame(0, &connection::Blocked { reason: short("low") }),
            Say::Blocked(false) => method_frame(0, &connection::Unblocked {}),
            // An empty frame of type 8 on channel 0.
            Say::Heartbeat => vec![8, 0, 0, 0, 0, 0, 0, 0xCE],
            _ => {
                let side = self.sides.entry(number).or_default();
                if !side.is_open || side.said_close {
                    return;
                }
                match side.say(number, say) {
                    Some(octets) => octets,
                    None => return,
                }
            }
        };
        world.say(&octets);
        self.look(world);
    }
}

impl Side {
    fn reply(&self, number: u16, method: &impl Method) -> Option<(Vec<u8>, Effect)> {
        Some((method_frame(number, method), Effect::Nothing))
    }

    fn next_delivery(&mut self, no_ack: bool) -> u64 {
        self.delivery_tag += 1;
        if !no_ack {
            self.held.insert(self.delivery_tag);
        }
        self.delivery_tag
    }

    /// The client settles messages: a real server closes the channel over one that it doesn't know.
    fn settle(&mut self, tag: u64, multiple: bool) {
        assert!(!self.recovering, "{tag} is settled behind a recover");
        assert!(self.held.contains(&tag), "{tag} is settled and isn't held: {:?}", self.held);
        if multiple {
            self.held = self.held.split_off(&tag);
        }
        self.held.remove(&tag);
    }

    fn close(&mut self) {
        self.said_close = true;
        self.answers.retain(|(_, effect)| matches!(effect, Effect::Closed));
    }

    /// Some of a content has come.
    fn take(&mut self, octets: &[u8]) {
        let Some((mut message, to_come)) = self.coming.take() else { return };
        message.body.extend_from_slice(octets);
        let to_come = to_come - octets.len() as u64;
        if to_come > 0 {
            self.coming = Some((message, to_come));
        } else if self.is_confirming {
            self.published.push(message);
        }
    }

    fn say(&mut self, number: u16, say: &Say) -> Option<Vec<u8>> {
        match *say {
            Say::Deliver(tag, size) => self.tags.contains(&tag).then(|| {
                let delivery_tag = self.next_delivery(self.no_ack.contains(&tag));
                let delivery = delivery(&format!("t{}", tag as char), delivery_tag);
                content_frames(number, &delivery, &body(size, tag), FRAME_MAX)
            }),
            Say::Confirm { choice, multiple, ack } => {
                let open: Vec<usize> =
                    (0..self.published.len()).filter(|&at| !self.published[at].settled).collect();
                let at = open[choice.checked_rem(open.len())?];
                let settled = if multiple { 0..at + 1 } else { at..at + 1 };
                self.published[settled].iter_mut().for_each(|message| message.settled = true);
                let delivery_tag = at as u64 + 1;
                Some(match ack {
                    true => method_frame(number, &basic::Ack { delivery_tag, multiple }),
                    false => {
                        method_frame(number, &basic::Nack { delivery_tag, multiple, requeue: true })
                    }
                })
            }
            Say::Return(choice) => {
                let may_return = |at: &usize| {
                    let message = &self.published[*at];
                    message.mandatory && !message.settled && !message.returned
                };
                let open: Vec<usize> = (0..self.published.len()).filter(may_return).collect();
                let message = &mut self.published[open[choice.checked_rem(open.len())?]];
                message.returned = true;
                let returned = basic::Return {
                    reply_code: ReplyCode::NO_ROUTE,
                    reply_text: short("NO_ROUTE"),
                    exchange: ShortStr::empty(),
                    routing_key: message.routing_key.clone(),
                };
                Some(content_frames(number, &returned, &message.body, FRAME_MAX))
            }
            Say::Cancel(tag, no_wait) => {
                let consumer_tag = short(&format!("t{}", tag as char));
                let cancel = basic::Cancel { consumer_tag, no_wait };
                self.tags.remove(&tag).then(|| method_frame(number, &cancel))
            }
            Say::Close => {
                self.close();
                Some(method_frame(number, &channel_close(ReplyCode::NOT_FOUND)))
            }
            Say::Flow(active) => Some(method_frame(number, &channel::Flow { active })),
            Say::Blocked(_) | Say::Heartbeat => None,
        }
    }
}
