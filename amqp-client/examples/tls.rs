//! A connection by TLS, to a server whose certificate a CA of one's own has signed.
//!
//! ```text
//! cargo run -p amqp091-client --example tls
//! AMQPS_URL=amqps://localhost AMQPS_CA_FILE=ca.pem cargo run -p amqp091-client --example tls
//! ```
//!
//! With a URL and no AMQPS_CA_FILE the system's CAs are trusted.

#[path = "server/tls.rs"]
mod server;

use std::error::Error;

use amqp091_client::{ConnectError, ConnectOptions, Connection, TlsError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;
    let options = ConnectOptions::from_uri(&server.url)?.tls(server.tls.clone());
    let connection = Connection::connect(&options).await?;
    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;
    channel.publish("", &queue, "a secret").mandatory(true).await?.confirmed().await?;
    let got = channel.get(&queue).await?.ok_or("the queue is empty")?;
    let is_right = got.delivery.body == "a secret";
    got.delivery.ack()?;
    connection.close().await?;
    if !is_right {
        return Err("that isn't what was sent".into());
    }

    // The certificate is checked: for another name, there is no connection.
    let refusal =
        Connection::connect(&options.tls(server.tls.clone().server_name("another.example")))
            .await
            .err();
    let Some(amqp091_client::Error::Connect(ConnectError::Tls {
        source: TlsError::WrongName { presented, .. },
        ..
    })) = refusal
    else {
        return Err(format!("a wrong name should be refused, not: {refusal:?}").into());
    };
    println!("connected, with a certificate for {presented:?}");
    Ok(())
}
