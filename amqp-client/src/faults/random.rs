//! Random programs against a random server: at every step each task has been told what the oracle says,
//! whatever comes in whatever order, and however it ends.
//!
//! `PROPTEST_CASES` sets how many programs; `scripts/test-faults` runs the long form.

use proptest::prelude::*;

use super::link::Cut;
use super::program::{Call, Kind, Op, Settles};
use super::server::{Say, Server};
use super::world::{World, options, runtime};

#[derive(Clone, Debug)]
enum Step {
    Program(Op),
    /// Drops one of the tasks.
    Drop(usize),
    Server(u16, Say),
    /// The server answers some of the requests of a channel. A queue, which answers for its consumers,
    /// may be slow.
    Answer {
        channel: u16,
        count: usize,
        slow: bool,
    },
    /// All that it was asked.
    AnswerAll,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Cut(Cut),
    ByServer,
    ByUser,
    /// Nothing comes any more; every answer is overdue.
    Overdue,
}

fn op() -> impl Strategy<Value = Op> {
    let on = || 1..4_u8;
    let tag = || b'1'..b'3';
    let flag = any::<bool>;
    let size = prop_oneof![4 => Just(10usize), 1 => Just(0), 1 => Just(1), 2 => Just(17_000)];
    let kind = prop_oneof![
        4 => Just(Kind::Watched),
        4 => Just(Kind::Mandatory),
        2 => Just(Kind::Prepared),
        1 => Just(Kind::Unwatched),
    ];
    let settles = prop_oneof![
        1 => Just(Settles::Nothing),
        1 => Just(Settles::Some),
        2 => Just(Settles::Coalesced),
    ];
    let call = prop_oneof![
        4 => (b'a'..=b'z').prop_map(Call::Declare),
        2 => Just(Call::Bind),
        3 => Just(Call::Qos),
        1 => Just(Call::Recover),
        1 => Just(Call::TxSelect),
        2 => Just(Call::TxCommit),
    ];
    prop_oneof![
        60 => on().prop_map(Op::Open),
        60 => (on(), call).prop_map(|(on, call)| Op::Call(on, call)),
        40 => (on(), tag(), flag(), flag(), settles).prop_map(|(on, tag, no_ack, prefetch, settles)| {
            Op::Consume { on, tag, no_ack, prefetch, settles }
        }),
        10 => on().prop_map(Op::FlushAcks),
        25 => (on(), tag()).prop_map(|(on, tag)| Op::Cancel { on, tag }),
        20 => (on(), flag()).prop_map(|(on, no_ack)| Op::Get { on, no_ack }),
        120 => (on(), b'a'..b'c', size, kind)
            .prop_map(|(on, key, size, kind)| Op::Publish { on, key, size, kind }),
        12 => on().prop_map(Op::CloseChannel),
        5 => Just(Op::UpdateSecret),
        3 => Just(Op::WaitForEnd),
        1 => Just(Op::Close),
    ]
}

fn say() -> impl Strategy<Value = Say> {
    let flag = any::<bool>;
    let choice = any::<usize>;
    prop_oneof![
        8 => (b'1'..b'3', prop_oneof![3 => 0..50usize, 1 => Just(17_000)])
            .prop_map(|(tag, size)| Say::Deliver(tag, size)),
        8 => (choice(), flag(), flag())
            .prop_map(|(choice, multiple, ack)| Say::Confirm { choice, multiple, ack }),
        4 => choice().prop_map(Say::Return),
        1 => (b'1'..b'3', flag()).prop_map(|(tag, no_wait)| Say::Cancel(tag, no_wait)),
        1 => Just(Say::Close),
        1 => flag().prop_map(Say::Flow),
        2 => flag().prop_map(Say::Blocked),
        1 => Just(Say::Heartbeat),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let channel = || 1..4_u16;
    prop_oneof![
        30 => op().prop_map(Step::Program),
        2 => any::<usize>().prop_map(Step::Drop),
        25 => (channel(), say()).prop_map(|(channel, say)| Step::Server(channel, say)),
        20 => (channel(), 1..4usize, any::<bool>())
            .prop_map(|(channel, count, slow)| Step::Answer { channel, count, slow }),
        3 => Just(Step::AnswerAll),
    ]
}

/// How many programs, unless `PROPTEST_CASES` says otherwise.
fn cases(default: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted.and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(150),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_task_is_told_what_the_model_says(
        steps in prop::collection::vec(step(), 0..120),
        ending in prop_oneof![
            Just(Ending::Cut(Cut::Eof)),
            Just(Ending::Cut(Cut::Io)),
            Just(Ending::Cut(Cut::Silence)),
            Just(Ending::ByServer),
            Just(Ending::ByUser),
            Just(Ending::Overdue),
        ],
    ) {
        let runtime = runtime();
        let _clock = runtime.enter();
        let heartbeat = if matches!(ending, Ending::Overdue) { 0 } else { 5 };
        let options = options().heartbeat(std::time::Duration::from_secs(heartbeat));
        let mut world = World::begin(&runtime, options, usize::MAX, false);
        let mut server = Server::new();
        server.handshake(&mut world, heartbeat as u16);
        for slot in [1, 2] {
            world.act(Op::Open(slot));
        }
        server.answer_all(&mut world);
        for step in steps {
            match step {
                Step::Program(op) => {
                    world.act(op);
                }
                Step::Drop(choice) => {
                    let droppable = world.droppable();
                    if let Some(of) = choice.checked_rem(droppable.len()) {
                        world.drop_task(droppable[of]);
                    }
                }
                Step::Server(channel, say) => server.say(&mut world, channel, &say),
                Step::Answer { channel, count, slow } => {
                    (0..count).for_each(|_| server.answer(&mut world, channel, slow));
                }
                Step::AnswerAll => server.answer_all(&mut world),
            }
            server.look(&world);
        }
        match ending {
            Ending::Cut(cut) => world.cut(cut),
            Ending::ByServer => server.close(&mut world),
            Ending::ByUser => {
                world.act(Op::Close);
                server.answer_all(&mut world);
            }
            Ending::Overdue => {
                world.overdue();
                world.cut(Cut::Eof);
            }
        }
        world.assert_nothing_is_left();
    }
}
