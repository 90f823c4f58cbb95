//! The server that the example of TLS talks to: the one of `AMQPS_URL`, or a broker in the example's own process.

use std::env;
use std::error::Error;

use amqp091_broker::{Broker, Tls};
use amqp091_client::TlsOptions;

/// A broker in this process stops when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Whom to trust.
    pub(crate) tls: TlsOptions,
    _broker: Option<Broker>,
}

pub(crate) async fn start() -> Result<Server, Box<dyn Error>> {
    let tls = TlsOptions::new();
    if let Ok(url) = env::var("AMQPS_URL") {
        let tls = match env::var_os("AMQPS_CA_FILE") {
            Some(file) => tls.ca_file(file),
            None => tls,
        };
        return Ok(Server { url, tls, _broker: None });
    }
    // A certificate that nobody else has signed is its own CA's.
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = own.cert.pem();
    let served = Tls::pem(&*certificate, own.signing_key.serialize_pem());
    let broker = Broker::builder().tls(served).start().await?;
    let url = broker.tls_url().ok_or("the broker has no port for TLS")?;
    println!("AMQPS_URL is not set: with a broker in this process, {url}");
    Ok(Server { url, tls: tls.ca_pem(certificate), _broker: Some(broker) })
}
