//! What a program is made of: steps of a few clients, whose names and deliveries are counted, so that a
//! program stays one whatever is left out of it.

use amqp091::types::Value;

/// Channels that a program has: the first two on one connection, the others on another, whose client has
/// no capabilities.
pub(crate) const CHANNELS: usize = 4;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) channel: usize,
    pub(crate) action: Action,
}

/// Names: `q0` or `x0` and the like have the program's prefix put before them, `gen0` and the like are
/// queues that the server named, `reply0` an address for replies.
pub(crate) type Name = &'static str;

pub(crate) type Arguments = Vec<(&'static str, Value)>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    DeclareQueue {
        queue: Name,
        flags: Flags,
        arguments: Arguments,
    },
    DeleteQueue {
        queue: Name,
        if_unused: bool,
        if_empty: bool,
    },
    Purge(Name),
    Bind {
        queue: Name,
        exchange: Name,
        key: Name,
        arguments: Arguments,
    },
    Unbind {
        queue: Name,
        exchange: Name,
        key: Name,
        arguments: Arguments,
    },
    DeclareExchange {
        exchange: Name,
        kind: Name,
        flags: Flags,
        arguments: Arguments,
    },
    DeleteExchange {
        exchange: Name,
        if_unused: bool,
    },
    BindExchange {
        destination: Name,
        source: Name,
        key: Name,
        arguments: Arguments,
    },
    UnbindExchange {
        destination: Name,
        source: Name,
        key: Name,
        arguments: Arguments,
    },
    Publish {
        exchange: Name,
        key: Name,
        mandatory: bool,
        with: With,
        size: usize,
    },
    ConfirmSelect,
    TxSelect,
    TxCommit,
    TxRollback,
    Get {
        queue: Name,
        no_ack: bool,
    },
    Consume {
        queue: Name,
        tag: Name,
        no_ack: bool,
        exclusive: bool,
        arguments: Arguments,
    },
    Cancel(Name),
    Qos {
        count: u16,
        global: bool,
    },
    Ack {
        which: Which,
        multiple: bool,
    },
    Nack {
        which: Which,
        multiple: bool,
        requeue: bool,
    },
    Reject {
        which: Which,
        requeue: bool,
    },
    Recover {
        requeue: bool,
    },
    RecoverAsync {
        requeue: bool,
    },
    Flow(bool),
    CloseChannel,
    CloseConnection,
    /// The client is gone without a word.
    DropConnection,
}

/// Of a declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flags {
    pub(crate) passive: bool,
    pub(crate) durable: bool,
    pub(crate) exclusive: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
}

/// Properties of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct With {
    pub(crate) expiration: Option<&'static str>,
    pub(crate) priority: Option<u8>,
    pub(crate) delivery_mode: Option<u8>,
    pub(crate) user_id: Option<&'static str>,
    pub(crate) reply_to: Option<Name>,
    pub(crate) headers: Option<Arguments>,
}

/// A delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Which {
    /// One of those that the channel holds, counted round and round.
    Held(usize),
    /// One that was settled before.
    Settled(usize),
    /// Whatever has this tag.
    Tag(u64),
}
