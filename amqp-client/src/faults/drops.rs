//! Each future of a session dropped at each of its awaits: every other is told what it would have been
//! told, what the dropped one had got hold of goes back, and nothing half-said is on the wire.

use super::cuts::thin;
use super::session::{Ending, Play, Step, session};
use super::world::{World, options, runtime};

/// When the task is dropped: behind this step, and if the server said something in that, before or
/// after the task has heard it.
#[derive(Clone, Copy, Debug)]
struct Place {
    step: usize,
    heard: bool,
}

/// Plays a session in which one task is dropped; the program leaves out what it can't do without it.
/// Returns the tasks that could have been dropped at the place.
fn play(steps: &[Step], world: &mut World<'_>, place: Place, label: Option<usize>) -> Vec<usize> {
    let mut droppable = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let is_here = at == place.step;
        match step {
            Step::Do(op) => {
                if !world.act(*op) {
                    world.act_nothing();
                }
            }
            Step::Say(octets) if is_here && !place.heard => world.say_unheard(octets),
            Step::Say(octets) => world.say(octets),
        }
        if is_here {
            droppable = world.droppable();
            match label {
                Some(label) => world.drop_task(label),
                None => world.go_on(),
            }
        }
    }
    droppable
}

#[test]
fn a_future_dropped_at_any_await_disturbs_no_other() {
    let runtime = runtime();
    let _clock = runtime.enter();
    let mut drops = 0;
    for ending in [Ending::ByUser, Ending::ByServer] {
        let steps = session(ending, 5);
        let begin = || World::begin(&runtime, options(), usize::MAX, false);
        // The second session differs at its end.
        let from = if ending == Ending::ByUser { 0 } else { steps.len() - 4 };
        for step in from..steps.len() {
            for heard in [true, false] {
                let place = Place { step, heard };
                let mut world = begin();
                let droppable = play(&steps, &mut world, place, None);
                world.assert_nothing_is_left();
                // Those who have an answer there that they haven't heard are never left out.
                let every = if heard { 1 + step % 2 } else { 1 };
                for label in thin(droppable, every) {
                    let mut world = begin();
                    play(&steps, &mut world, place, Some(label));
                    world.assert_nothing_is_left();
                    drops += 1;
                }
            }
        }
    }
    assert!(drops > 500, "{drops}");
}

#[test]
fn the_session_has_a_task_of_every_kind() {
    let runtime = runtime();
    let _clock = runtime.enter();
    let mut world = World::begin(&runtime, options(), usize::MAX, false);
    assert!(Play::default().run(&session(Ending::ByUser, 5), &mut world, usize::MAX));
    let told = world.told().concat();
    for text in ["ok", "empty", "end", "cancelled", "placed", "confirmed", "nacked"] {
        assert!(told.iter().any(|other| other == text), "{text}");
    }
    for text in ["message ", "got ", "returned ", "unknown: ", "channel by server "] {
        assert!(told.iter().any(|other| other.starts_with(text)), "{text}");
    }
    world.assert_nothing_is_left();
}
