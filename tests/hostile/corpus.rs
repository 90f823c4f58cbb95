//! The inputs that libFuzzer begins with are what was recorded, and all of them pass here too.
//!
//! An input that broke something is kept beside them, as `found-…`, and so stays tried.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::recorded::{self, Piece};
use crate::{field_table, frame_stream, methods, properties};

const ACCEPT: &str = "ACCEPT_CORPUS=1 cargo test --test hostile corpus";

/// Inputs by the names of their files.
type Inputs = BTreeMap<String, Vec<u8>>;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Every piece once, numbered where a name has several.
fn named(pieces: Vec<Piece>) -> Inputs {
    let mut inputs = Inputs::new();
    let mut numbers = BTreeMap::<_, u32>::new();
    for Piece { name, octets } in pieces {
        if !inputs.values().any(|input| *input == octets) {
            let number = numbers.entry(name).or_default();
            *number += 1;
            inputs.insert(format!("{name}-{number}"), octets);
        }
    }
    inputs
}

/// Compares what is in the folder with what should be, or writes that if asked to, and tries everything in it.
fn compare_and_check(target: &str, expected: &Inputs, check: fn(&[u8])) {
    let folder = folder(target);
    let accept = env::var_os("ACCEPT_CORPUS").is_some_and(|value| value == "1");
    if accept {
        fs::create_dir_all(&folder).unwrap();
        for (name, input) in expected {
            fs::write(folder.join(name), input).unwrap();
        }
    }
    let mut present = Inputs::new();
    for file in fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let input = fs::read(file.path()).unwrap();
        check(&input);
        if name.starts_with("found-") {
            continue;
        }
        if accept && !expected.contains_key(&name) {
            fs::remove_file(file.path()).unwrap();
            continue;
        }
        present.insert(name, input);
    }
    let differ = present.keys().chain(expected.keys());
    let differ: Vec<_> = differ.filter(|name| present.get(*name) != expected.get(*name)).collect();
    assert!(differ.is_empty(), "not as recorded: {differ:?}; if that is right: {ACCEPT}");
}

#[test]
fn frame_streams() {
    let mut inputs = named(recorded::exchanges());
    inputs.insert("session-to-client".to_owned(), recorded::to_client());
    inputs.insert("session-to-server".to_owned(), recorded::to_server());
    compare_and_check("frame_stream", &inputs, frame_stream::check);
}

#[test]
fn methods_payloads() {
    compare_and_check("methods", &named(recorded::methods()), methods::check);
}

#[test]
fn properties_of_messages() {
    compare_and_check("properties", &named(recorded::properties()), properties::check);
}

#[test]
fn field_tables() {
    compare_and_check("field_table", &named(recorded::tables()), field_table::check);
}
