//! Has the contenders take turns at each work, against the null server or a broker, and compares the
//! medians.
//!
//! scripts/bench-clients builds everything and runs this; see its --help.

mod plan;
mod report;
mod run;

use std::path::PathBuf;

use lexopt::prelude::*;

use plan::{Plan, Target};

struct Options {
    programs: PathBuf,
    rabbitmq: Option<String>,
    only: Vec<String>,
    works: Vec<String>,
    rounds: usize,
    seconds: f64,
    json: Option<PathBuf>,
}

fn main() {
    let options = options().unwrap_or_else(|error| {
        eprintln!("compare: {error}");
        std::process::exit(2)
    });
    let target = match &options.rabbitmq {
        Some(_) => Target::RabbitMq,
        None => Target::NullServer,
    };
    let plan = Plan::new(target, &options.programs, &options.only, &options.works);
    let server = run::Server::start(&options.programs, options.rabbitmq.clone());
    let samples = run::measure(&plan, &server, options.rounds, options.seconds);
    print!("{}", report::markdown(&plan, &samples, options.rounds));
    if let Some(file) = options.json {
        let json =
            serde_json::to_string_pretty(&report::json(&plan, &samples)).expect("plain data");
        if let Err(error) = std::fs::write(&file, json + "\n") {
            eprintln!("compare: can't write {}: {error}", file.display());
            std::process::exit(1);
        }
    }
    if samples.failed.iter().any(|&(_, contender)| plan.contenders[contender].is_ours()) {
        eprintln!("compare: this project's client failed");
        std::process::exit(1);
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options {
        programs: PathBuf::new(),
        rabbitmq: None,
        only: Vec::new(),
        works: Vec::new(),
        rounds: 5,
        seconds: 0.3,
        json: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("programs") => options.programs = parser.value()?.into(),
            Long("rabbitmq") => options.rabbitmq = Some(parser.value()?.string()?),
            Long("only") => options.only.push(parser.value()?.string()?),
            Long("work") => options.works.push(parser.value()?.string()?),
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("json") => options.json = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}
