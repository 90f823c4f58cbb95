//! Changes of domains, and of what is asserted of values.
//!
//! A domain is no type of the generated code, and it isn't on the wire: what the change of its type breaks is said of the
//! fields that have it. What it asserts is said once, of the domain.

use crate::model::Domain;
use crate::schema::{Assert, AssertCheck};

use super::Sides;
use super::change::{Breaks, Change, ChangeKind, Subject};
use super::pairs::Pairs;

pub(super) fn domains(Sides { was, now }: Sides<'_>, changes: &mut Vec<Change>) {
    let (was, now) = (&was.domains, &now.domains);
    // Any number of domains are the same but for their names, so none is recognised by anything else.
    let pairs = Pairs::new(was, now, |old, new| old.name == new.name, |_, _, _| false);
    for &(old, new) in &pairs.both {
        let (was, now) = (&was[old], &now[new]);
        let mut change = |kind, breaks| {
            changes.push(Change {
                subject: Subject::Domain,
                path: path(now),
                kind,
                breaks,
                was_at: Some(was.position.clone()),
                now_at: Some(now.position.clone()),
            });
        };
        if was.wire_type != now.wire_type {
            let kind = ChangeKind::Type { was: was.wire_type, now: now.wire_type };
            change(kind, Breaks::NOBODY);
        }
        if let Some((kind, breaks)) = asserts(&was.asserts, &now.asserts) {
            change(kind, breaks);
        }
    }
    for &new in &pairs.added {
        let domain = &now[new];
        changes.push(Change {
            subject: Subject::Domain,
            path: path(domain),
            kind: ChangeKind::Added(domain.wire_type.to_string()),
            breaks: Breaks::NOBODY,
            was_at: None,
            now_at: Some(domain.position.clone()),
        });
    }
    for &old in &pairs.removed {
        let domain = &was[old];
        changes.push(Change {
            subject: Subject::Domain,
            path: path(domain),
            kind: ChangeKind::Removed(domain.wire_type.to_string()),
            breaks: Breaks::NOBODY,
            was_at: Some(domain.position.clone()),
            now_at: None,
        });
    }
}

fn path(domain: &Domain) -> String {
    format!("domain {}", domain.name)
}

/// How asserts differ, whatever their order.
pub(super) fn asserts(was: &[Assert], now: &[Assert]) -> Option<(ChangeKind, Breaks)> {
    let only_in = |these: &[Assert], those: &[Assert]| -> Vec<AssertCheck> {
        let checks = these.iter().map(|assert| &assert.check);
        checks.filter(|check| !those.iter().any(|other| other.check == **check)).cloned().collect()
    };
    let (removed, added) = (only_in(was, now), only_in(now, was));
    if removed.is_empty() && added.is_empty() {
        return None;
    }
    let stricter = added.iter().any(|new| !removed.iter().any(|old| allows(new, old)));
    let breaks = if stricter {
        Breaks::api("validate() may refuse what it accepted")
    } else {
        Breaks::NOBODY
    };
    Some((ChangeKind::Asserts { removed, added }, breaks))
}

/// Whether the new check accepts all that the old one did.
fn allows(new: &AssertCheck, old: &AssertCheck) -> bool {
    match (new, old) {
        (AssertCheck::Length(new), AssertCheck::Length(old)) => new >= old,
        (AssertCheck::Among(new), AssertCheck::Among(old)) => {
            old.iter().all(|value| new.contains(value))
        }
        _ => false,
    }
}
