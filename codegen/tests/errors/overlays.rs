//! What overlays may do, and what they may not.

use amqp091_codegen::{Source, generate, standard};

use crate::{FINE, class, errors, specification};

/// A base with a class `c` of one method `m`, which has a field and a response; and what an overlay with this content,
/// in line 2, is said to do wrong.
fn overlay_errors(content: &str) -> Vec<String> {
    let base = specification(
        r#"<class name="c" handler="channel" index="1" label="one">
<chassis name="server" implement="MUST"/>
<field name="p" type="short"/>
<method name="m" index="1" synchronous="1"><chassis name="server" implement="MUST"/>
<response name="m-ok"/><field name="f" type="bit"/>
</method>
<method name="m-ok" index="2"><chassis name="client" implement="MUST"/></method>
</class>"#,
    );
    errors(&[&base, &format!("<amqp>\n{content}\n</amqp>")])
}

/// The same inside the class.
fn class_overlay_errors(content: &str) -> Vec<String> {
    overlay_errors(&format!("<class name=\"c\" index=\"1\">{content}</class>"))
}

#[test]
fn overlays_add() {
    for content in [
        "",
        r#"<constant name="frame-end" value="206"/>"#,
        r#"<domain name="bit" type="bit"/>"#,
        r#"<domain name="new" type="table"/><class name="d" handler="channel" index="2"/>"#,
    ] {
        assert_eq!(overlay_errors(content), [""; 0], "{content}");
    }
    for content in [
        "",
        r#"<chassis name="server" implement="MUST"/><chassis name="client" implement="MAY"/>"#,
        r#"<method name="m" index="1"><chassis name="client" implement="MUST"/></method>"#,
        r#"<method name="m" index="1" synchronous="1"><response name="m-ok"/><doc>More.</doc></method>"#,
        r#"<method name="n" index="3"><chassis name="client" implement="MUST"/></method>"#,
        r#"<field name="p" type="short"/>"#,
        r#"<method name="m" index="1"><field name="f" type="bit" secret="1" label="F"/></method>"#,
    ] {
        assert_eq!(class_overlay_errors(content), [""; 0], "{content}");
    }
}

#[test]
fn overlays_never_redefine() {
    let only = "an overlay may only add";
    for (content, expected) in [
        (
            r#"<constant name="frame-end" value="207"/>"#,
            format!(
                "overlay.xml:2:1: constant frame-end: overlay redefines the value: 206 at base.xml:2:1, 207 here; {only}"
            ),
        ),
        (
            r#"<constant name="not-found" value="404" class="hard-error"/>"#,
            format!(
                "overlay.xml:2:1: constant not-found: overlay redefines the class: class soft-error at base.xml:2:41, class hard-error here; {only}"
            ),
        ),
        (
            r#"<domain name="short" type="long"/>"#,
            format!(
                "overlay.xml:2:1: domain short: overlay redefines the type: short at base.xml:3:32, long here; {only}"
            ),
        ),
        (
            r#"<domain name="short" type="short"><assert check="notnull"/></domain>"#,
            format!(
                "overlay.xml:2:1: domain short: overlay redefines the asserts: none at base.xml:3:32, notnull here; {only}"
            ),
        ),
        (
            r#"<class name="c" index="2"/>"#,
            format!(
                "overlay.xml:2:1: c: overlay redefines the index: 1 at base.xml:4:1, 2 here; {only}"
            ),
        ),
        (
            r#"<class name="c" index="1" handler="connection"/>"#,
            format!(
                "overlay.xml:2:1: c: overlay redefines the handler: channel at base.xml:4:1, connection here; {only}"
            ),
        ),
        (
            r#"<class name="c" index="1" label="two"/>"#,
            format!(
                "overlay.xml:2:1: c: overlay redefines the label: \"one\" at base.xml:4:1, \"two\" here; {only}"
            ),
        ),
        (
            r#"<class name="c" index="1"><field name="p" type="short"/><field name="q" type="bit"/></class>"#,
            format!(
                "overlay.xml:2:1: c: overlay redefines the content properties: p at base.xml:4:1, p, q here; {only}"
            ),
        ),
        (
            r#"<class name="c" index="1"><field name="p" type="bit"/></class>"#,
            format!(
                "overlay.xml:2:27: c.p: overlay redefines what it is made of: type short at base.xml:6:1, type bit here; {only}"
            ),
        ),
    ] {
        assert_eq!(overlay_errors(content), [expected], "{content}");
    }
    for (content, expected) in [
        (r#"<method name="m" index="2"/>"#, "the index: 1 at base.xml:7:1, 2 here"),
        (
            r#"<method name="m" index="1" synchronous="0"/>"#,
            "synchronous: 1 at base.xml:7:1, 0 here",
        ),
        (r#"<method name="m" index="1" content="1"/>"#, "content: 0 at base.xml:7:1, 1 here"),
        (r#"<method name="m" index="1" deprecated="1"/>"#, "deprecated: 0 at base.xml:7:1, 1 here"),
        (
            r#"<method name="m" index="1"><field name="g" type="bit"/></method>"#,
            "the fields: f at base.xml:7:1, g here",
        ),
        (
            r#"<method name="m" index="1"><response name="m"/></method>"#,
            "the responses: m-ok at base.xml:7:1, m here",
        ),
    ] {
        assert_eq!(
            class_overlay_errors(content),
            [format!("overlay.xml:2:27: c.m: overlay redefines {expected}; {only}")],
            "{content}"
        );
    }
    assert_eq!(
        class_overlay_errors(
            r#"<method name="m" index="1"><chassis name="server" implement="MAY"/></method>"#
        ),
        [format!(
            "overlay.xml:2:54: c.m: overlay redefines how a chassis is implemented: MUST at base.xml:7:44, MAY here; {only}"
        )]
    );
    let base = specification("");
    assert_eq!(
        errors(&[&base, "<amqp major=\"1\" minor=\"9\" port=\"5673\"/>"]),
        [
            format!(
                "overlay.xml:1:1: overlay redefines the major version: 0 at base.xml:1:1, 1 here; {only}"
            ),
            format!(
                "overlay.xml:1:1: overlay redefines the port: 5672 at base.xml:1:1, 5673 here; {only}"
            ),
        ]
    );
}

/// What a field is may be said again, whatever is left out, and nothing else.
#[test]
fn fields_named_again() {
    let method = |fields: &str| {
        format!(
            r#"<class name="c" handler="channel" index="1">
<method name="m" index="1"><chassis name="server" implement="MUST"/>
{fields}
</method></class>"#
        )
    };
    let field = r#"<field name="f" domain="shortstr" label="F" default="a" secret="1"><doc>Some
words.</doc><assert check="length" value="9"/></field>"#;
    let old = r#"<field name="old" domain="short" reserved="1"/>"#;
    let base = specification(&method(&format!("{old}\n{field}")));
    let again = |fields: &str| errors(&[&base, &format!("<amqp>\n{}\n</amqp>", method(fields))]);

    assert_eq!(again(&format!("{old}\n{field}")), [""; 0]);
    assert_eq!(again(&format!(r#"{old}<field name="f" domain="shortstr"/>"#)), [""; 0]);

    let only = "an overlay may only add";
    for (fields, expected) in [
        (
            format!(r#"{old}<field name="f" type="shortstr"/>"#),
            "f: overlay redefines what it is made of: domain shortstr at base.xml:7:1, type shortstr here",
        ),
        (
            format!(r#"{old}<field name="f" domain="shortst"/>"#),
            "f: overlay redefines what it is made of: domain shortstr at base.xml:7:1, domain shortst here",
        ),
        (
            field.replace("<field", r#"<field name="old" domain="short"/><field"#),
            "old: overlay redefines reserved: 1 at base.xml:6:1, 0 here",
        ),
        (
            format!(r#"{old}<field name="f" domain="shortstr" required="0"/>"#),
            "f: overlay redefines required: 1 at base.xml:7:1, 0 here",
        ),
        (
            format!(r#"{old}<field name="f" domain="shortstr" default="b"/>"#),
            r#"f: overlay redefines the default: "a" at base.xml:7:1, "b" here"#,
        ),
        (
            format!(r#"{old}<field name="f" domain="shortstr" default=""/>"#),
            r#"f: overlay redefines the default: "a" at base.xml:7:1, zero here"#,
        ),
        (
            format!(r#"{old}<field name="f" domain="shortstr" secret="0"/>"#),
            "f: overlay redefines secret: 1 at base.xml:7:1, 0 here",
        ),
        (
            format!(r#"{old}<field name="f" domain="shortstr" label="G"/>"#),
            r#"f: overlay redefines the label: "F" at base.xml:7:1, "G" here"#,
        ),
        (
            format!("{old}{}", field.replace(r#"value="9""#, r#"value="8""#)),
            "f: overlay redefines the asserts: length 9 at base.xml:7:1, length 8 here",
        ),
    ] {
        let errors = again(&fields);
        assert_eq!(errors.len(), 1, "{errors:?}");
        let (_, message) = errors[0].split_once("c.m.").unwrap();
        assert_eq!(message, format!("{expected}; {only}"), "{fields}");
    }
}

/// The same file twice is the file once, documentation included.
#[test]
fn a_file_over_itself_changes_nothing() {
    let mut twice = standard();
    twice.extend(standard());
    let without_header = |sources: &[Source]| {
        let protocol = generate(sources).unwrap_or_else(|errors| panic!("{errors}")).protocol;
        protocol.split_once('\n').unwrap().1.to_owned()
    };
    assert!(without_header(&twice) == without_header(&standard()));
}

#[test]
fn overlays_of_overlays() {
    let base = specification("");
    let overlay = format!("<amqp>\n{}\n</amqp>", class(FINE));
    let index =
        "<amqp><class name=\"c\" index=\"1\"><method name=\"fine\" index=\"98\"/></class></amqp>";
    assert_eq!(
        errors(&[&base, &overlay, index]),
        [
            "third.xml:1:33: c.fine: overlay redefines the index: 99 at overlay.xml:3:1, 98 here; an overlay may only add"
        ]
    );
}
