//! What the specification says about a thing, as rustdoc.
//!
//! The order is always: a summary line, the text, what holds on the wire, the rules. The text of a specification is not
//! Markdown: whatever rustdoc would take for a link, an element, a list or code is escaped, except code between backticks.

use std::fmt::Display;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Class, Field, Method};
use crate::names;
use crate::schema::{AssertCheck, Constant, Docs, Handler, Role, Rule, Text, TextKind};

/// One attribute a line: a single one with many lines would be printed as a block comment.
pub(super) fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> TokenStream {
    let lines = lines.into_iter().map(|line| match line.as_ref() {
        "" => String::new(),
        line => format!(" {line}"),
    });
    quote!(#(#[doc = #lines])*)
}

/// An integer without the suffix of its type.
pub(super) fn number(value: impl Into<u64>) -> Literal {
    Literal::u64_unsuffixed(value.into())
}

pub(super) fn class(class: &Class) -> TokenStream {
    let mut page = Page::new(&class.docs, || format!("The class `{}`.", class.name));
    let channel = match class.handler {
        Handler::Connection => "channel 0",
        Handler::Channel => "any channel but 0",
    };
    page.paragraph([format!("Class {}; sent on {channel}.", class.index)]);
    // Documentation outside of a module is read from its parent.
    page.rules(&class.docs.rules, "");
    page.grammar(&class.docs.texts);
    lines(page.0)
}

pub(super) fn method(class: &Class, method: &Method) -> TokenStream {
    let path = format!("{}.{}", class.name, method.name);
    let mut page = Page::new(&method.docs, || format!("The method `{path}`."));
    if method.deprecated {
        page.paragraph(["Deprecated by the specification."]);
    }
    let mut wire =
        format!("Class {}, method {}; sent by {}", class.index, method.index, sent_by(method));
    if method.content {
        wire.push_str("; carries content");
    }
    if !method.responses.is_empty() {
        let replies: Vec<String> = method
            .responses
            .iter()
            .map(|response| format!("[`{}`]", names::camel_ident(&response.name)))
            .collect();
        wire.push_str(&format!("; answered by {}", replies.join(" or ")));
    }
    page.paragraph([wire + "."]);
    page.rules(&method.docs.rules, "super::");
    page.grammar(&method.docs.texts);
    lines(page.0)
}

fn sent_by(method: &Method) -> &'static str {
    match (method.sent_by(Role::Client), method.sent_by(Role::Server)) {
        (true, true) => "both peers",
        (true, false) => "the client",
        (false, _) => "the server",
    }
}

pub(super) fn field(parent: &str, field: &Field) -> TokenStream {
    let mut page = Page::new(&field.docs, || format!("The field `{}` of `{parent}`.", field.name));
    let asserts: Vec<String> = field
        .asserts
        .iter()
        .map(|assert| match &assert.check {
            AssertCheck::NotNull => "not null".to_owned(),
            AssertCheck::Length(0) => "empty".to_owned(),
            AssertCheck::Length(length) => format!("at most {length} octets"),
            AssertCheck::Regexp(pattern) => format!("matches {}", code(pattern)),
            AssertCheck::Among(values) => {
                let values: Vec<String> = values.iter().map(u64::to_string).collect();
                crate::problem::one_of(&values)
            }
            AssertCheck::Le { method, field } => format!("at most `{method}.{field}`"),
        })
        .collect();
    if !asserts.is_empty() {
        page.paragraph([format!(
            "The specification asserts, and this type doesn't enforce: {}.",
            asserts.join("; ")
        )]);
    }
    page.rules(&field.docs.rules, "super::");
    lines(page.0)
}

/// Documentation of a constant: no label, at most a text.
pub(super) fn constant(constant: &Constant, last: Option<String>) -> TokenStream {
    let mut page = Page::new(&constant.docs, || format!("`{}`.", constant.name));
    if let Some(last) = last {
        page.paragraph([last]);
    }
    lines(page.0)
}

/// The text as one plain paragraph.
pub(super) fn plain(docs: &Docs) -> Option<String> {
    let texts = docs.texts.iter().filter(|text| text.kind == TextKind::Prose);
    let words: Vec<&str> = texts.flat_map(|text| text.text.split_whitespace()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The summary alone, for lists.
pub(super) fn summary(docs: &Docs) -> Option<String> {
    docs.label.as_deref().and_then(sentence)
}

/// Lines of rustdoc, paragraph by paragraph.
struct Page(Vec<String>);

impl Page {
    /// Begins with the label and the text, or, where there is neither, with something that is true at least.
    fn new(docs: &Docs, otherwise: impl FnOnce() -> String) -> Self {
        let mut page = Self(Vec::new());
        if let Some(summary) = summary(docs) {
            page.paragraph([summary]);
        }
        for paragraph in paragraphs(&docs.texts) {
            page.paragraph(paragraph);
        }
        if page.0.is_empty() {
            page.paragraph([otherwise()]);
        }
        page
    }

    fn paragraph(&mut self, lines: impl IntoIterator<Item = impl Into<String>>) {
        if !self.0.is_empty() {
            self.0.push(String::new());
        }
        self.0.extend(lines.into_iter().map(Into::into));
    }

    fn rules(&mut self, rules: &[Rule], to_root: &str) {
        if rules.is_empty() {
            return;
        }
        self.paragraph(["# Rules"]);
        self.0.push(String::new());
        for rule in rules {
            let mut item = vec![format!("**{}**", escape(&rule.name))];
            if let Some(name) = &rule.on_failure {
                let code = names::constant_ident(name);
                item.push(format!("(else [`{code}`]({to_root}ReplyCode::{code}))"));
            }
            let mut item = vec![item.join(" ") + ":"];
            for (index, paragraph) in paragraphs(&rule.texts).into_iter().enumerate() {
                if index > 0 {
                    item.push(String::new());
                }
                item.extend(paragraph);
            }
            if item.len() == 1 {
                item = vec![item.concat().trim_end_matches(':').to_owned()];
            }
            for (index, line) in item.into_iter().enumerate() {
                let indent = match (index, line.as_str()) {
                    (0, _) => "- ",
                    (_, "") => "",
                    _ => "  ",
                };
                self.0.push(format!("{indent}{line}"));
            }
        }
    }

    fn grammar(&mut self, texts: &[Text]) {
        for text in texts.iter().filter(|text| text.kind == TextKind::Grammar) {
            self.paragraph(["# Grammar", "", "```text"]);
            self.0.extend(dedented(&text.text));
            self.0.push("```".to_owned());
        }
    }
}

/// The paragraphs of all prose: runs of lines that aren't blank, trimmed and escaped.
fn paragraphs(texts: &[Text]) -> Vec<Vec<String>> {
    let mut paragraphs = Vec::new();
    for text in texts.iter().filter(|text| text.kind == TextKind::Prose) {
        let mut paragraph: Vec<&str> = Vec::new();
        for line in text.text.lines().map(str::trim).chain([""]) {
            if !line.is_empty() {
                paragraph.push(line);
            } else if !paragraph.is_empty() {
                // Escaped as a whole: code may run on into the next line.
                let escaped = escape(&paragraph.join("\n"));
                paragraphs.push(escaped.lines().map(str::to_owned).collect());
                paragraph.clear();
            }
        }
    }
    paragraphs
}

/// The lines of a preformatted text without the indentation that all of them share.
fn dedented(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let shared = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or_default();
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.get(shared..).unwrap_or_default().replace("```", "'''"))
        .collect();
    let blank = |line: &&String| line.is_empty();
    let start = lines.iter().take_while(blank).count();
    let end = lines.iter().rev().take_while(blank).count();
    lines.into_iter().rev().skip(end).rev().skip(start).collect()
}

/// A label as a sentence: with a capital and a full stop.
fn sentence(label: &str) -> Option<String> {
    let label = label.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = label.chars();
    let first = characters.next()?;
    let stop = if label.ends_with(['.', '!', '?']) { "" } else { "." };
    let text: String = first.to_uppercase().chain(characters).collect();
    Some(escape(&text) + stop)
}

fn code(text: impl Display) -> String {
    let text = text.to_string();
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// Makes Markdown of a text that is none, save that code between backticks stays.
fn escape(text: &str) -> String {
    // An odd one closes nothing, and three would open a block.
    let has_code = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    let mut escaped = String::with_capacity(text.len());
    for (index, piece) in text.split('`').enumerate() {
        let in_code = has_code && index % 2 == 1;
        if index > 0 {
            escaped.push_str(if has_code { "`" } else { "\\`" });
        }
        if in_code {
            escaped.push_str(piece);
        } else {
            escape_prose(piece, &mut escaped);
        }
    }
    escaped
}

fn escape_prose(text: &str, escaped: &mut String) {
    let mut rest = text;
    let mut line_start = escaped.is_empty() || escaped.ends_with('\n');
    while let Some(character) = rest.chars().next() {
        if let Some(url) = url(rest) {
            escaped.push('<');
            escaped.push_str(url);
            escaped.push('>');
            rest = rest.get(url.len()..).unwrap_or_default();
            line_start = false;
            continue;
        }
        let special = match character {
            '[' | ']' | '<' | '>' | '*' | '\\' => true,
            // Between letters it is one of them.
            '_' => !escaped.ends_with(char::is_alphanumeric),
            '#' | '+' | '-' | '=' | '~' | '|' => line_start,
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        escaped.push(character);
        line_start = character == '\n';
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
}

/// The address that a text begins with, without the punctuation that ends the sentence.
fn url(text: &str) -> Option<&str> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let end = text
        .find(|character: char| character.is_whitespace() || "<>\"'()[]".contains(character))
        .unwrap_or(text.len());
    Some(text.get(..end)?.trim_end_matches(['.', ',', ';', ':', '!', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_escaped() {
        for (text, expected) in [
            ("plain, en_US text.", "plain, en_US text."),
            ("an [array] of <octets>", "an \\[array\\] of \\<octets\\>"),
            ("see http://www.amqp.org.", "see <http://www.amqp.org>."),
            ("(https://a.b/c_d)", "(<https://a.b/c_d>)"),
            ("`a[0]` and a[0]", "`a[0]` and a\\[0\\]"),
            ("one ` alone", "one \\` alone"),
            ("```\ncode", "\\`\\`\\`\ncode"),
            ("*.stock\n# any\n- no list", "\\*.stock\n\\# any\n\\- no list"),
            ("_a_b", "\\_a_b"),
        ] {
            assert_eq!(escape(text), expected, "{text}");
        }
    }

    #[test]
    fn labels_become_sentences() {
        assert_eq!(sentence("publish a\n  message").as_deref(), Some("Publish a message."));
        assert_eq!(sentence("Done.").as_deref(), Some("Done."));
        assert_eq!(sentence(" "), None);
    }

    #[test]
    fn grammar_keeps_its_shape() {
        assert_eq!(
            dedented("\n    a = b\n        / c\n\n    d = e\n   "),
            ["a = b", "    / c", "", "d = e"]
        );
    }
}
