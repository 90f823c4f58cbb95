//! Merges overlays into the base and resolves domains; see [`crate::model`] for what an overlay may do.

mod fields;

use crate::problem::{Problem, ProblemKind, resembling};
use crate::schema::{
    self, Assert, Chassis, Constant, Docs, Document, Handler, Position, Rule, Text,
};

use super::{Class, Domain, Method, Model, WireType, describe_class};

pub(super) fn merge(documents: &[Document]) -> (Model, Vec<Problem>) {
    let mut merger = Merger {
        model: Model {
            sources: documents.iter().map(|document| document.position.file.to_string()).collect(),
            version: (0, 0, 0),
            port: 0,
            constants: Vec::new(),
            domains: Vec::new(),
            classes: Vec::new(),
        },
        problems: Vec::new(),
    };
    if let Some((base, overlays)) = documents.split_first() {
        merger.version(base, overlays);
    }
    for document in documents {
        for constant in &document.constants {
            merger.constant(constant);
        }
        for domain in &document.domains {
            merger.domain(domain);
        }
    }
    // All domains are known before the first field: the order of files doesn't matter to them.
    for document in documents {
        for class in &document.classes {
            merger.class(class);
        }
    }
    let Merger { mut model, problems } = merger;
    // The published files are in no order at all; the generated code is.
    model.classes.sort_by_key(|class| class.index);
    for class in &mut model.classes {
        class.methods.sort_by_key(|method| method.index);
    }
    (model, problems)
}

struct Merger {
    model: Model,
    problems: Vec<Problem>,
}

impl Merger {
    fn version(&mut self, base: &Document, overlays: &[Document]) {
        let major = self.base_number(base, "major", base.major);
        let minor = self.base_number(base, "minor", base.minor);
        let revision = self.base_number(base, "revision", base.revision);
        self.model.version = (major, minor, revision);
        self.model.port = self.base_number(base, "port", base.port);
        for overlay in overlays {
            let at = (&base.position, &overlay.position);
            self.unchanged(at, "", "the major version", base.major, overlay.major);
            self.unchanged(at, "", "the minor version", base.minor, overlay.minor);
            self.unchanged(at, "", "the revision", base.revision, overlay.revision);
            self.unchanged(at, "", "the port", base.port, overlay.port);
        }
    }

    fn base_number<T: Default>(
        &mut self,
        base: &Document,
        attribute: &'static str,
        value: Option<T>,
    ) -> T {
        if value.is_none() {
            let element = "amqp".to_owned();
            let kind = ProblemKind::MissingAttribute { element, attribute };
            self.note(&base.position, "", kind);
        }
        value.unwrap_or_default()
    }

    fn constant(&mut self, new: &Constant) {
        let path = format!("constant {}", new.name);
        let known = self
            .model
            .constants
            .iter()
            .find(|known| known.name == new.name)
            .map(|known| (known.value, known.class, known.recoverable, known.position.clone()));
        let Some((value, class, recoverable, first)) = known else {
            self.model.constants.push(new.clone());
            return;
        };
        if same_file(&first, &new.position) {
            self.duplicate(&new.position, &path, "constant name", &new.name, first);
            return;
        }
        let at = (&first, &new.position);
        self.unchanged(at, &path, "the value", Some(value), Some(new.value));
        let (was, now) = (describe_class(class), describe_class(new.class));
        self.unchanged(at, &path, "the class", Some(was), Some(now));
        let (was, now) = (u8::from(recoverable), u8::from(new.recoverable));
        self.unchanged(at, &path, "recoverable", Some(was), Some(now));
    }

    fn domain(&mut self, new: &schema::Domain) {
        let path = format!("domain {}", new.name);
        let wire_type = WireType::named(&new.wire_type).unwrap_or_else(|| {
            self.unknown_type(&new.position, &path, &new.wire_type);
            WireType::Octet
        });
        let known = self
            .model
            .domain(&new.name)
            .map(|known| (known.wire_type, checks(&known.asserts), known.position.clone()));
        let Some((known_type, known_asserts, first)) = known else {
            self.model.domains.push(Domain {
                name: new.name.clone(),
                wire_type,
                docs: new.docs.clone(),
                asserts: new.asserts.clone(),
                position: new.position.clone(),
            });
            return;
        };
        if same_file(&first, &new.position) {
            self.duplicate(&new.position, &path, "domain name", &new.name, first);
            return;
        }
        let at = (&first, &new.position);
        self.unchanged(at, &path, "the type", Some(known_type), Some(wire_type));
        if !new.asserts.is_empty() {
            let (was, now) = (known_asserts, checks(&new.asserts));
            self.unchanged(at, &path, "the asserts", Some(was), Some(now));
        }
    }

    fn class(&mut self, new: &schema::Class) {
        let known = self.model.classes.iter().position(|known| known.name == new.name);
        let Some(index) = known else {
            self.new_class(new);
            return;
        };
        // Taken out while it is extended, so that the rest of the model can be looked at.
        let mut class = self.model.classes.remove(index);
        if same_file(&class.position, &new.position) {
            let first = class.position.clone();
            self.duplicate(&new.position, &new.name, "class name", &new.name, first);
        } else {
            self.extend_class(&mut class, new);
        }
        self.model.classes.insert(index, class);
    }

    fn new_class(&mut self, new: &schema::Class) {
        if new.handler.is_none() {
            let kind =
                ProblemKind::MissingAttribute { element: "class".to_owned(), attribute: "handler" };
            self.note(&new.position, &new.name, kind);
        }
        let mut class = Class {
            name: new.name.clone(),
            index: new.index,
            handler: new.handler.unwrap_or(Handler::Channel),
            docs: new.docs.clone(),
            chassis: new.chassis.clone(),
            properties: self.fields(&new.properties, &new.name),
            methods: Vec::new(),
            position: new.position.clone(),
        };
        for method in &new.methods {
            self.method(&mut class, method);
        }
        self.model.classes.push(class);
    }

    fn extend_class(&mut self, class: &mut Class, new: &schema::Class) {
        let first = class.position.clone();
        let at = (&first, &new.position);
        let path = new.name.as_str();
        self.unchanged(at, path, "the index", Some(class.index), Some(new.index));
        self.unchanged(at, path, "the handler", Some(class.handler), new.handler);
        if !new.properties.is_empty() {
            let what = "the content properties";
            self.repeated_fields(at, &mut class.properties, &new.properties, path, what);
        }
        self.chassis(&mut class.chassis, &new.chassis, path);
        self.docs(at, &mut class.docs, &new.docs, path);
        for method in &new.methods {
            self.method(class, method);
        }
    }

    fn method(&mut self, class: &mut Class, new: &schema::Method) {
        let path = format!("{}.{}", class.name, new.name);
        let known = class.methods.iter_mut().find(|known| known.name == new.name);
        let Some(known) = known else {
            let fields = self.fields(&new.fields, &path);
            class.methods.push(Method {
                name: new.name.clone(),
                index: new.index,
                synchronous: new.synchronous.unwrap_or_default(),
                content: new.content.unwrap_or_default(),
                deprecated: new.deprecated.unwrap_or_default(),
                docs: new.docs.clone(),
                chassis: new.chassis.clone(),
                responses: new.responses.clone(),
                fields,
                position: new.position.clone(),
            });
            return;
        };
        if same_file(&known.position, &new.position) {
            let first = known.position.clone();
            self.duplicate(&new.position, &path, "method name", &new.name, first);
        } else {
            self.extend_method(known, new, &path);
        }
    }

    fn extend_method(&mut self, method: &mut Method, new: &schema::Method, path: &str) {
        let first = method.position.clone();
        let at = (&first, &new.position);
        self.unchanged(at, path, "the index", Some(method.index), Some(new.index));
        let flags = [
            ("synchronous", method.synchronous, new.synchronous),
            ("content", method.content, new.content),
            ("deprecated", method.deprecated, new.deprecated),
        ];
        for (attribute, was, now) in flags {
            self.unchanged(at, path, attribute, Some(u8::from(was)), now.map(u8::from));
        }
        if !new.fields.is_empty() {
            self.repeated_fields(at, &mut method.fields, &new.fields, path, "the fields");
        }
        if !new.responses.is_empty() {
            let was = names(method.responses.iter().map(|response| &response.name));
            let now = names(new.responses.iter().map(|response| &response.name));
            self.unchanged(at, path, "the responses", Some(was), Some(now));
        }
        self.chassis(&mut method.chassis, &new.chassis, path);
        self.docs(at, &mut method.docs, &new.docs, path);
    }

    /// Adds the peers that aren't there yet.
    fn chassis(&mut self, known: &mut Vec<Chassis>, new: &[Chassis], path: &str) {
        for new in new {
            match known.iter().find(|known| known.role == new.role) {
                Some(known) => self.unchanged(
                    (&known.position, &new.position),
                    path,
                    "how a chassis is implemented",
                    Some(known.implement),
                    Some(new.implement),
                ),
                None => known.push(new.clone()),
            }
        }
    }

    /// Texts and rules are added to those that are there, unless they are among them; a label can't be.
    fn docs(&mut self, at: (&Position, &Position), known: &mut Docs, new: &Docs, path: &str) {
        match (&known.label, &new.label) {
            (None, Some(label)) => known.label = Some(label.clone()),
            (was, now) => {
                let (was, now) = (quoted(was), quoted(now));
                self.unchanged(at, path, "the label", was, now);
            }
        }
        for text in &new.texts {
            if !known.texts.iter().any(|known| same_text(known, text)) {
                known.texts.push(text.clone());
            }
        }
        for rule in &new.rules {
            if !known.rules.iter().any(|known| same_rule(known, rule)) {
                known.rules.push(rule.clone());
            }
        }
    }

    fn unknown_type(&mut self, position: &Position, path: &str, name: &str) {
        let kind = ProblemKind::UnknownType {
            name: name.to_owned(),
            suggestion: resembling(name, WireType::ALL.map(WireType::name)),
        };
        self.note(position, path, kind);
    }

    fn duplicate(
        &mut self,
        position: &Position,
        path: &str,
        what: &'static str,
        value: &str,
        first: Position,
    ) {
        let kind = ProblemKind::Duplicate { what, value: format!("\"{value}\""), first };
        self.note(position, path, kind);
    }

    /// Notes a later statement that differs from the first; one that is absent states nothing.
    fn unchanged<T: PartialEq + ToString>(
        &mut self,
        at: (&Position, &Position),
        path: &str,
        what: &'static str,
        was: Option<T>,
        now: Option<T>,
    ) {
        if let (Some(was), Some(now)) = (was, now)
            && was != now
        {
            self.redefined(at, path, what, was.to_string(), now.to_string());
        }
    }

    fn redefined(
        &mut self,
        (first, here): (&Position, &Position),
        path: &str,
        what: &'static str,
        was: String,
        now: String,
    ) {
        let first = first.clone();
        let kind = ProblemKind::OverlayRedefines { what, was, now, first };
        self.note(here, path, kind);
    }

    fn note(&mut self, position: &Position, path: &str, kind: ProblemKind) {
        self.problems.push(Problem::new(position, path, kind));
    }
}

fn same_file(a: &Position, b: &Position) -> bool {
    a.source == b.source
}

/// The words count, not how their lines are broken.
fn same_text(a: &Text, b: &Text) -> bool {
    a.kind == b.kind && a.text.split_whitespace().eq(b.text.split_whitespace())
}

fn same_rule(a: &Rule, b: &Rule) -> bool {
    a.name == b.name
        && a.on_failure == b.on_failure
        && a.texts.len() == b.texts.len()
        && a.texts.iter().zip(&b.texts).all(|(a, b)| same_text(a, b))
}

fn quoted(text: &Option<String>) -> Option<String> {
    text.as_ref().map(|text| format!("\"{text}\""))
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn checks(asserts: &[Assert]) -> String {
    let checks: Vec<String> = asserts.iter().map(|assert| assert.check.to_string()).collect();
    if checks.is_empty() { "none".to_owned() } else { checks.join(", ") }
}
