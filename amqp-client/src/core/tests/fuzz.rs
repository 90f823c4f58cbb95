//! Random programs against a random server: no panic, no wake-up lost, no wait without end, and what
//! the client says keeps the protocol's rules whatever the server does.

use std::collections::{HashMap, HashSet};

use amqp091::protocol::tx;
use proptest::prelude::*;

use super::rules::Rules;
use super::*;
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
    Ack(usize),
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

/// What a server may say of its own accord.
#[derive(Clone, Debug)]
enum Say {
    Close,
    Flow(bool),
    Blocked(bool),
    Cancel(u8, bool),
    Deliver(u8, usize),
    Half(u8),
    Confirm(u64, bool, bool),
    Return(usize),
    Heartbeat,
    ConnectionClose,
    /// A reply; nobody may have asked for it.
    Reply(usize),
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
        2 => n().prop_map(Step::Ack),
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
    waits: Vec<(Wait, Arc<Alarm>)>,
    rules: Rules,
    server: HashMap<u16, ServerSide>,
    delivery_tag: u64,
}

/// A channel as the server sees it.
#[derive(Default)]
struct ServerSide {
    is_open: bool,
    said_close: bool,
    /// The rest of a content that is half said.
    rest: Option<Vec<u8>>,
    answers: VecDeque<(Vec<u8>, Effect)>,
    tags: HashSet<ShortStr>,
    /// How many messages were published since confirms were selected.
    published: Option<u64>,
}

/// What an answer means to the server's side of a channel.
enum Effect {
    Nothing,
    Opened,
    Closed,
    Consuming(ShortStr),
    Cancelled(ShortStr),
    Committed,
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
    fn wait(&mut self, wait: Wait) {
        let (alarm, waker) = Alarm::new();
        if !self.poll(&wait, &waker) {
            self.waits.push((wait, alarm));
        }
    }

    /// Whether a wait is over.
    fn poll(&mut self, wait: &Wait, waker: &Waker) -> bool {
        let cx = &Context::from_waker(waker);
        let core = &mut self.script.core;
        match *wait {
            Wait::Call(call) => core.poll_call(call, cx).is_ready(),
            Wait::Confirm(channel, place) => core.poll_confirm(channel, place, cx).is_ready(),
            Wait::Delivery(consumer) => {
                core.poll_deliveries(consumer, &mut VecDeque::new(), cx).is_ready()
            }
        }
    }

    /// Looks at every wait: over is only what was woken.
    fn check_waits(&mut self) {
        self.script.wake();
        for (wait, alarm) in std::mem::take(&mut self.waits) {
            let waker = Waker::from(Arc::clone(&alarm));
            let rang = alarm.rang();
            if self.poll(&wait, &waker) {
                assert!(rang, "over, but its task was not woken");
                if let Wait::Delivery(consumer) = wait {
                    // Its stream goes on, or ended for good.
                    if !self.poll(&wait, &waker) {
                        self.waits.push((Wait::Delivery(consumer), alarm));
                    }
                }
            } else {
                self.waits.push((wait, alarm));
            }
        }
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
                self.waits.retain(|(wait, _)| match *wait {
                    Wait::Confirm(of, place) if of == channel => {
                        self.script.core.forget_confirm(of, place);
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
            Step::Ack(choice) => {
                let Some(channel) = self.channel(choice) else { return };
                let _ = self.script.core.send(channel, &basic::Ack::default());
            }
            Step::Close => self.script.core.close(CloseReason::ByUser, now),
            _ => {}
        }
    }

    /// Lets the server say something if it has its place now, or is wild.
    fn say(&mut self, channel: u16, say: &Say, wild: bool) {
        let server = self.server.entry(channel).or_default();
        let tag = |tag: u8| short(&format!("t{tag}"));
        let has_place = server.is_open
            && !server.said_close
            && match say {
                Say::Deliver(of, _) | Say::Half(of) | Say::Cancel(of, _) => {
                    server.tags.contains(&tag(*of))
                }
                Say::Confirm(tag, ..) => server.published.is_some_and(|last| *tag <= last),
                Say::Reply(_) => false,
                _ => true,
            };
        let on_connection = matches!(say, Say::Blocked(_) | Say::Heartbeat | Say::ConnectionClose);
        if !(has_place || on_connection || wild) {
            return;
        }
        if !on_connection && let Some(rest) = server.rest.take() {
            self.script.feed(&rest);
        }
        self.delivery_tag += 1;
        let delivery_tag = self.delivery_tag;
        let octets = match *say {
            Say::Close => {
                server.said_close = true;
                server.answers.retain(|(_, effect)| matches!(effect, Effect::Closed));
                method_frame(channel, &channel_close(ReplyCode::NOT_FOUND))
            }
            Say::Flow(active) => method_frame(channel, &channel::Flow { active }),
            Say::Blocked(true) => method_frame(0, &connection::Blocked::default()),
            Say::Blocked(false) => method_frame(0, &connection::Unblocked {}),
            Say::Cancel(of, no_wait) => {
                server.tags.remove(&tag(of));
                method_frame(channel, &basic::Cancel { consumer_tag: tag(of), no_wait })
            }
            Say::Deliver(of, size) => {
                let deliver = delivery(&format!("t{of}"), delivery_tag);
                content_frames(channel, &deliver, &vec![2; SIZES[size]], 4096)
            }
            Say::Half(of) => {
                server.rest = Some(body_frame(channel, b"__half"));
                let mut octets = method_frame(channel, &delivery(&format!("t{of}"), delivery_tag));
                octets.extend(header_frame(channel, 10, &[0, 0]));
                octets.extend(body_frame(channel, b"half"));
                octets
            }
            Say::Confirm(delivery_tag, multiple, true) => {
                method_frame(channel, &basic::Ack { delivery_tag, multiple })
            }
            Say::Confirm(delivery_tag, multiple, false) => {
                method_frame(channel, &basic::Nack { delivery_tag, multiple, requeue: true })
            }
            Say::Return(size) => {
                let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
                let (exchange, routing_key) = (ShortStr::empty(), short("q"));
                let method = basic::Return { reply_code, reply_text, exchange, routing_key };
                content_frames(channel, &method, &vec![1; SIZES[size]], 4096)
            }
            Say::Heartbeat => vec![8, 0, 0, 0, 0, 0, 0, 0xCE],
            Say::ConnectionClose => method_frame(0, &connection_close(ReplyCode::INTERNAL_ERROR)),
            Say::Reply(0) => {
                self.rules.close_ok_said(channel);
                method_frame(channel, &channel::CloseOk {})
            }
            Say::Reply(1) => method_frame(channel, &basic::QosOk {}),
            Say::Reply(2) => method_frame(channel, &basic::CancelOk { consumer_tag: tag(0) }),
            Say::Reply(_) => content_frames(channel, &basic::GetOk::default(), b"x", 4096),
        };
        self.script.feed(&octets);
    }

    /// Lets the server answer the client's oldest request on a channel, or a later one if its queue is
    /// slow.
    fn answer(&mut self, channel: u16, slow: bool) {
        let Some(server) = self.server.get_mut(&channel) else { return };
        let is_of_queue =
            |effect: &Effect| matches!(effect, Effect::Consuming(_) | Effect::Cancelled(_));
        let mut answers = server.answers.iter();
        let place =
            if slow { answers.position(|(_, effect)| !is_of_queue(effect)) } else { Some(0) };
        let Some(place) = place else { return };
        let Some((answer, effect)) = server.answers.remove(place) else { return };
        let rest = server.rest.take();
        match effect {
            Effect::Nothing => {}
            Effect::Opened => server.is_open = true,
            Effect::Closed => {
                self.rules.close_ok_said(channel);
                *server = ServerSide::default();
            }
            Effect::Consuming(tag) => {
                server.tags.insert(tag);
            }
            Effect::Cancelled(tag) => {
                server.tags.remove(&tag);
            }
            Effect::Committed => self.rules.committed(channel),
        }
        rest.iter().chain([&answer]).for_each(|octets| self.script.feed(octets));
    }

    /// Checks what the client has sent, and notes what the server is to answer.
    fn look(&mut self) {
        for sent in self.script.log.drain(..).map(|(_, sent)| sent) {
            self.rules.check(&sent);
            let Sent::Method(channel, method) = sent else { continue };
            let server = self.server.entry(channel).or_default();
            let answer = match method {
                ToServer::ChannelOpen(_) => {
                    *server = ServerSide::default();
                    (method_frame(channel, &channel::OpenOk {}), Effect::Opened)
                }
                ToServer::ChannelClose(_) => {
                    (method_frame(channel, &channel::CloseOk {}), Effect::Closed)
                }
                ToServer::ConnectionClose(_) => {
                    (method_frame(0, &connection::CloseOk {}), Effect::Nothing)
                }
                // Who has closed answers nothing else any more.
                _ if server.said_close => continue,
                ToServer::ConfirmSelect(_) => {
                    server.published.get_or_insert(0);
                    continue;
                }
                ToServer::BasicPublish(_) => {
                    server.published.iter_mut().for_each(|count| *count += 1);
                    continue;
                }
                ToServer::BasicQos(_) => (method_frame(channel, &basic::QosOk {}), Effect::Nothing),
                ToServer::BasicConsume(basic::Consume { consumer_tag, no_wait, .. }) => {
                    let consume_ok = basic::ConsumeOk { consumer_tag: consumer_tag.clone() };
                    (answer(channel, &consume_ok, no_wait), Effect::Consuming(consumer_tag))
                }
                ToServer::BasicCancel(basic::Cancel { consumer_tag, no_wait }) => {
                    let cancel_ok = basic::CancelOk { consumer_tag: consumer_tag.clone() };
                    (answer(channel, &cancel_ok, no_wait), Effect::Cancelled(consumer_tag))
                }
                ToServer::TxSelect(_) => (method_frame(channel, &tx::SelectOk {}), Effect::Nothing),
                ToServer::TxCommit(_) => {
                    (method_frame(channel, &tx::CommitOk {}), Effect::Committed)
                }
                ToServer::BasicRecover(_) => {
                    (method_frame(channel, &basic::RecoverOk {}), Effect::Nothing)
                }
                ToServer::ConnectionUpdateSecret(_) => {
                    (method_frame(0, &connection::UpdateSecretOk {}), Effect::Nothing)
                }
                ToServer::BasicGet(_) => {
                    let got = basic::GetOk { delivery_tag: 1, ..basic::GetOk::default() };
                    (content_frames(channel, &got, &[3; 5000], 4096), Effect::Nothing)
                }
                _ => continue,
            };
            server.answers.push_back(answer);
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

/// An answer; nothing at all where none is wanted.
fn answer(channel: u16, method: &impl Method, no_wait: bool) -> Vec<u8> {
    if no_wait { Vec::new() } else { method_frame(channel, method) }
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
        (1..4).for_each(|channel| self.say(channel, &Say::Confirm(0, true, true), false));
        self.check_waits();
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
        cases: 300,
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
