//! What the servers are put to.

/// One kind of load.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) exchange: Exchange,
    /// Octets of a body.
    pub(crate) size: usize,
    /// Each with a channel that publishes and one that consumes.
    pub(crate) connections: usize,
    /// Messages of one connection's publisher that are on their way at most: a full round of them, from its
    /// publish to the consumer's acknowledgement.
    pub(crate) window: u64,
}

/// What is published to, and what is bound to it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Exchange {
    /// One queue for each connection, filled by the one before.
    Direct,
    /// 100 queues with 100 bindings each, half of them with `*` and half with `#`; each message goes to
    /// one queue, another than the message before it.
    Topic,
    /// 100 queues, and each message to all of them.
    Fanout,
}

/// Queues of a topic or a fanout.
pub(crate) const QUEUES: usize = 100;
/// Bindings of each queue of a topic.
pub(crate) const BINDINGS: usize = 100;
/// Messages that a consumer may hold: more than are ever on their way.
pub(crate) const PREFETCH: u16 = 1000;

impl Work {
    pub(crate) fn title(&self) -> String {
        let Self { size, connections, .. } = self;
        let size = if *size < 1024 { format!("{size} B") } else { format!("{} KiB", size / 1024) };
        match self.exchange {
            Exchange::Direct if *connections == 1 => format!("direct, {size}, 1 connection"),
            Exchange::Direct => format!("direct, {size}, {connections} connections"),
            Exchange::Topic => format!("topic with 10,000 bindings, {size}"),
            Exchange::Fanout => format!("fanout to 100 queues, {size}"),
        }
    }

    /// Queues of each connection.
    pub(crate) const fn queues(&self) -> usize {
        match self.exchange {
            Exchange::Direct => 1,
            Exchange::Topic | Exchange::Fanout => QUEUES,
        }
    }

    /// Deliveries for each message.
    pub(crate) const fn copies(&self) -> u64 {
        match self.exchange {
            Exchange::Fanout => QUEUES as u64,
            _ => 1,
        }
    }
}

pub(crate) const WORKS: [Work; 8] = [
    direct("direct-16-1", 16, 1),
    direct("direct-1024-1", 1024, 1),
    direct("direct-16-50", 16, 50),
    direct("direct-1024-50", 1024, 50),
    many("topic-16", Exchange::Topic, 16),
    many("topic-1024", Exchange::Topic, 1024),
    many("fanout-16", Exchange::Fanout, 16),
    many("fanout-1024", Exchange::Fanout, 1024),
];

const fn direct(name: &'static str, size: usize, connections: usize) -> Work {
    let window = if connections == 1 { 1000 } else { 100 };
    Work { name, exchange: Exchange::Direct, size, connections, window }
}

const fn many(name: &'static str, exchange: Exchange, size: usize) -> Work {
    let window = if matches!(exchange, Exchange::Fanout) { 100 } else { 1000 };
    Work { name, exchange, size, connections: 1, window }
}

pub(crate) fn work(name: &str) -> Option<&'static Work> {
    WORKS.iter().find(|work| work.name == name)
}
