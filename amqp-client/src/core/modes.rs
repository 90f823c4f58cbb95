//! Methods that change how a channel behaves: confirm and transaction mode, commits, recovering what
//! was delivered.

use std::any::Any;
use std::collections::VecDeque;
use std::task::{Context, Poll};

use amqp091::encode;
use amqp091::protocol::{basic, channel, confirm, tx};
use amqp091::types::Method;
use bytes::BytesMut;

use super::confirms::Confirms;
use super::output::check_frame;
use super::{Channel, ChannelKey, Core, WaiterKey};
use crate::error::Error;
use crate::mode::ChannelMode;

/// What waits for `tx.commit-ok`: RabbitMQ closes the connection over any method that comes to a
/// channel in the middle of a commit.
///
/// Each piece ends with a commit, after which the next one waits for that; the last is still open.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    waiting: VecDeque<BytesMut>,
    open: BytesMut,
}

impl Channel {
    /// What the server does with messages that are published here.
    pub(crate) fn mode(&self) -> ChannelMode {
        match (&self.tx, &self.confirms) {
            (Some(_), _) => ChannelMode::Transaction,
            (None, Some(_)) => ChannelMode::Confirm,
            (None, None) => ChannelMode::Normal,
        }
    }

    /// Fails if the mode doesn't allow the method. RabbitMQ would close the channel.
    pub(super) fn check_mode<M: Method>(&self) -> Result<(), Error> {
        let mode = self.mode();
        let is_allowed = match M::ID {
            tx::Select::ID => mode != ChannelMode::Confirm,
            tx::Commit::ID | tx::Rollback::ID => mode == ChannelMode::Transaction,
            confirm::Select::ID => mode != ChannelMode::Transaction,
            _ => true,
        };
        if is_allowed { Ok(()) } else { Err(Error::ChannelMode { method: M::NAME, mode }) }
    }

    /// Takes note of a method that was sent.
    fn note<M: Method>(&mut self, method: &M) {
        match M::ID {
            tx::Select::ID => {
                self.tx.get_or_insert(self.settled_through);
                self.acks = None;
            }
            tx::Commit::ID => {
                self.tx = Some(self.settled_through);
                match &mut self.hold {
                    Some(hold) => hold.waiting.push_back(hold.open.split()),
                    none => *none = Some(Box::default()),
                }
            }
            tx::Rollback::ID => {
                // What was settled since the last commit isn't.
                if let Some(committed) = self.tx {
                    self.settled_through = committed;
                }
            }
            confirm::Select::ID => {
                let epoch = self.epoch;
                self.confirms.get_or_insert_with(|| Box::new(Confirms::new(epoch)));
            }
            basic::Qos::ID => {
                if let Some(qos) = (method as &dyn Any).downcast_ref() {
                    self.setup.qos(qos);
                }
            }
            channel::Flow::ID => {
                if let Some(channel::Flow { active }) = (method as &dyn Any).downcast_ref() {
                    self.setup.stopped = !active;
                }
            }
            basic::Recover::ID => self.recovering += 1,
            basic::RecoverAsync::ID => self.recovered(),
            _ => {}
        }
    }

    /// All that has come is the server's again, whatever becomes of the transaction.
    pub(crate) fn recovered(&mut self) {
        self.settled_through = self.last_tag;
        self.unsettled.clear();
        if let Some(acks) = &mut self.acks {
            acks.recovered();
        }
        if let Some(committed) = &mut self.tx {
            *committed = self.last_tag;
        }
    }
}

impl Core {
    /// What the server does with messages published on the channel.
    pub(crate) fn mode(&mut self, key: ChannelKey) -> ChannelMode {
        self.channels.get_mut(key).map_or(ChannelMode::Normal, |channel| channel.mode())
    }

    /// Sends a method, or lets it wait for the end of a commit, and takes note of what follows from
    /// it.
    pub(crate) fn send<M: Method>(&mut self, key: ChannelKey, method: &M) -> Result<(), Error> {
        self.check_channel(key)?;
        self.write(key, method)
    }

    /// As [`send`](Self::send), whether the program may use the channel or not.
    pub(super) fn write<M: Method>(&mut self, key: ChannelKey, method: &M) -> Result<(), Error> {
        if matches!(
            M::ID,
            basic::Recover::ID | basic::RecoverAsync::ID | channel::Close::ID | tx::Select::ID
        ) {
            // What was settled before this is settled.
            self.flush_acks(key);
        }
        let Some(channel) = self.channels.get_mut(key) else { return Ok(()) };
        channel.check_mode::<M>()?;
        let number = channel.number;
        let frame_max = self.output.frame_max();
        let write = |out: &mut BytesMut| {
            let begin = out.len();
            encode::method(out, number, method)?;
            check_frame(M::NAME, out.len() - begin, frame_max).inspect_err(|_| out.truncate(begin))
        };
        match &mut channel.hold {
            Some(hold) => write(&mut hold.open)?,
            None => self.output.channel(number, write)?,
        }
        channel.counts.frames_out += 1;
        channel.note(method);
        Ok(())
    }

    /// Sends a method that has no reply, or waits for room.
    pub(crate) fn poll_send<M: Method>(
        &mut self,
        key: ChannelKey,
        method: &M,
        waiter: &mut Option<WaiterKey>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.check_channel(key)?;
        let is_held = self
            .channels
            .get_mut(key)
            .is_some_and(|channel| channel.hold.is_some() || channel.open_body.is_some());
        if self.is_full() || is_held {
            self.publishers.wait(waiter, cx.waker());
            self.attention |= !self.reading;
            return Poll::Pending;
        }
        Poll::Ready(self.send(key, method).inspect(|()| self.note_unanswered(key, method)))
    }

    /// `tx.commit-ok` has come: what waited for it goes out, up to the next commit.
    pub(super) fn committed(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let Some(hold) = &mut channel.hold else { return };
        let number = channel.number;
        let frames = match hold.waiting.pop_front() {
            Some(frames) => frames,
            None => {
                let frames = hold.open.split();
                channel.hold = None;
                self.publishers.wake_all(&mut self.wakes);
                frames
            }
        };
        self.output.channel(number, |out| out.extend_from_slice(&frames));
    }
}
