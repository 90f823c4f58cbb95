//! Clients that are octets and no more.

use amqp091::bytes::BytesMut;
use amqp091::encode;
use amqp091::protocol::{basic, channel, connection};
use amqp091::types::{LongStr, ShortStr};

/// What a client says from the protocol header to the open channel.
pub(crate) fn greeting(heartbeat: u16) -> BytesMut {
    let mut out = BytesMut::from(&b"AMQP\0\0\x09\x01"[..]);
    let start = connection::StartOk {
        mechanism: ShortStr::from_static("PLAIN"),
        response: LongStr::from("\0guest\0guest"),
        ..connection::StartOk::default()
    };
    encode::method(&mut out, 0, &start).unwrap();
    let tune = connection::TuneOk { channel_max: 10, frame_max: 131_072, heartbeat };
    encode::method(&mut out, 0, &tune).unwrap();
    let open = connection::Open { virtual_host: ShortStr::from_static("/") };
    encode::method(&mut out, 0, &open).unwrap();
    encode::method(&mut out, 1, &channel::Open {}).unwrap();
    out
}

/// A message of four octets to the queue `q`, on the first channel.
pub(crate) fn put_publish(out: &mut BytesMut) {
    let routing_key = ShortStr::from_static("q");
    let publish = basic::Publish { routing_key, ..basic::Publish::default() };
    encode::method(out, 1, &publish).unwrap();
    encode::raw_header(out, 1, basic::CLASS_ID, 4, &[0, 0]);
    encode::body(out, 1, b"body", 131_072);
}
