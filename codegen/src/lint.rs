//! What is no mistake, but looks like one: a domain that no field has, a request without a reply, a field that nobody
//! has described, credentials that would be printed.
//!
//! Nothing here keeps code from being generated. It is for those who write a specification: the command
//! `amqp091-codegen check` shows it.
//!
//! ```
//! use amqp091_codegen::{Source, lint, resolve, standard};
//!
//! let mut sources = standard();
//! let text = r#"<amqp><domain name="acme-name" type="shortstr" label="A name"/></amqp>"#;
//! sources.push(Source::new("acme.xml", text));
//! let warnings = lint::lint(&resolve(&sources)?);
//! assert_eq!(warnings.len(), 1);
//! assert!(warnings[0].to_string().starts_with("acme.xml:1:7: domain acme-name: "));
//! # Ok::<(), amqp091_codegen::SpecErrors>(())
//! ```

use std::collections::HashSet;
use std::fmt::{self, Write};

use thiserror::Error;

use crate::check::own_asserts;
use crate::model::{Class, Field, FieldDefault, Method, Model, WireType};
use crate::pattern;
use crate::problem::OneLine;
use crate::schema::{Assert, AssertCheck, Docs, Position};

/// What looks like a mistake, and where. Displays as `file:line:column: basic.publish.immediate: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// Where the element begins.
    pub position: Position,
    /// The path of names to it: `basic.publish.immediate`, `domain path`.
    pub path: String,
    /// What looks wrong.
    pub kind: WarningKind,
}

impl Warning {
    /// Whether the generated code will show credentials: what the command and build scripts tell unasked.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        self.kind == WarningKind::CredentialShown
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(OneLine(f), "{}: {}: {}", self.position, self.path, self.kind)
    }
}

/// What looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// A domain is declared, and no field has it. Those that are called as their type are left out.
    #[error("no field has this domain")]
    UnusedDomain,
    /// A method is marked as synchronous, names no response, and isn't one itself.
    #[error("synchronous, but it names no response and isn't one")]
    SynchronousWithoutResponse,
    /// A method names responses, but isn't marked as synchronous.
    #[error("not synchronous, though it names a response")]
    ResponseWithoutSynchronous,
    /// A method is called as a reply is, and the method that it would answer doesn't name it.
    #[error("looks like the reply to {request}, which doesn't name it as a response")]
    UnnamedReply {
        /// The path of the method that it would answer.
        request: String,
    },
    /// There is neither a label nor a text, nor does the domain have one. Of reserved fields, none is expected.
    #[error("undocumented: neither label nor doc{}", if *has_domain { ", nor has its domain" } else { "" })]
    Undocumented {
        /// Whether there is a domain that could document it.
        has_domain: bool,
    },
    /// A rule has a name only.
    #[error("rule \"{0}\" has no doc: nobody knows what it demands")]
    RuleWithoutDoc(String),
    /// An assert can't say anything about values of that type.
    #[error("assert \"{check}\" has no effect on a {wire_type}")]
    AssertWithoutEffect {
        /// What is asserted.
        check: AssertCheck,
        /// What it is asserted of.
        wire_type: WireType,
    },
    /// A field that holds credentials in AMQP isn't marked as secret. The published files mark none.
    #[error("holds credentials, but isn't marked secret=\"1\": they would be printed")]
    CredentialShown,
    /// A field's default doesn't satisfy what is asserted of the field.
    #[error("default {default} breaks assert \"{check}\"")]
    DefaultBreaksAssert {
        /// What the field holds unless something else is said.
        default: FieldDefault,
        /// What is asserted of it, by itself or its domain.
        check: AssertCheck,
    },
}

/// The fields that hold credentials, wherever AMQP is spoken: passwords and tokens.
const CREDENTIALS: [&str; 3] = [
    "connection.start-ok.response",
    "connection.secure-ok.response",
    "connection.update-secret.new-secret",
];

/// Looks for what may be a mistake, in a model that has passed [`crate::check::check`]. In the order of the files.
#[must_use]
pub fn lint(model: &Model) -> Vec<Warning> {
    let mut linter = Linter { model, warnings: Vec::new() };
    for constant in &model.constants {
        let path = format!("constant {}", constant.name);
        linter.documented(&constant.docs, &constant.position, &path, false);
    }
    linter.domains();
    for class in &model.classes {
        linter.documented(&class.docs, &class.position, &class.name, false);
        linter.rules(&class.docs, &class.name);
        linter.fields(&class.properties, &class.name);
        for method in &class.methods {
            linter.method(class, method);
        }
    }
    let mut warnings = linter.warnings;
    warnings.sort_by(|a, b| (&a.position, &a.path).cmp(&(&b.position, &b.path)));
    warnings
}

struct Linter<'a> {
    model: &'a Model,
    warnings: Vec<Warning>,
}

impl Linter<'_> {
    fn domains(&mut self) {
        let model = self.model;
        let fields = model.methods().flat_map(|(_, method)| &method.fields);
        let properties = model.classes.iter().flat_map(|class| &class.properties);
        let used: HashSet<&str> =
            fields.chain(properties).filter_map(|field| field.domain.as_deref()).collect();
        for domain in &model.domains {
            let path = format!("domain {}", domain.name);
            // The published files declare the types as domains, whether they need them or not.
            if domain.name != domain.wire_type.name() && !used.contains(domain.name.as_str()) {
                self.warn(&domain.position, &path, WarningKind::UnusedDomain);
            }
            self.rules(&domain.docs, &path);
            self.asserts(&domain.asserts, domain.wire_type, &path);
        }
    }

    fn method(&mut self, class: &Class, method: &Method) {
        let path = format!("{}.{}", class.name, method.name);
        self.documented(&method.docs, &method.position, &path, false);
        self.rules(&method.docs, &path);
        self.fields(&method.fields, &path);
        let is_response = |request: &Method| {
            request.responses.iter().any(|response| response.name == method.name)
        };
        let is_reply = class.methods.iter().any(is_response);
        let responses = !method.responses.is_empty();
        if responses && !method.synchronous {
            self.warn(&method.position, &path, WarningKind::ResponseWithoutSynchronous);
        }
        if is_reply || responses {
            return;
        }
        let request = method.name.strip_suffix("-ok").and_then(|name| class.method(name));
        if let Some(request) = request {
            let request = format!("{}.{}", class.name, request.name);
            self.warn(&method.position, &path, WarningKind::UnnamedReply { request });
        } else if method.synchronous {
            self.warn(&method.position, &path, WarningKind::SynchronousWithoutResponse);
        }
    }

    fn fields(&mut self, fields: &[Field], parent: &str) {
        for field in fields {
            let path = format!("{parent}.{}", field.name);
            if !field.reserved {
                let has_domain = field.domain.is_some();
                self.documented(&field.docs, &field.position, &path, has_domain);
            }
            if !field.secret && CREDENTIALS.contains(&path.as_str()) {
                self.warn(&field.position, &path, WarningKind::CredentialShown);
            }
            for assert in field.asserts.iter().filter(|assert| breaks(&field.default, assert)) {
                let (default, check) = (field.default.clone(), assert.check.clone());
                let kind = WarningKind::DefaultBreaksAssert { default, check };
                self.warn(&field.position, &path, kind);
            }
            // What is inherited is told of the domain.
            self.asserts(own_asserts(self.model, field), field.wire_type, &path);
            let domain = field.domain.as_ref().and_then(|name| self.model.domain(name));
            let inherited = domain.map_or(&[][..], |domain| &domain.docs.rules);
            for rule in &field.docs.rules {
                if rule.texts.is_empty() && !inherited.contains(rule) {
                    let kind = WarningKind::RuleWithoutDoc(rule.name.clone());
                    self.warn(&rule.position, &path, kind);
                }
            }
        }
    }

    fn documented(&mut self, docs: &Docs, position: &Position, path: &str, has_domain: bool) {
        if docs.is_silent() {
            self.warn(position, path, WarningKind::Undocumented { has_domain });
        }
    }

    fn rules(&mut self, docs: &Docs, path: &str) {
        for rule in docs.rules.iter().filter(|rule| rule.texts.is_empty()) {
            self.warn(&rule.position, path, WarningKind::RuleWithoutDoc(rule.name.clone()));
        }
    }

    fn asserts(&mut self, asserts: &[Assert], wire_type: WireType, path: &str) {
        use WireType::{Bit, Long, LongLong, LongStr, Octet, Short, ShortStr, Timestamp};
        for assert in asserts {
            let effective = match assert.check {
                AssertCheck::NotNull => wire_type != Bit,
                AssertCheck::Length(_) | AssertCheck::Regexp(_) => {
                    matches!(wire_type, ShortStr | LongStr)
                }
                AssertCheck::Among(_) | AssertCheck::Le { .. } => {
                    matches!(wire_type, Octet | Short | Long | LongLong | Timestamp)
                }
            };
            if !effective {
                let kind =
                    WarningKind::AssertWithoutEffect { check: assert.check.clone(), wire_type };
                self.warn(&assert.position, path, kind);
            }
        }
    }

    fn warn(&mut self, position: &Position, path: &str, kind: WarningKind) {
        self.warnings.push(Warning { position: position.clone(), path: path.to_owned(), kind });
    }
}

/// Whether a default that is stated can't pass that assert. Zero and empty are left out: so is what nobody has stated.
fn breaks(default: &FieldDefault, assert: &Assert) -> bool {
    match (default, &assert.check) {
        (FieldDefault::Text(text), AssertCheck::Length(most)) => {
            text.len() as u64 > u64::from(*most)
        }
        (FieldDefault::Text(text), AssertCheck::Regexp(pattern)) => pattern::octets(pattern)
            .is_some_and(|set| {
                let allows = |octet: u8| set[usize::from(octet >> 6)] & (1 << (octet & 63)) != 0;
                !text.bytes().all(allows)
            }),
        (FieldDefault::Number(number), AssertCheck::Among(numbers)) => !numbers.contains(number),
        _ => false,
    }
}
