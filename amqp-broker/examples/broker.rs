//! A broker on a port: `cargo run -p amqp091-broker --example broker -- 5672 [3.10]`.
use amqp091_broker::{Broker, Profile};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().unwrap_or_default().parse()?;
    let profile =
        if arguments.next().as_deref() == Some("3.10") { Profile::V3_10 } else { Profile::V4 };
    let broker =
        Broker::builder().profile(profile).listen(([127, 0, 0, 1], port).into()).start().await?;
    println!("{}", broker.url());
    std::future::pending::<()>().await;
    Ok(())
}
