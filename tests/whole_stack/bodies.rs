//! Bodies of every size, with small frames and large ones.

use amqp091::bytes::Bytes;
use amqp091_client::{Connection, Outcome};

use crate::place::{Place, eventually, queue, ready, unique};

const MIB: usize = 1024 * 1024;

fn body(len: usize) -> Bytes {
    let pattern: Vec<u8> = (0..=u16::MAX).flat_map(|n| n.to_be_bytes()).collect();
    pattern.repeat(len / pattern.len() + 1)[..len].to_vec().into()
}

async fn round_trips(place: &Place, frame_max: u32, sizes: &[usize]) {
    let options = place.options().frame_max(frame_max);
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

everywhere!(bodies_around_the_frame_size, threads);
async fn bodies_around_the_frame_size(place: &Place) {
    for frame_max in [4096, 131_072] {
        let frame = frame_max as usize - 8;
        let sizes = [0, 1, 2, frame - 1, frame, frame + 1, 2 * frame, 2 * frame + 1, MIB];
        round_trips(place, frame_max, &sizes).await;
    }
}

everywhere!(a_body_of_64_mib, threads);
async fn a_body_of_64_mib(place: &Place) {
    round_trips(place, 131_072, &[64 * MIB]).await;
}

everywhere!(a_body_of_64_mib_in_the_smallest_frames, threads);
async fn a_body_of_64_mib_in_the_smallest_frames(place: &Place) {
    round_trips(place, 4096, &[64 * MIB]).await;
}

everywhere!(a_large_body_is_returned_whole);
async fn a_large_body_is_returned_whole(place: &Place) {
    let connection = Connection::connect(&place.options()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    let sent = body(3 * MIB);
    let publish = channel.publish("", unique("nowhere"), sent.clone()).mandatory(true);
    let outcome = publish.await.unwrap().await;
    let Outcome::Returned(returned) = outcome else { panic!("{outcome:?}") };
    assert!(returned.body == sent);
}

everywhere!(a_body_larger_than_the_client_wants_closes_the_channel_alone);
async fn a_body_larger_than_the_client_wants_closes_the_channel_alone(place: &Place) {
    let connection = Connection::connect(&place.options().max_body(1000)).await.unwrap();
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
}
