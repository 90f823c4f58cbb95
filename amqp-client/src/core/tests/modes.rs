//! Confirm and transaction mode, commits, recovering: what is refused, what waits, what is settled.

use amqp091::protocol::{confirm, queue, tx};

use super::*;
use crate::mode::ChannelMode;

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

/// A channel in transaction mode.
fn transaction() -> (Script, ChannelKey) {
    let (mut script, channel) = script();
    let call = script.core.call(channel, &tx::Select {}, script.now()).unwrap();
    assert_eq!(script.sent(), [sent(1, tx::Select {})]);
    script.method(1, tx::SelectOk {});
    assert!(matches!(script.answer(call), Ok(ToClient::TxSelectOk(_))));
    (script, channel)
}

fn commit(script: &mut Script, channel: ChannelKey) -> CallId {
    script.core.call(channel, &tx::Commit {}, script.now()).unwrap()
}

fn ack(script: &mut Script, channel: ChannelKey, delivery_tag: u64, multiple: bool) {
    let ack = basic::Ack { delivery_tag, multiple };
    script.core.settle(channel, (0, delivery_tag), multiple, &ack).unwrap();
}

fn acked(delivery_tag: u64, multiple: bool) -> Sent {
    sent(1, basic::Ack { delivery_tag, multiple })
}

/// A message that nobody watches.
fn unwatched(body: &[u8]) -> Message<'_> {
    Message { watched: false, ..message("q", body) }
}

#[test]
fn what_the_mode_forbids_is_refused_and_not_sent() {
    let (mut script, channel) = script();
    let now = script.now();
    assert_eq!(script.core.mode(channel), ChannelMode::Normal);
    for (method, error) in [
        ("tx.commit", script.core.call(channel, &tx::Commit {}, now).unwrap_err()),
        ("tx.rollback", script.core.call(channel, &tx::Rollback {}, now).unwrap_err()),
    ] {
        let Error::ChannelMode { method: refused, mode: ChannelMode::Normal } = error else {
            panic!("{error:?}")
        };
        assert_eq!(refused, method);
    }
    script.publish(channel, "q", b"m");
    assert_eq!(script.core.mode(channel), ChannelMode::Confirm);
    let error = script.core.call(channel, &tx::Select {}, now).unwrap_err();
    assert!(matches!(
        error,
        Error::ChannelMode { method: "tx.select", mode: ChannelMode::Confirm }
    ));
    let sent = script.sent();
    assert!(!sent.iter().any(|sent| matches!(sent, Sent::Method(_, ToServer::TxSelect(_)))));

    let (mut script, channel) = transaction();
    assert_eq!(script.core.mode(channel), ChannelMode::Transaction);
    let select = confirm::Select { no_wait: false };
    let errors = [
        script.core.call(channel, &select, script.now()).unwrap_err(),
        script.core.publish(channel, &message("q", b"m")).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(
            error,
            Error::ChannelMode { method: "confirm.select", mode: ChannelMode::Transaction }
        ));
    }
    assert_eq!(script.sent(), []);
    // The channel goes on, and so does its mode when it is selected again.
    assert_eq!(script.try_publish(channel, &unwatched(b"m")), Some(None));
    script.core.call(channel, &tx::Select {}, script.now()).unwrap();
    commit(&mut script, channel);
}

#[test]
fn confirms_count_from_the_first_select() {
    let (mut script, channel) = script();
    script.unwatched(channel, "q", b"before");
    let select = confirm::Select { no_wait: false };
    let call = script.core.call(channel, &select, script.now()).unwrap();
    script.unwatched(channel, "q", b"first");
    let second = script.publish(channel, "q", b"second");
    assert_eq!(second.delivery_tag, 2);
    // A second select doesn't begin anew.
    script.core.call(channel, &select, script.now()).unwrap();
    assert_eq!(script.publish(channel, "q", b"third").delivery_tag, 3);
    let sent = script.sent();
    let is_select = |sent: &&Sent| matches!(sent, Sent::Method(_, ToServer::ConfirmSelect(_)));
    assert_eq!(sent.iter().filter(is_select).count(), 2);
    script.method(1, confirm::SelectOk {});
    assert!(script.answer(call).is_ok());
    script.ack(1, 2, true);
    assert_eq!(script.outcomes(channel, &[second]), "C");
}

#[test]
fn nothing_goes_out_on_a_channel_in_the_middle_of_a_commit() {
    let (mut script, channel) = transaction();
    let other = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    assert_eq!(script.delivered(consumer), [1]);
    let committing = commit(&mut script, channel);
    let qos = script.qos(channel);
    ack(&mut script, channel, 1, false);
    // The server's own requests are answered behind the commit too.
    script.method(1, channel::Flow { active: true });
    assert_eq!(script.try_publish(channel, &unwatched(b"m")), None);
    script.qos(other);
    let qos_sent = |number| sent(number, basic::Qos::default());
    assert_eq!(script.sent(), [sent(1, tx::Commit {}), qos_sent(2)]);

    let (alarm, waker) = Alarm::new();
    let (cx, mut waiter) = (&Context::from_waker(&waker), None);
    let waiting = unwatched(b"m");
    assert!(script.core.poll_publish(channel, &waiting, &mut waiter, cx).is_pending());
    script.method(1, tx::CommitOk {});
    assert!(matches!(script.answer(committing), Ok(ToClient::TxCommitOk(_))));
    assert!(alarm.rang());
    let flow_ok = sent(1, channel::FlowOk { active: true });
    assert_eq!(script.sent(), [qos_sent(1), acked(1, false), flow_ok]);
    script.method(1, basic::QosOk {});
    assert!(script.answer(qos).is_ok());
    assert_eq!(script.try_publish(channel, &unwatched(b"m")), Some(None));
}

#[test]
fn commits_wait_for_each_other() {
    let (mut script, channel) = transaction();
    let commits = [0; 3].map(|_| {
        let call = commit(&mut script, channel);
        script.qos(channel);
        call
    });
    let (committing, qos) = (sent(1, tx::Commit {}), sent(1, basic::Qos::default()));
    assert_eq!(script.sent(), std::slice::from_ref(&committing));
    for call in &commits[..2] {
        script.method(1, tx::CommitOk {});
        assert!(script.answer(*call).is_ok());
        assert_eq!(script.sent(), [qos.clone(), committing.clone()]);
        assert_eq!(script.try_publish(channel, &unwatched(b"m")), None);
    }
    script.method(1, tx::CommitOk {});
    assert!(script.answer(commits[2]).is_ok());
    assert_eq!(script.sent(), [qos]);
    assert_eq!(script.try_publish(channel, &unwatched(b"m")), Some(None));
}

#[test]
fn an_abandoned_or_overdue_commit_still_ends_with_its_reply() {
    for overdue in [false, true] {
        let (mut script, channel) = transaction();
        let committing = commit(&mut script, channel);
        if overdue {
            script.advance(30 * SECOND);
            assert!(matches!(script.answer(committing), Err(Error::Timeout { .. })));
        } else {
            script.core.abandon_call(channel, committing, true);
        }
        let qos = script.qos(channel);
        assert_eq!(script.sent(), [sent(1, tx::Commit {})]);
        script.method(1, tx::CommitOk {});
        assert_eq!(script.sent(), [sent(1, basic::Qos::default())]);
        script.method(1, basic::QosOk {});
        assert!(script.answer(qos).is_ok());
    }
}

#[test]
fn a_channel_is_closed_behind_its_commit() {
    let (mut script, channel) = transaction();
    let committing = commit(&mut script, channel);
    script.core.release_channel(channel, script.now());
    assert!(matches!(script.answer(committing), Err(Error::ChannelClosed { .. })));
    assert_eq!(script.sent(), [sent(1, tx::Commit {})]);
    script.method(1, tx::CommitOk {});
    let sent = script.sent();
    assert!(matches!(&sent[..], [Sent::Method(1, ToServer::ChannelClose(_))]), "{sent:?}");
    script.method(1, channel::CloseOk {});
    // Its number is free.
    script.channel();
    assert!(script.core.check_open().is_ok());
}

#[test]
fn a_server_that_refuses_a_commit_gets_nothing_but_the_answer() {
    for close in [false, true] {
        let (mut script, channel) = transaction();
        let committing = commit(&mut script, channel);
        let qos = script.qos(channel);
        if close {
            // It waits behind the commit, so the server never sees it.
            script.core.release_channel(channel, script.now());
        }
        script.sent();
        script.method(1, channel_close(ReplyCode::PRECONDITION_FAILED));
        assert_eq!(script.sent(), [sent(1, channel::CloseOk {})]);
        for call in [committing, qos] {
            assert!(matches!(script.answer(call), Err(Error::ChannelClosed { .. })));
        }
        // Its number is free, and the next one begins anew.
        let next = script.channel();
        script.qos(next);
        assert_eq!(script.sent(), [sent(1, basic::Qos::default())]);
    }
}

#[test]
fn what_a_rollback_undoes_can_be_settled_again() {
    let (mut script, channel) = transaction();
    let consumer = script.consume(channel, 1, "c", false);
    for delivery_tag in 1..=4 {
        script.deliver(1, "c", delivery_tag, b"x");
    }
    assert_eq!(script.delivered(consumer), [1, 2, 3, 4]);
    ack(&mut script, channel, 2, true);
    commit(&mut script, channel);
    script.method(1, tx::CommitOk {});
    ack(&mut script, channel, 4, true);
    script.sent();
    ack(&mut script, channel, 3, false);
    assert_eq!(script.sent(), []);
    script.core.call(channel, &tx::Rollback {}, script.now()).unwrap();
    script.method(1, tx::RollbackOk {});
    // What was committed stays so.
    ack(&mut script, channel, 2, false);
    ack(&mut script, channel, 3, false);
    assert_eq!(script.sent(), [sent(1, tx::Rollback {}), acked(3, false)]);
}

#[test]
fn what_the_server_has_recovered_is_not_settled() {
    let (mut script, channel) = script();
    let consumer = script.consume(channel, 1, "c", false);
    for delivery_tag in 1..=2 {
        script.deliver(1, "c", delivery_tag, b"x");
    }
    let recover = basic::Recover { requeue: true };
    let call = script.core.call(channel, &recover, script.now()).unwrap();
    // This one crosses the request: it goes back too.
    script.deliver(1, "c", 3, b"x");
    assert_eq!(script.delivered(consumer), [1, 2, 3]);
    ack(&mut script, channel, 1, false);
    ack(&mut script, channel, 3, true);
    script.method(1, basic::RecoverOk {});
    assert!(matches!(script.answer(call), Ok(ToClient::BasicRecoverOk(_))));
    ack(&mut script, channel, 2, false);
    ack(&mut script, channel, 3, false);
    script.deliver(1, "c", 4, b"x");
    ack(&mut script, channel, 4, false);
    assert_eq!(script.sent(), [sent(1, recover), acked(4, false)]);
}

#[test]
fn recovering_survives_its_call_and_a_rollback() {
    let (mut script, channel) = transaction();
    script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    let recover = basic::Recover { requeue: true };
    let call = script.core.call(channel, &recover, script.now()).unwrap();
    script.core.abandon_call(channel, call, true);
    script.method(1, basic::RecoverOk {});
    script.core.call(channel, &tx::Rollback {}, script.now()).unwrap();
    script.sent();
    ack(&mut script, channel, 1, false);
    assert_eq!(script.sent(), []);
}

#[test]
fn recover_async_gives_back_what_has_come() {
    let (mut script, channel) = script();
    script.consume(channel, 1, "c", false);
    script.deliver(1, "c", 1, b"x");
    let recover = basic::RecoverAsync { requeue: true };
    script.core.send(channel, &recover).unwrap();
    ack(&mut script, channel, 1, false);
    script.deliver(1, "c", 2, b"x");
    ack(&mut script, channel, 2, false);
    assert_eq!(script.sent(), [sent(1, recover), acked(2, false)]);
}

#[test]
fn flow_is_answered() {
    let (mut script, channel) = script();
    let flow = channel::Flow { active: true };
    let call = script.core.call(channel, &flow, script.now()).unwrap();
    assert_eq!(script.sent(), [sent(1, flow)]);
    script.method(1, channel::FlowOk { active: true });
    assert!(matches!(
        script.answer(call),
        Ok(ToClient::ChannelFlowOk(channel::FlowOk { active: true }))
    ));
}

#[test]
fn a_commit_that_nobody_asked_for_ends_the_connection() {
    let (mut script, channel) = transaction();
    script.core.call(channel, &queue::Purge::default(), script.now()).unwrap();
    script.method(1, tx::CommitOk {});
    assert_eq!(script.gave_up_with(), ReplyCode::COMMAND_INVALID);
}
