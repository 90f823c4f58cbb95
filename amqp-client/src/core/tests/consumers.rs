//! Consumers: deliveries go to the right one or back to the queue, and every stream has its end.

use super::*;

fn reject(delivery_tag: u64) -> Sent {
    sent(1, basic::Reject { delivery_tag, requeue: true })
}

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

/// Cancels the consumer of that tag.
fn cancel(script: &mut Script, channel: ChannelKey, consumer: ConsumerKey, tag: &str) -> CallId {
    let now = script.now();
    let call = script.core.cancel(channel, consumer, &short(tag), now);
    call.expect("an open channel").expect("a consumer that hasn't ended")
}

fn release(
    script: &mut Script,
    channel: ChannelKey,
    consumer: ConsumerKey,
    tag: &str,
    no_ack: bool,
    unfetched: &[u64],
) {
    let now = script.now();
    let unfetched: Vec<_> = unfetched.iter().copied().map(incoming).collect();
    script.core.release_consumer(channel, consumer, (&short(tag), no_ack), unfetched, now);
    script.wake();
}

fn cancel_ok(tag: &str) -> basic::CancelOk {
    basic::CancelOk { consumer_tag: short(tag) }
}

fn server_cancels(script: &mut Script, tag: &str) {
    script.method(1, basic::Cancel { consumer_tag: short(tag), no_wait: true });
}

#[test]
fn deliveries_right_behind_consume_ok_are_not_missed() {
    for step in [1, usize::MAX] {
        let (mut script, channel) = script();
        script.step = step;
        let now = script.now();
        let (consumer, call) = script.core.consume(channel, &consume("c", false), now).unwrap();
        let mut octets = method_frame(1, &basic::ConsumeOk { consumer_tag: short("c") });
        octets.extend(content_frames(1, &delivery("c", 1), b"one", 4096));
        octets.extend(content_frames(1, &delivery("c", 2), b"two", 4096));
        script.feed(&octets);
        assert!(script.answer(call).is_ok());
        assert_eq!(script.delivered(consumer), [1, 2]);
    }
}

#[test]
fn a_delivery_keeps_all_that_the_server_said() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let deliver = basic::Deliver {
        redelivered: true,
        exchange: short("x"),
        routing_key: short("k"),
        ..delivery("c", 9)
    };
    let mut octets = method_frame(1, &deliver);
    octets.extend(header_frame(1, 4, &[0x80, 0, 1, b't']));
    octets.extend(body_frame(1, b"body"));
    script.feed(&octets);
    let Poll::Ready(Ok(batch)) = script.deliveries(consumer) else { panic!("it has come") };
    let [incoming] = &batch[..] else { panic!("one has come") };
    assert!(incoming.redelivered && incoming.delivery_tag == 9);
    assert_eq!((&incoming.exchange, &incoming.routing_key), (&short("x"), &short("k")));
    assert_eq!(&incoming.content.body[..], b"body");
    assert_eq!(incoming.content.properties.as_bytes(), [0x80, 0, 1, b't']);
}

#[test]
fn two_consumers_get_their_own_deliveries() {
    let (mut script, channel) = script();
    let a = script.consume(channel, 1, "a", false);
    let b = script.consume(channel, 1, "b", true);
    let other_channel = script.channel();
    let c = script.consume(other_channel, 2, "a", false);
    for (number, tag, delivery_tag) in
        [(1, "a", 1), (1, "b", 2), (2, "a", 1), (1, "b", 3), (1, "a", 4), (1, "a", 5)]
    {
        script.deliver(number, tag, delivery_tag, b"x");
    }
    assert_eq!(script.delivered(a), [1, 4, 5]);
    assert_eq!(script.delivered(b), [2, 3]);
    assert_eq!(script.delivered(c), [1]);
}

#[test]
fn a_delivery_wakes_its_own_consumer_only() {
    let (mut script, channel) = script();
    let consumers =
        [script.consume(channel, 1, "a", false), script.consume(channel, 1, "b", false)];
    let alarms = consumers.map(|consumer| {
        let (alarm, waker) = Alarm::new();
        let cx = &Context::from_waker(&waker);
        assert!(script.core.poll_deliveries(consumer, &mut VecDeque::new(), cx).is_pending());
        alarm
    });
    script.deliver(1, "b", 1, b"x");
    assert!(!alarms[0].rang() && alarms[1].rang());
}

#[test]
fn a_consumer_tag_in_use_is_refused_and_nothing_sent() {
    let (mut script, channel) = script();
    script.consume(channel, 1, "c", false);
    let now = script.now();
    let error = script.core.consume(channel, &consume("c", false), now).unwrap_err();
    assert!(matches!(error, Error::ConsumerTagInUse { tag } if tag == short("c")));
    assert_eq!(script.sent(), []);
}

#[test]
fn the_servers_cancel_ends_the_stream_behind_what_was_delivered() {
    for no_wait in [true, false] {
        let (mut script, channel) = script();
        let consumer = script.consume(channel, 1, "c", false);
        let (alarm, waker) = Alarm::new();
        let cx = &Context::from_waker(&waker);
        assert!(script.core.poll_deliveries(consumer, &mut VecDeque::new(), cx).is_pending());
        script.deliver(1, "c", 1, b"x");
        assert!(alarm.rang());
        script.method(1, basic::Cancel { consumer_tag: short("c"), no_wait });
        let expected = if no_wait { vec![] } else { vec![sent(1, cancel_ok("c"))] };
        assert_eq!(script.sent(), expected);
        assert_eq!(script.delivered(consumer), [1]);
        let Poll::Ready(Err(End::Closed(error))) = script.deliveries(consumer) else {
            panic!("the stream ends")
        };
        assert!(matches!(error, Error::ConsumerCancelled { tag } if tag == short("c")));
        // The tag is free, the channel goes on, and the old handle is nothing to the new consumer.
        let second = script.consume(channel, 1, "c", false);
        release(&mut script, channel, consumer, "c", false, &[]);
        assert_eq!(script.sent(), []);
        script.deliver(1, "c", 2, b"x");
        assert_eq!(script.delivered(second), [2]);
    }
}

#[test]
fn the_servers_cancel_wakes_the_consumer() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let (alarm, waker) = Alarm::new();
    let cx = &Context::from_waker(&waker);
    assert!(script.core.poll_deliveries(consumer, &mut VecDeque::new(), cx).is_pending());
    server_cancels(&mut script, "c");
    assert!(alarm.rang());
}

#[test]
fn our_cancel_takes_what_comes_until_the_answer_and_then_ends_the_stream() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let call = cancel(&mut script, channel, consumer, "c");
    assert_eq!(
        script.sent(),
        [sent(1, basic::Cancel { consumer_tag: short("c"), no_wait: false })]
    );
    script.deliver(1, "c", 1, b"x");
    script.deliver(1, "c", 2, b"x");
    assert!(script.poll_call(call).is_pending());
    script.method(1, cancel_ok("c"));
    assert!(script.answer(call).is_ok());
    assert_eq!(script.delivered(consumer), [1, 2]);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Cancelled))));
    release(&mut script, channel, consumer, "c", false, &[]);
    assert_eq!(script.sent(), []);
}

#[test]
fn both_cancels_crossing_end_the_stream_once() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let call = cancel(&mut script, channel, consumer, "c");
    server_cancels(&mut script, "c");
    script.method(1, cancel_ok("c"));
    assert!(script.answer(call).is_ok());
    let end = script.deliveries(consumer);
    assert!(matches!(end, Poll::Ready(Err(End::Closed(Error::ConsumerCancelled { .. })))));
}

#[test]
fn the_late_answer_to_a_cancel_ends_no_later_consumer_of_the_same_tag() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let first = cancel(&mut script, channel, consumer, "c");
    server_cancels(&mut script, "c");
    // Until the answer to our cancel has come, the tag isn't free; or else the new consumer must stay.
    let now = script.now();
    let second = match script.core.consume(channel, &consume("c", false), now) {
        Ok((second, _)) => {
            script.method(1, cancel_ok("c"));
            script.method(1, basic::ConsumeOk { consumer_tag: short("c") });
            second
        }
        Err(Error::ConsumerTagInUse { .. }) => {
            script.method(1, cancel_ok("c"));
            script.consume(channel, 1, "c", false)
        }
        Err(other) => panic!("{other:?}"),
    };
    assert!(script.answer(first).is_ok());
    script.deliver(1, "c", 1, b"x");
    assert_eq!(script.delivered(second), [1]);
}

#[test]
fn a_dropped_consumer_gives_back_what_was_not_handed_out_and_what_still_comes() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    for delivery_tag in 1..=3 {
        script.deliver(1, "c", delivery_tag, b"x");
    }
    assert_eq!(script.delivered(consumer), [1, 2, 3]);
    script.deliver(1, "c", 4, b"x");
    script.deliver(1, "c", 5, b"x");
    // The first was handed out and is the program's own.
    release(&mut script, channel, consumer, "c", false, &[2, 3]);
    let cancel = sent(1, basic::Cancel { consumer_tag: short("c"), no_wait: false });
    assert_eq!(script.sent(), [cancel, reject(2), reject(3), reject(4), reject(5)]);
    script.deliver(1, "c", 6, b"x");
    script.deliver(1, "c", 7, &[1; 300_000]);
    assert_eq!(script.sent(), [reject(6), reject(7)]);
    script.method(1, cancel_ok("c"));
    assert_eq!(script.sent(), []);
    assert_eq!(script.core.next_deadline(script.now()), None);
    assert_eq!(script.core.consumers.octets(), 0);
    // The tag is free again.
    script.consume(channel, 1, "c", false);
}

#[test]
fn a_dropped_consumer_without_acks_gives_nothing_back() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", true);
    script.deliver(1, "c", 1, b"x");
    release(&mut script, channel, consumer, "c", true, &[9]);
    assert_eq!(script.sent().len(), 1, "the cancel");
    script.deliver(1, "c", 2, b"x");
    script.method(1, cancel_ok("c"));
    assert_eq!(script.sent(), []);
}

#[test]
fn a_consumer_dropped_before_its_consume_ok_is_cancelled_when_it_has_started() {
    let (mut script, channel) = script();
    let now = script.now();
    let (consumer, call) = script.core.consume(channel, &consume("c", false), now).unwrap();
    script.core.abandon_call(channel, call, true);
    release(&mut script, channel, consumer, "c", false, &[]);
    assert_eq!(script.sent(), [sent(1, consume("c", false))]);
    script.method(1, basic::ConsumeOk { consumer_tag: short("c") });
    let cancel = sent(1, basic::Cancel { consumer_tag: short("c"), no_wait: false });
    assert_eq!(script.sent(), [cancel]);
    script.deliver(1, "c", 1, b"x");
    script.method(1, cancel_ok("c"));
    assert_eq!(script.sent(), [reject(1)]);
    assert_eq!(script.core.next_deadline(script.now()), None);
    script.consume(channel, 1, "c", false);
}

#[test]
fn a_consumer_that_has_ended_is_not_cancelled_again() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    server_cancels(&mut script, "c");
    let second = script.consume(channel, 1, "c", false);
    let now = script.now();
    assert!(matches!(script.core.cancel(channel, consumer, &short("c"), now), Ok(None)));
    assert_eq!(script.sent(), []);
    script.deliver(1, "c", 1, b"x");
    assert_eq!(script.delivered(second), [1]);
}

#[test]
fn answers_that_overtake_each_other_meet_their_own_requests() {
    let (mut script, channel) = script();
    let now = script.now();
    let (a, starting_a) = script.core.consume(channel, &consume("a", false), now).unwrap();
    let (b, starting_b) = script.core.consume(channel, &consume("b", false), now).unwrap();
    let qos = script.qos(channel);
    script.method(1, basic::QosOk {});
    assert!(script.answer(qos).is_ok());
    script.method(1, basic::ConsumeOk { consumer_tag: short("b") });
    assert!(script.answer(starting_b).is_ok());
    assert!(script.poll_call(starting_a).is_pending());
    script.deliver(1, "b", 1, b"x");
    script.method(1, basic::ConsumeOk { consumer_tag: short("a") });
    assert!(script.answer(starting_a).is_ok());
    assert_eq!(script.delivered(b), [1]);
    let cancels = [cancel(&mut script, channel, a, "a"), cancel(&mut script, channel, b, "b")];
    script.method(1, cancel_ok("b"));
    assert!(script.poll_call(cancels[0]).is_pending());
    script.deliver(1, "a", 2, b"x");
    assert_eq!(script.delivered(a), [2]);
    assert!(matches!(script.deliveries(b), Poll::Ready(Err(End::Cancelled))));
    script.method(1, cancel_ok("a"));
    assert!(matches!(script.deliveries(a), Poll::Ready(Err(End::Cancelled))));
}

#[test]
fn what_was_settled_with_others_is_not_settled_again() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    (1..=5).for_each(|delivery_tag| script.deliver(1, "c", delivery_tag, b"x"));
    let ack = |delivery_tag, multiple| basic::Ack { delivery_tag, multiple };
    let mut settle = |delivery_tag, multiple| {
        let method = ack(delivery_tag, multiple);
        script.core.settle(channel, (0, delivery_tag), multiple, &method).expect("an open channel");
        script.sent()
    };
    assert_eq!(settle(2, false), [sent(1, ack(2, false))]);
    assert_eq!(settle(3, true), [sent(1, ack(3, true))]);
    for (delivery_tag, multiple) in [(1, false), (2, true), (3, false)] {
        assert_eq!(settle(delivery_tag, multiple), []);
    }
    assert_eq!(settle(4, false), [sent(1, ack(4, false))]);
    // What a dropped consumer gives back is told apart in the same way.
    release(&mut script, channel, consumer, "c", false, &[1, 3]);
    let cancel = sent(1, basic::Cancel { consumer_tag: short("c"), no_wait: false });
    assert_eq!(script.sent()[..2], [cancel, reject(4)]);
}

#[test]
fn a_consumer_dropped_while_it_is_cancelled_is_cancelled_once() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let call = cancel(&mut script, channel, consumer, "c");
    script.core.abandon_call(channel, call, true);
    script.sent();
    script.deliver(1, "c", 1, b"x");
    release(&mut script, channel, consumer, "c", false, &[]);
    script.deliver(1, "c", 2, b"x");
    assert_eq!(script.sent(), [reject(1), reject(2)]);
    script.method(1, cancel_ok("c"));
    script.consume(channel, 1, "c", false);
}

#[test]
fn a_message_half_there_when_its_consumer_is_dropped_goes_to_no_other() {
    for cut_at_body in [false, true] {
        let (mut script, channel) = script();
        let dropped = script.consume(channel, 1, "a", false);
        let frames = content_frames(1, &delivery("a", 1), &[1; 10_000], 4096);
        let method = method_frame(1, &delivery("a", 1)).len();
        let cut = method + if cut_at_body { header_frame(1, 0, &[0, 0]).len() + 4096 } else { 0 };
        script.feed(&frames[..cut]);
        release(&mut script, channel, dropped, "a", false, &[]);
        // Another consumer takes the free place, on another channel even.
        let second = script.channel();
        let now = script.now();
        let (other, _) = script.core.consume(second, &consume("b", false), now).unwrap();
        script.sent();
        script.feed(&frames[cut..]);
        assert_eq!(script.delivered(other), [0; 0], "cut in the body: {cut_at_body}");
        assert_eq!(script.sent(), [reject(1)]);
    }
}

#[test]
fn a_message_half_there_when_its_consumer_is_dropped_needs_no_ack_if_none_does() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "a", true);
    let frames = content_frames(1, &delivery("a", 1), &[1; 10_000], 4096);
    script.feed(&frames[..5000]);
    release(&mut script, channel, consumer, "a", true, &[]);
    assert_eq!(script.sent().len(), 1, "the cancel");
    script.feed(&frames[5000..]);
    assert_eq!(script.sent(), []);
}

#[test]
fn a_delivery_for_a_tag_that_the_channel_does_not_have_ends_the_connection() {
    for case in ["never", "answered", "other channel"] {
        let (mut script, channel) = script();
        match case {
            "never" => {}
            "answered" => {
                let consumer = script.consume(channel, 1, "c", false);
                cancel(&mut script, channel, consumer, "c");
                script.method(1, cancel_ok("c"));
            }
            _ => {
                let other = script.channel();
                script.consume(other, 2, "c", false);
            }
        }
        script.deliver(1, "c", 1, b"x");
        assert_eq!(script.gave_up_with(), ReplyCode::NOT_ALLOWED, "{case}");
    }
}

#[test]
fn a_message_with_bad_properties_reaches_its_consumer_and_harms_no_other() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let bad: [&[u8]; 5] = [&[0x80, 0, 200], &[0x20, 0, 0, 0, 0, 9], &[0xFF, 0xFF], &[0], &[]];
    for (delivery_tag, properties) in (1..).zip(bad) {
        let mut octets = method_frame(1, &delivery("c", delivery_tag));
        octets.extend(header_frame(1, 1, properties));
        octets.extend(body_frame(1, b"x"));
        script.feed(&octets);
    }
    script.deliver(1, "c", 6, b"x");
    let Poll::Ready(Ok(batch)) = script.deliveries(consumer) else { panic!("they have come") };
    let decoded: Vec<bool> = batch
        .iter()
        .map(|incoming| incoming.content.properties.decode::<basic::Properties>().is_ok())
        .collect();
    assert_eq!(decoded, [false, false, false, false, false, true]);
}

#[test]
fn tags_made_up_are_all_different() {
    let mut script = Script::open();
    let tags: std::collections::HashSet<ShortStr> =
        (0..1000).map(|_| script.core.new_consumer_tag()).collect();
    assert_eq!(tags.len(), 1000);
}

/// RabbitMQ closes the connection over a message of a stream that is refused.
#[test]
fn a_message_of_a_stream_does_not_go_back() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    let headers = FieldTable::new().with(short("x-stream-offset"), 7);
    let properties = basic::Properties { headers: Some(headers), ..basic::Properties::default() };
    let mut out = BytesMut::new();
    encode::header(&mut out, 1, 1, &properties).unwrap();
    let from_stream = |script: &mut Script, delivery_tag| {
        script.method(1, delivery("c", delivery_tag));
        script.feed(&out);
        script.feed(&body_frame(1, b"x"));
    };
    from_stream(&mut script, 1);
    script.deliver(1, "c", 2, b"x");
    let Poll::Ready(Ok(fetched)) = script.deliveries(consumer) else { panic!("both have come") };
    from_stream(&mut script, 3);
    script.deliver(1, "c", 4, b"x");
    let now = script.now();
    script.core.release_consumer(channel, consumer, (&short("c"), false), fetched, now);
    from_stream(&mut script, 5);
    script.deliver(1, "c", 6, b"x");
    let cancel = sent(1, basic::Cancel { consumer_tag: short("c"), no_wait: false });
    assert_eq!(script.sent(), [cancel, reject(2), reject(4), reject(6)]);
}
