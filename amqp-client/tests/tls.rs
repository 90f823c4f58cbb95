//! TLS against servers in this process: what their certificates have to be, what is said when they are
//! not, and that the connection inside is the one that it is without.
//!
//! The certificates are made anew by each test.
#![cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/hosts.rs"]
mod hosts;
#[path = "tls/local.rs"]
mod local;
#[path = "scripted/peer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod peer;
#[path = "tls/server.rs"]
mod server;
#[path = "tls/servers.rs"]
mod servers;
#[path = "tls/traffic.rs"]
mod traffic;
