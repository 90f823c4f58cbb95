//! Changes of classes and methods.

use crate::model::{Class, Method};
use crate::names;
use crate::schema::{Chassis, Handler, Role};

use super::change::{Breaks, Change, ChangeKind, Subject, list};
use super::pairs::Pairs;
use super::{Sides, fields};

const OTHER_METHOD: &str = "peers take it for another method";

pub(super) fn classes(sides: Sides<'_>, changes: &mut Vec<Change>) {
    let (was, now) = (&sides.was.classes, &sides.now.classes);
    let pairs = Pairs::new(
        was,
        now,
        |old, new| old.name == new.name,
        |old, new, _| was[old].index == now[new].index,
    );
    for &(old, new) in &pairs.both {
        class(sides, &was[old], &now[new], changes);
    }
    for &new in &pairs.added {
        let class = &now[new];
        changes.push(Change {
            subject: Subject::Class,
            path: class.name.clone(),
            kind: ChangeKind::Added(describe_class(class)),
            breaks: if class.properties.is_empty() {
                Breaks::NOBODY
            } else {
                Breaks::api("a match on AnyProperties needs another arm")
            },
            was_at: None,
            now_at: Some(class.position.clone()),
        });
        for method in &class.methods {
            changes.push(added(class, method));
        }
    }
    for &old in &pairs.removed {
        let class = &was[old];
        let gone = "the module is gone";
        let unknown = "a peer that uses the class isn't understood";
        changes.push(Change {
            subject: Subject::Class,
            path: class.name.clone(),
            kind: ChangeKind::Removed(describe_class(class)),
            breaks: Breaks::both(gone, unknown),
            was_at: Some(class.position.clone()),
            now_at: None,
        });
        for method in &class.methods {
            changes.push(removed(class, method));
        }
    }
}

fn class(sides: Sides<'_>, was: &Class, now: &Class, changes: &mut Vec<Change>) {
    let mut change = |kind, breaks| {
        changes.push(Change {
            subject: Subject::Class,
            path: now.name.clone(),
            kind,
            breaks,
            was_at: Some(was.position.clone()),
            now_at: Some(now.position.clone()),
        });
    };
    if was.name != now.name {
        let same = names::snake(&was.name) == names::snake(&now.name);
        let kind = ChangeKind::Renamed { was: was.name.clone(), now: now.name.clone() };
        let breaks = if same { Breaks::NOBODY } else { Breaks::api("the module has another name") };
        change(kind, breaks);
    }
    if was.index != now.index {
        let kind = ChangeKind::Index { was: was.index, now: now.index };
        change(
            kind,
            Breaks::wire("peers take its methods and contents for those of another class"),
        );
    }
    if was.handler != now.handler {
        let kind = ChangeKind::Handler { was: was.handler, now: now.handler };
        change(kind, Breaks::wire("peers expect its methods on other channels"));
    }
    for role in [Role::Client, Role::Server] {
        let demand = |chassis: &[Chassis]| {
            chassis.iter().find(|chassis| chassis.role == role).map(|chassis| chassis.implement)
        };
        let (was, now) = (demand(&was.chassis), demand(&now.chassis));
        if was != now {
            change(ChangeKind::Implement { role, was, now }, Breaks::NOBODY);
        }
    }
    fields::properties(sides, was, now, changes);
    let (old_methods, new_methods) = (&was.methods, &now.methods);
    let pairs = Pairs::new(
        old_methods,
        new_methods,
        |old, new| old.name == new.name,
        |old, new, _| old_methods[old].index == new_methods[new].index,
    );
    let renamed = |name: &str| {
        let mut pairs = pairs.both.iter();
        pairs
            .find(|(old, _)| old_methods[*old].name == name)
            .map_or_else(|| name.to_owned(), |&(_, new)| new_methods[new].name.clone())
    };
    for &(old, new) in &pairs.both {
        let path = method_path(now, &new_methods[new]);
        method(sides, &old_methods[old], &new_methods[new], &path, renamed, changes);
    }
    changes.extend(pairs.added.iter().map(|&new| added(now, &new_methods[new])));
    changes.extend(pairs.removed.iter().map(|&old| removed(was, &old_methods[old])));
}

fn method(
    sides: Sides<'_>,
    was: &Method,
    now: &Method,
    path: &str,
    renamed: impl Fn(&str) -> String,
    changes: &mut Vec<Change>,
) {
    let mut change = |kind, breaks| {
        changes.push(Change {
            subject: Subject::Method,
            path: path.to_owned(),
            kind,
            breaks,
            was_at: Some(was.position.clone()),
            now_at: Some(now.position.clone()),
        });
    };
    if was.name != now.name {
        let same = names::camel(&was.name) == names::camel(&now.name);
        let kind = ChangeKind::Renamed { was: was.name.clone(), now: now.name.clone() };
        let breaks = if same { Breaks::NOBODY } else { Breaks::api("the struct has another name") };
        change(kind, breaks);
    }
    if was.index != now.index {
        let kind = ChangeKind::Index { was: was.index, now: now.index };
        change(kind, Breaks::wire(OTHER_METHOD));
    }
    let (senders_were, senders_are) = (senders(was), senders(now));
    if senders_were != senders_are {
        let lost = senders_were.iter().any(|role| !senders_are.contains(role));
        let breaks = if lost {
            Breaks::both(
                "ToClient or ToServer lacks the method",
                "a peer that sends it still isn't understood",
            )
        } else {
            Breaks::api("a match on ToClient or ToServer needs another arm")
        };
        change(ChangeKind::SentBy { was: senders_were, now: senders_are }, breaks);
    }
    for was in &was.chassis {
        if let Some(now) = now.chassis.iter().find(|now| now.role == was.role)
            && was.implement != now.implement
        {
            let (role, was, now) = (was.role, Some(was.implement), Some(now.implement));
            change(ChangeKind::Implement { role, was, now }, Breaks::NOBODY);
        }
    }
    if was.synchronous != now.synchronous {
        change(ChangeKind::Synchronous { now: now.synchronous }, Breaks::NOBODY);
    }
    if was.content != now.content {
        let wire =
            "a peer waits for content that doesn't come, or gets some that it doesn't expect";
        change(ChangeKind::Content { now: now.content }, Breaks::wire(wire));
    }
    if was.deprecated != now.deprecated {
        change(ChangeKind::Deprecated { now: now.deprecated }, Breaks::NOBODY);
    }
    let replies_were: Vec<String> =
        was.responses.iter().map(|response| renamed(&response.name)).collect();
    let replies_are: Vec<String> =
        now.responses.iter().map(|response| response.name.clone()).collect();
    // Their order has no meaning.
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    if sorted(&replies_were) != sorted(&replies_are) {
        let api = "its `Reply` is another type";
        let kind = ChangeKind::Responses { was: replies_were, now: replies_are };
        change(kind, Breaks::both(api, "a peer gets a reply that it doesn't expect, or none"));
    }
    fields::arguments(sides, was, now, path, changes);
}

fn added(class: &Class, method: &Method) -> Change {
    let arm = match senders(method)[..] {
        [Role::Client] => "a match on AnyMethod or ToServer needs another arm",
        [Role::Server] => "a match on AnyMethod or ToClient needs another arm",
        _ => "a match on AnyMethod, ToClient or ToServer needs another arm",
    };
    Change {
        subject: Subject::Method,
        path: method_path(class, method),
        kind: ChangeKind::Added(describe(class, method)),
        breaks: Breaks::api(arm),
        was_at: None,
        now_at: Some(method.position.clone()),
    }
}

fn removed(class: &Class, method: &Method) -> Change {
    Change {
        subject: Subject::Method,
        path: method_path(class, method),
        kind: ChangeKind::Removed(describe(class, method)),
        breaks: Breaks::both("the struct is gone", "a peer that sends it isn't understood"),
        was_at: Some(method.position.clone()),
        now_at: None,
    }
}

fn senders(method: &Method) -> Vec<Role> {
    [Role::Client, Role::Server].into_iter().filter(|&role| method.sent_by(role)).collect()
}

fn method_path(class: &Class, method: &Method) -> String {
    format!("{}.{}", class.name, method.name)
}

fn describe_class(class: &Class) -> String {
    let channel = match class.handler {
        Handler::Connection => "channel 0",
        Handler::Channel => "the other channels",
    };
    let count = class.methods.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{}, on {channel}, with {count} method{plural}", class.index)
}

fn describe(class: &Class, method: &Method) -> String {
    let senders: Vec<String> =
        senders(method).into_iter().map(|role| format!("the {role}")).collect();
    let mut text = format!("{}.{}, sent by {}", class.index, method.index, list(&senders, " or "));
    if method.content {
        text.push_str(", followed by content");
    }
    if !method.responses.is_empty() {
        let names: Vec<&str> =
            method.responses.iter().map(|response| response.name.as_str()).collect();
        text.push_str(", answered by ");
        text.push_str(&names.join(" or "));
    }
    text
}
