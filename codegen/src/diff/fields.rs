//! Changes of the arguments of a method, whose order is that of the wire, and of content properties, whose order is that
//! of their flags.

use crate::check::own_asserts;
use crate::model::{Class, Field, Method, WireType};
use crate::names;

use super::change::{Breaks, Change, ChangeKind, Subject};
use super::pairs::Pairs;
use super::{Sides, domains};

const ANOTHER_NAME: &str = "the field has another name";
const ANOTHER_TYPE: &str = "the field has another type";
const FIELD_GONE: &str = "the field is gone";
const LITERALS: &str = "a struct literal without `..` must name the field";
const LAYOUT: &str = "a peer reads other arguments than were sent";
const UNHEARD: &str = "what a peer sends in it is ignored";

/// The bit that announces the first property.
const FIRST_FLAG: u8 = 15;

pub(super) fn arguments(
    sides: Sides<'_>,
    was: &Method,
    now: &Method,
    path: &str,
    changes: &mut Vec<Change>,
) {
    let (old_fields, new_fields) = (&was.fields, &now.fields);
    let pairs = Pairs::new(
        old_fields,
        new_fields,
        |old, new| old.name == new.name,
        |old, new, named| {
            old_fields[old].wire_type == new_fields[new].wire_type
                && place(old, named.iter().map(|pair| (pair.0, *pair)))
                    == place(new, named.iter().map(|pair| (pair.1, *pair)))
        },
    );
    let mut in_old_order = pairs.both.clone();
    in_old_order.sort_unstable();
    if in_old_order != pairs.both {
        let names = |pairs: &[(usize, usize)]| {
            pairs.iter().map(|&(_, new)| new_fields[new].name.clone()).collect()
        };
        changes.push(Change {
            subject: Subject::Method,
            path: path.to_owned(),
            kind: ChangeKind::Order { was: names(&in_old_order), now: names(&pairs.both) },
            breaks: Breaks::wire(LAYOUT),
            was_at: Some(was.position.clone()),
            now_at: Some(now.position.clone()),
        });
    }
    for &(old, new) in &pairs.both {
        both(sides, Subject::Field, &old_fields[old], &new_fields[new], path, changes);
    }
    for &new in &pairs.added {
        let field = &new_fields[new];
        let shares = shares_an_octet(new_fields, new, &pairs.added);
        changes.push(Change {
            subject: Subject::Field,
            path: format!("{path}.{}", field.name),
            kind: ChangeKind::Added(describe(field, new, new_fields.len())),
            breaks: Breaks {
                api: (!field.reserved).then_some(LITERALS),
                // Bits that a peer doesn't know are ignored, and false is what it sends in them.
                wire: (!shares).then_some(LAYOUT),
            },
            was_at: None,
            now_at: Some(field.position.clone()),
        });
    }
    for &old in &pairs.removed {
        let field = &old_fields[old];
        let shares = shares_an_octet(old_fields, old, &pairs.removed);
        let wire = match (shares, field.reserved) {
            (false, _) => Some(LAYOUT),
            (true, false) => Some(UNHEARD),
            (true, true) => None,
        };
        changes.push(Change {
            subject: Subject::Field,
            path: format!("{path}.{}", field.name),
            kind: ChangeKind::Removed(describe(field, old, old_fields.len())),
            breaks: Breaks { api: (!field.reserved).then_some(FIELD_GONE), wire },
            was_at: Some(field.position.clone()),
            now_at: None,
        });
    }
}

pub(super) fn properties(sides: Sides<'_>, was: &Class, now: &Class, changes: &mut Vec<Change>) {
    let path = &now.name;
    let (was, now) = (&was.properties, &now.properties);
    let pairs = Pairs::new(
        was,
        now,
        |old, new| old.name == new.name,
        |old, new, _| old == new && was[old].wire_type == now[new].wire_type,
    );
    for &(old, new) in &pairs.both {
        if old != new {
            changes.push(Change {
                subject: Subject::Property,
                path: property_path(path, &now[new]),
                kind: ChangeKind::Flag { was: flag(old), now: flag(new) },
                breaks: Breaks::wire("a peer takes it for another property"),
                was_at: Some(was[old].position.clone()),
                now_at: Some(now[new].position.clone()),
            });
        }
        both(sides, Subject::Property, &was[old], &now[new], path, changes);
    }
    for &new in &pairs.added {
        changes.push(Change {
            subject: Subject::Property,
            path: property_path(path, &now[new]),
            kind: ChangeKind::Added(describe_property(&now[new], new)),
            breaks: Breaks { api: (!now[new].reserved).then_some(LITERALS), wire: None },
            was_at: None,
            now_at: Some(now[new].position.clone()),
        });
    }
    for &old in &pairs.removed {
        changes.push(Change {
            subject: Subject::Property,
            path: property_path(path, &was[old]),
            kind: ChangeKind::Removed(describe_property(&was[old], old)),
            breaks: Breaks {
                api: (!was[old].reserved).then_some(FIELD_GONE),
                wire: Some("a peer that sends it isn't understood"),
            },
            was_at: Some(was[old].position.clone()),
            now_at: None,
        });
    }
}

/// Changes of a field that is in both.
fn both(
    sides: Sides<'_>,
    subject: Subject,
    was: &Field,
    now: &Field,
    parent: &str,
    changes: &mut Vec<Change>,
) {
    let path = match subject {
        Subject::Property => property_path(parent, now),
        _ => format!("{parent}.{}", now.name),
    };
    let mut change = |kind, breaks| {
        changes.push(Change {
            subject,
            path: path.clone(),
            kind,
            breaks,
            was_at: Some(was.position.clone()),
            now_at: Some(now.position.clone()),
        });
    };
    let in_api = !was.reserved && !now.reserved;
    if was.name != now.name {
        let kind = ChangeKind::Renamed { was: was.name.clone(), now: now.name.clone() };
        let renamed = names::snake(&was.name) != names::snake(&now.name);
        let api = (in_api && renamed).then_some(ANOTHER_NAME);
        change(kind, Breaks { api, wire: None });
    }
    if was.wire_type != now.wire_type {
        let kind = ChangeKind::Type { was: was.wire_type, now: now.wire_type };
        let alike = matches!(
            (was.wire_type, now.wire_type),
            (WireType::LongLong, WireType::Timestamp) | (WireType::Timestamp, WireType::LongLong)
        );
        let breaks = Breaks {
            api: in_api.then_some(ANOTHER_TYPE),
            wire: (!alike).then_some("the octets are read as something else"),
        };
        change(kind, breaks);
    }
    if was.domain != now.domain {
        let kind = ChangeKind::Domain { was: was.domain.clone(), now: now.domain.clone() };
        // A change of type is told above.
        let retyped =
            was.wire_type == now.wire_type && was.is_reply_code() != now.is_reply_code() && in_api;
        change(kind, Breaks { api: retyped.then_some(ANOTHER_TYPE), wire: None });
    }
    if was.reserved != now.reserved {
        let breaks =
            if now.reserved { Breaks::both(FIELD_GONE, UNHEARD) } else { Breaks::api(LITERALS) };
        change(ChangeKind::Reserved { now: now.reserved }, breaks);
    }
    if was.required != now.required {
        change(ChangeKind::Required { now: now.required }, Breaks::NOBODY);
    }
    if was.default != now.default {
        let kind = ChangeKind::Default { was: was.default.clone(), now: now.default.clone() };
        change(kind, Breaks::api("`Default` gives another value"));
    }
    if was.secret != now.secret {
        change(ChangeKind::Secret { now: now.secret }, Breaks::NOBODY);
    }
    // What the domain asserts is told of the domain, unless it is another one.
    let asserts = if was.domain == now.domain {
        domains::asserts(own_asserts(sides.was, was), own_asserts(sides.now, now))
    } else {
        domains::asserts(&was.asserts, &now.asserts)
    };
    if let Some((kind, breaks)) = asserts {
        change(kind, breaks);
    }
}

/// Where something stands that has no partner: how far behind which pair.
fn place(
    index: usize,
    paired: impl Iterator<Item = (usize, (usize, usize))>,
) -> (Option<(usize, usize)>, usize) {
    match paired.filter(|(own, _)| *own < index).max() {
        Some((own, pair)) => (Some(pair), index - own),
        None => (None, index),
    }
}

/// Whether a bit is one of those at the end of an octet that begins with others: then no octet is more or less with
/// them, and no other bit has another place.
fn shares_an_octet(fields: &[Field], index: usize, these: &[usize]) -> bool {
    let is_bit = |index: &usize| fields.get(*index).is_some_and(|f| f.wire_type == WireType::Bit);
    if !is_bit(&index) {
        return false;
    }
    let first = (0..index).rev().take_while(is_bit).last().unwrap_or(index);
    let octet = first + (index - first) / 8 * 8;
    !these.contains(&octet)
        && (index..fields.len()).take_while(is_bit).all(|later| these.contains(&later))
}

fn describe(field: &Field, index: usize, count: usize) -> String {
    let reserved = if field.reserved { "reserved " } else { "" };
    format!("{reserved}{}, field {} of {count}", field.wire_type, index + 1)
}

fn describe_property(field: &Field, index: usize) -> String {
    let reserved = if field.reserved { "reserved " } else { "" };
    format!("{reserved}{}, flag bit {}", field.wire_type, flag(index))
}

fn property_path(class: &str, field: &Field) -> String {
    format!("property {class}.{}", field.name)
}

/// The bit that announces the property of that index; a checked model has at most 15.
fn flag(index: usize) -> u8 {
    FIRST_FLAG.saturating_sub(u8::try_from(index).unwrap_or(u8::MAX))
}
