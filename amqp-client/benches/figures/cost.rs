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
    let before = ALLOCATOR.stats();
    let (cpu, started) = (cpu_nanoseconds(), Instant::now());
    work.await;
    let (cpu, took) = (cpu_nanoseconds() - cpu, started.elapsed());
    let made = ALLOCATOR.stats() - before;
    let messages = messages as f64;
    Cost {
        cpu: cpu as f64 / 1e3 / messages,
        allocations: (made.allocations + made.reallocations) as f64 / messages,
        rate: messages / took.as_secs_f64(),
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
