//! From the protocol header to `connection.open-ok`: versions, login, tuning, virtual host.

use std::time::Duration;

use amqp091::protocol::{ToClient, connection, constants};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{FieldTable, LongStr, Method, ShortStr, Value};
use amqp091::{encode, frame::FrameError};
use bytes::BytesMut;

use crate::error::{ConnectError, ServerClose, Stage, Violation};
use crate::options::ConnectOptions;
use crate::sasl::{Exchange, Mechanism, NoResponse};

/// Capabilities that this client announces; RabbitMQ uses what follows from each only then.
const CAPABILITIES: [&str; 6] = [
    "authentication_failure_close",
    "basic.nack",
    "connection.blocked",
    "consumer_cancel_notify",
    "exchange_exchange_bindings",
    "publisher_confirms",
];

/// The values that both sides agreed on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tuned {
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: Duration,
}

/// What a step of the handshake led to.
#[derive(Debug)]
pub(crate) enum Progress {
    /// On to the next answer.
    Continue,
    /// These values hold from now on.
    Tuned(Tuned),
    /// The connection is open, to a server of these properties.
    Open(FieldTable),
}

/// A connection that isn't open yet.
#[derive(Debug)]
pub(crate) struct Handshake {
    stage: Stage,
    /// The login, once a mechanism is chosen.
    login: Option<Exchange>,
    server_properties: FieldTable,
}

impl Handshake {
    /// Begins: the protocol header is appended to `out`.
    pub(crate) fn begin(out: &mut BytesMut) -> Self {
        out.extend_from_slice(&ProtocolHeader::AMQP_0_9_1.to_bytes());
        let server_properties = FieldTable::new();
        Self { stage: Stage::Start, login: None, server_properties }
    }

    /// What is waited for.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Tells from a server's first octets whether it speaks AMQP 0-9-1 at all: `false` while there are
    /// too few of them. Frames begin with the type octet of a method; a server that refuses begins with
    /// the header of its own version.
    pub(crate) fn check_greeting(&self, input: &[u8]) -> Result<bool, ConnectError> {
        if self.stage != Stage::Start {
            return Ok(true);
        }
        match *input {
            [constants::FRAME_METHOD, ..] => Ok(true),
            // A TLS alert or handshake record.
            [0x15 | 0x16, 0x03, ..] => Err(ConnectError::TlsPort),
            [] | [0x15 | 0x16] => Ok(false),
            _ => match ProtocolHeader::parse(input) {
                Ok(None) => Ok(false),
                Ok(Some(server)) => Err(ConnectError::Version { server }),
                Err(_) => Err(ConnectError::NotAmqp { found: beginning(input) }),
            },
        }
    }

    /// The error for frames that break the framing.
    pub(crate) fn bad_frame(&self, error: FrameError, input: &[u8]) -> ConnectError {
        match error {
            FrameError::UnknownType { .. } | FrameError::End { .. }
                if self.stage == Stage::Start =>
            {
                ConnectError::NotAmqp { found: beginning(input) }
            }
            _ => ConnectError::Violation { stage: self.stage, violation: error.into() },
        }
    }

    /// Takes the server's next method and appends the answer to `out`.
    pub(crate) fn handle(
        &mut self,
        method: ToClient,
        options: &ConnectOptions,
        out: &mut BytesMut,
    ) -> Result<Progress, ConnectError> {
        match (self.stage, method) {
            (Stage::Start, ToClient::ConnectionStart(start)) => {
                if (start.version_major, start.version_minor) != (0, 9) {
                    let [major, minor] = [start.version_major, start.version_minor];
                    let server = ProtocolHeader { id: 0, major, minor, revision: 0 };
                    return Err(ConnectError::Version { server });
                }
                let mechanism = choose(&options.mechanisms, &start.mechanisms)?;
                let login = self.login.insert(mechanism.begin(&options.login()));
                let response = respond(login, None)?;
                let start_ok = connection::StartOk {
                    client_properties: client_properties(options),
                    mechanism: name(login.name()),
                    response,
                    locale: name("en_US"),
                };
                self.answer(&start_ok, out)?;
                self.stage = Stage::Tune;
                self.server_properties = start.server_properties;
                Ok(Progress::Continue)
            }
            (Stage::Tune, ToClient::ConnectionSecure(secure)) => {
                let response = match &mut self.login {
                    Some(login) => respond(login, Some(secure.challenge.as_bytes()))?,
                    None => LongStr::default(),
                };
                self.answer(&connection::SecureOk { response }, out)?;
                Ok(Progress::Continue)
            }
            (Stage::Tune, ToClient::ConnectionTune(tune)) => {
                // The secrets in it are of no more use.
                self.login = None;
                let tuned = negotiate(&tune, options)?;
                let tune_ok = connection::TuneOk {
                    channel_max: tuned.channel_max,
                    frame_max: tuned.frame_max,
                    // Checked with the options: whole seconds, at most u16::MAX.
                    heartbeat: u16::try_from(tuned.heartbeat.as_secs()).unwrap_or(u16::MAX),
                };
                self.answer(&tune_ok, out)?;
                let virtual_host = ShortStr::new(&options.virtual_host).unwrap_or_default();
                self.answer(&connection::Open { virtual_host }, out)?;
                self.stage = Stage::OpenOk;
                Ok(Progress::Tuned(tuned))
            }
            (Stage::OpenOk, ToClient::ConnectionOpenOk(_)) => {
                Ok(Progress::Open(std::mem::take(&mut self.server_properties)))
            }
            (stage, ToClient::ConnectionClose(close)) => {
                self.answer(&connection::CloseOk {}, out)?;
                Err(ConnectError::Refused { stage, close: server_close(close) })
            }
            (stage, method) => {
                let violation = Violation::Unexpected { channel: 0, method: method.id() };
                Err(ConnectError::Violation { stage, violation })
            }
        }
    }

    fn answer<M: Method>(&self, method: &M, out: &mut BytesMut) -> Result<(), ConnectError> {
        encode::method(out, 0, method)
            .map_err(|source| ConnectError::Encode { method: M::NAME, source })
    }
}

/// What an error shows of a peer that doesn't speak AMQP.
fn beginning(input: &[u8]) -> Vec<u8> {
    input[..input.len().min(16)].to_vec()
}

/// The server's words in a `connection.close`.
pub(crate) fn server_close(close: connection::Close) -> ServerClose {
    ServerClose::new(close.reply_code, close.reply_text, close.class_id, close.method_id)
}

fn choose<'a>(wanted: &'a [Mechanism], offered: &LongStr) -> Result<&'a Mechanism, ConnectError> {
    let offered = offered.to_str_lossy();
    let found =
        wanted.iter().find(|mechanism| offered.split(' ').any(|name| name == mechanism.name()));
    found.ok_or_else(|| ConnectError::Mechanism {
        offered: offered.into_owned(),
        wanted: wanted.iter().map(Mechanism::name).collect::<Vec<_>>().join(" "),
    })
}

fn respond(login: &mut Exchange, challenge: Option<&[u8]>) -> Result<LongStr, ConnectError> {
    let response = login.respond(challenge).map_err(|why| {
        let mechanism = login.name().to_owned();
        match why {
            NoResponse::NoChallenges => ConnectError::Challenge { mechanism },
            NoResponse::Failed(problem) => ConnectError::Sasl { mechanism, problem },
        }
    })?;
    Ok(LongStr::from(response))
}

fn client_properties(options: &ConnectOptions) -> FieldTable {
    let mut properties = FieldTable::new();
    let mut text = |key, value: &str| properties.insert(name(key), LongStr::from(value));
    text("product", env!("CARGO_PKG_NAME"));
    text("version", env!("CARGO_PKG_VERSION"));
    text("platform", "Rust");
    if let Some(connection_name) = &options.connection_name {
        text("connection_name", connection_name);
    }
    let capabilities: FieldTable =
        CAPABILITIES.iter().map(|capability| (name(capability), Value::Bool(true))).collect();
    properties.insert(name("capabilities"), Value::Table(capabilities));
    for (key, value) in &options.client_properties {
        properties.insert(key.clone(), value.clone());
    }
    properties
}

/// A name of this file: all are far below 255 octets.
fn name(text: &str) -> ShortStr {
    ShortStr::new(text).unwrap_or_default()
}

/// Finds the values that both sides accept. Zero from either side sets no limit, so the other's
/// holds; answering zero where the server gave a number would be a refusal.
fn negotiate(tune: &connection::Tune, options: &ConnectOptions) -> Result<Tuned, ConnectError> {
    if tune.frame_max != 0 && tune.frame_max < u32::from(constants::FRAME_MIN_SIZE) {
        return Err(ConnectError::FrameMax { frame_max: tune.frame_max });
    }
    let heartbeat = match (tune.heartbeat, options.heartbeat.as_secs()) {
        // For a heartbeat zero doesn't mean "no limit" but "none".
        (0, _) | (_, 0) => 0,
        (server, client) => client.min(server.into()),
    };
    Ok(Tuned {
        channel_max: match (tune.channel_max, options.channel_max) {
            (0, 0) => u16::MAX,
            (0, limit) | (limit, 0) => limit,
            (server, client) => server.min(client),
        },
        frame_max: match (tune.frame_max, options.frame_max) {
            (0, limit) | (limit, 0) => limit,
            (server, client) => server.min(client),
        },
        heartbeat: Duration::from_secs(heartbeat),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(server: (u16, u32, u16), client: (u16, u32, u64)) -> (u16, u32, u64) {
        let tune =
            connection::Tune { channel_max: server.0, frame_max: server.1, heartbeat: server.2 };
        let options = ConnectOptions::default()
            .channel_max(client.0)
            .frame_max(client.1)
            .heartbeat(Duration::from_secs(client.2));
        let tuned = negotiate(&tune, &options).unwrap();
        (tuned.channel_max, tuned.frame_max, tuned.heartbeat.as_secs())
    }

    #[test]
    fn tuning_takes_the_lower_limit_and_zero_for_none() {
        assert_eq!(negotiated((2047, 131_072, 60), (100, 8192, 10)), (100, 8192, 10));
        assert_eq!(negotiated((100, 8192, 10), (2047, 131_072, 60)), (100, 8192, 10));
        assert_eq!(negotiated((0, 0, 0), (2047, 131_072, 60)), (2047, 131_072, 0));
        assert_eq!(negotiated((2047, 131_072, 60), (0, 0, 0)), (2047, 131_072, 0));
        assert_eq!(negotiated((0, 0, 1), (0, 0, 1)), (65535, 0, 1));
    }

    #[test]
    fn a_frame_max_below_the_least_is_refused() {
        let tune = connection::Tune { channel_max: 0, frame_max: 4095, heartbeat: 0 };
        let error = negotiate(&tune, &ConnectOptions::default()).unwrap_err();
        assert!(matches!(error, ConnectError::FrameMax { frame_max: 4095 }));
    }
}
