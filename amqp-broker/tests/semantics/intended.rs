//! Where the embedded broker differs from RabbitMQ on purpose: the list is with `Profile`.

use amqp091::protocol::{ToClient, basic, confirm, queue, tx};
use amqp091_broker::{Broker, Profile};

use crate::dialogue::embedded;
use crate::peer::{Peer, short};

#[test]
fn there_are_no_streams() {
    embedded(
        "
0 declare q0 durable x-queue-type=stream
  0: connection closed: 540 NOT_IMPLEMENTED - stream queues: this embedded broker has none, use a RabbitMQ
",
    );
}

#[test]
fn what_rabbitmq_breaks_of_is_refused() {
    // RabbitMQ 3.10 says 541 without a reason.
    embedded(
        "
0 declare - x-queue-type=nope
  0: 406 PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'gen0' in vhost '/': \"unsupported queue type 'nope'\"
",
    );
}

#[test]
fn a_connection_ends_at_once() {
    // Of RabbitMQ the second channel may still get what the first one gives back, and take it along.
    embedded(
        "
2 declare q0
0 consume q0 t0
0 publish - q0
  0: t0 m1
1 consume q0 t1 no-ack
0 drop
2 look
  q0: 1 for 0
",
    );
}

/// Runs with a client that doesn't wait for answers.
fn at_once(body: impl Fn(&mut Peer)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for profile in [Profile::V3_10, Profile::V4] {
        let broker = runtime.block_on(Broker::builder().profile(profile).start()).unwrap();
        let address = broker.addresses()[0].to_string();
        let mut peer = Peer::connect(&address, true);
        peer.open_channel(1);
        peer.send(1, &queue::Declare { queue: short("q"), ..queue::Declare::default() });
        peer.wait_method();
        body(&mut peer);
    }
}

fn publish(peer: &mut Peer) {
    let method = basic::Publish { routing_key: short("q"), ..basic::Publish::default() };
    peer.publish(1, &method, &basic::Properties::default(), b"m");
}

fn look(peer: &mut Peer) {
    let declare = queue::Declare { queue: short("q"), passive: true, ..queue::Declare::default() };
    peer.send(1, &declare);
}

fn counted(peer: &mut Peer) -> u32 {
    match peer.wait_method() {
        Some(ToClient::QueueDeclareOk(ok)) => ok.message_count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_said_right_behind_a_commit_is_carried_out() {
    // RabbitMQ may still be at it, and closes the connection with 504 then.
    at_once(|peer| {
        peer.send(1, &tx::Select {});
        publish(peer);
        peer.send(1, &tx::Commit {});
        look(peer);
        assert!(matches!(peer.wait_method(), Some(ToClient::TxSelectOk(_))));
        assert!(matches!(peer.wait_method(), Some(ToClient::TxCommitOk(_))));
        assert_eq!(counted(peer), 1);
    });
}

#[test]
fn a_look_at_a_queue_sees_what_was_published_before() {
    // In RabbitMQ it may overtake: there a test has to look again.
    at_once(|peer| {
        for count in 1..50 {
            publish(peer);
            look(peer);
            assert_eq!(counted(peer), count);
        }
    });
}

#[test]
fn confirms_come_in_the_order_of_the_publishes() {
    at_once(|peer| {
        peer.send(1, &confirm::Select::default());
        peer.wait_method();
        (0..200).for_each(|_| publish(peer));
        let mut last = 0;
        while last < 200 {
            let Some(ToClient::BasicAck(ack)) = peer.wait_method() else {
                panic!("expected a confirm")
            };
            assert!(ack.delivery_tag == last + 1 || (ack.multiple && ack.delivery_tag > last));
            last = ack.delivery_tag;
        }
    });
}
