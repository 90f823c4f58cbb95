//! Servers that take nothing, in virtual time: when they are given up, and when they are excused.

use super::*;
use crate::error::CloseReason;

const TICK: Duration = Duration::from_nanos(1);

/// A connection with something to write, to a server whose socket takes nothing from now on.
fn stuck(options: ConnectOptions) -> Script {
    let mut script = Script::open_with(options, (0, 0, 0));
    script.writable = false;
    note(&mut script, false);
    script
}

/// The socket takes no more; before that it has taken something, or not.
fn note(script: &mut Script, has_taken: bool) {
    let now = script.now();
    script.core.note_write(false, has_taken, || now);
}

fn blocked() -> connection::Blocked {
    connection::Blocked { reason: short("low on disk") }
}

fn reason(script: &Script) -> Arc<CloseReason> {
    match script.core.check_open() {
        Err(Error::ConnectionClosed(reason)) => reason,
        other => panic!("expected a closed connection: {other:?}"),
    }
}

#[track_caller]
fn lost_after(script: &mut Script, time: Duration) {
    script.advance(time - TICK);
    script.core.check_open().unwrap();
    script.advance(TICK);
    let reason = reason(script);
    assert!(matches!(*reason, CloseReason::WriteTimeout { .. }), "{reason}");
    assert!(script.core.is_closed(false));
}

#[test]
fn a_socket_that_takes_nothing_is_given_up() {
    let mut script = stuck(ConnectOptions::default());
    lost_after(&mut script, 60 * SECOND);
    let text = reason(&script).to_string();
    assert_eq!(text, "the server took nothing of what is to be written for 60000 ms");
}

#[test]
fn any_octet_taken_is_progress() {
    let mut script = stuck(ConnectOptions::default().write_timeout(5 * SECOND));
    for _ in 0..100 {
        script.advance(4 * SECOND);
        note(&mut script, true);
    }
    // Looking again is none.
    for _ in 0..4 {
        script.advance(SECOND);
        note(&mut script, false);
    }
    lost_after(&mut script, SECOND);
}

#[test]
fn with_nothing_to_write_no_time_passes() {
    let mut script = stuck(ConnectOptions::default());
    script.advance(59 * SECOND);
    let now = script.now();
    script.core.note_write(true, true, || now);
    assert_eq!(script.core.next_deadline(now), None);
    script.advance(1000 * SECOND);
    note(&mut script, false);
    lost_after(&mut script, 60 * SECOND);
}

#[test]
fn it_can_be_turned_off() {
    let mut script = stuck(ConnectOptions::default().write_timeout(None));
    script.advance(Duration::from_secs(30 * 86_400));
    script.core.check_open().unwrap();
}

#[test]
fn a_server_that_blocks_publishing_need_not_read() {
    let mut script = stuck(ConnectOptions::default());
    script.advance(50 * SECOND);
    script.method(0, blocked());
    script.advance(3600 * SECOND);
    script.core.check_open().unwrap();
    script.method(0, connection::Unblocked {});
    lost_after(&mut script, 60 * SECOND);
}

#[test]
fn while_we_do_not_read_we_would_not_learn_that_it_has_blocked_us() {
    let mut script = stuck(ConnectOptions::default().delivery_limit(100));
    script.writable = true;
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", true);
    script.deliver(1, "c", 1, &[1; 200]);
    note(&mut script, false);
    let now = script.now();
    assert!(!script.core.wants_read(now));
    script.advance(3600 * SECOND);
    script.core.check_open().unwrap();
    assert_eq!(script.delivered(consumer), [1]);
    let now = script.now();
    assert!(script.core.wants_read(now));
    lost_after(&mut script, 60 * SECOND);
}

#[test]
fn a_handshake_has_its_own_deadline() {
    let options = ConnectOptions::default().write_timeout(SECOND);
    let mut script = Script::begin(options);
    script.writable = false;
    note(&mut script, false);
    script.advance(29 * SECOND);
    assert!(script.opened().is_pending());
    script.advance(SECOND);
    assert!(matches!(script.opened(), Poll::Ready(Err(_))));
}

#[test]
fn a_block_may_have_a_limit() {
    let mut script = stuck(ConnectOptions::default().blocked_timeout(10 * SECOND));
    script.method(0, blocked());
    script.advance(6 * SECOND);
    // Another reason is no new beginning.
    script.method(0, connection::Blocked { reason: short("low on memory") });
    script.advance(4 * SECOND - TICK);
    script.core.check_open().unwrap();
    script.advance(TICK);
    let reason = reason(&script);
    let CloseReason::BlockedTimeout { after, reason: told } = &*reason else { panic!("{reason}") };
    assert_eq!((*after, told), (10 * SECOND, &short("low on memory")));
    assert!(script.core.is_closed(false), "nobody reads a farewell");
}

#[test]
fn blocks_that_end_in_time_are_borne() {
    let options = ConnectOptions::default().blocked_timeout(10 * SECOND);
    let mut script = Script::open_with(options, (0, 0, 0));
    for _ in 0..10 {
        script.method(0, blocked());
        script.advance(9 * SECOND);
        script.method(0, connection::Unblocked {});
        script.advance(SECOND);
    }
    script.core.check_open().unwrap();
}
