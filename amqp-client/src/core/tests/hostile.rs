//! A hostile server: whatever it says, nothing panics, every wait ends, and what we say stays well
//! formed.

use proptest::prelude::*;

use super::*;
use crate::error::CloseReason;

/// Fills bodies: corrupted, it is only another body.
const FILLER: u8 = 0xAA;

/// What the server says, step by step; the client does something before each.
fn session() -> Vec<Vec<u8>> {
    let mut handshake = method_frame(0, &start("PLAIN AMQPLAIN"));
    let tune = connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    handshake.extend(method_frame(0, &tune));
    handshake.extend(method_frame(0, &connection::OpenOk {}));

    let mut opened = method_frame(1, &channel::OpenOk {});
    opened.extend(method_frame(2, &channel::OpenOk {}));

    let mut busy = method_frame(1, &basic::ConsumeOk { consumer_tag: short("c") });
    busy.extend(method_frame(1, &delivery("c", 1)));
    busy.extend(header_frame(1, 5000, &[0x80, 0, 1, b't']));
    busy.extend(body_frame(1, &[FILLER; 20]));
    busy.extend([8, 0, 0, 0, 0, 0, 0, 0xCE]);
    busy.extend(body_frame(1, &[FILLER; 4980]));
    busy.extend(content_frames(1, &delivery("c", 2), b"", 4096));
    busy.extend(content_frames(2, &basic::GetOk::default(), &[FILLER; 3], 4096));
    busy.extend(method_frame(2, &basic::QosOk {}));
    busy.extend(method_frame(0, &connection::Blocked { reason: short("low") }));
    busy.extend(method_frame(1, &channel::Flow { active: false }));
    busy.extend(method_frame(1, &channel::Flow { active: true }));
    busy.extend(method_frame(0, &connection::Unblocked {}));
    let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
    let (exchange, routing_key) = (ShortStr::empty(), short("q"));
    let returned = basic::Return { reply_code, reply_text, exchange, routing_key };
    busy.extend(content_frames(2, &returned, b"x", 4096));
    busy.extend(method_frame(2, &basic::Ack { delivery_tag: 1, multiple: true }));
    busy.extend(method_frame(2, &basic::Nack { delivery_tag: 2, ..Default::default() }));
    busy.extend(method_frame(1, &basic::Cancel { consumer_tag: short("c"), no_wait: false }));
    busy.extend(method_frame(1, &channel_close(ReplyCode::NOT_FOUND)));

    let closing = method_frame(2, &channel::CloseOk {});
    let closed = method_frame(0, &connection_close(ReplyCode::CONNECTION_FORCED));
    vec![handshake, opened, busy, closing, closed]
}

/// What the client waits for in a session.
#[derive(Default)]
struct Waiting {
    channels: Vec<(ChannelKey, CallId)>,
    calls: Vec<CallId>,
    consumers: Vec<ConsumerKey>,
    confirms: Vec<(ChannelKey, ConfirmKey)>,
}

impl Waiting {
    /// Does what the client does before the server's step `step`, as far as it can.
    fn act(&mut self, script: &mut Script, step: usize) {
        let now = script.now();
        match step {
            1 => {
                for _ in 0..2 {
                    if let Ok((channel, _, call)) = script.core.open_channel(now) {
                        self.channels.push((channel, call));
                    }
                }
            }
            2 => {
                let [(first, _), (second, _)] = self.channels[..] else { return };
                if let Ok((consumer, call)) = script.core.consume(first, &consume("c", false), now)
                {
                    self.consumers.push(consumer);
                    self.calls.push(call);
                }
                self.calls.extend(script.core.get(second, &basic::Get::default(), now));
                self.calls.extend(script.core.call(second, &basic::Qos::default(), now));
                for channel in [second, second, second, first] {
                    let mut message = message("q", b"x");
                    message.method.mandatory = true;
                    if let Ok(Some(Some(place))) = script.core.publish(channel, &message) {
                        self.confirms.push((channel, place));
                    }
                }
            }
            3 => {
                let [_, (second, _)] = self.channels[..] else { return };
                let code = ReplyCode::REPLY_SUCCESS;
                let call = script.core.close_channel(second, CloseReason::ByUser, code, now);
                self.calls.extend(call);
            }
            _ => {}
        }
    }

    /// Checks that no wait is left after the connection's end.
    fn assert_all_ended(self, script: &mut Script) {
        let opening = self.channels.iter().map(|&(_, call)| call);
        for call in opening.chain(self.calls) {
            assert!(script.poll_call(call).is_ready());
        }
        for (channel, place) in self.confirms {
            assert!(script.outcome(channel, place).is_some());
        }
        for consumer in self.consumers {
            while let Poll::Ready(Ok(_)) = script.deliveries(consumer) {}
            assert!(matches!(script.deliveries(consumer), Poll::Ready(Err(_))));
        }
        let cx = &Context::from_waker(Waker::noop());
        assert!(script.core.poll_closed(&mut None, cx).is_ready());
        assert_eq!(script.core.next_deadline(script.now()), None);
        assert!(script.core.is_closed(false));
    }
}

/// Plays a session whose server is suddenly gone in the end. Whether all of it was as it should be.
fn play(steps: &[Vec<u8>]) -> bool {
    let mut script = Script::begin(ConnectOptions::default());
    let mut waiting = Waiting::default();
    for (step, octets) in steps.iter().enumerate() {
        waiting.act(&mut script, step);
        script.feed(octets);
        script.take();
    }
    let error = script.core.check_open().err();
    let opened = matches!(script.opened(), Poll::Ready(Ok(())));
    script.core.lose(CloseReason::Eof);
    script.sent();
    waiting.assert_all_ended(&mut script);
    opened && error.and_then(|error| error.reply_code()) == Some(ReplyCode::CONNECTION_FORCED)
}

#[test]
fn the_session_itself_is_well_formed() {
    assert!(play(&session()));
}

#[test]
fn every_octet_of_a_session_may_be_wrong() {
    let session = session();
    for step in 0..session.len() {
        for place in 0..session[step].len() {
            if session[step][place] == FILLER {
                continue;
            }
            for change in [0x01, 0x80, 0xFF] {
                let mut session = session.clone();
                session[step][place] ^= change;
                play(&session);
            }
        }
    }
}

#[test]
fn a_session_may_end_at_every_octet() {
    let session = session();
    for step in 0..session.len() {
        for end in 0..session[step].len() {
            if session[step][end] == FILLER {
                continue;
            }
            let mut session = session[..=step].to_vec();
            session[step].truncate(end);
            assert!(!play(&session));
        }
    }
}

#[test]
fn every_octet_of_a_session_may_be_missing_or_twice() {
    let session = session();
    for step in 0..session.len() {
        for place in 0..session[step].len() {
            if session[step][place] == FILLER {
                continue;
            }
            let mut missing = session.clone();
            missing[step].remove(place);
            play(&missing);
            let mut twice = session.clone();
            let octet = twice[step][place];
            twice[step].insert(place, octet);
            play(&twice);
        }
    }
}

#[test]
fn a_table_nested_without_end_harms_only_its_message() {
    let mut script = Script::open();
    let channel = script.channel();
    let consumer = script.consume(channel, 1, "c", false);
    let mut table = Vec::new();
    for _ in 0..2000 {
        let length = (table.len() as u32).to_be_bytes();
        table = [&[1, b'k', b'F'][..], &length, &table].concat();
    }
    let mut properties = vec![0x20, 0];
    properties.extend((table.len() as u32).to_be_bytes());
    properties.extend(&table);
    let mut octets = method_frame(1, &delivery("c", 1));
    octets.extend(header_frame(1, 0, &properties));
    script.feed(&octets);
    script.deliver(1, "c", 2, b"x");
    let Poll::Ready(Ok(batch)) = script.deliveries(consumer) else { panic!("they have come") };
    assert_eq!(batch.len(), 2);
    assert!(batch[0].content.properties.decode::<basic::Properties>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_octets_may_come_in_place_of_any_step(
        step in 0..5usize,
        octets in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut session = session();
        session[step] = octets;
        play(&session);
    }

    #[test]
    fn any_payload_may_come_in_a_frame(
        step in 1..5usize,
        frames in prop::collection::vec(
            (
                prop_oneof![Just(1u8), Just(1), Just(2), Just(3), Just(8)],
                0..4u8,
                prop_oneof![Just(10u8), Just(20), Just(50), Just(60)],
                0..130u8,
                prop::collection::vec(any::<u8>(), 0..40),
            ),
            0..6,
        ),
    ) {
        let mut session = session();
        for (kind, channel, class, method, payload) in frames {
            let mut frame = vec![kind, 0, channel, 0, 0, 0];
            let ids = [0, class, 0, method];
            let ids = if kind == 1 { &ids[..] } else { &[] };
            frame.push((ids.len() + payload.len()) as u8);
            frame.extend(ids);
            frame.extend(payload);
            frame.push(0xCE);
            session[step].splice(0..0, frame);
        }
        play(&session);
    }
}
