//! The work.

use std::time::Instant;

use bytes::Bytes;

use crate::cost::{Cost, Mark};
use crate::{Acks, Client, Messages, Task, Work, memory};

/// A run that takes less doesn't tell the rate.
const PILOT_SECONDS: f64 = 0.02;
/// No client needs more messages for a figure.
const MESSAGES_MAX: f64 = 5e6;
const OPENS_MIN: usize = 20;
const OPENS_MAX: usize = 2000;

pub(crate) async fn run<C: Client>(task: Task) -> String {
    match task.work {
        Work::Open => open::<C>(&task).await,
        Work::Connections => memory::connections::<C>(&task.url).await,
        Work::Channels => memory::channels::<C>(&task.url).await,
        work => {
            let size = match work {
                Work::Publish { size } | Work::Consume { size, .. } => size,
                _ => 16,
            };
            messages::<C>(&task, work, size).await
        }
    }
}

async fn messages<C: Client>(task: &Task, work: Work, size: usize) -> String {
    let connection = C::connect(&task.url).await;
    let channel = C::channel(&connection).await;
    let mut idle = Vec::new();
    for _ in 0..task.idle_channels {
        idle.push(C::channel(&connection).await);
    }
    let body = Bytes::from(vec![b'x'; size]);
    let (cost, count) = match task.messages {
        Messages::Count(count) => {
            (once::<C>(&channel, work, &body, &task.queue, count).await, count)
        }
        Messages::Seconds(seconds) => {
            // Buffers and queues reach their size on the way.
            let mut count = if size > 1024 { 100 } else { 1000 };
            loop {
                let queue = format!("{count}x{size}");
                let cost = once::<C>(&channel, work, &body, &queue, count).await;
                if cost.seconds >= seconds / 2.0 || count as f64 >= MESSAGES_MAX {
                    break (cost, count);
                }
                let factor = (seconds / cost.seconds.max(PILOT_SECONDS)).max(2.0);
                let hundreds = (count as f64 * factor).min(MESSAGES_MAX) / 100.0;
                count = hundreds as u64 * 100;
            }
        }
    };
    let line = cost.of_messages(count);
    C::close(connection).await;
    line
}

async fn once<C: Client>(
    channel: &C::Channel,
    work: Work,
    body: &Bytes,
    queue: &str,
    count: u64,
) -> Cost {
    let mark = Mark::now();
    match work {
        Work::Publish { .. } => C::publish(channel, queue, body.clone(), count).await,
        Work::Consume { acks, .. } => C::consume(channel, queue, count, acks).await,
        _ => C::publish_confirmed(channel, queue, body.clone(), count).await,
    }
    mark.cost()
}

/// From opening a connection to the first confirm, again and again.
async fn open<C: Client>(task: &Task) -> String {
    let body = Bytes::from_static(b"0123456789abcdef");
    let mut took = Vec::new();
    let (began, mark) = (Instant::now(), Mark::now());
    let is_enough = |opens: usize| match task.messages {
        Messages::Count(_) => opens >= OPENS_MIN * 5,
        Messages::Seconds(seconds) => {
            opens >= OPENS_MAX || (opens >= OPENS_MIN && began.elapsed().as_secs_f64() > seconds)
        }
    };
    while !is_enough(took.len()) {
        let started = Instant::now();
        let connection = C::connect(&task.url).await;
        let channel = C::channel(&connection).await;
        C::publish_confirmed(&channel, &task.queue, body.clone(), 1).await;
        took.push(started.elapsed().as_secs_f64() * 1e6);
        C::close(connection).await;
        // A channel that is dropped is being closed, which some connections can't bear to be.
        drop(channel);
    }
    let cpu = mark.cost().cpu * 1e6 / took.len() as f64;
    took.sort_by(f64::total_cmp);
    format!("count={} latency_us={:.1} cpu_us={cpu:.1}", took.len(), took[took.len() / 2])
}

impl Acks {
    /// Whether the delivery with this number, counted from 1, is acknowledged, alone or with all
    /// before it.
    pub fn after(self, number: u64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Each => Some(false),
            Self::Hundred => number.is_multiple_of(100).then_some(true),
        }
    }
}
