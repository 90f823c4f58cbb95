//! A server that answers everything, as a broker with one endless queue would.

use std::collections::BTreeSet;

use amqp091::protocol::{ToServer, basic, channel, connection, exchange, queue};
use amqp091_client::{ConnectOptions, Connection};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::peer::{Peer, Received, TUNE, short};

/// What the robot saw in the life of a connection.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Bodies of all messages that were published.
    pub(crate) published: Vec<Vec<u8>>,
    /// Messages that were sent to the client, by channel and delivery tag, and neither acknowledged
    /// nor given back until their channel closed.
    pub(crate) unsettled: BTreeSet<(u16, u64)>,
    pub(crate) requeued: usize,
    pub(crate) acknowledged: usize,
    /// Channels that the client left open.
    pub(crate) open: BTreeSet<u16>,
}

/// Connects to a robot; it ends with the connection.
pub(crate) async fn connect_to_robot(options: &ConnectOptions) -> (Connection, JoinHandle<Seen>) {
    connect_with_tune(options, &TUNE).await
}

pub(crate) async fn connect_with_tune(
    options: &ConnectOptions,
    tune: &connection::Tune,
) -> (Connection, JoinHandle<Seen>) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let tune = tune.clone();
    let robot = tokio::spawn(async move {
        let mut peer = Peer::new(server);
        peer.handshake(&tune).await;
        run(peer).await
    });
    (Connection::connect_over(client, options).await.unwrap(), robot)
}

pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut peer: Peer<S>) -> Seen {
    let mut seen = Seen::default();
    // By channel: the next delivery tag, the next confirm tag once in confirm mode.
    let mut tags = vec![(0_u64, None::<u64>); 65_536];
    loop {
        while let Some((number, received)) = peer.decode() {
            let Received::Method(method) = received else { panic!("no content is due") };
            let (delivery, confirm) = &mut tags[usize::from(number)];
            match method {
                ToServer::ConnectionClose(_) => {
                    peer.send(0, &connection::CloseOk {}).await;
                    let _ = peer.stream.shutdown().await;
                    return seen;
                }
                ToServer::ChannelOpen(_) => {
                    (*delivery, *confirm) = (0, None);
                    assert!(seen.open.insert(number), "channel {number} is open already");
                    peer.method(number, &channel::OpenOk {});
                }
                ToServer::ChannelClose(_) => {
                    assert!(seen.open.remove(&number));
                    seen.unsettled.retain(|&(channel, _)| channel != number);
                    peer.method(number, &channel::CloseOk {});
                }
                ToServer::ExchangeDeclare(_) => peer.method(number, &exchange::DeclareOk {}),
                ToServer::ExchangeDelete(_) => peer.method(number, &exchange::DeleteOk {}),
                ToServer::ExchangeBind(_) => peer.method(number, &exchange::BindOk {}),
                ToServer::ExchangeUnbind(_) => peer.method(number, &exchange::UnbindOk {}),
                ToServer::QueueDeclare(queue::Declare { queue, .. }) => {
                    // The name tells whose reply it is.
                    let ok = queue::DeclareOk { queue, message_count: 1, consumer_count: 0 };
                    peer.method(number, &ok);
                }
                ToServer::QueueBind(_) => peer.method(number, &queue::BindOk {}),
                ToServer::QueueUnbind(_) => peer.method(number, &queue::UnbindOk {}),
                ToServer::QueuePurge(_) => {
                    peer.method(number, &queue::PurgeOk { message_count: 2 });
                }
                ToServer::QueueDelete(_) => {
                    peer.method(number, &queue::DeleteOk { message_count: 3 });
                }
                ToServer::BasicQos(_) => peer.method(number, &basic::QosOk {}),
                ToServer::BasicConsume(basic::Consume { consumer_tag, .. }) => {
                    let ok = basic::ConsumeOk { consumer_tag: consumer_tag.clone() };
                    peer.method(number, &ok);
                    for _ in 0..3 {
                        *delivery += 1;
                        seen.unsettled.insert((number, *delivery));
                        peer.deliver(number, &consumer_tag, *delivery, b"delivered");
                    }
                }
                ToServer::BasicCancel(basic::Cancel { consumer_tag, .. }) => {
                    peer.method(number, &basic::CancelOk { consumer_tag });
                }
                ToServer::BasicGet(basic::Get { no_ack, .. }) => {
                    *delivery += 1;
                    if !no_ack {
                        seen.unsettled.insert((number, *delivery));
                    }
                    let routing_key = short("got");
                    let ok = basic::GetOk {
                        delivery_tag: *delivery,
                        routing_key,
                        ..basic::GetOk::default()
                    };
                    peer.method(number, &ok);
                    peer.content(number, 3, b"got");
                }
                ToServer::BasicAck(basic::Ack { delivery_tag, multiple }) => {
                    let first = if multiple { 0 } else { delivery_tag };
                    let settled: Vec<_> = seen
                        .unsettled
                        .range((number, first)..=(number, delivery_tag))
                        .copied()
                        .collect();
                    assert!(!settled.is_empty(), "unknown delivery tag {delivery_tag}");
                    seen.acknowledged += settled.len();
                    seen.unsettled.retain(|entry| !settled.contains(entry));
                }
                ToServer::BasicReject(basic::Reject { delivery_tag, .. })
                | ToServer::BasicNack(basic::Nack { delivery_tag, .. }) => {
                    assert!(seen.unsettled.remove(&(number, delivery_tag)), "tag {delivery_tag}");
                    seen.requeued += 1;
                }
                ToServer::ConfirmSelect(select) => {
                    assert!(select.no_wait);
                    *confirm = Some(0);
                }
                ToServer::BasicPublish(_) => {
                    let Some((_, Received::Header { body_size })) = peer.read().await else {
                        panic!("a content header is due")
                    };
                    let mut body = Vec::new();
                    while (body.len() as u64) < body_size {
                        match peer.read().await {
                            Some((_, Received::Body(piece))) => body.extend_from_slice(&piece),
                            other => panic!("a body is due: {other:?}"),
                        }
                    }
                    seen.published.push(body);
                    if let Some(tag) = confirm {
                        *tag += 1;
                        peer.method(number, &basic::Ack { delivery_tag: *tag, multiple: false });
                    }
                }
                other => panic!("no answer to {other:?}"),
            }
        }
        peer.flush().await;
        if peer.read_octets().await == 0 {
            return seen;
        }
    }
}
