//! Credentials that are asked for: at each connection, and again before they expire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use amqp091::protocol::connection;
use amqp091_client::{
    ConnectError, ConnectOptions, Connection, ConnectionEvent, Credentials, Error, HostOrder,
    Initiator, Stage,
};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::peer::{Peer, TUNE, within};

const HOUR: Duration = Duration::from_secs(3600);

/// Options whose provider gives token 1, 2, 3, each good for an hour; and how many it has given.
fn counting() -> (ConnectOptions, Arc<AtomicU32>) {
    let given = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&given);
    let options = ConnectOptions::default().credentials_provider(move || {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            // As over a network.
            sleep(Duration::from_millis(20)).await;
            let credentials = Credentials::new("app", format!("token {number}"));
            Ok::<_, std::io::Error>(credentials.valid_for(HOUR))
        }
    });
    (options, given)
}

/// A connection, and what it logged in with.
async fn connected(options: &ConnectOptions) -> (Connection, Peer<DuplexStream>, String) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let mut peer = Peer::new(server);
    let serve = async {
        let start_ok = peer.start().await;
        peer.tune(&TUNE).await;
        peer.send(0, &connection::OpenOk {}).await;
        String::from_utf8_lossy(start_ok.response.as_bytes()).into_owned()
    };
    let (connection, login) = tokio::join!(Connection::connect_over(client, options), serve);
    (connection.unwrap(), peer, login)
}

#[tokio::test(start_paused = true)]
async fn each_connection_asks_and_sends_new_ones_before_they_expire() {
    let (options, given) = counting();
    let (connection, mut peer, login) = connected(&options).await;
    assert_eq!(login, "\0app\0token 1");
    let mut events = connection.events();
    for number in 2..=4 {
        let began = Instant::now();
        let (_, update) = peer.expect::<connection::UpdateSecret>().await;
        assert_eq!(update.new_secret.as_bytes(), format!("token {number}").as_bytes());
        assert_eq!(began.elapsed().as_secs(), HOUR.as_secs() / 5 * 4);
        peer.send(0, &connection::UpdateSecretOk {}).await;
        while !matches!(events.next().await, Some(ConnectionEvent::CredentialsRefreshed)) {}
    }
    let (_other, _other_peer, login) = connected(&options).await;
    assert_eq!(login, "\0app\0token 5");
    assert_eq!(given.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_tried_again() {
    let asked = AtomicU32::new(0);
    let options = ConnectOptions::default().credentials_provider(move || {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                1 => Err("the vault is sealed"),
                // It hangs, and is given up after the time of a call.
                2 => std::future::pending().await,
                _ => Ok(Credentials::new("app", "token").valid_for(HOUR)),
            }
        }
    });
    let (connection, mut peer, _) = connected(&options).await;
    let mut events = connection.events();
    let mut problems = Vec::new();
    let update = peer.expect::<connection::UpdateSecret>();
    tokio::pin!(update);
    loop {
        tokio::select! {
            event = events.next() => {
                if let Some(ConnectionEvent::CredentialsNotRefreshed { problem, retry_in }) = event {
                    assert_eq!(retry_in, Some(Duration::from_secs(60)));
                    problems.push(problem.to_string());
                }
            }
            _ = &mut update => break,
        }
    }
    assert_eq!(problems, ["the vault is sealed", "the provider takes too long"]);
    connection.check_open().unwrap();
}

async fn refused(options: &ConnectOptions) -> ConnectError {
    let (client, mut server) = tokio::io::duplex(1024);
    let error = Connection::connect_over(client, options).await.unwrap_err();
    let octets = tokio::io::AsyncReadExt::read(&mut server, &mut [0; 8]).await.unwrap();
    assert_eq!(octets, 0, "something was sent");
    match error {
        Error::Connect(error) => error,
        other => panic!("expected an error of connecting: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_credentials_there_is_no_connection() {
    let none = || async { Err::<Credentials, _>("the vault is sealed") };
    let options = ConnectOptions::default().credentials_provider(none);
    let error = refused(&options).await;
    assert_eq!(error.to_string(), "no credentials: the vault is sealed");
    assert_eq!(Error::from(error).initiator(), Initiator::User);

    let odd = || async { Ok::<_, std::io::Error>(Credentials::new("a\0b", "s3cret")) };
    let error = refused(&options.clone().credentials_provider(odd)).await;
    assert!(error.to_string().ends_with("must not contain NUL"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));

    let hangs = std::future::pending::<Result<Credentials, std::io::Error>>;
    let error = refused(&options.credentials_provider(hangs)).await;
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Credentials, .. }), "{error}");
}

#[tokio::test]
async fn ones_that_expire_while_hosts_are_tried_are_asked_for_again() {
    within(async {
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let options = ConnectOptions::default()
            .hosts([hanging.local_addr().unwrap(), listener.local_addr().unwrap()])
            .host_order(HostOrder::Listed)
            .attempt_timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_millis(600))
            .credentials_provider(move || {
                let number = count.fetch_add(1, Ordering::Relaxed);
                let credentials = Credentials::new("app", format!("token {number}"));
                let credentials = match number {
                    // The first host takes half of the time.
                    0 => credentials.valid_for(Duration::from_millis(200)),
                    _ => credentials,
                };
                async { Ok::<_, std::io::Error>(credentials) }
            });
        let serve = async {
            let mut peer = Peer::new(listener.accept().await.unwrap().0);
            peer.start().await.response
        };
        let (_, response) = tokio::join!(Connection::connect(&options), serve);
        assert_eq!(response.as_bytes(), b"\0app\0token 1");
    })
    .await;
}

#[test]
fn secrets_are_not_shown() {
    let credentials = Credentials::new("app", "s3cret").valid_for(HOUR);
    let shown = format!("{credentials:?}");
    assert!(shown.contains("app") && !shown.contains("s3cret"), "{shown}");
    let (options, _) = counting();
    assert!(format!("{options:?}").contains("(a provider)"));
}
