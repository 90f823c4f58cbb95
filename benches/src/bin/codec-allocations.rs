//! Counts what the pieces of work allocate. A program of its own: where time is measured, nothing counts.
//!
//! A line of output is `work`, `contender` and the allocations and reallocations of one run, with tabs between.

use amqp091_benches::works;

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() {
    for mut work in works() {
        for contender in &mut work.contenders {
            // Buffers reach their size first.
            contender.run(1);
            let before = ALLOCATOR.stats();
            contender.run(1);
            let made = ALLOCATOR.stats() - before;
            let count = (made.allocations + made.reallocations) as f64 / work.parts as f64;
            println!("{}\t{}\t{count}", work.name, contender.who);
        }
    }
}
