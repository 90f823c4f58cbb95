//! A peer that doesn't read, one that never stops sending, and bodies larger than any buffer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use amqp091::bytes::Bytes;
use amqp091::protocol::{ToServer, basic, confirm, connection};
use amqp091_client::{ConnectOptions, Connection, Error};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::timeout;

use crate::peer::{Peer, Received, TUNE, connected_by, open_channel, short, with_channel, within};

const PIPE: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn publishing_waits_while_the_peer_does_not_read_and_then_goes_on() {
    within(async {
        const LIMIT: usize = 100_000;
        let options = ConnectOptions::default().output_limit(LIMIT);
        let (connection, mut peer) = connected_by(&options, &TUNE, PIPE).await;
        let channel = open_channel(&connection, &mut peer).await;
        let mut sent = 0_u64;
        let mut confirms = Vec::new();
        let body = |number: u64| number.to_be_bytes().repeat(10);
        loop {
            // With a paused clock this is over only when nothing else is left to do.
            let publish = channel.publish("", "q", body(sent));
            match timeout(Duration::from_secs(1), publish.into_future()).await {
                Ok(confirm) => confirms.push(confirm.unwrap()),
                Err(_) => break,
            }
            sent += 1;
            assert!(sent < 100_000, "publishing never waits");
        }
        let octets = sent as usize * 150;
        // What is being written and what waits to be written, each with one message over its limit.
        assert!(octets < PIPE + 2 * LIMIT + 20_000, "{octets} octets are pending");

        // One that waits when the peer begins to read again.
        let waiting = tokio::spawn({
            let channel = channel.clone();
            async move { channel.publish("", "q", "last").await.unwrap().confirmed().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        peer.expect::<confirm::Select>().await;
        for number in 0..sent {
            // The publish that was given up above was never sent.
            assert_eq!(peer.expect_publish().await.2, body(number));
        }
        assert_eq!(peer.expect_publish().await.2, b"last");
        peer.send(1, &basic::Ack { delivery_tag: 0, multiple: true }).await;
        waiting.await.unwrap().unwrap();
        for confirm in confirms {
            confirm.confirmed().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_each_task_keep_their_order_when_all_wait_for_room() {
    within(async {
        const TASKS: u8 = 64;
        const PER_TASK: u32 = 300;
        let options = ConnectOptions::default().output_limit(2000);
        let (connection, mut peer) = connected_by(&options, &TUNE, 1000).await;
        let channel = open_channel(&connection, &mut peer).await;
        let server = tokio::spawn(async move {
            peer.expect::<confirm::Select>().await;
            let mut next = [0; TASKS as usize];
            for _ in 0..u32::from(TASKS) * PER_TASK {
                let (_, _, body) = peer.expect_publish().await;
                let number = u32::from_be_bytes(body[1..5].try_into().unwrap());
                let next = &mut next[usize::from(body[0])];
                assert_eq!(number, *next);
                *next += 1;
            }
            peer.send(1, &basic::Ack { delivery_tag: 0, multiple: true }).await;
            peer
        });
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    let mut confirms = Vec::new();
                    for number in 0..PER_TASK {
                        let mut body = vec![task];
                        body.extend(number.to_be_bytes());
                        // Giving up and trying again neither loses nor doubles a message.
                        loop {
                            let publish = channel.publish("", "q", &body).into_future();
                            if let Ok(confirm) = timeout(Duration::from_micros(50), publish).await {
                                confirms.push(confirm.unwrap());
                                break;
                            }
                        }
                    }
                    for confirm in confirms {
                        confirm.confirmed().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        server.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_body_of_64_mib_lets_the_frames_of_other_channels_through() {
    within(async {
        const BODY: usize = 64 * 1024 * 1024;
        let (connection, mut peer) = connected_by(&ConnectOptions::default(), &TUNE, PIPE).await;
        let big = open_channel(&connection, &mut peer).await;
        let small = open_channel(&connection, &mut peer).await;
        let (consumer, (number, tag)) =
            tokio::join!(async { small.consume("q").await }, peer.consume());
        let mut consumer = consumer.unwrap();
        for delivery_tag in 1..=1000 {
            peer.deliver(number, &tag, delivery_tag, b"message");
        }
        peer.flush().await;
        let numbers: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_be_bytes).collect();
        let body = Bytes::from(numbers.repeat(BODY / numbers.len()));
        let confirm = big.publish("", "big", body.clone()).await.unwrap();

        peer.expect::<confirm::Select>().await;
        peer.expect::<basic::Publish>().await;
        assert!(matches!(peer.read().await, Some((1, Received::Header { .. }))));
        let mut octets = 0_usize;
        // How many octets of the body had come when the last message was acknowledged.
        let mut acked_at = None;
        let mut acks = 0;
        while octets < BODY {
            if acked_at.is_none() {
                consumer.next().await.unwrap().unwrap().ack().unwrap();
                acked_at = Some(octets);
            }
            match peer.read().await.unwrap() {
                (1, Received::Body(piece)) => {
                    assert!(piece.len() <= TUNE.frame_max as usize - 8);
                    assert!(piece == body[octets..octets + piece.len()]);
                    octets += piece.len();
                }
                (2, Received::Method(ToServer::BasicAck(_))) => {
                    acks += 1;
                    let waited = octets - acked_at.take().unwrap();
                    assert!(waited <= 1024 * 1024, "waited for {waited} octets");
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        assert!(acks >= 64, "{acks}");
        peer.send(1, &basic::Ack { delivery_tag: 1, multiple: false }).await;
        confirm.confirmed().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_holds_publishes_back_and_nothing_else() {
    within(async {
        let (connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        peer.send(0, &connection::Blocked { reason: short("low on memory") }).await;
        while connection.blocked().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(connection.blocked().unwrap(), "low on memory");
        let began = Arc::new(());
        let publish = tokio::spawn({
            let channel = channel.clone();
            let begins = Arc::clone(&began);
            async move {
                let publish = channel.publish("", "q", "message");
                drop(begins);
                publish.await.unwrap().confirmed().await
            }
        });
        while Arc::strong_count(&began) > 1 {
            tokio::task::yield_now().await;
        }
        let (qos, ()) = tokio::join!(async { channel.qos(1).await }, async {
            // The first frame since: the message isn't among them.
            peer.expect::<basic::Qos>().await;
            peer.send(1, &basic::QosOk {}).await;
        });
        qos.unwrap();
        // Longer than every deadline: none of them runs meanwhile.
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert!(!publish.is_finished());
        peer.send(0, &connection::Unblocked {}).await;
        peer.expect::<confirm::Select>().await;
        assert_eq!(peer.expect_publish().await.2, b"message");
        peer.send(1, &basic::Ack { delivery_tag: 1, multiple: false }).await;
        publish.await.unwrap().unwrap();
        assert!(connection.blocked().is_none());
    })
    .await;
}

/// A transport that has always something to read, once it is opened: heartbeats. It ends after a time
/// that no test needs.
#[derive(Debug)]
struct Torrent {
    pipe: DuplexStream,
    open: Arc<AtomicBool>,
    end: Instant,
    /// Whether it makes room for other tasks, as tokio's own sockets do.
    cooperative: bool,
    /// How much of a heartbeat is read.
    at: usize,
}

impl AsyncRead for Torrent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.open.load(Ordering::Relaxed) || Instant::now() > self.end {
            return Pin::new(&mut self.pipe).poll_read(cx, buf);
        }
        if self.cooperative {
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
        }
        let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
        // Little at a time, so that what is read doesn't take long by itself.
        let stop = buf.remaining().saturating_sub(2000);
        while buf.remaining() > stop {
            let rest = &heartbeat[self.at..];
            let count = rest.len().min(buf.remaining() - stop);
            buf.put_slice(&rest[..count]);
            self.at = (self.at + count) % heartbeat.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Torrent {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

async fn deadlines_hold_in_a_torrent(cooperative: bool) {
    let (client, server) = tokio::io::duplex(PIPE);
    let mut peer = Peer::new(server);
    let open = Arc::new(AtomicBool::new(false));
    let end = Instant::now() + Duration::from_secs(20);
    let torrent = Torrent { pipe: client, open: Arc::clone(&open), end, cooperative, at: 0 };
    let options = ConnectOptions::default().rpc_timeout(Duration::from_millis(100));
    let (connection, _) =
        tokio::join!(Connection::connect_over(torrent, &options), peer.handshake(&TUNE));
    let connection = connection.unwrap();
    let channel = open_channel(&connection, &mut peer).await;
    open.store(true, Ordering::Relaxed);
    let error = channel.queue_declare("q").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { method: "queue.declare", .. }), "{error}");
    assert!(Instant::now() < end, "the deadline had to wait for the end of the torrent");
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_does_not_hold_up_deadlines() {
    within(deadlines_hold_in_a_torrent(true)).await;
}

#[tokio::test]
async fn a_transport_that_is_always_ready_does_not_hold_up_deadlines() {
    within(deadlines_hold_in_a_torrent(false)).await;
}
