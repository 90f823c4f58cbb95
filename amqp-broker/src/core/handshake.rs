//! From the protocol header to the open virtual host.

use std::time::Duration;

use amqp091::frame::FrameLimits;
use amqp091::protocol::{ReplyCode, ToServer, connection};
use amqp091::protocol_header::ProtocolHeader;
use amqp091::types::{FieldTable, LongStr, Reader, ShortStr, Value};
use bytes::{Buf, BytesMut};

use super::Core;
use super::connection::{Capabilities, Connection, ConnectionKey, Phase};
use super::refusal::{Done, Refusal};
use crate::event::BrokerEvent;
use crate::profile::Profile;

/// The least frame-max that the specification allows, octets.
pub(crate) const FRAME_MIN: u32 = 4096;

impl Core {
    /// Looks for the protocol header; `false` while it isn't whole.
    pub(super) fn greet(&mut self, key: ConnectionKey, input: &mut BytesMut) -> bool {
        let wanted = ProtocolHeader::AMQP_0_9_1.to_bytes();
        if !input.starts_with(&wanted) {
            let so_far = input.len().min(wanted.len());
            if input.len() < wanted.len() && wanted.starts_with(&input[..so_far]) {
                return false;
            }
            // RabbitMQ judges eight octets; a peer that sends another first octet may send no more.
            let offered = match self.settings.profile {
                Profile::V3_10 => wanted,
                Profile::V4 if input.starts_with(&wanted[..7]) => wanted,
                Profile::V4 => [b'A', b'M', b'Q', b'P', 3, 1, 0, 0],
            };
            if let Some(connection) = self.connections.get_mut(key) {
                connection.out.frames().extend_from_slice(&offered);
            }
            self.flush_and_close(key);
            return false;
        }
        input.advance(wanted.len());
        let mechanisms = self.settings.profile.mechanisms();
        // As RabbitMQ does, also to who has shown no certificate: to be refused tells more than to find no
        // mechanism.
        let mechanisms = if self.may_be_external(key) {
            format!("{mechanisms} EXTERNAL")
        } else {
            mechanisms.to_owned()
        };
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: self.server_properties(),
            mechanisms: LongStr::from(mechanisms),
            locales: LongStr::from("en_US"),
        };
        self.send(key, 0, &start);
        self.enter(key, Phase::Login);
        true
    }

    fn enter(&mut self, key: ConnectionKey, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = phase;
        }
    }

    /// The client was asked for a certificate, and has shown one of this name.
    pub(crate) fn set_certificate_name(&mut self, key: ConnectionKey, name: Option<String>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.certificate = name;
            connection.was_asked_for_certificate = true;
        }
    }

    fn may_be_external(&self, key: ConnectionKey) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.was_asked_for_certificate)
    }

    fn server_properties(&self) -> FieldTable {
        let yes = [
            "publisher_confirms",
            "exchange_exchange_bindings",
            "basic.nack",
            "consumer_cancel_notify",
            "connection.blocked",
            "consumer_priorities",
            "authentication_failure_close",
            "per_consumer_qos",
            "direct_reply_to",
        ];
        let capabilities = yes
            .into_iter()
            .fold(FieldTable::new(), |table, name| table.with(ShortStr::from_static(name), true));
        let text = |text: &str| Value::LongStr(LongStr::from(text));
        FieldTable::new()
            .with(ShortStr::from_static("capabilities"), Value::Table(capabilities))
            .with(ShortStr::from_static("cluster_name"), text("amqp091@localhost"))
            .with(ShortStr::from_static("information"), text("an embedded broker, for tests"))
            .with(ShortStr::from_static("platform"), text("Rust"))
            .with(ShortStr::from_static("product"), text(&self.settings.product))
            .with(ShortStr::from_static("version"), text(&self.settings.version))
    }

    /// Takes a method of the handshake.
    pub(super) fn handle_handshake(
        &mut self,
        key: ConnectionKey,
        phase: Phase,
        method: ToServer,
    ) -> Done {
        match (phase, method) {
            (Phase::Login, ToServer::ConnectionStartOk(start_ok)) => self.log_in(key, &start_ok),
            (Phase::Tune, ToServer::ConnectionTuneOk(tune_ok)) => self.tune(key, &tune_ok),
            (Phase::Open, ToServer::ConnectionOpen(open)) => self.open(key, &open),
            (_, ToServer::ConnectionClose(_)) => {
                self.send(key, 0, &connection::CloseOk {});
                self.flush_and_close(key);
                Ok(())
            }
            _ => Err(Refusal::Silent),
        }
    }

    fn log_in(&mut self, key: ConnectionKey, start_ok: &connection::StartOk) -> Done {
        let mechanism = start_ok.mechanism.to_str().unwrap_or_default();
        let properties = &start_ok.client_properties;
        let capabilities = match properties.get("capabilities") {
            Some(Value::Table(table)) => {
                let has = |name| table.get(name).and_then(Value::as_bool).unwrap_or(false);
                Capabilities {
                    consumer_cancel_notify: has("consumer_cancel_notify"),
                    connection_blocked: has("connection.blocked"),
                    authentication_failure_close: has("authentication_failure_close"),
                }
            }
            _ => Capabilities::default(),
        };
        let name = properties.get("connection_name").and_then(Value::as_str).unwrap_or_default();
        let response = start_ok.response.as_ref();
        let offered = self.settings.profile.mechanisms().split(' ').any(|one| one == mechanism);
        let certificate =
            self.connections.get(key).and_then(|connection| connection.certificate.clone());
        let login = match (mechanism, certificate) {
            ("EXTERNAL", Some(name)) => {
                let password = self.settings.users.get(&name).cloned().unwrap_or_default();
                Some((name, password))
            }
            ("EXTERNAL", None) if self.may_be_external(key) => None,
            _ if !offered => return Err(Refusal::Silent),
            ("PLAIN", _) => Some(plain(response).ok_or(Refusal::Silent)?),
            ("AMQPLAIN", _) => Some(amqplain(response).ok_or(Refusal::Silent)?),
            // As whom RabbitMQ lets the anonymous in: nobody, once `guest` has another password.
            _ => Some(("guest".to_owned(), "guest".to_owned())),
        };
        let user = login.and_then(|(user, password)| {
            let known = self.settings.users.get(&user)?;
            (*known == password).then_some(user)
        });
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        connection.capabilities = capabilities;
        connection.name = name.to_owned();
        connection.client_properties = properties.clone();
        let Some(user) = user else {
            // Clients of old take a closed socket for the answer, which RabbitMQ gives after a delay.
            return Err(if capabilities.authentication_failure_close {
                Refusal::Connection(
                    ReplyCode::ACCESS_REFUSED,
                    format!(
                        "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
                    ),
                )
            } else {
                Refusal::Silent
            });
        };
        connection.user = user;
        let tune = connection::Tune {
            channel_max: self.settings.channel_max,
            frame_max: self.settings.frame_max,
            heartbeat: u16::try_from(self.settings.heartbeat.as_secs()).unwrap_or(u16::MAX),
        };
        self.send(key, 0, &tune);
        self.enter(key, Phase::Tune);
        Ok(())
    }

    fn tune(&mut self, key: ConnectionKey, tune_ok: &connection::TuneOk) -> Done {
        let connection::TuneOk { channel_max, frame_max, heartbeat } = *tune_ok;
        let (channels, frames) = match self.offered(key) {
            Some(offered) => (offered.channel_max, offered.frame_max),
            None => (self.settings.channel_max, self.settings.frame_max),
        };
        let is_above = |asked: u32, offered: u32| offered != 0 && (asked == 0 || asked > offered);
        if frame_max != 0 && frame_max < FRAME_MIN
            || is_above(frame_max, frames)
            || is_above(channel_max.into(), channels.into())
        {
            return Err(Refusal::Silent);
        }
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        connection.channel_max = channel_max;
        connection.frame_max = frame_max;
        connection.heartbeat = Duration::from_secs(heartbeat.into());
        let limits = FrameLimits::from_frame_max(frame_max);
        connection.limits = if frame_max == 0 { limits } else { limits.with_control(frame_max) };
        self.enter(key, Phase::Open);
        Ok(())
    }

    fn open(&mut self, key: ConnectionKey, open: &connection::Open) -> Done {
        let name = String::from_utf8_lossy(open.virtual_host.as_ref()).into_owned();
        let Some(&vhost) = self.vhost_names.get(&name) else {
            return Err(Refusal::Connection(
                ReplyCode::NOT_ALLOWED,
                format!("vhost {name} not found"),
            ));
        };
        let user = self.connections.get(key).map(|connection| connection.user.clone());
        let user = user.unwrap_or_default();
        let refused = |why: String| {
            let text = format!("access to vhost '{name}' refused for user '{user}'{why}");
            Err(Refusal::Connection(ReplyCode::NOT_ALLOWED, text))
        };
        let permissions = match self.settings.permissions.get(&user) {
            None => None,
            Some(of_user) => match of_user.get(&name) {
                Some(permissions) => Some(permissions.clone()),
                None => return refused(String::new()),
            },
        };
        let most = self.settings.max_connections;
        let is_there = |found: &Connection| found.vhost == Some(vhost) && found.is_running();
        // Most often there is no limit.
        if most < self.connections.len()
            && self.connections.iter().filter(|(_, found)| is_there(found)).count() >= most
        {
            return refused(format!(": connection limit ({most}) is reached"));
        }
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        connection.vhost = Some(vhost);
        connection.permissions = permissions;
        connection.phase = Phase::Running;
        self.send(key, 0, &connection::OpenOk {});
        self.start_heartbeat(key);
        self.tell(key, BrokerEvent::Opened);
        Ok(())
    }
}

/// `authorization-id NUL user NUL password`.
fn plain(response: &[u8]) -> Option<(String, String)> {
    let mut parts = response.split(|&octet| octet == 0);
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some((text(user), text(password)))
}

/// A field table without its length.
fn amqplain(response: &[u8]) -> Option<(String, String)> {
    let table = FieldTable::decode_entries(&mut Reader::new(response)).ok()?;
    let text = |name| table.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("LOGIN")?, text("PASSWORD")?))
}
