//! Third stage: whether a [`Model`] makes sense, and whether Rust can express it.
//!
//! Nothing is changed here. What passes can be emitted without further questions.
//!
//! ```
//! use amqp091_codegen::{check, model, parse, standard};
//!
//! let (mut model, _) = model::build(&parse::parse(&standard())?);
//! assert!(check::check(&model).is_empty());
//! model.classes[1].index = model.classes[0].index;
//! let problems = check::check(&model);
//! assert!(problems[0].to_string().contains("duplicate class index 10"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rust_names;

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::{Class, Field, FieldDefault, Method, Model};
use crate::pattern;
use crate::problem::{Problem, ProblemKind, resembling};
use crate::schema::{Assert, AssertCheck, Docs, Position, Role, Rule};

/// How many properties one word of flags can tell of; its last bit says that another word follows.
const MAX_PROPERTIES: usize = 15;

/// Looks at everything and notes all that is wrong.
#[must_use]
pub fn check(model: &Model) -> Vec<Problem> {
    let mut checker = Checker { model, problems: Vec::new() };
    checker.constants();
    checker.domains();
    checker.unique(
        "class index",
        model.classes.iter().map(|class| {
            let shown = class.index.to_string();
            (class.index, shown, class.name.clone(), &class.position)
        }),
    );
    for class in &model.classes {
        checker.class(class);
    }
    let mut problems = checker.problems;
    problems.extend(rust_names::check(model));
    problems
}

struct Checker<'a> {
    model: &'a Model,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn constants(&mut self) {
        let model = self.model;
        // Numbers of other constants may well be the same: they count different things.
        self.unique(
            "reply code",
            model.reply_codes().map(|code| {
                let path = format!("constant {}", code.name);
                (code.value, code.value.to_string(), path, &code.position)
            }),
        );
        for constant in &model.constants {
            if constant.recoverable && constant.class.is_none() {
                let path = format!("constant {}", constant.name);
                self.note(&constant.position, &path, ProblemKind::RecoverableWithoutClass);
            }
        }
        for code in model.reply_codes() {
            if code.value > u64::from(u16::MAX) {
                let path = format!("constant {}", code.name);
                let kind = ProblemKind::ReplyCodeTooLarge(code.value);
                self.note(&code.position, &path, kind);
            }
        }
    }

    fn domains(&mut self) {
        for domain in &self.model.domains {
            let path = format!("domain {}", domain.name);
            self.rules(&domain.docs, &path);
            for assert in &domain.asserts {
                self.pattern(assert, &path);
                if matches!(assert.check, AssertCheck::Le { .. }) {
                    self.note(&assert.position, &path, ProblemKind::AssertNotOnField);
                }
            }
        }
    }

    fn class(&mut self, class: &'a Class) {
        self.unique(
            "method index",
            class.methods.iter().map(|method| {
                let path = format!("{}.{}", class.name, method.name);
                let shown = method.index.to_string();
                (method.index, shown, path, &method.position)
            }),
        );
        self.rules(&class.docs, &class.name);
        self.fields(&class.properties, "property name", &class.name);
        for property in &class.properties {
            let path = format!("{}.{}", class.name, property.name);
            if property.default != FieldDefault::Zero {
                self.note(&property.position, &path, ProblemKind::PropertyDefault);
            }
            for assert in own_asserts(self.model, property) {
                self.pattern(assert, &path);
                if matches!(assert.check, AssertCheck::Le { .. }) {
                    self.note(&assert.position, &path, ProblemKind::AssertNotOnField);
                }
            }
        }
        if class.properties.len() > MAX_PROPERTIES {
            let kind = ProblemKind::TooManyProperties(class.properties.len());
            self.note(&class.position, &class.name, kind);
        }
        for method in &class.methods {
            self.method(class, method, &format!("{}.{}", class.name, method.name));
        }
    }

    fn method(&mut self, class: &'a Class, method: &'a Method, path: &str) {
        if method.chassis.is_empty() {
            self.note(&method.position, path, ProblemKind::NoDirection);
        }
        if method.content && class.properties.is_empty() {
            let kind = ProblemKind::ContentWithoutProperties;
            self.note(&method.position, path, kind);
        }
        self.rules(&method.docs, path);
        self.responses(class, method, path);
        self.fields(&method.fields, "field name", path);
        for field in &method.fields {
            for assert in own_asserts(self.model, field) {
                let path = format!("{path}.{}", field.name);
                self.pattern(assert, &path);
                self.field_assert(class, assert, &path);
            }
        }
    }

    fn responses(&mut self, class: &'a Class, method: &'a Method, path: &str) {
        self.unique(
            "response",
            method.responses.iter().map(|response| {
                let name = response.name.as_str();
                (name, format!("\"{name}\""), path.to_owned(), &response.position)
            }),
        );
        for response in &method.responses {
            if response.name == method.name {
                self.note(&response.position, path, ProblemKind::ResponseToItself);
                continue;
            }
            let Some(reply) = class.method(&response.name) else {
                let kind = ProblemKind::UnknownResponse {
                    name: response.name.clone(),
                    suggestion: suggest_method(class, &response.name),
                };
                self.note(&response.position, path, kind);
                continue;
            };
            let possible = [Role::Client, Role::Server]
                .into_iter()
                .any(|role| method.received_by(role) && reply.sent_by(role));
            // Without any direction there is another problem, noted where it is.
            let receiver = method.chassis.first().map(|chassis| chassis.role);
            if let Some(receiver) = receiver
                && !possible
                && !reply.chassis.is_empty()
            {
                let kind =
                    ProblemKind::ResponseDirection { response: response.name.clone(), receiver };
                self.note(&response.position, path, kind);
            }
        }
    }

    fn fields(&mut self, fields: &'a [Field], what: &'static str, parent: &str) {
        self.unique(
            what,
            fields.iter().map(|field| {
                let name = field.name.as_str();
                let path = format!("{parent}.{name}");
                (name, format!("\"{name}\""), path, &field.position)
            }),
        );
        for field in fields {
            // What a field has inherited was looked at where it is from.
            let domain = field.domain.as_ref().and_then(|name| self.model.domain(name));
            let inherited = domain.map_or(&[] as &[Rule], |domain| &domain.docs.rules);
            let own = Docs {
                rules: field
                    .docs
                    .rules
                    .iter()
                    .filter(|rule| !inherited.iter().any(|other| other.position == rule.position))
                    .cloned()
                    .collect(),
                ..Docs::default()
            };
            self.rules(&own, &format!("{parent}.{}", field.name));
        }
    }

    fn pattern(&mut self, assert: &Assert, path: &str) {
        if let AssertCheck::Regexp(source) = &assert.check
            && pattern::octets(source).is_none()
        {
            let kind = ProblemKind::UnsupportedPattern(source.clone());
            self.note(&assert.position, path, kind);
        }
    }

    fn field_assert(&mut self, class: &Class, assert: &Assert, path: &str) {
        let AssertCheck::Le { method, field } = &assert.check else {
            return;
        };
        let Some(other) = class.method(method) else {
            let kind = ProblemKind::UnknownAssertMethod {
                name: method.clone(),
                suggestion: suggest_method(class, method),
            };
            self.note(&assert.position, path, kind);
            return;
        };
        if !other.fields.iter().any(|known| known.name == *field) {
            let known = other.fields.iter().map(|known| known.name.as_str());
            let kind = ProblemKind::UnknownAssertField {
                method: format!("{}.{method}", class.name),
                name: field.clone(),
                suggestion: resembling(field, known),
            };
            self.note(&assert.position, path, kind);
        }
    }

    fn rules(&mut self, docs: &Docs, path: &str) {
        for rule in &docs.rules {
            let Some(name) = &rule.on_failure else {
                continue;
            };
            if self.model.reply_codes().any(|code| code.name == *name) {
                continue;
            }
            let mut others = self.model.other_constants();
            let kind = if others.any(|constant| constant.name == *name) {
                ProblemKind::NotAReplyCode { rule: rule.name.clone(), name: name.clone() }
            } else {
                let codes = self.model.reply_codes().map(|code| code.name.as_str());
                ProblemKind::UnknownConstant {
                    rule: rule.name.clone(),
                    name: name.clone(),
                    suggestion: resembling(name, codes),
                }
            };
            self.note(&rule.position, path, kind);
        }
    }

    /// Notes every item whose key an earlier one has. Items are key, key as shown, path and position.
    fn unique<K: Eq + Hash>(
        &mut self,
        what: &'static str,
        items: impl Iterator<Item = (K, String, String, &'a Position)>,
    ) {
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|(_, _, _, position)| *position);
        let mut first: HashMap<K, &Position> = HashMap::new();
        for (key, value, path, position) in items {
            match first.get(&key) {
                Some(earlier) => {
                    let kind =
                        ProblemKind::Duplicate { what, value, first: Position::clone(earlier) };
                    self.note(position, &path, kind);
                }
                None => {
                    first.insert(key, position);
                }
            }
        }
    }

    fn note(&mut self, position: &Position, path: &str, kind: ProblemKind) {
        self.problems.push(Problem::new(position, path, kind));
    }
}

/// The asserts of a field without those of its domain.
pub(crate) fn own_asserts<'f>(model: &Model, field: &'f Field) -> &'f [Assert] {
    let domain = field.domain.as_ref().and_then(|name| model.domain(name));
    let inherited = domain.map_or(0, |domain| domain.asserts.len());
    field.asserts.get(inherited..).unwrap_or_default()
}

fn suggest_method(class: &Class, name: &str) -> Option<String> {
    resembling(name, class.methods.iter().map(|method| method.name.as_str()))
}
