//! What the client tells by the `tracing` crate; without the feature, nothing of it is left.
//!
//! Subscribers are foreign code, which may use the very connection that it is told of: so the core only
//! notes what happens, and the shell tells it outside its lock.

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::Events;
#[cfg(feature = "tracing")]
pub(crate) use self::on::Events;

use std::sync::Arc;
use std::time::Duration;

use amqp091::protocol::{ReplyCode, basic};
use amqp091::types::ShortStr;

use crate::error::CloseReason;

/// Something that is worth telling. The table in [`crate::tracing_events`] says what each is.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "there is nobody to tell"))]
pub(crate) enum Event {
    Tuned { channel_max: u16, frame_max: u32, heartbeat: Duration },
    Opened { virtual_host: String },
    Blocked { reason: ShortStr },
    Unblocked { after: Duration },
    Ended { reason: Arc<CloseReason> },
    HeartbeatMissed { silence: Duration },
    ChannelOpened { channel: u16 },
    ChannelReopened { channel: u16, restored: usize, failed: usize },
    ChannelEnded { channel: u16, reason: Arc<CloseReason> },
    ConsumerStarted { channel: u16, tag: ShortStr },
    ConsumerEnded { channel: u16, tag: ShortStr, by_server: bool },
    Returned { channel: u16, code: ReplyCode, exchange: ShortStr, routing_key: ShortStr },
    Nacked { channel: u16, delivery_tag: u64, multiple: bool },
    Overdue { channel: u16, count: u64 },
    WindowDropped { channel: u16, failed: usize, outstanding: usize },
}

impl Event {
    /// A message that came back.
    pub(crate) fn returned(channel: u16, method: &basic::Return) -> Self {
        let basic::Return { reply_code, exchange, routing_key, .. } = method;
        let (exchange, routing_key) = (exchange.clone(), routing_key.clone());
        Self::Returned { channel, code: *reply_code, exchange, routing_key }
    }
}

/// Runs `future` in the span of connecting.
#[cfg(feature = "tracing")]
pub(crate) fn connecting<F: Future>(future: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument;
    future.instrument(tracing::info_span!(target: "amqp091_client", "amqp.connect"))
}

/// Without `tracing` there are no spans.
#[cfg(not(feature = "tracing"))]
pub(crate) fn connecting<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future
}

/// The TLS session stands.
#[cfg(feature = "tls")]
pub(crate) fn tls_established(host: &str) {
    #[cfg(feature = "tracing")]
    tracing::event!(
        name: "amqp.tls.established",
        target: "amqp091_client",
        tracing::Level::DEBUG,
        host,
    );
    #[cfg(not(feature = "tracing"))]
    let _ = host;
}

#[cfg(not(feature = "tracing"))]
mod off {
    use super::Event;

    /// Events that nobody hears of.
    #[derive(Debug)]
    pub(crate) struct Events;

    impl Events {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn note(&self, _: impl FnOnce() -> Event) {}

        #[inline]
        pub(crate) const fn is_empty(&self) -> bool {
            true
        }

        #[inline]
        pub(crate) const fn take(&self) -> Self {
            Self
        }

        #[inline]
        pub(crate) const fn tell(self) {}
    }
}

#[cfg(feature = "tracing")]
mod on {
    use std::sync::atomic::{AtomicU64, Ordering};

    use amqp091::protocol::ReplyCode;
    use amqp091::types::ShortStr;
    use tracing::level_filters::LevelFilter;
    use tracing::{Level, event};

    use super::Event;
    use crate::error::{CloseReason, Initiator};

    /// Events that are still to be told.
    #[derive(Debug)]
    pub(crate) struct Events {
        connection: u64,
        queue: Vec<Event>,
    }

    impl Events {
        pub(crate) fn new() -> Self {
            static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
            let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
            Self { connection, queue: Vec::new() }
        }

        /// Notes an event, if anybody listens at all.
        #[inline]
        pub(crate) fn note(&mut self, event: impl FnOnce() -> Event) {
            if LevelFilter::current() > LevelFilter::ERROR {
                self.queue.push(event());
            }
        }

        #[inline]
        pub(crate) fn is_empty(&self) -> bool {
            self.queue.is_empty()
        }

        #[inline]
        pub(crate) fn take(&mut self) -> Self {
            Self { connection: self.connection, queue: std::mem::take(&mut self.queue) }
        }

        /// Tells them: not under a lock.
        #[inline]
        pub(crate) fn tell(self) {
            for event in self.queue {
                event.tell(self.connection);
            }
        }
    }

    macro_rules! tell {
        ($level:ident, $name:literal, $connection:ident, $($field:tt)*) => {
            event!(
                name: $name,
                target: "amqp091_client",
                Level::$level,
                connection = $connection,
                $($field)*
            )
        };
    }

    impl Event {
        #[cold]
        fn tell(self, connection: u64) {
            match self {
                Self::Tuned { channel_max, frame_max, heartbeat } => {
                    let heartbeat_s = heartbeat.as_secs();
                    tell!(
                        DEBUG,
                        "amqp.connection.tuned",
                        connection,
                        channel_max,
                        frame_max,
                        heartbeat_s
                    );
                }
                Self::Opened { virtual_host } => {
                    tell!(INFO, "amqp.connection.opened", connection, virtual_host);
                }
                Self::Blocked { reason } => {
                    let reason = text(&reason);
                    tell!(WARN, "amqp.connection.blocked", connection, reason);
                }
                Self::Unblocked { after } => {
                    let blocked_ms = after.as_millis();
                    tell!(INFO, "amqp.connection.unblocked", connection, blocked_ms);
                }
                Self::Ended { reason } => {
                    let (code, by_user) = judge(&reason);
                    let reason = tracing::field::display(reason);
                    if by_user {
                        tell!(INFO, "amqp.connection.closed", connection, reason);
                    } else {
                        tell!(WARN, "amqp.connection.lost", connection, code, reason);
                    }
                }
                Self::HeartbeatMissed { silence } => {
                    let silence_ms = silence.as_millis();
                    tell!(WARN, "amqp.heartbeat.missed", connection, silence_ms);
                }
                Self::ChannelOpened { channel } => {
                    tell!(DEBUG, "amqp.channel.opened", connection, channel);
                }
                Self::ChannelReopened { channel, restored, failed } => {
                    tell!(INFO, "amqp.channel.reopened", connection, channel, restored, failed);
                }
                Self::ChannelEnded { channel, reason } => {
                    let (code, by_user) = judge(&reason);
                    let reason = tracing::field::display(reason);
                    if by_user {
                        tell!(DEBUG, "amqp.channel.closed", connection, channel, reason);
                    } else {
                        tell!(WARN, "amqp.channel.failed", connection, channel, code, reason);
                    }
                }
                Self::ConsumerStarted { channel, tag } => {
                    let consumer_tag = text(&tag);
                    tell!(DEBUG, "amqp.consumer.started", connection, channel, consumer_tag);
                }
                Self::ConsumerEnded { channel, tag, by_server } => {
                    let consumer_tag = text(&tag);
                    if by_server {
                        tell!(WARN, "amqp.consumer.lost", connection, channel, consumer_tag);
                    } else {
                        tell!(DEBUG, "amqp.consumer.cancelled", connection, channel, consumer_tag);
                    }
                }
                Self::Returned { channel, code: ReplyCode(code), exchange, routing_key } => {
                    let (exchange, routing_key) = (text(&exchange), text(&routing_key));
                    tell!(
                        DEBUG,
                        "amqp.message.returned",
                        connection,
                        channel,
                        code,
                        exchange,
                        routing_key
                    );
                }
                Self::Nacked { channel, delivery_tag, multiple } => {
                    tell!(
                        DEBUG,
                        "amqp.message.nacked",
                        connection,
                        channel,
                        delivery_tag,
                        multiple
                    );
                }
                Self::WindowDropped { channel, failed, outstanding } => {
                    tell!(WARN, "amqp.window.dropped", connection, channel, failed, outstanding);
                }
                Self::Overdue { channel, count } => {
                    tell!(WARN, "amqp.confirm.overdue", connection, channel, count);
                }
            }
        }
    }

    /// The server's code, and whether this program began it.
    fn judge(reason: &CloseReason) -> (u16, bool) {
        let code = reason.server_close().map_or(0, |close| close.code.0);
        (code, reason.initiator() == Initiator::User)
    }

    /// On one line, whatever characters it has.
    fn text(text: &ShortStr) -> String {
        text.printable().to_string()
    }
}

#[cfg(all(test, feature = "tracing"))]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::cell::RefCell;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;
    use crate::error::ServerClose;

    /// An event's name and level, and the names of its fields.
    type Told = (String, String, Vec<String>);

    thread_local! {
        static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps all that a thread tells.
    struct Capture;

    struct Names(Vec<String>);

    impl Visit for Names {
        fn record_debug(&mut self, field: &Field, _: &dyn std::fmt::Debug) {
            self.0.push(field.name().to_owned());
        }
    }

    impl Subscriber for Capture {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "amqp091_client"
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut names = Names(Vec::new());
            event.record(&mut names);
            let (name, level) = (event.metadata().name(), event.metadata().level());
            let entry = (name.to_owned(), level.to_string(), names.0);
            TOLD.with_borrow_mut(|told| told.push(entry));
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// The rows of the table in the documentation.
    fn documented() -> Vec<Told> {
        let rows = include_str!("tracing_events.rs").lines().filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix("//! | `")?.split(" | ").collect();
            let [name, level, _, fields] = cells[..] else { return None };
            let fields = fields.trim_end_matches(" |").split(' ');
            let fields = fields.map(|field| field.trim_matches('`').to_owned()).collect();
            Some((name.trim_end_matches('`').to_owned(), level.to_owned(), fields))
        });
        rows.collect()
    }

    #[test]
    fn the_table_in_the_documentation_is_true() {
        let close = ServerClose::new(ReplyCode::NOT_FOUND, ShortStr::empty(), 0, 0);
        let ends = [Arc::new(CloseReason::ByUser), Arc::new(CloseReason::ByServer(close))];
        let (tag, reason) = (ShortStr::empty(), ShortStr::empty());
        let [by_user, by_server] = ends;
        let returned = basic::Return::default();
        let mut events = Events::new();
        tracing::subscriber::set_global_default(Capture).unwrap();
        {
            #[cfg(feature = "tls")]
            tls_established("localhost");
            let all = [
                Event::Tuned { channel_max: 1, frame_max: 1, heartbeat: Duration::ZERO },
                Event::Opened { virtual_host: String::new() },
                Event::Blocked { reason },
                Event::Unblocked { after: Duration::ZERO },
                Event::Ended { reason: Arc::clone(&by_user) },
                Event::Ended { reason: Arc::clone(&by_server) },
                Event::HeartbeatMissed { silence: Duration::ZERO },
                Event::ChannelOpened { channel: 1 },
                Event::ChannelReopened { channel: 1, restored: 0, failed: 0 },
                Event::ChannelEnded { channel: 1, reason: by_user },
                Event::ChannelEnded { channel: 1, reason: by_server },
                Event::ConsumerStarted { channel: 1, tag: tag.clone() },
                Event::ConsumerEnded { channel: 1, tag: tag.clone(), by_server: false },
                Event::ConsumerEnded { channel: 1, tag, by_server: true },
                Event::returned(1, &returned),
                Event::Nacked { channel: 1, delivery_tag: 1, multiple: false },
                Event::Overdue { channel: 1, count: 1 },
                Event::WindowDropped { channel: 1, failed: 1, outstanding: 1 },
            ];
            for event in all {
                events.note(|| event);
            }
            events.take().tell();
            assert!(events.is_empty());
        }
        let told: Vec<_> = TOLD
            .take()
            .into_iter()
            .map(|(name, level, mut fields)| {
                if name != "amqp.tls.established" {
                    assert_eq!(fields.remove(0), "connection", "{name}");
                }
                (name, level, fields)
            })
            .collect();
        let mut documented = documented();
        if cfg!(not(feature = "tls")) {
            documented.remove(0);
        }
        assert_eq!(told, documented);
    }
}
