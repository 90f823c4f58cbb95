//! `amqp://` URIs, by RabbitMQ's URI specification.
//!
//! `amqp://user:password@host:port/vhost?heartbeat=10`: every part but the scheme may be left out.
//! There may be several hosts, separated by commas; that is this client's own.
//! Percent-encoding is decoded in user, password, host and virtual host. A URI without a path means
//! the virtual host `/`; so does one whose path is a lone `/`, which RabbitMQ's specification would
//! read as the empty name, a virtual host that nobody has and every other popular client reads as `/`.

use std::time::Duration;

use thiserror::Error;

use crate::hosts::Host;
use crate::sasl::Mechanism;
use crate::tls::TlsOptions;

/// What a URI says; what it leaves out is `None`.
#[derive(Debug, Default)]
pub(crate) struct Uri {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) hosts: Vec<Host>,
    /// Of the one host, or of none.
    pub(crate) port: Option<u16>,
    pub(crate) virtual_host: Option<String>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) connection_timeout: Option<Duration>,
    pub(crate) channel_max: Option<u16>,
    pub(crate) frame_max: Option<u32>,
    pub(crate) connection_name: Option<String>,
    pub(crate) mechanisms: Vec<Mechanism>,
    /// With `amqps://`.
    pub(crate) tls: Option<TlsOptions>,
}

/// Query parameters: RabbitMQ's, and `connection_name`.
const PARAMETERS: [&str; 11] = [
    "heartbeat",
    "connection_timeout",
    "channel_max",
    "frame_max",
    "auth_mechanism",
    "connection_name",
    "cacertfile",
    "certfile",
    "keyfile",
    "verify",
    "server_name_indication",
];

/// A URI that can't be understood. None of these holds the URI itself: it has a password in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UriError {
    /// It begins with neither `amqp://` nor `amqps://`.
    #[error("AMQP URI: the scheme is neither amqp:// nor amqps://")]
    Scheme,
    /// A `/` or `?` stands in the user or password as it is.
    #[error("AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40")]
    Credentials,
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
    /// One of several hosts is empty.
    #[error("AMQP URI: nothing stands before or behind a ',' where a host should")]
    NoHost,
    /// The path has more than one segment.
    #[error("AMQP URI: the virtual host holds a '/': write it as %2f")]
    Path,
    /// A query parameter that this client doesn't know.
    #[error("AMQP URI: unknown query parameter {name:?}, expected one of {}", PARAMETERS.join(", "))]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// A query parameter of TLS in a URI without.
    #[error(
        "AMQP URI: the query parameter {name} is for TLS: it needs amqps:// in the place of amqp://"
    )]
    OnlyForTls {
        /// Its name.
        name: &'static str,
    },
    /// `keyfile` without `certfile`.
    #[error("AMQP URI: the query parameter keyfile needs certfile beside it")]
    KeyWithoutCertificate,
    /// A query parameter that is given twice.
    #[error("AMQP URI: the query parameter {name} is given twice")]
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// A query parameter whose value isn't one that it may have.
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
        let tls = match () {
            () if scheme.eq_ignore_ascii_case("amqp") => None,
            () if scheme.eq_ignore_ascii_case("amqps") => Some(TlsOptions::new()),
            () => return Err(UriError::Scheme),
        };
        // Before any part is taken for what it isn't, and shown.
        if rest.find(['/', '?']).is_some_and(|end| rest[end..].contains('@')) {
            return Err(UriError::Credentials);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let mut uri = Self { tls, ..Self::default() };
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
        if address.contains(',') {
            for address in address.split(',') {
                let (host, port) = split_address(address)?;
                let port = port.map(parse_port).transpose()?;
                let name = decode(host, "host")?;
                if name.is_empty() {
                    return Err(UriError::NoHost);
                }
                uri.hosts.push(Host::new(name, port));
            }
        } else {
            let (host, port) = split_address(address)?;
            let name = decode(host, "host")?;
            if !name.is_empty() {
                uri.hosts.push(Host::new(name, None));
            }
            uri.port = port.map(parse_port).transpose()?;
        }
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            if path.contains('/') {
                return Err(UriError::Path);
            }
            uri.virtual_host = Some(decode(path, "virtual host")?);
        }
        uri.query(query)?;
        Ok(uri)
    }

    fn query(&mut self, query: &str) -> Result<(), UriError> {
        let mut seen = Vec::new();
        // A key may come before its certificate.
        let mut files = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = PARAMETERS.into_iter().find(|&known| known == name) else {
                return Err(UriError::UnknownParameter { name: name.to_owned() });
            };
            if name != "auth_mechanism" && seen.contains(&name) {
                return Err(UriError::Twice { name });
            }
            seen.push(name);
            let value = decode(value, name)?;
            match name {
                "certfile" => files.0 = Some(value),
                "keyfile" => files.1 = Some(value),
                _ => {
                    self.parameter(name, value)?;
                    continue;
                }
            }
            self.secured(name)?;
        }
        match files {
            (Some(certificate), key) => {
                // As in Erlang: one file may hold both.
                let key = key.unwrap_or_else(|| certificate.clone());
                let tls = self.secured("certfile")?;
                *tls = std::mem::take(tls).client_certificate_files(certificate, key);
                Ok(())
            }
            (None, Some(_)) => Err(UriError::KeyWithoutCertificate),
            (None, None) => Ok(()),
        }
    }

    fn secured(&mut self, name: &'static str) -> Result<&mut TlsOptions, UriError> {
        self.tls.as_mut().ok_or(UriError::OnlyForTls { name })
    }

    fn parameter(&mut self, name: &'static str, value: String) -> Result<(), UriError> {
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
                let seconds: u16 = number(name, &value, "seconds from 0 to 65535")?;
                self.heartbeat = Some(Duration::from_secs(seconds.into()));
            }
            "connection_timeout" => {
                let expected = "milliseconds from 1 to 4294967295";
                let milliseconds: u32 = number(name, &value, expected)?;
                self.connection_timeout = Some(Duration::from_millis(milliseconds.into()));
            }
            "channel_max" => {
                self.channel_max = Some(number(name, &value, "a number from 0 to 65535")?);
            }
            "frame_max" => {
                let expected = "octets: 0, or from 4096 to 4294967295";
                self.frame_max = Some(number(name, &value, expected)?);
            }
            "auth_mechanism" => {
                let mechanism = Mechanism::built_in(&value).ok_or(UriError::Parameter {
                    name,
                    found: value,
                    expected: "plain, amqplain, external or anonymous",
                })?;
                self.mechanisms.push(mechanism);
            }
            "connection_name" => self.connection_name = Some(value),
            _ => {
                let tls = self.secured(name)?;
                let options = std::mem::take(tls);
                *tls = match (name, &*value) {
                    ("cacertfile", _) => options.ca_file(value),
                    ("verify", "verify_peer") => options,
                    ("verify", "verify_none") => options.danger_accept_invalid_certificates(),
                    ("verify", _) => {
                        let expected = "verify_peer or verify_none";
                        return Err(UriError::Parameter { name, found: value, expected });
                    }
                    // As in Erlang.
                    (_, "disable") => options.without_sni(),
                    _ => options.server_name(value),
                };
            }
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
            uri.hosts.first().map(|host| host.name().to_owned()).unwrap_or_default(),
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
    fn several_hosts() {
        let uri = Uri::parse("amqps://u:p@a,b%2d1:5673,[::1],[::2]:7/v?heartbeat=1").unwrap();
        let hosts = [("a", None), ("b-1", Some(5673)), ("::1", None), ("::2", Some(7))];
        assert_eq!(uri.hosts, hosts.map(|(name, port)| Host::new(name, port)));
        assert_eq!((uri.port, uri.virtual_host.as_deref()), (None, Some("v")));
        // A comma elsewhere is none between hosts.
        let uri = Uri::parse("amqp://u,v:p,q@a%2cb:1/v,w").unwrap();
        assert_eq!(uri.hosts, [Host::new("a,b", None)]);
        assert_eq!((uri.user.as_deref(), uri.password.as_deref()), (Some("u,v"), Some("p,q")));
        for text in ["amqp://a,", "amqp://,a", "amqp://a,,b", "amqp://a,:5672"] {
            assert_eq!(Uri::parse(text).unwrap_err(), UriError::NoHost, "{text}");
        }
        assert!(matches!(Uri::parse("amqp://a,b:x"), Err(UriError::Port { .. })));
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
    fn query_parameters_of_logins_and_names() {
        let uri = "amqp://h?auth_mechanism=external&connection_name=my%20app&auth_mechanism=PLAIN";
        let uri = Uri::parse(uri).unwrap();
        let names: Vec<_> = uri.mechanisms.iter().map(Mechanism::name).collect();
        assert_eq!(names, ["EXTERNAL", "PLAIN"]);
        assert_eq!(uri.connection_name.as_deref(), Some("my app"));
        assert!(uri.tls.is_none());
    }

    #[test]
    fn query_parameters_of_tls() {
        let shown = |text: &str| format!("{:?}", Uri::parse(text).unwrap().tls.unwrap());
        let plain = shown("amqps://h");
        assert_eq!(plain, format!("{:?}", TlsOptions::new()));
        assert_eq!(shown("amqps://h?verify=verify_peer"), plain);
        let files = TlsOptions::new().ca_file("/a b/ca.pem").server_name("broker");
        for (text, expected) in [
            (
                "amqps://h/v?keyfile=/k.pem&cacertfile=/a%20b/ca.pem&certfile=/c.pem\
                 &server_name_indication=broker",
                files.client_certificate_files("/c.pem", "/k.pem"),
            ),
            (
                "AMQPS://h?certfile=/both.pem",
                TlsOptions::new().client_certificate_files("/both.pem", "/both.pem"),
            ),
            ("amqps://h?server_name_indication=disable", TlsOptions::new().without_sni()),
            (
                "amqps://h?verify=verify_none",
                TlsOptions::new().danger_accept_invalid_certificates(),
            ),
        ] {
            assert_eq!(shown(text), format!("{expected:?}"), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_and_hold_no_password() {
        for (text, expected) in [
            ("http://h", "AMQP URI: the scheme is neither amqp:// nor amqps://"),
            ("u:secret@h", "AMQP URI: the scheme is neither amqp:// nor amqps://"),
            (
                "amqp://u:sec/ret@h",
                "AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40",
            ),
            (
                "amqp://u:sec?ret@h",
                "AMQP URI: '/', '?' and '@' in user and password are written %2f, %3f and %40",
            ),
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
                 connection_timeout, channel_max, frame_max, auth_mechanism, connection_name, \
                 cacertfile, certfile, keyfile, verify, server_name_indication",
            ),
            (
                "amqps://h?Verify=verify_none",
                "AMQP URI: unknown query parameter \"Verify\", expected one of heartbeat, \
                 connection_timeout, channel_max, frame_max, auth_mechanism, connection_name, \
                 cacertfile, certfile, keyfile, verify, server_name_indication",
            ),
            (
                "amqp://h?cacertfile=/ca.pem",
                "AMQP URI: the query parameter cacertfile is for TLS: it needs amqps:// in the place \
                 of amqp://",
            ),
            (
                "amqp://h?certfile=/c.pem",
                "AMQP URI: the query parameter certfile is for TLS: it needs amqps:// in the place of \
                 amqp://",
            ),
            (
                "amqps://h?keyfile=/k",
                "AMQP URI: the query parameter keyfile needs certfile beside it",
            ),
            (
                "amqps://h?verify=none",
                "AMQP URI: the query parameter verify is \"none\", expected verify_peer or verify_none",
            ),
            (
                "amqps://h?verify=verify_none&verify=verify_peer",
                "AMQP URI: the query parameter verify is given twice",
            ),
            (
                "amqp://h?auth_mechanism=gssapi",
                "AMQP URI: the query parameter auth_mechanism is \"gssapi\", expected plain, amqplain, \
                 external or anonymous",
            ),
            (
                "amqp://h?connection_name=%f",
                "AMQP URI: bad percent-encoding in the connection_name",
            ),
        ] {
            assert_eq!(Uri::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
