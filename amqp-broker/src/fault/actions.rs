//! What a rule does: the methods that make one.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::ReplyCode;
use amqp091::types::ShortStr;

use super::Fault;
use crate::core::faults::{Action, Cut};
use crate::core::sense::check;
use crate::rule::Rule;

impl Fault<'_> {
    #[track_caller]
    fn make(self, action: Action) -> Rule {
        let place = Location::caller();
        let wrong = self.wrong.or_else(|| check(&self.filter, &action).err());
        #[expect(clippy::panic, reason = "a test that says what can't be has to hear of it")]
        if let Some(wrong) = wrong {
            panic!("a rule that makes no sense: {wrong}");
        }
        let what = format!("{}: {action}", self.filter);
        let (id, tally) = self.shared.with(|core, now| {
            core.now = core.now.max(now);
            core.add_rule(self.filter, action)
        });
        Rule::new(Arc::clone(self.shared), id, tally, what, place)
    }

    #[track_caller]
    fn cut(self, cut: Cut) -> Rule {
        let reset = self.reset;
        self.make(Action::Drop { cut, reset })
    }

    /// Closes the socket before the frame: a client's isn't carried out, the broker's isn't sent. After
    /// [`Broker::on_connect`](crate::Broker::on_connect): refuses the connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let rule = broker.on("basic.publish").drop_before();
    /// assert!(matches!(channel.publish("", "q", "m").await?.await, Outcome::Unknown(_)));
    /// assert_eq!(broker.queue("q").unwrap().ready, 0);
    ///
    /// // At once: all connections that are there.
    /// let other = Connection::open(&broker.url()).await?;
    /// let dropped = broker.at_once().drop_before();
    /// assert!(other.closed().await.is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drop_before(self) -> Rule {
        self.cut(Cut::Before)
    }

    /// Closes the socket behind the frame: a client's is carried out, and the client hears nothing of it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let rule = broker.on("basic.publish").drop_after();
    /// // The message is there, and its publisher can't know: sent again, it is there twice.
    /// assert!(matches!(channel.publish("", "q", "m").await?.await, Outcome::Unknown(_)));
    /// assert_eq!(broker.queue("q").unwrap().ready, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drop_after(self) -> Rule {
        self.cut(Cut::After)
    }

    /// Closes the socket after so many octets more of the broker's output, the matching frame included if
    /// it is the broker's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// let rule = broker.on_connect().drop_after_octets(100);
    /// assert!(Connection::open(&broker.url()).await.is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drop_after_octets(self, octets: usize) -> Rule {
        self.cut(Cut::Octets(octets))
    }

    /// Closes the socket in the middle of the frame; if it is a client's, in the middle of the first that
    /// the broker sends then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// // In the middle of the third frame that the broker sends.
    /// let rule = broker.on_frame().nth(3).drop_mid_frame();
    /// assert!(channel.queue_declare("1").await.is_ok());
    /// assert!(channel.queue_declare("2").await.is_ok());
    /// assert!(channel.queue_declare("3").await.is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn drop_mid_frame(self) -> Rule {
        self.cut(Cut::Middle)
    }

    /// Has the frame wait by the broker's clock ([`Broker::advance`](crate::Broker::advance)). One from a
    /// client keeps all waiting that the client sends behind it, its end included; one to a client is
    /// overtaken by others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// // A broker that is slow to answer, by its own clock.
    /// let late = broker.on("queue.declare-ok").delay(Duration::from_secs(60));
    /// let call = tokio::spawn(channel.queue_declare("slow").into_future());
    /// late.fired(1).await;
    /// assert!(!call.is_finished());
    /// broker.advance(Duration::from_secs(60));
    /// assert!(call.await?.is_ok());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn delay(self, span: Duration) -> Rule {
        self.make(Action::Delay(span))
    }

    /// The same until [`Rule::release`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let held = broker.on("basic.ack").to_client().hold();
    /// let confirm = channel.publish("", "q", "m").await?;
    /// held.fired(1).await;
    /// assert_eq!(broker.queue("q").unwrap().ready, 1);
    /// held.release();
    /// assert!(confirm.await.is_confirmed());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn hold(self) -> Rule {
        self.make(Action::Hold)
    }

    /// Gathers confirms to the client (`basic.ack`) until there are so many on a channel, and sends one
    /// `multiple` for them, unless that spoke for a message that another rule keeps the client from hearing
    /// of; the rest by [`Rule::release`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let gathered = broker.on("basic.ack").to_client().coalesce(3);
    /// let mut confirms = Vec::new();
    /// for _ in 0..3 {
    ///     confirms.push(channel.publish("", "q", "m").await?);
    /// }
    /// // One basic.ack for all of them.
    /// for confirm in confirms {
    ///     assert!(confirm.await.is_confirmed());
    /// }
    /// assert_eq!(gathered.hits(), 3);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn coalesce(self, count: u32) -> Rule {
        self.make(Action::Coalesce(count))
    }

    /// Swallows the frame: a client's is not carried out, the broker's is not sent.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// // A message that is lost on the way, and nobody says so.
    /// let lost = broker.on("basic.publish").nth(1).discard();
    /// let confirm = channel.publish("", "q", "lost").await?;
    /// assert!(channel.publish("", "q", "kept").await?.await.is_confirmed());
    /// assert_eq!(broker.messages("q").unwrap()[0].body, "kept");
    /// # drop(confirm);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn discard(self) -> Rule {
        self.make(Action::Discard)
    }

    /// Refuses a publish (`basic.nack`), on channels with confirms; it reaches no queue. In a transaction
    /// `tx.commit` closes the channel for it, with 406 (`PRECONDITION_FAILED`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let refused = broker.on("basic.publish").routing_key("q").nth(2).nack();
    /// assert!(channel.publish("", "q", "1").await?.await.is_confirmed());
    /// assert!(matches!(channel.publish("", "q", "2").await?.await, Outcome::Nacked));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn nack(self) -> Rule {
        self.make(Action::Nack)
    }

    /// Returns a publish as unroutable (312 NO_ROUTE), whether it is mandatory or not; it is confirmed
    /// behind that, and reaches no queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let returned = broker.on("basic.publish").give_back();
    /// let outcome = channel.publish("", "q", "m").mandatory(true).await?.await;
    /// assert!(matches!(outcome, Outcome::Returned(message) if message.body == "m"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn give_back(self) -> Rule {
        self.make(Action::Return)
    }

    /// Cancels the consumer that the method names, or all of its channel, and tells the client
    /// (`basic.cancel`). At once: those of the queue or tag that the rule is for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let mut consumer = channel.consume("q").await?;
    /// let cancelled = broker.at_once().queue("q").cancel_consumer();
    /// assert!(matches!(consumer.next().await, Some(Err(Error::ConsumerCancelled { .. }))));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn cancel_consumer(self) -> Rule {
        self.make(Action::CancelConsumer)
    }

    /// Closes the channel with this code and text, in the place of carrying a client's method out, or
    /// behind the broker's. The text is preceded by the code's name, as always.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let closed = broker.on("basic.qos").close_channel(406, "not today");
    /// let error = channel.qos(10).await.unwrap_err();
    /// assert!(error.to_string().contains("PRECONDITION_FAILED - not today"));
    /// assert!(connection.check_open().is_ok());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close_channel(self, code: u16, text: impl Into<String>) -> Rule {
        self.make(Action::CloseChannel(ReplyCode(code), text.into()))
    }

    /// Closes the connection likewise.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let closed = broker.at_once().close_connection(320, "maintenance");
    /// let error = connection.closed().await.unwrap_err();
    /// assert!(error.to_string().contains("CONNECTION_FORCED - maintenance"));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn close_connection(self, code: u16, text: impl Into<String>) -> Rule {
        self.make(Action::CloseConnection(ReplyCode(code), text.into()))
    }

    /// Offers these limits in the place of the broker's own; for `connection.tune`. Heartbeat in seconds.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// let offer = broker.on("connection.tune").tune(7, 8192, 3);
    /// let connection = Connection::open(&broker.url()).await?;
    /// assert_eq!((connection.channel_max(), connection.frame_max()), (7, 8192));
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn tune(self, channel_max: u16, frame_max: u32, heartbeat: u16) -> Rule {
        self.make(Action::Tune { channel_max, frame_max, heartbeat })
    }

    /// Blocks publishers, as [`Broker::block`](crate::Broker::block) does.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let blocked = broker.on("basic.publish").nth(2).block("low on disk");
    /// for _ in 0..2 {
    ///     assert!(channel.publish("", "q", "m").await?.await.is_confirmed());
    /// }
    /// # let third = channel.publish("", "q", "m").await?;
    /// # blocked.fired(1).await;
    /// // The third waits in the client, or in its socket, until:
    /// let unblocked = broker.at_once().unblock();
    /// # assert!(third.await.is_confirmed());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn block(self, reason: &str) -> Rule {
        let octets = reason.as_bytes();
        let reason = ShortStr::new(&octets[..octets.len().min(ShortStr::MAX_LEN)]);
        self.make(Action::Block(reason.unwrap_or_default()))
    }

    /// Lets them go on.
    #[track_caller]
    pub fn unblock(self) -> Rule {
        self.make(Action::Unblock)
    }

    /// Reads nothing more from the client: until [`Rule::release`]. Like a process that hangs, the broker
    /// doesn't notice meanwhile that the client has gone; when it reads on, it reads to the end.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let deaf = broker.at_once().stop_reading();
    /// channel.publish_unconfirmed("", "q", "m").await?;
    /// broker.settled().await;
    /// assert_eq!(broker.queue("q").unwrap().ready, 0);
    /// deaf.release();
    /// broker.settled().await;
    /// assert_eq!(broker.queue("q").unwrap().ready, 1);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn stop_reading(self) -> Rule {
        self.make(Action::StopReading)
    }

    /// Writes nothing more to the client, heartbeats included, and goes on reading: until
    /// [`Rule::release`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// let mute = broker.at_once().stop_writing();
    /// let confirm = channel.publish("", "q", "m").await?;
    /// broker.settled().await;
    /// // It was carried out, and the client hears nothing of it.
    /// assert_eq!(broker.queue("q").unwrap().ready, 1);
    /// mute.release();
    /// assert!(confirm.await.is_confirmed());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn stop_writing(self) -> Rule {
        self.make(Action::StopWriting)
    }

    /// Neither reads nor writes, and leaves the socket open, as a host does that is gone: until
    /// [`Rule::release`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// # use amqp091_client::ConnectOptions;
    /// # tokio::time::pause();
    /// # drop((channel, connection));
    /// let options = ConnectOptions::from_uri(&broker.url())?.heartbeat(Duration::from_secs(5));
    /// let connection = Connection::connect(&options).await?;
    /// let silent = broker.at_once().go_silent();
    /// // Found out by the heartbeats that don't come.
    /// assert!(connection.closed().await.is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn go_silent(self) -> Rule {
        self.make(Action::Silence)
    }

    /// Turns all bits of the octet at this place of the broker's frame over; 0 is the frame's type, 1 and
    /// 2 the channel, 3 to 6 the size. The last octet if there are fewer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// // The end of the frame isn't the end.
    /// let corrupt = broker.on("queue.declare-ok").corrupt(usize::MAX);
    /// assert!(channel.queue_declare("x").await.is_err());
    /// assert!(connection.closed().await.is_err());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn corrupt(self, octet: usize) -> Rule {
        self.make(Action::Corrupt { octet })
    }

    /// Restarts the broker, as [`Broker::restart`](crate::Broker::restart) does, in the place of carrying
    /// a client's method out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # use amqp091_broker::Broker;
    /// # use amqp091_client::{Connection, Error, Outcome};
    /// # let broker = Broker::start().await?;
    /// # let connection = Connection::open(&broker.url()).await?;
    /// # let channel = connection.channel().await?;
    /// # channel.queue_declare("q").await?;
    /// channel.queue_declare("kept").durable(true).await?;
    /// let restart = broker.on("basic.publish").restart();
    /// assert!(matches!(channel.publish("", "q", "m").await?.await, Outcome::Unknown(_)));
    /// assert!(broker.queue("kept").is_some() && broker.queue("q").is_none());
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn restart(self) -> Rule {
        self.make(Action::Restart)
    }
}
