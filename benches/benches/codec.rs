//! What encoding and decoding costs: nanoseconds and allocations, side by side with the peers.
//!
//! ```text
//! cargo bench -p amqp091-benches                       all of it, in a minute or so
//! cargo bench -p amqp091-benches -- --only deliver     the pieces of work that have this in their name
//! cargo bench -p amqp091-benches -- --quick            few rounds: shows that it works, the figures are worth little
//! ```
//!
//! The contenders take turns in every round, because these machines are noisy: what slows down one round slows down all of
//! them. A time is the median of the rounds, a ratio the median of the rounds' ratios.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a measurement fails by panicking"
)]

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use amqp091_benches::{Who, Work, works};

fn main() {
    if std::env::var_os(TRIM_THRESHOLD).is_none() {
        again_without_trimming();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` where figures are wanted, and nothing when it runs tests.
    let quick = arguments.iter().any(|argument| argument == "--quick")
        || !arguments.iter().any(|argument| argument == "--bench");
    let only = arguments.iter().skip_while(|argument| *argument != "--only").nth(1);
    let rounds = if quick { Rounds::QUICK } else { Rounds::FULL };

    let allocations = allocations();
    println!("| work | octets | ns | budget | amq-protocol | amqp_serde | memcpy | allocations |");
    println!("|---|---|---|---|---|---|---|---|");
    for mut work in works() {
        if only.is_some_and(|only| !work.name.contains(only.as_str())) {
            continue;
        }
        let figures = rounds.measure(&mut work);
        println!("{}", row(&work, &figures, &allocations));
    }
    println!();
    if quick {
        println!("A short run: it shows that the contenders agree, the times mean nothing.");
    }
    println!(
        "The columns of the others: their time, and ours as a part of it. Allocations: ours / amq-protocol / amqp_serde."
    );
}

/// glibc's setting for how much memory at the end of the heap is given back to the system.
const TRIM_THRESHOLD: &str = "MALLOC_TRIM_THRESHOLD_";

/// Runs this program with a heap that keeps what it has, and ends. Otherwise whoever's buffer of 16 KiB happens to lie at
/// the heap's end gives it back with every message and faults its pages in again, at ten times the cost of the message.
fn again_without_trimming() {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(TRIM_THRESHOLD, "1000000000");
    let status = command.status().unwrap();
    std::process::exit(status.code().unwrap_or(1));
}

/// One run's times, by contender.
struct Figures(HashMap<&'static str, Vec<f64>>);

struct Rounds {
    count: usize,
    each: Duration,
}

impl Rounds {
    const FULL: Self = Self { count: 401, each: Duration::from_micros(100) };
    const QUICK: Self = Self { count: 5, each: Duration::from_micros(1) };

    fn measure(&self, work: &mut Work) -> Figures {
        let parts = work.parts as f64;
        let times: Vec<u32> =
            work.contenders.iter_mut().map(|contender| self.times(|n| contender.run(n))).collect();
        let mut figures = Figures(HashMap::new());
        for round in 0..self.count {
            let count = work.contenders.len();
            for turn in 0..count {
                let turn = (turn + round) % count;
                let (contender, times) = (&mut work.contenders[turn], times[turn]);
                // Once without a look at the clock, so that the caches are this contender's again.
                contender.run(1);
                let took = time(|| contender.run(times)).as_nanos() as f64;
                let figure = took / f64::from(times) / parts;
                figures.0.entry(label(contender.who)).or_default().push(figure);
            }
        }
        figures
    }

    /// How many runs take as long as a round should.
    fn times(&self, mut run: impl FnMut(u32)) -> u32 {
        let mut times = 1;
        while time(|| run(times)) < self.each && times < 1 << 24 {
            times *= 2;
        }
        times
    }
}

fn time(run: impl FnOnce()) -> Duration {
    let started = Instant::now();
    run();
    started.elapsed()
}

const fn label(who: Who) -> &'static str {
    match who {
        Who::Us => "us",
        Who::AmqProtocol => "amq-protocol",
        Who::AmqpSerde => "amqp_serde",
        Who::Copy => "memcpy",
    }
}

impl Figures {
    fn of(&self, who: Who) -> Option<&[f64]> {
        self.0.get(label(who)).map(Vec::as_slice)
    }

    fn median(&self, who: Who) -> Option<f64> {
        self.of(who).map(|figures| median(figures.to_vec()))
    }

    /// Our time as a part of theirs.
    fn ratio(&self, who: Who) -> Option<f64> {
        let (ours, theirs) = (self.of(Who::Us)?, self.of(who)?);
        Some(median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect()))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn row(work: &Work, figures: &Figures, allocations: &HashMap<(String, String), f64>) -> String {
    let time = |ns: f64| if ns < 1000.0 { format!("{ns:.1}") } else { format!("{ns:.0}") };
    let ours = figures.median(Who::Us).map_or_else(|| "-".to_owned(), time);
    let other = |who| match (figures.median(who), figures.ratio(who)) {
        (Some(theirs), Some(ratio)) => format!("{} ({ratio:.2})", time(theirs)),
        _ => "-".to_owned(),
    };
    let budget = work.budget.map_or(String::new(), |budget| format!("{budget:.0}"));
    let made = [Who::Us, Who::AmqProtocol, Who::AmqpSerde].map(|who| {
        let count = allocations.get(&(work.name.clone(), who.to_string()));
        count.map_or_else(
            || "-".to_owned(),
            |count| {
                if work.parts == 1 { format!("{count}") } else { format!("{count:.2}") }
            },
        )
    });
    format!(
        "| {} | {} | {ours} | {budget} | {} | {} | {} | {} |",
        work.name,
        work.octets / work.parts,
        other(Who::AmqProtocol),
        other(Who::AmqpSerde),
        other(Who::Copy),
        made.join(" / ")
    )
}

/// Allocations by work and contender.
fn allocations() -> HashMap<(String, String), f64> {
    let output = Command::new(env!("CARGO_BIN_EXE_codec-allocations")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let [work, who, count] = *line.split('\t').collect::<Vec<_>>() else {
                panic!("not three columns: {line}")
            };
            ((work.to_owned(), who.to_owned()), count.parse().unwrap())
        })
        .collect()
}
