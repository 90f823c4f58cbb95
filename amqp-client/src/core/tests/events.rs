//! The stream of what happens to the connection: where it begins, what is told, how it is bounded and
//! ends.

use super::*;
use crate::core::EventReader;
use crate::error::CloseReason;
use crate::events::ConnectionEvent;

fn read(script: &mut Script, reader: &mut EventReader) -> Poll<Option<String>> {
    let event = script.core.poll_event(reader, &Context::from_waker(Waker::noop()));
    event.map(|event| {
        event.map(|event| match event {
            ConnectionEvent::Connected => "connected".to_owned(),
            ConnectionEvent::Blocked { reason } => format!("blocked {}", reason.printable()),
            ConnectionEvent::Unblocked => "unblocked".to_owned(),
            ConnectionEvent::Missed { count } => format!("missed {count}"),
            ConnectionEvent::Closed { reason } => format!("closed: {reason}"),
            other => panic!("unexpected {other:?}"),
        })
    })
}

/// All that there is to read.
fn all(script: &mut Script, reader: &mut EventReader) -> Vec<String> {
    let mut events = Vec::new();
    while let Poll::Ready(Some(event)) = read(script, reader) {
        events.push(event);
    }
    events
}

fn block(script: &mut Script, reason: &str) {
    script.method(0, connection::Blocked { reason: short(reason) });
}

fn unblock(script: &mut Script) {
    script.method(0, connection::Unblocked {});
}

#[test]
fn readers_begin_with_the_present_state_and_are_independent() {
    let mut script = Script::open();
    let mut first = script.core.follow();
    block(&mut script, "memory");
    let mut second = script.core.follow();
    assert_eq!(all(&mut script, &mut second), ["connected", "blocked memory"]);
    // The same again is no news.
    block(&mut script, "memory");
    block(&mut script, "disk");
    unblock(&mut script);
    unblock(&mut script);
    let news = ["blocked disk", "unblocked"];
    assert_eq!(all(&mut script, &mut second), news);
    assert_eq!(all(&mut script, &mut first), ["connected", "blocked memory", news[0], news[1]]);
}

#[test]
fn a_reader_is_woken_and_ends_behind_closed() {
    let mut script = Script::open();
    let mut reader = script.core.follow();
    assert_eq!(all(&mut script, &mut reader), ["connected"]);
    let (alarm, waker) = Alarm::new();
    assert!(script.core.poll_event(&mut reader, &Context::from_waker(&waker)).is_pending());
    script.core.lose(CloseReason::Eof);
    script.wake();
    assert!(alarm.0.load(Ordering::Relaxed), "nobody was woken");
    let closed = "closed: the server closed the socket without a word";
    assert_eq!(all(&mut script, &mut reader), [closed]);
    assert_eq!(read(&mut script, &mut reader), Poll::Ready(None));
    assert_eq!(read(&mut script, &mut reader), Poll::Ready(None));
    // One that comes too late.
    let mut late = script.core.follow();
    assert_eq!(all(&mut script, &mut late), ["connected", closed]);
    assert_eq!(read(&mut script, &mut late), Poll::Ready(None));
}

#[test]
fn closing_is_told_once_and_when_it_is_over() {
    let mut script = Script::open();
    let mut reader = script.core.follow();
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    assert_eq!(all(&mut script, &mut reader), ["connected"]);
    script.method(0, connection::CloseOk {});
    script.core.finish_close();
    script.core.lose(CloseReason::RuntimeGone);
    assert_eq!(all(&mut script, &mut reader), ["closed: closed by this program"]);
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed() {
    let mut script = Script::open();
    let mut slow = script.core.follow();
    for _ in 0..500 {
        block(&mut script, "memory");
        unblock(&mut script);
    }
    script.core.lose(CloseReason::Eof);
    let events = all(&mut script, &mut slow);
    assert_eq!(events[..3], ["connected", "missed 937", "unblocked"]);
    assert_eq!(events.len(), 2 + 64);
    assert!(events[65].starts_with("closed"));
}

#[test]
fn nothing_is_kept_without_readers() {
    let mut script = Script::open();
    let mut gone = script.core.follow();
    assert!(script.core.poll_event(&mut gone, &Context::from_waker(Waker::noop())).is_ready());
    block(&mut script, "memory");
    script.core.unfollow(&mut gone);
    unblock(&mut script);
    let mut reader = script.core.follow();
    assert_eq!(all(&mut script, &mut reader), ["connected"]);
    block(&mut script, "disk");
    assert_eq!(all(&mut script, &mut reader), ["blocked disk"]);
}
