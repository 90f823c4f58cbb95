//! The random server: it answers what it is asked, and says what has its place; a wild one says anything.

use amqp091::protocol::{confirm, tx};

use super::*;

/// What a server may say of its own accord.
#[derive(Clone, Debug)]
pub(super) enum Say {
    Close,
    Flow(bool),
    Blocked(bool),
    Cancel(u8, bool),
    Deliver(u8, usize),
    Half(u8),
    Confirm(u64, bool, bool),
    Return(usize),
    Heartbeat,
    ConnectionClose,
    /// A reply; nobody may have asked for it.
    Reply(usize),
}

/// A channel as the server sees it.
#[derive(Default)]
pub(super) struct ServerSide {
    is_open: bool,
    said_close: bool,
    /// The rest of a content that is half said.
    rest: Option<Vec<u8>>,
    pub(super) answers: VecDeque<(Vec<u8>, Effect)>,
    tags: HashSet<ShortStr>,
    /// How many messages were published since confirms were selected.
    published: Option<u64>,
}

/// What an answer means to the server's side of a channel.
pub(super) enum Effect {
    Nothing,
    Opened,
    Closed,
    Consuming(ShortStr),
    Cancelled(ShortStr),
    Committed,
}

impl Fuzz {
    /// Lets the server say something if it has its place now, or is wild.
    pub(super) fn say(&mut self, channel: u16, say: &Say, wild: bool) {
        let server = self.server.entry(channel).or_default();
        let tag = |tag: u8| short(&format!("t{tag}"));
        let has_place = server.is_open
            && !server.said_close
            && match say {
                Say::Deliver(of, _) | Say::Half(of) | Say::Cancel(of, _) => {
                    server.tags.contains(&tag(*of))
                }
                Say::Confirm(tag, ..) => server.published.is_some_and(|last| *tag <= last),
                Say::Reply(_) => false,
                _ => true,
            };
        let on_connection = matches!(say, Say::Blocked(_) | Say::Heartbeat | Say::ConnectionClose);
        if !(has_place || on_connection || wild) {
            return;
        }
        if !on_connection && let Some(rest) = server.rest.take() {
            self.script.feed(&rest);
        }
        self.delivery_tag += 1;
        let delivery_tag = self.delivery_tag;
        let octets = match *say {
            Say::Close => {
                server.said_close = true;
                server.answers.retain(|(_, effect)| matches!(effect, Effect::Closed));
                method_frame(channel, &channel_close(ReplyCode::NOT_FOUND))
            }
            Say::Flow(active) => method_frame(channel, &channel::Flow { active }),
            Say::Blocked(true) => method_frame(0, &connection::Blocked::default()),
            Say::Blocked(false) => method_frame(0, &connection::Unblocked {}),
            Say::Cancel(of, no_wait) => {
                server.tags.remove(&tag(of));
                method_frame(channel, &basic::Cancel { consumer_tag: tag(of), no_wait })
            }
            Say::Deliver(of, size) => {
                let deliver = delivery(&format!("t{of}"), delivery_tag);
                content_frames(channel, &deliver, &vec![2; SIZES[size]], 4096)
            }
            Say::Half(of) => {
                server.rest = Some(body_frame(channel, b"__half"));
                let mut octets = method_frame(channel, &delivery(&format!("t{of}"), delivery_tag));
                octets.extend(header_frame(channel, 10, &[0, 0]));
                octets.extend(body_frame(channel, b"half"));
                octets
            }
            Say::Confirm(delivery_tag, multiple, true) => {
                method_frame(channel, &basic::Ack { delivery_tag, multiple })
            }
            Say::Confirm(delivery_tag, multiple, false) => {
                method_frame(channel, &basic::Nack { delivery_tag, multiple, requeue: true })
            }
            Say::Return(size) => {
                let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
                let (exchange, routing_key) = (ShortStr::empty(), short("q"));
                let method = basic::Return { reply_code, reply_text, exchange, routing_key };
                content_frames(channel, &method, &vec![1; SIZES[size]], 4096)
            }
            Say::Heartbeat => vec![8, 0, 0, 0, 0, 0, 0, 0xCE],
            Say::ConnectionClose => method_frame(0, &connection_close(ReplyCode::INTERNAL_ERROR)),
            Say::Reply(0) => {
                self.rules.close_ok_said(channel);
                method_frame(channel, &channel::CloseOk {})
            }
            Say::Reply(1) => method_frame(channel, &basic::QosOk {}),
            Say::Reply(2) => method_frame(channel, &basic::CancelOk { consumer_tag: tag(0) }),
            Say::Reply(_) => content_frames(channel, &basic::GetOk::default(), b"x", 4096),
        };
        self.script.feed(&octets);
    }

    /// Lets the server answer the client's oldest request on a channel, or a later one if its queue is
    /// slow.
    pub(super) fn answer(&mut self, channel: u16, slow: bool) {
        let Some(server) = self.server.get_mut(&channel) else { return };
        let is_of_queue =
            |effect: &Effect| matches!(effect, Effect::Consuming(_) | Effect::Cancelled(_));
        let mut answers = server.answers.iter();
        let place =
            if slow { answers.position(|(_, effect)| !is_of_queue(effect)) } else { Some(0) };
        let Some(place) = place else { return };
        let Some((answer, effect)) = server.answers.remove(place) else { return };
        let rest = server.rest.take();
        match effect {
            Effect::Nothing => {}
            Effect::Opened => server.is_open = true,
            Effect::Closed => {
                self.rules.close_ok_said(channel);
                *server = ServerSide::default();
            }
            Effect::Consuming(tag) => {
                server.tags.insert(tag);
            }
            Effect::Cancelled(tag) => {
                server.tags.remove(&tag);
            }
            Effect::Committed => self.rules.committed(channel),
        }
        rest.iter().chain([&answer]).for_each(|octets| self.script.feed(octets));
    }

    /// Checks what the client has sent, and notes what the server is to answer.
    pub(super) fn look(&mut self) {
        for sent in self.script.log.drain(..).map(|(_, sent)| sent) {
            self.rules.check(&sent);
            let Sent::Method(channel, method) = sent else { continue };
            let server = self.server.entry(channel).or_default();
            let answer = match method {
                ToServer::ChannelOpen(_) => {
                    *server = ServerSide::default();
                    (method_frame(channel, &channel::OpenOk {}), Effect::Opened)
                }
                ToServer::ChannelClose(_) => {
                    (method_frame(channel, &channel::CloseOk {}), Effect::Closed)
                }
                ToServer::ConnectionClose(_) => {
                    (method_frame(0, &connection::CloseOk {}), Effect::Nothing)
                }
                // Who has closed answers nothing else any more.
                _ if server.said_close => continue,
                ToServer::ConfirmSelect(confirm::Select { no_wait }) => {
                    server.published.get_or_insert(0);
                    (answer(channel, &confirm::SelectOk {}, no_wait), Effect::Nothing)
                }
                ToServer::BasicPublish(_) => {
                    server.published.iter_mut().for_each(|count| *count += 1);
                    continue;
                }
                ToServer::BasicQos(_) => (method_frame(channel, &basic::QosOk {}), Effect::Nothing),
                ToServer::BasicConsume(basic::Consume { consumer_tag, no_wait, .. }) => {
                    let consume_ok = basic::ConsumeOk { consumer_tag: consumer_tag.clone() };
                    (answer(channel, &consume_ok, no_wait), Effect::Consuming(consumer_tag))
                }
                ToServer::BasicCancel(basic::Cancel { consumer_tag, no_wait }) => {
                    let cancel_ok = basic::CancelOk { consumer_tag: consumer_tag.clone() };
                    (answer(channel, &cancel_ok, no_wait), Effect::Cancelled(consumer_tag))
                }
                ToServer::TxSelect(_) => (method_frame(channel, &tx::SelectOk {}), Effect::Nothing),
                ToServer::TxCommit(_) => {
                    (method_frame(channel, &tx::CommitOk {}), Effect::Committed)
                }
                ToServer::BasicRecover(_) => {
                    (method_frame(channel, &basic::RecoverOk {}), Effect::Nothing)
                }
                ToServer::ConnectionUpdateSecret(_) => {
                    (method_frame(0, &connection::UpdateSecretOk {}), Effect::Nothing)
                }
                ToServer::BasicGet(_) => {
                    let got = basic::GetOk { delivery_tag: 1, ..basic::GetOk::default() };
                    (content_frames(channel, &got, &[3; 5000], 4096), Effect::Nothing)
                }
                _ => continue,
            };
            server.answers.push_back(answer);
        }
    }
}

/// An answer; nothing at all where none is wanted.
fn answer(channel: u16, method: &impl Method, no_wait: bool) -> Vec<u8> {
    if no_wait { Vec::new() } else { method_frame(channel, method) }
}
