//! What the README and that of the sample show is what the command writes.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where the published files are that the README calls `published`, if they are at hand.
fn published() -> Option<PathBuf> {
    let folder = env::var_os("AMQP091_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference"),
        PathBuf::from,
    );
    let there = folder.join("amqp0-9-1.extended.xml").is_file();
    let required = env::var_os("AMQP091_REQUIRE_REFERENCE").is_some_and(|value| value == "1");
    assert!(there || !required, "reference files not found in {}", folder.display());
    there.then(|| folder.canonicalize().unwrap())
}

/// The commands of a text, each with what is shown below it.
fn examples(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut examples = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("the end of the block");
        for line in block.lines() {
            match (line.strip_prefix("$ amqp091-codegen "), examples.last_mut()) {
                (Some(command), _) => examples.push((command, Vec::new())),
                (None, Some((_, shown))) => shown.push(line),
                (None, None) => panic!("{line}"),
            }
        }
    }
    examples
}

/// Whether these are the lines that are shown, with any number of others where `...` stands.
fn is_shown(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        ["...", rest @ ..] => (0..=lines.len()).any(|skipped| is_shown(rest, &lines[skipped..])),
        [line, rest @ ..] => {
            lines.split_first().is_some_and(|(first, lines)| first == line && is_shown(rest, lines))
        }
    }
}

#[test]
fn examples_are_real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let published = published();
    let mut count = 0;
    for readme in ["codegen/README.md", "samples/vendor/README.md"] {
        let text = fs::read_to_string(root.join(readme)).unwrap();
        for (command, shown) in examples(&text) {
            count += 1;
            let mut line = command.to_owned();
            if line.contains("published/") {
                let Some(folder) = &published else {
                    eprintln!("reference files not found: {command} did not run");
                    continue;
                };
                line = line.replace("published", &folder.display().to_string());
            }
            let output = Command::new(env!("CARGO_BIN_EXE_amqp091-codegen"))
                .args(line.split_whitespace())
                .current_dir(&root)
                .output()
                .unwrap();
            let out = String::from_utf8(output.stdout).unwrap();
            let out = match &published {
                Some(folder) => out.replace(&folder.display().to_string(), "published"),
                None => out,
            };
            let lines: Vec<&str> = out.lines().collect();
            assert!(is_shown(&shown, &lines), "{readme}: {command}\n{out}");
        }
    }
    assert!(count >= 6, "{count} examples");
}

#[test]
fn what_is_left_out_is_anything_and_the_rest_is_not() {
    assert!(is_shown(&["a", "...", "c"], &["a", "b", "c"]));
    assert!(is_shown(&["a", "...", "c"], &["a", "c"]));
    assert!(!is_shown(&["a", "...", "c"], &["a", "b"]));
    assert!(!is_shown(&["a"], &["a", "b"]));
    assert!(!is_shown(&["a", "b"], &["a"]));
}
