//! What a program does with a connection, as tasks that note what they are told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::{body, brief, digest};
use crate::channel::Channel;
use crate::connection::Connection;
use crate::consume::ConsumerHandle;
use crate::delivery::Delivery;
use crate::error::Error;
use crate::publish::Outcome;

/// A thing that the program does. Channels are known by a number of the program's own, their slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Op {
    Open(u8),
    Call(u8, Call),
    Consume {
        on: u8,
        tag: u8,
        no_ack: bool,
        prefetch: bool,
        settles: Settles,
    },
    Cancel {
        on: u8,
        tag: u8,
    },
    Get {
        on: u8,
        no_ack: bool,
    },
    Publish {
        on: u8,
        key: u8,
        size: usize,
        kind: Kind,
    },
    /// Sends the acknowledgements that wait.
    FlushAcks(u8),
    CloseChannel(u8),
    UpdateSecret,
    Close,
    /// Waits for the connection's end.
    WaitForEnd,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    /// Declares a queue with the name "q" and this.
    Declare(u8),
    Bind,
    Qos,
    Recover,
    TxSelect,
    TxCommit,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Watched,
    Mandatory,
    /// As a watched one, by a publisher that was prepared.
    Prepared,
    Unwatched,
}

/// What a consumer does with its messages; the server knows which it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settles {
    /// It keeps all.
    Nothing,
    /// It acknowledges some, some with all before, and refuses some with all before.
    Some,
    /// So it does, where acknowledgements may wait.
    Coalesced,
}

impl Settles {
    fn settle(self, delivery: Delivery) {
        // Whether the channel is still open is told otherwise.
        let _ = match delivery.delivery_tag() % 7 {
            _ if self == Self::Nothing => return,
            0 => delivery.ack_multiple(),
            1 => delivery.nack_multiple(false),
            2 | 3 => return,
            _ => delivery.ack(),
        };
    }
}

/// What a task was told, in order.
pub(super) type Log = Rc<RefCell<Vec<String>>>;

/// What tasks share.
#[derive(Clone, Default)]
pub(super) struct Handles {
    pub(super) channels: Rc<RefCell<BTreeMap<u8, Channel>>>,
    pub(super) consumers: Rc<RefCell<BTreeMap<(u8, u8), ConsumerHandle>>>,
}

pub(super) type Task = Pin<Box<dyn Future<Output = ()>>>;

impl Handles {
    fn channel(&self, slot: u8) -> Channel {
        self.channels.borrow()[&slot].clone()
    }

    /// The task that does `op`, the `label`th of its program.
    pub(super) fn task(&self, connection: &Connection, op: Op, label: usize, log: Log) -> Task {
        let note = move |text: String| log.borrow_mut().push(text);
        let connection = connection.clone();
        match op {
            Op::Open(slot) => {
                let channels = Rc::clone(&self.channels);
                Box::pin(async move {
                    match connection.channel().await {
                        Ok(channel) => {
                            channels.borrow_mut().insert(slot, channel);
                            note("ok".to_owned());
                        }
                        Err(error) => note(brief(&error)),
                    }
                })
            }
            Op::Call(on, call) => {
                let channel = self.channel(on);
                Box::pin(async move { note(told(do_call(&channel, call).await)) })
            }
            Op::Consume { on, tag, no_ack, prefetch, settles } => {
                let channel = self.channel(on);
                let consumers = Rc::clone(&self.consumers);
                Box::pin(async move {
                    let consume = channel.consume("q").consumer_tag([b't', tag]).no_ack(no_ack);
                    let consume = if prefetch { consume.prefetch(10) } else { consume };
                    let consume = match settles {
                        Settles::Coalesced => consume.coalesce_acks(3, Duration::from_secs(60)),
                        _ => consume,
                    };
                    // The stream's handle keeps the channel.
                    let started = consume.await;
                    drop(channel);
                    let mut consumer = match started {
                        Ok(consumer) => consumer,
                        Err(error) => return note(brief(&error)),
                    };
                    note("ok".to_owned());
                    consumers.borrow_mut().insert((on, tag), consumer.handle());
                    while let Some(next) = consumer.next().await {
                        match next {
                            Ok(delivery) => {
                                let tag = delivery.delivery_tag();
                                note(format!("message {tag}: {}", digest(&delivery.body)));
                                settles.settle(delivery);
                            }
                            Err(error) => note(brief(&error)),
                        }
                    }
                    note("end".to_owned());
                })
            }
            Op::Cancel { on, tag } => {
                let handle = self.consumers.borrow()[&(on, tag)].clone();
                Box::pin(async move { note(told(handle.cancel().await)) })
            }
            Op::Get { on, no_ack } => {
                let channel = self.channel(on);
                Box::pin(async move {
                    note(match channel.get("q").no_ack(no_ack).await {
                        Ok(Some(got)) => {
                            let (tag, left) = (got.delivery.delivery_tag(), got.message_count);
                            format!("got {tag}: {}, {left} left", digest(&got.delivery.body))
                        }
                        Ok(None) => "empty".to_owned(),
                        Err(error) => brief(&error),
                    });
                })
            }
            Op::Publish { on, key, size, kind } => {
                let channel = self.channel(on);
                let (key, body) = ([b'k', key], body(size, label as u8));
                if kind == Kind::Unwatched {
                    return Box::pin(async move {
                        let published = channel.publish_unconfirmed("", key, body).await;
                        note(published.map_or_else(|error| brief(&error), |()| PLACED.to_owned()));
                    });
                }
                Box::pin(async move {
                    let publishing = async {
                        if kind == Kind::Prepared {
                            return channel.publisher("", key).build()?.publish(body).await;
                        }
                        channel.publish("", key, body).mandatory(kind == Kind::Mandatory).await
                    };
                    let confirm = match publishing.await {
                        Ok(confirm) => confirm,
                        Err(error) => return note(brief(&error)),
                    };
                    drop(channel);
                    note(PLACED.to_owned());
                    note(match confirm.await {
                        Outcome::Confirmed => "confirmed".to_owned(),
                        Outcome::Returned(returned) => {
                            let key = returned.routing_key.as_bytes().escape_ascii().to_string();
                            format!("returned {key}: {}", digest(&returned.body))
                        }
                        Outcome::Nacked => "nacked".to_owned(),
                        Outcome::Unknown(error) => format!("unknown: {}", brief(&error)),
                    });
                })
            }
            Op::FlushAcks(on) => {
                let channel = self.channel(on);
                Box::pin(async move { note(told(channel.flush_acks())) })
            }
            Op::CloseChannel(on) => {
                let channel = self.channel(on);
                Box::pin(async move { note(told(channel.close().await)) })
            }
            Op::UpdateSecret => Box::pin(async move {
                note(told(connection.update_secret("new", "expired").await));
            }),
            Op::Close => Box::pin(async move { note(told(connection.close().await)) }),
            Op::WaitForEnd => Box::pin(async move { note(told(connection.closed().await)) }),
        }
    }
}

/// What a publish notes when the message is in the pending output.
pub(super) const PLACED: &str = "placed";

fn told(result: Result<(), Error>) -> String {
    result.map_or_else(|error| brief(&error), |()| "ok".to_owned())
}

async fn do_call(channel: &Channel, call: Call) -> Result<(), Error> {
    match call {
        Call::Declare(name) => channel.queue_declare([b'q', name]).await.map(|ok| {
            assert_eq!(ok.queue.as_bytes(), [b'q', name], "another call's reply");
        }),
        Call::Bind => channel.queue_bind("q", "amq.topic").await.map(|_| ()),
        Call::Qos => channel.qos(1).await.map(|_| ()),
        Call::Recover => channel.recover(true).await.map(|_| ()),
        Call::TxSelect => channel.tx_select().await.map(|_| ()),
        Call::TxCommit => channel.tx_commit().await.map(|_| ()),
    }
}
