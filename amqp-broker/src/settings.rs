//! What a broker is started with.

use std::collections::HashMap;
use std::time::Duration;

use std::sync::Arc;

use crate::event::BrokerEvent;
use crate::permissions::Permissions;
use crate::profile::Profile;

/// Whom the broker tells what happens.
pub(crate) type Listener = Arc<dyn Fn(&BrokerEvent) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Profile,
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) users: HashMap<String, String>,
    /// By user and virtual host; who isn't here may do everything.
    pub(crate) permissions: HashMap<String, HashMap<String, Permissions>>,
    pub(crate) virtual_hosts: Vec<String>,
    /// Of a virtual host each.
    pub(crate) max_connections: usize,
    pub(crate) max_queues: usize,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: Duration,
    pub(crate) max_body: u64,
    pub(crate) memory_limit: usize,
    /// How long a client that is refused without a word has to wait for the end.
    pub(crate) refusal_delay: Duration,
    pub(crate) seed: u64,
    pub(crate) on_event: Option<Listener>,
}

impl Default for Settings {
    fn default() -> Self {
        let profile = Profile::default();
        Self {
            profile,
            product: "RabbitMQ".to_owned(),
            version: profile.version().to_owned(),
            users: HashMap::from([("guest".to_owned(), "guest".to_owned())]),
            permissions: HashMap::new(),
            max_connections: usize::MAX,
            max_queues: usize::MAX,
            virtual_hosts: vec!["/".to_owned()],
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: Duration::from_secs(60),
            max_body: 128 * 1024 * 1024,
            memory_limit: 1024 * 1024 * 1024,
            refusal_delay: Duration::ZERO,
            seed: 0,
            on_event: None,
        }
    }
}
