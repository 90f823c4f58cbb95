//! The commands and their help.

use super::arguments::Arguments;
use super::stop::Stop;
use super::{Verdict, check, diff, emit, list};

/// A command.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) run: fn(&mut Arguments) -> Result<Verdict, Stop>,
}

pub(super) static COMMANDS: [Command; 4] = [
    Command { name: "check", help: CHECK, run: check::run },
    Command { name: "diff", help: DIFF, run: diff::run },
    Command { name: "emit", help: EMIT, run: emit::run },
    Command { name: "list", help: LIST, run: list::run },
];

pub(super) const MAIN: &str = "\
Reads XML specifications of AMQP 0-9-1 and makes Rust of them.

Usage: amqp091-codegen COMMAND [OPTION...] [FILE...]

Commands:
  check   Show all mistakes in a specification, with their places
  diff    Show what changed between two specifications, and whom it breaks
  emit    Write the generated Rust
  list    Show the methods of a specification as a table
  help    Show this text, or that of a command

Options of all commands:
      --color WHEN   auto (on a terminal without NO_COLOR), always or never
  -h, --help         Show the help of the command
  -V, --version      Show the version (before a command)

Where files are named, the first is the base and the others are overlays on it.
  -              standard input
  @standard      the standard with RabbitMQ's extensions, which is built in
  @amqp0-9-1     the standard alone
  @rabbitmq      RabbitMQ's extensions alone, an overlay
The option --standard is short for @standard as the first file.

Exit status: 0 if all is well, 1 if there are mistakes or differences, 2 if the
command line is wrong or a file can't be read or written.
";

const CHECK: &str = "\
Shows all mistakes in a specification, with file, line and column.

Usage: amqp091-codegen check [OPTION...] FILE...

If there are no mistakes, it shows what looks like one: a domain that no field
has, a synchronous request without a response, a method, field or constant
without documentation, an assert that has no effect on its type, a default that
breaks an assert, credentials that aren't marked as secret.

Options:
      --standard        The standard with RabbitMQ's extensions is the base
      --deny-warnings   What looks like a mistake is one
      --color WHEN      auto, always or never
  -h, --help            Show this text

Exit status: 0 if there are no mistakes, 1 if there are, 2 if the command line
is wrong or a file can't be read.

Examples:
  amqp091-codegen check spec/amqp0-9-1.xml spec/acme.xml
  amqp091-codegen check --standard --deny-warnings spec/acme.xml
";

const DIFF: &str = "\
Shows what changed between two specifications, and whom it breaks.

Usage: amqp091-codegen diff [OPTION...] OLD NEW

Each of them is a file, or several with commas between them: base.xml,acme.xml.
+ marks what is new, - what is gone, ~ what is otherwise. What is renamed is
recognised by its index, number or place. Documentation isn't compared.

A change breaks the API if code that was written for the old specification may
not compile with the new one, or may do something else. It breaks the wire if
peers made from the two may misunderstand each other.

Options:
      --breaking     Show only changes that break something
      --places       Show where both specifications state it
      --standard     The standard with RabbitMQ's extensions is the base of both
      --color WHEN   auto, always or never
  -h, --help         Show this text

Exit status: 0 if nothing changed, 1 if something did (with --breaking: if
something breaks), 2 if the command line is wrong, a file can't be read, or one
of the specifications has mistakes.

Examples:
  amqp091-codegen diff old/amqp0-9-1.xml spec/amqp0-9-1.xml
  amqp091-codegen diff @standard @standard,spec/acme.xml
  git show HEAD:acme.xml | amqp091-codegen diff --standard --breaking - acme.xml
";

const EMIT: &str = "\
Writes the Rust that is generated from a specification.

Usage: amqp091-codegen emit [OPTION...] FILE...

The code names nothing but ::amqp091_types and the standard library; include it
in a module of its own. A build script does the same with the library:
amqp091_codegen::extend(&[\"spec/acme.xml\"]).

Options:
  -o, --out FILE          Write the protocol to FILE, not to standard output
      --round-trip FILE   Write tests of all methods and properties to FILE
                          In both, - is standard output
      --standard          The standard with RabbitMQ's extensions is the base
      --color WHEN        auto, always or never
  -h, --help              Show this text

If the code would print credentials, as what is made from the published files
would, a warning says so.

The tests are not complete. What includes them needs the module above as
amqp091::protocol, and Sample, Random, round_trip_method and
round_trip_properties, written by hand: the README of this package says what
they are, samples/vendor in the repository has such a test.

Exit status: 0 if it was written, 1 if the specification has mistakes, 2 if the
command line is wrong or a file can't be read or written.

Examples:
  amqp091-codegen emit --standard spec/acme.xml --out src/protocol.rs
  amqp091-codegen emit @amqp0-9-1 | less
";

const LIST: &str = "\
Shows the methods of a specification as a table, or other things in it.

Usage: amqp091-codegen list [OPTION...] [FILE...]

Without a file it is the standard with RabbitMQ's extensions. Arguments stand in
the order of the wire: reserved ones in parentheses, and behind = what one is by
default, if that isn't zero or empty.

Options:
      --methods      Methods: what is shown if nothing else is asked for
      --properties   Content properties, with their bits in the word of flags
      --constants    Constants and reply codes
      --domains      Domains
      --class NAME   Methods and properties of this class only; may be repeated
      --standard     The standard with RabbitMQ's extensions is the base
      --color WHEN   auto, always or never
  -h, --help         Show this text

Exit status: 0 if it was shown, 1 if the specification has mistakes, 2 if the
command line is wrong or a file can't be read.

Examples:
  amqp091-codegen list --class basic
  amqp091-codegen list --constants --domains spec/amqp0-9-1.xml | less -S
";
