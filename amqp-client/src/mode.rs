//! The modes of a channel: confirms, transactions, and neither.

use std::fmt;

use amqp091::protocol::confirm;

use crate::request::{no_wait, request_builder};

/// What the server does with messages that are published on a channel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChannelMode {
    /// It takes them and says nothing.
    Normal,
    /// It confirms each; [`Channel::publish`](crate::Channel::publish) begins with this.
    Confirm,
    /// It takes them, and the acknowledgements of deliveries, when the transaction is committed; see
    /// [`Channel::tx_select`](crate::Channel::tx_select).
    Transaction,
}

impl fmt::Display for ChannelMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Confirm => "confirm",
            Self::Transaction => "transaction",
        })
    }
}

request_builder! {
    /// `confirm.select` (RabbitMQ): puts the channel in confirm mode, for good.
    ConfirmSelect for confirm::Select {}
}

no_wait! {
    ConfirmSelect: confirm::Select;
}
