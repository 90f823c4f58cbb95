//! The client against scripted servers, over in-memory pipes and loopback sockets: what no real broker
//! does on demand, and what only a count of thousands would show.
//!
//! `peer` is a server that a test plays by hand; `robot` answers everything on its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "scripted/acks.rs"]
mod acks;
#[path = "scripted/arguments.rs"]
mod arguments;
#[path = "scripted/backpressure.rs"]
mod backpressure;
#[path = "scripted/blocking.rs"]
mod blocking;
#[path = "scripted/cancellation.rs"]
mod cancellation;
#[path = "scripted/closing.rs"]
mod closing;
#[path = "scripted/confirms.rs"]
mod confirms;
#[path = "scripted/connecting.rs"]
mod connecting;
#[path = "scripted/consuming.rs"]
mod consuming;
#[path = "scripted/credentials.rs"]
mod credentials;
#[path = "scripted/ends.rs"]
mod ends;
#[path = "scripted/events.rs"]
mod events;
#[path = "scripted/handling.rs"]
mod handling;
#[path = "scripted/heartbeats.rs"]
mod heartbeats;
#[path = "scripted/hosts.rs"]
mod hosts;
#[path = "scripted/methods.rs"]
mod methods;
#[path = "scripted/peer.rs"]
mod peer;
#[path = "scripted/peers_defects.rs"]
mod peers_defects;
#[path = "scripted/publishing.rs"]
mod publishing;
#[path = "scripted/reopening.rs"]
mod reopening;
#[path = "scripted/robot.rs"]
mod robot;
#[path = "scripted/rpc.rs"]
mod rpc;
#[path = "scripted/runtimes.rs"]
mod runtimes;
#[path = "scripted/stalls.rs"]
mod stalls;
#[cfg(feature = "tracing")]
#[path = "scripted/tracing_events.rs"]
mod tracing_events;
#[path = "scripted/tuning.rs"]
mod tuning;
#[path = "scripted/turns.rs"]
mod turns;
