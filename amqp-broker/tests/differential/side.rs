//! One of the two brokers that a program runs on: its connections, and what they told in each step.

#[path = "looks.rs"]
mod looks;

use std::collections::{BTreeMap, HashMap};

use amqp091::content::Content;
use amqp091::protocol::{ToClient, ToServer, basic, channel, connection, exchange, queue};
use amqp091::types::{FieldTable, Value};

use crate::peer::{Came, Peer, properties_of, short};
use crate::program::{Action, Arguments, CHANNELS, Name, With};

/// The channel of each connection that looks at queues.
const LOOKING: u16 = 9;

/// What came on one channel in a step, in the order of what it is rather than of when: replies, returns,
/// deliveries by queue, cancellations, closes. Confirms are counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) replies: Vec<String>,
    pub(crate) returns: Vec<String>,
    pub(crate) deliveries: BTreeMap<String, Vec<String>>,
    pub(crate) cancels: Vec<String>,
    pub(crate) confirmed: Vec<(u64, bool)>,
    pub(crate) closes: Vec<String>,
}

/// A client's channel.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) is_open: bool,
    pub(crate) told: Told,
    /// Whether what was asked for at last has been answered, if anything was.
    pub(crate) awaits: bool,
    awaits_flow: bool,
    /// Delivery tags, in the order in which they came, with the queue they came from.
    arrived: Vec<(String, u64)>,
    /// All deliveries that are held, by the order that both sides have.
    pub(crate) held: Vec<u64>,
    pub(crate) settled: Vec<u64>,
    confirms: Vec<u64>,
    published: Option<u64>,
    consumed: HashMap<String, String>,
    /// The queue of the consume or get that is under way.
    asked_of: String,
}

pub(crate) struct Side {
    address: String,
    prefix: String,
    peers: Vec<Peer>,
    pub(crate) lines: Vec<Line>,
    looks: [bool; 2],
    /// What the server named, and what it is called here.
    made: Vec<(String, String)>,
    /// Queues that may be there, and through which connection to look at them.
    pub(crate) queues: BTreeMap<String, usize>,
    looked: Vec<String>,
    looks_left: usize,
}

fn connection_of(channel: usize) -> usize {
    channel / (CHANNELS / 2)
}

fn number_of(channel: usize) -> u16 {
    (channel % (CHANNELS / 2)) as u16 + 1
}

impl Side {
    pub(crate) fn new(address: &str, prefix: &str) -> Self {
        let peers = [true, false].iter().map(|capable| Peer::connect(address, *capable)).collect();
        Self {
            address: address.to_owned(),
            prefix: prefix.to_owned(),
            peers,
            lines: (0..CHANNELS).map(|_| Line::default()).collect(),
            looks: [false; 2],
            made: Vec::new(),
            queues: BTreeMap::new(),
            looked: Vec::new(),
            looks_left: 0,
        }
    }

    /// Sees to it that a channel is open.
    pub(crate) fn open(&mut self, at: usize) {
        let connection = connection_of(at);
        self.connect(connection);
        if !self.lines[at].is_open {
            self.peers[connection].open_channel(number_of(at));
            self.lines[at] = Line { is_open: true, ..Line::default() };
        }
    }

    fn connect(&mut self, connection: usize) {
        if self.peers[connection].is_open() {
            return;
        }
        self.peers[connection] = Peer::connect(&self.address, connection == 0);
        self.lost(connection);
    }

    fn lost(&mut self, connection: usize) {
        self.looks[connection] = false;
        for at in 0..CHANNELS {
            if connection_of(at) == connection {
                self.lines[at].is_open = false;
                self.lines[at].awaits = false;
                self.lines[at].awaits_flow = false;
            }
        }
    }

    /// What a name of a program is here.
    fn name(&self, name: &str) -> String {
        if let Some((made, _)) = self.made.iter().find(|(_, called)| called == name) {
            return made.clone();
        }
        match name.as_bytes() {
            [b'q' | b'x', b'0'..=b'9', ..] | b"missing" | b"gen0" | b"reply0" => {
                format!("{}{name}", self.prefix)
            }
            _ => name.to_owned(),
        }
    }

    /// What something of this side is in a program.
    fn called(&mut self, text: &str) -> String {
        for (beginning, called) in
            [("amq.gen-", "gen"), ("amq.ctag-", "ctag"), ("amq.rabbitmq.reply-to.", "reply")]
        {
            let mut from = 0;
            while let Some(at) = text[from..].find(beginning) {
                let at = from + at;
                let is_end = |c: char| !(c.is_ascii_alphanumeric() || "-_.=+/".contains(c));
                let end = text[at..].find(is_end).map_or(text.len(), |end| at + end);
                let name = &text[at..end];
                let is_new = !self.made.iter().any(|(made, _)| made == name);
                if is_new && name.len() > beginning.len() + 8 {
                    let count = self.made.iter().filter(|(_, it)| it.starts_with(called)).count();
                    self.made.push((name.to_owned(), format!("{called}{count}")));
                }
                from = end;
            }
        }
        let mut text = text.replace(&self.prefix, "");
        for (made, called) in &self.made {
            text = text.replace(made, called);
        }
        text
    }

    fn table(&self, arguments: &Arguments) -> FieldTable {
        arguments.iter().fold(FieldTable::new(), |table, (key, value)| {
            table.with(short(key), self.value(value))
        })
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::LongStr(text) => match std::str::from_utf8(text.as_ref()) {
                Ok(text) => Value::from(self.name(text).as_str()),
                Err(_) => value.clone(),
            },
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.value(value)).collect())
            }
            other => other.clone(),
        }
    }

    fn properties(&self, with: &With) -> basic::Properties {
        basic::Properties {
            expiration: with.expiration.map(short),
            priority: with.priority,
            delivery_mode: with.delivery_mode,
            user_id: with.user_id.map(short),
            reply_to: with.reply_to.map(|name| short(self.name(name))),
            headers: with.headers.as_ref().map(|headers| self.table(headers)),
            ..basic::Properties::default()
        }
    }

    /// Does what a step says; `tag` is the delivery's, where it is about one.
    pub(crate) fn act(&mut self, at: usize, number: usize, action: &Action, tag: u64) {
        let (connection, channel) = (connection_of(at), number_of(at));
        self.lines[at].asked_of = match action {
            Action::Consume { queue, .. } | Action::Get { queue, .. } => (*queue).to_owned(),
            _ => String::new(),
        };
        let method = match action {
            Action::DropConnection => {
                self.peers[connection].drop_now();
                self.lost(connection);
                return;
            }
            Action::Publish { exchange, key, mandatory, with, size } => {
                let method = basic::Publish {
                    exchange: short(self.name(exchange)),
                    routing_key: short(self.name(key)),
                    mandatory: *mandatory,
                    ..basic::Publish::default()
                };
                let mut body = format!("m{number}").into_bytes();
                body.resize((*size).max(body.len()), b'.');
                let properties = self.properties(with);
                let line = &mut self.lines[at];
                if let Some(published) = &mut line.published {
                    *published += 1;
                    line.confirms.push(*published);
                }
                self.peers[connection].publish(channel, &method, &properties, &body);
                return self.ask_flow(at);
            }
            _ => self.method(action, tag),
        };
        let is_unanswered = matches!(
            method,
            ToServer::BasicAck(_)
                | ToServer::BasicNack(_)
                | ToServer::BasicReject(_)
                | ToServer::BasicRecoverAsync(_)
        );
        self.peers[connection].send_any(
            if matches!(method, ToServer::ConnectionClose(_)) { 0 } else { channel },
            &method,
        );
        if is_unanswered {
            self.ask_flow(at);
        } else {
            self.lines[at].awaits = true;
        }
    }

    /// An answer to this shows that what was said before has been seen.
    pub(crate) fn ask_flow(&mut self, at: usize) {
        if self.lines[at].is_open {
            self.lines[at].awaits_flow = true;
            self.peers[connection_of(at)].send(number_of(at), &channel::Flow { active: true });
        }
    }

    fn method(&self, action: &Action, delivery_tag: u64) -> ToServer {
        let name = |name: &Name| short(self.name(name));
        match action {
            Action::DeclareQueue { queue, flags, arguments } => queue::Declare {
                queue: name(queue),
                passive: flags.passive,
                durable: flags.durable,
                exclusive: flags.exclusive,
                auto_delete: flags.auto_delete,
                arguments: self.table(arguments),
                ..queue::Declare::default()
            }
            .into(),
            Action::DeleteQueue { queue, if_unused, if_empty } => queue::Delete {
                queue: name(queue),
                if_unused: *if_unused,
                if_empty: *if_empty,
                ..queue::Delete::default()
            }
            .into(),
            Action::Purge(queue) => {
                queue::Purge { queue: name(queue), ..queue::Purge::default() }.into()
            }
            Action::Bind { queue, exchange, key, arguments } => queue::Bind {
                queue: name(queue),
                exchange: name(exchange),
                routing_key: name(key),
                arguments: self.table(arguments),
                ..queue::Bind::default()
            }
            .into(),
            Action::Unbind { queue, exchange, key, arguments } => queue::Unbind {
                queue: name(queue),
                exchange: name(exchange),
                routing_key: name(key),
                arguments: self.table(arguments),
            }
            .into(),
            Action::DeclareExchange { exchange, kind, flags, arguments } => exchange::Declare {
                exchange: name(exchange),
                r#type: short(kind),
                passive: flags.passive,
                durable: flags.durable,
                auto_delete: flags.auto_delete,
                internal: flags.internal,
                arguments: self.table(arguments),
                ..exchange::Declare::default()
            }
            .into(),
            Action::DeleteExchange { exchange, if_unused } => exchange::Delete {
                exchange: name(exchange),
                if_unused: *if_unused,
                ..exchange::Delete::default()
            }
            .into(),
            Action::BindExchange { destination, source, key, arguments } => exchange::Bind {
                destination: name(destination),
                source: name(source),
                routing_key: name(key),
                arguments: self.table(arguments),
                ..exchange::Bind::default()
            }
            .into(),
            Action::UnbindExchange { destination, source, key, arguments } => exchange::Unbind {
                destination: name(destination),
                source: name(source),
                routing_key: name(key),
                arguments: self.table(arguments),
                ..exchange::Unbind::default()
            }
            .into(),
            Action::ConfirmSelect => amqp091::protocol::confirm::Select::default().into(),
            Action::TxSelect => amqp091::protocol::tx::Select {}.into(),
            Action::TxCommit => amqp091::protocol::tx::Commit {}.into(),
            Action::TxRollback => amqp091::protocol::tx::Rollback {}.into(),
            Action::Get { queue, no_ack } => {
                basic::Get { queue: name(queue), no_ack: *no_ack }.into()
            }
            Action::Consume { queue, tag, no_ack, exclusive, arguments } => basic::Consume {
                queue: name(queue),
                consumer_tag: short(tag),
                no_ack: *no_ack,
                exclusive: *exclusive,
                arguments: self.table(arguments),
                ..basic::Consume::default()
            }
            .into(),
            Action::Cancel(tag) => basic::Cancel { consumer_tag: name(tag), no_wait: false }.into(),
            Action::Qos { count, global } => {
                basic::Qos { prefetch_size: 0, prefetch_count: *count, global: *global }.into()
            }
            Action::Ack { multiple, .. } => basic::Ack { delivery_tag, multiple: *multiple }.into(),
            Action::Nack { multiple, requeue, .. } => {
                basic::Nack { delivery_tag, multiple: *multiple, requeue: *requeue }.into()
            }
            Action::Reject { requeue, .. } => {
                basic::Reject { delivery_tag, requeue: *requeue }.into()
            }
            Action::Recover { requeue } => basic::Recover { requeue: *requeue }.into(),
            Action::RecoverAsync { requeue } => basic::RecoverAsync { requeue: *requeue }.into(),
            Action::Flow(active) => channel::Flow { active: *active }.into(),
            Action::CloseChannel => channel::Close::default().into(),
            Action::CloseConnection => connection::Close::default().into(),
            Action::Publish { .. } | Action::DropConnection => unreachable!("done already"),
        }
    }

    /// Whether everything that was asked for has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.looks_left == 0 && self.lines.iter().all(|line| !line.awaits && !line.awaits_flow)
    }

    /// Takes what has come; whether anything has.
    pub(crate) fn poll(&mut self) -> bool {
        let mut any = false;
        for connection in 0..self.peers.len() {
            while let Some(came) = self.peers[connection].poll() {
                any = true;
                match came {
                    Came::Method(0, method) => self.take_connection(connection, method),
                    Came::Method(LOOKING, method) => self.take_look(connection, method),
                    Came::Method(number, method) => {
                        self.take(connection * CHANNELS / 2 + usize::from(number) - 1, method);
                    }
                    Came::Content(number, method, content) => {
                        let at = connection * CHANNELS / 2 + usize::from(number) - 1;
                        self.take_content(at, method, &content);
                    }
                    Came::Eof => {
                        self.lost(connection);
                        self.looks_left = 0;
                        self.lines[connection * CHANNELS / 2].told.closes.push("eof".to_owned());
                    }
                }
            }
        }
        any
    }

    fn take_connection(&mut self, connection: usize, method: ToClient) {
        let at = connection * CHANNELS / 2;
        match method {
            ToClient::ConnectionClose(close) => {
                let text = format!(
                    "connection closed: {} {} by {}.{}",
                    close.reply_code.0, close.reply_text, close.class_id, close.method_id
                );
                let text = self.called(&text);
                self.lines[at].told.closes.push(text);
                self.peers[connection].send(0, &connection::CloseOk {});
                self.peers[connection].drop_now();
                self.lost(connection);
                self.looks_left = 0;
            }
            ToClient::ConnectionCloseOk(_) => {
                self.peers[connection].drop_now();
                self.lost(connection);
                self.lines[at].told.replies.push("connection.close-ok".to_owned());
            }
            other => self.lines[at].told.replies.push(format!("{other:?}")),
        }
    }

    fn take(&mut self, at: usize, method: ToClient) {
        match method {
            ToClient::ChannelFlowOk(flow) if self.lines[at].awaits_flow => {
                assert!(flow.active);
                self.lines[at].awaits_flow = false;
            }
            ToClient::ChannelClose(close) => {
                let text = format!(
                    "channel closed: {} {} by {}.{}",
                    close.reply_code.0, close.reply_text, close.class_id, close.method_id
                );
                let text = self.called(&text);
                self.peers[connection_of(at)].send(number_of(at), &channel::CloseOk {});
                let line = &mut self.lines[at];
                line.told.closes.push(text);
                (line.is_open, line.awaits, line.awaits_flow) = (false, false, false);
            }
            ToClient::BasicAck(ack) => self.confirmed(at, ack.delivery_tag, ack.multiple, true),
            ToClient::BasicNack(ack) => self.confirmed(at, ack.delivery_tag, ack.multiple, false),
            ToClient::BasicCancel(cancel) => {
                let text = self.called(&format!("{cancel:?}"));
                self.lines[at].told.cancels.push(text);
                self.lines[at].told.cancels.sort();
            }
            reply => {
                let text = self.called(&format!("{reply:?}"));
                let line = &mut self.lines[at];
                match &reply {
                    ToClient::BasicConsumeOk(ok) => {
                        let queue = line.asked_of.clone();
                        line.consumed.insert(ok.consumer_tag.to_string(), queue);
                    }
                    ToClient::ConfirmSelectOk(_) => {
                        line.published.get_or_insert(0);
                    }
                    ToClient::ChannelCloseOk(_) => line.is_open = false,
                    _ => {}
                }
                line.awaits = false;
                line.told.replies.push(text);
                if let ToClient::QueueDeclareOk(declared) = reply {
                    self.queues.insert(declared.queue.to_string(), connection_of(at));
                }
            }
        }
    }

    fn confirmed(&mut self, at: usize, tag: u64, multiple: bool, taken: bool) {
        let line = &mut self.lines[at];
        let mut known = false;
        line.confirms.retain(|&waiting| {
            let is_meant = waiting == tag || (multiple && waiting <= tag);
            if is_meant {
                known = true;
                line.told.confirmed.push((waiting, taken));
            }
            !is_meant
        });
        if !known {
            line.told.replies.push(format!("a confirm of {tag}, which is not due"));
        }
        line.told.confirmed.sort_unstable();
    }

    fn take_content(&mut self, at: usize, method: ToClient, content: &Content) {
        let mut properties = properties_of(content);
        if let Some(headers) = &mut properties.headers {
            *headers = without_times(headers);
        }
        let shown = format!(
            "{} {}",
            String::from_utf8_lossy(&content.body),
            format!("{properties:?}").trim_start_matches("Properties ")
        );
        let head = match &method {
            ToClient::BasicDeliver(deliver) => format!(
                "{} redelivered {} from {:?} {:?}",
                deliver.consumer_tag, deliver.redelivered, deliver.exchange, deliver.routing_key
            ),
            ToClient::BasicGetOk(got) => format!(
                "got redelivered {} from {:?} {:?}, {} more",
                got.redelivered, got.exchange, got.routing_key, got.message_count
            ),
            other => format!("{other:?}"),
        };
        let text = self.called(&format!("{head}: {shown}"));
        let line = &mut self.lines[at];
        match method {
            ToClient::BasicDeliver(deliver) => {
                let queue = line.consumed.get(&*deliver.consumer_tag.to_string());
                let queue = queue.unwrap_or(&line.asked_of).clone();
                line.told.deliveries.entry(queue.clone()).or_default().push(text);
                line.arrived.push((queue, deliver.delivery_tag));
            }
            ToClient::BasicGetOk(got) => {
                line.told.replies.push(text);
                line.awaits = false;
                line.arrived.push((line.asked_of.clone(), got.delivery_tag));
            }
            _ => {
                if !line.told.confirmed.is_empty() {
                    line.told.replies.push("a return behind a confirm".to_owned());
                }
                line.told.returns.push(text);
            }
        }
    }

    /// The step is over; its deliveries are in the order of both sides from then on.
    pub(crate) fn next_step(&mut self) {
        for line in &mut self.lines {
            line.arrived.sort_by(|(one, _), (other, _)| one.cmp(other));
            line.held.extend(line.arrived.drain(..).map(|(_, tag)| tag));
            line.told = Told::default();
        }
    }

    pub(crate) fn told(&self) -> impl Iterator<Item = &Told> {
        self.lines.iter().map(|line| &line.told)
    }

    /// Whether this is not the only channel of its connection.
    pub(crate) fn has_several(&self, at: usize) -> bool {
        let others = (0..CHANNELS).filter(|other| connection_of(*other) == connection_of(at));
        others.filter(|other| self.lines[*other].is_open).any(|other| other != at)
    }

    /// Whether the server closed a connection in this step.
    pub(crate) fn has_lost(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.told.closes.iter().any(|close| close.starts_with("connection closed")))
    }
}

fn without_times(table: &FieldTable) -> FieldTable {
    table
        .iter()
        .fold(FieldTable::new(), |table, (key, value)| table.with(key.clone(), without_time(value)))
}

fn without_time(value: &Value) -> Value {
    match value {
        Value::Timestamp(_) => Value::from("a time"),
        Value::Table(table) => Value::Table(without_times(table)),
        Value::Array(values) => Value::Array(values.iter().map(without_time).collect()),
        other => other.clone(),
    }
}
