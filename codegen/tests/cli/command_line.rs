//! Help, version, colour, and what is said about wrong arguments.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::io::Read;
use std::process::Stdio;

use super::run::Folder;

const COMMANDS: [&str; 4] = ["check", "diff", "emit", "list"];

#[test]
fn help_is_of_the_command_that_is_asked_about() {
    let folder = Folder::new("help");
    let main = folder.run("--help");
    assert_eq!((main.status, &*main.err), (0, ""));
    for line in ["-h", "help"] {
        assert_eq!(folder.run(line), main);
    }
    for command in COMMANDS {
        assert!(main.out.contains(&format!("\n  {command}   ")), "{command}");
        let help = folder.run(&format!("{command} --help"));
        assert_eq!((help.status, &*help.err), (0, ""));
        assert!(help.out.contains(&format!("\nUsage: amqp091-codegen {command} ")), "{command}");
        for part in ["\nOptions:\n", "\nExit status: ", "\nExamples:\n", "--color WHEN"] {
            assert!(help.out.contains(part), "{command}: {part}");
        }
        for line in [format!("{command} -h x.xml"), format!("help {command}")] {
            assert_eq!(folder.run(&line), help);
        }
    }
}

/// All that help tells about is there, and help tells about all that is there.
#[test]
fn options_are_those_of_the_help() {
    let folder = Folder::new("options");
    for command in COMMANDS {
        let help = folder.run(&format!("{command} --help")).out;
        let options: Vec<&str> = help
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .collect();
        assert!(options.len() >= 4, "{options:?}");
        for option in options {
            let ran = folder.run(&format!("{command} {option}"));
            assert!(!ran.err.contains("unknown option"), "{command} {option}: {}", ran.err);
        }
        // A name that resembles none is refused, whatever it is.
        let ran = folder.run(&format!("{command} --xyzzy"));
        ran.complained(
            2,
            &[
                "amqp091-codegen: unknown option --xyzzy",
                &format!("See amqp091-codegen {command} --help."),
            ],
        );
    }
}

/// Lines of help fit a terminal.
#[test]
fn help_is_not_too_wide() {
    let folder = Folder::new("width");
    for line in ["help", "help check", "help diff", "help emit", "help list"] {
        for line in folder.run(line).out.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let folder = Folder::new("version");
    let version = concat!("amqp091-codegen ", env!("CARGO_PKG_VERSION"));
    folder.run("--version").wrote(0, &[version]);
    folder.run("-V").wrote(0, &[version]);
}

#[test]
fn without_a_command_there_is_help_and_failure() {
    let folder = Folder::new("nothing");
    let ran = folder.run("");
    assert_eq!((ran.status, &*ran.out), (2, ""));
    assert_eq!(ran.err, folder.run("help").out);
}

#[test]
fn wrong_arguments_are_named_and_corrected() {
    let folder = Folder::new("wrong");
    let see = |command: &str| format!("See amqp091-codegen{command} --help.");
    for (line, message, command) in [
        ("chek base.xml", "unknown command chek; did you mean check?", ""),
        ("frobnicate", "unknown command frobnicate", ""),
        ("help chek", "unknown command chek; did you mean check?", ""),
        ("--versoin", "unknown option --versoin; did you mean --version?", ""),
        ("check --standrad", "unknown option --standrad; did you mean --standard?", " check"),
        ("check --deny", "unknown option --deny; did you mean --deny-warnings?", " check"),
        ("check -x", "unknown option -x", " check"),
        ("check", "check what? Name the files, the base first", " check"),
        ("emit", "emit what? Name the files, the base first", " emit"),
        ("check --color", "missing argument for option '--color'", " check"),
        ("check --color blue", "--color blue; expected auto, always or never", " check"),
        ("check --standard=yes", "unexpected argument for option '--standard': \"yes\"", " check"),
        (
            "check @standad",
            "unknown specification @standad; did you mean @standard? (a file of that name: ./@standad)",
            " check",
        ),
        (
            "check @x",
            "unknown specification @x; expected @standard, @amqp0-9-1 or @rabbitmq (a file of that name: ./@x)",
            " check",
        ),
        ("check - -", "standard input (-) is named twice", " check"),
        ("diff - a.xml,-", "standard input (-) is named twice", " diff"),
        (
            "diff base.xml",
            "two specifications can be compared, not 1; join the files of one with commas",
            " diff",
        ),
        (
            "diff a b c",
            "two specifications can be compared, not 3; join the files of one with commas",
            " diff",
        ),
        ("diff base.xml, base.xml", "a file without a name", " diff"),
        ("list --class quue base.xml", "unknown class quue; did you mean queue?", " list"),
        (
            "emit base.xml --out x.rs --round-trip x.rs",
            "--out and --round-trip are the same: x.rs",
            " emit",
        ),
        ("emit base.xml --round-trip -", "--out and --round-trip are the same: -", " emit"),
    ] {
        let message = format!("amqp091-codegen: {message}");
        folder.run(line).complained(2, &[&message, &see(command)]);
    }
}

#[test]
fn colour_is_for_terminals_and_those_who_ask() {
    let folder = Folder::new("colour");
    let line = "diff base.xml base.xml,overlay.xml";
    let escapes = |line: &str| folder.run(line).out.contains('\x1b');
    // Here, standard output is a pipe.
    assert!(!escapes(line));
    assert!(!escapes(&format!("{line} --color auto")));
    assert!(!escapes(&format!("{line} --color never")));
    assert!(escapes(&format!("{line} --color always")));
    assert!(escapes(&format!("--color=always {line}")));
    assert!(escapes("check base.xml --color=always"));

    // Without its escapes, it is the same text.
    let plain = folder.run(line);
    let colourful = folder.run(&format!("{line} --color always"));
    let mut text = colourful.out;
    while let Some(begin) = text.find('\x1b') {
        let end = begin + text[begin..].find('m').unwrap();
        text.replace_range(begin..=end, "");
    }
    assert_eq!(text, plain.out);

    folder.write("wrong.xml", "<amqp><x/></amqp>");
    assert!(!folder.run("emit wrong.xml").err.contains('\x1b'));
    assert!(folder.run("emit wrong.xml --color always").err.contains('\x1b'));
}

/// What `| head` does: much more is written than a pipe holds, and nobody reads it.
#[test]
fn a_pipe_that_nobody_reads_any_more_is_no_failure() {
    let folder = Folder::new("pipe");
    let mut command = folder.command("emit @standard");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 13];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"// @generated");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let folder = Folder::new("full");
    for line in ["list", "emit @standard", "check @standard", "help"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = folder.command(line).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.starts_with("amqp091-codegen: standard output: "), "{err}");
        assert_eq!((output.status.code(), err.lines().count()), (Some(2), 1));
    }
}
