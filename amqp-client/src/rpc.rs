//! Requests and their replies, by messages.

mod client;
mod server;

pub use self::client::{RpcCall, RpcClient, RpcError};
pub use self::server::{RpcResponse, ServeError, Serving};
