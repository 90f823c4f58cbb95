//! `diff`. Which changes there are and whom they break is tested with the library, in `tests/diff.rs`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::env;
use std::path::{Path, PathBuf};

use super::run::{BASE, Folder};

#[test]
fn nothing_changed() {
    let folder = Folder::new("diff-same");
    let none = ["no changes"];
    folder.run("diff base.xml base.xml").wrote(0, &none);
    folder.run("diff base.xml,overlay.xml base.xml,overlay.xml").wrote(0, &none);
    folder.run_with_input("diff - base.xml", BASE).wrote(0, &none);
    folder.run("diff --breaking base.xml base.xml").wrote(0, &["no breaking changes"]);
    folder.run("diff @standard @amqp0-9-1,@rabbitmq").wrote(0, &none);
    // The same below both.
    folder.write("empty.xml", "<amqp/>");
    folder.run("diff --standard empty.xml empty.xml").wrote(0, &none);
}

#[test]
fn changes_say_whom_they_break() {
    let folder = Folder::new("diff-changes");
    let new = BASE
        .replace(r#"index="11" synchronous="1""#, r#"index="12" deprecated="1" synchronous="1""#)
        .replace(r#"name="queue" domain"#, r#"name="name" domain"#);
    folder.write("new.xml", &new);
    let lines = [
        "~ queue.declare.name: renamed: queue -> name",
        "    breaks the API: the field has another name",
        "~ queue.declare-ok: index: 11 -> 12",
        "    breaks the wire: peers take it for another method",
        "~ queue.declare-ok: now deprecated",
        "+ queue.pause: added: 50.20, sent by the client or the server, followed by content",
        "    breaks the API: a match on AnyMethod, ToClient or ToServer needs another arm",
        "4 changes: 2 break the API, 1 break the wire",
    ];
    folder.run("diff base.xml new.xml,overlay.xml").wrote(1, &lines);
    let breaking: Vec<&str> =
        lines[..7].iter().copied().filter(|line| !line.contains("deprecated")).collect();
    let count = ["3 breaking changes: 2 break the API, 1 break the wire"];
    folder
        .run("diff --breaking base.xml new.xml,overlay.xml")
        .wrote(1, &[&breaking[..], &count].concat());
    folder.run("diff base.xml,overlay.xml base.xml").wrote(
        1,
        &[
            "- queue.pause: removed: 50.20, sent by the client or the server, followed by content",
            "    breaks the API: the struct is gone",
            "    breaks the wire: a peer that sends it isn't understood",
            "1 change: 1 break the API, 1 break the wire",
        ],
    );
}

/// With `--breaking`, the exit status tells whether something breaks.
#[test]
fn only_breaking_changes() {
    let folder = Folder::new("diff-breaking");
    folder.write("new.xml", &BASE.replace(r#"index="11""#, r#"index="11" deprecated="1""#));
    folder.run("diff base.xml new.xml").wrote(
        1,
        &["~ queue.declare-ok: now deprecated", "1 change: 0 break the API, 0 break the wire"],
    );
    folder.run("diff --breaking base.xml new.xml").wrote(0, &["no breaking changes"]);
}

#[test]
fn places_are_those_of_both() {
    let folder = Folder::new("diff-places");
    folder.write("new.xml", &format!("\n{}", BASE.replace(r#"index="11""#, r#"index="12""#)));
    folder.run("diff --places base.xml new.xml").wrote(
        1,
        &[
            "~ queue.declare-ok: index: 11 -> 12",
            "    breaks the wire: peers take it for another method",
            "    was at base.xml:14:5",
            "    now at new.xml:15:5",
            "1 change: 0 break the API, 1 break the wire",
        ],
    );
}

/// 1 is for differences, so mistakes are something else.
#[test]
fn what_has_mistakes_is_not_compared() {
    let folder = Folder::new("diff-mistakes");
    folder.write("wrong.xml", &BASE.replace(r#"index="11""#, r#"index="10""#));
    let message = "wrong.xml:14:5: error: queue.declare-ok: duplicate method index 10; the first is at wrong.xml:7:5";
    folder.run("diff base.xml wrong.xml").complained(2, &[message]);
    folder.run("diff wrong.xml base.xml").complained(2, &[message]);
}

/// The published files against ours: what `tests/official.rs` states as facts, the command says too.
#[test]
fn ours_and_the_published_one() {
    let folder = env::var_os("AMQP091_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference"),
        PathBuf::from,
    );
    let published = folder.join("amqp0-9-1.extended.xml");
    if !published.is_file() {
        let required = env::var_os("AMQP091_REQUIRE_REFERENCE").is_some_and(|value| value == "1");
        assert!(!required, "reference files not found in {}", folder.display());
        eprintln!("reference files not found: comparison did not run");
        return;
    }
    let folder = Folder::new("diff-published");
    let published = published.canonicalize().unwrap();
    let ran = folder.run(&format!("diff {} @standard", published.display()));
    assert_eq!((ran.status, &*ran.err), (1, ""));
    for line in [
        "~ connection.update-secret: sent by: server -> client",
        "~ connection.blocked: sent by: client or server -> server",
        "~ property basic.cluster-id: renamed: reserved -> cluster-id",
        "~ basic.recover: responses: none -> recover-ok",
        "~ confirm.select.no-wait: renamed: nowait -> no-wait",
    ] {
        assert!(ran.out.lines().any(|other| other == line), "{line}\nis not in\n{}", ran.out);
    }
    // Directions and the reply to basic.recover are all that ours has otherwise on the wire.
    let wire = ran.out.lines().filter(|line| line.starts_with("    breaks the wire: "));
    assert_eq!(wire.count(), 5, "{}", ran.out);
    assert!(!ran.out.lines().any(|line| line.starts_with(['+', '-'])), "{}", ran.out);

    // And it says what is wrong with the published one.
    let ran = folder.run(&format!("check {}", published.display()));
    let warning = "warning: basic.recover-ok: looks like the reply to basic.recover, which doesn't name it as a response";
    assert!(ran.out.contains(warning), "{}", ran.out);
}
