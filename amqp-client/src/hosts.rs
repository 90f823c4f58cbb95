//! The servers that a connection may go to, and the order in which they are tried.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server's host name or address, with a port of its own or without.
///
/// Made of strings as people write them: `broker`, `broker:5673`, `10.0.0.1`, `::1`, `[::1]:5673`.
///
/// ```
/// use amqp091_client::{ConnectOptions, Host};
///
/// let options = ConnectOptions::default().hosts(["rabbit-1", "rabbit-2:5673"]);
/// assert_eq!(Host::from("[::1]:5673"), Host::new("::1", 5673));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// A name or address and a port; without one, it is that of
    /// [`ConnectOptions::port`](crate::ConnectOptions::port).
    pub fn new(name: impl Into<String>, port: impl Into<Option<u16>>) -> Self {
        Self { name: name.into(), port: port.into() }
    }

    /// The name or address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, if it has one of its own.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl From<&str> for Host {
    fn from(text: &str) -> Self {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, "")) => return Self::new(name, None),
            Some((name, behind)) => (name, behind.strip_prefix(':')),
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        // Whatever isn't a port belongs to the name: an IPv6 address, or a mistake to be shown whole.
        match port.and_then(|port| port.parse::<u16>().ok()) {
            Some(port) => Self::new(name, port),
            None => Self::new(text, None),
        }
    }
}

impl From<String> for Host {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Host {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<T: Into<String>> From<(T, u16)> for Host {
    fn from((name, port): (T, u16)) -> Self {
        Self::new(name, port)
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::new(address.to_string(), None)
    }
}

impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// As people write it.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.contains(':'), self.port) {
            (false, None) => f.write_str(&self.name),
            (false, Some(port)) => write!(f, "{}:{port}", self.name),
            (true, None) => write!(f, "[{}]", self.name),
            (true, Some(port)) => write!(f, "[{}]:{port}", self.name),
        }
    }
}

/// The order in which several hosts are tried: see
/// [`ConnectOptions::host_order`](crate::ConnectOptions::host_order).
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum HostOrder {
    /// As listed, each connection beginning with the next one: those that are opened with the same
    /// options, or clones of them, are spread over the hosts.
    #[default]
    InTurn,
    /// As listed, always beginning with the first: it is preferred, the others stand in for it.
    Listed,
    /// At random: the connections of many processes are spread over the hosts.
    Shuffled,
    /// As the program likes.
    Custom(Arc<dyn OrderHosts>),
}

impl HostOrder {
    /// An order of the program's own: a function, or a type that implements [`OrderHosts`].
    ///
    /// ```
    /// use amqp091_client::{ConnectOptions, Host, HostOrder, HostRound};
    ///
    /// // Those of this data centre first.
    /// let near_first = |hosts: &mut Vec<Host>, _: &HostRound<'_>| {
    ///     hosts.sort_by_key(|host| !host.name().ends_with(".east.example"));
    /// };
    /// let options = ConnectOptions::default()
    ///     .hosts(["a.west.example", "b.east.example"])
    ///     .host_order(HostOrder::custom(near_first));
    /// # let _ = options;
    /// ```
    pub fn custom(order: impl OrderHosts + 'static) -> Self {
        Self::Custom(Arc::new(order))
    }
}

impl fmt::Debug for HostOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InTurn => "InTurn",
            Self::Listed => "Listed",
            Self::Shuffled => "Shuffled",
            Self::Custom(_) => "Custom",
        })
    }
}

/// An order of hosts of a program's own.
pub trait OrderHosts: Send + Sync {
    /// Puts the hosts into the order in which they are to be tried. It may leave some out, or add
    /// others; with none left, connecting fails. Called on the task that connects, so it must not block.
    fn order(&self, hosts: &mut Vec<Host>, round: &HostRound<'_>);
}

impl<F: Fn(&mut Vec<Host>, &HostRound<'_>) + Send + Sync> OrderHosts for F {
    fn order(&self, hosts: &mut Vec<Host>, round: &HostRound<'_>) {
        self(hosts, round);
    }
}

/// What the hosts are ordered for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HostRound<'a> {
    /// How often all hosts were tried in vain before this, for this connection.
    pub number: u64,
    /// The host that the connection had, if it had one.
    pub last: Option<&'a Host>,
}

/// The hosts of the options.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    pub(crate) list: Vec<Host>,
    pub(crate) order: HostOrder,
    /// How many connections were opened with these options or clones of them.
    turn: Arc<AtomicUsize>,
}

impl Hosts {
    pub(crate) fn new(list: Vec<Host>) -> Self {
        Self { list, order: HostOrder::default(), turn: Arc::default() }
    }

    /// The plan for a new connection.
    pub(crate) fn plan(&self) -> HostPlan {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        HostPlan { list: self.list.clone(), order: self.order.clone(), turn, number: 0, last: None }
    }
}

/// To which host one connection goes next, for as long as it lives.
#[derive(Debug)]
pub(crate) struct HostPlan {
    list: Vec<Host>,
    order: HostOrder,
    turn: usize,
    number: u64,
    last: Option<Host>,
}

impl HostPlan {
    /// The hosts in the order in which to try them this time.
    pub(crate) fn next_round(&mut self) -> Vec<Host> {
        let mut hosts = self.list.clone();
        match &self.order {
            HostOrder::InTurn => {
                let last = hosts.iter().position(|host| Some(host) == self.last.as_ref());
                let first = last.map_or(self.turn, |last| last + 1);
                let count = hosts.len().max(1);
                hosts.rotate_left(first % count);
                self.turn = self.turn.wrapping_add(1);
            }
            HostOrder::Listed => {}
            HostOrder::Shuffled => shuffle(&mut hosts),
            HostOrder::Custom(order) => {
                let round = HostRound { number: self.number, last: self.last.as_ref() };
                order.order(&mut hosts, &round);
            }
        }
        self.number += 1;
        hosts
    }

    /// Notes to which host the connection has come: the next round may go on from there.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for a connection that is lost and comes again")
    )]
    pub(crate) fn connected(&mut self, host: Host) {
        self.last = Some(host);
        self.number = 0;
    }
}

/// Fisher and Yates's, by the randomness that the standard library seeds its hash maps with.
fn shuffle(hosts: &mut [Host]) {
    let random = RandomState::new();
    for end in (1..hosts.len()).rev() {
        // The bias of a remainder is nothing among a handful of hosts.
        let place = random.hash_one(end) % (end as u64 + 1);
        hosts.swap(end, usize::try_from(place).unwrap_or(end));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hosts(order: HostOrder) -> Hosts {
        let list = ["a", "b", "c"].into_iter().map(Host::from).collect();
        Hosts { order, ..Hosts::new(list) }
    }

    fn names(hosts: &[Host]) -> String {
        hosts.iter().map(Host::name).collect()
    }

    #[test]
    fn hosts_as_people_write_them() {
        for (text, name, port, shown) in [
            ("broker", "broker", None, "broker"),
            ("broker:5673", "broker", Some(5673), "broker:5673"),
            ("10.0.0.1:1", "10.0.0.1", Some(1), "10.0.0.1:1"),
            ("::1", "::1", None, "[::1]"),
            ("[::1]", "::1", None, "[::1]"),
            ("[::1]:5673", "::1", Some(5673), "[::1]:5673"),
            // No host's name: shown whole in the error of looking it up.
            ("broker:amqp", "broker:amqp", None, "[broker:amqp]"),
            ("broker:65536", "broker:65536", None, "[broker:65536]"),
            ("[::1]5673", "[::1]5673", None, "[[::1]5673]"),
            ("", "", None, ""),
        ] {
            let host = Host::from(text);
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
            assert_eq!(host.to_string(), shown, "{text}");
        }
        let address: SocketAddr = "[::1]:7".parse().unwrap();
        assert_eq!(Host::from(address), Host::from(("::1", 7)));
        assert_eq!(Host::from(address.ip()), Host::new("::1", None));
    }

    #[test]
    fn in_turn_each_connection_begins_with_the_next_host() {
        let hosts = hosts(HostOrder::InTurn);
        let clone = hosts.clone();
        let orders = [&hosts, &clone, &hosts, &clone].map(|hosts| hosts.plan().next_round());
        assert_eq!(orders.map(|order| names(&order)), ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn in_turn_a_connection_goes_on_behind_the_host_it_had() {
        let hosts = hosts(HostOrder::InTurn);
        let mut plan = hosts.plan();
        assert_eq!(names(&plan.next_round()), "abc");
        assert_eq!(names(&plan.next_round()), "bca");
        plan.connected(Host::from("b"));
        assert_eq!(names(&plan.next_round()), "cab");
        // A host that isn't listed any more, or never was.
        plan.connected(Host::from("x"));
        assert_eq!(plan.next_round().len(), 3);
    }

    #[test]
    fn listed_always_begins_with_the_first() {
        let hosts = hosts(HostOrder::Listed);
        for _ in 0..3 {
            let mut plan = hosts.plan();
            assert_eq!(names(&plan.next_round()), "abc");
            plan.connected(Host::from("a"));
            assert_eq!(names(&plan.next_round()), "abc");
        }
    }

    #[test]
    fn shuffled_comes_in_every_order() {
        let hosts = hosts(HostOrder::Shuffled);
        // Missing one of six in a thousand tries happens once in 10^78.
        let orders: HashSet<_> = (0..1000).map(|_| names(&hosts.plan().next_round())).collect();
        assert_eq!(orders.len(), 6, "{orders:?}");
    }

    #[test]
    fn a_custom_order_is_told_what_was() {
        let order = |hosts: &mut Vec<Host>, round: &HostRound<'_>| {
            if let Some(last) = round.last {
                hosts.retain(|host| host != last);
            }
            hosts.push(Host::new("extra", u16::try_from(round.number).unwrap()));
        };
        let hosts = hosts(HostOrder::custom(order));
        let mut plan = hosts.plan();
        assert_eq!(names(&plan.next_round()), "abcextra");
        assert_eq!(plan.next_round()[3].port(), Some(1));
        plan.connected(Host::from("a"));
        assert_eq!(names(&plan.next_round()), "bcextra");
        assert_eq!(format!("{hosts:?}").matches("Custom").count(), 1);
    }

    #[test]
    fn no_hosts_are_no_panic() {
        for order in [HostOrder::InTurn, HostOrder::Listed, HostOrder::Shuffled] {
            let hosts = Hosts { order, ..Hosts::new(Vec::new()) };
            assert!(hosts.plan().next_round().is_empty());
        }
    }
}
