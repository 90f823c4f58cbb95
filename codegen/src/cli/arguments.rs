//! Reading arguments: what all commands have in common, and what is said about those that nobody knows.

use std::ffi::OsString;

use lexopt::Arg;

use super::color::Color;
use super::help::Command;
use super::stop::Stop;

/// Options that every command has.
const COMMON: [&str; 2] = ["color", "help"];

/// One argument, but for the options that every command has.
pub(super) enum Argument {
    /// The name of an option, without hyphens.
    Option(String),
    /// Anything else.
    Value(OsString),
}

/// The arguments from here on.
pub(super) struct Arguments {
    parser: lexopt::Parser,
    color: Color,
    command: Option<&'static Command>,
}

impl Arguments {
    pub(super) fn new(arguments: impl IntoIterator<Item = OsString>) -> Self {
        // Collected, so that the parser can be kept in a struct without a type parameter.
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        Self { parser: lexopt::Parser::from_iter(arguments), color: Color::Auto, command: None }
    }

    /// What follows are the arguments of a command.
    pub(super) fn enter(&mut self, command: &'static Command) {
        self.command = Some(command);
    }

    /// When to use colour, as far as it was told.
    pub(super) fn color(&self) -> Color {
        self.color
    }

    /// The next argument, unless it is one that every command has.
    pub(super) fn next(&mut self) -> Result<Option<Argument>, Stop> {
        loop {
            let name = match self.parser.next() {
                Ok(Some(Arg::Long(name))) => name.to_owned(),
                Ok(Some(Arg::Short(name))) => name.to_string(),
                Ok(Some(Arg::Value(value))) => return Ok(Some(Argument::Value(value))),
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.usage(error.to_string())),
            };
            match name.as_str() {
                "help" | "h" => {
                    return Err(Stop::Help(self.command.map_or(super::help::MAIN, |c| c.help)));
                }
                "color" => self.color = self.color_value()?,
                _ => return Ok(Some(Argument::Option(name))),
            }
        }
    }

    /// The value of the option that was read last.
    pub(super) fn value(&mut self) -> Result<OsString, Stop> {
        self.parser.value().map_err(|error| self.usage(error.to_string()))
    }

    fn color_value(&mut self) -> Result<Color, Stop> {
        let value = self.value()?;
        match value.to_str() {
            Some("auto") => Ok(Color::Auto),
            Some("always") => Ok(Color::Always),
            Some("never") => Ok(Color::Never),
            _ => Err(self.usage(format!(
                "--color {}; expected auto, always or never",
                value.to_string_lossy()
            ))),
        }
    }

    /// The arguments are wrong.
    pub(super) fn usage(&self, message: impl Into<String>) -> Stop {
        Stop::Usage { message: message.into(), command: self.command.map(|command| command.name) }
    }

    /// A name that isn't known, among those that are.
    pub(super) fn unknown<'a>(
        &self,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Stop {
        Stop::unknown(what, name, known, self.command.map(|command| command.name))
    }

    /// An option that the command doesn't have; it has these.
    pub(super) fn unknown_option(&self, name: &str, known: &[&'static str]) -> Stop {
        if name.chars().count() == 1 {
            return self.usage(format!("unknown option -{name}"));
        }
        let name = format!("--{name}");
        let known: Vec<String> =
            known.iter().chain(&COMMON).map(|known| format!("--{known}")).collect();
        self.unknown("option", &name, known.iter().map(String::as_str))
    }
}
