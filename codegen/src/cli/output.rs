//! Writing: to standard output and standard error, with colour where it is wanted, and without complaint to a pipe that
//! nobody reads any more.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use amqp091_codegen::lint::Warning;
use amqp091_codegen::{Problem, ProblemKind};

use super::color::{Color, Style};
use super::stop::Stop;

/// A stream of text.
pub(super) struct Output {
    stream: BufWriter<Box<dyn Write>>,
    color: bool,
    /// Nobody reads any more: what `| head` has seen enough of. The rest is left out, and that is no failure.
    closed: bool,
}

impl Output {
    /// Standard output.
    pub(super) fn new(color: Color) -> Self {
        let stream = io::stdout();
        Self::to(color.on(stream.is_terminal()), Box::new(stream))
    }

    /// Standard error.
    pub(super) fn error(color: Color) -> Self {
        let stream = io::stderr();
        Self::to(color.on(stream.is_terminal()), Box::new(stream))
    }

    fn to(color: bool, stream: Box<dyn Write>) -> Self {
        Self { stream: BufWriter::new(stream), color, closed: false }
    }

    /// A piece of text in a style.
    pub(super) fn styled<T: fmt::Display>(&self, style: Style, text: T) -> Styled<T> {
        Styled { style: self.color.then_some(style), text }
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Stop> {
        let written = self.stream.write_all(text.as_bytes());
        self.written(written)
    }

    /// A line; without its end.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) -> Result<(), Stop> {
        let written = writeln!(self.stream, "{line}");
        self.written(written)
    }

    /// The mistakes in a specification.
    pub(super) fn problems(&mut self, problems: &[Problem]) -> Result<(), Stop> {
        for problem in problems {
            self.problem(problem)?;
        }
        // Only a base has a version. One mistake would look like many.
        let no_base = problems.iter().find(|problem| {
            matches!(problem.kind, ProblemKind::MissingAttribute { attribute: "major", .. })
        });
        if let Some(Problem { position, .. }) = no_base {
            let word = self.styled(Style::Heading, "help");
            let advice = "if this is an overlay, name its base before it, or say --standard";
            self.line(format_args!("{}: {word}: {advice}", one_line(position)))?;
        }
        Ok(())
    }

    /// A mistake in a specification, as editors and compilers have them.
    fn problem(&mut self, problem: &Problem) -> Result<(), Stop> {
        let word = self.styled(Style::Error, "error");
        let position = one_line(&problem.position);
        let text = one_line(format_args!("{}{}", path(&problem.path), problem.kind));
        self.line(format_args!("{position}: {word}: {text}"))
    }

    /// What looks like a mistake.
    pub(super) fn warning(&mut self, warning: &Warning) -> Result<(), Stop> {
        let word = self.styled(Style::Warning, "warning");
        let position = one_line(&warning.position);
        let text = one_line(format_args!("{}{}", path(&warning.path), warning.kind));
        self.line(format_args!("{position}: {word}: {text}"))
    }

    /// Lets out what is still here.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        if self.closed {
            return Ok(());
        }
        let written = self.stream.flush();
        self.written(written)
    }

    fn written(&mut self, written: io::Result<()>) -> Result<(), Stop> {
        match written {
            Err(error) if self.closed || error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(Stop::output),
        }
    }
}

/// Escapes line breaks and other control characters, which names and values in a file may have: they are shown, and never
/// obeyed by a terminal.
pub(super) fn one_line(text: impl fmt::Display) -> String {
    let mut line = String::new();
    for character in text.to_string().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// The path of a problem, before what is said about it.
fn path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// A piece of text, in a style or as it is.
pub(super) struct Styled<T> {
    style: Option<Style>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Some(style) => {
                f.write_str(style.begin())?;
                self.text.fmt(f)?;
                f.write_str(Style::END)
            }
            None => self.text.fmt(f),
        }
    }
}
