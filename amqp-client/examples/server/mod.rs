//! The server that an example talks to: the one of `AMQP_URL`, or a broker in the example's own process.

use std::{env, io};

use amqp091_broker::Broker;

/// A broker in this process stops when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    _broker: Option<Broker>,
}

pub(crate) async fn start() -> io::Result<Server> {
    if let Ok(url) = env::var("AMQP_URL") {
        return Ok(Server { url, _broker: None });
    }
    let broker = Broker::start().await?;
    println!("AMQP_URL is not set: with a broker in this process, {}", broker.url());
    Ok(Server { url: broker.url(), _broker: Some(broker) })
}
