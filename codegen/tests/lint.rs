//! What looks like a mistake in a specification, each in a small one that has nothing else.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use amqp091_codegen::lint::lint;
use amqp091_codegen::{Source, generate, resolve, standard};

/// Nothing looks wrong with it.
const FINE: &str = r#"<amqp major="0" minor="9" revision="1" port="5672">
  <constant name="frame-end" value="206"><doc>The last octet.</doc></constant>
  <domain name="queue-name" type="shortstr" label="Queue"><assert check="length" value="9"/></domain>
  <domain name="timestamp" type="timestamp"/>
  <class name="queue" index="50" handler="channel" label="Queues">
    <field name="type" type="shortstr" label="Type"/>
    <method name="declare" index="10" synchronous="1" label="Declare">
      <rule name="once"><doc>Only once.</doc></rule>
      <chassis name="server" implement="MUST"/>
      <response name="declare-ok"/>
      <field name="reserved-1" type="short" reserved="1"/>
      <field name="queue" domain="queue-name"/>
      <field name="mode" type="octet" label="Mode"><assert check="among" value="1 2"/></field>
      <field name="passive" type="bit" label="Passive"/>
    </method>
    <method name="declare-ok" index="11" synchronous="1" label="Declared">
      <chassis name="client" implement="MUST"/>
    </method>
  </class>
</amqp>
"#;

fn warnings(sources: &[Source]) -> Vec<String> {
    let model = resolve(sources).unwrap_or_else(|errors| panic!("{errors}"));
    lint(&model).iter().map(ToString::to_string).collect()
}

#[test]
fn each_is_seen_where_it_is() {
    for (from, to, expected) in [
        (r#"label="Mode""#, r#"label="Mode""#, &[][..]),
        (
            "<doc>The last octet.</doc>",
            "",
            &["a.xml:2:3: constant frame-end: undocumented: neither label nor doc"],
        ),
        (
            r#" label="Queue""#,
            "",
            &[
                "a.xml:12:7: queue.declare.queue: undocumented: neither label nor doc, nor has its domain",
            ],
        ),
        // It is looked for where it is used.
        (
            r#"domain="queue-name""#,
            r#"type="shortstr" label="Queue""#,
            &["a.xml:3:3: domain queue-name: no field has this domain"],
        ),
        (
            r#"type="bit" label="Passive""#,
            r#"type="bit""#,
            &["a.xml:14:7: queue.declare.passive: undocumented: neither label nor doc"],
        ),
        (r#" label="Type""#, "", &["a.xml:6:5: queue.type: undocumented: neither label nor doc"]),
        (r#" label="Queues""#, "", &["a.xml:5:3: queue: undocumented: neither label nor doc"]),
        (
            r#" label="Declared""#,
            "",
            &["a.xml:16:5: queue.declare-ok: undocumented: neither label nor doc"],
        ),
        (
            "<doc>Only once.</doc>",
            "",
            &[r#"a.xml:8:7: queue.declare: rule "once" has no doc: nobody knows what it demands"#],
        ),
        (
            r#"index="10" synchronous="1""#,
            r#"index="10""#,
            &["a.xml:7:5: queue.declare: not synchronous, though it names a response"],
        ),
        (
            r#"<response name="declare-ok"/>"#,
            "",
            &[
                "a.xml:7:5: queue.declare: synchronous, but it names no response and isn't one",
                "a.xml:16:5: queue.declare-ok: looks like the reply to queue.declare, which doesn't name it as a response",
            ],
        ),
        (
            r#"type="octet" label="Mode""#,
            r#"type="shortstr" label="Mode""#,
            &[r#"a.xml:13:55: queue.declare.mode: assert "among 1 2" has no effect on a shortstr"#],
        ),
        (
            r#""queue-name" type="shortstr""#,
            r#""queue-name" type="table""#,
            &[r#"a.xml:3:56: domain queue-name: assert "length 9" has no effect on a table"#],
        ),
        (r#"check="among" value="1 2""#, r#"check="notnull""#, &[]),
        (
            r#"type="octet" label="Mode""#,
            r#"type="octet" label="Mode" default="3""#,
            &[r#"a.xml:13:7: queue.declare.mode: default 3 breaks assert "among 1 2""#],
        ),
        (r#"type="octet" label="Mode""#, r#"type="octet" label="Mode" default="2""#, &[]),
        (
            r#"<field name="queue" domain="queue-name"/>"#,
            r#"<field name="queue" domain="queue-name" default="too long!!"/>"#,
            &[r#"a.xml:12:7: queue.declare.queue: default "too long!!" breaks assert "length 9""#],
        ),
        (
            r#"<field name="queue" domain="queue-name"/>"#,
            r#"<field name="queue" domain="queue-name" default="NO!"><assert check="regexp" value="^[a-z]*$"/></field>"#,
            &[r#"a.xml:12:7: queue.declare.queue: default "NO!" breaks assert "regexp ^[a-z]*$""#],
        ),
        (
            r#"<field name="queue" domain="queue-name"/>"#,
            r#"<field name="queue" domain="queue-name" default="yes"><assert check="regexp" value="^[a-z]*$"/></field>"#,
            &[],
        ),
    ] {
        assert_eq!(FINE.matches(from).count(), 1, "{from} is there once");
        let text = FINE.replace(from, to);
        let source = Source::new("a.xml", text);
        assert_eq!(warnings(&[source]), expected, "{from} -> {to}");
    }
}

#[test]
fn nothing_looks_wrong_with_the_standard() {
    assert_eq!(warnings(&standard()), Vec::<String>::new());
    assert_eq!(warnings(&standard()[..1]), Vec::<String>::new());
}

/// As the published files are: nothing hides a password.
#[test]
fn credentials_that_are_not_marked_are_seen() {
    let mut sources = standard();
    let marks: usize =
        sources.iter().map(|source| source.text.matches(r#" secret="1""#).count()).sum();
    assert_eq!(marks, 3);
    for source in &mut sources {
        source.text = source.text.replace(r#" secret="1""#, "");
    }
    let fields = ["start-ok.response", "secure-ok.response", "update-secret.new-secret"];
    let seen = warnings(&sources);
    assert_eq!(seen.len(), fields.len(), "{seen:?}");
    for field in fields {
        let what = format!(
            r#": connection.{field}: holds credentials, but isn't marked secret="1": they would be printed"#
        );
        assert!(seen.iter().any(|warning| warning.ends_with(&what)), "{field}: {seen:?}");
    }

    // An overlay marks them.
    let overlay = r#"<amqp><class name="connection" index="10">
  <method name="start-ok" index="11">
    <field name="client-properties" domain="peer-properties"/>
    <field name="mechanism" domain="shortstr"/>
    <field name="response" domain="longstr" secret="1"/>
    <field name="locale" domain="shortstr"/>
  </method>
  <method name="secure-ok" index="21"><field name="response" domain="longstr" secret="1"/></method>
</class></amqp>"#;
    sources.push(Source::new("secrets.xml", overlay));
    let seen = warnings(&sources);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].contains("update-secret"), "{seen:?}");
    let protocol = generate(&sources).unwrap().protocol;
    assert_eq!(protocol.matches(".with_secret()").count(), 2);
    assert_eq!(protocol.matches(r#""response", &format_args!("(hidden)")"#).count(), 2);
}
