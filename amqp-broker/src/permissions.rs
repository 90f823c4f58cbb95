//! What users may do.

use std::fmt;
use std::sync::Arc;

type Names = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What a user may do in a virtual host, by the names of queues and exchanges: see
/// [`BrokerBuilder::permit`](crate::BrokerBuilder::permit).
///
/// What needs which is as in RabbitMQ: declaring and deleting needs *configure*; publishing to an exchange,
/// and being bound to another, needs *write* (the default exchange is called `amq.default` here); consuming
/// from, getting from and purging a queue, and having others bound to an exchange, needs *read*.
///
/// The functions are called while the broker is at work: they must not ask it anything.
#[derive(Clone)]
pub struct Permissions {
    configure: Names,
    write: Names,
    read: Names,
}

/// What is to be done with a queue or exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    Configure,
    Write,
    Read,
}

impl Access {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl Permissions {
    /// Everything.
    pub fn all() -> Self {
        let any: Names = Arc::new(|_| true);
        Self { configure: Arc::clone(&any), write: Arc::clone(&any), read: any }
    }

    /// Nothing.
    pub fn none() -> Self {
        let none: Names = Arc::new(|_| false);
        Self { configure: Arc::clone(&none), write: Arc::clone(&none), read: none }
    }

    /// Sets what it may declare and delete.
    #[must_use]
    pub fn configure(mut self, names: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.configure = Arc::new(names);
        self
    }

    /// Sets what it may publish to.
    #[must_use]
    pub fn write(mut self, names: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.write = Arc::new(names);
        self
    }

    /// Sets what it may consume from.
    #[must_use]
    pub fn read(mut self, names: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.read = Arc::new(names);
        self
    }

    pub(crate) fn allow(&self, access: Access, name: &str) -> bool {
        match access {
            Access::Configure => (self.configure)(name),
            Access::Write => (self.write)(name),
            Access::Read => (self.read)(name),
        }
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions")
    }
}
