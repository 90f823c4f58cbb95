//! What is no mistake, but looks like one: a domain that no field has, a request without a reply, a field that nobody
//! has described.
//!
//! Nothing here keeps code from being generated. It is for those who write a specification: the command
//! `amqp091-codegen check` shows it.
//!
//! ```
//! use amqp091_codegen::{Source, lint, resolve, standard};
//!
//! let mut sources = standard();
//! let text = r#"<amqp><domain name="acme-name" type="shortstr" label="A name"/></amqp>"#;
//! sources.push(Source { name: "acme.xml".to_owned(), text: text.to_owned() });
//! let warnings = lint::lint(&resolve(&sources)?);
//! assert_eq!(warnings.len(), 1);
//! assert!(warnings[0].to_string().starts_with("acme.xml:1:7: domain acme-name: "));
//! # Ok::<(), amqp091_codegen::SpecErrors>(())
//! ```

use std::collections::HashSet;
use std::fmt::{self, Write};

use thiserror::Error;

use crate::check::own_asserts;
use crate::model::{Class, Field, Method, Model, WireType};
use crate::problem::OneLine;
use crate::schema::{Assert, AssertCheck, Docs, Position};

/// What looks like a mistake, and where. Displays as `file:line:column: basic.publish.immediate: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where the element begins.
    pub position: Position,
    /// The path of names to it: `basic.publish.immediate`, `domain path`.
    pub path: String,
    /// What looks wrong.
    pub kind: WarningKind,
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
}

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
