//! The corpus of the fuzz target, and random dialogues.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{CLUSTER, LOW, OLD, RAW, check};
use crate::core::mixed;

const ACCEPT: &str = "ACCEPT_CORPUS=1 cargo test -p amqp091-broker hostile";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/broker")
}

/// What a recording holds: two digits an octet, `*n` for n equal ones.
fn recording(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recorded").join(name);
    let text = fs::read_to_string(path).unwrap();
    let mut octets = Vec::new();
    for word in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
    {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        for _ in 0..times.parse().unwrap() {
            for pair in digits.as_bytes().chunks(2) {
                let pair = std::str::from_utf8(pair).unwrap();
                octets.push(u8::from_str_radix(pair, 16).unwrap());
            }
        }
    }
    octets
}

/// What the fuzzer begins with: recorded clients, and dialogues in the language of steps.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let mut seeds = BTreeMap::new();
    let pika = recording("pika.hex");
    for flags in [RAW, RAW | OLD | LOW] {
        seeds.insert(format!("pika-{flags}"), [&[flags][..], &pika].concat());
    }
    // Channel 1 of client 0 unless it says otherwise.
    let dialogues: [(&str, &[&[u8]]); 6] = [
        (
            "confirms-and-consumer",
            &[
                &[43, 0, 0],
                &[10, 0, 0, 0, 0, 0],
                &[27, 0, 1, 0, 0, 2],
                &[23, 0, 0, 0, 1],
                &[38, 0, 1, 0],
                &[26, 0, 1, 0],
            ],
        ),
        (
            "dead-letters",
            &[
                // q0 dead-letters to q1 by the default exchange after a millisecond.
                &[10, 0, 0, 0, 0, 0b1010_0001, 1, 0, 1],
                &[10, 0, 0, 1, 0, 0b0000_0100, 1],
                &[27, 0, 0, 0, 0, 1],
                &[50, 0, 1],
                &[36, 0, 1, 0],
                &[40, 0, 2, 1],
            ],
        ),
        (
            "transactions",
            &[
                &[10, 0, 0, 0, 0, 0],
                &[44, 0],
                &[27, 0, 0, 0, 0, 3],
                &[45, 0],
                &[36, 0, 0, 0],
                &[38, 0, 1, 0],
                &[46, 0],
            ],
        ),
        (
            "quorum-and-nodes",
            &[
                &[10, 0, 2, 0, 0b0000_1100, 0, 3],
                &[43, 0, 0],
                &[27, 0, 4, 0, 0, 1],
                &[53, 0, 1, 0],
                &[50, 0, 3],
                &[53, 0, 0, 0],
                &[27, 0, 4, 0, 0, 1],
                &[54, 0],
            ],
        ),
        (
            "exchanges",
            &[
                &[6, 0, 0, 1, 2, 1],
                &[6, 0, 0, 2, 1, 0, 1],
                &[8, 0, 2, 1, 6, 1, 3],
                &[10, 0, 0, 0, 0, 0],
                &[15, 0, 0, 2, 7, 0, 3],
                &[27, 0, 3, 1, 5, 1],
                &[7, 0, 1, 0],
            ],
        ),
        (
            "a-client-that-does-not-read",
            &[
                &[10, 0, 0, 0, 0, 0],
                &[49, 0],
                &[27, 0, 0, 0, 0, 4],
                &[151, 0, 0, 0, 1],
                &[177, 0],
                &[155, 0, 0, 0, 0, 4],
                &[49, 0],
            ],
        ),
    ];
    for (name, steps) in dialogues {
        for flags in [0, OLD, LOW, CLUSTER] {
            seeds.insert(format!("{name}-{flags}"), [&[flags][..], &steps.concat()].concat());
        }
    }
    seeds
}

#[test]
fn the_corpus_breaks_nothing() {
    let seeds = seeds();
    let accept = env::var_os("ACCEPT_CORPUS").is_some_and(|value| value == "1");
    if accept {
        fs::create_dir_all(folder()).unwrap();
        for (name, input) in &seeds {
            fs::write(folder().join(name), input).unwrap();
        }
    }
    let mut present = BTreeMap::new();
    for file in fs::read_dir(folder()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let input = fs::read(file.path()).unwrap();
        // The output of a failed test tells which one it was.
        println!("{name}");
        check(&input);
        if !name.starts_with("found-") {
            present.insert(name, input);
        }
    }
    assert!(present == seeds, "the corpus isn't what it is made of: {ACCEPT}");
}

#[test]
fn random_dialogues_break_nothing() {
    for seed in 0..3000_u64 {
        let mut state = mixed(seed);
        let len = 8 + state % 400;
        let octets: Vec<u8> = (0..len)
            .map(|place| {
                state = mixed(state ^ place);
                let octet = (state >> 24) as u8;
                // Mostly steps that mean something.
                if place > 0 && octet & 0x40 != 0 { octet & 0x8f } else { octet }
            })
            .collect();
        println!("seed {seed}");
        check(&octets);
    }
}
