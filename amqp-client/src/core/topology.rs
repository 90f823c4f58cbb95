//! What the program has declared on the server, kept as data, so that it can be declared again: exchanges,
//! queues and bindings of the connection, whichever channel declared them.
//!
//! Something is recorded when the server has agreed to it; without a reply (`no_wait`), when it is sent,
//! behind what the channel has sent before. Passive declarations record nothing. It is forgotten when it
//! is deleted or unbound by this connection; deleting a queue or an exchange takes its bindings along.
//!
//! What the server deletes by itself is known as far as this connection can know it: an auto-delete
//! queue is forgotten with its last consumer here, an auto-delete exchange with its last binding here
//! from it. If others still use one, it lives on and is declared by them. What expires, or what others
//! delete, stays recorded.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use amqp091::protocol::{ToClient, exchange, queue};
use amqp091::types::{FieldTable, ShortStr};

/// A queue as a method names it: an empty name there stands for the last queue that its channel has
/// declared, whose name may still be on its way from the server.
#[derive(Clone, Debug)]
pub(crate) enum QueueName {
    Given(ShortStr),
    /// The server makes it up; it never comes if the queue was declared without a reply.
    Made(Arc<OnceLock<ShortStr>>),
}

impl QueueName {
    /// The name, once it is known.
    pub(crate) fn get(&self) -> Option<&ShortStr> {
        match self {
            Self::Given(name) => Some(name),
            Self::Made(name) => name.get(),
        }
    }
}

/// Whether a binding leads to a queue or to another exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Queue,
    Exchange,
}

/// A binding, whose destination stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Binding {
    pub(crate) source: ShortStr,
    pub(crate) routing_key: ShortStr,
    /// Whether the routing key is the queue's name: RabbitMQ's reading of a method without either.
    pub(crate) keyed_by_queue: bool,
    pub(crate) arguments: FieldTable,
}

/// What a method changes once the server has agreed to it.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Exchange(exchange::Declare),
    NoExchange(ShortStr),
    Queue(QueueName, queue::Declare),
    NoQueue(QueueName),
    Bind(Kind, QueueName, Binding),
    Unbind(Kind, QueueName, Binding),
}

impl Change {
    /// What `method` changes, on a channel whose last declared queue is `last`; that is updated.
    pub(crate) fn of(method: &dyn Any, last: &mut Option<QueueName>) -> Option<Self> {
        let named = |name: &ShortStr, last: &Option<QueueName>| {
            if name.is_empty() { last.clone() } else { Some(QueueName::Given(name.clone())) }
        };
        if let Some(declare) = method.downcast_ref::<queue::Declare>() {
            let name = if declare.queue.is_empty() {
                QueueName::Made(Arc::default())
            } else {
                QueueName::Given(declare.queue.clone())
            };
            *last = Some(name.clone());
            return Some(Self::Queue(name, declare.clone()));
        }
        if let Some(bind) = method.downcast_ref::<queue::Bind>() {
            let binding = Binding {
                source: bind.exchange.clone(),
                routing_key: bind.routing_key.clone(),
                keyed_by_queue: bind.queue.is_empty() && bind.routing_key.is_empty(),
                arguments: bind.arguments.clone(),
            };
            return Some(Self::Bind(Kind::Queue, named(&bind.queue, last)?, binding));
        }
        if let Some(unbind) = method.downcast_ref::<queue::Unbind>() {
            let binding = Binding {
                source: unbind.exchange.clone(),
                routing_key: unbind.routing_key.clone(),
                keyed_by_queue: unbind.queue.is_empty() && unbind.routing_key.is_empty(),
                arguments: unbind.arguments.clone(),
            };
            return Some(Self::Unbind(Kind::Queue, named(&unbind.queue, last)?, binding));
        }
        if let Some(delete) = method.downcast_ref::<queue::Delete>() {
            return Some(Self::NoQueue(named(&delete.queue, last)?));
        }
        if let Some(declare) = method.downcast_ref::<exchange::Declare>() {
            return (!declare.passive).then(|| Self::Exchange(declare.clone()));
        }
        if let Some(delete) = method.downcast_ref::<exchange::Delete>() {
            return Some(Self::NoExchange(delete.exchange.clone()));
        }
        if let Some(bind) = method.downcast_ref::<exchange::Bind>() {
            let binding = Binding {
                source: bind.source.clone(),
                routing_key: bind.routing_key.clone(),
                keyed_by_queue: false,
                arguments: bind.arguments.clone(),
            };
            let destination = QueueName::Given(bind.destination.clone());
            return Some(Self::Bind(Kind::Exchange, destination, binding));
        }
        let unbind = method.downcast_ref::<exchange::Unbind>()?;
        let binding = Binding {
            source: unbind.source.clone(),
            routing_key: unbind.routing_key.clone(),
            keyed_by_queue: false,
            arguments: unbind.arguments.clone(),
        };
        let destination = QueueName::Given(unbind.destination.clone());
        Some(Self::Unbind(Kind::Exchange, destination, binding))
    }
}

/// A queue that was declared.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// As it was declared, with the name that it has.
    pub(crate) declare: queue::Declare,
    /// Whether the server made the name up: another queue will have another one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for recovery"))]
    pub(crate) server_named: bool,
    /// Consumers of this connection.
    consumers: u32,
}

/// A record, and when it was made: things are declared again in the order of their first declaration.
#[derive(Debug)]
struct Recorded<T> {
    order: u64,
    record: T,
}

/// Bindings to one destination, by source and routing key.
type Bindings = HashMap<(ShortStr, ShortStr), Vec<Recorded<FieldTable>>>;

/// All that is recorded.
#[derive(Debug)]
pub(crate) struct Topology {
    recording: bool,
    order: u64,
    exchanges: HashMap<ShortStr, Recorded<exchange::Declare>>,
    queues: HashMap<ShortStr, Recorded<Queue>>,
    bindings: HashMap<(Kind, ShortStr), Bindings>,
    /// How many bindings lead from an exchange.
    sources: HashMap<ShortStr, u32>,
}

impl Topology {
    pub(crate) fn new(recording: bool) -> Self {
        Self {
            recording,
            order: 0,
            exchanges: HashMap::new(),
            queues: HashMap::new(),
            bindings: HashMap::new(),
            sources: HashMap::new(),
        }
    }

    /// Takes note of a change that the server has agreed to. Returns a queue that is deleted and was
    /// consumed here.
    pub(crate) fn apply(&mut self, change: Change, reply: Option<&ToClient>) -> Option<ShortStr> {
        if let (Change::Queue(QueueName::Made(name), _), Some(ToClient::QueueDeclareOk(ok))) =
            (&change, reply)
        {
            // Bindings and consumers of "the last queue" wait for it, recorded or not.
            let _ = name.set(ok.queue.clone());
        }
        if !self.recording {
            return None;
        }
        self.order += 1;
        let order = self.order;
        match change {
            Change::Exchange(declare) => match self.exchanges.entry(declare.exchange.clone()) {
                Entry::Occupied(mut entry) => entry.get_mut().record = declare,
                Entry::Vacant(entry) => {
                    entry.insert(Recorded { order, record: declare });
                }
            },
            Change::NoExchange(name) => self.forget_exchange(&name),
            Change::Queue(_, declare) if declare.passive => {}
            Change::Queue(name, mut declare) => {
                declare.queue = name.get()?.clone();
                match self.queues.entry(declare.queue.clone()) {
                    Entry::Occupied(mut entry) => entry.get_mut().record.declare = declare,
                    Entry::Vacant(entry) => {
                        let server_named = matches!(name, QueueName::Made(_));
                        let record = Queue { declare, server_named, consumers: 0 };
                        entry.insert(Recorded { order, record });
                    }
                }
            }
            Change::NoQueue(name) => {
                let name = name.get()?.clone();
                let queue = self.forget_queue(&name)?;
                return (queue.consumers > 0).then_some(name);
            }
            Change::Bind(kind, destination, binding) => {
                let (destination, binding) = resolve(&destination, binding)?;
                let known = self.bindings.entry((kind, destination)).or_default();
                let alike = known.entry((binding.source.clone(), binding.routing_key)).or_default();
                if !alike.iter().any(|known| known.record == binding.arguments) {
                    alike.push(Recorded { order, record: binding.arguments });
                    *self.sources.entry(binding.source).or_default() += 1;
                }
            }
            Change::Unbind(kind, destination, binding) => {
                let (destination, binding) = resolve(&destination, binding)?;
                let destination = (kind, destination);
                let known = self.bindings.get_mut(&destination)?;
                let place = (binding.source, binding.routing_key);
                let alike = known.get_mut(&place)?;
                let index = alike.iter().position(|known| known.record == binding.arguments)?;
                alike.swap_remove(index);
                if alike.is_empty() {
                    known.remove(&place);
                }
                if known.is_empty() {
                    self.bindings.remove(&destination);
                }
                self.unbound(vec![(place.0, 1)]);
            }
        }
        None
    }

    /// A consumer of the queue has started.
    pub(crate) fn consumed(&mut self, queue: &ShortStr) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.record.consumers += 1;
        }
    }

    /// A consumer of the queue is gone: an auto-delete queue is, with its last.
    pub(crate) fn unconsumed(&mut self, queue: &ShortStr) {
        let Some(Recorded { record, .. }) = self.queues.get_mut(queue) else { return };
        record.consumers = record.consumers.saturating_sub(1);
        if record.declare.auto_delete && record.consumers == 0 {
            self.forget_queue(queue);
        }
    }

    fn forget_queue(&mut self, name: &ShortStr) -> Option<Queue> {
        let queue = self.queues.remove(name).map(|queue| queue.record);
        self.forget_bindings_to(Kind::Queue, name);
        queue
    }

    fn forget_bindings_to(&mut self, kind: Kind, name: &ShortStr) {
        let bindings = self.bindings.remove(&(kind, name.clone())).unwrap_or_default();
        let sources = bindings.into_iter().map(|((source, _), alike)| (source, alike.len()));
        self.unbound(sources.collect());
    }

    /// So many bindings from these exchanges are gone: an auto-delete exchange is, with its last; that
    /// may end others in turn.
    fn unbound(&mut self, mut gone: Vec<(ShortStr, usize)>) {
        while let Some((source, count)) = gone.pop() {
            let Entry::Occupied(mut entry) = self.sources.entry(source) else { continue };
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            *entry.get_mut() = entry.get().saturating_sub(count);
            if *entry.get() > 0 {
                continue;
            }
            let (source, _) = entry.remove_entry();
            let is_gone = |exchange: &Recorded<exchange::Declare>| exchange.record.auto_delete;
            if self.exchanges.get(&source).is_some_and(is_gone) {
                self.exchanges.remove(&source);
                let bindings = self.bindings.remove(&(Kind::Exchange, source)).unwrap_or_default();
                gone.extend(bindings.into_iter().map(|((from, _), alike)| (from, alike.len())));
            }
        }
    }

    fn forget_exchange(&mut self, name: &ShortStr) {
        self.exchanges.remove(name);
        if self.sources.remove(name).is_some() {
            for bindings in self.bindings.values_mut() {
                bindings.retain(|(source, _), _| source != name);
            }
            self.bindings.retain(|_, bindings| !bindings.is_empty());
        }
        self.forget_bindings_to(Kind::Exchange, name);
    }

    /// All that is to be declared again, each kind in the order of declaration: first the exchanges,
    /// then the queues, then the bindings.
    #[cfg_attr(not(test), expect(dead_code, reason = "for recovery"))]
    pub(crate) fn plan(&self) -> Plan<'_> {
        let mut bindings: Vec<_> = self
            .bindings
            .iter()
            .flat_map(|((kind, destination), bindings)| {
                bindings.iter().flat_map(move |((source, routing_key), alike)| {
                    alike.iter().map(move |Recorded { order, record }| {
                        let binding = PlannedBinding {
                            kind: *kind,
                            destination,
                            source,
                            routing_key,
                            arguments: record,
                        };
                        (*order, binding)
                    })
                })
            })
            .collect();
        bindings.sort_by_key(|&(order, _)| order);
        Plan {
            exchanges: in_order(self.exchanges.values()),
            queues: in_order(self.queues.values()),
            bindings: bindings.into_iter().map(|(_, binding)| binding).collect(),
        }
    }
}

/// A binding with all names filled in.
fn resolve(destination: &QueueName, mut binding: Binding) -> Option<(ShortStr, Binding)> {
    let name = destination.get()?;
    if binding.keyed_by_queue {
        binding.routing_key = name.clone();
    }
    Some((name.clone(), binding))
}

fn in_order<'a, T>(records: impl Iterator<Item = &'a Recorded<T>>) -> Vec<&'a T> {
    let mut records: Vec<_> = records.collect();
    records.sort_by_key(|recorded| recorded.order);
    records.into_iter().map(|recorded| &recorded.record).collect()
}

/// What is to be declared again, in this order.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "for recovery"))]
pub(crate) struct Plan<'a> {
    pub(crate) exchanges: Vec<&'a exchange::Declare>,
    pub(crate) queues: Vec<&'a Queue>,
    pub(crate) bindings: Vec<PlannedBinding<'a>>,
}

/// A binding of a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PlannedBinding<'a> {
    pub(crate) kind: Kind,
    pub(crate) destination: &'a ShortStr,
    pub(crate) source: &'a ShortStr,
    pub(crate) routing_key: &'a ShortStr,
    pub(crate) arguments: &'a FieldTable,
}

#[cfg(test)]
impl Topology {
    /// Whether nothing is kept.
    pub(crate) fn is_tidy(&self) -> bool {
        self.exchanges.is_empty()
            && self.queues.is_empty()
            && self.bindings.is_empty()
            && self.sources.is_empty()
    }
}
