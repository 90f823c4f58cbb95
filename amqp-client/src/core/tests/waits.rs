//! One wait of every kind, to see that each of them ends.

use super::*;

/// Waits of every kind on two channels, each with its own waker.
pub(super) struct Waits {
    first: ChannelKey,
    second: ChannelKey,
    calls: Vec<(CallId, Arc<Alarm>)>,
    confirms: Vec<(ChannelKey, ConfirmKey, Arc<Alarm>)>,
    consumers: Vec<(ConsumerKey, Arc<Alarm>)>,
    publishers: Vec<(ChannelKey, Arc<Alarm>)>,
    close: Arc<Alarm>,
}

impl Waits {
    /// Begins them on channels 1 and 2 of `script`, a fresh connection; it ends up blocked by the
    /// server. A message got on channel 1 is half there.
    pub(super) fn begin(script: &mut Script) -> Self {
        let (first, second) = (script.channel(), script.channel());
        let mut waits = Self {
            first,
            second,
            calls: Vec::new(),
            confirms: Vec::new(),
            consumers: Vec::new(),
            publishers: Vec::new(),
            close: Arc::default(),
        };
        let now = script.now();
        for (number, channel) in [(1, first), (2, second)] {
            let consumer = script.consume(channel, number, "c", false);
            waits.wait_for_delivery(script, consumer);
            let got = script.core.get(channel, &basic::Get::default(), now).unwrap();
            waits.wait_for_reply(script, got);
            let qos = script.qos(channel);
            waits.wait_for_reply(script, qos);
            // A consumer whose consume-ok is still to come.
            let (consumer, call) = script.core.consume(channel, &consume("d", true), now).unwrap();
            waits.wait_for_delivery(script, consumer);
            waits.wait_for_reply(script, call);
            for body in [&b"small"[..], &[1; 300_000]] {
                let place = script.mandatory(channel, "q", body);
                let (alarm, waker) = Alarm::new();
                let cx = &Context::from_waker(&waker);
                assert!(script.core.poll_confirm(channel, place, cx).is_pending());
                waits.confirms.push((channel, place, alarm));
            }
        }
        let (_, _, opening) = script.core.open_channel(now).unwrap();
        waits.wait_for_reply(script, opening);
        script.method(0, connection::Blocked { reason: short("low on memory") });
        for channel in [first, second] {
            let (alarm, waker) = Alarm::new();
            let (message, mut waiter) = (message("q", b"x"), None);
            let cx = &Context::from_waker(&waker);
            assert!(script.core.poll_publish(channel, &message, &mut waiter, cx).is_pending());
            waits.publishers.push((channel, alarm));
        }
        let (alarm, waker) = Alarm::new();
        let cx = &Context::from_waker(&waker);
        assert!(script.core.poll_closed(&mut None, cx).is_pending());
        waits.close = alarm;
        let mut half = method_frame(1, &basic::GetOk::default());
        half.extend(header_frame(1, 10, &[0, 0]));
        half.extend(body_frame(1, b"half"));
        script.feed(&half);
        script.wake();
        assert!(!waits.alarms().any(|alarm| alarm.rang()), "nothing has ended yet");
        waits
    }

    fn wait_for_reply(&mut self, script: &mut Script, call: CallId) {
        let (alarm, waker) = Alarm::new();
        assert!(script.core.poll_call(call, &Context::from_waker(&waker)).is_pending());
        self.calls.push((call, alarm));
    }

    fn wait_for_delivery(&mut self, script: &mut Script, consumer: ConsumerKey) {
        let (alarm, waker) = Alarm::new();
        let cx = &Context::from_waker(&waker);
        assert!(script.core.poll_deliveries(consumer, &mut VecDeque::new(), cx).is_pending());
        self.consumers.push((consumer, alarm));
    }

    fn alarms(&self) -> impl Iterator<Item = &Arc<Alarm>> {
        let calls = self.calls.iter().map(|(_, alarm)| alarm);
        let confirms = self.confirms.iter().map(|(_, _, alarm)| alarm);
        let consumers = self.consumers.iter().map(|(_, alarm)| alarm);
        let publishers = self.publishers.iter().map(|(_, alarm)| alarm);
        calls.chain(confirms).chain(consumers).chain(publishers).chain([&self.close])
    }

    /// Checks that every wait has ended, that its task was woken, and that its error, as that of each
    /// later call, is the one wanted. Gives the result of waiting for the connection's end.
    pub(super) fn assert_all_ended(
        self,
        script: &mut Script,
        is_wanted: impl Fn(&Error) -> bool,
    ) -> Result<(), Error> {
        script.wake();
        for (place, alarm) in self.alarms().enumerate() {
            assert!(alarm.rang(), "waiting task {place} was not woken");
        }
        let wanted = |error: &Error| assert!(is_wanted(error), "not the cause: {error:?}");
        for (call, _) in &self.calls {
            wanted(&script.answer(*call).expect_err("no reply has come"));
        }
        for (channel, place, _) in &self.confirms {
            match script.outcome(*channel, *place) {
                Some(Outcome::Unknown(error)) => wanted(&error),
                other => panic!("{other:?} instead of an unknown outcome"),
            }
        }
        for (consumer, _) in &self.consumers {
            match script.deliveries(*consumer) {
                Poll::Ready(Err(End::Closed(error))) => wanted(&error),
                other => panic!("{other:?} instead of the consumer's end"),
            }
        }
        let now = script.now();
        let consumer = self.consumers[0].0;
        for channel in [self.first, self.second] {
            wanted(&script.core.publish(channel, &message("q", b"x")).unwrap_err());
            wanted(&script.core.call(channel, &basic::Qos::default(), now).unwrap_err());
            wanted(&script.core.send(channel, &basic::Ack::default()).unwrap_err());
            wanted(&script.core.consume(channel, &consume("e", false), now).unwrap_err());
            wanted(&script.core.get(channel, &basic::Get::default(), now).unwrap_err());
            wanted(&script.core.cancel(channel, consumer, &short("c"), now).unwrap_err());
            wanted(&script.core.check_channel(channel).unwrap_err());
        }
        wanted(&script.core.open_channel(now).unwrap_err());
        match script.core.poll_closed(&mut None, &Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("the end has no end"),
        }
    }
}
