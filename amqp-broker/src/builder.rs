//! What a broker is started with, as its user sets it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
#[cfg(doc)]
use crate::cluster::Node;
use crate::event::BrokerEvent;
use crate::profile::Profile;
use crate::settings::Settings;

/// A broker about to be started.
#[must_use = "a broker starts with `start`"]
pub struct BrokerBuilder {
    pub(crate) settings: Settings,
    pub(crate) addresses: Vec<SocketAddr>,
    is_default_address: bool,
    pub(crate) manual_time: bool,
    pub(crate) nodes: u16,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            addresses: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            is_default_address: true,
            manual_time: false,
            nodes: 1,
        }
    }
}

impl fmt::Debug for BrokerBuilder {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerBuilder")
            .field("profile", &self.settings.profile)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl BrokerBuilder {
    /// Which RabbitMQ to behave like. Default: 4.x.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        profile.version().clone_into(&mut self.settings.version);
        self
    }

    /// Listens here as well; the first call replaces the default, a free port of the loopback interface.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        if std::mem::take(&mut self.is_default_address) {
            self.addresses.clear();
        }
        self.addresses.push(address);
        self
    }

    /// Product and version as told to clients, some of which decide by them. Default: `RabbitMQ` and
    /// the version of the profile.
    pub fn product(mut self, product: impl Into<String>, version: impl Into<String>) -> Self {
        self.settings.product = product.into();
        self.settings.version = version.into();
        self
    }

    /// One more user, beside `guest` with the password `guest`.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.users.insert(name.into(), password.into());
        self
    }

    /// One more virtual host, beside `/`.
    pub fn virtual_host(mut self, name: impl Into<String>) -> Self {
        self.settings.virtual_hosts.push(name.into());
        self
    }

    /// The frame-max to offer, octets. Default: 131,072.
    pub const fn frame_max(mut self, octets: u32) -> Self {
        self.settings.frame_max = octets;
        self
    }

    /// The channel-max to offer. Default: 2047.
    pub const fn channel_max(mut self, channels: u16) -> Self {
        self.settings.channel_max = channels;
        self
    }

    /// The heartbeat interval to offer, whole seconds. Default: 60 s.
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval;
        self
    }

    /// The largest message body to take, octets. Default: 134,217,728.
    pub const fn max_body(mut self, octets: u64) -> Self {
        self.settings.max_body = octets;
        self
    }

    /// Octets that all messages may take before publishers are blocked (`connection.blocked`), as
    /// RabbitMQ does when it is short of memory. Default: 1 GiB.
    pub const fn memory_limit(mut self, octets: usize) -> Self {
        self.settings.memory_limit = octets;
        self
    }

    /// Has every event told to `listener`, on whichever thread it happens: it should be quick.
    pub fn on_event(mut self, listener: impl Fn(&BrokerEvent) + Send + Sync + 'static) -> Self {
        self.settings.on_event = Some(Arc::new(listener));
        self
    }

    /// Has time go by for the broker only by [`Broker::advance`]: nothing expires, no heartbeat is due and
    /// no delay ends otherwise. Default: the runtime's time, which can be paused
    /// (`tokio::time::pause`), and put forward for the broker alone by [`Broker::advance`].
    pub const fn manual_time(mut self) -> Self {
        self.manual_time = true;
        self
    }

    /// So many nodes that share what the broker holds, each with a port of its own: see [`Node`]. Default:
    /// one.
    pub const fn nodes(mut self, count: u16) -> Self {
        self.nodes = if count == 0 { 1 } else { count };
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When an address can't be bound.
    pub async fn start(self) -> io::Result<Broker> {
        Broker::run(self).await
    }
}
