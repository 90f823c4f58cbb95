//! The double of a small cluster: nodes that come and go, and what that does to queues.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::channel::{ChannelKey, Mode};
use super::connection::ConnectionKey;
use super::exchange::QueueKey;
use super::faults::RuleId;
use super::message::Message;
use super::timers::Timer;

/// How long a quorum queue is without a leader when its own goes.
const ELECTION: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NodeState {
    Up,
    Paused,
    Down,
}

/// More than one node.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<NodeState>,
    /// Publishes that are neither taken nor refused yet.
    withheld: Vec<Withheld>,
    /// Queues that the message at hand has to wait for.
    waits_for: Vec<QueueKey>,
}

#[derive(Debug)]
struct Withheld {
    /// Who is to hear of it, and by which tag.
    publisher: Option<(ConnectionKey, ChannelKey, u64)>,
    queues: Vec<QueueKey>,
    message: Arc<Message>,
    taken: bool,
}

/// Whether a queue takes messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Service {
    Yes,
    /// It refuses them.
    No,
    /// It doesn't know yet.
    Later,
}

impl Cluster {
    fn is_up(&self, node: u16) -> bool {
        self.nodes.get(usize::from(node)) == Some(&NodeState::Up)
    }

    fn has_majority(&self) -> bool {
        let up = self.nodes.iter().filter(|state| **state == NodeState::Up).count();
        up * 2 > self.nodes.len()
    }
}

/// What holds the sockets of a paused node.
const fn pause_of(node: u16) -> RuleId {
    RuleId::MAX - node as RuleId
}

impl Core {
    /// From now on there are so many nodes.
    pub(crate) fn set_node_count(&mut self, count: u16) {
        if count > 1 {
            let nodes = vec![NodeState::Up; usize::from(count)];
            let cluster = Cluster { nodes, withheld: Vec::new(), waits_for: Vec::new() };
            self.cluster = Some(Box::new(cluster));
        }
    }

    /// A client has connected to this node.
    pub(super) fn welcome(&mut self, key: ConnectionKey, node: u16) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.node = node;
        }
        let state = self.cluster.as_ref().and_then(|found| found.nodes.get(usize::from(node)));
        match state {
            Some(NodeState::Down) => self.cut_off(key, true),
            Some(NodeState::Paused) => self.freeze(key, node),
            _ => {}
        }
    }

    fn freeze(&mut self, key: ConnectionKey, node: u16) {
        if let Some(lane) = self.lane(key) {
            lane.stopped_reading.push(pause_of(node));
            lane.stopped_writing.push(pause_of(node));
        }
    }

    /// Nodes come or go.
    pub(crate) fn set_nodes(&mut self, nodes: &[u16], state: NodeState) {
        for &node in nodes {
            self.set_node(node, state);
        }
        self.settle_dead();
        self.rally();
    }

    fn set_node(&mut self, node: u16, state: NodeState) {
        let Some(cluster) = &mut self.cluster else { return };
        let Some(known) = cluster.nodes.get_mut(usize::from(node)) else { return };
        let before = std::mem::replace(known, state);
        if before == state {
            return;
        }
        if before == NodeState::Paused {
            self.release(pause_of(node));
        }
        let here: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.node == node)
            .map(|(key, _)| key)
            .collect();
        for key in here {
            match state {
                NodeState::Up => {}
                NodeState::Paused => self.freeze(key, node),
                NodeState::Down => {
                    if let Some(connection) = self.connections.get_mut(key) {
                        connection.out.clear();
                    }
                    self.cut_off(key, true);
                }
            }
        }
        let queues: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.node == node)
            .map(|(key, _)| key)
            .collect();
        for key in queues {
            match state {
                NodeState::Up => self.serve_again(key),
                _ => self.lose_node(key, state == NodeState::Down),
            }
        }
    }

    /// A queue's node is gone.
    fn lose_node(&mut self, key: QueueKey, for_good: bool) {
        let at = self.now + ELECTION;
        let Some(queue) = self.queues.get_mut(key) else { return };
        if queue.is_quorum() {
            queue.election = Some(at);
            self.timers.set(at, Timer::Election(key));
            return;
        }
        if !for_good {
            return;
        }
        if !queue.durable {
            return self.delete_queue(key);
        }
        queue.drop_transient();
        let consumers = queue.consumers.clone();
        self.arm_head(key);
        for consumer in consumers {
            self.cancel_consumer(consumer);
        }
    }

    /// The time for a new leader.
    pub(super) fn elect(&mut self, key: QueueKey, at: Duration) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        if queue.election == Some(at) {
            self.lead(key);
        }
    }

    /// Finds a leader for a queue whose time to be without one is over.
    fn lead(&mut self, key: QueueKey) {
        let Some(cluster) = self.cluster.as_ref().filter(|cluster| cluster.has_majority()) else {
            return;
        };
        let Some(queue) = self.queues.get_mut(key) else { return };
        if !cluster.is_up(queue.node)
            && let Some(node) = cluster.nodes.iter().position(|state| *state == NodeState::Up)
        {
            queue.node = node as u16;
        }
        queue.election = None;
        self.serve_again(key);
        self.make_up();
    }

    /// There may be enough nodes again, for the queues that wait for that.
    fn rally(&mut self) {
        let now = self.now;
        let leaderless: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.election.is_some_and(|at| at <= now))
            .map(|(key, _)| key)
            .collect();
        for key in leaderless {
            self.lead(key);
        }
        let quorum: Vec<_> =
            self.queues.iter().filter(|(_, queue)| queue.is_quorum()).map(|(key, _)| key).collect();
        for key in quorum {
            self.serve_again(key);
        }
        self.make_up();
    }

    fn serve_again(&mut self, key: QueueKey) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.may_serve = true;
        }
        self.serve(key);
        self.arm_head(key);
    }

    fn service(&self, key: QueueKey) -> Service {
        let (Some(cluster), Some(queue)) = (&self.cluster, self.queues.get(key)) else {
            return Service::Yes;
        };
        if !queue.is_quorum() {
            return if cluster.is_up(queue.node) { Service::Yes } else { Service::No };
        }
        match queue.election {
            _ if !cluster.has_majority() => Service::Later,
            Some(_) => Service::No,
            None => Service::Yes,
        }
    }

    /// Whether a queue is in service.
    pub(super) fn is_in_service(&self, key: QueueKey) -> bool {
        self.service(key) == Service::Yes
    }

    /// Whether a queue takes a message now; if that isn't known yet, the message is noted.
    pub(super) fn may_enqueue(&mut self, key: QueueKey) -> Option<bool> {
        match self.service(key) {
            Service::Yes => None,
            Service::No => Some(false),
            Service::Later => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.waits_for.push(key);
                }
                Some(true)
            }
        }
    }

    /// Keeps a message whose outcome isn't known yet, for the publisher if there is one; `false` if it is.
    pub(super) fn withhold(
        &mut self,
        publisher: Option<(ConnectionKey, ChannelKey)>,
        message: &Arc<Message>,
        taken: bool,
    ) -> bool {
        let Some(cluster) = &mut self.cluster else { return false };
        if cluster.waits_for.is_empty() {
            return false;
        }
        let queues = std::mem::take(&mut cluster.waits_for);
        let mut hears = None;
        if let Some((connection, channel)) = publisher
            && let Some(found) = self.channels.get_mut(channel)
            && let Mode::Confirm(confirms) = &mut found.mode
        {
            confirms.published += 1;
            hears = Some((connection, channel, confirms.published));
        }
        let message = Arc::clone(message);
        cluster.withheld.push(Withheld { publisher: hears, queues, message, taken });
        true
    }

    /// Carries out what was withheld, as far as its queues are in service again.
    fn make_up(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        let withheld = std::mem::take(&mut cluster.withheld);
        for mut one in withheld {
            if one.queues.iter().any(|queue| self.service(*queue) == Service::Later) {
                if let Some(cluster) = &mut self.cluster {
                    cluster.withheld.push(one);
                }
                continue;
            }
            for queue in std::mem::take(&mut one.queues) {
                one.taken &= self.enqueue(queue, &one.message);
            }
            if let Some((connection, channel, tag)) = one.publisher
                && let Some(found) = self.channels.get_mut(channel)
                && let Mode::Confirm(confirms) = &mut found.mode
            {
                confirms.due.push((tag, one.taken));
                if confirms.due.len() == 1
                    && let Some(connection) = self.connections.get_mut(connection)
                {
                    connection.confirming.push(channel);
                }
                self.send_confirms(connection);
            }
        }
        self.settle_dead();
    }
}
