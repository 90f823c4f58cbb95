//! Heartbeats in virtual time: when they are sent, and when the server is given up.

use super::*;
use crate::error::CloseReason;

const TICK: Duration = Duration::from_nanos(1);

fn script(heartbeat: u16) -> Script {
    let options = ConnectOptions::default();
    Script::open_with(options.heartbeat(Duration::from_secs(600)), (0, 0, heartbeat))
}

/// A sign of life from the server.
fn beat(script: &mut Script) {
    script.feed(&[8, 0, 0, 0, 0, 0, 0, 0xCE]);
}

/// When heartbeats were sent; nothing else may have been.
fn beats(script: &mut Script) -> Vec<Duration> {
    let times = script.timed().into_iter().map(|(time, sent)| {
        assert_eq!(sent, Sent::Heartbeat);
        time
    });
    times.collect()
}

#[test]
fn an_idle_connection_beats_every_half_interval() {
    for seconds in [1, 2, 60, 600] {
        let mut script = script(seconds);
        let half = Duration::from_secs(seconds.into()) / 2;
        for n in 1..20 {
            script.advance(half - TICK);
            assert_eq!(beats(&mut script), [], "interval {seconds} s");
            script.advance(TICK);
            assert_eq!(beats(&mut script), [half * n], "interval {seconds} s");
            beat(&mut script);
        }
    }
}

#[test]
fn over_a_long_time_there_is_no_flood() {
    let mut script = script(1);
    for _ in 0..1000 {
        script.advance(SECOND);
        beat(&mut script);
    }
    assert_eq!(beats(&mut script).len(), 2000);
}

#[test]
fn without_heartbeats_nothing_is_sent_and_nobody_is_given_up() {
    let mut script = script(0);
    script.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(script.sent(), []);
    assert!(script.core.check_open().is_ok());
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn a_server_silent_for_two_intervals_is_given_up() {
    for seconds in [1, 60] {
        let mut script = script(seconds);
        let interval = Duration::from_secs(seconds.into());
        script.advance(interval / 3);
        beat(&mut script);
        script.advance(2 * interval - TICK);
        assert!(script.core.check_open().is_ok());
        script.advance(TICK);
        let error = script.core.check_open().unwrap_err();
        let reason = error.close_reason();
        assert!(
            matches!(reason, Some(CloseReason::HeartbeatMissed { silence }) if *silence == 2 * interval)
        );
        assert!(script.core.is_closed(false));
        assert_eq!(script.core.next_deadline(script.now()), None);
    }
}

#[test]
fn any_octets_are_a_sign_of_life_even_part_of_a_frame() {
    let mut script = script(1);
    let channel = script.channel();
    let call = script.qos(channel);
    for octet in method_frame(1, &basic::QosOk {}) {
        script.advance(SECOND);
        script.feed(&[octet]);
    }
    assert!(script.answer(call).is_ok());
}

#[test]
fn while_other_frames_are_sent_no_heartbeat_is() {
    let mut script = script(1);
    let channel = script.channel();
    for _ in 0..100 {
        script.unwatched(channel, "q", b"x");
        script.advance(Duration::from_millis(499));
        beat(&mut script);
    }
    assert!(!script.sent().contains(&Sent::Heartbeat));
    script.advance(Duration::from_millis(1));
    assert_eq!(script.sent(), [Sent::Heartbeat]);
}

#[test]
fn a_socket_that_takes_nothing_gathers_no_heartbeats() {
    let mut script = script(1);
    script.writable = false;
    for _ in 0..100 {
        script.advance(SECOND);
        beat(&mut script);
    }
    script.writable = true;
    assert_eq!(script.sent(), [Sent::Heartbeat]);
    script.writable = false;
    let channel = script.core.open_channel(script.now()).unwrap().0;
    script.advance(SECOND);
    assert!(script.core.check_channel(channel).is_ok());
    script.writable = true;
    assert_eq!(script.sent(), [sent(1, channel::Open {})], "what waits is sign of life enough");
}

#[test]
fn heartbeats_go_on_while_the_server_blocks_us_and_while_we_close() {
    let mut script = script(1);
    script.method(0, connection::Blocked { reason: short("low on memory") });
    script.advance(SECOND);
    assert_eq!(beats(&mut script).len(), 2);
    beat(&mut script);
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    assert_eq!(script.sent().len(), 1);
    script.advance(SECOND);
    beat(&mut script);
    script.advance(SECOND);
    assert_eq!(beats(&mut script).len(), 4);
    script.advance(SECOND);
    assert!(script.core.is_closed(true), "silence ends the closing too");
}

#[test]
fn a_large_body_under_way_holds_no_heartbeat_back() {
    let mut script = script(1);
    let channel = script.channel();
    script.writable = false;
    script.unwatched(channel, "q", &[1; 2_000_000]);
    // The socket takes a piece every now and then: each counts, so no heartbeat is due.
    for _ in 0..4 {
        script.advance(Duration::from_millis(400));
        beat(&mut script);
        script.take_once();
    }
    assert!(script.core.has_output());
    assert!(!script.log.iter().any(|(_, sent)| *sent == Sent::Heartbeat));
}

#[test]
fn silence_does_not_count_while_we_do_not_read() {
    let options = ConnectOptions::default().delivery_limit(100);
    let mut script = Script::open_with(options, (0, 0, 1));
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", true);
    script.deliver(1, "c", 1, &[1; 200]);
    let now = script.now();
    assert!(!script.core.wants_read(now));
    script.advance(100 * SECOND);
    assert!(script.core.check_open().is_ok());
    assert_eq!(beats(&mut script).len(), 200, "ours go on");
    assert_eq!(script.delivered(consumer), [1]);
    let now = script.now();
    assert!(script.core.wants_read(now));
    // From now on it counts again, from the beginning.
    script.advance(2 * SECOND - TICK);
    assert!(script.core.check_open().is_ok());
    script.advance(TICK);
    assert!(script.core.check_open().is_err());
}

#[test]
fn heartbeats_begin_with_tuning() {
    let mut script = Script::begin(ConnectOptions::default());
    script.advance(20 * SECOND);
    script.method(0, start("PLAIN"));
    script.method(0, connection::Tune { channel_max: 0, frame_max: 0, heartbeat: 2 });
    script.sent();
    script.advance(SECOND);
    assert_eq!(beats(&mut script), [21 * SECOND]);
}
