//! Which RabbitMQ the broker behaves like, where they differ.

/// A RabbitMQ whose behaviour to have.
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
