//! The specifications that a command is given: files, standard input, and those that the generator carries.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;

use amqp091_codegen::model::Model;
use amqp091_codegen::{Source, resolve, standard};

use super::arguments::Arguments;
use super::stop::Stop;

/// What stands for the standard with RabbitMQ's extensions, and its two files one by one.
const STANDARD: &str = "@standard";
const BASE: &str = "@amqp0-9-1";
const RABBITMQ: &str = "@rabbitmq";

/// What standard input is called in messages.
const STDIN: &str = "<stdin>";

/// The names of the files of a specification: the base first, then the overlays.
#[derive(Default)]
pub(super) struct Files {
    names: Vec<OsString>,
}

impl Files {
    pub(super) fn push(&mut self, name: OsString) {
        self.names.push(name);
    }

    /// `a.xml,b.xml`
    pub(super) fn separated(names: &OsStr) -> Self {
        let names = match names.to_str() {
            Some(names) => names.split(',').map(OsString::from).collect(),
            None => vec![names.to_owned()],
        };
        Self { names }
    }

    /// Puts the standard below all the others.
    pub(super) fn put_standard_first(&mut self) {
        self.names.insert(0, STANDARD.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn names(&self) -> &[OsString] {
        &self.names
    }

    /// Reads them.
    pub(super) fn read(&self, arguments: &Arguments) -> Result<Vec<Source>, Stop> {
        let mut sources = Vec::new();
        for name in &self.names {
            match name.to_str() {
                Some("-") => sources.push(stdin()?),
                Some("") => return Err(arguments.usage("a file without a name")),
                Some(name) if name.starts_with('@') => sources.extend(carried(name, arguments)?),
                _ => sources.push(file(name)?),
            }
        }
        Ok(sources)
    }

    /// Reads and resolves them. Mistakes end the command with this exit status.
    pub(super) fn resolve(&self, arguments: &Arguments, status: u8) -> Result<Model, Stop> {
        resolve(&self.read(arguments)?)
            .map_err(|errors| Stop::Mistakes { problems: errors.problems().to_vec(), status })
    }
}

/// Standard input can be read once, and there is one.
pub(super) fn only_once(arguments: &Arguments, all: &[&Files]) -> Result<(), Stop> {
    let names = all.iter().flat_map(|files| &files.names);
    if names.filter(|name| *name == "-").count() > 1 {
        return Err(arguments.usage("standard input (-) is named twice"));
    }
    Ok(())
}

fn carried(name: &str, arguments: &Arguments) -> Result<Vec<Source>, Stop> {
    let mut both = standard();
    match name {
        STANDARD => {}
        BASE => both.truncate(1),
        RABBITMQ => both = both.split_off(1),
        _ => {
            let known = [STANDARD, BASE, RABBITMQ];
            let suggestion = amqp091_codegen::resembling(name, known).map_or_else(
                || format!("; expected {STANDARD}, {BASE} or {RABBITMQ}"),
                |known| format!("; did you mean {known}?"),
            );
            let hint = format!("(a file of that name: ./{name})");
            return Err(arguments.usage(format!("unknown specification {name}{suggestion} {hint}")));
        }
    }
    Ok(both)
}

fn file(path: &OsStr) -> Result<Source, Stop> {
    let name = path.to_string_lossy().into_owned();
    let source = fs::File::open(path).and_then(|file| Source::read(&*name, file));
    source.map_err(|error| Stop::file(name, error))
}

fn stdin() -> Result<Source, Stop> {
    Source::read(STDIN, io::stdin()).map_err(|error| Stop::file(STDIN, error))
}
