//! A window against a model so simple that it is easily seen to be right, with others that publish on its
//! channel, and tasks that wait for room and give up.

use proptest::prelude::*;

use super::*;
use crate::core::{Counted, TallyKey};
use crate::publish::{BatchOutcome, PublishError};

const LIMIT: usize = 3;

/// What happens next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    /// A task wants to publish within the window.
    Ask,
    /// A task that waits for room gives up.
    GiveUp {
        choice: usize,
    },
    /// Tasks that were woken look.
    Look,
    /// Somebody else publishes.
    Other {
        watched: bool,
    },
    Settle {
        choice: usize,
        multiple: bool,
        ack: bool,
    },
    Overdue,
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Ask),
        2 => any::<usize>().prop_map(|choice| Step::GiveUp { choice }),
        6 => Just(Step::Look),
        3 => any::<bool>().prop_map(|watched| Step::Other { watched }),
        6 => (any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(choice, multiple, ack)| Step::Settle { choice, multiple, ack }),
        1 => Just(Step::Overdue),
        2 => Just(Step::Take),
    ]
}

struct Task {
    wait: PublishWait,
    alarm: Arc<Alarm>,
    waker: Waker,
}

struct Model {
    script: Script,
    channel: ChannelKey,
    tally: TallyKey,
    /// By tag, counted from one: its number in the window if it is of that, and whether it is settled.
    messages: Vec<(Option<u64>, bool)>,
    next: u64,
    outcome: BatchOutcome,
    /// In the order of asking.
    waiting: Vec<Task>,
}

impl Model {
    fn new() -> Self {
        let mut script = Script::open();
        let channel = script.channel();
        // Confirm mode, so that each message has a tag.
        script.publish(channel, "q", b"x");
        script.ack(1, 1, false);
        let tally = script.core.open_tally(LIMIT, LIMIT);
        let (messages, waiting) = (vec![(None, true)], Vec::new());
        Self {
            script,
            channel,
            tally,
            messages,
            next: 0,
            outcome: BatchOutcome::default(),
            waiting,
        }
    }

    fn outstanding(&self) -> usize {
        self.messages.iter().filter(|(number, settled)| number.is_some() && !settled).count()
    }

    /// Polls a task; whether it is done.
    fn poll(&mut self, task: &mut Task) -> bool {
        let cx = &Context::from_waker(&task.waker);
        let message = &Counted { message: &message("q", b"x"), tally: self.tally };
        let terms = (Terms::default(), None);
        match self.script.core.poll_publish_by(self.channel, message, terms, &mut task.wait, cx) {
            Poll::Ready(Ok(Published::Counted(number))) => {
                assert!(self.outstanding() < LIMIT, "too many are outstanding");
                assert_eq!(number, self.next);
                self.messages.push((Some(number), false));
                self.next += 1;
                self.outcome.sent += 1;
                true
            }
            Poll::Ready(Err(Error::WindowFailed { failed })) => {
                assert!(failed >= LIMIT && failed == self.outcome.failed.len());
                self.script.core.forget_publish(&mut task.wait);
                true
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => false,
        }
    }

    fn look(&mut self) {
        let mut left = Vec::new();
        for mut task in std::mem::take(&mut self.waiting) {
            if !task.alarm.rang() || !self.poll(&mut task) {
                left.push(task);
            }
        }
        self.waiting = left;
    }

    fn settle(&mut self, tags: std::ops::RangeInclusive<usize>, kind: Option<PublishError>) {
        for tag in tags {
            let (number, settled) = &mut self.messages[tag - 1];
            if !std::mem::replace(settled, true)
                && let Some(number) = *number
            {
                match &kind {
                    None => self.outcome.confirmed += 1,
                    Some(error) => self.outcome.failed.push((number, error.clone())),
                }
            }
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Ask => {
                let (alarm, waker) = Alarm::new();
                let mut task = Task { wait: PublishWait::default(), alarm, waker };
                if !self.poll(&mut task) {
                    self.waiting.push(task);
                }
            }
            Step::GiveUp { choice } => {
                if let Some(of) = choice.checked_rem(self.waiting.len()) {
                    let mut task = self.waiting.remove(of);
                    self.script.core.forget_publish(&mut task.wait);
                }
            }
            Step::Look => self.look(),
            Step::Other { watched } => {
                let message = Message { watched, ..message("q", b"x") };
                self.script.try_publish(self.channel, &message);
                self.messages.push((None, false));
            }
            Step::Settle { choice, multiple, ack } => {
                let tag = choice % self.messages.len() + 1;
                match ack {
                    true => self.script.ack(1, tag as u64, multiple),
                    false => self.script.nack(1, tag as u64, multiple),
                }
                let first = if multiple { 1 } else { tag };
                self.settle(first..=tag, (!ack).then_some(PublishError::Nacked));
            }
            Step::Overdue => {
                self.script.advance(31 * SECOND);
                let error = Error::OtherChannel;
                self.settle(1..=self.messages.len(), Some(PublishError::Unknown(error)));
            }
            Step::Take => {
                let found = self.script.core.take_outcome(self.tally);
                let wanted = std::mem::take(&mut self.outcome);
                assert_eq!(figures(&found), figures(&wanted));
            }
        }
        self.script.wake();
        self.script.sent();
        assert_eq!(self.script.core.outstanding(self.tally), self.outstanding());
        // Where there is room, as many as fit in it were told, those who asked first; and all of them
        // where failures take it.
        let told = |task: &Task| task.alarm.0.load(Ordering::Relaxed);
        let count = self.waiting.iter().filter(|task| told(task)).count();
        let room = match self.outcome.failed.len() {
            LIMIT.. => usize::MAX,
            _ => LIMIT - self.outstanding(),
        };
        assert!(count >= room.min(self.waiting.len()), "somebody sleeps though there is room");
        assert!(self.waiting.iter().skip(count).all(|task| !told(task)), "not in their order");
    }
}

fn figures(outcome: &BatchOutcome) -> (u64, u64, Vec<(u64, bool)>) {
    let is_nack = |error: &PublishError| matches!(error, PublishError::Nacked);
    let mut failed: Vec<_> =
        outcome.failed.iter().map(|(number, error)| (*number, is_nack(error))).collect();
    failed.sort_unstable();
    (outcome.sent, outcome.confirmed, failed)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_window_does_as_its_model(steps in prop::collection::vec(step(), 0..120)) {
        let mut model = Model::new();
        steps.iter().for_each(|step| model.take(step));
        model.take(&Step::Settle { choice: model.messages.len() - 1, multiple: true, ack: true });
        model.take(&Step::Take);
        // Whoever waits has its turn in the end.
        while !model.waiting.is_empty() {
            let before = model.waiting.len();
            model.take(&Step::Look);
            prop_assert!(model.waiting.len() < before, "nobody has his turn");
            let choice = model.messages.len() - 1;
            model.take(&Step::Settle { choice, multiple: true, ack: true });
        }
        model.take(&Step::Take);
    }
}
