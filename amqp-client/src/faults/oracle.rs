//! What every task of a program must have been told by now: a model of client and connection so simple
//! that it is easily seen to be right. It learns the program's operations and the frames that came
//! whole, in their order.

mod server;

use std::collections::{BTreeMap, VecDeque};

use amqp091::protocol::{ToClient, basic};

use super::program::{Call, Kind, Op, PLACED};
use super::{body, digest};

/// A program's place in the list of its operations.
pub(super) type Label = usize;

/// Nobody: what is told to it isn't told.
const NOBODY: Label = Label::MAX;

/// What a call waits for.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Open(u8),
    Declare,
    Bind,
    Qos,
    /// That of a consume, which goes on behind it.
    Prefetch,
    Recover,
    TxSelect,
    TxCommit,
    Consume {
        tag: u8,
        no_ack: bool,
    },
    Cancel(u8),
    Get {
        no_ack: bool,
    },
    Close,
}

impl Wanted {
    /// Whether `reply` is what is waited for.
    fn is_answered_by(&self, reply: &ToClient) -> bool {
        let is = |tag: u8, other: &amqp091::types::ShortStr| other.as_bytes() == [b't', tag];
        match (self, reply) {
            (Self::Consume { tag, .. }, ToClient::BasicConsumeOk(ok)) => is(*tag, &ok.consumer_tag),
            (Self::Cancel(tag), ToClient::BasicCancelOk(ok)) => is(*tag, &ok.consumer_tag),
            _ => matches!(
                (self, reply),
                (Self::Open(_), ToClient::ChannelOpenOk(_))
                    | (Self::Declare, ToClient::QueueDeclareOk(_))
                    | (Self::Bind, ToClient::QueueBindOk(_))
                    | (Self::Qos | Self::Prefetch, ToClient::BasicQosOk(_))
                    | (Self::Recover, ToClient::BasicRecoverOk(_))
                    | (Self::TxSelect, ToClient::TxSelectOk(_))
                    | (Self::TxCommit, ToClient::TxCommitOk(_))
                    | (Self::Get { .. }, ToClient::BasicGetOk(_) | ToClient::BasicGetEmpty(_))
            ),
        }
    }

    /// The method whose reply is overdue.
    fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "channel.open",
            Self::Declare => "queue.declare",
            Self::Bind => "queue.bind",
            Self::Qos | Self::Prefetch => "basic.qos",
            Self::Recover => "basic.recover",
            Self::TxSelect => "tx.select",
            Self::TxCommit => "tx.commit",
            Self::Consume { .. } => "basic.consume",
            Self::Cancel(_) => "basic.cancel",
            Self::Get { .. } => "basic.get",
            Self::Close => "channel.close",
        }
    }
}

/// A published message of a channel in confirm mode.
#[derive(Debug)]
struct Published {
    label: Option<Label>,
    mandatory: bool,
    key: Vec<u8>,
    digest: String,
    returned: bool,
    settled: bool,
}

/// A publish that waits for leave or room.
#[derive(Clone, Debug)]
struct Waiting {
    label: Label,
    channel: usize,
    key: u8,
    kind: Kind,
    digest: String,
}

#[derive(Debug)]
enum Carried {
    Deliver(basic::Deliver),
    Got {
        label: Label,
        no_ack: bool,
        got: basic::GetOk,
    },
    Return(basic::Return),
    /// A content that is nobody's.
    Nothing,
}

#[derive(Debug, Default)]
struct Channel {
    number: u16,
    /// Why it is closed.
    closed: Option<String>,
    /// Why it is being closed.
    closing: Option<String>,
    due: VecDeque<(Label, Wanted)>,
    /// By tag: the stream's task, and whether its messages need no acknowledgement.
    consumers: BTreeMap<u8, (Label, bool)>,
    is_confirming: bool,
    is_transacted: bool,
    published: Vec<Published>,
    /// Messages up to the last one that was returned.
    returned_through: usize,
    stopped: bool,
    /// Commits that the server has yet to answer.
    commits: usize,
    carried: Option<Carried>,
    header: Option<u64>,
    body: Vec<u8>,
}

impl Channel {
    /// A consumer that nobody holds any more is cancelled, once.
    fn cancelled_by_drop(&mut self, tag: u8) {
        let wanted = Wanted::Cancel(tag);
        if !self.due.iter().any(|(_, due)| *due == wanted) {
            self.due.push_back((NOBODY, wanted));
        }
    }
}

/// A message that a task was told of.
#[derive(Debug)]
struct Handed {
    label: Label,
    /// Its place in what the task was told.
    at: usize,
    channel: usize,
    tag: u64,
}

/// How far the connection is.
#[derive(Debug, Default, PartialEq)]
enum Phase {
    /// What is waited for.
    Handshake(&'static str),
    #[default]
    Open,
    /// The program has closed it.
    Closing,
    Ended(String),
}

#[derive(Debug)]
pub(super) struct Oracle {
    phase: Phase,
    /// What each task must have been told.
    told: Vec<Vec<String>>,
    /// Tasks that will be told no more.
    done: Vec<bool>,
    channels: Vec<Channel>,
    numbers: BTreeMap<u16, usize>,
    slots: BTreeMap<u8, usize>,
    waiting: Vec<Waiting>,
    blocked: bool,
    secrets: VecDeque<Label>,
    /// Those who wait for the end.
    closers: Vec<Label>,
    /// What they are told when the server's close is answered.
    farewell: Option<String>,
    /// Messages that tasks hold unsettled, and those that went back.
    handed: Vec<Handed>,
    requeued: Vec<(u16, u64)>,
}

impl Oracle {
    /// Of a connection that begins, and the task that waits for that.
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Handshake("Start"),
            told: vec![Vec::new()],
            done: vec![false],
            channels: Vec::new(),
            numbers: BTreeMap::new(),
            slots: BTreeMap::new(),
            waiting: Vec::new(),
            blocked: false,
            secrets: VecDeque::new(),
            closers: Vec::new(),
            farewell: None,
            handed: Vec::new(),
            requeued: Vec::new(),
        }
    }

    pub(super) fn told(&self) -> &[Vec<String>] {
        &self.told
    }

    /// Whether nothing more can come for the task.
    pub(super) fn is_done(&self, label: Label) -> bool {
        self.done[label]
    }

    fn tell(&mut self, label: Label, text: impl Into<String>) {
        if label != NOBODY && !self.done[label] {
            self.told[label].push(text.into());
        }
    }

    /// The last that the task is told.
    fn finish(&mut self, label: Label, text: impl Into<String>) {
        self.tell(label, text);
        if let Some(done) = self.done.get_mut(label) {
            *done = true;
        }
    }

    /// Hands a message to a task, or, if that is gone, back to its queue.
    fn hand(&mut self, label: Label, number: u16, tag: u64, no_ack: bool, text: String) {
        if self.done[label] {
            // What is being closed is emptied by the server.
            let channel = &self.channels[self.numbers[&number]];
            let is_closing = channel.closing.is_some();
            // And it takes back all that came before it recovers.
            let is_recovering = channel.due.iter().any(|(_, due)| *due == Wanted::Recover);
            if !no_ack && !is_closing && !is_recovering && self.phase == Phase::Open {
                self.requeued.push((number, tag));
            }
            return;
        }
        if !no_ack {
            let (at, channel) = (self.told[label].len(), self.numbers[&number]);
            self.handed.push(Handed { label, at, channel, tag });
        }
        self.tell(label, text);
    }

    /// A task is dropped, which has heard only so much of what it was told.
    pub(super) fn gave_up(&mut self, label: Label, heard: usize) {
        self.told[label].truncate(heard);
        let unheard = self.handed.iter().filter(|to| to.label == label && to.at >= heard);
        for &Handed { channel, tag, .. } in unheard {
            let Channel { number, closed, closing, .. } = &self.channels[channel];
            // The server takes back what a closed channel has.
            if closed.is_none() && closing.is_none() && self.phase == Phase::Open {
                self.requeued.push((*number, tag));
            }
        }
        self.waiting.retain(|waiting| waiting.label != label);
        self.closers.retain(|&closer| closer != label);
        self.done[label] = true;
        for channel in &mut self.channels {
            let is_consumers = |(_, consumer): &(&u8, &(Label, bool))| consumer.0 == label;
            if let Some((&tag, _)) = channel.consumers.iter().find(is_consumers) {
                channel.cancelled_by_drop(tag);
            }
        }
    }

    /// What has gone back to its queue: channel numbers and delivery tags.
    pub(super) fn requeued(&self) -> &[(u16, u64)] {
        &self.requeued
    }

    fn slot(&mut self, slot: u8) -> &mut Channel {
        &mut self.channels[self.slots[&slot]]
    }

    /// Whether the program can do this now: its channel was opened, its consumer started, and the
    /// channel's mode allows it.
    pub(super) fn can(&self, op: Op) -> bool {
        let open = |slot: u8| {
            let channel = self.slots.get(&slot).map(|&at| &self.channels[at])?;
            let is_opening = channel.due.iter().any(|(_, due)| matches!(due, Wanted::Open(_)));
            (!is_opening).then_some(channel)
        };
        if self.phase != Phase::Open && self.phase != Phase::Closing {
            return false;
        }
        match op {
            Op::Open(slot) => {
                let is_closed = |channel: &Channel| channel.closed.is_some();
                !self.slots.contains_key(&slot) || open(slot).is_some_and(is_closed)
            }
            Op::Call(on, call) => open(on).is_some_and(|channel| match call {
                Call::TxSelect => !channel.is_confirming && self.waiting.is_empty(),
                Call::TxCommit => channel.is_transacted,
                _ => true,
            }),
            Op::Consume { on, tag, .. } => open(on).is_some_and(|channel| {
                let is_leaving = channel.due.iter().any(|(_, due)| *due == Wanted::Cancel(tag));
                let is_coming = channel.due.iter().any(
                    |(_, due)| matches!(due, Wanted::Consume { tag: coming, .. } if *coming == tag),
                );
                !channel.consumers.contains_key(&tag) && !is_leaving && !is_coming
            }),
            Op::Cancel { on, tag } => open(on).is_some_and(|channel| {
                channel.consumers.get(&tag).is_some_and(|(label, _)| !self.done[*label])
                    && !channel.due.iter().any(|(_, due)| *due == Wanted::Cancel(tag))
            }),
            Op::Publish { on, kind, .. } => {
                open(on).is_some_and(|channel| kind == Kind::Unwatched || !channel.is_transacted)
            }
            Op::Get { on, .. } | Op::FlushAcks(on) | Op::CloseChannel(on) => open(on).is_some(),
            Op::UpdateSecret | Op::Close | Op::WaitForEnd => true,
        }
    }

    /// The program leaves something out.
    pub(super) fn nothing(&mut self) {
        self.told.push(Vec::new());
        self.done.push(true);
    }

    /// The program does something; `opened` is the number that a channel is opened with.
    pub(super) fn op(&mut self, op: Op, opened: Option<u16>) {
        let label = self.told.len();
        self.told.push(Vec::new());
        self.done.push(false);
        match (op, &self.phase) {
            (Op::Close, Phase::Open) => {
                self.phase = Phase::Closing;
                for waiting in std::mem::take(&mut self.waiting) {
                    self.finish(waiting.label, "connection by user");
                }
                self.closers.push(label);
                return;
            }
            (Op::Close | Op::WaitForEnd, Phase::Open | Phase::Closing) => {
                self.closers.push(label);
                return;
            }
            (_, Phase::Open) => {}
            (_, Phase::Closing) => return self.finish(label, "connection by user"),
            _ => unreachable!("no operation outside of a connection"),
        }
        let on = match op {
            Op::Open(slot) => {
                let number = opened.expect("a number");
                self.slots.insert(slot, self.channels.len());
                self.numbers.insert(number, self.channels.len());
                self.channels.push(Channel { number, ..Channel::default() });
                slot
            }
            Op::UpdateSecret => {
                self.secrets.push_back(label);
                return;
            }
            Op::Call(on, _)
            | Op::Consume { on, .. }
            | Op::Cancel { on, .. }
            | Op::Get { on, .. }
            | Op::Publish { on, .. }
            | Op::FlushAcks(on)
            | Op::CloseChannel(on) => on,
            Op::Close | Op::WaitForEnd => unreachable!("dealt with above"),
        };
        let channel = self.slot(on);
        if matches!(op, Op::CloseChannel(_)) {
            // Closing again is no error, and takes as long as closing.
            match (channel.closed.as_deref(), channel.closing.as_deref()) {
                (Some("channel by user"), _) => return self.finish(label, "ok"),
                (None, Some("channel by user")) => {
                    channel.due.push_back((label, Wanted::Close));
                    return;
                }
                _ => {}
            }
        }
        if let Some(reason) = channel.closed.clone().or_else(|| channel.closing.clone()) {
            return self.finish(label, reason);
        }
        match op {
            Op::Open(slot) => channel.due.push_back((label, Wanted::Open(slot))),
            Op::Call(_, call) => {
                channel.is_transacted |= call == Call::TxSelect;
                channel.commits += usize::from(call == Call::TxCommit);
                let wanted = match call {
                    Call::Declare(_) => Wanted::Declare,
                    Call::Bind => Wanted::Bind,
                    Call::Qos => Wanted::Qos,
                    Call::Recover => Wanted::Recover,
                    Call::TxSelect => Wanted::TxSelect,
                    Call::TxCommit => Wanted::TxCommit,
                };
                channel.due.push_back((label, wanted));
            }
            Op::Consume { tag, prefetch, no_ack, .. } => {
                if prefetch {
                    channel.due.push_back((label, Wanted::Prefetch));
                }
                channel.due.push_back((label, Wanted::Consume { tag, no_ack }));
            }
            Op::Cancel { tag, .. } => channel.due.push_back((label, Wanted::Cancel(tag))),
            Op::Get { no_ack, .. } => channel.due.push_back((label, Wanted::Get { no_ack })),
            Op::Publish { key, size, kind, .. } => {
                let (channel, digest) = (self.slots[&on], digest(&body(size, label as u8)));
                self.waiting.push(Waiting { label, channel, key, kind, digest });
            }
            Op::FlushAcks(_) => self.finish(label, "ok"),
            Op::CloseChannel(_) => {
                let at = self.slots[&on];
                self.end_calls_and_consumers(at, "channel by user", true);
                self.end_waiting(at, "channel by user");
                self.channels[at].closing = Some("channel by user".to_owned());
                self.channels[at].due.push_back((label, Wanted::Close));
            }
            _ => unreachable!("dealt with above"),
        }
    }

    /// The message of a publish is in the pending output.
    pub(super) fn placed(&mut self, label: Label) {
        let at = self.waiting.iter().position(|waiting| waiting.label == label);
        let waiting = self.waiting.remove(at.expect("a publish that waits"));
        assert!(self.has_leave(&waiting), "published against the server's will");
        let channel = &mut self.channels[waiting.channel];
        let is_watched = waiting.kind != Kind::Unwatched;
        channel.is_confirming |= is_watched;
        if channel.is_confirming {
            channel.published.push(Published {
                label: is_watched.then_some(label),
                mandatory: waiting.kind == Kind::Mandatory,
                key: vec![b'k', waiting.key],
                digest: waiting.digest,
                returned: false,
                settled: false,
            });
        }
        self.tell(label, PLACED);
        self.done[label] = !is_watched;
    }

    /// Whether the server lets a message be published.
    fn has_leave(&self, waiting: &Waiting) -> bool {
        let channel = &self.channels[waiting.channel];
        self.phase == Phase::Open && !self.blocked && !channel.stopped && channel.commits == 0
    }

    /// A publish that waits although it may go on.
    pub(super) fn waits_for_nothing(&self) -> Option<Label> {
        self.waiting.iter().find(|waiting| self.has_leave(waiting)).map(|waiting| waiting.label)
    }

    /// The server is lost; what is told of it says `how`.
    pub(super) fn lost(&mut self, how: &str) {
        match self.phase {
            Phase::Handshake(stage) => {
                let how = if how == "silent" { "timeout" } else { how };
                self.finish(0, format!("{how} {stage}"));
                self.phase = Phase::Ended(how.to_owned());
            }
            Phase::Open => {
                let why = format!("connection {how}");
                self.end(&why, &why, false);
            }
            Phase::Closing if how == "silent" => {
                self.end("connection by user", "timeout connection.close", true);
            }
            Phase::Closing => {
                self.end("connection by user", &format!("connection {how}"), true);
            }
            Phase::Ended(_) => self.hung_up(),
        }
    }

    /// The server's close is answered, or never will be: the socket is closed.
    pub(super) fn hung_up(&mut self) {
        if let Some(farewell) = self.farewell.take() {
            self.end_closers(&farewell);
        }
    }

    fn end_closers(&mut self, farewell: &str) {
        for label in std::mem::take(&mut self.closers) {
            self.finish(label, farewell);
        }
    }

    /// The connection ends: tasks are told `why`, those who wait for the end something else.
    fn end(&mut self, why: &str, closers: &str, by_user: bool) {
        for at in 0..self.channels.len() {
            self.end_channel(at, why, by_user);
        }
        for label in std::mem::take(&mut self.secrets) {
            self.finish(label, why);
        }
        self.end_closers(closers);
        self.phase = Phase::Ended(why.to_owned());
    }

    fn end_channel(&mut self, at: usize, why: &str, by_user: bool) {
        let channel = &mut self.channels[at];
        if channel.closed.is_some() {
            return;
        }
        channel.closed = Some(why.to_owned());
        self.numbers.remove(&channel.number);
        self.end_calls_and_consumers(at, why, by_user);
        self.end_waiting(at, why);
        for published in std::mem::take(&mut self.channels[at].published) {
            if let (Some(label), false) = (published.label, published.settled) {
                self.finish(
                    label,
                    match published.returned {
                        true => returned(&published),
                        false => format!("unknown: {why}"),
                    },
                );
            }
        }
    }

    fn end_calls_and_consumers(&mut self, at: usize, why: &str, by_user: bool) {
        let channel = &mut self.channels[at];
        let due = std::mem::take(&mut channel.due);
        let consumers = std::mem::take(&mut channel.consumers);
        if let Some(Carried::Got { label, .. }) = channel.carried {
            channel.carried = Some(Carried::Nothing);
            self.finish(label, why);
        }
        for (label, _) in due {
            self.finish(label, why);
        }
        for (label, _) in consumers.into_values() {
            if !by_user {
                self.tell(label, why);
            }
            self.finish(label, "end");
        }
    }

    fn end_waiting(&mut self, at: usize, why: &str) {
        let (gone, rest) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting: &Waiting| waiting.channel == at);
        self.waiting = rest;
        gone.into_iter().for_each(|waiting: Waiting| self.finish(waiting.label, why));
    }

    /// All deadlines have passed without heartbeats to tell that the server is gone.
    pub(super) fn overdue(&mut self) {
        if self.phase != Phase::Open {
            return self.lost("silent");
        }
        for at in 0..self.channels.len() {
            let channel = &mut self.channels[at];
            let due = std::mem::take(&mut channel.due);
            let got = match &channel.carried {
                Some(Carried::Got { label, .. }) => Some(*label),
                _ => None,
            };
            if let Some(label) = got {
                self.finish(label, "timeout basic.get");
            }
            for (label, wanted) in due {
                self.finish(label, format!("timeout {}", wanted.name()));
            }
            if self.blocked {
                continue;
            }
            for at_message in 0..self.channels[at].published.len() {
                let published = &mut self.channels[at].published[at_message];
                if !std::mem::replace(&mut published.settled, true)
                    && let Some(label) = published.label
                {
                    let text = match published.returned {
                        true => returned(published),
                        false => "unknown: timeout basic.publish".to_owned(),
                    };
                    self.finish(label, text);
                }
            }
        }
        for label in std::mem::take(&mut self.secrets) {
            self.finish(label, "timeout connection.update-secret");
        }
    }
}

fn returned(published: &Published) -> String {
    format!("returned {}: {}", published.key.escape_ascii(), published.digest)
}
