//! The embedded broker beside RabbitMQ, under the same load by the same program: messages per second and
//! what they cost the server; then what a broker costs that is started in a test.
//!
//! scripts/bench-broker builds everything and runs this; see its --help.

mod embedded;
mod load;
mod plan;
mod report;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use plan::Work;
use server::Server;

/// What is asked for by the command line.
struct Options {
    broker: Option<PathBuf>,
    rabbitmq: Option<(String, u32)>,
    works: Vec<&'static Work>,
    rounds: usize,
    seconds: f64,
    embedded: bool,
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    // Each figure comes from a process of its own, which is this program again.
    match arguments.as_slice() {
        ["load", work, url, pid, seconds] => {
            let work = plan::work(work).expect("a work of the plan");
            let seconds = Duration::from_secs_f64(seconds.parse().expect("seconds"));
            println!("{}", load::run(work, url, pid.parse().expect("a pid"), seconds));
        }
        ["embedded", what] => println!("{}", embedded::run(what)),
        _ => match options() {
            Ok(options) => compare(&options),
            Err(error) => {
                eprintln!("broker-figures: {error}");
                std::process::exit(2)
            }
        },
    }
}

fn compare(options: &Options) {
    let mut servers = Vec::new();
    servers.extend(options.broker.as_deref().map(Server::start));
    if let Some((url, pid)) = &options.rabbitmq {
        servers.push(Server::running("RabbitMQ", url, *pid));
    }
    let mut samples = Vec::new();
    for round in 0..options.rounds {
        for work in &options.works {
            for turn in 0..servers.len() {
                // In changing order, so that neither has the better moments.
                let index = (turn + round) % servers.len();
                let server = &servers[index];
                let sample = load::measure(work, server, options.seconds);
                eprintln!("{} on {}: {sample:?}", work.name, server.name);
                samples.push((work.name, index, sample));
            }
        }
    }
    print!("{}", report::under_load(options, &servers, &samples));
    if options.embedded {
        print!("{}", report::embedded());
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options {
        broker: None,
        rabbitmq: None,
        works: Vec::new(),
        rounds: 3,
        seconds: 2.0,
        embedded: true,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("broker") => options.broker = Some(parser.value()?.into()),
            Long("rabbitmq") => {
                options.rabbitmq = Some((parser.value()?.string()?, parser.value()?.parse()?));
            }
            Long("work") => {
                let name = parser.value()?.string()?;
                let work = plan::work(&name).ok_or_else(|| {
                    let names: Vec<_> = plan::WORKS.iter().map(|work| work.name).collect();
                    format!("there is no work {name}; there are {}", names.join(", "))
                })?;
                options.works.push(work);
            }
            Long("rounds") => options.rounds = parser.value()?.parse()?,
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("no-embedded") => options.embedded = false,
            other => return Err(other.unexpected()),
        }
    }
    if options.works.is_empty() {
        options.works = plan::WORKS.iter().collect();
    }
    Ok(options)
}
