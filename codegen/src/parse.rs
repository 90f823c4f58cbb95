//! First stage: text to [`Document`]s.
//!
//! The schema is checked here, element by element: which elements and attributes may stand where, and what values the
//! attributes may have. The order of child elements doesn't matter (the published files use nine orders inside `method`),
//! save that fields are kept in theirs, which is the order on the wire.
//!
//! ```
//! use amqp091_codegen::{Source, parse};
//!
//! let text = r#"<amqp major="0" minor="9" revision="1" port="5672">
//!   <constant name="frame-end" valu="206"/>
//! </amqp>"#;
//! let problems = parse::parse(&[Source::new("my.xml", text)]).unwrap_err();
//! let first = problems.to_string().lines().next().map(str::to_owned);
//! assert_eq!(
//!     first.as_deref(),
//!     Some(r#"my.xml:2:3: constant frame-end: unknown attribute "valu" of <constant>; expected name, value, class or recoverable"#),
//! );
//! ```

mod tree;
mod unread;

use std::fmt::Display;
use std::str::FromStr;

use crate::problem::{Problem, ProblemKind, SpecErrors, one_of};
use crate::schema::{
    Assert, AssertCheck, Chassis, Class, Constant, Docs, Document, Domain, ErrorClass, Field,
    FieldKind, Handler, Implement, Method, Position, Response, Role, Rule, Text, TextKind,
};
use crate::{Source, names};

use self::tree::Element;
use self::unread::Unread;

/// Reads all files. Nothing is returned unless all of them are free of mistakes, and all mistakes are reported.
///
/// # Errors
///
/// XML that isn't well-formed (the first such place of each file), and whatever the schema doesn't allow.
pub fn parse(sources: &[Source]) -> Result<Vec<Document>, SpecErrors> {
    let Parsed { documents, problems, .. } = read(sources);
    if problems.is_empty() { Ok(documents) } else { Err(SpecErrors::new(problems)) }
}

/// What could be read.
pub(crate) struct Parsed {
    /// The files, without what is wrong in them; those that are no specification at all are left out.
    pub(crate) documents: Vec<Document>,
    /// What is wrong with the files.
    pub(crate) problems: Vec<Problem>,
    /// What is therefore not in the documents.
    pub(crate) unread: Unread,
}

/// Reads all files as far as they can be read.
pub(crate) fn read(sources: &[Source]) -> Parsed {
    let mut parser = Parser { problems: Vec::new(), unread: Unread::default() };
    let mut documents = Vec::with_capacity(sources.len());
    for (index, source) in sources.iter().enumerate() {
        match tree::read(index, &source.name, &source.text) {
            Ok(root) => documents.extend(parser.document(&root)),
            Err(problem) => parser.problems.push(*problem),
        }
    }
    let Parser { problems, mut unread } = parser;
    unread.mistakes(&problems);
    Parsed { documents, problems, unread }
}

/// Every reading method returns `None` only after it has noted a problem, so it may be ignored by its caller.
struct Parser {
    problems: Vec<Problem>,
    unread: Unread,
}

impl Parser {
    fn document(&mut self, element: &Element) -> Option<Document> {
        if element.name != "amqp" {
            let kind = ProblemKind::NotASpecification(element.name.clone());
            self.note(&element.position, "", kind);
            return None;
        }
        self.attributes(element, "", &["major", "minor", "revision", "port", "comment"]);
        self.children(element, "", &["constant", "domain", "class"]);
        let mut document = Document {
            major: self.optional_number(element, "", "major"),
            minor: self.optional_number(element, "", "minor"),
            revision: self.optional_number(element, "", "revision"),
            port: self.optional_number(element, "", "port"),
            constants: Vec::new(),
            domains: Vec::new(),
            classes: Vec::new(),
            position: element.position.clone(),
        };
        for child in &element.children {
            match child.name.as_str() {
                "constant" => {
                    let constant = self.constant(child);
                    document.constants.extend(self.kept(child, "", constant));
                }
                "domain" => {
                    let domain = self.domain(child);
                    document.domains.extend(self.kept(child, "", domain));
                }
                "class" => {
                    let class = self.class(child);
                    document.classes.extend(self.kept(child, "", class));
                }
                _ => {}
            }
        }
        Some(document)
    }

    fn constant(&mut self, element: &Element) -> Option<Constant> {
        let (name, path) = self.named(element, "", "constant ");
        self.attributes(element, &path, &["name", "value", "class", "recoverable"]);
        self.children(element, &path, &["doc"]);
        let value = self.number(element, &path, "value");
        let class = self.choice(
            element,
            &path,
            "class",
            &[("soft-error", ErrorClass::Soft), ("hard-error", ErrorClass::Hard)],
        );
        Some(Constant {
            docs: self.docs(element, &path),
            position: element.position.clone(),
            name: name?,
            value: value?,
            class,
            recoverable: self.flag(element, &path, "recoverable").unwrap_or_default(),
        })
    }

    fn domain(&mut self, element: &Element) -> Option<Domain> {
        let (name, path) = self.named(element, "", "domain ");
        self.attributes(element, &path, &["name", "type", "label"]);
        self.children(element, &path, &["doc", "rule", "assert"]);
        let wire_type = self.required(element, &path, "type");
        Some(Domain {
            docs: self.docs(element, &path),
            asserts: self.asserts(element, &path),
            position: element.position.clone(),
            name: name?,
            wire_type: wire_type?,
        })
    }

    fn class(&mut self, element: &Element) -> Option<Class> {
        let (name, path) = self.named(element, "", "");
        self.attributes(element, &path, &["name", "handler", "index", "label"]);
        self.children(element, &path, &["doc", "rule", "chassis", "field", "method"]);
        let index = self.number(element, &path, "index");
        let handler = self.choice(
            element,
            &path,
            "handler",
            &[("connection", Handler::Connection), ("channel", Handler::Channel)],
        );
        let methods = element
            .children
            .iter()
            .filter(|child| child.name == "method")
            .filter_map(|child| {
                let method = self.method(child, &path);
                self.kept(child, &path, method)
            })
            .collect();
        Some(Class {
            docs: self.docs(element, &path),
            chassis: self.chassis(element, &path),
            properties: self.fields(element, &path),
            methods,
            position: element.position.clone(),
            name: name?,
            index: index?,
            handler,
        })
    }

    fn method(&mut self, element: &Element, class: &str) -> Option<Method> {
        let (name, path) = self.named(element, class, "");
        self.attributes(
            element,
            &path,
            &["name", "index", "synchronous", "content", "deprecated", "label"],
        );
        // Text directly inside a method is skipped: the published extended file has some in confirm.select and
        // confirm.select-ok, where a label was meant.
        self.known_children(element, &path, &["doc", "rule", "chassis", "response", "field"]);
        let index = self.number(element, &path, "index");
        let responses = element
            .children
            .iter()
            .filter(|child| child.name == "response")
            .filter_map(|child| {
                self.attributes(child, &path, &["name"]);
                self.children(child, &path, &[]);
                Some(Response {
                    name: self.required(child, &path, "name")?,
                    position: child.position.clone(),
                })
            })
            .collect();
        Some(Method {
            synchronous: self.flag(element, &path, "synchronous"),
            content: self.flag(element, &path, "content"),
            deprecated: self.flag(element, &path, "deprecated"),
            docs: self.docs(element, &path),
            chassis: self.chassis(element, &path),
            responses,
            fields: self.fields(element, &path),
            position: element.position.clone(),
            name: name?,
            index: index?,
        })
    }

    fn fields(&mut self, parent: &Element, path: &str) -> Vec<Field> {
        parent
            .children
            .iter()
            .filter(|child| child.name == "field")
            .filter_map(|child| {
                let field = self.field(child, path);
                self.kept(child, path, field)
            })
            .collect()
    }

    fn field(&mut self, element: &Element, parent: &str) -> Option<Field> {
        let (name, path) = self.named(element, parent, "");
        self.attributes(
            element,
            &path,
            &["name", "domain", "type", "reserved", "label", "required", "default", "secret"],
        );
        self.children(element, &path, &["doc", "rule", "assert"]);
        let kind = match (element.get("domain"), element.get("type")) {
            (Some(domain), None) => Some(FieldKind::Domain(domain.to_owned())),
            (None, Some(wire_type)) => Some(FieldKind::Type(wire_type.to_owned())),
            (domain, _) => {
                let has = domain.map_or("neither", |_| "both");
                self.note(&element.position, &path, ProblemKind::DomainOrType(has));
                None
            }
        };
        Some(Field {
            reserved: self.flag(element, &path, "reserved").unwrap_or_default(),
            required: self.flag(element, &path, "required"),
            default: element.get("default").map(str::to_owned),
            secret: self.flag(element, &path, "secret"),
            docs: self.docs(element, &path),
            asserts: self.asserts(element, &path),
            position: element.position.clone(),
            name: name?,
            kind: kind?,
        })
    }

    /// Remembers what couldn't be read.
    fn kept<T>(&mut self, element: &Element, parent: &str, item: Option<T>) -> Option<T> {
        if item.is_none() {
            self.unread.lost(element, parent);
        }
        item
    }

    fn chassis(&mut self, parent: &Element, path: &str) -> Vec<Chassis> {
        let mut all: Vec<Chassis> = Vec::new();
        for child in parent.children.iter().filter(|child| child.name == "chassis") {
            self.attributes(child, path, &["name", "implement"]);
            self.children(child, path, &[]);
            let role = self.required_choice(
                child,
                path,
                "name",
                &[("server", Role::Server), ("client", Role::Client)],
            );
            let implement = self.required_choice(
                child,
                path,
                "implement",
                &[
                    ("MUST", Implement::Must),
                    ("SHOULD", Implement::Should),
                    ("MAY", Implement::May),
                ],
            );
            let (Some(role), Some(implement)) = (role, implement) else {
                continue;
            };
            if let Some(first) = all.iter().find(|chassis| chassis.role == role) {
                let kind = ProblemKind::Duplicate {
                    what: "chassis",
                    value: role.to_string(),
                    first: first.position.clone(),
                };
                self.note(&child.position, path, kind);
            }
            all.push(Chassis { role, implement, position: child.position.clone() });
        }
        all
    }

    fn asserts(&mut self, parent: &Element, path: &str) -> Vec<Assert> {
        parent
            .children
            .iter()
            .filter(|child| child.name == "assert")
            .filter_map(|child| {
                Some(Assert { check: self.assert(child, path)?, position: child.position.clone() })
            })
            .collect()
    }

    fn assert(&mut self, element: &Element, path: &str) -> Option<AssertCheck> {
        self.children(element, path, &[]);
        let check = self.required(element, path, "check")?;
        match check.as_str() {
            "notnull" => {
                self.attributes(element, path, &["check"]);
                Some(AssertCheck::NotNull)
            }
            "length" => {
                self.attributes(element, path, &["check", "value"]);
                Some(AssertCheck::Length(self.number(element, path, "value")?))
            }
            "regexp" => {
                self.attributes(element, path, &["check", "value"]);
                Some(AssertCheck::Regexp(self.required(element, path, "value")?))
            }
            "among" => {
                self.attributes(element, path, &["check", "value"]);
                let values = self.required(element, path, "value")?;
                let numbers: Option<Vec<u64>> =
                    values.split_whitespace().map(|value| value.parse().ok()).collect();
                match numbers {
                    Some(numbers) if !numbers.is_empty() => Some(AssertCheck::Among(numbers)),
                    _ => {
                        let expected = "numbers with spaces between them";
                        self.bad_value(element, path, "value", &values, expected);
                        None
                    }
                }
            }
            "le" => {
                self.attributes(element, path, &["check", "method", "field"]);
                let method = self.required(element, path, "method");
                let field = self.required(element, path, "field");
                Some(AssertCheck::Le { method: method?, field: field? })
            }
            _ => {
                let expected = r#""notnull", "length", "regexp", "among" or "le""#;
                self.bad_value(element, path, "check", &check, expected);
                None
            }
        }
    }

    fn docs(&mut self, element: &Element, path: &str) -> Docs {
        let mut docs = Docs { label: element.get("label").map(str::to_owned), ..Docs::default() };
        for child in &element.children {
            match child.name.as_str() {
                "doc" => docs.texts.extend(self.text(child, path)),
                "rule" => {
                    self.attributes(child, path, &["name", "on-failure"]);
                    self.children(child, path, &["doc"]);
                    let texts = child
                        .children
                        .iter()
                        .filter(|grandchild| grandchild.name == "doc")
                        .filter_map(|grandchild| self.text(grandchild, path))
                        .collect();
                    docs.rules.extend(self.required(child, path, "name").map(|name| Rule {
                        name,
                        on_failure: child.get("on-failure").map(str::to_owned),
                        texts,
                        position: child.position.clone(),
                    }));
                }
                _ => {}
            }
        }
        docs
    }

    fn text(&mut self, element: &Element, path: &str) -> Option<Text> {
        self.attributes(element, path, &["type"]);
        self.known_children(element, path, &[]);
        let kinds = [("scenario", TextKind::Scenario), ("grammar", TextKind::Grammar)];
        let kind = match element.get("type") {
            Some(_) => self.choice(element, path, "type", &kinds)?,
            None => TextKind::Prose,
        };
        Some(Text { kind, text: element.text.clone() })
    }

    /// The `name` of an element, and the path to it: that of the parent if it has no name. A name that isn't one is in the
    /// path only.
    fn named(&mut self, element: &Element, parent: &str, prefix: &str) -> (Option<String>, String) {
        let name = self.required(element, parent, "name");
        let path = match (&name, parent) {
            (Some(name), "") => format!("{prefix}{name}"),
            (Some(name), parent) => format!("{parent}.{name}"),
            (None, parent) => parent.to_owned(),
        };
        if let Some(name) = &name
            && !names::is_kebab(name)
        {
            let expected = "lower-case words joined by hyphens";
            self.bad_value(element, &path, "name", name, expected);
            // No later stage could do anything with it.
            return (None, path);
        }
        (name, path)
    }

    /// Notes attributes that the schema doesn't have.
    fn attributes(&mut self, element: &Element, path: &str, expected: &'static [&'static str]) {
        for (attribute, _) in &element.attributes {
            if !expected.contains(&attribute.as_str()) {
                let kind = ProblemKind::UnknownAttribute {
                    attribute: attribute.clone(),
                    element: element.name.clone(),
                    expected,
                };
                self.note(&element.position, path, kind);
            }
        }
    }

    /// Notes elements that the schema doesn't have, and text.
    fn children(&mut self, element: &Element, path: &str, expected: &'static [&'static str]) {
        self.known_children(element, path, expected);
        if let Some(position) = &element.text_position {
            let kind = ProblemKind::StrayText(element.name.clone());
            self.note(position, path, kind);
        }
    }

    /// Notes elements that the schema doesn't have.
    fn known_children(&mut self, element: &Element, path: &str, expected: &'static [&'static str]) {
        for child in &element.children {
            if !expected.contains(&child.name.as_str()) {
                let kind = ProblemKind::UnknownElement {
                    element: child.name.clone(),
                    parent: element.name.clone(),
                    expected,
                };
                self.note(&child.position, path, kind);
                self.unread.unknown(child);
            }
        }
    }

    fn required(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &'static str,
    ) -> Option<String> {
        let value = element.get(attribute).map(str::to_owned);
        if value.is_none() {
            let kind = ProblemKind::MissingAttribute { element: element.name.clone(), attribute };
            self.note(&element.position, path, kind);
        }
        value
    }

    fn number<T: Number>(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &'static str,
    ) -> Option<T> {
        self.required(element, path, attribute)?;
        self.optional_number(element, path, attribute)
    }

    fn optional_number<T: Number>(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &'static str,
    ) -> Option<T> {
        let value = element.get(attribute)?;
        // FromStr alone would take "+1" too.
        let digits = value.bytes().all(|octet| octet.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        if number.is_none() {
            let expected = format!("a number from 0 to {}", T::LARGEST);
            self.bad_value(element, path, attribute, value, expected);
        }
        number
    }

    fn flag(&mut self, element: &Element, path: &str, attribute: &str) -> Option<bool> {
        self.choice(element, path, attribute, &[("0", false), ("1", true)])
    }

    fn required_choice<T: Copy>(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.required(element, path, attribute)?;
        self.choice(element, path, attribute, choices)
    }

    fn choice<T: Copy>(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let value = element.get(attribute)?;
        let choice = choices.iter().find(|(name, _)| *name == value);
        if choice.is_none() {
            let quoted: Vec<String> =
                choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.bad_value(element, path, attribute, value, one_of(&quoted));
        }
        choice.map(|(_, choice)| *choice)
    }

    fn bad_value(
        &mut self,
        element: &Element,
        path: &str,
        attribute: &str,
        value: &str,
        expected: impl Into<String>,
    ) {
        let kind = ProblemKind::BadValue {
            attribute: attribute.to_owned(),
            value: value.to_owned(),
            expected: expected.into(),
        };
        self.note(&element.position, path, kind);
    }

    fn note(&mut self, position: &Position, path: &str, kind: ProblemKind) {
        self.problems.push(Problem::new(position, path, kind));
    }
}

impl Element {
    fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.as_str())
    }
}

/// The unsigned integers that attributes hold.
trait Number: FromStr + Display {
    const LARGEST: Self;
}

impl Number for u8 {
    const LARGEST: Self = Self::MAX;
}

impl Number for u16 {
    const LARGEST: Self = Self::MAX;
}

impl Number for u32 {
    const LARGEST: Self = Self::MAX;
}

impl Number for u64 {
    const LARGEST: Self = Self::MAX;
}
