//! What is generated, compared with what was generated before, so that a change of the generator or of the specification
//! shows as a diff that can be reviewed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use amqp091_codegen::{Generated, Source, generate};
use similar::TextDiff;

const ACCEPT: &str = "ACCEPT_GOLDEN=1 cargo test -p amqp091-codegen --test golden";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Generates from files of a folder, which are called by their names alone wherever the folder is.
fn generated(folder: &Path, names: &[&str]) -> Generated {
    let sources: Vec<Source> = names
        .iter()
        .map(|name| Source::new(*name, fs::read_to_string(folder.join(name)).unwrap()))
        .collect();
    generate(&sources).unwrap_or_else(|errors| panic!("{errors}"))
}

fn compare(name: &str, new: &str) {
    let path = folder().join(name);
    if env::var_os("ACCEPT_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, new).unwrap();
        return;
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    if old != new {
        let diff = TextDiff::from_lines(&old, new);
        let diff = diff.unified_diff().header("golden", "generated").to_string();
        panic!("{name} is not what is generated now:\n{diff}\nif that is right: {ACCEPT}");
    }
}

#[test]
fn synthetic() {
    let generated = generated(&folder(), &["synthetic.xml", "synthetic_overlay.xml"]);
    compare("synthetic.rs", &generated.protocol);
    compare("synthetic_round_trip.rs", &generated.round_trip);
}

#[test]
fn real() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("spec").is_dir() {
        // The published crate comes without the specification of another.
        eprintln!("spec/ not found: the comparison did not run");
        return;
    }
    let generated = generated(&root, &["spec/amqp0-9-1.xml", "spec/rabbitmq.xml"]);
    compare("real.rs", &generated.protocol);
    compare("real_round_trip.rs", &generated.round_trip);
}
