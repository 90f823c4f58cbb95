//! Runs a program on two brokers at once, step by step, until they differ.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::program::{Action, Step, Which};
use crate::side::Side;

/// How long both have to be silent, and alike, for a step to be over.
const SILENCE: Duration = Duration::from_millis(2);

/// How long they have to become alike.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How they differ: the first step, what both told.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) text: String,
}

struct Both([Side; 2]);

/// Runs a program on the broker at `ours` and on that at `theirs`.
pub(crate) fn run(
    steps: &[Step],
    ours: &str,
    theirs: &str,
    prefix: &str,
) -> Result<(), Difference> {
    let mut both = Both([Side::new(ours, prefix), Side::new(theirs, prefix)]);
    let mut outcome = Ok(());
    let mut is_unordered = false;
    for (number, step) in steps.iter().enumerate() {
        let is_end = matches!(step.action, Action::CloseConnection | Action::DropConnection);
        let has_several = both.0.iter().any(|side| side.has_several(step.channel));
        let done = both.step(number, step);
        is_unordered |= has_several && (is_end || both.0.iter().all(Side::has_lost));
        for side in &mut both.0 {
            side.next_step();
        }
        if let Err(text) = done {
            // RabbitMQ ends a connection's channels one after the other, in any order, and what one gives up
            // may go to the next: nothing can be said of what comes then.
            if is_unordered {
                return both.clean_up(Ok(()));
            }
            outcome = Err(Difference { step: number, text });
            break;
        }
    }
    if outcome.is_ok() && !is_unordered {
        outcome = both.end().map_err(|text| Difference { step: steps.len(), text });
    }
    both.clean_up(outcome)
}

impl Both {
    fn clean_up(&mut self, outcome: Result<(), Difference>) -> Result<(), Difference> {
        let exchanges = ["x0", "x1", "x2", "x3"];
        self.0.iter_mut().for_each(|side| side.clean_up(&exchanges));
        outcome
    }

    fn step(&mut self, number: usize, step: &Step) -> Result<(), String> {
        for side in &mut self.0 {
            side.open(step.channel);
        }
        let tags = self.tags(step);
        let mut action = step.action.clone();
        if let (Action::Ack { multiple, .. } | Action::Nack { multiple, .. }, false) =
            (&mut action, tags.2)
        {
            *multiple = false;
        }
        for (side, tag) in self.0.iter_mut().zip([tags.0, tags.1]) {
            side.act(step.channel, number, &action, tag);
        }
        self.note_settled(step.channel, &action, [tags.0, tags.1]);
        self.wait(number)
    }

    /// Until both are alike and say no more.
    fn wait(&mut self, number: usize) -> Result<(), String> {
        let began = Instant::now();
        let mut silent = Instant::now();
        let mut is_flown = false;
        loop {
            let [ours, theirs] = &mut self.0;
            if ours.poll() | theirs.poll() {
                silent = Instant::now();
                continue;
            }
            let is_late = began.elapsed() > PATIENCE;
            if ours.is_answered() && theirs.is_answered() && silent.elapsed() >= SILENCE {
                if !is_flown {
                    // Replies may overtake what else a step leads to.
                    is_flown = true;
                    for side in &mut self.0 {
                        side.look();
                    }
                    silent = Instant::now();
                    continue;
                }
                if ours.told().eq(theirs.told()) {
                    if ours.looked() == theirs.looked() {
                        ours.forget_missing();
                        theirs.forget_missing();
                        return Ok(());
                    }
                    is_flown = false;
                }
            }
            if is_late {
                return Err(self.difference(number));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn difference(&self, number: usize) -> String {
        let mut text = format!("step {number}:\n");
        let [ours, theirs] = &self.0;
        for (name, one, other) in [("ours", ours, theirs), ("theirs", theirs, ours)] {
            for (channel, (told, others)) in one.told().zip(other.told()).enumerate() {
                if told != others {
                    let _ = writeln!(text, "  {name} on {channel}: {told:#?}");
                }
            }
            if one.looked() != other.looked() {
                let _ = writeln!(text, "  {name} has {:?}", one.looked());
            }
            if !one.is_answered() {
                let _ = writeln!(text, "  {name} doesn't answer");
            }
        }
        text
    }

    /// The delivery tag on each side, and whether all before it are the same on both.
    fn tags(&self, step: &Step) -> (u64, u64, bool) {
        let (Action::Ack { which, .. } | Action::Nack { which, .. } | Action::Reject { which, .. }) =
            step.action
        else {
            return (0, 0, true);
        };
        let [ours, theirs] = self.0.each_ref().map(|side| &side.lines[step.channel]);
        let (ours, theirs, place) = match which {
            Which::Tag(tag) => return (tag, tag, true),
            Which::Held(place) => (&ours.held, &theirs.held, place),
            Which::Settled(place) => (&ours.settled, &theirs.settled, place),
        };
        let len = ours.len().min(theirs.len());
        if len == 0 {
            return (place as u64 + 1, place as u64 + 1, true);
        }
        let (one, other) = (ours[place % len], theirs[place % len]);
        let is_same =
            ours.iter().zip(theirs).all(|(our, their)| (*our <= one) == (*their <= other));
        (one, other, is_same)
    }

    fn note_settled(&mut self, at: usize, action: &Action, tags: [u64; 2]) {
        let multiple = match action {
            Action::Ack { multiple, .. } | Action::Nack { multiple, .. } => *multiple,
            Action::Reject { .. } => false,
            Action::Recover { requeue: true } | Action::RecoverAsync { requeue: true } => {
                for side in &mut self.0 {
                    side.lines[at].held.clear();
                }
                return;
            }
            _ => return,
        };
        for (side, tag) in self.0.iter_mut().zip(tags) {
            let line = &mut side.lines[at];
            let settled = &mut line.settled;
            line.held.retain(|&held| {
                let is_meant = held == tag || (multiple && (held <= tag || tag == 0));
                if is_meant {
                    settled.push(held);
                }
                !is_meant
            });
        }
    }

    /// What is left everywhere.
    fn end(&mut self) -> Result<(), String> {
        // What is held goes back.
        for at in 0..self.0[0].lines.len() {
            if self.0.iter().all(|side| side.lines[at].is_open) {
                self.step(usize::MAX, &Step { channel: at, action: Action::CloseChannel })?;
            }
        }
        std::thread::sleep(SILENCE * 2);
        let [ours, theirs] = self.0.each_mut().map(Side::drain);
        if ours != theirs {
            return Err(format!("at the end, ours: {ours:#?}\ntheirs: {theirs:#?}"));
        }
        Ok(())
    }
}
