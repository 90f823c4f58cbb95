//! Which RabbitMQ the broker behaves like, where they differ.

/// A RabbitMQ whose behaviour to have.
///
/// What clients see is that of the real one, reply codes and texts included: random programs are run on both
/// and compared step by step, as are the tests of each subject. What differs does so on purpose:
///
/// - There are no stream queues: declaring one closes the connection with 540, which says so. A broker
///   in memory has no log to read again.
/// - What RabbitMQ 3.10 breaks of, with 541 and no reason or no answer at all, is refused with a reason where
///   the value is wrong: a queue without a name and of an unknown type, for one.
/// - A connection ends at once, with all its channels. In RabbitMQ they end one after the other, and what the
///   first gives back may go to the last and be lost there if that doesn't acknowledge.
/// - What one client says is done in its order before the answer to what it says next: a passive
///   declaration counts what was published before, confirms come in the order of the publishes, what is said right
///   behind `tx.commit` is carried out. In RabbitMQ channels and queues work side by side, so the
///   first may be late, the second mixed, and the last a 504. Programs that wait as RabbitMQ asks for are
///   fine with both.
/// - No consumer is closed for taking longer than 30 minutes to acknowledge, and there are no policies, plugins and
///   management interface: [`Broker`](crate::Broker)'s methods tell what there is.
/// - Names, properties and arguments that are only about disks and other nodes (`x-queue-mode`,
///   `x-queue-version`, `x-quorum-initial-group-size` and the like) are checked, and mean nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Profile {
    /// RabbitMQ 3.10.
    V3_10,
    /// RabbitMQ 4.0, and later as far as what follows isn't about clusters.
    #[default]
    V4,
}

impl Profile {
    /// The version that it tells clients, unless
    /// [`BrokerBuilder::product`](crate::BrokerBuilder::product) says another.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10.8",
            Self::V4 => "4.0.5",
        }
    }

    pub(crate) const fn mechanisms(self) -> &'static str {
        match self {
            Self::V3_10 => "PLAIN AMQPLAIN",
            Self::V4 => "PLAIN ANONYMOUS AMQPLAIN",
        }
    }

    /// How often a quorum queue delivers a message again, where its declaration doesn't say.
    pub(crate) const fn default_delivery_limit(self) -> Option<u32> {
        match self {
            Self::V3_10 => None,
            Self::V4 => Some(20),
        }
    }
}
