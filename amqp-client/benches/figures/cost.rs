//! What the process has used so far, and the difference.

use std::time::Instant;

use crate::ALLOCATOR;

/// What one message cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time of the process, microseconds.
    pub(crate) cpu: f64,
    /// Allocations and reallocations.
    pub(crate) allocations: f64,
    /// Messages per second.
    pub(crate) rate: f64,
}

/// Runs `work` on `messages` messages.
pub(crate) async fn measure(messages: usize, work: impl Future<Output = ()>) -> Cost {
    let meter = Meter::start();
    work.await;
    meter.stop(messages)
}

/// As [`measure`], for work without async.
pub(crate) fn measure_blocking(messages: usize, work: impl FnOnce()) -> Cost {
    let meter = Meter::start();
    work();
    meter.stop(messages)
}

/// Prints the median of several runs.
pub(crate) fn report(work: &str, mut runs: Vec<Cost>) {
    runs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let Cost { cpu, allocations, rate } = runs[runs.len() / 2];
    println!("{work:<42} {cpu:>8.3} us {allocations:>11.2} {rate:>10.0}");
}

/// What had been used when the work began.
struct Meter {
    allocations: stats_alloc::Stats,
    cpu: u64,
    started: Instant,
}

impl Meter {
    fn start() -> Self {
        let allocations = ALLOCATOR.stats();
        Self { allocations, cpu: cpu_nanoseconds(), started: Instant::now() }
    }

    fn stop(self, messages: usize) -> Cost {
        let (cpu, took) = (cpu_nanoseconds() - self.cpu, self.started.elapsed());
        let made = ALLOCATOR.stats() - self.allocations;
        let messages = messages as f64;
        Cost {
            cpu: cpu as f64 / 1e3 / messages,
            allocations: (made.allocations + made.reallocations) as f64 / messages,
            rate: messages / took.as_secs_f64(),
        }
    }
}

/// CPU time of all threads of this process, by Linux's scheduler statistics.
fn cpu_nanoseconds() -> u64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| {
            let statistics = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            statistics.split(' ').next()?.parse::<u64>().ok()
        })
        .sum()
}
