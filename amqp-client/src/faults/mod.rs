//! Faults at every point of a session, with every kind of wait under way.
//!
//! [`world`] runs the client's own futures, each as a task that is polled only when it was woken,
//! against what a test lets the server say: on the bare core, or through the connection's task and a
//! pipe. [`oracle`] says what each of those futures must have told by then, from the program's
//! operations and the frames that were received whole; it shares no code with the core.
//!
//! What the oracle doesn't know (windows, bodies from a source, channels opened again, RPC and the like)
//! is in [`scenes`], and [`trials`] are their faults: there the run in which nothing goes wrong is the
//! model of what comes before the fault, and the server checks what the client settles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod cuts;
mod drops;
mod link;
mod oracle;
mod program;
mod random;
mod scenes;
mod server;
mod session;
mod trials;
mod world;

use crate::error::{CloseReason, Error};

/// An error in a few words: what it is about, and why.
fn brief(error: &Error) -> String {
    match error {
        Error::ConnectionClosed(reason) => format!("connection {}", brief_reason(reason)),
        Error::ChannelClosed { reason, .. } => format!("channel {}", brief_reason(reason)),
        Error::Timeout { method, .. } => format!("timeout {method}"),
        Error::ConsumerCancelled { .. } => "cancelled".to_owned(),
        other => format!("{other:?}"),
    }
}

fn brief_reason(reason: &CloseReason) -> String {
    match reason {
        CloseReason::ByUser => "by user".to_owned(),
        CloseReason::ByServer(close) => format!("by server {}", close.code.0),
        CloseReason::Eof => "eof".to_owned(),
        CloseReason::Io(_) => "io".to_owned(),
        CloseReason::HeartbeatMissed { .. } => "silent".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A body in a few words: its length and its seed, if it is all there.
fn digest(body: &[u8]) -> String {
    match *body {
        [first, .., last] => format!("{} octets {first:x}..{last:x}", body.len()),
        _ => format!("{body:x?}"),
    }
}

/// A body that is told from others by its seed.
fn body(len: usize, seed: u8) -> Vec<u8> {
    let mut body = vec![seed; len];
    if let Some(last) = body.last_mut() {
        *last = !seed;
    }
    body
}
