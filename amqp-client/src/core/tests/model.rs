//! Confirms and returns against a model so simple that it is easily seen to be right.

use proptest::prelude::*;

use super::*;

/// What happens next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Publish { watched: bool, mandatory: bool, key: u8, body: u8 },
    Settle { choice: usize, multiple: bool, ack: bool },
    SettleAll { ack: bool },
    Return { choice: usize },
    Drop { choice: usize },
    Fetch { choice: usize },
    Overdue,
    Block { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let watched = prop_oneof![1 => Just(false), 5 => Just(true)];
    let publish =
        (watched, any::<bool>(), 0..3u8, 0..2u8).prop_map(|(watched, mandatory, key, body)| {
            Step::Publish { watched, mandatory, key, body }
        });
    let settle = (any::<usize>(), any::<bool>(), any::<bool>())
        .prop_map(|(choice, multiple, ack)| Step::Settle { choice, multiple, ack });
    prop_oneof![
        12 => publish,
        8 => settle,
        1 => any::<bool>().prop_map(|ack| Step::SettleAll { ack }),
        4 => any::<usize>().prop_map(|choice| Step::Return { choice }),
        2 => any::<usize>().prop_map(|choice| Step::Drop { choice }),
        4 => any::<usize>().prop_map(|choice| Step::Fetch { choice }),
        1 => Just(Step::Overdue),
        1 => (0..100u64).prop_map(|seconds| Step::Block { seconds }),
    ]
}

/// One message in the model: its tag is its place in the list, counted from one.
struct Published {
    /// Where its outcome is, unless nobody waits for it (any more).
    place: Option<(ConfirmKey, Arc<Alarm>)>,
    mandatory: bool,
    key: u8,
    body: u8,
    returned: bool,
    outcome: Option<char>,
}

impl Published {
    fn settle(&mut self, verdict: char) {
        self.outcome.get_or_insert(match verdict {
            'C' | 'U' if self.returned => 'R',
            verdict => verdict,
        });
    }
}

const KEYS: [&str; 3] = ["a", "b", "c"];
const BODIES: [&[u8]; 2] = [b"one", &[2; 20_000]];

struct Model {
    script: Script,
    channel: ChannelKey,
    messages: Vec<Published>,
    /// How many messages there were up to the last one that was returned.
    returned_through: usize,
}

impl Model {
    fn new() -> Self {
        let mut script = Script::open();
        let channel = script.channel();
        Self { script, channel, messages: Vec::new(), returned_through: 0 }
    }

    fn publish(&mut self, watched: bool, mandatory: bool, key: u8, body: u8) {
        let mut message = message(KEYS[usize::from(key)], BODIES[usize::from(body)]);
        let mandatory = mandatory && watched;
        message.method.mandatory = mandatory;
        message.watched = watched;
        let place = self.script.try_publish(self.channel, &message).expect("no wait");
        assert_eq!(place.is_some(), watched);
        if self.messages.is_empty() && !watched {
            return;
        }
        let place = place.map(|place| {
            assert_eq!(place.delivery_tag, self.messages.len() as u64 + 1);
            (place, Arc::default())
        });
        let (returned, outcome) = (false, None);
        self.messages.push(Published { place, mandatory, key, body, returned, outcome });
    }

    fn settle(&mut self, tag: usize, multiple: bool, ack: bool) {
        let verdict = if ack { 'C' } else { 'N' };
        match ack {
            true => self.script.ack(1, tag as u64, multiple),
            false => self.script.nack(1, tag as u64, multiple),
        }
        let settled = match (tag, multiple) {
            (0, _) => 0..self.messages.len(),
            (tag, true) => 0..tag,
            (tag, false) => tag - 1..tag,
        };
        self.messages[settled].iter_mut().for_each(|message| message.settle(verdict));
    }

    fn give_back(&mut self, choice: usize) {
        let Some(of) = choice.checked_rem(self.messages.len()) else { return };
        let (key, body) = (self.messages[of].key, self.messages[of].body);
        self.script.give_back(1, KEYS[usize::from(key)], BODIES[usize::from(body)]);
        // A broker returns in the order of publishing, so from behind the last one; or else from the
        // beginning.
        let onwards = self.returned_through..self.messages.len();
        let publish = onwards.chain(0..self.returned_through).find(|&of| {
            let message = &self.messages[of];
            let is_outstanding = message.outcome.is_none() && !message.returned;
            is_outstanding && message.mandatory && (message.key, message.body) == (key, body)
        });
        if let Some(of) = publish {
            self.messages[of].returned = true;
            self.returned_through = self.returned_through.max(of + 1);
        }
    }

    /// Looks at one outcome, as its task would.
    fn fetch(&mut self, of: usize) {
        let message = &mut self.messages[of];
        let Some((place, alarm)) = &message.place else { return };
        let waker = Waker::from(Arc::clone(alarm));
        let cx = &Context::from_waker(&waker);
        let outcome = match self.script.core.poll_confirm(self.channel, *place, cx) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        };
        assert_eq!(outcome.as_ref().map(|outcome| letter(Some(outcome))), message.outcome);
        if let Some(Outcome::Returned(returned)) = &outcome {
            assert_eq!(returned.routing_key, short(KEYS[usize::from(message.key)]));
            assert_eq!(&returned.body[..], BODIES[usize::from(message.body)]);
        }
        if outcome.is_some() {
            message.place = None;
        }
    }

    fn take(&mut self, step: Step) {
        let count = self.messages.len();
        match step {
            Step::Publish { watched, mandatory, key, body } => {
                self.publish(watched, mandatory, key, body);
            }
            Step::Settle { choice, multiple, ack } => {
                if let Some(of) = choice.checked_rem(count) {
                    self.settle(of + 1, multiple, ack);
                }
            }
            Step::SettleAll { ack } if count > 0 => self.settle(0, true, ack),
            Step::SettleAll { .. } => {}
            Step::Return { choice } => self.give_back(choice),
            Step::Drop { choice } => {
                if let Some(of) = choice.checked_rem(count)
                    && let Some((place, _)) = self.messages[of].place.take()
                {
                    self.script.core.forget_confirm(self.channel, place);
                }
            }
            Step::Fetch { choice } => {
                if let Some(of) = choice.checked_rem(count) {
                    self.fetch(of);
                }
            }
            Step::Overdue => {
                self.script.advance(31 * SECOND);
                self.messages.iter_mut().for_each(|message| message.settle('U'));
            }
            Step::Block { seconds } => {
                // The shell looks now and then, so that deadlines begin.
                self.script.advance(Duration::ZERO);
                self.script.method(0, connection::Blocked { reason: ShortStr::empty() });
                self.script.advance(Duration::from_secs(seconds));
                self.script.method(0, connection::Unblocked {});
            }
        }
        self.script.sent();
        assert!(self.script.core.check_channel(self.channel).is_ok());
        for message in &self.messages {
            // Whoever has looked in vain is woken when there is something to see.
            if let (Some((_, alarm)), Some(_)) = (&message.place, message.outcome)
                && Arc::strong_count(alarm) > 1
            {
                panic!("a waker is left waiting for an outcome that is there");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_message_has_the_outcome_that_it_has_in_the_model(
        steps in prop::collection::vec(step(), 0..80),
        ack_rest in any::<bool>(),
    ) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| model.take(step));
        if ack_rest && !model.messages.is_empty() {
            model.settle(0, true, true);
        } else {
            model.script.method(1, channel_close(ReplyCode::NOT_FOUND));
            model.messages.iter_mut().for_each(|message| message.settle('U'));
        }
        for of in 0..model.messages.len() {
            model.fetch(of);
        }
        assert_eq!(model.script.core.next_deadline(model.script.now()), None);
    }
}
