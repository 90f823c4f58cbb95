//! The language of the inputs: what their octets stand for, one step after the other.

use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{basic, channel, confirm, connection, exchange, queue, tx};
use amqp091::types::{FieldTable, LongStr, ShortStr, Value};

use super::World;
use crate::core::cluster::NodeState;

/// The rest of an input.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = usize::from(self.next()?) % from.len();
        from.get(index).copied()
    }

    fn name(&mut self, names: &[&'static str]) -> Option<ShortStr> {
        self.pick(names).map(ShortStr::from_static)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.next()? & 1 == 1)
    }
}

const EXCHANGES: [&str; 10] = [
    "",
    "e0",
    "e1",
    "e2",
    "e3",
    "amq.direct",
    "amq.topic",
    "amq.fanout",
    "amq.headers",
    "amq.match",
];
const QUEUES: [&str; 8] = ["q0", "q1", "q2", "q3", "q4", "", "amq.rabbitmq.reply-to", "nowhere"];
const KEYS: [&str; 10] = ["q0", "q1", "q2", "q3", "", "a.b", "a.*", "#", "#.b.#", "nowhere"];
const TAGS: [&str; 4] = ["", "c0", "c1", "c2"];
const KINDS: [&str; 5] = ["direct", "fanout", "topic", "headers", "nope"];

impl World {
    /// One step of the input; `None` behind its end.
    pub(super) fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let what = input.next()?;
        let client = usize::from(what >> 7);
        let channel = input.pick(&[1, 1, 1, 2, 3, 0, 9])?;
        match what & 0x7f {
            0 => {
                let count = usize::from(input.next()?).min(input.0.len());
                let (octets, rest) = input.0.split_at(count);
                self.clients[client].sent.extend_from_slice(octets);
                input.0 = rest;
            }
            1 => encode::heartbeat(&mut self.clients[client].sent),
            2 => self.send(client, channel, &channel::Open {}),
            3 => self.send(
                client,
                channel,
                &channel::Close {
                    reply_code: 200.into(),
                    reply_text: ShortStr::default(),
                    class_id: 0,
                    method_id: 0,
                },
            ),
            4 => self.send(client, channel, &channel::CloseOk {}),
            5 => self.send(client, channel, &channel::Flow { active: input.flag()? }),
            6 => {
                let flags = input.next()?;
                let declare = exchange::Declare {
                    exchange: input.name(&EXCHANGES)?,
                    r#type: input.name(&KINDS)?,
                    passive: flags & 0x11 == 0x11,
                    durable: flags & 2 != 0,
                    auto_delete: flags & 4 != 0,
                    internal: flags & 0x18 == 0x18,
                    no_wait: flags & 0x20 != 0,
                    arguments: match input.next()? % 3 {
                        0 => FieldTable::new().with(
                            ShortStr::from_static("alternate-exchange"),
                            LongStr::from(input.pick(&EXCHANGES)?),
                        ),
                        _ => FieldTable::new(),
                    },
                };
                self.send(client, channel, &declare);
            }
            7 => {
                let delete = exchange::Delete {
                    exchange: input.name(&EXCHANGES)?,
                    if_unused: input.flag()?,
                    no_wait: false,
                };
                self.send(client, channel, &delete);
            }
            8 => {
                let bind = exchange::Bind {
                    destination: input.name(&EXCHANGES)?,
                    source: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &bind);
            }
            9 => {
                let unbind = exchange::Unbind {
                    destination: input.name(&EXCHANGES)?,
                    source: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &unbind);
            }
            10..=14 => {
                let flags = input.next()?;
                let declare = queue::Declare {
                    queue: input.name(&QUEUES)?,
                    passive: flags & 0x11 == 0x11,
                    durable: flags & 2 != 0,
                    exclusive: flags & 0x0c == 0x0c,
                    auto_delete: flags & 0x30 == 0x30,
                    no_wait: flags & 0x40 != 0,
                    arguments: queue_arguments(input)?,
                };
                self.send(client, channel, &declare);
            }
            15..=18 => {
                let bind = queue::Bind {
                    queue: input.name(&QUEUES)?,
                    exchange: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    no_wait: input.flag()?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &bind);
            }
            19 => {
                let unbind = queue::Unbind {
                    queue: input.name(&QUEUES)?,
                    exchange: input.name(&EXCHANGES)?,
                    routing_key: input.name(&KEYS)?,
                    arguments: matching(input)?,
                };
                self.send(client, channel, &unbind);
            }
            20 => {
                let purge = queue::Purge { queue: input.name(&QUEUES)?, no_wait: input.flag()? };
                self.send(client, channel, &purge);
            }
            21 => {
                let delete = queue::Delete {
                    queue: input.name(&QUEUES)?,
                    if_unused: input.next()? % 4 == 1,
                    if_empty: input.next()? % 4 == 1,
                    no_wait: false,
                };
                self.send(client, channel, &delete);
            }
            22 => {
                let qos = basic::Qos {
                    prefetch_size: 0,
                    prefetch_count: input.pick(&[0, 1, 2, 10])?,
                    global: input.flag()?,
                };
                self.send(client, channel, &qos);
            }
            23..=25 => {
                let flags = input.next()?;
                let consume = basic::Consume {
                    queue: input.name(&QUEUES)?,
                    consumer_tag: input.name(&TAGS)?,
                    no_local: false,
                    no_ack: flags & 1 != 0,
                    exclusive: flags & 6 == 6,
                    no_wait: flags & 8 != 0,
                    arguments: match flags >> 4 {
                        1 => FieldTable::new().with(ShortStr::from_static("x-priority"), 1),
                        2 => FieldTable::new().with(ShortStr::from_static("x-priority"), -1),
                        _ => FieldTable::new(),
                    },
                };
                self.send(client, channel, &consume);
            }
            26 => {
                let cancel =
                    basic::Cancel { consumer_tag: input.name(&TAGS)?, no_wait: input.flag()? };
                self.send(client, channel, &cancel);
            }
            27..=35 => self.publish(client, channel, input)?,
            36..=37 => {
                let get = basic::Get { queue: input.name(&QUEUES)?, no_ack: input.flag()? };
                self.send(client, channel, &get);
            }
            38..=39 => {
                let ack = basic::Ack { delivery_tag: tag(input)?, multiple: input.flag()? };
                self.send(client, channel, &ack);
            }
            40 => {
                let flags = input.next()?;
                let nack = basic::Nack {
                    delivery_tag: tag(input)?,
                    multiple: flags & 1 != 0,
                    requeue: flags & 2 != 0,
                };
                self.send(client, channel, &nack);
            }
            41 => {
                let reject = basic::Reject { delivery_tag: tag(input)?, requeue: input.flag()? };
                self.send(client, channel, &reject);
            }
            42 => self.send(client, channel, &basic::Recover { requeue: true }),
            43 => self.send(client, channel, &confirm::Select { no_wait: input.flag()? }),
            44 => self.send(client, channel, &tx::Select {}),
            45 => self.send(client, channel, &tx::Commit {}),
            46 => self.send(client, channel, &tx::Rollback {}),
            47 => self.send(
                client,
                0,
                &connection::Close {
                    reply_code: 200.into(),
                    reply_text: ShortStr::default(),
                    class_id: 0,
                    method_id: 0,
                },
            ),
            48 => self.send(client, 0, &connection::CloseOk {}),
            49 => self.clients[client].reads ^= true,
            50..=51 => {
                self.now += Duration::from_millis(input.pick(&[1, 2, 100, 5_000, 30_000])?);
                self.core.handle_timeout(self.now);
            }
            52 => {
                let reason = input.flag()?.then(|| ShortStr::from_static("low on disk"));
                self.core.set_alarm(reason);
            }
            53 => {
                let state = input.pick(&[NodeState::Up, NodeState::Down, NodeState::Up])?;
                self.core.set_nodes(&[u16::from(input.next()? % 3)], state);
            }
            54 => self.core.restart(),
            55 => {
                let key = self.clients[client].key;
                self.core.drop_connection(key);
            }
            // Again, without its content or the other way round.
            56 => {
                let publish = basic::Publish { exchange: input.name(&EXCHANGES)?, ..publish() };
                self.send(client, channel, &publish);
            }
            57 => {
                let sent = &mut self.clients[client].sent;
                encode::body_frame(sent, channel, &[7; 300][..usize::from(input.next()?)]);
            }
            58 => {
                let size = input.pick(&[0, 1, 4096, 5000, u64::MAX, 1 << 40])?;
                let sent = &mut self.clients[client].sent;
                encode::raw_header(sent, channel, basic::CLASS_ID, size, &[0, 0]);
            }
            // A client that took the place of one that is gone.
            59..=63 => self.log_in(client),
            _ => {}
        }
        Some(())
    }

    fn publish(&mut self, client: usize, channel: u16, input: &mut Input<'_>) -> Option<()> {
        let flags = input.next()?;
        let method = basic::Publish {
            exchange: input.name(&EXCHANGES)?,
            routing_key: input.name(&KEYS)?,
            mandatory: flags & 1 != 0,
            immediate: false,
        };
        let mut headers = None;
        if flags & 2 != 0 {
            let copy = LongStr::from(input.pick(&KEYS)?);
            let name = input.name(&["CC", "BCC", "a"])?;
            let copies = Value::Array(vec![Value::LongStr(copy)]);
            headers = Some(FieldTable::new().with(name, copies));
        }
        let properties = basic::Properties {
            delivery_mode: Some(1 + (flags >> 2 & 1)),
            priority: (flags & 8 != 0).then_some(flags),
            expiration: match flags >> 4 & 3 {
                1 => Some(ShortStr::from_static("0")),
                2 => Some(ShortStr::from_static("2")),
                _ => None,
            },
            reply_to: (flags & 0xc0 == 0xc0)
                .then(|| ShortStr::from_static("amq.rabbitmq.reply-to")),
            headers,
            ..basic::Properties::default()
        };
        let len = input.pick(&[0, 1, 100, 5000, 20_000])?;
        let sent = &mut self.clients[client].sent;
        let _ = encode::method(sent, channel, &method);
        let _ = encode::header(sent, channel, len as u64, &properties);
        if len > 0 {
            encode::body(sent, channel, &vec![7; len], 4096);
        }
        Some(())
    }
}

fn publish() -> basic::Publish {
    basic::Publish {
        exchange: ShortStr::default(),
        routing_key: ShortStr::default(),
        mandatory: false,
        immediate: false,
    }
}

fn tag(input: &mut Input<'_>) -> Option<u64> {
    Some(match input.next()? {
        255 => u64::MAX,
        other => u64::from(other % 16),
    })
}

/// What a binding asks of headers.
fn matching(input: &mut Input<'_>) -> Option<FieldTable> {
    let table = FieldTable::new();
    Some(match input.next()? % 8 {
        0 => table.with(ShortStr::from_static("x-match"), LongStr::from("any")),
        1 => table.with(ShortStr::from_static("a"), Value::Void),
        2 => table.with(ShortStr::from_static("x-match"), 5),
        _ => table,
    })
}

fn queue_arguments(input: &mut Input<'_>) -> Option<FieldTable> {
    let mut table = FieldTable::new();
    let mut which = u16::from_be_bytes([input.next()?, input.next()?]);
    let numbers = [0, 1, 2, 3, 50, 1000, -1, i64::MAX];
    while which != 0 {
        let place = which.trailing_zeros();
        which &= which - 1;
        let (name, value) = match place {
            0 => ("x-message-ttl", Value::I64(input.pick(&numbers)?)),
            1 => ("x-expires", Value::I64(input.pick(&numbers)?)),
            2 => ("x-max-length", Value::I64(input.pick(&numbers)?)),
            3 => ("x-max-length-bytes", Value::I64(input.pick(&numbers)?)),
            4 => {
                let name = input.pick(&["drop-head", "reject-publish", "reject-publish-dlx"])?;
                ("x-overflow", Value::LongStr(LongStr::from(name)))
            }
            5 | 6 => {
                let name = input.pick(&EXCHANGES)?;
                ("x-dead-letter-exchange", Value::LongStr(LongStr::from(name)))
            }
            7 => {
                let name = input.pick(&KEYS)?;
                ("x-dead-letter-routing-key", Value::LongStr(LongStr::from(name)))
            }
            8 => ("x-max-priority", Value::I64(input.pick(&numbers)?)),
            9 => ("x-single-active-consumer", Value::Bool(true)),
            10 => ("x-delivery-limit", Value::I64(input.pick(&numbers)?)),
            11 => ("x-queue-type", Value::LongStr(LongStr::from("quorum"))),
            12 => ("x-queue-type", Value::LongStr(LongStr::from("stream"))),
            _ => continue,
        };
        table.insert(ShortStr::from_static(name), value);
    }
    Some(table)
}
