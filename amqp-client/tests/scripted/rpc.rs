//! Requests and replies: each call has its own end, whatever else comes.

use std::time::Duration;

use amqp091::encode;
use amqp091::protocol::{ReplyCode, basic, confirm};
use amqp091_client::{
    ConnectOptions, Connection, Error, Initiator, OnFailure, Properties, RpcClient, RpcError,
    RpcResponse, ServeError, ShortStr,
};
use tokio::io::DuplexStream;
use tokio::time::Instant;

use crate::peer::{Peer, connected, short, with_channel, within};

type Server = Peer<DuplexStream>;

/// A client, and its reply consumer's tag.
async fn client() -> (Connection, RpcClient, Server, ShortStr) {
    let (connection, mut peer) = connected(&ConnectOptions::default()).await;
    let answer = async {
        peer.open_channel().await;
        let (number, consume) = peer.expect::<basic::Consume>().await;
        assert!(consume.no_ack && consume.queue == "amq.rabbitmq.reply-to");
        let consumer_tag = consume.consumer_tag;
        peer.send(number, &basic::ConsumeOk { consumer_tag: consumer_tag.clone() }).await;
        consumer_tag
    };
    let (client, tag) = tokio::join!(RpcClient::new(&connection), answer);
    (connection, client.unwrap(), peer, tag)
}

/// Gathers a message with properties.
fn content(peer: &mut Server, properties: &Properties, body: &[u8]) {
    encode::header(&mut peer.out, 1, body.len() as u64, properties).unwrap();
    peer.body(1, body);
}

fn reply(peer: &mut Server, tag: &ShortStr, id: &str, body: &str) {
    let deliver =
        basic::Deliver { consumer_tag: tag.clone(), delivery_tag: 1, ..basic::Deliver::default() };
    peer.method(1, &deliver);
    let properties = Properties::default().with_correlation_id(short(id));
    content(peer, &properties, body.as_bytes());
}

/// Reads this many requests; returns their bodies.
async fn requests(peer: &mut Server, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let (_, publish, body) = peer.expect_publish().await;
        assert!(publish.mandatory);
        bodies.push(String::from_utf8(body).unwrap());
    }
    bodies
}

async fn first_request(peer: &mut Server) {
    peer.expect::<confirm::Select>().await;
    requests(peer, 1).await;
}

#[tokio::test]
async fn replies_meet_their_own_calls_in_any_order() {
    within(async {
        let (_connection, client, mut peer, tag) = client().await;
        let call = async |body: &'static str| {
            client.call("", "q", body).await.unwrap().text().unwrap().into_owned()
        };
        let server = async {
            peer.expect::<confirm::Select>().await;
            assert_eq!(requests(&mut peer, 3).await, ["a", "b", "c"]);
            // Some of nobody's, and some of somebody's, with and without a confirm before.
            let nobody = ["0", "4", "-1", "x", "", "18446744073709551616", "\u{e4}"];
            nobody.iter().for_each(|id| reply(&mut peer, &tag, id, "nobody's"));
            reply(&mut peer, &tag, "3", "to c");
            peer.method(1, &basic::Ack { delivery_tag: 3, multiple: true });
            reply(&mut peer, &tag, "1", "to a");
            reply(&mut peer, &tag, "1", "to a again");
            reply(&mut peer, &tag, "2", "to b");
            peer.flush().await;
        };
        let (a, b, c, ()) = tokio::join!(call("a"), call("b"), call("c"), server);
        assert_eq!((&*a, &*b, &*c), ("to a", "to b", "to c"));
        assert_eq!((client.in_flight(), client.unclaimed_replies()), (0, 8));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_and_its_late_reply_is_nobodys() {
    within(async {
        let (_connection, client, mut peer, tag) = client().await;
        let begin = Instant::now();
        let client = client.timeout(Duration::from_secs(20));
        let (ended, quick, ()) = tokio::join!(
            async { client.call("", "q", "slow").await },
            async { client.call("", "q", "slow").timeout(Duration::from_secs(1)).await },
            async {
                peer.expect::<confirm::Select>().await;
                requests(&mut peer, 2).await;
                peer.send(1, &basic::Ack { delivery_tag: 2, multiple: true }).await;
            }
        );
        assert!(matches!(quick, Err(RpcError::Timeout { sent: true, .. })), "{quick:?}");
        let Err(RpcError::Timeout { after, sent: true }) = ended else { panic!("{ended:?}") };
        assert_eq!((after, begin.elapsed().as_secs()), (Duration::from_secs(20), 20));
        assert_eq!(client.in_flight(), 0);
        // The next call gets its own.
        let server = async {
            requests(&mut peer, 1).await;
            reply(&mut peer, &tag, "1", "late");
            reply(&mut peer, &tag, "3", "in time");
            peer.flush().await;
        };
        let (next, ()) = tokio::join!(async { client.call("", "q", "next").await }, server);
        assert_eq!(next.unwrap().body, "in time");
        assert_eq!(client.unclaimed_replies(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_reaches_nobody_fails_at_once() {
    within(async {
        let (_connection, client, mut peer, _) = client().await;
        let server = async {
            first_request(&mut peer).await;
            let returned = basic::Return {
                reply_code: ReplyCode::NO_ROUTE,
                reply_text: short("NO_ROUTE"),
                routing_key: short("q"),
                ..basic::Return::default()
            };
            peer.method(1, &returned);
            content(&mut peer, &Properties::default(), b"request");
            peer.send(1, &basic::Ack { delivery_tag: 1, multiple: false }).await;
        };
        let (call, ()) = tokio::join!(async { client.call("", "q", "request").await }, server);
        let Err(RpcError::NoServer(returned)) = call else { panic!("{call:?}") };
        assert_eq!(
            (returned.reply_code, &returned.body[..]),
            (ReplyCode::NO_ROUTE, &b"request"[..])
        );

        let server = async {
            requests(&mut peer, 1).await;
            peer.send(1, &basic::Nack { delivery_tag: 2, ..basic::Nack::default() }).await;
        };
        let (call, ()) = tokio::join!(async { client.call("", "q", "request").await }, server);
        assert!(matches!(call, Err(RpcError::Refused)), "{call:?}");
        assert_eq!(client.in_flight(), 0);
    })
    .await;
}

#[tokio::test]
async fn every_call_ends_with_its_channel_or_connection() {
    within(async {
        for lose_connection in [false, true] {
            let (_connection, client, peer, _) = client().await;
            let call = async |confirmed: bool| {
                let error = client.call("", "q", if confirmed { "a" } else { "b" }).await;
                let Err(RpcError::Lost(error)) = error else { panic!("{error:?}") };
                assert_ne!(error.initiator(), Initiator::User);
                error
            };
            let server = async {
                let mut peer = peer;
                peer.expect::<confirm::Select>().await;
                requests(&mut peer, 2).await;
                peer.method(1, &basic::Ack { delivery_tag: 1, multiple: false });
                if lose_connection {
                    peer.flush().await;
                    return None;
                }
                peer.close_channel(1).await;
                Some(peer)
            };
            let (a, b, peer) = tokio::join!(call(true), call(false), server);
            for error in [a, b] {
                let is_channel = matches!(error, Error::ChannelClosed { .. });
                assert_eq!(is_channel, !lose_connection, "{error}");
            }
            // The next call opens a channel again, if there is a connection to have one.
            let next = async { client.call("", "q", "next").await };
            let Some(mut peer) = peer else {
                let next = next.await;
                assert!(matches!(next, Err(RpcError::NotSent(_))), "{next:?}");
                continue;
            };
            let server = async {
                peer.expect::<amqp091::protocol::channel::CloseOk>().await;
                peer.open_channel().await;
                peer.expect::<confirm::Select>().await;
                peer.send(1, &confirm::SelectOk {}).await;
                let (_, tag) = peer.consume().await;
                requests(&mut peer, 1).await;
                reply(&mut peer, &tag, "3", "again");
                peer.flush().await;
            };
            let (next, ()) = tokio::join!(next, server);
            assert_eq!(next.unwrap().body, "again");
            assert_eq!(client.in_flight(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_dropped_frees_its_place() {
    within(async {
        let (_connection, client, mut peer, tag) = client().await;
        tokio::select! {
            biased;
            result = async { client.call("", "q", "dropped").await } => panic!("{result:?}"),
            () = first_request(&mut peer) => {}
        }
        assert_eq!(client.in_flight(), 0);
        let server = async {
            requests(&mut peer, 1).await;
            reply(&mut peer, &tag, "1", "to nobody");
            reply(&mut peer, &tag, "2", "to the second");
            peer.flush().await;
        };
        let (second, ()) = tokio::join!(async { client.call("", "q", "second").await }, server);
        assert_eq!(second.unwrap().body, "to the second");
        assert_eq!(client.unclaimed_replies(), 1);
        // With the last handle goes the channel.
        drop(client);
        peer.expect::<basic::Cancel>().await;
        peer.expect::<amqp091::protocol::channel::Close>().await;
    })
    .await;
}

/// Lets the server send a request to the consumer.
fn request(peer: &mut Server, consumer_tag: &ShortStr, delivery_tag: u64, properties: &Properties) {
    let consumer_tag = consumer_tag.clone();
    peer.method(1, &basic::Deliver { consumer_tag, delivery_tag, ..basic::Deliver::default() });
    content(peer, properties, delivery_tag.to_string().as_bytes());
}

#[tokio::test]
async fn a_server_replies_before_it_acknowledges() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, (_, tag)) =
            tokio::join!(async { channel.consume("q").await }, peer.consume());
        let handle = consumer.as_ref().unwrap().handle();
        let serving = consumer.unwrap().serve(4, OnFailure::Requeue, |request| async move {
            match &request.body[..] {
                b"3" => Err("no"),
                body => Ok(RpcResponse::from(format!("reply to {}", body.escape_ascii()))),
            }
        });
        let serving = serving.on_failure(|failure| match &failure.cause {
            amqp091_client::FailureCause::Failed(ServeError::Handler("no")) => {
                OnFailure::DeadLetter
            }
            amqp091_client::FailureCause::Failed(ServeError::Reply(Error::Publish(_))) => {
                OnFailure::Requeue
            }
            other => panic!("{other:?}"),
        });
        let to = |address: &str| Properties::default().with_reply_to(short(address));
        let server = async {
            request(&mut peer, &tag, 1, &to("there").with_correlation_id(short("x")));
            peer.flush().await;
            peer.expect::<confirm::Select>().await;
            let (_, publish, body) = peer.expect_publish().await;
            assert_eq!((&publish.exchange, &publish.routing_key), (&short(""), &short("there")));
            assert!(!publish.mandatory);
            assert_eq!(body, b"reply to 1");
            // Nobody wants to know of the second, and nobody hears of the third.
            request(&mut peer, &tag, 2, &Properties::default());
            request(&mut peer, &tag, 3, &to("there"));
            peer.flush().await;
            assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 2, multiple: false }));
            let refused = basic::Reject { delivery_tag: 3, requeue: false };
            assert_eq!(peer.expect().await, (1, refused));
            // The first waited for the broker's word.
            peer.send(1, &basic::Ack { delivery_tag: 1, multiple: false }).await;
            assert_eq!(peer.expect().await, (1, basic::Ack { delivery_tag: 1, multiple: false }));
            // A reply that the broker doesn't take is none.
            request(&mut peer, &tag, 4, &to("there"));
            peer.flush().await;
            peer.expect_publish().await;
            peer.send(1, &basic::Nack { delivery_tag: 2, ..basic::Nack::default() }).await;
            assert_eq!(peer.expect().await, (1, basic::Reject { delivery_tag: 4, requeue: true }));
            let answer = async {
                let (number, cancel) = peer.expect::<basic::Cancel>().await;
                let consumer_tag = cancel.consumer_tag;
                peer.send(number, &basic::CancelOk { consumer_tag }).await;
            };
            let (cancelled, ()) = tokio::join!(handle.cancel(), answer);
            cancelled.unwrap();
        };
        let (served, ()) = tokio::join!(serving, server);
        assert_eq!((served.acked, served.dead_lettered, served.requeued), (2, 1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_request_whose_properties_do_not_decode_is_refused() {
    within(async {
        let (_connection, channel, mut peer) = with_channel(&ConnectOptions::default()).await;
        let (consumer, (_, tag)) =
            tokio::join!(async { channel.consume("q").await }, peer.consume());
        let serving = consumer.unwrap().serve(4, OnFailure::Requeue, |_| async {
            panic!("it is not handled");
            #[allow(unreachable_code, reason = "it has a type")]
            Ok::<(), ()>(())
        });
        let server = async {
            let deliver = basic::Deliver {
                consumer_tag: tag.clone(),
                delivery_tag: 1,
                ..basic::Deliver::default()
            };
            peer.method(1, &deliver);
            encode::raw_header(&mut peer.out, 1, basic::CLASS_ID, 0, &[0x02, 0, 9, b'x']);
            peer.flush().await;
            assert_eq!(peer.expect().await, (1, basic::Reject { delivery_tag: 1, requeue: false }));
            peer.send(1, &basic::Cancel { consumer_tag: tag, no_wait: true }).await;
        };
        let (served, ()) = tokio::join!(serving, server);
        assert_eq!((served.dead_lettered, served.panicked), (1, 0));
    })
    .await;
}
