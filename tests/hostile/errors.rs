//! Errors name the field and the octet at fault.

use amqp091::content::RawProperties;
use amqp091::protocol::{AnyMethod, basic};
use amqp091::types::{MethodError, Reader};

use crate::hex::octets;

/// What is read, as hex, and what is said about it.
type Case = (&'static str, &'static str);

#[test]
fn of_methods() {
    // Offsets count from the start of the payload, class id and method id included.
    let cases: [Case; 16] = [
        ("003c", "method-id: at octet 2: needs 2 octets, 0 are left"),
        (
            "000a 001e 07ff 0002",
            "connection.tune.frame-max: at octet 6: needs 4 octets, 2 are left",
        ),
        (
            "0014 0028 00c8 05 \"abc\"",
            "channel.close.reply-text: at octet 7: needs 5 octets, 3 are left",
        ),
        (
            "0014 0028 00c8 00 003c",
            "channel.close.method-id: at octet 9: needs 2 octets, 0 are left",
        ),
        ("003c 0028 0000 00", "basic.publish.routing-key: at octet 7: needs 1 octet, 0 are left"),
        ("003c 0028 0000 00 00", "basic.publish.mandatory: at octet 8: needs 1 octet, 0 are left"),
        ("003c 0028 0000 00 00 00 ff", "end: at octet 9: 1 octet too many behind the last field"),
        ("003c 0050 00*7", "basic.ack.delivery-tag: at octet 4: needs 8 octets, 7 are left"),
        (
            "0032 000a 0000 00 00 00000004 01\"k?\"00",
            "queue.declare.arguments: at octet 14: no type of value has the tag '?' (0x3f)",
        ),
        (
            "0032 000a 0000 00 00 00000008 01\"kI\"00000001 00",
            "queue.declare.arguments: at octet 20: needs 1 octet, 0 are left in the table",
        ),
        (
            "0032 000a 0000 00 00 00000004 01\"kI\"00",
            "queue.declare.arguments: at octet 15: needs 4 octets, 1 is left in the table",
        ),
        (
            "0032 000a 0000 00 00 ffffffff 01\"kV\"",
            "queue.declare.arguments: at octet 12: needs 4294967295 octets, 3 are left",
        ),
        (
            "0032 000a 0000 00 00 80000000",
            "queue.declare.arguments: at octet 12: needs 2147483648 octets, 0 are left",
        ),
        (
            "000a 000b 00000000 00 ffffffff \"secret\"",
            "connection.start-ok.response: at octet 13: needs 4294967295 octets, 6 are left",
        ),
        // A reserved field is passed over, but not past the end.
        (
            "000a 0028 01\"/\" 05",
            "connection.open.reserved-1: at octet 7: needs 5 octets, 0 are left",
        ),
        ("000a 0033 00", "end: at octet 4: 1 octet too many behind the last field"),
    ];
    for (payload, text) in cases {
        let (MethodError::Number { source } | MethodError::Arguments { source, .. }) =
            AnyMethod::from_payload(&spaced(payload)).unwrap_err()
        else {
            panic!("{payload}")
        };
        assert_eq!(source.to_string(), text, "{payload}");
    }
}

#[test]
fn of_properties() {
    // Offsets count from the flags.
    let cases: [Case; 10] = [
        ("", "basic.properties.flags: at octet 0: needs 2 octets, 0 are left"),
        ("80", "basic.properties.flags: at octet 0: needs 2 octets, 1 is left"),
        ("8000", "basic.properties.content-type: at octet 2: needs 1 octet, 0 are left"),
        (
            "8000 ff 78*254",
            "basic.properties.content-type: at octet 3: needs 255 octets, 254 are left",
        ),
        ("2000 00000002 00", "basic.properties.headers: at octet 6: needs 2 octets, 1 is left"),
        ("1000", "basic.properties.delivery-mode: at octet 2: needs 1 octet, 0 are left"),
        ("0040 00*7", "basic.properties.timestamp: at octet 2: needs 8 octets, 7 are left"),
        ("0004 01", "basic.properties.cluster-id: at octet 3: needs 1 octet, 0 are left"),
        ("0000 00", "end: at octet 2: 1 octet too many behind the last field"),
        (
            "2000 0000000b 01\"aA\"00000004 \"I\"000000",
            "basic.properties.headers: at octet 14: needs 4 octets, 3 are left in the table",
        ),
    ];
    for (input, text) in cases {
        let error = RawProperties::new(spaced(input).into()).decode::<basic::Properties>();
        assert_eq!(error.unwrap_err().cause().to_string(), text, "{input}");
    }
}

#[test]
fn of_tables() {
    let cases: [Case; 9] = [
        ("00", "headers: at octet 0: needs 4 octets, 1 is left"),
        ("00000001", "headers: at octet 4: needs 1 octet, 0 are left"),
        ("00000001 ff", "headers: at octet 5: needs 255 octets, 0 are left in the table"),
        ("00000002 00 00", "headers: at octet 5: no type of value has the tag '\\0' (0x00)"),
        ("00000002 00 \"D\"", "headers: at octet 6: needs 5 octets, 0 are left in the table"),
        ("00000004 00 \"D\" 0100", "headers: at octet 6: needs 5 octets, 2 are left in the table"),
        (
            "00000006 00 \"x\" ffffffff",
            "headers: at octet 10: needs 4294967295 octets, 0 are left in the table",
        ),
        // The array ends where its own length says, although the table goes on.
        (
            "00000009 00 \"A\" 00000001 \"t\" 01 00",
            "headers: at octet 11: needs 1 octet, 0 are left in the table",
        ),
        (
            "0000000b 00 \"F\" 00000003 00 \"s\" 01 02 00",
            "headers: at octet 12: needs 2 octets, 1 is left in the table",
        ),
    ];
    for (input, text) in cases {
        let error = Reader::new(&spaced(input)).table("headers").unwrap_err();
        assert_eq!(error.to_string(), text, "{input}");
    }
}

/// Text stands without spaces around it here.
fn spaced(text: &str) -> Vec<u8> {
    let mut spaced = String::new();
    for (at, part) in text.split('"').enumerate() {
        let quote = if at % 2 == 1 { "\"" } else { " " };
        spaced.extend([quote, part, quote]);
    }
    octets(&spaced)
}
