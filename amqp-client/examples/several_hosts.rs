//! Several hosts: the first doesn't answer, the connection goes to the next.
//!
//! ```text
//! cargo run -p amqp091-client --example several_hosts
//! ```

mod server;

use std::error::Error;
use std::net::TcpListener;

use amqp091_client::{ConnectOptions, Connection, HostOrder};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = server::start().await?;

    // A port where nobody listens any more, in front of the host that answers:
    // amqp://guest:guest@127.0.0.1:34567,localhost:5672/%2f
    let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (login, hosts) = server.url.rsplit_once('@').ok_or("the URL has no user and password")?;
    let url = format!("{login}@{dead},{hosts}");

    // Always as listed: the second host stands in for the first. By default connections begin with each
    // in turn, and spread over them.
    let options = ConnectOptions::from_uri(&url)?.host_order(HostOrder::Listed);
    let connection = Connection::connect(&options).await?;
    let peer = connection.peer().ok_or("there is no socket")?;
    println!("{dead} doesn't answer, {} at {} does", peer.host, peer.address);

    let channel = connection.channel().await?;
    let queue = channel.queue_declare("").exclusive(true).await?.queue;
    channel.publish("", &queue, "hello").mandatory(true).await?.confirmed().await?;
    connection.close().await?;
    if peer.address == dead { Err("nobody should listen there".into()) } else { Ok(()) }
}
