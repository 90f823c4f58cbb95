//! `check`: all that is wrong with a specification, and what looks as if it were.

use amqp091_codegen::lint::lint;
use amqp091_codegen::{emit, resolve};

use super::Verdict;
use super::arguments::{Argument, Arguments};
use super::color::Style;
use super::input::{Files, only_once};
use super::output::Output;
use super::stop::Stop;

const OPTIONS: &[&str] = &["deny-warnings", "standard"];

pub(super) fn run(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let (mut files, mut standard, mut deny_warnings) = (Files::default(), false, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Value(name) => files.push(name),
            Argument::Option(name) => match name.as_str() {
                "deny-warnings" => deny_warnings = true,
                "standard" => standard = true,
                _ => return Err(arguments.unknown_option(&name, OPTIONS)),
            },
        }
    }
    if standard {
        files.put_standard_first();
    }
    if files.is_empty() {
        return Err(arguments.usage("check what? Name the files, the base first"));
    }
    only_once(arguments, &[&files])?;
    let sources = files.read(arguments)?;

    let mut output = Output::new(arguments.color());
    // All stages: what can't be emitted is a mistake too.
    let checked = resolve(&sources).and_then(|model| emit::emit(&model).map(|_| model));
    let model = match checked {
        Ok(model) => model,
        Err(errors) => {
            output.problems(errors.problems())?;
            let count = counted(errors.problems().len(), "error");
            let count = output.styled(Style::Error, count);
            output.line(format_args!("{count}"))?;
            output.finish()?;
            return Ok(Verdict::Found);
        }
    };
    let warnings = lint(&model);
    for warning in &warnings {
        output.warning(warning)?;
    }
    let contents = format!(
        "{}, {}, {}, {}",
        counted(model.classes.len(), "class"),
        counted(model.methods().count(), "method"),
        counted(model.constants.len(), "constant"),
        counted(model.domains.len(), "domain"),
    );
    if warnings.is_empty() {
        let fine = output.styled(Style::Added, "no mistakes");
        output.line(format_args!("{fine} in {contents}"))?;
    } else {
        let count = counted(warnings.len(), "warning");
        let count = output.styled(Style::Warning, count);
        output.line(format_args!("{count} in {contents}"))?;
    }
    output.finish()?;
    Ok(if deny_warnings && !warnings.is_empty() { Verdict::Found } else { Verdict::Clean })
}

/// `1 error`, `2 errors`
pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ if what.ends_with('s') => format!("{count} {what}es"),
        _ => format!("{count} {what}s"),
    }
}
