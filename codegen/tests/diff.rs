//! What changed between two specifications: one slip of the editor after the other, each with what is said about it and
//! whom it breaks.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;

use amqp091_codegen::diff::{Change, ChangeKind, Subject, diff};
use amqp091_codegen::model::Model;
use amqp091_codegen::{Source, resolve};

const BASE: &str = r#"<amqp major="0" minor="9" revision="1" port="5672">
  <constant name="frame-end" value="206"/>
  <constant name="not-found" value="404" class="soft-error"/>
  <domain name="queue-name" type="shortstr"><assert check="length" value="127"/></domain>
  <domain name="path" type="shortstr"/>
  <domain name="reply-code" type="short"/>
  <class name="queue" index="50" handler="channel">
    <chassis name="server" implement="MUST"/>
    <field name="content-type" type="shortstr"/>
    <field name="priority" type="octet"/>
    <field name="app-id" type="shortstr"/>
    <method name="declare" index="10" synchronous="1">
      <chassis name="server" implement="MUST"/>
      <response name="declare-ok"/>
      <field name="reserved-1" type="short" reserved="1"/>
      <field name="queue" domain="queue-name"/>
      <field name="passive" type="bit"/>
      <field name="durable" type="bit"/>
      <field name="limit" type="longlong"/>
      <field name="code" type="short"/>
      <field name="mode" type="octet"><assert check="among" value="1 2"/></field>
      <field name="nowait" type="bit"/>
    </method>
    <method name="declare-ok" index="11" synchronous="1">
      <chassis name="client" implement="MUST"/>
    </method>
    <method name="deliver" index="60" content="1">
      <chassis name="client" implement="MUST"/>
    </method>
    <method name="bind-ok" index="21">
      <chassis name="client" implement="MUST"/>
    </method>
  </class>
  <class name="tx" index="90" handler="channel">
    <method name="select" index="10"><chassis name="server" implement="MUST"/></method>
  </class>
</amqp>
"#;

/// What is changed in the base, and what is said about it: the change, and whom it breaks.
struct Case {
    edits: &'static [(&'static str, &'static str)],
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    // The specification as a whole.
    Case {
        edits: &[(r#"revision="1""#, r#"revision="2""#)],
        said: &["version: 0.9.1 -> 0.9.2 | wire"],
    },
    Case { edits: &[("5672", "5673")], said: &["port: 5672 -> 5673 | wire"] },
    // Constants.
    Case {
        edits: &[(
            "  <domain name=\"path\"",
            "  <constant name=\"gone\" value=\"410\" class=\"hard-error\"/>\n  <domain name=\"path\"",
        )],
        said: &["constant gone: added: 410, class hard-error |"],
    },
    Case {
        edits: &[(r#"<constant name="frame-end" value="206"/>"#, "")],
        said: &["constant frame-end: removed: 206 | API"],
    },
    Case {
        edits: &[(r#""frame-end""#, r#""frame-tail""#)],
        said: &["constant frame-tail: renamed: frame-end -> frame-tail | API"],
    },
    // The type of the constant is u8 in both.
    Case { edits: &[("206", "207")], said: &["constant frame-end: value: 206 -> 207 | wire"] },
    Case { edits: &[("206", "256")], said: &["constant frame-end: value: 206 -> 256 | API wire"] },
    Case { edits: &[("404", "4")], said: &["constant not-found: value: 404 -> 4 | wire"] },
    Case {
        edits: &[("soft-error", "hard-error")],
        said: &["constant not-found: class soft-error -> class hard-error | wire"],
    },
    Case {
        edits: &[(r#" class="soft-error""#, "")],
        said: &["constant not-found: class soft-error -> no class | API"],
    },
    Case {
        edits: &[(r#""soft-error""#, r#""soft-error" recoverable="1""#)],
        said: &["constant not-found: now recoverable | API"],
    },
    // Domains: what their type breaks is told of their fields.
    Case {
        edits: &[(r#"<domain name="path" type="shortstr"/>"#, "")],
        said: &["domain path: removed: shortstr |"],
    },
    Case {
        edits: &[(r#""path" type="shortstr""#, r#""other-path" type="shortstr""#)],
        said: &["domain other-path: added: shortstr |", "domain path: removed: shortstr |"],
    },
    Case {
        edits: &[(r#""queue-name" type="shortstr""#, r#""queue-name" type="longstr""#)],
        said: &[
            "domain queue-name: type: shortstr -> longstr |",
            "queue.declare.queue: type: shortstr -> longstr | API wire",
        ],
    },
    Case {
        edits: &[("\"127\"", "\"64\"")],
        said: &["domain queue-name: asserts: without length 127, with length 64 | API"],
    },
    Case {
        edits: &[("\"127\"", "\"255\"")],
        said: &["domain queue-name: asserts: without length 127, with length 255 |"],
    },
    // Classes.
    Case {
        edits: &[(r#""tx" index="90""#, r#""tx" index="91""#)],
        said: &["tx: index: 90 -> 91 | wire"],
    },
    Case {
        edits: &[(r#""tx""#, r#""transaction""#)],
        said: &["transaction: renamed: tx -> transaction | API"],
    },
    Case {
        edits: &[(r#""tx" index="90""#, r#""confirm" index="85""#)],
        said: &[
            "confirm: added: 85, on the other channels, with 1 method |",
            "confirm.select: added: 85.10, sent by the client | API",
            "tx: removed: 90, on the other channels, with 1 method | API wire",
            "tx.select: removed: 90.10, sent by the client | API wire",
        ],
    },
    Case {
        edits: &[(r#"index="90" handler="channel""#, r#"index="90" handler="connection""#)],
        said: &["tx: handler: channel -> connection | wire"],
    },
    Case {
        edits: &[("    <chassis name=\"server\" implement=\"MUST\"/>\n    <field", "    <field")],
        said: &["queue: chassis of the server: MUST -> none |"],
    },
    Case {
        edits: &[(
            "  <class name=\"tx\"",
            "  <class name=\"file\" index=\"70\" handler=\"channel\"><field name=\"type\" type=\"octet\"/></class>\n  <class name=\"tx\"",
        )],
        said: &["file: added: 70, on the other channels, with 0 methods | API"],
    },
    // Content properties.
    Case {
        edits: &[(r#"<field name="app-id" type="shortstr"/>"#, "")],
        said: &["property queue.app-id: removed: shortstr, flag bit 13 | API wire"],
    },
    Case {
        edits: &[(
            "    <field name=\"priority\"",
            "    <field name=\"type\" type=\"octet\"/>\n    <field name=\"priority\"",
        )],
        said: &[
            "property queue.priority: flag: bit 14 -> bit 13 | wire",
            "property queue.app-id: flag: bit 13 -> bit 12 | wire",
            "property queue.type: added: octet, flag bit 14 | API",
        ],
    },
    Case {
        edits: &[(
            "    <method name=\"declare\"",
            "    <field name=\"kept\" type=\"bit\" reserved=\"1\"/>\n    <method name=\"declare\"",
        )],
        said: &["property queue.kept: added: reserved bit, flag bit 12 |"],
    },
    Case {
        edits: &[(r#""app-id""#, r#""application""#)],
        said: &["property queue.application: renamed: app-id -> application | API"],
    },
    Case {
        edits: &[(r#""priority" type="octet""#, r#""priority" type="short""#)],
        said: &["property queue.priority: type: octet -> short | API wire"],
    },
    // Methods.
    Case {
        edits: &[(r#""bind-ok" index="21""#, r#""bind-ok" index="22""#)],
        said: &["queue.bind-ok: index: 21 -> 22 | wire"],
    },
    Case {
        edits: &[(r#""bind-ok""#, r#""bound""#)],
        said: &["queue.bound: renamed: bind-ok -> bound | API"],
    },
    Case {
        edits: &[(r#""bind-ok" index="21""#, r#""purge-ok" index="31""#)],
        said: &[
            "queue.purge-ok: added: 50.31, sent by the server | API",
            "queue.bind-ok: removed: 50.21, sent by the server | API wire",
        ],
    },
    Case {
        edits: &[(
            "21\">\n      <chassis name=\"client\"",
            "21\">\n      <chassis name=\"server\"",
        )],
        said: &["queue.bind-ok: sent by: server -> client | API wire"],
    },
    Case {
        edits: &[("21\">\n", "21\">\n      <chassis name=\"server\" implement=\"MAY\"/>\n")],
        said: &["queue.bind-ok: sent by: server -> client or server | API"],
    },
    Case {
        edits: &[(
            "21\">\n      <chassis name=\"client\" implement=\"MUST\"",
            "21\">\n      <chassis name=\"client\" implement=\"MAY\"",
        )],
        said: &["queue.bind-ok: chassis of the client: MUST -> MAY |"],
    },
    Case {
        edits: &[(r#"index="21""#, r#"index="21" synchronous="1""#)],
        said: &["queue.bind-ok: now synchronous |"],
    },
    Case {
        edits: &[(r#" content="1""#, "")],
        said: &["queue.deliver: no longer followed by content | wire"],
    },
    Case {
        edits: &[(r#"index="21""#, r#"index="21" deprecated="1""#)],
        said: &["queue.bind-ok: now deprecated |"],
    },
    Case {
        edits: &[(r#"<response name="declare-ok"/>"#, "")],
        said: &["queue.declare: responses: declare-ok -> none | API wire"],
    },
    Case {
        edits: &[(
            r#"<response name="declare-ok"/>"#,
            r#"<response name="bind-ok"/><response name="declare-ok"/>"#,
        )],
        said: &["queue.declare: responses: declare-ok -> bind-ok, declare-ok | API wire"],
    },
    // The response is renamed where the method is, and that is one change.
    Case {
        edits: &[
            (r#"<response name="declare-ok"/>"#, r#"<response name="declared"/>"#),
            (r#"<method name="declare-ok""#, r#"<method name="declared""#),
        ],
        said: &["queue.declared: renamed: declare-ok -> declared | API"],
    },
    // Fields.
    Case {
        edits: &[(
            "    </method>\n    <method name=\"declare-ok\"",
            "      <field name=\"arguments\" type=\"table\"/>\n    </method>\n    <method name=\"declare-ok\"",
        )],
        said: &["queue.declare.arguments: added: table, field 9 of 9 | API wire"],
    },
    // A bit more in an octet that is there already.
    Case {
        edits: &[(
            "    </method>\n    <method name=\"declare-ok\"",
            "      <field name=\"exclusive\" type=\"bit\"/>\n    </method>\n    <method name=\"declare-ok\"",
        )],
        said: &["queue.declare.exclusive: added: bit, field 9 of 9 | API"],
    },
    Case {
        edits: &[(
            "      <field name=\"limit\"",
            "      <field name=\"exclusive\" type=\"bit\"/>\n      <field name=\"later\" type=\"bit\"/>\n      <field name=\"limit\"",
        )],
        said: &[
            "queue.declare.exclusive: added: bit, field 5 of 10 | API",
            "queue.declare.later: added: bit, field 6 of 10 | API",
        ],
    },
    // Before another bit, it takes that one's place.
    Case {
        edits: &[(
            "      <field name=\"durable\"",
            "      <field name=\"exclusive\" type=\"bit\"/>\n      <field name=\"durable\"",
        )],
        said: &["queue.declare.exclusive: added: bit, field 4 of 9 | API wire"],
    },
    // Elsewhere it is an octet more.
    Case {
        edits: &[(
            "      <field name=\"code\"",
            "      <field name=\"exclusive\" type=\"bit\"/>\n      <field name=\"code\"",
        )],
        said: &["queue.declare.exclusive: added: bit, field 6 of 9 | API wire"],
    },
    Case {
        edits: &[(
            "      <field name=\"limit\"",
            "      <field name=\"kept\" type=\"bit\" reserved=\"1\"/>\n      <field name=\"limit\"",
        )],
        said: &["queue.declare.kept: added: reserved bit, field 5 of 9 |"],
    },
    Case {
        edits: &[(r#"<field name="limit" type="longlong"/>"#, "")],
        said: &["queue.declare.limit: removed: longlong, field 5 of 8 | API wire"],
    },
    Case {
        edits: &[(r#"<field name="durable" type="bit"/>"#, "")],
        said: &["queue.declare.durable: removed: bit, field 4 of 8 | API wire"],
    },
    Case {
        edits: &[(r#"<field name="reserved-1" type="short" reserved="1"/>"#, "")],
        said: &["queue.declare.reserved-1: removed: reserved short, field 1 of 8 | wire"],
    },
    Case {
        edits: &[(r#"name="limit""#, r#"name="max-length""#)],
        said: &["queue.declare.max-length: renamed: limit -> max-length | API"],
    },
    // One name in Rust.
    Case {
        edits: &[(r#"name="nowait""#, r#"name="no-wait""#)],
        said: &["queue.declare.no-wait: renamed: nowait -> no-wait |"],
    },
    // Nobody's name.
    Case {
        edits: &[(r#"name="reserved-1""#, r#"name="kept""#)],
        said: &["queue.declare.kept: renamed: reserved-1 -> kept |"],
    },
    // Another name and another type is another field.
    Case {
        edits: &[(r#"name="limit" type="longlong""#, r#"name="arguments" type="table""#)],
        said: &[
            "queue.declare.arguments: added: table, field 5 of 8 | API wire",
            "queue.declare.limit: removed: longlong, field 5 of 8 | API wire",
        ],
    },
    // Recognised by its place between others, though there is one more before it.
    Case {
        edits: &[
            (r#"name="limit""#, r#"name="max-length""#),
            (
                "      <field name=\"queue\"",
                "      <field name=\"tenant\" domain=\"path\"/>\n      <field name=\"queue\"",
            ),
        ],
        said: &[
            "queue.declare.max-length: renamed: limit -> max-length | API",
            "queue.declare.tenant: added: shortstr, field 2 of 9 | API wire",
        ],
    },
    Case {
        edits: &[(r#"name="limit" type="longlong""#, r#"name="limit" type="long""#)],
        said: &["queue.declare.limit: type: longlong -> long | API wire"],
    },
    // The same octets.
    Case {
        edits: &[(r#"name="limit" type="longlong""#, r#"name="limit" type="timestamp""#)],
        said: &["queue.declare.limit: type: longlong -> timestamp | API"],
    },
    Case {
        edits: &[(r#"name="reserved-1" type="short""#, r#"name="reserved-1" type="long""#)],
        said: &["queue.declare.reserved-1: type: short -> long | wire"],
    },
    Case {
        edits: &[(r#"name="code" type="short""#, r#"name="code" domain="reply-code""#)],
        said: &["queue.declare.code: domain: none -> reply-code | API"],
    },
    // Without the assert of the domain it had.
    Case {
        edits: &[(r#"domain="queue-name""#, r#"domain="path""#)],
        said: &[
            "queue.declare.queue: domain: queue-name -> path |",
            "queue.declare.queue: asserts: without length 127 |",
        ],
    },
    Case {
        edits: &[
            ("      <field name=\"limit\" type=\"longlong\"/>\n", ""),
            (
                "      <field name=\"mode\"",
                "      <field name=\"limit\" type=\"longlong\"/>\n      <field name=\"mode\"",
            ),
        ],
        said: &[
            "queue.declare: order of the fields: reserved-1, queue, passive, durable, limit, code, mode, nowait -> reserved-1, queue, passive, durable, code, limit, mode, nowait | wire",
        ],
    },
    Case {
        edits: &[(r#"type="short" reserved="1""#, r#"type="short""#)],
        said: &["queue.declare.reserved-1: no longer reserved | API"],
    },
    Case {
        edits: &[(
            r#"name="limit" type="longlong""#,
            r#"name="limit" type="longlong" reserved="1""#,
        )],
        said: &["queue.declare.limit: now reserved | API wire"],
    },
    Case {
        edits: &[(r#"name="limit""#, r#"name="limit" required="0""#)],
        said: &["queue.declare.limit: no longer required |"],
    },
    Case {
        edits: &[(r#"name="limit""#, r#"name="limit" default="7""#)],
        said: &["queue.declare.limit: default: zero -> 7 | API"],
    },
    Case {
        edits: &[(r#"domain="queue-name""#, r#"domain="queue-name" secret="1""#)],
        said: &["queue.declare.queue: now secret |"],
    },
    Case {
        edits: &[(r#"value="1 2""#, r#"value="1 2 3""#)],
        said: &["queue.declare.mode: asserts: without among 1 2, with among 1 2 3 |"],
    },
    Case {
        edits: &[(r#"value="1 2""#, r#"value="2""#)],
        said: &["queue.declare.mode: asserts: without among 1 2, with among 2 | API"],
    },
];

fn model(text: &str) -> Model {
    let source = Source::new("spec.xml", text);
    resolve(&[source]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = BASE.to_owned();
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "{from} is there once");
        text = text.replace(from, to);
    }
    text
}

/// The change, and whom it breaks.
fn said(change: &Change) -> String {
    let api = if change.breaks.api.is_some() { " API" } else { "" };
    let wire = if change.breaks.wire.is_some() { " wire" } else { "" };
    format!("{change} |{api}{wire}")
}

#[test]
fn each_change_is_said_once_with_whom_it_breaks() {
    for case in CASES {
        let changes = diff(&model(BASE), &model(&edited(case.edits)));
        let changes: Vec<String> = changes.iter().map(said).collect();
        assert_eq!(changes, case.said, "{:?}", case.edits);
    }
}

#[test]
fn what_is_the_same_is_no_change() {
    assert_eq!(diff(&model(BASE), &model(BASE)), []);
    // Neither are documentation and the order of what has none.
    let was = model(BASE);
    let tx = BASE.find("  <class name=\"tx\"").unwrap();
    let end = BASE.find("</amqp>").unwrap();
    let queue = BASE.find("  <class name=\"queue\"").unwrap();
    let moved = [&BASE[..queue], &BASE[tx..end], &BASE[queue..tx], &BASE[end..]].concat();
    let documented = moved.replace(r#"name="bind-ok""#, r#"name="bind-ok" label="Bound""#);
    assert_eq!(diff(&was, &model(&documented)), []);
}

/// What is an overlay and what is in the base is the same specification.
#[test]
fn it_does_not_matter_in_which_file_something_stands() {
    let tx = BASE.find("  <class name=\"tx\"").unwrap();
    let end = BASE.find("</amqp>").unwrap();
    let parts = [
        ("base.xml", format!("{}</amqp>", &BASE[..tx])),
        ("overlay.xml", format!("<amqp>{}</amqp>", &BASE[tx..end])),
    ];
    let sources = parts.map(|(name, text)| Source::new(name, text));
    assert_eq!(diff(&model(BASE), &resolve(&sources).unwrap()), []);
}

/// Backwards, what was added is removed; each change is seen from both sides.
#[test]
fn both_directions_see_as_many_things_change() {
    let subjects = |changes: Vec<Change>| -> BTreeSet<String> {
        changes.iter().map(|change| format!("{:?}", change.subject)).collect()
    };
    for case in CASES {
        let (was, now) = (model(BASE), model(&edited(case.edits)));
        let (there, back) = (diff(&was, &now), diff(&now, &was));
        assert_eq!(there.len(), back.len(), "{:?}", case.edits);
        assert_eq!(subjects(there), subjects(back), "{:?}", case.edits);
    }
}

#[test]
fn changes_say_where_both_state_it() {
    let changes =
        diff(&model(BASE), &model(&edited(&[(r#"name="limit""#, r#"name="max-length""#)])));
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.subject, Subject::Field);
    let line = 1 + BASE[..BASE.find("name=\"limit\"").unwrap()].matches('\n').count();
    let place = Some(format!("spec.xml:{line}:7"));
    assert_eq!(change.was_at.as_ref().map(ToString::to_string), place);
    assert_eq!(change.now_at.as_ref().map(ToString::to_string), place);

    let added = "  <constant name=\"gone\" value=\"410\"/>\n</amqp>";
    let changes = diff(&model(BASE), &model(&edited(&[("</amqp>", added)])));
    assert_eq!(changes[0].was_at, None);
    assert!(changes[0].now_at.is_some());
    let changes = diff(&model(&edited(&[("</amqp>", added)])), &model(BASE));
    assert!(changes[0].was_at.is_some());
    assert_eq!(changes[0].now_at, None);
}

#[test]
fn a_ninth_bit_is_an_octet_more() {
    let bits = |count: usize| {
        let bits: String =
            (0..count).map(|bit| format!(r#"<field name="bit{bit}" type="bit"/>"#)).collect();
        let from = r#"<method name="select" index="10"><chassis name="server" implement="MUST"/>"#;
        model(&BASE.replace(from, &format!("{from}{bits}")))
    };
    let wire = |was: usize, now: usize| {
        let changes = diff(&bits(was), &bits(now));
        changes.iter().map(|change| change.breaks.wire.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(wire(0, 1), [true]);
    assert_eq!(wire(7, 8), [false]);
    assert_eq!(wire(8, 9), [true]);
    assert_eq!(wire(7, 9), [false, true]);
    assert_eq!(wire(9, 10), [false]);
}

/// The cases above have every kind of change there is.
#[test]
fn every_kind_has_a_case() {
    let mut seen = BTreeSet::new();
    for case in CASES {
        for change in diff(&model(BASE), &model(&edited(case.edits))) {
            seen.insert(match change.kind {
                ChangeKind::Added(_) => "added",
                ChangeKind::Removed(_) => "removed",
                ChangeKind::Renamed { .. } => "renamed",
                ChangeKind::Version { .. } => "version",
                ChangeKind::Port { .. } => "port",
                ChangeKind::Value { .. } => "value",
                ChangeKind::ErrorClass { .. } => "error class",
                ChangeKind::Recoverable { .. } => "recoverable",
                ChangeKind::Index { .. } => "index",
                ChangeKind::Handler { .. } => "handler",
                ChangeKind::Implement { .. } => "implement",
                ChangeKind::SentBy { .. } => "sent by",
                ChangeKind::Responses { .. } => "responses",
                ChangeKind::Synchronous { .. } => "synchronous",
                ChangeKind::Content { .. } => "content",
                ChangeKind::Deprecated { .. } => "deprecated",
                ChangeKind::Type { .. } => "type",
                ChangeKind::Domain { .. } => "domain",
                ChangeKind::Order { .. } => "order",
                ChangeKind::Flag { .. } => "flag",
                ChangeKind::Reserved { .. } => "reserved",
                ChangeKind::Required { .. } => "required",
                ChangeKind::Default { .. } => "default",
                ChangeKind::Secret { .. } => "secret",
                ChangeKind::Asserts { .. } => "asserts",
                other => panic!("add it to the list: {other:?}"),
            });
        }
    }
    assert_eq!(seen.len(), 25, "{seen:?}");
}
