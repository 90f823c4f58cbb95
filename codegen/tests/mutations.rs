//! Whatever is done to a specification, the generator ends with Rust or with a list of problems that are in the files.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../../fuzz/src/codegen_xml.rs"]
mod codegen_xml;

use std::path::Path;
use std::{fs, thread};

use amqp091_codegen::{Source, check, emit, generate, model, parse};

const BASE: &str = include_str!("golden/synthetic.xml");
const OVERLAY: &str = include_str!("golden/synthetic_overlay.xml");

/// How many of the specifications that are still right are emitted: that takes longest by far.
const EMITTED: usize = 30;

/// xorshift64*, the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % end
    }
}

/// All stages, as far as they go; whether the specification is still right.
fn survives(base: &str, overlay: &str, emitted: &mut usize) -> bool {
    let source = |name: &str, text: &str| Source::new(name, text);
    let sources = [source("base", base), source("overlay", overlay)];
    let problems = match parse::parse(&sources) {
        Err(errors) => errors.problems().to_vec(),
        Ok(documents) => {
            let (model, mut problems) = model::build(&documents);
            problems.extend(check::check(&model));
            if problems.is_empty() && *emitted < EMITTED {
                *emitted += 1;
                emit::emit(&model).unwrap_or_else(|errors| panic!("{errors}\n{base}\n{overlay}"));
            }
            problems
        }
    };
    for problem in &problems {
        let position = &problem.position;
        let text = [base, overlay][position.source];
        let line = text.split('\n').nth(position.line - 1);
        let columns = line.map(|line| line.chars().count() + 1);
        assert!(columns.is_some_and(|columns| position.column <= columns), "{problem}");
        assert!(!problem.kind.to_string().contains('\n'), "{problem}");
    }
    problems.is_empty()
}

#[test]
fn files_that_end_early() {
    let mut emitted = 0;
    for end in (0..BASE.trim_end().len()).step_by(5) {
        assert!(!survives(&BASE[..end], OVERLAY, &mut emitted));
    }
}

#[test]
fn lines_that_are_gone_or_there_twice() {
    let mut emitted = 0;
    let lines: Vec<&str> = BASE.lines().collect();
    for at in 0..lines.len() {
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        survives(&twice.join("\n"), OVERLAY, &mut emitted);
        let mut gone = lines.clone();
        gone.remove(at);
        survives(&gone.join("\n"), OVERLAY, &mut emitted);
    }
}

#[test]
fn values_in_the_wrong_places() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut emitted = 0;
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..1500 {
        // Every second piece stands between quotes.
        let mut base: Vec<&str> = BASE.split('"').collect();
        let mut overlay: Vec<&str> = OVERLAY.split('"').collect();
        for _ in 0..=random.below(3) {
            let value = base[random.below(base.len() / 2) * 2 + 1];
            let target = if random.below(4) == 0 { &mut overlay } else { &mut base };
            let at = random.below(target.len() / 2) * 2 + 1;
            target[at] = value;
        }
        if survives(&base.join("\""), &overlay.join("\""), &mut emitted) {
            right += 1;
        } else {
            wrong += 1;
        }
    }
    assert!(right > 20 && wrong > 500, "{right} right, {wrong} wrong: the mutations test nothing");
}

#[test]
fn what_the_fuzzer_begins_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut tried = 0;
    for folder in ["fuzz/corpus/codegen_xml", "spec"] {
        for file in fs::read_dir(root.join(folder)).unwrap() {
            codegen_xml::check(&String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()));
            tried += 1;
        }
    }
    assert!(tried > 2);
}

#[test]
fn elements_nested_too_deep() {
    let text = format!("<amqp>{}{}</amqp>", "<class>".repeat(100_000), "</class>".repeat(100_000));
    // Less stack than a thread usually has, to see that it doesn't take what there is.
    let thread = thread::Builder::new().stack_size(256 * 1024);
    let errors = thread.spawn(move || problems_of(&text)).unwrap().join().unwrap();
    assert_eq!(errors, "a.xml:1:224: malformed XML: elements are nested deeper than 32 levels");
}

fn problems_of(text: &str) -> String {
    let source = Source::new("a.xml", text);
    generate(&[source]).unwrap_err().to_string()
}
