//! A connection, the tasks that use it, and the server that a test plays; after each step every task
//! has been told exactly what the oracle says.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use amqp091::frame::{self, FrameDecoder, FrameKind, FrameLimits, Parsed};
use amqp091::protocol::{ToClient, ToServer};
use amqp091::protocol_header::ProtocolHeader;
use bytes::BytesMut;
use tokio::runtime::{Builder, Runtime};

use super::link::{Cut, LOOK, Link, drive};
use super::oracle::{Label, Oracle};
use super::program::{Handles, Log, Op, PLACED, Task};
use crate::connection::Connection;
use crate::core::tests::rules::Rules;
use crate::core::tests::{Alarm, Sent};
use crate::core::{Census, Core};
use crate::error::ConnectError;
use crate::options::ConnectOptions;
use crate::shared::{ConnectionHandle, Shared, now};

/// The frame-max of these connections: large bodies of the server's come in a piece that is kept, and
/// small ones are copied.
pub(super) const FRAME_MAX: u32 = 24 * 1024;

/// A runtime whose clock stands still; tests enter it.
pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

pub(super) fn options() -> ConnectOptions {
    ConnectOptions::default()
        .heartbeat(Duration::from_secs(5))
        .channel_max(8)
        .frame_max(FRAME_MAX)
        .output_limit(1 << 20)
}

struct Running {
    op: Option<Op>,
    task: Option<Task>,
    alarm: Arc<Alarm>,
    log: Log,
}

pub(super) struct World<'r> {
    runtime: &'r Runtime,
    shared: Arc<Shared>,
    connection: Option<Connection>,
    handles: Handles,
    tasks: Vec<Running>,
    pub(super) oracle: Oracle,
    /// Whether the oracle knows what these tasks do.
    modelled: bool,
    /// Octets that the server still says; then it is out.
    pub(super) budget: usize,
    pub(super) is_out: bool,
    /// The server's octets come one by one.
    pub(super) one_by_one: bool,
    /// Before each thing that the server said: how much was said, and what each task had been told.
    pub(super) snapshots: Vec<(usize, Vec<Vec<String>>)>,
    link: Link,
    /// The server's octets as far as they are no whole frame.
    said: BytesMut,
    decoder: FrameDecoder,
    /// The client's.
    wire: Vec<u8>,
    greeted: bool,
    rules: Rules,
    /// The frames that the client has sent.
    pub(super) sent: Vec<Sent>,
    /// The octets that it has sent.
    pub(super) heard: Vec<u8>,
}

impl<'r> World<'r> {
    /// A connection that begins. The socket takes `room` octets and no more.
    pub(super) fn begin(
        runtime: &'r Runtime,
        options: ConnectOptions,
        room: usize,
        through_task: bool,
    ) -> Self {
        let deadline = now() + options.connect_timeout;
        let shared = Shared::new(Core::new(options, now(), deadline), None);
        let link = match through_task {
            true => Link::task(&shared, runtime, room),
            false => Link::core(room),
        };
        let handle = ConnectionHandle { shared: Arc::clone(&shared) };
        let mut world = Self {
            runtime,
            connection: Some(Connection::new(Arc::new(handle))),
            handles: Handles::default(),
            tasks: Vec::new(),
            oracle: Oracle::new(),
            modelled: true,
            budget: usize::MAX,
            is_out: false,
            one_by_one: false,
            snapshots: Vec::new(),
            link,
            said: BytesMut::new(),
            decoder: FrameDecoder::new(FrameLimits::from_frame_max(0)),
            wire: Vec::new(),
            greeted: false,
            rules: Rules::new(FRAME_MAX as usize),
            sent: Vec::new(),
            heard: Vec::new(),
            shared: Arc::clone(&shared),
        };
        let log = Log::default();
        let told = Rc::clone(&log);
        let open = Box::pin(async move {
            let opened = poll_fn(|cx| shared.with(|core| core.poll_open(cx))).await;
            told.borrow_mut().push(match opened {
                Ok(()) => "ok".to_owned(),
                Err(ConnectError::Eof { stage }) => format!("eof {stage:?}"),
                Err(ConnectError::Io { stage, .. }) => format!("io {stage:?}"),
                Err(ConnectError::Timeout { stage, .. }) => format!("timeout {stage:?}"),
                Err(error) => error.to_string(),
            });
        });
        world.spawn(None, open, log);
        world.settle();
        world
    }

    /// Tasks that the oracle doesn't know: nobody says what they must be told.
    pub(super) fn without_model(mut self) -> Self {
        self.modelled = false;
        self
    }

    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a connection")
    }

    /// Begins a task that the oracle doesn't know.
    pub(super) fn perform(&mut self, task: Task, log: Log) {
        self.spawn(None, task, log);
        self.settle();
    }

    /// The tasks that aren't done.
    pub(super) fn unfinished(&self) -> Vec<Label> {
        (0..self.tasks.len()).filter(|&label| self.tasks[label].task.is_some()).collect()
    }

    fn spawn(&mut self, op: Option<Op>, task: Task, log: Log) {
        let alarm = Arc::<Alarm>::default();
        self.tasks.push(Running { op, task: Some(task), alarm, log });
        self.poll(self.tasks.len() - 1);
    }

    fn poll(&mut self, label: Label) {
        let running = &mut self.tasks[label];
        let Some(task) = &mut running.task else { return };
        let before = running.log.borrow().len();
        let waker = Waker::from(Arc::clone(&running.alarm));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            running.task = None;
        }
        // A message that waited is placed now: the oracle has to agree.
        let placed = running.log.borrow()[before..].iter().any(|text| text == PLACED);
        if placed && matches!(running.op, Some(Op::Publish { .. })) {
            self.oracle.placed(label);
        }
    }

    /// Polls the tasks that were woken, until none is.
    fn run(&mut self) {
        loop {
            let rang: Vec<Label> =
                (0..self.tasks.len()).filter(|&label| self.tasks[label].alarm.rang()).collect();
            if rang.is_empty() {
                return;
            }
            rang.into_iter().for_each(|label| self.poll(label));
        }
    }

    /// The program does something, if it can.
    pub(super) fn act(&mut self, op: Op) -> bool {
        if !self.oracle.can(op) {
            return false;
        }
        let (log, label) = (Log::default(), self.tasks.len());
        let connection = self.connection.as_ref().expect("a connection");
        let task = self.handles.task(connection, op, label, Rc::clone(&log));
        // What an operation leads to is the oracle's to know before it happens.
        let before = drive(&self.shared, |core| core.numbers());
        let opens = matches!(op, Op::Open(_));
        if opens {
            self.spawn(Some(op), task, log);
            let numbers = drive(&self.shared, |core| core.numbers());
            let opened = numbers.into_iter().find(|number| !before.contains(number));
            self.oracle.op(op, opened);
        } else {
            self.oracle.op(op, None);
            self.spawn(Some(op), task, log);
        }
        self.settle();
        true
    }

    /// Leaves an operation out; the tasks behind it keep their labels.
    pub(super) fn act_nothing(&mut self) {
        self.oracle.nothing();
        self.spawn(None, Box::pin(async {}), Log::default());
    }

    /// The tasks that may be dropped now: not those that open channels, whose drop closes them.
    pub(super) fn droppable(&self) -> Vec<Label> {
        let may_be = |label: &Label| {
            let running = &self.tasks[*label];
            running.task.is_some() && !matches!(running.op, Some(Op::Open(_)))
        };
        (1..self.tasks.len()).filter(may_be).collect()
    }

    /// The server says these octets.
    pub(super) fn say(&mut self, octets: &[u8]) {
        if !self.modelled {
            let told = self.told();
            self.snapshots.push((usize::MAX - self.budget, told));
        }
        self.is_out |= octets.len() > self.budget;
        let octets = &octets[..octets.len().min(self.budget)];
        self.budget -= octets.len();
        let size = if self.one_by_one { 1 } else { octets.len().max(1) };
        self.hear(octets);
        for piece in octets.chunks(size) {
            self.link.say(&self.shared, self.runtime, piece);
            self.settle();
        }
    }

    /// Lets every task that was woken go on.
    pub(super) fn go_on(&mut self) {
        self.settle();
    }

    /// Lets the oracle know what the server says.
    fn hear(&mut self, octets: &[u8]) {
        self.said.extend_from_slice(octets);
        while let Some(frame) = self.decoder.decode(&mut self.said).expect("well-formed frames") {
            if self.modelled {
                self.oracle.frame(&frame);
            }
            if frame.kind == FrameKind::Method {
                match ToClient::from_payload(&frame.payload) {
                    Ok(ToClient::ChannelCloseOk(_)) => self.rules.close_ok_said(frame.channel),
                    Ok(ToClient::TxCommitOk(_)) => self.rules.committed(frame.channel),
                    _ => {}
                }
            }
        }
    }

    /// The server says this, but no task has a turn before the next step.
    pub(super) fn say_unheard(&mut self, octets: &[u8]) {
        self.hear(octets);
        self.link.say(&self.shared, self.runtime, octets);
    }

    /// Drops a task, wherever it is.
    pub(super) fn drop_task(&mut self, label: Label) {
        let running = &mut self.tasks[label];
        if running.task.take().is_some() && self.modelled {
            self.oracle.gave_up(label, running.log.borrow().len());
        }
        self.settle();
    }

    /// The messages that the client has sent back to their queues: channels and delivery tags.
    pub(super) fn requeued(&self) -> Vec<(u16, u64)> {
        let requeued = self.sent.iter().filter_map(|sent| match sent {
            Sent::Method(channel, ToServer::BasicReject(reject)) if reject.requeue => {
                Some((*channel, reject.delivery_tag))
            }
            _ => None,
        });
        requeued.collect()
    }

    /// The server is gone.
    pub(super) fn cut(&mut self, cut: Cut) {
        if self.modelled {
            self.oracle.lost(match cut {
                Cut::Eof => "eof",
                Cut::Io => "io",
                Cut::Silence => "silent",
            });
        }
        self.link.cut(&self.shared, self.runtime, cut);
        self.settle();
    }

    /// Nothing comes any more, and nobody knows why; every deadline passes.
    pub(super) fn overdue(&mut self) {
        self.oracle.overdue();
        self.link.pass(&self.shared, self.runtime, LOOK);
        self.settle();
    }

    /// Lets every task and the socket go on as far as they can, and looks at all of it.
    fn settle(&mut self) {
        let mut takes_more;
        loop {
            self.run();
            let heard;
            (heard, takes_more) = self.link.heard(&self.shared, self.runtime);
            let is_quiet = heard.is_empty() && !self.tasks.iter().any(|task| task.alarm.is_set());
            self.wire.extend_from_slice(&heard);
            self.heard.extend(heard);
            if is_quiet {
                break;
            }
        }
        self.parse();
        if let Some(Sent::Method(0, ToServer::ConnectionCloseOk(_))) = self.sent.last() {
            self.oracle.hung_up();
            self.link.finish(&self.shared);
            self.run();
        }
        // Nobody has anything to do that wasn't woken for it.
        for label in 0..self.tasks.len() {
            let before = self.tasks[label].log.borrow().len();
            self.poll(label);
            assert_eq!(self.tasks[label].log.borrow().len(), before, "task {label} was not woken");
        }
        assert!(self.rules.accusation.is_none(), "{:?}", self.rules.accusation);
        if !self.modelled {
            return;
        }
        for (label, (running, told)) in self.tasks.iter().zip(self.oracle.told()).enumerate() {
            let heard = running.log.borrow();
            assert_eq!(*heard, *told, "what task {label} was told: {:?}", running.op);
        }
        let requeued: Vec<_> = self.requeued();
        assert!(
            !takes_more || is_same_set(&requeued, self.oracle.requeued()),
            "gone back: {requeued:?}, not {:?}",
            self.oracle.requeued()
        );
        if takes_more && let Some(label) = self.oracle.waits_for_nothing() {
            panic!("publish {label} waits although it may go on");
        }
    }

    /// Reads what the client has sent as a server does.
    fn parse(&mut self) {
        let mut rest = &self.wire[..];
        if !self.greeted {
            let Some(behind) = rest.strip_prefix(&ProtocolHeader::AMQP_0_9_1.to_bytes()) else {
                return;
            };
            rest = behind;
            self.greeted = true;
        }
        let limits = FrameLimits::from_frame_max(0);
        while let Parsed::Frame { frame, consumed } =
            frame::parse(rest, limits).expect("well-formed frames")
        {
            let sent = Sent::from_frame(frame);
            self.rules.check(&sent);
            self.sent.push(sent);
            rest = &rest[consumed..];
        }
        self.wire = rest.to_vec();
    }

    /// What each task was told.
    pub(super) fn told(&self) -> Vec<Vec<String>> {
        self.tasks.iter().map(|running| running.log.borrow().clone()).collect()
    }

    /// After the connection's end: no task waits, and nothing is left of it when its handles are gone.
    pub(super) fn assert_nothing_is_left(mut self) {
        for (label, running) in self.tasks.iter().enumerate() {
            assert!(running.task.is_none(), "task {label} waits for ever: {:?}", running.op);
            assert!(!self.modelled || self.oracle.is_done(label), "task {label} is done too early");
        }
        self.tasks.clear();
        self.handles = Handles::default();
        self.connection = None;
        let census = drive(&self.shared, |core| core.census());
        assert_eq!(Census { numbers: 0, ..census }, Census::default(), "left behind");
        if let Link::Task { .. } = self.link {
            // The socket's other end is still there: it is not what ends the task.
            self.runtime.block_on(async {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(self.runtime.metrics().num_alive_tasks(), 0, "the connection's task");
        }
        assert_eq!(Arc::strong_count(&self.shared), 1);
    }
}

fn is_same_set(one: &[(u16, u64)], other: &[(u16, u64)]) -> bool {
    let sorted = |list: &[(u16, u64)]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        list
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}
