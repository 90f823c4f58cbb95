//! Who waits for room, and what goes on meanwhile: a blocked connection, `channel.flow`, the output
//! limit, and slow consumers.

use super::*;
use crate::error::CloseReason;

fn script_with(options: ConnectOptions) -> (Script, ChannelKey) {
    let mut script = Script::open_with(options, (0, 0, 0));
    let channel = script.channel();
    (script, channel)
}

fn script() -> (Script, ChannelKey) {
    script_with(ConnectOptions::default())
}

/// A publish that waits, and its waker.
struct Waiting {
    channel: ChannelKey,
    waiter: Option<WaiterKey>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

impl Waiting {
    fn begin(script: &mut Script, channel: ChannelKey) -> Self {
        let (alarm, waker) = Alarm::new();
        let mut waiting = Self { channel, waiter: None, alarm, waker };
        assert!(waiting.poll(script).is_none(), "it must wait");
        waiting
    }

    /// Polls it; whether it is published.
    fn poll(&mut self, script: &mut Script) -> Option<Result<Option<ConfirmKey>, Error>> {
        let cx = &Context::from_waker(&self.waker);
        let message = message("q", b"waited");
        match script.core.poll_publish(self.channel, &message, &mut self.waiter, cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

fn blocked() -> connection::Blocked {
    connection::Blocked { reason: short("low on memory") }
}

#[test]
fn publishing_waits_while_the_server_blocks_and_everything_else_goes_on() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let place = script.publish(channel, "q", b"before");
    assert_eq!(script.core.blocked(), None);
    script.method(0, blocked());
    assert_eq!(script.core.blocked(), Some(&short("low on memory")));
    script.sent();
    let mut waiting = [Waiting::begin(&mut script, channel), Waiting::begin(&mut script, channel)];
    assert_eq!(script.sent(), []);
    script.deliver(1, "c", 1, b"x");
    assert_eq!(script.delivered(consumer), [1]);
    script.core.send(channel, &basic::Ack { delivery_tag: 1, multiple: false }).unwrap();
    script.qos(channel);
    assert_eq!(script.sent().len(), 2);
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "C");
    assert!(!waiting[0].alarm.rang());
    script.method(0, connection::Unblocked {});
    assert_eq!(script.core.blocked(), None);
    for waiting in &mut waiting {
        assert!(waiting.alarm.rang());
        assert!(matches!(waiting.poll(&mut script), Some(Ok(Some(_)))));
    }
    // Said without need, it does no harm.
    script.method(0, connection::Unblocked {});
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_channel_that_the_server_stops_waits_alone() {
    let (mut script, first) = script();
    let second = script.channel();
    script.method(1, channel::Flow { active: false });
    assert_eq!(script.sent(), [sent(1, channel::FlowOk { active: false })]);
    let mut waiting = Waiting::begin(&mut script, first);
    script.publish(second, "q", b"x");
    script.method(1, channel::Flow { active: true });
    assert_eq!(script.sent().last(), Some(&sent(1, channel::FlowOk { active: true })));
    assert!(waiting.alarm.rang());
    assert!(matches!(waiting.poll(&mut script), Some(Ok(_))));
}

#[test]
fn a_wait_is_over_only_when_nothing_holds_it() {
    let (mut script, channel) = script();
    script.method(1, channel::Flow { active: false });
    script.method(0, blocked());
    let mut waiting = Waiting::begin(&mut script, channel);
    script.method(0, connection::Unblocked {});
    assert!(waiting.alarm.rang());
    assert!(waiting.poll(&mut script).is_none(), "the channel is still stopped");
    script.method(1, channel::Flow { active: true });
    assert!(waiting.alarm.rang());
    assert!(waiting.poll(&mut script).is_some());
}

#[test]
fn publishing_waits_while_the_output_is_full() {
    let (mut script, channel) = script_with(ConnectOptions::default().output_limit(10_000));
    script.writable = false;
    let mut published = 0;
    while script.try_publish(channel, &message("q", &[1; 100])).is_some() {
        published += 1;
        assert!(published < 100, "the output has no limit");
    }
    assert!(published > 50, "the limit is in octets: {published} messages");
    let mut waiting = Waiting::begin(&mut script, channel);
    // Acknowledgements and calls don't wait.
    script.core.send(channel, &basic::Ack { delivery_tag: 1, multiple: false }).unwrap();
    script.qos(channel);
    assert!(!waiting.alarm.rang());
    script.take_once();
    assert!(waiting.alarm.rang());
    assert!(waiting.poll(&mut script).is_some());
}

#[test]
fn a_large_body_fills_the_output_until_it_is_below_the_limit_again() {
    let (mut script, channel) = script_with(ConnectOptions::default().output_limit(500_000));
    script.writable = false;
    script.publish(channel, "q", &[1; 2_000_000]);
    let mut waiting = Waiting::begin(&mut script, channel);
    let mut takes = 0;
    while !waiting.alarm.rang() {
        assert!(waiting.poll(&mut script).is_none());
        script.take_once();
        takes += 1;
    }
    assert!(waiting.poll(&mut script).is_some());
    assert!((4..=6).contains(&takes), "{takes} takes of 256 KiB or more, until 1.5 MB are gone");
}

#[test]
fn an_output_limit_of_zero_still_lets_one_message_through() {
    let (mut script, channel) = script_with(ConnectOptions::default().output_limit(0));
    for _ in 0..3 {
        script.publish(channel, "q", b"x");
        script.take();
    }
}

#[test]
fn a_dropped_wait_is_not_woken_and_wakes_no_other_too_late() {
    let (mut script, channel) = script();
    script.method(0, blocked());
    let dropped = Waiting::begin(&mut script, channel);
    let mut other = Waiting::begin(&mut script, channel);
    script.core.forget_publisher(dropped.waiter.unwrap());
    script.method(0, connection::Unblocked {});
    assert!(!dropped.alarm.rang() && other.alarm.rang());
    assert!(other.poll(&mut script).is_some());
}

#[test]
fn who_waits_again_takes_no_others_place() {
    let (mut script, channel) = script();
    script.method(0, blocked());
    let mut first = Waiting::begin(&mut script, channel);
    script.method(0, connection::Unblocked {});
    script.method(0, blocked());
    let mut second = Waiting::begin(&mut script, channel);
    assert!(first.alarm.rang() && first.poll(&mut script).is_none());
    script.method(0, connection::Unblocked {});
    for waiting in [&mut first, &mut second] {
        assert!(waiting.alarm.rang());
        assert!(waiting.poll(&mut script).is_some());
    }
}

#[test]
fn the_end_of_its_channel_or_connection_ends_a_wait() {
    for case in 0..5 {
        let (mut script, channel) = script();
        script.method(0, blocked());
        let mut waiting = Waiting::begin(&mut script, channel);
        let (now, success) = (script.now(), ReplyCode::REPLY_SUCCESS);
        match case {
            0 => script.method(1, channel_close(ReplyCode::NOT_FOUND)),
            1 => script.method(0, connection_close(ReplyCode::CONNECTION_FORCED)),
            2 => script.core.lose(CloseReason::Eof),
            3 => script.core.close(CloseReason::ByUser, now),
            _ => {
                script.core.close_channel(channel, CloseReason::ByUser, success, now).unwrap();
            }
        }
        script.wake();
        assert!(waiting.alarm.rang(), "case {case}");
        assert!(matches!(waiting.poll(&mut script), Some(Err(_))), "case {case}");
    }
}

#[test]
fn a_published_message_makes_the_shell_look_for_its_deadline_even_if_the_socket_is_stuck() {
    let (mut script, channel) = script();
    script.writable = false;
    script.core.attention = false;
    script.publish(channel, "q", b"x");
    assert!(script.core.attention);
    assert_eq!(script.core.next_deadline(script.now()), Some(script.now() + 30 * SECOND));
}

/// A connection that doesn't read because of consumer "c" of channel 1, which holds one delivery.
fn not_reading(no_ack: bool) -> (Script, ChannelKey, ConsumerKey) {
    let (mut script, channel) = script_with(ConnectOptions::default().delivery_limit(1000));
    let consumer = script.consume(channel, 1, "c", no_ack);
    assert!(script.core.wants_read(script.now()));
    script.deliver(1, "c", 1, &[1; 1000]);
    assert!(!script.core.wants_read(script.now()));
    script.sent();
    script.core.attention = false;
    (script, channel, consumer)
}

#[test]
fn a_slow_consumer_stops_the_reading_until_it_fetches() {
    let (mut script, _, consumer) = not_reading(true);
    assert_eq!(script.delivered(consumer), [1]);
    assert!(script.core.attention, "the shell must look again");
    assert!(script.core.wants_read(script.now()));
    assert_eq!(script.core.consumers.octets(), 0);
}

#[test]
fn a_dropped_slow_consumer_lets_the_reading_go_on() {
    for no_ack in [true, false] {
        for cancelled in [true, false] {
            let (mut script, channel, consumer) = not_reading(no_ack);
            if cancelled {
                script.method(1, basic::Cancel { consumer_tag: short("c"), no_wait: true });
                assert!(!script.core.wants_read(script.now()));
            }
            script.core.attention = false;
            let now = script.now();
            script.core.release_consumer(channel, consumer, (&short("c"), no_ack), [], now);
            assert!(script.core.attention, "no_ack {no_ack}, cancelled {cancelled}");
            assert!(script.core.wants_read(script.now()));
        }
    }
}

#[test]
fn many_small_deliveries_fill_the_limit_too() {
    let (mut script, channel) = script_with(ConnectOptions::default().delivery_limit(100_000));
    script.consume(channel, 1, "c", true);
    let mut delivered = 0;
    while script.core.wants_read(script.now()) {
        delivered += 1;
        script.deliver(1, "c", delivered, b"");
        assert!(delivered < 10_000, "empty messages take memory too");
    }
}

#[test]
fn who_waits_for_what_only_the_socket_can_bring_has_it_read() {
    let (mut script, channel, _) = not_reading(true);
    let call = script.qos(channel);
    assert!(script.core.attention && script.core.wants_read(script.now()));
    script.method(1, basic::QosOk {});
    assert!(script.answer(call).is_ok());
    assert!(!script.core.wants_read(script.now()));

    script.core.attention = false;
    let place = script.publish(channel, "q", b"x");
    assert!(script.core.attention && script.core.wants_read(script.now()));
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "C");
    script.core.next_deadline(script.now());
    assert!(!script.core.wants_read(script.now()));

    script.core.attention = false;
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    assert!(script.core.attention && script.core.wants_read(script.now()));
}

#[test]
fn deliveries_have_a_limit_whoever_waits() {
    let (mut script, channel, consumer) = not_reading(true);
    let place = script.publish(channel, "q", b"x");
    let mut delivered = 1;
    while script.core.wants_read(script.now()) {
        delivered += 1;
        script.deliver(1, "c", delivered, &[1; 1000]);
        assert!(delivered < 10, "four times the limit is enough");
    }
    assert!(delivered > 2, "what is waited for may be just behind");
    script.delivered(consumer);
    assert!(script.core.wants_read(script.now()));
    script.ack(1, 1, false);
    assert_eq!(script.outcomes(channel, &[place]), "C");
}

#[test]
fn an_abandoned_call_does_not_keep_the_reading_up() {
    let (mut script, channel, _) = not_reading(true);
    let call = script.qos(channel);
    assert!(script.core.wants_read(script.now()));
    script.core.abandon_call(channel, call, true);
    assert!(!script.core.wants_read(script.now()));
}

#[test]
fn a_publisher_that_waits_for_the_server_has_the_socket_read() {
    let (mut script, channel, _) = not_reading(true);
    // Who waits to publish while blocked, or stopped, waits for a frame.
    script.method(0, blocked());
    script.core.attention = false;
    let mut waiting = Waiting::begin(&mut script, channel);
    assert!(script.core.attention && script.core.wants_read(script.now()));
    script.method(0, connection::Unblocked {});
    assert!(waiting.poll(&mut script).is_some());
}

#[test]
fn a_close_is_answered_whatever_slow_consumers_hold() {
    let (mut script, channel, consumer) = not_reading(false);
    script.publish(channel, "q", b"x");
    let mut delivered = 1;
    while script.core.wants_read(script.now()) {
        delivered += 1;
        script.deliver(1, "c", delivered, &[1; 1000]);
    }
    let now = script.now();
    script.core.attention = false;
    script.core.close(CloseReason::ByUser, now);
    assert!(script.core.attention && script.core.wants_read(now));
    // What the server still has on its way isn't kept.
    let octets = script.core.consumers.octets();
    for tag in delivered + 1..delivered + 100 {
        script.deliver(1, "c", tag, &[1; 1000]);
        assert!(script.core.wants_read(now));
    }
    assert_eq!(script.core.consumers.octets(), octets);
    script.method(0, connection::CloseOk {});
    assert!(script.core.is_closed(true));
    assert_eq!(script.delivered(consumer).len() as u64, delivered);
}
