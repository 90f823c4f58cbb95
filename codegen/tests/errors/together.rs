//! Mistakes of several files and stages: all at once, and each once.

use crate::{errors, specification};

#[test]
fn all_mistakes_of_all_files_at_once() {
    // A file that isn't XML could hold anything: then nothing is merged.
    let base = specification(
        r#"<constant name="a" value="x"/>
<class name="c" handler="channel">
<method name="m" index="1" synchronous="2"><wrong/></method>
</class>
<unknown/>"#,
    );
    assert_eq!(
        errors(&[&base, "<amqp>\n<class/>", "<amqp><domain name=\"d\"/></amqp>"]),
        [
            "base.xml:4:1: constant a: value=\"x\"; expected a number from 0 to 18446744073709551615",
            "base.xml:5:1: c: <class> lacks the attribute \"index\"",
            "base.xml:6:1: c.m: synchronous=\"2\"; expected \"0\" or \"1\"",
            "base.xml:6:44: c.m: unknown element <wrong> in <method>; expected doc, rule, chassis, response or field",
            "base.xml:8:1: unknown element <unknown> in <amqp>; expected constant, domain or class",
            "overlay.xml:1:1: malformed XML: <amqp> is never closed",
            "third.xml:1:7: domain d: <domain> lacks the attribute \"type\"",
        ]
    );

    // Those of merging and of checking, in the order of the files.
    let base = specification(
        r#"<class name="c" handler="channel" index="1">
<method name="m" index="2"><response name="n"/><field name="f" domain="shrtstr"/></method>
<method name="l" index="2" content="1"><chassis name="server" implement="MUST"/></method>
</class>"#,
    );
    let overlay = r#"<amqp port="1">
<constant name="frame-end" value="1"/>
<class name="c" index="3"><rule name="r" on-failure="no"/></class>
</amqp>"#;
    assert_eq!(
        errors(&[&base, overlay]),
        [
            "base.xml:5:1: c.m: no direction: the method lacks <chassis>, which says who receives it",
            "base.xml:5:28: c.m: unknown response \"n\": the class has no such method",
            "base.xml:5:48: c.m.f: unknown domain \"shrtstr\"; did you mean \"shortstr\"?",
            "base.xml:6:1: c.l: duplicate method index 2; the first is at base.xml:5:1",
            "base.xml:6:1: c.l: the method carries content, but the class has no content properties (fields)",
            "overlay.xml:1:1: overlay redefines the port: 5672 at base.xml:1:1, 1 here; an overlay may only add",
            "overlay.xml:2:1: constant frame-end: overlay redefines the value: 206 at base.xml:2:1, 1 here; an overlay may only add",
            "overlay.xml:3:1: c: overlay redefines the index: 1 at base.xml:4:1, 3 here; an overlay may only add",
            "overlay.xml:3:27: c: rule \"r\": on-failure names no constant: \"no\"",
        ]
    );
}

/// What the stages find is told together.
#[test]
fn mistakes_of_all_stages_at_once() {
    let base = specification(
        r#"<class name="c" handler="channel" index="1">
<method name="m" index="1" sync="1">
<field name="f" domain="shrtstr" hidden="1"/>
<field name="g" domain="short"/>
</method>
<method name="n" index="1"><chassis name="server" implement="MUST"/></method>
</class>"#,
    );
    let overlay = r#"<amqp>
<class name="c" index="1"><method name="m" index="2"/></class>
<domain name="d" type="lng"/><constant name="e" value="-1"/>
</amqp>"#;
    assert_eq!(
        errors(&[&base, overlay]),
        [
            "base.xml:5:1: c.m: unknown attribute \"sync\" of <method>; expected name, index, synchronous, content, deprecated or label",
            "base.xml:5:1: c.m: no direction: the method lacks <chassis>, which says who receives it",
            "base.xml:6:1: c.m.f: unknown attribute \"hidden\" of <field>; expected name, domain, type, reserved, label, required, default or secret",
            "base.xml:6:1: c.m.f: unknown domain \"shrtstr\"; did you mean \"shortstr\"?",
            "base.xml:9:1: c.n: duplicate method index 1; the first is at base.xml:5:1",
            "overlay.xml:2:27: c.m: overlay redefines the index: 1 at base.xml:5:1, 2 here; an overlay may only add",
            "overlay.xml:3:1: domain d: unknown type \"lng\"; did you mean \"long\"?",
            "overlay.xml:3:30: constant e: value=\"-1\"; expected a number from 0 to 18446744073709551615",
        ]
    );
}

/// What one mistake alone explains isn't told as another.
#[test]
fn one_mistake_is_told_once() {
    // Each is right as it stands, and wrong in one way with the change.
    let right = specification(
        r#"<domain name="path" type="shortstr"/>
<constant name="no-luck" value="599" class="hard-error" recoverable="1"/>
<class name="c" handler="channel" index="1">
<field name="p" domain="path"/>
<method name="ask" index="1" content="1"><chassis name="server" implement="MUST"/>
<rule name="r" on-failure="no-luck"/><response name="answer"/><field name="max" domain="path"/></method>
<method name="answer" index="2"><chassis name="client" implement="MUST"/>
<field name="max" domain="short"><assert check="le" method="ask" field="max"/></field></method>
</class>"#,
    );
    let overlay = r#"<amqp>
<class name="c" index="1"><method name="ask" index="1"><field name="max" domain="path"/></method></class>
</amqp>"#;
    assert_eq!(errors(&[&right, overlay]), [""; 0]);
    for (from, to) in [
        // Not XML at all.
        ("</class>", "</clas>"),
        ("<amqp major=", "<amqq major="),
        ("</amqp>", "</amqp><"),
        // An element that is lost, by its name, by its attributes, or as its name isn't one.
        (r#"<domain name="path""#, r#"<domian name="path""#),
        (r#"name="path" type"#, r#"name="path" typ="1" type"#),
        (r#"<domain name="path" type="shortstr"/>"#, r#"<domain name="path"/>"#),
        (r#"<domain name="path""#, "<domain"),
        (r#"<constant name="no-luck""#, r#"<const name="no-luck""#),
        (r#"value="599""#, r#"value="many""#),
        (r#"class="hard-error""#, r#"class="hard""#),
        (r#"<class name="c" handler="channel""#, r#"<class name="c" handler="chanel""#),
        (r#"handler="channel" index="1""#, r#"handler="channel" index="one""#),
        (r#"<field name="p" domain="path"/>"#, r#"<feild name="p" domain="path"/>"#),
        (r#"<field name="p" domain="path"/>"#, r#"<field name="p"/>"#),
        (r#"<method name="answer" index="2">"#, r#"<method name="answer" index="-2">"#),
        (r#"<method name="answer""#, "<method"),
        (r#"<method name="ask" index="1""#, r#"<method name="ask" index="x""#),
        (
            r#"index="1" content="1"><chassis name="server""#,
            r#"index="1" content="1"><chassis name="broker""#,
        ),
        (
            r#"<chassis name="client" implement="MUST"/>"#,
            r#"<chassis name="client" implement="must"/>"#,
        ),
        (
            r#"<chassis name="client" implement="MUST"/>"#,
            r#"<chasis name="client" implement="MUST"/>"#,
        ),
        (
            r#"<field name="max" domain="path"/>"#,
            r#"<field name="max" domain="path" type="short"/>"#,
        ),
        (r#"port="5672""#, r#"port="high""#),
        (r#"port="5672""#, r#"prt="1" port="5672""#),
        (r#"recoverable="1""#, r#"recoverable="1" x="""#),
    ] {
        assert_eq!(right.matches(from).count(), 1, "{from} is there once");
        let errors = errors(&[&right.replace(from, to), overlay]);
        assert_eq!(errors.len(), 1, "{from} -> {to}: {errors:#?}");
    }
    // A name that isn't one can't be made Rust of; its own mistake is all that there is to tell.
    for (from, to) in [("\"path\"", "\"a path\""), ("\"ask\"", "\"1ask\""), ("\"c\"", "\"C\"")] {
        let changed = |text: &str| text.replace(from, to);
        let errors = errors(&[&changed(&right), &changed(overlay)]);
        assert!(
            errors
                .iter()
                .all(|error| error.ends_with("; expected lower-case words joined by hyphens")),
            "{from} -> {to}: {errors:#?}"
        );
        assert!(!errors.is_empty());
    }
}
