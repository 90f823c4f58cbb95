//! Runs the programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::plan::{Contender, Kind, Plan, Target, Work};

/// No run takes as long as this.
const RUN_MAX: Duration = Duration::from_secs(20);
/// A client that fails may try again: what is measured is not how often it does.
const TRIES: usize = 3;
/// Messages against a broker, small and large: it is the slower side.
const BROKER_SMALL: u64 = 50_000;
const BROKER_LARGE: u64 = 1_000;
const QUEUE: &str = "client-figures";

/// Whom the contenders talk to.
pub(crate) struct Server {
    /// The null server.
    process: Option<Child>,
    url: String,
    /// Fills and deletes queues.
    queue_program: PathBuf,
}

impl Server {
    /// The broker with this URL; without one a null server, until this is dropped.
    pub(crate) fn start(programs: &Path, broker: Option<String>) -> Self {
        let queue_program = programs.join("queue");
        if let Some(url) = broker {
            return Self { process: None, url, queue_program };
        }
        let mut process = Command::new(programs.join("null-server"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the null server is built");
        let mut url = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut url).expect("the null server prints its URL");
        Self { process: Some(process), url: url.trim().to_owned(), queue_program }
    }

    fn queue(&self, action: &str, count: u64, size: u64) {
        let status = Command::new(&self.queue_program)
            .args([&self.url, action, QUEUE, &count.to_string(), &size.to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "queue {action}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The figures of all runs: by work, number of idle channels, contender and name.
#[derive(Default)]
pub(crate) struct Samples {
    figures: BTreeMap<(usize, usize, usize, String), Vec<f64>>,
    /// Contenders that failed and were started again, and how often.
    pub(crate) again: BTreeMap<String, usize>,
    /// What a contender can't do, by work and contender: it is not asked again.
    pub(crate) failed: BTreeSet<(usize, usize)>,
}

impl Samples {
    /// The median of a figure.
    pub(crate) fn median(
        &self,
        work: usize,
        idle: usize,
        contender: usize,
        figure: &str,
    ) -> Option<f64> {
        let key = (work, idle, contender, figure.to_owned());
        let mut values = self.figures.get(&key)?.clone();
        values.sort_by(f64::total_cmp);
        Some(values[values.len() / 2])
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, usize, usize, &str, &[f64])> {
        self.figures.iter().map(|((work, idle, contender, figure), values)| {
            (*work, *idle, *contender, figure.as_str(), values.as_slice())
        })
    }

    fn add(&mut self, place: (usize, usize, usize), line: &str, wanted: impl Fn(&str) -> bool) {
        let (work, idle, contender) = place;
        for (name, value) in line.split_whitespace().filter_map(|word| word.split_once('=')) {
            if let Ok(value) = value.parse()
                && wanted(name)
            {
                let key = (work, idle, contender, name.to_owned());
                self.figures.entry(key).or_default().push(value);
            }
        }
    }
}

/// Has the contenders take turns, the rounds outermost: what disturbs the machine for a while disturbs
/// all of them. Allocations are counted in runs of their own.
pub(crate) fn measure(plan: &Plan, server: &Server, rounds: usize, seconds: f64) -> Samples {
    let mut samples = Samples::default();
    let steps = (rounds + 1) * plan.works.len();
    for round in 0..=rounds {
        for (work_index, work) in plan.works.iter().enumerate() {
            eprint!(
                "\r[{:3} %] {:<50}",
                100 * (round * plan.works.len() + work_index) / steps,
                work.label
            );
            for (idle_index, &idle) in plan.idle.iter().enumerate() {
                if idle > 0 && (!work.kind.is_messages() || round == rounds) {
                    continue;
                }
                for turn in 0..plan.contenders.len() {
                    let index = (turn + round) % plan.contenders.len();
                    let contender = &plan.contenders[index];
                    let place = (work_index, idle_index, index);
                    if samples.failed.contains(&(work_index, index)) {
                        continue;
                    }
                    if round < rounds {
                        let line =
                            attempt(&contender.program, contender, work, server, idle, seconds);
                        samples.take(place, contender, line, |_| true);
                    } else if contender.counting().exists() && work.kind != Kind::Open {
                        let line =
                            attempt(&contender.counting(), contender, work, server, idle, seconds);
                        samples.take(place, contender, line, |name| name.starts_with("alloc"));
                    }
                }
            }
        }
    }
    if plan.target == Target::RabbitMq {
        server.queue("delete", 0, 0);
    }
    eprintln!("\r{:<60}", "");
    samples
}

impl Samples {
    fn take(
        &mut self,
        place: (usize, usize, usize),
        contender: &Contender,
        (line, failures): (Option<String>, usize),
        wanted: impl Fn(&str) -> bool,
    ) {
        if failures > 0 {
            *self.again.entry(contender.label.clone()).or_default() += failures;
        }
        match line {
            Some(line) => self.add(place, &line, wanted),
            None => {
                let (work, _, contender) = place;
                self.failed.insert((work, contender));
            }
        }
    }
}

/// What the program prints, and how often it failed before it did.
fn attempt(
    program: &Path,
    contender: &Contender,
    work: &Work,
    server: &Server,
    idle: usize,
    seconds: f64,
) -> (Option<String>, usize) {
    for failures in 0..TRIES {
        let mut command = Command::new(program);
        command
            .args(["--url", &server.url, "--work", work.name, "--runtime", contender.runtime])
            .args(["--idle-channels", &idle.to_string(), "--queue", QUEUE]);
        if server.process.is_some() {
            command.args(["--seconds", &seconds.to_string()]);
        } else {
            let count = if work.kind.size() > 16 { BROKER_LARGE } else { BROKER_SMALL };
            command.args(["--messages", &count.to_string()]);
            let filled = if matches!(work.kind, Kind::Consume { .. }) { count } else { 0 };
            server.queue("fill", filled, work.kind.size());
        }
        if let Some(line) = output(&mut command) {
            return (Some(line), failures);
        }
    }
    (None, TRIES)
}

/// What a program prints, if it ends in time and well.
fn output(command: &mut Command) -> Option<String> {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let deadline = Instant::now() + RUN_MAX;
    let status = loop {
        match process.try_wait().ok()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let _ = process.kill();
                break process.wait().ok()?;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut line = String::new();
    process.stdout.take()?.read_to_string(&mut line).ok()?;
    status.success().then_some(line)
}
