//! A proxy that shows what a client and a broker say to each other: the protocol crate alone, threads, no runtime.
//!
//! ```sh
//! cargo run --example wiretap -- 127.0.0.1:5673 127.0.0.1:5672
//! AMQP_URL=amqp://guest:guest@127.0.0.1:5673/%2f cargo run --example quickstart
//! ```
//!
//! Every method is printed with its arguments, without a line of code for any of them: the fields come from
//! `Reflect`. Credentials are left out. The octets go through untouched, also those that make no sense to it.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{env, thread};

use amqp091::any_frame::AnyFrame;
use amqp091::frame::FrameLimits;
use amqp091::types::Reflect;

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: Vec<String> = env::args().skip(1).collect();
    let [listen, broker] = addresses.as_slice() else {
        return Err("usage: wiretap LISTEN BROKER, such as 127.0.0.1:5673 127.0.0.1:5672".into());
    };
    let listener = TcpListener::bind(listen)?;
    eprintln!("listening on {}", listener.local_addr()?);
    for client in listener.incoming() {
        let (client, broker) = (client?, broker.clone());
        thread::spawn(move || {
            if let Err(error) = connect(&client, &broker) {
                eprintln!("{broker}: {error}");
            }
        });
    }
    Ok(())
}

/// Carries both directions, each in a thread, until both have ended.
fn connect(client: &TcpStream, broker: &str) -> io::Result<()> {
    let broker = TcpStream::connect(broker)?;
    thread::scope(|scope| {
        scope.spawn(|| carry("->", client, &broker));
        carry("<-", &broker, client);
    });
    Ok(())
}

/// Carries octets one way until they end, and prints them.
fn carry(arrow: &str, mut from: &TcpStream, mut to: &TcpStream) {
    let mut tap = Some(Tap { arrow, unread: Vec::new() });
    let mut octets = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut octets) {
        let octets = &octets[..count];
        if to.write_all(octets).is_err() {
            break;
        }
        // What follows octets that make no sense makes none either.
        if let Some(Err(error)) = tap.as_mut().map(|tap| tap.print(octets)) {
            eprintln!("{arrow} {}; the rest of this direction isn't shown", chain(&*error));
            tap = None;
        }
    }
    // One side has ended, so the other has to hear of it.
    let _ = to.shutdown(Shutdown::Write);
}

/// The frames of one direction.
struct Tap<'a> {
    arrow: &'a str,
    /// Octets of a frame that isn't whole yet.
    unread: Vec<u8>,
}

impl Tap<'_> {
    fn print(&mut self, octets: &[u8]) -> Result<(), Box<dyn Error>> {
        self.unread.extend_from_slice(octets);
        let mut at = 0;
        // A frame of one megabyte is the largest that is buffered here.
        while let Some(found) =
            AnyFrame::unmarshal(&self.unread[at..], FrameLimits::from_frame_max(0))?
        {
            at += found.consumed;
            let shown = show(&found.frame);
            // A line at once: two threads print.
            writeln!(io::stdout(), "{} {} {shown}", self.arrow, found.channel)?;
        }
        self.unread.drain(..at);
        Ok(())
    }
}

fn show(frame: &AnyFrame) -> String {
    match frame {
        AnyFrame::ProtocolHeader(header) => header.to_string(),
        AnyFrame::Method(method) => method.describe().to_string(),
        AnyFrame::Header(header) => match header.decode() {
            Ok(properties) => format!("{} octets, {}", header.body_size, properties.describe()),
            // Another publisher's octets: this message alone has a problem.
            Err(error) => format!("{} octets, {}", header.body_size, chain(&error)),
        },
        AnyFrame::Body(body) => format!("{:?}", body.escape_ascii().to_string()),
        AnyFrame::Heartbeat => "heartbeat".to_owned(),
    }
}

/// An error and what is behind it: the frame, the method, the argument.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
