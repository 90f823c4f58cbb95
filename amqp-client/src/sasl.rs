//! SASL: the ways to log in, those built in and those of a program's own.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use amqp091::types::{FieldTable, LongStr, ShortStr, Writer};
use bytes::BytesMut;

/// A SASL mechanism: how the login is sent. See [`ConnectOptions::mechanisms`](crate::ConnectOptions::mechanisms).
///
/// ```
/// use amqp091_client::{ConnectOptions, Mechanism};
///
/// // The client certificate is the login (RabbitMQ's plugin rabbitmq_auth_mechanism_ssl).
/// let options = ConnectOptions::from_uri(
///     "amqps://broker.example?cacertfile=/etc/ca.pem&certfile=/etc/me.pem&keyfile=/etc/me.key",
/// )?
/// .mechanisms([Mechanism::External]);
/// # Ok::<(), amqp091_client::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Mechanism {
    /// User and password in one string (RFC 4616).
    Plain,
    /// User and password in a field table: an older form that RabbitMQ still offers.
    AmqPlain,
    /// What the server knows already, such as the name in the client's certificate (RFC 4422). User
    /// and password aren't sent.
    External,
    /// Nobody in particular (RFC 4505), where the server has a user for those: RabbitMQ from 4.0 on.
    /// User and password aren't sent.
    Anonymous,
    /// A mechanism of the program's own.
    Custom(Arc<dyn Sasl>),
}

/// A SASL mechanism of a program's own.
///
/// ```
/// use amqp091_client::{ConnectOptions, Login, Mechanism, Sasl, SaslError, SaslExchange};
///
/// /// The example that RabbitMQ brings along: it asks for the password in so many words.
/// #[derive(Debug)]
/// struct Demo;
///
/// impl Sasl for Demo {
///     fn name(&self) -> &str {
///         "RABBIT-CR-DEMO"
///     }
///
///     fn begin(&self, login: &Login<'_>) -> Box<dyn SaslExchange> {
///         let (user, password) = (login.user.to_owned(), login.password.to_owned());
///         Box::new(move |challenge: Option<&[u8]>| -> Result<Vec<u8>, SaslError> {
///             match challenge {
///                 None => Ok(user.clone().into_bytes()),
///                 Some(b"Please tell me your password") => {
///                     Ok(format!("My password is {password}").into_bytes())
///                 }
///                 Some(_) => Err("that is no question of RABBIT-CR-DEMO".into()),
///             }
///         })
///     }
/// }
///
/// let options = ConnectOptions::default().mechanisms([Mechanism::custom(Demo), Mechanism::Plain]);
/// ```
pub trait Sasl: fmt::Debug + Send + Sync {
    /// Its name on the wire: at most 255 octets, without spaces.
    fn name(&self) -> &str;

    /// Begins an exchange for one connection.
    fn begin(&self, login: &Login<'_>) -> Box<dyn SaslExchange>;
}

/// One login by a [`Sasl`] mechanism. Closures of the same shape are exchanges too.
pub trait SaslExchange: Send {
    /// The client's answer: to the server's challenge (`connection.secure`), or, for `None`, the one
    /// that comes with the mechanism's name (`connection.start-ok`).
    ///
    /// It is called by the connection's task, so it must not block.
    ///
    /// # Errors
    ///
    /// Whatever ends the attempt: it becomes [`ConnectError::Sasl`](crate::ConnectError::Sasl).
    fn respond(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, SaslError>;
}

impl<F> SaslExchange for F
where
    F: FnMut(Option<&[u8]>) -> Result<Vec<u8>, SaslError> + Send,
{
    fn respond(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, SaslError> {
        self(challenge)
    }
}

/// Why a [`SaslExchange`] doesn't go on. Strings become one.
pub type SaslError = Box<dyn StdError + Send + Sync>;

/// Who logs in where.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Login<'a> {
    /// The user.
    pub user: &'a str,
    /// The password, which Debug doesn't show.
    pub password: &'a str,
    /// The host that is connected to, for mechanisms that log in at a named service.
    pub host: &'a str,
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Mechanism {
    /// A mechanism of the program's own.
    pub fn custom(mechanism: impl Sasl + 'static) -> Self {
        Self::Custom(Arc::new(mechanism))
    }

    /// A mechanism whose whole login is one response, sent as it is: a token, for example. Debug shows
    /// its name only.
    pub fn raw(name: impl Into<String>, response: impl Into<Vec<u8>>) -> Self {
        Self::custom(Raw { name: name.into(), response: response.into() })
    }

    /// Its name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
            Self::External => "EXTERNAL",
            Self::Anonymous => "ANONYMOUS",
            Self::Custom(mechanism) => mechanism.name(),
        }
    }

    /// One of those built in, by its name in any case, as URIs have it.
    pub(crate) fn built_in(name: &str) -> Option<Self> {
        [Self::Plain, Self::AmqPlain, Self::External, Self::Anonymous]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn begin(&self, login: &Login<'_>) -> Exchange {
        let steps = match self {
            Self::Custom(mechanism) => Steps::Custom(mechanism.begin(login)),
            Self::Plain => Steps::One(format!("\0{}\0{}", login.user, login.password).into_bytes()),
            Self::AmqPlain => Steps::One(amqplain(login)),
            Self::External | Self::Anonymous => Steps::One(Vec::new()),
        };
        Exchange { name: self.name().to_owned(), steps }
    }
}

/// A field table without its length.
fn amqplain(login: &Login<'_>) -> Vec<u8> {
    let mut table = FieldTable::new();
    table.insert(ShortStr::from_static("LOGIN"), LongStr::from(login.user));
    table.insert(ShortStr::from_static("PASSWORD"), LongStr::from(login.password));
    let mut octets = BytesMut::new();
    // Two strings always encode.
    let _ = table.encode_entries(&mut Writer::new(&mut octets));
    octets.to_vec()
}

/// A login under way.
pub(crate) struct Exchange {
    name: String,
    steps: Steps,
}

enum Steps {
    /// The response to the greeting is all there is.
    One(Vec<u8>),
    Custom(Box<dyn SaslExchange>),
}

/// Why a login has no further step.
pub(crate) enum NoResponse {
    /// The mechanism has no challenges.
    NoChallenges,
    /// Its exchange ended with an error.
    Failed(String),
}

impl Exchange {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn respond(&mut self, challenge: Option<&[u8]>) -> Result<Vec<u8>, NoResponse> {
        match &mut self.steps {
            Steps::One(response) if challenge.is_none() => Ok(std::mem::take(response)),
            Steps::One(_) => Err(NoResponse::NoChallenges),
            Steps::Custom(exchange) => {
                exchange.respond(challenge).map_err(|error| NoResponse::Failed(error.to_string()))
            }
        }
    }
}

/// It holds the password in one form or another.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.name).finish()
    }
}

struct Raw {
    name: String,
    response: Vec<u8>,
}

impl Sasl for Raw {
    fn name(&self) -> &str {
        &self.name
    }

    fn begin(&self, _: &Login<'_>) -> Box<dyn SaslExchange> {
        let response = self.response.clone();
        Box::new(move |challenge: Option<&[u8]>| match challenge {
            None => Ok(response.clone()),
            Some(_) => {
                Err("the server sent a challenge, but there is only the one response".into())
            }
        })
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { user: "u", password: "pw", host: "h" };

    fn first(mechanism: &Mechanism) -> Vec<u8> {
        mechanism.begin(&LOGIN).respond(None).unwrap_or_default()
    }

    #[test]
    fn first_responses() {
        assert_eq!(first(&Mechanism::Plain), b"\0u\0pw");
        // A table without its length.
        let table = b"\x05LOGINS\0\0\0\x01u\x08PASSWORDS\0\0\0\x02pw";
        assert_eq!(first(&Mechanism::AmqPlain), table);
        assert_eq!(first(&Mechanism::External), b"");
        assert_eq!(first(&Mechanism::Anonymous), b"");
        assert_eq!(first(&Mechanism::raw("TOKEN", "abc")), b"abc");
    }

    #[test]
    fn names_are_found_in_any_case() {
        for name in ["plain", "AMQPLAIN", "External", "anonymous"] {
            assert!(Mechanism::built_in(name).unwrap().name().eq_ignore_ascii_case(name));
        }
        assert!(Mechanism::built_in("RABBIT-CR-DEMO").is_none());
    }

    #[test]
    fn secrets_are_not_shown() {
        let raw = Mechanism::raw("TOKEN", "s3cret");
        let shown = format!("{raw:?} {:?} {:?}", raw.begin(&LOGIN), LOGIN);
        assert!(shown.contains("TOKEN"), "{shown}");
        assert!(!shown.contains("s3cret") && !shown.contains("pw"), "{shown}");
        assert!(!shown.contains(&format!("{:?}", b"s3cret")[1..20]), "{shown}");
    }
}
