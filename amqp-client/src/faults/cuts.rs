//! The server lost at every octet of what it says and of what it hears: each wait ends as what came
//! before tells, and nothing is left of the connection.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::link::Cut;
use super::session::{CUTS, Ending, Play, Step, said, session};
use super::world::{World, options, runtime};
use crate::core::tests::Sent;

/// Every octet of frames, but inside of long bodies every so many.
const STRIDE: usize = 4999;

/// The places in `octets` where it is worth while to cut.
fn places(octets: &[u8]) -> Vec<usize> {
    let is_inside = |at: usize| {
        let around = at.checked_sub(20).and_then(|from| octets.get(from..at + 20));
        around.is_some_and(|around| around.iter().all(|octet| *octet == around[0]))
    };
    (0..=octets.len()).filter(|&at| at % STRIDE == 0 || !is_inside(at)).collect()
}

/// A session with the places where the server's octets are cut, and those where the client's are.
struct Session {
    steps: Vec<Step>,
    said: Vec<usize>,
    heard: Vec<usize>,
}

/// Both sessions; the second is cut only from where on it isn't like the first.
fn sessions(runtime: &Runtime, heartbeat: u16) -> [Session; 2] {
    let [first, second] = [Ending::ByUser, Ending::ByServer].map(|ending| {
        let steps = session(ending, heartbeat);
        let mut world = World::begin(runtime, options(), usize::MAX, false);
        assert!(Play::default().run(&steps, &mut world, usize::MAX));
        let heard = std::mem::take(&mut world.heard);
        world.assert_nothing_is_left();
        (said(&steps), heard, steps)
    });
    let cut = |octets: &[u8], other: &[u8]| {
        let common = octets.iter().zip(other).take_while(|(octet, other)| octet == other).count();
        let common = if common == octets.len() { 0 } else { common };
        places(octets).into_iter().filter(|&place| place >= common).collect()
    };
    let said = cut(&second.0, &first.0);
    let heard = cut(&second.1, &first.1);
    [
        Session { said: places(&first.0), heard: places(&first.1), steps: first.2 },
        Session { said, heard, steps: second.2 },
    ]
}

/// One place of so many, and all of them in the long form of these tests.
pub(super) fn thin<T>(places: Vec<T>, every: usize) -> Vec<T> {
    let every = if std::env::var_os(LONG).is_some() { 1 } else { every };
    places.into_iter().step_by(every).collect()
}

/// Set for the long form.
const LONG: &str = "AMQP091_TEST_LONG";

fn play(
    runtime: &Runtime,
    steps: &[Step],
    server: usize,
    room: usize,
    cut: Cut,
    through_task: bool,
) {
    let mut world = World::begin(runtime, options(), room, through_task);
    let play = Play { server, ..Play::default() };
    play.run(steps, &mut world, room);
    world.cut(cut);
    world.assert_nothing_is_left();
}

#[test]
fn the_session_itself_goes_to_its_end() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for ending in [Ending::ByUser, Ending::ByServer] {
        for through_task in [false, true] {
            let mut world = World::begin(&runtime, options(), usize::MAX, through_task);
            assert!(Play::default().run(&session(ending, 5), &mut world, usize::MAX));
            world.assert_nothing_is_left();
        }
    }
}

#[test]
fn a_server_lost_at_any_octet_that_it_says_ends_every_wait_with_what_came_before() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for Session { steps, said, .. } in sessions(&runtime, 5) {
        for (at, place) in said.into_iter().enumerate() {
            for cut in thin(CUTS.to_vec(), 1 + at % 2) {
                play(&runtime, &steps, place, usize::MAX, cut, false);
            }
        }
    }
}

#[test]
fn a_server_lost_at_any_octet_that_it_hears_ends_every_wait_with_what_came_before() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for Session { steps, heard, .. } in sessions(&runtime, 5) {
        // The core hands out whole frames: the pieces are the task's concern, below.
        for (at, place) in thin(heard, 5).into_iter().enumerate() {
            play(&runtime, &steps, usize::MAX, place, CUTS[at % CUTS.len()], false);
        }
    }
}

/// The same through the connection's task and a pipe: the socket takes part of what the task writes,
/// and nothing of the task is left.
#[test]
fn a_server_lost_anywhere_ends_the_connections_task() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for Session { steps, said, heard } in sessions(&runtime, 5) {
        let server = thin(said, 7).into_iter().map(|place| (place, usize::MAX));
        let client = thin(heard, 7).into_iter().map(|place| (usize::MAX, place));
        for (at, (server, room)) in server.chain(client).enumerate() {
            let cut = CUTS[at % CUTS.len()];
            play(&runtime, &steps, server, room, cut, true);
        }
    }
}

/// Without heartbeats nobody knows that the server is gone; but each answer has a deadline, and what
/// has none ends with the socket.
#[test]
fn a_silent_server_without_heartbeats_is_found_out_by_every_call_and_confirm() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for Session { steps, said, .. } in sessions(&runtime, 0) {
        for place in said {
            let options = options().heartbeat(Duration::ZERO);
            let mut world = World::begin(&runtime, options, usize::MAX, false);
            Play { server: place, ..Play::default() }.run(&steps, &mut world, usize::MAX);
            world.overdue();
            world.cut(Cut::Eof);
            world.assert_nothing_is_left();
        }
    }
}

/// What each task is told, and what the client sends, when the server's octets come in these pieces.
fn transcript(
    runtime: &Runtime,
    steps: &[Step],
    play: &Play,
    through_task: bool,
) -> (Vec<Vec<String>>, Vec<Sent>) {
    let mut world = World::begin(runtime, options(), usize::MAX, through_task);
    assert!(play.run(steps, &mut world, usize::MAX));
    let transcript = (world.told(), std::mem::take(&mut world.sent));
    world.assert_nothing_is_left();
    transcript
}

#[test]
fn input_split_at_any_octet_or_coming_one_by_one_is_the_same_session() {
    let runtime = runtime();
    let _clock = runtime.enter();
    for Session { steps, said, .. } in sessions(&runtime, 5) {
        let whole = transcript(&runtime, &steps, &Play::default(), false);
        for split in said {
            let play = Play { split, ..Play::default() };
            assert!(transcript(&runtime, &steps, &play, false) == whole, "split at {split}");
        }
        let play = Play { one_by_one: true, ..Play::default() };
        assert!(transcript(&runtime, &steps, &play, false) == whole, "one by one");
        assert!(transcript(&runtime, &steps, &Play::default(), true) == whole, "by its task");
    }
}
