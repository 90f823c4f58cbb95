//! The broker that the tests run against.

use std::env;
use std::future::Future;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amqp091::protocol::method_name;
use amqp091_client::{Channel, CloseReason, ConnectOptions, Connection, Error};

/// Far beyond what anything here takes: it only ends tests that hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Ends a test that hangs.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("this takes too long")
}

pub(crate) fn options() -> ConnectOptions {
    let url = env::var("AMQP091_TEST_URL").expect(
        "AMQP091_TEST_URL is not set: run these tests by scripts/test, which starts a RabbitMQ for them",
    );
    ConnectOptions::from_uri(&url).unwrap()
}

pub(crate) async fn connect() -> Connection {
    Connection::connect(&options()).await.unwrap()
}

pub(crate) async fn open() -> (Connection, Channel) {
    let connection = connect().await;
    let channel = connection.channel().await.unwrap();
    (connection, channel)
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

/// `rabbitmqctl` on the broker: the one of `scripts/test`, else the one that `scripts/rabbitmq` starts
/// without more.
pub(crate) async fn ctl(arguments: &[&str]) {
    ctl_output(arguments).await;
}

/// As [`ctl`], with what it says.
pub(crate) async fn ctl_output(arguments: &[&str]) -> String {
    ctl_in(env::var("AMQP091_TEST_RABBITMQ_DIR").ok().as_deref(), arguments).await
}

/// The script that starts and controls brokers.
pub(crate) fn script() -> String {
    env::var("AMQP091_TEST_RABBITMQ")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq").to_owned())
}

/// `rabbitmqctl` on the broker of this folder.
pub(crate) async fn ctl_in(dir: Option<&str>, arguments: &[&str]) -> String {
    let mut command = Command::new(script());
    if let Some(dir) = dir {
        command.args(["--dir", dir]);
    }
    command.arg("ctl").args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rabbitmqctl {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A virtual host of one test's own.
pub(crate) async fn virtual_host() -> String {
    let name = unique("vhost");
    ctl(&["add_vhost", &name]).await;
    ctl(&["set_permissions", "-p", &name, "guest", ".*", ".*", ".*"]).await;
    name
}
