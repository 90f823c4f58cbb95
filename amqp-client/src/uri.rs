//! `amqp://` URIs, by RabbitMQ's URI specification.
//!
//! `amqp://user:password@host:port/vhost?heartbeat=10`: every part but the scheme may be left out.
//! Percent-encoding is decoded in user, password, host and virtual host. A URI without a path means
//! the virtual host `/`; so does one whose path is a lone `/`, which RabbitMQ's specification would
//! read as the empty name, a virtual host that nobody has and every other popular client reads as `/`.

use std::time::Duration;

use thiserror::Error;

/// What a URI says; what it leaves out is `None`.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Uri {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) virtual_host: Option<String>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) connection_timeout: Option<Duration>,
    pub(crate) channel_max: Option<u16>,
    pub(crate) frame_max: Option<u32>,
}

/// A URI that can't be understood. None of these holds the URI itself: it has a password in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UriError {
    /// It doesn't begin with `amqp://`.
    #[error("AMQP URI: the scheme isn't amqp://")]
    Scheme,
    /// A `/` or `?` stands in the user or password as it is.
    #[error("AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40")]
    Credentials,
    /// It begins with `amqps://`.
    #[error("AMQP URI: amqps:// (TLS) is not supported yet, only amqp://")]
    Tls,
    /// A `%` isn't followed by two hexadecimal digits, or what it stands for isn't UTF-8.
    #[error("AMQP URI: bad percent-encoding in the {part}")]
    PercentEncoding {
        /// Which part.
        part: &'static str,
    },
    /// The port isn't a number from 1 to 65535.
    #[error("AMQP URI: the port is {found:?}, expected a number from 1 to 65535")]
    Port {
        /// What stands there.
        found: String,
    },
    /// The `[` of an IPv6 address has no `]`.
    #[error("AMQP URI: the IPv6 address has no closing bracket")]
    Bracket,
    /// The path has more than one segment.
    #[error("AMQP URI: the virtual host holds a '/': write it as %2f")]
    Path,
    /// A query parameter that this client doesn't know.
    #[error(
        "AMQP URI: unknown query parameter {name:?}, expected one of heartbeat, connection_timeout, \
         channel_max, frame_max"
    )]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// A query parameter whose value isn't a number in its range.
    #[error("AMQP URI: the query parameter {name} is {found:?}, expected {expected}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Uri {
    pub(crate) fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if scheme.eq_ignore_ascii_case("amqps") {
            return Err(UriError::Tls);
        }
        if !scheme.eq_ignore_ascii_case("amqp") {
            return Err(UriError::Scheme);
        }
        // Before any part is taken for what it isn't, and shown.
        if rest.find(['/', '?']).is_some_and(|end| rest[end..].contains('@')) {
            return Err(UriError::Credentials);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let mut uri = Self::default();
        let address = match authority.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = match login.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (login, None),
                };
                uri.user = Some(decode(user, "user")?);
                uri.password = password.map(|text| decode(text, "password")).transpose()?;
                address
            }
            None => authority,
        };
        let (host, port) = split_address(address)?;
        uri.host = Some(decode(host, "host")?).filter(|host| !host.is_empty());
        uri.port = port.map(parse_port).transpose()?;
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            if path.contains('/') {
                return Err(UriError::Path);
            }
            uri.virtual_host = Some(decode(path, "virtual host")?);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            uri.parameter(name, value)?;
        }
        Ok(uri)
    }

    fn parameter(&mut self, name: &str, value: &str) -> Result<(), UriError> {
        fn number<T: std::str::FromStr>(
            name: &'static str,
            value: &str,
            expected: &'static str,
        ) -> Result<T, UriError> {
            value.parse().map_err(|_| UriError::Parameter {
                name,
                found: value.to_owned(),
                expected,
            })
        }
        match name {
            "heartbeat" => {
                let seconds: u16 = number("heartbeat", value, "seconds from 0 to 65535")?;
                self.heartbeat = Some(Duration::from_secs(seconds.into()));
            }
            "connection_timeout" => {
                let expected = "milliseconds from 1 to 4294967295";
                let milliseconds: u32 = number("connection_timeout", value, expected)?;
                self.connection_timeout = Some(Duration::from_millis(milliseconds.into()));
            }
            "channel_max" => {
                self.channel_max = Some(number("channel_max", value, "a number from 0 to 65535")?);
            }
            "frame_max" => {
                let expected = "octets: 0, or from 4096 to 4294967295";
                self.frame_max = Some(number("frame_max", value, expected)?);
            }
            _ => return Err(UriError::UnknownParameter { name: name.to_owned() }),
        }
        Ok(())
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split_address(address: &str) -> Result<(&str, Option<&str>), UriError> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(UriError::Bracket)?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if behind.is_empty() => Ok((host, None)),
            None => Err(UriError::Port { found: behind.to_owned() }),
        };
    }
    Ok(match address.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    })
}

fn parse_port(text: &str) -> Result<u16, UriError> {
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(UriError::Port { found: text.to_owned() }),
    }
}

fn decode(text: &str, part: &'static str) -> Result<String, UriError> {
    let bad = || UriError::PercentEncoding { part };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let high = digit().ok_or_else(bad)?;
        let low = digit().ok_or_else(bad)?;
        octets.push(high << 4 | low);
    }
    String::from_utf8(octets).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, String, u16, String) {
        let uri = Uri::parse(text).unwrap();
        (
            uri.user.unwrap_or_default(),
            uri.password.unwrap_or_default(),
            uri.host.unwrap_or_default(),
            uri.port.unwrap_or_default(),
            uri.virtual_host.unwrap_or_default(),
        )
    }

    fn expect(text: &str, expected: (&str, &str, &str, u16, &str)) {
        let (user, password, host, port, virtual_host) = parts(text);
        let found = (&*user, &*password, &*host, port, &*virtual_host);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_examples_of_rabbitmqs_uri_specification() {
        expect("amqp://user:pass@host:10000/vhost", ("user", "pass", "host", 10000, "vhost"));
        expect(
            "amqp://user%61:%61pass@ho%61st:10000/v%2fhost",
            ("usera", "apass", "hoast", 10000, "v/host"),
        );
        expect("amqp://", ("", "", "", 0, ""));
        expect("amqp://:@/", ("", "", "", 0, ""));
        expect("amqp://user@", ("user", "", "", 0, ""));
        expect("amqp://user:pass@", ("user", "pass", "", 0, ""));
        expect("amqp://host", ("", "", "host", 0, ""));
        expect("amqp://:10000", ("", "", "", 10000, ""));
        expect("amqp:///vhost", ("", "", "", 0, "vhost"));
        expect("amqp://host/", ("", "", "host", 0, ""));
        expect("amqp://host/%2f", ("", "", "host", 0, "/"));
        expect("amqp://[::1]", ("", "", "::1", 0, ""));
        expect("amqp://[::1]:5673/a", ("", "", "::1", 5673, "a"));
        expect("AMQP://h", ("", "", "h", 0, ""));
    }

    #[test]
    fn query_parameters() {
        let uri = "amqp://h/v?heartbeat=10&connection_timeout=250&channel_max=7&frame_max=8192";
        let uri = Uri::parse(uri).unwrap();
        assert_eq!(uri.heartbeat, Some(Duration::from_secs(10)));
        assert_eq!(uri.connection_timeout, Some(Duration::from_millis(250)));
        assert_eq!((uri.channel_max, uri.frame_max), (Some(7), Some(8192)));
    }

    #[test]
    fn mistakes_are_named_and_hold_no_password() {
        for (text, expected) in [
            ("http://h", "AMQP URI: the scheme isn't amqp://"),
            ("u:secret@h", "AMQP URI: the scheme isn't amqp://"),
            (
                "amqp://u:sec/ret@h",
                "AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40",
            ),
            (
                "amqp://u:sec?ret@h",
                "AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40",
            ),
            ("amqps://h", "AMQP URI: amqps:// (TLS) is not supported yet, only amqp://"),
            ("amqp://u:sec%ret@h", "AMQP URI: bad percent-encoding in the password"),
            ("amqp://h:0", "AMQP URI: the port is \"0\", expected a number from 1 to 65535"),
            ("amqp://h:x", "AMQP URI: the port is \"x\", expected a number from 1 to 65535"),
            ("amqp://[::1", "AMQP URI: the IPv6 address has no closing bracket"),
            ("amqp://h/a/b", "AMQP URI: the virtual host holds a '/': write it as %2f"),
            (
                "amqp://h?heartbeat=soon",
                "AMQP URI: the query parameter heartbeat is \"soon\", expected seconds from 0 to 65535",
            ),
            (
                "amqp://h?x",
                "AMQP URI: unknown query parameter \"x\", expected one of heartbeat, \
                 connection_timeout, channel_max, frame_max",
            ),
        ] {
            assert_eq!(Uri::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
