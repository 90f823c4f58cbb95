//! The handshake: logins, tuning, refusals, and peers that speak something else.

use std::io;

use amqp091::types::Value;

use super::*;
use crate::error::{CloseReason, ConnectError, ServerClose, Stage, Violation};
use crate::sasl::{Login, Mechanism, Sasl, SaslError, SaslExchange};

fn tune(channel_max: u16, frame_max: u32, heartbeat: u16) -> connection::Tune {
    connection::Tune { channel_max, frame_max, heartbeat }
}

/// A connection that waits for `stage`.
fn at(stage: Stage) -> Script {
    let mut script = Script::begin(ConnectOptions::default());
    if stage != Stage::Start {
        script.method(0, start("PLAIN"));
    }
    if stage == Stage::OpenOk {
        script.method(0, tune(0, 0, 0));
    }
    script.sent();
    script
}

const STAGES: [Stage; 3] = [Stage::Start, Stage::Tune, Stage::OpenOk];

/// The error with which connecting failed; the socket is closed as soon as the rest is written.
fn failed(script: &mut Script) -> ConnectError {
    let opened = script.opened();
    script.take();
    assert!(script.core.is_closed(true), "the socket is left open");
    match opened {
        Poll::Ready(Err(error)) => error,
        other => panic!("{other:?} instead of an error"),
    }
}

fn start_ok(script: &mut Script) -> connection::StartOk {
    match script.sent().pop() {
        Some(Sent::Method(0, ToServer::ConnectionStartOk(start_ok))) => start_ok,
        other => panic!("{other:?} instead of connection.start-ok"),
    }
}

#[test]
fn the_whole_exchange_in_its_order() {
    let options = ConnectOptions::default().virtual_host("orders").credentials("me", "secret");
    let mut script = Script::begin(options);
    assert_eq!(script.sent(), [Sent::ProtocolHeader]);
    assert!(script.opened().is_pending());
    script.method(0, start("AMQPLAIN PLAIN"));
    let start_ok = start_ok(&mut script);
    assert_eq!(start_ok.mechanism, short("PLAIN"));
    assert_eq!(start_ok.response, LongStr::from("\0me\0secret"));
    assert_eq!(start_ok.locale, short("en_US"));
    assert!(script.opened().is_pending());
    script.method(0, tune(2047, 131_072, 60));
    let tune_ok = connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    let open = connection::Open { virtual_host: short("orders") };
    assert_eq!(script.sent(), [sent(0, tune_ok), sent(0, open)]);
    assert!(script.opened().is_pending());
    script.method(0, connection::OpenOk {});
    assert!(matches!(script.opened(), Poll::Ready(Ok(()))));
    assert_eq!(script.sent(), []);
    assert!(script.core.check_open().is_ok());
}

#[test]
fn whoever_waits_to_connect_is_woken_by_success_and_by_failure() {
    for success in [true, false] {
        let mut script = at(Stage::OpenOk);
        let (alarm, waker) = Alarm::new();
        assert!(script.core.poll_open(&Context::from_waker(&waker)).is_pending());
        script.feed(&[8, 0, 0, 0, 0, 0, 0, 0xCE]);
        assert!(!alarm.rang());
        if success {
            script.method(0, connection::OpenOk {});
        } else {
            script.core.lose(CloseReason::Eof);
            script.wake();
        }
        assert!(alarm.rang());
    }
}

#[test]
fn capabilities_and_names_are_announced() {
    let options = ConnectOptions::default()
        .connection_name("billing")
        .client_property(short("platform"), "Mars")
        .client_property(short("own"), true);
    let mut script = Script::begin(options);
    script.method(0, start("PLAIN"));
    let properties = start_ok(&mut script).client_properties;
    let capabilities = properties.get("capabilities").and_then(Value::as_table).unwrap();
    for capability in [
        "authentication_failure_close",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "exchange_exchange_bindings",
        "publisher_confirms",
    ] {
        assert_eq!(capabilities.get(capability), Some(&Value::Bool(true)), "{capability}");
    }
    let text = |key: &str| properties.get(key).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(text("connection_name").as_deref(), Some("billing"));
    assert_eq!(text("platform").as_deref(), Some("Mars"));
    assert!(text("product").is_some() && text("version").is_some());
    assert_eq!(properties.get("own"), Some(&Value::Bool(true)));
}

#[test]
fn the_mechanism_is_the_first_wanted_one_that_is_offered() {
    use Mechanism::{AmqPlain, Plain};
    let both = vec![AmqPlain, Plain];
    for (wanted, offered, chosen) in [
        (vec![Plain, AmqPlain], "AMQPLAIN PLAIN", "PLAIN"),
        (both.clone(), "PLAIN AMQPLAIN EXTERNAL", "AMQPLAIN"),
        (both.clone(), "EXTERNAL PLAIN", "PLAIN"),
        (vec![Plain], "AMQPLAIN PLAIN", "PLAIN"),
        (both, "  PLAIN  ", "PLAIN"),
    ] {
        let mut script = Script::begin(ConnectOptions::default().mechanisms(wanted));
        script.method(0, start(offered));
        let start_ok = start_ok(&mut script);
        assert_eq!(start_ok.mechanism, short(chosen));
        let response = start_ok.response.as_bytes();
        match chosen {
            "PLAIN" => assert_eq!(response, b"\0guest\0guest"),
            _ => assert_eq!(
                response,
                b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest".as_slice()
            ),
        }
    }
}

#[test]
fn without_a_common_mechanism_both_lists_are_told() {
    for offered in ["EXTERNAL RABBIT-CR-DEMO", "", "plain", "PLAINER"] {
        let mut script = Script::begin(ConnectOptions::default());
        script.sent();
        script.method(0, start(offered));
        let error = failed(&mut script);
        assert!(matches!(&error, ConnectError::Mechanism { offered: told, wanted }
            if told == offered && wanted == "PLAIN AMQPLAIN"));
        assert_eq!(script.sent(), [], "no password is sent");
    }
}

#[test]
fn a_challenge_is_refused() {
    let mut script = at(Stage::Tune);
    script.method(0, connection::Secure { challenge: LongStr::from("what?") });
    assert!(
        matches!(failed(&mut script), ConnectError::Challenge { mechanism } if mechanism == "PLAIN")
    );
}

/// Asks for a number twice as large, each time.
#[derive(Debug)]
struct Doubling;

impl Sasl for Doubling {
    fn name(&self) -> &str {
        "DOUBLING"
    }

    fn begin(&self, login: &Login<'_>) -> Box<dyn SaslExchange> {
        let mut next = login.password.len();
        Box::new(move |challenge: Option<&[u8]>| -> Result<Vec<u8>, SaslError> {
            if let Some(challenge) = challenge {
                next *= 2;
                let asked: usize = std::str::from_utf8(challenge)?.parse()?;
                if asked != next {
                    return Err(format!("asked for {asked} instead of {next}").into());
                }
            }
            Ok(next.to_string().into_bytes())
        })
    }
}

#[test]
fn a_mechanism_of_the_programs_own_answers_challenges() {
    let options = ConnectOptions::default().mechanisms([Mechanism::custom(Doubling)]);
    let secure = |text: &str| connection::Secure { challenge: LongStr::from(text) };
    for broken in [None, Some("11"), Some("ten")] {
        let mut script = Script::begin(options.clone());
        script.method(0, start("PLAIN DOUBLING"));
        let start_ok = start_ok(&mut script);
        assert_eq!(start_ok.mechanism, short("DOUBLING"));
        assert_eq!(start_ok.response, LongStr::from("5"));
        if let Some(challenge) = broken {
            script.method(0, secure(challenge));
            let error = failed(&mut script);
            assert!(
                matches!(&error, ConnectError::Sasl { mechanism, .. } if mechanism == "DOUBLING"),
                "{error:?}"
            );
            assert_eq!(script.sent(), []);
            continue;
        }
        for number in ["10", "20"] {
            script.method(0, secure(number));
            let response = LongStr::from(number);
            assert_eq!(script.sent(), [sent(0, connection::SecureOk { response })]);
        }
        script.method(0, tune(0, 0, 0));
        script.sent();
        // The login is over: another challenge has no place.
        script.method(0, secure("40"));
        let error = failed(&mut script);
        assert!(matches!(error, ConnectError::Violation { .. }), "{error:?}");
    }
}

#[test]
fn logins_without_user_and_password_send_neither() {
    for (mechanism, response) in [
        (Mechanism::External, ""),
        (Mechanism::Anonymous, ""),
        (Mechanism::raw("TOKEN", "abc"), "abc"),
    ] {
        let name = mechanism.name().to_owned();
        let options =
            ConnectOptions::default().credentials("nobody", "s3cret").mechanisms([mechanism]);
        let mut script = Script::begin(options);
        script.method(0, start("PLAIN ANONYMOUS EXTERNAL TOKEN"));
        let start_ok = start_ok(&mut script);
        assert_eq!(start_ok.mechanism, short(&name));
        assert_eq!(start_ok.response, LongStr::from(response));
        // None of these has challenges.
        script.method(0, connection::Secure { challenge: LongStr::from("?") });
        let error = failed(&mut script);
        match name.as_str() {
            "TOKEN" => assert!(matches!(error, ConnectError::Sasl { .. }), "{error:?}"),
            _ => assert!(matches!(error, ConnectError::Challenge { .. }), "{error:?}"),
        }
    }
}

#[test]
fn tuning_takes_the_lower_limits_and_zero_for_none() {
    let defaults = ConnectOptions::default;
    for (options, offer, answer) in [
        (defaults(), (0, 0, 0), (2047, 131_072, 0)),
        (defaults(), (100, 4096, 1), (100, 4096, 1)),
        (defaults(), (65535, u32::MAX, 65535), (2047, 131_072, 60)),
        (defaults().channel_max(0).frame_max(0), (0, 0, 60), (65535, 0, 60)),
        (defaults().heartbeat(Duration::ZERO), (2047, 131_072, 60), (2047, 131_072, 0)),
    ] {
        let mut script = Script::begin(options);
        script.method(0, start("PLAIN"));
        script.sent();
        script.method(0, tune(offer.0, offer.1, offer.2));
        let (channel_max, frame_max, heartbeat) = answer;
        let tune_ok = connection::TuneOk { channel_max, frame_max, heartbeat };
        assert_eq!(script.sent()[0], sent(0, tune_ok));
    }
}

#[test]
fn a_frame_max_below_the_specifications_least_is_refused() {
    for frame_max in [1, 8, 4095] {
        let mut script = at(Stage::Tune);
        script.method(0, tune(2047, frame_max, 60));
        assert!(
            matches!(failed(&mut script), ConnectError::FrameMax { frame_max: told } if told == frame_max)
        );
        assert_eq!(script.sent(), []);
    }
}

#[test]
fn a_server_of_another_version_is_named() {
    for (octets, version) in
        [(*b"AMQP\x00\x01\x00\x00", "0-1-0-0"), (*b"AMQP\x03\x01\x00\x00", "3-1-0-0")]
    {
        for step in [1, 3, usize::MAX] {
            let mut script = at(Stage::Start);
            script.step = step;
            script.feed(&octets[..7]);
            assert!(script.opened().is_pending());
            script.feed(&octets[7..]);
            let error = failed(&mut script);
            assert!(
                matches!(&error, ConnectError::Version { server } if server.to_bytes() == octets)
            );
            assert!(error.to_string().contains(version), "{error}");
        }
    }
    let mut script = at(Stage::Start);
    script.method(0, connection::Start { version_major: 8, version_minor: 0, ..start("PLAIN") });
    assert!(matches!(failed(&mut script), ConnectError::Version { server } if server.major == 8));
}

#[test]
fn a_tls_port_is_told_apart() {
    let alert = [0x15, 3, 1, 0, 2, 2, 10];
    let hello = [0x16, 3, 3, 0, 100];
    for octets in [&alert[..], &hello] {
        for step in [1, usize::MAX] {
            let mut script = at(Stage::Start);
            script.step = step;
            script.feed(octets);
            assert!(matches!(failed(&mut script), ConnectError::TlsPort));
        }
    }
}

#[test]
fn a_peer_that_speaks_something_else_is_shown() {
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let ssh = b"SSH-2.0-OpenSSH_9.2\r\n";
    for octets in [&http[..], ssh, b"\x15garbage", b"AMQX", b"\0", &[0xFF; 100], b"\x02\0\0"] {
        for step in [1, 2, usize::MAX] {
            let mut script = at(Stage::Start);
            script.step = step;
            script.feed(octets);
            let error = failed(&mut script);
            let ConnectError::NotAmqp { found } = error else { panic!("{error:?}") };
            assert!(octets.starts_with(&found) && (1..=16).contains(&found.len()));
            assert_eq!(script.sent(), []);
        }
    }
    // It begins as a method frame does, but isn't one.
    let mut script = at(Stage::Start);
    script.feed(&[1, 0, 0, 0, 0, 0, 1, b'x', b'y']);
    assert!(matches!(failed(&mut script), ConnectError::NotAmqp { .. }));
}

#[test]
fn frames_that_have_no_place_in_the_handshake_are_named() {
    for stage in STAGES {
        for octets in [
            method_frame(0, &connection::CloseOk {}),
            method_frame(0, &connection::Blocked::default()),
            method_frame(0, &channel::OpenOk {}),
            method_frame(1, &channel::OpenOk {}),
            [1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 99, 0xCE].to_vec(),
            [1, 0, 0, 0, 0xFF, 0, 0].to_vec(),
        ] {
            let mut script = at(stage);
            script.feed(&octets);
            let error = failed(&mut script);
            assert!(
                matches!(&error, ConnectError::Violation { stage: told, .. } if *told == stage),
                "{error:?}"
            );
        }
        let mut script = at(stage);
        script.method(0, connection::OpenOk {});
        match stage {
            Stage::OpenOk => assert!(matches!(script.opened(), Poll::Ready(Ok(())))),
            _ => assert!(matches!(
                failed(&mut script),
                ConnectError::Violation { violation: Violation::Unexpected { channel: 0, .. }, .. }
            )),
        }
    }
}

#[test]
fn a_refused_login_or_virtual_host_is_told_in_the_servers_words() {
    for (stage, code, words) in [
        (Stage::Tune, ReplyCode::ACCESS_REFUSED, "login"),
        (Stage::OpenOk, ReplyCode::NOT_ALLOWED, "virtual host"),
        (Stage::Start, ReplyCode::CONNECTION_FORCED, "connection"),
    ] {
        let mut script = at(stage);
        script.method(0, connection_close(code));
        assert!(!script.core.is_closed(true), "the answer is still to be written");
        assert_eq!(script.sent(), [sent(0, connection::CloseOk {})]);
        let error = failed(&mut script);
        let ConnectError::Refused { stage: told, close: ServerClose { code: why, text, .. } } =
            &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((*told, *why, text), (stage, code, &short("so")));
        assert!(error.to_string().contains(words));
        // The socket's end that follows says nothing new.
        script.core.lose(CloseReason::Eof);
        assert!(script.opened().is_pending());
    }
}

#[test]
fn a_socket_that_ends_names_the_stage() {
    for stage in STAGES {
        let mut script = at(stage);
        script.core.lose(CloseReason::Eof);
        assert!(matches!(failed(&mut script), ConnectError::Eof { stage: told } if told == stage));
        let mut script = at(stage);
        script.feed(&method_frame(0, &connection::OpenOk {})[..5]);
        script.core.lose(CloseReason::Io(Arc::new(io::ErrorKind::ConnectionReset.into())));
        assert!(
            matches!(failed(&mut script), ConnectError::Io { stage: told, source } if told == stage
                && source.kind() == io::ErrorKind::ConnectionReset)
        );
    }
}

#[test]
fn silence_ends_at_the_deadline_and_names_the_stage() {
    for stage in STAGES {
        let mut script = at(stage);
        script.advance(30 * SECOND - Duration::from_nanos(1));
        assert!(script.opened().is_pending());
        script.advance(Duration::from_nanos(1));
        let error = failed(&mut script);
        assert!(matches!(error, ConnectError::Timeout { stage: told, after } if told == stage
            && after == 30 * SECOND));
        assert_eq!(script.core.next_deadline(script.now()), None);
    }
}

#[test]
fn a_server_that_stops_beating_in_the_handshake_is_not_said_to_have_closed() {
    let mut script = at(Stage::Tune);
    script.method(0, tune(0, 0, 1));
    script.advance(2 * SECOND);
    let error = failed(&mut script);
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::OpenOk, .. }), "{error:?}");
}

#[test]
fn heartbeats_in_the_handshake_are_taken() {
    for stage in [Stage::Tune, Stage::OpenOk] {
        let mut script = at(stage);
        script.feed(&[8, 0, 0, 0, 0, 0, 0, 0xCE]);
        assert!(script.opened().is_pending());
    }
}

#[test]
fn giving_up_before_the_end_closes_the_socket() {
    for stage in STAGES {
        let mut script = at(stage);
        let now = script.now();
        script.core.close(CloseReason::Dropped, now);
        assert!(script.core.is_closed(true));
        assert_eq!(script.sent(), []);
        script.method(0, connection::OpenOk {});
        assert_eq!(script.core.next_deadline(now), None);
    }
}

#[test]
fn input_cut_at_any_octet_gives_the_same_connection() {
    let mut session = method_frame(0, &start("PLAIN AMQPLAIN"));
    session.extend(method_frame(0, &tune(2047, 131_072, 60)));
    session.extend([8, 0, 0, 0, 0, 0, 0, 0xCE]);
    session.extend(method_frame(0, &connection::OpenOk {}));
    let play = |pieces: &[&[u8]]| {
        let mut script = Script::begin(ConnectOptions::default());
        pieces.iter().for_each(|piece| script.feed(piece));
        assert!(matches!(script.opened(), Poll::Ready(Ok(()))));
        assert!(script.input.is_empty());
        script.sent()
    };
    let whole = play(&[&session]);
    assert_eq!(whole.len(), 4);
    for cut in 0..=session.len() {
        let (front, back) = session.split_at(cut);
        assert_eq!(play(&[front, back]), whole, "cut at {cut}");
    }
    let octets: Vec<&[u8]> = session.chunks(1).collect();
    assert_eq!(play(&octets), whole);
}
