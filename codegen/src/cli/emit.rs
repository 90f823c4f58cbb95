//! `emit`: the generated code, to standard output or to files.

use std::ffi::{OsStr, OsString};
use std::fs;

use amqp091_codegen::emit;
use amqp091_codegen::lint::lint;

use super::Verdict;
use super::arguments::{Argument, Arguments};
use super::input::{Files, only_once};
use super::output::Output;
use super::stop::Stop;

const OPTIONS: &[&str] = &["out", "round-trip", "standard"];

pub(super) fn run(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let (mut files, mut standard) = (Files::default(), false);
    let (mut protocol, mut round_trip) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Value(name) => files.push(name),
            Argument::Option(name) => match name.as_str() {
                "out" | "o" => protocol = Some(arguments.value()?),
                "round-trip" => round_trip = Some(arguments.value()?),
                "standard" => standard = true,
                _ => return Err(arguments.unknown_option(&name, OPTIONS)),
            },
        }
    }
    if standard {
        files.put_standard_first();
    }
    if files.is_empty() {
        return Err(arguments.usage("emit what? Name the files, the base first"));
    }
    let protocol = protocol.unwrap_or_else(|| OsString::from("-"));
    if round_trip.as_ref() == Some(&protocol) {
        let name = protocol.to_string_lossy();
        return Err(arguments.usage(format!("--out and --round-trip are the same: {name}")));
    }
    only_once(arguments, &[&files])?;
    for out in round_trip.iter().chain([&protocol]) {
        if files.names().iter().any(|name| same_file(name, out)) {
            let name = out.to_string_lossy();
            return Err(arguments.usage(format!("{name} is a specification: not overwritten")));
        }
    }

    let model = files.resolve(arguments, 1)?;
    let mut warnings = Output::error(arguments.color());
    for warning in lint(&model).iter().filter(|warning| warning.is_of_credentials()) {
        warnings.warning(warning)?;
    }
    warnings.finish()?;
    let generated = emit::emit(&model)
        .map_err(|errors| Stop::Mistakes { problems: errors.problems().to_vec(), status: 1 })?;
    write(arguments, &protocol, &generated.protocol)?;
    if let Some(round_trip) = round_trip {
        write(arguments, &round_trip, &generated.round_trip)?;
    }
    Ok(Verdict::Clean)
}

fn same_file(name: &OsStr, other: &OsStr) -> bool {
    match (fs::canonicalize(name), fs::canonicalize(other)) {
        (Ok(name), Ok(other)) => name == other,
        _ => false,
    }
}

fn write(arguments: &Arguments, path: &OsStr, text: &str) -> Result<(), Stop> {
    if path == "-" {
        let mut output = Output::new(arguments.color());
        output.text(text)?;
        return output.finish();
    }
    fs::write(path, text).map_err(|error| Stop::file(path.to_string_lossy(), error))
}
