//! Faults on demand: what is to go wrong, said in one line, and a handle that tells whether it did.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amqp091::protocol::{CLASSES, ReplyCode};
use amqp091::types::ShortStr;

use crate::core::faults::{Action, Cut, Direction, Filter, RuleId, Trigger};
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
/// Of several rules for the same frame the one that was made first acts, the others don't see the frame.
/// Frames that an action makes no sense for (a `nack` of anything but a publish) don't match its rule.
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
    wrong: Option<String>,
    reset: bool,
}

impl fmt::Debug for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.filter).finish()
    }
}

/// The specification's own copy of a method's name.
fn known(name: &str) -> Option<&'static str> {
    let methods = CLASSES.iter().flat_map(|class| class.methods);
    methods.map(|method| method.name).find(|known| *known == name)
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
        let trigger = known(name).map_or(Trigger::AnyMethod, Trigger::Method);
        let mut fault = Self::new(shared, trigger);
        if known(name).is_none() {
            fault.wrong = Some(format!("there is no method {name:?}"));
        }
        fault
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
        match ShortStr::new(value) {
            Ok(value) => self.filter.fields.push((name, value)),
            Err(_) => self.wrong = Some(format!("a {name} has at most 255 octets")),
        }
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
        // All of it is as good as certain, and nothing below none.
        let chance = (probability.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        self.filter.chance = Some((chance, seed));
        self
    }

    /// For the drop that follows: resets the connection (RST) where it is a TCP socket, rather than
    /// closing it. What the client hasn't read by then may be lost to it.
    pub fn with_reset(mut self) -> Self {
        self.reset = true;
        self
    }

    fn make(self, action: Action) -> Rule {
        #[expect(clippy::panic, reason = "a test that says what can't be has to hear of it")]
        if let Some(wrong) = self.wrong {
            panic!("{wrong}");
        }
        let what = format!("{:?} of {:?}", action, self.filter.trigger);
        let (id, hits) = self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.add_rule(self.filter, action)
        });
        Rule { shared: Arc::clone(self.shared), id, hits, what, optional: false }
    }

    fn cut(self, cut: Cut) -> Rule {
        let reset = self.reset;
        self.make(Action::Drop { cut, reset })
    }

    /// Closes the socket before the frame: a client's isn't carried out, the broker's isn't sent. After
    /// [`Broker::on_connect`](crate::Broker::on_connect): refuses the connection.
    pub fn drop_before(self) -> Rule {
        self.cut(Cut::Before)
    }

    /// Closes the socket behind the frame: a client's is carried out, and the client hears nothing of it.
    pub fn drop_after(self) -> Rule {
        self.cut(Cut::After)
    }

    /// Closes the socket after so many octets more of the broker's output, the matching frame included if
    /// it is the broker's.
    pub fn drop_after_octets(self, octets: usize) -> Rule {
        self.cut(Cut::Octets(octets))
    }

    /// Closes the socket in the middle of the frame; if it is a client's, in the middle of the first that
    /// the broker sends then.
    pub fn drop_mid_frame(self) -> Rule {
        self.cut(Cut::Middle)
    }

    /// Has the frame wait by the broker's clock ([`Broker::advance`](crate::Broker::advance)). One from a
    /// client keeps all waiting that the client sends behind it; one to a client is overtaken by others.
    pub fn delay(self, span: Duration) -> Rule {
        self.make(Action::Delay(span))
    }

    /// The same until [`Rule::release`].
    pub fn hold(self) -> Rule {
        self.make(Action::Hold)
    }

    /// Gathers confirms to the client (`basic.ack`) until there are so many on a channel, and sends one
    /// `multiple` for them, unless that spoke for a message that another rule keeps the client from hearing
    /// of; the rest by [`Rule::release`].
    pub fn coalesce(self, count: u32) -> Rule {
        self.make(Action::Coalesce(count))
    }

    /// Swallows the frame: a client's is not carried out, the broker's is not sent.
    pub fn discard(self) -> Rule {
        self.make(Action::Discard)
    }

    /// Refuses a publish (`basic.nack`), on channels with confirms; it reaches no queue.
    pub fn nack(self) -> Rule {
        self.make(Action::Nack)
    }

    /// Returns a publish as unroutable (312 NO_ROUTE), whether it is mandatory or not; it is confirmed
    /// behind that, and reaches no queue.
    pub fn give_back(self) -> Rule {
        self.make(Action::Return)
    }

    /// Cancels the consumer that the method names, or all of its channel, and tells the client
    /// (`basic.cancel`). At once: those of the queue or tag that the rule is for.
    pub fn cancel_consumer(self) -> Rule {
        self.make(Action::CancelConsumer)
    }

    /// Closes the channel with this code and text, in the place of carrying a client's method out, or
    /// behind the broker's. The text is preceded by the code's name, as always.
    pub fn close_channel(self, code: u16, text: impl Into<String>) -> Rule {
        self.make(Action::CloseChannel(ReplyCode(code), text.into()))
    }

    /// Closes the connection likewise.
    pub fn close_connection(self, code: u16, text: impl Into<String>) -> Rule {
        self.make(Action::CloseConnection(ReplyCode(code), text.into()))
    }

    /// Offers these limits in the place of the broker's own; for `connection.tune`. Heartbeat in seconds.
    pub fn tune(self, channel_max: u16, frame_max: u32, heartbeat: u16) -> Rule {
        self.make(Action::Tune { channel_max, frame_max, heartbeat })
    }

    /// Blocks publishers, as [`Broker::block`](crate::Broker::block) does.
    pub fn block(self, reason: &str) -> Rule {
        let octets = reason.as_bytes();
        let reason = ShortStr::new(&octets[..octets.len().min(ShortStr::MAX_LEN)]);
        self.make(Action::Block(reason.unwrap_or_default()))
    }

    /// Lets them go on.
    pub fn unblock(self) -> Rule {
        self.make(Action::Unblock)
    }

    /// Reads nothing more from the client: until [`Rule::release`].
    pub fn stop_reading(self) -> Rule {
        self.make(Action::StopReading)
    }

    /// Writes nothing more to the client, heartbeats included, and goes on reading: until
    /// [`Rule::release`].
    pub fn stop_writing(self) -> Rule {
        self.make(Action::StopWriting)
    }

    /// Neither reads nor writes, and leaves the socket open, as a host does that is gone: until
    /// [`Rule::release`].
    pub fn go_silent(self) -> Rule {
        self.make(Action::Silence)
    }

    /// Turns all bits of the octet at this place of the broker's frame over; 0 is the frame's type, 1 and
    /// 2 the channel, 3 to 6 the size. The last octet if there are fewer.
    pub fn corrupt(self, octet: usize) -> Rule {
        self.make(Action::Corrupt { octet })
    }

    /// Restarts the broker, as [`Broker::restart`](crate::Broker::restart) does, in the place of carrying
    /// a client's method out.
    pub fn restart(self) -> Rule {
        self.make(Action::Restart)
    }
}

/// A rule as long as it is there: what is to happen, and how often it has.
///
/// A test that provokes a fault which never comes shows nothing, so dropping the handle of a rule that
/// never fired panics, unless the thread is panicking already, or [`optional`](Self::optional) was said.
/// The rule ends with its handle, and lets go of what it holds.
#[must_use = "a rule ends with its handle"]
pub struct Rule {
    shared: Arc<Shared>,
    id: RuleId,
    hits: Arc<AtomicU64>,
    what: String,
    optional: bool,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("what", &self.what).field("hits", &self.hits()).finish()
    }
}

impl Rule {
    /// How often it has fired.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Lets go of what it has held back so far: frames, reading, writing. It goes on for what comes.
    pub fn release(&self) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.release(self.id);
        });
    }

    /// Fine if it never fires.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

impl Drop for Rule {
    /// # Panics
    ///
    /// If it never fired, see above.
    fn drop(&mut self) {
        self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.remove_rule(self.id);
        });
        #[expect(clippy::panic, reason = "that is how a test fails")]
        if self.hits() == 0 && !self.optional && !std::thread::panicking() {
            panic!("a fault never happened: {}", self.what);
        }
    }
}
