//! The command `amqp091-codegen`; what it does is in `cli`.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
