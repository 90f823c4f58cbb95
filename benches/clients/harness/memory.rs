//! The memory of what is open and idle.

use std::fs;
use std::time::Duration;

use crate::Client;
use crate::cost::{allocated, counts_allocations, threads};

const CONNECTIONS: usize = 200;
const CHANNELS: usize = 1000;
/// What a client does after opening is over by then.
const SETTLED: Duration = Duration::from_millis(300);

/// The memory of one of many connections without channels.
pub(crate) async fn connections<C: Client>(url: &str) -> String {
    // What the first one brings is not counted.
    let mut open = vec![C::connect(url).await];
    let before = Memory::now();
    for _ in 0..CONNECTIONS {
        open.push(C::connect(url).await);
    }
    settle().await;
    before.growth(CONNECTIONS)
}

/// The memory of one of many channels of a connection.
pub(crate) async fn channels<C: Client>(url: &str) -> String {
    let connection = C::connect(url).await;
    let mut open = vec![C::channel(&connection).await];
    let before = Memory::now();
    for _ in 0..CHANNELS {
        open.push(C::channel(&connection).await);
    }
    settle().await;
    before.growth(CHANNELS)
}

async fn settle() {
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(SETTLED).await;
    } else {
        std::thread::sleep(SETTLED);
    }
}

struct Memory {
    resident: f64,
    allocated: f64,
    threads: usize,
}

impl Memory {
    fn now() -> Self {
        Self { resident: resident(), allocated: allocated(), threads: threads() }
    }

    fn growth(&self, count: usize) -> String {
        let now = Self::now();
        let each = |now: f64, before: f64| (now - before) / count as f64;
        let mut line = format!(
            "count={count} resident={:.0} threads={:.2}",
            each(now.resident, self.resident),
            each(now.threads as f64, self.threads as f64)
        );
        if counts_allocations() {
            line.push_str(&format!(" allocated={:.0}", each(now.allocated, self.allocated)));
        }
        line
    }
}

/// Resident octets of this process.
fn resident() -> f64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes * 1024.0
}
