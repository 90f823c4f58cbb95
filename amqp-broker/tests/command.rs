//! The command, started and stopped as from a shell.
#![cfg(all(unix, feature = "cli"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use amqp091_client::{CloseReason, ConnectOptions, Connection, Error};

/// One that runs; it is killed where a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amqp091-broker"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

impl Running {
    /// Started, and its first URL.
    fn new(arguments: &[&str]) -> (Self, String) {
        let mut child = command(arguments).spawn().unwrap();
        let mut line = String::new();
        // Not beyond the line: the rest is for `rest`.
        let mut out = BufReader::with_capacity(1, child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        child.stdout = Some(out.into_inner());
        (Self(child), line.trim_end().to_owned())
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end: the status, and what else it has said.
    fn end(mut self) -> (ExitStatus, String, String) {
        let (mut out, mut log) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap(), out, log)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn prints_its_url_logs_connections_and_stops_cleanly_on_a_signal() {
    for signal in ["INT", "TERM"] {
        let (broker, url) = Running::new(&["--port", "0"]);
        assert!(url.starts_with("amqp://guest:guest@127.0.0.1:"), "{url}");
        let options = ConnectOptions::from_uri(&url).unwrap().connection_name("shop".to_owned());
        let connection = Connection::connect(&options).await.unwrap();
        let channel = connection.channel().await.unwrap();
        channel.queue_declare("q").await.unwrap();
        channel.publish("", "q", "m").await.unwrap().confirmed().await.unwrap();
        broker.signal(signal);
        let Error::ConnectionClosed(reason) = connection.closed().await.unwrap_err() else {
            panic!("no reason");
        };
        assert!(matches!(&*reason, CloseReason::ByServer { .. }), "{reason:?}");
        let said = reason.to_string();
        assert!(said.contains("CONNECTION_FORCED - broker forced connection closure"), "{said}");
        let (status, out, log) = broker.end();
        assert_eq!((status.code(), out.as_str()), (Some(0), ""));
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        for (line, what) in lines.iter().zip(["opened", "closed"]) {
            assert!(line.contains(what) && line.contains("shop"), "{line}");
        }
        assert!(!log.contains("guest:guest"), "{log}");
    }
}

#[test]
fn a_signal_may_come_as_soon_as_the_url_is_there() {
    for _ in 0..5 {
        let (broker, _) = Running::new(&["--port", "0", "--quiet"]);
        broker.signal("TERM");
        let (status, out, log) = broker.end();
        assert_eq!((status.code(), out.as_str(), log.as_str()), (Some(0), "", ""));
    }
}

#[test]
fn a_port_that_is_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(&["--port", &port]);
    assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(1), ""));
    let said = text(&ended.stderr);
    assert!(said.contains(&format!("can't listen on 127.0.0.1:{port}: ")), "{said}");
}

#[tokio::test]
async fn users_virtual_hosts_product_and_limits_are_as_asked_for() {
    let (broker, url) = Running::new(&[
        "--port=0",
        "--bind=127.0.0.1",
        "--bind=::",
        "--user=carl:a:b",
        "--user=guest:secret",
        "--vhost=other",
        "--profile=3.10",
        "--product=Rabbit",
        "--product-version=3.9.1",
        "--frame-max=8192",
        "--channel-max=3",
        "--heartbeat=7",
        "--max-body=10",
        "--memory-limit=1000000",
        "--max-connections=1",
        "--max-queues=1",
    ]);
    // Not with a password that isn't the default.
    assert!(url.starts_with("amqp://127.0.0.1:"), "{url}");
    let authority = url.strip_prefix("amqp://").unwrap().strip_suffix("/%2f").unwrap().to_owned();
    Connection::open(&format!("amqp://guest:guest@{authority}/%2f")).await.unwrap_err();
    let url = format!("amqp://carl:a%3Ab@{authority}/other");
    let connection = Connection::open(&url).await.unwrap();
    assert_eq!((connection.frame_max(), connection.channel_max()), (8192, 3));
    assert_eq!(connection.heartbeat().as_secs(), 7);
    let properties = connection.server_properties();
    let text_of = |name| properties.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    assert_eq!(text_of("product").as_deref(), Some("Rabbit"));
    assert_eq!(text_of("version").as_deref(), Some("3.9.1"));
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("1").await.unwrap();
    channel.publish("", "1", vec![0; 11]).await.unwrap().confirmed().await.unwrap_err();
    Connection::open(&url).await.unwrap_err();
    let channel = connection.channel().await.unwrap();
    channel.queue_declare("2").await.unwrap_err();
    broker.signal("TERM");
    connection.closed().await.unwrap_err();
    let (status, out, _) = broker.end();
    // The URL of the second address.
    assert_eq!(status.code(), Some(0));
    assert!(out.starts_with("amqp://[::1]:") && out.lines().count() == 1, "{out}");
}

#[cfg(feature = "tls-ring")]
#[path = "../../amqp-client/tests/tls/certificates.rs"]
#[allow(dead_code, reason = "the client's tests need more of it")]
mod certificates;

#[cfg(feature = "tls-ring")]
#[tokio::test]
async fn it_listens_for_tls_with_a_certificate() {
    use amqp091_client::TlsOptions;
    use certificates::{Authority, Issued};

    let authority = Authority::new("CA");
    let Issued { certificate, key } = authority.server(&["localhost"]);
    let folder = std::env::temp_dir().join(format!("amqp091-broker-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [certificate, key] = [("certificate", certificate), ("key", key)].map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        format!("--tls-{name}={}", path.display())
    });
    let (mut broker, _) = Running::new(&["--port=0", "--tls-port=0", &certificate, &key]);
    std::fs::remove_dir_all(folder).unwrap();
    let mut url = String::new();
    let mut out = BufReader::with_capacity(1, broker.0.stdout.take().unwrap());
    out.read_line(&mut url).unwrap();
    broker.0.stdout = Some(out.into_inner());
    assert!(url.starts_with("amqps://guest:guest@localhost:"), "{url}");
    let tls = TlsOptions::new().ca_pem(authority.certificate.clone());
    let options = ConnectOptions::from_uri(url.trim_end()).unwrap().tls(tls);
    let connection = Connection::connect(&options).await.unwrap();
    broker.signal("TERM");
    connection.closed().await.unwrap_err();
    assert_eq!(broker.end().0.code(), Some(0));
    let ended = run(&["--port=0", "--tls-certificate=/nowhere", "--tls-key=/nowhere"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("can't read /nowhere"));
    assert_eq!(run(&["--tls-key=/nowhere"]).status.code(), Some(2));
}

#[test]
fn help_says_what_it_is_not_for_and_nonsense_is_refused() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for part in ["Not for production", "--port", "--bind", "--user", "--vhost", "--profile"] {
        assert!(help.contains(part), "{help}");
    }
    for wrong in [
        &["--port", "70000"][..],
        &["--user", "carl"],
        &["--user", ":secret"],
        &["--bind", "nowhere"],
        &["--profile", "2"],
        &["--frame-max", "7"],
        &["more"],
    ] {
        let ended = run(wrong);
        assert_eq!((ended.status.code(), text(&ended.stdout).as_str()), (Some(2), ""), "{wrong:?}");
        assert!(!ended.stderr.is_empty());
    }
}
