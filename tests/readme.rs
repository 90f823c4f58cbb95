//! The README's tables that name a test for each row: every one of those tests is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// What makes tests of one body for several brokers, in `tests/whole_stack`.
const MACROS: [&str; 2] = ["everywhere!(", "rabbitmq_alone!("];

/// The names of all functions that are marked as tests in `.rs` files below `folder`.
fn tests_below(folder: &Path, found: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                let body = MACROS.iter().find_map(|name| line.strip_prefix(name));
                if let Some(name) = body.and_then(|rest| rest.split([',', ')']).next()) {
                    found.insert(name.to_owned());
                }
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let line = line.strip_prefix("async ").unwrap_or(line);
                if let Some(rest) = line.strip_prefix("fn ") {
                    if is_test {
                        found.insert(rest.split(['(', '<']).next().unwrap().to_owned());
                    }
                    is_test = false;
                }
            }
        }
    }
}

#[test]
fn every_row_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = HashSet::new();
    for folder in ["tests", "amqp-client/tests", "amqp-client/src", "amqp-gssapi/tests"] {
        tests_below(&root.join(folder), &mut tests);
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (mut in_table, mut rows, mut missing) = (false, 0, Vec::new());
    for line in readme.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|'))
        else {
            in_table = false;
            continue;
        };
        let last = row.rsplit(" | ").next().unwrap().trim();
        if last == "test" {
            in_table = true;
        } else if in_table && !row.starts_with('-') {
            rows += 1;
            let named: Vec<_> = last.split('`').skip(1).step_by(2).collect();
            assert!(!named.is_empty(), "no test in the row: {line}");
            missing.extend(named.into_iter().filter(|name| !tests.contains(*name)));
        }
    }
    assert!(rows > 0, "no table found");
    assert!(missing.is_empty(), "the README names tests that aren't there: {missing:?}");
}
