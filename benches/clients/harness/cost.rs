//! What the process has used so far, and the difference.

use std::fs;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats};

/// A point in time.
pub(crate) struct Mark {
    cpu: f64,
    at: Instant,
    stats: Stats,
}

/// What was used between two points.
pub(crate) struct Cost {
    /// CPU time, user and system, of all threads of the process, in seconds.
    pub(crate) cpu: f64,
    pub(crate) seconds: f64,
    /// Allocations and reallocations; 0 where they aren't counted.
    allocations: usize,
}

impl Mark {
    pub(crate) fn now() -> Self {
        Self { cpu: cpu_seconds(), at: Instant::now(), stats: INSTRUMENTED_SYSTEM.stats() }
    }

    pub(crate) fn cost(&self) -> Cost {
        let (cpu, seconds) = (cpu_seconds() - self.cpu, self.at.elapsed().as_secs_f64());
        let stats = INSTRUMENTED_SYSTEM.stats();
        let allocations = stats.allocations + stats.reallocations
            - self.stats.allocations
            - self.stats.reallocations;
        Cost { cpu, seconds, allocations }
    }
}

impl Cost {
    /// The line that is printed for messages.
    pub(crate) fn of_messages(&self, messages: u64) -> String {
        let Self { cpu, seconds, allocations } = self;
        let count = messages as f64;
        let mut line = format!(
            "messages={messages} cpu_us={:.4} rate={:.0} threads={}",
            cpu * 1e6 / count,
            count / seconds,
            threads()
        );
        if counts_allocations() {
            line.push_str(&format!(" allocations={:.3}", *allocations as f64 / count));
        }
        line
    }
}

/// Whether this program counts allocations: then some are counted already.
pub(crate) fn counts_allocations() -> bool {
    INSTRUMENTED_SYSTEM.stats().allocations > 0
}

/// Octets that are allocated.
pub(crate) fn allocated() -> f64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Threads of this process.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
