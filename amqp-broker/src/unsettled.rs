//! Why a broker wasn't settled in time.

use std::fmt;
use std::time::Duration;

use crate::inspect::ConnectionInfo;

/// What [`Broker::settled_within`](crate::Broker::settled_within) was still waiting for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unsettled {
    /// How long it has waited.
    pub waited: Duration,
    /// Connections whose clients don't read what is written to them.
    pub unread: Vec<ConnectionInfo>,
    /// Connections that were busy: their clients never stopped sending, or were being served.
    pub busy: Vec<ConnectionInfo>,
}

impl std::error::Error for Unsettled {}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not settled within {:?}", self.waited)?;
        let groups = [
            (&self.unread, "its client doesn't read what it is sent"),
            (&self.busy, "its client doesn't stop sending, or is still being served"),
        ];
        for (connections, why) in groups {
            for connection in connections {
                let ConnectionInfo { number, peer, name, .. } = connection;
                write!(f, "; connection {number} from {peer}")?;
                if !name.is_empty() {
                    write!(f, ", {name:?}")?;
                }
                write!(f, ": {why}")?;
            }
        }
        Ok(())
    }
}
