//! Whatever comes, there is an answer: frames and their contents, or an error that says why not.

use std::collections::HashMap;

use amqp091::bytes::{Bytes, BytesMut};
use amqp091::content::{Assembler, Content, ContentError, RawProperties};
use amqp091::frame::{FrameDecoder, FrameError, FrameKind, FrameLimits};
use amqp091::protocol::{AnyMethod, ToClient, ToServer, basic};
use amqp091::types::{MethodError, MethodId, PropertiesError, Reader};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::hex::octets;

/// What ends a connection.
#[derive(Debug, PartialEq)]
enum Fatal {
    Frame(FrameError),
    Method(MethodError),
    Content(ContentError),
}

/// What a client makes of the octets: how many methods, messages and unreadable messages, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    methods: usize,
    messages: usize,
    unreadable: Vec<PropertiesError>,
    end: Option<Fatal>,
    left: usize,
}

fn received(input: &[u8]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut buffer = BytesMut::from(input);
    let mut decoder = FrameDecoder::new(FrameLimits::from_frame_max(4096));
    let mut assemblers = HashMap::new();
    outcome.end = loop {
        let frame = match decoder.decode(&mut buffer) {
            Ok(Some(frame)) => frame,
            Ok(None) => break None,
            Err(error) => break Some(Fatal::Frame(error)),
        };
        let assembler = assemblers.entry(frame.channel).or_insert(Assembler::new(1 << 20));
        let content = match frame.kind {
            FrameKind::Method => match ToClient::from_payload(&frame.payload) {
                Ok(method) => {
                    outcome.methods += 1;
                    let begun = if method.has_content() {
                        assembler.begin(method.id().class_id)
                    } else {
                        assembler.interrupted()
                    };
                    begun.map(|()| None)
                }
                Err(error) => break Some(Fatal::Method(error)),
            },
            FrameKind::Header => assembler.header(frame.payload),
            FrameKind::Body => assembler.body(frame.payload),
            FrameKind::Heartbeat => Ok(None),
        };
        match content {
            Ok(Some(content)) => {
                outcome.messages += 1;
                outcome.unreadable.extend(content.properties.decode::<basic::Properties>().err());
            }
            Ok(None) => {}
            Err(error) => break Some(Fatal::Content(error)),
        }
    };
    outcome.left = buffer.len();
    outcome
}

fn session() -> Vec<u8> {
    octets(include_str!("../recorded/rabbitmq.hex"))
}

#[test]
fn a_recorded_session_as_it_was() {
    let outcome = received(&session());
    let [unreadable] = &outcome.unreadable[..] else { panic!("one message is nested too deeply") };
    assert_eq!(
        unreadable.cause().to_string(),
        "basic.properties.headers: at octet 226: tables are nested deeper than 32 levels"
    );
    assert_eq!((outcome.methods, outcome.messages, outcome.left), (24, 6, 0));
    assert_eq!(outcome.end, None);
}

#[test]
fn a_recorded_session_that_breaks_off_is_no_error() {
    let session = session();
    let mut last = Outcome::default();
    for len in 0..session.len() {
        let outcome = received(&session[..len]);
        assert_eq!(outcome.end, None, "after {len} octets");
        assert!(outcome.methods >= last.methods && outcome.messages >= last.messages);
        last = outcome;
    }
}

#[test]
fn a_recorded_session_with_an_octet_changed_ends_with_an_answer() {
    let session = session();
    let mut ends = HashMap::<_, usize>::new();
    for at in 0..session.len() {
        // Within the long body all octets are alike.
        if at > 0 && session[at - 1..].starts_with(b"xxxxxxxxx") {
            continue;
        }
        for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
            let mut changed = session.clone();
            changed[at] ^= change;
            let outcome = received(&changed);
            let kind = match &outcome.end {
                None => "none",
                Some(Fatal::Frame(error)) => {
                    assert!(!error.to_string().is_empty());
                    "frame"
                }
                Some(Fatal::Method(error)) => {
                    assert!(!error.to_string().is_empty());
                    "method"
                }
                Some(Fatal::Content(error)) => {
                    assert!(!error.to_string().is_empty());
                    "content"
                }
            };
            *ends.entry(kind).or_default() += 1;
            if outcome.unreadable.len() > 1 {
                *ends.entry("message").or_default() += 1;
            }
        }
    }
    for kind in ["none", "frame", "method", "content", "message"] {
        assert!(ends.contains_key(kind), "some changes are found as {kind}: {ends:?}");
    }
}

#[test]
fn a_changed_octet_of_the_framing_never_goes_unnoticed() {
    // The kind, the size, and the end of a frame; the channel is anybody's.
    let session = session();
    let unchanged = received(&session);
    let mut at = 0;
    while at < session.len() {
        let size = u32::from_be_bytes(*session[at + 3..].first_chunk().unwrap()) as usize;
        for place in [at, at + 3, at + 4, at + 5, at + 6, at + 7 + size] {
            let mut changed = session.clone();
            for octet in 0..=u8::MAX {
                changed[place] = octet;
                if octet != session[place] {
                    let outcome = received(&changed);
                    assert_ne!(outcome, unchanged, "octet {octet:#04x} at {place}");
                }
            }
        }
        at += size + 8;
    }
}

/// The ids of all methods.
fn ids() -> Vec<MethodId> {
    let all = (0..=100).flat_map(|class| (0..=130).map(move |method| MethodId::new(class, method)));
    all.filter(|id| amqp091::protocol::method_name(*id).is_some()).collect()
}

/// Octets of which some look like lengths, tags and flags.
fn likely(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let octet =
        prop_oneof![any::<u8>(), Just(0), 1..8_u8, select(&b"tbBsUuIilLfdDSATFVx\xCE\xFF"[..]),];
    vec(octet, 0..len)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 500,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_octets_never_panic(input in likely(100)) {
        let outcome = received(&input);
        prop_assert!(outcome.end.is_some() || outcome.left <= input.len());
    }

    #[test]
    fn random_arguments_never_panic(id in select(ids()), input in likely(100)) {
        let any = AnyMethod::decode(id, &mut Reader::new(&input));
        if let Err(error) = any {
            prop_assert_eq!(error.id(), Some(id));
            let is_arguments = matches!(error, MethodError::Arguments { .. });
            prop_assert!(is_arguments, "{error}");
        }
        for read in [
            ToClient::decode(id, &mut Reader::new(&input)).map(AnyMethod::from),
            ToServer::decode(id, &mut Reader::new(&input)).map(AnyMethod::from),
        ] {
            if read != Err(MethodError::NotExpected { id }) {
                prop_assert_eq!(&read, &any);
            }
        }
    }

    #[test]
    fn random_properties_never_panic(input in likely(200)) {
        let raw = RawProperties::new(Bytes::from(input.clone()));
        let _ = raw.decode::<basic::Properties>();
        prop_assert_eq!(raw.as_bytes(), &input[..]);
        let content = Content { properties: raw, body: Bytes::new() };
        prop_assert_eq!(content.clone(), content);
    }
}
