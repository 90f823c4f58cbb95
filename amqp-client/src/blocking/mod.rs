//! The client without async: the same names, for programs of plain threads.
//!
//! ```no_run
//! use amqp091_client::blocking::{Connection, Wait};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = Connection::open("amqp://guest:guest@localhost:5672/%2f")?;
//! let channel = connection.channel()?;
//! channel.queue_declare("work").durable(true).wait()?;
//! channel.publish("", "work", "hello").persistent(true).wait()?.confirmed()?;
//!
//! for delivery in channel.consume("work").prefetch(100).wait()? {
//!     let delivery = delivery?;
//!     println!("{:?}", delivery.body);
//!     delivery.ack()?;
//! }
//! connection.close()?;
//! # Ok(()) }
//! ```
//!
//! # From async to this
//!
//! | there | here |
//! |---|---|
//! | `channel.queue_declare("work").durable(true).await?`, and every other builder | `.wait()?`, by the trait [`Wait`] |
//! | `connection.channel().await?`, and every other `async fn` | `connection.channel()?` |
//! | `deliveries.next().await`, a `Stream` | `deliveries.next()`, an [`Iterator`]; other streams by [`iter`] |
//! | `tokio::time::timeout(limit, …)` | [`wait_timeout(limit)`](Wait::wait_timeout), [`next_timeout(limit)`](Consumer::next_timeout) |
//!
//! Builders, [`Delivery`](crate::Delivery), [`Error`](crate::Error) and options are the same types, and
//! so are the deadlines, the outcomes, and what dropping a handle does. Programs that would rather have
//! callbacks register them and call [`Connection::drain_events`].
//!
//! # Threads
//!
//! All connections that this module opens are driven by one thread in the background, named `amqp091`,
//! which starts with the first of them and ends with the last: heartbeats, confirms and deliveries go on
//! whatever the program does meanwhile. Handles may be shared by any number of threads; a call parks its
//! own thread only, and needs no runtime around it. A connection whose last handle is dropped ends some
//! time later; [`close`](Connection::close) it to see what was published last leave before the program
//! does. What the program gives to a connection runs on that thread: providers of credentials and SASL
//! mechanisms must not block, nor call this module.
//!
//! Calling this from async code is allowed: it holds up the thread that it is called on, and nothing
//! else. A connection that async code has opened can be used here too, and the other way round
//! ([`From`], `to_async`); those are driven by the runtime that they were opened in, which blocking calls
//! on all of its threads would stop: the calls then wait for ever.
//!
//! The thread doesn't follow into a process that is forked (without exec): connections are to be opened
//! anew there.

mod body;
mod callbacks;
mod channel;
mod confirm;
mod connection;
mod consumer;
mod iter;
mod rpc;
mod thread;
mod wait;

pub use self::channel::Channel;
pub use self::confirm::Confirm;
pub use self::connection::Connection;
pub use self::consumer::Consumer;
pub use self::iter::{Iter, Next, iter};
pub use self::rpc::RpcClient;
pub use self::wait::{Wait, wait};
