//! Calling servers by messages, without async.

use std::ops::Deref;
use std::time::Duration;

use super::wait::wait;
use super::{Channel, Connection};
use crate::error::Error;

/// Calls servers by messages and waits for their replies: as the async [`RpcClient`](crate::RpcClient),
/// whose [`call`](crate::RpcClient::call) it has by [`Deref`].
///
/// ```no_run
/// use amqp091_client::blocking::{Connection, RpcClient, Wait};
///
/// # fn example(connection: Connection) -> Result<(), Box<dyn std::error::Error>> {
/// let client = RpcClient::new(&connection)?;
/// println!("{}", client.call("", "sum", "1 2 3").wait()?.text()?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RpcClient(crate::RpcClient);

impl RpcClient {
    /// As [`crate::RpcClient::new`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        wait(crate::RpcClient::new(connection)).map(Self)
    }

    /// As [`crate::RpcClient::with_channel`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn with_channel(channel: &Channel) -> Result<Self, Error> {
        wait(crate::RpcClient::with_channel(channel.to_async())).map(Self)
    }

    /// As [`crate::RpcClient::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }
}

impl From<crate::RpcClient> for RpcClient {
    fn from(client: crate::RpcClient) -> Self {
        Self(client)
    }
}

impl Deref for RpcClient {
    type Target = crate::RpcClient;

    fn deref(&self) -> &crate::RpcClient {
        &self.0
    }
}
