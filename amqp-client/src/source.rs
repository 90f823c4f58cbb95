//! Where deliveries come from: shared by a consumer, its handles and what it delivered.

use std::sync::Arc;

use amqp091::types::ShortStr;

use crate::shared::ChannelHandle;

/// A consumer, or one fetch of a message, as its deliveries know it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) channel: Arc<ChannelHandle>,
    /// The queue as the program named it.
    pub(crate) queue: ShortStr,
    /// Empty for what was fetched without a consumer.
    pub(crate) tag: ShortStr,
    pub(crate) no_ack: bool,
}
