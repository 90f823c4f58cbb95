//! Whether to use colour, and the few there are.

use std::env;

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set or the terminal is a dumb one.
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether to use it on what is a terminal or not.
    pub(super) fn on(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                terminal
                    && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && env::var_os("TERM").is_none_or(|value| value != "dumb")
            }
        }
    }
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Heading,
    Added,
    Removed,
    Changed,
    Error,
    Warning,
    Faint,
}

impl Style {
    /// The sequence that begins it; [`Style::END`] ends it.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Heading => "\x1b[1m",
            Self::Added => "\x1b[32m",
            Self::Removed => "\x1b[31m",
            Self::Changed => "\x1b[33m",
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[1;33m",
            Self::Faint => "\x1b[2m",
        }
    }

    pub(super) const END: &'static str = "\x1b[0m";
}
