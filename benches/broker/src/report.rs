//! The figures as Markdown.

use std::fmt::Write;
use std::process::Command;

use crate::Options;
use crate::embedded::{MANY, STEPS};
use crate::load::Sample;
use crate::server::{self, Server};

/// The median of what `figure` makes of the samples.
fn median(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> f64 {
    let mut figures: Vec<_> = samples.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A whole number, with a comma before each three digits.
fn thousands(number: f64) -> String {
    let digits = number.round().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn under_load(
    options: &Options,
    servers: &[Server],
    samples: &[(&str, usize, Sample)],
) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Medians of {} run(s) of {} s. A message is one that was delivered and acknowledged; CPU is the \
         server's, user and system, of all its processes.\n",
        options.rounds, options.seconds
    );
    let _ = write!(text, "| |");
    for server in servers {
        let _ =
            write!(text, " {0}: messages/s | CPU/message | client's CPU/message |", server.name);
    }
    if servers.len() == 2 {
        let _ = write!(text, " messages/s, times | messages per CPU second, times |");
    }
    let _ = write!(text, "\n|---|");
    let columns = servers.len() * 3 + if servers.len() == 2 { 2 } else { 0 };
    let _ = writeln!(text, "{}", "---:|".repeat(columns));
    for work in &options.works {
        let _ = write!(text, "| {} |", work.title());
        let mut of_servers = Vec::new();
        for index in 0..servers.len() {
            let its: Vec<Sample> = samples
                .iter()
                .filter(|(name, of, _)| *name == work.name && *of == index)
                .map(|(_, _, sample)| *sample)
                .collect();
            let rate = median(&its, |sample| sample.messages / sample.seconds);
            let cpu = median(&its, |sample| sample.server * 1e6 / sample.messages);
            let client = median(&its, |sample| sample.client * 1e6 / sample.messages);
            let _ = write!(text, " {} | {cpu:.2} us | {client:.2} us |", thousands(rate));
            of_servers.push((rate, cpu));
        }
        if let [(our_rate, our_cpu), (its_rate, its_cpu)] = of_servers[..] {
            let _ = write!(text, " {:.1} | {:.1} |", our_rate / its_rate, its_cpu / our_cpu);
        }
        text.push('\n');
    }
    text.push('\n');
    for server in servers {
        let resident = server::resident(server.pid) / (1024 * 1024);
        let threads = server::threads(server.pid);
        let _ = writeln!(text, "{}: {resident} MiB resident, {threads} threads.", server.name);
    }
    text
}

/// What brokers within a program cost, each figure from a process of its own.
pub(crate) fn embedded() -> String {
    let mut text =
        String::from("\n| within a program | median | 99th percentile |\n|---|---:|---:|\n");
    let start = figures("start");
    let mut line = |what: &str, figures: &[f64]| {
        let _ = writeln!(text, "| {what} | {:.0} us | {:.0} us |", figures[0], figures[1]);
    };
    line("`Broker::start()`", &start);
    for (step, figures) in STEPS.iter().zip(figures("first").chunks(2)) {
        line(step, figures);
    }
    let many = figures("many");
    let mebibytes = |octets: f64| octets / (1024.0 * 1024.0);
    let _ = writeln!(
        text,
        "\n{MANY} brokers in one process: {:.1} MiB resident more than with one ({:.1} in all), {} \
         threads more.",
        mebibytes(many[1] - many[0]),
        mebibytes(many[1]),
        many[3] - many[2]
    );
    text
}

fn figures(what: &str) -> Vec<f64> {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["embedded", what])
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program starts again");
    assert!(output.status.success(), "{what} failed");
    let line = String::from_utf8(output.stdout).expect("text");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}
