//! Who does what, and what it may cost us.

use std::path::{Path, PathBuf};

/// A client on what it runs on.
pub(crate) struct Contender {
    /// The program.
    pub(crate) name: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) program: PathBuf,
    /// As a heading.
    pub(crate) label: String,
}

impl Contender {
    /// Whether it is this project's.
    pub(crate) fn is_ours(&self) -> bool {
        self.name.starts_with("amqp091")
    }

    /// The same program, counting allocations; there is none where that would tell nothing.
    pub(crate) fn counting(&self) -> PathBuf {
        self.program.with_file_name(format!("{}-allocations", self.name))
    }
}

/// One work, and the budget of the project's design for it: at most so many microseconds of CPU time
/// per message on a current-thread and a multi-thread runtime, octets, or microseconds.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) kind: Kind,
    pub(crate) budget: [Option<f64>; 2],
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Kind {
    Publish { large: bool },
    Consume { large: bool },
    Open,
    Memory,
}

impl Kind {
    pub(crate) fn is_messages(self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Consume { .. })
    }

    /// Octets of a message's body.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::Publish { large: true } | Self::Consume { large: true } => 64 * 1024,
            _ => 16,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Target {
    NullServer,
    RabbitMq,
}

pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) works: Vec<Work>,
    /// How many idle channels there are beside.
    pub(crate) idle: &'static [usize],
}

const CONTENDERS: &[(&str, &[&str])] = &[
    ("amqp091", &["current-thread", "multi-thread"]),
    ("amqp091-blocking", &["none"]),
    ("lapin", &["current-thread", "multi-thread"]),
    ("amqprs", &["current-thread", "multi-thread"]),
    ("amqp-client", &["current-thread", "multi-thread"]),
    ("librabbitmq", &["none"]),
];

const SMALL_OUT: Kind = Kind::Publish { large: false };
const SMALL_IN: Kind = Kind::Consume { large: false };

const WORKS: &[(&str, &str, Kind, [Option<f64>; 2])] = &[
    ("publish-16", "publish 16 B, unconfirmed", SMALL_OUT, [Some(0.15), Some(0.3)]),
    ("confirm-16", "publish 16 B, window of 1000 confirms", SMALL_OUT, [Some(0.25), Some(0.5)]),
    ("consume-16", "consume 16 B, no ack", SMALL_IN, [Some(0.25), Some(0.4)]),
    ("ack-16", "consume 16 B, ack each", SMALL_IN, [Some(0.5), Some(0.8)]),
    ("multiple-16", "consume 16 B, one multiple ack per 100", SMALL_IN, [Some(0.3), Some(0.45)]),
    (
        "publish-64k",
        "publish 64 KiB, unconfirmed",
        Kind::Publish { large: true },
        [Some(30.0), None],
    ),
    ("consume-64k", "consume 64 KiB, no ack", Kind::Consume { large: true }, [Some(9.0), None]),
    ("open", "open a connection, to the first confirm", Kind::Open, [Some(350.0), None]),
    ("connections", "an idle connection", Kind::Memory, [Some(20.0 * 1024.0), None]),
    ("channels", "an idle channel", Kind::Memory, [Some(1024.0), None]),
];

impl Plan {
    /// What can be measured with the programs that are there.
    pub(crate) fn new(target: Target, programs: &Path, only: &[String], works: &[String]) -> Self {
        let wanted = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|wanted| wanted == name)
        };
        let contenders = CONTENDERS
            .iter()
            .filter(|(name, _)| wanted(only, name) && programs.join(name).exists())
            .flat_map(|&(name, runtimes)| {
                runtimes.iter().map(move |&runtime| Contender {
                    name,
                    runtime,
                    program: programs.join(name),
                    label: match runtime {
                        "none" => name.to_owned(),
                        "current-thread" => format!("{name} (ct)"),
                        _ => format!("{name} (mt)"),
                    },
                })
            })
            .collect();
        let works = WORKS
            .iter()
            .filter(|(name, _, kind, _)| {
                wanted(works, name) && (target == Target::NullServer || *kind != Kind::Memory)
            })
            .map(|&(name, label, kind, budget)| Work { name, label, kind, budget })
            .collect();
        let idle = if target == Target::NullServer { &[0, 1000][..] } else { &[0] };
        Self { target, contenders, works, idle }
    }
}
