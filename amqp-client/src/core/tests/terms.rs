//! Messages that may take only so long: to be published, and to be confirmed.

use super::*;

fn script() -> (Script, ChannelKey) {
    let mut script = Script::open();
    let channel = script.channel();
    (script, channel)
}

fn blocked(script: &mut Script, blocked: bool) {
    match blocked {
        true => script.method(0, connection::Blocked { reason: short("low on memory") }),
        false => script.method(0, connection::Unblocked {}),
    }
}

/// A publish of a message that may wait so long.
struct Waiting {
    channel: ChannelKey,
    wait: PublishWait,
    terms: Terms,
    alarm: Arc<Alarm>,
    waker: Waker,
}

impl Waiting {
    fn new(channel: ChannelKey, publish: Option<Duration>, confirm: Option<Duration>) -> Self {
        let (alarm, waker) = Alarm::new();
        let terms = Terms { publish, confirm };
        Self { channel, wait: PublishWait::default(), terms, alarm, waker }
    }

    fn poll(&mut self, script: &mut Script) -> Poll<Result<Published, Error>> {
        let now = Some(script.now());
        let cx = &Context::from_waker(&self.waker);
        let message = message("q", b"waited");
        let terms = (self.terms, now);
        script.core.poll_publish_by(self.channel, &message, terms, &mut self.wait, cx)
    }
}

#[test]
fn a_publish_that_waits_too_long_fails_and_nothing_is_sent() {
    let (mut script, channel) = script();
    blocked(&mut script, true);
    let mut waiting = Waiting::new(channel, Some(5 * SECOND), None);
    script.core.attention = false;
    assert!(waiting.poll(&mut script).is_pending());
    assert!(script.core.attention, "the shell must look at the deadline");
    assert_eq!(script.core.next_deadline(script.now()), Some(script.now() + 5 * SECOND));
    script.advance(4 * SECOND);
    assert!(!waiting.alarm.rang() && waiting.poll(&mut script).is_pending());
    script.advance(SECOND);
    assert!(waiting.alarm.rang());
    match waiting.poll(&mut script) {
        Poll::Ready(Err(Error::PublishTimeout { after })) => assert_eq!(after, 5 * SECOND),
        other => panic!("{other:?}"),
    }
    script.core.forget_publish(&mut waiting.wait);
    blocked(&mut script, false);
    assert_eq!(script.sent(), []);
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn a_publish_in_time_leaves_no_deadline_behind() {
    for drop in [false, true] {
        let (mut script, channel) = script();
        blocked(&mut script, true);
        let mut waiting = Waiting::new(channel, Some(5 * SECOND), None);
        assert!(waiting.poll(&mut script).is_pending());
        if drop {
            script.core.forget_publish(&mut waiting.wait);
            blocked(&mut script, false);
            assert!(!waiting.alarm.rang());
        } else {
            blocked(&mut script, false);
            assert!(waiting.alarm.rang());
            assert!(matches!(waiting.poll(&mut script), Poll::Ready(Ok(_))));
            script.ack(1, 1, false);
        }
        assert_eq!(script.core.next_deadline(script.now()), None);
    }
}

#[test]
fn a_publish_without_terms_waits_on() {
    let (mut script, channel) = script();
    blocked(&mut script, true);
    let mut waiting = Waiting::new(channel, None, None);
    assert!(waiting.poll(&mut script).is_pending());
    script.advance(100_000 * SECOND);
    assert!(waiting.poll(&mut script).is_pending());
}

fn place(published: Poll<Result<Published, Error>>) -> ConfirmKey {
    match published {
        Poll::Ready(Ok(Published::Confirm(place))) => place,
        other => panic!("{other:?} instead of a place"),
    }
}

#[test]
fn each_confirm_may_have_a_deadline_of_its_own() {
    let (mut script, channel) = script();
    let long = place(Waiting::new(channel, None, Some(100 * SECOND)).poll(&mut script));
    let usual = script.publish(channel, "q", b"x");
    let short = place(Waiting::new(channel, None, Some(SECOND)).poll(&mut script));
    let places = [long, usual, short];
    script.advance(SECOND);
    assert_eq!(script.outcomes(channel, &places), "--U");
    script.advance(29 * SECOND);
    assert_eq!(script.outcomes(channel, &places[..2]), "-U");
    script.advance(69 * SECOND);
    let later = script.publish(channel, "q", b"x");
    assert_eq!(script.outcomes(channel, &places[..1]), "-");
    // Confirms that come too late say nothing, and those in time still count.
    script.ack(1, 3, true);
    assert_eq!(script.outcomes(channel, &[places[0], later]), "C-");
    script.ack(1, 4, false);
    assert_eq!(script.outcomes(channel, &[later]), "C");
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn an_overdue_confirm_says_how_long_it_was_given() {
    let (mut script, channel) = script();
    let place = place(Waiting::new(channel, None, Some(2 * SECOND)).poll(&mut script));
    script.advance(2 * SECOND);
    match script.outcome(channel, place) {
        Some(Outcome::Unknown(Error::Timeout { after, .. })) => assert_eq!(after, 2 * SECOND),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_confirms_own_deadline_stands_still_while_the_server_blocks() {
    let (mut script, channel) = script();
    let places = [1, 2].map(|seconds| {
        place(Waiting::new(channel, None, Some(seconds * SECOND)).poll(&mut script))
    });
    script.advance(SECOND / 2);
    blocked(&mut script, true);
    script.advance(100 * SECOND);
    assert_eq!(script.outcomes(channel, &places), "--");
    blocked(&mut script, false);
    assert_eq!(script.core.next_deadline(script.now()), Some(script.now() + SECOND / 2));
    script.advance(SECOND / 2);
    assert_eq!(script.outcomes(channel, &places), "U-");
    script.advance(SECOND);
    assert_eq!(script.outcomes(channel, &places[1..]), "U");
}

#[test]
fn an_own_deadline_ends_with_the_channel() {
    let (mut script, channel) = script();
    let place = place(Waiting::new(channel, None, Some(SECOND)).poll(&mut script));
    script.method(1, channel_close(ReplyCode::NOT_FOUND));
    assert_eq!(script.outcomes(channel, &[place]), "U");
    script.sent();
    assert_eq!(script.core.next_deadline(script.now()), None);
}

#[test]
fn the_longest_time_is_none_at_all() {
    let (mut script, channel) = script();
    let for_ever = Some(Duration::MAX);
    blocked(&mut script, true);
    let mut waiting = Waiting::new(channel, for_ever, for_ever);
    assert!(waiting.poll(&mut script).is_pending());
    script.advance(1_000_000 * SECOND);
    blocked(&mut script, false);
    assert!(matches!(waiting.poll(&mut script), Poll::Ready(Ok(Published::Confirm(_)))));
    // It has no other deadline either.
    blocked(&mut script, true);
    script.advance(SECOND);
    blocked(&mut script, false);
}
