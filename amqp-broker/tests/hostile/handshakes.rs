//! Connections that never come to anything.

use std::net::TcpStream as Socket;
use std::time::Duration;

use amqp091::protocol::{confirm, connection, queue};
use amqp091::types::FieldTable;
use amqp091_broker::Broker;
use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::raw::{self, HEADER, Login, Raw, name, start_ok};
use crate::{Bystander, idle};

/// How long a client has for its handshake: RabbitMQ's time.
const PATIENCE: Duration = Duration::from_secs(10);

const MANY: usize = 10_000;

#[tokio::test]
async fn ten_thousand_are_held_open_in_the_handshake() {
    let broker = Broker::builder().without_sockets().manual_time().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    let mut slow = Vec::new();
    for number in 0..MANY {
        let mut client = Raw::new(broker.connect());
        // As far as the header, the login, tuning; or not a word.
        let stage = number % 4;
        if stage > 0 {
            client.write(if stage == 1 { &HEADER[..7] } else { HEADER }).await;
        }
        if stage > 1 {
            client.send(0, &start_ok("PLAIN", "\0guest\0guest")).await;
        }
        if stage > 2 {
            let tune_ok = connection::TuneOk { channel_max: 10, frame_max: 131_072, heartbeat: 0 };
            client.send(0, &tune_ok).await;
        }
        slow.push(client);
    }
    bystander.is_served().await;
    assert_eq!(broker.connections().len(), MANY + 1);
    broker.advance(PATIENCE - Duration::from_millis(1));
    bystander.is_served().await;
    assert_eq!(broker.connections().len(), MANY + 1);
    broker.advance(Duration::from_millis(1));
    for client in &mut slow {
        client.ended().await;
    }
    assert_eq!(broker.connections().len(), 1);
    bystander.is_served().await;
}

#[tokio::test]
async fn an_octet_now_and_then_makes_the_time_no_longer() {
    let broker = Broker::builder().without_sockets().manual_time().start().await.unwrap();
    let mut drip = Raw::new(broker.connect());
    for octet in &HEADER[..7] {
        drip.write(&[*octet]).await;
        broker.settled().await;
        broker.advance(Duration::from_secs(1));
    }
    broker.advance(Duration::from_millis(2_999));
    assert_eq!(broker.connections().len(), 1);
    broker.advance(Duration::from_millis(1));
    drip.ended().await;
}

#[tokio::test]
async fn who_logs_in_in_time_may_stay() {
    let broker = Broker::builder().without_sockets().manual_time().start().await.unwrap();
    let mut client = Raw::new(broker.connect());
    broker.advance(PATIENCE - Duration::from_millis(1));
    client.log_in(Login::default()).await.unwrap();
    broker.advance(PATIENCE * 100);
    client.open_channel(1).await;
}

#[tokio::test]
async fn a_client_that_never_answers_a_close_is_gone_after_a_while() {
    let broker = Broker::builder().without_sockets().manual_time().start().await.unwrap();
    let mut client = Raw::new(broker.connect());
    client.log_in(Login::default()).await.unwrap();
    client.write(&[9, 0, 1, 0, 0, 0, 0, 0xce]).await;
    assert_eq!(client.closed().await.unwrap().0, 501);
    broker.settled().await;
    assert_eq!(broker.connections().len(), 1);
    broker.advance(PATIENCE);
    client.ended().await;
}

#[tokio::test]
async fn ten_thousand_come_and_go() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    for round in 0..MANY / 100 {
        let mut batch = Vec::new();
        for number in 0..100 {
            let mut client = Raw::new(broker.connect());
            match number % 4 {
                0 => {}
                1 => client.write(&HEADER[..3]).await,
                2 => client.write(b"GET / HTTP/1.1\r\n\r\n").await,
                _ => {
                    client.log_in(Login::default()).await.unwrap();
                    client.open_channel(1).await;
                    let declare = queue::Declare {
                        queue: name(&format!("{round}-{number}")),
                        passive: false,
                        durable: false,
                        exclusive: true,
                        auto_delete: false,
                        no_wait: false,
                        arguments: FieldTable::new(),
                    };
                    client.send(1, &declare).await;
                }
            }
            batch.push(client);
        }
        drop(batch);
        bystander.is_served().await;
    }
    broker.settled().await;
    assert_eq!(broker.counts().connections, MANY as u64 + 1);
    assert_eq!((broker.connections().len(), broker.queues().len()), (1, 1));
}

#[tokio::test]
async fn ten_thousand_sockets_come_and_go() {
    let broker = Broker::start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    for number in 0..MANY {
        let mut socket = TcpStream::connect(broker.addresses()[0]).await.unwrap();
        if number % 2 == 0 {
            socket.write_all(HEADER).await.unwrap();
        }
        // Most by a reset, which leaves the port free.
        if number % 8 < 7 {
            SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
    broker.settled().await;
    bystander.is_served().await;
    assert_eq!(broker.counts().connections, MANY as u64 + 1);
    assert_eq!(broker.connections().len(), 1);
}

#[tokio::test]
async fn what_came_before_a_half_closed_socket_is_done() {
    let broker = Broker::start().await.unwrap();
    let bystander = Bystander::new(&broker).await;
    for shut in [std::net::Shutdown::Write, std::net::Shutdown::Both] {
        let socket = Socket::connect(broker.addresses()[0]).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut client = Raw::new(TcpStream::from_std(socket.try_clone().unwrap()).unwrap());
        client.log_in(Login::default()).await.unwrap();
        client.open_channel(1).await;
        client.send(1, &confirm::Select { no_wait: true }).await;
        let mut out = BytesMut::new();
        for _ in 0..100 {
            raw::publish(&mut out, 1, "bystander", b"m");
        }
        // Half a frame, which never becomes one.
        out.extend_from_slice(&[1, 0, 1, 0, 0]);
        client.write(&out).await;
        socket.shutdown(shut).unwrap();
        client.ended().await;
        broker.settled().await;
        assert_eq!(broker.connections().len(), 1);
        let purged = bystander.channel.queue_purge("bystander").await.unwrap();
        assert_eq!(purged.message_count, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_handshake_is_ended_by_real_time_too() {
    let broker = Broker::builder().without_sockets().start().await.unwrap();
    let before = tokio::time::Instant::now();
    let mut client = Raw::new(broker.connect());
    client.write(&HEADER[..4]).await;
    client.ended().await;
    assert_eq!(before.elapsed().as_secs(), PATIENCE.as_secs());
    idle().await;
    assert_eq!(broker.connections(), []);
}
