//! Calls: each reply goes to its own request, whatever became of the others.

use amqp091::protocol::queue;
use amqp091::types::Value;

use super::*;

fn declare(script: &mut Script, channel: ChannelKey, queue: &str) -> CallId {
    let now = script.now();
    let request = queue::Declare { queue: short(queue), ..queue::Declare::default() };
    script.core.call(channel, &request, now).expect("an open channel")
}

fn declare_ok(script: &mut Script, queue: &str) {
    let queue = short(queue);
    script.method(1, queue::DeclareOk { queue, message_count: 0, consumer_count: 0 });
}

fn declared(script: &mut Script, call: CallId) -> String {
    match script.answer(call) {
        Ok(ToClient::QueueDeclareOk(reply)) => reply.queue.to_string(),
        other => panic!("{other:?} instead of queue.declare-ok"),
    }
}

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

#[test]
fn pipelined_calls_are_sent_and_answered_in_order() {
    let (mut script, channel) = script();
    let calls = ["a", "b", "c"].map(|queue| declare(&mut script, channel, queue));
    let queues: Vec<String> = script
        .sent()
        .iter()
        .map(|sent| match sent {
            Sent::Method(1, ToServer::QueueDeclare(declare)) => declare.queue.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(queues, ["a", "b", "c"]);
    declare_ok(&mut script, "a");
    assert!(script.poll_call(calls[1]).is_pending());
    declare_ok(&mut script, "b");
    declare_ok(&mut script, "c");
    // Fetched in another order.
    for (call, queue) in [(calls[2], "c"), (calls[0], "a"), (calls[1], "b")] {
        assert_eq!(declared(&mut script, call), queue);
    }
}

#[test]
fn a_reply_wakes_its_own_caller_only() {
    let (mut script, channel) = script();
    let calls = ["a", "b"].map(|queue| declare(&mut script, channel, queue));
    let alarms = calls.map(|call| {
        let (alarm, waker) = Alarm::new();
        assert!(script.core.poll_call(call, &Context::from_waker(&waker)).is_pending());
        alarm
    });
    declare_ok(&mut script, "a");
    assert!(alarms[0].rang() && !alarms[1].rang());
    declare_ok(&mut script, "b");
    assert!(!alarms[0].rang() && alarms[1].rang());
}

#[test]
fn a_reply_that_comes_before_anybody_looks_is_kept() {
    let (mut script, channel) = script();
    let call = declare(&mut script, channel, "a");
    declare_ok(&mut script, "a");
    script.advance(3600 * SECOND);
    assert_eq!(declared(&mut script, call), "a");
    assert!(script.poll_call(call).is_pending(), "it is given once");
}

#[test]
fn the_reply_to_an_abandoned_call_shifts_no_other() {
    let (mut script, channel) = script();
    let calls = ["a", "b", "c"].map(|queue| declare(&mut script, channel, queue));
    script.core.abandon_call(channel, calls[0], true);
    script.core.abandon_call(channel, calls[1], true);
    let later = declare(&mut script, channel, "d");
    for queue in ["a", "b"] {
        declare_ok(&mut script, queue);
        assert!(script.poll_call(calls[2]).is_pending() && script.poll_call(later).is_pending());
    }
    declare_ok(&mut script, "c");
    assert!(script.poll_call(later).is_pending());
    declare_ok(&mut script, "d");
    assert_eq!(declared(&mut script, calls[2]), "c");
    assert_eq!(declared(&mut script, later), "d");
}

#[test]
fn an_overdue_call_fails_and_its_late_reply_shifts_no_other() {
    let (mut script, channel) = script();
    let first = declare(&mut script, channel, "a");
    script.advance(29 * SECOND);
    let second = declare(&mut script, channel, "b");
    script.advance(SECOND - Duration::from_nanos(1));
    assert!(script.poll_call(first).is_pending());
    script.advance(Duration::from_nanos(1));
    let Err(Error::Timeout { method, after }) = script.answer(first) else { panic!("overdue") };
    assert_eq!((method, after), ("queue.declare", 30 * SECOND));
    let third = declare(&mut script, channel, "c");
    declare_ok(&mut script, "a");
    assert!(script.poll_call(second).is_pending() && script.poll_call(third).is_pending());
    declare_ok(&mut script, "b");
    declare_ok(&mut script, "c");
    assert_eq!(declared(&mut script, second), "b");
    assert_eq!(declared(&mut script, third), "c");
}

#[test]
fn an_overdue_call_wakes_its_caller() {
    let (mut script, channel) = script();
    let call = declare(&mut script, channel, "a");
    let (alarm, waker) = Alarm::new();
    assert!(script.core.poll_call(call, &Context::from_waker(&waker)).is_pending());
    script.advance(30 * SECOND);
    assert!(alarm.rang());
}

#[test]
fn channels_have_calls_of_their_own() {
    let (mut script, first) = script();
    let second = script.channel();
    let calls = [script.qos(first), script.qos(second)];
    script.method(2, basic::QosOk {});
    assert!(script.poll_call(calls[0]).is_pending());
    assert!(script.answer(calls[1]).is_ok());
}

#[test]
fn a_reply_that_nobody_waits_for_ends_the_connection() {
    let replies = [
        method_frame(1, &queue::PurgeOk { message_count: 0 }),
        method_frame(1, &basic::CancelOk::default()),
        method_frame(1, &channel::OpenOk {}),
        method_frame(1, &basic::ConsumeOk::default()),
        content_frames(1, &basic::GetOk::default(), b"x", 4096),
    ];
    for reply in replies {
        let (mut script, channel) = script();
        let call = declare(&mut script, channel, "a");
        script.qos(channel);
        script.feed(&reply);
        assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
        assert!(matches!(script.answer(call), Err(Error::ConnectionClosed(_))));
    }
}

#[test]
fn replies_of_different_kinds_may_overtake_each_other() {
    let (mut script, channel) = script();
    let declaring = [declare(&mut script, channel, "a"), declare(&mut script, channel, "b")];
    let qos = script.qos(channel);
    script.method(1, basic::QosOk {});
    assert!(script.answer(qos).is_ok());
    declare_ok(&mut script, "a");
    declare_ok(&mut script, "b");
    assert_eq!(declaring.map(|call| declared(&mut script, call)), ["a", "b"]);
}

#[test]
fn a_reply_too_many_ends_the_connection() {
    let (mut script, channel) = script();
    let call = declare(&mut script, channel, "a");
    declare_ok(&mut script, "a");
    declare_ok(&mut script, "b");
    assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
    assert_eq!(declared(&mut script, call), "a");
}

#[test]
fn a_call_that_does_not_encode_sends_nothing_and_takes_no_reply() {
    let mut script = Script::open_with(ConnectOptions::default(), (0, 4096, 0));
    let channel = script.channel();
    let now = script.now();
    let errors = [f32::NAN.into(), Value::from("long ".repeat(1000))].map(|value| {
        let arguments = [(short("k"), value)].into_iter().collect();
        let request = queue::Declare { arguments, ..queue::Declare::default() };
        script.core.call(channel, &request, now).unwrap_err()
    });
    assert!(matches!(
        errors,
        [
            Error::Encode(_),
            Error::FrameTooLarge { what: "queue.declare", octets: 5000.., frame_max: 4096 }
        ]
    ));
    assert_eq!(script.sent(), []);
    let call = declare(&mut script, channel, "a");
    declare_ok(&mut script, "a");
    assert_eq!(declared(&mut script, call), "a");
}

#[test]
fn get_is_answered_by_a_message_or_by_none() {
    let (mut script, channel) = script();
    let now = script.now();
    let get = basic::Get { queue: short("q"), no_ack: false };
    let calls = [0; 3].map(|_| script.core.get(channel, &get, now).unwrap());
    script.method(1, basic::GetEmpty {});
    assert!(matches!(script.answer(calls[0]), Ok(ToClient::BasicGetEmpty(_))));
    let got = basic::GetOk { delivery_tag: 7, message_count: 3, ..basic::GetOk::default() };
    let frames = content_frames(1, &got, b"0123456789", 12);
    script.feed(&frames[..frames.len() - 5]);
    assert!(script.poll_call(calls[1]).is_pending(), "it isn't whole yet");
    script.feed(&frames[frames.len() - 5..]);
    match script.poll_call(calls[1]) {
        Poll::Ready(Ok(Answer::Message(incoming, 3))) => {
            assert_eq!(
                (incoming.delivery_tag, &incoming.content.body[..]),
                (7, &b"0123456789"[..])
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(script.poll_call(calls[2]).is_pending());
}

#[test]
fn a_message_got_for_nobody_goes_back_to_its_queue_unless_it_needs_no_ack() {
    let reject = sent(1, basic::Reject { delivery_tag: 7, requeue: true });
    for no_ack in [false, true] {
        for abandon in ["before", "half-way", "after", "overdue"] {
            let (mut script, channel) = script();
            let now = script.now();
            let get = basic::Get { queue: short("q"), no_ack };
            let call = script.core.get(channel, &get, now).unwrap();
            script.sent();
            let got = basic::GetOk { delivery_tag: 7, ..basic::GetOk::default() };
            let frames = content_frames(1, &got, b"x", 4096);
            let (front, back) = frames.split_at(match abandon {
                "before" | "overdue" => 0,
                "half-way" => frames.len() - 1,
                _ => frames.len(),
            });
            script.feed(front);
            if abandon == "overdue" {
                script.advance(30 * SECOND);
                assert!(script.answer(call).is_err());
            } else {
                script.core.abandon_call(channel, call, no_ack);
            }
            script.feed(back);
            let expected = if no_ack { vec![] } else { vec![reject.clone()] };
            assert_eq!(script.sent(), expected, "no_ack {no_ack}, abandoned {abandon}");
        }
    }
}

#[test]
fn a_call_makes_the_shell_look_for_its_deadline() {
    let (mut script, channel) = script();
    script.core.attention = false;
    declare(&mut script, channel, "a");
    assert!(script.core.attention);
    assert_eq!(script.core.next_deadline(script.now()), Some(script.now() + 30 * SECOND));
}
