//! What a client's methods on a channel lead to.

use amqp091::protocol::{ReplyCode, ToServer, basic, channel, confirm, queue, tx};
use amqp091::types::{Decode, Method, MethodId};

use super::Core;
use super::bad_input::interrupted;
use super::channel::{Channel, ChannelKey, Confirms, Mode, Pending, Settlement, taken_by};
use super::connection::{ConnectionKey, Phase};
use super::memory::CHANNEL_COST;
use super::refusal::{Done, Refusal};

/// `basic.publish` at the front of a method's payload.
const PUBLISH: [u8; 4] = ids(basic::Publish::ID);
/// `basic.ack` there.
const ACK: [u8; 4] = ids(basic::Ack::ID);

const fn ids(id: MethodId) -> [u8; 4] {
    let [class_high, class_low] = id.class_id.to_be_bytes();
    let [method_high, method_low] = id.method_id.to_be_bytes();
    [class_high, class_low, method_high, method_low]
}
impl Core {
    pub(super) fn handle_method(&mut self, key: ConnectionKey, number: u16, payload: &[u8]) {
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
        self.block_taker(key);
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
        let share = self.meter.take(CHANNEL_COST);
        let channel = Channel::new(key, number, self.settings.max_body, share);
        let channel = self.channels.insert(channel);
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
        // Other methods than the most frequent ones take longer.
        self.effort += 3;
        if matches!(
            method,
            ToServer::ExchangeDeclare(_)
                | ToServer::ExchangeBind(_)
                | ToServer::QueueDeclare(_)
                | ToServer::QueueBind(_)
                | ToServer::BasicConsume(_)
        ) {
            self.block_taker(key);
        }
        let Some(channel) = self.channels.get_mut(channel_key) else { return Ok(()) };
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
                let queue = self.readable_queue(key, channel_key, &method.queue)?;
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
                self.requeue_all(channel_key, Settlement::Requeue);
                Ok(())
            }
            ToServer::BasicRecoverAsync(basic::RecoverAsync { requeue: true }) => {
                self.requeue_all(channel_key, Settlement::Requeue);
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
                // All that was published comes first, as RabbitMQ does it.
                let mut settled = Vec::new();
                let mut is_whole = true;
                for step in transaction(channel)? {
                    match step {
                        Pending::Publish(message, queues, mandatory) => {
                            self.routed = queues;
                            self.routed.retain(|queue| self.queues.get(*queue).is_some());
                            is_whole &= self.deposit(key, channel_key, *message, mandatory);
                        }
                        Pending::Settle(held, settlement) => settled.push((held, settlement)),
                        Pending::Refused => is_whole = false,
                    }
                }
                for (held, settlement) in settled {
                    self.settle(channel_key, held, settlement);
                }
                self.settle_dead();
                if !is_whole {
                    return Err(Refusal::precondition("partial tx completion"));
                }
                self.send(key, number, &tx::CommitOk {});
                Ok(())
            }
            ToServer::TxRollback(_) => {
                let pending = transaction(channel)?;
                channel.unacked.restore(taken_by(pending));
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
}

/// What a transaction holds.
fn transaction(channel: &mut Channel) -> Done<Vec<Pending>> {
    match &mut channel.mode {
        Mode::Tx(pending) => Ok(std::mem::take(pending)),
        _ => Err(Refusal::precondition("channel is not transactional")),
    }
}
