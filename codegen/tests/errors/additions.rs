//! Mistakes in what this project adds to the published schema: defaults, recoverable errors, numbers to choose from.

use super::{FINE, assert_errors, class};

/// A method with this field, in line 5.
fn with_field(field: &str) -> String {
    class(&format!(
        r#"<method name="m" index="1"><chassis name="server" implement="MUST"/>{field}</method>"#
    ))
}

#[test]
fn defaults_that_do_not_fit_their_type() {
    let column = 69;
    for (field, value, expected) in [
        (r#"domain="bit""#, "2", r#""0" or "1""#),
        (r#"domain="bit""#, "true", r#""0" or "1""#),
        (r#"type="octet""#, "256", "a number from 0 to 255"),
        (r#"domain="short""#, "-1", "a number from 0 to 65535"),
        (r#"type="long""#, "4294967296", "a number from 0 to 4294967295"),
        (r#"type="timestamp""#, "now", "a number from 0 to 18446744073709551615"),
        (r#"type="table""#, "", "none: a table is empty by default"),
        (r#"domain="bit" reserved="1""#, "1", "none: the field is reserved"),
    ] {
        assert_errors(
            &with_field(&format!(r#"<field name="f" {field} default="{value}"/>"#)),
            &[&format!(r#"base.xml:5:{column}: c.m.f: default="{value}"; expected {expected}"#)],
        );
    }
    let long = "x".repeat(256);
    assert_errors(
        &with_field(&format!(r#"<field name="f" domain="shortstr" default="{long}"/>"#)),
        &[&format!(r#"base.xml:5:{column}: c.m.f: default="{long}"; expected at most 255 octets"#)],
    );
}

#[test]
fn defaults_that_fit() {
    for field in [
        r#"domain="bit" default="0""#,
        r#"domain="bit" default="1""#,
        r#"domain="short" default="65535""#,
        r#"domain="shortstr" default="""#,
        r#"type="longstr" default="text""#,
    ] {
        assert_errors(&with_field(&format!(r#"<field name="f" {field}/>"#)), &[]);
    }
}

#[test]
fn properties_have_no_default() {
    let content = format!(
        "<class name=\"c\" handler=\"channel\" index=\"1\">\n<field name=\"p\" domain=\"short\" default=\"1\"/>{FINE}</class>"
    );
    let expected =
        "base.xml:5:1: c.p: a content property has no default: it is absent unless it is set";
    assert_errors(&content, &[expected]);
}

#[test]
fn only_errors_are_recoverable() {
    assert_errors(
        r#"<constant name="frame-odd" value="207" recoverable="1"/>"#,
        &["base.xml:4:1: constant frame-odd: recoverable is for errors, which have a class"],
    );
    assert_errors(
        r#"<constant name="no-luck" value="599" class="hard-error" recoverable="1"/>"#,
        &[],
    );
    assert_errors(
        r#"<constant name="no-luck" value="599" class="hard-error" recoverable="yes"/>"#,
        &[r#"base.xml:4:1: constant no-luck: recoverable="yes"; expected "0" or "1""#],
    );
}

#[test]
fn numbers_to_choose_from() {
    let field = |value: &str| {
        with_field(&format!(
            r#"<field name="f" domain="short"><assert check="among" value="{value}"/></field>"#
        ))
    };
    assert_errors(&field("1 2"), &[]);
    for value in ["", "1, 2", "-1", "one"] {
        let expected = format!(
            r#"base.xml:5:100: c.m.f: value="{value}"; expected numbers with spaces between them"#
        );
        assert_errors(&field(value), &[&expected]);
    }
}

#[test]
fn patterns_that_nobody_could_check() {
    let domain = |pattern: &str| {
        format!(
            r#"<domain name="d" type="shortstr"><assert check="regexp" value="{pattern}"/></domain>"#
        )
    };
    assert_errors(&domain("^[a-z]*$"), &[]);
    assert_errors(
        &domain("^(a|b)$"),
        &[
            "base.xml:4:34: domain d: the pattern ^(a|b)$ can't be checked; expected a set of characters, repeated: ^[a-z]*$",
        ],
    );
    let field = r#"<field name="f" domain="shortstr"><assert check="regexp" value="x+"/></field>"#;
    assert_errors(
        &with_field(field),
        &[
            "base.xml:5:103: c.m.f: the pattern x+ can't be checked; expected a set of characters, repeated: ^[a-z]*$",
        ],
    );
}
