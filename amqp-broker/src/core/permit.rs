//! Whether a client may do what it wants with a queue or exchange.

use super::Core;
use super::arguments::{exchange_in, queue_in};
use super::connection::ConnectionKey;
use super::refusal::{Done, Refusal, shown};
use crate::permissions::Access;
use crate::profile::Profile;
use amqp091::types::ShortStr;

/// The default exchange is nobody's to change.
pub(super) fn not_the_default(exchange: &ShortStr) -> Done {
    if exchange.is_empty() {
        return Err(Refusal::access("operation not permitted on the default exchange"));
    }
    Ok(())
}

impl Core {
    /// Whether this client may do that with the queue of this name.
    pub(super) fn permit_queue(&self, key: ConnectionKey, access: Access, name: &ShortStr) -> Done {
        self.permit(key, access, name, queue_in)
    }

    /// Whether this client may do that with the exchange of this name.
    pub(super) fn permit_exchange(
        &self,
        key: ConnectionKey,
        access: Access,
        name: &ShortStr,
    ) -> Done {
        self.permit(key, access, name, exchange_in)
    }

    /// Whoever binds an exchange to another, or takes that away, writes to one and reads from the other.
    pub(super) fn permit_exchange_bindings(
        &self,
        key: ConnectionKey,
        destination: &ShortStr,
        source: &ShortStr,
    ) -> Done {
        not_the_default(destination)?;
        not_the_default(source)?;
        self.permit_exchange(key, Access::Write, destination)?;
        self.permit_exchange(key, Access::Read, source)
    }

    /// Whoever binds a queue to an exchange does the same.
    pub(super) fn permit_queue_bindings(
        &self,
        key: ConnectionKey,
        queue: &ShortStr,
        exchange: &ShortStr,
    ) -> Done {
        not_the_default(exchange)?;
        self.permit_queue(key, Access::Write, queue)?;
        self.permit_exchange(key, Access::Read, exchange)
    }

    #[inline]
    fn permit(
        &self,
        key: ConnectionKey,
        access: Access,
        name: &ShortStr,
        what: fn(&ShortStr, &str) -> String,
    ) -> Done {
        let Some(connection) = self.connections.get(key) else { return Ok(()) };
        let Some(permissions) = &connection.permissions else { return Ok(()) };
        let default = ShortStr::from_static("amq.default");
        let name = if name.is_empty() { &default } else { name };
        if permissions.allow(access, &shown(name.as_ref())) {
            return Ok(());
        }
        let vhost = connection.vhost.map_or("", |vhost| self.vhost_name(vhost));
        let kind = match self.settings.profile {
            Profile::V3_10 => String::new(),
            Profile::V4 => format!("{} ", access.name()),
        };
        let (what, user) = (what(name, vhost), &connection.user);
        Err(Refusal::access(format!("{kind}access to {what} refused for user '{user}'")))
    }
}
