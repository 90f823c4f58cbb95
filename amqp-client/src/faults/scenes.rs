//! Scenes: short programs, each about one way of using a channel, against a server that answers what it
//! is asked. A scene has no model of its own: what its tasks are told when nothing goes wrong is written
//! down by a first run, and each fault may change only what comes behind it.

macro_rules! program {
    ($stage:ident, $note:ident, $body:block) => {
        Step::Program(|$stage: Stage, $note: Note| -> Task { Box::pin(async move $body) })
    };
}

/// Opens channel `$slot`, which gets that number, and lets the server agree.
macro_rules! open {
    ($slot:literal) => {
        [
            program!(stage, note, {
                let opened = stage.connection.channel().await;
                if let Some(channel) = note.result("open", opened) {
                    stage.channels.borrow_mut().insert($slot, channel);
                }
            }),
            ANSWERS,
        ]
    };
}

mod channels;
mod consuming;
mod publishing;
mod rpc;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::program::{Log, Task};
use super::server::{Say, Server};
use super::world::World;
use super::{body, brief, digest};
use crate::channel::Channel;
use crate::connection::Connection;
use crate::consume::{Consumer, ConsumerHandle, MergedConsumers, OnFailure};
use crate::core::tests::{Sent, body_frame, delivery, header_frame, method_frame};
use crate::delivery::Delivery;
use crate::error::Error;
use crate::message::Message;
use crate::publish::{BatchOutcome, ConfirmWindow, Outcome, OutgoingMessage, Publisher};
use crate::rpc::{RpcClient, RpcError};

/// What the tasks of a scene share.
#[derive(Clone)]
pub(super) struct Stage {
    connection: Connection,
    channels: Rc<RefCell<BTreeMap<u8, Channel>>>,
    windows: Rc<RefCell<Vec<Rc<ConfirmWindow>>>>,
    publishers: Rc<RefCell<Vec<Rc<Publisher>>>>,
    clients: Rc<RefCell<Vec<RpcClient>>>,
    handles: Rc<RefCell<Vec<ConsumerHandle>>>,
    /// Messages that the program keeps for later.
    kept: Rc<RefCell<VecDeque<Delivery>>>,
    feeds: Rc<RefCell<Vec<Feed>>>,
    gates: Rc<RefCell<Vec<Waker>>>,
    is_open: Rc<RefCell<bool>>,
}

impl Stage {
    pub(super) fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            channels: Rc::default(),
            windows: Rc::default(),
            publishers: Rc::default(),
            clients: Rc::default(),
            handles: Rc::default(),
            kept: Rc::default(),
            feeds: Rc::default(),
            gates: Rc::default(),
            is_open: Rc::default(),
        }
    }

    /// Lets go of everything, and of whoever waits for the scene.
    pub(super) fn end(&self) {
        open_gates(self);
        for feed in self.feeds.borrow().iter() {
            feed.push(vec![0]);
            feed.push(Vec::new());
        }
        self.channels.borrow_mut().clear();
        self.windows.borrow_mut().clear();
        self.publishers.borrow_mut().clear();
        self.clients.borrow_mut().clear();
        self.handles.borrow_mut().clear();
        let kept = std::mem::take(&mut *self.kept.borrow_mut());
        drop(kept);
    }

    /// Closes a channel.
    pub(super) fn close_channel(&self, slot: u8) -> Task {
        let channel = self.channel(slot);
        Box::pin(async move {
            if let Some(channel) = channel {
                let _ = channel.close().await;
            }
        })
    }

    /// Opens a channel again, with all that it had.
    pub(super) fn reopen_channel(&self, slot: u8) -> Task {
        Box::pin(reopen(self.clone(), Note(Log::default()), slot, true, true))
    }

    /// Closes the connection.
    pub(super) fn leave(&self) -> Task {
        let connection = self.connection.clone();
        Box::pin(async move {
            let _ = connection.close().await;
        })
    }

    /// A channel that the scene has opened, unless that went wrong.
    fn channel(&self, slot: u8) -> Option<Channel> {
        self.channels.borrow().get(&slot).cloned()
    }
}

/// A body that comes when the scene lets it.
#[derive(Clone, Default)]
struct Feed(Rc<RefCell<(VecDeque<Bytes>, Option<Waker>)>>);

impl Feed {
    fn push(&self, octets: Vec<u8>) {
        let waker = {
            let mut inner = self.0.borrow_mut();
            inner.0.push_back(octets.into());
            inner.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.0.borrow_mut();
        if let Some(octets) = inner.0.pop_front() {
            // An empty one is the end.
            return Poll::Ready((!octets.is_empty()).then_some(Ok(octets)));
        }
        inner.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Notes what a task is told.
#[derive(Clone)]
pub(super) struct Note(pub(super) Log);

impl Note {
    fn say(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    fn result<T>(&self, what: &str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => {
                self.say(format!("{what} ok"));
                Some(value)
            }
            Err(error) => {
                self.say(format!("{what}: {}", brief(&error)));
                None
            }
        }
    }

    fn outcome(&self, outcome: Outcome) {
        self.say(match outcome {
            Outcome::Confirmed => "confirmed".to_owned(),
            Outcome::Returned(_) => "returned".to_owned(),
            Outcome::Nacked => "nacked".to_owned(),
            Outcome::Unknown(error) => format!("unknown: {}", brief(&error)),
        });
    }

    /// What became of many: each has its outcome, once.
    fn batch(&self, outcome: BatchOutcome) {
        let BatchOutcome { sent, confirmed, mut failed, stopped, .. } = outcome;
        assert_eq!(sent, confirmed + failed.len() as u64, "messages without an outcome");
        failed.sort_by_key(|(number, _)| *number);
        assert!(failed.is_sorted_by(|one, other| one.0 < other.0), "two outcomes");
        let failed: Vec<String> = failed
            .into_iter()
            .map(|(number, error)| match Error::from(error) {
                Error::Publish(error) => format!("{number} {}", publish_error(&error)),
                error => format!("{number} {}", brief(&error)),
            })
            .collect();
        let stopped = stopped.map(|error| brief(&error));
        self.say(format!("{confirmed} of {sent}, failed {failed:?}, stopped {stopped:?}"));
    }
}

fn publish_error(error: &crate::publish::PublishError) -> String {
    match error {
        crate::publish::PublishError::Unknown(error) => format!("unknown: {}", brief(error)),
        crate::publish::PublishError::Returned(_) => "returned".to_owned(),
        crate::publish::PublishError::Nacked => "nacked".to_owned(),
    }
}

fn rpc_error(error: &RpcError) -> String {
    match error {
        RpcError::NotSent(error) => format!("not sent: {}", brief(error)),
        RpcError::Lost(error) => format!("lost: {}", brief(error)),
        RpcError::NoServer(_) => "no server".to_owned(),
        other => format!("{other:?}"),
    }
}

/// One step.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Program(fn(Stage, Note) -> Task),
    Server(fn(&mut Server, &mut World<'_>)),
}

pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) steps: Vec<Step>,
}

const ANSWERS: Step = Step::Server(|server, world| server.answer_all(world));

fn answer(server: &mut Server, world: &mut World<'_>, number: u16) {
    server.answer(world, number, false);
}

/// A consumer that notes what it is told, and acknowledges what has an odd tag; the rest is kept.
async fn consuming(stage: Stage, note: Note, mut consumer: Consumer) {
    stage.handles.borrow_mut().push(consumer.handle());
    while let Some(next) = consumer.next().await {
        take(&stage, &note, next);
    }
    note.say("end");
    // It may go on when the channel is opened again.
    std::future::poll_fn(|cx| {
        stage.gates.borrow_mut().push(cx.waker().clone());
        if *stage.is_open.borrow() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    while let Some(next) = consumer.next().await {
        take(&stage, &note, next);
    }
    note.say("end");
}

fn take(stage: &Stage, note: &Note, next: Result<Delivery, Error>) {
    match next {
        Ok(delivery) => {
            let tag = delivery.delivery_tag();
            note.say(format!("message {tag}: {}", digest(&delivery.body)));
            if tag % 2 == 1 {
                let _ = delivery.ack();
            } else {
                stage.kept.borrow_mut().push_back(delivery);
            }
        }
        Err(error) => note.say(brief(&error)),
    }
}

/// Lets those go on that wait for it.
fn open_gates(stage: &Stage) {
    *stage.is_open.borrow_mut() = true;
    let wakers = std::mem::take(&mut *stage.gates.borrow_mut());
    wakers.into_iter().for_each(Waker::wake);
}

async fn publish(stage: Stage, note: Note, slot: u8, size: usize, mandatory: bool) {
    let Some(channel) = stage.channel(slot) else { return };
    let published = channel.publish("", "k", body(size, 7)).mandatory(mandatory).await;
    if let Some(confirm) = note.result("placed", published) {
        note.outcome(confirm.await);
    }
}

async fn reopen(stage: Stage, note: Note, slot: u8, modes: bool, consumers: bool) {
    let Some(channel) = stage.channel(slot) else { return };
    match channel.reopen().modes(modes).consumers(consumers).await {
        Ok(reopened) => {
            let failed = reopened.failed.iter().map(|lost| lost.consumer_tag.clone());
            let failed: Vec<_> = failed.collect();
            note.say(format!("reopened: {:?}, not {failed:?}", reopened.restored));
        }
        Err(error) => note.say(format!("reopen: {}", brief(&error))),
    }
}

fn deliver(server: &mut Server, world: &mut World<'_>, number: u16, tag: u8, size: usize) {
    server.say(world, number, &Say::Deliver(tag, size));
}

fn confirm(server: &mut Server, world: &mut World<'_>, choice: usize, multiple: bool) {
    server.say(world, 1, &Say::Confirm { choice, multiple, ack: true });
}

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        channels::reopening(),
        publishing::windows(),
        consuming::acks(),
        publishing::bodies(),
        rpc::calls(),
        rpc::served(),
        consuming::merged(),
    ]
}

/// Waits until the scene lets the handlers go on.
async fn handled(stage: Stage, note: Note, message: Message) -> Result<&'static str, &'static str> {
    let tag = message.delivery_tag();
    note.say(format!("handling {tag}"));
    std::future::poll_fn(|cx| {
        stage.gates.borrow_mut().push(cx.waker().clone());
        if *stage.is_open.borrow() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    note.say(format!("handled {tag}"));
    if tag == 2 { Err("no") } else { Ok("done") }
}
