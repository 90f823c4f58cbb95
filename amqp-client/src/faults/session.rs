//! One connection's life in which everything that can be waited for is, at some point, waited for.

use amqp091::protocol::{ReplyCode, basic, channel, connection, queue, tx};

use super::body;
use super::link::Cut;
use super::program::{Call, Kind, Op, Settles};
use super::world::{FRAME_MAX, World};
use crate::core::tests::{
    body_frame, channel_close, connection_close, content_frames, delivery, header_frame,
    method_frame, short, start,
};

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The program does something.
    Do(Op),
    /// The server says something.
    Say(Vec<u8>),
}

/// How a session ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// The program closes the connection.
    ByUser,
    /// The server does.
    ByServer,
}

/// A session of a server that wants heartbeats, or none.
pub(super) fn session(ending: Ending, heartbeat: u16) -> Vec<Step> {
    let mut steps = Steps(Vec::new());
    steps.say(method_frame(0, &start("PLAIN AMQPLAIN")));
    let tune = connection::Tune { channel_max: 8, frame_max: FRAME_MAX, heartbeat };
    steps.say(method_frame(0, &tune));
    steps.say(method_frame(0, &connection::OpenOk {}));
    steps.run(&[Op::WaitForEnd, Op::Open(1), Op::Open(2)]);
    steps.say(method_frame(1, &channel::OpenOk {}));
    steps.say(method_frame(2, &channel::OpenOk {}));
    steps.calls();
    steps.consumers();
    steps.confirms();
    steps.transactions();
    steps.channels();
    steps.run(&[Op::UpdateSecret, Op::Call(2, Call::Declare(5))]);
    match ending {
        Ending::ByUser => {
            steps.run(&[Op::Close, Op::Close, Op::Call(2, Call::Qos)]);
            steps.say(method_frame(0, &connection::UpdateSecretOk {}));
            steps.say(method_frame(0, &connection::CloseOk {}));
        }
        Ending::ByServer => {
            steps.say(method_frame(0, &connection_close(ReplyCode::CONNECTION_FORCED)));
        }
    }
    steps.0
}

struct Steps(Vec<Step>);

impl Steps {
    fn run(&mut self, ops: &[Op]) {
        self.0.extend(ops.iter().map(|&op| Step::Do(op)));
    }

    fn say(&mut self, octets: Vec<u8>) {
        self.0.push(Step::Say(octets));
    }

    /// Requests of several kinds on two channels, pipelined.
    fn calls(&mut self) {
        self.run(&[
            Op::Call(1, Call::Declare(1)),
            Op::Call(1, Call::Bind),
            Op::Call(1, Call::Declare(2)),
            Op::Call(2, Call::Qos),
            Op::Call(1, Call::Recover),
        ]);
        let declared = |name| queue::DeclareOk {
            queue: amqp091::types::ShortStr::new([b'q', name]).unwrap(),
            message_count: 3,
            consumer_count: 0,
        };
        self.say(method_frame(1, &declared(1)));
        self.say(method_frame(2, &basic::QosOk {}));
        self.say(method_frame(1, &queue::BindOk {}));
        self.say(method_frame(1, &declared(2)));
        self.say(method_frame(1, &basic::RecoverOk {}));
    }

    /// Two consumers, messages of all sizes between those of `basic.get`, both ways to end a stream.
    fn consumers(&mut self) {
        self.run(&[
            Op::Consume {
                on: 1,
                tag: b'1',
                no_ack: false,
                prefetch: true,
                settles: Settles::Nothing,
            },
            Op::Consume { on: 1, tag: b'2', no_ack: true, prefetch: false, settles: Settles::Some },
            Op::Get { on: 2, no_ack: false },
            Op::Get { on: 2, no_ack: true },
        ]);
        self.say(method_frame(1, &basic::QosOk {}));
        let consume_ok = |tag: &str| basic::ConsumeOk { consumer_tag: short(tag) };
        // The second queue is faster, and delivers at once.
        self.say(method_frame(1, &consume_ok("t2")));
        self.say(content_frames(1, &delivery("t2", 1), b"first", FRAME_MAX));
        self.say(method_frame(1, &consume_ok("t1")));
        self.say(content_frames(1, &delivery("t1", 2), b"", FRAME_MAX));
        let got = basic::GetOk { delivery_tag: 1, message_count: 7, ..basic::GetOk::default() };
        let large = body(16_500, 3);
        self.say(method_frame(1, &delivery("t1", 3)));
        self.say(method_frame(2, &got));
        self.say(header_frame(1, large.len() as u64, &[0x80, 0, 1, b't']));
        self.say(header_frame(2, 300, &[0, 0]));
        self.say(body_frame(1, &large));
        self.say(body_frame(2, &body(100, 4)));
        // A heartbeat.
        self.say(vec![8, 0, 0, 0, 0, 0, 0, 0xCE]);
        self.say(content_frames(1, &delivery("t2", 4), &body(50, 5), FRAME_MAX));
        self.say(body_frame(2, &body(200, 6)));
        self.say(method_frame(2, &basic::GetEmpty {}));
        self.run(&[Op::Cancel { on: 1, tag: b'2' }, Op::Call(1, Call::Qos)]);
        self.say(content_frames(1, &delivery("t2", 5), b"late", FRAME_MAX));
        self.say(method_frame(1, &basic::QosOk {}));
        self.say(method_frame(1, &basic::CancelOk { consumer_tag: short("t2") }));
        let consumer_tag = short("t1");
        self.say(method_frame(1, &basic::Cancel { consumer_tag, no_wait: false }));
        self.run(&[Op::Consume {
            on: 2,
            tag: b'3',
            no_ack: false,
            prefetch: false,
            settles: Settles::Some,
        }]);
        self.say(method_frame(2, &consume_ok("t3")));
    }

    /// Messages of all sizes and kinds; confirms single and multiple, in and out of order; a return
    /// before its ack; a server that blocks.
    fn confirms(&mut self) {
        let publish = |key, size, kind| Op::Publish { on: 2, key, size, kind };
        self.run(&[
            publish(b'a', 10, Kind::Watched),
            publish(b'b', 17_000, Kind::Watched),
            publish(b'c', 5, Kind::Mandatory),
        ]);
        // Tags 1 to 3 of channel 2; the label of the third is its body's seed.
        let third = (self.ops() - 1) as u8;
        self.run(&[
            publish(b'c', 6, Kind::Mandatory),
            publish(b'd', 17_000, Kind::Unwatched),
            publish(b'e', 0, Kind::Watched),
            publish(b'f', 1, Kind::Watched),
        ]);
        let ack = |delivery_tag, multiple| method_frame(2, &basic::Ack { delivery_tag, multiple });
        self.say(ack(2, false));
        let nack = basic::Nack { delivery_tag: 1, multiple: false, requeue: false };
        self.say(method_frame(2, &nack));
        let returned = basic::Return {
            reply_code: ReplyCode::NO_ROUTE,
            reply_text: short("NO_ROUTE"),
            exchange: short(""),
            routing_key: short("kc"),
        };
        self.say(content_frames(2, &returned, &body(5, third), FRAME_MAX));
        self.say(method_frame(0, &connection::Blocked { reason: short("low on memory") }));
        self.run(&[publish(b'g', 10, Kind::Watched), publish(b'h', 17_000, Kind::Watched)]);
        self.say(ack(4, true));
        self.say(method_frame(2, &channel::Flow { active: false }));
        self.say(method_frame(0, &connection::Unblocked {}));
        self.say(ack(6, false));
        self.say(method_frame(2, &channel::Flow { active: true }));
        self.say(method_frame(2, &basic::Nack { delivery_tag: 7, multiple: true, requeue: false }));
    }

    /// A commit behind which other things wait.
    fn transactions(&mut self) {
        self.run(&[Op::Open(3)]);
        self.say(method_frame(3, &channel::OpenOk {}));
        self.run(&[Op::Call(3, Call::TxSelect)]);
        self.say(method_frame(3, &tx::SelectOk {}));
        let publish = Op::Publish { on: 3, key: b'x', size: 10, kind: Kind::Unwatched };
        self.run(&[publish, Op::Call(3, Call::TxCommit), Op::Call(3, Call::Qos), publish]);
        self.run(&[Op::Call(3, Call::TxCommit)]);
        self.say(method_frame(3, &tx::CommitOk {}));
        self.say(method_frame(3, &basic::QosOk {}));
        self.say(method_frame(3, &tx::CommitOk {}));
    }

    /// A channel closed by the server under calls and confirms, its number used again; one closed by
    /// the program whose confirms still come.
    fn channels(&mut self) {
        self.run(&[
            Op::Publish { on: 1, key: b'y', size: 3, kind: Kind::Watched },
            Op::Call(1, Call::Declare(3)),
            Op::Get { on: 1, no_ack: false },
        ]);
        self.say(method_frame(1, &channel_close(ReplyCode::NOT_FOUND)));
        self.run(&[Op::Call(1, Call::Qos), Op::Open(4)]);
        self.say(method_frame(1, &channel::OpenOk {}));
        self.run(&[
            Op::Publish { on: 4, key: b'z', size: 3, kind: Kind::Watched },
            Op::Publish { on: 4, key: b'z', size: 16_500, kind: Kind::Mandatory },
            Op::Call(4, Call::Bind),
            Op::CloseChannel(4),
            Op::Call(4, Call::Qos),
        ]);
        self.say(method_frame(1, &basic::Ack { delivery_tag: 1, multiple: false }));
        self.say(method_frame(1, &queue::BindOk {}));
        self.say(method_frame(1, &channel::CloseOk {}));
    }

    /// Tasks so far: that which opens the connection, and one for each operation.
    fn ops(&self) -> usize {
        1 + self.0.iter().filter(|step| matches!(step, Step::Do(_))).count()
    }
}

/// Plays a session up to where its server is lost.
pub(super) struct Play {
    /// Octets of the server's that still come.
    pub(super) server: usize,
    /// The server's octets come in pieces cut here.
    pub(super) split: usize,
    /// They come one by one.
    pub(super) one_by_one: bool,
}

impl Default for Play {
    fn default() -> Self {
        Self { server: usize::MAX, split: usize::MAX, one_by_one: false }
    }
}

impl Play {
    /// Whether the session went to its end.
    pub(super) fn run(&self, steps: &[Step], world: &mut World<'_>, room: usize) -> bool {
        let mut said = 0;
        for step in steps {
            match step {
                Step::Do(op) => assert!(world.act(*op), "it can't do that: {op:?}"),
                Step::Say(octets) => {
                    let end = octets.len().min(self.server - said);
                    if self.one_by_one {
                        octets[..end].chunks(1).for_each(|octet| world.say(octet));
                    } else {
                        let split = self.split.saturating_sub(said).min(end);
                        for piece in [&octets[..split], &octets[split..end]] {
                            if !piece.is_empty() {
                                world.say(piece);
                            }
                        }
                    }
                    said += end;
                    if end < octets.len() || said == self.server {
                        return false;
                    }
                }
            }
            if world.heard.len() >= room {
                // The server never got what it would answer.
                return false;
            }
        }
        true
    }
}

/// The server's octets of a session.
pub(super) fn said(steps: &[Step]) -> Vec<u8> {
    let said = steps.iter().filter_map(|step| match step {
        Step::Say(octets) => Some(&octets[..]),
        Step::Do(_) => None,
    });
    said.collect::<Vec<_>>().concat()
}

pub(super) const CUTS: [Cut; 3] = [Cut::Eof, Cut::Io, Cut::Silence];
