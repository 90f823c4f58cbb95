//! Credentials that expire, in virtual time: when new ones are asked for, what is sent, and what
//! becomes of failures.

use super::*;
use crate::core::EventReader;
use crate::credentials::Credentials;
use crate::error::CloseReason;
use crate::events::ConnectionEvent;

const HOUR: Duration = Duration::from_secs(3600);

/// A connection whose credentials are good for an hour, and its events.
fn script() -> (Script, EventReader) {
    let mut script = Script::open();
    let now = script.now();
    script.core.credentials_expire(Some(HOUR), now);
    let reader = script.core.follow();
    (script, reader)
}

/// What was told of credentials: `None` for new ones, or the pause until the next try.
fn told(script: &mut Script, reader: &mut EventReader) -> Vec<Option<Option<Duration>>> {
    let mut told = Vec::new();
    let cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(event)) = script.core.poll_event(reader, &cx) {
        match event {
            ConnectionEvent::CredentialsRefreshed => told.push(None),
            ConnectionEvent::CredentialsNotRefreshed { retry_in, .. } => told.push(Some(retry_in)),
            _ => {}
        }
    }
    told
}

fn answer(script: &mut Script, answer: Result<Credentials, &str>) {
    let now = script.now();
    script.core.credentials_came(answer.map_err(str::to_owned), now);
}

/// Lets time pass until the provider is asked; how long that took.
fn until_asked(script: &mut Script) -> Duration {
    let began = script.time;
    while !script.core.wants_credentials() {
        let now = script.now();
        let next = script.core.next_deadline(now).expect("a deadline");
        script.advance(next - now);
    }
    script.time - began
}

#[test]
fn new_ones_are_asked_for_and_sent_in_time_again_and_again() {
    let (mut script, mut reader) = script();
    for round in 1..=3 {
        assert_eq!(until_asked(&mut script), HOUR / 5 * 4);
        let secret = format!("token {round}");
        answer(&mut script, Ok(Credentials::new("", &*secret).valid_for(HOUR)));
        assert!(!script.core.wants_credentials());
        let [Sent::Method(0, ToServer::ConnectionUpdateSecret(update))] = &script.sent()[..] else {
            panic!("expected connection.update-secret")
        };
        assert_eq!(update.new_secret.as_bytes(), secret.as_bytes());
        assert!(told(&mut script, &mut reader).is_empty());
        script.method(0, connection::UpdateSecretOk {});
        assert_eq!(told(&mut script, &mut reader), [None]);
    }
}

#[test]
fn those_that_do_not_expire_end_it() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    answer(&mut script, Ok(Credentials::new("", "for ever")));
    script.method(0, connection::UpdateSecretOk {});
    assert_eq!(told(&mut script, &mut reader), [None]);
    let now = script.now();
    assert_eq!(script.core.next_deadline(now), None);
}

#[test]
fn failures_are_told_and_tried_again_until_they_have_expired() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    let mut tries = 0;
    loop {
        tries += 1;
        answer(&mut script, Err("the vault is sealed"));
        let event = told(&mut script, &mut reader);
        let [Some(retry_in)] = event[..] else { panic!("{event:?}") };
        let Some(pause) = retry_in else { break };
        assert!((SECOND..=60 * SECOND).contains(&pause), "{pause:?}");
        assert_eq!(until_asked(&mut script), pause);
    }
    // Until the last second, and no flood.
    assert!(script.time >= HOUR - 2 * SECOND && script.time < HOUR, "{:?}", script.time);
    assert!((12..50).contains(&tries), "{tries}");
    let now = script.now();
    assert_eq!(script.core.next_deadline(now), None);
    assert_eq!(script.sent(), []);
    // What happens then is the server's affair.
    script.core.check_open().unwrap();
}

#[test]
fn a_provider_that_hangs_is_asked_again() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    script.advance(30 * SECOND);
    assert!(!script.core.wants_credentials());
    assert!(matches!(told(&mut script, &mut reader)[..], [Some(Some(_))]));
    // Its answer comes too late.
    answer(&mut script, Ok(Credentials::new("", "late")));
    assert_eq!(script.sent(), []);
    until_asked(&mut script);
}

#[test]
fn a_server_that_does_not_answer_is_asked_again() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    answer(&mut script, Ok(Credentials::new("", "token").valid_for(HOUR)));
    assert_eq!(script.sent().len(), 1);
    script.advance(30 * SECOND);
    assert!(matches!(told(&mut script, &mut reader)[..], [Some(Some(_))]));
    until_asked(&mut script);
    answer(&mut script, Ok(Credentials::new("", "token").valid_for(HOUR)));
    // Both answers; the second is this one's.
    script.method(0, connection::UpdateSecretOk {});
    assert!(told(&mut script, &mut reader).is_empty());
    script.method(0, connection::UpdateSecretOk {});
    assert_eq!(told(&mut script, &mut reader), [None]);
}

#[test]
fn a_secret_that_fits_no_frame_is_a_failure_like_others() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    answer(&mut script, Ok(Credentials::new("", "x".repeat(200_000))));
    assert_eq!(script.sent(), []);
    assert!(matches!(told(&mut script, &mut reader)[..], [Some(Some(_))]));
}

#[test]
fn the_programs_own_update_is_not_mistaken_for_it() {
    let (mut script, mut reader) = script();
    until_asked(&mut script);
    let own = connection::UpdateSecret::default();
    let now = script.now();
    let own = script.core.update_secret(&own, now).unwrap();
    answer(&mut script, Ok(Credentials::new("", "token").valid_for(HOUR)));
    script.method(0, connection::UpdateSecretOk {});
    assert!(script.answer(own).is_ok());
    assert!(told(&mut script, &mut reader).is_empty());
    script.method(0, connection::UpdateSecretOk {});
    assert_eq!(told(&mut script, &mut reader), [None]);
}

#[test]
fn credentials_that_hardly_last_make_no_flood() {
    let mut script = Script::open();
    let now = script.now();
    script.core.credentials_expire(Some(Duration::ZERO), now);
    for _ in 0..5 {
        assert!(until_asked(&mut script) >= SECOND);
        answer(&mut script, Ok(Credentials::new("", "t").valid_for(Duration::ZERO)));
        script.method(0, connection::UpdateSecretOk {});
    }
}

#[test]
fn a_connection_that_closes_asks_for_nothing() {
    let (mut script, _reader) = script();
    until_asked(&mut script);
    let now = script.now();
    script.core.close(CloseReason::ByUser, now);
    assert!(!script.core.wants_credentials());
    answer(&mut script, Ok(Credentials::new("", "token")));
    assert_eq!(script.sent().len(), 1, "connection.close alone");
}
