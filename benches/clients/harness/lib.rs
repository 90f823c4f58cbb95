//! What the programs that measure one client each have in common: the command line, the work, and
//! the figures.
//!
//! A contender implements [`Client`] and calls [`main`]. The program does one work in one process, and
//! prints one line of figures. Its command line, which the C program has too:
//!
//! ```text
//! PROGRAM --url URL --work WORK --runtime RUNTIME [--seconds S | --messages N] [--queue NAME]
//!         [--idle-channels N]
//! ```
//!
//! `WORK` is one of the [`Work`]s; `RUNTIME` is `current-thread`, `multi-thread` (two workers) or
//! `none`, for clients that block. With `--seconds` the number of messages is chosen so that the
//! measured part takes about as long; the null server reads from a queue's name what to deliver.
//! With `--messages` it is given, and so is the queue: for a broker.

mod command;
mod cost;
mod memory;
mod work;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

pub use command::{Messages, Task, Work};

/// How many confirms may be outstanding when publishing with confirms.
pub const WINDOW: usize = 1000;
/// The prefetch when consuming with acknowledgements.
pub const PREFETCH: u16 = 1000;

/// How deliveries are acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acks {
    /// Not at all: consumed with no-ack.
    None,
    /// One by one.
    Each,
    /// A hundred by one acknowledgement.
    Hundred,
}

/// A client of AMQP, as it does the work best. Whatever fails, panics.
pub trait Client: 'static {
    /// An open connection.
    type Connection: Send + Sync;
    /// An open channel. It may not close while it is kept.
    type Channel: Send + Sync;

    /// Opens a connection.
    fn connect(url: &str) -> impl Future<Output = Self::Connection> + Send;

    /// Opens a channel.
    fn channel(connection: &Self::Connection) -> impl Future<Output = Self::Channel> + Send;

    /// Publishes `count` messages by the default exchange, and waits until the server has read them:
    /// until it has answered what was asked behind them.
    fn publish(
        channel: &Self::Channel,
        queue: &str,
        body: Bytes,
        count: u64,
    ) -> impl Future<Output = ()> + Send;

    /// Publishes `count` messages by the default exchange, each of which must be confirmed; at most
    /// [`WINDOW`] confirms are outstanding.
    fn publish_confirmed(
        channel: &Self::Channel,
        queue: &str,
        body: Bytes,
        count: u64,
    ) -> impl Future<Output = ()> + Send;

    /// Consumes `count` messages from `queue`, with a prefetch of [`PREFETCH`] unless without
    /// acknowledgements, then cancels the consumer.
    fn consume(
        channel: &Self::Channel,
        queue: &str,
        count: u64,
        acks: Acks,
    ) -> impl Future<Output = ()> + Send;

    /// Closes the connection.
    fn close(connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

/// Does what the command line says, and prints the figures.
pub fn main<C: Client>() {
    let task = command::task();
    let figures = match task.runtime.as_str() {
        "none" => ready(work::run::<C>(task)),
        "current-thread" => spawn(
            &Builder::new_current_thread().enable_all().build().unwrap(),
            work::run::<C>(task),
        ),
        "multi-thread" => {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
            spawn(&runtime.unwrap(), work::run::<C>(task))
        }
        other => panic!("unknown runtime {other}"),
    };
    println!("{figures}");
    // Whatever a client leaves behind need not be waited for.
    std::process::exit(0);
}

/// In a task, as programs on tokio do their work.
fn spawn(runtime: &Runtime, work: impl Future<Output = String> + Send + 'static) -> String {
    runtime.block_on(async { tokio::spawn(work).await.unwrap() })
}

/// The result of a future that never waits.
fn ready(work: impl Future<Output = String>) -> String {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(figures) => figures,
        Poll::Pending => panic!("a client that blocks doesn't wait otherwise"),
    }
}
