//! Where a test runs, and what every test needs there.

use std::env;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqp091::protocol::method_name;
use amqp091_broker::{Broker, Profile};
use amqp091_client::{Channel, CloseReason, ConnectOptions, Connection, Error};
use tokio::runtime::Builder;

/// Far beyond what anything here takes: it only ends tests that hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Makes two tests of one body: `embedded`, with brokers in this process, and `rabbitmq`, which is left out
/// unless it is asked for, with the RabbitMQ of `AMQP091_TEST_URL`. The body is run by this thread alone; for
/// `threads`, by several; for `blocking`, without a runtime.
macro_rules! everywhere {
    ($body:ident) => {
        everywhere!($body, one_thread);
    };
    ($body:ident, $runner:ident) => {
        mod $body {
            #[test]
            fn embedded() {
                crate::place::embedded(crate::place::$runner(super::$body));
            }

            #[test]
            #[ignore = "needs RabbitMQ: run scripts/test"]
            fn rabbitmq() {
                crate::place::rabbitmq(crate::place::$runner(super::$body));
            }
        }
    };
}

/// Makes a test of a body that needs what RabbitMQ alone has.
macro_rules! rabbitmq_alone {
    ($body:ident) => {
        mod $body {
            #[test]
            #[ignore = "needs RabbitMQ: run scripts/test"]
            fn rabbitmq() {
                crate::place::rabbitmq(crate::place::one_thread(super::$body));
            }
        }
    };
}

/// Which broker a body is run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// One in this process, of the test's own.
    Embedded(Profile),
    /// The one of `AMQP091_TEST_URL`, which other tests use meanwhile.
    RabbitMq,
}

/// A broker, and which one it behaves like.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) profile: Profile,
    /// The broker itself, where it is in this process.
    pub(crate) broker: Option<Broker>,
}

/// Runs a body twice: on a broker that behaves like RabbitMQ 3.10, and on one like 4.
pub(crate) fn embedded(run: impl Fn(Kind)) {
    for profile in [Profile::V3_10, Profile::V4] {
        // The output of a failed test tells which one it was.
        println!("on a broker in this process, as {profile:?}");
        run(Kind::Embedded(profile));
    }
}

pub(crate) fn rabbitmq(run: impl Fn(Kind)) {
    run(Kind::RabbitMq);
}

pub(crate) fn one_thread(body: impl AsyncFn(&Place)) -> impl Fn(Kind) {
    on(Builder::new_current_thread, body)
}

pub(crate) fn threads(body: impl AsyncFn(&Place)) -> impl Fn(Kind) {
    on(Builder::new_multi_thread, body)
}

fn on(builder: impl Fn() -> Builder, body: impl AsyncFn(&Place)) -> impl Fn(Kind) {
    move |kind| {
        builder().enable_all().build().unwrap().block_on(async {
            let place = Place::start(kind).await;
            tokio::time::timeout(DEADLINE, pin!(body(&place))).await.expect("this takes too long");
        });
    }
}

pub(crate) fn blocking(body: impl Fn(&Place)) -> impl Fn(Kind) {
    move |kind| {
        // For the broker alone.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let place = runtime.block_on(Place::start(kind));
        body(&place);
    }
}

impl Place {
    async fn start(kind: Kind) -> Self {
        let Kind::Embedded(profile) = kind else {
            let url = env::var("AMQP091_TEST_URL")
                .expect("AMQP091_TEST_URL is not set: scripts/test starts a RabbitMQ and sets it");
            return Self { url, profile: Profile::V3_10, broker: None };
        };
        let broker = Broker::builder().profile(profile).start().await.unwrap();
        Self { url: broker.url(), profile, broker: Some(broker) }
    }

    pub(crate) fn is_4(&self) -> bool {
        self.profile == Profile::V4
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        ConnectOptions::from_uri(&self.url).unwrap()
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::connect(&self.options()).await.unwrap()
    }

    pub(crate) async fn open(&self) -> (Connection, Channel) {
        let connection = self.connect().await;
        let channel = connection.channel().await.unwrap();
        (connection, channel)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap()
    }
}

/// A queue of this connection alone, named by the server.
pub(crate) async fn queue(channel: &Channel) -> String {
    let declared = channel.queue_declare("").exclusive(true).await.unwrap();
    declared.queue.to_str().unwrap().to_owned()
}

/// How many messages are ready in a queue.
pub(crate) async fn ready(channel: &Channel, queue: &str) -> u32 {
    channel.queue_declare(queue).passive(true).await.unwrap().message_count
}

/// A name that nothing else on the broker has, in this run or another.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("amqp091-test-{what}-{now}-{number}")
}

/// Tries again until there is an answer: for what a broker does when it comes to it.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(answer) = attempt().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The code and failing method of what the server closed, and whether that was a channel.
pub(crate) fn server_error(error: &Error) -> (u16, Option<&'static str>, bool) {
    let is_channel = matches!(error, Error::ChannelClosed { .. });
    let Some(CloseReason::ByServer(close)) = error.close_reason() else {
        panic!("expected something that the server closed: {error}")
    };
    (close.code.0, close.method.and_then(method_name), is_channel)
}
