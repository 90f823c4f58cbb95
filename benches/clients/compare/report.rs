//! The figures as Markdown and as JSON.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::plan::{Contender, Kind, Plan, Target, Work};
use crate::run::Samples;

const LOCK: &str = include_str!("../Cargo.lock");

/// Who is compared with whom: ours, and the others on the same runtime.
const GROUPS: &[(&str, &str, &str)] = &[
    ("tokio current-thread", "amqp091", "current-thread"),
    ("tokio multi-thread", "amqp091", "multi-thread"),
    ("blocking", "amqp091-blocking", "none"),
];

struct Group<'a> {
    title: &'static str,
    ours: Option<usize>,
    /// All members, ours in front.
    members: Vec<(usize, &'a Contender)>,
}

fn groups(plan: &Plan) -> Vec<Group<'_>> {
    let groups = GROUPS.iter().map(|&(title, name, runtime)| {
        let all = || plan.contenders.iter().enumerate();
        let ours = all().find(|(_, it)| it.name == name && it.runtime == runtime);
        // The blocking one stands beside each of ours.
        let others = all()
            .filter(|(_, it)| !it.is_ours() && (it.runtime == runtime || it.runtime == "none"));
        let members = ours.into_iter().chain(others).collect();
        Group { title, ours: ours.map(|(index, _)| index), members }
    });
    groups.filter(|group| group.ours.is_some() || group.members.len() > 1).collect()
}

/// The whole report.
pub(crate) fn markdown(plan: &Plan, samples: &Samples, rounds: usize) -> String {
    let mut out = String::new();
    let server = match plan.target {
        Target::NullServer => "a server that does nothing but keep up",
        Target::RabbitMq => "RabbitMQ",
    };
    let _ = writeln!(
        out,
        "Medians of {rounds} rounds in which the contenders took turns, against {server}; {}.\n\
         {}.\n",
        machine(),
        versions(plan)
    );
    let groups = groups(plan);
    for group in &groups {
        messages(&mut out, plan, samples, group);
    }
    if plan.idle.len() > 1 {
        idle_channels(&mut out, plan, samples);
    }
    single_figures(&mut out, plan, samples);
    budgets(&mut out, plan, samples);
    for &(work, contender) in &samples.failed {
        let (contender, work) = (&plan.contenders[contender].label, plan.works[work].label);
        let _ = writeln!(out, "{contender} failed each time at: {work}.");
    }
    for (label, failures) in &samples.again {
        let _ = writeln!(out, "{label} failed {failures} times, and was started again.");
    }
    out
}

fn messages(out: &mut String, plan: &Plan, samples: &Samples, group: &Group<'_>) {
    let measures = [
        ("CPU per message, us", "cpu_us"),
        ("Messages per second, thousands", "rate"),
        ("Allocations per message", "allocations"),
    ];
    for (title, figure) in measures {
        let rows: Vec<_> = rows(plan, |work| work.kind.is_messages()).collect();
        if rows.is_empty() {
            return;
        }
        heading(
            out,
            &format!("{title} ({})", group.title),
            group.members.iter().map(|(_, it)| *it),
        );
        for (work_index, work) in rows {
            let _ = write!(out, "| {} |", work.label);
            let value = |index| samples.median(work_index, 0, index, figure);
            let ours = group.ours.and_then(value);
            for &(index, contender) in &group.members {
                let cell = match (value(index), figure) {
                    (Some(value), "cpu_us") if !contender.is_ours() => {
                        format!("{} ({})", number(value), ratio(value, ours))
                    }
                    (Some(value), "rate") => number(value / 1e3),
                    (Some(value), _) => number(value),
                    (None, _) => "–".to_owned(),
                };
                let _ = write!(out, " {cell} |");
            }
            out.push('\n');
        }
        out.push('\n');
    }
}

/// What idle channels cost the one that works.
fn idle_channels(out: &mut String, plan: &Plan, samples: &Samples) {
    let rows: Vec<_> = rows(plan, |work| work.kind.is_messages()).collect();
    if rows.is_empty() {
        return;
    }
    heading(
        out,
        &format!(
            "CPU per message with {} idle channels beside, us (times that with none)",
            plan.idle[1]
        ),
        plan.contenders.iter(),
    );
    for (work_index, work) in rows {
        let _ = write!(out, "| {} |", work.label);
        for index in 0..plan.contenders.len() {
            let cell =
                samples.median(work_index, 1, index, "cpu_us").map_or("–".to_owned(), |value| {
                    let alone = samples.median(work_index, 0, index, "cpu_us");
                    format!("{} ({})", number(value), ratio(value, alone))
                });
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out.push('\n');
}

/// Opening, and memory.
fn single_figures(out: &mut String, plan: &Plan, samples: &Samples) {
    let measures = [
        ("publish-16", "threads of the process that publishes", "threads"),
        ("open", "open a connection, to the first confirm: us", "latency_us"),
        ("open", "open and close a connection: CPU, us", "cpu_us"),
        ("connections", "resident octets of an idle connection", "resident"),
        ("connections", "allocated octets of an idle connection", "allocated"),
        ("connections", "threads of an idle connection", "threads"),
        ("channels", "resident octets of an idle channel", "resident"),
        ("channels", "allocated octets of an idle channel", "allocated"),
    ];
    let rows: Vec<_> = measures
        .iter()
        .filter_map(|&(name, label, figure)| {
            let work = plan.works.iter().position(|work| work.name == name)?;
            Some((work, label, figure))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    heading(out, "Opening, and being idle", plan.contenders.iter());
    for (work, label, figure) in rows {
        let _ = write!(out, "| {label} |");
        for index in 0..plan.contenders.len() {
            let value = samples.median(work, 0, index, figure);
            let _ = write!(out, " {} |", value.map_or("–".to_owned(), number));
        }
        out.push('\n');
    }
    out.push('\n');
}

/// Ours beside what the design allows.
fn budgets(out: &mut String, plan: &Plan, samples: &Samples) {
    if plan.target != Target::NullServer {
        return;
    }
    let ours = |runtime: &str| {
        plan.contenders.iter().position(|it| it.name == "amqp091" && it.runtime == runtime)
    };
    out.push_str("### Budgets\n\n| | runtime | ours | at most | holds |\n|---|---|---|---|---|\n");
    for (work_index, work) in plan.works.iter().enumerate() {
        let figure = match work.kind {
            Kind::Open => "latency_us",
            Kind::Memory => "resident",
            _ => "cpu_us",
        };
        for (runtime, budget) in ["current-thread", "multi-thread"].iter().zip(work.budget) {
            let Some((index, budget)) = ours(runtime).zip(budget) else { continue };
            let Some(value) = samples.median(work_index, 0, index, figure) else { continue };
            let holds = if value <= budget { "yes" } else { "**no**" };
            let (value, budget) = (number(value), number(budget));
            let _ = writeln!(out, "| {} | {runtime} | {value} | {budget} | {holds} |", work.label);
        }
    }
    out.push('\n');
}

fn rows(plan: &Plan, wanted: impl Fn(&Work) -> bool) -> impl Iterator<Item = (usize, &Work)> {
    plan.works.iter().enumerate().filter(move |(_, work)| wanted(work))
}

fn heading<'a>(out: &mut String, title: &str, columns: impl Iterator<Item = &'a Contender>) {
    let _ = write!(out, "### {title}\n\n| |");
    let mut line = "\n|---|".to_owned();
    for contender in columns {
        let _ = write!(out, " {} |", contender.label);
        line.push_str("---|");
    }
    let _ = writeln!(out, "{line}");
}

/// Three figures that count.
fn number(value: f64) -> String {
    match value.abs() {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        value => format!("{value:.3}"),
    }
}

fn ratio(value: f64, reference: Option<f64>) -> String {
    reference.map_or("–".to_owned(), |reference| format!("×{}", number(value / reference)))
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("").to_owned();
    format!("{cores} cores, {}, load {load} at the end", model.trim_start_matches([' ', '\t', ':']))
}

fn versions(plan: &Plan) -> String {
    let mut names: Vec<_> = plan.contenders.iter().map(|contender| contender.name).collect();
    names.dedup();
    let version = |name: &str| match name {
        "librabbitmq" => {
            let contender = plan.contenders.iter().find(|contender| contender.name == name)?;
            let output =
                Command::new(&contender.program).args(["--work", "version"]).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        "amqp091" | "amqp091-blocking" => locked("amqp091-client"),
        name => locked(name),
    };
    let versions = names
        .iter()
        .map(|name| format!("{name} {}", version(name).unwrap_or_default()))
        .chain(locked("tokio").map(|version| format!("tokio {version}")));
    versions.collect::<Vec<_>>().join(", ")
}

/// The version that Cargo.lock has.
fn locked(name: &str) -> Option<String> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}

/// Every sample.
pub(crate) fn json(plan: &Plan, samples: &Samples) -> Value {
    let figures: Vec<Value> = samples
        .all()
        .map(|(work, idle, contender, figure, values)| {
            let it = &plan.contenders[contender];
            json!({
                "work": plan.works[work].name,
                "idle_channels": plan.idle[idle],
                "client": it.name,
                "runtime": it.runtime,
                "figure": figure,
                "values": values,
                "median": samples.median(work, idle, contender, figure),
            })
        })
        .collect();
    let server = match plan.target {
        Target::NullServer => "null server",
        Target::RabbitMq => "RabbitMQ",
    };
    json!({
        "server": server,
        "machine": machine(),
        "versions": versions(plan),
        "started_again": samples.again,
        "figures": figures,
    })
}
