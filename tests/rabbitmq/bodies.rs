//! Bodies of every size, with small frames and large ones.

use amqp091::bytes::Bytes;
use amqp091_client::{Connection, Outcome};

use crate::broker::{eventually, options, queue, ready, unique, within};

const MIB: usize = 1024 * 1024;

fn body(len: usize) -> Bytes {
    let pattern: Vec<u8> = (0..=u16::MAX).flat_map(|n| n.to_be_bytes()).collect();
    pattern.repeat(len / pattern.len() + 1)[..len].to_vec().into()
}

async fn round_trips(frame_max: u32, sizes: &[usize]) {
    let options = options().frame_max(frame_max);
    let connection = Connection::connect(&options).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let queue = queue(&channel).await;
    let mut consumer = channel.consume(&queue).prefetch(1).await.unwrap();
    for &size in sizes {
        let sent = body(size);
        let given = channel.publish("", &queue, sent.clone()).await.unwrap();
        let lent = channel.publish("", &queue, &sent[..]).await.unwrap();
        for confirm in [given, lent] {
            confirm.confirmed().await.unwrap();
            let delivery = consumer.next().await.unwrap().unwrap();
            assert!(delivery.body == sent, "{size} octets came back as {}", delivery.body.len());
            delivery.ack().unwrap();
        }
    }
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn bodies_around_the_frame_size() {
    within(async {
        for frame_max in [4096, 131_072] {
            let frame = frame_max as usize - 8;
            let sizes = [0, 1, 2, frame - 1, frame, frame + 1, 2 * frame, 2 * frame + 1, MIB];
            round_trips(frame_max, &sizes).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_body_of_64_mib() {
    within(round_trips(131_072, &[64 * MIB])).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_body_of_64_mib_in_the_smallest_frames() {
    within(round_trips(4096, &[64 * MIB])).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_large_body_is_returned_whole() {
    within(async {
        let connection = Connection::connect(&options()).await.unwrap();
        let channel = connection.channel().await.unwrap();
        let sent = body(3 * MIB);
        let publish = channel.publish("", unique("nowhere"), sent.clone()).mandatory(true);
        let outcome = publish.await.unwrap().await;
        let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
        assert!(returned.body == sent);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ: run scripts/test"]
async fn a_body_larger_than_the_client_wants_closes_the_channel_alone() {
    within(async {
        let connection = Connection::connect(&options().max_body(1000)).await.unwrap();
        let channel = connection.channel().await.unwrap();
        let other = connection.channel().await.unwrap();
        let queue = queue(&other).await;
        channel.publish("", &queue, body(1000)).await.unwrap().confirmed().await.unwrap();
        channel.publish("", &queue, body(1001)).await.unwrap().confirmed().await.unwrap();
        let got = channel.get(&queue).await.unwrap().unwrap();
        assert_eq!(got.delivery.body.len(), 1000);
        got.delivery.ack().unwrap();
        let error = channel.get(&queue).await.unwrap_err();
        assert!(error.to_string().contains("1001"), "{error}");
        assert!(channel.check_open().is_err());
        // The message is back where it was.
        let count =
            eventually(async || Some(ready(&other, &queue).await).filter(|&count| count > 0)).await;
        assert_eq!(count, 1);
    })
    .await;
}
