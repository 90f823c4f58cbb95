//! Every octet as the tag of a value in a table: who reads it, and as what.

use crate::differences::{Counts, Difference, Notes};
use crate::frame::Frame;
use crate::model::Model;
use crate::pamqp::Pamqp;
use crate::peer::Peer;
use crate::pika::Pika;
use crate::seen::{SeenFrame, to_hex};

/// What stands behind the tags that anybody knows, sizes included.
const PAYLOADS: &[(u8, &[&[u8]])] = &[
    (b't', &[&[0], &[1], &[2], &[0xFF]]),
    (b'b', &[&[0x80], &[0x7F]]),
    (b'B', &[&[0x80], &[0x7F]]),
    (b's', &[&[0x80, 0], &[0x7F, 0xFF]]),
    (b'U', &[&[0x80, 0], &[0x7F, 0xFF]]),
    (b'u', &[&[0x80, 0], &[0x7F, 0xFF]]),
    (b'I', &[&[0x80, 0, 0, 1], &[0x7F, 0, 0, 1]]),
    (b'i', &[&[0x80, 0, 0, 1], &[0x7F, 0, 0, 1]]),
    (b'l', &[&[0x80, 0, 0, 0, 0, 0, 0, 1], &[0x7F, 0, 0, 0, 0, 0, 0, 1]]),
    (b'L', &[&[0x80, 0, 0, 0, 0, 0, 0, 1], &[0x7F, 0, 0, 0, 0, 0, 0, 1]]),
    (b'f', &[&[0x3F, 0xC0, 0, 0], &[0xC6, 0x40, 0xE4, 0]]),
    (b'd', &[&[0x3F, 0xF8, 0, 0, 0, 0, 0, 0], &[0xC0, 0x88, 0x1C, 0x80, 0, 0, 0, 0]]),
    (b'D', &[&[2, 0xFF, 0xFF, 0xFF, 0xFE], &[255, 0x7F, 0, 0, 0]]),
    (b'S', &[&[0, 0, 0, 2, b'a', b'b'], &[0, 0, 0, 1, 0xFF]]),
    (b'A', &[&[0, 0, 0, 3, b'V', b'b', 0xFF]]),
    (b'T', &[&[0, 0, 0, 0, 0x80, 0, 0, 1]]),
    (b'F', &[&[0, 0, 0, 4, 1, b'k', b't', 1]]),
    (b'V', &[&[]]),
    (b'x', &[&[0, 0, 0, 2, b'a', 0xFF]]),
];

/// Sends tables of one entry with every tag to both codecs, and compares what they see with what we do.
pub(crate) fn compare(counts: &mut Counts, pamqp: &mut Peer, pika: &mut Peer) {
    for tag in 0..=u8::MAX {
        let payloads = PAYLOADS.iter().find(|(known, _)| *known == tag);
        // Of an unknown tag, nobody knows what stands behind it.
        for payload in payloads.map_or(&[&[][..]][..], |(_, payloads)| *payloads) {
            let octets = header(tag, payload);
            let ours = Frame::decode(&octets).ok();
            assert_eq!(ours.is_some(), payloads.is_some(), "who knows {tag:#04x}?");
            let lacks = (tag == b'U').then_some(Difference::PamqpLacksTagU);
            let more = (tag == 0).then_some((Difference::PamqpReadsTagNul, "F{6b:V}"));
            compare_with::<Pamqp>(pamqp, &octets, ours.as_ref(), lacks, more, counts);
            compare_with::<Pika>(pika, &octets, ours.as_ref(), None, None, counts);
        }
    }
}

/// Compares with one codec, which may lack the tag, or know it although we don't.
fn compare_with<M: Model>(
    peer: &mut Peer,
    octets: &[u8],
    ours: Option<&Frame>,
    lacks: Option<Difference>,
    more: Option<(Difference, &str)>,
    counts: &mut Counts,
) {
    let mut notes = Notes::new();
    peer.ask(&format!("read {}", to_hex(octets)));
    let answer = peer.answer();
    let context = format!("{} and {}: {answer}", peer.version, to_hex(octets));
    let mut answer = answer.split('\t');
    match (ours, answer.next(), answer.next()) {
        (Some(ours), Some("read"), Some(theirs)) => {
            let seen = M::reads(ours, &mut notes).expect("nothing that it refuses");
            assert_eq!(SeenFrame::parse(theirs), seen, "{context}");
            assert_eq!(lacks, None, "{context}");
        }
        (None, Some("unread"), _) => assert!(more.is_none(), "{context}"),
        (Some(_), Some("unread"), _) => {
            assert!(notes.insert(lacks.unwrap_or_else(|| panic!("{context}"))));
        }
        (None, Some("read"), Some(theirs)) => {
            let (difference, headers) = more.unwrap_or_else(|| panic!("{context}"));
            assert!(theirs.contains(&format!("headers={headers}")), "{context}");
            assert!(notes.insert(difference));
        }
        _ => panic!("{context}"),
    }
    counts.add(&notes);
}

/// A content header whose only property is a table with one entry, under the key "k".
fn header(tag: u8, payload: &[u8]) -> Vec<u8> {
    let table_len = 3 + payload.len() as u8;
    let flags_and_table = [&[0x20, 0, 0, 0, 0, table_len, 1, b'k', tag], payload].concat();
    let size = 12 + flags_and_table.len() as u8;
    let head = [2, 0, 1, 0, 0, 0, size, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [&head[..], &flags_and_table, &[0xCE]].concat()
}
