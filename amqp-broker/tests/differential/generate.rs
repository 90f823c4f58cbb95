//! Programs by chance.

use amqp091::types::{FieldTable, Value};

use crate::peer::short;
use crate::program::{Action, Arguments, CHANNELS, Flags, Name, Step, Which, With};
use crate::random::Random;

/// What a program is mostly about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Theme {
    /// A bit of everything.
    All,
    /// Declarations, and what is wrong with them.
    Declarations,
    /// Exchanges and bindings.
    Routing,
    /// Consumers and their limits.
    Consumers,
    /// Settling, requeueing, transactions.
    Settling,
    /// What dies, and where it goes.
    Deaths,
    Quorum,
}

const THEMES: [Theme; 12] = [
    Theme::All,
    Theme::All,
    Theme::Declarations,
    Theme::Routing,
    Theme::Routing,
    Theme::Consumers,
    Theme::Consumers,
    Theme::Consumers,
    Theme::Settling,
    Theme::Settling,
    Theme::Deaths,
    Theme::Deaths,
];

const QUEUES: [Name; 4] = ["q0", "q1", "q2", "q3"];
const EXCHANGES: [Name; 4] = ["x0", "x1", "x2", "x3"];
const KEYS: [Name; 12] =
    ["a", "b", "a.b", "a.b.c", "", "*", "#", "a.*", "#.b", "a.#", "*.b.#", "q0"];
const TAGS: [Name; 4] = ["t0", "t1", "t2", "t3"];

pub(crate) fn program(seed: u64, wanted: Option<Theme>) -> (Theme, Vec<Step>) {
    let mut random = Random::new(seed);
    let by_chance = if random.once_in(9) { Theme::Quorum } else { random.one_of(&THEMES) };
    let theme = wanted.unwrap_or(by_chance);
    let mut generator = Generator { random, theme, tx: false };
    let mut steps = Vec::new();
    for queue in &QUEUES[..1 + generator.random.below(3)] {
        let action = generator.good_queue(queue);
        steps.push(Step { channel: 0, action });
    }
    if theme == Theme::Deaths && generator.once_in(2) {
        // From one to the next, round in a circle.
        steps.clear();
        for (queue, next) in [("q0", "q1"), ("q1", "q2"), ("q2", "q0")] {
            let Action::DeclareQueue { flags, mut arguments, .. } = generator.good_queue(queue)
            else {
                unreachable!("it declares one")
            };
            arguments.retain(|(key, _)| !key.starts_with("x-dead-letter"));
            arguments.push(("x-dead-letter-exchange", text("")));
            arguments.push(("x-dead-letter-routing-key", text(next)));
            let action = Action::DeclareQueue { queue, flags, arguments };
            steps.push(Step { channel: 0, action });
        }
    }
    let length = 4 + generator.random.below(36);
    for _ in 0..length {
        // Most on two channels of one connection.
        let channel = if generator.random.once_in(5) {
            generator.random.below(CHANNELS)
        } else {
            generator.random.below(2)
        };
        steps.push(Step { channel, action: generator.action() });
    }
    (theme, steps)
}

struct Generator {
    random: Random,
    theme: Theme,
    tx: bool,
}

fn text(text: &'static str) -> Value {
    Value::from(text)
}

impl Generator {
    fn once_in(&mut self, times: usize) -> bool {
        self.random.once_in(times)
    }

    fn queue(&mut self) -> Name {
        match self.random.below(40) {
            0 => "gen0",
            1 => "",
            2 => "missing",
            3..=20 => "q0",
            21..=30 => "q1",
            _ => self.random.one_of(&QUEUES),
        }
    }

    fn exchange(&mut self) -> Name {
        match self.random.below(24) {
            0 => "",
            1 => "missing",
            2 => "amq.direct",
            3 => "amq.topic",
            4 => "amq.fanout",
            5 => "amq.headers",
            6..=14 => "x0",
            _ => self.random.one_of(&EXCHANGES),
        }
    }

    /// One that nobody else binds anything to.
    fn own_exchange(&mut self) -> Name {
        loop {
            let exchange = self.exchange();
            if !exchange.starts_with("amq.") {
                return exchange;
            }
        }
    }

    fn key(&mut self) -> Name {
        self.random.one_of(&KEYS)
    }

    /// A queue that can be made, with what the theme is about.
    fn good_queue(&mut self, queue: Name) -> Action {
        let mut arguments = Arguments::new();
        let mut flags = Flags::default();
        if self.theme == Theme::Quorum {
            flags.durable = true;
            arguments.push(("x-queue-type", text("quorum")));
            if self.once_in(3) {
                arguments.push(("x-delivery-limit", Value::I32(self.random.below(3) as i32)));
            }
            if self.once_in(5) {
                arguments.push(("x-single-active-consumer", Value::Bool(true)));
            }
            if self.once_in(4) {
                arguments.push(("x-max-length", Value::I32(self.random.below(4) as i32)));
            }
            if self.once_in(2) {
                self.add_dead_letters(&mut arguments);
            }
            return Action::DeclareQueue { queue, flags, arguments };
        }
        flags.durable = self.once_in(4);
        flags.auto_delete = self.once_in(6);
        flags.exclusive = self.once_in(8);
        if self.once_in(4) || self.theme == Theme::Deaths && self.once_in(2) {
            arguments.push(("x-max-length", Value::I32(self.random.below(4) as i32)));
        }
        if self.once_in(10) {
            arguments.push(("x-max-length-bytes", Value::I32(self.random.below(40) as i32)));
        }
        if self.once_in(6) {
            let overflow =
                self.random.one_of(&["drop-head", "reject-publish", "reject-publish-dlx"]);
            arguments.push(("x-overflow", text(overflow)));
        }
        if self.once_in(8) || self.theme == Theme::Deaths && self.once_in(4) {
            let ttl = self.random.one_of(&[0, 0, 600_000]);
            arguments.push(("x-message-ttl", Value::I32(ttl)));
        }
        if self.once_in(7) {
            arguments.push(("x-max-priority", Value::I32(self.random.one_of(&[0, 1, 3, 10]))));
        }
        if self.once_in(8) || self.theme == Theme::Consumers && self.once_in(5) {
            arguments.push(("x-single-active-consumer", Value::Bool(true)));
        }
        if self.once_in(4) || self.theme == Theme::Deaths && !self.once_in(3) {
            self.add_dead_letters(&mut arguments);
        }
        Action::DeclareQueue { queue, flags, arguments }
    }

    fn add_dead_letters(&mut self, arguments: &mut Arguments) {
        let exchange = self.random.one_of(&["", "", "", "x0", "x1", "x2", "missing"]);
        arguments.push(("x-dead-letter-exchange", text(exchange)));
        if !self.once_in(3) {
            let key = self.random.one_of(&["q0", "q1", "q2", "q3", "a", "a.b", ""]);
            arguments.push(("x-dead-letter-routing-key", text(key)));
        }
    }

    fn wrong_value(&mut self) -> Value {
        let choice = [
            Value::I32(-1),
            Value::I32(0),
            Value::I64(1),
            Value::I16(2),
            Value::U8(3),
            Value::I32(300),
            Value::I64(i64::MAX),
            Value::I64(4_294_967_296),
            text("text"),
            text(""),
            text("quorum"),
            text("classic"),
            text("x0"),
            Value::Bool(true),
            Value::Bool(false),
            Value::F64(1.5),
            Value::F32(2.0),
            Value::Void,
            Value::Array(vec![Value::I32(1)]),
            Value::Table(FieldTable::new().with(short("k"), Value::I32(1))),
            Value::Bytes(bytes::Bytes::from_static(b"octets")),
        ];
        self.random.one_of(&choice)
    }

    fn wrong_queue(&mut self, queue: Name) -> Action {
        let names = [
            "x-message-ttl",
            "x-expires",
            "x-max-length",
            "x-max-length-bytes",
            "x-max-priority",
            "x-overflow",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-dead-letter-strategy",
            "x-single-active-consumer",
            "x-queue-type",
            "x-queue-mode",
            "x-queue-version",
            "x-delivery-limit",
            "x-queue-master-locator",
            "x-quorum-initial-group-size",
            "x-max-in-memory-length",
            "x-max-in-memory-bytes",
            "x-max-age",
            "x-queue-leader-locator",
            "x-unknown",
        ];
        let Action::DeclareQueue { mut flags, mut arguments, .. } = self.good_queue(queue) else {
            unreachable!("it declares one")
        };
        for _ in 0..1 + self.random.below(2) {
            let name = self.random.one_of(&names);
            let value = self.wrong_value();
            // A queue that expires does so at some time.
            // What 3.10 makes of a limit that isn't a number is its own affair.
            if name == "x-delivery-limit" && value.as_i64().is_none() {
                continue;
            }
            // RabbitMQ breaks of some.
            if name == "x-queue-master-locator" && !matches!(value, Value::LongStr(_)) {
                continue;
            }
            // Nor does RabbitMQ bear every type of a queue that has no name yet.
            if name == "x-queue-type" && queue.is_empty() {
                continue;
            }
            let is_soon =
                name == "x-expires" && value.as_i64().is_some_and(|ms| ms < 60_000 && ms > 0);
            if !is_soon {
                arguments.retain(|(key, _)| *key != name);
                arguments.push((name, value));
            }
        }
        if self.once_in(4) {
            flags.exclusive = true;
        }
        Action::DeclareQueue { queue, flags, arguments }
    }

    fn declare_queue(&mut self) -> Action {
        let mut queue = self.random.one_of(&QUEUES);
        match self.random.below(24) {
            0 => queue = "",
            1 => queue = "amq.mine",
            2 => queue = "amq.rabbitmq.reply-to",
            3 => queue = "reply0",
            _ => {}
        }
        match self.random.below(6) {
            0 => Action::DeclareQueue {
                queue,
                flags: Flags { passive: true, ..Flags::default() },
                arguments: Arguments::new(),
            },
            1 => Action::DeclareQueue {
                queue,
                flags: Flags { exclusive: self.once_in(2), ..Flags::default() },
                arguments: Arguments::new(),
            },
            2 | 3 if self.theme == Theme::Declarations => self.wrong_queue(queue),
            2 if self.once_in(3) => self.wrong_queue(queue),
            _ => self.good_queue(queue),
        }
    }

    fn declare_exchange(&mut self) -> Action {
        let mut exchange = self.random.one_of(&EXCHANGES);
        if self.once_in(20) {
            exchange = self.random.one_of(&["", "amq.mine", "amq.direct", "amq.topic"]);
        }
        let mut arguments = Arguments::new();
        if self.once_in(3) {
            let alternate = self.random.one_of(&["x0", "x1", "x2", "x3", "missing", ""]);
            arguments.push(("alternate-exchange", text(alternate)));
        }
        if self.once_in(25) {
            arguments = vec![("alternate-exchange", self.wrong_value())];
        }
        let kind = match self.random.below(40) {
            0 => "nope",
            1 => "",
            _ => self.random.one_of(&["direct", "fanout", "topic", "topic", "headers"]),
        };
        let flags = Flags {
            passive: self.once_in(8),
            durable: self.once_in(4),
            auto_delete: self.once_in(4),
            internal: self.once_in(10),
            exclusive: false,
        };
        Action::DeclareExchange { exchange, kind, flags, arguments }
    }

    fn headers(&mut self) -> Arguments {
        let mut headers = Arguments::new();
        for key in ["one", "two", "x-own"] {
            if self.once_in(2) {
                continue;
            }
            let value = self.random.one_of(&[
                Value::I32(1),
                Value::I64(1),
                Value::I8(1),
                text("1"),
                Value::Bool(true),
                Value::Void,
                Value::F64(1.0),
                Value::F32(1.0),
                Value::Timestamp(amqp091::types::Timestamp(1)),
                Value::Bytes(bytes::Bytes::from_static(b"1")),
                Value::Array(vec![Value::I32(1)]),
                Value::Table(FieldTable::new()),
            ]);
            headers.push((key, value));
        }
        headers
    }

    fn binding(&mut self) -> Arguments {
        let mut arguments = if self.once_in(2) { self.headers() } else { Arguments::new() };
        if self.once_in(3) {
            let how = self.random.one_of(&["all", "any", "all-with-x", "any-with-x"]);
            arguments.push(("x-match", text(how)));
        }
        if self.once_in(30) {
            arguments.retain(|(key, _)| *key != "x-match");
            arguments.push(("x-match", self.wrong_value()));
        }
        arguments
    }

    fn with(&mut self) -> With {
        let mut with = With::default();
        if self.once_in(6) || self.theme == Theme::Deaths && self.once_in(4) {
            with.expiration = Some(self.random.one_of(&["0", "0", "600000"]));
        }
        if self.once_in(40) {
            let wrong = [
                "soon",
                "-1",
                "",
                "1.5",
                " 1",
                "1 ",
                "+1",
                "99999999999999",
                "4294967295",
                "0x1",
                "01",
                "-0",
            ];
            with.expiration = Some(self.random.one_of(&wrong));
        }
        if self.once_in(5) {
            with.priority = Some(self.random.one_of(&[0, 1, 2, 5, 200]));
        }
        if self.once_in(4) {
            with.delivery_mode = Some(self.random.one_of(&[1, 2]));
        }
        if self.once_in(60) {
            with.delivery_mode = Some(self.random.one_of(&[0, 3]));
        }
        if self.once_in(30) {
            with.user_id = Some(self.random.one_of(&["guest", "other", ""]));
        }
        if self.once_in(25) {
            with.reply_to = Some(self.random.one_of(&[
                "amq.rabbitmq.reply-to",
                "amq.rabbitmq.reply-to.forged",
                "q0",
                "amq.rabbitmq.reply-to",
            ]));
        }
        if self.once_in(3) {
            with.headers = Some(self.headers());
        }
        if self.once_in(8) {
            let headers = with.headers.get_or_insert_default();
            let name = self.random.one_of(&["CC", "BCC"]);
            let mut keys = Vec::new();
            for _ in 0..self.random.below(3) {
                let key = self.random.one_of(&["q0", "q1", "q2", "a", "a.b"]);
                keys.push(text(key));
            }
            if self.once_in(8) {
                keys.push(self.wrong_value());
            }
            let value = if self.once_in(12) { self.wrong_value() } else { Value::Array(keys) };
            headers.push((name, value));
        }
        if self.once_in(40) {
            let headers = with.headers.get_or_insert_default();
            let name = self.random.one_of(&[
                "x-death",
                "x-first-death-queue",
                "x-first-death-reason",
                "x-delivery-count",
                "x-match",
            ]);
            let value = self.wrong_value();
            headers.push((name, value));
        }
        with
    }

    fn publish(&mut self) -> Action {
        let (exchange, key) = match self.random.below(10) {
            0..=5 => ("", self.queue()),
            6 if self.once_in(4) => ("", "reply0"),
            _ => (self.exchange(), self.key()),
        };
        Action::Publish {
            exchange,
            key,
            mandatory: self.once_in(3),
            with: self.with(),
            size: self.random.one_of(&[0, 0, 0, 0, 5, 20]),
        }
    }

    fn which(&mut self) -> Which {
        match self.random.below(40) {
            0 => Which::Settled(self.random.below(4)),
            1 => Which::Tag(self.random.one_of(&[0, 7, 1 << 40])),
            2..=20 => Which::Held(0),
            _ => Which::Held(self.random.below(6)),
        }
    }

    fn settle(&mut self) -> Action {
        let which = self.which();
        let multiple = self.once_in(3);
        match self.random.below(10) {
            0..=3 => Action::Ack { which, multiple },
            4..=6 => Action::Nack { which, multiple, requeue: !self.once_in(3) },
            7..=8 => Action::Reject { which, requeue: self.once_in(2) },
            _ if self.once_in(3) => Action::RecoverAsync { requeue: !self.once_in(20) },
            _ => Action::Recover { requeue: !self.once_in(20) },
        }
    }

    fn consume(&mut self) -> Action {
        let mut arguments = Arguments::new();
        if self.once_in(4) {
            let priority = self.random.one_of(&[-1, 0, 1, 10]);
            arguments.push(("x-priority", Value::I32(priority)));
        }
        if self.once_in(40) {
            arguments = vec![("x-priority", self.wrong_value())];
        }
        let queue = if self.once_in(25) { "amq.rabbitmq.reply-to" } else { self.queue() };
        Action::Consume {
            queue,
            tag: if self.once_in(8) { "" } else { self.random.one_of(&TAGS) },
            no_ack: if queue.starts_with("amq.") { !self.once_in(8) } else { self.once_in(4) },
            exclusive: self.once_in(12),
            arguments,
        }
    }

    fn consuming(&mut self) -> Action {
        match self.random.below(8) {
            0 => Action::Cancel(self.random.one_of(&TAGS)),
            1 => {
                Action::Qos { count: self.random.one_of(&[0, 1, 1, 2, 3]), global: self.once_in(3) }
            }
            2 => Action::Qos { count: self.random.one_of(&[0, 1, 1, 2, 3]), global: false },
            _ => self.consume(),
        }
    }

    fn routing(&mut self) -> Action {
        let (queue, exchange, key) = (self.queue(), self.own_exchange(), self.key());
        let arguments = self.binding();
        match self.random.below(16) {
            0..=5 => Action::Bind { queue, exchange, key, arguments },
            6 => Action::Unbind { queue, exchange, key, arguments },
            7..=9 => {
                let destination = self.own_exchange();
                Action::BindExchange { destination, source: exchange, key, arguments }
            }
            10 => {
                let destination = self.own_exchange();
                Action::UnbindExchange { destination, source: exchange, key, arguments }
            }
            11 => {
                let exchange = self.exchange();
                Action::DeleteExchange { exchange, if_unused: self.once_in(2) }
            }
            _ => self.declare_exchange(),
        }
    }

    fn get(&mut self) -> Action {
        Action::Get { queue: self.queue(), no_ack: self.once_in(3) }
    }

    fn ending(&mut self) -> Action {
        match self.random.below(12) {
            0..=2 => Action::Purge(self.queue()),
            3..=6 => Action::DeleteQueue {
                queue: self.queue(),
                if_unused: self.once_in(3),
                if_empty: self.once_in(3),
            },
            7..=9 => Action::CloseChannel,
            10 => Action::CloseConnection,
            _ => Action::DropConnection,
        }
    }

    fn mode(&mut self) -> Action {
        match self.random.below(12) {
            0..=5 => Action::ConfirmSelect,
            6..=7 => {
                self.tx = true;
                Action::TxSelect
            }
            8..=9 => Action::TxCommit,
            10 => Action::TxRollback,
            _ => Action::Flow(!self.once_in(5)),
        }
    }

    fn action(&mut self) -> Action {
        if self.tx && self.once_in(6) {
            return if self.once_in(3) { Action::TxRollback } else { Action::TxCommit };
        }
        // Publish, get, consume, settle, route, declare, end, mode.
        let weights: [usize; 8] = match self.theme {
            Theme::All | Theme::Quorum => [30, 8, 12, 20, 6, 5, 4, 4],
            Theme::Declarations => [6, 2, 3, 2, 6, 50, 6, 1],
            Theme::Routing => [40, 3, 2, 2, 40, 4, 3, 2],
            Theme::Consumers => [35, 3, 25, 25, 2, 3, 4, 1],
            Theme::Settling => [30, 15, 8, 35, 1, 2, 4, 8],
            Theme::Deaths => [40, 10, 8, 25, 5, 6, 3, 2],
        };
        let mut left = self.random.below(weights.iter().sum());
        let mut kind = 0;
        while left >= weights[kind] {
            left -= weights[kind];
            kind += 1;
        }
        match kind {
            0 => self.publish(),
            1 => self.get(),
            2 => self.consuming(),
            3 => self.settle(),
            4 => self.routing(),
            5 => self.declare_queue(),
            6 => self.ending(),
            _ => self.mode(),
        }
    }
}
