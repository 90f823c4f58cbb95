//! Why a command ends before its work is done, and the exit status that says so.

use std::io;
use std::process::ExitCode;

use amqp091_codegen::{Problem, resembling};

use super::NAME;
use super::color::Color;
use super::help;
use super::output::{Output, one_line};

/// Why a command ends before its work is done.
#[derive(Debug)]
pub(super) enum Stop {
    /// Help was asked for: this one.
    Help(&'static str),
    /// There was no argument.
    NoCommand,
    /// The arguments are wrong.
    Usage {
        /// What is wrong with them.
        message: String,
        /// The command whose help tells more.
        command: Option<&'static str>,
    },
    /// A file can't be read or written.
    File {
        /// What it was called.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The specification has mistakes, so nothing can be made of it.
    Mistakes {
        /// They.
        problems: Vec<Problem>,
        /// What the exit status is to be.
        status: u8,
    },
}

impl Stop {
    /// A name that nobody knows, and one of these that resembles it.
    pub(super) fn unknown<'a>(
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        command: Option<&'static str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        // The beginning of just one is as near.
        let mut longer = known.iter().filter(|known| known.starts_with(name));
        let begun = longer.next().filter(|_| longer.next().is_none());
        let suggestion = resembling(name, known.iter().copied())
            .or_else(|| begun.map(ToString::to_string))
            .map(|known| format!("; did you mean {known}?"))
            .unwrap_or_default();
        Self::Usage { message: format!("unknown {what} {name}{suggestion}"), command }
    }

    pub(super) fn file(name: impl Into<String>, source: io::Error) -> Self {
        Self::File { name: name.into(), source }
    }

    /// Standard output can't be written.
    pub(super) fn output(source: io::Error) -> Self {
        Self::file("standard output", source)
    }

    /// Says why, and gives the exit status. Help is no failure.
    pub(super) fn report(self, color: Color) -> ExitCode {
        if let Self::Help(text) = self {
            let mut output = Output::new(color);
            let written = output.text(text).and_then(|()| output.finish());
            return match written {
                Ok(()) => ExitCode::SUCCESS,
                Err(stop) => stop.report(color),
            };
        }
        let mut output = Output::error(color);
        let status = match &self {
            Self::Mistakes { status, .. } => *status,
            _ => 2,
        };
        // If standard error can't be written, the exit status is all that is left to tell.
        let _ = self.explain(&mut output).and_then(|()| output.finish());
        ExitCode::from(status)
    }

    fn explain(self, output: &mut Output) -> Result<(), Self> {
        match self {
            Self::Help(text) => output.text(text),
            Self::NoCommand => output.text(help::MAIN),
            Self::Usage { message, command } => {
                let command = command.map(|name| format!(" {name}")).unwrap_or_default();
                output.line(format_args!("{NAME}: {}", one_line(message)))?;
                output.line(format_args!("See {NAME}{command} --help."))
            }
            Self::File { name, source } => {
                output.line(format_args!("{NAME}: {}: {source}", one_line(name)))
            }
            Self::Mistakes { problems, .. } => output.problems(&problems),
        }
    }
}
