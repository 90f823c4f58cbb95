//! The command line.

use lexopt::prelude::*;

/// What a program is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The server.
    pub url: String,
    /// What is measured.
    pub work: Work,
    /// What the client runs on.
    pub runtime: String,
    /// How much of it.
    pub messages: Messages,
    /// The broker's queue.
    pub queue: String,
    /// How many channels are open beside the one that works.
    pub idle_channels: usize,
}

/// How many messages are measured.
#[derive(Clone, Copy, Debug)]
pub enum Messages {
    /// So many.
    Count(u64),
    /// As many as take about so many seconds.
    Seconds(f64),
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// Messages without confirms.
    Publish {
        /// Octets of a body.
        size: usize,
    },
    /// Messages with a window of confirms.
    Confirm,
    /// Deliveries.
    Consume {
        /// Octets of a body.
        size: usize,
        /// How they are acknowledged.
        acks: crate::Acks,
    },
    /// From opening a connection to the first confirm.
    Open,
    /// The memory of idle connections.
    Connections,
    /// The memory of idle channels.
    Channels,
}

impl Work {
    fn named(name: &str) -> Option<Self> {
        use crate::Acks;
        Some(match name {
            "publish-16" => Self::Publish { size: 16 },
            "publish-64k" => Self::Publish { size: 64 * 1024 },
            "confirm-16" => Self::Confirm,
            "consume-16" => Self::Consume { size: 16, acks: Acks::None },
            "consume-64k" => Self::Consume { size: 64 * 1024, acks: Acks::None },
            "ack-16" => Self::Consume { size: 16, acks: Acks::Each },
            "multiple-16" => Self::Consume { size: 16, acks: Acks::Hundred },
            "open" => Self::Open,
            "connections" => Self::Connections,
            "channels" => Self::Channels,
            _ => return None,
        })
    }
}

pub(crate) fn task() -> Task {
    let mut task = Task {
        url: String::new(),
        work: Work::Open,
        runtime: "current-thread".to_owned(),
        messages: Messages::Seconds(0.3),
        queue: "figures".to_owned(),
        idle_channels: 0,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().unwrap() {
        let Long(name) = argument else { panic!("unexpected argument {argument:?}") };
        let name = name.to_owned();
        let value = parser.value().unwrap().string().unwrap();
        match name.as_str() {
            "url" => task.url = value,
            "work" => task.work = Work::named(&value).unwrap_or_else(|| panic!("no work {value}")),
            "runtime" => task.runtime = value,
            "seconds" => task.messages = Messages::Seconds(value.parse().unwrap()),
            "messages" => task.messages = Messages::Count(value.parse().unwrap()),
            "queue" => task.queue = value,
            "idle-channels" => task.idle_channels = value.parse().unwrap(),
            _ => panic!("unknown option --{name}"),
        }
    }
    task
}
