//! Each scene with each fault: its server lost at any octet, its channel closed at any step, any of its
//! tasks dropped at any step. What came before the fault was told as ever, every task ends, nothing is
//! left, and where the connection goes on it still works.

use std::rc::Rc;

use tokio::runtime::Runtime;

use super::cuts::thin;
use super::link::Cut;
use super::program::Log;
use super::scenes::{Note, Scene, Stage, Step, scenes};
use super::server::{Say, Server};
use super::session::CUTS;
use super::world::{World, options, runtime};

/// What a task may be told at the end in place of the reason: a stream's end behind that, a message that
/// had come back, a body whose source has ended by then.
const ENDS: [&str; 3] = ["end", "returned", "placed: BodySource"];

/// What scenes tell when nothing goes wrong, and how often.
const LANDMARKS: [(&str, &str, usize); 8] = [
    ("reopening", "reopened: [b\"t1\", b\"t2\"], not [b\"t3\"]", 3),
    ("reopening", "message 1: 5 octets 31..ce", 1),
    ("windows", "3 of 4, failed [\"0 nacked\"], stopped None", 1),
    ("windows", "4 of 5, failed [\"1 returned\"], stopped None", 1),
    ("bodies", "confirmed", 4),
    ("bodies", "placed: channel by server 404", 2),
    ("calls", "reply 5 octets 72..79", 3),
    ("merged", "3 acked, 1 failed, channel by server 404", 1),
];

/// A scene that is played.
struct Trial<'r> {
    world: World<'r>,
    server: Server,
    stage: Stage,
}

impl<'r> Trial<'r> {
    /// A connection of whose octets, behind the handshake, so many still come, and of ours as many go.
    fn begin(runtime: &'r Runtime, said: usize, room: usize, through_task: bool) -> Self {
        let mut world = World::begin(runtime, options(), room, through_task).without_model();
        let server = Server::new();
        server.handshake(&mut world, 5);
        world.budget = said;
        let stage = Stage::new(world.connection());
        Self { world, server, stage }
    }

    /// Takes a step.
    fn take(&mut self, step: Step) {
        match step {
            Step::Program(task) => {
                let log = Log::default();
                let task = task(self.stage.clone(), Note(Rc::clone(&log)));
                self.world.perform(task, log);
            }
            Step::Server(say) => {
                self.server.look(&self.world);
                say(&mut self.server, &mut self.world);
                self.server.look(&self.world);
            }
        }
    }

    /// Takes all steps, or those before the server is lost.
    fn play(&mut self, scene: &Scene) {
        for &step in &scene.steps {
            self.take(step);
            if self.world.is_out {
                return;
            }
        }
    }

    /// Ends it in good order, the connection told `end`: the server has found nothing wrong, and nothing is left.
    fn finish(self, end: &str) {
        let Self { mut world, mut server, stage } = self;
        let connection = world.connection().clone();
        let log = Log::default();
        let told = Rc::clone(&log);
        let close = Box::pin(async move {
            let note = match connection.close().await {
                Ok(()) => "ok".to_owned(),
                Err(error) => super::brief(&error),
            };
            told.borrow_mut().push(note);
        });
        world.perform(close, Rc::clone(&log));
        server.answer_all(&mut world);
        assert_eq!(*log.borrow(), [end], "the connection's own close");
        stage.end();
        world.go_on();
        drop(stage);
        world.assert_nothing_is_left();
    }

    /// The server is lost: every task ends, told so.
    fn cut(self, cut: Cut) {
        let Self { mut world, stage, .. } = self;
        let how = match cut {
            Cut::Eof => "connection eof",
            Cut::Io => "connection io",
            Cut::Silence => "connection silent",
        };
        let before = world.told();
        let open = world.unfinished();
        world.cut(cut);
        stage.end();
        world.go_on();
        for (label, (before, after)) in before.iter().zip(world.told()).enumerate() {
            assert!(after.starts_with(before), "task {label} was told otherwise: {after:?}");
            let rest = &after[before.len()..];
            let is_told = rest
                .iter()
                .any(|text| text.contains(how) || ENDS.iter().any(|end| text.starts_with(end)));
            assert!(!open.contains(&label) || is_told, "task {label} isn't told why: {rest:?}");
        }
        drop(stage);
        world.assert_nothing_is_left();
    }
}

/// Where the server is lost: at every octet, but inside of long bodies only at some.
fn places(said: usize, snapshots: &[(usize, Vec<Vec<String>>)]) -> Vec<usize> {
    let mut begins: Vec<usize> = snapshots.iter().map(|(begin, _)| *begin).collect();
    begins.push(said);
    let is_worth = |begin: usize, end: usize, place: usize| {
        end - begin < 200 || place - begin < 60 || end - place < 5 || place.is_multiple_of(4999)
    };
    let between = begins.windows(2).flat_map(|pair| {
        let (begin, end) = (pair[0], pair[1]);
        (begin..end).filter(move |&place| is_worth(begin, end, place))
    });
    thin(between.collect(), 2)
}

/// What is told when nothing goes wrong: before each octet that the server says, and at the end.
struct Reference {
    /// Octets said by then, and what each task had been told.
    snapshots: Vec<(usize, Vec<Vec<String>>)>,
    said: usize,
    heard: usize,
}

fn reference(runtime: &Runtime, scene: &Scene) -> Reference {
    let mut trial = Trial::begin(runtime, usize::MAX, usize::MAX, false);
    trial.play(scene);
    let snapshots = std::mem::take(&mut trial.world.snapshots);
    let (said, heard) = (usize::MAX - trial.world.budget, trial.world.heard.len());
    trial.finish("ok");
    Reference { snapshots, said, heard }
}

#[test]
fn every_scene_goes_to_its_end_in_whatever_pieces_it_comes() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for scene in scenes() {
        let told = [(false, false), (false, true), (true, false)].map(|(task, one_by_one)| {
            let mut trial = Trial::begin(&runtime, usize::MAX, usize::MAX, task);
            trial.world.one_by_one = one_by_one;
            trial.play(&scene);
            let told = trial.world.told();
            trial.finish("ok");
            told
        });
        if std::env::var_os("AMQP091_TEST_SHOW").is_some() {
            eprintln!("{}: {:#?}", scene.name, told[0]);
        }
        let told_of = |text: &str| told[0].iter().flatten().filter(|other| *other == text).count();
        for (name, text, count) in LANDMARKS {
            assert!(name != scene.name || told_of(text) == count, "{name}: {text}");
        }
        assert_eq!(told[0], told[1], "{}", scene.name);
        assert_eq!(told[0], told[2], "{}", scene.name);
    }
}

#[test]
fn a_server_lost_at_any_octet_changes_nothing_of_what_came_before() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for scene in scenes() {
        let Reference { snapshots, said, .. } = reference(&runtime, &scene);
        for (at, place) in places(said, &snapshots).into_iter().enumerate() {
            let mut trial = Trial::begin(&runtime, place, usize::MAX, false);
            trial.play(&scene);
            if trial.world.is_out {
                let known = snapshots.iter().rev().find(|(said, _)| *said <= place);
                assert_eq!(trial.world.told(), known.unwrap().1, "{} at {place}", scene.name);
            }
            trial.cut(CUTS[at % CUTS.len()]);
        }
    }
}

#[test]
fn a_server_that_hears_no_more_from_any_octet_on_ends_every_wait() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for scene in scenes() {
        let Reference { heard, .. } = reference(&runtime, &scene);
        let greeting = Trial::begin(&runtime, 0, usize::MAX, false).world.heard.len();
        let places: Vec<usize> = (greeting..heard.min(40_000)).step_by(heard / 40 + 1).collect();
        for (at, room) in thin(places, 2).into_iter().enumerate() {
            for through_task in [false, true] {
                let mut trial = Trial::begin(&runtime, usize::MAX, room, through_task);
                trial.play(&scene);
                trial.cut(CUTS[at % CUTS.len()]);
            }
        }
    }
}

/// What happens at a step.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The server closes a channel.
    Closed(u8),
    /// The same, and the program opens it again at once.
    ClosedAndReopened(u8),
    /// The program closes a channel.
    Closing(u8),
    /// The program closes a channel and opens it again at once.
    ClosingAndReopening(u8),
    /// The server closes the connection.
    Forced,
    /// The program closes it.
    Leaving,
}

impl Trial<'_> {
    fn suffer(&mut self, fault: Fault) {
        let Self { world, server, stage } = self;
        match fault {
            Fault::Closed(on) | Fault::ClosedAndReopened(on) => {
                server.say(world, on.into(), &Say::Close);
            }
            Fault::Closing(on) | Fault::ClosingAndReopening(on) => {
                world.perform(stage.close_channel(on), Log::default());
            }
            Fault::Forced => server.close(world),
            Fault::Leaving => world.perform(stage.leave(), Log::default()),
        }
        if let Fault::ClosedAndReopened(on) | Fault::ClosingAndReopening(on) = fault {
            world.perform(stage.reopen_channel(on), Log::default());
        }
    }
}

#[test]
fn a_close_at_any_step_ends_what_it_should_and_nothing_else() {
    let runtime = runtime();
    let _clock = runtime.enter();
    let faults = [
        Fault::Closed(1),
        Fault::Closed(2),
        Fault::ClosedAndReopened(1),
        Fault::ClosedAndReopened(2),
        Fault::Closing(1),
        Fault::ClosingAndReopening(1),
        Fault::Forced,
        Fault::Leaving,
    ];
    for scene in scenes() {
        for at in 0..scene.steps.len() {
            for fault in faults {
                let mut trial = Trial::begin(&runtime, usize::MAX, usize::MAX, false);
                for (step, &what) in scene.steps.iter().enumerate() {
                    trial.take(what);
                    if step == at {
                        trial.suffer(fault);
                    }
                }
                trial.finish(match fault {
                    Fault::Forced => "connection by server 320",
                    _ => "ok",
                });
            }
        }
    }
}

#[test]
fn a_task_dropped_at_any_step_costs_nothing_else() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for scene in scenes() {
        for at in 0..scene.steps.len() {
            let play = |dropped: Option<usize>| {
                let mut trial = Trial::begin(&runtime, usize::MAX, usize::MAX, false);
                let mut droppable = Vec::new();
                for (step, &what) in scene.steps.iter().enumerate() {
                    trial.take(what);
                    if step == at {
                        droppable = trial.world.unfinished();
                        dropped.into_iter().for_each(|label| trial.world.drop_task(label));
                    }
                }
                trial.finish("ok");
                droppable
            };
            for label in play(None) {
                play(Some(label));
            }
        }
    }
}
