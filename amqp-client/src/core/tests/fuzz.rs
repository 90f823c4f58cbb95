//! Random programs against a random server: no panic, no wake-up lost, no wait without end, and what
//! the client says keeps the protocol's rules whatever the server does.

mod server;

use std::collections::{HashMap, HashSet};

use amqp091::protocol::tx;
use proptest::prelude::*;

use self::server::{Say, ServerSide};
use super::rules::Rules;
use super::*;
use crate::core::{Counted, TallyKey, Wanted};
use crate::error::CloseReason;

/// A step of the program or of the server. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    OpenChannel,
    Call(usize),
    Get(usize, bool),
    Consume(usize, u8, bool),
    Cancel(usize),
    ConsumeNoWait(usize, u8, bool),
    CancelNoWait(usize),
    /// Commits, or begins with transactions.
    Commit(usize),
    Recover(usize),
    UpdateSecret,
    Publish(usize, bool, bool, usize),
    CloseChannel(usize),
    ReleaseChannel(usize),
    ReleaseConsumer(usize),
    AbandonCall(usize),
    ForgetConfirm(usize),
    /// Settles one delivery or all up to it: acknowledges, or refuses.
    Settle(usize, u64, bool, bool),
    Coalesce(usize, usize),
    FlushAcks(usize),
    /// Opens a channel again, with modes or consumers or both.
    Reopen(usize, bool, bool),
    /// A window of so many.
    Window(usize, usize),
    /// Publishes within a window, if that is not to be waited for too long.
    Within(usize, usize, Option<u64>),
    TakeOutcome(usize),
    ReleaseWindow(usize),
    /// Waits until a window has nothing outstanding.
    Flush(usize),
    Fetch,
    Close,
    /// The server says something, in its place unless it is wild.
    Server(u16, Say, bool),
    /// The server answers some of the client's requests on a channel. A queue, which answers for its
    /// consumers, may be slow.
    Answer(u16, usize, bool),
    Advance(u64),
    Writable(bool),
    TakeOnce,
}

const SIZES: [usize; 6] = [0, 1, 4000, 5000, 20_000, 300_000];

fn step() -> impl Strategy<Value = Step> {
    let n = || any::<usize>();
    let (tag, size, flag) = (|| 0..2u8, || 0..5usize, any::<bool>);
    let say = prop_oneof![
        30 => Just(Say::Close),
        10 => flag().prop_map(Say::Flow),
        20 => flag().prop_map(Say::Blocked),
        30 => (tag(), flag()).prop_map(|(tag, no_wait)| Say::Cancel(tag, no_wait)),
        150 => (tag(), size()).prop_map(|(tag, size)| Say::Deliver(tag, size)),
        30 => tag().prop_map(Say::Half),
        80 => (0..9u64, flag(), flag()).prop_map(|(tag, many, ack)| Say::Confirm(tag, many, ack)),
        20 => size().prop_map(Say::Return),
        10 => Just(Say::Heartbeat),
        1 => Just(Say::ConnectionClose),
        10 => (0..4usize).prop_map(Say::Reply),
    ];
    let wild = prop_oneof![500 => Just(false), 1 => Just(true)];
    prop_oneof![
        6 => Just(Step::OpenChannel),
        3 => n().prop_map(Step::Call),
        2 => (n(), any::<bool>()).prop_map(|(c, no_ack)| Step::Get(c, no_ack)),
        4 => (n(), 0..2u8, any::<bool>()).prop_map(|(c, tag, no_ack)| Step::Consume(c, tag, no_ack)),
        2 => n().prop_map(Step::Cancel),
        1 => (n(), 0..2u8, any::<bool>())
            .prop_map(|(c, tag, no_ack)| Step::ConsumeNoWait(c, tag, no_ack)),
        1 => n().prop_map(Step::CancelNoWait),
        2 => n().prop_map(Step::Commit),
        1 => n().prop_map(Step::Recover),
        1 => Just(Step::UpdateSecret),
        8 => (n(), any::<bool>(), any::<bool>(), 0..6usize)
            .prop_map(|(c, watched, mandatory, size)| Step::Publish(c, watched, mandatory, size)),
        2 => n().prop_map(Step::CloseChannel),
        1 => n().prop_map(Step::ReleaseChannel),
        2 => n().prop_map(Step::ReleaseConsumer),
        2 => n().prop_map(Step::AbandonCall),
        2 => n().prop_map(Step::ForgetConfirm),
        6 => (n(), 0..40u64, any::<bool>(), any::<bool>())
            .prop_map(|(c, tag, multiple, ack)| Step::Settle(c, tag, multiple, ack)),
        2 => (n(), 1..4usize).prop_map(|(c, max)| Step::Coalesce(c, max)),
        1 => n().prop_map(Step::FlushAcks),
        3 => (n(), any::<bool>(), any::<bool>())
            .prop_map(|(c, modes, consumers)| Step::Reopen(c, modes, consumers)),
        1 => (n(), 1..4usize).prop_map(|(c, limit)| Step::Window(c, limit)),
        4 => (n(), 0..3usize, prop::option::of(0..40u64))
            .prop_map(|(w, size, seconds)| Step::Within(w, size, seconds)),
        1 => n().prop_map(Step::TakeOutcome),
        1 => n().prop_map(Step::ReleaseWindow),
        2 => n().prop_map(Step::Flush),
        4 => Just(Step::Fetch),
        50 => (1..4u16, say, wild).prop_map(|(channel, say, wild)| Step::Server(channel, say, wild)),
        30 => (1..4u16, 1..4usize, any::<bool>())
            .prop_map(|(channel, count, slow)| Step::Answer(channel, count, slow)),
        2 => (0..40u64).prop_map(Step::Advance),
        3 => any::<bool>().prop_map(Step::Writable),
        3 => Just(Step::TakeOnce),
    ]
}

/// A wait of the program's.
#[derive(Debug)]
enum Wait {
    Call(CallId),
    Confirm(ChannelKey, ConfirmKey),
    Delivery(ConsumerKey),
    Within(Box<Within>),
    Settled(TallyKey, Option<WaiterKey>),
    /// It holds the channel's handle.
    Reopened(ChannelKey, CallId),
}

/// A publish within a window.
#[derive(Debug)]
struct Within {
    window: (ChannelKey, TallyKey),
    size: usize,
    terms: Terms,
    wait: PublishWait,
}

/// A consumer's handle, as the shell has it.
struct Handle {
    channel: ChannelKey,
    key: ConsumerKey,
    tag: ShortStr,
    no_ack: bool,
}

struct Fuzz {
    script: Script,
    /// Channels that have a handle.
    channels: Vec<ChannelKey>,
    consumers: Vec<Handle>,
    windows: Vec<(ChannelKey, TallyKey)>,
    /// Whether the wait that was polled last may be over without having been woken.
    is_excused: bool,
    waits: Vec<(Wait, Arc<Alarm>)>,
    rules: Rules,
    server: HashMap<u16, ServerSide>,
    delivery_tag: u64,
}

impl Fuzz {
    fn new(heartbeat: u16, max_body: u64) -> Self {
        let options = ConnectOptions::default().output_limit(100_000).delivery_limit(50_000);
        let options = options.max_body(max_body);
        let script = Script::open_with(options, (3, 4096, heartbeat));
        Self {
            script,
            channels: Vec::new(),
            consumers: Vec::new(),
            windows: Vec::new(),
            is_excused: false,
            waits: Vec::new(),
            rules: Rules::default(),
            server: HashMap::new(),
            delivery_tag: 0,
        }
    }

    fn channel(&self, choice: usize) -> Option<ChannelKey> {
        Some(self.channels[choice.checked_rem(self.channels.len())?])
    }

    /// Waits as the program's tasks do: each with a waker of its own.
    fn wait(&mut self, mut wait: Wait) {
        let (alarm, waker) = Alarm::new();
        if !self.poll(&mut wait, &waker) {
            self.waits.push((wait, alarm));
        }
    }

    /// Whether a wait is over.
    fn poll(&mut self, wait: &mut Wait, waker: &Waker) -> bool {
        let cx = &Context::from_waker(waker);
        let now = self.script.now();
        self.is_excused = false;
        let core = &mut self.script.core;
        match wait {
            Wait::Call(call) | Wait::Reopened(_, call) => core.poll_call(*call, cx).is_ready(),
            Wait::Confirm(channel, place) => core.poll_confirm(*channel, *place, cx).is_ready(),
            Wait::Delivery(consumer) => {
                core.poll_deliveries(*consumer, &mut VecDeque::new(), cx).is_ready()
            }
            Wait::Within(within) => {
                let Within { window: (channel, tally), size, terms, wait } = &mut **within;
                let body = vec![1; SIZES[*size]];
                let message = message("q", &body);
                let message = &Counted { message: &message, tally: *tally };
                let terms = (*terms, Some(now));
                let published = core.poll_publish_by(*channel, message, terms, wait, cx);
                // One that waits for the server's leave learns that its window has failed when that
                // comes.
                self.is_excused = matches!(published, Poll::Ready(Err(Error::WindowFailed { .. })));
                published.is_ready()
            }
            Wait::Settled(tally, waiter) => match core.poll_settled(*tally, waiter, cx) {
                Poll::Ready(outcome) => {
                    assert!(outcome.confirmed + outcome.failed.len() as u64 <= 2000);
                    true
                }
                Poll::Pending => false,
            },
        }
    }

    /// Looks at every wait: over is only what was woken.
    fn check_waits(&mut self) {
        self.script.wake();
        for (mut wait, alarm) in std::mem::take(&mut self.waits) {
            let waker = Waker::from(Arc::clone(&alarm));
            // One that was looked at before may have made room for this one.
            self.script.wake();
            let rang = alarm.rang();
            if self.poll(&mut wait, &waker) {
                assert!(rang || self.is_excused, "over, but its task was not woken: {wait:?}");
                if let Wait::Delivery(consumer) = wait {
                    // Its stream goes on, or ended for good.
                    if !self.poll(&mut wait, &waker) {
                        self.waits.push((Wait::Delivery(consumer), alarm));
                    }
                }
            } else {
                self.waits.push((wait, alarm));
            }
        }
    }

    /// Gives up the waits of a window, and the window.
    fn release_window(&mut self, window: (ChannelKey, TallyKey)) {
        let core = &mut self.script.core;
        self.waits.retain_mut(|(wait, _)| match wait {
            Wait::Within(within) if within.window == window => {
                core.forget_publish(&mut within.wait);
                false
            }
            Wait::Settled(tally, waiter) if *tally == window.1 => {
                waiter.iter().for_each(|&waiter| core.forget_settled(*tally, waiter));
                false
            }
            _ => true,
        });
        let _ = core.take_outcome(window.1);
        core.release_tally(window.1);
    }

    fn release_consumer(&mut self, handle: &Handle) {
        self.waits.retain(|(wait, _)| !matches!(wait, Wait::Delivery(key) if *key == handle.key));
        let subscription = (&handle.tag, handle.no_ack);
        let now = self.script.now();
        self.script.core.release_consumer(handle.channel, handle.key, subscription, [], now);
    }

    fn program(&mut self, step: &Step) {
        let now = self.script.now();
        match *step {
            Step::OpenChannel => {
                if let Ok((channel, _, call)) = self.script.core.open_channel(now) {
                    self.channels.push(channel);
                    self.wait(Wait::Call(call));
                }
            }
            Step::Call(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                if let Ok(call) = self.script.core.call(channel, &basic::Qos::default(), now) {
                    self.wait(Wait::Call(call));
                }
            }
            Step::Get(choice, no_ack) => {
                let Some(channel) = self.channel(choice) else { return };
                let get = basic::Get { queue: short("q"), no_ack };
                if let Ok(call) = self.script.core.get(channel, &get, now) {
                    self.wait(Wait::Call(call));
                }
            }
            Step::Consume(choice, tag, no_ack) => {
                let Some(channel) = self.channel(choice) else { return };
                let consume = consume(&format!("t{tag}"), no_ack);
                if let Ok((key, call)) = self.script.core.consume(channel, &consume, now) {
                    self.consumers.push(Handle { channel, key, tag: consume.consumer_tag, no_ack });
                    self.wait(Wait::Call(call));
                    self.wait(Wait::Delivery(key));
                }
            }
            Step::Cancel(choice) => {
                let Some(of) = choice.checked_rem(self.consumers.len()) else { return };
                let Handle { channel, key, ref tag, .. } = self.consumers[of];
                if let Ok(Some(call)) = self.script.core.cancel(channel, key, tag, now) {
                    self.wait(Wait::Call(call));
                }
            }
            Step::ConsumeNoWait(choice, tag, no_ack) => {
                let Some(channel) = self.channel(choice) else { return };
                let consume = consume(&format!("t{tag}"), no_ack);
                let consume = basic::Consume { no_wait: true, ..consume };
                if let Ok(key) = self.script.core.consume_no_wait(channel, &consume) {
                    self.consumers.push(Handle { channel, key, tag: consume.consumer_tag, no_ack });
                    self.wait(Wait::Delivery(key));
                }
            }
            Step::CancelNoWait(choice) => {
                let Some(of) = choice.checked_rem(self.consumers.len()) else { return };
                let Handle { channel, key, ref tag, no_ack } = self.consumers[of];
                let _ = self.script.core.cancel_no_wait(channel, key, (tag, no_ack));
            }
            Step::Commit(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let call = match self.script.core.call(channel, &tx::Commit {}, now) {
                    Err(Error::ChannelMode { .. }) => {
                        self.script.core.call(channel, &tx::Select {}, now)
                    }
                    call => call,
                };
                call.into_iter().for_each(|call| self.wait(Wait::Call(call)));
            }
            Step::Recover(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let recover = basic::Recover { requeue: true };
                let call = self.script.core.call(channel, &recover, now);
                call.into_iter().for_each(|call| self.wait(Wait::Call(call)));
            }
            Step::UpdateSecret => {
                let update = connection::UpdateSecret::default();
                let call = self.script.core.update_secret(&update, now);
                call.into_iter().for_each(|call| self.wait(Wait::Call(call)));
            }
            Step::Publish(choice, watched, mandatory, size) => {
                let Some(channel) = self.channel(choice) else { return };
                let body = vec![1; SIZES[size]];
                let mut message = message("q", &body);
                message.watched = watched;
                message.method.mandatory = mandatory;
                if let Ok(Some(Some(place))) = self.script.core.publish(channel, &message) {
                    self.wait(Wait::Confirm(channel, place));
                }
            }
            Step::CloseChannel(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let code = ReplyCode::REPLY_SUCCESS;
                let call = self.script.core.close_channel(channel, CloseReason::ByUser, code, now);
                call.into_iter().for_each(|call| self.wait(Wait::Call(call)));
            }
            Step::ReleaseChannel(choice) => {
                // A channel's handle is gone when all that holds it is: consumers, confirms, calls.
                let Some(channel) = self.channel(choice) else { return };
                self.channels.retain(|&other| other != channel);
                let (gone, rest) = std::mem::take(&mut self.consumers)
                    .into_iter()
                    .partition::<Vec<_>, _>(|handle| handle.channel == channel);
                self.consumers = rest;
                gone.iter().for_each(|handle| self.release_consumer(handle));
                let (gone, rest) = std::mem::take(&mut self.windows)
                    .into_iter()
                    .partition::<Vec<_>, _>(|window| window.0 == channel);
                self.windows = rest;
                gone.into_iter().for_each(|window| self.release_window(window));
                self.waits.retain(|(wait, _)| match *wait {
                    Wait::Confirm(of, place) if of == channel => {
                        self.script.core.forget_confirm(of, place);
                        false
                    }
                    Wait::Reopened(of, call) if of == channel => {
                        self.script.core.abandon_call(of, call, true);
                        false
                    }
                    _ => true,
                });
                self.script.core.release_channel(channel, now);
            }
            Step::ReleaseConsumer(choice) => {
                if let Some(of) = choice.checked_rem(self.consumers.len()) {
                    let handle = self.consumers.swap_remove(of);
                    self.release_consumer(&handle);
                }
            }
            Step::AbandonCall(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let is_call = |wait: &(Wait, _)| matches!(wait, (Wait::Call(_), _));
                if let Some(of) = self.waits.iter().position(is_call)
                    && let (Wait::Call(call), _) = self.waits.remove(of)
                {
                    self.script.core.abandon_call(channel, call, true);
                }
            }
            Step::ForgetConfirm(choice) => {
                let Some(of) = choice.checked_rem(self.waits.len()) else { return };
                if let (Wait::Confirm(channel, place), _) = self.waits[of] {
                    self.waits.remove(of);
                    self.script.core.forget_confirm(channel, place);
                }
            }
            Step::Settle(choice, delivery_tag, multiple, ack) => {
                let Some(key) = self.channel(choice) else { return };
                let core = &mut self.script.core;
                let Some(channel) = core.channels.get_mut(key) else { return };
                let tag = (channel.epoch, delivery_tag.min(channel.last_tag));
                let _ = match ack {
                    true => {
                        let ack = basic::Ack { delivery_tag: tag.1, multiple };
                        core.settle(key, tag, multiple, &ack)
                    }
                    false => {
                        let nack = basic::Nack { delivery_tag: tag.1, multiple, requeue: false };
                        core.settle(key, tag, multiple, &nack)
                    }
                };
            }
            Step::Coalesce(choice, max) => {
                let Some(channel) = self.channel(choice) else { return };
                self.script.core.coalesce_acks(channel, max, 3 * SECOND);
            }
            Step::FlushAcks(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let _ = self.script.core.flush_acks_now(channel);
            }
            Step::Reopen(choice, modes, consumers) => {
                let Some(channel) = self.channel(choice) else { return };
                let call = self.script.core.reopen(channel, Wanted { modes, consumers }, now);
                call.into_iter().for_each(|call| self.wait(Wait::Reopened(channel, call)));
            }
            Step::Window(choice, limit) => {
                let Some(channel) = self.channel(choice) else { return };
                let tally = self.script.core.open_tally(limit, limit);
                self.windows.push((channel, tally));
            }
            Step::Within(choice, size, seconds) => {
                let Some(of) = choice.checked_rem(self.windows.len()) else { return };
                if self.waits.len() > 16 {
                    // Each is looked at after each step.
                    return;
                }
                let window = self.windows[of];
                let time = seconds.map(Duration::from_secs);
                let terms = Terms { publish: time, confirm: time };
                let wait = PublishWait::default();
                self.wait(Wait::Within(Box::new(Within { window, size, terms, wait })));
            }
            Step::TakeOutcome(choice) => {
                let Some(of) = choice.checked_rem(self.windows.len()) else { return };
                let _ = self.script.core.take_outcome(self.windows[of].1);
            }
            Step::ReleaseWindow(choice) => {
                let Some(of) = choice.checked_rem(self.windows.len()) else { return };
                let window = self.windows.swap_remove(of);
                self.release_window(window);
            }
            Step::Flush(choice) => {
                let Some(of) = choice.checked_rem(self.windows.len()) else { return };
                self.wait(Wait::Settled(self.windows[of].1, None));
            }
            Step::Close => self.script.core.close(CloseReason::ByUser, now),
            _ => {}
        }
    }

    fn take(&mut self, step: &Step) {
        self.program(step);
        match step {
            Step::Server(channel, say, wild) => self.say(*channel, say, *wild),
            Step::Answer(channel, count, slow) => {
                (0..*count).for_each(|_| self.answer(*channel, *slow));
            }
            Step::Advance(seconds) => self.script.advance(Duration::from_secs(*seconds)),
            Step::Writable(writable) => self.script.writable = *writable,
            Step::TakeOnce if self.script.core.has_output() => self.script.take_once(),
            Step::Fetch => {
                for of in 0..self.consumers.len() {
                    let key = self.consumers[of].key;
                    let _ = self.script.deliveries(key);
                }
            }
            _ => {}
        }
        let now = self.script.now();
        self.script.core.wants_read(now);
        self.check_waits();
        self.script.take();
        self.look();
    }
}

impl Fuzz {
    /// Lets the server answer all that it was asked, at once. Nothing may be left waiting then but
    /// consumers, and no channel number be taken but by an open channel.
    fn settle(&mut self) {
        self.take(&Step::Writable(true));
        self.say(0, &Say::Blocked(false), true);
        while self.server.values().any(|server| !server.answers.is_empty()) {
            (0..4).for_each(|channel| self.answer(channel, false));
            self.take(&Step::Fetch);
        }
        (1..4).for_each(|channel| self.say(channel, &Say::Flow(true), false));
        // Each window lets some more out.
        for _ in 0..200 {
            if self.waits.iter().all(|(wait, _)| matches!(wait, Wait::Delivery(_))) {
                break;
            }
            self.take(&Step::Fetch);
            (1..4).for_each(|channel| self.say(channel, &Say::Confirm(0, true, true), false));
            self.check_waits();
        }
        for (wait, _) in &self.waits {
            assert!(matches!(wait, Wait::Delivery(_)), "{wait:?} is left");
        }
        let core = &mut self.script.core;
        for number in 1..4 {
            let Some(key) = core.channels.key_of(number) else { continue };
            assert!(core.check_channel(key).is_ok(), "number {number} is taken for nothing");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_both_sides_do_the_rules_are_kept_and_every_wait_ends(
        steps in prop::collection::vec(step(), 0..250),
        last_steps in prop::collection::vec(step(), 0..20),
        heartbeat in prop_oneof![3 => Just(0u16), 1 => Just(60)],
        max_body in prop_oneof![3 => Just(1_000_000), 1 => Just(10_000)],
        ending in 0..4,
    ) {
        let mut fuzz = Fuzz::new(heartbeat, max_body);
        for step in [Step::OpenChannel, Step::OpenChannel, Step::Answer(1, 1, false), Step::Answer(2, 1, false)] {
            fuzz.take(&step);
        }
        let mut is_wild = false;
        for step in &steps {
            fuzz.take(step);
            is_wild |= matches!(step, Step::Server(_, _, true));
            let ended = fuzz.script.core.check_open().err();
            let reason = ended.as_ref().and_then(Error::close_reason);
            if matches!(reason, Some(CloseReason::Violation(_))) {
                prop_assert!(is_wild, "a server without fault is accused: {:?}", reason);
            }
        }
        if !is_wild && fuzz.script.core.check_open().is_ok() {
            fuzz.settle();
        }
        match ending {
            0 => fuzz.script.core.lose(CloseReason::Eof),
            1 => fuzz.script.method(0, connection_close(ReplyCode::CONNECTION_FORCED)),
            ending => {
                fuzz.take(&Step::Close);
                last_steps.iter().for_each(|step| fuzz.take(step));
                if ending == 2 {
                    fuzz.take(&Step::Writable(true));
                    fuzz.take(&Step::Answer(0, 10, false));
                }
                // Whoever doesn't answer is left behind.
                fuzz.script.advance(60 * SECOND);
            }
        }
        fuzz.script.take();
        fuzz.look();
        if fuzz.script.core.is_closed(true) {
            fuzz.script.core.finish_close();
        } else {
            fuzz.script.advance(60 * SECOND);
        }
        fuzz.check_waits();
        is_wild |= last_steps.iter().any(|step| matches!(step, Step::Server(_, _, true)));
        let accusation = fuzz.rules.accusation.as_ref();
        prop_assert!(is_wild || accusation.is_none(), "a server without fault: {:?}", accusation);
        let left = fuzz.waits.len();
        prop_assert_eq!(left, 0, "waits without end");
        let cx = &Context::from_waker(Waker::noop());
        prop_assert!(fuzz.script.core.poll_closed(&mut None, cx).is_ready());
        prop_assert_eq!(fuzz.script.core.next_deadline(fuzz.script.now()), None);
    }
}
