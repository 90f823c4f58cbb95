//! What is told by the `tracing` crate, and what never is.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once};

use amqp091::protocol::{basic, channel, confirm, connection, queue};
use amqp091_client::{ConnectOptions, FieldTable, Properties, ReplyCode, ShortStr};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::peer::{open_channel, short, with_channel, within};

thread_local! {
    static LISTENER: RefCell<Option<Arc<dyn Subscriber + Send + Sync>>> = const { RefCell::new(None) };
}

/// Hands on what a thread tells to that thread's listener. Being everybody's, it makes no difference
/// which thread comes by some place first, as that counts for subscribers of single threads.
struct Router;

impl Subscriber for Router {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "amqp091_client"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let listener = LISTENER.with_borrow(Clone::clone);
        listener.map_or_else(|| Id::from_u64(1), |listener| listener.new_span(span))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let listener = LISTENER.with_borrow(Clone::clone);
        if let Some(listener) = listener {
            listener.event(event);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// From now on this thread tells `listener`.
fn listen(listener: impl Subscriber + Send + Sync) {
    static ROUTER: Once = Once::new();
    ROUTER.call_once(|| tracing::subscriber::set_global_default(Router).unwrap());
    LISTENER.set(Some(Arc::new(listener)));
}

/// Keeps all that is told, in words.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<String>>>);

impl Capture {
    fn names(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let first = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        told.iter().map(first).collect()
    }
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "amqp091_client"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut words = Words(span.metadata().name().to_owned());
        span.record(&mut words);
        self.0.lock().unwrap().push(words.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(event.metadata().name().to_owned());
        event.record(&mut words);
        self.0.lock().unwrap().push(words.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

const SECRET: &str = "s3cret";

#[tokio::test]
async fn a_connections_life_is_told_without_its_secrets() {
    let capture = Capture::default();
    listen(capture.clone());
    within(async {
        let options = ConnectOptions::default().credentials("user", SECRET).virtual_host("orders");
        let (connection, channel, mut peer) = with_channel(&options).await;

        let (consumer, consumed) = tokio::join!(channel.consume("q"), peer.consume());
        let (_, tag) = consumed;
        let mut headers = FieldTable::new();
        headers.insert(ShortStr::from_static("x-secret"), SECRET);
        let properties =
            Properties::default().with_headers(headers).with_correlation_id(short(SECRET));
        let publish = channel.publish("", "nowhere", SECRET).properties(&properties);
        let returned = publish.mandatory(true).await.unwrap();
        let nacked = channel.publish("", "full", SECRET).await.unwrap();
        peer.expect::<confirm::Select>().await;
        peer.expect_publish().await;
        peer.expect_publish().await;
        peer.deliver(1, &tag, 1, SECRET.as_bytes());
        let (reply_code, reply_text) = (ReplyCode::NO_ROUTE, short("NO_ROUTE"));
        let (exchange, routing_key) = (ShortStr::empty(), short("nowhere"));
        peer.method(1, &basic::Return { reply_code, reply_text, exchange, routing_key });
        peer.content(1, SECRET.len(), SECRET.as_bytes());
        peer.method(1, &basic::Ack { delivery_tag: 1, multiple: false });
        peer.method(1, &basic::Nack { delivery_tag: 2, multiple: false, requeue: false });
        peer.method(0, &connection::Blocked { reason: short("low on memory") });
        peer.method(0, &connection::Unblocked {});
        peer.method(1, &basic::Cancel { consumer_tag: tag.clone(), no_wait: true });
        peer.flush().await;
        let _ = (returned.await, nacked.await);
        let mut consumer = consumer.unwrap();
        let _ = consumer.next().await.unwrap().unwrap().ack();
        assert!(consumer.next().await.unwrap().is_err());
        peer.expect::<basic::Ack>().await;

        peer.close_channel(1).await;
        peer.expect::<channel::CloseOk>().await;
        let (reopened, _) = tokio::join!(channel.reopen(), peer.open_channel());
        reopened.unwrap();
        let secret = connection.clone();
        let update = tokio::spawn(async move { secret.update_secret(SECRET, "expired").await });
        peer.expect::<connection::UpdateSecret>().await;
        peer.send(0, &connection::UpdateSecretOk {}).await;
        update.await.unwrap().unwrap();
        let other = open_channel(&connection, &mut peer).await;
        let closing = async {
            peer.expect::<channel::Close>().await;
            peer.send(2, &channel::CloseOk {}).await;
        };
        let (closed, ()) = tokio::join!(other.close(), closing);
        closed.unwrap();
        let close = connection::Close {
            reply_code: ReplyCode::CONNECTION_FORCED,
            reply_text: short("enough"),
            ..Default::default()
        };
        peer.send(0, &close).await;
        connection.closed().await.unwrap_err();
    })
    .await;
    let expected = [
        "amqp.connect",
        "amqp.connection.tuned",
        "amqp.connection.opened",
        "amqp.channel.opened",
        "amqp.consumer.started",
        "amqp.message.returned",
        "amqp.message.nacked",
        "amqp.connection.blocked",
        "amqp.connection.unblocked",
        "amqp.consumer.lost",
        "amqp.channel.failed",
        "amqp.channel.reopened",
        "amqp.channel.opened",
        "amqp.channel.closed",
        "amqp.connection.lost",
    ];
    assert_eq!(capture.names(), expected);
    let told = capture.0.lock().unwrap().join("\n");
    assert!(!told.contains(SECRET), "{told}");
    for words in [
        "virtual_host=\"orders\"",
        "code=404",
        "code=312 exchange=\"\" routing_key=\"nowhere\"",
        "reason=\"low on memory\"",
        "reason=closed by the server: 320",
    ] {
        assert!(told.contains(words), "{words} isn't in\n{told}");
    }
}

/// A subscriber that uses the connection that it is told of, as one that ships logs by it.
struct Nosy(Mutex<Option<amqp091_client::Connection>>, Arc<Mutex<u32>>);

impl Subscriber for Nosy {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "amqp091_client"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let connection = self.0.lock().unwrap().take();
        if let Some(connection) = &connection {
            let _ = connection.counters();
            *self.1.lock().unwrap() += 1;
        }
        *self.0.lock().unwrap() = connection;
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn whoever_listens_may_use_the_connection() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let count = Arc::new(Mutex::new(0));
        let nosy = Nosy(Mutex::new(Some(connection.clone())), Arc::clone(&count));
        listen(nosy);
        let _consumer = tokio::join!(channel.consume("q"), peer.consume()).0.unwrap();
        let declare = tokio::spawn({
            let channel = channel.clone();
            async move { channel.queue_declare("q").await }
        });
        peer.expect::<queue::Declare>().await;
        peer.close_channel(1).await;
        declare.await.unwrap().unwrap_err();
        assert_eq!(*count.lock().unwrap(), 2);
    })
    .await;
}
