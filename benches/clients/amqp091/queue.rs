//! Prepares a broker's queue for a run: `queue URL fill|delete QUEUE COUNT SIZE`.

use amqp091_client::Connection;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, action, queue, count, size] = arguments.as_slice() else {
        panic!("queue URL fill|delete QUEUE COUNT SIZE")
    };
    let (count, size): (u64, usize) = (count.parse().unwrap(), size.parse().unwrap());
    let connection = Connection::open(url.as_str()).await.unwrap();
    let channel = connection.channel().await.unwrap();
    channel.queue_delete(queue).await.unwrap();
    if action == "fill" {
        channel.queue_declare(queue).await.unwrap();
        let body = bytes::Bytes::from(vec![b'x'; size]);
        let mut last = None;
        for _ in 0..count {
            last = Some(channel.publish("", queue, body.clone()).await.unwrap());
        }
        if let Some(confirm) = last {
            confirm.confirmed().await.unwrap();
        }
        // Passively: the broker has seen to all of them.
        while channel.queue_declare(queue).passive(true).await.unwrap().message_count < count as u32
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    connection.close().await.unwrap();
}
