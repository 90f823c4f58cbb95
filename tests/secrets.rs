//! Credentials don't show: not in `Debug` of methods, nor of the frames that carry them, nor where fields are printed.

use amqp091::any_frame::AnyFrame;
use amqp091::bytes::BytesMut;
use amqp091::frame::{FrameDecoder, FrameLimits, parse};
use amqp091::protocol::{AnyMethod, connection};
use amqp091::types::{LongStr, Reflect};

const SECRET: &str = "\0user\0open sesame";

fn with_credentials() -> [AnyMethod; 3] {
    let response = LongStr::from(SECRET);
    let start_ok = connection::StartOk { response: response.clone(), ..Default::default() };
    let secure_ok = connection::SecureOk { response: response.clone() };
    let update = connection::UpdateSecret { new_secret: response, ..Default::default() };
    [start_ok.into(), secure_ok.into(), update.into()]
}

fn is_hidden(shown: &str) {
    assert!(!shown.contains("sesame"), "{shown}");
    // The octets in decimal.
    assert!(!shown.contains("115, 101, 115, 97, 109, 101"), "{shown}");
}

#[test]
fn credentials_are_hidden() {
    for method in with_credentials() {
        let shown = format!("{method:?}");
        assert!(shown.contains("(hidden)"), "{shown}");
        is_hidden(&shown);
        let described = method.describe().to_string();
        assert!(described.contains(": (hidden)"), "{described}");
        is_hidden(&described);
        let secret = method.fields().filter(|(info, _)| info.secret).count();
        assert_eq!(secret, 1, "{}", method.name());
    }
}

#[test]
fn frames_do_not_show_what_they_carry() {
    for method in with_credentials() {
        let frame = AnyFrame::Method(method);
        is_hidden(&format!("{frame:?}"));
        let mut wire = BytesMut::new();
        frame.marshal(0, &mut wire).unwrap();
        is_hidden(&format!("{:?}", parse(&wire, FrameLimits::default())));
        let frame = FrameDecoder::new(FrameLimits::default()).decode(&mut wire).unwrap();
        is_hidden(&format!("{frame:?}"));
    }
    let body = AnyFrame::Body(vec![b'x'; 1 << 20].into());
    assert_eq!(format!("{body:?}"), "Body(1048576 octets)");
}
