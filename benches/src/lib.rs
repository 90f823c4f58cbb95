//! What is measured, and by whom it is done: encoding and decoding of the same octets by this project, by its peers, and
//! a plain copy of them.
//!
//! ```text
//! cargo bench -p amqp091-benches
//! ```
//!
//! - [`sample`]: the octets.
//! - [`works`]: each piece of work, with one contender a way to do it. All take the same octets, and all of them make every property
//!   and every table's entry into a value. Before anything is measured, each contender must write again the very octets that it
//!   has read; what can't do that is not in the comparison.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement fails by panicking")]

mod by_amq_protocol;
mod by_amqp_serde;
mod by_us;
pub mod sample;

use std::fmt;
use std::hint::black_box;

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// This project.
    Us,
    /// amq-protocol, the protocol crate of lapin.
    AmqProtocol,
    /// amqp_serde, the protocol crate of amqprs.
    AmqpSerde,
    /// `memcpy` of the encoded octets, which nothing can beat.
    Copy,
}

impl Who {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 4] = [Self::Us, Self::AmqProtocol, Self::AmqpSerde, Self::Copy];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Us => "amqp091",
            Self::AmqProtocol => "amq-protocol",
            Self::AmqpSerde => "amqp_serde",
            Self::Copy => "memcpy",
        })
    }
}

/// A piece of work and all who do it.
#[derive(Debug)]
pub struct Work {
    /// What is done.
    pub name: String,
    /// Nanoseconds that it may take us.
    pub budget: Option<f64>,
    /// How many octets lie on the wire.
    pub octets: usize,
    /// How many times the figures are to be divided by, because one run does so many alike.
    pub parts: usize,
    /// Who does it, each once at most.
    pub contenders: Vec<Contender>,
}

impl Work {
    fn new(name: &str, wire: &[u8]) -> Self {
        let mut work = Self {
            name: name.to_owned(),
            budget: None,
            octets: wire.len(),
            parts: 1,
            contenders: Vec::new(),
        };
        let (wire, mut out) = (wire.to_vec(), Vec::with_capacity(wire.len()));
        work.add(Who::Copy, move || {
            out.clear();
            out.extend_from_slice(black_box(&wire));
            black_box(&out);
        });
        work
    }

    fn within(mut self, nanoseconds: f64) -> Self {
        self.budget = Some(nanoseconds);
        self
    }

    fn of_parts(mut self, parts: usize) -> Self {
        self.parts = parts;
        self
    }

    fn by(mut self, who: Who, once: impl FnMut() + 'static) -> Self {
        self.add(who, once);
        self
    }

    fn add(&mut self, who: Who, mut once: impl FnMut() + 'static) {
        let run = Box::new(move |times| {
            for _ in 0..times {
                once();
            }
        });
        self.contenders.push(Contender { who, run });
    }

    /// Whoever of the contenders it is.
    pub fn contender(&mut self, who: Who) -> Option<&mut Contender> {
        self.contenders.iter_mut().find(|contender| contender.who == who)
    }
}

/// One way to do a piece of work.
pub struct Contender {
    /// Whose way.
    pub who: Who,
    run: Box<dyn FnMut(u32)>,
}

impl Contender {
    /// Does it that many times.
    pub fn run(&mut self, times: u32) {
        (self.run)(times);
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Contender").field(&self.who).finish()
    }
}

/// All that is measured.
///
/// # Panics
///
/// If a contender does not write again the octets that it has read.
pub fn works() -> Vec<Work> {
    let bare = sample::bare();
    let small = sample::publish(100);
    let large = sample::publish(16 * 1024);
    let deliver = sample::deliver();
    let header = sample::header();
    let declare = sample::declare();
    let stream = sample::stream(sample::STREAM_FRAMES);
    let hot = sample::stream(sample::HOT_FRAMES);
    let messages = [
        ("publish, no properties, 16 B", &bare),
        ("publish, 5 properties, 4 headers, 100 B", &small),
        ("publish, 5 properties, 4 headers, 16 KiB", &large),
        ("basic.deliver", &deliver),
        ("content header, 8 properties", &header),
        ("queue.declare, 4 arguments", &declare),
    ];
    let mut works = Vec::new();
    for (name, wire) in messages {
        let work = Work::new(&format!("encode {name}"), wire)
            .by(Who::Us, by_us::encode(wire))
            .by(Who::AmqProtocol, by_amq_protocol::encode(wire))
            .by(Who::AmqpSerde, by_amqp_serde::encode(wire));
        works.push(if name.ends_with("100 B") { work.within(40.0) } else { work });
    }
    works.push(
        Work::new("encode a stream, per frame", &stream)
            .of_parts(sample::STREAM_FRAMES)
            .by(Who::Us, by_us::encode(&stream))
            .by(Who::AmqProtocol, by_amq_protocol::encode(&stream)),
    );
    works.push(
        Work::new("encode a stream, its items in the cache, per frame", &hot)
            .of_parts(sample::HOT_FRAMES)
            .by(Who::Us, by_us::encode(&hot))
            .by(Who::AmqProtocol, by_amq_protocol::encode(&hot)),
    );
    for (name, wire) in messages {
        let work = Work::new(&format!("decode {name}"), wire)
            .by(Who::Us, by_us::decode(wire))
            .by(Who::AmqProtocol, by_amq_protocol::decode(wire))
            .by(Who::AmqpSerde, by_amqp_serde::decode(wire));
        works.push(match name {
            "basic.deliver" => work.within(25.0),
            _ if name.ends_with("100 B") => work.within(120.0),
            _ => work,
        });
    }
    works.push(
        Work::new("decode a stream, per frame", &stream)
            .of_parts(sample::STREAM_FRAMES)
            .by(Who::Us, by_us::decode(&stream))
            .by(Who::AmqProtocol, by_amq_protocol::decode(&stream)),
    );
    works
}
