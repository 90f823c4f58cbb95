//! Connection events as a stream, next to the connection that they are of.

use std::sync::Arc;

use amqp091::protocol::connection;
use amqp091_client::{CloseReason, ConnectOptions, ConnectionEvent};

use crate::peer::{connected, short, within};

#[tokio::test]
async fn a_task_that_follows_a_connection_ends_with_it() {
    within(async {
        let (connection, mut peer) = connected(&ConnectOptions::default()).await;
        let mut events = connection.events();
        let follower = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(event) = events.next().await {
                told.push(event);
            }
            told
        });
        peer.method(0, &connection::Blocked { reason: short("memory") });
        peer.send(0, &connection::Unblocked {}).await;
        let mut probe = connection.events();
        while !matches!(probe.next().await, Some(ConnectionEvent::Unblocked)) {}
        // The streams keep no connection open: this was its last handle.
        drop(connection);
        peer.until_closed().await;
        let told = follower.await.unwrap();
        let [connected, blocked, unblocked, closed] = &told[..] else { panic!("{told:?}") };
        assert!(matches!(connected, ConnectionEvent::Connected), "{told:?}");
        let ConnectionEvent::Blocked { reason } = blocked else { panic!("{told:?}") };
        assert_eq!(reason, "memory");
        assert!(matches!(unblocked, ConnectionEvent::Unblocked), "{told:?}");
        let ConnectionEvent::Closed { reason } = closed else { panic!("{told:?}") };
        assert!(matches!(**reason, CloseReason::Dropped), "{told:?}");
    })
    .await;
}

#[test]
fn what_is_left_may_be_read_outside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut events, connection) = runtime.block_on(async {
        let (connection, peer) = connected(&ConnectOptions::default()).await;
        drop(peer);
        let _ = connection.closed().await;
        (connection.events(), Arc::new(connection))
    });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let told = other.block_on(async { [events.next().await, events.next().await] });
    let [Some(ConnectionEvent::Connected), Some(ConnectionEvent::Closed { reason })] = told else {
        panic!("{told:?}")
    };
    assert!(matches!(*reason, CloseReason::Eof | CloseReason::Io(_)), "{reason}");
    assert!(other.block_on(events.next()).is_none());
    drop(connection);
}
