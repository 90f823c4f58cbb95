//! The one thread that drives all connections of the blocking face: started with the first of them and
//! ended with the last.

use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

use super::wait::wait;

/// The thread that runs, if one does.
static RUNNING: Mutex<Weak<Background>> = Mutex::new(Weak::new());

/// A running thread. It ends when this is dropped.
struct Background {
    runtime: Handle,
    stop: AbortHandle,
    /// The process that it runs in: a forked child inherits this, but not the thread.
    process: u32,
}

/// Keeps the thread running.
pub(super) struct Lease(Arc<Background>);

impl Lease {
    /// Joins the others, or starts the thread.
    pub(super) fn take() -> io::Result<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        match running.upgrade() {
            Some(background) if background.process == std::process::id() => Ok(Self(background)),
            _ => {
                let background = Arc::new(Background::start()?);
                *running = Arc::downgrade(&background);
                Ok(Self(background))
            }
        }
    }

    /// Runs a future that needs the runtime around it (sockets, timers, tasks), on the caller's thread.
    /// Its tasks go to the background.
    pub(super) fn run<F: Future>(&self, future: F) -> F::Output {
        let _context = self.0.runtime.enter();
        // Within a task of another runtime, that one's budget would never be filled again.
        wait(tokio::task::unconstrained(future))
    }

    /// Keeps the thread running until then.
    pub(super) fn keep_until(self, end: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.0.runtime.clone();
        runtime.spawn(async move {
            end.await;
            drop(self);
        });
    }
}

impl Background {
    fn start() -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::Builder::new().name("amqp091".to_owned()).spawn(move || {
            // Made and dropped here: neither is allowed everywhere that a program may call from.
            let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            let running = runtime.spawn(pending::<()>());
            let started = (runtime.handle().clone(), running.abort_handle());
            if sender.send(Ok(started)).is_ok() {
                let _ = runtime.block_on(running);
            }
        })?;
        let (runtime, stop) = receiver.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, stop, process: std::process::id() })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.abort();
    }
}
