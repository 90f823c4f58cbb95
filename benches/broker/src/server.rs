//! Servers as processes: started or found, and what they have used so far.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) pid: u32,
    process: Option<Child>,
}

impl Server {
    /// Starts the embedded broker's command on a free port.
    pub(crate) fn start(program: &Path) -> Self {
        let mut process = Command::new(program)
            .args(["--port", "0", "--quiet"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the broker's command starts");
        let mut url = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut url).expect("it tells its URL");
        let pid = process.id();
        Self { name: "amqp091-broker", url: url.trim().to_owned(), pid, process: Some(process) }
    }

    /// A server that is there.
    pub(crate) fn running(name: &'static str, url: &str, pid: u32) -> Self {
        Self { name, url: url.to_owned(), pid, process: None }
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

/// CPU seconds, user and system, of a process with all its threads, and of all processes below it.
pub(crate) fn cpu(pid: u32) -> f64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ticks: HashMap<u32, u64> = HashMap::new();
    let pids = fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // Behind the name, which may have anything in it.
        let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("a number");
        children.entry(number(1) as u32).or_default().push(pid);
        // Its own, and that of children that are gone.
        ticks.insert(pid, (11..15).map(number).sum());
    }
    let mut sum = 0;
    let mut todo = vec![pid];
    while let Some(pid) = todo.pop() {
        sum += ticks.get(&pid).copied().unwrap_or(0);
        todo.extend(children.remove(&pid).unwrap_or_default());
    }
    sum as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Resident octets of a process.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("Rss:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}
