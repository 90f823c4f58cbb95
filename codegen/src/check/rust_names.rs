//! Names that differ in the specification and would be one in Rust, or that the generated code needs itself.

use std::collections::{HashMap, HashSet};

use crate::model::{Class, Field, Model};
use crate::names;
use crate::problem::{Problem, ProblemKind};
use crate::schema::Position;

pub(super) fn check(model: &Model) -> Vec<Problem> {
    let mut problems = Vec::new();

    let mut codes = Namespace::default();
    for code in model.reply_codes() {
        let path = format!("constant {}", code.name);
        let rust = format!("ReplyCode::{}", names::constant(&code.name));
        problems.extend(codes.take(rust, path, &code.position));
    }

    let mut constants = Namespace::default();
    constants.reserve("constants::PORT", "the port of the protocol");
    constants.reserve("constants::PROTOCOL_VERSION", "the version of the protocol");
    for constant in model.other_constants() {
        let path = format!("constant {}", constant.name);
        let rust = format!("constants::{}", names::constant(&constant.name));
        problems.extend(constants.take(rust, path, &constant.position));
    }

    let mut modules = Namespace::default();
    modules.reserve("constants", "the module of the constants");
    for class in in_file_order(&model.classes, |class| &class.position) {
        let rust = names::snake_ident(&class.name).to_string();
        problems.extend(modules.take(rust, class.name.clone(), &class.position));
        types(class, &mut problems);
    }

    variants(model, &mut problems);
    problems
}

/// Types of one class.
fn types(class: &Class, problems: &mut Vec<Problem>) {
    let mut types = Namespace::default();
    if !class.properties.is_empty() {
        types.reserve("Properties", "the struct of the content properties");
    }
    for method in &class.methods {
        if method.responses.len() > 1 {
            let used_for = format!("the enum of the replies to {}.{}", class.name, method.name);
            types.reserve(format!("{}Reply", names::camel(&method.name)), used_for);
        }
    }
    for method in in_file_order(&class.methods, |method| &method.position) {
        let path = format!("{}.{}", class.name, method.name);
        let rust = names::camel_ident(&method.name).to_string();
        fields(&method.fields, &path, problems);
        problems.extend(types.take(rust, path, &method.position));
    }
    fields(&class.properties, &class.name, problems);
}

fn fields(fields: &[Field], parent: &str, problems: &mut Vec<Problem>) {
    let mut names = Namespace::default();
    for field in fields.iter().filter(|field| !field.reserved) {
        let path = format!("{parent}.{}", field.name);
        let rust = names::snake_ident(&field.name).to_string();
        problems.extend(names.take(rust, path, &field.position));
    }
}

/// Variants of the enums of all methods: class and method in one name.
fn variants(model: &Model, problems: &mut Vec<Problem>) {
    let mut variants = Namespace::default();
    let mut types = HashSet::new();
    for (class, method) in in_file_order(model.methods(), |(_, method)| &method.position) {
        let (class_name, method_name) = (names::camel(&class.name), names::camel(&method.name));
        let rust = format!("AnyMethod::{class_name}{method_name}");
        // Within one class the variants collide where the types do, which is reported already.
        if types.insert((&class.name, method_name)) {
            let path = format!("{}.{}", class.name, method.name);
            problems.extend(variants.take(rust, path, &method.position));
        }
    }
}

/// The model is sorted by index, but it is the later one in the files that is told to change.
fn in_file_order<'a, T>(
    items: impl IntoIterator<Item = T>,
    position: impl Fn(&T) -> &'a Position,
) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_by(|a, b| position(a).cmp(position(b)));
    items
}

/// Rust names of one scope, and who has them.
#[derive(Default)]
struct Namespace<'a> {
    taken: HashMap<String, Holder<'a>>,
}

enum Holder<'a> {
    Generated(String),
    Specified(String, &'a Position),
}

impl<'a> Namespace<'a> {
    fn reserve(&mut self, rust: impl Into<String>, used_for: impl Into<String>) {
        self.taken.insert(rust.into(), Holder::Generated(used_for.into()));
    }

    /// Takes a name, unless something else has it. (Having one path twice is another mistake, reported elsewhere.)
    fn take(&mut self, rust: String, path: String, position: &'a Position) -> Option<Problem> {
        let kind = match self.taken.get(&rust) {
            None => {
                self.taken.insert(rust, Holder::Specified(path, position));
                return None;
            }
            Some(Holder::Specified(other, _)) if *other == path => return None,
            Some(Holder::Specified(other, first)) => ProblemKind::SameRustName {
                rust,
                other: other.clone(),
                first: Position::clone(first),
            },
            Some(Holder::Generated(used_for)) => {
                ProblemKind::ReservedRustName { rust, used_for: used_for.clone() }
            }
        };
        Some(Problem::new(position, path, kind))
    }
}
