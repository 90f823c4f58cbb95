//! Specifications: whatever is in one, the generator ends, with Rust or with problems that are in the file.

use std::sync::OnceLock;

use amqp091_codegen::schema::Document;
use amqp091_codegen::{Problem, ProblemKind, Source, check as rules, generate, model, parse};

const STANDARD: &str = include_str!("../../spec/amqp0-9-1.xml");

pub(crate) fn check(text: &str) {
    let alone = source("input.xml", text);
    match generate(&[alone]) {
        Ok(generated) => assert!(!generated.protocol.is_empty()),
        Err(errors) => {
            assert!(!errors.problems().is_empty());
            check_problems(errors.problems(), text);
        }
    }
    if let Some(problems) = overlay(text) {
        check_problems(&problems, text);
    }
}

/// The problems of the text as an overlay on the standard; `None` if the overlay is right.
fn overlay(text: &str) -> Option<Vec<Problem>> {
    // An empty base in front has the overlay counted as the second file, which it is.
    let sources = [source("empty.xml", "<amqp/>"), source("overlay.xml", text)];
    let documents = match parse::parse(&sources) {
        Ok(documents) => documents,
        Err(errors) => return Some(errors.problems().to_vec()),
    };
    let documents: Vec<Document> =
        [standard().clone()].into_iter().chain(documents.into_iter().skip(1)).collect();
    let (model, mut problems) = model::build(&documents);
    problems.extend(rules::check(&model));
    if problems.is_empty() { None } else { Some(problems) }
}

fn standard() -> &'static Document {
    static STANDARD_DOCUMENT: OnceLock<Document> = OnceLock::new();
    STANDARD_DOCUMENT.get_or_init(|| {
        let mut documents = parse::parse(&[source("amqp0-9-1.xml", STANDARD)]).unwrap();
        documents.remove(0)
    })
}

fn source(name: &str, text: &str) -> Source {
    Source::new(name, text)
}

/// Every problem is in the text, at the place that it names, and is told in one line. One that names a place in the
/// standard concerns what the overlay does to it.
fn check_problems(problems: &[Problem], text: &str) {
    for problem in problems {
        let position = &problem.position;
        let text = if &*position.file == "amqp0-9-1.xml" { STANDARD } else { text };
        let line = position.line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
        let columns = line.map(|line| line.chars().count() + 1);
        let inside = columns.is_some_and(|columns| (1..=columns).contains(&position.column));
        assert!(inside, "{problem}");
        assert!(!matches!(problem.kind, ProblemKind::NotRust(_)), "{problem}");
        assert!(!problem.kind.to_string().is_empty(), "{problem:?}");
        assert!(!problem.to_string().contains('\n'), "{problem:?}");
    }
}
