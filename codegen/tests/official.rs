//! The published specification files: that they are read as they are, and that ours state the same facts.
//!
//! The published files aren't part of this repository. They are looked for in the folder that the variable
//! `AMQP091_REFERENCE` names, or in `../shared/reference` beside the repository. Without them these tests say so and
//! pass, unless `AMQP091_REQUIRE_REFERENCE=1` demands them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::{env, fs};

use amqp091_codegen::model::{Field, Model};
use amqp091_codegen::schema::{Chassis, Docs, Document, TextKind};
use amqp091_codegen::{Source, check, generate, model, parse};

const FILES: [&str; 4] = [
    "amqp0-9-1.xml",
    "amqp0-9-1.extended.xml",
    "amqp0-9-1.stripped.xml",
    "amqp0-9-1.stripped.extended.xml",
];

/// What our files state otherwise than the published extended file, and why. Whatever differs must stand here, and
/// whatever stands here must differ.
const DIFFERENCES: &[Difference] = &[
    Difference {
        fact: "connection.blocked: chassis",
        published: Some("client MUST server MUST"),
        ours: Some("client MUST"),
        why: "only the server sends it",
    },
    Difference {
        fact: "connection.unblocked: chassis",
        published: Some("client MUST server MUST"),
        ours: Some("client MUST"),
        why: "only the server sends it",
    },
    Difference {
        fact: "connection.update-secret: chassis",
        published: Some("client MUST"),
        ours: Some("server MUST"),
        why: "the client sends it: the published directions are inverted",
    },
    Difference {
        fact: "connection.update-secret-ok: chassis",
        published: Some("server MUST"),
        ours: Some("client MUST"),
        why: "the server sends it: the published directions are inverted",
    },
    Difference {
        fact: "channel.flow-ok: synchronous",
        published: Some("false"),
        ours: Some("true"),
        why: "all other replies are marked",
    },
    Difference {
        fact: "basic: properties",
        published: Some(
            "content-type content-encoding headers delivery-mode priority correlation-id reply-to expiration message-id timestamp type user-id app-id reserved",
        ),
        ours: Some(
            "content-type content-encoding headers delivery-mode priority correlation-id reply-to expiration message-id timestamp type user-id app-id cluster-id",
        ),
        why: "the name it had in 0-8: it isn't marked as reserved, and brokers pass it on",
    },
    Difference {
        fact: "basic.reserved",
        published: Some("shortstr, shortstr, asserts none"),
        ours: None,
        why: "now cluster-id",
    },
    Difference {
        fact: "basic.cluster-id",
        published: None,
        ours: Some("shortstr, shortstr, asserts length 0"),
        why: "was reserved; that it must be empty is in words only in the published file",
    },
    Difference {
        fact: "basic.delivery-mode",
        published: Some("octet, octet, asserts none"),
        ours: Some("octet, octet, asserts among 1 2"),
        why: "in words only in the published file",
    },
    Difference {
        fact: "basic.recover: synchronous",
        published: Some("false"),
        ours: Some("true"),
        why: "errata 28: it has a reply",
    },
    Difference {
        fact: "basic.recover: responses",
        published: Some("none"),
        ours: Some("recover-ok"),
        why: "errata 28: it has a reply",
    },
    Difference {
        fact: "confirm.select: fields",
        published: Some("nowait"),
        ours: Some("no-wait"),
        why: "spelt as everywhere else",
    },
    Difference {
        fact: "confirm.select.nowait",
        published: Some("no-wait, bit, asserts none"),
        ours: None,
        why: "now no-wait",
    },
    Difference {
        fact: "confirm.select.no-wait",
        published: None,
        ours: Some("no-wait, bit, asserts none"),
        why: "was nowait",
    },
];

struct Difference {
    fact: &'static str,
    /// `None` if the published file doesn't state it.
    published: Option<&'static str>,
    /// `None` if ours don't state it.
    ours: Option<&'static str>,
    #[allow(dead_code, reason = "for the reader")]
    why: &'static str,
}

fn published_folder() -> Option<PathBuf> {
    let folder = env::var_os("AMQP091_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference"),
        PathBuf::from,
    );
    if FILES.iter().all(|name| folder.join(name).is_file()) {
        return Some(folder);
    }
    let required = env::var_os("AMQP091_REQUIRE_REFERENCE").is_some_and(|value| value == "1");
    assert!(!required, "reference files not found in {}", folder.display());
    eprintln!("reference files not found: comparison did not run");
    None
}

fn source(folder: &Path, name: &str) -> Source {
    Source::new(name, fs::read_to_string(folder.join(name)).unwrap())
}

fn resolved(sources: &[Source]) -> Model {
    let documents = parse::parse(sources).unwrap_or_else(|errors| panic!("{errors}"));
    let (model, problems) = model::build(&documents);
    assert_eq!(problems, [], "merging");
    assert_eq!(check::check(&model), [], "checking");
    model
}

#[test]
fn published_files_are_read_as_they_are() {
    let Some(folder) = published_folder() else {
        return;
    };
    for name in FILES {
        let generated =
            generate(&[source(&folder, name)]).unwrap_or_else(|errors| panic!("{errors}"));
        let header = format!("// @generated by amqp091-codegen from {name}; do not edit.\n");
        assert!(generated.protocol.starts_with(&header));
    }
}

/// How much of everything there is in a file.
#[derive(Debug, PartialEq, Eq, Default)]
struct Census {
    constants: usize,
    domains: usize,
    classes: usize,
    methods: usize,
    synchronous: usize,
    responses: usize,
    fields: usize,
    reserved: usize,
    properties: usize,
    rules: usize,
    rules_with_code: usize,
    asserts: usize,
    docs: usize,
    scenarios: usize,
    grammars: usize,
    chassis: usize,
}

impl Census {
    fn of(document: &Document) -> Self {
        let mut census = Self {
            constants: document.constants.len(),
            domains: document.domains.len(),
            classes: document.classes.len(),
            ..Self::default()
        };
        for constant in &document.constants {
            census.docs(&constant.docs);
        }
        for domain in &document.domains {
            census.docs(&domain.docs);
            census.asserts += domain.asserts.len();
        }
        for class in &document.classes {
            census.docs(&class.docs);
            census.methods += class.methods.len();
            census.properties += class.properties.len();
            census.chassis += class.chassis.len();
            for field in &class.properties {
                census.docs(&field.docs);
                census.asserts += field.asserts.len();
            }
            for method in &class.methods {
                census.docs(&method.docs);
                census.synchronous += usize::from(method.synchronous == Some(true));
                census.responses += method.responses.len();
                census.chassis += method.chassis.len();
                census.fields += method.fields.len();
                for field in &method.fields {
                    census.reserved += usize::from(field.reserved);
                    census.docs(&field.docs);
                    census.asserts += field.asserts.len();
                }
            }
        }
        census
    }

    fn docs(&mut self, docs: &Docs) {
        self.rules += docs.rules.len();
        let with_code = docs.rules.iter().filter(|rule| rule.on_failure.is_some());
        self.rules_with_code += with_code.count();
        let of_rules = docs.rules.iter().flat_map(|rule| &rule.texts);
        for text in docs.texts.iter().chain(of_rules) {
            self.docs += 1;
            self.scenarios += usize::from(text.kind == TextKind::Scenario);
            self.grammars += usize::from(text.kind == TextKind::Grammar);
        }
    }
}

#[test]
fn nothing_in_the_published_files_is_overlooked() {
    let Some(folder) = published_folder() else {
        return;
    };
    let full = Census {
        constants: 24,
        domains: 24,
        classes: 6,
        methods: 53,
        synchronous: 45,
        responses: 23,
        fields: 122,
        reserved: 18,
        properties: 14,
        rules: 115,
        rules_with_code: 30,
        asserts: 19,
        docs: 364,
        scenarios: 82,
        grammars: 6,
        chassis: 71,
    };
    let extended = Census {
        constants: 25,
        domains: 24,
        classes: 7,
        methods: 64,
        synchronous: 53,
        responses: 27,
        fields: 141,
        reserved: 18,
        properties: 14,
        rules: 139,
        rules_with_code: 35,
        asserts: 19,
        docs: 433,
        scenarios: 98,
        grammars: 7,
        chassis: 90,
    };
    let without_texts = |census: &Census| Census {
        rules: 0,
        rules_with_code: 0,
        docs: 0,
        scenarios: 0,
        grammars: 0,
        ..*census
    };
    // Despite its name, it has connection.blocked and unblocked, which the full file has not.
    let stripped = Census { methods: 55, fields: 123, chassis: 75, ..without_texts(&full) };
    let stripped_extended = without_texts(&extended);
    let expected = [full, extended, stripped, stripped_extended];
    for (name, expected) in FILES.into_iter().zip(expected) {
        let documents = parse::parse(&[source(&folder, name)]).unwrap();
        assert_eq!(Census::of(&documents[0]), expected, "{name}");
    }
}

/// Everything that a model states, but for texts: one line a fact.
fn facts(model: &Model) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut state = |fact: String, value: String| {
        assert_eq!(facts.insert(fact.clone(), value), None, "{fact} twice");
    };
    state("version".to_owned(), format!("{:?}", model.version));
    state("port".to_owned(), model.port.to_string());
    for constant in &model.constants {
        let class = constant.class.map_or_else(|| "no".to_owned(), |class| format!("{class:?}"));
        state(format!("constant {}", constant.name), format!("{}, {class} error", constant.value));
    }
    for domain in &model.domains {
        let asserts = list(domain.asserts.iter().map(|assert| &assert.check));
        state(
            format!("domain {}", domain.name),
            format!("{}, asserts {asserts}", domain.wire_type),
        );
    }
    for class in &model.classes {
        let name = &class.name;
        state(format!("{name}: index"), class.index.to_string());
        state(format!("{name}: handler"), class.handler.to_string());
        state(format!("{name}: chassis"), chassis(&class.chassis));
        state(format!("{name}: properties"), names(&class.properties));
        for field in &class.properties {
            state(format!("{name}.{}", field.name), field_facts(field));
        }
        for method in &class.methods {
            let name = format!("{name}.{}", method.name);
            let responses = list(method.responses.iter().map(|response| &response.name));
            state(format!("{name}: index"), method.index.to_string());
            state(format!("{name}: synchronous"), method.synchronous.to_string());
            state(format!("{name}: content"), method.content.to_string());
            state(format!("{name}: deprecated"), method.deprecated.to_string());
            state(format!("{name}: chassis"), chassis(&method.chassis));
            state(format!("{name}: responses"), responses);
            state(format!("{name}: fields"), names(&method.fields));
            for field in &method.fields {
                state(format!("{name}.{}", field.name), field_facts(field));
            }
        }
    }
    facts
}

/// In their order: it is that of the wire.
fn names(fields: &[Field]) -> String {
    list(fields.iter().map(|field| &field.name))
}

fn field_facts(field: &Field) -> String {
    let domain = field.domain.as_deref().unwrap_or("no domain");
    let asserts = list(field.asserts.iter().map(|assert| &assert.check));
    let mut facts = format!("{domain}, {}, asserts {asserts}", field.wire_type);
    for (says, so) in [("reserved", field.reserved), ("not required", !field.required)] {
        if so {
            facts.push_str(", ");
            facts.push_str(says);
        }
    }
    facts
}

/// Who comes first has no meaning.
fn chassis(chassis: &[Chassis]) -> String {
    let mut sorted: Vec<&Chassis> = chassis.iter().collect();
    sorted.sort_by_key(|chassis| chassis.role);
    list(sorted.iter().map(|chassis| format!("{} {}", chassis.role, chassis.implement)))
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(" ") }
}

#[test]
fn our_files_state_what_the_published_ones_do() {
    let Some(folder) = published_folder() else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let ours = ["spec/amqp0-9-1.xml", "spec/rabbitmq.xml"].map(|name| source(&root, name));
    let ours = facts(&resolved(&ours));
    let published = facts(&resolved(&[source(&folder, "amqp0-9-1.extended.xml")]));

    let mut complaints = Vec::new();
    let all = ours.keys().chain(published.keys().filter(|fact| !ours.contains_key(*fact)));
    for fact in all {
        let found = (published.get(fact).map(String::as_str), ours.get(fact).map(String::as_str));
        let expected = DIFFERENCES
            .iter()
            .find(|difference| difference.fact == fact)
            .map(|difference| (difference.published, difference.ours));
        match expected {
            None if found.0 != found.1 => complaints.push(format!("differs: {fact}: {found:?}")),
            Some(expected) if expected != found => {
                complaints.push(format!("{fact}: {found:?}, but the table has {expected:?}"));
            }
            _ => {}
        }
    }
    for Difference { fact, published: was, ours: is, .. } in DIFFERENCES {
        if was == is || !(ours.contains_key(*fact) || published.contains_key(*fact)) {
            complaints.push(format!("stale: {fact}: {was:?}, {is:?}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
