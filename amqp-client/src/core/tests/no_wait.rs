//! Methods without a reply, cancels without one, and calls about the connection itself.

use amqp091::protocol::queue;
use amqp091::types::Value;

use super::*;

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

fn purge() -> queue::Purge {
    queue::Purge { queue: short("q"), no_wait: true }
}

/// Sends without a reply, or waits.
fn try_send(
    script: &mut Script,
    channel: ChannelKey,
    waiter: &mut Option<WaiterKey>,
    waker: &Waker,
) -> Poll<Result<(), Error>> {
    script.core.poll_send(channel, &purge(), waiter, &Context::from_waker(waker))
}

#[test]
fn no_reply_is_due_for_what_is_sent_without() {
    let (mut script, channel) = script();
    assert!(matches!(
        try_send(&mut script, channel, &mut None, Waker::noop()),
        Poll::Ready(Ok(()))
    ));
    let call = script.core.call(channel, &queue::Purge::default(), script.now()).unwrap();
    assert_eq!(script.sent(), [sent(1, purge()), sent(1, queue::Purge::default())]);
    script.method(1, queue::PurgeOk { message_count: 3 });
    assert!(script.answer(call).is_ok());
    script.method(1, queue::PurgeOk { message_count: 3 });
    assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
}

#[test]
fn sending_without_a_reply_waits_for_room() {
    let options = ConnectOptions::default().output_limit(100);
    let mut script = Script::open_with(options, (2047, 131_072, 0));
    let channel = script.channel();
    script.writable = false;
    let mut count = 0;
    let (alarm, waker) = Alarm::new();
    let mut waiter = None;
    while try_send(&mut script, channel, &mut waiter, &waker).is_ready() {
        count += 1;
        assert!(count < 100, "the output has a limit");
    }
    assert!(count > 0 && !alarm.rang());
    script.writable = true;
    assert_eq!(script.sent().len(), count);
    assert!(alarm.rang());
    assert!(try_send(&mut script, channel, &mut waiter, &waker).is_ready());
    // Whoever waits learns of the end.
    script.writable = false;
    while try_send(&mut script, channel, &mut waiter, &waker).is_ready() {}
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert!(alarm.rang());
    let Poll::Ready(Err(error)) = try_send(&mut script, channel, &mut waiter, &waker) else {
        panic!("the channel is closed")
    };
    assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND));
}

#[test]
fn a_consumer_without_a_reply_gets_its_deliveries_and_its_end() {
    let (mut script, channel) = script();
    let request = basic::Consume { no_wait: true, ..consume("c", false) };
    let consumer = script.core.consume_no_wait(channel, &request).unwrap();
    assert_eq!(script.sent(), [sent(1, request.clone())]);
    let error = script.core.consume_no_wait(channel, &request).unwrap_err();
    assert!(matches!(error, Error::ConsumerTagInUse { .. }));
    script.deliver(1, "c", 1, b"x");
    assert_eq!(script.delivered(consumer), [1]);
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    let Poll::Ready(Err(End::Closed(error))) = script.deliveries(consumer) else {
        panic!("the channel is closed")
    };
    assert_eq!(error.reply_code(), Some(ReplyCode::NOT_FOUND));
}

#[test]
fn a_cancel_without_a_reply_ends_the_consumer_at_once() {
    for no_ack in [false, true] {
        let (mut script, channel) = script();
        let consumer = script.consume(channel, 1, "c", no_ack);
        script.deliver(1, "c", 1, b"x");
        let (front, back) = {
            let mut frames = content_frames(1, &delivery("c", 2), b"half", 4096);
            let back = frames.split_off(frames.len() - 3);
            (frames, back)
        };
        script.feed(&front);
        let tag = short("c");
        for _ in 0..2 {
            // The second one has nothing to cancel.
            script.core.cancel_no_wait(channel, consumer, (&tag, no_ack)).unwrap();
        }
        let cancel = sent(1, basic::Cancel { consumer_tag: tag.clone(), no_wait: true });
        assert_eq!(script.sent(), [cancel]);
        script.feed(&back);
        script.deliver(1, "c", 3, b"x");
        let reject = |delivery_tag| sent(1, basic::Reject { delivery_tag, requeue: true });
        let expected = if no_ack { vec![] } else { vec![reject(2), reject(3)] };
        assert_eq!(script.sent(), expected);
        assert_eq!(script.delivered(consumer), [1]);
        assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Cancelled))));
        // Nobody can tell when the tag is free.
        let now = script.now();
        let error = script.core.consume(channel, &consume("c", no_ack), now).unwrap_err();
        assert!(matches!(error, Error::ConsumerTagInUse { .. }));
        script.core.release_consumer(channel, consumer, (&tag, no_ack), [], now);
        assert_eq!(script.sent(), []);
    }
}

#[test]
fn a_handle_of_a_consumer_that_is_gone_cancels_no_other() {
    let (mut script, channel) = script();
    let (old, tag) = (script.consume(channel, 1, "c", false), short("c"));
    let now = script.now();
    script.core.release_consumer(channel, old, (&tag, false), [], now);
    script.method(1, basic::CancelOk { consumer_tag: tag.clone() });
    // The new one has the old one's tag, and its place.
    let new = script.consume(channel, 1, "c", false);
    script.sent();
    assert!(matches!(script.core.cancel(channel, old, &tag, now), Ok(None)));
    script.core.cancel_no_wait(channel, old, (&tag, false)).unwrap();
    assert_eq!(script.sent(), []);
    assert!(matches!(script.core.cancel(channel, new, &tag, now), Ok(Some(_))));
}

fn update(script: &mut Script, secret: &str) -> Result<CallId, Error> {
    let request =
        connection::UpdateSecret { new_secret: LongStr::from(secret), reason: short("it expires") };
    script.core.update_secret(&request, script.now())
}

#[test]
fn updates_of_the_secret_are_answered_in_order() {
    let mut script = Script::open();
    let calls = ["a", "b", "c"].map(|secret| update(&mut script, secret).unwrap());
    let secrets: Vec<String> = script
        .sent()
        .iter()
        .map(|sent| match sent {
            Sent::Method(0, ToServer::ConnectionUpdateSecret(update)) => {
                update.new_secret.to_str_lossy().into_owned()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(secrets, ["a", "b", "c"]);
    script.core.abandon_connection_call(calls[0]);
    script.method(0, connection::UpdateSecretOk {});
    assert!(script.poll_call(calls[1]).is_pending());
    script.method(0, connection::UpdateSecretOk {});
    assert!(script.answer(calls[1]).is_ok());
    script.advance(30 * SECOND);
    assert!(matches!(
        script.answer(calls[2]),
        Err(Error::Timeout { method: "connection.update-secret", .. })
    ));
    script.method(0, connection::UpdateSecretOk {});
    assert!(script.core.check_open().is_ok());
    script.method(0, connection::UpdateSecretOk {});
    assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
}

#[test]
fn a_secret_that_the_server_refuses_ends_the_connection_with_its_words() {
    let mut script = Script::open();
    let call = update(&mut script, "a").unwrap();
    script.method(0, connection_close(ReplyCode::NOT_ALLOWED));
    assert_eq!(script.answer(call).unwrap_err().reply_code(), Some(ReplyCode::NOT_ALLOWED));
    let error = update(&mut script, "b").unwrap_err();
    assert_eq!(error.reply_code(), Some(ReplyCode::NOT_ALLOWED));
}

#[test]
fn a_secret_that_fits_no_frame_is_not_sent() {
    let mut script = Script::open_with(ConnectOptions::default(), (0, 4096, 0));
    let error = update(&mut script, &"long ".repeat(1000)).unwrap_err();
    assert!(matches!(
        error,
        Error::FrameTooLarge { what: "connection.update-secret", frame_max: 4096, .. }
    ));
    assert_eq!(script.sent(), []);
}

#[test]
fn what_does_not_encode_is_not_sent_without_a_reply_either() {
    let (mut script, channel) = script();
    let arguments = [(short("k"), Value::from(f32::NAN))].into_iter().collect();
    let request = queue::Declare { arguments, no_wait: true, ..queue::Declare::default() };
    let cx = &Context::from_waker(Waker::noop());
    let result = script.core.poll_send(channel, &request, &mut None, cx);
    assert!(matches!(result, Poll::Ready(Err(Error::Encode(_)))));
    assert_eq!(script.sent(), []);
}
