//! Faults on demand: what is to go wrong, said in one line.

mod actions;

use std::fmt;
use std::sync::Arc;

use amqp091::types::ShortStr;

#[cfg(doc)]
use crate::broker::Broker;
use crate::core::faults::{Direction, Filter, Trigger};
use crate::core::sense::{Nonsense, known};
#[cfg(doc)]
use crate::rule::Rule;
use crate::shared::Shared;

/// What a rule is for: made by [`Broker::on`](crate::Broker::on) and its siblings, narrowed by the methods
/// down to [`chance`](Self::chance), and made a [`Rule`] by the one that says what is to happen.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use amqp091_broker::Broker;
/// use amqp091_client::{Connection, Outcome};
///
/// let broker = Broker::start().await?;
/// let rule = broker.on("basic.publish").queue("work").nth(2).nack();
/// let connection = Connection::open(&broker.url()).await?;
/// let channel = connection.channel().await?;
/// channel.queue_declare("work").await?;
/// assert!(channel.publish("", "work", "first").await?.await.is_confirmed());
/// assert!(matches!(channel.publish("", "work", "second").await?.await, Outcome::Nacked));
/// assert_eq!(rule.hits(), 1);
/// # Ok(()) }
/// ```
///
/// # What there is
///
/// | to provoke | say |
/// |---|---|
/// | a connection that is lost now | [`at_once()`](Broker::at_once)`.`[`drop_before()`](Self::drop_before) |
/// | … after N octets, in the middle of the n-th frame | [`drop_after_octets(n)`](Self::drop_after_octets), [`on_frame()`](Broker::on_frame)`.nth(n).`[`drop_mid_frame()`](Self::drop_mid_frame) |
/// | … before the broker acted, and after | `on("basic.publish").`[`drop_before()`](Self::drop_before), [`drop_after()`](Self::drop_after) |
/// | late, withheld and gathered confirms | `on("basic.ack").to_client().`[`delay(d)`](Self::delay), [`hold()`](Self::hold), [`coalesce(n)`](Self::coalesce) |
/// | publishes that are refused, come back, get lost | `on("basic.publish").`[`nack()`](Self::nack), [`give_back()`](Self::give_back), [`discard()`](Self::discard) |
/// | a consumer that is cancelled | `at_once().queue("q").`[`cancel_consumer()`](Self::cancel_consumer) |
/// | a channel, a connection closed with a code | [`close_channel(406, "why")`](Self::close_channel), [`close_connection(320, "why")`](Self::close_connection) |
/// | other limits | `on("connection.tune").`[`tune(..)`](Self::tune) |
/// | blocked publishers | [`block("low on memory")`](Self::block), [`unblock()`](Self::unblock), [`Broker::block`] |
/// | a broker that can't be reached | [`Broker::refuse_connections`]; [`on_connect()`](Broker::on_connect)`.`[`drop_before()`](Self::drop_before) lets in and drops |
/// | silence, half a connection | [`go_silent()`](Self::go_silent), [`stop_reading()`](Self::stop_reading), [`stop_writing()`](Self::stop_writing) |
/// | octets that are wrong | [`corrupt(octet)`](Self::corrupt) |
/// | late replies; a reply goes out at once otherwise | `on("queue.declare-ok").`[`delay(d)`](Self::delay) |
/// | a restart that keeps what is durable | [`restart()`](Self::restart), [`Broker::restart`] |
/// | nodes killed, paused, cut off | [`Broker::node`], [`Broker::partition`] |
///
/// # Which rule acts
///
/// Each rule counts all frames that it is for. Of several whose turn it is with the same frame, the one that
/// was made first acts. Rules for methods come before those for [frames](Broker::on_frame), which don't
/// count what they acted on. Within [`Broker::on_any_method`], frames that an action makes no sense for (a `nack`
/// of anything but a publish) don't match.
///
/// # Panics
///
/// The method that says what is to happen panics where the rule could never fire: a method that there
/// isn't, a `nack` of anything but `basic.publish`, a queue where the method names none. So does the end of a
/// [`Rule`] that never fired.
///
/// While there are rules the broker confirms publishes one by one, never several with one `multiple`, so
/// that the n-th confirm is the n-th message's.
///
/// The reply to a call is a method like any other: `on("queue.declare-ok").delay(..)` is a slow broker,
/// `on("queue.declare").drop_after()` one that died having done it.
///
/// "Frame" here is a method with its content, if it has one: a `basic.publish` is seen when it is whole.
#[must_use = "nothing happens before it is said what"]
pub struct Fault<'a> {
    shared: &'a Arc<Shared>,
    filter: Filter,
    wrong: Option<Nonsense>,
    reset: bool,
}

impl fmt::Debug for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.filter).finish()
    }
}

impl<'a> Fault<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, trigger: Trigger) -> Self {
        let filter = Filter {
            trigger,
            direction: None,
            connection: None,
            connection_name: None,
            channel: None,
            fields: Vec::new(),
            nth: 1,
            times: None,
            chance: None,
        };
        Self { shared, filter, wrong: None, reset: false }
    }

    pub(crate) fn on(shared: &'a Arc<Shared>, name: &str) -> Self {
        match known(name) {
            Ok(name) => Self::new(shared, Trigger::Method(name)),
            Err(wrong) => Self::new(shared, Trigger::AnyMethod).but(wrong),
        }
    }

    /// Notes what is wrong, if nothing is yet.
    fn but(mut self, wrong: Nonsense) -> Self {
        self.wrong.get_or_insert(wrong);
        self
    }

    /// Only what clients send. Without this and [`to_client`](Self::to_client) a method that both sides
    /// may send, such as `basic.ack`, matches either way.
    pub fn from_client(mut self) -> Self {
        self.filter.direction = Some(Direction::FromClient);
        self
    }

    /// Only what the broker sends.
    pub fn to_client(mut self) -> Self {
        self.filter.direction = Some(Direction::ToClient);
        self
    }

    /// Only this connection, by its number: the first to the broker has 1.
    pub fn connection(mut self, number: u64) -> Self {
        self.filter.connection = Some(number);
        self
    }

    /// Only connections of this name, which the client gives as `connection_name`. It is known from
    /// `connection.start-ok` on.
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.filter.connection_name = Some(name.into());
        self
    }

    /// Only this channel; 0 is the connection itself.
    pub fn channel(mut self, number: u16) -> Self {
        self.filter.channel = Some(number);
        self
    }

    /// Only methods that name this queue; also publishes to it through the default exchange, and
    /// deliveries from it while their consumer is there.
    pub fn queue(self, name: impl AsRef<[u8]>) -> Self {
        self.field("queue", name.as_ref())
    }

    /// Only methods that name this exchange.
    pub fn exchange(self, name: impl AsRef<[u8]>) -> Self {
        self.field("exchange", name.as_ref())
    }

    /// Only methods with this routing key.
    pub fn routing_key(self, key: impl AsRef<[u8]>) -> Self {
        self.field("routing-key", key.as_ref())
    }

    /// Only methods with this consumer tag.
    pub fn consumer_tag(self, tag: impl AsRef<[u8]>) -> Self {
        self.field("consumer-tag", tag.as_ref())
    }

    fn field(mut self, name: &'static str, value: &[u8]) -> Self {
        let Ok(short) = ShortStr::new(value) else {
            let value = String::from_utf8_lossy(value).into_owned();
            return self.but(Nonsense::TooLong { field: name, value });
        };
        self.filter.fields.push((name, short));
        self
    }

    /// Only the n-th match, counted from 1; with [`times`](Self::times), so many from the n-th on.
    pub fn nth(mut self, n: u64) -> Self {
        self.filter.nth = n;
        self.filter.times.get_or_insert(1);
        self
    }

    /// So many matches at most. Default: all of them, or one after [`nth`](Self::nth).
    pub fn times(mut self, count: u64) -> Self {
        self.filter.times = Some(count);
        self
    }

    /// Each match with this probability, 0 to 1, by a sequence that the seed determines.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        if !(0.0..=1.0).contains(&probability) {
            return self.but(Nonsense::Number("a probability is a number from 0 to 1"));
        }
        let chance = (probability * u64::MAX as f64) as u64;
        self.filter.chance = Some((chance, seed));
        self
    }

    /// For the drop that follows: resets the connection (RST) where it is a TCP socket, rather than
    /// closing it. What the client hasn't read by then may be lost to it.
    pub fn with_reset(mut self) -> Self {
        self.reset = true;
        self
    }
}
