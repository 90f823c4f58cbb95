//! The command `amqp091-codegen` as its users run it: what it writes to standard output and standard error, and its exit
//! status.

// Without this feature there is no command.
#![cfg(feature = "cli")]

#[path = "cli/check.rs"]
mod check;
#[path = "cli/command_line.rs"]
mod command_line;
#[path = "cli/diff.rs"]
mod diff;
#[path = "cli/emit.rs"]
mod emit;
#[path = "cli/list.rs"]
mod list;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/run.rs"]
mod run;
