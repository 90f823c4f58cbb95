//! Tuning values of every kind, zero above all, and what follows from them.

use amqp091::bytes::Bytes;
use amqp091::protocol::{ToServer, basic, confirm, connection};
use amqp091::types::{FieldTable, LongStr, Value};
use amqp091_client::{ConnectOptions, Connection, Error};

use crate::peer::{Peer, Received, TUNE, connected_by, open_channel, short, within};
use crate::robot::connect_with_tune;

const MIB: usize = 1024 * 1024;

/// Tunes, and sends and receives bodies around the frame size that follows from it.
async fn tuned(options: &ConnectOptions, server: (u16, u32), expected: (u16, u32), frame: usize) {
    let (client, stream) = tokio::io::duplex(256 * 1024);
    let mut peer = Peer::new(stream);
    let (channel_max, frame_max) = server;
    let tune = connection::Tune { channel_max, frame_max, heartbeat: 0 };
    let (connection, tune_ok) =
        tokio::join!(Connection::connect_over(client, options), peer.handshake(&tune));
    let connection = connection.unwrap();
    assert_eq!((tune_ok.channel_max, tune_ok.frame_max), expected);

    let channel = open_channel(&connection, &mut peer).await;
    let (consumer, (number, tag)) =
        tokio::join!(async { channel.consume("q").await }, peer.consume());
    let mut consumer = consumer.unwrap();
    let server = tokio::spawn(async move {
        peer.expect::<confirm::Select>().await;
        let mut sizes = Vec::new();
        for delivery_tag in 1.. {
            let Some((_, Received::Method(ToServer::BasicPublish(_)))) = peer.read().await else {
                break;
            };
            let Some((_, Received::Header { body_size })) = peer.read().await else {
                panic!("a header is due")
            };
            let mut body = Vec::new();
            let mut frames = Vec::new();
            while (body.len() as u64) < body_size {
                let Some((_, Received::Body(piece))) = peer.read().await else {
                    panic!("a body is due")
                };
                assert!(!piece.is_empty());
                frames.push(piece.len());
                body.extend_from_slice(&piece);
            }
            peer.method(1, &basic::Ack { delivery_tag, multiple: false });
            let consumer_tag = tag.clone();
            let deliver =
                basic::Deliver { consumer_tag, delivery_tag, ..basic::Deliver::default() };
            peer.method(number, &deliver);
            peer.content(number, body.len(), b"");
            // RabbitMQ tolerates frames that are larger by their own eight octets, so it may send some.
            let limit = if tune.frame_max == 0 { frame } else { tune.frame_max as usize - 8 };
            for piece in body.chunks(limit.min(frame)) {
                peer.body(number, piece);
            }
            peer.flush().await;
            sizes.push(frames);
        }
        sizes
    });
    let sizes = [0, 1, frame - 1, frame, frame + 1, 2 * frame, 2 * frame + 1, 3 * MIB + 17];
    for size in sizes {
        let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        // Lent and given bodies take different ways when they are large.
        for given in [false, true] {
            let confirm = if given {
                channel.publish("", "q", Bytes::from(body.clone())).await.unwrap()
            } else {
                channel.publish("", "q", &body).await.unwrap()
            };
            confirm.confirmed().await.unwrap();
            let delivery = consumer.next().await.unwrap().unwrap();
            assert!(delivery.body == body, "a body of {size} octets came back changed");
        }
    }
    drop((consumer, channel));
    let frames = server.await.unwrap();
    for (frames, size) in frames.iter().zip(sizes.iter().flat_map(|size| [size, size])) {
        assert_eq!(frames.len(), size.div_ceil(frame), "{size} octets in frames of {frames:?}");
        assert_eq!(frames.iter().sum::<usize>(), *size);
        assert!(frames.iter().rev().skip(1).all(|&len| len == frame), "{frames:?}");
    }
}

fn wanted(channel_max: u16, frame_max: u32) -> ConnectOptions {
    ConnectOptions::default().channel_max(channel_max).frame_max(frame_max)
}

#[tokio::test]
async fn a_server_without_limits_gets_the_clients() {
    within(async {
        let options = ConnectOptions::default();
        tuned(&options, (0, 0), (2047, 131_072), 131_064).await;
        tuned(&options, (0, 131_072), (2047, 131_072), 131_064).await;
        tuned(&options, (2047, 0), (2047, 131_072), 131_064).await;
        tuned(&wanted(7, 4096), (0, 0), (7, 4096), 4088).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_without_limits_takes_the_servers() {
    within(async {
        tuned(&wanted(0, 0), (2047, 8192), (2047, 8192), 8184).await;
        tuned(&wanted(0, 0), (1, 4096), (1, 4096), 4088).await;
    })
    .await;
}

#[tokio::test]
async fn where_nobody_has_a_limit_frames_still_have_one() {
    within(async {
        tuned(&wanted(0, 0), (0, 0), (u16::MAX, 0), MIB - 8).await;
    })
    .await;
}

#[tokio::test]
async fn channels_are_opened_up_to_the_negotiated_number() {
    within(async {
        for (client, server, limit) in [(5, 0, 5), (0, 3, 3), (2, 9, 2)] {
            let options = ConnectOptions::default().channel_max(client);
            let tune = connection::Tune { channel_max: server, frame_max: 131_072, heartbeat: 0 };
            let (connection, mut peer) = connected_by(&options, &tune, 64 * 1024).await;
            let mut channels = Vec::new();
            for number in 1..=limit {
                let channel = open_channel(&connection, &mut peer).await;
                assert_eq!(channel.number(), number);
                channels.push(channel);
            }
            let error = connection.channel().await.unwrap_err();
            assert!(matches!(error, Error::TooManyChannels { limit: told } if told == limit));
        }
    })
    .await;
}

#[tokio::test]
async fn all_65535_channels_can_be_open() {
    within(async {
        let (connection, robot) = connect_with_tune(
            &wanted(0, 0),
            &connection::Tune { channel_max: 0, frame_max: 0, heartbeat: 0 },
        )
        .await;
        let mut channels = Vec::new();
        for number in 1..=u16::MAX {
            let channel = connection.channel().await.unwrap();
            assert_eq!(channel.number(), number);
            channels.push(channel);
        }
        let error = connection.channel().await.unwrap_err();
        assert!(matches!(error, Error::TooManyChannels { limit: u16::MAX }));
        let closed = channels.swap_remove(41_999);
        closed.close().await.unwrap();
        assert_eq!(connection.channel().await.unwrap().number(), 42_000);
        drop(channels);
        connection.close().await.unwrap();
        assert!(robot.await.unwrap().open.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_limit_on_methods_and_headers_holds_from_the_beginning() {
    within(async {
        for (limit, octets, is_open) in [
            (None, 8_000, true),
            (None, 9_000, false),
            (Some(100), 8_000, true),
            (Some(20_000), 15_000, true),
            (Some(20_000), 25_000, false),
        ] {
            let options = match limit {
                Some(limit) => ConnectOptions::default().max_control_frame(limit),
                None => ConnectOptions::default(),
            };
            let (client, server) = tokio::io::duplex(64 * 1024);
            let mut peer = Peer::new(server);
            let serve = async {
                peer.expect_protocol_header().await;
                let filling = FieldTable::new().with(short("filling"), "x".repeat(octets));
                let start = connection::Start {
                    version_major: 0,
                    version_minor: 9,
                    server_properties: filling,
                    mechanisms: LongStr::from("PLAIN"),
                    locales: LongStr::from("en_US"),
                };
                peer.send(0, &start).await;
                if is_open {
                    peer.expect::<connection::StartOk>().await;
                    peer.tune(&TUNE).await;
                    peer.send(0, &connection::OpenOk {}).await;
                }
            };
            let (connection, ()) = tokio::join!(Connection::connect_over(client, &options), serve);
            assert_eq!(connection.is_ok(), is_open, "{limit:?}, {octets} octets: {connection:?}");
            if let Ok(connection) = connection {
                let properties = connection.server_properties();
                let filling = properties.get("filling").and_then(Value::as_str).unwrap();
                assert_eq!(filling.len(), octets);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_neither_side_limits_is_told_so() {
    within(async {
        let options = ConnectOptions::default().channel_max(0).frame_max(0);
        let tune = connection::Tune { channel_max: 0, frame_max: 0, heartbeat: 0 };
        let (connection, _peer) = connected_by(&options, &tune, 1024).await;
        assert_eq!((connection.channel_max(), connection.frame_max()), (65_535, 0));
        assert!(connection.heartbeat().is_zero());
        assert!(connection.server_properties().is_empty());
        assert!(!connection.has_server_capability("basic.nack"));
    })
    .await;
}
