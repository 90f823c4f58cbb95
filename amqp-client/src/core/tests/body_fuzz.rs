//! Random feeding of bodies on a few channels, with sources that give up, servers that close channels, and
//! a socket that is stuck now and then: what goes out keeps the protocol's rules, and whoever can go on is
//! woken.

use proptest::prelude::*;

use super::rules::Rules;
use super::*;
use crate::error::CloseReason;

#[derive(Clone, Debug)]
enum Step {
    Begin { choice: usize, body_size: u64 },
    Feed { choice: usize, len: usize },
    Abandon { choice: usize },
    Publish { choice: usize, len: usize },
    Call { choice: usize },
    Close { choice: usize },
    ServerCloses { choice: usize },
    Blocked(bool),
    Writable(bool),
    TakeOnce,
}

fn step() -> impl Strategy<Value = Step> {
    let n = || any::<usize>();
    let len = || prop_oneof![Just(1_usize), 1..10_000_usize, Just(100_000)];
    prop_oneof![
        6 => (n(), 1..400_000_u64)
            .prop_map(|(choice, body_size)| Step::Begin { choice, body_size }),
        20 => (n(), len()).prop_map(|(choice, len)| Step::Feed { choice, len }),
        1 => n().prop_map(|choice| Step::Abandon { choice }),
        5 => (n(), len()).prop_map(|(choice, len)| Step::Publish { choice, len }),
        2 => n().prop_map(|choice| Step::Call { choice }),
        1 => n().prop_map(|choice| Step::Close { choice }),
        1 => n().prop_map(|choice| Step::ServerCloses { choice }),
        2 => any::<bool>().prop_map(Step::Blocked),
        3 => any::<bool>().prop_map(Step::Writable),
        4 => Just(Step::TakeOnce),
    ]
}

/// A body on its way, and its task.
struct Feeder {
    epoch: u32,
    wait: PublishWait,
    alarm: Arc<Alarm>,
    waker: Waker,
    /// Whether it was told to wait.
    waits: bool,
    missing: u64,
}

struct Fuzz {
    script: Script,
    /// Each with its number on the wire.
    channels: Vec<(ChannelKey, u16, Option<Feeder>)>,
    rules: Rules,
}

impl Fuzz {
    fn new() -> Self {
        let options = ConnectOptions::default().output_limit(50_000);
        let mut script = Script::open_with(options, (0, 4096, 0));
        let channels: Vec<_> = (1..4).map(|number| (script.channel(), number, None)).collect();
        let mut rules = Rules::default();
        for (_, number, _) in &channels {
            rules.check(&sent(*number, channel::Open {}));
        }
        Self { script, channels, rules }
    }

    fn begin(&mut self, of: usize, body_size: u64) {
        let (channel, _, feeder) = &mut self.channels[of];
        if feeder.is_some() {
            return;
        }
        let (alarm, waker) = Alarm::new();
        let mut wait = PublishWait::default();
        let first = message("q", &[1]);
        let terms = (Terms::default(), None);
        let cx = &Context::from_waker(&waker);
        match self.script.core.poll_begin_body(
            *channel,
            &first,
            body_size + 1,
            terms,
            &mut wait,
            cx,
        ) {
            Poll::Ready(Ok(epoch)) => {
                let missing = body_size;
                *feeder = Some(Feeder { epoch, wait, alarm, waker, waits: false, missing });
            }
            // One that waits gives up at once.
            Poll::Ready(Err(_)) | Poll::Pending => self.script.core.forget_publish(&mut wait),
        }
    }

    fn feed(&mut self, of: usize, len: usize) {
        let now = self.script.now();
        let (channel, _, place) = &mut self.channels[of];
        let Some(feeder) = place else { return };
        let rang = feeder.alarm.rang();
        let len = feeder.missing.min(len as u64) as usize;
        let mut piece = Bytes::from(vec![2; len]);
        let cx = &Context::from_waker(&feeder.waker);
        match self.script.core.poll_feed(
            *channel,
            feeder.epoch,
            &mut piece,
            now,
            &mut feeder.wait,
            cx,
        ) {
            Poll::Pending => feeder.waits = true,
            Poll::Ready(result) => {
                assert!(rang || !feeder.waits, "it could go on, but was not woken");
                feeder.waits = false;
                feeder.missing -= len as u64;
                match result {
                    Ok(None) => assert!(feeder.missing > 0),
                    Ok(Some(_)) => {
                        assert_eq!(feeder.missing, 0);
                        *place = None;
                    }
                    Err(_) => self.abandon(of),
                }
            }
        }
    }

    fn abandon(&mut self, of: usize) {
        let (channel, _, feeder) = &mut self.channels[of];
        if let Some(mut feeder) = feeder.take() {
            self.script.core.forget_publish(&mut feeder.wait);
            self.script.core.abandon_body(*channel, feeder.epoch);
        }
    }

    fn take(&mut self, step: &Step) {
        let now = self.script.now();
        let count = self.channels.len();
        match *step {
            Step::Begin { choice, body_size } => self.begin(choice % count, body_size),
            Step::Feed { choice, len } => self.feed(choice % count, len),
            Step::Abandon { choice } => self.abandon(choice % count),
            Step::Publish { choice, len } => {
                let (channel, _, feeder) = &self.channels[choice % count];
                let body = vec![3; len];
                let published = self.script.core.publish(*channel, &message("q", &body));
                let is_through = matches!(published, Ok(Some(_)));
                assert!(feeder.is_none() || !is_through, "it overtakes a body");
            }
            Step::Call { choice } => {
                let (channel, ..) = self.channels[choice % count];
                let _ = self.script.core.call(channel, &basic::Qos::default(), now);
            }
            Step::Close { choice } => {
                let (channel, ..) = self.channels[choice % count];
                let code = ReplyCode::REPLY_SUCCESS;
                let _ = self.script.core.close_channel(channel, CloseReason::ByUser, code, now);
            }
            Step::ServerCloses { choice } => {
                let (channel, number, _) = self.channels[choice % count];
                if self.script.core.check_channel(channel).is_ok() {
                    self.script.method(number, channel_close(ReplyCode::NOT_FOUND));
                }
            }
            Step::Blocked(true) => self.script.method(0, connection::Blocked::default()),
            Step::Blocked(false) => self.script.method(0, connection::Unblocked {}),
            Step::Writable(writable) => self.script.writable = writable,
            Step::TakeOnce if self.script.core.has_output() => self.script.take_once(),
            Step::TakeOnce => {}
        }
        self.script.wake();
        for sent in self.script.sent() {
            self.rules.check(&sent);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn contents_are_whole_or_their_channel_is_given_up(
        steps in prop::collection::vec(step(), 0..150),
        ending in any::<bool>(),
    ) {
        let mut fuzz = Fuzz::new();
        steps.iter().for_each(|step| fuzz.take(step));
        fuzz.take(&Step::Writable(true));
        for of in 0..fuzz.channels.len() {
            if ending {
                fuzz.abandon(of);
            } else {
                while fuzz.channels[of].2.is_some() {
                    fuzz.take(&Step::Feed { choice: of, len: 100_000 });
                }
            }
        }
        fuzz.take(&Step::TakeOnce);
        prop_assert!(!fuzz.script.core.has_output());
        let waits = fuzz.script.core.output.len();
        prop_assert_eq!(waits, 0, "something is left behind");
        prop_assert!(fuzz.script.core.check_open().is_ok());
        let now = fuzz.script.now();
        fuzz.script.core.close(CloseReason::ByUser, now);
        let last = fuzz.script.sent().pop();
        prop_assert!(matches!(last, Some(Sent::Method(0, ToServer::ConnectionClose(_)))));
    }
}
