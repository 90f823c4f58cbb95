//! Every mistake that the generator knows, and what it says about it: text for text, place for place.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "errors/additions.rs"]
mod additions;
#[path = "errors/overlays.rs"]
mod overlays;
#[path = "errors/together.rs"]
mod together;

use amqp091_codegen::{Source, generate};

/// What is wrong with the files: `base.xml`, then `overlay.xml`.
fn errors(texts: &[&str]) -> Vec<String> {
    let names = ["base.xml", "overlay.xml", "third.xml"];
    let sources: Vec<Source> =
        names.iter().zip(texts).map(|(name, text)| Source::new(*name, *text)).collect();
    match generate(&sources) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

/// A specification with this content, each line of which begins in column 1 from line 4 on. The file around it has the
/// domains `bit`, `short` and `shortstr`, and the reply code `not-found`.
fn specification(content: &str) -> String {
    format!(
        r#"<amqp major="0" minor="9" revision="1" port="5672">
<constant name="frame-end" value="206"/><constant name="not-found" value="404" class="soft-error"/>
<domain name="bit" type="bit"/><domain name="short" type="short"/><domain name="shortstr" type="shortstr"/>
{content}
</amqp>"#
    )
}

/// One file with this content is wrong in these ways.
#[track_caller]
fn assert_errors(content: &str, expected: &[&str]) {
    assert_eq!(errors(&[&specification(content)]), expected, "{content}");
}

/// A class with these methods, one a line from line 5 on.
fn class(methods: &str) -> String {
    format!("<class name=\"c\" handler=\"channel\" index=\"1\">\n{methods}\n</class>")
}

/// A method that is right.
const FINE: &str =
    r#"<method name="fine" index="99"><chassis name="server" implement="MUST"/></method>"#;

#[test]
fn what_is_right_is_accepted() {
    assert_errors(&class(FINE), &[]);
}

#[test]
fn malformed_xml() {
    for (text, expected) in [
        ("", "base.xml:1:1: malformed XML: no element at all"),
        (
            "<amqp>\n  <class>\n</amqp>",
            "base.xml:3:1: malformed XML: ill-formed document: expected `</class>`, but `</amqp>` was found",
        ),
        (
            "<amqp>\n  <class a=b/>\n</amqp>",
            "base.xml:2:3: malformed XML: position 8: attribute value must be enclosed in `\"` or `'`",
        ),
        ("<amqp>\n\n", "base.xml:1:1: malformed XML: <amqp> is never closed"),
        ("<amqp>&nbsp;</amqp>", "base.xml:1:7: malformed XML: unknown entity &nbsp;"),
        ("<protocol/>", "base.xml:1:1: the outermost element is <protocol>; expected <amqp>"),
    ] {
        assert_eq!(errors(&[text]), [expected], "{text}");
    }
}

#[test]
fn elements_and_attributes_that_the_schema_does_not_have() {
    assert_errors(
        "<konstant/>",
        &["base.xml:4:1: unknown element <konstant> in <amqp>; expected constant, domain or class"],
    );
    assert_errors(
        &class(
            r#"<method name="m" index="1"><chassis name="server" implement="MUST"/><fields/></method>"#,
        ),
        &[
            "base.xml:5:69: c.m: unknown element <fields> in <method>; expected doc, rule, chassis, response or field",
        ],
    );
    assert_errors(
        &class(r#"<method name="m" index="1"><doc>a <b>b</b></doc></method>"#),
        &["base.xml:5:35: c.m: unknown element <b> in <doc>; expected none"],
    );
    assert_errors(
        &class(
            r#"<method name="m" index="1" sync="1"><chassis name="server" implement="MUST"/></method>"#,
        ),
        &[
            "base.xml:5:1: c.m: unknown attribute \"sync\" of <method>; expected name, index, synchronous, content, deprecated or label",
        ],
    );
    assert_errors("stray", &["base.xml:4:1: text directly inside <amqp>; text belongs into <doc>"]);
}

#[test]
fn attributes_that_are_missing() {
    assert_errors(
        r#"<constant value="1"/>"#,
        &["base.xml:4:1: <constant> lacks the attribute \"name\""],
    );
    assert_errors(
        r#"<constant name="a"/>"#,
        &["base.xml:4:1: constant a: <constant> lacks the attribute \"value\""],
    );
    assert_errors(
        r#"<domain name="a"/>"#,
        &["base.xml:4:1: domain a: <domain> lacks the attribute \"type\""],
    );
    assert_errors(
        r#"<class name="c" index="1"/>"#,
        &["base.xml:4:1: c: <class> lacks the attribute \"handler\""],
    );
    assert_errors(
        &class(r#"<method name="m"><chassis name="server"/><response/></method>"#),
        &[
            "base.xml:5:1: c.m: <method> lacks the attribute \"index\"",
            "base.xml:5:18: c.m: <chassis> lacks the attribute \"implement\"",
            "base.xml:5:42: c.m: <response> lacks the attribute \"name\"",
        ],
    );
    assert_eq!(
        errors(&["<amqp minor=\"9\" revision=\"1\"/>"]),
        [
            "base.xml:1:1: <amqp> lacks the attribute \"major\"",
            "base.xml:1:1: <amqp> lacks the attribute \"port\"",
        ]
    );
}

#[test]
fn values_that_attributes_can_not_have() {
    for (content, expected) in [
        (
            r#"<constant name="a" value="1x"/>"#,
            r#"constant a: value="1x"; expected a number from 0 to 18446744073709551615"#,
        ),
        (
            r#"<constant name="a" value="+1"/>"#,
            r#"constant a: value="+1"; expected a number from 0 to 18446744073709551615"#,
        ),
        (
            r#"<constant name="a" value="1" class="error"/>"#,
            r#"constant a: class="error"; expected "soft-error" or "hard-error""#,
        ),
        (
            r#"<constant name="A_B" value="1"/>"#,
            r#"constant A_B: name="A_B"; expected lower-case words joined by hyphens"#,
        ),
        (
            r#"<class name="c" handler="channel" index="65536"/>"#,
            r#"c: index="65536"; expected a number from 0 to 65535"#,
        ),
        (
            r#"<class name="c" handler="socket" index="1"/>"#,
            r#"c: handler="socket"; expected "connection" or "channel""#,
        ),
        (
            r#"<class name="c" handler="channel" index="1"><chassis name="peer" implement="MUST"/></class>"#,
            r#"c: name="peer"; expected "server" or "client""#,
        ),
        (
            r#"<class name="c" handler="channel" index="1"><chassis name="server" implement="must"/></class>"#,
            r#"c: implement="must"; expected "MUST", "SHOULD" or "MAY""#,
        ),
        (
            r#"<class name="c" handler="channel" index="1"><field name="f" type="bit" reserved="yes"/></class>"#,
            r#"c.f: reserved="yes"; expected "0" or "1""#,
        ),
        (
            r#"<class name="c" handler="channel" index="1"><method name="m" index="1" synchronous="true"/></class>"#,
            r#"c.m: synchronous="true"; expected "0" or "1""#,
        ),
        (
            r#"<domain name="d" type="short"><assert check="positive"/></domain>"#,
            r#"domain d: check="positive"; expected "notnull", "length", "regexp", "among" or "le""#,
        ),
        (
            r#"<domain name="d" type="short"><assert check="length" value="many"/></domain>"#,
            r#"domain d: value="many"; expected a number from 0 to 4294967295"#,
        ),
        (
            r#"<domain name="d" type="short"><doc type="poem"/></domain>"#,
            r#"domain d: type="poem"; expected "scenario" or "grammar""#,
        ),
    ] {
        let errors = errors(&[&specification(content)]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        let (place, message) = errors[0].split_once(": ").unwrap();
        assert!(place.starts_with("base.xml:4:"), "{place}");
        assert_eq!(message, expected);
    }
}

#[test]
fn domains_and_types_that_do_not_exist() {
    assert_errors(
        r#"<domain name="d" type="shrtstr"/>"#,
        &["base.xml:4:1: domain d: unknown type \"shrtstr\"; did you mean \"shortstr\"?"],
    );
    assert_errors(
        &class(&format!(
            r#"{FINE}<method name="m" index="1"><chassis name="server" implement="MUST"/>
  <field name="a" domain="shrtstr"/>
  <field name="b" type="queue-name"/>
  <field name="c"/>
</method>"#
        )),
        &[
            "base.xml:6:3: c.m.a: unknown domain \"shrtstr\"; did you mean \"shortstr\"?",
            "base.xml:7:3: c.m.b: unknown type \"queue-name\"",
            "base.xml:8:3: c.m.c: a field has either a domain or a type; this one has neither",
        ],
    );
    assert_errors(
        &class(
            r#"<method name="m" index="1"><chassis name="server" implement="MUST"/>
  <field name="a" domain="shrtstr"/>
  <field name="b" type="queue-name"/>
  <field name="c" domain="nothing-like-it"/>
</method>"#,
        ),
        &[
            "base.xml:6:3: c.m.a: unknown domain \"shrtstr\"; did you mean \"shortstr\"?",
            "base.xml:7:3: c.m.b: unknown type \"queue-name\"",
            "base.xml:8:3: c.m.c: unknown domain \"nothing-like-it\"",
        ],
    );
    assert_errors(
        r#"<class name="c" handler="channel" index="1"><field name="f" domain="bit" type="bit"/></class>"#,
        &["base.xml:4:45: c.f: a field has either a domain or a type; this one has both"],
    );
}

#[test]
fn names_and_numbers_used_twice() {
    assert_errors(
        "<constant name=\"a\" value=\"1\"/>\n<constant name=\"a\" value=\"2\"/>",
        &["base.xml:5:1: constant a: duplicate constant name \"a\"; the first is at base.xml:4:1"],
    );
    // Only reply codes are numbers of the same thing.
    assert_errors(
        "<constant name=\"a\" value=\"206\"/>\n<constant name=\"b\" value=\"404\" class=\"hard-error\"/>",
        &["base.xml:5:1: constant b: duplicate reply code 404; the first is at base.xml:2:41"],
    );
    assert_errors(
        "<domain name=\"bit\" type=\"bit\"/>",
        &["base.xml:4:1: domain bit: duplicate domain name \"bit\"; the first is at base.xml:3:1"],
    );
    assert_errors(
        &format!("{}\n<class name=\"c\" handler=\"channel\" index=\"2\"/>", class(FINE)),
        &["base.xml:7:1: c: duplicate class name \"c\"; the first is at base.xml:4:1"],
    );
    assert_errors(
        &format!("{}\n<class name=\"d\" handler=\"channel\" index=\"1\"/>", class(FINE)),
        &["base.xml:7:1: d: duplicate class index 1; the first is at base.xml:4:1"],
    );
    assert_errors(
        &class(&format!("{FINE}\n{FINE}")),
        &["base.xml:6:1: c.fine: duplicate method name \"fine\"; the first is at base.xml:5:1"],
    );
    assert_errors(
        &class(&format!("{FINE}\n{}", FINE.replace("fine", "good"))),
        &["base.xml:6:1: c.good: duplicate method index 99; the first is at base.xml:5:1"],
    );
    assert_errors(
        &class(
            r#"<method name="m" index="1"><chassis name="server" implement="MUST"/>
<field name="f" type="bit"/>
<field name="f" type="short"/>
</method>"#,
        ),
        &["base.xml:7:1: c.m.f: duplicate field name \"f\"; the first is at base.xml:6:1"],
    );
    assert_errors(
        &class("<field name=\"f\" type=\"bit\"/>\n<field name=\"f\" type=\"short\"/>"),
        &["base.xml:6:1: c.f: duplicate property name \"f\"; the first is at base.xml:5:1"],
    );
    assert_errors(
        &class(
            r#"<method name="m" index="1">
<chassis name="server" implement="MUST"/>
<chassis name="server" implement="MAY"/>
</method>"#,
        ),
        &["base.xml:7:1: c.m: duplicate chassis server; the first is at base.xml:6:1"],
    );
}

#[test]
fn responses_that_can_not_be() {
    let ask = |response: &str, reply: &str| {
        class(&format!(
            r#"<method name="ask" index="1"><chassis name="server" implement="MUST"/>
<response name="{response}"/>
</method>
<method name="answer" index="2"><chassis name="{reply}" implement="MUST"/></method>"#
        ))
    };
    assert_errors(&ask("answer", "client"), &[]);
    assert_errors(
        &ask("anser", "client"),
        &[
            "base.xml:6:1: c.ask: unknown response \"anser\": the class has no such method; did you mean \"answer\"?",
        ],
    );
    assert_errors(
        &ask("ask", "client"),
        &["base.xml:6:1: c.ask: the method is named as a response to itself"],
    );
    assert_errors(
        &ask("answer", "server"),
        &[
            "base.xml:6:1: c.ask: the response \"answer\" can't come back: the method is received by the server, and the response by the server too",
        ],
    );
    assert_errors(
        &ask("answer\"/>\n<response name=\"answer", "client"),
        &["base.xml:7:1: c.ask: duplicate response \"answer\"; the first is at base.xml:6:1"],
    );
}

#[test]
fn one_rust_name_for_two_things() {
    assert_errors(
        &class(
            r#"<method name="m" index="1"><chassis name="server" implement="MUST"/>
<field name="no-wait" type="bit"/>
<field name="nowait" type="bit"/>
</method>"#,
        ),
        &[
            "base.xml:7:1: c.m.nowait: would be no_wait in Rust, which c.m.no-wait at base.xml:6:1 already is",
        ],
    );
    // The methods are known by index, the mistake is that of the later one in the file.
    assert_errors(
        &class(&format!(
            "{}\n{}",
            FINE.replace("fine", "a-1"),
            FINE.replace("fine", "a1").replace("99", "1")
        )),
        &["base.xml:6:1: c.a1: would be A1 in Rust, which c.a-1 at base.xml:5:1 already is"],
    );
    assert_errors(
        "<class name=\"no-wait\" handler=\"channel\" index=\"1\"/>\n<class name=\"nowait\" handler=\"channel\" index=\"2\"/>",
        &[
            "base.xml:5:1: nowait: would be no_wait in Rust, which no-wait at base.xml:4:1 already is",
        ],
    );
    assert_errors(
        &format!(
            "{}\n{}",
            class(&FINE.replace("fine", "d-e")),
            class(&FINE.replace("fine", "e")).replace("\"c\"", "\"c-d\"").replace("\"1\"", "\"2\"")
        ),
        &[
            "base.xml:8:1: c-d.e: would be AnyMethod::CDE in Rust, which c.d-e at base.xml:5:1 already is",
        ],
    );
    assert_errors(
        "<constant name=\"no-wait\" value=\"1\"/>\n<constant name=\"nowait\" value=\"2\"/>",
        &[
            "base.xml:5:1: constant nowait: would be constants::NO_WAIT in Rust, which constant no-wait at base.xml:4:1 already is",
        ],
    );
}

#[test]
fn names_that_the_generated_code_needs() {
    assert_errors(
        "<constant name=\"port\" value=\"1\"/>",
        &[
            "base.xml:4:1: constant port: would be constants::PORT in Rust, which is the port of the protocol",
        ],
    );
    assert_errors(
        "<class name=\"constants\" handler=\"channel\" index=\"1\"/>",
        &[
            "base.xml:4:1: constants: would be constants in Rust, which is the module of the constants",
        ],
    );
    assert_errors(
        &class(&format!(
            "<field name=\"f\" type=\"bit\"/>\n{}",
            FINE.replace("fine", "properties")
        )),
        &[
            "base.xml:6:1: c.properties: would be Properties in Rust, which is the struct of the content properties",
        ],
    );
    assert_errors(
        &class(
            r#"<method name="get" index="1"><chassis name="server" implement="MUST"/><response name="a"/><response name="get-reply"/></method>
<method name="get-reply" index="2"><chassis name="client" implement="MUST"/></method>
<method name="a" index="3"><chassis name="client" implement="MUST"/></method>"#,
        ),
        &[
            "base.xml:6:1: c.get-reply: would be GetReply in Rust, which is the enum of the replies to c.get",
        ],
    );
}

#[test]
fn contents_and_properties() {
    assert_errors(
        &class(&FINE.replace("<method", "<method content=\"1\"")),
        &[
            "base.xml:5:1: c.fine: the method carries content, but the class has no content properties (fields)",
        ],
    );
    let properties = |count: usize| -> String {
        (1..=count).map(|number| format!("<field name=\"f{number}\" type=\"short\"/>")).collect()
    };
    assert_errors(&class(&properties(15)), &[]);
    assert_errors(
        &class(&properties(16)),
        &["base.xml:4:1: c: 16 content properties; one word of flags holds at most 15"],
    );
}

#[test]
fn rules_and_asserts_that_lead_nowhere() {
    let rule = |name: &str| {
        class(&format!("<rule name=\"01\" on-failure=\"{name}\"><doc>No.</doc></rule>\n{FINE}"))
    };
    assert_errors(&rule("not-found"), &[]);
    assert_errors(
        &rule("not-fund"),
        &[
            "base.xml:5:1: c: rule \"01\": on-failure names no constant: \"not-fund\"; did you mean \"not-found\"?",
        ],
    );
    assert_errors(
        &rule("frame-end"),
        &[
            "base.xml:5:1: c: rule \"01\": on-failure names \"frame-end\", which is no reply code: the constant has no class",
        ],
    );
    let le = |method: &str, field: &str| {
        class(&format!(
            r#"<method name="tune" index="1"><chassis name="client" implement="MUST"/><field name="max" type="short"/></method>
<method name="tune-ok" index="2"><chassis name="server" implement="MUST"/><field name="max" type="short">
<assert check="le" method="{method}" field="{field}"/>
</field></method>"#
        ))
    };
    assert_errors(&le("tune", "max"), &[]);
    assert_errors(
        &le("tone", "max"),
        &[
            "base.xml:7:1: c.tune-ok.max: assert \"le\": the class has no method \"tone\"; did you mean \"tune\"?",
        ],
    );
    assert_errors(
        &le("tune", "min"),
        &["base.xml:7:1: c.tune-ok.max: assert \"le\": c.tune has no field \"min\""],
    );
    let assert = "<assert check=\"le\" method=\"m\" field=\"f\"/>";
    assert_errors(
        &format!("<domain name=\"d\" type=\"short\">{assert}</domain>"),
        &[
            "base.xml:4:31: domain d: assert \"le\" compares with another field, which only the field of a method can",
        ],
    );
    // A mistake of a domain is reported once, however many fields it has.
    assert_errors(
        &format!(
            "<domain name=\"d\" type=\"short\"><rule name=\"01\" on-failure=\"no\"/></domain>\n{}",
            class("<field name=\"a\" domain=\"d\"/>\n<field name=\"b\" domain=\"d\"/>")
        ),
        &["base.xml:4:31: domain d: rule \"01\": on-failure names no constant: \"no\""],
    );
}

#[test]
fn methods_that_nobody_receives() {
    assert_errors(
        &class("<method name=\"m\" index=\"1\"/>"),
        &[
            "base.xml:5:1: c.m: no direction: the method lacks <chassis>, which says who receives it",
        ],
    );
}

#[test]
fn reply_codes_that_are_too_large() {
    assert_errors(
        "<constant name=\"a\" value=\"65536\" class=\"soft-error\"/>",
        &["base.xml:4:1: constant a: the reply code 65536 doesn't fit 16 bits"],
    );
}
