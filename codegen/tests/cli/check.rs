//! `check`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::path::Path;

use super::run::{BASE, Folder, OVERLAY, not_found};

#[test]
fn what_is_fine_is_said_to_be() {
    let folder = Folder::new("check-fine");
    let fine = "no mistakes in 1 class, 3 methods, 2 constants, 1 domain";
    folder.run("check base.xml overlay.xml").wrote(0, &[fine]);
    folder.run("check --deny-warnings base.xml overlay.xml").wrote(0, &[fine]);
    folder.run_with_input("check base.xml -", OVERLAY).wrote(0, &[fine]);
    folder.run_with_input("check - overlay.xml", BASE).wrote(0, &[fine]);
}

/// Ours are free of mistakes and of what looks like them, as they are in the repository and as they are carried.
#[test]
fn the_standard_is_fine() {
    let folder = Folder::new("check-standard");
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let files = format!(
        "check --deny-warnings {} {}",
        spec.join("amqp0-9-1.xml").display(),
        spec.join("rabbitmq.xml").display()
    );
    let extended = "no mistakes in 7 classes, 64 methods, 25 constants, 24 domains";
    folder.run(&files).wrote(0, &[extended]);
    for line in ["check --standard", "check @standard", "check @amqp0-9-1 @rabbitmq"] {
        folder.run(&format!("{line} --deny-warnings")).wrote(0, &[extended]);
    }
    let standard = "no mistakes in 6 classes, 53 methods, 24 constants, 24 domains";
    folder.run("check --deny-warnings @amqp0-9-1").wrote(0, &[standard]);
    // It lies below the overlay, where it can be seen.
    let index = |index: u16| {
        let method = format!(r#"<method name="pause" index="{index}" label="Pause">"#);
        let chassis = r#"<chassis name="server" implement="MAY"/>"#;
        let class = format!(r#"<class name="queue" index="50">{method}{chassis}</method></class>"#);
        folder.write("acme.xml", &format!("<amqp>\n{class}\n</amqp>"));
        folder.run("check acme.xml --standard")
    };
    let fine = "no mistakes in 7 classes, 65 methods, 25 constants, 24 domains";
    index(200).wrote(0, &[fine]);
    let taken = index(20);
    let message = "acme.xml:2:32: error: queue.pause: duplicate method index 20; \
                   the first is at amqp091-codegen/spec/amqp0-9-1.xml:";
    assert!(taken.out.starts_with(message), "{}", taken.out);
    assert!(taken.out.ends_with("\n1 error\n"), "{}", taken.out);
    assert_eq!((taken.status, taken.out.lines().count()), (1, 2));
}

#[test]
fn all_mistakes_are_shown_with_their_places() {
    let folder = Folder::new("check-mistakes");
    folder.write("base.xml", &BASE.replace(r#"type="long""#, r#"type="lng""#));
    folder.write("overlay.xml", &OVERLAY.replace(r#"index="20""#, r#"index="10""#));
    folder.run("check base.xml overlay.xml").wrote(
        1,
        &[
            r#"base.xml:12:7: error: queue.declare.limit: unknown type "lng"; did you mean "long"?"#,
            "overlay.xml:3:5: error: queue.pause: duplicate method index 10; the first is at base.xml:7:5",
            "2 errors",
        ],
    );
    let wrong = "<amqp>\n  <clas/>\n";
    folder
        .run_with_input("check base.xml -", wrong)
        .wrote(1, &["<stdin>:1:1: error: malformed XML: <amqp> is never closed", "1 error"]);
}

#[test]
fn an_overlay_alone_is_told_what_it_lacks() {
    let folder = Folder::new("check-alone");
    folder.write("empty.xml", "<amqp/>");
    let lacks = ["major", "minor", "revision", "port"]
        .map(|name| format!(r#"empty.xml:1:1: error: <amqp> lacks the attribute "{name}""#));
    let help =
        "empty.xml:1:1: help: if this is an overlay, name its base before it, or say --standard";
    let lines = [&lacks[0], &lacks[1], &lacks[2], &lacks[3], help];
    folder.run("check empty.xml").wrote(1, &[&lines[..], &["4 errors"]].concat());
    folder.run("list empty.xml").complained(1, &lines);
    assert_eq!(folder.run("check --standard empty.xml").status, 0);
}

#[test]
fn warnings_are_no_mistakes_unless_they_are_denied() {
    let folder = Folder::new("check-warnings");
    folder.write("overlay.xml", &OVERLAY.replace(r#" label="Pause""#, ""));
    let lines = [
        "overlay.xml:3:5: warning: queue.pause: undocumented: neither label nor doc",
        "1 warning in 1 class, 3 methods, 2 constants, 1 domain",
    ];
    folder.run("check base.xml overlay.xml").wrote(0, &lines);
    folder.run("check base.xml overlay.xml --deny-warnings").wrote(1, &lines);
}

#[test]
fn files_that_cannot_be_read_are_no_mistakes() {
    let folder = Folder::new("check-absent");
    let message = format!("amqp091-codegen: absent.xml: {}", not_found());
    folder.run("check base.xml absent.xml").complained(2, &[&message]);
    // A folder can't be read either.
    let ran = folder.run("check .");
    assert!(ran.err.starts_with("amqp091-codegen: .: "), "{}", ran.err);
    assert_eq!((ran.status, &*ran.out), (2, ""));
    // What begins with a hyphen is a file after two of them.
    folder.write("-x.xml", BASE);
    let fine = "no mistakes in 1 class, 2 methods, 2 constants, 1 domain";
    folder.run("check -- -x.xml").wrote(0, &[fine]);
    folder.write("@x.xml", BASE);
    folder.run("check ./@x.xml").wrote(0, &[fine]);
}

/// What is in a file is shown, not obeyed.
#[test]
fn control_characters_reach_no_terminal() {
    let folder = Folder::new("check-control");
    let constant = r#"<constant name="x&#10;y&#27;[31m" value="1"/>"#;
    folder.write("overlay.xml", &format!("<amqp>{constant}</amqp>"));
    folder.run("check base.xml overlay.xml").wrote(
        1,
        &[
            r#"overlay.xml:1:7: error: constant x\ny\u{1b}[31m: name="x\ny\u{1b}[31m"; expected lower-case words joined by hyphens"#,
            "1 error",
        ],
    );
    // A rule may be called anything.
    let rule = r#"<method name="pause" index="20" label="Pause"><rule name="&#27;[31m"/>"#;
    folder.write(
        "overlay.xml",
        &OVERLAY.replace(
            r#"<method name="pause" index="20" content="1" deprecated="1" label="Pause">"#,
            rule,
        ),
    );
    let ran = folder.run("check base.xml overlay.xml");
    assert!(ran.out.contains(r#"rule "\u{1b}[31m" has no doc"#), "{}", ran.out);
    // And a text may hold anything.
    let field = r#"<field name="text" type="shortstr" label="Text" default="&#27;[31m"/>"#;
    folder.write("overlay.xml", &OVERLAY.replace("    </method>", &format!("{field}</method>")));
    folder.write(
        "other.xml",
        &OVERLAY.replace("    </method>", &format!("{}</method>", field.replace("[31m", ""))),
    );
    for line in ["list base.xml overlay.xml", "diff base.xml,other.xml base.xml,overlay.xml"] {
        let ran = folder.run(line);
        assert!(ran.out.contains(r#""\u{1b}[31m""#), "{}", ran.out);
        assert!(!ran.out.contains('\x1b'), "{}", ran.out);
    }
    let ran = folder.command("check").arg("\x1b[31m.xml").output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(err.starts_with(r"amqp091-codegen: \u{1b}[31m.xml: "), "{err}");
}

/// A device, say, which would never end.
#[test]
fn files_without_end_are_not_read() {
    let folder = Folder::new("check-large");
    folder.write("large.xml", "");
    folder.grow("large.xml", amqp091_codegen::FILE_SIZE_MAX + 1);
    let message = "amqp091-codegen: large.xml: larger than 64 MiB, so no specification";
    folder.run("check large.xml").complained(2, &[message]);
}
