//! Changes of the version, the port and the constants.

use crate::model::{describe_class, is_reply_code};
use crate::names;
use crate::schema::Constant;

use super::Sides;
use super::change::{Breaks, Change, ChangeKind, Subject};
use super::pairs::Pairs;

pub(super) fn version(Sides { was, now }: Sides<'_>, changes: &mut Vec<Change>) {
    let mut change = |kind, why| {
        changes.push(Change {
            subject: Subject::Specification,
            path: String::new(),
            kind,
            breaks: Breaks::wire(why),
            was_at: None,
            now_at: None,
        });
    };
    if was.version != now.version {
        let kind = ChangeKind::Version { was: was.version, now: now.version };
        change(kind, "peers of another version refuse the connection");
    }
    if was.port != now.port {
        let kind = ChangeKind::Port { was: was.port, now: now.port };
        change(kind, "peers look for each other at another port");
    }
}

pub(super) fn constants(Sides { was, now }: Sides<'_>, changes: &mut Vec<Change>) {
    let (was, now) = (&was.constants, &now.constants);
    let pairs = Pairs::new(
        was,
        now,
        |old, new| old.name == new.name,
        |old, new, _| was[old].value == now[new].value && was[old].class == now[new].class,
    );
    for &(old, new) in &pairs.both {
        both(&was[old], &now[new], changes);
    }
    for &new in &pairs.added {
        let constant = &now[new];
        changes.push(Change {
            subject: Subject::Constant,
            path: path(constant),
            kind: ChangeKind::Added(describe(constant)),
            breaks: Breaks::NOBODY,
            was_at: None,
            now_at: Some(constant.position.clone()),
        });
    }
    for &old in &pairs.removed {
        let constant = &was[old];
        changes.push(Change {
            subject: Subject::Constant,
            path: path(constant),
            kind: ChangeKind::Removed(describe(constant)),
            breaks: Breaks::api("the constant is gone"),
            was_at: Some(constant.position.clone()),
            now_at: None,
        });
    }
}

fn both(was: &Constant, now: &Constant, changes: &mut Vec<Change>) {
    let mut change = |kind, breaks| {
        changes.push(Change {
            subject: Subject::Constant,
            path: path(now),
            kind,
            breaks,
            was_at: Some(was.position.clone()),
            now_at: Some(now.position.clone()),
        });
    };
    if was.name != now.name {
        let same = names::constant(&was.name) == names::constant(&now.name);
        let kind = ChangeKind::Renamed { was: was.name.clone(), now: now.name.clone() };
        let breaks =
            if same { Breaks::NOBODY } else { Breaks::api("the constant has another name") };
        change(kind, breaks);
    }
    if was.value != now.value {
        let kind = ChangeKind::Value { was: was.value, now: now.value };
        let wire = "peers mean something else by the number";
        // A reply code has two octets whatever it is.
        let retyped = !is_reply_code(now) && octets(was.value) != octets(now.value);
        change(
            kind,
            if retyped {
                Breaks::both("the constant has another type", wire)
            } else {
                Breaks::wire(wire)
            },
        );
    }
    if was.class != now.class {
        let kind = ChangeKind::ErrorClass { was: was.class, now: now.class };
        let breaks = if is_reply_code(was) != is_reply_code(now) {
            Breaks::api("the constant moves between `constants` and `ReplyCode`")
        } else {
            Breaks::wire("one peer takes it to end the channel, the other the connection")
        };
        change(kind, breaks);
    }
    if was.recoverable != now.recoverable {
        let kind = ChangeKind::Recoverable { now: now.recoverable };
        change(kind, Breaks::api("what asks whether to try again gets another answer"));
    }
}

fn path(constant: &Constant) -> String {
    format!("constant {}", constant.name)
}

fn describe(constant: &Constant) -> String {
    if is_reply_code(constant) {
        format!("{}, {}", constant.value, describe_class(constant.class))
    } else {
        constant.value.to_string()
    }
}

/// Of the smallest unsigned type that holds the value.
const fn octets(value: u64) -> u8 {
    match value {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFFFF_FFFF => 4,
        _ => 8,
    }
}
