//! Everything that is one octet away from what was recorded.
//!
//! (`tests/framing/corruption.rs` says what a client makes of a damaged session, and that damage to the framing is noticed.)

use crate::recorded::{self, Piece};
use crate::{field_table, frame_stream, methods, properties};

/// Tries every piece with each octet changed, each octet gone, and each octet there twice. An octet is tried with every
/// value in pieces of up to `short` octets, and with each bit changed in longer ones.
fn damage(pieces: Vec<Piece>, short: usize, check: fn(&[u8])) {
    let mut tried = 0;
    for Piece { name, octets } in pieces {
        for at in 0..octets.len() {
            // Long bodies are all one octet.
            if at > 8
                && octets[at - 8..=at].iter().all(|octet| *octet == octets[at])
                && octets[at] != 0
            {
                continue;
            }
            let mut changed = octets.clone();
            if octets.len() <= short {
                for octet in (0..=u8::MAX).filter(|octet| *octet != octets[at]) {
                    changed[at] = octet;
                    tried += 1;
                    check(&changed);
                }
            } else {
                for bit in 0..8 {
                    changed[at] = octets[at] ^ 1 << bit;
                    tried += 1;
                    check(&changed);
                }
            }
            changed[at] = octets[at];
            changed.insert(at, octets[at]);
            check(&changed);
            changed.drain(at..at + 2);
            check(&changed);
        }
        check(&octets);
        assert!(!octets.is_empty(), "{name}");
    }
    assert!(tried > 1000, "{tried} changes");
}

#[test]
fn exchanges_with_an_octet_changed() {
    damage(distinct(recorded::exchanges()), 0, frame_stream::check);
}

#[test]
fn method_payloads_with_an_octet_changed() {
    damage(distinct(recorded::methods()), 48, methods::check);
}

#[test]
fn properties_with_an_octet_changed() {
    damage(distinct(recorded::properties()), 128, properties::check);
}

#[test]
fn tables_with_an_octet_changed() {
    damage(distinct(recorded::tables()), 128, field_table::check);
}

#[test]
fn a_whole_session_with_a_bit_changed_in_any_octet() {
    for session in [recorded::to_client(), recorded::to_server()] {
        for at in 0..session.len() {
            if at > 8 && session[at - 8..=at].iter().all(|octet| *octet == b'x') {
                continue;
            }
            let mut changed = session.clone();
            changed[at] ^= 1 << (at % 8);
            frame_stream::check(&changed);
        }
    }
}

/// Each octet string once.
fn distinct(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut distinct: Vec<Piece> = Vec::new();
    for piece in pieces {
        if !distinct.iter().any(|other| other.octets == piece.octets) {
            distinct.push(piece);
        }
    }
    distinct
}
