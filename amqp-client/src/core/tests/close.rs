//! How connections end: each cause, what goes out then, and that every wait ends with that cause.

use std::io;

use super::waits::Waits;
use super::*;
use crate::error::{CloseReason, Initiator, Violation};

/// A connection with waits of every kind, and nothing left to write.
fn waiting() -> (Script, Waits) {
    let mut script = Script::open();
    let waits = Waits::begin(&mut script);
    script.sent();
    (script, waits)
}

fn poll_closed(script: &mut Script) -> Poll<Result<(), Error>> {
    script.core.poll_closed(&mut None, &Context::from_waker(Waker::noop()))
}

fn user_close(script: &mut Script) {
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    script.wake();
}

fn reason(error: &Error) -> &CloseReason {
    match error {
        Error::ConnectionClosed(reason) => reason,
        other => panic!("{other:?} instead of the connection's end"),
    }
}

#[test]
fn our_close_ends_every_wait_when_it_is_answered() {
    let (mut script, waits) = waiting();
    user_close(&mut script);
    let Some(Sent::Method(0, ToServer::ConnectionClose(close))) = script.sent().pop() else {
        panic!("connection.close goes out")
    };
    assert_eq!(close.reply_code, ReplyCode::REPLY_SUCCESS);
    assert!(poll_closed(&mut script).is_pending());
    script.method(0, connection::CloseOk {});
    assert_eq!(script.sent(), []);
    assert!(script.core.is_closed(true));
    let result = waits.assert_all_ended(&mut script, |error| error.initiator() == Initiator::User);
    assert!(result.is_ok());
}

#[test]
fn our_close_goes_out_behind_everything_that_is_queued() {
    let mut script = Script::open();
    let channels = [script.channel(), script.channel()];
    script.writable = false;
    let places = channels.map(|channel| script.publish(channel, "q", &[1; 700_000]));
    script.core.send(channels[0], &basic::Ack { delivery_tag: 1, multiple: false }).unwrap();
    user_close(&mut script);
    script.writable = true;
    let sent = script.sent();
    let octets: usize = sent
        .iter()
        .map(|sent| if let Sent::Body(_, Octets(octets)) = sent { octets.len() } else { 0 })
        .sum();
    assert_eq!(octets, 1_400_000);
    assert!(matches!(sent.last(), Some(Sent::Method(0, ToServer::ConnectionClose(_)))));
    let ack = sent.iter().position(|sent| matches!(sent, Sent::Method(1, ToServer::BasicAck(_))));
    let last = sent.iter().rposition(|sent| matches!(sent, Sent::Body(1, _)));
    assert!(ack > last, "the order on a channel is kept");
    // What the server says until its answer is still taken.
    script.ack(1, 1, false);
    script.nack(2, 1, false);
    script.method(0, connection::CloseOk {});
    assert_eq!(script.outcomes(channels[0], &places[..1]), "C");
    assert_eq!(script.outcomes(channels[1], &places[1..]), "N");
    assert!(matches!(poll_closed(&mut script), Poll::Ready(Ok(()))));
}

#[test]
fn after_our_close_nothing_more_is_taken_from_the_program() {
    let mut script = Script::open();
    let channel = script.channel();
    let call = script.qos(channel);
    user_close(&mut script);
    let now = script.now();
    assert!(matches!(reason(&script.core.open_channel(now).unwrap_err()), CloseReason::ByUser));
    let error = script.core.publish(channel, &message("q", b"x")).unwrap_err();
    assert!(matches!(reason(&error), CloseReason::ByUser));
    // A second close changes nothing, whoever asks for it.
    script.core.close(CloseReason::Dropped, now);
    let sent = script.sent();
    let closes = |sent: &&Sent| matches!(sent, Sent::Method(0, ToServer::ConnectionClose(_)));
    assert_eq!(sent.iter().filter(closes).count(), 1);
    // A reply that was on its way still comes.
    script.method(1, basic::QosOk {});
    assert!(script.answer(call).is_ok());
}

#[test]
fn a_close_without_answer_has_an_end() {
    let (mut script, waits) = waiting();
    user_close(&mut script);
    script.advance(10 * SECOND - Duration::from_nanos(1));
    assert!(poll_closed(&mut script).is_pending());
    script.advance(Duration::from_nanos(1));
    assert!(script.core.is_closed(true));
    let result = waits.assert_all_ended(&mut script, |error| error.initiator() == Initiator::User);
    assert!(matches!(result, Err(Error::Timeout { method: "connection.close", .. })));
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn a_close_that_cannot_even_be_written_has_an_end() {
    let mut script = Script::open();
    script.writable = false;
    user_close(&mut script);
    script.advance(10 * SECOND);
    assert!(matches!(poll_closed(&mut script), Poll::Ready(Err(Error::Timeout { .. }))));
    assert!(script.core.is_closed(false));
}

#[test]
fn the_servers_close_is_answered_and_nothing_else_goes_out() {
    let (mut script, waits) = waiting();
    script.writable = false;
    let now = script.now();
    script.core.open_channel(now).unwrap();
    script.method(0, connection_close(ReplyCode::CONNECTION_FORCED));
    script.writable = true;
    assert!(!script.core.is_closed(true), "the answer is still to be written");
    assert_eq!(script.sent(), [sent(0, connection::CloseOk {})]);
    assert!(!script.core.is_closed(false));
    assert!(script.core.is_closed(true));
    script.core.finish_close();
    let result = waits.assert_all_ended(&mut script, |error| {
        error.reply_code() == Some(ReplyCode::CONNECTION_FORCED)
            && error.initiator() == Initiator::Server
    });
    assert_eq!(result.unwrap_err().reply_code(), Some(ReplyCode::CONNECTION_FORCED));
}

#[test]
fn an_answer_to_the_servers_close_that_cannot_be_written_has_an_end() {
    let mut script = Script::open();
    script.writable = false;
    script.method(0, connection_close(ReplyCode::CONNECTION_FORCED));
    script.advance(10 * SECOND);
    assert!(script.core.is_closed(false));
    let Poll::Ready(Err(error)) = poll_closed(&mut script) else { panic!("it is over") };
    assert_eq!(error.reply_code(), Some(ReplyCode::CONNECTION_FORCED));
}

#[test]
fn when_both_close_the_servers_is_answered_and_its_words_are_told() {
    let mut script = Script::open();
    let channel = script.channel();
    let place = script.publish(channel, "q", b"x");
    script.sent();
    user_close(&mut script);
    assert_eq!(script.sent().len(), 1);
    script.method(0, connection_close(ReplyCode::INTERNAL_ERROR));
    assert_eq!(script.sent(), [sent(0, connection::CloseOk {})]);
    assert!(script.core.is_closed(true));
    script.core.finish_close();
    assert_eq!(script.outcomes(channel, &[place]), "U");
    // Something that was sent before has failed: whoever closes in order to be sure of it must know.
    let Poll::Ready(Err(error)) = poll_closed(&mut script) else { panic!("it did not end well") };
    assert_eq!(error.reply_code(), Some(ReplyCode::INTERNAL_ERROR));
}

#[test]
fn what_the_server_says_behind_its_close_is_not_read() {
    let mut script = Script::open();
    let mut octets = method_frame(0, &connection_close(ReplyCode::CONNECTION_FORCED));
    octets.extend(b"garbage");
    script.feed(&octets);
    script.feed(b"more of it");
    assert_eq!(script.sent(), [sent(0, connection::CloseOk {})]);
    assert!(script.input.is_empty());
}

#[test]
fn a_violation_is_told_to_the_server_and_ends_every_wait() {
    let (mut script, waits) = waiting();
    script.method(2, channel::CloseOk {});
    assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
    script.core.finish_close();
    let is_wanted = |error: &Error| {
        matches!(reason(error), CloseReason::Violation(Violation::Unexpected { channel: 2, .. }))
    };
    let result = waits.assert_all_ended(&mut script, is_wanted);
    assert!(is_wanted(&result.unwrap_err()));
}

#[test]
fn behind_a_violation_only_the_close_goes_out() {
    let mut script = Script::open();
    let channels = [script.channel(), script.channel()];
    script.writable = false;
    let _ = channels.map(|channel| script.publish(channel, "q", &[1; 300_000]));
    script.core.send(channels[0], &basic::Ack::default()).unwrap();
    script.method(3, basic::QosOk {});
    script.writable = true;
    let sent = script.sent();
    assert!(matches!(sent[..], [Sent::Method(0, ToServer::ConnectionClose(_))]), "{sent:?}");
    assert!(script.core.is_closed(true));
}

#[test]
fn each_violation_has_its_reply_code() {
    let garbage = vec![42];
    let huge = [1, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF].to_vec();
    let mut open_end = method_frame(1, &basic::QosOk {});
    *open_end.last_mut().unwrap() = 0;
    let unknown_method = [1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 99, 0xCE].to_vec();
    let not_for_clients = method_frame(1, &basic::Qos::default());
    let mut too_long = method_frame(1, &basic::QosOk {});
    too_long[6] = 5;
    too_long.insert(11, 0);
    let cases = [
        (garbage, ReplyCode::FRAME_ERROR),
        (huge, ReplyCode::FRAME_ERROR),
        (open_end, ReplyCode::FRAME_ERROR),
        (vec![8, 0, 1, 0, 0, 0, 0, 0xCE], ReplyCode::UNEXPECTED_FRAME),
        (vec![8, 0, 0, 0, 0, 0, 1, 0, 0xCE], ReplyCode::FRAME_ERROR),
        (body_frame(0, b"x"), ReplyCode::UNEXPECTED_FRAME),
        (unknown_method, ReplyCode::SYNTAX_ERROR),
        (not_for_clients, ReplyCode::SYNTAX_ERROR),
        (too_long, ReplyCode::SYNTAX_ERROR),
        (vec![1, 0, 1, 0, 0, 0, 3, 0, 60, 0, 0xCE], ReplyCode::SYNTAX_ERROR),
        (method_frame(1, &basic::QosOk {}), ReplyCode::COMMAND_INVALID),
        (method_frame(1, &channel::CloseOk {}), ReplyCode::COMMAND_INVALID),
        (method_frame(0, &connection::OpenOk {}), ReplyCode::COMMAND_INVALID),
        (method_frame(0, &connection::CloseOk {}), ReplyCode::COMMAND_INVALID),
        (method_frame(0, &basic::QosOk {}), ReplyCode::COMMAND_INVALID),
        (method_frame(1, &connection::Blocked::default()), ReplyCode::COMMAND_INVALID),
        (method_frame(2, &basic::QosOk {}), ReplyCode::CHANNEL_ERROR),
        (header_frame(2, 1, &[0, 0]), ReplyCode::CHANNEL_ERROR),
        (body_frame(65535, b"x"), ReplyCode::CHANNEL_ERROR),
        (method_frame(1, &delivery("nobody", 1)), ReplyCode::NOT_ALLOWED),
    ];
    for (octets, code) in cases {
        for step in [1, usize::MAX] {
            let mut script = Script::open();
            script.channel();
            script.step = step;
            script.feed(&octets);
            assert_eq!(script.gave_up_with(), code, "{octets:?}");
            assert!(matches!(
                reason(&script.core.check_open().unwrap_err()),
                CloseReason::Violation(_)
            ));
        }
    }
}

#[test]
fn a_lost_socket_ends_every_wait() {
    for cause in 0..4 {
        let (mut script, waits) = waiting();
        script.core.lose(match cause {
            0 => CloseReason::Eof,
            1 => CloseReason::Io(Arc::new(io::ErrorKind::ConnectionReset.into())),
            2 => CloseReason::HeartbeatMissed { silence: SECOND },
            _ => CloseReason::RuntimeGone,
        });
        assert!(script.core.is_closed(true) && script.core.is_closed(false));
        assert_eq!(script.core.next_deadline(script.now()), None);
        let is_wanted = |error: &Error| match (cause, reason(error)) {
            (0, CloseReason::Eof) | (2, CloseReason::HeartbeatMissed { .. }) => true,
            (1, CloseReason::Io(error)) => error.kind() == io::ErrorKind::ConnectionReset,
            (3, CloseReason::RuntimeGone) => true,
            _ => false,
        };
        let result = waits.assert_all_ended(&mut script, is_wanted);
        assert!(is_wanted(&result.unwrap_err()));
        assert_eq!(script.sent(), []);
    }
}

#[test]
fn a_socket_lost_before_our_close_is_answered_is_no_good_end() {
    let (mut script, waits) = waiting();
    user_close(&mut script);
    script.core.lose(CloseReason::Eof);
    let result = waits.assert_all_ended(&mut script, |error| error.initiator() == Initiator::User);
    assert!(matches!(result, Err(error) if matches!(reason(&error), CloseReason::Eof)));
}

#[test]
fn a_socket_lost_after_the_servers_close_leaves_the_servers_words() {
    let (mut script, waits) = waiting();
    script.method(0, connection_close(ReplyCode::CONNECTION_FORCED));
    script.core.lose(CloseReason::Eof);
    let result = waits.assert_all_ended(&mut script, |error| {
        error.reply_code() == Some(ReplyCode::CONNECTION_FORCED)
    });
    assert_eq!(result.unwrap_err().reply_code(), Some(ReplyCode::CONNECTION_FORCED));
}

#[test]
fn what_was_delivered_before_the_end_can_still_be_fetched() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    script.method(0, connection_close(ReplyCode::CONNECTION_FORCED));
    assert_eq!(script.delivered(consumer), [1]);
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
    assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(End::Closed(_)))));
}

#[test]
fn handles_dropped_after_the_end_do_nothing() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    let place = script.publish(channel, "q", b"x");
    let call = script.qos(channel);
    script.sent();
    script.core.lose(CloseReason::Eof);
    let now = script.now();
    script.core.forget_confirm(channel, place);
    script.core.abandon_call(channel, call, false);
    script.core.release_consumer(
        channel,
        consumer,
        (&short("c"), false),
        [1, 2].map(incoming),
        now,
    );
    script.core.release_channel(channel, now);
    script.core.release_channel(channel, now);
    script.core.close(CloseReason::Dropped, now);
    assert_eq!(script.sent(), []);
    assert!(matches!(poll_closed(&mut script), Poll::Ready(Err(_))));
}
