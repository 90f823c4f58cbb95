//! The command line: which command is meant, and how its end becomes an exit status.
//!
//! Each command is a module with a `run`, which reads its own arguments. What it finds goes to standard output; why it
//! can't goes to standard error.

mod arguments;
mod check;
mod color;
mod diff;
mod emit;
mod help;
mod input;
mod list;
mod output;
mod stop;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

use self::arguments::{Argument, Arguments};
use self::output::Output;
use self::stop::Stop;

/// The name of the command, in messages.
const NAME: &str = env!("CARGO_BIN_NAME");

/// What a command that did its work has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing that would be wrong, or different.
    Clean,
    /// Mistakes, or differences.
    Found,
}

/// Runs the command with its arguments, the first of which is its own name.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = Arguments::new(arguments);
    match dispatch(&mut arguments) {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Found) => ExitCode::from(1),
        Err(stop) => stop.report(arguments.color()),
    }
}

fn dispatch(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let command = match arguments.next()? {
        Some(Argument::Value(command)) => command,
        Some(Argument::Option(name)) => match name.as_str() {
            "version" | "V" => return version(arguments),
            _ => return Err(arguments.unknown_option(&name, &["version"])),
        },
        None => return Err(Stop::NoCommand),
    };
    let command = command.to_string_lossy();
    if command == "help" {
        return help(arguments);
    }
    let Some(command) = help::COMMANDS.iter().find(|known| known.name == command) else {
        let names = help::COMMANDS.iter().map(|known| known.name).chain(["help"]);
        return Err(Stop::unknown("command", &command, names, None));
    };
    arguments.enter(command);
    (command.run)(arguments)
}

/// `help`, `help check`.
fn help(arguments: &mut Arguments) -> Result<Verdict, Stop> {
    let mut text = help::MAIN;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Value(name) => {
                let name = name.to_string_lossy();
                let known = help::COMMANDS.iter().find(|known| known.name == name);
                let names = || help::COMMANDS.iter().map(|known| known.name);
                text = known.ok_or_else(|| Stop::unknown("command", &name, names(), None))?.help;
            }
            Argument::Option(name) => return Err(arguments.unknown_option(&name, &[])),
        }
    }
    Err(Stop::Help(text))
}

fn version(arguments: &Arguments) -> Result<Verdict, Stop> {
    let mut output = Output::new(arguments.color());
    output.line(format_args!("{NAME} {}", env!("CARGO_PKG_VERSION")))?;
    output.finish()?;
    Ok(Verdict::Clean)
}
