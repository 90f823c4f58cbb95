//! What a broker tells whoever wants to log it.

use std::fmt;

use crate::inspect::ConnectionInfo;

/// Something that happened: see [`BrokerBuilder::on_event`](crate::BrokerBuilder::on_event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BrokerEvent {
    /// A client has opened a virtual host.
    Opened(ConnectionInfo),
    /// A connection has ended, after it was open or before.
    Closed(ConnectionInfo),
}

impl fmt::Display for BrokerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, info) = match self {
            Self::Opened(info) => ("opened", info),
            Self::Closed(info) => ("closed", info),
        };
        let ConnectionInfo { number, peer, name, user, virtual_host, .. } = info;
        write!(f, "connection {number} from {peer} {what}")?;
        if !user.is_empty() {
            write!(f, ", user {user:?}, virtual host {virtual_host:?}")?;
        }
        if !name.is_empty() {
            write!(f, ", {name:?}")?;
        }
        Ok(())
    }
}
