//! `list`: what is in a specification, as tables.

use std::ffi::OsString;

use amqp091_codegen::model::{Class, Field, FieldDefault, Method, Model};
use amqp091_codegen::schema::{ErrorClass, Role};

use super::Verdict;
use super::arguments::{Argument, Arguments};
use super::input::{Files, only_once};
use super::output::Output;
use super::stop::Stop;
use super::table::Table;

const OPTIONS: &[&str] = &["class", "constants", "domains", "methods", "properties", "standard"];

/// What stands where there is nothing.
const NONE: &str = "-";

pub(super) fn run(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let (mut files, mut standard) = (Files::default(), false);
    let mut classes = Vec::new();
    let (mut methods, mut properties, mut constants, mut domains) = (false, false, false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Value(name) => files.push(name),
            Argument::Option(name) => match name.as_str() {
                "class" => classes.push(arguments.value()?),
                "methods" => methods = true,
                "properties" => properties = true,
                "constants" => constants = true,
                "domains" => domains = true,
                "standard" => standard = true,
                _ => return Err(arguments.unknown_option(&name, OPTIONS)),
            },
        }
    }
    if standard || files.is_empty() {
        files.put_standard_first();
    }
    only_once(arguments, &[&files])?;
    let model = files.resolve(arguments, 1)?;
    let classes = chosen(&model, &classes, arguments)?;

    // Unless something else is asked for.
    methods |= !(properties || constants || domains);
    let mut output = Output::new(arguments.color());
    let tables = [
        methods.then(|| table_of_methods(&classes)),
        properties.then(|| table_of_properties(&classes)),
        constants.then(|| table_of_constants(&model)),
        domains.then(|| table_of_domains(&model)),
    ];
    for (index, table) in tables.iter().flatten().enumerate() {
        if index > 0 {
            output.line(format_args!(""))?;
        }
        table.write(&mut output)?;
    }
    output.finish()?;
    Ok(Verdict::Clean)
}

/// The classes of these names, or all of them.
fn chosen<'a>(
    model: &'a Model,
    names: &[OsString],
    arguments: &Arguments,
) -> Result<Vec<&'a Class>, Stop> {
    for name in names {
        let name = name.to_string_lossy();
        if !model.classes.iter().any(|class| class.name == name) {
            let known = model.classes.iter().map(|class| class.name.as_str());
            return Err(arguments.unknown("class", &name, known));
        }
    }
    let is_chosen =
        |class: &&Class| names.is_empty() || names.iter().any(|name| *name == *class.name);
    Ok(model.classes.iter().filter(is_chosen).collect())
}

fn table_of_methods(classes: &[&Class]) -> Table {
    let methods =
        classes.iter().flat_map(|class| class.methods.iter().map(move |method| (class, method)));
    let rows = methods.map(|(class, method)| {
        [
            format!("{}.{}", class.index, method.index),
            format!("{}.{}", class.name, method.name),
            senders(method).to_owned(),
            marks(method),
            joined(method.responses.iter().map(|response| response.name.clone()), ", "),
            joined(method.fields.iter().map(argument), ", "),
        ]
    });
    Table::new(["ID", "METHOD", "SENT BY", "MARKS", "REPLIES", "ARGUMENTS IN WIRE ORDER"], rows)
}

fn table_of_properties(classes: &[&Class]) -> Table {
    // The first property has the highest of 16 flags.
    let properties = classes.iter().flat_map(|class| {
        class.properties.iter().zip((0..16_u8).rev()).map(move |(property, bit)| {
            let reserved = if property.reserved { " (reserved)" } else { "" };
            [
                bit.to_string(),
                format!("{}.{}", class.name, property.name),
                format!("{}{reserved}", property.wire_type),
                property.domain.clone().unwrap_or_else(|| NONE.to_owned()),
            ]
        })
    });
    Table::new(["BIT", "PROPERTY", "TYPE", "DOMAIN"], properties)
}

fn table_of_constants(model: &Model) -> Table {
    let rows = model.constants.iter().map(|constant| {
        let class = match constant.class {
            None => NONE,
            Some(ErrorClass::Soft) => "soft-error",
            Some(ErrorClass::Hard) => "hard-error",
        };
        let marks = if constant.recoverable { "recoverable" } else { NONE };
        [constant.value.to_string(), constant.name.clone(), class.to_owned(), marks.to_owned()]
    });
    Table::new(["VALUE", "CONSTANT", "CLASS", "MARKS"], rows)
}

fn table_of_domains(model: &Model) -> Table {
    let rows = model.domains.iter().map(|domain| {
        let asserts = domain.asserts.iter().map(|assert| assert.check.to_string());
        [domain.name.clone(), domain.wire_type.to_string(), joined(asserts, ", ")]
    });
    Table::new(["DOMAIN", "TYPE", "ASSERTS"], rows)
}

fn senders(method: &Method) -> &'static str {
    match (method.sent_by(Role::Client), method.sent_by(Role::Server)) {
        (true, true) => "both",
        (true, false) => "client",
        (false, true) => "server",
        (false, false) => NONE,
    }
}

fn marks(method: &Method) -> String {
    let marks = [
        (method.synchronous, "sync"),
        (method.content, "content"),
        (method.deprecated, "deprecated"),
    ];
    joined(marks.iter().filter(|(is, _)| *is).map(|(_, mark)| (*mark).to_owned()), " ")
}

/// `ticket: short`; in parentheses if it is reserved.
fn argument(field: &Field) -> String {
    let text = format!("{}: {}", field.name, field.wire_type);
    match &field.default {
        _ if field.reserved => format!("({text})"),
        FieldDefault::Zero => text,
        default => format!("{text} = {default}"),
    }
}

fn joined(items: impl Iterator<Item = String>, separator: &str) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { NONE.to_owned() } else { items.join(separator) }
}
